package faults

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

var (
	faultEvery = flag.Int64("faults.every", 0, "TestFaultAtACall fails every n-th call; 0: so many that there are 20")
	faultCall  = flag.Int64("faults.call", 0, "the one call that TestFaultAtACall fails, when not 0")
)

// countdown does something at the n-th call of a disk, and for a few after it.
// It spares what is called while the engine opens: where that fails, goroutines
// that Pebble has begun may panic over the cache that its Open has closed (2.1.7).
// Package engine tries those calls.
type countdown struct {
	calls   atomic.Int64
	at, n   int64
	opening *atomic.Int64
	then    func(op errorfs.Op) error
	fired   atomic.Pointer[errorfs.Op]
}

func (c *countdown) String() string { return "countdown" }

func (c *countdown) MaybeError(op errorfs.Op) error {
	n := c.calls.Add(1)
	if n < c.at || n >= c.at+c.n || c.opening.Load() > 0 {
		return nil
	}
	c.fired.CompareAndSwap(nil, &op)
	return c.then(op)
}

// Whatever call to the disk fails in a life of the store, the step that needed
// it says so or all is well; nothing is acknowledged after the end; and on a
// healthy disk everything acknowledged is there.
func TestFaultAtACall(t *testing.T) {
	seed := rand.Uint64() >> 16
	t.Logf("seed %d", seed)
	count := func(n int64) (calls int64, outcome string) {
		calls, outcome, err := faultAt(n, seed+uint64(n))
		if err != nil {
			t.Errorf("call %d, seed %d: %s: %v", n, seed, outcome, err)
		}
		return calls, outcome
	}
	if *faultCall != 0 {
		count(*faultCall)
		return
	}
	calls, _ := count(1 << 60)
	every := *faultEvery
	if every <= 0 {
		every = max(1, calls/20)
	}
	outcomes := map[string]int{}
	runs := 0
	for n := 1 + int64(seed)%every; n <= calls; n += every {
		_, outcome := count(n)
		outcomes[outcome]++
		runs++
	}
	t.Logf("%d of %d calls failed: %v", runs, calls, outcomes)
	if runs > 20 && outcomes["told"]+outcomes["the program ends"] < runs/4 {
		t.Errorf("hardly any fault was noticed: %v", outcomes)
	}
}

func faultAt(n int64, seed uint64) (calls int64, outcome string, err error) {
	r := rand.New(rand.NewPCG(seed, 1))
	mem := vfs.NewCrashableMem()
	opening := new(atomic.Int64)
	inject := &countdown{at: n, n: 1 + r.Int64N(2)*r.Int64N(5), opening: opening, then: func(op errorfs.Op) error {
		return &os.PathError{Op: "injected", Path: op.Path, Err: syscall.EIO}
	}}
	c := newConfig(errorfs.Wrap(mem, inject))
	c.opening, c.shredWait = opening, 10*time.Second
	w, err := open(c)
	outcome = "unnoticed"
	var told []string
	if err == nil {
		w = life(w, func(step string, err error) bool {
			told = append(told, fmt.Sprintf("%s: %v", step, err))
			return step != "restart"
		})
		if w.exits.Load() > 0 {
			outcome = "the program ends"
			// The real program has gone. What this one goes on with must fail.
			if w.Store != nil && w.page(0) == nil {
				err = errors.New("an event was acknowledged after the end")
			}
		} else if len(told) > 0 {
			outcome = "told"
		}
	} else {
		told, err, outcome = []string{err.Error()}, nil, "told"
	}
	if fired := inject.fired.Load(); fired == nil {
		if len(told) > 0 {
			err = errors.Join(err, fmt.Errorf("without a fault: %v", told))
		}
		outcome = "spared"
	} else {

		if err != nil {
			err = fmt.Errorf("%v of %s: %w", fired.Kind, fired.Path, err)
		}
	}
	calls = inject.calls.Load()
	// The program is killed here, or the power goes.
	percent := 100
	if r.IntN(2) == 0 {
		percent = r.IntN(101)
	}
	cut := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r})
	end := w.end() // for its goroutines; that it may fail is no news
	healthy := c
	healthy.fs, healthy.opening, healthy.shredWait = cut, nil, 0
	if serr := sound(healthy, true); serr != nil {
		fired := "nothing"
		if op := inject.fired.Load(); op != nil {
			fired = fmt.Sprintf("%v of %s", op.Kind, op.Path)
		}
		err = errors.Join(err, fmt.Errorf("after %s failed (%d times; told %v; end %v; %d%% of what was not synced is left): %w", fired, inject.n, told, end, percent, serr))
	}
	return calls, outcome, err
}
