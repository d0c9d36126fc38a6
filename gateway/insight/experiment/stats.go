package experiment

import "math"

// Interval is an estimate with the bounds that hold it with a probability of
// 95 %.
type Interval struct{ Estimate, Low, High float64 }

// z95 is the 97.5 % quantile of the standard normal distribution.
const z95 = 1.959963984540054

// Wilson is the score interval of a share of which hits of n were seen (E. B.
// Wilson, Journal of the American Statistical Association 22, 1927). Unlike the
// usual ± it holds for few persons and rates near 0, too. Of nobody everything
// is possible.
func Wilson(hits, n int64) Interval {
	if n <= 0 {
		return Interval{0, 0, 1}
	}
	p, m := float64(hits)/float64(n), float64(n)
	middle := (p + z95*z95/(2*m)) / (1 + z95*z95/m)
	half := z95 / (1 + z95*z95/m) * math.Sqrt(p*(1-p)/m+z95*z95/(4*m*m))
	x := Interval{p, max(0, middle-half), min(1, middle+half)}
	if hits == 0 {
		x.Low = 0 // exactly: rounding would leave a trace
	}
	if hits == n {
		x.High = 1
	}
	return x
}

// Newcombe is the interval of the difference of two independent shares, a − b,
// made of their score intervals (R. G. Newcombe, Statistics in Medicine 17, 1998,
// 873–890, method 10).
func Newcombe(hitsA, nA, hitsB, nB int64) Interval {
	a, b := Wilson(hitsA, nA), Wilson(hitsB, nB)
	if nA <= 0 || nB <= 0 {
		return Interval{a.Estimate - b.Estimate, -1, 1}
	}
	d := a.Estimate - b.Estimate
	return Interval{
		d,
		d - math.Hypot(a.Estimate-a.Low, b.High-b.Estimate),
		d + math.Hypot(a.High-a.Estimate, b.Estimate-b.Low),
	}
}

// Mean is the mean of n values by their sum and the sum of their squares, with
// the interval of the normal approximation: right for the hundreds of persons
// that a result wants, too narrow for a handful. With fewer than two values the
// bounds are not numbers.
func Mean(n int64, sum, squares float64) Interval {
	if n <= 0 {
		return Interval{0, math.NaN(), math.NaN()}
	}
	mean := sum / float64(n)
	half := z95 * math.Sqrt(variance(n, sum, squares)/float64(n))
	return Interval{mean, mean - half, mean + half}
}

// variance is the sample's, unbiased; not a number below two values.
func variance(n int64, sum, squares float64) float64 {
	if n < 2 {
		return math.NaN()
	}
	return max(0, squares-sum*sum/float64(n)) / float64(n-1)
}

// MeanDifference is the interval of the difference of two means, a − b, whose
// variances need not be equal (as Welch's test, with the normal distribution).
func MeanDifference(nA int64, sumA, squaresA float64, nB int64, sumB, squaresB float64) Interval {
	a, b := Mean(nA, sumA, squaresA), Mean(nB, sumB, squaresB)
	d := a.Estimate - b.Estimate
	half := z95 * math.Sqrt(variance(nA, sumA, squaresA)/float64(nA)+variance(nB, sumB, squaresB)/float64(nB))
	return Interval{d, d - half, d + half}
}

// Rate is what is known of a share: so many hits of so many.
type Rate struct{ Hits, Of int64 }

// Best gives for each share the probability that it is the greatest: over flat
// priors the posterior of each is a Beta distribution, and this is the integral
// of its density times the others' distribution functions. Exact to about four
// digits. The list may be empty.
func Best(rates []Rate) []float64 {
	const points = 2048
	out := make([]float64, len(rates))
	if len(rates) < 2 {
		for i := range out {
			out[i] = 1
		}
		return out
	}
	// Over the stretch in which any of them has weight.
	from, to := 1.0, 0.0
	for _, r := range rates {
		a, b := posterior(r)
		mean := a / (a + b)
		reach := 9 * math.Sqrt(a*b/((a+b)*(a+b)*(a+b+1)))
		from, to = min(from, mean-reach), max(to, mean+reach)
	}
	from, to = max(0, from), min(1, to)
	// The narrowest must be seen, too: the points are cut as fine as it wants, and
	// each slice is taken at its middle.
	n := points
	for _, r := range rates {
		a, b := posterior(r)
		sd := math.Sqrt(a * b / ((a + b) * (a + b) * (a + b + 1)))
		n = max(n, min(1<<17, int(64*(to-from)/sd)))
	}
	step := (to - from) / float64(n)
	density, below := make([]float64, len(rates)), make([]float64, len(rates))
	norm := make([]float64, len(rates))
	for i, r := range rates {
		a, b := posterior(r)
		lga, _ := math.Lgamma(a)
		lgb, _ := math.Lgamma(b)
		lgc, _ := math.Lgamma(a + b)
		norm[i] = lgc - lga - lgb + math.Log(step)
	}
	before := make([]float64, len(rates)) // the product of all others' before each
	for k := range n {
		x := from + (float64(k)+0.5)*step
		log, rest := math.Log(x), math.Log1p(-x)
		p := 1.0
		for i, r := range rates {
			a, b := posterior(r)
			density[i] = math.Exp((a-1)*log + (b-1)*rest + norm[i])
			before[i] = p
			p *= min(1, below[i]+density[i]/2)
		}
		p = 1
		for i := len(rates) - 1; i >= 0; i-- {
			out[i] += density[i] * before[i] * p
			p *= min(1, below[i]+density[i]/2)
		}
		for i := range rates {
			below[i] += density[i]
		}
	}
	sum := 0.0
	for _, p := range out {
		sum += p
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

func posterior(r Rate) (a, b float64) {
	return 1 + float64(max(0, r.Hits)), 1 + float64(max(0, r.Of-r.Hits))
}
