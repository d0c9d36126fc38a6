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
	keys   []*keyed // ascending; none is written once it is in a series
	points int      // over all keys
}

type keyed struct {
	key    string
	last   int64 // its newest contribution, ms
	points run   // by second
	coarse run   // by bucket
}

// maxSeriesKeys bounds the keys of one series.
const maxSeriesKeys = 256

func (t *tallies) with(s *Series, c *Contribution) content {
	i, found := slices.BinarySearchFunc(t.keys, c.Key, compareKey)
	n := &tallies{points: t.points}
	k := new(keyed)
	if found {
		n.keys, *k = slices.Clone(t.keys), *t.keys[i]
		k.last = max(k.last, c.At)
	} else {
		n.keys = make([]*keyed, len(t.keys)+1)
		copy(n.keys, t.keys[:i])
		copy(n.keys[i+1:], t.keys[i:])
		k.key, k.last = strings.Clone(c.Key), c.At
	}
	n.keys[i] = k
	if s.Most > 0 && s.Window > 0 {
		before := k.points.len()
		k.points = k.points.put(cell{floor(c.At, 1000), c.Tally})
		n.points += k.points.len() - before
	} else {
		k.coarse = k.coarse.put(cell{s.bucket(c.At), c.Tally})
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

// settle holds the bounds. The list of keys is t's own, the keys may be shared.
func (t *tallies) settle(s *Series) {
	if s.Window > 0 {
		t.expire(s)
	}
	for t.points > int(s.Most) {
		old := -1
		for i, k := range t.keys {
			if k.points.len() > 0 && (old < 0 || k.points.at(0).at < t.keys[old].points.at(0).at) {
				old = i
			}
		}
		k := *t.keys[old]
		p := k.points.at(0)
		k.points, k.coarse = k.points.drop(1), k.coarse.put(cell{s.bucket(p.at * 1000), p.Tally})
		t.keys[old] = &k
		t.points--
	}
	for len(t.keys) > maxSeriesKeys {
		quiet := 0
		for i := range t.keys {
			if t.keys[i].last < t.keys[quiet].last {
				quiet = i
			}
		}
		t.points -= t.keys[quiet].points.len()
		t.keys = slices.Delete(t.keys, quiet, quiet+1)
	}
}

// expire drops what lies a Window behind the newest contribution, to the bucket.
func (t *tallies) expire(s *Series) {
	oldest := s.bucket(floor(s.Last, 1000)*1000 - s.Window)
	empty := false
	for i, k := range t.keys {
		points, coarse := 0, 0
		for points < k.points.len() && s.bucket(k.points.at(points).at*1000) < oldest {
			points++
		}
		for coarse < k.coarse.len() && k.coarse.at(coarse).at < oldest {
			coarse++
		}
		if points+coarse == 0 {
			continue
		}
		n := *k
		n.points, n.coarse = k.points.drop(points), k.coarse.drop(coarse)
		t.points -= points
		t.keys[i] = &n
		empty = empty || n.points.len()+n.coarse.len() == 0
	}
	if empty {
		t.keys = slices.DeleteFunc(t.keys, func(k *keyed) bool { return k.points.len()+k.coarse.len() == 0 })
	}
}

func (t *tallies) merge(s *Series, other content) content {
	a, b := t.keys, other.(*tallies).keys
	n := &tallies{keys: make([]*keyed, 0, max(len(a), len(b)))}
	for len(a) > 0 || len(b) > 0 {
		order := -1
		switch {
		case len(a) == 0:
			order = 1
		case len(b) > 0:
			order = strings.Compare(a[0].key, b[0].key)
		}
		var k *keyed
		switch {
		case order < 0:
			k, a = a[0], a[1:]
		case order > 0:
			k, b = b[0], b[1:]
		default:
			k = &keyed{a[0].key, max(a[0].last, b[0].last), a[0].points.union(b[0].points), a[0].coarse.union(b[0].coarse)}
			a, b = a[1:], b[1:]
		}
		n.points += k.points.len()
		n.keys = append(n.keys, k)
	}
	n.settle(s)
	return n
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
	for i := range k.coarse.len() {
		c := k.coarse.at(i)
		cell(c.at*s.Width, &c.Tally)
	}
	for i := range k.points.len() {
		c := k.points.at(i)
		cell(c.at*1000, &c.Tally)
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
		k := t.keys[i]
		sum, first := 0.0, true
		for j := range k.coarse.len() {
			b := k.coarse.at(j)
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
	for i := range k.coarse.len() {
		b := k.coarse.at(i)
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
	for _, k := range t.keys {
		dst = wire.AppendText(dst, k.key)
		dst = wire.AppendInt(dst, k.last)
		for _, list := range [...]*run{&k.coarse, &k.points} {
			dst = wire.AppendUint(dst, uint64(list.len()))
			prev := int64(0)
			for i := range list.len() {
				c := list.at(i)
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
	t := &tallies{keys: make([]*keyed, 0, min(r.Count(), maxSeriesKeys))}
	for i := range cap(t.keys) {
		k := &keyed{key: r.Text(), last: r.Int()}
		if i > 0 && t.keys[i-1].key >= k.key {
			r.Fail()
		}
		for _, list := range [...]*[]cell{&k.coarse.head, &k.points.head} {
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
		t.points += k.points.len()
		t.keys = append(t.keys, k)
	}
	return t
}
