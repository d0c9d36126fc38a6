package people_test

import (
	"fmt"

	"slices"

	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"

	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/storage/people"
)

// The audiences of these tests.
const (
	busy       = 1 // three events or more
	planP1     = 2 // who says that their plan is p1
	recent     = 3 // an event within the last hour
	twoDev     = 4 // two devices or more
	quiet      = 5 // known, and no event within the last ten minutes: enters by time alone
	recentFor  = time.Hour
	quietAfter = 10 * time.Minute
)

var audienceNames = map[uint32]string{busy: "busy", planP1: "plan p1", recent: "recent", twoDev: "two devices", quiet: "quiet"}

// audiencesOf judges a person from scratch: which audiences, and until when.
func audiencesOf(p *facet.Profile, present []string, now int64) (in []uint32, until int64) {
	until = rule.Never
	note := func(at int64) {
		if at > now {
			until = min(until, at)
		}
	}
	if p.Events >= 3 {
		in = append(in, busy)
	}
	if tr, ok := p.Traits["plan"]; ok && tr.Value.Text() == "p1" {
		in = append(in, planP1)
	}
	if end := p.Last + recentFor.Milliseconds(); p.Last != 0 && now < end {
		in = append(in, recent)
		note(end)
	}
	if len(p.Devices) >= 2 {
		in = append(in, twoDev)
	}
	if from := p.Last + quietAfter.Milliseconds(); p.Last != 0 {
		if now >= from {
			in = append(in, quiet)
		}
		note(from)
	}
	return in, until
}

// judgeNaively is a Judge that looks at everything each time. Since of those that stay is kept.
func judgeNaively(x *people.Snapshot, now int64) *segment.Standing {
	in, until := audiencesOf(x.Profile, x.Present, now)
	st := &segment.Standing{Until: until}
	for _, a := range in {
		m := segment.Member{Audience: a, Since: now}
		if x.Standing != nil {
			for _, was := range x.Standing.In {
				if was.Audience == a {
					m.Since = was.Since
				}
			}
		}
		st.In = append(st.In, m)
	}
	return st
}

func judged(o *people.Options) {
	o.Judge = judgeNaively
	o.AudienceName = func(a uint32) string { return audienceNames[a] }
	o.JudgeByHand = true
}

// is gives the audiences of a person by what the store keeps.
func (w *world) is(x id.ID) (in []uint32) {
	w.t.Helper()
	snap, err := w.Profile(x, id.VerifiedView)
	w.must(err)
	if snap.Standing != nil {
		for _, m := range snap.Standing.In {
			in = append(in, m.Audience)
		}
	}
	return in
}

// told replays the log's transitions of a person, who is known by who represents them.
func (w *world) catchUp() {
	w.t.Helper()
	w.must(w.CatchUp(w.t.Context()))
}

func (w *world) history(x id.ID) (list []people.Transition) {
	w.t.Helper()
	var before people.Place
	for {
		some, next, err := w.Transitions(x, id.VerifiedView, before, 3)
		w.must(err)
		list = append(list, some...)
		if next == (people.Place{}) {
			slices.Reverse(list)
			return list
		}
		before = next
	}
}

func spell(list []people.Transition) (told []string) {
	for _, t := range list {
		verb := "leaves"
		if t.Entered {
			verb = "enters"
		}
		told = append(told, fmt.Sprintf("%s %s %s (%v)", t.ID.Value, verb, t.Name, t.Cause))
	}
	return told
}

func TestAnEventAndTimeMoveAPerson(t *testing.T) {
	clock := int64(1_700_000_000_000)
	w := openTuned(t, vfs.NewMem(), 0, &clock, judged)
	defer func() { w.close() }()
	at := func(n int, a, u string) event.Event {
		e := msg(n, event.Page, a, u)
		e.Timestamp, e.ReceivedAt = clock, clock
		return e
	}
	begin := clock
	w.send(at(1, "a1", ""))
	x, err := w.Device("a1")
	w.must(err)
	if x.Standing != nil || x.Changed.IsZero() {
		t.Fatalf("before anybody judged: %+v", x)
	}
	st := judgeNaively(&x, clock)
	w.Stand(&x, st, clock)
	if y, _ := w.Device("a1"); y.Standing != st || !y.Changed.IsZero() {
		t.Errorf("after: %+v", y)
	}
	for _, restart := range []bool{false, true} {
		if restart {
			w.close()
			w = openTuned(t, w.fs, 0, &clock, judged)
		}
		if got := w.is(device("a1")); !slices.Equal(got, []uint32{recent}) {
			t.Errorf("restart %v: %v", restart, got)
		}
	}
	clock = begin + quietAfter.Milliseconds() - 1
	w.catchUp()
	if got := w.is(device("a1")); !slices.Equal(got, []uint32{recent}) {
		t.Errorf("a millisecond early: %v", got)
	}
	clock = begin + 3*recentFor.Milliseconds() + 123 // the gateway was away
	w.close()
	w = openTuned(t, w.fs, 0, &clock, judged)
	w.catchUp()
	if got := w.is(device("a1")); !slices.Equal(got, []uint32{quiet}) {
		t.Errorf("two hours later: %v", got)
	}
	got := w.history(device("a1"))
	if want := []string{"a1 enters recent (event)", "a1 enters quiet (time)", "a1 leaves recent (time)"}; !slices.Equal(spell(got), want) {
		t.Fatalf("%q, want %q", spell(got), want)
	}
	if got[1].At != begin+quietAfter.Milliseconds() || got[2].At != begin+recentFor.Milliseconds() {
		t.Errorf("entered quiet at +%d, left recent at +%d ms", got[1].At-begin, got[2].At-begin)
	}
	list, _, err := w.Members(quiet, people.Hash{}, 10)
	if err != nil || len(list) != 1 || list[0].ID != device("a1") || list[0].Since != got[1].At || list[0].Person != w.name(device("a1")) {
		t.Errorf("members %+v, %v", list, err)
	}
	w.verified()
}
