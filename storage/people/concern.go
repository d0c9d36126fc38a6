package people

import (
	"slices"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
)

// When evidence changes, so may who belongs to persons that it does not name: a
// second user makes a device shared, and the first one loses what was done on it.
//
// Invariant: everybody whose members differ is marked. All of them are connected
// with one of the two identifiers by links that counted before, or do after.
// Those of before are marked at once, where they are known in memory. Those of
// after are marked by the worker, which may load them; and where those of before
// are not known, it follows all links there are of who may have lost some.
//
// Where the clusters of before are not known, links may have counted that do not
// any more at: an identifier that is closed now, and may have been open; a user
// with more identifiers of a type than are kept. Where an identifier closed or
// opened, its users may keep others instead.

// concerned is an identifier whose links changed.
type concerned struct {
	x     id.ID
	seq   uint64 // the entry
	at    int64  // when it was received, ms
	wide  bool   // with whom it was of one person before is not known
	was   bool   // where that is known: its links were not followed
	loose bool   // they may be again
	users bool   // an operator joined it with another user_id, or parted them
}

// concern marks those whom a change of the pair of a and b concerns by what is
// known in memory, and leaves the rest to the worker. It comes before the marks
// of clusters move. fresh says that the pair is new. The lock is held.
func (s *Store) concern(a, b *node, c graph.Change, fresh bool, seq uint64, at int64) {
	shape := c.Shape(id.VerifiedView) || s.replaying // a record may be ahead of its entry
	if !shape && !(c.Newest(id.VerifiedView) && (s.reorders(a, b) || s.reorders(b, a))) {
		return
	}
	for _, n := range [...]*node{a, b} {
		if n.id == graph.Everybody() {
			continue
		}
		x := concerned{x: n.id, seq: seq, at: at, loose: c.Loosens(id.VerifiedView), users: a.id.Type == id.UserID && b.id.Type == id.UserID}
		st := n.standing()
		switch c := n.clusters[id.VerifiedView]; {
		case c != nil && c.of.stands(s):
			s.markAll(c.of, seq, at)
			if !st.tracked {
				st.tracked, st.closed = true, isClosed(c.Cluster)
			}
		case st.tracked: // nobody has been told of what it was meanwhile
		case fresh && len(n.pairs) == 1:
			st.tracked, st.closed = true, false
		default:
			x.wide = true
		}
		x.was = st.closed
		s.mark(n, facet.Everything(), seq, at)
		st.moved = true
		if s.judging.concerns = append(s.judging.concerns, x); len(s.judging.concerns) == 1 {
			s.wakeJudge()
		}
	}
}

// concernAll marks everybody whom it may concern that something of n goes. The lock
// is held.
func (s *Store) concernAll(n *node, seq uint64, at int64) {
	if c := n.clusters[id.VerifiedView]; c != nil && c.of.stands(s) {
		s.markAll(c.of, seq, at)
	}
	s.mark(n, facet.Everything(), seq, at)
	n.stand.moved = true
	if s.judging.concerns = append(s.judging.concerns, concerned{x: n.id, seq: seq, at: at, wide: true}); len(s.judging.concerns) == 1 {
		s.wakeJudge()
	}
}

// markAll marks everybody of a component. The lock is held, and all of them are in memory.
func (s *Store) markAll(of *component, seq uint64, at int64) {
	for _, c := range of.clusters {
		if r := s.nodes[c.Representative]; r != nil {
			s.mark(r, facet.Everything(), seq, at)
			r.stand.moved = true
		}
	}
}

// reorders says that newer evidence for x may change which of its identifiers u keeps.
func (s *Store) reorders(u, x *node) bool {
	if u.id.Type != id.UserID || len(u.pairs) <= s.o.Types.MaxPerPerson(x.id.Type) {
		return false
	}
	if c := u.clusters[id.VerifiedView]; c != nil && c.of.stands(s) {
		i := slices.IndexFunc(c.of.over, func(o surplus) bool { return o.user == &u.marks[id.VerifiedView] })
		return i >= 0 && !slices.Contains(c.of.over[i].known, x.id)
	}
	return true
}

// isClosed says that the only member's links are not followed.
func isClosed(c *graph.Cluster) bool {
	return len(c.Members) == 1 && (c.Ambiguous || slices.ContainsFunc(c.Held, func(h graph.Hold) bool { return h.ID == c.Members[0] }))
}

// keepsAll says that u has no more identifiers of any type than it keeps.
func (s *Store) keepsAll(u *node) bool {
	if len(u.pairs) <= 1 {
		return true
	}
	count := map[string]int{}
	for _, p := range u.pairs {
		t := p.Other(u.id).Type
		if count[t]++; count[t] > s.o.Types.MaxPerPerson(t) {
			return false
		}
	}
	return true
}

// spread marks all whom changes of c.x's links concern. Nobody holds the lock.
func (s *Store) spread(c concerned) error {
	x := spreading{s: s, c: c, seen: map[id.ID]bool{}}
	x.visit(c.x)
	for len(x.todo) > 0 {
		y := x.todo[0]
		x.todo = x.todo[1:]
		if err := s.see(func(w *want) error { x.look(w, y); return nil }); err != nil {
			return err
		}
	}
	for len(x.around) > 0 { // whose neighbours are to be visited as well
		y := x.around[0]
		x.around = x.around[1:]
		if err := s.see(func(w *want) error { x.neighbours(w, y); return nil }); err != nil {
			return err
		}
		for len(x.todo) > 0 {
			z := x.todo[0]
			x.todo = x.todo[1:]
			if err := s.see(func(w *want) error { x.look(w, z); return nil }); err != nil {
				return err
			}
		}
	}
	return nil
}

// spreading is one spread under way.
type spreading struct {
	s      *Store
	c      concerned
	seen   map[id.ID]bool
	todo   []id.ID
	around []id.ID
}

func (x *spreading) visit(y id.ID) {
	if !x.seen[y] && y != graph.Everybody() {
		x.seen[y] = true
		x.todo = append(x.todo, y)
	}
}

// look marks everybody of y's component. The lock is held; where something must be
// loaded it is called again.
func (x *spreading) look(w *want, y id.ID) {
	s := x.s
	n := w.node(y)
	if n == nil {
		return
	}
	k := s.cluster(w, n, id.VerifiedView)
	if k == nil {
		return
	}
	s.markAll(k.of, x.c.seq, x.c.at)
	if y != x.c.x {
		return
	}
	st := n.standing()
	st.tracked = false // what it is now is known from here on
	closed := isClosed(k.Cluster)
	if x.c.wide || x.c.loose || x.c.users || closed != x.c.was {
		x.around = append(x.around, y)
	}
}

// neighbours visits those who may have lost y, or have been lost by it.
func (x *spreading) neighbours(w *want, y id.ID) {
	s := x.s
	n := w.node(y)
	if n == nil {
		return
	}
	others := make([]*node, 0, len(n.pairs))
	for _, p := range n.pairs {
		if o := p.Other(y); o != graph.Everybody() {
			if m := w.node(o); m != nil {
				others = append(others, m)
			}
		}
	}
	if !w.none() {
		return
	}
	for _, m := range others {
		x.visit(m.id)
		switch {
		case y != x.c.x:
		case m.id.Type == id.UserID && n.id.Type == id.UserID && x.c.users, // shares what y shares
			m.id.Type == id.UserID && !s.keepsAll(m): // may keep others now
			if !slices.Contains(x.around, m.id) {
				x.around = append(x.around, m.id)
			}
		}
	}
}
