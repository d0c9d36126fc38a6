package audit

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

var (
	crashSeeds = flag.Int("crash.seeds", 30, "power cuts that TestPowerCut tries")
	crashSeed  = flag.Uint64("crash.seed", 0, "the one seed that TestPowerCut tries, when not 0")
)

// A power cut at any moment, with any part of what was not synced surviving:
// the chain is whole, holds every acknowledged entry, and is not accused of a
// loss, by itself or by the head file of that moment.
func TestPowerCut(t *testing.T) {
	base := rand.Uint64()
	for i := range *crashSeeds {
		seed := base + uint64(i)
		if *crashSeed != 0 {
			seed = *crashSeed
		}
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { powerCut(t, seed) }) || *crashSeed != 0 {
			return
		}
	}
}

func powerCut(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	disk := vfs.NewCrashableMem()
	b := newBench(t)
	b.fs = disk
	acked := map[uint64]Entry{}
	for life := range 1 + r.IntN(3) {
		b.open(t, func(o *Options) { o.HeadEvery = time.Duration(1+r.IntN(3000)) * time.Microsecond })
		var mu sync.Mutex
		var wg sync.WaitGroup
		enough, stop := make(chan struct{}), make(chan struct{})
		left := 1 + r.IntN(2*HeadInterval)
		for w := range 1 + r.IntN(6) {
			wg.Go(func() {
				for i := 0; ; i++ {
					e := Entry{Actor: fmt.Sprintf("%d/%d/%d", life, w, i), Action: "a"}
					n, err := b.log.Append(context.Background(), e)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					acked[n] = e
					if left--; left == 0 {
						close(enough)
					}
					mu.Unlock()
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
		<-enough
		// In this order: what is acknowledged, then the file, then the disk.
		mu.Lock()
		must := make(map[uint64]Entry, len(acked))
		for n, e := range acked {
			must[n] = e
		}
		mu.Unlock()
		file, err := os.ReadFile(b.file)
		if err != nil {
			t.Fatal(err)
		}
		crashed := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: rand.New(rand.NewPCG(seed, 2))})
		close(stop)
		wg.Wait()
		b.close(t)
		disk, acked = crashed, must
		b.fs = crashed
		if err := os.WriteFile(b.file, file, 0o600); err != nil {
			t.Fatal(err)
		}
		b.open(t, nil)
		if rep := b.verify(t); !rep.OK || len(rep.Notes) > 0 || rep.Entries != rep.Last {
			t.Fatalf("after the cut: %+v", rep)
		}
		last := uint64(0)
		for _, got := range b.read(t, Query{From: 1}) {
			if last++; got.N != last || got.Actor == self {
				t.Fatalf("entry %d: %+v", last, got)
			}
			if e, ok := acked[got.N]; ok && !reflect.DeepEqual(e, got.Entry) {
				t.Fatalf("entry %d is %+v, was %+v", got.N, got.Entry, e)
			}
		}
		for n := range acked {
			if n > last {
				t.Fatalf("entry %d was acknowledged, the log ends with %d", n, last)
			}
		}
		b.close(t)
	}
}

// walSyncs has fn called before each sync of the write-ahead log.
func walSyncs(fn func() error) vfs.FS {
	return errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			return fn()
		}
		return nil
	}))
}

// gate holds the disk's syncs while it is shut, or fails them.
type gate struct {
	mu      sync.Mutex
	open    chan struct{} // nil: open
	err     error
	waiting chan struct{}
}

func (g *gate) sync() error {
	g.mu.Lock()
	open, err := g.open, g.err
	g.mu.Unlock()
	if open != nil {
		g.waiting <- struct{}{}
		<-open
	}
	return err
}

func (g *gate) set(open chan struct{}, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open, g.err = open, err
}

// While the disk is slow a caller may leave, the queue is bounded, and what
// waited gets one fsync.
func TestSlowDisk(t *testing.T) {
	g := &gate{waiting: make(chan struct{}, 10)}
	b := newBench(t)
	b.fs = walSyncs(g.sync)
	b.open(t, nil)
	open := make(chan struct{})
	g.set(open, nil)
	var wg sync.WaitGroup
	add := func(want error) {
		wg.Go(func() {
			if _, err := b.log.Append(context.Background(), Entry{Actor: "a", Action: "b"}); !errors.Is(err, want) {
				t.Errorf("%v, wanted %v", err, want)
			}
		})
	}
	add(nil)
	<-g.waiting // entry 1 is under way
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range maxWaiting {
		if _, err := b.log.Append(ctx, Entry{Actor: "gone", Action: "b"}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if _, err := b.log.Append(context.Background(), Entry{Actor: "a", Action: "b"}); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	if all := b.read(t, Query{}); len(all) != 0 {
		t.Errorf("%d entries are shown before they are safe", len(all))
	}
	g.set(nil, nil)
	close(open)
	wg.Wait()
	for { // those whom nobody waits for may still be on their way
		_, err := b.log.Append(context.Background(), Entry{Actor: "a", Action: "b"})
		if err == nil {
			break
		}
		if !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
	if r := b.verify(t); !r.OK || r.Entries != maxWaiting+2 {
		t.Errorf("%+v", r)
	}
	b.close(t)
}

// After a sync that failed nothing is acknowledged any more.
func TestFailedSync(t *testing.T) {
	g := &gate{}
	b := newBench(t)
	b.fs = walSyncs(g.sync)
	b.open(t, nil)
	b.append(t, Entry{Actor: "a", Action: "b"})
	g.set(nil, errors.New("injected"))
	for range 3 {
		if n, err := b.log.Append(context.Background(), Entry{Actor: "a", Action: "b"}); !errors.Is(err, ErrFailed) || n != 0 {
			t.Errorf("%d, %v", n, err)
		}
	}
	g.set(nil, nil)
	if _, err := b.log.Append(context.Background(), Entry{Actor: "a", Action: "b"}); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
	if err := b.log.Close(); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// A head is signed by time, by number, at once and at the end.
func TestHeads(t *testing.T) {
	b := newBench(t)
	filed := func() uint64 {
		h, err := ReadHeadFile(b.file)
		if err != nil {
			t.Error(err)
		}
		if err := h.Verify(b.log.PublicKey()); err != nil {
			t.Error(err)
		}
		return h.N
	}
	b.open(t, nil)
	if n := filed(); n != 0 {
		t.Errorf("a new log's head is at %d", n)
	}
	b.append(t, Entry{Actor: "a", Action: "b"})
	if h, err := b.log.Head(); err != nil || h.N != 0 || filed() != 0 {
		t.Errorf("a head at %d before its time, %v", h.N, err)
	}
	if h, err := b.log.Sign(); err != nil || h.N != 1 || filed() != 1 {
		t.Errorf("%d, %v", h.N, err)
	}
	b.fill(t, HeadInterval)
	until(t, "a head by number", func() bool { return filed() >= HeadInterval })
	b.append(t, Entry{Actor: "a", Action: "b"})
	b.close(t)
	if n := filedAt(t, b.file); n != HeadInterval+1 {
		t.Errorf("Close left the head at %d", n)
	}
	b.open(t, func(o *Options) { o.HeadEvery = time.Millisecond })
	b.append(t, Entry{Actor: "a", Action: "b"})
	until(t, "a head by time", func() bool { return filed() == HeadInterval+2 })
	b.close(t)
	info, err := os.Stat(b.file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if rest, err := filepath.Glob(filepath.Join(filepath.Dir(b.file), ".*")); err != nil || len(rest) > 0 {
		t.Errorf("left behind: %v, %v", rest, err)
	}
}

func filedAt(t *testing.T, path string) uint64 {
	t.Helper()
	h, err := ReadHeadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return h.N
}

// A head file that cannot be written is told, does not stop the log, and is
// written again when it can be.
func TestHeadFileThatCannotBeWritten(t *testing.T) {
	b := newBench(t)
	b.open(t, nil)
	b.append(t, Entry{Actor: "a", Action: "b"})
	dir := filepath.Dir(b.file)
	if err := errors.Join(os.Rename(dir, dir+".away"), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if h, err := b.log.Sign(); !errors.Is(err, ErrHeadFile) || h.N != 0 {
		t.Error(h.N, err)
	}
	if _, err := b.log.Head(); !errors.Is(err, ErrHeadFile) {
		t.Error(err)
	}
	b.append(t, Entry{Actor: "a", Action: "b"})
	if err := errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)); err != nil {
		t.Fatal(err)
	}
	if h, err := b.log.Sign(); err != nil || h.N != 2 || filedAt(t, b.file) != 2 {
		t.Error(h.N, err)
	}
	if _, err := b.log.Head(); err != nil {
		t.Error(err)
	}
	if r := b.verify(t); !r.OK {
		t.Errorf("%+v", r)
	}
	b.close(t)
	// At a start it is a fault of the configuration.
	b.file = filepath.Join(b.file, "below", "a file")
	if err := b.tryOpen(t, nil); !errors.Is(err, ErrHeadFile) && !errors.As(err, new(*fs.PathError)) {
		t.Error(err)
	}
	b.log = nil
	b.close(t)
}

// A data folder that was begun anew beside old keys: the old head is kept.
func TestAnotherInstallsHeadFile(t *testing.T) {
	old := newBench(t)
	old.open(t, nil)
	old.append(t, Entry{Actor: "a", Action: "b"})
	key := KeyID(old.log.PublicKey())
	old.close(t)

	b := newBench(t)
	b.file = old.file
	b.open(t, nil)
	if n := filedAt(t, b.file+"."+key); n != 1 {
		t.Errorf("the old head is at %d", n)
	}
	b.append(t, Entry{Actor: "a", Action: "b"})
	if r := b.verify(t); !r.OK || r.Entries != 1 {
		t.Errorf("%+v", r)
	}
	b.close(t)
	// The old install does not take the new one's file for its own.
	if err := old.tryOpen(t, nil); !errors.Is(err, ErrHeadFile) || !strings.Contains(err.Error(), "another install") {
		t.Error(err)
	}
	old.close(t)
}
