package eventlog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/vault"
)

// The layout is on disk: a change is a decision. Format 1 had one incarnation
// and no number.
func TestOriginsArePinned(t *testing.T) {
	a, b := keyspace.Hash{1, 2, 3}, keyspace.Hash{15: 9}
	const ah, bh = "01020300000000000000000000000000", "00000000000000000000000000000009"
	for _, c := range []struct {
		hex    string
		want   []incarnation
		oneWay bool
	}{
		{"01" + ah, []incarnation{{a, 1}}, true},
		{"0201" + ah + "01", []incarnation{{a, 1}}, false},
		{"0202" + ah + "01" + bh + "ac02", []incarnation{{a, 1}, {b, 300}}, false},
	} {
		val, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseOrigins(val)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s is %v, %v; want %v", c.hex, got, err, c.want)
		}
		if is := hex.EncodeToString(appendOrigins(nil, c.want)); !c.oneWay && is != c.hex {
			t.Errorf("%v is %s, want %s", c.want, is, c.hex)
		}
	}
	for _, bad := range []string{
		"", "03" + ah, "01" + ah + "00", "01" + ah[2:], "0200", "0201" + ah + "02", "0202" + ah + "01" + bh + "01",
		"0202" + ah + "01", "0201" + ah + "01ff", "02ffffffffffffffffff01" + ah + "01",
	} {
		val, _ := hex.DecodeString(bad)
		if list, err := parseOrigins(val); err == nil {
			t.Errorf("%q is %v", bad, list)
		}
	}
}

func FuzzOrigins(f *testing.F) {
	f.Add(appendOrigins(nil, []incarnation{{keyspace.Hash{1}, 1}, {keyspace.Hash{2}, 1 << 40}}))
	f.Add(append([]byte{1}, make([]byte, 16)...))
	f.Fuzz(func(t *testing.T, val []byte) {
		list, err := parseOrigins(val)
		if err != nil {
			return
		}
		if again, err := parseOrigins(appendOrigins(nil, list)); err != nil || !slices.Equal(list, again) {
			t.Errorf("%x is %v, then %v, %v", val, list, again, err)
		}
		l := Log{origins: list}
		before := uint16(0)
		for _, x := range list { // every incarnation has its first entry, in order
			n := l.OriginNumberOf(x.first)
			if l.OriginOf(x.first) != x.id || n != before+1 && len(list) < 1<<16 {
				t.Errorf("entry %d is of incarnation %d, the one before of %d", x.first, n, before)
			}
			before = n
		}
	})
}

func TestReincarnate(t *testing.T) {
	reincarnate := func(mem vfs.FS) {
		t.Helper()
		db, err := engine.Open(engine.Options{Dir: "data", FS: mem, Logger: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(Reincarnate(db), Reincarnate(db), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	mem := vfs.NewMem()
	reincarnate(mem) // an empty folder has no name that anybody has seen
	s := openStore(t, mem, Options{})
	fillBlocks(t, s, 2)
	first := s.log.Origin()
	s.close(t)
	reincarnate(mem)
	s = openStore(t, mem, Options{})
	second := s.log.Origin()
	if _, err := s.log.Trim(10); err != nil || second == first || s.log.OriginOf(10) != first || s.log.OriginOf(11) != second {
		t.Errorf("%x, then %x: %v", first, second, err)
	}
	s.close(t)
	reincarnate(mem) // nothing of the second life was named here, and maybe elsewhere
	s = openStore(t, mem, Options{})
	if s.log.Origin() == second || s.log.OriginOf(10) != first || s.log.OriginNumberOf(11) != 2 {
		t.Error("a life without entries, of which there may be copies, is not followed by another one in its place")
	}
	fillBlocks(t, s, 1)
	if _, err := s.log.Trim(15); err != nil {
		t.Fatal(err)
	}
	s.close(t)
	reincarnate(mem) // all is trimmed, and yet the names are taken
	s = openStore(t, mem, Options{})
	defer s.close(t)
	fillBlocks(t, s, 1)
	if s.log.OriginNumberOf(16) != 3 || s.log.OriginNumberOf(15) != 2 || s.log.OriginNumberOf(1) != 1 {
		t.Errorf("entry 16 is of incarnation %d", s.log.OriginNumberOf(16))
	}
	if err := s.log.Get(16, func(_ int64, e []byte) error { return nil }); err != nil {
		t.Error(err)
	}
}

// What a mark says counts for the incarnation that wrote it, and only when it
// is ahead of what is there.
func TestMark(t *testing.T) {
	mem := vfs.NewMem()
	s := openStore(t, mem, Options{})
	fillBlocks(t, s, 3)
	own, other := s.log.markOf(16), s.log.markOf(16)^1<<50
	s.close(t)
	for _, c := range []struct {
		name string
		mark uint64
		gap  bool
	}{{"as it was", 0, false}, {"ahead", own, true}, {"behind", own - 9, false}, {"of another life", other, false}} {
		name := c.name
		db, err := engine.Open(engine.Options{Dir: "data", FS: mem, Logger: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := db.Mark().Load(); name == "as it was" && (m != own-1 || !ok) {
			t.Errorf("mark %x, %v; want %x", m, ok, own-1)
		}
		if c.mark != 0 {
			if err := db.Mark().Store(c.mark); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := tryOpen(t, mem, Options{})
		var gap *GapError
		if errors.As(err, &gap) != c.gap || !c.gap && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.gap && (gap.From != 16 || gap.To != 16 || !contains(err, "entries 16 to 16 are missing", "restore the data folder from a backup")) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			s.close(t)
		}
	}
	db, err := engine.Open(engine.Options{Dir: "data", FS: mem, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Mark().Store(own+4), Reincarnate(db), db.Close()); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, mem, Options{}) // brought back from a backup that was older than its mark
	fillBlocks(t, s, 1)
	if _, err := s.log.Trim(20); err != nil {
		t.Fatal(err)
	}
	s.close(t)
	s = openStore(t, mem, Options{})
	s.close(t)
}

// The write-ahead log's end is cut, or a bit of it flipped, after entries were
// acknowledged: Pebble may take that for the trace of a crash and drop them.
// The log says what is missing, or all of it is there.
func TestDamagedEnd(t *testing.T) {
	dir := t.TempDir()
	open := func(dir string) (s store, err error) {
		if s.db, err = engine.Open(engine.Options{Dir: dir, Logger: quiet()}); err != nil {
			return s, err
		}
		if s.v, err = vault.Open(s.db, master); err == nil {
			s.log, err = Open(s.db, s.v, Options{Logger: quiet()})
		}
		if err != nil {
			err = errors.Join(err, s.db.Close())
		}
		return s, err
	}
	s, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := uint64(1); i <= 60; i++ {
		if _, ticket := s.log.Append([]byte(entryText(i)), int64(i)); ticket.Wait() != nil {
			t.Fatal(ticket.Wait())
		}
		if i == 20 { // a part is in tables
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if i == 5 {
			if _, err := s.log.Trim(3); err != nil {
				t.Fatal(err)
			}
		}
	}
	// As a killed process leaves it.
	files := map[string][]byte{}
	wal := ""
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := filepath.Base(path)
		files[name], err = os.ReadFile(path)
		if filepath.Ext(name) == ".log" {
			wal = max(wal, name) // the newest
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s.close(t)
	end := len(bytes.TrimRight(files[wal], "\x00")) // Pebble makes its logs longer than what is in them

	seed := rand.Uint64()
	t.Logf("seed %d, %d bytes of log in %s", seed, end, wal)
	r := rand.New(rand.NewPCG(seed, 0))
	outcomes := map[string]int{}
	for i := range 150 {
		broken := bytes.Clone(files[wal])
		at := r.IntN(end)
		switch what := i % 3; {
		case what == 0:
			broken = broken[:at]
		case what == 1:
			broken[at] ^= 1 << r.IntN(8)
		default:
			clear(broken[at:])
		}
		copied := filepath.Join(t.TempDir(), "data")
		if err := os.Mkdir(copied, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, data := range files {
			if name == wal {
				data = broken
			}
			if err := os.WriteFile(filepath.Join(copied, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := open(copied)
		var gap *GapError
		switch {
		case errors.As(err, &gap):
			outcomes["told"]++
			if gap.From < 4 || gap.To != 60 {
				t.Errorf("cut %d: %v", i, err)
			}
		case err != nil:
			outcomes["refused"]++
			if !errors.Is(err, engine.ErrDamaged) {
				t.Errorf("cut %d: %v", i, err)
			}
		default:
			outcomes["whole"]++
			n := s.log.Head()
			if err := s.log.Read(0, func(seq uint64, at int64, e []byte) (bool, error) {
				if seq != n || string(e) != entryText(seq) || at != int64(seq) {
					t.Errorf("cut %d: entry %d is %q", i, seq, e)
				}
				n++
				return true, nil
			}); err != nil || n != 61 {
				t.Errorf("cut %d at %d of %d: the log opens and ends before entry %d, %v", i, at, end, n, err)
			}
			s.close(t)
		}
	}
	t.Log(outcomes)
	if outcomes["told"] < 50 {
		t.Errorf("the damage was hardly ever met: %v", outcomes)
	}
}
