package people_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/storage/people"
)

// TestFillBesideTraffic fills while events of the same persons arrive, facets
// come into memory and leave it, checkpoints run, entries settle and persons are
// erased. In the end what was filled is what counted live.
func TestFillBesideTraffic(t *testing.T) {
	const persons, before, during = 120, 1200, 600
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	clock := fillBegin
	count := func(name string, id uint32, since uint64) trait.Definition {
		return trait.Definition{Name: name, ID: id, Since: since, Kind: trait.Count, Event: "Order Completed"}
	}
	compile := func(list ...trait.Definition) *trait.Set {
		set, err := trait.Compile(list)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	var set atomic.Pointer[trait.Set]
	set.Store(compile(count("live", 1, 0)))
	w := openTuned(t, vfs.NewMem(), 20, &clock, func(o *people.Options) {
		o.Every = 5 * time.Millisecond
		o.Rules = facet.Rules{Contribute: func(e *event.Event, seq uint64, add func(*facet.Contribution)) { set.Load().Contribute(e, seq, add) }}
	})
	sent := atomic.Int64{}
	send := func(r *rand.Rand) {
		n := sent.Add(1)
		at := atomic.AddInt64(&clock, 60_000)
		e := event.Event{Type: event.Track, Name: []string{"Order Completed", "Product Viewed"}[r.IntN(2)], Site: "shop", Trust: id.Verified,
			MessageID: fmt.Sprint("m", n), AnonymousID: fmt.Sprint("a", r.IntN(persons)), Timestamp: at, ReceivedAt: at}
		if r.IntN(3) == 0 {
			e.UserID = "u" + e.AnonymousID
		}
		w.send(e)
	}
	r := rand.New(rand.NewPCG(seed, 0))
	for range before {
		send(r)
	}
	w.settle()
	for range before / 4 {
		send(r)
	}
	var since uint64
	w.Between(func(last uint64) (reads facet.Change, fresh []uint32) {
		since = last
		set.Store(compile(count("live", 1, 0), count("filled", 2, last)))
		return reads, nil
	})

	stop := make(chan struct{})
	var busy, sending sync.WaitGroup
	until := func(fn func(r *rand.Rand), n uint64) {
		busy.Go(func() {
			r := rand.New(rand.NewPCG(seed, n))
			for {
				select {
				case <-stop:
					return
				default:
					fn(r)
				}
			}
		})
	}
	for n := range uint64(3) {
		sending.Go(func() {
			r := rand.New(rand.NewPCG(seed, 10+n))
			for range during / 3 {
				send(r)
			}
		})
	}
	until(func(*rand.Rand) {
		if _, err := w.Settle(context.Background(), all); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Millisecond)
	}, 20)
	erased := 0
	until(func(r *rand.Rand) {
		e, err := w.Erase(device(fmt.Sprint("a", r.IntN(persons))), people.EraseRequest{View: id.AllView, Requested: atomic.LoadInt64(&clock)})
		if errors.Is(err, people.ErrUnknown) {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		if erased++; erased%4 == 0 {
			if err := w.Shred(context.Background(), e, nil); err != nil {
				t.Error(err)
			}
			if err := w.Finished(e, nil); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(5 * time.Millisecond) // or nobody would be left
	}, 21)

	// Twice, and again from the middle: nothing counts twice.
	o := people.FillOptions{Traits: compile(count("filled", 2, 0)), IDs: []uint32{2}, UpTo: since, Share: 0.3, Slice: time.Millisecond, Every: time.Millisecond, TailBytes: 20_000}
	if seed%2 == 0 { // more is read, and leaves memory, between a walk's beginning and its end
		o.Slice = 40 * time.Millisecond
	}
	runs := 0
	for range 2 {
		if err := w.Fill(context.Background(), o); err != nil {
			t.Error(err)
		}
		runs++
	}
	o.From[0] = 0x80
	if err := w.Fill(context.Background(), o); err != nil {
		t.Error(err)
	}
	sending.Wait()
	close(stop)
	busy.Wait()
	known := 0
	for n := range persons {
		for v := id.VerifiedView; v <= id.AllView; v++ {
			for _, who := range [...]id.ID{device(fmt.Sprint("a", n)), user(fmt.Sprint("ua", n))} {
				p, err := w.Person(who, v)
				if errors.Is(err, people.ErrUnknown) {
					continue
				}
				w.must(err)
				c := set.Load().Compute(p.Profile, clock)
				live, _ := c.Get("live")
				filled, _ := c.Get("filled")
				if live.JSON() != "0" {
					known++
				}
				if live.JSON() != filled.JSON() {
					t.Errorf("seed %d: %v in the %v view has %s live and %s filled", seed, who, v, live.JSON(), filled.JSON())
				}
			}
		}
	}
	if known < persons/4 || erased == 0 {
		t.Errorf("%d persons had anything, %d were erased: the test is too small", known, erased)
	}
	t.Logf("%d runs, %d erased, %d known, %d evictions", runs, erased, known, w.Stats().Evictions)
	w.close()
}
