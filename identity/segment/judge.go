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

// judging is what one call of Judge works with, kept for the next.
type judging struct {
	set   *Set
	in    mask    // who the person is in, as far as judged
	todo  mask    // who is to be judged
	until []int64 // by place; rule.Never: for ever
	asks  mask    // of the audience at hand
}

func (w *judging) ready(s *Set) {
	n, words := len(s.list), (len(s.list)+63)/64
	w.set = s
	w.in = slices.Grow(w.in[:0], words)[:words]
	w.todo = slices.Grow(w.todo[:0], words)[:words]
	w.until = slices.Grow(w.until[:0], n)[:n]
	clear(w.in)
	clear(w.todo)
	for i := range w.until {
		w.until[i] = rule.Never
	}
}

// Judge says in which audiences sub is. was is the person's last Standing, nil
// if there is none, and changed what may be different in the profile since.
// Judged are those audiences that read what changed, those that ask for one that
// was entered or left, and those whose time has come at sub.Now; all of them
// when was is nil or of other definitions. Who stays in an audience keeps its
// Since; it is sub.Now for who enters. The result is was itself when nothing is
// different, Until included. What was touched by no rule costs no evaluation and
// no memory.
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
	if was != nil {
		next := 0 // both are ascending
		for _, m := range was.In {
			for next < len(s.ids) && s.ids[next].id < m.Audience {
				next++
			}
			if next < len(s.ids) && s.ids[next].id == m.Audience {
				w.in.set(s.ids[next].place)
			}
		}
	}
	switch {
	case all:
		for i := range s.list {
			w.todo.set(i)
		}
	default:
		s.affected(w.todo, &changed)
		for _, t := range was.timed {
			if int(t.place) >= len(s.list) {
				continue // a forged record
			}
			if w.until[t.place] = t.until; t.until <= sub.Now {
				w.todo.set(int(t.place))
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

// affected adds the audiences that read what changed.
func (s *Set) affected(to mask, c *facet.Change) {
	for core := uint32(c.Core & s.reads.Core); core != 0; core &= core - 1 {
		to.add(s.core[bits.TrailingZeros32(core)])
	}
	for i, w := range s.reads.Computed {
		for w &= c.Computed[i]; w != 0; w &= w - 1 {
			to.add(s.slots[i*64+bits.TrailingZeros64(w)])
		}
	}
}

// run judges what is to do, and what comes to be on the way: whoever asks for an
// audience stands behind it.
func (s *Set) run(sub *Subject, w *judging) (moved bool) {
	for word := range w.todo {
		for w.todo[word] != 0 {
			i := word*64 + bits.TrailingZeros64(w.todo[word])
			w.todo[word] &= w.todo[word] - 1
			a := &s.list[i]
			if a.Held {
				continue
			}
			w.asks = a.asks
			sub.clock.At(sub.Now)
			sub.judged++
			holds := (a.Site == "" || a.Site == sub.profile().Site) && a.rule.Holds(sub)
			w.until[i] = sub.clock.Until
			if holds != w.in.has(i) {
				moved = true
				w.in[i/64] ^= 1 << (i % 64)
				w.todo.add(s.askers[i])
			}
		}
	}
	return moved
}

// standing is what was judged, or was where that is the same.
func (s *Set) standing(now int64, w *judging, was *Standing, changed bool) *Standing {
	if !changed && same(was.timed, w.until) {
		return was
	}
	st := &Standing{by: s.print, Until: rule.Never}
	n, timeds := 0, 0
	for _, word := range w.in {
		n += bits.OnesCount64(word)
	}
	for _, at := range w.until {
		if at != rule.Never {
			timeds++
		}
	}
	if n > 0 && !changed {
		st.In = was.In // shared: neither is ever written
	} else if n > 0 {
		st.In = make([]Member, 0, n)
		for word := range w.in {
			for rest := w.in[word]; rest != 0; rest &= rest - 1 {
				m := Member{s.list[word*64+bits.TrailingZeros64(rest)].ID, now}
				if since, ok := was.Since(m.Audience); ok {
					m.Since = since
				}
				st.In = append(st.In, m)
			}
		}
		slices.SortFunc(st.In, func(a, b Member) int { return compareAudience(a, b.Audience) })
	}
	if timeds > 0 {
		st.timed = make([]timed, 0, timeds)
		for i, at := range w.until {
			if at != rule.Never {
				st.timed = append(st.timed, timed{uint16(i), at})
			}
		}
	}
	st.settle()
	return st
}

// same says that the audiences that time may change are those of list.
func same(list []timed, until []int64) bool {
	for i, at := range until {
		if at == rule.Never {
			continue
		}
		if len(list) == 0 || int(list[0].place) != i || list[0].until != at {
			return false
		}
		list = list[1:]
	}
	return len(list) == 0
}
