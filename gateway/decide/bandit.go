package decide

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// Arm is how a variant did so far.
type Arm struct {
	Variant   string
	Shown     int64 // persons who saw it
	Converted int64 // those of them who did what the placement is for
}

// told is what is known of a placement's arms for a minute.
type told struct {
	minute int64
	alpha  []float64 // by variant: of the Beta distribution of its rate
	beta   []float64
}

const (
	minuteMs = 60_000
	hourMs   = 60 * minuteMs
)

// draw is a person's draw from what is known of a variant's rate (Thompson
// sampling: W. R. Thompson, Biometrika 25, 1933): its posterior, a Beta
// distribution over a flat prior. One person draws the same throughout an hour,
// but for what is learnt meanwhile, so that a page does not flicker between two.
func (d *Decider) draw(p *placement, i int, now int64, unit string) float64 {
	t := p.told.Load()
	if t == nil || t.minute != now/minuteMs {
		t = d.learn(p, now/minuteMs)
		p.told.Store(t)
	}
	var room [256]byte
	b := append(room[:0], d.salt...)
	for _, s := range [...]string{unit, p.name, p.variants[i].Name, "\x00draw"} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(now/hourMs))
	sum := sha256.Sum256(b)
	var src rand.PCG
	src.Seed(binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:]))
	return beta(&src, t.alpha[i], t.beta[i])
}

// learn asks how the arms did.
func (d *Decider) learn(p *placement, minute int64) *told {
	t := &told{minute: minute, alpha: make([]float64, len(p.variants)), beta: make([]float64, len(p.variants))}
	var arms []Arm
	if d.arms != nil {
		arms = d.arms(p.site, p.name, p.version)
	}
	for i := range p.variants {
		t.alpha[i], t.beta[i] = 1, 1
		for _, a := range arms {
			if a.Variant == p.variants[i].Name {
				t.alpha[i] += float64(max(a.Converted, 0))
				t.beta[i] += float64(max(a.Shown-a.Converted, 0))
			}
		}
	}
	return t
}

// beta draws from a Beta distribution whose parameters are at least 1.
func beta(src *rand.PCG, a, b float64) float64 {
	x := gamma(src, a)
	return x / (x + gamma(src, b))
}

// gamma draws from a Gamma distribution with a shape of at least 1 (G. Marsaglia,
// W. W. Tsang, ACM TOMS 26, 2000).
func gamma(src *rand.PCG, shape float64) float64 {
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := normal(src)
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(uniform(src)) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

// normal draws from the standard normal distribution (Marsaglia's polar method).
func normal(src *rand.PCG) float64 {
	for {
		x, y := 2*uniform(src)-1, 2*uniform(src)-1
		if s := x*x + y*y; s < 1 {
			return x * math.Sqrt(-2*math.Log(s)/s)
		}
	}
}

// uniform is on (0, 1).
func uniform(src *rand.PCG) float64 { return (float64(src.Uint64()>>11) + 0.5) / (1 << 53) }
