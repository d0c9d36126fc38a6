package people_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
)

// TestAStoreBroughtBackCountsOnce: a log that goes on as another incarnation
// folds into facets of its own, and the person is whole: known, counted, listed,
// settled, provable and erasable.
func TestAStoreBroughtBackCountsOnce(t *testing.T) {
	w := open(t, vfs.NewCrashableMem(), 0)
	for n := range 4 {
		w.send(msg(n, event.Page, "a1", "u1"))
	}
	fs, clock := w.fs, w.clock
	for origin := range 2 {
		w.close()
		db, err := engine.Open(engine.Options{Dir: "data", FS: fs})
		if err == nil {
			err = errors.Join(eventlog.Reincarnate(db), db.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		w = openAt(t, fs, 0, clock)
		if fresh := w.send(msg(0, event.Page, "a1", "u1"), msg(4+origin, event.Page, "a1", "u1")); fresh != 1 {
			t.Fatalf("%d of the two messages were new, want 1", fresh)
		}
	}
	check := func() {
		t.Helper()
		p := w.person(user("u1"))
		var origins []uint16
		for _, k := range p.Facets {
			origins = append(origins, k.Origin)
		}
		slices.Sort(origins)
		if p.Profile.Pageviews != 6 || !slices.Equal(origins, []uint16{1, 2, 3}) || len(w.timeline(p)) != 6 {
			t.Fatalf("%d page views, facets of origins %v, timeline %v", p.Profile.Pageviews, origins, w.timeline(p))
		}
		if p := w.person(device("a1")); p.Profile.Pageviews != 6 {
			t.Fatalf("the device has %d page views", p.Profile.Pageviews)
		}
	}
	check()
	if done := w.settle(); done.Entries != 6 {
		t.Fatalf("settled %+v", done)
	}
	check()
	w.rebuilt()
	w.close()
	w = openAt(t, fs, 0, clock)
	check()
	w.erase(user("u1"))
	for _, x := range []id.ID{user("u1"), device("a1")} {
		if p, err := w.Person(x, id.AllView); err == nil {
			t.Errorf("%s is still known: %+v", x.Type, p.Profile)
		}
	}
	w.close()
}
