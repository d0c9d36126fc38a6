package people

import "testing"

// TestPace: naps that end in time let a run work more, late ones less, always
// within its bounds.
func TestPace(t *testing.T) {
	for name, c := range map[string]struct {
		least    float64
		late     func(nap int) bool
		low, top float64 // where the share must be in the end
	}{
		"nobody else":     {0.2, func(int) bool { return false }, mostShare, mostShare},
		"always others":   {0.2, func(int) bool { return true }, 0.2, 0.2},
		"now and then":    {0.2, func(n int) bool { return n%20 == 0 }, 0.35, mostShare},
		"every other nap": {0.2, func(n int) bool { return n%2 == 0 }, 0.2, 0.3},
		"a whole one":     {1, func(n int) bool { return n%2 == 0 }, 1, 1},
	} {
		p := newPace(c.least)
		for n := range 1000 {
			by := late / 2
			if c.late(n) {
				by = 2 * late
			}
			if p.learn(by); p.share < c.least || p.share > max(c.least, mostShare) {
				t.Fatalf("%s: after %d naps the share is %v", name, n+1, p.share)
			}
		}
		if p.share < c.low || p.share > c.top {
			t.Errorf("%s: the share is %v in the end, expected %v to %v", name, p.share, c.low, c.top)
		}
	}
}
