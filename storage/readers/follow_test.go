package readers_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/readers"
)

// diary is a reader that writes down what it took. It is full, or fails, at random.
type diary struct {
	r      *rand.Rand
	lines  []string // since the last save
	pages  int
	anew   bool // says so when it must skip
	skips  int
	fails  int64
	failed bool // the entry failed before, and will be taken now
}

func (d *diary) follow(t *testing.T, f folder, log slog.Handler) *readers.Follower {
	t.Helper()
	follower, err := readers.Follow(readers.Options{
		DB: f.DB, Log: f.Log, Keys: f.Vault, Name: "diary", Every: time.Millisecond, Logger: slog.New(log),
		Load: func(s *readers.State) error {
			return s.Each("", func(_ string, value []byte) error {
				if string(value) == "torn" {
					return errors.New("a page is torn")
				}
				d.pages++
				return nil
			})
		},
		Reset: func() { d.lines, d.pages = nil, 0 },
		Skip: func(uint64) bool {
			if d.skips++; d.anew {
				d.lines, d.pages = nil, 0
			}
			return d.anew
		},
		Take: func(entry []byte) error {
			if len(d.lines) > 30 {
				return readers.ErrFull
			}
			if !d.failed && d.r.IntN(50) == 0 {
				d.failed = true
				time.Sleep(2 * time.Millisecond) // a turn ends meanwhile
				d.fails++
				return errors.New("no ink")
			}
			d.failed = false
			d.lines = append(d.lines, string(entry))
			return nil
		},
		Save: func(w *readers.Write) error {
			if len(d.lines) == 0 {
				return nil
			}
			w.Set(fmt.Sprintf("%08d", d.pages), []byte(strings.Join(d.lines, ",")))
			return nil
		},
		Saved: func() {
			if len(d.lines) > 0 {
				d.pages++
			}
			d.lines = nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return follower
}

// errorsSaid counts what is logged as an error.
type errorsSaid struct {
	slog.Handler
	n *atomic.Int64
}

func (h errorsSaid) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
func (h errorsSaid) Handle(context.Context, slog.Record) error    { h.n.Add(1); return nil }

// TestAFollowerTakesEachEntryOnce: over starts and ends, when the reader is full
// and when it fails; each failure is told. It goes on behind what the log gave
// up, and begins anew when what it saved cannot be read or is worth nothing.
func TestAFollowerTakesEachEntryOnce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	f := open(t, vfs.NewMem())
	defer f.Close(t)
	said := errorsSaid{slog.DiscardHandler, new(atomic.Int64)}
	fails := int64(0)
	first, n := 1, 0 // the entries that are to be in the diary
	has := func() {
		t.Helper()
		_, all := parts(t, f.state(t, "diary"))
		var got []string
		for i := range len(all) {
			got = append(got, all[fmt.Sprintf("%08d", i)])
		}
		var want []string
		for i := first; i <= n; i++ {
			want = append(want, fmt.Sprint("entry ", i))
		}
		if got, want := strings.Join(got, ","), strings.Join(want, ","); got != want {
			t.Fatalf("the diary says\n%s\nwant\n%s", got, want)
		}
	}
	live := func(d *diary, entries int) {
		t.Helper()
		d.r = r
		follower := d.follow(t, f, said)
		for range entries {
			n++
			f.Log.Append(fmt.Appendf(nil, "entry %d", n), 1)
		}
		f.Append(t, fmt.Appendf(nil, "entry %d", n+1), 1)
		n++
		f.Wait(t, follower.UpTo)
		if err := follower.Close(); err != nil {
			t.Fatal(err)
		}
		fails += d.fails
	}
	for range 10 {
		live(&diary{}, r.IntN(100))
		has()
	}
	if fails == 0 || said.n.Load() != fails {
		t.Errorf("%d failures, told %d times", fails, said.n.Load())
	}
	away := func(d *diary) (head int) {
		t.Helper()
		for range 300 {
			n++
			f.Append(t, fmt.Appendf(nil, "entry %d", n), 1)
		}
		h, err := f.Log.Trim(uint64(n - 10))
		if err != nil {
			t.Fatal(err)
		}
		live(d, 0)
		if d.skips != 1 {
			t.Errorf("skipped %d times", d.skips)
		}
		return int(h)
	}
	first = away(&diary{anew: true})
	has()

	s := f.state(t, "diary")
	w := s.Begin()
	w.Set("00000000", []byte("torn"))
	if err := w.Commit(uint64(n)); err != nil {
		t.Fatal(err)
	}
	live(&diary{}, 5)
	has()
}
