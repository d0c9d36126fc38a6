package vault

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

var master = bytes.Repeat([]byte{7}, 32)

func openDB(t testing.TB, fs vfs.FS) *engine.DB {
	t.Helper()
	db, err := engine.Open(engine.Options{Dir: "data", FS: fs, CacheBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func open(t testing.TB, fs vfs.FS) (*Vault, *engine.DB) {
	t.Helper()
	db := openDB(t, fs)
	v, err := Open(db, master)
	if err != nil {
		t.Fatal(err)
	}
	return v, db
}

func closeDB(t testing.TB, db *engine.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func commit(t testing.TB, b *engine.Batch) {
	t.Helper()
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
}

func TestKeysOutliveARestart(t *testing.T) {
	fs := vfs.NewMem()
	v, db := open(t, fs)
	install, sub, hash := v.InstallKey(), v.Subkey("cookie"), v.Hash("email", "a@x.com")
	epoch, err := v.Epoch(1000)
	if err != nil {
		t.Fatal(err)
	}
	b := db.NewBatch()
	facet, err := v.FacetKey([16]byte{1}, true, b)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, b)
	sealed, sealedFacet := epoch.Seal(nil, []byte("log"), []byte("place")), facet.Seal(nil, []byte("facet"), nil)
	closeDB(t, db)

	v, db = open(t, fs)
	defer closeDB(t, db)
	if !bytes.Equal(install, v.InstallKey()) || !bytes.Equal(sub, v.Subkey("cookie")) || hash != v.Hash("email", "a@x.com") {
		t.Error("derived values changed over a restart")
	}
	again, err := v.Epoch(2000)
	if err != nil || again.ID() != epoch.ID() {
		t.Errorf("a new epoch within the day: %v, %v", again, err)
	}
	epoch, err = v.EpochKey(epoch.ID())
	if err != nil {
		t.Fatal(err)
	}
	facet, err = v.FacetKey([16]byte{1}, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	p1, err1 := epoch.Open(nil, sealed, []byte("place"))
	p2, err2 := facet.Open([]byte(">"), sealedFacet, nil)
	if string(p1) != "log" || string(p2) != ">facet" || err1 != nil || err2 != nil {
		t.Errorf("%q %v, %q %v", p1, err1, p2, err2)
	}
	if _, err := v.EpochKey(99); !errors.Is(err, ErrNoKey) {
		t.Errorf("an epoch that never was: %v", err)
	}
}

func TestWrongMasterIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	_, db := open(t, fs)
	defer closeDB(t, db)
	other := bytes.Repeat([]byte{8}, 32)
	if _, err := Open(db, other); !errors.Is(err, ErrWrongMaster) || !strings.Contains(err.Error(), "key file that belongs to the folder") {
		t.Errorf("another master: %v", err)
	}
	if _, err := Open(db, other[:31]); err == nil || !strings.Contains(err.Error(), "31 bytes: 32 wanted") {
		t.Errorf("a short master: %v", err)
	}
}

func TestSealsAreBound(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	key, other := newKey(0, randomKey()), newKey(0, randomKey())
	plain, aad := []byte("the plain text"), []byte("its place")
	sealed := key.Seal(nil, plain, aad)
	if len(sealed) != len(plain)+Overhead || bytes.Contains(sealed, plain[:5]) {
		t.Errorf("sealed: %x", sealed)
	}
	if bytes.Equal(sealed, key.Seal(nil, plain, aad)) {
		t.Error("two seals of one text are equal: the nonce is not random")
	}
	refuse := func(what string, k *Key, sealed, aad []byte) {
		t.Helper()
		if got, err := k.Open([]byte("kept"), sealed, aad); err == nil || string(got) != "kept" {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	refuse("another key", other, sealed, aad)
	refuse("another place", key, sealed, []byte("elsewhere"))
	for n := range len(sealed) {
		refuse("cut", key, sealed[:n], aad)
	}
	for range 200 {
		bad := bytes.Clone(sealed)
		bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
		refuse("a flipped bit", key, bad, aad)
	}
}

// Wrapped keys open only where they were put.
func TestWrappedKeysDoNotMove(t *testing.T) {
	fs := vfs.NewMem()
	v, db := open(t, fs)
	defer closeDB(t, db)
	b := db.NewBatch()
	if _, err := v.FacetKey([16]byte{1}, true, b); err != nil {
		t.Fatal(err)
	}
	commit(t, b)
	b = db.NewBatch()
	if _, err := db.Get(keyspace.AppendVault(nil, keyspace.VaultFacet, append([]byte{1}, make([]byte, 15)...)), func(val []byte) error {
		b.Set(keyspace.AppendVault(nil, keyspace.VaultFacet, append([]byte{2}, make([]byte, 15)...)), val)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	commit(t, b)
	if _, err := v.FacetKey([16]byte{2}, false, nil); err == nil || errors.Is(err, ErrNoKey) {
		t.Errorf("facet 2 with the key of facet 1: %v", err)
	}
}

func TestEpochs(t *testing.T) {
	fs := vfs.NewMem()
	v, db := open(t, fs)
	const day, decade = int64(EpochMillis), int64(10 * 365 * EpochMillis)
	start := int64(1_700_000_000_000)
	for i, c := range []struct {
		at   int64
		want uint32
	}{
		{start, 1}, {start + day - 1, 1}, {start - day + 1, 1}, {start + day, 2}, {start + day + 5, 2},
		{start + decade, 3}, // the clock jumps ahead
		{start + day + 9, 4}, {start + day + 10, 4}, {start + 2*day + 9, 5},
		{start - decade, 6}, {start + 3*day, 7},
	} {
		k, err := v.Epoch(c.at)
		if err != nil || k.ID() != c.want {
			t.Fatalf("step %d: epoch %v, %v; want %d", i, k, err, c.want)
		}
		if again, err := v.EpochKey(c.want); err != nil || again != k {
			t.Errorf("step %d: EpochKey: %v", i, err)
		}
	}
	// A crash right after Epoch returns keeps the key: nothing was flushed.
	closeDB(t, db)
	v, db = open(t, fs)
	defer closeDB(t, db)
	for id := uint32(1); id <= 7; id++ {
		if _, err := v.EpochKey(id); err != nil {
			t.Error(err)
		}
	}
}

func TestEpochIsDurableBeforeUse(t *testing.T) {
	fs := vfs.NewCrashableMem()
	v, db := open(t, fs)
	k, err := v.Epoch(1)
	if err != nil {
		t.Fatal(err)
	}
	sealed := k.Seal(nil, []byte("x"), nil)
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	closeDB(t, db)
	v, db = open(t, crashed)
	defer closeDB(t, db)
	if k, err = v.EpochKey(k.ID()); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Open(nil, sealed, nil); string(got) != "x" || err != nil {
		t.Error(got, err)
	}
}

func TestManyEpochsStayBounded(t *testing.T) {
	v, db := open(t, vfs.NewMem())
	defer closeDB(t, db)
	for i := range int64(maxEpochs + 50) {
		if _, err := v.Epoch(i * EpochMillis); err != nil {
			t.Fatal(err)
		}
	}
	if len(v.epochs) > maxEpochs {
		t.Errorf("%d epoch keys are kept", len(v.epochs))
	}
	for id := uint32(1); id < 100; id++ {
		if k, err := v.EpochKey(id); err != nil || k.ID() != id {
			t.Fatal(id, err)
		}
	}
}

func TestHashesAreApart(t *testing.T) {
	v, db := open(t, vfs.NewMem())
	defer closeDB(t, db)
	seen := map[[16]byte]string{}
	for _, parts := range [][]string{{"a"}, {"a", ""}, {"", "a"}, {"ab"}, {"a", "b"}, {"", "ab"}, {}, {"b", "a"}, {strings.Repeat("x", 100_000)}} {
		for _, domain := range []string{"", "d", "identifier"} {
			h, name := v.HashKey(domain, parts...), fmt.Sprintf("%q %.40q", domain, parts)
			if before, dup := seen[h]; dup {
				t.Errorf("%s and %s hash alike", before, name)
			}
			seen[h] = name
			if h != v.HashKey(domain, parts...) {
				t.Errorf("%s hashes differently each time", name)
			}
		}
	}
	if v.Hash("email", "x") != v.HashKey("identifier", "email", "x") {
		t.Error("Hash is not HashKey of its domain")
	}
	w, db2 := open(t, vfs.NewMem())
	defer closeDB(t, db2)
	if w.Hash("email", "x") == v.Hash("email", "x") {
		t.Error("two installs hash alike")
	}
	if bytes.Equal(v.Subkey("a"), v.Subkey("b")) || bytes.Equal(v.Subkey("a"), v.InstallKey()) {
		t.Error("subkeys are not apart")
	}
}

func TestHashAndSealDoNotAllocate(t *testing.T) {
	v, db := open(t, vfs.NewMem())
	defer closeDB(t, db)
	v.Hash("email", "warm")
	key := newKey(0, randomKey())
	plain, buf, out := make([]byte, 1000), make([]byte, 0, 2000), make([]byte, 0, 2000)
	for what, fn := range map[string]func(){
		"Hash": func() { v.Hash("email", "someone@example.com") },
		"Seal and Open": func() {
			buf = key.Seal(buf[:0], plain, nil)
			if _, err := key.Open(out, buf, nil); err != nil {
				t.Fatal(err)
			}
		},
	} {
		if n := testing.AllocsPerRun(500, fn); n > 0 && !raceDetector {
			t.Errorf("%s: %.1f allocations", what, n)
		}
	}
}

func TestMasterKeyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys", "master")
	key, created, err := LoadOrCreateMasterKey(path)
	if err != nil || !created || len(key) != 32 {
		t.Fatal(key, created, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	again, created, err := LoadOrCreateMasterKey(path)
	if err != nil || created || !bytes.Equal(again, key) {
		t.Error(created, err)
	}
	if names, err := os.ReadDir(filepath.Dir(path)); err != nil || len(names) != 1 {
		t.Error("left behind:", names, err)
	}
	good := strings.Repeat("ab", 32)
	for _, c := range []struct {
		name, text string
		mode       os.FileMode
		says       string
	}{
		{"wide", good, 0o644, "has mode 0644, so others can read it: wanted 0600: run chmod 600"},
		{"group", good, 0o640, "mode 0640"},
		{"short", good[2:], 0o600, "holds 62 hexadecimal digits, wanted 64"},
		{"text", strings.Repeat("secret--", 8), 0o600, "hexadecimal digits only"},
		{"empty", "", 0o600, "holds 0 hexadecimal digits"},
	} {
		p := filepath.Join(dir, c.name)
		if err := os.WriteFile(p, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, c.mode); err != nil {
			t.Fatal(err)
		}
		_, _, err := LoadOrCreateMasterKey(p)
		if !errors.Is(err, ErrKeyFile) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret--") {
			t.Errorf("%s: %v", c.name, err)
		}
		if text, _ := os.ReadFile(p); string(text) != c.text {
			t.Errorf("%s: the file was changed", c.name)
		}
	}
}

// Two first starts at once end up with one key.
func TestMasterKeyRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master")
	keys := make([][]byte, 8)
	made := make([]bool, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], made[i], err = LoadOrCreateMasterKey(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	makers := 0
	for i := range keys {
		if made[i] {
			makers++
		}
		if !bytes.Equal(keys[i], keys[0]) {
			t.Error("two keys")
		}
	}
	if makers != 1 {
		t.Errorf("%d makers", makers)
	}
}

func FuzzMasterKey(f *testing.F) {
	f.Add(strings.Repeat("0f", 32) + "\n")
	f.Add("xyz")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := parseMaster(text)
		if err == nil && (len(key) != 32 || !strings.EqualFold(fmt.Sprintf("%x", key), strings.TrimSpace(text))) {
			t.Errorf("%q gives %x", text, key)
		}
	})
}
