package facet

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
)

// counted is what Tally should say, from a walk over all cells.
func counted(k *keyed, now, window int64) (sum Tally, until int64) {
	until = math.MaxInt64
	walk := func(r run, unit int64) {
		for i := range r.len() {
			c := r.at(i)
			switch at := c.at * unit; {
			case window == 0:
				sum.Add(c.Tally)
			case at > now:
				until = min(until, at)
			case at > now-window:
				sum.Add(c.Tally)
				until = min(until, at+window)
			}
		}
	}
	unit := k.width()
	if k.exact() {
		unit = 1000
	}
	walk(k.newer(), unit)
	walk(k.older(), k.width())
	return sum, until
}

// falls looks until the moment that Falls tells.
func falls(t *testing.T, s Series, key string, now, window, least int64) {
	t.Helper()
	ends, steps := s.Falls(key, now, window, least), 0
	for at := now; ; steps++ {
		got, until := s.Tally(key, at, window)
		switch {
		case at == ends && (got.N < least || steps == mostFalling):
			return
		case at >= ends || got.N < least || until == math.MaxInt64:
			t.Fatalf("series %d, key %q, window %d: %d or more until %d, but at %d there are %d, after %d steps", s.ID, key, window, least, ends, at, got.N, steps)
		}
		at = until
	}
}

// TestTalliesAreWhatWasCounted: what is kept of all cells is what they sum up to, however
// they came and went.
func TestTalliesAreWhatWasCounted(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for round := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, round))
		list := make([]Contribution, 1+r.IntN(400))
		spread := []int64{5_000, 300_000, 3_000_000}[r.IntN(3)]
		for i := range list {
			list[i] = someContribution(r, spread)
		}
		half := r.IntN(len(list))
		a, b := filled(partialOf(list[:half])), filled(partialOf(list[half:]))
		for _, f := range []*Facet{a, b, decode(t, a.AppendBinary(nil))} {
			for range 20 {
				x := someContribution(r, spread)
				f.Fold(&event.Event{Type: event.Track, Timestamp: x.At, MessageID: "m"}, 1, &Rules{Contribute: func(_ *event.Event, _ uint64, add func(*Contribution)) { add(&x) }})
			}
		}
		for _, p := range []*Profile{Join([]*Facet{a}), Join([]*Facet{a, b})} {
			for _, s := range p.Computed.All() {
				now, window := 1_700_000_000_000+r.Int64N(spread), s.Window()
				if r.IntN(2) == 0 && window > 0 {
					window = 1 + r.Int64N(window)
				}
				for k := s.walk(); k.step(); {
					want, wantUntil := counted(&k, now, window)
					if got, until := s.Tally(k.name(), now, window); got != want || until != wantUntil {
						t.Fatalf("round %d: series %d, key %q, window %d: %+v until %d, want %+v until %d", round, s.ID, k.name(), window, got, until, want, wantUntil)
					}
					if window > 0 && s.Last() <= now && want.N > 0 {
						falls(t, s, k.name(), now, window, 1+r.Int64N(want.N))
					}
				}
			}
		}
	}
}
