package people_test

import (
	"slices"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/storage/people"
)

// TestWhoWasInBeforeItWasDefined: what somebody did before an audience was defined
// is not what they do when it is first asked of them, whatever that is.
func TestWhoWasInBeforeItWasDefined(t *testing.T) {
	clock := int64(1_700_000_000_000)
	var set atomic.Pointer[segment.Set]
	compile := func(list ...segment.Definition) *segment.Set {
		s, err := segment.Compile(segment.NewEnv(nil), list)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	names := map[uint32]string{1: "four", 2: "three", 3: "few"}
	four := segment.Definition{ID: 1, Name: "four", When: "counts.events >= 4"}
	few := segment.Definition{ID: 3, Name: "few", When: "counts.events < 2"}
	set.Store(compile(four, few))
	w := openTuned(t, vfs.NewMem(), 0, &clock, func(o *people.Options) {
		o.Judge = func(x *people.Snapshot, now int64) *segment.Standing {
			return set.Load().Judge(&segment.Subject{Profile: x.Profile, Identifiers: x.Present, Now: now}, x.Standing, x.Changed)
		}
		o.AudienceName = func(a uint32) string { return names[a] }
		o.JudgeByHand = true
	})
	defer func() { w.close() }()
	n := 0
	send := func(a string, times int) {
		for range times {
			n++
			atomic.AddInt64(&clock, 1000)
			e := msg(n, event.Page, a, "")
			e.Timestamp, e.ReceivedAt = clock, clock
			w.send(e)
		}
		w.catchUp()
	}
	define := func(fresh []uint32, list ...segment.Definition) {
		atomic.AddInt64(&clock, 1000)
		w.Between(func(uint64) (facet.Change, []uint32) {
			set.Store(compile(list...))
			return set.Load().Reads(), fresh
		})
	}
	send("ada", 3)
	send("eve", 1)
	send("sam", 3)
	three := segment.Definition{ID: 2, Name: "three", When: "counts.events >= 3"}
	define([]uint32{2}, four, three, few)
	send("ada", 1) // who was in by then, and becomes one of four by this
	send("bob", 3) // who was not there
	w.must(w.Sweep(t.Context(), people.Hash{}, nil))
	send("eve", 2) // who was there, and not in
	few.When, three.When = "counts.events < 5", "counts.events < 0"
	define([]uint32{2, 3}, four, three, few)
	send("eve", 1)
	for who, want := range map[string][]string{
		"ada": {"ada enters three (definition)", "ada enters four (event)"},
		"bob": {"bob enters three (event)"},
		"sam": {"sam enters three (definition)"},
		"eve": {"eve enters few (event)", "eve leaves few (event)", "eve enters three (event)", "eve leaves three (definition)", "eve enters few (definition)", "eve enters four (event)"},
	} {
		if got := spell(w.history(device(who))); !slices.Equal(got, want) {
			t.Errorf("%q\nwant %q", got, want)
		}
	}
	w.verified()
}
