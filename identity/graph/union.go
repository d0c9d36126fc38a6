package graph

import (
	"slices"

	"github.com/reuna/reuna/identity/id"
)

// union applies rule 4 to the component: admin links first, then the others,
// each by their pairs' earliest evidence. A refusal is final, since clusters only
// grow: what makes a union impossible once makes it impossible later.
func (w *walk) union() {
	n := len(w.members)
	w.parent, w.next, w.size = make([]int32, n), make([]int32, n), make([]int32, n)
	w.group, w.cuts = make([]*group, n), make([][]int32, n)
	for i, m := range w.members {
		w.parent[i], w.next[i], w.size[i] = int32(i), int32(i), 1
		if m.x.Type == id.UserID {
			w.group[i] = w.groupOf(m.x)
		}
		for _, o := range m.cuts {
			if c := w.nodes[o]; c != nil && c.index >= 0 {
				w.cuts[i] = append(w.cuts[i], c.index)
			}
		}
	}
	slices.SortFunc(w.edges, func(a, b edge) int { return compareTurn(&a.state, a.pair, &b.state, b.pair) })
	for i := range w.edges {
		e := &w.edges[i]
		a, b := w.find(e.a.index), w.find(e.b.index)
		if a == b {
			continue
		}
		if why := w.refuses(a, b); why != Joined {
			w.refused = append(w.refused, refusal{e.pair, e.state, why})
			continue
		}
		w.join(a, b)
	}
	w.sortRefused()
}

// compareTurn is the order in which rule 4 tries links.
func compareTurn(a *state, p *Pair, b *state, q *Pair) int {
	if a.admin != b.admin {
		if a.admin {
			return -1
		}
		return 1
	}
	return compareEvidence(a.earliest, p, b.earliest, q)
}

func (w *walk) find(i int32) int32 {
	for w.parent[i] != i {
		w.parent[i] = w.parent[w.parent[i]]
		i = w.parent[i]
	}
	return i
}

// refuses says why the clusters of roots a and b stay apart; Joined when
// nothing speaks against their union.
func (w *walk) refuses(a, b int32) Why {
	if w.group[a] != nil && w.group[b] != nil && w.group[a] != w.group[b] {
		return TwoUsers
	}
	if len(w.cuts[a]) > len(w.cuts[b]) {
		a, b = b, a
	}
	for _, o := range w.cuts[a] {
		if w.find(o) == b {
			return CutApart
		}
	}
	if int(w.size[a])+int(w.size[b]) > w.r.maxCluster {
		return TooLarge
	}
	return Joined
}

func (w *walk) join(a, b int32) {
	if w.size[a] < w.size[b] {
		a, b = b, a
	}
	w.parent[b] = a
	w.size[a] += w.size[b]
	w.next[a], w.next[b] = w.next[b], w.next[a]
	if w.group[a] == nil {
		w.group[a] = w.group[b]
	}
	if len(w.cuts[b]) > 0 {
		w.cuts[a] = append(w.cuts[a], w.cuts[b]...)
	}
}

// cluster describes the cluster of one root.
func (w *walk) cluster(root int32) *Cluster {
	c := &Cluster{View: w.v, Ambiguous: w.members[root].sharing == isShared}
	nodes := make([]*node, 0, w.size[root])
	for i := root; ; {
		nodes = append(nodes, w.members[i])
		if i = w.next[i]; i == root {
			break
		}
	}
	slices.SortFunc(nodes, func(a, b *node) int { return id.Compare(a.x, b.x) })
	c.Members = make([]id.ID, len(nodes))
	c.Since = make([]int64, len(nodes))
	best := nodes[0]
	for i, n := range nodes {
		c.Members[i] = n.x
		c.Since[i] = n.since.stamp.Time
		if n.x.Type == id.UserID {
			c.Users = append(c.Users, n.x)
		}
		c.Shared = append(c.Shared, n.shared...)
		if represents(n, best) {
			best = n
		}
	}
	c.Representative = best.x
	if len(c.Shared) > 1 {
		slices.SortFunc(c.Shared, id.Compare)
		c.Shared = slices.Compact(c.Shared)
	}
	for _, x := range c.Shared {
		c.Held = appendHold(c.Held, w.nodes[x], w.v)
	}
	if len(nodes) == 1 {
		c.Held = appendHold(c.Held, nodes[0], w.v)
	}
	at := w.refusedAt[root]
	c.Refused = len(at)
	for _, i := range at[:min(len(at), MaxConflicts)] {
		f := &w.refused[i]
		c.Conflicts = append(c.Conflicts, Conflict{f.pair.A, f.pair.B, f.why, f.state.earliest})
	}
	return c
}

func appendHold(list []Hold, n *node, v id.View) []Hold {
	if !n.held {
		return list
	}
	h, _ := HoldOn(n.x, n.pairs, v)
	return append(list, h)
}

// sortRefused puts the refusals in the order in which they were tried and notes
// at which clusters' borders they lie: looking for them cluster by cluster would
// cost their number times the clusters'.
func (w *walk) sortRefused() {
	slices.SortFunc(w.refused, func(a, b refusal) int { return compareTurn(&a.state, a.pair, &b.state, b.pair) })
	w.refused = slices.CompactFunc(w.refused, func(a, b refusal) bool { return a.pair.A == b.pair.A && a.pair.B == b.pair.B })
	if len(w.refused) > 0 {
		w.refusedAt = make(map[int32][]int)
	}
	for i := range w.refused {
		p := w.refused[i].pair
		for k, x := range [...]id.ID{p.A, p.B} {
			n := w.nodes[x]
			if n == nil || n.index < 0 {
				continue
			}
			root := w.find(n.index)
			if at := w.refusedAt[root]; k == 0 || len(at) == 0 || at[len(at)-1] != i { // one within a cluster, once
				w.refusedAt[root] = append(at, i)
			}
		}
	}
}

// represents says that n rather than m names the person: a user_id before the
// others, then the earlier evidence, then the smaller text.
func represents(n, m *node) bool {
	if nu, mu := n.x.Type == id.UserID, m.x.Type == id.UserID; nu != mu {
		return nu
	}
	if n.since.pair == nil || m.since.pair == nil {
		if (n.since.pair == nil) != (m.since.pair == nil) {
			return m.since.pair == nil
		}
		return id.Compare(n.x, m.x) < 0
	}
	if c := compareEvidence(n.since.stamp, n.since.pair, m.since.stamp, m.since.pair); c != 0 {
		return c < 0
	}
	return id.Compare(n.x, m.x) < 0
}
