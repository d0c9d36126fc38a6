package vault

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

func seeded(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func randomHash(r *rand.Rand) (h [16]byte) {
	for i := range h {
		h[i] = byte(r.Uint32())
	}
	return h
}

// records gives the vault's stored records of one kind by their keys.
func records(t testing.TB, db *engine.DB, kind byte) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	lower, upper := keyspace.Bounds(keyspace.AppendVault(nil, kind, nil))
	if err := db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		all[string(k)] = bytes.Clone(v)
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// checkGroups fails unless every record is wrapped by a key of its own group,
// and every group has a current key.
func checkGroups(t testing.TB, v *Vault) {
	t.Helper()
	groups := map[uint32]int{}
	for k, val := range records(t, v.db, keyspace.VaultWrap) {
		w, err := v.openWrap([]byte(k), val)
		if err != nil {
			t.Fatal(err)
		}
		groups[w.id] = w.group
	}
	if err := v.ring.complete(); err != nil {
		t.Fatal(err)
	}
	wrapped := func(kind byte, group func(id []byte) int) {
		for k, val := range records(t, v.db, kind) {
			by, _, err := splitWrapped(val)
			if g, ok := groups[by]; err != nil || !ok || g != group([]byte(k)[2:]) {
				t.Fatalf("%x is wrapped by key %d of group %d (known: %v), %v", k, by, g, ok, err)
			}
		}
	}
	wrapped(keyspace.VaultFacet, func(id []byte) int { return GroupOf([16]byte(id)) })
	wrapped(keyspace.VaultEpoch, func([]byte) int { return LogGroup })
}

// make gives each hash a key, and what it sealed.
func makeKeys(t testing.TB, v *Vault, hashes ...[16]byte) map[[16]byte][]byte {
	t.Helper()
	sealed := map[[16]byte][]byte{}
	b := v.db.NewBatch()
	for _, h := range hashes {
		k, err := v.FacetKey(h, true, b)
		if err != nil {
			t.Fatal(err)
		}
		sealed[h] = k.Seal(nil, []byte("data"), h[:])
	}
	commit(t, b)
	return sealed
}

func checkKeys(t testing.TB, v *Vault, sealed map[[16]byte][]byte) {
	t.Helper()
	for h, s := range sealed {
		k, err := v.FacetKey(h, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.Open(nil, s, h[:]); err != nil || string(got) != "data" {
			t.Fatalf("%x: %q, %v", h, got, err)
		}
	}
}

// Every owner's key lies within the bounds of its group, the groups follow each
// other without a gap, and the first ten bits alone decide.
func TestGroupsCutTheTable(t *testing.T) {
	r := seeded(t)
	_, before := keyspace.Bounds(keyspace.AppendVault(nil, keyspace.VaultEpoch, nil))
	before[len(before)-1] = keyspace.VaultFacet
	for g := range ownerGroups {
		lower, upper := groupBounds(g)
		if g > 0 && !bytes.Equal(lower, before) {
			t.Fatalf("group %d begins at %x, the one before ends at %x", g, lower, before)
		}
		before = upper
	}
	for range 2000 {
		h := randomHash(r)
		g := GroupOf(h)
		key := keyspace.AppendVault(nil, keyspace.VaultFacet, h[:])
		if lower, upper := groupBounds(g); bytes.Compare(key, lower) < 0 || bytes.Compare(key, upper) >= 0 {
			t.Fatalf("%x of group %d is not in %x to %x", key, g, lower, upper)
		}
		h[1] ^= byte(r.IntN(64))
		h[2+r.IntN(14)]++
		if GroupOf(h) != g {
			t.Fatalf("%x is not in group %d", h, g)
		}
	}
	for _, c := range []struct {
		a, b byte
		want int
	}{{0, 0, 0}, {0, 63, 0}, {0, 64, 1}, {1, 0, 4}, {0x80, 0, 512}, {255, 191, 1022}, {255, 255, 1023}} {
		if g := GroupOf([16]byte{c.a, c.b}); g != c.want {
			t.Errorf("%02x%02x is in group %d, wanted %d", c.a, c.b, g, c.want)
		}
	}
}

func TestRewrap(t *testing.T) {
	r := seeded(t)
	fs := vfs.NewMem()
	v, db := open(t, fs)
	var hashes [][16]byte
	for range 4000 { // several batches in group 5, none in most
		h := randomHash(r)
		if r.IntN(2) == 0 {
			h[0], h[1] = 1, 0x40|h[1]&63
		}
		hashes = append(hashes, h)
	}
	sealed := makeKeys(t, v, hashes...)
	for i := range int64(5) {
		if _, err := v.Epoch(i * EpochMillis); err != nil {
			t.Fatal(err)
		}
	}
	before := records(t, db, keyspace.VaultFacet)
	wraps, epochs := records(t, db, keyspace.VaultWrap), records(t, db, keyspace.VaultEpoch)
	if len(wraps) != Groups {
		t.Fatalf("%d wrapping keys", len(wraps))
	}
	groups := []int{5, 1023, 5, LogGroup, 0}
	for i := range 30 {
		groups = append(groups, 100+i)
	}
	var steps []int
	if err := v.Rewrap(context.Background(), groups, func(done, total int) { steps = append(steps, done, total) }); err != nil {
		t.Fatal(err)
	}
	if want := []int{16, 34, 32, 34, 34, 34}; !slices.Equal(steps, want) {
		t.Errorf("progress %v, wanted %v", steps, want)
	}
	check := func() {
		t.Helper()
		checkKeys(t, v, sealed)
		checkGroups(t, v)
		for id := range uint32(5) {
			if _, err := v.EpochKey(id + 1); err != nil {
				t.Error(err)
			}
		}
		if u := v.Unfinished(); len(u) != 0 {
			t.Error("unfinished:", u)
		}
	}
	check()
	for k, val := range records(t, db, keyspace.VaultFacet) {
		if changed := !bytes.Equal(val, before[k]); changed != slices.Contains(groups, GroupOf([16]byte([]byte(k)[2:]))) {
			t.Errorf("%x: rewritten: %v", k, changed)
		}
	}
	for k, val := range records(t, db, keyspace.VaultEpoch) {
		if bytes.Equal(val, epochs[k]) {
			t.Errorf("%x was not rewritten", k)
		}
	}
	gone := 0
	after := records(t, db, keyspace.VaultWrap)
	for k := range wraps {
		if after[k] == nil {
			gone++
		}
	}
	if gone != 34 || len(after) != Groups {
		t.Errorf("%d old wrapping keys destroyed, %d are there", gone, len(after))
	}
	closeDB(t, db)
	v, db = open(t, fs)
	defer func() { closeDB(t, db) }()
	check()
	for _, bad := range []int{-1, Groups} {
		if err := v.Rewrap(context.Background(), []int{bad}, nil); err == nil {
			t.Errorf("group %d was rewritten", bad)
		}
	}
	// A record that does not open keeps its group's old key.
	h := [16]byte{1, 0x40}
	b := db.NewBatch()
	b.Set(keyspace.AppendVault(nil, keyspace.VaultFacet, h[:]), before[string(keyspace.AppendVault(nil, keyspace.VaultFacet, hashes[0][:]))])
	commit(t, b)
	if err := v.Rewrap(context.Background(), []int{5}, nil); err == nil {
		t.Error("a damaged record went unnoticed")
	}
	checkKeys(t, v, sealed)
	if u := v.Unfinished(); !slices.Equal(u, []int{5}) {
		t.Error("unfinished:", u)
	}
}

// untilWaiting returns once somebody waits for a group to empty.
func untilWaiting(v *Vault) {
	for {
		v.ring.mu.Lock()
		n := v.ring.closing
		v.ring.mu.Unlock()
		if n > 0 {
			return
		}
		runtime.Gosched()
	}
}

// A batch that began before the wrapping key changed carries a record under the
// old one: Rewrap lets it end first, whatever else the batch still touches, and
// whether it makes or drops.
func TestRewrapWaitsForBatches(t *testing.T) {
	for _, keep := range []bool{true, false} {
		fs := vfs.NewMem()
		v, db := open(t, fs)
		old, a, c := [16]byte{2, 1}, [16]byte{2, 2}, [16]byte{2, 3}
		sealed := makeKeys(t, v, old)
		b := db.NewBatch()
		put := func(h [16]byte) []byte {
			k, err := v.FacetKey(h, true, b)
			if err != nil {
				t.Fatal(err)
			}
			return k.Seal(nil, []byte("data"), h[:])
		}
		sealedA := put(a)
		done := make(chan error, 1)
		go func() { done <- v.Rewrap(context.Background(), []int{GroupOf(a)}, nil) }()
		untilWaiting(v)
		sealedC := put(c) // does not wait for who waits for it
		v.DropFacetKey(old, b)
		if keep {
			commit(t, b)
			sealed = map[[16]byte][]byte{a: sealedA, c: sealedC}
		} else {
			b.Discard()
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		closeDB(t, db)
		v, db = open(t, fs)
		checkKeys(t, v, sealed)
		checkGroups(t, v)
		if n := len(records(t, db, keyspace.VaultFacet)); n != len(sealed) {
			t.Errorf("%d keys are stored, wanted %d", n, len(sealed))
		}
		closeDB(t, db)
	}
}

func TestRewrapStops(t *testing.T) {
	fs := vfs.NewMem()
	v, db := open(t, fs)
	sealed := makeKeys(t, v, [16]byte{3, 1}, [16]byte{9, 1})
	b := db.NewBatch()
	if _, err := v.FacetKey([16]byte{3, 2}, true, b); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- v.Rewrap(ctx, []int{12, 36}, nil) }()
	untilWaiting(v)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	b.Discard()
	for range 2 {
		checkKeys(t, v, sealed)
		checkGroups(t, v)
		if u := v.Unfinished(); !slices.Equal(u, []int{12, 36}) {
			t.Error("unfinished:", u)
		}
		closeDB(t, db)
		v, db = open(t, fs)
	}
	defer closeDB(t, db)
	if err := v.Rewrap(context.Background(), v.Unfinished(), nil); err != nil || len(v.Unfinished()) != 0 {
		t.Error(err, v.Unfinished())
	}
	checkKeys(t, v, sealed)
	checkGroups(t, v)
	if err := v.Rewrap(ctx, []int{1}, nil); !errors.Is(err, context.Canceled) || len(v.Unfinished()) != 0 {
		t.Error(err, v.Unfinished())
	}
}

// What a wrapping key that was destroyed opens is nowhere in the folder's tables.
func TestRewrapLeavesNothingBehind(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	db, err := engine.Open(engine.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer closeDB(t, db)
	v, err := Open(db, master)
	if err != nil {
		t.Fatal(err)
	}
	gone, kept, far := [16]byte{7, 1}, [16]byte{7, 2}, [16]byte{200}
	sealed := makeKeys(t, v, gone, kept, far)
	if _, err := v.Epoch(1); err != nil {
		t.Fatal(err)
	}
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	old := [][]byte{}
	for _, kind := range []byte{keyspace.VaultFacet, keyspace.VaultEpoch, keyspace.VaultWrap} {
		for k, val := range records(t, db, kind) {
			group := LogGroup
			switch kind {
			case keyspace.VaultFacet:
				group = GroupOf([16]byte([]byte(k)[2:]))
			case keyspace.VaultWrap:
				w, err := v.openWrap([]byte(k), val)
				if err != nil {
					t.Fatal(err)
				}
				group = w.group
			}
			if group == GroupOf(gone) || group == LogGroup {
				old = append(old, val)
			}
		}
	}
	if len(old) != 5 {
		t.Fatalf("%d records", len(old))
	}
	inTables := func() (n int) {
		tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
		if err != nil || len(tables) == 0 {
			t.Fatal(tables, err)
		}
		for _, path := range tables {
			text, err := os.ReadFile(path)
			if errors.Is(err, os.ErrNotExist) {
				continue // a compaction took it away
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, val := range old {
				if bytes.Contains(text, val) {
					n++
				}
			}
		}
		return n
	}
	if n := inTables(); n < 5 {
		t.Fatalf("only %d records are found before", n)
	}
	b := db.NewBatch()
	v.DropFacetKey(gone, b)
	commit(t, b)
	delete(sealed, gone)
	if err := v.Rewrap(context.Background(), []int{GroupOf(gone), LogGroup}, nil); err != nil {
		t.Fatal(err)
	}
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.VaultKey))
	if err := errors.Join(db.Flush(), db.Compact(context.Background(), lower, upper)); err != nil {
		t.Fatal(err)
	}
	for inTables() > 0 { // Pebble deletes obsolete tables in the background; the test's own time bounds this
		runtime.Gosched()
	}
	checkKeys(t, v, sealed)
}
