package people_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/storage/people"
)

// TestFillsAreRefused tells what a fill does not begin with.
func TestFillsAreRefused(t *testing.T) {
	w := open(t, vfs.NewMem(), 0)
	set, err := trait.Compile([]trait.Definition{{ID: 1, Name: "n", Kind: trait.Count}})
	w.must(err)
	for want, o := range map[string]people.FillOptions{
		"expected more than 0":  {Traits: set, IDs: []uint32{1}, Share: 2},
		"but the log ends at 0": {Traits: set, IDs: []uint32{1}, UpTo: 7},
	} {
		if err := w.Fill(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	w.close()
}

// TestSeriesThatNobodyDefinesGo: they stay in a facet's record until it is written
// again, and no longer.
func TestSeriesThatNobodyDefinesGo(t *testing.T) {
	clock := fillBegin
	set, err := trait.Compile([]trait.Definition{{ID: 1, Name: "a", Kind: trait.Count}, {ID: 2, Name: "b", Kind: trait.Count}})
	if err != nil {
		t.Fatal(err)
	}
	gone := atomic.Bool{}
	w := openTuned(t, vfs.NewMem(), 1, &clock, func(o *people.Options) {
		o.Rules = facet.Rules{Contribute: func(e *event.Event, seq uint64, add func(*facet.Contribution)) {
			set.Contribute(e, seq, func(c *facet.Contribution) {
				if c.Spec.ID == 1 || !gone.Load() {
					add(c)
				}
			})
		}}
		o.Defined = func(n uint32) bool { return n == 1 || !gone.Load() }
	})
	for n := range 5 {
		w.send(msg(n, event.Page, fmt.Sprint("a", n), ""))
	}
	count := func(want int) {
		t.Helper()
		w.must(w.Checkpoint())
		w.close()
		w = openTuned(t, w.fs, 1, &clock, w.tune)
		p, err := w.Profile(device("a0"), id.VerifiedView)
		w.must(err)
		if p.Profile.Series(1).Empty() || (!p.Profile.Series(2).Empty()) != (want == 2) {
			t.Errorf("series %v and %v, want %d of them", p.Profile.Series(1), p.Profile.Series(2), want)
		}
	}
	count(2)
	gone.Store(true)
	count(1)
	w.send(msg(9, event.Page, "a0", ""))
	w.must(w.Checkpoint())
	gone.Store(false) // had it been kept, it would be back
	count(1)
	w.close()
}
