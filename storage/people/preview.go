package people

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
)

// Bounds of a preview. It is worked out under the store's lock.
const (
	// MaxPreview is how much evidence one preview takes.
	MaxPreview = 20
	// previewReach is how many identifiers are followed: more than two clusters of
	// the largest size have.
	previewReach = 3000
	// previewPersons is how many persons before, and how many after, are shown.
	previewPersons = 100
)

// Preview is what evidence would change in one view.
type Preview struct {
	View id.View
	// Outcomes tell of each piece of evidence, in the given order, what becomes
	// of its pair.
	Outcomes []Outcome
	// Holds are those that the gateway would make by itself because of it.
	Holds []graph.Evidence
	// Regroupings are those whom it touches: first those of the evidence's own
	// identifiers, changed or not, then others that change, the larger ones
	// first.
	Regroupings []Regrouping
	// Before and After count the persons of all regroupings, shown or not.
	Before, After int
	// Partial says that more identifiers hang together here than a preview
	// follows: further persons may change.
	Partial bool
}

// Outcome is a pair before and after. Of a hold or a release A is
// graph.Everybody(), and Held says what holds B.
type Outcome struct{ Before, After graph.Reason }

// Regrouping is the smallest number of persons who have the same identifiers
// among them before and after. Both lists have the larger persons first, and
// may be cut short.
type Regrouping struct {
	Before, After []*Person
	// Persons there are, listed or not. Identifiers that nothing is known of yet
	// are nobody before.
	CountBefore, CountAfter int
	// Of these, single identifiers that join nobody: they are shared, or held.
	ClosedBefore, ClosedAfter int
}

// Preview tells what stating this evidence would change in a view: the persons
// as Person gives them now, and as it would give them. Nothing is changed.
// Evidence without a time would be stated now.
func (s *Store) Preview(evidence []graph.Evidence, v id.View) (p *Preview, err error) {
	if len(evidence) == 0 || len(evidence) > MaxPreview {
		return nil, fmt.Errorf("people: a preview of %d pieces of evidence; expected 1 to %d", len(evidence), MaxPreview)
	}
	evidence = slices.Clone(evidence)
	now := s.o.Now().UnixMilli()
	for i := range evidence {
		if evidence[i].ID == (graph.EvidenceID{}) {
			evidence[i].ID = Unstated()
		}
		if err := complete(&evidence[i], now); err != nil {
			return nil, err
		}
	}
	err = s.see(func(w *want) error {
		x := previewer{s: s, w: w, view: v, evidence: evidence, now: now}
		p = x.preview()
		return nil
	})
	return p, err
}

// Releasing gives the evidence with which Release would release x; none when
// nothing holds it.
func (s *Store) Releasing(x id.ID) (list []graph.Evidence, err error) {
	err = s.see(func(w *want) error {
		list = nil
		n := w.node(x)
		if n == nil {
			return nil
		}
		if p := n.pair(graph.Everybody()); p != nil {
			for _, cut := range p.Cuts(id.AllView) {
				list = append(list, graph.Evidence{Kind: graph.Lift, A: graph.Everybody(), B: x, Trust: id.Admin, Lifts: cut})
			}
		}
		return nil
	})
	return list, err
}

// Unstated is the id of evidence that is only previewed: the largest, since what is
// stated later is later.
func Unstated() (x graph.EvidenceID) {
	for i := range x {
		x[i] = 0xff
	}
	return x
}

// previewer works a preview out; the lock is held. Where something must be
// loaded it goes on with what there is, and what it found is thrown away.
//
// Invariant: every identifier whose person differs is followed, up to
// previewReach. Evidence about a pair can change which links of its two
// identifiers count; when operators join or part user_ids, also which
// identifiers of those users are shared; and when an identifier becomes shared or
// held, or is no longer, which links of its neighbours count. These are the seeds.
// Then come all who are, before or after, of one person with somebody who is
// followed: what is never of one person with them goes through the same unions
// in the same order as before.
type previewer struct {
	s        *Store
	w        *want
	view     id.View
	evidence []graph.Evidence
	now      int64

	before, after side
	follow        []id.ID // in the order found
	followed      map[id.ID]bool
	grouped       map[id.ID]bool // user_ids whose identifiers were looked at
	partial       bool
	holds         []graph.Evidence
}

// side is the graph before or after.
type side struct {
	over     overlay
	clusters map[id.ID]*graph.Cluster // by member
	reasons  map[[2]id.ID]graph.Reason
}

func (x *previewer) preview() *Preview {
	x.before.over, x.after.over = newOverlay(x.w), newOverlay(x.w)
	for i := range x.evidence {
		x.add(&x.evidence[i])
	}
	x.followed, x.grouped = map[id.ID]bool{}, map[id.ID]bool{}
	x.before.clusters, x.after.clusters = map[id.ID]*graph.Cluster{}, map[id.ID]*graph.Cluster{}
	x.before.reasons, x.after.reasons = map[[2]id.ID]graph.Reason{}, map[[2]id.ID]graph.Reason{}
	for i := range x.evidence {
		e := &x.evidence[i]
		x.visit(e.A)
		x.visit(e.B)
		if e.A.Type == id.UserID && e.B.Type == id.UserID {
			x.visitGroup(e.A)
			x.visitGroup(e.B)
		}
	}
	entered := map[*graph.Cluster]bool{}
	for i := 0; i < len(x.follow); i++ {
		y := x.follow[i]
		b, a := x.cluster(&x.before, y), x.cluster(&x.after, y)
		if b == nil || a == nil {
			continue
		}
		for _, c := range [...]*graph.Cluster{b, a} {
			if entered[c] {
				continue
			}
			entered[c] = true
			for _, m := range c.Members {
				x.visit(m)
			}
		}
		if closed(b, y) != closed(a, y) {
			pairs, _ := x.after.over.Pairs(y)
			for _, p := range pairs {
				x.visit(p.Other(y))
			}
		}
	}
	if !x.w.none() {
		return nil
	}
	p := &Preview{View: x.view, Partial: x.partial}
	for i := range x.evidence {
		e := &x.evidence[i]
		p.Outcomes = append(p.Outcomes, Outcome{x.reason(&x.before, e), x.reason(&x.after, e)})
	}
	p.Holds = x.holds
	x.show(p, x.regroup())
	return p
}

// add takes one piece of evidence in on the side after, with the holds that the
// gateway would make because of it (Store.suspect, Store.due).
func (x *previewer) add(e *graph.Evidence) {
	c := x.after.over.add(e)
	if x.s.o.MaxLinks < 0 || !c.Shape(id.VerifiedView) && !c.Shape(id.AllView) {
		return
	}
	for _, y := range endsOf(e.A, e.B) {
		pairs, _ := x.after.over.Pairs(y)
		if len(pairs) <= x.s.o.MaxLinks {
			continue
		}
		var links [2]int
		for _, p := range pairs {
			for v := range links {
				if p.Holds(id.View(v)) && graph.CountsAgainst(y, p.Other(y)) {
					links[v]++
				}
			}
		}
		t := id.Claimed
		if links[id.VerifiedView] > x.s.o.MaxLinks {
			t = id.Verified
		}
		if links[id.AllView] > x.s.o.MaxLinks && graph.MayHold(pairs, t) {
			hold := graph.HoldOf(y, graph.HoldLinks, t, x.now)
			x.after.over.add(&hold)
			x.holds = append(x.holds, hold)
		}
	}
}

// visit follows an identifier.
func (x *previewer) visit(y id.ID) {
	if x.followed[y] || y == graph.Everybody() {
		return
	}
	if len(x.follow) == previewReach {
		x.partial = true
		return
	}
	x.followed[y] = true
	x.follow = append(x.follow, y)
}

// closed says that none of y's links is followed; c is y's cluster.
func closed(c *graph.Cluster, y id.ID) bool {
	return c.Ambiguous || slices.ContainsFunc(c.Held, func(h graph.Hold) bool { return h.ID == y })
}

// visitGroup follows the user_ids that operators joined with u, or once did,
// and those of their identifiers that are shared on one side only.
func (x *previewer) visitGroup(u id.ID) {
	group := []id.ID{u}
	for i := 0; i < len(group); i++ {
		if x.grouped[group[i]] {
			continue
		}
		x.grouped[group[i]] = true
		pairs, _ := x.after.over.Pairs(group[i]) // has all that was there before, too
		for _, p := range pairs {
			y := p.Other(group[i])
			if y == graph.Everybody() {
				continue
			}
			if y.Type == id.UserID {
				if p.Trust() == id.Admin {
					x.visit(y)
					group = append(group, y)
				}
				continue
			}
			if len(x.before.clusters)+len(x.after.clusters) > 4*previewReach {
				x.partial = true
				return
			}
			if b, a := x.cluster(&x.before, y), x.cluster(&x.after, y); b != nil && a != nil && (b.Ambiguous != a.Ambiguous || closed(b, y) != closed(a, y)) {
				x.visit(y)
			}
		}
	}
}

// cluster gives y's cluster on one side; nil while something must be loaded.
func (x *previewer) cluster(d *side, y id.ID) *graph.Cluster {
	if c := d.clusters[y]; c != nil {
		return c
	}
	component, _ := x.s.resolver.Component(y, x.view, &d.over)
	if component == nil {
		return nil
	}
	for _, c := range component.Clusters {
		for _, m := range c.Members {
			if d.clusters[m] == nil { // else it was asked for from another end
				d.clusters[m] = c
			}
		}
	}
	return d.clusters[y]
}

// reason tells what becomes of the evidence's pair on one side.
func (x *previewer) reason(d *side, e *graph.Evidence) graph.Reason {
	ends := endsOf(e.A, e.B)
	r := graph.Reason{A: ends[0], B: ends[1], Why: graph.NoLink}
	if held := ends[1]; ends[0] == graph.Everybody() {
		pairs, _ := d.over.Pairs(held)
		if h, ok := graph.HoldOn(held, pairs, x.view); ok {
			r.Why, r.Held = graph.Held, []graph.Hold{h}
		}
		return r
	}
	if r, ok := d.reasons[ends]; ok {
		return r
	}
	list, _ := x.s.resolver.Explain(e.A, x.view, &d.over)
	for _, r := range list {
		d.reasons[[2]id.ID{r.A, r.B}] = r
	}
	if known, ok := d.reasons[ends]; ok {
		return known
	}
	return r
}

// regrouped is a Regrouping before its persons are put together.
type regrouped struct {
	before, after []*graph.Cluster
	first         id.ID
	size          int  // identifiers
	stated        bool // has an identifier of the evidence
}

// regroup sorts the clusters of both sides into regroupings.
func (x *previewer) regroup() (list []*regrouped) {
	stated := map[id.ID]bool{}
	for i := range x.evidence {
		stated[x.evidence[i].A], stated[x.evidence[i].B] = true, true
	}
	done, sorted := map[id.ID]bool{}, map[*graph.Cluster]bool{}
	for _, y := range slices.SortedFunc(maps.Keys(x.followed), id.Compare) {
		if done[y] {
			continue
		}
		done[y] = true
		g := &regrouped{first: y}
		for queue := []id.ID{y}; len(queue) > 0; queue = queue[1:] {
			g.size++
			g.stated = g.stated || stated[queue[0]]
			for _, d := range [...]*side{&x.before, &x.after} {
				c := d.clusters[queue[0]]
				if c == nil {
					continue // beyond the reach
				}
				to := &g.after
				if d == &x.before {
					to = &g.before
				}
				if sorted[c] {
					continue
				}
				sorted[c] = true
				*to = append(*to, c)
				for _, m := range c.Members {
					if !done[m] {
						done[m] = true
						queue = append(queue, m)
					}
				}
			}
		}
		g.before = slices.DeleteFunc(g.before, x.nobody)
		if g.stated || len(g.before) != 1 || len(g.after) != 1 || !reflect.DeepEqual(g.before[0], g.after[0]) {
			list = append(list, g)
		}
	}
	slices.SortFunc(list, func(g, h *regrouped) int {
		if g.stated != h.stated {
			if g.stated {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(h.size, g.size), id.Compare(g.first, h.first))
	})
	return list
}

// nobody says that nothing is known of a cluster's only identifier yet.
func (x *previewer) nobody(c *graph.Cluster) bool {
	n := x.s.nodes[c.Members[0]]
	return len(c.Members) == 1 && n != nil && len(n.pairs) == 0 && len(n.facets) == 0
}

// show puts the persons together, as many as are shown.
func (x *previewer) show(p *Preview, list []*regrouped) {
	room := [2]int{previewPersons, previewPersons}
	for _, g := range list {
		r := Regrouping{CountBefore: len(g.before), CountAfter: len(g.after)}
		p.Before += r.CountBefore
		p.After += r.CountAfter
		for i, d := range [...]*side{&x.before, &x.after} {
			clusters, to, alone := g.before, &r.Before, &r.ClosedBefore
			if d == &x.after {
				clusters, to, alone = g.after, &r.After, &r.ClosedAfter
			}
			for _, c := range clusters {
				if closed(c, c.Members[0]) {
					*alone++
				}
			}
			slices.SortFunc(clusters, func(a, b *graph.Cluster) int {
				return cmp.Or(cmp.Compare(len(b.Members), len(a.Members)), id.Compare(a.Members[0], b.Members[0]))
			})
			for _, c := range clusters[:min(room[i], len(clusters))] {
				*to = append(*to, x.person(d, c))
				room[i]--
			}
		}
		if len(r.Before)+len(r.After) > 0 {
			p.Regroupings = append(p.Regroupings, r)
		}
	}
}

// person is what Store.Person would answer for a cluster of one side; without a
// profile while something must be loaded.
func (x *previewer) person(d *side, c *graph.Cluster) *Person {
	p := &Person{ID: x.s.publicID(x.w.s.nodes[c.Representative]), Cluster: c}
	var facets []*facet.Facet
	seen := map[Hash]bool{}
	for _, m := range c.Members {
		n := x.w.node(m)
		if name := x.s.publicID(n); name != p.ID {
			p.Aliases = append(p.Aliases, name)
		}
		for _, h := range n.facets {
			if seen[h] {
				continue
			}
			seen[h] = true
			held := x.w.facet(h)
			if held == nil {
				continue
			}
			owner := held.f.Key.Owner(x.view, d.over.isCut(held.f.Key, x.view))
			if _, in := slices.BinarySearchFunc(c.Members, owner, id.Compare); in {
				facets = append(facets, held.f)
				p.Facets = append(p.Facets, held.f.Key)
			}
		}
	}
	if x.w.none() {
		p.Profile, p.Orders = facet.Join(facets), facet.NewestOrders(facets, mostOrders)
	}
	return p
}
