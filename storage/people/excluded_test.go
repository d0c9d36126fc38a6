package people_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
)

// exclude takes an event of a robot in that its site keeps out of profiles.
func (w *world) exclude(e event.Event) (fresh bool) {
	w.t.Helper()
	e.Bot = event.Bot{Is: true, Class: excluded}
	return w.send(e) == 1
}

// robots gives the message ids of the robots' events that the log still has.
func (w *world) robots() (list []string) {
	w.t.Helper()
	var x people.Refused
	w.must(w.log.Read(0, func(_ uint64, _ int64, entry []byte) (bool, error) {
		var e event.Event
		said, err := people.ReadEntry(entry, &e, &x)
		if said == people.SaidEvent && e.Bot.Is {
			list = append(list, e.MessageID)
		}
		return true, err
	}))
	return list
}

// TestExcludedEvents: they are in the log, are taken once, and nothing that is
// known of people comes of them, however often the store starts again.
func TestExcludedEvents(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	clock := int64(1_700_000_000_000 + 1_000_000)
	w := openAt(t, vfs.NewCrashableMem(), 0, &clock)
	login := msg(1, event.Identify, "a1", "u1")
	login.Traits = `{"plan":"pro"}`
	w.send(msg(0, event.Page, "a1", ""), login)
	robot := msg(2, event.Identify, "a1", "u1") // who drives u1's browser,
	robot.Traits = `{"plan":"fake","email":"robot@x.example"}`
	stranger := msg(3, event.Page, "a9", "u9") // and somebody whom nobody knows
	sound := func(when string) {
		t.Helper()
		if p := w.person(user("u1")); p.Profile.Events != 2 || p.Profile.BotEvents != 0 || p.Profile.Traits["plan"].Value != `"pro"` {
			t.Errorf("%s: u1 is %+v", when, p.Profile)
		}
		for _, x := range []id.ID{device("a9"), user("u9"), {Type: id.Email, Value: "robot@x.example"}} {
			if p, err := w.Person(x, id.AllView); !errors.Is(err, people.ErrUnknown) {
				t.Errorf("%s: %v is %+v, %v", when, x, p, err)
			}
		}
		if w.exclude(robot) || w.exclude(stranger) {
			t.Errorf("%s: a repetition is taken", when)
		}
		w.verified()
		w.rebuilt()
		w.verified()
	}
	if !w.exclude(robot) || !w.exclude(stranger) {
		t.Fatal("an excluded event is not taken")
	}
	if list := w.robots(); len(list) != 2 {
		t.Errorf("the log has %v", list)
	}
	sound("in memory")
	w = w.crash(r)
	sound("read from the log")
	w.must(w.Checkpoint())
	w = w.crash(r)
	sound("checkpointed")
	if done := w.settle(); done.Events != 2 {
		t.Errorf("%d events are in histories", done.Events)
	}
	if list := w.robots(); len(list) != 0 {
		t.Errorf("the log still has %v", list)
	}
	sound("settled")
	w = w.crash(r)
	sound("settled and read again")
	w.close()
}

// TestTheErasedTakeExcludedEventsAlong: also what names them in the part of the
// log that a reader holds back.
func TestTheErasedTakeExcludedEventsAlong(t *testing.T) {
	clock := int64(1_700_000_000_000 + 1_000_000)
	w := openAt(t, vfs.NewCrashableMem(), 0, &clock)
	b := w.db.NewBatch()
	w.must(w.log.SetCursor(b, eventlog.Cursor{Name: "slow", Hold: eventlog.Forever}))
	w.must(b.Commit(true))
	w.send(msg(0, event.Identify, "a1", "u1"), msg(1, event.Identify, "a2", "u2"))
	w.exclude(msg(2, event.Page, "a1", "u1"))
	w.exclude(msg(3, event.Page, "a2", "u2"))
	tx, err := w.Begin(nil, "a2", false)
	w.must(err)
	tx.SetSession("a2", people.Session{User: "u1", Until: clock + 1e6}, clock)
	w.must(tx.End().Wait())
	w.settle()
	w.exclude(msg(4, event.Page, "a1", "u2")) // u1's device, and somebody else's name
	w.exclude(msg(5, event.Page, "a3", "u1"))
	w.must(w.Checkpoint())
	w.exclude(msg(6, event.Page, "a4", "u1")) // not in the index yet
	for most, want := range map[int][]string{1: {"m6", "m5", "m4"}, 2: {"m6", "m5", "m4"}, 9: {"m6", "m5", "m4"}} {
		var got []string
		for next, more := uint64(0), true; more; more = next != 0 {
			list, after, err := w.ExcludedNaming([]id.ID{user("u1"), device("a1")}, next, most)
			w.must(err)
			for _, e := range list {
				got = append(got, e.MessageID)
			}
			next = after
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d at a time: what names u1 and a1 is %v, want %v", most, got, want)
		}
	}
	w.exclude(msg(7, event.Page, "a4", "u4"))
	if list := w.robots(); len(list) != 6 {
		t.Fatalf("the log has %v", list)
	}
	e := w.erase(user("u1"))
	w.must(w.Shred(context.Background(), e, nil))
	w.must(w.Finished(e, []byte("receipt")))
	if list := w.robots(); len(list) != 2 || list[0] != "m3" || list[1] != "m7" {
		t.Errorf("the log has %v, want those of u2 and u4", list)
	}
	w.verified()
	w = w.crash(rand.New(rand.NewPCG(1, 3)))
	w.verified()
	w.rebuilt()
	w.close()
}
