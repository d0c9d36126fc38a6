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
