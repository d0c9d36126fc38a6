package facet

import (
	"slices"
	"strings"

	"github.com/reuna/reuna/identity/wire"
)

// moments are sets of numbers by key, such as the days on which somebody was there
// or the times of a sequence's steps: of each key the Most largest. Exact whatever
// the order: keeping the largest of a set is.
type moments struct {
	keys []marks // ascending by key
}

type marks struct {
	key  string
	list []int64 // ascending; only appended to, by one owner, as a run's
}

func compareMarks(m marks, key string) int { return strings.Compare(m.key, key) }

func (t *moments) fork(s *Series) *Series {
	n := &struct {
		Series
		moments
	}{*s, moments{slices.Clone(t.keys)}}
	n.data = &n.moments
	return &n.Series
}

func (t *moments) put(s *Series, c *Contribution) {
	i, found := slices.BinarySearchFunc(t.keys, c.Key, compareMarks)
	if !found {
		if len(t.keys) < maxSeriesKeys {
			t.keys = insert(t.keys, i, marks{c.text(), []int64{c.Mark}})
		}
		return
	}
	list := t.keys[i].list
	at, there := slices.BinarySearch(list, c.Mark)
	switch {
	case there || at == 0 && len(list) >= int(s.Most):
		return
	case at == len(list):
		list = push(list, c.Mark)
	default:
		list = insert(slices.Clip(list), at, c.Mark)
	}
	t.keys[i].list = list[max(0, len(list)-int(s.Most)):]
}

func (t *moments) merge(s *Series, other content) content {
	n := &moments{slices.Clone(t.keys)}
	for i := range n.keys {
		n.keys[i].list = slices.Clip(n.keys[i].list)
	}
	for _, m := range other.(*moments).keys {
		i, found := slices.BinarySearchFunc(n.keys, m.key, compareMarks)
		if found {
			n.keys[i].list = slices.Clip(joinTimes(n.keys[i].list, m.list, int(s.Most)))
		} else if len(n.keys) < maxSeriesKeys {
			n.keys = insert(n.keys, i, marks{m.key, slices.Clip(m.list)})
		}
	}
	return n
}

// Moments gives the numbers of a key, ascending. The list is the series' own.
func (s *Series) Moments(key string) []int64 {
	if s == nil {
		return nil
	}
	t, ok := s.data.(*moments)
	if !ok {
		return nil
	}
	i, found := slices.BinarySearchFunc(t.keys, key, compareMarks)
	if !found {
		return nil
	}
	return t.keys[i].list
}

func (t *moments) append(dst []byte, _ *Series) []byte {
	dst = wire.AppendUint(dst, uint64(len(t.keys)))
	for _, m := range t.keys {
		dst = appendTimes(wire.AppendText(dst, m.key), m.list)
	}
	return dst
}

func readMoments(r *wire.Reader, most int) (t moments) {
	n := min(r.Count(), maxSeriesKeys)
	if n > 0 {
		t.keys = make([]marks, 0, n)
	}
	for i := range n {
		m := marks{r.Text(), readTimes(r, most)}
		if r.Bad() || i > 0 && t.keys[i-1].key >= m.key {
			r.Fail()
			break
		}
		t.keys = append(t.keys, m)
	}
	return t
}
