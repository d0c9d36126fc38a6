package backup

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/migrate"
	"github.com/reuna/reuna/storage/receipt"
	"github.com/reuna/reuna/storage/vault"
)

// A snapshot of an older format is brought up by its restore; one of a newer
// format is refused.
func TestRestoreOtherFormats(t *testing.T) {
	dir := t.TempDir()
	const fixture = "../migrate/testdata/format1"
	text, err := os.ReadFile(filepath.Join(fixture, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	oldMaster, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := os.ReadFile(filepath.Join(fixture, "entries.txt"))
	if err != nil {
		t.Fatal(err)
	}
	entries := uint64(strings.Count(string(lines), "\n"))

	// What belongs into the manifest, and who signs it, a folder brought up knows.
	up := filepath.Join(dir, "up")
	if err := os.CopyFS(up, os.DirFS(filepath.Join(fixture, "data"))); err != nil {
		t.Fatal(err)
	}
	db, err := openEngine(engine.Options{Dir: up, Logger: quiet}, func() { t.Error("the store failed") })
	if err != nil {
		t.Fatal(err)
	}
	if err := migrate.Up(db, oldMaster, quiet); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(db, oldMaster)
	if err != nil {
		t.Fatal(err)
	}
	var now checkpointed
	if err := now.look(db); err != nil {
		t.Fatal(err)
	}
	s := sample()
	s.Install, s.Parent, s.Master, s.Format, s.Head, s.LastSeq, s.Erasures = "", "", now.master, 1, now.head, now.last, 0
	if now.last != entries {
		t.Fatalf("the log ends with %d, wanted %d", now.last, entries)
	}
	if s.Origin, err = originOf(db, v); err != nil {
		t.Fatal(err)
	}
	signer := v.Signer()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	m := &making{to: folder{vfs.Default, filepath.Join(dir, "backups")}, key: signer, buf: make([]byte, 1<<16), dirs: map[string]bool{}}
	m.FS, m.To, m.Logger = vfs.Default, m.to.dir, quiet
	l, err := m.openFolder()
	if err != nil {
		t.Fatal(err)
	}
	s.Install = keyName(t, &m.to)
	s.Files = nil
	names, err := vfs.Default.List(filepath.Join(fixture, "data"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(slices.Values(names)) {
		info, err := os.Stat(filepath.Join(fixture, "data", name))
		if err != nil {
			t.Fatal(err)
		}
		f := File{Name: name, Size: info.Size()}
		if _, err := m.store(t.Context(), filepath.Join(fixture, "data", name), &f); err != nil {
			t.Fatal(err)
		}
		s.Files = append(s.Files, f)
	}
	if err := errors.Join(m.writeManifest(s), l.Close()); err != nil {
		t.Fatal(err)
	}

	o := restoreOptions(t, m.To, filepath.Join(dir, "back"))
	o.Master = oldMaster
	got, err := Restore(t.Context(), o)
	if err != nil || got.Entries != entries {
		t.Errorf("%+v, %v", got, err)
	}

	s.Format = engine.FormatVersion + 1
	if err := m.writeManifest(s); err != nil {
		t.Fatal(err)
	}
	o.To = filepath.Join(dir, "newer")
	refused(t, o, engine.ErrFormat, "newer program")
	s.Format = engine.FormatVersion
	if err := m.writeManifest(s); err != nil {
		t.Fatal(err)
	}
	refused(t, o, ErrBroken, "format")
}

// A full disk is told before anything is copied; a run that is called off goes
// on with the next.
func TestSpaceAndCancel(t *testing.T) {
	mem := vfs.NewMem()
	s := openStore(t, mem, "data")
	defer s.close(t)
	s.write(t, 100, "e")
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: spareBytes, TotalBytes: 1 << 40})
	if _, err := Make(t.Context(), s.options("backups")); !errors.Is(err, ErrSpace) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("make: %v", err)
	}
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 40, TotalBytes: 1 << 40})
	ctx, cancel := context.WithCancel(t.Context())
	o := s.options("backups")
	o.Progress = func(done, _ int64) {
		if done > 0 {
			cancel()
		}
	}
	if _, err := Make(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
	sound(t, mem, "backups", 0)
	s.backUp(t, "backups")
	sound(t, mem, "backups", 1)
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: spareBytes, TotalBytes: 1 << 40})
	ro := restoreOptions(t, "backups", "back")
	ro.FS = mem
	if _, err := Restore(t.Context(), ro); !errors.Is(err, ErrSpace) {
		t.Errorf("restore: %v", err)
	}
}

func originOf(db *engine.DB, v *vault.Vault) (string, error) {
	log, err := eventlog.Open(db, v, eventlog.Options{MinFree: -1, Logger: quiet})
	if err != nil {
		return "", err
	}
	origin := log.Origin()
	return hex.EncodeToString(origin[:]), log.Close()
}

func keyName(t *testing.T, b *folder) string {
	t.Helper()
	pub, err := b.publicKey()
	if err != nil {
		t.Fatal(err)
	}
	return receipt.KeyID(pub)
}
