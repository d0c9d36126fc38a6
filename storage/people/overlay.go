package people

import (
	"slices"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
)

// overlay is the graph in memory with more evidence in it: pairs that change
// are copies. The lock is held as long as it lives.
type overlay struct {
	w     *want
	pairs map[[2]id.ID]*graph.Pair
	lists map[id.ID][]*graph.Pair // of the ends of these pairs
}

func newOverlay(w *want) overlay {
	return overlay{w: w, pairs: map[[2]id.ID]*graph.Pair{}, lists: map[id.ID][]*graph.Pair{}}
}

func endsOf(a, b id.ID) [2]id.ID {
	if id.Compare(a, b) > 0 {
		return [2]id.ID{b, a}
	}
	return [2]id.ID{a, b}
}

// add takes one more piece of evidence in; nothing while its identifiers must be
// loaded.
func (o *overlay) add(e *graph.Evidence) graph.Change {
	ends := endsOf(e.A, e.B)
	nodes := make([]*node, 0, 2)
	for _, x := range ends {
		if x == graph.Everybody() {
			continue // a hold is seen from the one who is held
		}
		n := o.w.node(x)
		if n == nil {
			return 0
		}
		nodes = append(nodes, n)
	}
	p := o.pairs[ends]
	if p == nil {
		fresh := graph.NewPair(e.A, e.B)
		p = &fresh
		for _, n := range nodes { // a crash may have come between the writing of the two sides
			if had := n.pair(p.Other(n.id)); had != nil {
				p.Merge(had)
			}
		}
		o.pairs[ends] = p
		for _, n := range nodes {
			list, changed := o.lists[n.id]
			if !changed {
				list = slices.Clone(n.pairs)
			}
			if i := slices.IndexFunc(list, func(q *graph.Pair) bool { return q.A == p.A && q.B == p.B }); i >= 0 {
				list[i] = p
			} else {
				list = graph.AddPair(list, p)
			}
			o.lists[n.id] = list
		}
	}
	return p.Add(*e)
}

// Pairs is graph.Reader's.
func (o *overlay) Pairs(x id.ID) (pairs []*graph.Pair, loaded bool) {
	if list, ok := o.lists[x]; ok {
		return list, true
	}
	return reader{o.w}.Pairs(x)
}

// isCut says that an operator cut the facet's device from its user.
func (o *overlay) isCut(k facet.Key, v id.View) bool {
	if k.AnonymousID == "" || k.UserID == "" {
		return false
	}
	a, u := id.ID{Type: id.AnonymousID, Value: k.AnonymousID}, id.ID{Type: id.UserID, Value: k.UserID}
	p := o.pairs[endsOf(a, u)]
	if p == nil {
		// A facet is found by one of its two, which is then in memory.
		if n := o.w.s.nodes[a]; n != nil {
			p = n.pair(u)
		} else if n := o.w.s.nodes[u]; n != nil {
			p = n.pair(a)
		}
	}
	return p != nil && len(p.Cuts(v)) > 0
}
