package segment

import (
	"math/bits"
	"slices"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait/rule"
)

// mask is a set of audiences by their places.
type mask []uint64

func (m mask) set(i int)      { m[i/64] |= 1 << (i % 64) }
func (m mask) has(i int) bool { return i/64 < len(m) && m[i/64]&(1<<(i%64)) != 0 }

func (m mask) add(o mask) {
	for i, w := range o {
		m[i] |= w
	}
}

func (m mask) len() (n int) {
	for _, w := range m {
		n += bits.OnesCount64(w)
	}
	return n
}

// judging is what one call of Judge works with, kept for the next.
type judging struct {
	set   *Set
	in    mask    // who the person is in, as far as judged
	todo  mask    // who is to be judged
	timed mask    // whom time alone may change
	until []int64 // by place, when it will; only of those in timed
	asks  mask    // of the audience at hand
}

func (w *judging) ready(s *Set) {
	n, words := len(s.list), (len(s.list)+63)/64
	w.set = s
	for _, m := range [...]*mask{&w.in, &w.todo, &w.timed} {
		*m = slices.Grow((*m)[:0], words)[:words]
		clear(*m)
	}
	w.until = slices.Grow(w.until[:0], n)[:n]
}

// holds notes until when what was judged of an audience does.
func (w *judging) holds(place int, until int64) {
	if w.until[place] = until; until == rule.Never {
		w.timed[place/64] &^= 1 << (place % 64)
	} else {
		w.timed.set(place)
	}
}

const (
	// together is how far ahead of what is due others are looked at, in ms: until when is
	// not told anew by every event, so that one look tells it of all that a visit moved.
	together = 3_600_000
	// soon is when a standing is made anew that only holds for longer, in ms before it is
	// looked at anyway: nearly every event has it hold for longer.
	soon = 60_000
)

// Judge says in which audiences sub is. was is the person's last Standing, nil
// if there is none, and changed what may be different in the profile since.
// Judged are those audiences that read what changed, unless they cannot but stay
// as they are (readers), those that ask for one that was entered or left, and those
// whose time has come at sub.Now; all of them when was is nil or of other
// definitions. Who stays in an audience keeps its Since; it is sub.Now for who
// enters. The result is was itself when nothing is different but that it may hold
// for longer. What was touched by no rule costs no evaluation and no memory.
func (s *Set) Judge(sub *Subject, was *Standing, changed facet.Change) *Standing {
	if s == nil {
		s = none
	}
	all := was == nil || was.by != s.print || changed.Core&facet.ChangedIdentity != 0
	due := !all && sub.Now >= was.Until
	if !all && !due && !s.touched(&changed) {
		return was
	}
	w := &sub.judging
	w.ready(s)
	s.places(w.in, was)
	switch {
	case all:
		for i := range s.list {
			w.todo.set(i)
		}
	default:
		s.affected(w.todo, w.in, &changed, sub.profile().Last > sub.Now)
		for _, t := range was.timed {
			if t.place() >= len(s.list) {
				continue // a forged record
			}
			if w.holds(t.place(), t.until()); due && t.until() <= sub.Now+together {
				w.todo.set(t.place())
			}
		}
	}
	moved := s.run(sub, w)
	w.set = nil
	return s.standing(sub.Now, w, was, all && (was == nil || was.by != s.print) || moved)
}

var none = &Set{print: 1}

// touched says whether any audience reads what changed.
func (s *Set) touched(c *facet.Change) bool {
	if s.reads.Core&c.Core != 0 {
		return true
	}
	for i, w := range s.reads.Computed {
		if w&c.Computed[i] != 0 {
			return true
		}
	}
	return false
}

// run judges what is to do, and what comes to be on the way: whoever asks for an
// audience stands behind it.
func (s *Set) run(sub *Subject, w *judging) (moved bool) {
	for i := range s.choices {
		if x := &s.choices[i]; x.wanted(w.todo) {
			moved = s.choose(sub, w, x) || moved
		}
	}
	placed := sub.PlacesOf(s.traits)
	for word := range w.todo {
		for w.todo[word] != 0 {
			i := word*64 + bits.TrailingZeros64(w.todo[word])
			w.todo[word] &= w.todo[word] - 1
			sub.clock.At(sub.Now)
			holds, said := false, false
			if first := s.first[i]; first != noSteps && placed {
				holds, said = s.steps.Holds(int(first), sub)
			}
			if !said {
				a := &s.list[i]
				if a.Held {
					continue
				}
				w.asks = a.asks
				holds = (a.Site == "" || a.Site == sub.profile().Site) && a.rule.Holds(sub)
			}
			sub.judged++
			w.holds(i, sub.clock.Until)
			if holds != w.in.has(i) {
				moved = true
				w.turn(i)
			}
		}
	}
	return moved
}

// places adds the audiences of a standing to a set.
func (s *Set) places(to mask, st *Standing) {
	switch {
	case st == nil:
	case st.by == s.print && st.places != nil:
		to.add(st.places)
	default:
		next := 0 // both are ascending
		for _, m := range st.In {
			for next < len(s.ids) && s.ids[next].id < m.Audience {
				next++
			}
			if next < len(s.ids) && s.ids[next].id == m.Audience {
				to.set(s.ids[next].place)
			}
		}
	}
}

// standing is what was judged, or was where that is the same.
func (s *Set) standing(now int64, w *judging, was *Standing, changed bool) *Standing {
	if !changed && (w.same(was.timed) || was.Until-now >= soon && w.later(was.timed)) {
		return was
	}
	st := newStanding(w.timed.len())
	st.by = s.print
	if changed {
		s.enter(st, now, w, was)
	} else { // shared: none of it is ever written
		if st.In, st.places = was.In, was.places; st.places == nil {
			st.places = slices.Clone(w.in)
		}
	}
	for word, rest := range w.timed {
		for ; rest != 0; rest &= rest - 1 {
			i := word*64 + bits.TrailingZeros64(rest)
			st.timed = append(st.timed, timedAt(i, w.until[i]))
		}
	}
	st.settle()
	return st
}

// enter makes who is in which audience, since when.
func (s *Set) enter(st *Standing, now int64, w *judging, was *Standing) {
	st.places = slices.Clone(w.in)
	n := w.in.len()
	if n == 0 {
		return
	}
	var before []Member
	if was != nil {
		before = was.In
	}
	st.In = make([]Member, 0, n)
	for _, p := range s.ids {
		if !w.in.has(p.place) {
			continue
		}
		for len(before) > 0 && before[0].Audience < p.id {
			before = before[1:]
		}
		m := Member{p.id, now}
		if len(before) > 0 && before[0].Audience == p.id {
			m.Since = before[0].Since
		}
		st.In = append(st.In, m)
	}
}

// same says that the audiences that time may change are those of list, and when.
func (w *judging) same(list []timed) bool {
	return w.each(list, func(was, is timed) bool { return was == is })
}

// later says that they are those of list, and not sooner.
func (w *judging) later(list []timed) bool {
	return w.each(list, func(was, is timed) bool { return was.place() == is.place() && was <= is })
}

// each says that fn holds for each of list with what is of the same place in the row.
func (w *judging) each(list []timed, fn func(was, is timed) bool) bool {
	for word, rest := range w.timed {
		for ; rest != 0; rest &= rest - 1 {
			i := word*64 + bits.TrailingZeros64(rest)
			if len(list) == 0 || !fn(list[0], timedAt(i, w.until[i])) {
				return false
			}
			list = list[1:]
		}
	}
	return len(list) == 0
}
