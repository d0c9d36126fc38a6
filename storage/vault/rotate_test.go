package vault

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

func TestRotateMaster(t *testing.T) {
	mem := vfs.NewMem()
	v, db := open(t, mem)
	sealed := makeKeys(t, v, [16]byte{1}, [16]byte{200, 9})
	epoch, err := v.Epoch(1)
	if err != nil {
		t.Fatal(err)
	}
	block := epoch.Seal(nil, []byte("block"), nil)
	install, signer := v.InstallKey(), v.PublicKey()
	old := map[string][]byte{}
	for _, kind := range []byte{keyspace.VaultInstall, keyspace.VaultWrap} {
		for k, val := range records(t, db, kind) {
			old[k] = val
		}
	}
	next := bytes.Repeat([]byte{8}, 32)
	if v.Fingerprint() != Fingerprint(master) || Fingerprint(master) == Fingerprint(next) {
		t.Error("fingerprints")
	}
	if err := v.RotateMaster(next); err != nil {
		t.Fatal(err)
	}
	if v.Fingerprint() != Fingerprint(next) {
		t.Error("the old fingerprint")
	}
	for what, bad := range map[string][]byte{"is the one in use": next, "has 31 bytes": next[1:], "has 0 bytes": nil} {
		if err := v.RotateMaster(bad); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// The vault goes on: a wrapping key made now is under the new master.
	if err := v.Rewrap(context.Background(), []int{GroupOf([16]byte{1}), LogGroup}, nil); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		checkKeys(t, v, sealed)
		checkGroups(t, v)
		if k, err := v.EpochKey(epoch.ID()); err != nil {
			t.Error(err)
		} else if got, err := k.Open(nil, block, nil); err != nil || string(got) != "block" {
			t.Error(string(got), err)
		}
		if !bytes.Equal(v.InstallKey(), install) || !v.PublicKey().Equal(signer) {
			t.Error("what follows from the install key has changed")
		}
	}
	check()
	closeDB(t, db)
	db = openDB(t, mem)
	defer closeDB(t, db)
	if _, err := Open(db, master); !errors.Is(err, ErrWrongMaster) || !strings.Contains(err.Error(), Fingerprint(next)) {
		t.Errorf("the old master: %v", err)
	}
	if v, err = Open(db, next); err != nil {
		t.Fatal(err)
	}
	check()
	for _, kind := range []byte{keyspace.VaultInstall, keyspace.VaultWrap} {
		for k, val := range records(t, db, kind) {
			if bytes.Equal(val, old[k]) {
				t.Errorf("%x was not rewritten", k)
			}
		}
	}
}

func TestReadOnlyVault(t *testing.T) {
	mem := vfs.NewMem()
	v, db := open(t, mem)
	sealed := makeKeys(t, v, [16]byte{1})
	closeDB(t, db)
	db, err := engine.Open(engine.Options{Dir: "data", FS: mem, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closeDB(t, db)
	if v, err = Open(db, master); err != nil {
		t.Fatal(err)
	}
	checkKeys(t, v, sealed)
	for what, err := range map[string]error{
		"rotate":  v.RotateMaster(randomKey()),
		"rewrap":  v.Rewrap(context.Background(), []int{1}, nil),
		"regroup": Regroup(db, master, nil),
	} {
		if !errors.Is(err, engine.ErrReadOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
	checkKeys(t, v, sealed)
}

func TestSigner(t *testing.T) {
	mem := vfs.NewMem()
	v, db := open(t, mem)
	message := []byte("a receipt")
	signature := ed25519.Sign(v.Signer(), message)
	public := v.PublicKey()
	closeDB(t, db)
	v, db = open(t, mem)
	defer closeDB(t, db)
	if !ed25519.Verify(v.PublicKey(), message, signature) || !public.Equal(v.PublicKey()) {
		t.Error("the signing key changed over a restart")
	}
	other, db2 := open(t, vfs.NewMem())
	defer closeDB(t, db2)
	if ed25519.Verify(other.PublicKey(), message, signature) {
		t.Error("two installs sign alike")
	}
	if !bytes.Equal(v.Signer().Seed(), v.Subkey("signing key 1")) {
		t.Error("the seed is another subkey")
	}
}

func keyFolder(t *testing.T) (mem vfs.FS, path string) {
	t.Helper()
	return vfs.NewMem(), filepath.Join(t.TempDir(), "keys", "master.key")
}

func TestOpenWithFile(t *testing.T) {
	mem, path := keyFolder(t)
	db := openDB(t, mem)
	defer func() { closeDB(t, db) }()
	v, created, err := OpenWithFile(db, path)
	if err != nil || !created {
		t.Fatal(created, err)
	}
	sealed := makeKeys(t, v, [16]byte{1})
	reopen := func() (*Vault, error) {
		t.Helper()
		closeDB(t, db)
		db = openDB(t, mem)
		v, created, err := OpenWithFile(db, path)
		if created {
			t.Error("a key was made for a folder that has one")
		}
		return v, err
	}
	if v, err = reopen(); err != nil {
		t.Fatal(err)
	}
	checkKeys(t, v, sealed)

	// A missing file is not made anew: no other key opens the folder.
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := reopen(); !errors.Is(err, ErrKeyFile) || !strings.Contains(err.Error(), "is missing") || !strings.Contains(err.Error(), v.Fingerprint()) {
		t.Errorf("without its file: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file was made")
	}
	// Another folder's key is refused, and a staged key that does not fit is let be.
	for _, p := range []string{path, path + ".next"} {
		if err := os.WriteFile(p, []byte(hex.EncodeToString(randomKey())), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := reopen(); !errors.Is(err, ErrWrongMaster) {
			t.Errorf("with another %s: %v", filepath.Base(p), err)
		}
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path+".next", 0o644); err != nil {
		t.Fatal(err)
	}
	if v, err = reopen(); err != nil { // a good key needs no look at the staged one
		t.Fatal(err)
	}
	checkKeys(t, v, sealed)
	if err := os.WriteFile(path, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := reopen(); !errors.Is(err, ErrKeyFile) {
		t.Errorf("a broken file: %v", err)
	}
}

// A rotation that stops after any of its steps is healed by the next start, or
// by another rotation, and loses no key.
func TestRotationIsHealed(t *testing.T) {
	for name, steps := range map[string]int{"staged": 1, "rotated": 2, "promoted": 3} {
		for _, restart := range []bool{true, false} {
			mem, path := keyFolder(t)
			db := openDB(t, mem)
			v, _, err := OpenWithFile(db, path)
			if err != nil {
				t.Fatal(err)
			}
			first := v.Fingerprint()
			sealed := makeKeys(t, v, [16]byte{1})
			next, err := StageMasterKey(path)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := StageMasterKey(path); err != nil || !bytes.Equal(again, next) {
				t.Error("a staged key was replaced:", err)
			}
			if info, err := os.Stat(path + ".next"); err != nil || info.Mode().Perm() != 0o600 {
				t.Error(info.Mode(), err)
			}
			if steps > 1 {
				if err := v.RotateMaster(next); err != nil {
					t.Fatal(err)
				}
			}
			if steps > 2 {
				if err := PromoteMasterKey(path); err != nil {
					t.Fatal(err)
				}
			}
			want := first
			if steps > 1 {
				want = Fingerprint(next)
			}
			if restart {
				closeDB(t, db)
				db = openDB(t, mem)
				if v, _, err = OpenWithFile(db, path); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if key, err := LoadMasterKey(path); err != nil || Fingerprint(key) != want || v.Fingerprint() != want {
					t.Errorf("%s: the file has another key than the folder: %v", name, err)
				}
			}
			checkKeys(t, v, sealed)
			before := v.Fingerprint()
			if err := v.RotateFile(path); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if v.Fingerprint() == before || v.Fingerprint() == first {
				t.Errorf("%s: an old key was used again", name)
			}
			if _, err := os.Stat(path + ".next"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: the staged file is left: %v", name, err)
			}
			if key, err := LoadMasterKey(path); err != nil || Fingerprint(key) != v.Fingerprint() {
				t.Errorf("%s: the file has another key than the folder: %v", name, err)
			}
			closeDB(t, db)
		}
	}
	_, path := keyFolder(t)
	if err := PromoteMasterKey(path); !errors.Is(err, ErrKeyFile) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing to promote: %v", err)
	}
}

func TestDropEpochs(t *testing.T) {
	mem := vfs.NewMem()
	v, db := open(t, mem)
	defer func() { closeDB(t, db) }()
	b := db.NewBatch()
	v.DropEpochs(5, b) // there is none yet
	if b.Count() != 0 {
		t.Error("something to drop in an empty folder")
	}
	b.Discard()
	for i := range int64(6) {
		if _, err := v.Epoch(i * EpochMillis); err != nil {
			t.Fatal(err)
		}
	}
	check := func(gone uint32) {
		t.Helper()
		for id := uint32(1); id <= 6; id++ {
			if _, err := v.EpochKey(id); errors.Is(err, ErrNoKey) != (id < gone) || err != nil && id >= gone {
				t.Errorf("epoch %d with all below %d dropped: %v", id, gone, err)
			}
		}
	}
	b = db.NewBatch()
	v.DropEpochs(4, b)
	check(0)
	b.Discard()
	check(0)
	b = db.NewBatch()
	v.DropEpochs(4, b)
	commit(t, b)
	check(4)
	b = db.NewBatch()
	v.DropEpochs(100, b) // the newest stays
	commit(t, b)
	check(6)
	closeDB(t, db)
	v, db = open(t, mem)
	check(6)
	if k, err := v.Epoch(100 * EpochMillis); err != nil || k.ID() != 7 {
		t.Error("numbers are used again:", err)
	}
}

func BenchmarkOpen(b *testing.B) {
	_, db := open(b, vfs.NewMem())
	defer closeDB(b, db)
	for b.Loop() {
		if _, err := Open(db, master); err != nil {
			b.Fatal(err)
		}
	}
}
