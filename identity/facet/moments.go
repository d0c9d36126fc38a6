package facet

import (
	"slices"

	"github.com/reuna/reuna/identity/wire"
)

// Sets of numbers by key, such as the days on which somebody was there
// or the times of a sequence's steps: of each key the Most largest. Exact whatever
// the order: keeping the largest of a set is.

// The words of a key, ascending by its text. The numbers of all keys follow, in the same
// order, ascending.
const (
	markText = iota // upper half: how many numbers
	markWords
)

// marks gives where the numbers of the j-th key begin, and how many they are.
func (s Series) marks(j int) (from, n int) {
	from = content + s.items()*markWords
	for x := range j {
		from += int(high(s.words[content+x*markWords]))
	}
	return from, int(high(s.words[content+j*markWords]))
}

func (k *Kept) addMark(i int, c *Contribution) (changed bool) {
	j, ok := k.markedKey(i, c.Key, c.copies)
	return ok && k.putMark(i, j, c.Mark)
}

// markedKey gives the place of a key, which is made where there is room for it.
func (k *Kept) markedKey(i int, key string, c *copies) (j int, ok bool) {
	s := k.at(i)
	n := s.items()
	if number, ok := k.known(key, c); ok {
		for j := range n {
			if low(s.words[content+j*markWords]) == number {
				return j, true
			}
		}
	}
	if n >= maxSeriesKeys {
		return 0, false
	}
	for j < n && s.text(s.words[content+j*markWords]) < key {
		j++
	}
	number := k.number(key, c)
	k.splice(i, content+j*markWords, 0, markWords)
	w := k.at(i).words
	w[items]++
	w[content+j*markWords] = pair(number, 0)
	return j, true
}

// putMark says whether the numbers are others now.
func (k *Kept) putMark(i, j int, mark int64) (changed bool) {
	s := k.at(i)
	from, n := s.marks(j)
	list := s.words[from : from+n]
	at, found := n, false
	if n > 0 && mark <= list[n-1] {
		at, found = slices.BinarySearch(list, mark)
	}
	entry := &s.words[content+j*markWords]
	switch {
	case found || at == 0 && n >= s.most():
		return false
	case n < s.most():
		addHigh(entry, 1)
		k.splice(i, from+at, 0, 1)
		k.at(i).words[from+at] = mark
	default: // the least goes
		copy(list, list[1:at])
		list[at-1] = mark
	}
	return true
}

func (k *Kept) mergeMoments(i int, o Series) {
	for x := range o.items() {
		j, ok := k.markedKey(i, o.text(o.words[content+x*markWords]), nil)
		if !ok {
			continue
		}
		from, n := o.marks(x)
		for _, mark := range o.words[from : from+n] {
			k.putMark(i, j, mark)
		}
	}
}

// Moments gives the numbers of a key, ascending. The list is the series' own.
func (s Series) Moments(key string) []int64 {
	if s.Form() != Moments {
		return nil
	}
	for j := range s.items() {
		if s.text(s.words[content+j*markWords]) == key {
			from, n := s.marks(j)
			return s.words[from : from+n : from+n]
		}
	}
	return nil
}

func (s Series) appendMoments(dst []byte) []byte {
	dst = wire.AppendUint(dst, uint64(s.items()))
	for j := range s.items() {
		from, n := s.marks(j)
		dst = appendTimes(wire.AppendText(dst, s.text(s.words[content+j*markWords])), s.words[from:from+n])
	}
	return dst
}

func (k *Kept) readMoments(r *wire.Reader, i int) {
	most, n := k.at(i).most(), min(r.Count(), maxSeriesKeys)
	k.words = append(k.words, make([]int64, n*markWords)...)
	k.index[i].used += uint32(n * markWords)
	k.at(i).words[items] = int64(n)
	before := ""
	for j := range n {
		key, list := r.Text(), readTimes(r, most)
		if r.Bad() || j > 0 && before >= key {
			r.Fail()
			return
		}
		before = key
		k.at(i).words[content+j*markWords] = pair(k.number(key, nil), uint32(len(list)))
		k.words = append(k.words, list...)
	}
}
