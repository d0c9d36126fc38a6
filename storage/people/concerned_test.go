package people_test

import (
	"fmt"
	"math/rand/v2"
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
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/storage/people"
)

// TestSweepOfThoseConcerned changes the rules of audiences over random persons, some of
// several identifiers, and sweeps those alone whom the change may concern, with restarts
// in between, more events and links: then everybody is where judging them from scratch
// says, and the members are counted so.
func TestSweepOfThoseConcerned(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	left, entered, judged, everybody := 0, 0, int64(0), 0
	for n := range uint64(8) {
		x := &concernedStory{t: t, rng: rand.New(rand.NewPCG(seed+n, 3)), clock: 1_700_000_000_000}
		x.tell(fmt.Sprint("seed ", seed+n))
		left, entered, judged, everybody = left+x.left, entered+x.entered, judged+x.judged, everybody+len(x.devices)
	}
	t.Logf("seed %d: %d left, %d entered; %d persons were judged of %d devices", seed, left, entered, judged, everybody)
	if left == 0 || entered == 0 || judged == 0 || int(judged) > everybody*3/4 {
		t.Error("nothing happened, or everybody was judged: the test is too small")
	}
}

type concernedStory struct {
	t             *testing.T
	rng           *rand.Rand
	clock         int64
	set           atomic.Pointer[segment.Set]
	env           *segment.Env
	traits        *trait.Set
	w             *world
	devices       []string
	sent          int
	left, entered int
	judged        int64
}

// compile makes the audiences ready, of which the first and second have those rules.
func (x *concernedStory) compile(first, second string) *segment.Set {
	set, err := segment.Compile(x.env, []segment.Definition{
		{ID: 1, Name: "first", When: first}, {ID: 2, Name: "second", When: second},
		{ID: 3, Name: "often", When: "counts.events >= 3"}, {ID: 4, Name: "lately", When: "computed.lately >= 1"},
	})
	if err != nil {
		x.t.Fatal(err)
	}
	return set
}

func (x *concernedStory) judge(p *people.Snapshot, was *segment.Standing, now int64) *segment.Standing {
	sub := &segment.Subject{Profile: p.Profile, Identifiers: p.Present, Now: now}
	sub.Computed.Reset(x.traits, p.Profile, now)
	return x.set.Load().Judge(sub, was, p.Changed)
}

func (x *concernedStory) send(times int) {
	for range times {
		x.sent++
		atomic.AddInt64(&x.clock, 1000+x.rng.Int64N(100_000))
		d := x.rng.IntN(len(x.devices))
		e := msg(x.sent, event.Track, x.devices[d], "")
		e.Name, e.Timestamp, e.ReceivedAt = []string{"Seen", "Seen", "Seen", "Bought", "Liked"}[x.rng.IntN(5)], x.clock, x.clock
		if x.rng.IntN(8) == 0 {
			e.UserID = fmt.Sprint("u", d/3)
		}
		x.w.send(e)
	}
}

func (x *concernedStory) link() {
	a, b := x.devices[x.rng.IntN(len(x.devices))], x.devices[x.rng.IntN(len(x.devices))]
	if a == b {
		return
	}
	e := graph.Evidence{Kind: graph.Link, A: device(a), B: device(b), Trust: id.Verified, Time: x.clock}
	for i := range e.ID {
		e.ID[i] = byte(x.rng.Uint32())
	}
	_, err := x.w.State(e)
	x.w.must(err)
}

func (x *concernedStory) tell(seed string) {
	var err error
	x.traits, err = trait.Compile([]trait.Definition{
		{ID: 11, Name: "bought", Kind: trait.Count, Event: "Bought"},
		{ID: 12, Name: "liked", Kind: trait.Count, Event: "Liked", Window: 24 * time.Hour},
		{ID: 13, Name: "lately", Kind: trait.Count, Event: "Seen", Window: 10 * time.Minute},
	})
	if err != nil {
		x.t.Fatal(err)
	}
	x.env = segment.NewEnv(x.traits)
	x.set.Store(x.compile("computed.bought >= 1", "computed.liked > 100"))
	for i := range 40 + x.rng.IntN(120) {
		x.devices = append(x.devices, fmt.Sprint("a", i))
	}
	x.w = openTuned(x.t, vfs.NewMem(), []int{2, 8, 1000}[x.rng.IntN(3)], &x.clock, func(o *people.Options) {
		o.Rules = facet.Rules{Contribute: x.traits.Contribute}
		o.Judge = func(p *people.Snapshot, now int64) *segment.Standing { return x.judge(p, p.Standing, now) }
		o.AudienceName = func(a uint32) string { return fmt.Sprint(a) }
		o.JudgeByHand = true
	})
	defer func() { x.w.close() }()
	x.send(len(x.devices))
	for range 4 {
		x.link()
	}
	x.w.catchUp()
	if x.rng.IntN(2) == 0 {
		w := x.w
		w.close()
		x.w = openTuned(x.t, w.fs, w.hold, &x.clock, w.tune)
	}
	before := x.compare(seed)

	// Another rule for one, the first real one for the other.
	x.w.Between(func(uint64) (facet.Change, []uint32) {
		x.set.Store(x.compile("computed.bought >= 2", "computed.liked >= 1 && computed.bought < 5"))
		return x.set.Load().Reads(), []uint32{1, 2}
	})
	series, ok := x.set.Load().Needs(x.env, []uint32{1, 2}, x.clock)
	if !ok {
		x.t.Fatal("the rules may concern everybody")
	}
	x.send(x.rng.IntN(10))
	x.link()
	err = x.w.SweepOnly(x.t.Context(), &people.Concerned{Series: series, Audiences: []uint32{1, 2}}, people.Hash{},
		func(_ people.Hash, persons int64, _ float64) { x.judged = persons })
	x.w.must(err)
	after := x.compare(seed)
	x.left, x.entered = max(0, before[1]-after[1]), max(0, after[2]-before[2])
	atomic.AddInt64(&x.clock, 2*time.Hour.Milliseconds()) // what was judged before goes on
	x.send(20)
	x.compare(seed)
	atomic.AddInt64(&x.clock, 48*time.Hour.Milliseconds())
	x.compare(seed)
	x.w.must(x.w.Checkpoint())
	x.w.verified()
}

// compare judges everybody from scratch, and gives how many are in each audience.
func (x *concernedStory) compare(seed string) map[uint32]int {
	x.t.Helper()
	x.w.catchUp()
	count := map[uint32]int{}
	seen := map[string]bool{}
	var all []id.ID
	for i, d := range x.devices {
		all = append(all, device(d), user(fmt.Sprint("u", i/3))) // a user is nobody's device when each was somebody else's, too
	}
	for _, y := range all {
		p, err := x.w.Person(y, id.VerifiedView)
		if err == people.ErrUnknown || err == nil && seen[p.ID] {
			continue
		}
		x.w.must(err)
		seen[p.ID] = true
		snap, err := x.w.Profile(y, id.VerifiedView)
		x.w.must(err)
		var want []uint32
		for _, m := range x.judge(&snap, nil, x.clock).In {
			want = append(want, m.Audience)
			count[m.Audience]++
		}
		if got := x.w.is(y); !slices.Equal(got, want) {
			x.t.Fatalf("%s: %v is in %v, want %v", seed, p.Cluster.Members, got, want)
		}
	}
	for a := range uint32(4) {
		if n, err := x.w.CountMembers(a + 1); err != nil || int(n) != count[a+1] {
			x.t.Fatalf("%s: %d are counted in %d, want %d (%v)", seed, n, a+1, count[a+1], err)
		}
	}
	return count
}
