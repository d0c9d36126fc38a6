package facet

import "math"

// What writes Tallies. Here a series is the i-th of its Kept and a key the j-th of the
// series, since a Series is good only until something is written.

// addTally takes a contribution in. The series had nothing to drop when its newest
// contribution was settled's; math.MinInt64: nobody knows.
func (k *Kept) addTally(i int, c *Contribution, settled int64) {
	if k.addNewest(i, c) {
		if s := k.at(i); settled == math.MinInt64 || c.At < settled || s.horizon(c.At) != s.horizon(settled) {
			k.expire(i)
		}
		return
	}
	s := k.at(i)
	if !s.wide() && c.Tally.Sum|c.Tally.Min|c.Tally.Max != 0 {
		k.widen(i)
		s = k.at(i)
	}
	j := k.keyOf(i, c.Key, c.At, c.copies)
	if s.exact() {
		k.put(i, j, false, cell{clamped(floor(c.At, 1000)), c.Tally})
	} else {
		k.put(i, j, false, cell{clamped(s.bucket(c.At)), c.Tally})
	}
	if s.words[window] > 0 && (c.At < settled || settled == math.MinInt64 || s.horizon(c.At) != s.horizon(settled)) {
		k.expire(i)
	}
	k.settle(i)
}

// addNewest is for what most contributions are: one that counts in the newest second of a
// series that only counts, or in one after it, where there is room. It says whether it was.
func (k *Kept) addNewest(i int, c *Contribution) bool {
	x := &k.index[i]
	w := k.words[x.at : x.at+x.used]
	if w[items] != 1 || w[head]&isWideBit != 0 || c.Key != "" || low(w[content+keyText]) != 0 || c.Tally.Sum|c.Tally.Min|c.Tally.Max != 0 {
		return false
	}
	s := Series{words: w}
	n := low(w[content+keyCells])
	if !s.exact() || n == 0 {
		return false
	}
	newest := &w[len(w)-1]
	switch at, have := clamped(floor(c.At, 1000)), int64(high(*newest)); {
	case at < have:
		return false
	case at == have:
		if int64(low(*newest))+c.Tally.N > math.MaxUint32 {
			return false
		}
		addLow(newest, int(c.Tally.N))
	case int(n) >= s.most() || k.room(i) == len(w):
		return false
	default:
		x.used++
		k.words[x.at+x.used-1] = pair(uint32(min(c.Tally.N, math.MaxUint32)), uint32(at))
		addLow(&w[content+keyCells], 1)
	}
	w[content+keyN] += c.Tally.N
	w[content+keyLast] = max(w[content+keyLast], c.At)
	return true
}

// horizon is the first bucket that is not dropped when the newest contribution was at a
// time.
func (s Series) horizon(newest int64) int64 {
	return s.bucket(floor(newest, 1000)*1000 - s.words[window])
}

// keyOf gives the place of a key, which is made where it is not there.
func (k *Kept) keyOf(i int, key string, at int64, c *copies) int {
	s := k.at(i)
	n := s.items()
	entry, _ := s.sizes()
	if number, ok := k.known(key, c); ok {
		for j := range n {
			if w := s.words[content+j*entry:]; low(w[keyText]) == number {
				w[keyLast] = max(w[keyLast], at)
				return j
			}
		}
	}
	j := s.placeOf(key, entry)
	number := k.number(key, c)
	k.splice(i, content+j*entry, 0, entry)
	w := k.at(i).words
	w[items]++
	w = w[content+j*entry:][:entry]
	clear(w)
	w[keyText], w[keyLast] = pair(number, 0), at
	return j
}

// part is where a key's cells are, or its buckets before them, and where its entry has
// what is kept of them all.
func (p spot) part(older bool) (from, to, n, sums int) {
	if older {
		return p.from, p.cells, keyOlderN, keyOlder
	}
	return p.cells, p.end, keyN, keySums
}

// addCells notes in a key's entry that there are more of them, or fewer.
func addCells(entry []int64, older bool, n int) {
	if older {
		addHigh(&entry[keyCells], n)
	} else {
		addLow(&entry[keyCells], n)
	}
}

// put adds x to the cells of a key, or to its buckets before them.
func (k *Kept) put(i, j int, older bool, x cell) {
	s := k.at(i)
	p := s.spot(j)
	entry := s.words[p.entry:]
	from, to, n, sums := p.part(older)
	if p.size == narrowCell {
		entry[n] += x.N
	} else {
		all := sumsOf(entry, n, sums, p.size)
		all.Add(x.Tally)
		setSums(entry, n, sums, p.size, all)
	}
	r := run{words: s.words[from:to], size: p.size}
	at, found := r.search(x.at)
	if found {
		have := r.at(at)
		have.Add(x.Tally)
		r.set(at, have)
		return
	}
	addCells(entry, older, 1)
	from += at * p.size
	k.splice(i, from, 0, p.size)
	r.words = k.at(i).words[from:]
	r.set(0, x)
}

// dropCells takes the first cells of a key away, or of its buckets before them.
func (k *Kept) dropCells(i, j int, older bool, gone int) {
	if gone == 0 {
		return
	}
	s := k.at(i)
	p := s.spot(j)
	entry := s.words[p.entry:]
	from, to, n, sums := p.part(older)
	addCells(entry, older, -gone)
	r := run{s.words[from:to], p.size, sumsOf(entry, n, sums, p.size)}
	setSums(entry, n, sums, p.size, r.without(gone))
	k.splice(i, from, gone*p.size, 0)
}

// dropKey takes a key away.
func (k *Kept) dropKey(i, j int) {
	s := k.at(i)
	p := s.spot(j)
	entry, _ := s.sizes()
	s.words[items]--
	k.splice(i, p.from, p.end-p.from, 0)
	k.splice(i, p.entry, entry, 0)
}

// widen makes room for amounts.
func (k *Kept) widen(i int) {
	s := k.at(i)
	var entries, cells []int64
	for key := s.walk(); key.step(); {
		entries = append(append(entries, s.words[key.entry:key.entry+narrowKey]...), make([]int64, wideKey-narrowKey)...)
		for _, w := range s.words[key.from:key.end] {
			cells = append(cells, w, 0, 0, 0)
		}
	}
	s.words[head] |= isWideBit
	k.splice(i, content, len(s.words)-content, len(entries)+len(cells))
	w := k.at(i).words[content:]
	copy(w[copy(w, entries):], cells)
}

// settle holds the bounds of what there may be.
func (k *Kept) settle(i int) {
	s := k.at(i)
	if s.exact() {
		for k.at(i).points() > s.most() {
			k.bury(i)
		}
	}
	for s = k.at(i); s.items() > maxSeriesKeys; s = k.at(i) {
		entry, _ := s.sizes()
		quiet := 0
		for j := range s.items() {
			if s.words[content+j*entry+keyLast] < s.words[content+quiet*entry+keyLast] {
				quiet = j
			}
		}
		k.dropKey(i, quiet)
	}
}

// points is how many cells there are that are no older buckets.
func (s Series) points() (n int) {
	entry, _ := s.sizes()
	for j := range s.items() {
		n += int(low(s.words[content+j*entry+keyCells]))
	}
	return n
}

// bury makes a part of a bucket of the oldest second.
func (k *Kept) bury(i int) {
	s := k.at(i)
	old, first, j := 0, int64(math.MaxInt64), 0
	for key := s.walk(); key.step(); j++ {
		if key.cells < key.end && int64(high(s.words[key.cells])) < first {
			old, first = j, int64(high(s.words[key.cells]))
		}
	}
	p := s.spot(old)
	r := run{words: s.words[p.cells:p.end], size: p.size}
	x := r.at(0)
	k.dropCells(i, old, false, 1)
	x.at = clamped(s.bucket(x.at * 1000))
	k.put(i, old, true, x)
}

// expire drops what lies a Window behind the newest contribution, to the bucket.
func (k *Kept) expire(i int) {
	s := k.at(i)
	bucket := s.horizon(s.words[last])
	first := bucket // of the cells that stay
	if s.exact() {
		first = math.MinInt64
		if s.width() > 0 { // the bucket's first whole second
			first = -floor(-bucket*s.width(), 1000)
		}
	}
	gone := false
	for key := s.walk(); key.step() && !gone; {
		gone = key.from == key.end ||
			key.from < key.cells && int64(high(s.words[key.from])) < bucket ||
			key.cells < key.end && int64(high(s.words[key.cells])) < first
	}
	for j := s.items() - 1; j >= 0 && gone; j-- {
		s = k.at(i)
		p := s.spot(j)
		older, newer := run{words: s.words[p.from:p.cells], size: p.size}, run{words: s.words[p.cells:p.end], size: p.size}
		a, b := older.before(bucket), newer.before(first)
		if (a+b)*p.size == p.end-p.from {
			k.dropKey(i, j)
			continue
		}
		k.dropCells(i, j, false, b)
		k.dropCells(i, j, true, a)
	}
}

// before is how many cells are before a place.
func (r *run) before(place int64) (n int) {
	for n < r.len() && r.place(n) < place {
		n++
	}
	return n
}

// mergeTallies adds another's keys and cells.
func (k *Kept) mergeTallies(i int, o Series) {
	if o.wide() && !k.at(i).wide() {
		k.widen(i)
	}
	for from := o.walk(); from.step(); {
		j := k.keyOf(i, from.name(), from.Series.words[from.entry+keyLast], nil)
		k.putAll(i, j, true, from.older())
		k.putAll(i, j, false, from.newer())
	}
	if k.at(i).words[window] > 0 {
		k.expire(i)
	}
	k.settle(i)
}

// putAll puts cells of another series to those of a key: all at once behind them where
// that is their place.
func (k *Kept) putAll(i, j int, older bool, r run) {
	if r.len() == 0 {
		return
	}
	s := k.at(i)
	p := s.spot(j)
	entry := s.words[p.entry:]
	from, to, n, sums := p.part(older)
	if p.size != r.size || from < to && int64(high(s.words[to-p.size])) >= r.place(0) {
		for x := range r.len() {
			k.put(i, j, older, r.at(x))
		}
		return
	}
	all := sumsOf(entry, n, sums, p.size)
	all.Add(r.all)
	setSums(entry, n, sums, p.size, all)
	addCells(entry, older, r.len())
	k.splice(i, to, 0, len(r.words))
	copy(k.at(i).words[to:], r.words)
}
