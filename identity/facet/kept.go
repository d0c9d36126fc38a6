package facet

import (
	"slices"
	"sync/atomic"
)

// Kept are the series of a facet, or of several, in one piece of memory that has no
// pointers: somebody has dozens of series, and a gateway keeps many people, so that
// what counts is how few lines of memory an event touches, and how little of it a
// garbage collector has to look at. A nil Kept is empty.
//
// Invariants: the index is in ascending order of ids (in the order of making where
// they were joined), and so are the series in the words. Whoever has a
// Series has a window into the words: it is good until something is written, but what
// is only added at the end is beyond every window.
type Kept struct {
	index  []indexed
	words  []int64
	texts  []string // keys and values; the series have their numbers, from 1
	hashes []uint32 // of texts
	tidied int      // how many texts there were when those that nobody has were dropped
	// out counts the profiles that share this and may still be read. Most are read for
	// one answer, which is given before the next event comes: then the facet goes on
	// writing in place, and copies nothing. While any is counted nobody writes: the
	// facet takes a copy, with a count of its own, and leaves this to them for good.
	out atomic.Int32
}

// indexed is where a series begins, and how many words it has. There may be room for
// more behind them: it grows with nearly every event.
type indexed struct{ id, at, used uint32 }

// Len is how many series there are.
func (k *Kept) Len() int {
	if k == nil {
		return 0
	}
	return len(k.index)
}

// Has says whether something contributed to one version of a definition.
func (k *Kept) Has(id uint32) bool {
	_, found := k.find(id)
	return found
}

// All gives every series, in the order in which they are kept.
func (k *Kept) All() []Series {
	list := make([]Series, k.Len())
	for i := range list {
		list[i] = k.at(i)
	}
	return list
}

// find gives the place of an id in the index.
func (k *Kept) find(id uint32) (int, bool) {
	if k == nil {
		return 0, false
	}
	low, high := 0, len(k.index)
	for low < high {
		if m := int(uint(low+high) >> 1); k.index[m].id < id {
			low = m + 1
		} else {
			high = m
		}
	}
	return low, low < len(k.index) && k.index[low].id == id
}

// at gives the i-th series.
func (k *Kept) at(i int) Series {
	x := &k.index[i]
	return Series{ID: x.id, words: k.words[x.at : x.at+x.used : x.at+x.used], texts: k.texts}
}

// touch reads a word of every series: memory that no event came by lately then comes
// in all at once, and not a series at a time when each is asked for.
func (k *Kept) touch() (sum int64) {
	for i := range k.index {
		x := k.index[i]
		sum += k.words[x.at] + k.words[x.at+x.used-1]
	}
	return sum
}

// splice puts room for more words in the place of gone ones, at a word of the i-th
// series; what is in the room is not told.
func (k *Kept) splice(i, at, gone, more int) {
	if gone == more {
		return
	}
	x := &k.index[i]
	used := int(x.used) + more - gone
	if used > k.room(i) {
		k.enlarge(i, used+used/2+4)
	}
	w := k.words[x.at:]
	copy(w[at+more:used], w[at+gone:x.used])
	x.used = uint32(used)
}

// room is how many words there are for the i-th series.
func (k *Kept) room(i int) int {
	end := len(k.words)
	if i+1 < len(k.index) {
		end = int(k.index[i+1].at)
	}
	return end - int(k.index[i].at)
}

// enlarge gives the i-th series another room than it has: the others move.
func (k *Kept) enlarge(i, room int) {
	was, n := len(k.words), room-k.room(i)
	end := int(k.index[i].at) + k.room(i)
	if was+n > cap(k.words) {
		k.words = append(make([]int64, 0, was+n+was/4), k.words...)
	}
	k.words = k.words[:max(was, was+n)]
	copy(k.words[end+n:], k.words[end:was])
	k.words = k.words[:was+n]
	for j := i + 1; j < len(k.index); j++ {
		k.index[j].at += uint32(n)
	}
}

// begin puts an empty series at a place of the index.
func (k *Kept) begin(i int, id uint32, f Form) {
	n := content
	if f == Total {
		n = totalWords
	}
	at := len(k.words)
	if i < len(k.index) {
		at = int(k.index[i].at)
	}
	k.index = slices.Insert(k.index, i, indexed{id: id, at: uint32(at)})
	k.enlarge(i, n)
	k.index[i].used = uint32(n)
	w := k.at(i).words
	clear(w)
	w[head] = int64(f)
}

// drop takes the i-th series away.
func (k *Kept) drop(i int) {
	k.enlarge(i, 0)
	k.index = slices.Delete(k.index, i, i+1)
}

// graft puts a copy of another's series at a place of the index.
func (k *Kept) graft(i int, s Series) {
	k.begin(i, s.ID, s.Form())
	k.splice(i, 0, len(k.at(i).words), len(s.words))
	n := k.at(i)
	copy(n.words, s.words)
	if !k.hasTexts(s.texts) {
		n.eachText(func(w *int64) { setLow(w, k.number(s.text(*w), nil)) })
	}
}

// merge adds what another series of the same definition has to the i-th, if it is of
// the same form.
func (k *Kept) merge(i int, o Series) {
	s := k.at(i)
	if s.Form() != o.Form() {
		return
	}
	s.words[last] = max(s.words[last], o.words[last])
	s.words[head] |= o.words[head] & isFilledBit
	switch s.Form() {
	case Total:
		s.addTotal(o.tally())
	case Tallies:
		k.mergeTallies(i, o)
	case Recent:
		k.mergeRecent(i, o)
	case Newest, Oldest:
		k.mergeValues(i, o)
	case Moments:
		k.mergeMoments(i, o)
	}
}

// clone is a copy that nobody shares.
func (k *Kept) clone() *Kept {
	return &Kept{
		index: slices.Clone(k.index), words: append(make([]int64, 0, cap(k.words)), k.words...),
		texts: slices.Clone(k.texts), hashes: slices.Clone(k.hashes), tidied: k.tidied,
	}
}

// Release says that nobody reads the profile's series any more, nor anything that was
// not copied of them but texts: what is folded next is written in their stead. It is
// for who made the profile and knows all its readers; not to call it costs a copy of
// what later events change. The profile has no series any more.
func (p *Profile) Release() {
	j := &p.Computed
	if j.first != nil {
		j.first.out.Add(-1)
	}
	for _, k := range j.more {
		k.out.Add(-1)
	}
	if j.memo != nil {
		j.memo.release()
	}
	*j = Joined{}
}
