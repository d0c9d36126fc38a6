package people_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/storage/people"
)

// TestASweepLeavesMemoryAsItWas: those it has looked at, alone or linked, do not stay, but
// who was there before does, though there is room for all.
func TestASweepLeavesMemoryAsItWas(t *testing.T) {
	const persons, regulars = 300, 5
	begin := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMilli()
	come := func(person int) event.Event {
		e := shopper(person, 0, 1, 10, begin)
		if person%3 == 0 {
			e.UserID = fmt.Sprint("u", person)
		}
		return e
	}
	dir := t.TempDir()
	d := openShopTuned(t, dir, begin, func(*people.Options) {}) // where nobody is judged yet
	var all []event.Event
	for person := range persons {
		all = append(all, come(person))
	}
	d.sendAll(t, all)
	if err := d.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	d.close(t)

	var judged atomic.Int64
	in := &segment.Standing{In: []segment.Member{{Audience: 1, Since: 1}}, Until: rule.Never}
	d = openShopTuned(t, dir, begin, func(o *people.Options) {
		o.JudgeByHand = true
		o.Judge = func(*people.Snapshot, int64) *segment.Standing {
			judged.Add(1)
			return in
		}
	})
	defer func() { d.close(t) }()
	for person := range regulars {
		e := come(person)
		e.MessageID += "again"
		d.sendAll(t, []event.Event{e})
	}
	if err := d.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	before := d.Stats()
	if before.Facets != regulars {
		t.Fatalf("%d facets in memory, want %d", before.Facets, regulars)
	}
	if err := d.Sweep(t.Context(), people.Hash{}, nil); err != nil {
		t.Fatal(err)
	}
	if n := judged.Load(); n < persons {
		t.Fatalf("%d were judged, want %d", n, persons)
	}
	if err := d.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if after := d.Stats(); after.Facets != before.Facets || after.Identifiers != before.Identifiers {
		t.Errorf("%d facets and %d identifiers in memory afterwards, %d and %d before", after.Facets, after.Identifiers, before.Facets, before.Identifiers)
	}
	list, _, err := d.Members(1, people.Hash{}, 2*persons)
	if err != nil || len(list) != persons {
		t.Errorf("%d in the audience, want %d: %v", len(list), persons, err)
	}
}

// TestASweepKeepsWhomMemoryLoses: what was found of somebody who leaves memory before it
// can be kept is found again, as often as it takes.
func TestASweepKeepsWhomMemoryLoses(t *testing.T) {
	const losses = 5
	begin := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMilli()
	dir := t.TempDir()
	d := openShopTuned(t, dir, begin, func(*people.Options) {}) // where nobody is judged yet
	e := shopper(0, 0, 1, 10, begin)
	e.UserID = "u0"
	d.sendAll(t, []event.Event{e})
	if err := d.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	d.close(t)

	var judged atomic.Int64
	in := &segment.Standing{In: []segment.Member{{Audience: 1, Since: 1}}, Until: rule.Never}
	d = openShopTuned(t, dir, begin, func(o *people.Options) {
		o.JudgeByHand = true
		o.Judge = func(*people.Snapshot, int64) *segment.Standing {
			if judged.Add(1) <= losses {
				if err := d.Checkpoint(); err != nil { // guests leave with it
					t.Error(err)
				}
			}
			return in
		}
	})
	defer func() { d.close(t) }()
	if err := d.Sweep(t.Context(), people.Hash{}, nil); err != nil {
		t.Fatal(err)
	}
	if list, _, err := d.Members(1, people.Hash{}, 2); err != nil || len(list) != 1 || judged.Load() <= losses {
		t.Errorf("%d in the audience after judging %d times, want 1 after more than %d: %v", len(list), judged.Load(), losses, err)
	}
}
