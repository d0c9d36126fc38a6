package facet

import (
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

// MostFrequent is the first of Counts, without a list; ok is false where that has none.
func (s Series) MostFrequent(now, window int64) (most Score, until int64, ok bool) {
	until = math.MaxInt64
	var top keyed
	count := int64(0)
	for k := s.walk(); k.step(); { // ascending by name
		sum, next := k.tally(now, window)
		until = min(until, next)
		if sum.N > count {
			count, top = sum.N, k
		}
	}
	if count == 0 {
		return most, until, false
	}
	return Score{top.name(), float64(count)}, until, true
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
	var room [fewKeys]weighed
	keys, _, until := s.weigh(room[:0], now, halfLife, least)
	for _, x := range keys {
		dst = append(dst, Score{s.text(x.text), x.sum})
	}
	sortScores(dst[begin:])
	return dst, until
}

// Foremost is Scores of which there are no more than most.
func (s Series) Foremost(dst []Score, most int, now, halfLife int64, least float64) []Score {
	var room [fewKeys]weighed
	keys, top, _ := s.weigh(room[:0], now, halfLife, least)
	for range min(most, len(keys)) {
		dst = append(dst, Score{s.text(keys[top].text), keys[top].sum})
		keys[top].sum = -1 // less than any
		top = 0
		for i := range keys { // ascending by name
			if overtakes(keys[i].sum, keys[top].sum) {
				top = i
			}
		}
	}
	return dst
}

// Favourite is the first of Scores, without a list; ok is false where that has none.
func (s Series) Favourite(now, halfLife int64, least float64) (key string, until int64, ok bool) {
	var room [fewKeys]weighed
	keys, top, until := s.weigh(room[:0], now, halfLife, least)
	if len(keys) == 0 {
		return "", until, false
	}
	return s.text(keys[top].text), until, true
}

// weighed is a key with what it weighs; its name is mostly not asked for.
type weighed struct {
	text int64
	sum  float64
	stay float64 // what of it does not fade yet
}

// fewKeys is for how many keys there is room without memory.
const fewKeys = 24

// weigh appends the keys of Scores to dst, by name. top is the place of the first one.
func (s Series) weigh(dst []weighed, now, halfLife int64, least float64) (keys []weighed, top int, until int64) {
	until = math.MaxInt64
	if s.Form() != Tallies {
		return dst, 0, until
	}
	oldest, width := s.bucket(now-s.Window()), s.width()
	ahead, fades := false, false // some bucket's middle is still to come; some is over
	var left faded
	for k := s.walk(); k.step(); {
		x, first := weighed{text: s.words[k.entry+keyText]}, true
		cells := k.newer()
		for j := range cells.len() {
			at := cells.place(j)
			if at < oldest {
				continue
			}
			if first { // the oldest of them is the next to go
				until, first = min(until, (at+1)*width+s.Window()), false
			}
			weight := cells.weight(j)
			switch middle := at*width + width/2; {
			case middle > now:
				until, ahead = min(until, middle), true
				x.stay += weight
			case middle < now:
				fades = true
				weight *= left.of(at, now-middle, halfLife)
			}
			x.sum += weight
		}
		if x.sum < least {
			continue
		}
		if dst = append(dst, x); overtakes(x.sum, dst[top].sum) {
			top = len(dst) - 1
		}
	}
	if len(dst) == 0 {
		return dst, 0, until
	}
	if life := float64(halfLife) * math.Log2(dst[top].sum/least); life < 1<<60 {
		until = min(until, max(now+1, now+int64(life)))
	}
	if ahead && fades {
		until = min(until, crossing(dst, top, now, halfLife))
	}
	return dst, top, until
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

// overtakes says that one weight is more than another, and not by rounding alone.
func overtakes(a, b float64) bool { return a > b && a-b > roundings*a }

// sortScores takes those for equal that only rounding tells apart, which another
// moment may round the other way: weights fade alike, and nobody is overtaken by that.
func sortScores(list []Score) {
	slices.SortFunc(list, func(a, b Score) int {
		switch {
		case overtakes(a.Value, b.Value):
			return -1
		case overtakes(b.Value, a.Value):
			return 1
		}
		return strings.Compare(a.Key, b.Key)
	})
}

// crossing is when another key may overtake the first: the buckets whose middle is
// still to come weigh the same until then, while the others fade. Where all fade
// alike nobody is overtaken.
func crossing(keys []weighed, top int, now, halfLife int64) (at int64) {
	at = math.MaxInt64
	stay, fade := keys[top].stay, keys[top].sum-keys[top].stay
	for i := range keys {
		// stay + fade·d = x + y·d, with d falling from 1
		x, y := keys[i].stay, keys[i].sum-keys[i].stay
		if i == top || fade <= y || x <= stay {
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

// weight is what the i-th cell weighs before it fades.
func (r *run) weight(i int) float64 {
	if w := r.words[i*r.size:]; r.size == wideCell && w[1] != 0 {
		return float64(w[1]) / 1e6
	}
	return float64(r.count(i))
}
