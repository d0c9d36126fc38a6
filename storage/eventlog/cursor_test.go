package eventlog

import (
	"context"
	"encoding/hex"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/keyspace"
)

func TestCursors(t *testing.T) {
	mem := vfs.NewMem()
	s := openStore(t, mem, Options{})
	fillBlocks(t, s, 2)
	b := s.db.NewBatch()
	if err := errors.Join(s.log.SetCursor(b, Cursor{Name: "people", Seq: 7}), s.log.SetCursor(b, Cursor{Name: "mail", Seq: 10}), b.Commit(true)); err != nil {
		t.Fatal(err)
	}
	b = s.db.NewBatch()
	if err := s.log.SetCursor(b, Cursor{Name: "people", Seq: 11}); err == nil {
		t.Error("a cursor goes past what is durable")
	}
	b.Discard()
	origin := s.log.Origin()
	s.close(t)
	s = openStore(t, mem, Options{})
	defer s.close(t)
	p, err1 := s.log.Cursor("people")
	m, err2 := s.log.Cursor("mail")
	if p.Seq != 7 || m.Seq != 10 || err1 != nil || err2 != nil {
		t.Error(p, m, err1, err2)
	}
	if s.log.Origin() != origin || origin == [16]byte{} {
		t.Error("the origin changed over a restart")
	}
}

func FuzzCursor(f *testing.F) {
	f.Add([]byte{1, 5})
	f.Fuzz(func(t *testing.T, val []byte) {
		c, err := parseCursor("x", val)
		if err != nil {
			return
		}
		if again, err := parseCursor("x", c.append(nil)); err != nil || again != c {
			t.Errorf("%x is %v, then %v (%v)", val, c, again, err)
		}
	})
}

// The layouts are on disk: a change is a decision. Format 1 had no time and no
// hold; readers of then are not waited for.
func TestCursorIsPinned(t *testing.T) {
	for _, c := range []struct {
		hex    string
		want   Cursor
		oneWay bool
	}{
		{"0105", Cursor{Seq: 5}, true},
		{"02ac0280a0abfef96201", Cursor{Seq: 300, Moved: 1_700_000_000_000, Hold: Forever}, false},
		{"0207000e", Cursor{Seq: 7, Hold: 7 * time.Millisecond}, false},
		{"02070000", Cursor{Seq: 7}, false},
		{"0207005b", Cursor{Seq: 7, Hold: Forever}, true}, // any negative one
		{"020700feffffffffffffffff01", Cursor{Seq: 7, Hold: Forever}, true},
	} {
		val, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseCursor("x", val)
		c.want.Name = "x"
		if err != nil || got != c.want {
			t.Errorf("%s is %+v, %v; want %+v", c.hex, got, err, c.want)
		}
		if is := hex.EncodeToString(c.want.append(nil)); !c.oneWay && is != c.hex {
			t.Errorf("%+v is %s, want %s", c.want, is, c.hex)
		}
	}
	for _, bad := range []string{"", "03050000", "0105ff", "0205", "0200", "02050000ff"} {
		val, _ := hex.DecodeString(bad)
		if c, err := parseCursor("mail", val); err == nil {
			t.Errorf("%q is cursor %+v", bad, c)
		}
	}
}

func TestDropCursor(t *testing.T) {
	s := openStore(t, vfs.NewMem(), Options{})
	defer s.close(t)
	fillBlocks(t, s, 1)
	for _, drop := range []bool{false, true} {
		b := s.db.NewBatch()
		if drop {
			s.log.DropCursor(b, "mail")
		} else if err := errors.Join(s.log.SetCursor(b, Cursor{Name: "mail", Seq: 3}), s.log.SetCursor(b, Cursor{Name: "map", Seq: 4})); err != nil {
			t.Fatal(err)
		}
		if err := b.Commit(true); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := s.log.Cursors(); len(list) != 1 || list[0].Name != "map" || err != nil {
		t.Error(list, err)
	}
}

// A cursor that cannot be read stops the opening, and its name is told.
func TestDamagedCursor(t *testing.T) {
	mem := vfs.NewMem()
	s := openStore(t, mem, Options{})
	b := s.db.NewBatch()
	b.Set(keyspace.AppendCursor(nil, "mail"), []byte{9, 9})
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	s.close(t)
	if _, err := tryOpen(t, mem, Options{}); err == nil || !contains(err, `cursor "mail"`, "version 9") {
		t.Error(err)
	}
}

// Who follows gets every entry once, in order, however few it takes at a time
// and however the appends fall; nobody sleeps through the last one.
func TestFollow(t *testing.T) {
	s := openStore(t, vfs.NewMem(), Options{MaxBlock: 200})
	const entries, followers = 2000, 6
	var all sync.WaitGroup
	for f := range followers {
		all.Go(func() {
			last, most := uint64(0), 1+f*7
			for last < entries {
				n, err := s.log.Follow(t.Context(), last, most, func(seq uint64, at int64, entry []byte) error {
					if seq != last+1 || at != int64(seq) || string(entry) != entryText(seq) {
						t.Errorf("follower %d at %d: entry %d is %q", f, last, seq, entry)
					}
					last = seq
					return nil
				})
				if err != nil || n == 0 || n > most {
					t.Errorf("follower %d at %d: %d of at most %d, %v", f, last, n, most, err)
					return
				}
			}
		})
	}
	for i := uint64(1); i <= entries; i++ {
		_, ticket := s.log.Append([]byte(entryText(i)), int64(i))
		if i%3 == 0 { // often the follower is waiting, often it is not
			if err := ticket.Wait(); err != nil {
				t.Fatal(err)
			}
		}
	}
	all.Wait()
	s.close(t)
}

func TestFollowEnds(t *testing.T) {
	s := openStore(t, vfs.NewMem(), Options{})
	fillBlocks(t, s, 2)
	none := func(uint64, int64, []byte) error { t.Error("an entry that is not there"); return nil }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { _, err := s.log.Follow(ctx, 10, 5, none); ended <- err }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	own := errors.New("own")
	n, err := s.log.Follow(t.Context(), 3, 100, func(seq uint64, _ int64, _ []byte) error {
		if seq == 6 {
			return own
		}
		return nil
	})
	if n != 2 || !errors.Is(err, own) {
		t.Errorf("fn fails at the third: %d, %v", n, err)
	}
	if _, err := s.log.Trim(7); err != nil {
		t.Fatal(err)
	}
	var trimmed *TrimmedError
	if _, err := s.log.Follow(t.Context(), 2, 5, none); !errors.As(err, &trimmed) || trimmed.From != 3 || trimmed.Head != 6 {
		t.Errorf("behind the head: %v", err)
	}
	go func() { _, err := s.log.Follow(context.Background(), 10, 5, none); ended <- err }()
	if err := s.log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if n, err := s.log.Follow(t.Context(), 8, 5, func(uint64, int64, []byte) error { return nil }); n != 2 || err != nil {
		t.Errorf("a closed log gives %d, %v", n, err)
	}
	s.close(t)
}

// Waiting and waking cost one channel a commit, and nothing when nobody waits.
func TestFollowAllocations(t *testing.T) {
	var f follow
	if n := testing.AllocsPerRun(100, f.moved); n != 0 {
		t.Errorf("%v allocations for nobody", n)
	}
}
