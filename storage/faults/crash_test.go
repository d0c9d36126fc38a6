package faults

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/storage/people"
)

var (
	cutSeeds = flag.Int("seeds", 15, "lives with power cuts that TestPowerCuts tries")
	cutSeed  = flag.Uint64("seed", 0, "the one seed that TestPowerCuts tries, when not 0")
)

// cutter takes a picture of the disk, as a power cut would leave it, at a call
// to come.
type cutter struct {
	mu   sync.Mutex
	left int64 // calls to go; negative: no cut is due
	take func() *vfs.MemFS
	cut  *vfs.MemFS
}

func (c *cutter) String() string { return "cutter" }

func (c *cutter) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left == 0 && c.cut == nil {
		c.cut = c.take()
	}
	c.left--
	return nil
}

// The power goes at any call of any step, with any part of what was not synced
// surviving, several times in a store's life: the folder as it lies there has no
// fault, and all that was acknowledged is there.
func TestPowerCuts(t *testing.T) {
	base := rand.Uint64() >> 16
	t.Logf("seeds from %d", base)
	cuts := 0
	for i := range *cutSeeds {
		seed := base + uint64(i)
		if *cutSeed != 0 {
			seed = *cutSeed
		}
		n, err := powerCuts(seed)
		cuts += n
		if err != nil {
			t.Fatalf("seed %d: cut %d: %v", seed, n, err)
		}
		if *cutSeed != 0 {
			break
		}
	}
	t.Logf("%d power cuts", cuts)
}

func powerCuts(seed uint64) (cuts int, err error) {
	r := rand.New(rand.NewPCG(seed, 0))
	mem := vfs.NewCrashableMem()
	c := newConfig(nil)
	for range 3 {
		disk := mem
		at := rand.New(rand.NewPCG(r.Uint64(), 1))
		cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: at}
		cut := &cutter{left: 100 + r.Int64N(900), take: func() *vfs.MemFS { return disk.CrashClone(cfg) }}
		c.fs = errorfs.Wrap(disk, cut)
		w, err := open(c)
		if err != nil {
			return cuts, fmt.Errorf("opening: %w", err)
		}
		for {
			// What is acknowledged from here on may or may not be in the picture.
			before := c.truth.copy()
			c.clock.Add(r.Int64N(12 * 3_600_000))
			if err := w.random(r); err != nil {
				return cuts, errors.Join(err, w.end())
			}
			cut.mu.Lock()
			taken := cut.cut
			cut.mu.Unlock()
			if taken != nil {
				c.truth.forget(before)
				mem = taken
				break
			}
		}
		cuts++
		if err := w.end(); err != nil {
			return cuts, err
		}
		c.fs = mem
		if r.IntN(2) == 0 { // else the next life begins with the picture itself
			if err := sound(c, true); err != nil {
				return cuts, err
			}
		} else if err := verified(c); err != nil {
			return cuts, fmt.Errorf("as the cut left it: %w", err)
		}
	}
	c.fs = mem
	return cuts, sound(c, true)
}

// copy is how far things were acknowledged.
type acknowledged struct {
	sent     []sent
	refused  int
	erasures int
	sessions [persons]map[string]bool
}

func (t *truth) copy() (a acknowledged) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range t.sent {
		a.sent = append(a.sent, *x)
	}
	a.refused, a.erasures = t.refused.acked, t.erasures.acked
	for p, m := range t.sessions {
		a.sessions[p] = map[string]bool{}
		for u := range m {
			a.sessions[p][u] = true
		}
	}
	return a
}

// forget takes back what was acknowledged since, and keeps that it was tried.
func (t *truth) forget(a acknowledged) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, x := range t.sent {
		x.acked, x.gone = false, false
		if i < len(a.sent) {
			x.acked, x.gone = a.sent[i].acked, a.sent[i].gone
		}
	}
	t.refused.acked, t.erasures.acked = a.refused, a.erasures
	for p, m := range a.sessions {
		for u := range m {
			t.sessions[p][u] = true
		}
	}
}

// random does one of the things that happen to a store.
func (w *world) random(r *rand.Rand) error {
	p := r.IntN(persons)
	switch r.IntN(16) {
	case 0:
		return w.Checkpoint()
	case 1:
		return w.settle(everything)
	case 2:
		return w.settle(time.Duration(r.Int64N(72)) * time.Hour)
	case 3:
		return w.db.Flush()
	case 4:
		return w.refuse()
	case 5:
		p %= erasable
		return w.session(p, []string{"", user(p).Value}[r.IntN(2)])
	case 6:
		return w.evidence([]graph.Kind{graph.Link, graph.Cut}[r.IntN(2)])
	case 7:
		e, err := w.erase(erasable + p%(persons-erasable))
		if errors.Is(err, people.ErrUnknown) {
			return nil
		}
		if err != nil || r.IntN(2) == 0 {
			return err // left for later
		}
		return w.shred(e)
	case 8:
		return w.finish()
	case 9:
		w.truth.mu.Lock()
		n := len(w.truth.sent)
		var x *sent
		if n > 0 {
			x = w.truth.sent[r.IntN(n)]
		}
		w.truth.mu.Unlock()
		if x == nil || x.mayGo {
			return nil
		}
		return w.send(x) // again
	case 10:
		return w.identify(p)
	case 11:
		return w.vault.Rewrap(context.Background(), []int{r.IntN(1024)}, nil)
	default:
		list := make([]*sent, 1+r.IntN(5))
		for i := range list {
			list[i] = w.message(r.IntN(persons), event.Track)
		}
		return w.send(list...)
	}
}
