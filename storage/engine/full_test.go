package engine

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/reuna/reuna/storage/smalldisk"
)

func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 20 s in vain until %s", what)
		}
	}
}

func isFull(db *DB) func() bool { return func() bool { _, full := db.Full(); return full } }

// writer commits numbered keys one after the other until it fails or is told
// to stop. What it says is acknowledged must be there for ever.
type writer struct {
	db    *DB
	bytes int
	acked atomic.Int64
	stop  atomic.Bool
	ended chan error
}

func (w *writer) value(i int64) []byte {
	r := rand.New(rand.NewPCG(7, uint64(i)))
	v := make([]byte, w.bytes)
	for i := range v {
		v[i] = byte(r.Uint32())
	}
	return v
}

func startWriter(db *DB, bytes int) *writer {
	w := &writer{db: db, bytes: bytes, ended: make(chan error, 1)}
	go func() {
		for i := int64(0); !w.stop.Load(); i++ {
			b := db.NewBatch()
			b.Set(fmt.Appendf(nil, "k%09d", i), w.value(i))
			if err := b.Commit(true); err != nil {
				w.ended <- err
				return
			}
			w.acked.Store(i + 1)
		}
		w.ended <- nil
	}()
	return w
}

func (w *writer) check(t testing.TB, db *DB) {
	t.Helper()
	for i := range w.acked.Load() {
		found, err := db.Get(fmt.Appendf(nil, "k%09d", i), func(v []byte) error {
			if !bytes.Equal(v, w.value(i)) {
				t.Errorf("value %d differs", i)
			}
			return nil
		})
		if err != nil || !found {
			t.Fatalf("key %d of %d acknowledged: found %v, %v", i, w.acked.Load(), found, err)
		}
	}
}

// On a disk that fills up commits wait, reads go on, and when space returns
// everything goes on by itself.
func TestDiskFull(t *testing.T) {
	disk := smalldisk.New("data", 6<<20)
	var log bytes.Buffer
	db := mustOpen(t, Options{FS: disk, Exit: noExit(t), Logger: slog.New(slog.NewTextHandler(&lockedWriter{w: &log}, nil))})
	w := startWriter(db, 20<<10)
	for round := range 3 {
		until(t, "the disk is full", isFull(db))
		until(t, "commits wait", func() bool { n := w.acked.Load(); time.Sleep(3 * pollFull); return n == w.acked.Load() })
		w.check(t, db)
		if since, full := db.Full(); !full || since.IsZero() || time.Since(since) > time.Minute {
			t.Errorf("round %d: full %v since %v", round, full, since)
		}
		if err := db.Healthy(); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		before := w.acked.Load()
		disk.Grow(4 << 20)
		until(t, "commits go on", func() bool { return w.acked.Load() > before })
	}
	disk.Resize(1 << 40)
	until(t, "there is room", func() bool { return !isFull(db)() })
	w.stop.Store(true)
	if err := <-w.ended; err != nil {
		t.Fatal(err)
	}
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	w.check(t, db)
	mustClose(t, db)
	if n := strings.Count(log.String(), "the disk is full"); n < 3 || n > 50 || !strings.Contains(log.String(), "has space again") {
		t.Errorf("the log says %d times that the disk is full", n)
	}
	db = mustOpen(t, Options{FS: disk})
	w.check(t, db)
	mustClose(t, db)
}

func noExit(t testing.TB) func(int) {
	return func(code int) { t.Errorf("exit %d", code) }
}

// Close of a full store ends, tells those who wait, and leaves a folder that
// holds all that was acknowledged.
func TestCloseWhileDiskIsFull(t *testing.T) {
	disk := smalldisk.New("data", 3<<20)
	db := mustOpen(t, Options{FS: disk, Exit: noExit(t), CloseWait: 200 * time.Millisecond})
	w := startWriter(db, 10<<10)
	until(t, "the disk is full", isFull(db))
	start := time.Now()
	if err := db.Close(); !errors.Is(err, ErrFull) {
		t.Errorf("Close: %v", err)
	}
	if err := <-w.ended; !errors.Is(err, ErrFull) && !errors.Is(err, ErrClosed) {
		t.Errorf("commit: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Close took %v", took)
	}
	disk.Resize(1 << 40)
	db = mustOpen(t, Options{FS: disk})
	w.check(t, db)
	mustClose(t, db)
}

// A table that finds no room is tried again at a bounded pace, and the log does
// not repeat itself.
func TestFlushWithoutRoom(t *testing.T) {
	var full atomic.Bool
	var tries atomic.Int64
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && strings.HasSuffix(op.Path, ".sst") && op.Kind == errorfs.OpFileWrite {
			tries.Add(1)
			return &os.PathError{Op: "write", Path: op.Path, Err: syscall.EDQUOT}
		}
		return nil
	}))
	var log bytes.Buffer
	db := mustOpen(t, Options{FS: fs, Exit: noExit(t), Logger: slog.New(slog.NewTextHandler(&lockedWriter{w: &log}, nil))})
	mustSet(t, db, "a", strings.Repeat("1", 1<<16))
	full.Store(true)
	start := time.Now()
	flushed := make(chan error, 1)
	go func() { flushed <- db.Flush() }()
	until(t, "the flush was tried four times", func() bool { return tries.Load() >= 4 })
	if took := time.Since(start); took < firstPause*(1+2+4) {
		t.Errorf("four tries in %v", took)
	}
	if !isFull(db)() {
		t.Error("the store does not say that it is full")
	}
	mustSet(t, db, "b", "2") // the log has room
	full.Store(false)
	if err := <-flushed; err != nil {
		t.Error(err)
	}
	until(t, "there is room", func() bool { return !isFull(db)() })
	mustClose(t, db)
	if n := strings.Count(log.String(), "\n"); n > 3 {
		t.Errorf("%d lines of log: %s", n, log.String())
	}
}

// Whichever operation finds the disk full, once or a few times in a row, the
// store goes on as if nothing had been.
func TestDiskFullAtEveryCall(t *testing.T) {
	// run plays one life of a store; the disk is full for calls at..at+3.
	run := func(t *testing.T, at int64) (calls int64) {
		var n atomic.Int64
		mem := vfs.NewCrashableMem()
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			switch op.Kind {
			case errorfs.OpFileWrite, errorfs.OpCreate, errorfs.OpRename, errorfs.OpReuseForWrite:
				if i := n.Add(1); i > at && i <= at+3 {
					return &os.PathError{Op: "inject", Path: op.Path, Err: syscall.ENOSPC}
				}
			}
			return nil
		}))
		for life := range 2 {
			db := mustOpen(t, Options{FS: fs, Exit: noExit(t), CloseWait: time.Minute})
			for i := range 6 {
				mustSet(t, db, fmt.Sprintf("%d-%d", life, i), strings.Repeat("v", 40<<10))
				if i%2 == 1 {
					if err := db.Flush(); err != nil {
						t.Fatalf("call %d: %v", at, err)
					}
				}
			}
			if err := db.Compact(t.Context(), []byte("0"), []byte("9")); err != nil {
				// A compaction without room is the one thing that its caller is told.
				if !noSpace(err) {
					t.Fatalf("call %d: %v", at, err)
				}
			}
			mustClose(t, db)
		}
		db := mustOpen(t, Options{FS: mem.CrashClone(vfs.CrashCloneCfg{})})
		if got := len(strings.Fields(scan(t, db.Iter, "0", "9"))); got != 12 {
			t.Errorf("call %d: %d of 12 keys are there", at, got)
		}
		mustClose(t, db)
		return n.Load()
	}
	calls := run(t, 1<<40)
	if calls < 50 {
		t.Fatalf("only %d calls", calls)
	}
	sem := make(chan struct{}, 16)
	var wg sync.WaitGroup
	for at := range calls {
		sem <- struct{}{}
		wg.Go(func() { defer func() { <-sem }(); run(t, at) })
	}
	wg.Wait()
}

// TestRealDiskFull is TestDiskFull on a file system of the kernel: a tmpfs of
// 24 MB in a mount namespace of its own, where the system allows that.
func TestRealDiskFull(t *testing.T) {
	dir := t.TempDir()
	script := `mount -t tmpfs -o size=24m none "$1" && shift && exec "$@"`
	probe := exec.Command("unshare", "-rm", "sh", "-c", script, "sh", dir, "true")
	if out, err := probe.CombinedOutput(); err != nil {
		t.Logf("no tmpfs here (%v: %s): the tests with a small disk in memory stand for it", err, bytes.TrimSpace(out))
		return
	}
	cmd := exec.Command("unshare", "-rm", "sh", "-c", script, "sh", dir, os.Args[0])
	cmd.Env = append(os.Environ(), childMode+"=full", "REUNA_ENGINE_TEST_DIR="+dir)
	out, err := cmd.CombinedOutput()
	t.Logf("on a tmpfs of 24 MB: %s", out)
	if err != nil || !strings.Contains(string(out), "recovered true") {
		t.Error(err)
	}
}

// realDiskFull plays the child of TestRealDiskFull: fill the disk with a file
// and with writes, see that all waits, remove the file, see that all goes on.
func realDiskFull(dir string) error {
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 16<<20), 0o600); err != nil {
		return err
	}
	db, err := Open(Options{Dir: filepath.Join(dir, "data"), Logger: slog.New(slog.NewTextHandler(os.Stdout, nil))})
	if err != nil {
		return err
	}
	w := startWriter(db, 64<<10)
	wait := func(is func() bool) {
		for end := time.Now().Add(30 * time.Second); !is() && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	}
	wait(isFull(db))
	_, full := db.Full()
	before := w.acked.Load()
	if err := os.Remove(ballast); err != nil {
		return err
	}
	wait(func() bool { return w.acked.Load() > before })
	w.stop.Store(true)
	err = errors.Join(<-w.ended, db.Close())
	fmt.Println("full", full, "recovered", w.acked.Load() > before, "acknowledged "+strconv.FormatInt(w.acked.Load(), 10))
	if db, err = reopen(err, dir); err != nil {
		return err
	}
	for i := range w.acked.Load() {
		found, gerr := db.Get(fmt.Appendf(nil, "k%09d", i), func([]byte) error { return nil })
		if err = errors.Join(err, gerr); !found {
			err = errors.Join(err, fmt.Errorf("key %d was acknowledged and is gone", i))
		}
	}
	return errors.Join(err, db.Close())
}

func reopen(err error, dir string) (*DB, error) {
	if err != nil {
		return nil, err
	}
	return Open(Options{Dir: filepath.Join(dir, "data"), Logger: quiet()})
}
