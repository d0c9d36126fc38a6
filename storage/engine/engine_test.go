package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// childMode makes the test binary play another process: see TestMain.
const childMode = "REUNA_ENGINE_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childMode) {
	case "":
		os.Exit(m.Run())
	case "open":
		_, err := Open(Options{Dir: os.Getenv("REUNA_ENGINE_TEST_DIR")})
		fmt.Println("in use:", errors.Is(err, ErrInUse), err)
	case "full":
		if err := realDiskFull(os.Getenv("REUNA_ENGINE_TEST_DIR")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	case "fsync":
		var broken atomic.Bool
		db, err := Open(Options{Dir: os.Getenv("REUNA_ENGINE_TEST_DIR"), FS: failing(vfs.Default, &broken, isWALSync)})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		broken.Store(true)
		b := db.NewBatch()
		b.Set([]byte("k"), []byte("v"))
		fmt.Println("acknowledged:", b.Commit(true) == nil)
	}
}

func child(t *testing.T, mode, dir string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childMode+"="+mode, "REUNA_ENGINE_TEST_DIR="+dir)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// failing injects errors into the operations that match while broken is set.
func failing(fs vfs.FS, broken *atomic.Bool, match func(errorfs.Op) bool) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && match(op) {
			return errors.New("injected")
		}
		return nil
	}))
}

func isWALSync(op errorfs.Op) bool {
	return strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo)
}

func isWALWrite(op errorfs.Op) bool {
	return strings.HasSuffix(op.Path, ".log") && op.Kind == errorfs.OpFileWrite
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func mustOpen(t testing.TB, o Options) *DB {
	t.Helper()
	if o.Dir == "" {
		o.Dir = "data"
	}
	if o.Logger == nil {
		o.Logger = quiet()
	}
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func mustClose(t testing.TB, db *DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func mustSet(t testing.TB, db *DB, kv ...string) {
	t.Helper()
	b := db.NewBatch()
	for i := 0; i < len(kv); i += 2 {
		b.Set([]byte(kv[i]), []byte(kv[i+1]))
	}
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
}

func scan(t testing.TB, walk func(lower, upper []byte, fn func(k, v []byte) (bool, error)) error, lower, upper string) string {
	t.Helper()
	bound := func(s string) []byte {
		if s == "" {
			return nil
		}
		return []byte(s)
	}
	var got []string
	if err := walk(bound(lower), bound(upper), func(k, v []byte) (bool, error) {
		got = append(got, string(k)+"="+string(v))
		return string(k) != "stop", nil
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(got, " ")
}

func TestReadWrite(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem()})
	defer mustClose(t, db)
	mustSet(t, db, "a", "1", "b", "2", "c", "3", "d", "4", "stop", "5", "z", "6")
	for _, c := range []struct{ lower, upper, up, down string }{
		{"a", "c", "a=1 b=2", "b=2 a=1"},
		{"b", "e", "b=2 c=3 d=4", "d=4 c=3 b=2"},
		{"d", "", "d=4 stop=5", "z=6 stop=5"},
		{"e", "f", "", ""},
	} {
		if got := scan(t, db.Iter, c.lower, c.upper); got != c.up {
			t.Errorf("Iter(%q, %q): %s, want %s", c.lower, c.upper, got, c.up)
		}
		if got := scan(t, db.IterReverse, c.lower, c.upper); got != c.down {
			t.Errorf("IterReverse(%q, %q): %s, want %s", c.lower, c.upper, got, c.down)
		}
	}
	b := db.NewBatch()
	b.Delete([]byte("a"))
	b.DeleteRange([]byte("c"), []byte("e"))
	if b.Count() != 2 || b.Len() == 0 {
		t.Errorf("batch counts %d, %d bytes", b.Count(), b.Len())
	}
	if err := b.Commit(false); err != nil {
		t.Fatal(err)
	}
	if got := scan(t, db.Iter, "a", "e"); got != "b=2" {
		t.Errorf("after deletes: %s", got)
	}
	if found, err := db.Get([]byte("a"), func([]byte) error { t.Error("called"); return nil }); found || err != nil {
		t.Errorf("deleted key: %v, %v", found, err)
	}
	own := errors.New("own")
	if found, err := db.Get([]byte("b"), func([]byte) error { return own }); !found || !errors.Is(err, own) {
		t.Errorf("fn's error: %v, %v", found, err)
	}
	if err := db.Iter(nil, nil, func(_, _ []byte) (bool, error) { return true, own }); !errors.Is(err, own) {
		t.Errorf("fn's error: %v", err)
	}
}

func TestBatchEndsOnce(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem()})
	defer mustClose(t, db)
	var ends []bool
	note := func(ok bool) { ends = append(ends, ok) }
	b := db.NewBatch()
	b.OnEnd(note)
	b.Set([]byte("k"), nil)
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	b.Discard()
	if b.Commit(true) == nil {
		t.Error("a batch was committed twice")
	}
	b = db.NewBatch()
	b.OnEnd(note)
	b.Discard()
	b.Discard()
	if fmt.Sprint(ends) != "[true false]" {
		t.Errorf("ends: %v", ends)
	}
}

func TestFolderIsHeldOnce(t *testing.T) {
	for name, o := range map[string]Options{"memory": {Dir: "d", FS: vfs.NewMem()}, "disk": {Dir: t.TempDir()}} {
		t.Run(name, func(t *testing.T) {
			db := mustOpen(t, o)
			if _, err := Open(o); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "data folder "+o.Dir+" is in use by another gateway") {
				t.Errorf("second open: %v", err)
			}
			if name == "disk" {
				if out, _ := child(t, "open", o.Dir); !strings.HasPrefix(out, "in use: true") {
					t.Errorf("another process: %s", out)
				}
			}
			mustClose(t, db)
			mustClose(t, mustOpen(t, o))
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	newer := vfs.NewMem()
	db := mustOpen(t, Options{FS: newer})
	mustSet(t, db, string(keyspace.AppendMeta(nil, keyspace.MetaFormat)), string(record.AppendUvarint(nil, FormatVersion+1)))
	mustClose(t, db)

	foreign := vfs.NewMem()
	p, err := pebble.Open("data", &pebble.Options{FS: foreign, FormatMajorVersion: pebbleFormat, Logger: pebbleLogger{&DB{log: quiet()}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Set([]byte("x"), nil, nil), p.Close()); err != nil {
		t.Fatal(err)
	}

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		o    Options
		is   error
		says string
	}{
		{"newer format", Options{Dir: "data", FS: newer}, ErrFormat, "has format 3, this program reads up to 2"},
		{"another program's", Options{Dir: "data", FS: foreign}, ErrFormat, "another program's data"},
		{"no folder named", Options{}, nil, "Options.Dir is empty"},
		{"a file in the way", Options{Dir: filepath.Join(file, "d")}, nil, "cannot be made"},
		{"nothing to read", Options{Dir: filepath.Join(t.TempDir(), "none"), ReadOnly: true}, nil, "cannot be opened"},
	} {
		c.o.Logger = quiet()
		db, err := Open(c.o)
		if err == nil {
			mustClose(t, db)
		}
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A folder of an older format keeps its number until it was brought up.
func TestOlderFormatIsOpened(t *testing.T) {
	fs := vfs.NewMem()
	db := mustOpen(t, Options{FS: fs})
	if err := db.SetFormat(1); err != nil {
		t.Fatal(err)
	}
	for _, want := range []uint64{1, FormatVersion} {
		mustClose(t, db)
		db = mustOpen(t, Options{FS: fs})
		if db.Format() != want {
			t.Errorf("format %d, wanted %d", db.Format(), want)
		}
		if err := db.SetFormat(FormatVersion); err != nil || db.Format() != FormatVersion {
			t.Error(db.Format(), err)
		}
	}
	mustClose(t, db)
}

func TestReadOnly(t *testing.T) {
	fs := vfs.NewMem()
	db := mustOpen(t, Options{FS: fs})
	mustSet(t, db, "a", "1")
	mustClose(t, db)
	db = mustOpen(t, Options{FS: fs, ReadOnly: true})
	defer mustClose(t, db)
	if got := scan(t, db.Iter, "a", "b"); got != "a=1" {
		t.Errorf("read: %s", got)
	}
	b := db.NewBatch()
	b.Set([]byte("a"), nil)
	for what, err := range map[string]error{"commit": b.Commit(true), "flush": db.Flush(), "compact": db.Compact(context.Background(), nil, nil)} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Whatever way the disk fails a commit, it is not acknowledged, the program is
// told to exit with code 70, and nothing is acknowledged afterwards.
func TestFatalCommit(t *testing.T) {
	for name, match := range map[string]func(errorfs.Op) bool{"fsync": isWALSync, "write": isWALWrite} {
		t.Run(name, func(t *testing.T) {
			var broken atomic.Bool
			var log bytes.Buffer
			codes := make(chan int, 100)
			db := mustOpen(t, Options{
				FS:     failing(vfs.NewMem(), &broken, match),
				Exit:   func(code int) { codes <- code },
				Logger: slog.New(slog.NewTextHandler(&lockedWriter{w: &log}, nil)),
			})
			mustSet(t, db, "a", "1")
			broken.Store(true)
			b := db.NewBatch()
			var end []bool
			b.OnEnd(func(ok bool) { end = append(end, ok) })
			b.Set([]byte("b"), []byte("2"))
			if err := b.Commit(true); !errors.Is(err, ErrFailed) {
				t.Errorf("commit on a broken disk: %v", err)
			}
			if fmt.Sprint(end) != "[false]" {
				t.Errorf("hooks: %v", end)
			}
			if code := <-codes; code != 70 {
				t.Errorf("exit code %d", code)
			}
			broken.Store(false)
			b = db.NewBatch()
			b.Set([]byte("c"), []byte("3"))
			if err := b.Commit(true); !errors.Is(err, ErrFailed) {
				t.Errorf("commit afterwards: %v", err)
			}
			for what, err := range map[string]error{"Healthy": db.Healthy(), "Close": db.Close()} {
				if !errors.Is(err, ErrFailed) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if !strings.Contains(log.String(), "fatal error") {
				t.Errorf("the log does not tell: %s", log.String())
			}
		})
	}
}

type lockedWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func TestFatalReallyExits(t *testing.T) {
	out, code := child(t, "fsync", t.TempDir())
	if code != ExitFatal || strings.Contains(out, "acknowledged:") {
		t.Errorf("exit code %d, output %s", code, out)
	}
}

// A flipped bit in a table is an error with the file's name, never data, and
// does not end the program.
func TestDamagedTable(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, Options{Dir: dir})
	mustSet(t, db, "a", strings.Repeat("-", 4*blockBytes), "b", strings.Repeat("v", 4*blockBytes)) // each in a block of its own
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	mustClose(t, db)
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	for _, path := range tables {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(data, []byte("vvvvvvvv")); i >= 0 {
			data[i+3] ^= 0x10
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	db = mustOpen(t, Options{Dir: dir, Exit: func(code int) { t.Errorf("exit %d", code) }})
	defer mustClose(t, db)
	_, err = db.Get([]byte("b"), func([]byte) error { t.Error("damaged data was given out"); return nil })
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("get: %v", err)
	}
	if err := db.Healthy(); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), ".sst") {
		t.Errorf("Healthy: %v", err)
	}
	mustSet(t, db, "c", "still taken")
}

func TestCheckpointAndMetrics(t *testing.T) {
	fs := vfs.NewMem()
	db := mustOpen(t, Options{FS: fs})
	mustSet(t, db, "a", "1", "b", "2")
	if err := db.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	mustSet(t, db, "c", "3")
	if err := errors.Join(db.Flush(), db.Compact(context.Background(), []byte("a"), []byte("z"))); err != nil {
		t.Fatal(err)
	}
	if m := db.Metrics(); m.DiskBytes == 0 || m.Flushes == 0 || m.Tables == 0 || m.WALBytesWritten == 0 {
		t.Errorf("metrics: %+v", m)
	}
	if _, known := db.FreeBytes(); known {
		t.Error("a disk in memory knows its free space")
	}
	mustClose(t, db)
	db = mustOpen(t, Options{Dir: "copy", FS: fs})
	defer mustClose(t, db)
	if got := scan(t, db.Iter, "a", "z"); got != "a=1 b=2" {
		t.Errorf("copy holds %s", got)
	}
}

// Close waits for those inside, who may come in again, and turns away the rest.
func TestClose(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem()})
	mustSet(t, db, "a", "1")
	inside, closed := make(chan struct{}), make(chan error)
	go func() {
		<-inside
		closed <- db.Close()
	}()
	err := db.Iter(nil, nil, func(_, _ []byte) (bool, error) {
		close(inside)
		for !db.uses.closed() { // the closer is at the gate
			select {
			case err := <-closed:
				t.Fatal("closed under a reader", err)
			default:
			}
		}
		_, err := db.Get([]byte("a"), func([]byte) error { return nil })
		if !errors.Is(err, ErrClosed) {
			t.Errorf("read at a closed gate: %v", err)
		}
		return false, nil
	})
	if err := errors.Join(err, <-closed, db.Close()); err != nil {
		t.Fatal(err)
	}
	b := db.NewBatch()
	b.Set([]byte("x"), nil)
	_, gerr := db.Get([]byte("a"), func([]byte) error { return nil })
	for what, err := range map[string]error{
		"get": gerr, "iter": db.Iter(nil, nil, nil), "commit": b.Commit(true), "flush": db.Flush(),
		"checkpoint": db.Checkpoint("x"), "healthy": db.Healthy(),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if db.Metrics() != (Metrics{}) {
		t.Error("metrics of a closed store")
	}
}

// Pebble's and our own format versions are on disk: a change is a decision.
func TestFormatsArePinned(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem()})
	defer mustClose(t, db)
	if v := db.p.FormatMajorVersion(); v != 21 || FormatVersion != 2 || db.Format() != 2 {
		t.Errorf("Pebble format %d, own format %d", v, FormatVersion)
	}
}

func TestGetAllocations(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem()})
	defer mustClose(t, db)
	mustSet(t, db, "a", "1")
	key := []byte("a")
	n := testing.AllocsPerRun(1000, func() {
		if _, err := db.Get(key, func([]byte) error { return nil }); err != nil {
			t.Fatal(err)
		}
	})
	if n > 1 { // Pebble's closer
		t.Errorf("%.0f allocations a get", n)
	}
}
