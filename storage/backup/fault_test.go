package backup

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

var faultSeeds = flag.Int("backup.crashes", 60, "power cuts that TestPowerCut tries")

// countdown fails the n-th call, once. It spares the calls of Pebble's Open:
// where that fails, a goroutine of its own may panic over the cache that Open
// has closed (Pebble 2.1.7, collectTableStats). Package engine tries those.
type countdown struct {
	left   atomic.Int64
	spared bool
	then   func(op errorfs.Op) error
}

func (c *countdown) arm(n int64) { c.spared = false; c.left.Store(n) }

func (c *countdown) String() string { return "countdown" }

func (c *countdown) MaybeError(op errorfs.Op) error {
	if c.left.Add(-1) != 0 {
		return nil
	}
	if inPebbleOpen() {
		c.spared = true
		return nil
	}
	return c.then(op)
}

func inPebbleOpen() bool {
	pc := make([]uintptr, 100)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "pebble/v2.Open") {
			return true
		}
		if !more {
			return false
		}
	}
}

// sound checks that every snapshot of a backup folder is whole, and how many there are.
func sound(t *testing.T, d vfs.FS, dir string, least int) {
	t.Helper()
	b := &folder{d, dir}
	list, err := b.snapshots()
	if errors.Is(err, ErrNotBackup) && least == 0 {
		return
	}
	if err != nil || len(list) < least {
		t.Errorf("%d snapshots, wanted %d or more: %v", len(list), least, err)
	}
	for _, s := range list {
		if _, err := b.verify(t.Context(), s.ID, nil); err != nil {
			t.Error(err)
		}
	}
}

// Whatever call fails, Make says so, what is in the folder stays whole, and the
// next Make puts it right.
func TestFaultAtEveryCall(t *testing.T) {
	boom := errors.New("injected")
	inject := &countdown{then: func(errorfs.Op) error { return boom }}
	for _, before := range []int{0, 1} { // snapshots that are there
		faults, silent := 0, 0
		for n := int64(1); ; n++ {
			mem := vfs.NewMem()
			s := openStore(t, mem, "data")
			s.fill(t, rand.New(rand.NewPCG(1, 1)), 3000, "x")
			s.write(t, 5, "e")
			if before == 1 {
				s.backUp(t, "backups")
				s.write(t, 5, "e")
			}
			o := s.options("backups")
			o.FS = errorfs.Wrap(mem, inject)
			inject.arm(n)
			_, err := Make(t.Context(), o)
			fired, spared := inject.left.Load() <= 0, inject.spared
			inject.arm(0)
			switch {
			case spared:
			case err == nil && fired:
				silent++ // the disk's free space, a file that is read again, the links
			case err != nil:
				faults++
			}
			sound(t, mem, "backups", before)
			s.backUp(t, "backups")
			sound(t, mem, "backups", before+1)
			if names, err := mem.List("data/scratch"); err != nil || len(names) != 1 {
				t.Errorf("call %d: scratch holds %v, %v", n, names, err)
			}
			if names, err := mem.List("backups/objects"); err != nil || strings.Contains(fmt.Sprint(names), tmpSuffix) {
				t.Errorf("call %d: objects holds %v, %v", n, names, err)
			}
			s.close(t)
			if !fired {
				break
			}
		}
		t.Logf("with %d snapshots: %d calls failed Make, %d did not", before, faults, silent)
		if faults < 50 || silent > faults/5 {
			t.Errorf("%d faults were told, %d were not", faults, silent)
		}
	}
}

// A power cut at any call, with any part of what was not synced surviving,
// leaves whole snapshots only, among them all that Make answered for.
func TestPowerCut(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for i := range *faultSeeds {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		mem := vfs.NewCrashableMem()
		s := openStore(t, mem, "data")
		s.fill(t, r, 3000, "x")
		made := r.IntN(2)
		if made == 1 {
			s.write(t, 5, "e")
			s.backUp(t, "backups")
		}
		s.write(t, 5, "e")
		var cut *vfs.MemFS
		survives := vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: rand.New(rand.NewPCG(seed, uint64(i)))}
		var once sync.Once
		inject := &countdown{then: func(errorfs.Op) error {
			once.Do(func() { cut = mem.CrashClone(survives) })
			return nil
		}}
		inject.arm(1 + r.Int64N(220))
		o := s.options("backups")
		o.FS = errorfs.Wrap(mem, inject)
		if _, err := Make(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if cut == nil { // right after the answer
			cut = mem.CrashClone(survives)
			made++
		}
		s.close(t)
		sound(t, cut, "backups", made)
		s = openStore(t, cut, "data")
		s.backUp(t, "backups")
		sound(t, cut, "backups", made+1)
		s.close(t)
		if t.Failed() {
			t.Fatalf("seed %d, cut %d", seed, i)
		}
	}
}

// Whatever call fails, a restore that says so leaves nothing at its target, and
// one that does not is right.
func TestRestoreFaults(t *testing.T) {
	boom := errors.New("injected")
	inject := &countdown{then: func(errorfs.Op) error { return boom }}
	mem := vfs.NewMem()
	s := openStore(t, mem, "data")
	s.fill(t, rand.New(rand.NewPCG(1, 1)), 3000, "x")
	s.write(t, 50, "e")
	s.backUp(t, "backups")
	want := contents(t, s.db)
	s.close(t)
	faults := 0
	for n := int64(1); ; n++ {
		o := restoreOptions(t, "backups", fmt.Sprintf("back%d", n))
		o.FS = errorfs.Wrap(mem, inject)
		inject.arm(n)
		_, err := Restore(t.Context(), o)
		fired := inject.left.Load() <= 0
		inject.arm(0)
		if err != nil {
			faults++
		}
		// Behind the rename the last sync of all may fail: then all is there, too.
		if _, serr := mem.Stat(o.To); serr == nil {
			r := openStore(t, mem, o.To)
			equal(t, contents(t, r.db), want)
			r.close(t)
		} else if err == nil {
			t.Errorf("call %d: nothing was restored: %v", n, serr)
		}
		if !fired {
			break
		}
	}
	if faults < 50 {
		t.Errorf("%d faults were told", faults)
	}
}
