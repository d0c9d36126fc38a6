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

// fork makes one object of a series, its content and its key, where it has but one.
func (t *tallies) fork(s *Series) *Series {
	if len(t.keys) > 1 {
		n := &struct {
			Series
			tallies
		}{*s, tallies{make([]keyed, len(t.keys)), t.points}}
		for i := range t.keys {
			n.keys[i] = t.keys[i].copied()
		}
		n.data = &n.tallies
		return &n.Series
	}
	n := &struct {
		Series
		tallies
		key [1]keyed
	}{Series: *s}
	n.keys, n.points = n.key[:len(t.keys)], t.points
	if len(t.keys) == 1 {
		n.key[0] = t.keys[0].copied()
	}
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
		t.keys = insert(t.keys, i, keyed{key: strings.Clone(c.Key), last: c.At})
	}
	k := &t.keys[i]
	k.last = max(k.last, c.At)
	if s.exact() {
		before := k.cells.len()
		k.cells.put(cell{floor(c.At, 1000), c.Tally})
		t.points += k.cells.len() - before
	} else {
		k.cells.put(cell{s.bucket(c.At), c.Tally})
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
		k.older.put(cell{s.bucket(p.at * 1000), p.Tally})
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

// each calls fn for what counts in (now − window, now], with the moment at which
// it counts to have happened, in ms. window 0 is all time, now included or not.
// until is when this changes by time alone.
func (k *keyed) each(s *Series, now, window int64, fn func(at int64, t Tally)) (until int64) {
	until = math.MaxInt64
	cell := func(at int64, t Tally) {
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
	if k.older != nil {
		for i := range k.older.len() {
			c := k.older.at(i)
			cell(c.at*s.Width, c.Tally)
		}
	}
	unit := s.Width
	if s.exact() {
		unit = 1000
	}
	for i := range k.cells.len() {
		c := k.cells.at(i)
		cell(c.at*unit, c.Tally)
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
	i, found := t.find(key)
	if !found {
		return Tally{}, math.MaxInt64
	}
	until = t.keys[i].each(s, now, window, func(_ int64, x Tally) { sum.Add(x) })
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
		until = min(until, t.keys[i].each(s, now, window, func(_ int64, x Tally) { n += x.N }))
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
		for j := range k.cells.len() {
			b := k.cells.at(j)
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
	i, found := t.find(top)
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
	for i := range k.cells.len() {
		b := k.cells.at(i)
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
		for _, list := range [...]*run{k.older, &k.cells} {
			if list == nil {
				dst = wire.AppendUint(dst, 0)
				continue
			}
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

// maxTally is more than anybody counts: what says so is no record.
const maxTally = 1 << 48

func readTally(r *wire.Reader) (t Tally) {
	n := r.Uint()
	t.N = int64(n >> 1)
	if n&1 == 1 {
		t.Sum = r.Int()
		if t.Min, t.Max = t.Sum, t.Sum; t.N > 1 {
			t.Min, t.Max = r.Int(), r.Int()
		}
	}
	if t.N <= 0 || t.N > maxTally {
		r.Fail()
		t.N = 1
	}
	return t
}

func readTallies(r *wire.Reader, exact bool) content {
	t := &tallies{keys: make([]keyed, 0, min(r.Count(), maxSeriesKeys))}
	for i := range cap(t.keys) {
		k := keyed{key: r.Text(), last: r.Int()}
		if i > 0 && t.keys[i-1].key >= k.key {
			r.Fail()
		}
		if older := readRun(r); older.len() > 0 {
			k.older = &older
		}
		k.cells = readRun(r)
		if exact {
			t.points += k.cells.len()
		}
		t.keys = append(t.keys, k)
	}
	return t
}

func readRun(r *wire.Reader) (list run) {
	n := r.Count()
	if n > 1 {
		list.older = make([]count, 0, n-1)
	}
	prev := int64(0)
	for j := range n {
		at := prev + r.Int()
		if j > 0 && at <= prev {
			r.Fail()
		}
		list.push(cell{at, readTally(r)})
		prev = at
	}
	return list
}
