package verify_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/verify"
)

var seeds = flag.Int("seeds", 8, "how many seeds TestWhatAPowerCutLeavesIsSound runs")

// What a power cut leaves has no fault: neither as it lies there nor after the
// next start. A checker that cried wolf would be of no use to the tests that
// stand on it.
func TestWhatAPowerCutLeavesIsSound(t *testing.T) {
	first := rand.Uint64() >> 20
	for n := range *seeds {
		seed := first + uint64(n)
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		w := openWriter(t, vfs.NewCrashableMem(), begin)
		for range 120 {
			w.clock += r.Int64N(1 << 31)
			w.random(r)
			if r.IntN(12) > 0 {
				continue
			}
			cut := w.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: r})
			db, v := openFolder(t, cut)
			report := check(t, db, v, w.clock, func(o *verify.Options) { o.MaxFacts = 1 << r.IntN(10) })
			if err := report.Err(); err != nil {
				t.Fatalf("seed %d: as the power cut left it: %v", seed, err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			w = w.crash(r)
			report = check(t, w.db, w.vault, w.clock, nil)
			if err := report.Err(); err != nil {
				t.Fatalf("seed %d: after a start: %v", seed, err)
			}
		}
		w.close()
	}
}

// random does one thing of those that a store goes through.
func (w *writer) random(r *rand.Rand) {
	w.t.Helper()
	a, u := fmt.Sprint("a", r.IntN(6)), fmt.Sprint("u", r.IntN(4))
	switch r.IntN(14) {
	case 0:
		w.must(w.Checkpoint())
	case 1:
		_, err := w.Settle(context.Background(), time.Duration(r.Int64N(1<<32))*time.Millisecond)
		w.must(err)
	case 2:
		w.session(a, u)
	case 3:
		w.refuse()
	case 4:
		e := graph.Evidence{Kind: graph.Link, A: user(u), B: device(a), Trust: id.Admin, Time: w.clock - r.Int64N(1<<31)}
		if r.IntN(2) == 0 {
			e.Kind = graph.Cut
		}
		_, err := w.State(e)
		w.must(err)
	case 5:
		if r.IntN(3) > 0 {
			return
		}
		e, err := w.Erase(user(u), people.EraseRequest{View: id.AllView})
		if err != nil || r.IntN(2) == 0 {
			return // unknown, or left for later
		}
		w.must(w.Shred(context.Background(), e, nil))
		w.must(w.Finished(e, []byte("receipt")))
	case 6:
		if r.IntN(3) == 0 {
			before := time.UnixMilli(w.clock).AddDate(0, -1, 0)
			w.must(w.Expire(before, before))
		}
	case 7, 8:
		w.send(event.Identify, a, u, fmt.Sprintf(`{"email":"%s@example.com"}`, u))
	default:
		w.send(event.Page, a, "", "")
	}
}
