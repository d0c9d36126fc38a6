package readers_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/readers"
	"github.com/reuna/reuna/storage/readers/readerstest"
)

type folder struct{ *readerstest.Folder }

func open(t *testing.T, fs vfs.FS) folder {
	t.Helper()
	return folder{readerstest.Open(t, "data", fs)}
}

func (f folder) state(t *testing.T, name string) *readers.State {
	t.Helper()
	s, err := readers.Open(f.DB, f.Log, f.Vault, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func (f folder) append(t *testing.T) uint64 {
	t.Helper()
	return f.Append(t, []byte("entry"), 1)
}

func parts(t *testing.T, s *readers.State) (upTo uint64, all map[string]string) {
	t.Helper()
	all = map[string]string{}
	upTo, err := s.UpTo()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Each("", func(part string, value []byte) error {
		all[part] = string(value)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return upTo, all
}

// TestACrashLeavesStateAndPlaceTogether: whatever part of the unsynced writes a
// crash keeps, every part is of the entry that the cursor names.
func TestACrashLeavesStateAndPlaceTogether(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	fs := vfs.NewCrashableMem()
	var behind int
	for range 40 {
		f := open(t, fs)
		s := f.state(t, "sums")
		upTo, all := parts(t, s)
		for part, value := range all {
			if want := fmt.Sprint(upTo, strings.Repeat("x", 500)); value != want {
				t.Fatalf("part %q is %.20q, the cursor stands at %d", part, value, upTo)
			}
		}
		if upTo > 0 && len(all) != 5 {
			t.Fatalf("%d parts at entry %d", len(all), upTo)
		}
		for range r.IntN(20) {
			seq := f.append(t)
			if r.IntN(5) == 0 {
				s.Forget()
			}
			w := s.Begin()
			w.Set("gone", []byte("x"))
			w.Set("gone", nil)
			for i := range 5 {
				w.Set(fmt.Sprint("part\x00", i), []byte(fmt.Sprint(seq, strings.Repeat("x", 500))))
			}
			if r.IntN(5) == 0 {
				w.Discard()
				continue
			}
			if err := w.Commit(seq); err != nil {
				t.Fatal(err)
			}
		}
		clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: rand.New(rand.NewPCG(seed, uint64(behind)))})
		if last := f.Log.Durable(); last > upTo {
			behind++
		}
		f.Close(t)
		fs = clone
	}
	if behind == 0 {
		t.Error("nothing was ever written")
	}
}

func TestReadersAreApart(t *testing.T) {
	f := open(t, vfs.NewMem())
	defer f.Close(t)
	seq := f.append(t)
	for _, name := range []string{"a", "ab"} {
		w := f.state(t, name).Begin()
		w.Set("p", []byte("of "+name))
		if err := w.Commit(seq); err != nil {
			t.Fatal(err)
		}
	}
	ab := f.state(t, "ab")
	ab.Forget()
	if _, all := parts(t, ab); len(all) != 0 {
		t.Errorf("ab, forgotten, has %q", all)
	}
	if _, all := parts(t, f.state(t, "ab")); len(all) != 1 {
		t.Errorf("ab is to go with the next commit, but has %q", all)
	}
	w := ab.Begin()
	if err := w.Commit(seq); err != nil {
		t.Fatal(err)
	}
	if _, all := parts(t, f.state(t, "a")); all["p"] != "of a" || len(all) != 1 {
		t.Errorf("a has %q", all)
	}
	if _, all := parts(t, f.state(t, "ab")); len(all) != 0 {
		t.Errorf("ab has %q", all)
	}
	for _, name := range []string{"", "a\x00b"} {
		if _, err := readers.Open(f.DB, f.Log, f.Vault, name); err == nil {
			t.Errorf("%q is a name", name)
		}
	}
}

// TestStatesAreSealed: on the disk nothing shows what a state says, a change is
// seen, and so is a value that was moved to another part.
func TestStatesAreSealed(t *testing.T) {
	const secret = "/private/page/of/somebody"
	f := open(t, vfs.NewMem())
	defer f.Close(t)
	s := f.state(t, "a")
	w := s.Begin()
	w.Set("p", []byte(secret))
	if err := w.Commit(f.append(t)); err != nil {
		t.Fatal(err)
	}
	key := keyspace.AppendReader(nil, "a", "p")
	var value []byte
	if _, err := f.DB.Get(key, func(v []byte) error {
		value = bytes.Clone(v)
		return nil
	}); err != nil || len(value) == 0 || bytes.Contains(value, []byte("private")) {
		t.Fatalf("the value is %q, %v", value, err)
	}
	for i := range value {
		b := f.DB.NewBatch()
		changed := bytes.Clone(value)
		changed[i] ^= 1
		b.Set(key, changed)
		if err := b.Commit(false); err != nil {
			t.Fatal(err)
		}
		if err := s.Each("", func(string, []byte) error { return nil }); err == nil {
			t.Fatalf("byte %d may be changed", i)
		}
	}
	b := f.DB.NewBatch()
	b.Delete(key)
	b.Set(keyspace.AppendReader(nil, "a", "q"), value)
	if err := b.Commit(false); err != nil {
		t.Fatal(err)
	}
	if err := s.Each("", func(string, []byte) error { return nil }); err == nil {
		t.Error("a value may be moved")
	}
}

// TestALogDoesNotWait: a reader that stands still keeps nothing in the log.
func TestALogDoesNotWait(t *testing.T) {
	f := open(t, vfs.NewMem())
	defer f.Close(t)
	first := f.append(t)
	w := f.state(t, "slow").Begin()
	if err := w.Commit(first); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		f.append(t)
	}
	if upTo, _, err := f.Log.Expired(0); err != nil || upTo != f.Log.Durable() {
		t.Errorf("entries up to %d may go, of %d, %v", upTo, f.Log.Durable(), err)
	}
}
