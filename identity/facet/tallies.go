package facet

import "math"

// Tallies are sums by key, in time. With a Window, the Most newest seconds of the
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
//
// The words: of each key, ascending, an entry; then of each key in the same order the
// cells of its buckets, where the series keeps seconds, and the cells of its seconds,
// else of its buckets.

// The words of a key's entry.
const (
	keyText   = iota
	keyLast   // its newest contribution, ms
	keyCells  // lower half: how many; upper half: how many buckets before them
	keyOlderN // how many contributions its buckets hold
	keyN      // and its cells
	keyOlder  // where cells have amounts: their sum, the least and the largest of the buckets
	narrowKey = keyOlder
	keySums   = keyOlder + 3 // and of the cells
	wideKey   = keySums + 3
)

// maxSeriesKeys bounds the keys of one series.
const maxSeriesKeys = 256

func (s Series) wide() bool { return s.words[head]&isWideBit != 0 }

// exact says that the series keeps seconds.
func (s Series) exact() bool { return s.most() > 0 && s.words[window] > 0 }

// sizes are how many words a key's entry has, and a cell.
func (s Series) sizes() (key, cell int) {
	if s.wide() {
		return wideKey, wideCell
	}
	return narrowKey, narrowCell
}

// bucket is the index of the bucket that holds a time.
func (s Series) bucket(ms int64) int64 {
	if s.width() <= 0 {
		return 0
	}
	return floor(ms, s.width())
}

// spot is where a key stands in the words of its series.
type spot struct {
	entry       int
	from, cells int // where its buckets and its cells begin
	end         int // and the next one's buckets
	size        int // words of a cell
}

// spot gives that of the j-th key.
func (s Series) spot(j int) (p spot) {
	entry, size := s.sizes()
	end := content + s.items()*entry
	p.entry, p.size = content+j*entry, size
	for at := content; at < p.entry; at += entry {
		w := s.words[at+keyCells]
		end += int(low(w)+high(w)) * size
	}
	w := s.words[p.entry+keyCells]
	p.from = end
	p.cells = p.from + int(high(w))*size
	p.end = p.cells + int(low(w))*size
	return p
}

// next is the spot of the key behind one.
func (p *spot) next(s Series, entry int) {
	p.entry += entry
	w := s.words[p.entry+keyCells]
	p.from = p.end
	p.cells = p.from + int(high(w))*p.size
	p.end = p.cells + int(low(w))*p.size
}

// keyed walks over the keys of Tallies.
type keyed struct {
	Series
	spot
	left  int // keys
	words int // of an entry
}

// walk begins before the first key.
func (s Series) walk() (k keyed) {
	if s.Form() == Tallies {
		k.Series, k.left = s, s.items()
		k.words, k.size = s.sizes()
		k.entry, k.end = content-k.words, content+k.left*k.words
	}
	return k
}

// step goes on to the next key; false: there is none.
func (k *keyed) step() bool {
	if k.left == 0 {
		return false
	}
	k.left--
	k.next(k.Series, k.words)
	return true
}

func (k *keyed) name() string { return k.text(k.Series.words[k.entry+keyText]) }

// older are the buckets of what there was no room for as seconds.
func (k *keyed) older() run { return k.run(k.from, k.cells, keyOlderN, keyOlder) }

// newer are the seconds where the series keeps them, else the buckets.
func (k *keyed) newer() run { return k.run(k.cells, k.end, keyN, keySums) }

func (k *keyed) run(from, to, n, sums int) run {
	w := k.Series.words
	return run{w[from:to], k.size, sumsOf(w[k.entry:], n, sums, k.size)}
}

func sumsOf(entry []int64, n, sums, size int) Tally {
	t := Tally{N: entry[n]}
	if size == wideCell {
		t.Sum, t.Min, t.Max = entry[sums], entry[sums+1], entry[sums+2]
	}
	return t
}

func setSums(entry []int64, n, sums, size int, t Tally) {
	entry[n] = t.N
	if size == wideCell {
		entry[sums], entry[sums+1], entry[sums+2] = t.Sum, t.Min, t.Max
	}
}

// tally sums up what counts in (now − window, now]: a second or a bucket does if it
// began then. window 0 is all time, now included or not. until is when this changes by
// time alone.
func (k *keyed) tally(now, window int64) (sum Tally, until int64) {
	unit := k.width()
	if k.exact() {
		unit = 1000
	}
	newer := k.newer()
	sum, until = newer.within(unit, now, window)
	if k.from < k.cells {
		older := k.older()
		before, next := older.within(k.width(), now, window)
		sum.Add(before)
		until = min(until, next)
	}
	return sum, until
}

// Tally sums up what counts for key in (now − window, now]; of all time when
// window is 0. until is when the sum changes by itself; math.MaxInt64: never.
func (s Series) Tally(key string, now, window int64) (sum Tally, until int64) {
	switch s.Form() {
	case Total:
		return s.tally(), math.MaxInt64
	case Tallies:
		for k := s.walk(); k.step(); {
			if k.name() == key {
				return k.tally(now, window)
			}
		}
	}
	return Tally{}, math.MaxInt64
}

// Total sums up everything.
func (s Series) Total() Tally {
	t, _ := s.Tally("", math.MaxInt64, 0)
	return t
}
