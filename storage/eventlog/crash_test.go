package eventlog

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	crashSeeds = flag.Int("crash.seeds", 80, "power cuts that TestPowerCut tries")
	crashSeed  = flag.Uint64("crash.seed", 0, "the one seed that TestPowerCut tries, when not 0")
)

// A power cut at any moment, with any part of what was not synced surviving:
// every acknowledged entry is there or was given up, what was overwritten stays
// so, the log has no gap and no byte is wrong.
func TestPowerCut(t *testing.T) {
	base := rand.Uint64()
	for i := range *crashSeeds {
		seed := base + uint64(i)
		if *crashSeed != 0 {
			seed = *crashSeed
		}
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { powerCut(t, seed) }) || *crashSeed != 0 {
			return
		}
	}
}

func powerCut(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	fs := vfs.NewCrashableMem()
	w := &witness{entries: map[uint64]string{}, tried: map[uint64]bool{}, over: map[uint64]bool{}}
	for range 1 + r.IntN(3) {
		s := openStore(t, fs, Options{MaxBlock: 100 + r.IntN(5000)})
		w.check(t, s.log)
		cut := w.acked.max + uint64(1+r.IntN(150))
		flushAt := w.acked.max + uint64(r.IntN(100))
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 1 + r.IntN(6) {
			own := rand.New(rand.NewPCG(r.Uint64(), 1))
			wg.Go(func() { w.write(t, s, own, stop) })
		}
		own := rand.New(rand.NewPCG(r.Uint64(), 3))
		wg.Go(func() { w.maintain(t, s, own, stop) })
		flushed := false
		for w.ackedUpTo() < cut {
			if !flushed && w.ackedUpTo() >= flushAt {
				flushed = true
				if err := s.db.Flush(); err != nil {
					t.Error(err)
				}
			}
			<-w.progress()
		}
		w.freeze() // what is acknowledged up to here must be in the clone
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: rand.New(rand.NewPCG(seed, 2))})
		close(stop)
		wg.Wait()
		s.close(t)
		fs = crashed
	}
	s := openStore(t, fs, Options{})
	w.check(t, s.log)
	s.close(t)
}

// witness knows what was appended and what was acknowledged.
type witness struct {
	mu      sync.Mutex
	entries map[uint64]string // of the log, also those not acknowledged
	acked   struct{ max, frozen uint64 }
	head    struct{ tried, done, frozen uint64 } // by Trim
	tried   map[uint64]bool                      // which an Overwrite has begun with
	over    map[uint64]bool                      // and is through with
	gone    []uint64                             // over, frozen
	moved   chan struct{}
}

func (w *witness) progress() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.moved == nil {
		w.moved = make(chan struct{})
	}
	return w.moved
}

func (w *witness) ackedUpTo() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked.max
}

func (w *witness) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked.frozen, w.head.frozen = w.acked.max, w.head.done
	w.gone = slices.Collect(maps.Keys(w.over))
}

const erasedText = "erased"

// maintain trims and overwrites beside the writers.
func (w *witness) maintain(t *testing.T, s store, r *rand.Rand, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-w.progress():
		}
		head, end := s.log.Head(), s.log.Durable()
		if head > end || r.IntN(3) == 0 {
			continue
		}
		if r.IntN(3) == 0 {
			upTo := head + r.Uint64N(end-head+1)
			w.mu.Lock()
			w.head.tried = max(w.head.tried, upTo+1)
			w.mu.Unlock()
			got, err := s.log.Trim(upTo)
			if err != nil || got > upTo+1 {
				t.Errorf("Trim(%d): %d, %v", upTo, got, err)
				return
			}
			w.mu.Lock()
			w.head.done = got
			w.mu.Unlock()
			continue
		}
		var seqs []uint64
		w.mu.Lock()
		for range 1 + r.IntN(6) {
			seqs = append(seqs, head+r.Uint64N(end-head+1))
			w.tried[seqs[len(seqs)-1]] = true
		}
		w.mu.Unlock()
		slices.Sort(seqs)
		if _, err := s.log.Overwrite(seqs, []byte(erasedText)); err != nil {
			t.Errorf("Overwrite(%v): %v", seqs, err)
			return
		}
		w.mu.Lock()
		for _, seq := range seqs {
			w.over[seq] = true
		}
		w.mu.Unlock()
	}
}

func (w *witness) write(t *testing.T, s store, r *rand.Rand, stop chan struct{}) {
	for {
		text := fmt.Sprintf("%d:%0*d", r.Uint64(), r.IntN(400), 0)
		// The witness must know an entry before a cut can show it.
		w.mu.Lock()
		seq, ticket := s.log.Append([]byte(text), r.Int64N(1000))
		w.entries[seq] = text
		w.mu.Unlock()
		if r.IntN(4) > 0 {
			if err := ticket.Wait(); err != nil {
				t.Errorf("entry %d: %v", seq, err)
				return
			}
			w.mu.Lock()
			w.acked.max = max(w.acked.max, seq)
			if w.moved != nil {
				close(w.moved)
				w.moved = nil
			}
			w.mu.Unlock()
			if r.IntN(10) == 0 {
				b := s.db.NewBatch()
				if err := s.log.SetCursor(b, Cursor{Name: "reader", Seq: seq}); err != nil {
					t.Error(err)
				}
				if err := b.Commit(r.IntN(2) == 0); err != nil {
					t.Error(err)
				}
			}
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// check reads the whole log and makes it the new truth.
func (w *witness) check(t *testing.T, l *Log) {
	t.Helper()
	next := max(1, l.Head())
	if next < w.head.frozen || next > max(1, w.head.tried) {
		t.Fatalf("the head is %d, Trim came to %d of %d", next, w.head.frozen, w.head.tried)
	}
	err := l.Read(0, func(seq uint64, _ int64, entry []byte) (bool, error) {
		was := string(entry) == w.entries[seq] && !slices.Contains(w.gone, seq)
		is := string(entry) == erasedText && w.tried[seq]
		if seq != next || !was && !is {
			t.Fatalf("entry %d (expected %d) is %q, was %q (overwritten: %v)", seq, next, entry, w.entries[seq], slices.Contains(w.gone, seq))
		}
		w.entries[seq] = string(entry)
		next++
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	last := next - 1
	if last < w.acked.frozen || l.Durable() != last || l.LastSeq() != last {
		t.Fatalf("the log ends with %d, %d was acknowledged (durable %d, last %d)", last, w.acked.frozen, l.Durable(), l.LastSeq())
	}
	if c, err := l.Cursor("reader"); err != nil || c.Seq > last {
		t.Fatalf("cursor at %d of %d, %v", c.Seq, last, err)
	}
	for seq := range w.entries {
		if seq > last {
			delete(w.entries, seq)
		}
	}
	w.acked.max, w.acked.frozen = last, last
	w.head.tried, w.head.done, w.head.frozen = l.Head(), l.Head(), l.Head()
	clear(w.tried)
	clear(w.over)
	w.gone = nil
}
