package graph

import (
	"slices"

	"github.com/reuna/reuna/identity/id"
)

const (
	// DefaultMaxCluster is the most identifiers that one cluster holds.
	DefaultMaxCluster = 1000
	// MaxConflicts is the most that one Cluster lists.
	MaxConflicts = 100
)

// Reader gives the evidence around an identifier.
type Reader interface {
	// Pairs gives every pair that x is an end of: the one with Everybody first
	// (AddPair), so that a hold is seen without a search, and the others in any
	// order (best one that lasts: of a kiosk's users the first is loaded to tell
	// that it is shared); none is a fine answer for an identifier that was never seen. loaded is false when the
	// pairs are not in memory: the resolver then names x in its `missing` and
	// goes on with what there is. A resolver reads the pairs, keeps none of them
	// and writes to none; they must not change until it has answered.
	Pairs(x id.ID) (pairs []*Pair, loaded bool)
}

// Options make a Resolver.
type Options struct {
	MaxCluster int // identifiers; 0 means DefaultMaxCluster
}

// Resolver applies the rules. It is immutable and safe for concurrent use.
type Resolver struct {
	types      *id.Types
	maxCluster int
}

// NewResolver makes a Resolver whose types say how many identifiers of each a
// user keeps.
func NewResolver(types *id.Types, o Options) *Resolver {
	if o.MaxCluster <= 0 {
		o.MaxCluster = DefaultMaxCluster
	}
	return &Resolver{types: types, maxCluster: o.MaxCluster}
}

// Cluster is one person's identifiers in one view.
type Cluster struct {
	View    id.View
	Members []id.ID // sorted by text
	// Since has, for each member, the time of its earliest evidence that holds in
	// this view, in ms; 0 for one without.
	Since []int64
	// Representative names the person: the user_id with the earliest evidence,
	// else the identifier with the earliest evidence.
	Representative id.ID
	Users          []id.ID // the user_ids among the members
	// Shared are identifiers that the members are linked to and whose links are not
	// followed: those that belong to several user_ids, so to none, and those that
	// are held; sorted. Of a user with more identifiers of a
	// type than max_per_person, only those newer than the last one kept.
	Shared []id.ID
	// Held are the holds that stand on identifiers among Shared, by identifier, or
	// on the only member.
	Held []Hold
	// Refused counts the unions that were refused at this cluster's border, and
	// Conflicts are the first MaxConflicts of them, in the order in which they
	// were tried.
	Refused   int
	Conflicts []Conflict
	// Ambiguous says that the only member is itself shared; Candidates names
	// those it may belong to.
	Ambiguous bool
}

// Conflict is a link that holds by itself but whose union was refused.
type Conflict struct {
	A, B  id.ID // A before B by text
	Why   Why   // TwoUsers, CutApart or TooLarge
	Since Stamp // the pair's earliest evidence in the view
}

// Component is everything that an answer about one identifier depended on.
type Component struct {
	View id.View
	// Clusters is the partition of all identifiers that are connected with the
	// one asked about by links that rules 1 to 3 leave, by their first members.
	Clusters []*Cluster
	// Read lists the identifiers whose pairs were read, sorted; Closed those that
	// were only found to be shared or held, sorted: more links change nothing there.
	Read, Closed []id.ID
	// Over are user_ids for whom the order of their newest evidence may matter.
	Over []Surplus
	// Looked is how many pairs were looked at: with the identifiers, what the answer cost.
	Looked int
}

// Surplus is a user_id with max_per_person identifiers of a type, or more, for
// whom the order of their newest evidence may matter.
type Surplus struct {
	User id.ID
	// Known are the identifiers that are kept, or were seen to be shared or held:
	// newer evidence for one of them changes nothing. None where it may.
	Known []id.ID
}

// Stands says whether the answer is still right after the pair of a and b
// changed by c. Pairs of identifiers that are not in Read never matter to it.
// It is the rule in words of one answer; storage/people, which keeps many, follows
// it with marks on the identifiers.
func (m *Component) Stands(a, b id.ID, c Change) bool {
	if c.Shape(m.View) {
		in := func(list []id.ID) bool {
			_, a := slices.BinarySearchFunc(list, a, id.Compare)
			_, b := slices.BinarySearchFunc(list, b, id.Compare)
			return a || b
		}
		if in(m.Read) || c.Loosens(m.View) && in(m.Closed) {
			return false
		}
	}
	if !c.Newest(m.View) {
		return true
	}
	for i := range m.Over {
		o := &m.Over[i]
		if o.User == a && !slices.Contains(o.Known, b) || o.User == b && !slices.Contains(o.Known, a) {
			return false
		}
	}
	return true
}

// Cluster answers who x is in view v. When g could not give all that the answer
// depends on, it is nil and missing names what to load before asking again. A
// chain of devices is then discovered link by link, so for deep components a
// Reader that loads on the spot saves rounds.
//
// The answer is the same whichever member is asked.
func (r *Resolver) Cluster(x id.ID, v id.View, g Reader) (c *Cluster, missing []id.ID) {
	w := r.walk(x, v, g)
	if len(w.missing) > 0 {
		return nil, w.takeMissing()
	}
	w.union()
	return w.cluster(w.find(w.start.index)), nil
}

// Component answers for x and for all that its answer depended on, so that a
// caller can keep the answers and knows when to ask anew.
func (r *Resolver) Component(x id.ID, v id.View, g Reader) (c *Component, missing []id.ID) {
	w := r.walk(x, v, g)
	if len(w.missing) > 0 {
		return nil, w.takeMissing()
	}
	w.union()
	c = &Component{View: v, Looked: w.looked}
	for _, u := range w.pruned {
		o := Surplus{User: u.x}
		if !u.ordered {
			o.Known = slices.Concat(u.kept, u.shared)
		}
		c.Over = append(c.Over, o)
	}
	for i := range w.members {
		if w.find(int32(i)) == int32(i) {
			c.Clusters = append(c.Clusters, w.cluster(int32(i)))
		}
	}
	slices.SortFunc(c.Clusters, func(a, b *Cluster) int { return id.Compare(a.Members[0], b.Members[0]) })
	for x, n := range w.nodes {
		if n.closed() && !n.opened {
			c.Closed = append(c.Closed, x)
		} else {
			c.Read = append(c.Read, x)
		}
	}
	slices.SortFunc(c.Read, id.Compare)
	slices.SortFunc(c.Closed, id.Compare)
	return c, nil
}

// Candidates lists the user_ids that x is linked to by links that hold in view
// v, sorted; for a user_id, itself. More than one that no operator joined make
// x ambiguous.
func (r *Resolver) Candidates(x id.ID, v id.View, g Reader) (users, missing []id.ID) {
	if x.Type == id.UserID {
		return []id.ID{x}, nil
	}
	pairs, loaded := g.Pairs(x)
	if !loaded {
		return nil, []id.ID{x}
	}
	for _, p := range pairs {
		if o := p.Other(x); o.Type == id.UserID && p.holds(v) {
			users = append(users, o)
		}
	}
	slices.SortFunc(users, id.Compare)
	return users, nil
}

// Resolve is the whole partition that a set of evidence makes: a cluster for
// every identifier that some evidence names, by their first members.
func (r *Resolver) Resolve(all []Evidence, v id.View) []Cluster {
	s := NewSet()
	for _, e := range all {
		s.Add(e)
	}
	var out []Cluster
	done := make(map[id.ID]bool)
	for _, x := range s.Identifiers() {
		if done[x] {
			continue
		}
		c, _ := r.Component(x, v, s) // a Set has everything
		for _, cl := range c.Clusters {
			for _, m := range cl.Members {
				done[m] = true
			}
			out = append(out, *cl)
		}
	}
	slices.SortFunc(out, func(a, b Cluster) int { return id.Compare(a.Members[0], b.Members[0]) })
	return out
}
