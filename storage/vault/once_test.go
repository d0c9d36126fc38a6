package vault

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/keyspace"
)

// TestFacetKeyOnce: it, and FacetKeyAt where there is a record, gives the same keys as FacetKey at every moment of their
// lives, and pushes none out of memory.
func TestFacetKeyOnce(t *testing.T) {
	v, db := open(t, vfs.NewMem())
	v.facets.init(4, 4)
	stored := func(f [16]byte) (val []byte) {
		t.Helper()
		_, err := db.Get(keyspace.AppendVault(nil, keyspace.VaultFacet, f[:]), func(v []byte) error { val = bytes.Clone(v); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return val
	}
	opens := func(i int, want bool) {
		t.Helper()
		f := facetName(i)
		once, err := v.FacetKeyOnce(f)
		if !want {
			if !errors.Is(err, ErrNoKey) {
				t.Errorf("facet %d has a key: %v", i, err)
			}
			if val := stored(f); val != nil { // it is being destroyed
				if _, err := v.FacetKeyAt(f, val); !errors.Is(err, ErrNoKey) {
					t.Errorf("facet %d has a key: %v", i, err)
				}
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		k, err := v.FacetKey(f, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		same := func(other *Key) {
			t.Helper()
			if got, err := other.Open(nil, k.Seal(nil, []byte("data"), f[:]), f[:]); err != nil || string(got) != "data" {
				t.Errorf("facet %d: %q, %v", i, got, err)
			}
		}
		same(once)
		if val := stored(f); val != nil {
			at, err := v.FacetKeyAt(f, val)
			if err != nil {
				t.Fatal(err)
			}
			same(at)
		}
	}
	opens(0, false)
	b := db.NewBatch()
	for i := range 20 {
		if _, err := v.FacetKey(facetName(i), true, b); err != nil {
			t.Fatal(err)
		}
	}
	opens(0, true) // not on the disk yet
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	if _, err := v.FacetKey(facetName(3), false, nil); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		_, err := v.FacetKeyOnce(facetName(i))
		if err == nil {
			_, err = v.FacetKeyAt(facetName(i), stored(facetName(i)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if v.facets.get(facetName(3)) == nil || len(v.facets.young)+len(v.facets.old) > 4 {
		t.Error("a walk through all keys pushed out the one in use")
	}
	for i := range 20 {
		opens(i, true)
	}
	b = db.NewBatch()
	v.DropFacetKey(facetName(5), b)
	opens(5, false) // at once
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	opens(5, false)
	opens(6, true)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
