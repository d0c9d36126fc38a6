package people

import (
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
)

// What follows applies evidence to memory, live and in a replay alike. The lock
// is held and everything touched is loaded.

func (s *Store) resolve(links []graph.Evidence, seq uint64, receivedAt int64) {
	for i := range links {
		e := &links[i]
		a, b := s.nodes[e.A], s.nodes[e.B]
		p, whole := s.pairOf(a, b)
		fresh := !whole
		var before pairState
		counts := a.counted || b.counted || p.A == graph.Everybody()
		if counts {
			before = stateOf(p)
		}
		c := p.Add(*e)
		// What is replayed may be on disk from one side and not from the other: a
		// crash came between. In memory both are one, so that cannot be seen here.
		if !c.Changed() && whole && !s.replaying {
			continue
		}
		if counts {
			s.count(a, b, before, stateOf(p))
		}
		if s.judges {
			s.concern(a, b, c, fresh, seq, receivedAt)
		}
		if fresh {
			s.grew(a, seq, receivedAt)
			s.grew(b, seq, receivedAt)
		}
		s.moved(a, b, c)
		if c.Shape(id.VerifiedView) || c.Shape(id.AllView) {
			s.suspect(a)
			s.suspect(b)
		}
		for _, n := range [...]*node{a, b} {
			if n.newPairs == nil {
				n.newPairs = map[*graph.Pair]struct{}{}
			}
			n.newPairs[p] = struct{}{}
			s.touch(n)
		}
	}
}

// pairState is what is counted of a pair.
type pairState struct {
	linked [2]bool // by view
	held   bool    // of one with everybody
}

func stateOf(p *graph.Pair) (st pairState) {
	for v := id.VerifiedView; v <= id.AllView; v++ {
		st.linked[v] = p.Holds(v)
	}
	st.held = p.A == graph.Everybody() && p.IsCut(id.AllView)
	return st
}

// count keeps the numbers of links, and of those who are held, right.
func (s *Store) count(a, b *node, before, after pairState) {
	if before.held != after.held {
		if after.held {
			s.held++
		} else {
			s.held--
		}
	}
	for v := range after.linked {
		if before.linked[v] == after.linked[v] {
			continue
		}
		by := 1
		if before.linked[v] {
			by = -1
		}
		if a.counted && graph.CountsAgainst(a.id, b.id) {
			a.links[v] += by
		}
		if b.counted && graph.CountsAgainst(b.id, a.id) {
			b.links[v] += by
		}
	}
}

// countLinks counts the others that n is linked to and that count against it,
// once.
func (n *node) countLinks() [2]int {
	if n.counted {
		return n.links
	}
	n.links, n.counted = [2]int{}, true
	for _, p := range n.pairs {
		for v, linked := range stateOf(p).linked {
			if linked && graph.CountsAgainst(n.id, p.Other(n.id)) {
				n.links[v]++
			}
		}
	}
	return n.links
}

// pairOf gives the pair of two identifiers, made when there is none. whole is
// false when one side did not have it: it is new, or a crash came between the
// writing of the two sides, and the replay now mends the other. Everybody's
// side is on disk alone: there may be more who are held than fit in memory.
func (s *Store) pairOf(a, b *node) (p *graph.Pair, whole bool) {
	p = a.pair(b.id)
	q := b.pair(a.id)
	switch {
	case p != nil && q != nil:
		return p, true
	case p == nil && q == nil:
		made := graph.NewPair(a.id, b.id)
		a.addPair(&made)
		b.addPair(&made)
		return &made, false
	case a.id == graph.Everybody():
		return q, true
	case b.id == graph.Everybody():
		return p, true
	case p == nil:
		a.addPair(q)
		a.counted = false
		return q, false
	}
	b.addPair(p)
	b.counted = false
	return p, false
}

// few is how many pairs or facets of an identifier are looked through one by
// one; beyond it there is an index, so that a kiosk or a flood of false claims
// makes nobody's request long.
const few = 32

func (n *node) pair(other id.ID) *graph.Pair {
	if len(n.pairs) <= few {
		for _, p := range n.pairs {
			if p.A == other || p.B == other {
				return p
			}
		}
		return nil
	}
	if len(n.byOther) != len(n.pairs) {
		n.byOther = make(map[id.ID]*graph.Pair, 2*len(n.pairs))
		for _, p := range n.pairs {
			n.byOther[p.Other(n.id)] = p
		}
	}
	return n.byOther[other]
}

func (n *node) addPair(p *graph.Pair) {
	if n.id == graph.Everybody() {
		return
	}
	n.pairs = graph.AddPair(n.pairs, p)
	if n.byOther != nil {
		n.byOther[p.Other(n.id)] = p
	}
}
