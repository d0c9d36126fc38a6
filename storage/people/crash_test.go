package people_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/verify"
)

// TestPowerCutsLoseNothing sends random traffic with checkpoints, a memory so
// small that everything is paged, and power cuts at random. Every acknowledged
// event must be there once, and what is known must equal what a store that
// never crashed and never paged knows.
func TestPowerCutsLoseNothing(t *testing.T) {
	held := 0
	for seed := *firstSeed; seed < *firstSeed+uint64(*seeds); seed++ {
		r := rand.New(rand.NewPCG(seed, 77))
		clock := new(int64)
		atomic.StoreInt64(clock, 1_700_000_000_000)
		// So few links that much is held. Networks are counted in memory alone.
		tune := limited(1+r.IntN(6), -1, nil)
		w := openTuned(t, vfs.NewCrashableMem(), 4, clock, tune)
		calm := openTuned(t, vfs.NewMem(), 0, clock, tune)
		w.seed, calm.seed = seed, seed
		sent, erased := 0, 0
		var cuts []graph.Evidence
		for range 150 {
			atomic.AddInt64(clock, r.Int64N(1<<29)) // up to six days
			switch r.IntN(17) {
			case 0:
				w = w.crash(r)
			case 1:
				w.must(w.Checkpoint())
			case 2: // again, whatever it was
				if sent > 0 {
					r2 := rand.New(rand.NewPCG(seed, uint64(r.IntN(sent))))
					if n := w.send(randomMessage(r2, sent)...); n != 0 {
						t.Fatalf("seed %d: %d events counted again", seed, n)
					}
				}
			case 3:
				age := time.Duration(r.Int64N(1<<31)) * time.Millisecond
				if r.IntN(2) == 0 {
					age = -1 << 60 // everything
				}
				_, err := w.Settle(t.Context(), age)
				w.must(err)
			case 4: // and the power goes while somebody is being erased
				if r.IntN(3) == 0 {
					w, erased = w.eraseAndCrash(r, calm, erased)
				}
			case 5:
				e := randomEvidence(r, cuts)
				e.Time = *clock - r.Int64N(1<<30)
				if e.Kind == graph.Cut {
					cuts = append(cuts, e)
				}
				for _, x := range [...]*world{w, calm} {
					_, err := x.State(e)
					x.must(err)
				}
			case 6:
				x := randomIdentifier(r)
				hold := r.IntN(2) == 0
				_, err := w.holdOrRelease(x, hold)
				_, wantErr := calm.holdOrRelease(x, hold)
				if err != wantErr {
					t.Fatalf("seed %d: hold %v, %v: %v, want %v", seed, hold, x, err, wantErr)
				}
			default:
				sent++
				r2 := rand.New(rand.NewPCG(seed, uint64(sent-1)))
				events := randomMessage(r2, sent)
				n, want := w.send(slices.Clone(events)...), calm.send(events...)
				if n != want || erased == 0 && n != len(events) {
					t.Fatalf("seed %d: %d of %d events are new, want %d", seed, n, len(events), want)
				}
			}
		}
		w = w.crash(r)
		for i := range 6 {
			for _, x := range []id.ID{user(fmt.Sprint("u", i)), device(fmt.Sprint("a", i))} {
				for v := id.VerifiedView; v <= id.AllView; v++ {
					got, err := w.Person(x, v)
					want, wantErr := calm.Person(x, v)
					if err != wantErr {
						t.Fatalf("seed %d: %v: %v, want %v", seed, x, err, wantErr)
					}
					if err != nil {
						continue
					}
					if a, b := series(got.Profile), series(want.Profile); !slices.Equal(a, b) {
						t.Fatalf("seed %d: %v in %v: series %x, want %x", seed, x, v, a, b)
					}
					a, b := *got.Profile, *want.Profile                     // others may have been given the same
					a.Computed, b.Computed = facet.Joined{}, facet.Joined{} // which may be kept in another way
					if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(got.Cluster.Members, want.Cluster.Members) {
						t.Fatalf("seed %d: %v in %v\n%+v %v\nwant\n%+v %v", seed, x, v, got.Profile, got.Cluster.Members, want.Profile, want.Cluster.Members)
					}
					if v == id.AllView {
						if a, b := w.timeline(got), calm.timeline(want); !slices.Equal(a, b) {
							t.Fatalf("seed %d: %v: timeline %v, want %v", seed, x, a, b)
						}
					}
				}
			}
		}
		got, want := w.heldBy(), calm.heldBy()
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: held are %v, want %v", seed, got, want)
		}
		held += len(got)
		w.rebuilt()
		w.verified()
		w.close()
		calm.close()
	}
	if held == 0 {
		t.Error("nobody was held at the end of any seed: the test is too small")
	}
}

// holdOrRelease gives the same for stores that know the same.
func (w *world) holdOrRelease(x id.ID, hold bool) (n int, err error) {
	if hold {
		_, err = w.Hold(x, "because")
		return 1, err
	}
	lifted, err := w.Release(x, "because")
	return len(lifted), err
}

func randomIdentifier(r *rand.Rand) id.ID {
	return []id.ID{user(fmt.Sprint("u", r.IntN(6))), device(fmt.Sprint("a", r.IntN(6))),
		{Type: id.Email, Value: fmt.Sprintf("e%d@x.fi", r.IntN(4))}}[r.IntN(3)]
}

// verified has the independent reader look at everything.
func (w *world) verified() {
	w.t.Helper()
	report, err := verify.Run(w.t.Context(), verify.Options{DB: w.db, Vault: w.options.Vault, Types: w.options.Types})
	w.must(err)
	for _, f := range report.Faults {
		w.t.Errorf("seed %d: fault: %+v", w.seed, f)
	}
}

// rebuilt derives everything from the events alone and compares.
func (w *world) rebuilt() {
	w.t.Helper()
	w.must(w.Checkpoint())
	scratch, err := engine.Open(engine.Options{Dir: "scratch", FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler)})
	w.must(err)
	o := w.options
	o.Hold = max(4, 100*w.hold)
	if w.hold < 100 { // so little that everything is paged
		o.Hold = 4
	}
	r, err := people.Rebuild(context.Background(), people.RebuildOptions{Options: o, Scratch: scratch})
	w.must(err)
	w.must(scratch.Close())
	if r.Total != 0 || r.Facets == 0 {
		w.t.Fatalf("seed %d: %d facets, %d differences: %x", w.seed, r.Facets, r.Total, r.Differences)
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("seed %d: %v", w.seed, err)
	}
}

// eraseAndCrash takes the power away while a person is being erased. Whether it
// was decided shows afterwards, and holds for the calm store too.
func (w *world) eraseAndCrash(r *rand.Rand, calm *world, before int) (after *world, erased int) {
	w.t.Helper()
	x := []id.ID{user(fmt.Sprint("u", r.IntN(6))), device(fmt.Sprint("a", r.IntN(6)))}[r.IntN(2)]
	done := make(chan error)
	go func() {
		e, err := w.Erase(x, people.EraseRequest{View: id.AllView, Requested: *w.clock, Reason: "art. 17"})
		if err == nil {
			err = w.Shred(context.Background(), e, nil)
		}
		done <- err
	}()
	var wait time.Duration
	if r.IntN(2) == 0 {
		wait = time.Duration(r.Int64N(int64(8 * time.Millisecond)))
	}
	var err error
	select {
	case err = <-done:
		done = nil
	case <-time.After(wait):
	}
	clone := w.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: r})
	if done != nil {
		err = <-done
	}
	if err != nil && !errors.Is(err, people.ErrUnknown) {
		w.t.Fatal(err)
	}
	w.close()
	after = openTuned(w.t, clone, w.hold, w.clock, w.tune)
	after.seed = w.seed
	list, err := after.Erasures(0, 1000)
	after.must(err)
	if len(list) > before {
		_, err := calm.Erase(x, people.EraseRequest{View: id.AllView, Requested: *w.clock, Reason: "art. 17"})
		calm.must(err)
	}
	for _, e := range list {
		if !e.Done && r.IntN(2) == 0 {
			after.must(after.Shred(context.Background(), e, nil))
			after.must(after.Finished(e, []byte("receipt")))
		}
	}
	return after, len(list)
}

func randomEvidence(r *rand.Rand, cuts []graph.Evidence) graph.Evidence {
	e := graph.Evidence{Kind: graph.Link, A: user(fmt.Sprint("u", r.IntN(6))), Trust: id.Admin, Reason: "because"}
	for i := range e.ID {
		e.ID[i] = byte(r.Uint32())
	}
	e.B = device(fmt.Sprint("a", r.IntN(6)))
	switch r.IntN(3) {
	case 0:
		e.Kind = graph.Cut
	case 1:
		if len(cuts) > 0 {
			c := cuts[r.IntN(len(cuts))]
			e.Kind, e.A, e.B, e.Lifts = graph.Lift, c.A, c.B, c.ID
		}
	}
	return e
}

// randomMessage makes the events of one request; the same source, the same
// events.
func randomMessage(r *rand.Rand, _ int) (list []event.Event) {
	first := r.IntN(1 << 25) // within a year
	for i := range 1 + r.IntN(3) {
		e := msg(first+i, []event.Type{event.Page, event.Track, event.Identify}[r.IntN(3)], fmt.Sprint("a", r.IntN(6)), "")
		e.Trust = id.Trust(1 + r.IntN(2))
		e.Name = "x"
		if r.IntN(3) == 0 {
			e.UserID = fmt.Sprint("u", r.IntN(6))
		}
		if e.Type == event.Identify {
			e.Traits = event.Value(fmt.Sprintf(`{"plan":"p%d"}`, r.IntN(9)))
			if r.IntN(2) == 0 {
				e.Traits = event.Value(fmt.Sprintf(`{"email":"e%d@x.fi"}`, r.IntN(4)))
			}
		}
		switch r.IntN(12) {
		case 0:
			e.Bot = event.Bot{Is: true, Class: "search"}
		case 1:
			e.Bot = event.Bot{Is: true, Class: excluded}
		}
		list = append(list, e)
	}
	return list
}

// series are what is computed of a profile, as records.
func series(p *facet.Profile) (dst []byte) {
	for _, s := range p.Computed.All() {
		dst = s.AppendBinary(dst)
	}
	return dst
}
