package backup

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/vault"
)

var (
	master = bytes.Repeat([]byte{7}, 32)
	quiet  = slog.New(slog.DiscardHandler)
	day    = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
)

// store is an open data folder.
type store struct {
	fs  vfs.FS
	db  *engine.DB
	v   *vault.Vault
	log *eventlog.Log
}

func openStore(t testing.TB, d vfs.FS, dir string) *store {
	t.Helper()
	s := &store{fs: d}
	var err error
	if s.db, err = openEngine(engine.Options{Dir: dir, FS: d, CacheBytes: 1 << 20, Logger: quiet}, func() { t.Error("the store failed") }); err != nil {
		t.Fatal(err)
	}
	if s.v, err = vault.Open(s.db, master); err != nil {
		t.Fatal(err)
	}
	if s.log, err = eventlog.Open(s.db, s.v, eventlog.Options{MinFree: -1, Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *store) close(t testing.TB) {
	t.Helper()
	if err := errors.Join(s.log.Close(), s.db.Close()); err != nil {
		t.Error(err)
	}
}

// write appends n entries that begin with text, and waits for them.
func (s *store) write(t testing.TB, n int, text string) {
	t.Helper()
	for range n {
		s.log.Append(fmt.Appendf(nil, "%s %d", text, rand.Uint64()), day.UnixMilli())
	}
	if err := s.log.Barrier().Wait(); err != nil {
		t.Fatal(err)
	}
}

// fill writes sealed records of about size bytes in all.
func (s *store) fill(t testing.TB, r *rand.Rand, size int, text string) {
	t.Helper()
	b := s.db.NewBatch()
	for n := 0; n < size; n += 1000 {
		var h keyspace.Hash
		for i := range h {
			h[i] = byte(r.Uint32())
		}
		key, err := s.v.FacetKey(h, true, b)
		if err != nil {
			t.Fatal(err)
		}
		place := keyspace.AppendFacet(nil, h)
		plain := append([]byte(text), bytes.Repeat([]byte("-"), 900)...)
		b.Set(place, key.Seal(nil, plain, place))
	}
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
}

func (s *store) options(to string) Options {
	return Options{
		DB: s.db, Vault: s.v, To: to, LastSeq: s.log.Durable(), Origin: s.log.Origin(), FS: s.fs,
		Now: func() time.Time { return day }, Logger: quiet,
	}
}

func (s *store) backUp(t testing.TB, to string) *Snapshot {
	t.Helper()
	snap, err := Make(t.Context(), s.options(to))
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// contents reads every key and value but those that a restored store has to have its own.
func contents(t testing.TB, db *engine.DB) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := db.Iter(nil, nil, func(k, v []byte) (bool, error) {
		if string(k) != string(keyspace.AppendMeta(nil, keyspace.MetaOrigin)) {
			all[string(k)] = string(v)
		}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func equal(t testing.TB, got, want map[string]string) {
	t.Helper()
	for k, v := range want {
		if g, ok := got[k]; !ok || g != v {
			t.Errorf("key %x: %d bytes, there: %v; wanted %d", k, len(g), ok, len(v))
			return
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d keys, wanted %d", len(got), len(want))
	}
}

func neverErase(t testing.TB) func(context.Context, *engine.DB, *vault.Vault, []LedgerEntry) error {
	return func(_ context.Context, _ *engine.DB, _ *vault.Vault, entries []LedgerEntry) error {
		t.Errorf("asked to erase %v", entries)
		return nil
	}
}

func restoreOptions(t testing.TB, from, to string) RestoreOptions {
	return RestoreOptions{From: from, To: to, Master: master, Logger: quiet, Erase: neverErase(t)}
}

// watch makes a listener that checks what it hears, and a check of the end.
func watch(t testing.TB) (fn func(done, total int64), end func()) {
	last, all, calls := int64(-1), int64(-1), 0
	return func(done, total int64) {
			if calls++; done < last || done > total || all >= 0 && total != all {
				t.Errorf("progress %d of %d after %d of %d", done, total, last, all)
			}
			last, all = done, total
		}, func() {
			t.Helper()
			if calls == 0 || last != all {
				t.Errorf("progress ended at %d of %d after %d calls", last, all, calls)
			}
		}
}

func TestMakeAndRestore(t *testing.T) {
	dir := t.TempDir()
	to, back := filepath.Join(dir, "backups"), filepath.Join(dir, "back")
	s := openStore(t, vfs.Default, filepath.Join(dir, "data"))
	s.fill(t, rand.New(rand.NewPCG(1, 1)), 3<<20, "somebody")
	s.write(t, 500, "an entry")
	if err := errors.Join(s.db.Flush(), s.db.Compact(t.Context(), []byte{0}, []byte{0xff})); err != nil {
		t.Fatal(err)
	}
	o := s.options(to)
	heard, ended := watch(t)
	o.Progress = heard
	first, err := Make(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ended()
	if first.LastSeq != 500 || first.Head != 1 || first.Parent != "" || first.ReusedBytes != 0 || first.NewBytes != first.Bytes() || first.Bytes() < 3<<20 {
		t.Errorf("first: %+v", first)
	}
	s.write(t, 20, "another")
	want := contents(t, s.db)
	second := s.backUp(t, to)
	if second.LastSeq != 520 || second.Parent != first.ID || second.ID <= first.ID {
		t.Errorf("second: %+v", second)
	}
	if second.NewBytes*5 > first.NewBytes || second.NewBytes+second.ReusedBytes != second.Bytes() || second.NewFiles+second.ReusedFiles != len(second.Files) {
		t.Errorf("the first copied %d bytes, the second %d and found %d of %d", first.NewBytes, second.NewBytes, second.ReusedBytes, second.Bytes())
	}
	if left, err := os.ReadDir(filepath.Join(s.db.Dir(), "scratch")); err != nil || len(left) != 1 {
		t.Errorf("scratch holds %v, %v; wanted the lock alone", left, err)
	}
	s.close(t)

	list, err := List(to)
	if err != nil || len(list) != 2 || list[0].ID != second.ID || list[1].ID != first.ID {
		t.Fatalf("list: %v, %v", list, err)
	}
	for _, id := range []string{"", first.ID, second.ID} {
		heard, ended := watch(t)
		if _, err := Verify(t.Context(), to, id, heard); err != nil {
			t.Errorf("verify %q: %v", id, err)
		}
		ended()
	}

	ro := restoreOptions(t, to, back)
	heard, ended = watch(t)
	ro.Progress = heard
	got, err := Restore(t.Context(), ro)
	if err != nil {
		t.Fatal(err)
	}
	ended()
	if got.Entries != 520 || got.Erased != 0 || got.Bytes != second.Bytes() || got.Snapshot.ID != second.ID {
		t.Errorf("restored: %+v", got)
	}
	r := openStore(t, vfs.Default, back)
	defer r.close(t)
	equal(t, contents(t, r.db), want)
	if origin := r.log.Origin(); hex.EncodeToString(origin[:]) == second.Origin {
		t.Errorf("the restored log is incarnation %x: the same as before", origin)
	}

	// The older one is whole, too.
	ro = restoreOptions(t, to, filepath.Join(dir, "older"))
	ro.ID = first.ID
	if got, err = Restore(t.Context(), ro); err != nil || got.Entries != 500 {
		t.Errorf("older: %+v, %v", got, err)
	}
}

// A folder that was restored numbers its tables as the one that it came from
// goes on to. Neither may pass for the other.
func TestBackupOfRestoredFolder(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "backups")
	s := openStore(t, vfs.Default, filepath.Join(dir, "data"))
	s.fill(t, rand.New(rand.NewPCG(1, 1)), 1<<20, "a")
	first := s.backUp(t, to)
	for i := range 3 {
		s.fill(t, rand.New(rand.NewPCG(2, uint64(i))), 20000, "b")
		s.backUp(t, to)
	}
	s.close(t)
	ro := restoreOptions(t, to, filepath.Join(dir, "again"))
	ro.ID = first.ID
	if _, err := Restore(t.Context(), ro); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, vfs.Default, ro.To)
	for i := range 3 {
		s.fill(t, rand.New(rand.NewPCG(3, uint64(i))), 20000, "c") // as long as before, and other bytes
		s.backUp(t, to)
	}
	want := contents(t, s.db)
	s.close(t)
	if _, err := Restore(t.Context(), restoreOptions(t, to, filepath.Join(dir, "third"))); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, vfs.Default, filepath.Join(dir, "third"))
	equal(t, contents(t, s.db), want)
	s.close(t)
}

// While writers run, the snapshot is a prefix of the log that has all that was
// acknowledged before.
func TestMakeUnderWriters(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "backups")
	s := openStore(t, vfs.Default, filepath.Join(dir, "data"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	wrote := map[uint64]string{}
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				text := fmt.Sprintf("%d %d", w, i)
				mu.Lock()
				seq, ticket := s.log.Append([]byte(text), day.UnixMilli())
				wrote[seq] = text
				mu.Unlock()
				if err := ticket.Wait(); err != nil {
					t.Error(err)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	var snaps []*Snapshot
	var acked []uint64
	for range 4 {
		o := s.options(to)
		acked = append(acked, o.LastSeq)
		snap, err := Make(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		snaps = append(snaps, snap)
	}
	close(stop)
	wg.Wait()
	s.close(t)
	for i, snap := range snaps {
		if snap.LastSeq < acked[i] {
			t.Errorf("snapshot ends at %d, %d was acknowledged", snap.LastSeq, acked[i])
		}
		ro := restoreOptions(t, to, filepath.Join(dir, fmt.Sprint(i)))
		ro.ID = snap.ID
		if _, err := Restore(t.Context(), ro); err != nil {
			t.Fatal(err)
		}
		r := openStore(t, vfs.Default, ro.To)
		next := uint64(1)
		if err := r.log.Read(0, func(seq uint64, _ int64, entry []byte) (bool, error) {
			if seq != next || string(entry) != wrote[seq] {
				t.Fatalf("entry %d, expected %d: %q, wrote %q", seq, next, entry, wrote[seq])
			}
			next++
			return true, nil
		}); err != nil || next != snap.LastSeq+1 {
			t.Errorf("read to %d of %d: %v", next-1, snap.LastSeq, err)
		}
		r.close(t)
	}
}

// Nothing that a person said, and no key, stands in a backup.
func TestBackupIsSealed(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "backups")
	s := openStore(t, vfs.Default, filepath.Join(dir, "data"))
	const canary = "canary@example.com"
	s.write(t, 10, canary)
	s.fill(t, rand.New(rand.NewPCG(5, 5)), 10000, canary)
	install := s.v.InstallKey()
	s.backUp(t, to)
	s.close(t)
	files := 0
	err := filepath.WalkDir(to, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if files++; bytes.Contains(text, []byte(canary)) || bytes.Contains(text, master) || bytes.Contains(text, install) ||
			bytes.Contains(text, s.v.Signer().Seed()) || strings.Contains(path, canary) {
			t.Errorf("%s tells", path)
		}
		return err
	})
	if err != nil || files < 8 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestMakeRefuses(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, vfs.Default, filepath.Join(dir, "data"))
	defer s.close(t)
	other := openStore(t, vfs.Default, filepath.Join(dir, "other"))
	defer other.close(t)
	theirs := filepath.Join(dir, "theirs")
	other.backUp(t, theirs)
	full := filepath.Join(dir, "photos")
	if err := os.MkdirAll(filepath.Join(full, "2019"), 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(s.db.Dir(), link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		set  func(*Options)
		want error
		says string
	}{
		{"something else", func(o *Options) { o.To = full }, ErrNotBackup, "2019"},
		{"another install's", func(o *Options) { o.To = theirs }, ErrForeign, "install"},
		{"in the data folder", func(o *Options) { o.To = filepath.Join(s.db.Dir(), "backups") }, ErrTarget, "lie in each other"},
		{"in it by a link", func(o *Options) { o.To = filepath.Join(link, "a", "b") }, ErrTarget, "lie in each other"},
		{"around the data folder", func(o *Options) { o.To = dir }, ErrTarget, "lie in each other"},
		{"behind its time", func(o *Options) { o.LastSeq = 1 << 40 }, nil, "is durable"},
		{"no folder", func(o *Options) { o.To = "" }, nil, "To is empty"},
		{"no store", func(o *Options) { o.DB = nil }, nil, "DB"},
		{"no origin", func(o *Options) { o.Origin = [16]byte{} }, nil, "Origin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := s.options(filepath.Join(dir, "backups"))
			c.set(&o)
			_, err := Make(t.Context(), o)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, wanted %v … %s …", err, c.want, c.says)
			}
		})
	}
	if names, err := os.ReadDir(full); err != nil || len(names) != 1 {
		t.Errorf("a refused folder was touched: %v, %v", names, err)
	}
}

// A second Make, of the same folder or into the same one, is told to wait.
func TestOneAtATime(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, vfs.Default, filepath.Join(dir, "data"))
	defer s.close(t)
	to := filepath.Join(dir, "backups")
	tried := 0
	o := s.options(to)
	o.Progress = func(done, total int64) {
		if tried++; tried > 1 {
			return
		}
		for _, into := range []string{to, filepath.Join(dir, "elsewhere")} {
			if _, err := Make(t.Context(), s.options(into)); !errors.Is(err, ErrBusy) {
				t.Errorf("a second into %s: %v", into, err)
			}
		}
		if _, err := Prune(to, 1); !errors.Is(err, ErrBusy) {
			t.Errorf("prune: %v", err)
		}
	}
	if _, err := Make(t.Context(), o); err != nil || tried == 0 {
		t.Fatal(err)
	}
	s.backUp(t, to)
}

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "backups")
	s := openStore(t, vfs.Default, filepath.Join(dir, "data"))
	defer s.close(t)
	var made []*Snapshot
	for i := range 4 {
		s.fill(t, rand.New(rand.NewPCG(9, uint64(i))), 50000, "x")
		made = append(made, s.backUp(t, to))
	}
	if _, err := Prune(to, 0); err == nil {
		t.Error("pruned to none")
	}
	if p, err := Prune(to, 4); err != nil || p != (Pruned{}) {
		t.Errorf("pruned %+v of what is to be kept, %v", p, err)
	}
	p, err := Prune(to, 2)
	if err != nil || p.Snapshots != 2 || p.Objects == 0 || p.Bytes == 0 {
		t.Errorf("pruned %+v, %v", p, err)
	}
	list, err := List(to)
	if err != nil || len(list) != 2 || list[0].ID != made[3].ID {
		t.Fatalf("left: %v, %v", list, err)
	}
	needed := map[string]bool{}
	for _, snap := range list {
		if _, err := Verify(t.Context(), to, snap.ID, nil); err != nil {
			t.Error(err)
		}
		for _, f := range snap.Files {
			needed[f.SHA256] = true
		}
	}
	objects, err := filepath.Glob(filepath.Join(to, objectsName, "*", "*"))
	if err != nil || len(objects) != len(needed) {
		t.Errorf("%d objects, %d are needed, %v", len(objects), len(needed), err)
	}
	if _, err := Prune(filepath.Join(dir, "data"), 1); !errors.Is(err, ErrNotBackup) {
		t.Errorf("pruned a data folder: %v", err)
	}
}

// Ids sort by age though the clock stands still or goes back.
func TestIDs(t *testing.T) {
	last := ""
	var ids []string
	for i := range 50 {
		last = newID(day.Add(-time.Duration(i%7)*time.Second), last)
		ids = append(ids, last)
		if !idPattern.MatchString(last) {
			t.Errorf("id %q", last)
		}
	}
	if !slices.IsSorted(ids) {
		t.Error(ids)
	}
}
