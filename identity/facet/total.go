package facet

import "math"

// total is one tally of all time.
type total struct{ Tally }

func (t *total) fork(s *Series) *Series {
	n := &struct {
		Series
		total
	}{*s, *t}
	n.data = &n.total
	return &n.Series
}

func (t *total) put(_ *Series, c *Contribution) { t.Add(c.Tally) }

func (t *total) merge(_ *Series, other content) content {
	n := *t
	n.Add(other.(*total).Tally)
	return &n
}

func (t *total) append(dst []byte, _ *Series) []byte { return t.Tally.append(dst) }

// Total sums up everything; a nil Series is an empty one.
func (s *Series) Total() Tally {
	t, _ := s.Tally("", math.MaxInt64, 0)
	return t
}
