package experiment

import (
	"math"
	"math/rand/v2"
	"testing"
)

func near(a, b, eps float64) bool { return math.Abs(a-b) <= eps }

// TestWilson: R. G. Newcombe, Statistics in Medicine 17, 1998, 857–872, table I,
// method 3.
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		hits, n   int64
		low, high float64
	}{
		{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718},
		{20, 20, 0.8389, 1}, {0, 0, 0, 1},
	} {
		x := Wilson(c.hits, c.n)
		if !near(x.Low, c.low, 5e-5) || !near(x.High, c.high, 5e-5) {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", c.hits, c.n, x.Low, x.High, c.low, c.high)
		}
	}
}

// TestNewcombe: the same, 873–890, table II, method 10.
func TestNewcombe(t *testing.T) {
	for _, c := range []struct {
		a, n, b, m int64
		low, high  float64
	}{
		{56, 70, 48, 80, 0.0524, 0.3339}, {9, 10, 3, 10, 0.1705, 0.8090}, {6, 7, 2, 7, 0.0582, 0.8062}, {5, 56, 0, 29, -0.0381, 0.1926},
		{0, 10, 0, 20, -0.1611, 0.2775}, {0, 10, 0, 10, -0.2775, 0.2775}, {10, 10, 0, 20, 0.6791, 1}, {10, 10, 0, 10, 0.6075, 1},
	} {
		x := Newcombe(c.a, c.n, c.b, c.m)
		if !near(x.Low, c.low, 6e-5) || !near(x.High, c.high, 6e-5) {
			t.Errorf("%d of %d less %d of %d: %.4f to %.4f, want %.4f to %.4f", c.a, c.n, c.b, c.m, x.Low, x.High, c.low, c.high)
		}
	}
	if x := Newcombe(0, 0, 1, 2); x.Low != -1 || x.High != 1 {
		t.Errorf("against nobody: %+v", x)
	}
}

// TestCoverage draws many trials: the intervals hold the truth about as often as
// they say.
func TestCoverage(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	const runs = 4000
	hits := func(n int64, p float64) (k int64) {
		for range n {
			if r.Float64() < p {
				k++
			}
		}
		return k
	}
	held := map[string]int{}
	for range runs {
		const n, m, p, q = 300, 200, 0.04, 0.07
		a, b := hits(n, p), hits(m, q)
		if x := Wilson(a, n); x.Low <= p && p <= x.High {
			held["a rate"]++
		}
		if x := Newcombe(a, n, b, m); x.Low <= p-q && p-q <= x.High {
			held["a difference of rates"]++
		}
		// What an order is worth: none for most, then some 50 with a long tail.
		worth := func(n int64, p float64) (sum, squares float64) {
			for range n {
				if r.Float64() < p {
					v := math.Exp(3.5 + 0.6*r.NormFloat64())
					sum, squares = sum+v, squares+v*v
				}
			}
			return sum, squares
		}
		mean := math.Exp(3.5 + 0.6*0.6/2)
		s1, q1 := worth(n, 0.3)
		s2, q2 := worth(m, 0.4)
		if x := Mean(n, s1, q1); x.Low <= 0.3*mean && 0.3*mean <= x.High {
			held["a mean"]++
		}
		if x, d := MeanDifference(n, s1, q1, m, s2, q2), (0.3-0.4)*mean; x.Low <= d && d <= x.High {
			held["a difference of means"]++
		}
	}
	for what, n := range held {
		if share := float64(n) / runs; share < 0.93 || share > 0.975 {
			t.Errorf("%s: the interval holds it in %.3f of the runs, want 0.95", what, share)
		}
	}
}

func TestMean(t *testing.T) {
	// 2, 4, 4, 4, 5, 5, 7, 9: mean 5, sample variance 32/7.
	x := Mean(8, 40, 232)
	if half := 1.959964 * math.Sqrt(32.0/7/8); x.Estimate != 5 || !near(x.High-5, half, 1e-6) || !near(5-x.Low, half, 1e-6) {
		t.Errorf("%+v", x)
	}
	for _, n := range []int64{0, 1} {
		if x := Mean(n, 3, 9); !math.IsNaN(x.Low) || !math.IsNaN(x.High) {
			t.Errorf("of %d values: %+v", n, x)
		}
	}
}

// TestBest compares with the closed form for two shares (E. Miller, Formulas for
// Bayesian A/B Testing, 2013), and for more with draws.
func TestBest(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	for range 60 {
		scale := math.Pow(10, 1+3*r.Float64())
		a := Rate{Of: 1 + int64(scale*r.Float64())}
		b := Rate{Of: 1 + int64(scale*r.Float64())}
		a.Hits, b.Hits = int64(float64(a.Of)*r.Float64()*0.2), int64(float64(b.Of)*r.Float64()*0.2)
		got := Best([]Rate{a, b})
		if want := greater(b, a); !near(got[1], want, 5e-4) || !near(got[0]+got[1], 1, 1e-9) {
			t.Errorf("%v: %v, want %.5f for the second", []Rate{a, b}, got, want)
		}
	}
	got := Best([]Rate{{20, 500}, {30, 500}, {30, 500}, {0, 3}})
	if !near(got[1], got[2], 1e-9) || got[0] > got[1] || got[3] < 0.5 {
		t.Errorf("%v", got)
	}
	if got := Best([]Rate{{1_000_000, 20_000_000}, {1_010_000, 20_000_000}}); got[1] < 0.99999 {
		t.Errorf("many persons: %v", got)
	}
	for n := range 2 {
		if got := Best(make([]Rate, n)); len(got) != n || n == 1 && got[0] != 1 {
			t.Errorf("%d: %v", n, got)
		}
	}
}

// greater is the probability that b's rate is greater than a's.
func greater(b, a Rate) (p float64) {
	lbeta := func(x, y float64) float64 {
		g, _ := math.Lgamma(x)
		h, _ := math.Lgamma(y)
		k, _ := math.Lgamma(x + y)
		return g + h - k
	}
	aa, ba := posterior(a)
	ab, bb := posterior(b)
	for i := range int(ab) {
		x := float64(i)
		p += math.Exp(lbeta(aa+x, bb+ba) - math.Log(bb+x) - lbeta(1+x, bb) - lbeta(aa, ba))
	}
	return p
}
