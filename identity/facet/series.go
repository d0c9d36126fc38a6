package facet

import "math"

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

	copies *copies
}

// Series is what one facet, or several, contributed to one version of a
// definition. The zero Series is an empty one.
type Series struct {
	ID    uint32
	words []int64
	texts []string
}

// The words that every series begins with.
const (
	head   = iota // its form, the bits below, its slot (16–31) and Most (32–47)
	last          // the newest contribution's time, ms
	window        // of the Spec
	width
	items // how many keys or values there are; of a Total what it counts
	content
)

const (
	isFilledBit = 1 << 8 // what happened before the definition is in it
	isWideBit   = 1 << 9 // the cells of Tallies have amounts

	formMask  = 1<<8 - 1
	slotShift = 16
	mostShift = 32
	flagMask  = 1<<slotShift - 1
)

// Empty says that nothing contributed.
func (s Series) Empty() bool { return s.words == nil }

// Form is how the series is kept; 0 of an empty one.
func (s Series) Form() Form {
	if s.words == nil {
		return 0
	}
	return Form(s.words[head] & formMask)
}

// Last is the newest contribution's time, ms.
func (s Series) Last() int64 {
	if s.words == nil {
		return 0
	}
	return s.words[last]
}

// Window is how far the series looks back, in ms; 0: as far as there is.
func (s Series) Window() int64 {
	if s.words == nil {
		return 0
	}
	return s.words[window]
}

// Filled says that what happened before the definition is in the series.
func (s Series) Filled() bool { return s.words != nil && s.words[head]&isFilledBit != 0 }

// SetFilled says so of all series: for who has a copy to compare.
func (k *Kept) SetFilled() {
	for i := range k.Len() {
		k.at(i).words[head] |= isFilledBit
	}
}

func (s Series) width() int64 { return s.words[width] }
func (s Series) items() int   { return int(s.words[items]) }
func (s Series) slot() int    { return int(uint16(s.words[head] >> slotShift)) }
func (s Series) most() int    { return int(uint16(s.words[head] >> mostShift)) }

// add takes a contribution in, for a series at the place i of the index if there is
// one already. It says whether the series may tell anything else now: of a day that was
// counted, and of what comes behind the oldest, it does not.
func (k *Kept) add(i int, found bool, c *Contribution) (changed bool) {
	x := c.Spec
	if found && k.at(i).Form() != x.Form {
		k.drop(i)
		found = false
	}
	if !found {
		k.begin(i, x.ID, x.Form)
		k.at(i).words[last] = c.At
	}
	w := k.words[k.index[i].at:]
	settled := w[last] // as of when nothing has to be dropped
	if w[window] != x.Window || w[width] != x.Width {
		settled = math.MinInt64
	}
	w[head] = w[head]&flagMask | int64(x.Slot)<<slotShift | int64(uint16(x.Most))<<mostShift
	w[last], w[window], w[width] = max(w[last], c.At), x.Window, x.Width
	switch x.Form {
	case Total:
		k.at(i).addTotal(c.Tally)
	case Tallies:
		k.addTally(i, c, settled)
	case Recent:
		k.addMet(i, c.Key, c.At, c.copies)
	case Newest, Oldest:
		return k.addValue(i, c)
	case Moments:
		return k.addMark(i, c)
	default:
		panic("facet: a spec without a form")
	}
	return true
}

// Partial are series in the making: what a fill reads of the log for one facet. The
// zero Partial is empty.
type Partial struct {
	kept   *Kept
	copies *copies
}

// Add takes a contribution in.
func (p *Partial) Add(c *Contribution) {
	if p.kept == nil {
		p.kept = new(Kept)
	}
	if p.copies == nil {
		p.copies = new(copies)
	}
	c.copies = p.copies
	i, found := p.kept.find(c.Spec.ID)
	p.kept.add(i, found, c)
	c.copies = nil
	p.copies.forget()
	p.kept.tidy()
}

// Empty says that nothing was added.
func (p *Partial) Empty() bool { return p.kept.Len() == 0 }

// Next gives what was added, and begins another one.
func (p *Partial) Next() Partial {
	done := Partial{kept: p.kept}
	p.kept = nil
	return done
}

// Fill adds to the facet what the events before a definition gave: each of p's series
// with one of the ids is merged into the facet's unless that is filled already, so
// that a fill that is begun again counts nothing twice. Of ids that p does not have
// nothing is noted. The Change is by the slots of the Specs that p was made by.
func (f *Facet) Fill(p Partial, ids []uint32) (c Change) {
	for _, id := range ids {
		from, some := p.kept.find(id)
		if !some {
			continue
		}
		add := p.kept.at(from)
		i, found := f.Computed.find(id)
		if found && f.Computed.at(i).Filled() {
			continue
		}
		if k := f.own(); found {
			k.merge(i, add)
		} else {
			k.graft(i, add)
		}
		f.Computed.at(i).words[head] |= isFilledBit
		c.Mark(add.slot())
	}
	if f.Computed != nil && !c.IsZero() {
		f.Computed.tidy()
	}
	return c
}

// own gives the facet's series to be written.
func (f *Facet) own() *Kept {
	switch {
	case f.Computed == nil:
		f.Computed = new(Kept)
	case f.Computed.out.Load() > 0:
		f.Computed = f.Computed.clone()
	}
	return f.Computed
}

// Prune drops the series of definitions that are no more.
func (f *Facet) Prune(keep func(id uint32) bool) {
	for i := f.Computed.Len() - 1; i >= 0; i-- {
		if !keep(f.Computed.index[i].id) {
			f.own().drop(i)
		}
	}
}

// Total of all time.

// totalWords are those of a Total: what it counts in the place of items, and then the
// sum, the least and the largest amount.
const totalWords = content + 3

func (s Series) tally() Tally {
	return Tally{s.words[items], s.words[content], s.words[content+1], s.words[content+2]}
}

func (s Series) addTotal(t Tally) {
	sum := s.tally()
	sum.Add(t)
	s.words[items], s.words[content], s.words[content+1], s.words[content+2] = sum.N, sum.Sum, sum.Min, sum.Max
}

// Series gives the series of one version of a definition; an empty one where nothing
// contributed. A nil Profile has none.
func (p *Profile) Series(id uint32) Series {
	if p == nil {
		return Series{}
	}
	return p.Computed.of(id)
}

// floor is n/by towards minus infinity.
func floor(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}
