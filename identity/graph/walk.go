package graph

import (
	"slices"
	"strings"

	"github.com/reuna/reuna/identity/id"
)

// A walk collects, from one identifier, the component that rules 1 to 3 leave
// (design: identity rules, "From evidence to clusters"); union then applies
// rule 4 to it.
//
// Rules 2 and 3 look at one identifier's own pairs only, so the walk never goes
// through a shared identifier: of a kiosk it reads pairs until it has met two
// users, however many there are; and of one that is held the first pair alone.
type walk struct {
	r       *Resolver
	v       id.View
	g       Reader
	nodes   map[id.ID]*node
	missing []id.ID
	asked   map[id.ID]bool // those in missing
	start   *node
	members []*node // the component, in the order of the walk
	edges   []edge
	pruned  []*node // user_ids with max_per_person or more, where newer evidence may matter
	looked  int     // pairs looked at

	// Rule 4's union-find, by the members' indexes.
	parent  []int32
	next    []int32 // members of one cluster, in a ring
	size    []int32
	group   []*group  // of the cluster's user_ids, nil without one
	cuts    [][]int32 // the other ends of cuts that touch the cluster
	refused []refusal

	refusedAt map[int32][]int // of a cluster's root: refused at its border
}

// node is an identifier whose pairs are loaded.
type node struct {
	x     id.ID
	pairs []*Pair
	index int32 // in walk.members, or -1
	held  bool  // a hold stands on it

	opened bool
	links  []link // what rule 1 leaves; of a user_id, rule 3 once pruned is set
	cuts   []id.ID
	since  since

	sharing sharing
	group   *group
	shared  []id.ID // neighbours that are closed

	// Of a user_id: rule 3 was applied, and what it left linked.
	pruned bool
	// ordered: one that is shared is newer than the last that is kept, and would
	// not be named were it older.
	ordered bool
	kept    []id.ID
}

// closed says that none of the identifier's links is followed.
func (n *node) closed() bool { return n.held || n.sharing == isShared }

type link struct {
	pair  *Pair
	other id.ID
	state state
}

type edge struct {
	a, b  *node
	pair  *Pair
	state state
}

// refusal is a link that rule 4 did not follow.
type refusal struct {
	pair  *Pair
	state state
	why   Why
}

type sharing uint8

const (
	sharingUnknown sharing = iota
	notShared
	isShared
)

// group is user_ids that operators joined, directly or through others.
type group struct{ users int }

// since is an identifier's earliest evidence that holds.
type since struct {
	stamp Stamp
	pair  *Pair // nil: there is none
}

func (r *Resolver) walk(x id.ID, v id.View, g Reader) (w *walk) {
	w = &walk{r: r, v: v, g: g, nodes: make(map[id.ID]*node, 4)}
	n := w.node(x)
	if n == nil {
		return w
	}
	w.start = n
	w.enter(n)
	sharing := w.isShared(n, nil) // also of one that is held: a look-up must know its candidates
	if n.held || sharing != notShared {
		w.open(n)
		return w
	}
	for i := 0; i < len(w.members); i++ {
		w.expand(w.members[i])
	}
	return w
}

func (w *walk) takeMissing() []id.ID {
	slices.SortFunc(w.missing, id.Compare)
	return w.missing
}

// node is x with its pairs; nil, and noted as missing, when they are not
// loaded.
func (w *walk) node(x id.ID) *node {
	if n := w.nodes[x]; n != nil {
		return n
	}
	pairs, loaded := w.g.Pairs(x)
	if !loaded {
		if !w.asked[x] {
			if w.asked == nil {
				w.asked = make(map[id.ID]bool)
			}
			w.asked[x] = true
			w.missing = append(w.missing, x)
		}
		return nil
	}
	n := &node{x: x, pairs: pairs, index: -1}
	if p := holdPair(pairs); p != nil {
		n.held = p.isCut(w.v)
	}
	w.nodes[x] = n
	return n
}

func (w *walk) enter(n *node) {
	if n.index < 0 {
		n.index = int32(len(w.members))
		w.members = append(w.members, n)
	}
}

// open applies rule 1: links of pairs that no cut parts. (Blocked values and
// self-links never become pairs.)
func (w *walk) open(n *node) {
	if n.opened {
		return
	}
	n.opened = true
	n.links = make([]link, 0, min(len(n.pairs), 8))
	for _, p := range n.pairs {
		if isEverybody(p.A) {
			continue
		}
		w.looked++
		st := p.at(w.v)
		if st.cut {
			n.cuts = append(n.cuts, p.Other(n.x))
			continue
		}
		if !st.linked {
			continue
		}
		n.links = append(n.links, link{pair: p, other: p.Other(n.x), state: st})
		if n.since.pair == nil || compareEvidence(st.earliest, p, n.since.stamp, n.since.pair) < 0 {
			n.since = since{st.earliest, p}
		}
	}
}

// compareEvidence orders evidence by stamp, and equal ones (one event that
// makes two links) by the pair's texts.
func compareEvidence(s Stamp, p *Pair, t Stamp, q *Pair) int {
	if c := s.Compare(t); c != 0 {
		return c
	}
	if c := id.Compare(p.A, q.A); c != 0 {
		return c
	}
	return id.Compare(p.B, q.B)
}

// isShared applies rule 2: n is no user_id and is linked to two that no
// operator joined. user, when not nil, is one that n is known to be linked to.
// The answer is unknown when something is missing.
func (w *walk) isShared(n, user *node) sharing {
	if n.sharing != sharingUnknown {
		return n.sharing
	}
	if n.x.Type == id.UserID {
		n.sharing = notShared
		return notShared
	}
	var first id.ID
	if user != nil {
		first = user.x
	}
	var g *group
	for _, p := range n.pairs {
		w.looked++
		o := p.Other(n.x)
		if o.Type != id.UserID || o == first || !p.holds(w.v) {
			continue
		}
		if first.IsZero() {
			first = o
			continue
		}
		if g == nil {
			if g = w.groupOf(first); g == nil {
				return sharingUnknown
			}
		}
		// All of g is loaded by now, so a user that is not is none of g.
		if m := w.nodes[o]; m == nil || m.group != g {
			n.sharing = isShared
			return isShared
		}
	}
	n.sharing = notShared
	return notShared
}

// isClosed says whether n's links are to be left alone: it is shared, or held,
// which any identifier can be.
func (w *walk) isClosed(n, user *node) sharing {
	if n.held {
		return isShared
	}
	return w.isShared(n, user)
}

// groupOf gives the users that operators joined with u; nil when something is
// missing.
func (w *walk) groupOf(u id.ID) *group {
	n := w.node(u)
	if n == nil {
		return nil
	}
	if n.group != nil {
		return n.group
	}
	complete := true
	seen := []*node{n}
	for i := 0; i < len(seen); i++ {
		w.open(seen[i])
		for _, l := range seen[i].links {
			if !l.state.admin || l.other.Type != id.UserID {
				continue
			}
			if m := w.node(l.other); m == nil {
				complete = false
			} else if !slices.Contains(seen, m) {
				seen = append(seen, m)
			}
		}
	}
	if !complete {
		return nil
	}
	g := &group{users: len(seen)}
	for _, m := range seen {
		m.group = g
	}
	return g
}

// keep applies rule 3 to a user_id's links: of each type the newest
// max_per_person that are not closed. Links between user_ids stay: one that an
// operator made must not be pushed out by what a server sends later, and all
// others are refused by rule 4.
func (w *walk) keep(u *node) {
	if u.pruned {
		return
	}
	u.pruned = true
	w.open(u)
	w.groupOf(u.x) // reads the links, so before they are moved about
	slices.SortFunc(u.links, func(a, b link) int {
		if c := strings.Compare(a.other.Type, b.other.Type); c != 0 {
			return c
		}
		return -compareEvidence(a.state.newest, a.pair, b.state.newest, b.pair)
	})
	links := u.links[:0]
	typ, left, over, closed := "", 0, false, false
	for _, l := range u.links {
		if l.other.Type == id.UserID {
			links = append(links, l)
			continue
		}
		if l.other.Type != typ {
			typ = l.other.Type
			left, closed = w.r.types.MaxPerPerson(typ), false
		}
		if left == 0 {
			over = true
			continue
		}
		n := w.node(l.other)
		if n != nil && w.isClosed(n, u) == isShared {
			u.shared, closed = append(u.shared, l.other), true
			continue
		}
		links = append(links, l) // or not yet known: the walk goes on to see what else is missing
		if left--; left == 0 && closed {
			u.ordered = true
		}
	}
	u.links = links
	for i := range links {
		u.kept = append(u.kept, links[i].other)
	}
	if over || u.ordered {
		w.pruned = append(w.pruned, u)
	}
}

// expand follows n's links that rules 1 to 3 leave.
func (w *walk) expand(n *node) {
	w.open(n)
	if n.x.Type == id.UserID {
		w.keep(n)
	}
	for i := range n.links {
		l := &n.links[i]
		if w.feud(n, l) {
			continue
		}
		o := w.node(l.other)
		if o == nil {
			continue
		}
		switch {
		case o.held: // of a user's links only other user_ids: keep has left out the rest
			n.shared = append(n.shared, o.x)
			continue
		case n.x.Type == id.UserID:
		case o.x.Type == id.UserID:
			if w.keep(o); !slices.Contains(o.kept, n.x) {
				continue
			}
		case w.isShared(o, nil) == isShared:
			n.shared = append(n.shared, o.x)
			continue
		}
		if w.isShared(o, nil) == sharingUnknown {
			continue // it may be a kiosk: going on would load its every user
		}
		w.enter(o)
		if n.x == l.pair.A { // the other end will come by too
			w.edges = append(w.edges, edge{n, o, l.pair, l.state})
		}
	}
}

// feud says that l links two user_ids that no operator joined. Rule 4 is sure
// to refuse it, so the walk notes that at once and never reads the other: who
// floods a user_id with false aliases makes its clusters no dearer.
func (w *walk) feud(n *node, l *link) bool {
	if n.x.Type != id.UserID || l.other.Type != id.UserID || l.state.admin {
		return false
	}
	g := w.groupOf(n.x)
	if g == nil {
		return true // something is missing, so this walk gives no answer
	}
	if o := w.nodes[l.other]; o != nil && o.group == g {
		return false
	}
	w.refused = append(w.refused, refusal{l.pair, l.state, TwoUsers})
	return true
}
