package backup

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/vault"
)

// someBackup makes a store of its own kind and backs it up.
func someBackup(t *testing.T, dir string, ledger ...LedgerEntry) (to string, snap *Snapshot) {
	t.Helper()
	to = filepath.Join(dir, "backups")
	s := openStore(t, vfs.Default, filepath.Join(dir, "data"))
	defer s.close(t)
	s.fill(t, rand.New(rand.NewPCG(1, 1)), 30000, "x")
	s.write(t, 30, "e")
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	o := s.options(to)
	o.Ledger = filepath.Join(dir, "erasures")
	for _, e := range ledger {
		if err := AppendLedger(o.Ledger, e); err != nil {
			t.Fatal(err)
		}
	}
	snap, err := Make(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return to, snap
}

// refused wants an error and nothing made.
func refused(t *testing.T, o RestoreOptions, want error, says string) {
	t.Helper()
	_, err := Restore(t.Context(), o)
	if err == nil || want != nil && !errors.Is(err, want) || !strings.Contains(fmt.Sprint(err), says) {
		t.Errorf("%v, wanted %v … %s …", err, want, says)
	}
	for _, dir := range []string{o.To, o.To + restoring} {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was left: %v", dir, err)
		}
	}
}

func damage(t *testing.T, path string, change func([]byte) []byte) (undo func()) {
	t.Helper()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if after := change(bytes.Clone(before)); after == nil {
		err = os.Remove(path)
	} else {
		err = os.WriteFile(path, after, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Every kind of object, with a bit flipped, cut short, too long, or gone, is
// named by Verify and refused by Restore, and the next Make heals it.
func TestDamagedObjects(t *testing.T) {
	dir := t.TempDir()
	to, snap := someBackup(t, dir)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	kinds := map[string]bool{}
	for _, f := range snap.Files {
		if f.Size == 0 {
			f.Name = "" // several files may share one object
		}
		kinds[filepath.Ext(f.Name)+strings.TrimRight(f.Name, "0123456789")] = true
		path := filepath.Join(to, objectsName, f.SHA256[:2], f.SHA256)
		changes := map[string]func([]byte) []byte{
			"gone": func([]byte) []byte { return nil },
			"long": func(b []byte) []byte { return append(b, 0) },
		}
		if f.Size > 0 {
			changes["flip"] = func(b []byte) []byte { b[r.IntN(len(b))] ^= 1 << r.IntN(8); return b }
			changes["short"] = func(b []byte) []byte { return b[:r.IntN(len(b))] }
		}
		for name, change := range changes {
			undo := damage(t, path, change)
			heard, ended := watch(t)
			_, err := Verify(t.Context(), to, "", heard)
			var found *DamageError
			if !errors.As(err, &found) || len(found.Faults) == 0 || !strings.Contains(found.Faults[0].File, f.SHA256) || !strings.Contains(found.Faults[0].What, f.Name) {
				t.Errorf("%s, %s: verify: %v", f.Name, name, err)
			}
			ended()
			refused(t, restoreOptions(t, to, filepath.Join(dir, "back")), ErrBroken, f.Name)
			undo()
		}
	}
	if len(kinds) < 4 {
		t.Errorf("kinds of files: %v", kinds)
	}
	for _, f := range snap.Files { // gone tables come back
		if isTable(f.Name) {
			damage(t, filepath.Join(to, objectsName, f.SHA256[:2], f.SHA256), func([]byte) []byte { return nil })
		}
	}
	s := openStore(t, vfs.Default, filepath.Join(dir, "data"))
	s.backUp(t, to)
	s.close(t)
	if _, err := Verify(t.Context(), to, "", nil); err != nil {
		t.Errorf("after healing: %v", err)
	}
}

func TestDamagedManifest(t *testing.T) {
	dir := t.TempDir()
	to, snap := someBackup(t, dir)
	back := filepath.Join(dir, "back")
	path := filepath.Join(to, snapshotsDir, snap.ID+suffix)
	undo := damage(t, path, func(b []byte) []byte { b[len(b)/2] ^= 2; return b })
	refused(t, restoreOptions(t, to, back), ErrBroken, snap.ID)
	if _, err := Verify(t.Context(), to, "", nil); !errors.Is(err, ErrBroken) {
		t.Errorf("verify: %v", err)
	}
	if list, err := List(to); !errors.Is(err, ErrBroken) || len(list) != 0 {
		t.Errorf("list: %v, %v", list, err)
	}
	if _, err := Prune(to, 1); !errors.Is(err, ErrBroken) {
		t.Errorf("prune: %v", err)
	}
	// The others can be had, and new ones made.
	s := openStore(t, vfs.Default, filepath.Join(dir, "data"))
	second := s.backUp(t, to)
	s.close(t)
	if list, err := List(to); !errors.Is(err, ErrBroken) || len(list) != 1 || list[0].ID != second.ID {
		t.Errorf("list: %v, %v", list, err)
	}
	if _, err := Restore(t.Context(), restoreOptions(t, to, back)); err != nil {
		t.Errorf("restore of the sound one: %v", err)
	}
	undo()
	if err := os.Rename(path, filepath.Join(to, snapshotsDir, newID(day, second.ID)+suffix)); err != nil {
		t.Fatal(err)
	}
	refused(t, restoreOptions(t, to, filepath.Join(dir, "more")), ErrBroken, "it is snapshot "+snap.ID)
}

// A damaged marker is told, but keeps nobody from their data.
func TestDamagedMarker(t *testing.T) {
	dir := t.TempDir()
	to, _ := someBackup(t, dir)
	undo := damage(t, filepath.Join(to, markerName), func(b []byte) []byte { b[60] ^= 1; return b })
	if _, err := Verify(t.Context(), to, "", nil); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), markerName) {
		t.Errorf("verify: %v", err)
	}
	if _, err := List(to); !errors.Is(err, ErrBroken) {
		t.Errorf("list: %v", err)
	}
	if _, err := Restore(t.Context(), restoreOptions(t, to, filepath.Join(dir, "back"))); err != nil {
		t.Errorf("restore: %v", err)
	}
	undo()
	damage(t, filepath.Join(to, markerName), func([]byte) []byte { return nil })
	refused(t, restoreOptions(t, to, filepath.Join(dir, "other")), ErrNotBackup, markerName)
}

func TestDamagedLedger(t *testing.T) {
	dir := t.TempDir()
	to, _ := someBackup(t, dir, entry(1), entry(2))
	path := filepath.Join(to, erasuresName)
	ro := restoreOptions(t, to, filepath.Join(dir, "back"))
	for name, change := range map[string]func([]byte) []byte{
		"flip": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"gone": func(b []byte) []byte { return nil },
		"cut":  func(b []byte) []byte { return b[:bytes.IndexByte(b, '\n')+1] },
		"torn": func(b []byte) []byte { return b[:len(b)-9] },
	} {
		undo := damage(t, path, change)
		if _, err := Verify(t.Context(), to, "", nil); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), erasuresName) {
			t.Errorf("%s: verify: %v", name, err)
		}
		refused(t, ro, ErrLedger, "put back")
		undo()
	}
	// The next Make heals it from the ledger beside the master key …
	damage(t, path, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	s := openStore(t, vfs.Default, filepath.Join(dir, "data"))
	o := s.options(to)
	o.Ledger = filepath.Join(dir, "erasures")
	if _, err := Make(t.Context(), o); err != nil {
		t.Error(err)
	}
	if _, err := Verify(t.Context(), to, "", nil); err != nil {
		t.Errorf("after healing: %v", err)
	}
	// … and keeps what it has when that one is lost, but not when it is damaged.
	undo := damage(t, o.Ledger, func([]byte) []byte { return nil })
	if _, err := Make(t.Context(), o); err != nil {
		t.Error(err)
	}
	if got, _, err := ReadLedger(path); err != nil || len(got) != 2 {
		t.Errorf("%d entries are left, %v", len(got), err)
	}
	undo()
	damage(t, o.Ledger, func(b []byte) []byte { b[5] ^= 1; return b })
	if _, err := Make(t.Context(), o); !errors.Is(err, ErrLedger) {
		t.Errorf("with a damaged ledger: %v", err)
	}
	s.close(t)
}

func TestRestoreRefuses(t *testing.T) {
	dir := t.TempDir()
	to, snap := someBackup(t, dir)
	back := filepath.Join(dir, "back")
	o := restoreOptions(t, to, back)
	o.Master = bytes.Repeat([]byte{8}, 32)
	refused(t, o, ErrWrongMaster, "made with master key "+vault.Fingerprint(master)+", this one is "+vault.Fingerprint(o.Master))
	o = restoreOptions(t, to, back)
	o.ID = newID(day, "")
	refused(t, o, ErrNoSnapshot, snap.ID)
	refused(t, restoreOptions(t, dir, back), ErrNotBackup, markerName)
	o = restoreOptions(t, to, back)
	o.Erase = nil
	refused(t, o, nil, "Erase is needed")
	o = restoreOptions(t, to, filepath.Join(to, "data"))
	refused(t, o, ErrTarget, "lie in each other")

	ctx, cancel := context.WithCancel(t.Context())
	o = restoreOptions(t, to, back)
	o.Progress = func(done, _ int64) {
		if done > 0 {
			cancel()
		}
	}
	if _, err := Restore(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
	if _, err := os.Stat(back + restoring); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a restore that was called off left its folder")
	}

	// A folder that is there is never touched; an empty one is taken.
	o = restoreOptions(t, to, filepath.Join(dir, "data"))
	if _, err := Restore(t.Context(), o); !errors.Is(err, ErrTarget) {
		t.Errorf("over a data folder: %v", err)
	}
	if err := os.MkdirAll(back, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), restoreOptions(t, to, back)); err != nil {
		t.Errorf("into an empty folder: %v", err)
	}
}

// A snapshot that was signed by somebody else is refused, with the marker that
// goes with it and without: both folders are under one master key.
func TestForeignSnapshot(t *testing.T) {
	mine, theirs := t.TempDir(), t.TempDir()
	to, _ := someBackup(t, mine)
	from, snap := someBackup(t, theirs)
	if err := os.CopyFS(filepath.Join(to, "copy"), os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	// Their newer manifest and its objects among mine.
	id := newID(day, snap.ID)
	forged := *snap
	forged.ID = id
	attacker := openStore(t, vfs.Default, filepath.Join(theirs, "data"))
	text, err := encodeSnapshot(&forged, attacker.v.Signer())
	attacker.close(t)
	if err != nil {
		t.Fatal(err)
	}
	put := func(path string, text []byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(filepath.Join(to, snapshotsDir, id+suffix), text)
	refused(t, restoreOptions(t, to, filepath.Join(mine, "back")), ErrForeign, snap.Install)

	// My files, listed and signed by them, under their marker: the store itself knows its signer.
	own, err := (&folder{vfs.Default, to}).ids()
	if err != nil {
		t.Fatal(err)
	}
	good, _, err := (&folder{vfs.Default, to}).read(own[0])
	if err != nil {
		t.Fatal(err)
	}
	stolen := *good
	stolen.ID, stolen.Install = id, snap.Install
	attacker = openStore(t, vfs.Default, filepath.Join(theirs, "data"))
	defer attacker.close(t)
	if text, err = encodeSnapshot(&stolen, attacker.v.Signer()); err != nil {
		t.Fatal(err)
	}
	put(filepath.Join(to, snapshotsDir, id+suffix), text)
	put(filepath.Join(to, markerName), encodeMarker(attacker.v.PublicKey()))
	if _, err := Verify(t.Context(), to, id, nil); err != nil {
		t.Fatalf("the forgery is not consistent: %v", err)
	}
	refused(t, restoreOptions(t, to, filepath.Join(mine, "back")), ErrForeign, good.Install)
}

// A manifest that lies about the log, though well signed, is refused.
func TestLogIsCompared(t *testing.T) {
	dir := t.TempDir()
	to, snap := someBackup(t, dir)
	s := openStore(t, vfs.Default, filepath.Join(dir, "data"))
	defer s.close(t)
	for name, change := range map[string]func(*Snapshot){
		"last":   func(x *Snapshot) { x.LastSeq++ },
		"head":   func(x *Snapshot) { x.Head++ },
		"origin": func(x *Snapshot) { x.Origin = strings.Repeat("00", 16) },
	} {
		x := *snap
		change(&x)
		text, err := encodeSnapshot(&x, s.v.Signer())
		if err != nil {
			t.Fatal(err)
		}
		undo := damage(t, filepath.Join(to, snapshotsDir, snap.ID+suffix), func([]byte) []byte { return text })
		t.Log(name)
		refused(t, restoreOptions(t, to, filepath.Join(dir, "back")), ErrBroken, "log entries")
		undo()
	}
}

// Who was erased after the snapshot, or in a life of the store that it does not
// know, is erased again; who is erased in it, is not.
func TestErasuresAreReplayed(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "backups")
	s := openStore(t, vfs.Default, filepath.Join(dir, "data"))
	s.write(t, 10, "e")
	origin := s.log.Origin()
	make := func(seq uint64, origin string, hash byte) LedgerEntry {
		return LedgerEntry{Seq: seq, Origin: origin, Time: day, Identifiers: []string{hex.EncodeToString(bytes.Repeat([]byte{hash}, 16))}, Facets: []string{}}
	}
	own := hex.EncodeToString(origin[:])
	known, later, elsewhere, undone := make(5, own, 1), make(11, own, 2), make(5, strings.Repeat("ee", 16), 3), make(6, own, 4)
	b := s.db.NewBatch()
	for _, h := range []byte{1, 2, 3} { // all but the last have a tombstone
		b.Set(keyspace.AppendTombstone(nil, keyspace.Hash(bytes.Repeat([]byte{h}, 16))), []byte{1})
	}
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	o := s.options(to)
	o.Ledger = filepath.Join(dir, "erasures")
	for _, e := range []LedgerEntry{known, undone} {
		if err := AppendLedger(o.Ledger, e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Make(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	s.close(t)
	// After the backup: the ledger beside the key goes on, another machine's has only this.
	ledger := filepath.Join(dir, "other machine's")
	for _, e := range []LedgerEntry{later, elsewhere} {
		if err := AppendLedger(ledger, e); err != nil {
			t.Fatal(err)
		}
	}
	ro := restoreOptions(t, to, filepath.Join(dir, "back"))
	ro.Ledger = ledger
	boom := errors.New("boom")
	ro.Erase = func(context.Context, *engine.DB, *vault.Vault, []LedgerEntry) error { return boom }
	refused(t, ro, boom, "erasing again")
	var asked []LedgerEntry
	ro.Erase = func(_ context.Context, db *engine.DB, v *vault.Vault, list []LedgerEntry) error {
		if db == nil || v == nil {
			t.Error("no store")
		}
		asked = list
		return nil
	}
	got, err := Restore(t.Context(), ro)
	if err != nil || got.Erased != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	if fmt.Sprint(asked) != fmt.Sprint([]LedgerEntry{undone, later, elsewhere}) {
		t.Errorf("erased again: %v", asked)
	}
	// The ledger of this machine now knows everybody.
	all, _, err := ReadLedger(ledger)
	if err != nil || fmt.Sprint(all) != fmt.Sprint([]LedgerEntry{later, elsewhere, known, undone}) {
		t.Errorf("ledger: %v, %v", all, err)
	}
}
