package people_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
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
	atomic.StoreInt64(&clock, begin+quietAfter.Milliseconds()-1)
	w.catchUp()
	if got := w.is(device("a1")); !slices.Equal(got, []uint32{recent}) {
		t.Errorf("a millisecond early: %v", got)
	}
	atomic.StoreInt64(&clock, begin+3*recentFor.Milliseconds()+123) // the gateway was away
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

// A merge takes the one who is absorbed out of their audiences, and a cut judges both.
func TestAMergeAndACutMoveBoth(t *testing.T) {
	clock := int64(1_700_000_000_000)
	w := openTuned(t, vfs.NewMem(), 0, &clock, judged)
	defer func() { w.close() }()
	n := 0
	page := func(a, u string) event.Event {
		n++
		e := msg(n, event.Page, a, u)
		e.Timestamp, e.ReceivedAt = clock, clock
		return e
	}
	w.send(page("a1", ""), page("a1", ""), page("a2", "u1"))
	w.catchUp()
	if a, u := w.is(device("a1")), w.is(user("u1")); !slices.Equal(a, []uint32{recent}) || !slices.Equal(u, []uint32{recent}) {
		t.Fatalf("before: %v, %v", a, u)
	}
	w.send(page("a1", "u1"))
	w.catchUp()
	if u := w.is(user("u1")); !slices.Equal(u, []uint32{busy, recent, twoDev}) {
		t.Errorf("of one person: %v", u)
	}
	got := spell(w.history(user("u1")))
	slices.Sort(got)
	if want := []string{"a1 enters recent (event)", "a1 leaves recent (identity)", "u1 enters busy (identity)", "u1 enters recent (identity)", "u1 enters two devices (identity)"}; !slices.Equal(got, want) {
		t.Errorf("a merge told %q, want %q", got, want)
	}
	_, err := w.State(graph.Evidence{Kind: graph.Cut, A: user("u1"), B: device("a1"), Trust: id.Admin, Reason: "because"})
	w.must(err)
	w.catchUp()
	if a, u := w.is(device("a1")), w.is(user("u1")); !slices.Equal(a, []uint32{busy, recent}) || !slices.Equal(u, []uint32{recent}) {
		t.Errorf("after the cut: %v, %v", a, u)
	}
	w.verified()
	// What is claimed of u1 now moves the one who claims it, and not u1.
	before := spell(w.history(user("u1")))
	for range 5 {
		e := page("a9", "u1")
		e.Type, e.Trust, e.Traits = event.Identify, id.Claimed, `{"plan":"p1"}`
		w.send(e)
	}
	for range 5 {
		e := page("", "u1")
		e.Trust = id.Claimed
		w.send(e)
	}
	snap, err := w.Profile(user("u1"), id.VerifiedView)
	if err != nil || !snap.Changed.IsZero() {
		t.Errorf("a claim changed %+v, %v", snap.Changed, err)
	}
	w.catchUp()
	if after := spell(w.history(user("u1"))); !slices.Equal(after, before) {
		t.Errorf("claims told %q of u1, before %q", after, before)
	}
	if a := w.is(device("a9")); !slices.Equal(a, []uint32{busy, planP1, recent}) {
		t.Errorf("who claims is in %v", a)
	}
}

// The page of a known person's device without a session has a standing of its own,
// of which nothing is told.
func TestALoggedOutPageTellsNothing(t *testing.T) {
	clock := int64(1_700_000_000_000)
	w := openTuned(t, vfs.NewMem(), 0, &clock, judged)
	defer func() { w.close() }()
	for n := range 3 {
		w.send(msg(n, event.Page, "a1", ""))
	}
	w.send(msg(4, event.Page, "a1", "u1"))
	w.catchUp()
	before := len(w.history(user("u1")))
	answer := func() *segment.Standing {
		x, err := w.Device("a1")
		w.must(err)
		st := judgeNaively(&x, clock)
		w.Stand(&x, st, clock)
		y, err := w.Device("a1")
		w.must(err)
		if y.Standing != st || !y.Changed.IsZero() {
			t.Fatalf("%+v, want %+v", y, st)
		}
		return st
	}
	if st := answer(); len(st.In) == 0 || st.In[0].Audience != busy {
		t.Errorf("the page is in %+v", st.In)
	}
	e := msg(5, event.Identify, "a1", "")
	e.Traits = `{"plan":"p1"}`
	w.send(e)
	if st := answer(); len(st.In) < 2 || st.In[1].Audience != planP1 {
		t.Errorf("the page is in %+v", st.In)
	}
	if after := len(w.history(user("u1"))); after != before {
		t.Errorf("the page told %d transitions", after-before)
	}
	w.catchUp()
	if u := w.is(user("u1")); !slices.Contains(u, planP1) {
		t.Errorf("u1, whose device said so, is in %v", u)
	}
}

// New definitions judge everybody once, from where a crash broke it off; an audience
// that is no more is left by all.
func TestSweepAndRetire(t *testing.T) {
	clock := int64(1_700_000_000_000)
	none := func(o *people.Options) {
		judged(o)
		o.Judge = func(*people.Snapshot, int64) *segment.Standing { return &segment.Standing{Until: rule.Never} }
	}
	w := openTuned(t, vfs.NewMem(), 16, &clock, none)
	defer func() { w.close() }()
	const persons = 1200
	for n := range persons {
		w.send(msg(3*n, event.Page, fmt.Sprint("a", n), ""), msg(3*n+1, event.Page, fmt.Sprint("a", n), ""), msg(3*n+2, event.Page, fmt.Sprint("a", n), ""))
		if n%500 == 0 { // else those who wait to be judged fill the memory
			w.catchUp()
		}
	}
	w.close()
	atomic.AddInt64(&clock, 100*recentFor.Milliseconds())
	w = openTuned(t, w.fs, 16, &clock, func(o *people.Options) { judged(o); o.Every = time.Nanosecond })
	ctx, stop := context.WithCancel(t.Context())
	var at people.Hash
	var done int64
	err := w.Sweep(ctx, at, func(h people.Hash, n int64, share float64) {
		at, done = h, done+n
		if share <= 0 || share >= 1 {
			t.Errorf("a share of %v", share)
		}
		stop()
	})
	if !errors.Is(err, context.Canceled) || at == (people.Hash{}) {
		t.Fatalf("%v at %x", err, at)
	}
	w.close()
	w = openTuned(t, w.fs, 16, &clock, judged)
	w.must(w.Sweep(t.Context(), at, func(_ people.Hash, n int64, _ float64) { done += n }))
	if done != persons {
		t.Errorf("%d of %d persons were judged", done, persons)
	}
	count := func(audience uint32) (n int) {
		var after people.Hash
		for {
			list, next, err := w.Members(audience, after, 100)
			w.must(err)
			if n += len(list); next == (people.Hash{}) {
				return n
			}
			after = next
		}
	}
	counted, err := w.CountMembers(busy)
	w.must(err)
	if n := count(busy); n != persons || counted != persons {
		t.Errorf("%d are busy, %d were counted, want %d", n, counted, persons)
	}
	if got := spell(w.history(device("a7"))); !slices.Equal(got, []string{"a7 enters busy (definition)", "a7 enters quiet (definition)"}) {
		t.Errorf("told was %q", got)
	}
	w.must(w.Retire(t.Context(), busy))
	if n, q := count(busy), count(quiet); n != 0 || q != persons {
		t.Errorf("%d are busy and %d quiet, want none and %d", n, q, persons)
	}
	if got := spell(w.history(device("a7"))); got[len(got)-1] != "a7 leaves busy (definition)" {
		t.Errorf("told was %q", got)
	}
	w.verified()
}

// The store judges by itself whom nobody asks about, soon after.
func TestTheStoreJudgesByItself(t *testing.T) {
	clock := time.Now().UnixMilli()
	w := openTuned(t, vfs.NewMem(), 0, &clock, func(o *people.Options) { judged(o); o.JudgeByHand = false })
	defer func() { w.close() }()
	e := msg(1, event.Page, "a1", "")
	e.Timestamp, e.ReceivedAt = clock, clock
	w.send(e)
	await := func(want ...uint32) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); ; {
			got := w.is(device("a1"))
			if slices.Equal(got, want) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("after ten seconds in %v, want %v", got, want)
			}
			runtime.Gosched()
		}
	}
	await(recent)
	atomic.AddInt64(&clock, quietAfter.Milliseconds())
	await(recent, quiet)
}

// A timeline shows what a person entered and left, in the log's tail and when it has
// settled, and readers of the log are told what an entry is.
func TestATimelineShowsAudiences(t *testing.T) {
	clock := int64(1_700_000_000_000)
	w := openTuned(t, vfs.NewMem(), 0, &clock, judged)
	defer func() { w.close() }()
	e := msg(1, event.Page, "a1", "")
	e.Timestamp, e.ReceivedAt = clock, clock
	w.send(e)
	w.catchUp()
	atomic.AddInt64(&clock, 2*recentFor.Milliseconds())
	w.catchUp()
	w.must(w.log.Barrier().Wait())
	said := map[people.Said]int{}
	w.must(w.log.Read(1, func(seq uint64, _ int64, entry []byte) (bool, error) {
		var e event.Event
		var x people.Refused
		s, err := people.ReadEntry(entry, &e, &x)
		if said[s]++; s == people.SaidTransition {
			list, err := people.ReadTransitions(entry)
			if err != nil || len(list) != 1 || list[0].ID != device("a1") || list[0].Name != audienceNames[list[0].Audience] {
				t.Errorf("entry %d: %+v, %v", seq, list, err)
			}
		}
		return true, err
	}))
	if said[people.SaidTransition] != 3 || said[people.SaidEvent] != 1 {
		t.Errorf("entries said %v", said)
	}
	for _, settled := range []bool{false, true} {
		if settled {
			_, err := w.Settle(t.Context(), -1<<60)
			w.must(err)
		}
		var got []string
		var before people.Place
		p := w.person(device("a1"))
		for {
			next, err := w.Timeline(p.Facets, before, 2, func(at people.Place, e *event.Event) error {
				got = append(got, fmt.Sprintf("%s%s +%d", e.Name, e.Properties, (at.Time-1_700_000_000_000)/60_000))
				return nil
			})
			w.must(err)
			if before = next; next == (people.Place{}) {
				break
			}
		}
		want := []string{`Audience Exited{"audience":"recent","cause":"time"} +60`, `Audience Entered{"audience":"quiet","cause":"time"} +10`,
			` +0`, `Audience Entered{"audience":"recent","cause":"event"} +0`}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("settled %v: %q, want %q", settled, got, want)
		}
	}
	// Who is erased is in no audience, and nothing tells that they ever were.
	x, err := w.Erase(device("a1"), people.EraseRequest{View: id.AllView, Requested: clock, Reason: "art. 17"})
	w.must(err)
	w.must(w.Shred(t.Context(), x, nil))
	for a := range audienceNames {
		if list, _, err := w.Members(a, people.Hash{}, 10); err != nil || len(list) != 0 {
			t.Errorf("members of %s: %+v, %v", audienceNames[a], list, err)
		}
	}
	w.must(w.log.Read(w.log.Head(), func(seq uint64, _ int64, entry []byte) (bool, error) {
		if bytes.Contains(entry, []byte("a1")) {
			t.Errorf("entry %d still names them", seq)
		}
		return true, nil
	}))
	w.verified()
}
