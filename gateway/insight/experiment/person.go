package experiment

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/reuna/reuna/identity/wire"
)

// person is what is kept of somebody who was shown variants. Nothing in it says
// who they are; it is kept under keyed hashes of their identifiers.
type person struct {
	shows []show // ascending by trial and cell
}

// show is that a person counts for one cell.
type show struct {
	trial  uint32
	cell   uint32
	first  int64    // ms
	goals  int64    // how often they did what the placement is for, in its time
	worth  int64    // of that, in millionths
	orders []uint32 // that were counted, ascending
}

// maxOrders is how many orders of a person are told apart; later ones count as
// often as they are told.
const maxOrders = 64

func (a *show) compare(b *show) int {
	return cmp.Or(cmp.Compare(a.trial, b.trial), cmp.Compare(a.cell, b.cell))
}

// of are the shows of one trial.
func (p *person) of(trial uint32) []show {
	from, _ := slices.BinarySearchFunc(p.shows, trial, func(s show, t uint32) int { return cmp.Compare(s.trial, t) })
	to := from
	for to < len(p.shows) && p.shows[to].trial == trial {
		to++
	}
	return p.shows[from:to]
}

const personVersion = 1

func (p *person) append(dst []byte) []byte {
	dst = wire.AppendUint(append(dst, personVersion), uint64(len(p.shows)))
	for i := range p.shows {
		s := &p.shows[i]
		dst = wire.AppendUint(dst, uint64(s.trial))
		dst = wire.AppendUint(dst, uint64(s.cell))
		dst = wire.AppendInt(dst, s.first)
		dst = wire.AppendInt(dst, s.goals)
		dst = wire.AppendInt(dst, s.worth)
		dst = wire.AppendUint(dst, uint64(len(s.orders)))
		for _, o := range s.orders {
			dst = wire.AppendUint(dst, uint64(o))
		}
	}
	return dst
}

func readPerson(record string) (*person, error) {
	r := wire.NewReader(record)
	version := r.Byte()
	n := r.Count()
	p := &person{shows: make([]show, 0, min(n, len(record)))}
	for range n {
		s := show{trial: uint32(r.Uint()), cell: uint32(r.Uint()), first: r.Int(), goals: r.Int(), worth: r.Int()}
		for range min(r.Count(), maxOrders) {
			s.orders = append(s.orders, uint32(r.Uint()))
		}
		if r.Bad() {
			break
		}
		p.shows = append(p.shows, s)
	}
	if !r.Done() || version != personVersion || !slices.IsSortedFunc(p.shows, func(a, b show) int { return a.compare(&b) }) {
		return nil, fmt.Errorf("experiment: a person's record of %d bytes is corrupt", len(record))
	}
	return p, nil
}

// seen notes that a person was shown a cell of a trial, and counts them there
// unless they do already. Changed says whether the record is another now.
func (p *person) seen(t *trial, cell int, at int64) (changed bool) {
	x := show{trial: t.id, cell: uint32(cell), first: at}
	t.shown(at)
	i, found := slices.BinarySearchFunc(p.shows, x, func(a, b show) int { return a.compare(&b) })
	if found {
		if at >= p.shows[i].first {
			return false
		}
		p.shows[i].first = at // what comes late: what was counted since stays
		return true
	}
	p.shows = slices.Insert(p.shows, i, x)
	t.enter(&x)
	t.together(len(p.of(t.id))-1, len(p.of(t.id)))
	return true
}

// shown notes when the trial was, to whomever.
func (t *trial) shown(at int64) {
	if t.first == 0 || at < t.first {
		t.first, t.changed = at, true
	}
	if at > t.last {
		t.last, t.changed = at, true
	}
}

// did counts an event that is what a trial is for.
func (p *person) did(t *trial, at, worth int64, order uint32) (changed bool) {
	list := p.of(t.id)
	for i := range list {
		s := &list[i]
		if at < s.first || at > s.first+t.def.Goal.within() {
			continue
		}
		if order != 0 {
			j, told := slices.BinarySearch(s.orders, order)
			if told {
				continue
			}
			if len(s.orders) < maxOrders {
				s.orders = slices.Insert(s.orders, j, order)
			}
		}
		t.leave(s)
		s.goals++
		s.worth += worth
		t.enter(s)
		changed = true
	}
	return changed
}

// merge takes what is kept of another record of the same person in, and takes
// back from the trials what counted twice.
func (p *person) merge(o *person, trials map[uint32]*trial) {
	for i := range o.shows {
		s := &o.shows[i]
		t := trials[s.trial]
		if t == nil {
			continue
		}
		j, found := slices.BinarySearchFunc(p.shows, *s, func(a, b show) int { return a.compare(&b) })
		if !found {
			before := len(p.of(s.trial))
			p.shows = slices.Insert(p.shows, j, *s)
			// The other's own several are taken back below.
			t.together(before, before+1)
			continue
		}
		have := &p.shows[j]
		t.leave(have)
		t.leave(s)
		have.first = min(have.first, s.first)
		have.goals += s.goals
		have.worth += s.worth
		for _, o := range s.orders {
			if k, told := slices.BinarySearch(have.orders, o); !told && len(have.orders) < maxOrders {
				have.orders = slices.Insert(have.orders, k, o)
			}
		}
		t.enter(have)
	}
	for id, t := range trials {
		if n := len(o.of(id)); n > 1 {
			t.together(n, 0)
		}
	}
}

// enter counts what is kept of a person in its cell; leave takes it back.
func (t *trial) enter(s *show) { t.count(s, 1) }
func (t *trial) leave(s *show) { t.count(s, -1) }

func (t *trial) count(s *show, n int64) {
	if int(s.cell) >= len(t.cells) {
		return
	}
	c := &t.cells[s.cell]
	c.persons += n
	if s.goals > 0 {
		c.converted += n
	}
	c.sum += n * s.worth
	worth := float64(s.worth) / 1e6
	c.squares += float64(n) * worth * worth
	t.changed = true
}

// together notes that a person counts for so many cells of the trial, who
// counted for so many before.
func (t *trial) together(before, now int) {
	if before > 1 {
		t.several--
	}
	if now > 1 {
		t.several++
	}
	t.changed = true
}
