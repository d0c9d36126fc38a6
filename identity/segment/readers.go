package segment

import (
	"math/bits"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait/rule"
)

// readers are the audiences that read one thing of a profile, by what may become of them
// when an event adds to it: those that can only come to hold need not be judged where they
// do, nor those that can only cease to where they do not. Until when that stays so is then
// told as it was before the event: sooner than it is, never later.
type readers struct{ either, rises, falls mask }

func newReaders(words int) *readers {
	room := make(mask, 3*words)
	return &readers{room[:words:words], room[words : 2*words : 2*words], room[2*words:]}
}

func (r *readers) set(place int, t rule.Trend) {
	switch t {
	case rule.Rises:
		r.rises.set(place)
	case rule.Falls:
		r.falls.set(place)
	default:
		r.either.set(place)
	}
}

// add adds those to be judged; in is who holds.
func (r *readers) add(to, in mask) {
	for i := range to {
		to[i] |= r.either[i] | r.rises[i]&^in[i] | r.falls[i]&in[i]
	}
}

// addAll adds all of them.
func (r *readers) addAll(to mask) {
	for i := range to {
		to[i] |= r.either[i] | r.rises[i] | r.falls[i]
	}
}

// trends are those of an audience's rule, by what of a profile it reads.
type trends struct {
	core  map[int]rule.Trend // by bit
	slots map[int]rule.Trend
}

// trendsOf tells them. Several things that are read may stand in one place.
func (e *Env) trendsOf(r *rule.Rule) trends {
	t := trends{map[int]rule.Trend{}, map[int]rule.Trend{}}
	note := func(of map[int]rule.Trend, at int, x rule.Trend) {
		if was, twice := of[at]; twice && was != x {
			x = rule.Either
		}
		of[at] = x
	}
	for _, u := range r.Uses() {
		x, reads := r.Trend(u), e.reads(rule.Uses{u})
		for slot := range facet.MaxComputed {
			if reads.Has(slot) {
				note(t.slots, slot, x)
			}
		}
		if u.Name != "counts" { // a computed trait may hang on where a person is, which does not grow
			x = rule.Either
		}
		for core := uint32(reads.Core); core != 0; core &= core - 1 {
			note(t.core, bits.TrailingZeros32(core), x)
		}
	}
	return t
}

// affected adds the audiences to be judged for what changed: by events that were folded, so
// that what is counted only grew, or else by ones of which the whole person is told. Where
// something lies ahead of now it may have driven something out of a window that now is
// still in.
func (s *Set) affected(to, in mask, c *facet.Change, ahead bool) {
	add := func(r *readers) {
		if ahead {
			r.addAll(to)
		} else {
			r.add(to, in)
		}
	}
	for core := uint32(c.Core & s.reads.Core); core != 0; core &= core - 1 {
		add(s.core[bits.TrailingZeros32(core)])
	}
	for i, w := range s.reads.Computed {
		for w &= c.Computed[i]; w != 0; w &= w - 1 {
			add(s.slots[i*64+bits.TrailingZeros64(w)])
		}
	}
}
