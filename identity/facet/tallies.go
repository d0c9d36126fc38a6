package facet

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/reuna/reuna/identity/wire"
)

// tallies are sums by key, in time. With a Window, the Most newest seconds of the
// series (of each key's own) are kept as they are; older contributions lie in
// buckets of Width, and count as if they had happened at the bucket's beginning.
// What lies a whole Window behind the newest contribution, to the bucket, is
// dropped. Without a Window one bucket holds all time.
//
// Invariant: the state is a function of the multiset of contributions. The Most
// newest seconds of a union are among the Most newest of each part, and what is
// dropped is older than all that stays; so the newest of what is left are the
// same however it was grouped, and if anything lies in a bucket then all Most
// seconds are there. (Beyond maxSeriesKeys keys the one that was quiet the
// longest goes, and only then can order matter.)
type tallies struct {
	keys   []keyed // ascending
	points int     // over all keys
}

type keyed struct {
	key    string
	last   int64  // its newest contribution, ms
	points []cell // ascending by second
	coarse []cell // ascending by bucket
}

type cell struct {
	at int64 // second, or index of a bucket
	Tally
}

// maxSeriesKeys bounds the keys of one series.
const maxSeriesKeys = 256

func (t *tallies) with(s *Series, c *Contribution) content {
	i, found := slices.BinarySearchFunc(t.keys, c.Key, compareKey)
	n := &tallies{points: t.points}
	if found {
		n.keys = slices.Clone(t.keys)
	} else {
		n.keys = make([]keyed, len(t.keys)+1)
		copy(n.keys, t.keys[:i])
		copy(n.keys[i+1:], t.keys[i:])
		n.keys[i] = keyed{key: strings.Clone(c.Key), last: c.At}
	}
	k := &n.keys[i]
	k.last = max(k.last, c.At)
	if s.Most > 0 && s.Window > 0 {
		before := len(k.points)
		k.points = put(k.points, cell{floor(c.At, 1000), c.Tally})
		n.points += len(k.points) - before
	} else {
		k.coarse = put(k.coarse, cell{s.bucket(c.At), c.Tally})
	}
	n.settle(s)
	return n
}

// bucket is the index of the bucket that holds a time.
func (s *Series) bucket(ms int64) int64 {
	if s.Width <= 0 {
		return 0
	}
	return floor(ms, s.Width)
}

// put gives the list with x in it; the list itself may be shared and stays.
func put(list []cell, x cell) []cell {
	i := len(list)
	for i > 0 && list[i-1].at >= x.at { // nearly always x is the newest
		i--
	}
	if i < len(list) && list[i].at == x.at {
		list = slices.Clone(list)
		list[i].Add(x.Tally)
		return list
	}
	n := make([]cell, len(list)+1)
	copy(n, list[:i])
	n[i] = x
	copy(n[i+1:], list[i:])
	return n
}

// settle holds the bounds. The keys are t's own, their lists may be shared.
func (t *tallies) settle(s *Series) {
	if s.Window > 0 {
		oldest := s.bucket(floor(s.Last, 1000)*1000 - s.Window)
		for i := range t.keys {
			k := &t.keys[i]
			for len(k.points) > 0 && s.bucket(k.points[0].at*1000) < oldest {
				k.points = k.points[1:]
				t.points--
			}
			for len(k.coarse) > 0 && k.coarse[0].at < oldest {
				k.coarse = k.coarse[1:]
			}
		}
		t.keys = slices.DeleteFunc(t.keys, func(k keyed) bool { return len(k.points)+len(k.coarse) == 0 })
	}
	for t.points > int(s.Most) {
		old := -1
		for i := range t.keys {
			if p := t.keys[i].points; len(p) > 0 && (old < 0 || p[0].at < t.keys[old].points[0].at) {
				old = i
			}
		}
		k := &t.keys[old]
		k.coarse = put(k.coarse, cell{s.bucket(k.points[0].at * 1000), k.points[0].Tally})
		k.points = k.points[1:]
		t.points--
	}
	for len(t.keys) > maxSeriesKeys {
		quiet := 0
		for i := range t.keys {
			if t.keys[i].last < t.keys[quiet].last {
				quiet = i
			}
		}
		t.points -= len(t.keys[quiet].points)
		t.keys = slices.Delete(t.keys, quiet, quiet+1)
	}
}

func (t *tallies) merge(s *Series, other content) content {
	a, b := t.keys, other.(*tallies).keys
	n := &tallies{keys: make([]keyed, 0, max(len(a), len(b)))}
	for len(a) > 0 || len(b) > 0 {
		order := -1
		switch {
		case len(a) == 0:
			order = 1
		case len(b) > 0:
			order = strings.Compare(a[0].key, b[0].key)
		}
		var k keyed
		switch {
		case order < 0:
			k, a = a[0], a[1:]
		case order > 0:
			k, b = b[0], b[1:]
		default:
			k = keyed{a[0].key, max(a[0].last, b[0].last), union(a[0].points, b[0].points), union(a[0].coarse, b[0].coarse)}
			a, b = a[1:], b[1:]
		}
		n.points += len(k.points)
		n.keys = append(n.keys, k)
	}
	n.settle(s)
	return n
}

func union(a, b []cell) []cell {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	list := make([]cell, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].at < b[0].at:
			list, a = append(list, a[0]), a[1:]
		case a[0].at > b[0].at:
			list, b = append(list, b[0]), b[1:]
		default:
			c := a[0]
			c.Add(b[0].Tally)
			list, a, b = append(list, c), a[1:], b[1:]
		}
	}
	return append(append(list, a...), b...)
}

// each calls fn for what counts in (now − window, now], with the moment at which
// it counts to have happened, in ms. window 0 is all time, now included or not.
// until is when this changes by time alone.
func (k *keyed) each(s *Series, now, window int64, fn func(at int64, t *Tally)) (until int64) {
	until = math.MaxInt64
	cell := func(at int64, t *Tally) {
		switch {
		case window == 0:
			fn(at, t)
		case at > now:
			until = min(until, at)
		case at > now-window:
			fn(at, t)
			until = min(until, at+window)
		}
	}
	for i := range k.coarse {
		cell(k.coarse[i].at*s.Width, &k.coarse[i].Tally)
	}
	for i := range k.points {
		cell(k.points[i].at*1000, &k.points[i].Tally)
	}
	return until
}

// Tally sums up what counts for key in (now − window, now]; of all time when
// window is 0. until is when the sum changes by itself; math.MaxInt64: never.
// A nil Series is an empty one.
func (s *Series) Tally(key string, now, window int64) (sum Tally, until int64) {
	if s != nil && s.Form == Total {
		return s.data.(*total).Tally, math.MaxInt64
	}
	t, ok := s.tallies()
	if !ok {
		return Tally{}, math.MaxInt64
	}
	i, found := slices.BinarySearchFunc(t.keys, key, compareKey)
	if !found {
		return Tally{}, math.MaxInt64
	}
	until = t.keys[i].each(s, now, window, func(_ int64, x *Tally) { sum.Add(*x) })
	return sum, until
}

func (s *Series) tallies() (*tallies, bool) {
	if s == nil {
		return nil, false
	}
	t, ok := s.data.(*tallies)
	return t, ok
}

// Score is a key's weight, in which each contribution weighs half as much for
// every half-life of its age.
type Score struct {
	Key   string
	Value float64
}

// Counts appends the keys with how often they were met in (now − window, now], of
// all time when window is 0, to dst: the most frequent first, equal ones by name.
// until is when a count changes by itself.
func (s *Series) Counts(dst []Score, now, window int64) (list []Score, until int64) {
	until = math.MaxInt64
	t, ok := s.tallies()
	if !ok {
		return dst, until
	}
	for i := range t.keys {
		n := int64(0)
		until = min(until, t.keys[i].each(s, now, window, func(_ int64, x *Tally) { n += x.N }))
		if n > 0 {
			dst = append(dst, Score{t.keys[i].key, float64(n)})
		}
	}
	sortScores(dst)
	return dst, until
}

// Scores appends the keys with their decayed weights to dst, highest first, equal
// ones by name, but none that has less than least: of a key's buckets from the one
// that holds now − Window on, each with what it holds (the sum of amounts where
// there are any, else how many) times 2^(−age/halfLife), summed up from the oldest
// to the newest. A bucket's age is its middle's, never less than 0. until is when the first
// one may be another, or fall below least, or a bucket ends to count.
func (s *Series) Scores(dst []Score, now, halfLife int64, least float64) (list []Score, until int64) {
	until = math.MaxInt64
	t, ok := s.tallies()
	if !ok {
		return dst, until
	}
	oldest := s.bucket(now - s.Window)
	begin := len(dst)
	ahead := false // some bucket's middle is still to come
	for i := range t.keys {
		k := &t.keys[i]
		sum, first := 0.0, true
		for j := range k.coarse {
			b := &k.coarse[j]
			if b.at < oldest {
				continue
			}
			if first { // the oldest of them is the next to go
				until, first = min(until, (b.at+1)*s.Width+s.Window), false
			}
			middle := b.at*s.Width + s.Width/2
			if middle > now {
				until, ahead = min(until, middle), true
			}
			sum += b.weight() * math.Exp2(-float64(max(0, now-middle))/float64(halfLife))
		}
		if sum >= least {
			dst = append(dst, Score{k.key, sum})
		}
	}
	sortScores(dst[begin:])
	if len(dst) > begin {
		if life := float64(halfLife) * math.Log2(dst[begin].Value/least); life < 1<<60 {
			until = min(until, max(now+1, now+int64(life)))
		}
	}
	if ahead && len(dst) > begin+1 {
		until = min(until, t.crossing(s, dst[begin].Key, now, halfLife))
	}
	return dst, until
}

func sortScores(list []Score) {
	slices.SortFunc(list, func(a, b Score) int {
		return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.Key, b.Key))
	})
}

// crossing is when another key may overtake the first: the buckets whose middle is
// still to come weigh the same until then, while the others fade. Where all fade
// alike nobody is overtaken.
func (t *tallies) crossing(s *Series, top string, now, halfLife int64) (at int64) {
	at = math.MaxInt64
	i, found := slices.BinarySearchFunc(t.keys, top, compareKey)
	if !found {
		return at
	}
	stay, fade := t.keys[i].parts(s, now, halfLife)
	for j := range t.keys {
		if j == i {
			continue
		}
		// stay + fade·d = x + y·d, with d falling from 1
		x, y := t.keys[j].parts(s, now, halfLife)
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
func (k *keyed) parts(s *Series, now, halfLife int64) (stay, fade float64) {
	oldest := s.bucket(now - s.Window)
	for i := range k.coarse {
		b := &k.coarse[i]
		middle := b.at*s.Width + s.Width/2
		switch {
		case b.at < oldest:
		case middle > now:
			stay += b.weight()
		default:
			fade += b.weight() * math.Exp2(-float64(now-middle)/float64(halfLife))
		}
	}
	return stay, fade
}

func (t *Tally) weight() float64 {
	if t.Sum != 0 {
		return float64(t.Sum) / 1e6
	}
	return float64(t.N)
}

func (t *tallies) append(dst []byte) []byte {
	dst = wire.AppendUint(dst, uint64(len(t.keys)))
	for i := range t.keys {
		k := &t.keys[i]
		dst = wire.AppendText(dst, k.key)
		dst = wire.AppendInt(dst, k.last)
		for _, list := range [...][]cell{k.coarse, k.points} {
			dst = wire.AppendUint(dst, uint64(len(list)))
			prev := int64(0)
			for _, c := range list {
				dst = wire.AppendInt(dst, c.at-prev)
				prev = c.at
				dst = c.Tally.append(dst)
			}
		}
	}
	return dst
}

// append writes N shifted by one, with the lowest bit for amounts, and then their
// sum; of more than one the smallest and the largest follow.
func (t *Tally) append(dst []byte) []byte {
	if t.Sum == 0 && t.Min == 0 && t.Max == 0 {
		return wire.AppendUint(dst, uint64(t.N)<<1)
	}
	dst = wire.AppendInt(wire.AppendUint(dst, uint64(t.N)<<1|1), t.Sum)
	if t.N > 1 {
		dst = wire.AppendInt(wire.AppendInt(dst, t.Min), t.Max)
	}
	return dst
}

func readTally(r *wire.Reader) (t Tally) {
	n := r.Uint()
	t.N = int64(n >> 1)
	if n&1 == 1 {
		t.Sum = r.Int()
		if t.Min, t.Max = t.Sum, t.Sum; t.N > 1 {
			t.Min, t.Max = r.Int(), r.Int()
		}
	}
	if t.N == 0 {
		r.Fail()
	}
	return t
}

func readTallies(r *wire.Reader) content {
	t := &tallies{keys: make([]keyed, 0, min(r.Count(), maxSeriesKeys))}
	for i := range cap(t.keys) {
		k := keyed{key: r.Text(), last: r.Int()}
		if i > 0 && t.keys[i-1].key >= k.key {
			r.Fail()
		}
		for _, list := range [...]*[]cell{&k.coarse, &k.points} {
			n := r.Count()
			if n == 0 {
				continue
			}
			*list = make([]cell, n)
			prev := int64(0)
			for j := range *list {
				at := prev + r.Int()
				if j > 0 && at <= prev {
					r.Fail()
				}
				(*list)[j] = cell{at, readTally(r)}
				prev = at
			}
		}
		t.points += len(k.points)
		t.keys = append(t.keys, k)
	}
	return t
}
