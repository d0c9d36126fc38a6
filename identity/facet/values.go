package facet

import (
	"cmp"
	"encoding/binary"
	"math"
	"strings"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/wire"
)

// values are those of the Most newest (Newest) or oldest (Oldest) events, by stamp
// and by their place in the event. Of the newest those are dropped that are not
// within the Window of the newest contribution. Exact whatever the order: keeping
// the Most extreme of a set is.
type values struct {
	oldest bool
	list   []Valued // ascending; only appended to, by one owner, as a run's
}

// Valued is a value that an event had.
type Valued struct {
	At    Stamp
	Index uint16 // its place among the event's values
	Value event.Value
}

func (v *Valued) compare(o *Valued) int {
	return cmp.Or(cmp.Compare(v.At.Time, o.At.Time), cmp.Compare(v.At.Tie, o.At.Tie), cmp.Compare(v.Index, o.Index), strings.Compare(string(v.Value), string(o.Value)))
}

func (t *values) fork(s *Series) *Series {
	n := &struct {
		Series
		values
	}{*s, *t}
	n.data = &n.values
	return &n.Series
}

func (t *values) put(s *Series, c *Contribution) {
	v := Valued{Stamp{c.At, c.Tie}, c.Index, event.Value(c.Key)}
	last := len(t.list) - 1
	full := len(t.list) >= int(s.Most) && last >= 0
	if full && (t.oldest && v.compare(&t.list[last]) >= 0 || !t.oldest && v.compare(&t.list[0]) <= 0) {
		return
	}
	if last >= 0 && t.list[last].Value == v.Value {
		v.Value = t.list[last].Value
	} else {
		v.Value = event.Value(c.text())
	}
	if last >= 0 && v.compare(&t.list[last]) <= 0 {
		t.list = t.union(s, &values{t.oldest, []Valued{v}})
		return
	}
	if s.Most == 1 {
		t.list = []Valued{v}
		return
	}
	t.list = push(t.list, v)
	t.trim(s)
}

func (t *values) merge(s *Series, other content) content {
	return &values{t.oldest, t.union(s, other.(*values))}
}

// trim holds the bounds.
func (t *values) trim(s *Series) {
	if extra := len(t.list) - int(s.Most); extra > 0 && t.oldest {
		t.list = t.list[:s.Most:s.Most]
	} else if extra > 0 {
		t.list = t.list[extra:]
	}
	if s.Window > 0 && !t.oldest {
		oldest := floor(s.Last, 1000)*1000 - s.Window
		for len(t.list) > 0 && floor(t.list[0].At.Time, 1000)*1000 <= oldest {
			t.list = t.list[1:]
		}
	}
}

// union gives a new list of what stays of both.
func (t *values) union(s *Series, other *values) []Valued {
	a, b := t.list, other.list
	n := &values{oldest: t.oldest, list: make([]Valued, 0, len(a)+len(b))}
	for len(a) > 0 && len(b) > 0 {
		switch order := a[0].compare(&b[0]); {
		case order < 0:
			n.list, a = append(n.list, a[0]), a[1:]
		case order > 0:
			n.list, b = append(n.list, b[0]), b[1:]
		default:
			n.list, a, b = append(n.list, a[0]), a[1:], b[1:]
		}
	}
	n.list = append(append(n.list, a...), b...)
	n.trim(s)
	return n.list
}

// Values gives the values of events in (now − window, now], of all time when window
// is 0, the oldest first. The list is the series' own. until is when it changes by
// itself.
func (s *Series) Values(now, window int64) (list []Valued, until int64) {
	if s == nil {
		return nil, math.MaxInt64
	}
	t, ok := s.data.(*values)
	if !ok || len(t.list) == 0 {
		return nil, math.MaxInt64
	}
	if window == 0 {
		return t.list, math.MaxInt64
	}
	second := func(v *Valued) int64 { return floor(v.At.Time, 1000) * 1000 }
	from := 0
	for from < len(t.list) && second(&t.list[from]) <= now-window {
		from++
	}
	to := len(t.list)
	for to > from && second(&t.list[to-1]) > now {
		to--
	}
	until = math.MaxInt64
	if to < len(t.list) {
		until = second(&t.list[to])
	}
	if from < to {
		until = min(until, second(&t.list[from])+window)
	}
	return t.list[from:to], until
}

func (t *values) append(dst []byte, s *Series) []byte {
	dst = wire.AppendUint(dst, uint64(len(t.list)))
	prev := s.Last
	for i := range t.list {
		v := &t.list[i]
		dst = wire.AppendInt(dst, v.At.Time-prev)
		dst = binary.LittleEndian.AppendUint64(dst, v.At.Tie) // a hash: shorter than as a varint
		prev = v.At.Time
		dst = wire.AppendUint(dst, uint64(v.Index))
		dst = wire.AppendText(dst, string(v.Value))
	}
	return dst
}

func readValues(r *wire.Reader, s *Series) (t values) {
	t.oldest = s.Form == Oldest
	n := r.Count()
	if n > 0 {
		t.list = make([]Valued, 0, min(n, maxSeriesKeys))
	}
	prev := s.Last
	for i := range n {
		v := Valued{At: Stamp{Time: prev + r.Int()}}
		for b := range 8 {
			v.At.Tie |= uint64(r.Byte()) << (8 * b)
		}
		prev = v.At.Time
		index := r.Uint()
		v.Index, v.Value = uint16(index), event.Value(r.Text())
		if r.Bad() || uint64(v.Index) != index || i > 0 && t.list[i-1].compare(&v) >= 0 {
			r.Fail()
			break
		}
		t.list = append(t.list, v)
	}
	return t
}
