package people_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
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
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/naive"
	"github.com/reuna/reuna/storage/definitions"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/people"
)

var (
	fills    = flag.Int("fills", 15, "how many random stories TestFilledIsLive tells")
	fillSeed = flag.Uint64("fills.seed", 0, "the seed of the first; 0 takes the clock's")
)

// TestFilledIsLive has each of some random definitions twice: one that was there
// from the first event on, and one that came in the middle and is filled. In
// between, events arrive in and out of order and twice, persons are merged, cut
// and erased, entries settle, the power fails, and fills are broken off and begun
// again. In the end, and at other times than now, both say the same of everybody,
// as do a profile that is folded anew and the words that describe the definition.
func TestFilledIsLive(t *testing.T) {
	seed := *fillSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	var total fillTally
	for n := range uint64(*fills) {
		x := newFillStory(t, seed+n)
		x.tell(&total)
		if t.Failed() {
			t.Fatalf("seed %d (again: go test -run %s -fills 1 -fills.seed %d)", seed+n, t.Name(), seed+n)
		}
	}
	t.Logf("seed %d: %+v", seed, total)
	if total.Compared == 0 || total.Known == 0 || total.Broken == 0 || total.Crashes == 0 || total.Settled == 0 || total.Erased == 0 {
		t.Error("something never happened: the test is too small")
	}
}

type fillTally struct {
	Events, Settled, Erased, Crashes, Broken, Fills, Compared, Known int
}

// fillStory is one of them.
type fillStory struct {
	t     *testing.T
	seed  uint64
	rng   *rand.Rand
	w     *world
	clock int64
	defs  *definitions.Store
	tally *fillTally

	set   *atomic.Pointer[trait.Set] // by which events fold
	plain []trait.Definition         // as an operator writes them
	n     int                        // messages sent
	old   []event.Event              // that may come again
}

const fillBegin = int64(1_700_000_000_000)

func newFillStory(t *testing.T, seed uint64) *fillStory {
	x := &fillStory{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), clock: fillBegin, set: &atomic.Pointer[trait.Set]{}}
	for len(x.plain) < 3 {
		d := randomDefinition(x.rng)
		d.Name = fmt.Sprint("d", len(x.plain))
		if _, err := trait.Compile([]trait.Definition{d}); err != nil {
			t.Fatalf("seed %d: %+v: %v", seed, d, err)
		}
		x.plain = append(x.plain, d)
	}
	return x
}

// randomDefinition makes up one.
func randomDefinition(r *rand.Rand) trait.Definition {
	const day = 24 * time.Hour
	d := trait.Definition{
		Kind:  trait.Kinds()[r.IntN(len(trait.Kinds()))],
		Event: []string{"", "Order Completed", "Product Viewed", "page", "identify"}[r.IntN(5)],
		Where: []string{"", "", "properties.total > 10.0", "properties.category == 'a'"}[r.IntN(4)],
	}
	if r.IntN(4) == 0 {
		d.Event, d.Events = "", []string{"Order Completed", "page"}
	}
	windows := []time.Duration{0, time.Hour, 36 * time.Hour, 30 * day}
	switch d.Kind {
	case trait.Affinity:
		d.By, d.HalfLife = "properties.category", []time.Duration{time.Hour, 14 * day}[r.IntN(2)]
	case trait.BestHour:
		d.HalfLife = []time.Duration{time.Hour, 14 * day}[r.IntN(2)]
	case trait.Unique, trait.Distinct, trait.MostFrequent:
		d.By, d.Window = "properties.category", windows[r.IntN(4)]
		if d.Kind == trait.MostFrequent {
			d.AtLeast = r.IntN(3)
		}
	case trait.Sum, trait.Average, trait.Min, trait.Max, trait.RFM, trait.Last, trait.Latest:
		d.Value, d.Window = "properties.total", windows[r.IntN(4)]
	case trait.First:
		d.Value = "properties.category"
	case trait.Count:
		d.Window = windows[r.IntN(4)]
	case trait.DaysActive:
		d.Window = []time.Duration{0, 7 * day, 30 * day}[r.IntN(3)]
	case trait.Streak:
		d.Longest = r.IntN(2) == 0
	case trait.Sequence:
		d.Event, d.Events, d.Window = "", nil, windows[r.IntN(4)]
		d.Steps = []trait.Step{{Event: "Product Viewed"}, {Event: "Order Completed", Where: "properties.total > 5.0"}}
		d.Within = []time.Duration{0, 3 * day}[r.IntN(2)]
		if r.IntN(3) == 0 {
			d.Not, d.Within = &trait.Step{Event: "page"}, 3*day
		}
	}
	return d
}

// series gives the definitions that count live, under numbers of their own, and
// with them those that came later.
func (x *fillStory) compile(later []definitions.Series, pending bool) *trait.Set {
	var list []trait.Definition
	for i, d := range x.plain {
		d.ID = uint32(1000 + i)
		list = append(list, d)
	}
	for i, s := range later {
		d := x.plain[i]
		d.Name, d.ID, d.Since, d.Pending = fmt.Sprint("filled", i), s.ID, s.Since, pending
		list = append(list, d)
	}
	return x.must2(trait.Compile(list))
}

func (x *fillStory) must2(s *trait.Set, err error) *trait.Set {
	x.t.Helper()
	x.must(err)
	return s
}

func (x *fillStory) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatalf("seed %d: %v", x.seed, err)
	}
}

// openDefinitions opens those of the folder as it is now.
func (x *fillStory) openDefinitions() {
	var err error
	x.defs, err = definitions.Open(x.w.db, x.w.options.Vault)
	x.must(err)
}

func (x *fillStory) tell(total *fillTally) {
	x.tally = total
	x.set.Store(x.compile(nil, false))
	set := x.set
	x.w = openTuned(x.t, vfs.NewCrashableMem(), []int{3, 20, 1000}[x.rng.IntN(3)], &x.clock, func(o *people.Options) {
		o.Rules = facet.Rules{Contribute: func(e *event.Event, seq uint64, add func(*facet.Contribution)) { set.Load().Contribute(e, seq, add) }}
	})
	x.openDefinitions()
	x.live(5 + x.rng.IntN(60))
	later := x.define()
	x.live(x.rng.IntN(20))
	x.fill(later)
	x.live(x.rng.IntN(10))
	x.set.Store(x.compile(later, false))
	x.compare(len(later))
	x.live(x.rng.IntN(20))
	x.compare(len(later))
	if x.rng.IntN(3) == 0 {
		x.rebuild(later)
	}
	x.w.close()
}

// rebuild derives everything from the events alone: what was filled is there, too.
func (x *fillStory) rebuild(later []definitions.Series) {
	x.must(x.w.Checkpoint())
	scratch, err := engine.Open(engine.Options{Dir: "scratch", FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler)})
	x.must(err)
	r, err := people.Rebuild(context.Background(), people.RebuildOptions{Options: x.w.options, Scratch: scratch, Whole: func(n uint32) bool {
		return n >= 1000 || slices.ContainsFunc(later, func(s definitions.Series) bool { return s.ID == n })
	}})
	x.must(err)
	x.must(scratch.Close())
	if r.Total != 0 {
		x.t.Fatalf("seed %d: %d facets, %d differences: %x", x.seed, r.Facets, r.Total, r.Differences)
	}
}

// define makes the later definitions known, as a manager of definitions does,
// across crashes at the worst moments. It gives their series.
func (x *fillStory) define() []definitions.Series {
	for {
		ids := make([]uint32, len(x.plain))
		x.must(x.defs.Change(func(c *definitions.Change) error {
			for i := range x.plain {
				s, err := c.Reserve(fmt.Sprint("later", i))
				if err != nil {
					return err
				}
				ids[i] = s.ID
			}
			return nil
		}))
		since := uint64(0)
		x.w.Between(func(last uint64) (reads facet.Change, fresh []uint32) {
			since = last
			var list []definitions.Series
			for _, n := range ids {
				list = append(list, definitions.Series{ID: n, Since: last})
			}
			x.set.Store(x.compile(list, true))
			return reads, nil
		})
		if x.rng.IntN(3) == 0 { // nothing has been said about since: facets may have been written by then
			x.live(x.rng.IntN(5))
			x.set.Store(x.compile(nil, false))
			x.crash()
			continue
		}
		x.must(x.defs.Change(func(c *definitions.Change) error { return c.Begin(since, ids...) }))
		return x.defs.Series()
	}
}

// fill fills, in as many runs as chance wants.
func (x *fillStory) fill(later []definitions.Series) {
	var list []trait.Definition
	o := people.FillOptions{UpTo: later[0].Since, TailBytes: []int{0, 1, 2000}[x.rng.IntN(3)], Share: 1,
		Every: 1, Slice: []time.Duration{0, 1}[x.rng.IntN(2)]}
	for i, s := range later {
		d := x.plain[i]
		d.Name, d.ID = fmt.Sprint("filled", i), s.ID
		list = append(list, d)
		o.IDs = append(o.IDs, s.ID)
	}
	o.Traits = x.must2(trait.Compile(list))
	for {
		job, _ := x.defs.Job("fill")
		o.From = job.Position
		if x.rng.IntN(4) == 0 {
			o.From = people.Hash{} // nobody remembers
		}
		before, stop := float64(-1), x.rng.IntN(12)
		ctx, cancel := context.WithCancel(context.Background())
		o.Progress = func(at people.Hash, events int64, share float64) error {
			if share < before || share < 0 || share > 1 || events < 0 {
				x.t.Errorf("seed %d: %v of the fill is done after %v, %d events", x.seed, share, before, events)
			}
			before = share
			switch stop--; {
			case stop == 0:
				return errEnough
			case stop == 1:
				cancel()
			}
			if share == 1 {
				return nil // what follows ends the job
			}
			return x.defs.Change(func(c *definitions.Change) error {
				return c.Note(definitions.Job{Name: "fill", Position: at, Share: share})
			})
		}
		err := x.w.Fill(ctx, o)
		cancel()
		switch {
		case errors.Is(err, errEnough) || errors.Is(err, context.Canceled):
			x.tally.Broken++
		case err != nil:
			x.t.Fatalf("seed %d: %v", x.seed, err)
		case x.rng.IntN(3) > 0:
			ids := o.IDs
			x.must(x.defs.Change(func(c *definitions.Change) error { c.End("fill"); return c.Finish(ids...) }))
			x.tally.Fills++
			return
		} // otherwise it is done twice
		if x.live(x.rng.IntN(8)); x.rng.IntN(2) == 0 {
			x.crash()
		}
	}
}

var errEnough = errors.New("enough")

func (x *fillStory) crash() {
	x.tally.Crashes++
	x.w = x.w.crash(x.rng)
	x.openDefinitions()
}

func (x *fillStory) device() string { return fmt.Sprint("a", x.rng.IntN(8)) }
func (x *fillStory) user() string   { return fmt.Sprint("u", x.rng.IntN(4)) }

// pass lets time pass.
func (x *fillStory) pass(by time.Duration) { atomic.AddInt64(&x.clock, by.Milliseconds()) }

// live has n things happen.
func (x *fillStory) live(n int) {
	for range n {
		switch x.rng.IntN(16) {
		case 0:
			x.pass(time.Duration(x.rng.IntN(20)) * 24 * time.Hour)
		case 1:
			x.w.must(x.w.Checkpoint())
		case 2, 3:
			x.w.must(x.w.Checkpoint())
			done, err := x.w.Settle(context.Background(), []time.Duration{all, 24 * time.Hour}[x.rng.IntN(2)])
			x.w.must(err)
			x.tally.Settled += int(done.Events)
		case 4:
			kind := []graph.Kind{graph.Link, graph.Cut}[x.rng.IntN(2)]
			e := graph.Evidence{Kind: kind, A: device(x.device()), B: user(x.user()), Trust: id.Admin, Time: x.clock}
			for i := range e.ID {
				e.ID[i] = byte(x.rng.Uint32())
			}
			_, err := x.w.State(e)
			x.w.must(err)
		case 5:
			if x.rng.IntN(3) == 0 {
				who := []id.ID{device(x.device()), user(x.user())}[x.rng.IntN(2)]
				e, err := x.w.Erase(who, people.EraseRequest{View: id.AllView, Requested: x.clock})
				if errors.Is(err, people.ErrUnknown) {
					break
				}
				x.w.must(err)
				x.tally.Erased++
				if x.rng.IntN(2) == 0 {
					x.w.must(x.w.Shred(context.Background(), e, nil))
					x.w.must(x.w.Finished(e, nil))
				}
				x.pass(time.Millisecond) // what comes back is newer
			}
		case 6:
			if len(x.old) > 0 { // twice
				e := x.old[x.rng.IntN(len(x.old))]
				x.w.send(e)
			}
		default:
			x.send()
		}
	}
}

func (x *fillStory) send() {
	var list []event.Event
	for range 1 + x.rng.IntN(4) {
		x.n++
		x.pass(time.Duration(x.rng.Int64N(int64(time.Hour))))
		e := event.Event{Type: event.Track, Site: "shop", Trust: id.Trust(1 + x.rng.IntN(2)), MessageID: fmt.Sprint("m", x.n),
			AnonymousID: x.device(), Timestamp: x.clock, ReceivedAt: x.clock}
		if x.rng.IntN(3) == 0 {
			e.UserID = x.user()
		}
		if x.rng.IntN(3) == 0 { // late
			e.Timestamp -= int64(x.rng.IntN(40*24)) * int64(time.Hour/time.Millisecond)
		}
		switch x.rng.IntN(5) {
		case 0:
			e.Type, e.Name = event.Page, "Home"
		case 1:
			e.Type = event.Identify
		case 2:
			e.Name = "Product Viewed"
		default:
			e.Name = "Order Completed"
		}
		if e.Type != event.Identify {
			e.Properties = event.Value(fmt.Sprintf(`{"category":%q,"total":%d,"order_id":"o%d"}`, string(rune('a'+x.rng.IntN(3))), x.rng.IntN(40), x.rng.IntN(30)))
		}
		if x.rng.IntN(12) == 0 {
			e.Bot = event.Bot{Is: true, Class: excluded}
		}
		list = append(list, e)
	}
	x.w.send(slices.Clone(list)...)
	x.tally.Events += len(list)
	x.old = append(x.old, list...)
}

// compare asks for everybody, in both views, at several times.
func (x *fillStory) compare(n int) {
	fresh := x.compile(nil, false)
	for v := id.VerifiedView; v <= id.AllView; v++ {
		for _, who := range x.everybody() {
			p, err := x.w.Person(who, v)
			if errors.Is(err, people.ErrUnknown) {
				continue
			}
			x.must(err)
			var events []*event.Event
			_, err = x.w.Timeline(p.Facets, people.Place{}, 1<<30, func(_ people.Place, e *event.Event) error {
				events = append(events, e)
				return nil
			})
			x.must(err)
			past, err := x.w.PastProfile(context.Background(), who, v, x.clock, facet.Rules{Contribute: fresh.Contribute})
			x.must(err)
			for _, now := range [...]int64{x.clock, x.clock + 3_600_000, x.clock + 40*86_400_000} {
				live := x.set.Load().Compute(p.Profile, now)
				then := fresh.Compute(past.Profile, now)
				for i := range n {
					want, ok := live.Get(fmt.Sprint("d", i))
					got, ok2 := live.Get(fmt.Sprint("filled", i))
					again, ok3 := then.Get(fmt.Sprint("d", i))
					letter := want.JSON()
					if x.rng.IntN(10) == 0 { // it is slow
						letter = naive.Evaluate(&x.plain[i], events, now)
					}
					if !ok || !ok2 || !ok3 {
						x.t.Fatalf("seed %d: a trait is missing", x.seed)
					}
					x.tally.Compared++
					if want.Known() {
						x.tally.Known++
					}
					if got.JSON() != want.JSON() || again.JSON() != want.JSON() || letter != want.JSON() {
						x.t.Fatalf("seed %d: %v in the %v view, at %d: %+v: filled %s, live %s, folded anew %s, by the letter %s", x.seed, who, v, now-x.clock, x.plain[i],
							got.JSON(), want.JSON(), again.JSON(), letter)
					}
				}
			}
		}
	}
}

func (x *fillStory) everybody() (list []id.ID) {
	for n := range 8 {
		list = append(list, device(fmt.Sprint("a", n)))
	}
	for n := range 4 {
		list = append(list, user(fmt.Sprint("u", n)))
	}
	return list
}
