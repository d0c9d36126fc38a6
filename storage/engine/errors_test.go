package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// life is one run of a program over a disk that fails one call. It keeps what
// was acknowledged apart from what was tried, for the judgement afterwards.
type life struct {
	mem  *vfs.MemFS
	fail int64 // number of the call that fails

	calls  atomic.Int64
	failed atomic.Pointer[errorfs.Op]
	at     atomic.Int64 // when it failed, Unix nanoseconds
	exited chan int
	ctx    context.Context // ends a second after the failure: a table that cannot be deleted holds up Scrub
	cancel context.CancelFunc

	mu     sync.Mutex
	over   bool                // the program has ended: nobody hears an answer any more
	acked  map[string]string   // "" means deleted
	tried  map[string][]string // values that may be there instead
	copies map[string]int      // checkpoints that were acknowledged, with the keys that they must hold
	marked uint64
}

var errDisk = errors.New("injected: input/output error")

func (l *life) inject(op errorfs.Op) error {
	if l.calls.Add(1) == l.fail {
		l.at.Store(time.Now().UnixNano())
		l.failed.Store(&op)
		time.AfterFunc(time.Second, l.cancel)
		return errDisk
	}
	return nil
}

// exit is the end of the goroutine that comes here, as with os.Exit.
func (l *life) exit(code int) {
	l.exited <- code
	select {}
}

func (l *life) commit(db *DB, k, v string) error {
	b := db.NewBatch()
	if v == "" {
		b.Delete([]byte(k))
	} else {
		b.Set([]byte(k), []byte(v))
	}
	l.note(func() { l.tried[k] = append(l.tried[k], v) })
	if err := b.Commit(true); err != nil {
		return err
	}
	l.note(func() { l.acked[k], l.tried[k] = v, nil })
	return nil
}

func (l *life) note(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		do()
	}
}

// run lives until an error that a program would stop at, or to the end.
func (l *life) run() error {
	fs := errorfs.Wrap(l.mem, errorfs.InjectorFunc(l.inject))
	for n := range 2 {
		db, err := Open(Options{Dir: "data", FS: fs, CacheBytes: 1 << 20, Logger: quiet(), Exit: l.exit, CloseWait: time.Second})
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		if err := errors.Join(l.work(db, n), db.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (l *life) work(db *DB, n int) (err error) {
	note := func(what string, e error) {
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", what, e))
		}
	}
	key := func(i int) string { return fmt.Sprintf("k%d-%d", n, i) }
	for i := range 6 {
		if e := l.commit(db, key(i), strings.Repeat(key(i), 3000)); e != nil {
			return e
		}
		l.note(func() { l.marked++ })
		note("mark", db.Mark().Store(l.marked))
		if i%2 == 1 {
			note("flush", db.Flush())
		}
	}
	if e := l.commit(db, key(1), ""); e != nil {
		return e
	}
	note("compact", db.Compact(context.Background(), []byte("k"), []byte("l")))
	_, gerr := db.Get([]byte(key(2)), func([]byte) error { return nil })
	note("get", gerr)
	note("iter", db.Iter(nil, nil, func(_, _ []byte) (bool, error) { return true, nil }))
	dir := fmt.Sprintf("copy%d", n)
	if e := db.Checkpoint(dir); e == nil {
		l.note(func() {
			for _, v := range l.acked {
				if v != "" {
					l.copies[dir]++
				}
			}
		})
	} else {
		note("checkpoint", e)
	}
	if e := l.commit(db, key(3), ""); e != nil {
		return e
	}
	note("scrub", db.Scrub(l.ctx, []Range{{[]byte("k"), []byte("l")}}, nil))
	if e := l.commit(db, key(7), "last"); e != nil {
		return e
	}
	return err
}

// judge opens what a power cut leaves now, and checks every promise.
func (l *life) judge(t *testing.T, percent int, rng *rand.Rand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	disk := l.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
	op := "nothing"
	if p := l.failed.Load(); p != nil {
		op = fmt.Sprintf("call %d (%v of %s)", l.fail, p.Kind, p.Path)
	}
	db, err := Open(Options{Dir: "data", FS: disk, CacheBytes: 1 << 20, Logger: quiet(), Exit: noExit(t)})
	if err != nil {
		t.Errorf("%s failed: the folder does not open afterwards: %v", op, err)
		return
	}
	for k, want := range l.acked {
		got := ""
		if _, err := db.Get([]byte(k), func(v []byte) error { got = string(v); return nil }); err != nil {
			t.Errorf("%s failed: %s: %v", op, k, err)
		}
		if got == want {
			continue
		}
		for _, v := range l.tried[k] {
			if got == v {
				want = v
			}
		}
		if got != want {
			t.Errorf("%s failed: %s has %d bytes, %d were acknowledged", op, k, len(got), len(want))
		}
	}
	if seq, ok := db.Mark().Load(); ok && seq > l.marked {
		t.Errorf("%s failed: mark %d, stored %d", op, seq, l.marked)
	}
	mustClose(t, db)
	for dir := range l.copies {
		copied, err := Open(Options{Dir: dir, FS: l.mem, CacheBytes: 1 << 20, Logger: quiet(), Exit: noExit(t), ReadOnly: true})
		if err != nil {
			t.Errorf("%s failed: %s does not open: %v", op, dir, err)
			continue
		}
		n := 0
		if err := copied.Iter([]byte("k"), []byte("l"), func(_, _ []byte) (bool, error) { n++; return true, nil }); err != nil {
			t.Errorf("%s failed: %s: %v", op, dir, err)
		}
		if n != l.copies[dir] {
			t.Errorf("%s failed: %s has %d keys of %d", op, dir, n, l.copies[dir])
		}
		mustClose(t, copied)
	}
}

func live(t *testing.T, fail int64, percent int, rng *rand.Rand) *life {
	l := &life{
		mem: vfs.NewCrashableMem(), fail: fail, exited: make(chan int, 100),
		acked: map[string]string{}, tried: map[string][]string{}, copies: map[string]int{},
	}
	l.ctx, l.cancel = context.WithCancel(t.Context())
	defer l.cancel()
	done := make(chan error, 1)
	go func() { done <- l.run() }()
	var err error
	exited := false
	select {
	case err = <-done:
	case code := <-l.exited:
		exited = true
		if took := time.Since(time.Unix(0, l.at.Load())); code != ExitFatal || took > time.Second {
			t.Errorf("call %d: exit code %d after %v", fail, code, took)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("call %d: %v failed, and nothing has come of it in 30 s", fail, l.failed.Load())
	}
	if op := l.failed.Load(); op != nil {
		synced := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
		if synced && path.Dir(op.Path) == "data" && !exited {
			t.Errorf("call %d: a sync of %s failed and the program goes on (%v)", fail, op.Path, err)
		}
	} else if err != nil || exited {
		t.Errorf("nothing failed, but: %v, exited %v", err, exited)
	}
	l.judge(t, percent, rng)
	return l
}

// Whichever call to the disk fails, once: what was acknowledged stays, an error
// is an error, and a failed sync ends the program.
func TestErrorAtEveryCall(t *testing.T) {
	seed := uint64(time.Now().UnixNano() >> 1)
	t.Logf("seed %d", seed)
	calls := live(t, 0, 0, nil).calls.Load()
	if calls < 200 {
		t.Fatalf("only %d calls", calls)
	}
	places := make(chan struct{}, 8)
	var wg sync.WaitGroup
	var kinds sync.Map
	step := int64(1)
	if testing.Short() {
		step = 7
	}
	for at := 1 + int64(seed)%step; at <= calls+20; at += step {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			rng := rand.New(rand.NewPCG(seed, uint64(at)))
			l := live(t, at, rng.IntN(101), rng)
			if op := l.failed.Load(); op != nil {
				n, _ := kinds.LoadOrStore(op.Kind, new(atomic.Int64))
				n.(*atomic.Int64).Add(1)
			}
		})
	}
	wg.Wait()
	n := 0
	kinds.Range(func(k, v any) bool { n++; return true })
	t.Logf("%d calls, %d kinds of them failed", calls, n)
	if n < 12 {
		t.Errorf("only %d kinds of calls failed", n)
	}
}
