package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestWalker walks part of a range, as it was when the walk began.
func TestWalker(t *testing.T) {
	db, err := Open(Options{Dir: "data", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	put := func(from, to int) {
		b := db.NewBatch()
		for n := from; n < to; n++ {
			b.Set(fmt.Appendf(nil, "\xf0%03d", n), fmt.Appendf(nil, "v%d", n))
		}
		if err := b.Commit(false); err != nil {
			t.Fatal(err)
		}
	}
	put(0, 10)
	w, err := db.NewWalker([]byte("\xf0002"), []byte("\xf0008"))
	if err != nil {
		t.Fatal(err)
	}
	put(5, 20) // which it does not see
	var got []string
	for ; w.Key() != nil; w.Next() {
		v, err := w.Value()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(w.Key()[1:])+"="+string(v))
		if string(w.Key()) == "\xf0003" {
			w.Seek([]byte("\xf0005\x00"))
			got = append(got, string(w.Key()[1:]))
		}
	}
	if want := "[002=v2 003=v3 006 007=v7]"; fmt.Sprint(got) != want {
		t.Errorf("walked %v, want %s", got, want)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if empty, err := db.NewWalker([]byte("\xf1"), []byte("\xf2")); err != nil || empty.Key() != nil || empty.Close() != nil {
		t.Errorf("a walk over nothing: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.NewWalker(nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a walk of a closed store: %v", err)
	}
}

func TestSeekerGetsWhatTheStoreHas(t *testing.T) {
	db, err := Open(Options{Dir: "data", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	b := db.NewBatch()
	for i := 0; i < 100; i += 2 {
		b.Set(fmt.Appendf(nil, "\xf0%04d", i), fmt.Appendf(nil, "value %d", i))
	}
	if err := b.Commit(false); err != nil {
		t.Fatal(err)
	}
	s, err := db.NewSeeker(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range rand.Perm(102) {
		got := ""
		found, err := s.Get(fmt.Appendf(nil, "\xf0%04d", i), func(v []byte) error {
			got = string(v)
			return nil
		})
		if err != nil || found != (i < 100 && i%2 == 0) || found && got != fmt.Sprint("value ", i) {
			t.Errorf("%d: %q, %t, %v", i, got, found, err)
		}
	}
	wrong := errors.New("no")
	if found, err := s.Get([]byte("\xf00002"), func([]byte) error { return wrong }); !found || err != wrong {
		t.Errorf("%t, %v", found, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
