package people

import (
	"slices"

	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
)

// Clusters that were worked out are kept until something that they were worked
// out from changes. Each identifier that a walk read has marks, which move when
// its evidence does; what was found remembers where they stood.
//
// Invariants:
//   - All evidence that changes in memory goes through Store.moved, and an
//     identifier that leaves memory, or whose evidence is erased, through
//     node.leave: so a mark stands only while nothing that it stands for changed.
//   - A cluster is given out only while its component stands. Then all its
//     members are in memory and have it as theirs.
//   - Views are apart: claims, which anybody can send, leave what is known of the
//     verified view alone.
//
// Rejected: the list of clusters that read it, kept at each identifier. A change
// would then drop them at once, but a kiosk would keep a list of all its users,
// and who drops a cluster would have to take it off every list. To compare three
// or four numbers when a cluster is asked for costs less than one map lookup.

// marks count the changes of one identifier's evidence in one view. Who never
// was read has none.
type marks struct {
	shape  uint32 // of who is linked to it, or since when
	loose  uint32 // of those that may open an identifier that was shared or held
	newest uint32 // of the order in which its links are kept, where some are not
}

// component is what a walk found: one or more clusters that stand on the same
// evidence.
type component struct {
	read     []mark
	over     []surplus
	clusters []*cluster // of the verified view, for whom a change concerns
	checked  uint64     // Store.moves when the marks were last found in their places
	fallen   bool       // one was not
}

// mark is where one of an identifier's marks stood.
type mark struct {
	of   *marks
	kind markKind
	at   uint32
}

type markKind uint8

const (
	markShape markKind = iota
	markLoose
	markNewest
)

func (m *marks) value(k markKind) uint32 {
	switch k {
	case markShape:
		return m.shape
	case markLoose:
		return m.loose
	}
	return m.newest
}

// surplus is a user with more identifiers of a type than are kept. Newer
// evidence for one of the known ones changes nothing.
type surplus struct {
	user  *marks
	known []id.ID
}

// stands says whether everything is as it was when this was found.
func (c *component) stands(s *Store) bool {
	if c.fallen {
		return false
	}
	if c.checked == s.moves {
		return true
	}
	for i := range c.read {
		if m := &c.read[i]; m.of.value(m.kind) != m.at {
			c.fallen = true
			c.read, c.over, c.clusters = nil, nil, nil
			return false
		}
	}
	c.checked = s.moves
	return true
}

// cluster gives n's cluster, from memory while nothing that it was made from has
// changed; nil while something must be loaded. The lock is held.
func (s *Store) cluster(w *want, n *node, v id.View) *cluster {
	if c := n.clusters[v]; c != nil && c.of.stands(s) {
		s.stats.ClusterHits++
		return c
	}
	found, missing := s.resolver.Component(n.id, v, reader{w})
	if len(missing) > 0 {
		return nil
	}
	s.stats.Resolved++
	s.stats.ResolveReads += int64(len(found.Read) + len(found.Closed))
	s.stats.ResolvePairs += int64(found.Looked)
	of := s.component(found, v)
	for _, each := range found.Clusters {
		c := &cluster{Cluster: each, of: of}
		if s.judges && v == id.VerifiedView {
			of.clusters = append(of.clusters, c)
		}
		for _, x := range each.Members {
			m := s.nodes[x]
			if old := m.clusters[v]; old != nil {
				old.of.fallen = true
				old.forget(s)
			}
			m.clusters[v] = c
		}
	}
	return n.clusters[v]
}

// component notes where the marks of everything that was read stand. All of it
// is in memory.
func (s *Store) component(found *graph.Component, v id.View) *component {
	of := &component{checked: s.moves, read: make([]mark, 0, len(found.Read)+len(found.Closed)+len(found.Over))}
	note := func(n *node, k markKind) {
		if n.marks == nil {
			n.marks = &[2]marks{}
		}
		m := &n.marks[v]
		of.read = append(of.read, mark{m, k, m.value(k)})
	}
	for _, x := range found.Read {
		note(s.nodes[x], markShape)
	}
	for _, x := range found.Closed {
		note(s.nodes[x], markLoose)
	}
	for i := range found.Over {
		o := &found.Over[i]
		u := s.nodes[o.User]
		note(u, markNewest)
		of.over = append(of.over, surplus{&u.marks[v], o.Known})
	}
	return of
}

// moved notes that the pair of a and b changed by c. The lock is held.
func (s *Store) moved(a, b *node, c graph.Change) {
	for v := id.VerifiedView; v <= id.AllView; v++ {
		switch {
		case c.Shape(v):
			a.shift(s, v, c)
			b.shift(s, v, c)
		case c.Newest(v):
			a.reorder(s, v, b)
			b.reorder(s, v, a)
		}
	}
}

func (n *node) shift(s *Store, v id.View, c graph.Change) {
	if n.marks == nil {
		return
	}
	m := &n.marks[v]
	m.shape++
	if c.Loosens(v) {
		m.loose++
	}
	s.moves++
}

// reorder is for a user of whose links x's got newer evidence.
func (n *node) reorder(s *Store, v id.View, x *node) {
	if n.marks == nil || n.id.Type != id.UserID {
		return
	}
	// What stands knows whether it matters, to itself and to all others that stand.
	if c := n.clusters[v]; c != nil && c.of.stands(s) {
		i := slices.IndexFunc(c.of.over, func(o surplus) bool { return o.user == &n.marks[v] })
		if i < 0 || slices.Contains(c.of.over[i].known, x.id) {
			return
		}
	}
	n.marks[v].newest++
	s.moves++
}

// leave is for an identifier that is dropped from memory, or erased: whoever
// read it must look again.
func (n *node) leave(s *Store) {
	for v, c := range n.clusters {
		if c != nil {
			c.forget(s)
			n.clusters[v] = nil
		}
	}
	if n.marks == nil {
		return
	}
	for v := range n.marks {
		m := &n.marks[v]
		m.shape++
		m.loose++
		m.newest++
	}
	s.moves++
}
