package vault

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

// pins are records as they stand on disk, under the master key of these tests:
// FORMAT.md describes them. The keys in them are 32 times one byte, see below.
var pins = []struct{ what, place, val string }{
	{"meta", "017661756c74",
		"013ecc36cec345497b"},
	{"install", "0369",
		"01005e37af228cb31ee7d0855e9a8f9a19675e42ec3f23c137b9682e3b5e96e58cbf83644745301d2787fb721c1ac5872691a67560261f37e8ab68c88c72"},
	{"wrapping key of format 1", "037700000001",
		"0100c97dd8b1990ca5f2b55f3811c444639c6af502f322b54743be556cf5d24cc1d15cdc2a486e64064916d1a18f6f35d13d6fa31c433dd8874366a47935"},
	{"wrapping key of group 5", "037700000002",
		"010068d40f51549c738c0792814f005f61dbdcce10aadb17d816be19dc7bae5fb58616906135e3e59608c24ce72050bc34644f41a716317d94c2db730def75"},
	{"wrapping key of the log", "03770000012c",
		"0100300a17450497875c474647cd4ff391b2a059af091a23fab855047e6a7ae31f3743241206565a41e791cfd438855325934b3fad147db1d6e80d9ac1f9d6f7"},
	{"epoch 7", "036500000007",
		"01ac02fdb54d6bf3c8bd0f34bc7e104898669ab31b2532bfa730ce0a7ab1afb5cccaa475805d7b2c98a117b8536a339c4d90e92e19ccd4f12dbd475bc61bfcf68e2b19e7a7"},
	{"facet in group 5", "036601410000000000000000000000000000",
		"0102d332f9fbb02af848dcdef2f80f3597b8c524f07807db04d32580ab6f471ecbb5d2da8c560e5dedbe27f0bc79275138c56b3b9b31a72e453bafdad31a"},
	{"facet under the key of no group", "036609000000000000000000000000000000",
		"0101f84d34a95b7e7b9c22dc29a2e0d4bcf0fd833c42a4a1ffc63beddd4301e79ee860717a3434fcdd9254271baa7cde48238533ecb433d37e76d4d830b6"},
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func pinned(t testing.TB) (vfs.FS, *engine.DB) {
	t.Helper()
	fs := vfs.NewMem()
	db := openDB(t, fs)
	b := db.NewBatch()
	for _, p := range pins {
		b.Set(unhex(t, p.place), unhex(t, p.val))
	}
	commit(t, b)
	return fs, db
}

func repeated(x byte) []byte { return bytes.Repeat([]byte{x}, keyBytes) }

func TestRecordsArePinned(t *testing.T) {
	_, db := pinned(t)
	defer closeDB(t, db)
	if _, err := Open(db, master); !errors.Is(err, ErrNoKey) {
		t.Fatalf("a folder without its groups: %v", err)
	}
	v, err := openAny(db, master)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(v.InstallKey(), repeated(0x11)) || v.Fingerprint() != "3ecc36cec345497b" {
		t.Errorf("install key %x, fingerprint %s", v.InstallKey(), v.Fingerprint())
	}
	for id, want := range map[uint32]struct {
		raw   byte
		group int
	}{1: {0x22, noGroup}, 2: {0x33, 5}, 300: {0x44, LogGroup}} {
		k := v.ring.byID[id]
		if k.Key == nil || k.group != want.group {
			t.Fatalf("wrapping key %d: %+v", id, k)
		}
		same(t, k.Key, newKey(0, repeated(want.raw)))
	}
	if v.now.id != 7 || v.now.created != 1697240146944 {
		t.Errorf("newest epoch %d of %d", v.now.id, v.now.created)
	}
	epoch, err := v.EpochKey(7)
	if err != nil {
		t.Fatal(err)
	}
	same(t, epoch, newKey(0, repeated(0x55)))
	for h, raw := range map[[16]byte]byte{{1, 0x41}: 0x66, {9}: 0x77} {
		k, err := v.FacetKey(h, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		same(t, k, newKey(0, repeated(raw)))
	}
}

// same fails unless what one key seals the other opens.
func same(t testing.TB, a, b *Key) {
	t.Helper()
	if got, err := b.Open(nil, a.Seal(nil, []byte("x"), nil), nil); err != nil || string(got) != "x" {
		t.Error(err)
	}
}

// What is written is as long as what is pinned and names the same key; and a new
// master key changes the records that it wraps itself, and no other.
func TestWritingIsPinned(t *testing.T) {
	_, db := pinned(t)
	defer closeDB(t, db)
	v, err := openAny(db, master)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.RotateMaster(repeated(9)); err != nil {
		t.Fatal(err)
	}
	for _, p := range pins[1:] {
		place, was := unhex(t, p.place), unhex(t, p.val)
		by, _, err := splitWrapped(was)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := db.Get(place, func(val []byte) error {
			again, _, err := splitWrapped(val)
			if len(val) != len(was) || again != by || (by == 0) == bytes.Equal(val, was) {
				t.Errorf("%s: %x, was %x", p.what, val, was)
			}
			return err
		}); !found || err != nil {
			t.Error(p.what, found, err)
		}
	}
}

// Regroup makes the groups of a folder of format 1 and can be told to again.
func TestRegroup(t *testing.T) {
	fs, db := pinned(t)
	for _, id := range []uint32{2, 300} { // what follows is all under the key of no group
		b := db.NewBatch()
		b.Delete(keyspace.AppendVaultID(nil, keyspace.VaultWrap, id))
		commit(t, b)
	}
	first, second := unhex(t, pins[6].place), unhex(t, pins[5].place)
	by := newKey(1, repeated(0x22))
	b := db.NewBatch()
	b.Set(first, wrap(by, repeated(0x66), first))
	b.Set(second, wrap(by, append(repeated(0x55), 0), second))
	commit(t, b)
	for range 2 {
		calls := 0
		if err := Regroup(db, master, func(done, total int) { calls++ }); err != nil || calls != Groups {
			t.Fatal(calls, err)
		}
		v, err := Open(db, master)
		if err != nil {
			t.Fatal(err)
		}
		checkGroups(t, v)
		if n := len(records(t, db, keyspace.VaultWrap)); n != Groups || v.ring.find(1) != nil {
			t.Errorf("%d wrapping keys, the old one still there: %v", n, v.ring.find(1) != nil)
		}
		k, err := v.FacetKey([16]byte{1, 0x41}, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		same(t, k, newKey(0, repeated(0x66)))
		if k, err = v.EpochKey(7); err != nil {
			t.Fatal(err)
		}
		same(t, k, newKey(0, repeated(0x55)))
		closeDB(t, db)
		db = openDB(t, fs)
	}
	closeDB(t, db)
}

// Whatever bytes stand in the place of a record: an error or a key, and the
// parts that are read are the parts that were there.
func FuzzWrapped(f *testing.F) {
	_, db := pinned(f)
	f.Cleanup(func() {
		if err := db.Close(); err != nil {
			f.Error(err)
		}
	})
	v, err := openAny(db, master)
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range pins {
		f.Add(unhex(f, p.place), unhex(f, p.val))
	}
	f.Fuzz(func(t *testing.T, place, val []byte) {
		if by, sealed, err := splitWrapped(val); err == nil {
			if secret, err := v.unwrap(val, place); err == nil {
				if again, err := v.unwrap(wrap(v.ring.find(by), secret, place), place); err != nil || !bytes.Equal(again, secret) {
					t.Errorf("%x wraps to %x, %v", secret, again, err)
				}
			}
			if !bytes.HasSuffix(val, sealed) {
				t.Errorf("%x is not the end of %x", sealed, val)
			}
		}
		if _, err := v.openWrap(place, val); err == nil && !bytes.Equal(place[:2], []byte{byte(keyspace.VaultKey), keyspace.VaultWrap}) {
			t.Errorf("%x is no place of a wrapping key", place)
		}
		if e, err := v.openEpoch(place, val); err == nil && e.key == nil {
			t.Error("an epoch without a key")
		}
		group, err := parseGroup(val)
		if err != nil {
			return
		}
		if again, err := parseGroup(appendGroup(nil, group)); group < noGroup || group >= Groups || group != noGroup && (again != group || err != nil) {
			t.Errorf("%x is group %d, written again it is %d, %v", val, group, again, err)
		}
	})
}
