package people_test

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/storage/people"
)

var (
	standings    = flag.Int("standings", 25, "how many stories TestStandingsAreWhatEverybodyIs tells")
	standingSeed = flag.Uint64("standings.seed", 0, "the seed of the first; 0 takes the clock's")
)

// TestStandingsAreWhatEverybodyIs sends random events, links, cuts, lifts, holds
// and erasures into a store that pages, settles, restarts and loses its power,
// and lets time pass; answers judge some persons, and the worker the others. Then
// everybody is in those audiences that judging them from scratch says, the members are
// the same, and what the log told of each adds up to it: nobody enters twice or leaves
// where they are not.
func TestStandingsAreWhatEverybodyIs(t *testing.T) {
	seed := *standingSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	var total standingTally
	for n := range uint64(*standings) {
		x := standingStory{t: t, seed: seed + n, rng: rand.New(rand.NewPCG(seed+n, 5)), tally: &total}
		x.tell()
		if t.Failed() {
			return
		}
	}
	t.Logf("seed %d: %+v", seed, total)
	for _, n := range [...]int{total.Events, total.Stated, total.Crashes, total.Restarts, total.Erased, total.Settled, total.Compared, total.In, total.ByTime, total.ByIdentity, total.Answers} {
		if n == 0 {
			t.Error("something never happened: the test is too small")
			break
		}
	}
}

type standingTally struct {
	Events, Stated, Crashes, Restarts, Erased, Settled, Compared, In, ByTime, ByIdentity, Answers, Transitions int
}

type standingStory struct {
	t     *testing.T
	seed  uint64
	rng   *rand.Rand
	w     *world
	clock int64
	n     int
	cuts  []graph.Evidence
	held  []id.ID
	told  []string
	tally *standingTally
}

func (x *standingStory) note(format string, args ...any) {
	x.told = append(x.told, fmt.Sprintf(format, args...))
}

func (x *standingStory) fail(format string, args ...any) {
	x.t.Helper()
	x.t.Fatalf("seed %d (again: go test -run %s -standings 1 -standings.seed %d)\n%s\n\n%s", x.seed, x.t.Name(), x.seed, strings.Join(x.told, "\n"), fmt.Sprintf(format, args...))
}

func (x *standingStory) user() id.ID   { return user(fmt.Sprint("u", x.rng.IntN(4))) }
func (x *standingStory) device() id.ID { return device(fmt.Sprint("a", x.rng.IntN(6))) }
func (x *standingStory) email() id.ID {
	return id.ID{Type: id.Email, Value: fmt.Sprintf("e%d@x.fi", x.rng.IntN(3))}
}
func (x *standingStory) any() id.ID {
	return []func() id.ID{x.user, x.user, x.device, x.device, x.email}[x.rng.IntN(5)]()
}

func (x *standingStory) tell() {
	types, err := id.NewTypes(id.Options{Rules: []id.Rule{{Name: id.AnonymousID, MaxPerPerson: 3}, {Name: id.Email, MaxPerPerson: 2}}})
	if err != nil {
		x.t.Fatal(err)
	}
	x.clock = 1_750_000_000_000
	maxLinks := []int{-1, -1, 2, 4}[x.rng.IntN(4)]
	byHand := x.rng.IntN(3) > 0 // else the worker judges in between
	tune := func(o *people.Options) {
		judged(o)
		o.Types, o.MaxLinks, o.MaxAddresses, o.JudgeByHand = types, maxLinks, -1, byHand
	}
	x.w = openTuned(x.t, vfs.NewCrashableMem(), []int{2, 8, 1000}[x.rng.IntN(3)], &x.clock, tune)
	x.w.seed = x.seed
	for range 60 {
		x.step()
		if x.t.Failed() {
			x.fail("see above")
		}
	}
	x.compare()
	x.w.rebuilt()
	x.w.verified()
	if x.t.Failed() {
		x.fail("verify")
	}
	x.w.close()
}

func (x *standingStory) step() {
	atomic.AddInt64(&x.clock, 1+x.rng.Int64N(int64(1)<<x.rng.IntN(22))) // up to seventy minutes
	w := x.w
	switch x.rng.IntN(24) {
	case 0:
		x.note("crash")
		x.w = w.crash(x.rng)
		x.tally.Crashes++
	case 1:
		x.note("restart")
		w.close()
		x.w = openTuned(x.t, w.fs, w.hold, &x.clock, w.tune)
		x.w.seed = x.seed
		x.tally.Restarts++
	case 2, 3:
		w.must(w.Checkpoint())
		x.note("checkpoint")
	case 4:
		done, err := w.Settle(x.t.Context(), -1<<60)
		w.must(err)
		x.note("settle")
		x.tally.Settled += int(done.Entries)
	case 5:
		if x.rng.IntN(3) == 0 {
			x.erase()
		}
	case 6:
		x.note("catch up")
		w.catchUp()
	case 7, 8:
		x.state(graph.Evidence{Kind: graph.Link, A: x.any(), B: x.any()})
	case 9, 10:
		x.state(graph.Evidence{Kind: graph.Cut, A: x.any(), B: x.any()})
	case 11:
		if len(x.cuts) > 0 {
			c := x.cuts[x.rng.IntN(len(x.cuts))]
			x.state(graph.Evidence{Kind: graph.Lift, A: c.A, B: c.B, Lifts: c.ID})
		}
	case 12:
		y := x.any()
		if len(x.held) > 0 && x.rng.IntN(2) == 0 {
			y = x.held[x.rng.IntN(len(x.held))]
		}
		hold := x.rng.IntN(2) == 0
		_, err := w.holdOrRelease(y, hold)
		x.note("hold %v: %v, %v", y, hold, err)
		x.held = append(x.held, y)
	case 13:
		x.compare()
	default:
		x.send()
	}
	if x.rng.IntN(2) == 0 {
		x.answer()
	}
}

func (x *standingStory) erase() {
	y := x.any()
	_, err := x.w.Erase(y, people.EraseRequest{View: id.View(x.rng.IntN(2)), Requested: x.clock, Reason: "art. 17"})
	x.note("erase %v: %v", y, err)
	if err == nil {
		x.tally.Erased++
	}
}

func (x *standingStory) state(e graph.Evidence) {
	if e.A == e.B {
		return
	}
	for i := range e.ID {
		e.ID[i] = byte(x.rng.Uint32())
	}
	e.Trust, e.Time = id.Trust(2+x.rng.IntN(2)), x.clock-x.rng.Int64N(1000)
	if _, err := x.w.State(e); err != nil {
		x.fail("stating %+v: %v", e, err)
	}
	if e.Kind == graph.Cut {
		x.cuts = append(x.cuts, e)
	}
	x.note("%v %v %v-%v", e.Trust, e.Kind, e.A, e.B)
	x.tally.Stated++
}

func (x *standingStory) send() {
	var list []event.Event
	for range 1 + x.rng.IntN(3) {
		x.n++
		e := event.Event{Type: []event.Type{event.Page, event.Track, event.Identify}[x.rng.IntN(3)], Name: "x", Site: "shop", Trust: id.Trust(1 + x.rng.IntN(2)),
			MessageID: fmt.Sprint("m", x.n), AnonymousID: x.device().Value, Timestamp: x.clock - x.rng.Int64N(1<<x.rng.IntN(24)), ReceivedAt: x.clock}
		if x.rng.IntN(3) == 0 {
			e.UserID = x.user().Value
			if e.Trust == id.Verified && x.rng.IntN(4) == 0 {
				e.AnonymousID = ""
			}
		}
		if e.Type == event.Identify {
			e.Traits = event.Value(fmt.Sprintf(`{"plan":"p%d"}`, x.rng.IntN(3)))
			if x.rng.IntN(3) == 0 {
				e.Traits = event.Value(fmt.Sprintf(`{"email":%q}`, x.email().Value))
			}
		}
		if x.rng.IntN(15) == 0 {
			e.Bot = event.Bot{Is: true, Class: excluded}
		}
		x.note("%s %v %q %q %s at %d", e.MessageID, e.Trust, e.AnonymousID, e.UserID, e.Traits, e.Timestamp)
		list = append(list, e)
	}
	x.w.send(list...)
	x.tally.Events += len(list)
}

// answer does what a page's answer does, now and then with something in between.
func (x *standingStory) answer() {
	var snap people.Snapshot
	var err error
	y := x.device()
	if x.rng.IntN(2) == 0 {
		snap, err = x.w.Device(y.Value)
	} else {
		y = x.any()
		snap, err = x.w.Profile(y, id.View(x.rng.IntN(2)))
	}
	x.w.must(err)
	st := judgeNaively(&snap, x.clock)
	if x.rng.IntN(5) == 0 {
		x.note("late answer for %v", y)
		x.step()
	}
	x.w.Stand(&snap, st, x.clock)
	x.note("answer for %v", y)
	x.tally.Answers++
}

// compare judges everybody from scratch.
func (x *standingStory) compare() {
	x.t.Helper()
	w := x.w
	w.catchUp()
	x.note("compared at %d", x.clock)
	var everybody []id.ID
	for i := range 6 {
		everybody = append(everybody, device(fmt.Sprint("a", i)), user(fmt.Sprint("u", i%4)), id.ID{Type: id.Email, Value: fmt.Sprintf("e%d@x.fi", i%3)})
	}
	want := map[uint32][]string{}
	seen := map[id.ID]bool{}
	for _, y := range everybody {
		p, err := w.Person(y, id.VerifiedView)
		if err == people.ErrUnknown {
			if got := w.is(y); len(got) > 0 {
				x.fail("%v is unknown and in %v", y, got)
			}
			continue
		}
		w.must(err)
		r := p.Cluster.Representative
		if seen[r] {
			continue
		}
		seen[r] = true
		x.tally.Compared++
		var in []uint32
		if p.Profile.Events+p.Profile.BotEvents > 0 {
			in, _ = audiencesOf(p.Profile, nil, x.clock)
		}
		slices.Sort(in)
		snap, err := w.Profile(r, id.VerifiedView)
		w.must(err)
		var got []uint32
		if snap.Standing != nil {
			for _, m := range snap.Standing.In {
				got = append(got, m.Audience)
			}
		}
		if !slices.Equal(got, in) {
			x.fail("%v, of %v, is in %v, want %v", r, p.Cluster.Members, got, in)
		}
		for _, a := range in {
			want[a] = append(want[a], r.String())
		}
		x.tally.In += len(in)
	}
	for a := range audienceNames {
		if n, err := w.CountMembers(a); err != nil || int(n) != len(want[a]) {
			x.fail("%d are counted in %s, want %v (%v)", n, audienceNames[a], want[a], err)
		}
		var got []string
		var after people.Hash
		for {
			list, next, err := w.Members(a, after, 2)
			w.must(err)
			for _, m := range list {
				got = append(got, m.ID.String())
			}
			if after = next; next == (people.Hash{}) {
				break
			}
		}
		slices.Sort(got)
		slices.Sort(want[a])
		if !slices.Equal(got, want[a]) {
			x.fail("members of %s are %v, want %v", audienceNames[a], got, want[a])
		}
	}
	x.addUp(everybody)
}

// addUp replays what was told of each.
func (x *standingStory) addUp(everybody []id.ID) {
	w := x.w
	byID := map[id.ID][]people.Transition{}
	seen := map[[2]uint64]bool{}
	for _, y := range everybody {
		if _, err := w.Person(y, id.VerifiedView); err != nil {
			continue
		}
		for _, t := range w.history(y) {
			if which := [2]uint64{t.Seq, uint64(t.Nth)}; !seen[which] {
				seen[which] = true
				byID[t.ID] = append(byID[t.ID], t)
			}
		}
	}
	for y, list := range byID {
		slices.SortFunc(list, func(a, b people.Transition) int { return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Nth, b.Nth)) })
		since := map[uint32]int64{}
		for _, t := range list {
			_, in := since[t.Audience]
			if in == t.Entered {
				x.fail("%v: %v: entered %v, but is %v\n%+v", y, t.Name, t.Entered, in, list)
			}
			if t.Entered {
				since[t.Audience] = t.At
			} else {
				delete(since, t.Audience)
			}
			switch t.Cause {
			case people.CauseTime:
				x.tally.ByTime++
			case people.CauseIdentity:
				x.tally.ByIdentity++
			}
			x.tally.Transitions++
		}
		var st *segment.Standing
		if snap, err := w.Profile(y, id.VerifiedView); err == nil {
			if p, err := w.Person(y, id.VerifiedView); err == nil && p.Cluster.Representative == y {
				st = snap.Standing
			}
		}
		n := 0
		if st != nil {
			n = len(st.In)
			for _, m := range st.In {
				if at, in := since[m.Audience]; !in || at != m.Since {
					x.fail("%v: in %d since %d, the log says %v", y, m.Audience, m.Since, since)
				}
			}
		}
		if n != len(since) {
			x.fail("%v: in %d audiences, the log says %v", y, n, since)
		}
	}
}
