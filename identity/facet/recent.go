package facet

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/reuna/reuna/identity/wire"
)

// When each key was met last, of the Most keys that were met last. Keys
// that were not met within the Window of the newest contribution are dropped.
//
// It is exact whatever the order: a key that is among the Most newest of a union
// is among the Most newest of the part that it was met in last.

// The words of a key, ascending by its text.
const (
	metText = iota
	metLast // ms
	metWords
)

// Met is a key and when it was met last, in ms.
type Met struct {
	Key  string
	Last int64
}

func (k *Kept) addMet(i int, key string, at int64, c *copies) {
	if k.putMet(i, key, at, c) {
		k.settleMet(i)
	}
}

// putMet says whether the bounds are to be looked at.
func (k *Kept) putMet(i int, key string, at int64, c *copies) bool {
	s := k.at(i)
	n := s.items()
	if number, ok := k.known(key, c); ok {
		for j := range n {
			if w := s.words[content+j*metWords:]; low(w[metText]) == number {
				newer := w[metLast] < at
				w[metLast] = max(w[metLast], at)
				return newer
			}
		}
	}
	j := s.placeOf(key, metWords)
	number := k.number(key, c)
	k.splice(i, content+j*metWords, 0, metWords)
	w := k.at(i).words
	w[items]++
	w = w[content+j*metWords:]
	w[metText], w[metLast] = pair(number, 0), at
	return true
}

// settleMet holds the bounds.
func (k *Kept) settleMet(i int) {
	s := k.at(i)
	if s.words[window] > 0 {
		oldest := floor(s.words[last], 1000)*1000 - s.words[window]
		first := (floor(oldest, 1000) + 1) * 1000 // the first second that is not as old
		for j := s.items() - 1; j >= 0; j-- {
			if s.words[content+j*metWords+metLast] < first {
				k.dropMet(i, j)
				s = k.at(i)
			}
		}
	}
	for ; s.items() > s.most(); s = k.at(i) {
		old := 0
		for j := range s.items() {
			if s.words[content+j*metWords+metLast] < s.words[content+old*metWords+metLast] {
				old = j
			}
		}
		k.dropMet(i, old)
	}
}

func (k *Kept) dropMet(i, j int) {
	k.at(i).words[items]--
	k.splice(i, content+j*metWords, metWords, 0)
}

func (k *Kept) mergeRecent(i int, o Series) {
	for j := range o.items() {
		w := o.words[content+j*metWords:]
		k.putMet(i, o.text(w[metText]), w[metLast], nil)
	}
	k.settleMet(i)
}

// met walks over the keys that were met in (now − window, now], of all time when
// window is 0. A time counts as its second's beginning. It returns when that changes by
// itself.
func (s Series) met(now, window int64, fn func(w []int64)) (until int64) {
	until = math.MaxInt64
	if s.Form() != Recent {
		return until
	}
	if window == 0 {
		for j := range s.items() {
			fn(s.words[content+j*metWords:][:metWords])
		}
		return until
	}
	// Of seconds that lie behind now − window, and not behind now, without a division each.
	from, to := (floor(now-window, 1000)+1)*1000, (floor(now, 1000)+1)*1000
	first, ahead := int64(math.MaxInt64), int64(math.MaxInt64)
	for j := range s.items() {
		w := s.words[content+j*metWords:][:metWords]
		switch at := w[metLast]; {
		case at >= to:
			ahead = min(ahead, at)
		case at >= from:
			first = min(first, at)
			fn(w)
		}
	}
	if first < math.MaxInt64 {
		until = floor(first, 1000)*1000 + window
	}
	if ahead < math.MaxInt64 {
		until = min(until, floor(ahead, 1000)*1000)
	}
	return until
}

// Met counts the keys that were met in (now − window, now], of all time when window
// is 0. A time counts as its second's beginning. until is when the number changes by
// itself.
func (s Series) Met(now, window int64) (n int, until int64) {
	if window == 0 && s.Form() == Recent {
		return s.items(), math.MaxInt64
	}
	until = s.met(now, window, func([]int64) { n++ })
	return n, until
}

// Recent appends the keys that Met counts to dst: the one met last first, equal ones by
// key. until is when the list changes by itself.
func (s Series) Recent(dst []Met, now, window int64) (list []Met, until int64) {
	until = s.met(now, window, func(w []int64) { dst = append(dst, Met{s.text(w[metText]), w[metLast]}) })
	slices.SortFunc(dst, func(a, b Met) int {
		if c := cmp.Compare(b.Last, a.Last); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	})
	return dst, until
}

// AmongRecent says that a key is among the first most of what Recent gives, without
// making the list.
func (s Series) AmongRecent(key string, most int, now, window int64) (in bool, until int64) {
	var have []int64
	n := 0
	until = s.met(now, window, func(w []int64) {
		n++
		if have == nil && s.text(w[metText]) == key {
			have = w
		}
	})
	if have == nil || n <= most {
		return have != nil, until
	}
	before := 0
	s.met(now, window, func(w []int64) {
		if w[metLast] > have[metLast] || w[metLast] == have[metLast] && s.text(w[metText]) < key {
			before++
		}
	})
	return before < most, until
}

func (s Series) appendRecent(dst []byte) []byte {
	dst = wire.AppendUint(dst, uint64(s.items()))
	for j := range s.items() {
		w := s.words[content+j*metWords:]
		dst = wire.AppendInt(wire.AppendText(dst, s.text(w[metText])), s.words[last]-w[metLast])
	}
	return dst
}

func (k *Kept) readRecent(r *wire.Reader, i int) {
	newest := k.at(i).words[last]
	before := ""
	for j := range r.Count() {
		key, at := r.Text(), newest-r.Int()
		if r.Bad() || j > 0 && before >= key {
			r.Fail()
			return
		}
		before = key
		k.words = append(k.words, pair(k.number(key, nil), 0), at)
		k.at(i).words[items]++
	}
}
