package eventlog

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/vault"
)

var master = bytes.Repeat([]byte{7}, 32)

type store struct {
	db  *engine.DB
	v   *vault.Vault
	log *Log
}

func openStore(t testing.TB, fs vfs.FS, o Options) store {
	t.Helper()
	s, err := tryOpen(t, fs, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tryOpen(t testing.TB, fs vfs.FS, o Options) (s store, err error) {
	t.Helper()
	s.db, err = engine.Open(engine.Options{Dir: "data", FS: fs, CacheBytes: 1 << 20, Exit: func(int) {}})
	if err != nil {
		return s, err
	}
	if s.v, err = vault.Open(s.db, master); err == nil {
		s.log, err = Open(s.db, s.v, o)
	}
	if err != nil {
		if cerr := s.db.Close(); cerr != nil {
			t.Error(cerr)
		}
	}
	return s, err
}

func (s store) close(t testing.TB) {
	t.Helper()
	if err := s.log.Close(); err != nil {
		t.Error(err)
	}
	if err := s.db.Close(); err != nil {
		t.Error(err)
	}
}

func entryText(i uint64) string {
	return fmt.Sprintf("entry-%d-%s", i, bytes.Repeat([]byte("x"), int(i%97)))
}

func TestAppendReadReopen(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs, Options{MaxBlock: 1000})
	for i := uint64(1); i <= 500; i++ {
		seq, _ := s.log.Append([]byte(entryText(i)), int64(i*10))
		if seq != i {
			t.Fatalf("seq %d, want %d", seq, i)
		}
	}
	if err := s.log.Barrier().Wait(); err != nil {
		t.Fatal(err)
	}
	check := func(l *Log) {
		t.Helper()
		if l.Durable() != 500 || l.LastSeq() != 500 {
			t.Fatalf("durable %d, last %d", l.Durable(), l.LastSeq())
		}
		want := uint64(37)
		err := l.Read(37, func(seq uint64, at int64, entry []byte) (bool, error) {
			if seq != want || at != int64(seq*10) || string(entry) != entryText(seq) {
				t.Fatalf("got %d at %d: %q", seq, at, entry)
			}
			want++
			return true, nil
		})
		if err != nil || want != 501 {
			t.Fatalf("read to %d: %v", want, err)
		}
		for _, ms := range []int64{-5, 0, 10, 11, 2500, 2501, 5000, 5001} {
			seq, err := l.SeekTime(ms)
			if want := uint64(max((ms+9)/10, 1)); err != nil || seq != want {
				t.Errorf("SeekTime(%d) = %d, %v; want %d", ms, seq, err, want)
			}
		}
	}
	check(s.log)
	s.close(t)
	s = openStore(t, fs, Options{})
	check(s.log)
	s.close(t)
}

// Many writers at once: every number is given once, in each writer's order,
// and an entry whose ticket is done can be read.
func TestConcurrentAppend(t *testing.T) {
	s := openStore(t, vfs.NewMem(), Options{MaxBlock: 2000})
	const writers, each = 16, 50
	var wg sync.WaitGroup
	seen := make([]bool, writers*each+1)
	var mu sync.Mutex
	for w := range writers {
		wg.Go(func() {
			before := uint64(0)
			for i := range each {
				text := fmt.Sprintf("%d/%d", w, i)
				seq, ticket := s.log.Append([]byte(text), int64(i))
				if err := ticket.Wait(); err != nil {
					t.Error(err)
					return
				}
				if seq <= before || s.log.Durable() < seq {
					t.Errorf("seq %d after %d, durable %d", seq, before, s.log.Durable())
				}
				before = seq
				if err := s.log.Get(seq, func(at int64, e []byte) error {
					if string(e) != text || at != int64(i) {
						t.Errorf("entry %d is %q", seq, e)
					}
					return nil
				}); err != nil {
					t.Error(err)
				}
				mu.Lock()
				if seen[seq] {
					t.Errorf("number %d twice", seq)
				}
				seen[seq] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if s.log.LastSeq() != writers*each || s.log.Queued() > 0 && s.log.Durable() != writers*each {
		t.Errorf("last %d", s.log.LastSeq())
	}
	s.close(t)
}

// The answer of a plain walk over all entries, with clocks that jump.
func TestSeekTimeAgainstAWalk(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 30 {
		s := openStore(t, vfs.NewMem(), Options{MaxBlock: 50 + r.IntN(100)})
		var times []int64
		now := int64(1000)
		for range 1 + r.IntN(120) {
			switch r.IntN(12) {
			case 0:
				now += r.Int64N(5000)
			case 1:
				now -= r.Int64N(5000)
			default:
				now += r.Int64N(5)
			}
			times = append(times, now)
			s.log.Append([]byte("an entry"), now)
			if r.IntN(5) == 0 {
				if err := s.log.Barrier().Wait(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.log.Barrier().Wait(); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			ms := times[r.IntN(len(times))] + r.Int64N(3) - 1
			want := len(times) + 1
			for i, at := range times {
				if at >= ms {
					want = i + 1
					break
				}
			}
			if got, err := s.log.SeekTime(ms); err != nil || got != uint64(want) {
				t.Fatalf("SeekTime(%d) = %d, %v; want %d of %v", ms, got, err, want, times)
			}
		}
		s.close(t)
	}
}

func TestEmptyLog(t *testing.T) {
	s := openStore(t, vfs.NewMem(), Options{})
	defer s.close(t)
	seq, err := s.log.SeekTime(5)
	c, cerr := s.log.Cursor("nobody")
	if seq != 1 || c.Seq != 0 || s.log.LastSeq() != 0 || s.log.NextSeq() != 1 || err != nil || cerr != nil {
		t.Error(seq, c, err, cerr)
	}
	if err := s.log.Read(0, nil); err != nil {
		t.Error(err)
	}
	for _, n := range []uint64{0, 1} {
		if err := s.log.Get(n, nil); !errors.Is(err, ErrNoEntry) {
			t.Errorf("entry %d of an empty log: %v", n, err)
		}
	}
	if err := errors.Join(s.log.Barrier().Wait(), s.log.Admit()); err != nil {
		t.Error(err)
	}
}

func TestGetMany(t *testing.T) {
	s := openStore(t, vfs.NewMem(), Options{MaxBlock: 40})
	defer s.close(t)
	fillBlocks(t, s, 6)
	for _, seqs := range [][]uint64{nil, {1}, {30}, {1, 2, 3}, {5, 6, 6, 17, 30}, {2, 9, 29}} {
		var got []uint64
		err := s.log.GetMany(seqs, func(seq uint64, _ int64, e []byte) (bool, error) {
			if string(e) != "entry" {
				t.Errorf("entry %d is %q", seq, e)
			}
			got = append(got, seq)
			return true, nil
		})
		if err != nil || fmt.Sprint(got) != fmt.Sprint(append([]uint64{}, seqs...)) && len(seqs)+len(got) > 0 {
			t.Errorf("%v: %v, %v", seqs, got, err)
		}
	}
	own := errors.New("own")
	n := 0
	stop := func(uint64, int64, []byte) (bool, error) { n++; return n < 2, nil }
	fail := func(uint64, int64, []byte) (bool, error) { return true, own }
	if err := s.log.GetMany([]uint64{1, 2, 3, 20}, stop); err != nil || n != 2 {
		t.Errorf("stopping: %d, %v", n, err)
	}
	var damage *DamageError
	for what, err := range map[string]error{"GetMany": s.log.GetMany([]uint64{4}, fail), "Read": s.log.Read(4, fail)} {
		if !errors.Is(err, own) || errors.As(err, &damage) {
			t.Errorf("%s: fn's own error: %v", what, err)
		}
	}
	if err := s.log.GetMany([]uint64{3, 1}, fail); err == nil || errors.Is(err, own) {
		t.Errorf("descending: %v", err)
	}
	if err := s.log.GetMany([]uint64{3, 31}, func(uint64, int64, []byte) (bool, error) { return true, nil }); !errors.Is(err, ErrNoEntry) {
		t.Errorf("past the end: %v", err)
	}
}
