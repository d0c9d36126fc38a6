package people_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

var (
	trafficFor  = flag.Duration("traffic", 2*time.Second, "how long TestTrafficLeavesNothingUnexplained sends")
	trafficRate = flag.Int("traffic.rate", 2000, "events a second it sends at most")
)

// TestTrafficLeavesNothingUnexplained sends random traffic from several writers
// beside settling, erasures, operators' links and cuts, and restarts. At the end
// everything that people know must follow from the events alone, and the
// independent reader must find no fault.
func TestTrafficLeavesNothingUnexplained(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	clock := time.Now().UnixMilli()
	var offset atomic.Int64
	now := func() int64 { return clock + offset.Load() }
	dir := t.TempDir()
	w := openDisk(t, dir, now)
	end := time.Now().Add(*trafficFor)
	var sent, erased, stated, settled, restarts atomic.Int64
	for round := uint64(0); time.Now().Before(end); round++ {
		ctx, cancel := context.WithDeadline(t.Context(), minTime(end, time.Now().Add(max(*trafficFor/8, time.Second))))
		var all sync.WaitGroup
		const writers = 4
		for g := range uint64(writers) {
			all.Go(func() {
				r := rand.New(rand.NewPCG(seed, round*writers+g))
				pace := time.NewTicker(time.Second * writers * 2 / time.Duration(*trafficRate))
				defer pace.Stop()
				for ctx.Err() == nil {
					offset.Add(r.Int64N(40_000)) // the world's time runs faster
					list := randomMessage(r, 0)
					for i := range list {
						at := now()
						list[i].IP = fmt.Sprintf("192.0.%d.0", r.IntN(250))
						list[i].MessageID = fmt.Sprint("t", r.Uint64())
						list[i].AnonymousID, list[i].ReceivedAt, list[i].Timestamp = fmt.Sprint("a", r.IntN(3000)), at, at-r.Int64N(1e8)
						if list[i].UserID != "" {
							list[i].UserID = fmt.Sprint("u", r.IntN(1500))
						}
						if list[i].Type == event.Identify && r.IntN(3) == 0 {
							list[i].Traits = event.Value(fmt.Sprintf(`{"email":"e%d@x.fi"}`, r.IntN(2000)))
						}
					}
					sent.Add(int64(w.send(list...)))
					<-pace.C
				}
			})
		}
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, ^round))
			var cuts []graph.Evidence
			for ctx.Err() == nil {
				time.Sleep(time.Duration(r.Int64N(int64(60 * time.Millisecond)))) // a pace, not a wait
				switch r.IntN(10) {
				case 4, 5:
					x := []id.ID{user(fmt.Sprint("u", r.IntN(1500))), device(fmt.Sprint("a", r.IntN(3000)))}[r.IntN(2)]
					if list, _, err := w.Held(1+r.IntN(20), ""); len(list) > 0 {
						w.must(err)
						x = list[r.IntN(len(list))].ID
					}
					if _, err := w.holdOrRelease(x, r.IntN(3) == 0); !errors.Is(err, people.ErrNotHeld) {
						w.must(err)
					}
					stated.Add(1)
				case 0:
					w.must(w.Checkpoint())
				case 1, 2:
					done, err := w.Settle(context.Background(), time.Duration(r.Int64N(int64(2*time.Hour))))
					w.must(err)
					settled.Add(done.Events)
				case 3:
					x := []id.ID{user(fmt.Sprint("u", r.IntN(1500))), device(fmt.Sprint("a", r.IntN(3000)))}[r.IntN(2)]
					e, err := w.Erase(x, people.EraseRequest{View: id.AllView, Requested: now()})
					if errors.Is(err, people.ErrUnknown) {
						continue
					}
					w.must(err)
					if r.IntN(4) > 0 {
						w.must(w.Shred(context.Background(), e, nil))
						w.must(w.Finished(e, []byte("receipt")))
					}
					erased.Add(1)
				default:
					e := randomEvidence(r, cuts)
					if e.Kind != graph.Lift {
						e.A, e.B = user(fmt.Sprint("u", r.IntN(1500))), device(fmt.Sprint("a", r.IntN(3000)))
					}
					if e.Time = now(); e.Kind == graph.Cut {
						cuts = append(cuts, e)
					}
					_, err := w.State(e)
					w.must(err)
					stated.Add(1)
				}
			}
		})
		all.Wait()
		cancel()
		w.close()
		restarts.Add(1)
		w = openDisk(t, dir, now)
	}
	// On a busy machine there may have been time for no hold that lasts.
	if _, err := w.holdOrRelease(user("u1"), true); err != nil {
		t.Fatal(err)
	}
	w.rebuilt()
	w.verified()
	held := len(w.heldBy())
	if held == 0 {
		t.Error("nobody is held: the test is too small")
	}
	t.Logf("%d events, %d settled, %d erasures, %d of operators, %d held, %d restarts", sent.Load(), settled.Load(), erased.Load(), stated.Load(), held, restarts.Load())
	w.close()
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func openDisk(t *testing.T, dir string, now func() int64) *world {
	t.Helper()
	w := &world{t: t, hold: 500, now: now, tune: limited(3, 4, nil)}
	return w.openIn(vfs.Default, dir)
}
