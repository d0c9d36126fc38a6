package people_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

func claimed(n int, kind event.Type, anonymous, user string) event.Event {
	e := msg(n, kind, anonymous, user)
	e.Trust = id.Claimed
	return e
}

// Anybody with the write key can say what a user did, without a device. It is
// nothing that the user did in the verified view, from memory as from the disk;
// and it goes with the user, whichever view they are erased in.
func TestWhatIsClaimedOfAUserIsNobodysWhereClaimsDoNotReach(t *testing.T) {
	clock := int64(1_700_000_000_000 + 1_000_000)
	w := openAt(t, vfs.NewCrashableMem(), 0, &clock)
	w.send(msg(1, event.Identify, "a1", "u1"))
	e := claimed(2, event.Identify, "", "u1")
	e.Traits = `{"plan":"slander"}`
	w.send(e, claimed(3, event.Track, "", "u1"))
	for range 2 {
		if p := w.person(user("u1")); p.Profile.Events != 1 || len(p.Profile.Traits) != 0 || len(p.Facets) != 1 {
			t.Errorf("the verified person has %+v of %v", p.Profile, p.Facets)
		}
		if p, err := w.Person(user("u1"), id.AllView); err != nil || p.Profile.Events != 3 || p.Profile.Traits["plan"].Value != `"slander"` {
			t.Errorf("with claims: %+v, %v", p, err)
		}
		w.must(w.Checkpoint())
		w = w.crash(rand.New(rand.NewPCG(1, 1)))
	}
	gone, err := w.Erase(user("u1"), people.EraseRequest{View: id.VerifiedView, Requested: clock})
	w.must(err)
	if gone.Counts.Facets != 2 || gone.Counts.Events != 3 {
		t.Errorf("erased %+v", gone.Counts)
	}
	if p, err := w.Person(user("u1"), id.AllView); !errors.Is(err, people.ErrUnknown) {
		t.Errorf("after the erasure %+v, %v", p, err)
	}
	w.send(msg(2000, event.Identify, "a2", "u1"))
	if p, err := w.Person(user("u1"), id.AllView); err != nil || p.Profile.Events != 1 || len(p.Profile.Traits) != 0 {
		t.Errorf("who comes back is %+v, %v", p, err)
	}
	w.close()
}

// Meet tells claims that are news, of which nobody may learn by the time that
// they take, from what a device has said before.
func TestMeetTellsNews(t *testing.T) {
	w := open(t, vfs.NewMem(), 0)
	defer w.close()
	w.send(claimed(1, event.Identify, "a1", "u1"), msg(2, event.Identify, "a2", "u2"), claimed(3, event.Track, "", "u2"), claimed(4, event.Alias, "a1", "u1"))
	with := func(e event.Event, change func(*event.Event)) event.Event { change(&e); return e }
	for _, c := range []struct {
		name    string
		visitor string
		fresh   bool
		e       event.Event
		noLinks bool
		want    bool
	}{
		{"a page view", "a1", false, claimed(10, event.Page, "a1", ""), false, false},
		{"what a token or a server says", "a1", false, msg(11, event.Identify, "a1", "u9"), false, false},
		{"a user that it was before", "a1", false, claimed(12, event.Track, "a1", "u1"), false, false},
		{"somebody who is known", "a1", false, claimed(13, event.Track, "a1", "u2"), false, true},
		{"somebody who is not", "a1", false, claimed(14, event.Track, "a1", "u3"), false, true},
		{"a new visitor", "v1", true, claimed(15, event.Identify, "v1", "u1"), false, true},
		{"where claims link nothing", "a1", false, claimed(16, event.Track, "a1", "u2"), true, true},
		{"there, again", "a1", false, claimed(17, event.Track, "a1", "u1"), true, false},
		{"no device, known", "", false, claimed(18, event.Track, "", "u2"), false, true},
		{"no device, not known", "", false, claimed(19, event.Track, "", "u3"), false, true},
		{"its user's address", "a1", false, with(claimed(20, event.Identify, "a1", "u1"), func(e *event.Event) { e.Traits = `{"email":"a@x.fi"}` }), false, true},
		{"an address without a user", "a1", false, with(claimed(21, event.Identify, "a1", ""), func(e *event.Event) { e.Traits = `{"email":"a@x.fi"}` }), false, true},
		{"another name of its user", "a1", false, with(claimed(22, event.Alias, "a1", "u1"), func(e *event.Event) { e.PreviousID = "u2" }), false, true},
		{"only what it did before, in whose name nobody spoke", "a2", false, claimed(23, event.Track, "a2", "u2"), false, true},
	} {
		items := make([]people.Item, 1)
		w.Prepare(&items[0], &c.e, c.noLinks)
		if got, err := w.Meet(items, c.visitor, c.fresh); err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
	if news, err := w.Meet(nil, "a1", false); news || err != nil {
		t.Errorf("nothing: %v, %v", news, err)
	}
}
