package facet

import "strings"

// The series of a facet have most of their texts in common, such as categories: they
// keep numbers of them, in the lower half of a word. The empty text has the number 0.

func low(w int64) uint32  { return uint32(w) }
func high(w int64) uint32 { return uint32(uint64(w) >> 32) }

func pair(low, high uint32) int64       { return int64(uint64(high)<<32 | uint64(low)) }
func setLow(w *int64, n uint32)         { *w = pair(n, high(*w)) }
func addHigh(w *int64, n int)           { *w = pair(low(*w), uint32(int(high(*w))+n)) }
func addLow(w *int64, n int)            { *w = pair(uint32(int(low(*w))+n), high(*w)) }
func (s Series) text(word int64) string { return textOf(s.texts, low(word)) }

func textOf(texts []string, n uint32) string {
	if n == 0 {
		return ""
	}
	return texts[n-1]
}

// placeOf is before which of the keys, ascending, a new one stands; each has so many words.
func (s Series) placeOf(key string, size int) int {
	low, high := 0, s.items()
	for low < high {
		if m := int(uint(low+high) >> 1); s.text(s.words[content+m*size]) < key {
			low = m + 1
		} else {
			high = m
		}
	}
	return low
}

// hash is FNV-1a, which is quick with a few letters.
func hash(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}

// known gives the number of a text that some series may have.
func (k *Kept) known(s string, c *copies) (n uint32, ok bool) {
	switch {
	case s == "":
		return 0, true
	case c != nil && c.of == k: // an event adds the same few to several series
		for i := range c.texts {
			if c.texts[i] == s {
				return c.numbers[i], true
			}
		}
	}
	n, ok = k.numbered(s, hash(s))
	if ok && c != nil {
		if c.of != k {
			c.forget()
			c.of = k
		}
		i := c.next % len(c.texts)
		c.texts[i], c.numbers[i], c.next = s, n, i+1
	}
	return n, ok
}

func (k *Kept) numbered(s string, h uint32) (n uint32, ok bool) {
	for i, x := range k.hashes {
		if x == h && k.texts[i] == s {
			return uint32(i + 1), true
		}
	}
	return 0, false
}

// number is known, of a text that gets a number if it has none. The text is copied by
// way of c; nil: it is kept as it is.
func (k *Kept) number(s string, c *copies) uint32 {
	if s == "" {
		return 0
	}
	h := hash(s)
	n, ok := k.numbered(s, h)
	if !ok {
		if c != nil {
			s = c.copy(s, h)
		}
		k.texts, k.hashes = append(k.texts, s), append(k.hashes, h)
		n = uint32(len(k.texts))
	}
	return n
}

// hasTexts says that a list of texts begins the own one: the numbers are the same.
func (k *Kept) hasTexts(list []string) bool {
	return len(list) == 0 || len(list) <= len(k.texts) && &list[0] == &k.texts[0]
}

// fewTexts is below how many it is not worth to look for those that nobody has.
const fewTexts = 32

// tidy drops the texts that no series has any more, when there may be as many of them
// as of the others.
func (k *Kept) tidy() {
	if len(k.texts) < 2*k.tidied+fewTexts {
		return
	}
	now := make([]uint32, len(k.texts)+1) // numbers, by those of before
	for i := range k.index {
		k.at(i).eachText(func(w *int64) { now[low(*w)] = 1 })
	}
	n := uint32(0)
	for was := range k.texts {
		if now[was+1] == 0 {
			continue
		}
		k.texts[n], k.hashes[n] = k.texts[was], k.hashes[was]
		n++
		now[was+1] = n
	}
	now[0] = 0
	for i := range k.index {
		k.at(i).eachText(func(w *int64) { setLow(w, now[low(*w)]) })
	}
	clear(k.texts[n:])
	k.texts, k.hashes, k.tidied = k.texts[:n], k.hashes[:n], int(n)
}

// eachText calls fn with every word that has a text's number.
func (s Series) eachText(fn func(w *int64)) {
	switch s.Form() {
	case Tallies:
		size, _ := s.sizes()
		for j := range s.items() {
			fn(&s.words[content+j*size])
		}
	case Recent:
		for j := range s.items() {
			fn(&s.words[content+j*metWords])
		}
	case Newest, Oldest:
		for j := range s.items() {
			fn(&s.words[content+j*valueWords+valueText])
		}
	case Moments:
		for j := range s.items() {
			fn(&s.words[content+j*markWords])
		}
	}
}

// copies makes copies of texts, of which many facets have the same: of those that it
// met lately it gives the same one again.
type copies struct {
	lately  [512]string
	of      *Kept // what it was asked for last
	texts   [4]string
	numbers [4]uint32
	next    int // the place of the next one of these
}

// forget is for when numbers change, and texts go.
func (c *copies) forget() {
	if c.of != nil {
		c.of, c.texts = nil, [4]string{}
	}
}

func (c *copies) copy(s string, h uint32) string {
	have := &c.lately[h%uint32(len(c.lately))]
	if *have != s {
		*have = strings.Clone(s)
	}
	return *have
}
