package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// A canary is a value that can be found in a file, wherever it lies in it.
const canaryWord = "CANARY>>"

func canary(id uint64) []byte {
	var one []byte
	one = binary.BigEndian.AppendUint64(append(one, canaryWord...), id)
	return bytes.Repeat(one, 5) // a log block may end within one
}

// canaries finds in which files of the folder each canary is.
func canaries(t testing.TB, dir string) map[uint64][]string {
	t.Helper()
	found := map[uint64][]string{}
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range names {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // Pebble is at work
		}
		if err != nil {
			t.Fatal(err)
		}
		for {
			i := bytes.Index(data, []byte(canaryWord))
			if i < 0 || i+16 > len(data) {
				break
			}
			id := binary.BigEndian.Uint64(data[i+8:])
			if !slices.Contains(found[id], e.Name()) {
				found[id] = append(found[id], e.Name())
			}
			data = data[i+16:]
		}
	}
	return found
}

func put(t testing.TB, db *DB, key string, id uint64) {
	t.Helper()
	mustSet(t, db, key, string(canary(id)))
}

func mustScrub(t testing.TB, db *DB, ranges ...Range) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := db.Scrub(ctx, ranges, nil); err != nil {
		t.Fatal(err)
	}
}

// Wherever the old value lies, Scrub removes it: in the lowest level with its
// deletion above or beside it, in a table of level 0, in the live log, in logs
// that wait to be used again, and in the unwritten rest of one that was.
func TestScrub(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, Options{Dir: dir, Exit: noExit(t)})
	defer mustClose(t, db)
	flush := func() {
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	compact := func() {
		if err := db.Compact(t.Context(), []byte("a"), []byte("z")); err != nil {
			t.Fatal(err)
		}
	}
	for id := range uint64(10) { // in L6, and in logs
		put(t, db, fmt.Sprintf("d%d", id), id)
		mustSet(t, db, "filler", strings.Repeat("f", 1<<20))
		flush()
	}
	compact()
	for range 3 { // so that the live log is a used one
		flush()
	}
	mustSet(t, db, "x", "short")
	if n := db.Metrics().ObsoleteWALFiles; n == 0 {
		t.Error("no log waits to be used again: this test proves less than it should")
	}
	found := canaries(t, dir)
	inLogs, inTables := false, false
	for _, files := range found {
		for _, f := range files {
			inLogs = inLogs || strings.HasSuffix(f, ".log")
			inTables = inTables || strings.HasSuffix(f, ".sst")
		}
	}
	if len(found) != 10 || !inLogs || !inTables {
		t.Fatalf("%d canaries before; in logs %v, in tables %v", len(found), inLogs, inTables)
	}
	b := db.NewBatch()
	b.Delete([]byte("d0"))
	b.DeleteRange([]byte("d1"), []byte("d3"))
	b.Set([]byte("d3"), []byte("another value"))
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	flush()
	compact() // the deletions are in the lowest level too, if they are anywhere
	put(t, db, "d4", 100)
	flush()
	put(t, db, "d4", 101)
	b = db.NewBatch()
	b.Delete([]byte("d4"))
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	flush()
	compact() // all in L6, so that only Scrub's own compaction meets what is next
	b = db.NewBatch()
	b.Delete([]byte("d5"))
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	var steps []string
	if err := db.Scrub(t.Context(), []Range{{[]byte("d2"), []byte("d6")}, {[]byte("d0"), []byte("d2")}, {[]byte("q"), []byte("r")}}, func(done, total int) {
		steps = append(steps, fmt.Sprintf("%d/%d", done, total))
	}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(steps, " "); got != "1/3 2/3 3/3" && got != "1/4 2/4 3/4 4/4" {
		t.Errorf("progress: %s", got)
	}
	found = canaries(t, dir)
	for id, files := range found {
		if id < 6 || id > 9 {
			t.Errorf("canary %d is in %v", id, files)
		}
	}
	if len(found) != 4 {
		t.Errorf("%d canaries are left of 4", len(found))
	}
	if n := db.Metrics().ObsoleteWALFiles; n == 0 {
		t.Error("no log is left for reuse")
	}
}

// With other writers at work, random scrubs remove what was deleted before
// them and nothing else.
func TestScrubRandom(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	dir := t.TempDir()
	db := mustOpen(t, Options{Dir: dir, Exit: noExit(t)})
	w := startWriter(db, 3000)
	live := map[string]uint64{} // what the store holds
	gone := map[uint64]string{} // key of each canary that was deleted or overwritten
	var id uint64
	key := func(n int) string { return fmt.Sprintf("c%03d", n) }
	drop := func(k string) {
		if old, ok := live[k]; ok {
			gone[old] = k
			delete(live, k)
		}
	}
	for round := range 12 {
		for range 60 {
			b := db.NewBatch()
			switch k := rng.IntN(200); rng.IntN(8) {
			case 0:
				upto := k + rng.IntN(20)
				b.DeleteRange([]byte(key(k)), []byte(key(upto)))
				for n := k; n < upto; n++ {
					drop(key(n))
				}
			case 1:
				b.Delete([]byte(key(k)))
				drop(key(k))
			default:
				id++
				b.Set([]byte(key(k)), canary(id))
				drop(key(k))
				live[key(k)] = id
			}
			if err := b.Commit(rng.IntN(2) == 0); err != nil {
				t.Fatal(err)
			}
			if rng.IntN(10) == 0 {
				if err := db.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if rng.IntN(2) == 0 {
			if err := db.Compact(t.Context(), []byte("c"), []byte("d")); err != nil {
				t.Fatal(err)
			}
		}
		var ranges []Range
		for range 1 + rng.IntN(6) {
			from := rng.IntN(200)
			r := Range{Lower: []byte(key(from)), Upper: []byte(key(from + 1 + rng.IntN(40)))}
			switch rng.IntN(20) {
			case 0:
				r.Lower = nil
			case 1:
				r.Upper = nil
			}
			ranges = append(ranges, r)
		}
		mustScrub(t, db, ranges...)
		found := canaries(t, dir)
		for id, k := range gone {
			if slices.ContainsFunc(ranges, func(r Range) bool {
				return k >= string(r.Lower) && (r.Upper == nil || k < string(r.Upper))
			}) {
				if files := found[id]; files != nil {
					t.Fatalf("round %d: canary %d of %s is in %v (seed %d)", round, id, k, files, seed)
				}
				delete(gone, id)
			}
		}
		for k, id := range live {
			ok, err := db.Get([]byte(k), func(v []byte) error {
				if !bytes.Equal(v, canary(id)) {
					t.Errorf("%s has another value", k)
				}
				return nil
			})
			if !ok || err != nil {
				t.Fatalf("round %d: %s: %v, %v (seed %d)", round, k, ok, err, seed)
			}
		}
	}
	w.stop.Store(true)
	if err := <-w.ended; err != nil {
		t.Fatal(err)
	}
	mustClose(t, db)
	db = mustOpen(t, Options{Dir: dir})
	w.check(t, db)
	mustClose(t, db)
}

// A read under way keeps old tables; Scrub waits for it, and says so when it
// may not wait any longer.
func TestScrubSaysWhatHolds(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, Options{Dir: dir, Exit: noExit(t)})
	defer mustClose(t, db)
	put(t, db, "a", 1)
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	all := Range{}
	err := db.Iter(nil, nil, func(k, _ []byte) (bool, error) {
		b := db.NewBatch()
		b.Delete([]byte("a"))
		if err := b.Commit(true); err != nil {
			return false, err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		err := db.Scrub(ctx, []Range{all}, nil)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), ".sst), held by 1 other calls") {
			t.Errorf("scrub during a read: %v", err)
		}
		return false, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mustScrub(t, db, all)
	if found := canaries(t, dir); len(found) != 0 {
		t.Errorf("found %v", found)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Scrub(done, []Range{all}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}

// Pebble asks once that an old table be removed. Scrub asks again, and says why it
// cannot go on when that does not help.
func TestScrubRemovesWhatCouldNotBeRemoved(t *testing.T) {
	var stuck atomic.Bool
	dir := t.TempDir()
	folder := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpRemove && stuck.Load() && strings.HasSuffix(op.Path, ".sst") {
			return &os.PathError{Op: "remove", Path: op.Path, Err: syscall.EPERM}
		}
		return nil
	}))
	db := mustOpen(t, Options{Dir: dir, FS: folder, Exit: noExit(t), Logger: quiet()})
	defer mustClose(t, db)
	put(t, db, "a", 1)
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	b := db.NewBatch()
	b.Delete([]byte("a"))
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	stuck.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := db.Scrub(ctx, []Range{{}}, nil); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, syscall.EPERM) {
		t.Errorf("scrub of a table that cannot be removed: %v", err)
	}
	stuck.Store(false)
	mustScrub(t, db, Range{})
	if found := canaries(t, dir); len(found) != 0 {
		t.Errorf("found %v", found)
	}
}

// A crash within a scrub, at any operation on a file, loses nothing.
func TestScrubPowerCut(t *testing.T) {
	const seed = 5
	rng := rand.New(rand.NewPCG(seed, seed))
	for at := range int64(40) {
		mem := vfs.NewCrashableMem()
		cut := &cutter{FS: mem, mem: mem, rng: rng}
		db := mustOpen(t, Options{FS: cut})
		for i := range 10 {
			mustSet(t, db, fmt.Sprintf("k%d", i), string(canary(uint64(i))))
		}
		b := db.NewBatch()
		b.Delete([]byte("k3"))
		if err := b.Commit(true); err != nil {
			t.Fatal(err)
		}
		cut.after(at)
		mustScrub(t, db, Range{})
		mustClose(t, db)
		if cut.clone == nil {
			break
		}
		db = mustOpen(t, Options{FS: cut.clone})
		for i := range 10 {
			found, err := db.Get(fmt.Appendf(nil, "k%d", i), func([]byte) error { return nil })
			if found != (i != 3) || err != nil {
				t.Fatalf("cut %d: key %d: %v, %v (seed %d)", at, i, found, err, seed)
			}
		}
		mustClose(t, db)
	}
}

func TestMergeRanges(t *testing.T) {
	table := func(level int, from, to string) TableInfo {
		return TableInfo{Level: level, Smallest: []byte(from), Largest: []byte(to)}
	}
	tables := []TableInfo{table(0, "a", "z"), table(5, "a", "z"), table(6, "b", "f"), table(6, "g", "g"), table(6, "h", "p")}
	for _, c := range []struct {
		in, want string
		tables   []TableInfo
	}{
		{"", "", tables},
		{"a-b", "a-b", tables},
		{"c-c", "", tables},
		{"d-c", "", tables},
		{"c-d a-b", "a-b c-d", nil},
		{"b-c a-b", "a-c", nil},
		{"a-d b-c", "a-d", nil},
		{"a-d b-e", "a-e", nil},
		{"c-d e-f", "c-f", tables}, // parts of one table
		{"c-d g-h", "c-d g-h", tables},
		{"g-h k-l", "g-h k-l", tables}, // h-p begins at h
		{"c-d i-j o-p", "c-d i-p", tables},
		{"a-b p-", "a-b p-z\x00", tables},
		{"-b", "-b", tables},
		{"-", "-z\x00", tables},
		{"-", "", nil},
	} {
		var in []Range
		for _, f := range strings.Fields(c.in) {
			lower, upper, _ := strings.Cut(f, "-")
			r := Range{Lower: []byte(lower), Upper: []byte(upper)}
			if upper == "" {
				r.Upper = nil
			}
			in = append(in, r)
		}
		var got []string
		for _, r := range mergeRanges(in, c.tables) {
			got = append(got, string(r.Lower)+"-"+string(r.Upper))
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("%q: %q, want %q", c.in, g, c.want)
		}
	}
}

func TestTablesAndSpaceUsage(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem()})
	defer mustClose(t, db)
	if tables, err := db.Tables(); err != nil || len(tables) > 1 { // the format's own
		t.Errorf("new store: %v, %v", tables, err)
	}
	for _, space := range []string{"a", "b"} {
		for i := range 50 {
			mustSet(t, db, fmt.Sprintf("%s%02d", space, i), strings.Repeat(space, 2000))
		}
	}
	b := db.NewBatch()
	b.Delete([]byte("b49"))
	if err := errors.Join(b.Commit(true), db.Flush()); err != nil {
		t.Fatal(err)
	}
	tables, err := db.Tables()
	if err != nil {
		t.Fatal(err)
	}
	var keys, size, dels uint64
	for _, i := range tables {
		keys, size, dels = keys+i.Keys, size+i.Bytes, dels+i.Deletions
		if !strings.HasSuffix(i.File, ".sst") || bytes.Compare(i.Smallest, i.Largest) > 0 {
			t.Errorf("table %+v", i)
		}
		if _, err := db.fs.Stat("data/" + i.File); err != nil {
			t.Error(err)
		}
	}
	if keys < 100 || keys > 103 || size < 200_000 || dels > 1 {
		t.Errorf("%d keys, %d bytes, %d deletions", keys, size, dels)
	}
	usage := func(lower, upper []byte) uint64 {
		n, err := db.SpaceUsage(lower, upper)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	a, both, none := usage([]byte("a"), []byte("b")), usage([]byte("a"), nil), usage([]byte("c"), nil)
	if a < 90_000 || a > 130_000 || both < 190_000 || both > 230_000 || none != 0 || usage([]byte("b"), []byte("a")) != 0 {
		t.Errorf("a: %d, all: %d, beyond: %d bytes", a, both, none)
	}
}
