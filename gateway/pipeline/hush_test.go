package pipeline

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The hush is as long as what it hides, within bounds, and a rare stall does
// not make it longer for everybody.
func TestHushFollowsTheDisk(t *testing.T) {
	const quick = 100 * time.Microsecond
	for _, c := range []struct {
		name        string
		slow        time.Duration
		share       float64 // of those that are slow
		least, most time.Duration
	}{
		{"a good disk", 400 * time.Microsecond, 0.5, leastHush, leastHush},
		{"stalls now and then", 15 * time.Millisecond, 0.01, leastHush, 2 * time.Millisecond},
		{"a slow disk", 8 * time.Millisecond, 0.5, 7 * time.Millisecond, 11 * time.Millisecond},
		{"a slow disk, few who are known", 8 * time.Millisecond, 0.1, 7 * time.Millisecond, 11 * time.Millisecond},
		{"a broken disk", time.Minute, 0.5, mostHush * 9 / 10, mostHush},
	} {
		const seed = 4
		r := rand.New(rand.NewPCG(seed, 0))
		var h hush
		var sum time.Duration
		var longer int
		const n = 20_000
		for i := range 2 * n {
			took := quick
			if r.Float64() < c.share {
				took = c.slow
			}
			rest := h.rest(took)
			if i < n { // it learns
				continue
			}
			sum += rest + took
			if rest < 0 {
				longer++
			}
		}
		if mean := sum / n; mean < c.least || mean > c.most {
			t.Errorf("%s (seed %d): the hush is %s; want %s to %s", c.name, seed, mean, c.least, c.most)
		}
		if c.slow < mostHush && float64(longer)/n > 0.04 {
			t.Errorf("%s: %d of %d took longer", c.name, longer, n)
		}
	}
}

func TestHushBegins(t *testing.T) {
	var h hush
	if rest := h.rest(300 * time.Microsecond); rest != 700*time.Microsecond {
		t.Errorf("%s are left", rest)
	}
}
