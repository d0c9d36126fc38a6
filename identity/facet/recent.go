package facet

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/reuna/reuna/identity/wire"
)

// recent is when each key was met last, of the Most keys that were met last. Keys
// that were not met within the Window of the newest contribution are dropped.
//
// It is exact whatever the order: a key that is among the Most newest of a union
// is among the Most newest of the part that it was met in last.
type recent struct {
	keys []Met // ascending by key
}

// Met is a key and when it was met last, in ms.
type Met struct {
	Key  string
	Last int64
}

func compareMet(m Met, key string) int { return strings.Compare(m.Key, key) }

func (t *recent) fork(s *Series) *Series {
	n := &struct {
		Series
		recent
	}{*s, recent{slices.Clone(t.keys)}}
	n.data = &n.recent
	return &n.Series
}

func (t *recent) put(s *Series, c *Contribution) {
	i, found := slices.BinarySearchFunc(t.keys, c.Key, compareMet)
	switch {
	case found && t.keys[i].Last >= c.At:
		return
	case found:
		t.keys[i].Last = c.At
	default:
		t.keys = insert(t.keys, i, Met{c.text(), c.At})
	}
	t.settle(s)
}

func (t *recent) settle(s *Series) {
	if s.Window > 0 {
		oldest := floor(s.Last, 1000)*1000 - s.Window
		t.keys = slices.DeleteFunc(t.keys, func(m Met) bool { return floor(m.Last, 1000)*1000 <= oldest })
	}
	for len(t.keys) > int(s.Most) {
		old := 0
		for i := range t.keys {
			if t.keys[i].Last < t.keys[old].Last {
				old = i
			}
		}
		t.keys = slices.Delete(t.keys, old, old+1)
	}
}

func (t *recent) merge(s *Series, other content) content {
	a, b := t.keys, other.(*recent).keys
	n := &recent{keys: make([]Met, 0, len(a)+len(b))}
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].Key < b[0].Key:
			n.keys, a = append(n.keys, a[0]), a[1:]
		case a[0].Key > b[0].Key:
			n.keys, b = append(n.keys, b[0]), b[1:]
		default:
			n.keys, a, b = append(n.keys, Met{a[0].Key, max(a[0].Last, b[0].Last)}), a[1:], b[1:]
		}
	}
	n.keys = append(append(n.keys, a...), b...)
	n.settle(s)
	return n
}

// Recent appends the keys that were met in (now − window, now], of all time when
// window is 0, to dst: the one met last first, equal ones by key. A time counts as
// its second's beginning. until is when the list changes by itself.
func (s *Series) Recent(dst []Met, now, window int64) (list []Met, until int64) {
	until = math.MaxInt64
	if s == nil {
		return dst, until
	}
	t, ok := s.data.(*recent)
	if !ok {
		return dst, until
	}
	for _, m := range t.keys {
		if window > 0 {
			at := floor(m.Last, 1000) * 1000
			if at > now {
				until = min(until, at)
				continue
			}
			if at <= now-window {
				continue
			}
			until = min(until, at+window)
		}
		dst = append(dst, m)
	}
	slices.SortFunc(dst, func(a, b Met) int { return cmp.Or(cmp.Compare(b.Last, a.Last), cmp.Compare(a.Key, b.Key)) })
	return dst, until
}

func (t *recent) append(dst []byte, s *Series) []byte {
	dst = wire.AppendUint(dst, uint64(len(t.keys)))
	for _, m := range t.keys {
		dst = wire.AppendInt(wire.AppendText(dst, m.Key), s.Last-m.Last)
	}
	return dst
}

func readRecent(r *wire.Reader, s *Series) (t recent) {
	n := r.Count()
	if n > 0 {
		t.keys = make([]Met, 0, min(n, maxSeriesKeys))
	}
	for i := range n {
		m := Met{Key: r.Text(), Last: s.Last - r.Int()}
		if r.Bad() || i > 0 && t.keys[i-1].Key >= m.Key {
			r.Fail()
			break
		}
		t.keys = append(t.keys, m)
	}
	return t
}
