package vault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
)

func facetName(i int) (f [16]byte) { f[0], f[1] = byte(i), byte(i>>8); return f }

// One facet's key through random batches that are committed, discarded or left
// open a while, drops and restarts: what a committed batch sealed opens, what
// was dropped does not.
func TestFacetKeysAgainstAModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	fs := vfs.NewMem()
	v, db := open(t, fs)
	v.facets.init(4, 8) // small, so that keys fall out, and some that are not ready stay
	sealed := map[[16]byte][]byte{}
	check := func() {
		t.Helper()
		for i := range 12 {
			f := facetName(i)
			k, err := v.FacetKey(f, false, nil)
			if sealed[f] == nil {
				if !errors.Is(err, ErrNoKey) {
					t.Fatalf("facet %d has a key: %v", i, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := k.Open(nil, sealed[f], f[:]); err != nil || string(got) != "data" {
				t.Fatalf("facet %d: %q, %v", i, got, err)
			}
		}
	}
	for range 600 {
		f := facetName(r.IntN(12))
		b := db.NewBatch()
		was := sealed[f]
		now := was
		for range 1 + r.IntN(3) {
			if r.IntN(3) == 0 {
				v.DropFacetKey(f, b)
				now = nil
				if _, err := v.FacetKey(f, false, nil); !errors.Is(err, ErrNoKey) {
					t.Fatalf("a dropped key is given out: %v", err)
				}
			} else {
				k, err := v.FacetKey(f, true, b)
				if err != nil {
					t.Fatal(err)
				}
				if now != nil {
					if _, err := k.Open(nil, now, f[:]); err != nil {
						t.Fatal("the key changed:", err)
					}
				}
				now = k.Seal(nil, []byte("data"), f[:])
			}
		}
		switch r.IntN(3) {
		case 0:
			b.Discard()
		default:
			commit(t, b)
			sealed[f] = now
		}
		check()
		if r.IntN(100) == 0 {
			closeDB(t, db)
			v, db = open(t, fs)
			v.facets.init(4, 8)
			check()
		}
	}
	if n := len(v.facets.young) + len(v.facets.old); n > 4 || len(v.facets.pending) != 0 {
		t.Errorf("%d keys cached of 4, %d pending", n, len(v.facets.pending))
	}
	if n := len(v.facets.raw.young) + len(v.facets.raw.old); n > 8 {
		t.Errorf("%d raw keys cached of 8", n)
	}
	closeDB(t, db)
}

// A key made in a batch that is not committed yet is used by a second batch:
// whichever is committed, alone, carries the key.
func TestFacetKeyInTwoBatches(t *testing.T) {
	for _, keep := range []int{0, 1} {
		fs := vfs.NewMem()
		v, db := open(t, fs)
		f := facetName(1)
		batches := []*engine.Batch{db.NewBatch(), db.NewBatch()}
		var sealed []byte
		for _, b := range batches {
			k, err := v.FacetKey(f, true, b)
			if err != nil {
				t.Fatal(err)
			}
			sealed = k.Seal(nil, []byte("x"), nil)
		}
		batches[1-keep].Discard()
		commit(t, batches[keep])
		closeDB(t, db)
		v, db = open(t, fs)
		k, err := v.FacetKey(f, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Open(nil, sealed, nil); err != nil || !bytes.Equal(got, []byte("x")) {
			t.Error(keep, got, err)
		}
		closeDB(t, db)
	}
}

func TestFacetKeyNeedsABatch(t *testing.T) {
	v, db := open(t, vfs.NewMem())
	defer closeDB(t, db)
	if _, err := v.FacetKey(facetName(1), true, nil); err == nil {
		t.Error("a key was made that is stored nowhere")
	}
}

func TestFacetKeyDoesNotAllocate(t *testing.T) {
	v, db := open(t, vfs.NewMem())
	defer closeDB(t, db)
	b := db.NewBatch()
	if _, err := v.FacetKey(facetName(1), true, b); err != nil {
		t.Fatal(err)
	}
	commit(t, b)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := v.FacetKey(facetName(1), true, b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%.1f allocations", n)
	}
}

func BenchmarkFacetKey(b *testing.B) {
	v, db := open(b, vfs.NewMem())
	defer closeDB(b, db)
	for name, fresh := range map[string]bool{"cached": false, "made": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			batch := db.NewBatch()
			defer func() { batch.Discard() }()
			var h [16]byte
			for b.Loop() {
				if fresh {
					binary.LittleEndian.PutUint64(h[:], binary.LittleEndian.Uint64(h[:])+1)
				}
				if _, err := v.FacetKey(h, true, batch); err != nil {
					b.Fatal(err)
				}
				if batch.Len() > 128<<10 {
					commit(b, batch)
					batch = db.NewBatch()
				}
			}
		})
	}
}
