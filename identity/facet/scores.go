package facet

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Score is a key's weight, in which each contribution weighs half as much for
// every half-life of its age.
type Score struct {
	Key   string
	Value float64
}

// Counts appends the keys with how often they were met in (now − window, now], of
// all time when window is 0, to dst: the most frequent first, equal ones by name.
// until is when a count changes by itself.
func (s Series) Counts(dst []Score, now, window int64) (list []Score, until int64) {
	begin := len(dst)
	dst, until = s.counts(dst, now, window)
	sortScores(dst[begin:])
	return dst, until
}

// MostFrequent is Counts of which only the first one is in its place.
func (s Series) MostFrequent(dst []Score, now, window int64) (list []Score, until int64) {
	begin := len(dst)
	dst, until = s.counts(dst, now, window)
	first(dst[begin:])
	return dst, until
}

func (s Series) counts(dst []Score, now, window int64) (list []Score, until int64) {
	until = math.MaxInt64
	for k := s.walk(); k.step(); {
		sum, next := k.tally(now, window)
		until = min(until, next)
		if n := sum.N; n > 0 {
			dst = append(dst, Score{k.name(), float64(n)})
		}
	}
	return dst, until
}

// Scores appends the keys with their decayed weights to dst, highest first, equal
// ones by name, but none that has less than least: of a key's buckets from the one
// that holds now − Window on, each with what it holds (the sum of amounts where
// there are any, else how many) times 2^(−age/halfLife), summed up from the oldest
// to the newest. A bucket's age is its middle's, never less than 0. until is when the first
// one may be another, or fall below least, or a bucket ends to count.
func (s Series) Scores(dst []Score, now, halfLife int64, least float64) (list []Score, until int64) {
	begin := len(dst)
	dst, until = s.Favourite(dst, now, halfLife, least)
	sortScores(dst[begin:])
	return dst, until
}

// Favourite is Scores of which only the first one is in its place.
func (s Series) Favourite(dst []Score, now, halfLife int64, least float64) (list []Score, until int64) {
	until = math.MaxInt64
	if s.Form() != Tallies {
		return dst, until
	}
	oldest, width := s.bucket(now-s.Window()), s.width()
	begin := len(dst)
	ahead, fades := false, false // some bucket's middle is still to come; some is over
	var parts faded
	for k := s.walk(); k.step(); {
		sum, first := 0.0, true
		cells := k.newer()
		for j := range cells.len() {
			at := cells.place(j)
			if at < oldest {
				continue
			}
			if first { // the oldest of them is the next to go
				until, first = min(until, (at+1)*width+s.Window()), false
			}
			middle := at*width + width/2
			if middle >= now {
				if middle > now {
					until, ahead = min(until, middle), true
				}
				sum += cells.weight(j)
				continue
			}
			fades = true
			sum += cells.weight(j) * parts.of(at, now-middle, halfLife)
		}
		if sum >= least {
			dst = append(dst, Score{k.name(), sum})
		}
	}
	first(dst[begin:])
	if len(dst) > begin {
		if life := float64(halfLife) * math.Log2(dst[begin].Value/least); life < 1<<60 {
			until = min(until, max(now+1, now+int64(life)))
		}
	}
	if ahead && fades && len(dst) > begin+1 {
		until = min(until, s.crossing(dst[begin].Key, now, halfLife))
	}
	return dst, until
}

// faded keeps what is left of a weight: keys have the same buckets.
type faded [8]struct {
	at   int64 // the bucket's, from 1
	part float64
}

// of is what is left of what a bucket holds at an age.
func (f *faded) of(bucket, age, halfLife int64) float64 {
	x := &f[bucket&7]
	if x.at != bucket+1 {
		x.at, x.part = bucket+1, math.Exp2(-float64(age)/float64(halfLife))
	}
	return x.part
}

// roundings is by what part two sums of the same weights may differ.
const roundings = 1e-12

func sortScores(list []Score) { slices.SortFunc(list, compareScores) }

// compareScores takes those for equal that only rounding tells apart, which another
// moment may round the other way: weights fade alike, and nobody is overtaken by that.
func compareScores(a, b Score) int {
	if math.Abs(a.Value-b.Value) > roundings*max(a.Value, b.Value) {
		return cmp.Compare(b.Value, a.Value)
	}
	return strings.Compare(a.Key, b.Key)
}

// first puts the one that is first in order at the list's beginning.
func first(list []Score) {
	for i := range list {
		if compareScores(list[i], list[0]) < 0 {
			list[0], list[i] = list[i], list[0]
		}
	}
}

// crossing is when another key may overtake the first: the buckets whose middle is
// still to come weigh the same until then, while the others fade. Where all fade
// alike nobody is overtaken.
func (s Series) crossing(top string, now, halfLife int64) (at int64) {
	at = math.MaxInt64
	stay, fade := 0.0, 0.0
	for k := s.walk(); k.step(); {
		if k.name() == top {
			stay, fade = k.parts(now, halfLife)
		}
	}
	for k := s.walk(); k.step(); {
		if k.name() == top {
			continue
		}
		// stay + fade·d = x + y·d, with d falling from 1
		x, y := k.parts(now, halfLife)
		if fade <= y || x <= stay {
			continue
		}
		if d := (x - stay) / (fade - y); d > 0 && d < 1 {
			at = min(at, max(now+1, now+int64(-math.Log2(d)*float64(halfLife))))
		} else if d >= 1 {
			at = now + 1
		}
	}
	return at
}

// parts are a key's weights that stay for the moment, and those that fade.
func (k *keyed) parts(now, halfLife int64) (stay, fade float64) {
	oldest := k.bucket(now - k.Window())
	cells := k.newer()
	for i := range cells.len() {
		at := cells.place(i)
		middle := at*k.width() + k.width()/2
		switch {
		case at < oldest:
		case middle > now:
			stay += cells.weight(i)
		default:
			fade += cells.weight(i) * math.Exp2(-float64(now-middle)/float64(halfLife))
		}
	}
	return stay, fade
}

// weight is what the i-th cell weighs before it fades.
func (r *run) weight(i int) float64 {
	if w := r.words[i*r.size:]; r.size == wideCell && w[1] != 0 {
		return float64(w[1]) / 1e6
	}
	return float64(r.count(i))
}
