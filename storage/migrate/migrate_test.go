package migrate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
	"github.com/reuna/reuna/storage/vault"
)

var everyCut = flag.Bool("cut.every", false, "have TestUpSurvivesCuts cut the power at every moment")

const fixture = "testdata/format1"

func masterKey(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(fixture, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// format1 is a copy, synced, of the folder that a program of format 1 left.
func format1(t testing.TB) *vfs.MemFS {
	t.Helper()
	mem := vfs.NewCrashableMem()
	if err := mem.MkdirAll("data", 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Join(fixture, "data"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(fixture, "data", f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		w, err := mem.Create("data/"+f.Name(), vfs.WriteCategoryUnspecified)
		if err == nil {
			_, err = io.Copy(w, bytes.NewReader(text))
		}
		if err == nil {
			err = errors.Join(w.Sync(), w.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"data", ""} {
		d, err := mem.OpenDir(dir)
		if err == nil {
			err = errors.Join(d.Sync(), d.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return mem
}

func openDB(t testing.TB, fs vfs.FS, readOnly bool) *engine.DB {
	t.Helper()
	db, err := engine.Open(engine.Options{Dir: "data", FS: fs, ReadOnly: readOnly, CacheBytes: 1 << 20, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func closeAll(t testing.TB, all ...io.Closer) {
	t.Helper()
	for _, c := range all {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// checkMigrated opens the folder as the gateway does and fails unless its log
// is, entry by entry, what the old program read, and everything sealed opens.
func checkMigrated(t testing.TB, db *engine.DB) {
	t.Helper()
	if db.Format() != engine.FormatVersion {
		t.Fatalf("format %d", db.Format())
	}
	v, err := vault.Open(db, masterKey(t))
	if err != nil {
		t.Fatal(err)
	}
	if u := v.Unfinished(); len(u) > 0 {
		t.Fatal("groups with two keys:", u)
	}
	wraps := 0
	lower, upper := keyspace.Bounds(keyspace.AppendVault(nil, keyspace.VaultWrap, nil))
	if err := db.Iter(lower, upper, func(_, _ []byte) (bool, error) { wraps++; return true, nil }); err != nil || wraps != vault.Groups {
		t.Fatalf("%d wrapping keys, %v", wraps, err)
	}
	log, err := eventlog.Open(db, v, eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	if err := log.Read(0, func(seq uint64, at int64, entry []byte) (bool, error) {
		fmt.Fprintf(&got, "%d %d %d %x\n", seq, at, entry[0], sha256.Sum256(entry))
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(fixture, "entries.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Fatalf("the log has\n%s, the old program read\n%s", got.String(), want)
	}
	facets := 0
	lower, upper = keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Facet))
	if err := db.Iter(lower, upper, func(k, sealed []byte) (bool, error) {
		h, err := keyspace.ParseFacet(k)
		if err != nil {
			return false, err
		}
		key, err := v.FacetKey(h, false, nil)
		if err == nil {
			_, err = key.Open(nil, sealed, k)
		}
		facets++
		return true, err
	}); err != nil || facets < 10 {
		t.Fatalf("%d facets, %v", facets, err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUp(t *testing.T) {
	mem := format1(t)
	db := openDB(t, mem, false)
	if db.Format() != 1 {
		t.Fatalf("the fixture has format %d", db.Format())
	}
	if _, err := vault.Open(db, masterKey(t)); !errors.Is(err, vault.ErrNoKey) {
		t.Errorf("the vault takes a folder of format 1: %v", err)
	}
	if err := Up(db, bytes.Repeat([]byte{1}, 32), quiet()); !errors.Is(err, vault.ErrWrongMaster) || db.Format() != 1 {
		t.Errorf("another master key: %v", err)
	}
	var said strings.Builder
	if err := Up(db, masterKey(t), slog.New(slog.NewTextHandler(&said, nil))); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "from=1 to=2") || strings.Contains(said.String(), hex.EncodeToString(masterKey(t))) {
		t.Errorf("said: %s", said.String())
	}
	for range 2 {
		checkMigrated(t, db)
		if err := Up(db, nil, quiet()); err != nil {
			t.Error("a folder of today's format:", err)
		}
		closeAll(t, db)
		db = openDB(t, mem, false)
	}
	closeAll(t, db)
}

func TestUpOfAReadOnlyFolder(t *testing.T) {
	db := openDB(t, format1(t), true)
	defer closeAll(t, db)
	if err := Up(db, masterKey(t), quiet()); !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "start the gateway once") {
		t.Error(err)
	}
}

// A folder that was made and never used has neither keys nor a log.
func TestUpOfAnEmptyFolder(t *testing.T) {
	mem := vfs.NewMem()
	db := openDB(t, mem, false)
	if err := db.SetFormat(1); err != nil {
		t.Fatal(err)
	}
	if err := Up(db, masterKey(t), quiet()); err != nil || db.Format() != engine.FormatVersion {
		t.Fatal(db.Format(), err)
	}
	if _, err := vault.Open(db, masterKey(t)); err != nil {
		t.Error(err)
	}
	closeAll(t, db)
}

func TestUpRefusesStrangeBlocks(t *testing.T) {
	for name, key := range map[string][]byte{
		"another origin": append([]byte{byte(keyspace.LogBlock)}, make([]byte, 24)...),
		"no block's key": {byte(keyspace.LogBlock), 1},
	} {
		db := openDB(t, format1(t), false)
		b := db.NewBatch()
		b.Set(key, nil)
		if err := b.Commit(true); err != nil {
			t.Fatal(err)
		}
		if err := Up(db, masterKey(t), quiet()); !errors.Is(err, engine.ErrDamaged) || db.Format() != 1 {
			t.Errorf("%s: %v, format %d", name, err, db.Format())
		}
		closeAll(t, db)
	}
}

// The power is cut before every eighth, or with a flag every, write, sync and
// rename of a whole run in turn, with any part of what was not synced surviving, and once more during the run
// that follows; then the third one finishes.
func TestUpSurvivesCuts(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	total := cut(t, format1(t), -1, r, func(*vfs.MemFS) { t.Error("cut") })
	t.Logf("%d moments to cut at", total)
	if total < 20 {
		t.Fatalf("only %d moments to cut at", total)
	}
	stride := 8
	if *everyCut {
		stride = 1
	}
	for at := 1 + r.IntN(stride); at <= total; at += stride {
		cut(t, format1(t), at, r, func(first *vfs.MemFS) {
			again := first
			cut(t, first, 1+r.IntN(total), r, func(second *vfs.MemFS) { again = second })
			db := openDB(t, again, false)
			if err := up(db, masterKey(t), quiet(), 1000); err != nil {
				t.Fatalf("cut at %d: %v", at, err)
			}
			checkMigrated(t, db)
			closeAll(t, db)
		})
		if t.Failed() {
			t.Fatalf("cut at %d of %d", at, total)
		}
	}
}

// cut runs Up on mem, takes what a power cut before the operation with number
// at would leave, and gives it to then after the run. It returns how many
// operations there were.
func cut(t *testing.T, mem *vfs.MemFS, at int, r *rand.Rand, then func(*vfs.MemFS)) (total int) {
	t.Helper()
	var seen atomic.Int64
	var taken atomic.Pointer[vfs.MemFS]
	percent, own := r.IntN(101), rand.New(rand.NewPCG(r.Uint64(), 0))
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && seen.Add(1) == int64(at) {
			taken.Store(mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: own}))
		}
		return nil
	}))
	db := openDB(t, fs, false)
	if err := up(db, masterKey(t), quiet(), 1000); err != nil {
		t.Fatal(err)
	}
	closeAll(t, db)
	total = int(seen.Load())
	if c := taken.Load(); c != nil {
		then(c)
	}
	return total
}

// The fixture is what its README says: the old layout, and small.
func TestFixture(t *testing.T) {
	size := int64(0)
	if err := filepath.WalkDir(fixture, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		size += info.Size()
		return err
	}); err != nil || size > 100<<10 {
		t.Errorf("%d bytes, %v", size, err)
	}
	db := openDB(t, format1(t), false)
	defer closeAll(t, db)
	origin, err := readOrigin(db)
	if err != nil || len(origin) != 16 {
		t.Fatal(origin, err)
	}
	for space, want := range map[keyspace.Space]int{keyspace.LogBlock: oldBlockKey, keyspace.Meta: 0} {
		lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, space))
		n := 0
		if err := db.Iter(lower, upper, func(k, _ []byte) (bool, error) {
			if n++; want > 0 && len(k) != want {
				t.Errorf("key %x", k)
			}
			return true, nil
		}); err != nil || n < 3 {
			t.Errorf("space %#02x: %d keys, %v", byte(space), n, err)
		}
	}
	wraps := 0
	lower, upper := keyspace.Bounds(keyspace.AppendVault(nil, keyspace.VaultWrap, nil))
	if err := db.Iter(lower, upper, func(_, val []byte) (bool, error) {
		wraps++
		r := record.NewReader(val)
		r.Version("wrapped key", 1)
		if r.Uvarint() != 0 {
			t.Error("not wrapped by the master key")
		}
		return true, nil
	}); err != nil || wraps != 1 {
		t.Errorf("%d wrapping keys, %v", wraps, err)
	}
}
