package engine

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func wantMark(t testing.TB, db *DB, seq uint64, ok bool) {
	t.Helper()
	if got, is := db.Mark().Load(); got != seq || is != ok {
		t.Errorf("mark %d, %v; want %d, %v", got, is, seq, ok)
	}
}

func TestMark(t *testing.T) {
	for name, o := range map[string]Options{"memory": {FS: vfs.NewCrashableMem()}, "disk": {Dir: filepath.Join(t.TempDir(), "d")}} {
		t.Run(name, func(t *testing.T) {
			db := mustOpen(t, o)
			wantMark(t, db, 0, false)
			for _, seq := range []uint64{1, 1 << 40, 77} {
				if err := db.Mark().Store(seq); err != nil {
					t.Fatal(err)
				}
				wantMark(t, db, 0, false) // what Open has seen
			}
			mustClose(t, db)
			if err := db.Mark().Store(78); !errors.Is(err, ErrClosed) {
				t.Errorf("store when closed: %v", err)
			}
			for _, ro := range []bool{true, false} {
				o.ReadOnly = ro
				db = mustOpen(t, o)
				wantMark(t, db, 77, true)
				if err := db.Mark().Store(77); ro != errors.Is(err, ErrReadOnly) {
					t.Errorf("read-only %v, store: %v", ro, err)
				}
				mustClose(t, db)
			}
		})
	}
}

// The layout is on disk: a change is a decision.
func TestMarkIsPinned(t *testing.T) {
	var buf [markBytes]byte
	encodeMark(&buf, 0x0102030405060708)
	if got := hex.EncodeToString(buf[:]); got != "7265756e614c4d010102030405060708b2d2f94031ce772f" {
		t.Errorf("mark: %s", got)
	}
}

// A power cut loses at most the newest marks; what is left is one that was
// stored, and a mark that is synced stays.
func TestMarkPowerCut(t *testing.T) {
	const seed = 1
	rng := rand.New(rand.NewPCG(seed, seed))
	for range 200 {
		mem := vfs.NewCrashableMem()
		db := mustOpen(t, Options{FS: mem})
		low := rng.Uint64N(50)
		for seq := range low + 1 + rng.Uint64N(50) {
			if err := db.Mark().Store(seq); err != nil {
				t.Fatal(err)
			}
			if seq == low {
				if err := db.Mark().Sync(); err != nil {
					t.Fatal(err)
				}
			}
		}
		high, _, err := decodeMark(db.Mark().buf[:])
		if err != nil {
			t.Fatal(err)
		}
		cut := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		mustClose(t, db)
		db = mustOpen(t, Options{FS: cut})
		if got, ok := db.Mark().Load(); !ok || got < low || got > high {
			t.Fatalf("mark %d, %v; want %d to %d (seed %d)", got, ok, low, high, seed)
		}
		mustClose(t, db)
	}
}

func TestDamagedMark(t *testing.T) {
	dir := t.TempDir()
	db := mustOpen(t, Options{Dir: dir})
	if err := db.Mark().Store(12345); err != nil {
		t.Fatal(err)
	}
	mustClose(t, db)
	path := filepath.Join(dir, markName)
	good, err := os.ReadFile(path)
	if err != nil || len(good) != markBytes {
		t.Fatalf("%d bytes, %v", len(good), err)
	}
	type variant struct {
		name string
		data []byte
		told bool
	}
	all := []variant{
		{"empty", nil, false}, {"zero", make([]byte, markBytes), false}, {"short", good[:20], true},
		{"long", append(bytes.Clone(good), 0), true}, {"newer", append([]byte("reunaLM\x02"), good[8:]...), true},
	}
	for bit := range markBytes * 8 {
		flipped := bytes.Clone(good)
		flipped[bit/8] ^= 1 << (bit % 8)
		all = append(all, variant{"bit", flipped, true})
	}
	for _, v := range all {
		if err := os.WriteFile(path, v.data, 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		db := mustOpen(t, Options{Dir: dir, ReadOnly: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		wantMark(t, db, 0, false)
		if told := strings.Contains(log.String(), "is damaged"); told != v.told {
			t.Errorf("%s: the log tells: %v", v.name, told)
		}
		mustClose(t, db)
	}
	db = mustOpen(t, Options{Dir: dir})
	if err := db.Mark().Store(math.MaxUint64); err != nil {
		t.Fatal(err)
	}
	mustClose(t, db)
	db = mustOpen(t, Options{Dir: dir})
	wantMark(t, db, math.MaxUint64, true)
	if err := db.Checkpoint(dir + ".copy"); err != nil {
		t.Fatal(err)
	}
	mustClose(t, db)
	db = mustOpen(t, Options{Dir: dir + ".copy"})
	wantMark(t, db, 0, false)
	mustClose(t, db)
}

func FuzzMark(f *testing.F) {
	var buf [markBytes]byte
	encodeMark(&buf, 9)
	f.Add(buf[:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		seq, ok, err := decodeMark(data)
		if !ok {
			return
		}
		var again [markBytes]byte
		encodeMark(&again, seq)
		if err != nil || !bytes.Equal(again[:], data) {
			t.Errorf("%x is mark %d, %v, which is %x", data, seq, err, again)
		}
	})
}

func TestMarkAllocations(t *testing.T) {
	db := mustOpen(t, Options{Dir: t.TempDir()})
	defer mustClose(t, db)
	var seq uint64
	if n := testing.AllocsPerRun(1000, func() {
		seq++
		if err := db.Mark().Store(seq); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%.1f allocations a store", n)
	}
}

func BenchmarkMarkStore(b *testing.B) {
	db := mustOpen(b, Options{Dir: b.TempDir(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	defer mustClose(b, db)
	b.ReportAllocs()
	var seq uint64
	for b.Loop() {
		seq++
		if err := db.Mark().Store(seq); err != nil {
			b.Fatal(err)
		}
	}
}
