package facet

import (
	"math"
	"slices"
	"strings"
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
	points int     // seconds that are kept, over all keys
}

type keyed struct {
	key   string
	last  int64 // its newest contribution, ms
	cells run   // by second where the series keeps them, else by bucket
	older *run  // by bucket, of seconds that there was no room for; nil: none
}

// exact says that the series keeps seconds.
func (s *Series) exact() bool { return s.Most > 0 && s.Window > 0 }

// copied is k to be written, when nobody writes k any more.
func (k keyed) copied() keyed {
	k.cells = k.cells.copied()
	if k.older != nil {
		r := k.older.copied()
		k.older = &r
	}
	return k
}

// clipped is a copy that has an owner besides k's.
func (k keyed) clipped() keyed {
	k.cells = k.cells.clipped()
	if k.older != nil {
		r := k.older.clipped()
		k.older = &r
	}
	return k
}

// maxSeriesKeys bounds the keys of one series.
const maxSeriesKeys = 256

func (t *tallies) fork(s *Series) *Series {
	if len(t.keys) < 2 {
		n := t.with(s)
		for i := range t.keys {
			n.data.(*tallies).keys[i] = t.keys[i].copied()
		}
		return n
	}
	keys := make([]keyed, len(t.keys))
	for i := range t.keys {
		keys[i] = t.keys[i].copied()
	}
	return (&tallies{keys, t.points}).with(s)
}

// with makes one object of a series, its content and its key, where it has but one; t
// is its own from then on.
func (t *tallies) with(s *Series) *Series {
	if len(t.keys) > 1 {
		n := &struct {
			Series
			tallies
		}{*s, *t}
		n.data = &n.tallies
		return &n.Series
	}
	n := &struct {
		Series
		tallies
		key [1]keyed
	}{Series: *s}
	n.keys, n.points = n.key[:copy(n.key[:], t.keys)], t.points
	n.data = &n.tallies
	return &n.Series
}

func (t *tallies) put(s *Series, c *Contribution) {
	i, found := 0, false
	if len(t.keys) == 1 && t.keys[0].key == c.Key {
		found = true
	} else {
		i, found = t.find(c.Key)
	}
	if !found {
		t.keys = insert(t.keys, i, keyed{key: c.text(), last: c.At})
	}
	k := &t.keys[i]
	k.last = max(k.last, c.At)
	if s.exact() {
		before := k.cells.len()
		k.cells.put(cell{clamped(floor(c.At, 1000)), c.Tally})
		t.points += k.cells.len() - before
	} else {
		k.cells.put(cell{clamped(s.bucket(c.At)), c.Tally})
	}
	t.settle(s)
}

// find gives the place of a key.
func (t *tallies) find(key string) (int, bool) {
	low, high := 0, len(t.keys)
	for low < high {
		if m := int(uint(low+high) >> 1); t.keys[m].key < key {
			low = m + 1
		} else {
			high = m
		}
	}
	return low, low < len(t.keys) && t.keys[low].key == key
}

// bucket is the index of the bucket that holds a time.
func (s *Series) bucket(ms int64) int64 {
	if s.Width <= 0 {
		return 0
	}
	return floor(ms, s.Width)
}

// settle holds the bounds.
func (t *tallies) settle(s *Series) {
	if s.Window > 0 {
		t.expire(s)
	}
	for t.points > int(s.Most) {
		old := -1
		for i := range t.keys {
			k := &t.keys[i]
			if k.cells.len() > 0 && (old < 0 || k.cells.place(0) < t.keys[old].cells.place(0)) {
				old = i
			}
		}
		k := &t.keys[old]
		p := k.cells.at(0)
		k.cells.drop(1)
		if k.older == nil {
			k.older = new(run)
		}
		k.older.put(cell{clamped(s.bucket(p.at * 1000)), p.Tally})
		t.points--
	}
	for len(t.keys) > maxSeriesKeys {
		quiet := 0
		for i := range t.keys {
			if t.keys[i].last < t.keys[quiet].last {
				quiet = i
			}
		}
		if s.exact() {
			t.points -= t.keys[quiet].cells.len()
		}
		t.keys = slices.Delete(t.keys, quiet, quiet+1)
	}
}

// expire drops what lies a Window behind the newest contribution, to the bucket.
func (t *tallies) expire(s *Series) {
	bucket := s.bucket(floor(s.Last, 1000)*1000 - s.Window)
	first := bucket // of the cells that stay
	if s.exact() {
		first = math.MinInt64
		if s.Width > 0 { // the bucket's first whole second
			first = -floor(-bucket*s.Width, 1000)
		}
	}
	empty := false
	for i := range t.keys {
		k := &t.keys[i]
		n := 0
		for n < k.cells.len() && k.cells.place(n) < first {
			n++
		}
		if n > 0 {
			k.cells.drop(n)
			if s.exact() {
				t.points -= n
			}
		}
		if k.older != nil {
			for n = 0; n < k.older.len() && k.older.place(n) < bucket; n++ {
			}
			if k.older.drop(n); k.older.len() == 0 {
				k.older = nil
			}
		}
		empty = empty || k.isEmpty()
	}
	if empty {
		t.keys = slices.DeleteFunc(t.keys, func(k keyed) bool { return k.isEmpty() })
	}
}

func (k *keyed) isEmpty() bool { return k.cells.len() == 0 && k.older == nil }

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
			k, a = a[0].clipped(), a[1:]
		case order > 0:
			k, b = b[0].clipped(), b[1:]
		default:
			k = keyed{key: a[0].key, last: max(a[0].last, b[0].last), cells: a[0].cells.union(&b[0].cells)}
			switch x, y := a[0].older, b[0].older; {
			case x != nil && y != nil:
				r := x.union(y)
				k.older = &r
			case x != nil:
				r := x.clipped()
				k.older = &r
			case y != nil:
				r := y.clipped()
				k.older = &r
			}
			a, b = a[1:], b[1:]
		}
		if s.exact() {
			n.points += k.cells.len()
		}
		n.keys = append(n.keys, k)
	}
	n.settle(s)
	return n
}

// tally sums up what counts in (now − window, now]: a second or a bucket does if it
// began then. window 0 is all time, now included or not. until is when this changes by
// time alone.
func (k *keyed) tally(s *Series, now, window int64) (sum Tally, until int64) {
	unit := s.Width
	if s.exact() {
		unit = 1000
	}
	sum, until = k.cells.within(unit, now, window)
	if k.older != nil {
		older, next := k.older.within(s.Width, now, window)
		sum.Add(older)
		until = min(until, next)
	}
	return sum, until
}

// within sums up the cells in (now − window, now], all where window is 0; unit is how
// many ms apart their places are. Nearly always that is all of them.
func (r *run) within(unit, now, window int64) (sum Tally, until int64) {
	until = math.MaxInt64
	if window == 0 {
		return r.all(), until
	}
	first, end := 0, r.len()
	for first < end && r.place(first)*unit <= now-window {
		first++
	}
	for end > first && r.place(end-1)*unit > now {
		end--
		until = r.place(end) * unit
	}
	if first < end {
		until = min(until, r.place(first)*unit+window)
	}
	if first == 0 && end == r.len() {
		return r.all(), until
	}
	return r.between(first, end), until
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
	i, found := t.find(key)
	if !found {
		return Tally{}, math.MaxInt64
	}
	return t.keys[i].tally(s, now, window)
}

func (s *Series) tallies() (*tallies, bool) {
	if s == nil {
		return nil, false
	}
	t, ok := s.data.(*tallies)
	return t, ok
}
