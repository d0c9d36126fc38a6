package facet

import (
	"cmp"
	"encoding/binary"
	"math"
	"strings"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/wire"
)

// The values of the Most newest (Newest) or oldest (Oldest) events, by stamp
// and by their place in the event. Of the newest those are dropped that are not
// within the Window of the newest contribution. Exact whatever the order: keeping
// the Most extreme of a set is.

// The words of a value, ascending.
const (
	valueTime = iota
	valueTie
	valueText // upper half: its place among the event's values
	valueWords
)

// Valued is a value that an event had.
type Valued struct {
	At    Stamp
	Index uint16 // its place among the event's values
	Value event.Value
}

func (v *Valued) compare(o *Valued) int {
	if v.At.Time != o.At.Time { // nearly always
		return cmp.Compare(v.At.Time, o.At.Time)
	}
	return cmp.Or(cmp.Compare(v.At.Tie, o.At.Tie), cmp.Compare(v.Index, o.Index), strings.Compare(string(v.Value), string(o.Value)))
}

func (s Series) value(j int) Valued {
	w := s.words[content+j*valueWords:][:valueWords]
	return Valued{Stamp{w[valueTime], uint64(w[valueTie])}, uint16(high(w[valueText])), event.Value(s.text(w[valueText]))}
}

func (k *Kept) addValue(i int, c *Contribution) (changed bool) {
	return k.putValue(i, &Valued{Stamp{c.At, c.Tie}, c.Index, event.Value(c.Key)}, c.copies)
}

// putValue says whether the values are others now.
func (k *Kept) putValue(i int, v *Valued, c *copies) (changed bool) {
	s := k.at(i)
	n, oldest := s.items(), s.Form() == Oldest
	at := n
	for ; at > 0; at-- { // nearly always it is the newest
		have := s.value(at - 1)
		if order := v.compare(&have); order == 0 {
			return false
		} else if order > 0 {
			break
		}
	}
	if n >= s.most() && (oldest && at == n || !oldest && at == 0) {
		return false
	}
	number := k.number(string(v.Value), c)
	k.splice(i, content+at*valueWords, 0, valueWords)
	w := k.at(i).words
	w[items]++
	w = w[content+at*valueWords:]
	w[valueTime], w[valueTie], w[valueText] = v.At.Time, int64(v.At.Tie), pair(number, uint32(v.Index))
	k.trimValues(i)
	return true
}

// trimValues holds the bounds.
func (k *Kept) trimValues(i int) {
	s := k.at(i)
	n := s.items()
	extra := max(0, n-s.most())
	if s.Form() == Oldest {
		s.words[items] -= int64(extra)
		k.splice(i, content+(n-extra)*valueWords, extra*valueWords, 0)
		return
	}
	if s.words[window] > 0 {
		oldest := floor(s.words[last], 1000)*1000 - s.words[window]
		for extra < n && s.second(extra) <= oldest {
			extra++
		}
	}
	s.words[items] -= int64(extra)
	k.splice(i, content, extra*valueWords, 0)
}

// second is when the j-th value's second began.
func (s Series) second(j int) int64 {
	return floor(s.words[content+j*valueWords+valueTime], 1000) * 1000
}

func (k *Kept) mergeValues(i int, o Series) {
	for j := range o.items() {
		v := o.value(j)
		k.putValue(i, &v, nil)
	}
	k.trimValues(i)
}

// List are values of a series, the oldest first.
type List struct {
	s        Series
	from, to int
}

// Len is how many there are.
func (l List) Len() int { return l.to - l.from }

// At gives the i-th.
func (l List) At(i int) event.Value {
	return event.Value(l.s.text(l.s.words[content+(l.from+i)*valueWords+valueText]))
}

// Values gives the values of events in (now − window, now], of all time when window
// is 0. until is when the list changes by itself.
func (s Series) Values(now, window int64) (list List, until int64) {
	until = math.MaxInt64
	if f := s.Form(); f != Newest && f != Oldest {
		return List{}, until
	}
	from, to := 0, s.items()
	if window == 0 {
		return List{s, from, to}, until
	}
	for from < to && s.second(from) <= now-window {
		from++
	}
	for to > from && s.second(to-1) > now {
		to--
		until = s.second(to)
	}
	if from < to {
		until = min(until, s.second(from)+window)
	}
	return List{s, from, to}, until
}

func (s Series) appendValues(dst []byte) []byte {
	dst = wire.AppendUint(dst, uint64(s.items()))
	prev := s.words[last]
	for j := range s.items() {
		v := s.value(j)
		dst = wire.AppendInt(dst, v.At.Time-prev)
		dst = binary.LittleEndian.AppendUint64(dst, v.At.Tie) // a hash: shorter than as a varint
		prev = v.At.Time
		dst = wire.AppendUint(dst, uint64(v.Index))
		dst = wire.AppendText(dst, string(v.Value))
	}
	return dst
}

func (k *Kept) readValues(r *wire.Reader, i int) {
	n := r.Count()
	prev := k.at(i).words[last]
	var before Valued
	for j := range n {
		v := Valued{At: Stamp{Time: prev + r.Int()}}
		for b := range 8 {
			v.At.Tie |= uint64(r.Byte()) << (8 * b)
		}
		prev = v.At.Time
		index := r.Uint()
		v.Index, v.Value = uint16(index), event.Value(r.Text())
		if r.Bad() || uint64(v.Index) != index || j > 0 && before.compare(&v) >= 0 {
			r.Fail()
			return
		}
		before = v
		k.words = append(k.words, v.At.Time, int64(v.At.Tie), pair(k.number(string(v.Value), nil), uint32(v.Index)))
		k.at(i).words[items]++
	}
}
