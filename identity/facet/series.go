package facet

import (
	"slices"
	"strings"
)

// Form is how a series keeps what is contributed to it. Each is a commutative
// monoid: exact as a function of the multiset of contributions, whatever their
// order or grouping, within the bounds that its type tells.
type Form uint8

// The forms.
const (
	Total   Form = iota + 1 // one sum of all time
	Tallies                 // sums by key, in time
	Recent                  // when each key was met last, of the Most newest
	Newest                  // the values of the Most newest events
	Oldest                  // the values of the Most oldest events
	Moments                 // by key, the Most largest of a set of numbers
)

// Spec says how the series of one version of a definition is kept.
type Spec struct {
	// ID is the version's own and never used for another; facets keep series by it.
	ID uint32
	// Slot is its place in a Change: the index among what is computed at the moment.
	Slot uint16
	Form Form
	// Window is how far the series looks back from its newest contribution, in ms;
	// 0: as far as there is.
	Window int64
	// Width is that of the buckets of what is not kept exactly, in ms; 0: one bucket
	// holds all time.
	Width int64
	// Most is how many of the newest items are kept exactly: what an item is, the
	// form says.
	Most int
}

// Tally sums up contributions. Amounts are whole millionths, so that sums do not
// depend on their order; beyond 9.2·10¹² units they overflow.
type Tally struct {
	N             int64 // how many
	Sum, Min, Max int64 // of their amounts; all 0 where none has one
}

// One is the tally of a single amount.
func One(micros int64) Tally { return Tally{1, micros, micros, micros} }

// Add takes another tally in.
func (t *Tally) Add(o Tally) {
	switch {
	case o.N == 0:
		return
	case t.N == 0:
		*t = o
		return
	}
	t.N += o.N
	t.Sum += o.Sum
	t.Min, t.Max = min(t.Min, o.Min), max(t.Max, o.Max)
}

// Contribution is what one event adds to one series. It is only read while the
// call that takes it lasts; texts that are kept are copied.
type Contribution struct {
	Spec *Spec
	At   int64 // the event's time, ms
	// Key is what the contribution counts for ("" where all count together); of
	// Newest and Oldest the value's JSON text.
	Key   string
	Tally Tally  // of Total and Tallies
	Mark  int64  // of Moments: the number
	Tie   uint64 // of Newest and Oldest: the stamp's
	Index uint16 // of Newest and Oldest: the place among the event's values

	kept *[]string // copies of texts that were made for the same event; nil: none
}

// text gives a copy of the key: one for all series that an event adds it to.
func (c *Contribution) text() string {
	if c.kept == nil {
		return strings.Clone(c.Key)
	}
	for _, s := range *c.kept {
		if s == c.Key {
			return s
		}
	}
	s := strings.Clone(c.Key)
	if len(*c.kept) < cap(*c.kept) {
		*c.kept = append(*c.kept, s)
	}
	return s
}

// Series is what one facet, or several, contributed to one version of a
// definition. A facet's is written in place unless a profile has it that may still be
// read; then a contribution makes another one.
type Series struct {
	ID     uint32
	Most   uint16
	Form   Form
	Filled bool // what happened before the definition is in it
	slot   uint16
	made   epoch // when its owner made it; zero: not for a single owner
	Window int64
	Width  int64
	Last   int64 // the newest contribution's time, ms
	data   content
}

// epoch tells what a facet made since profiles last kept what they shared with it from
// what it made before, which they may have.
type epoch uint32

// always is the epoch of an owner that never shares.
const always = ^epoch(0)

// content is what a form keeps. s says the shape and has the newest time already.
type content interface {
	// fork gives a copy of the series with a copy of the content, which may be
	// written if nobody writes the content any more.
	fork(s *Series) *Series
	put(s *Series, c *Contribution)
	// merge gives the content of both, which stay as they are; so do they when
	// what it gives is forked and written.
	merge(s *Series, o content) content
	append(dst []byte, s *Series) []byte
}

func newSeries(f Form) *Series {
	s := Series{Form: f}
	switch f {
	case Total:
		return (&total{}).fork(&s)
	case Tallies:
		return (&tallies{}).fork(&s)
	case Recent:
		return (&recent{}).fork(&s)
	case Newest, Oldest:
		return (&values{oldest: f == Oldest}).fork(&s)
	case Moments:
		return (&moments{}).fork(&s)
	}
	panic("facet: a spec without a form")
}

// with gives the series, nil for one that has begun, with a contribution in it: s
// itself if its owner made it in this epoch.
func (s *Series) with(c *Contribution, now epoch) *Series {
	x := c.Spec
	switch {
	case s == nil || s.Form != x.Form:
		s = newSeries(x.Form)
		s.Last = c.At
	case s.made != now:
		s = s.data.fork(s)
	}
	s.ID, s.Window, s.Width, s.Most, s.slot, s.made = x.ID, x.Window, x.Width, uint16(x.Most), x.Slot, now
	s.Last = max(s.Last, c.At)
	s.data.put(s, c)
	return s
}

// merged gives the series of both.
func (s *Series) merged(o *Series) *Series {
	if s.Form != o.Form {
		return s
	}
	n := *s
	n.Filled, n.Last, n.made = s.Filled || o.Filled, max(s.Last, o.Last), 0
	n.data = s.data.merge(&n, o.data)
	return &n
}

// Kept is a series in a list. Its ID stands beside it, so that who looks for one
// touches the memory of no other: most of it is far from any cache.
type Kept struct {
	ID uint32
	*Series
}

// find gives the place of an id in a list in ascending order of them.
func find(list []Kept, id uint32) (int, bool) {
	low, high := 0, len(list)
	for low < high {
		if m := int(uint(low+high) >> 1); list[m].ID < id {
			low = m + 1
		} else {
			high = m
		}
	}
	return low, low < len(list) && list[low].ID == id
}

// Partial are series in the making, by Spec.ID: what a fill reads of the log for
// one facet.
type Partial map[uint32]*Series

// Add takes a contribution in.
func (p Partial) Add(c *Contribution) { p[c.Spec.ID] = p[c.Spec.ID].with(c, always) }

// Fill adds to the facet what the events before a definition gave: each p[id] is
// merged into the facet's series unless that is filled already, so that a fill
// that is begun again counts nothing twice. Of ids that p does not have nothing is
// noted. The Change is by the slots of the Specs that p was made by.
func (f *Facet) Fill(p Partial, ids []uint32) (c Change) {
	f.part()
	for _, id := range ids {
		add := p[id]
		if add == nil {
			continue
		}
		i, found := find(f.Computed, id)
		var n *Series
		switch {
		case !found: // p's owner may go on adding to its own
			n = newSeries(add.Form).emptied(add).merged(add)
		case f.Computed[i].Filled:
			continue
		default:
			if n = f.Computed[i].merged(add); n == f.Computed[i].Series { // of another form: it stays
				n = n.data.fork(n)
				n.made = 0
			}
		}
		n.Filled = true
		f.place(i, found, n)
		c.Mark(int(add.slot))
	}
	return c
}

// emptied gives an empty series the shape of another.
func (s *Series) emptied(of *Series) *Series {
	data := s.data
	*s = *of
	s.data, s.made = data, 0
	return s
}

// now is the facet's epoch: what was made in it is in no profile.
func (f *Facet) now() epoch { return f.parted + 1 }

// place puts a series at its place in the list, in the stead of the one of the same
// ID that was found there.
func (f *Facet) place(i int, found bool, s *Series) {
	if f.listed != f.now() { // a profile may share it
		list := make([]Kept, len(f.Computed), len(f.Computed)+1)
		copy(list, f.Computed)
		f.Computed, f.listed = list, f.now()
	}
	if found {
		f.Computed[i].Series = s
	} else {
		f.Computed = insert(f.Computed, i, Kept{s.ID, s})
	}
}

// Prune drops the series of definitions that are no more.
func (f *Facet) Prune(keep func(id uint32) bool) {
	gone := func(s Kept) bool { return !keep(s.ID) }
	if slices.ContainsFunc(f.Computed, gone) {
		f.Computed = slices.DeleteFunc(slices.Clone(f.Computed), gone)
	}
}

// Series gives the series of one version of a definition; nil where nothing
// contributed.
func (p *Profile) Series(id uint32) *Series { return p.Computed.of(id) }

// floor is n/by towards minus infinity.
func floor(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}
