package graph

import (
	"slices"

	"github.com/reuna/reuna/identity/id"
)

// Set is evidence in memory, and a Reader of it. It is not safe for concurrent
// use.
type Set struct {
	pairs map[[2]id.ID]*Pair
	of    map[id.ID][]*Pair
}

// NewSet makes an empty Set.
func NewSet() *Set {
	return &Set{pairs: make(map[[2]id.ID]*Pair), of: make(map[id.ID][]*Pair)}
}

// Add takes one more piece of evidence in. Self-links are dropped.
func (s *Set) Add(e Evidence) Change {
	a, b := e.A, e.B
	switch c := id.Compare(a, b); {
	case c == 0:
		return 0
	case c > 0:
		a, b = b, a
	}
	p := s.pairs[[2]id.ID{a, b}]
	if p == nil {
		fresh := NewPair(a, b)
		p = &fresh
		s.pairs[[2]id.ID{p.A, p.B}] = p
		for _, x := range [...]id.ID{p.A, p.B} {
			if !isEverybody(x) { // who is nobody's neighbour
				s.of[x] = AddPair(s.of[x], p)
			}
		}
	}
	return p.Add(e)
}

// Pairs implements Reader; everything is loaded.
func (s *Set) Pairs(x id.ID) ([]*Pair, bool) { return s.of[x], true }

// Identifiers lists everything that some evidence names, sorted.
func (s *Set) Identifiers() []id.ID {
	ids := make([]id.ID, 0, len(s.of))
	for x := range s.of {
		ids = append(ids, x)
	}
	slices.SortFunc(ids, id.Compare)
	return ids
}
