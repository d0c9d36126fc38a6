package people

import (
	"encoding/base32"
	"errors"
	"slices"
	"strings"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/keyspace"
)

// ErrUnknown says that nothing is stored about an identifier.
var ErrUnknown = errors.New("people: nobody is known by that identifier")

// patience bounds how often a read that finds something missing from memory
// loads it and looks again. Each round reaches one step further in the graph,
// whose clusters hold at most 1,000 identifiers.
const patience = 2000

// see runs look under the lock until it lacks nothing.
func (s *Store) see(look func(w *want) error) error {
	w := s.newWant()
	for range patience {
		done, err := w.try(look)
		if done && err == nil {
			w.free()
		}
		if err != nil || done {
			return err
		}
		if err := w.load(); err != nil {
			return err
		}
	}
	return errDropped
}

// seeAside is see for work aside: it loads there, and does not hold the lock there. What
// it loads are guests.
func (s *Store) seeAside(look func(w *want) error) error {
	w := want{s: s, guests: true}
	for range patience {
		var done bool
		err := before(func() (err error) {
			done, err = w.try(look)
			return err
		})
		if err != nil || done {
			return err
		}
		if err := w.load(); err != nil {
			return err
		}
	}
	return errDropped
}

var errDropped = errors.New("people: what belongs to this person was dropped from memory as often as it was loaded; ask again when there is less traffic")

// try looks once; done says that nothing was lacking.
func (w *want) try(look func(w *want) error) (done bool, err error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.install()
	err = look(w)
	return w.none(), err
}

// Device is what a page may know without a verified session: the join of the
// device's own facets that are anonymous or claimed. Where the device is a person of
// its own in the verified view, the person's standing is the page's. Else the page has
// one that nothing is told of, and that lasts as long as the device is in memory.
func (s *Store) Device(visitor string) (x Snapshot, err error) {
	err = s.see(func(w *want) error {
		n := w.node(id.ID{Type: id.AnonymousID, Value: visitor})
		if n == nil {
			return nil
		}
		list, whole := facetsOf(w, n)
		if !whole {
			return nil
		}
		all := len(list)
		list = slices.DeleteFunc(list, func(f *facet.Facet) bool {
			return f.Key.UserID != "" && f.Key.Trust != id.Claimed
		})
		x = Snapshot{Present: justDevice}
		if s.judges && len(list) > 0 && !s.standAlone(&x, w, n, list, all) {
			return nil
		}
		x.Profile, x.own = facet.Join(list), true
		return nil
	})
	return x, err
}

// justDevice is what a page without a session may know of identifiers.
var justDevice = []string{id.AnonymousID}

// standAlone gives x the standing of a device's page; list are the device's facets that
// its page sees, of all that name it. False while something must be loaded.
func (s *Store) standAlone(x *Snapshot, w *want, n *node, list []*facet.Facet, all int) (whole bool) {
	var c *cluster
	if len(n.pairs) > 0 {
		if c = s.cluster(w, n, id.VerifiedView); c == nil {
			return false
		}
	}
	if c == nil || len(c.Members) == 1 && (all == len(list) || !s.hasCut(n)) {
		if n.stand != nil {
			n.stand.page = nil
		}
		s.snapshot(x, n, c)
		return true
	}
	st := n.standing()
	if st.page == nil {
		st.page = &page{changed: facet.Everything()}
	}
	x.of, x.page, x.asOf = n, true, s.marks
	x.Standing, x.Changed = st.page.now, st.page.changed
	x.waits = !x.Changed.IsZero()
	return true
}

// hasCut says that a facet which was verified to be a user's is the device's since an
// operator cut the two. The device's facets are loaded.
func (s *Store) hasCut(n *node) bool {
	for _, h := range n.facets {
		k := s.facets[h].f.Key
		if k.UserID != "" && k.Trust != id.Claimed && s.isCut(n, k, id.VerifiedView) {
			return true
		}
	}
	return false
}

// Person is a cluster with what is known of it.
type Person struct {
	ID      string   // "p_…"
	Aliases []string // ids under which other members were known, or would be
	Cluster *graph.Cluster
	Profile *facet.Profile
	Orders  []facet.Placed // the newest, up to mostOrders
	Facets  []facet.Key
}

// mostOrders is how many orders a Person lists; the profile counts all.
const mostOrders = 20

// Person gives the person that x belongs to in a view; ErrUnknown when nothing
// is stored about x.
func (s *Store) Person(x id.ID, v id.View) (p *Person, err error) {
	err = s.see(func(w *want) error {
		n := w.node(x)
		if n != nil && len(n.pairs) == 0 && len(n.facets) == 0 {
			return ErrUnknown
		}
		c, list := s.around(w, n, v)
		if c == nil {
			return nil
		}
		p = &Person{ID: s.publicID(s.nodes[c.Representative]), Cluster: c.Cluster, Profile: s.profileOf(w, c)}
		facets := make([]*facet.Facet, len(list))
		for i, x := range list {
			p.Facets, facets[i] = append(p.Facets, x.f.Key), x.f
		}
		p.Orders = facet.NewestOrders(facets, mostOrders)
		for _, m := range c.Members {
			if name := s.publicID(s.nodes[m]); name != p.ID {
				p.Aliases = append(p.Aliases, name)
			}
		}
		return nil
	})
	return p, err
}

// Profile is what decisions know of the person that x belongs to in a view: for
// the page of a verified session. Standings are of the verified view.
func (s *Store) Profile(x id.ID, v id.View) (snap Snapshot, err error) {
	err = s.see(func(w *want) error {
		n := w.node(x)
		if n == nil {
			return nil
		}
		c := s.cluster(w, n, v)
		if c == nil {
			return nil
		}
		p := s.profileOf(w, c)
		if p == nil {
			return nil
		}
		snap = Snapshot{Profile: p, Present: presentOf(n, c)}
		if s.judges && v == id.VerifiedView && p.Events+p.BotEvents > 0 { // of whom nothing is known is in no audience
			s.snapshot(&snap, n, c)
		}
		return nil
	})
	return snap, err
}

// around gives n's cluster and the facets that belong to it; nil while
// something must be loaded.
func (s *Store) around(w *want, n *node, v id.View) (*cluster, []*held) {
	if n == nil {
		return nil, nil
	}
	c := s.cluster(w, n, v)
	if c == nil {
		return nil, nil
	}
	list, whole := s.members(w, c.Cluster)
	if !whole {
		return nil, nil
	}
	return c, list
}

// members gives the facets that belong to a cluster.
func (s *Store) members(w *want, c *graph.Cluster) (list []*held, whole bool) {
	whole = true
	seen := map[Hash]bool{}
	for _, x := range c.Members {
		n := w.node(x)
		if n == nil {
			whole = false
			continue
		}
		for _, h := range n.facets {
			if seen[h] {
				continue
			}
			seen[h] = true
			held := w.facet(h)
			if held == nil {
				whole = false
				continue
			}
			owner := held.f.Key.Owner(c.View, s.isCut(n, held.f.Key, c.View))
			if _, in := slices.BinarySearchFunc(c.Members, owner, id.Compare); in {
				list = append(list, held)
			}
		}
	}
	return list, whole
}

// isCut says that an operator cut the facet's device from its user. n is one of
// the two.
func (s *Store) isCut(n *node, k facet.Key, v id.View) bool {
	if k.AnonymousID == "" || k.UserID == "" {
		return false
	}
	other := id.ID{Type: id.UserID, Value: k.UserID}
	if n.id.Type == id.UserID {
		other = id.ID{Type: id.AnonymousID, Value: k.AnonymousID}
	}
	p := n.pair(other)
	return p != nil && p.IsCut(v)
}

// Explain tells, for every pair that x's cluster is made of or was kept from,
// whether it holds in a view and why.
func (s *Store) Explain(x id.ID, v id.View) (list []graph.Reason, err error) {
	err = s.see(func(w *want) error {
		list, _ = s.resolver.Explain(x, v, reader{w})
		return nil
	})
	return list, err
}

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// PersonID is the person's public name: "p_" and the keyed hash, in base32, of
// the identifier that represents the cluster. It is the hash under which the
// identifier is stored, so that any id a person ever had still leads to them,
// without a table of old names.
//
// An identifier that came back after an erasure has another name than before.
func (s *Store) PersonID(representative id.ID) (name string, err error) {
	err = s.see(func(w *want) error {
		if n := w.node(representative); n != nil {
			name = s.publicID(n)
		}
		return nil
	})
	return name, err
}

func (s *Store) publicID(n *node) string {
	h := n.hash
	if n.erased != 0 {
		h = s.hashAgain(h, n.erased)
	}
	return "p_" + base32Lower.EncodeToString(h[:])
}

// Named finds the identifier that a person id stands for.
func (s *Store) Named(person string) (x id.ID, err error) {
	raw, err := base32Lower.DecodeString(strings.TrimPrefix(person, "p_"))
	if err != nil || len(raw) != len(Hash{}) || !strings.HasPrefix(person, "p_") {
		return x, ErrUnknown
	}
	h := Hash(raw)
	t, err := s.readTombstone(h)
	if err != nil {
		return x, err
	}
	if t != (tombstone{}) {
		return x, ErrUnknown // who had this name was erased
	}
	if again, ok, err := s.readAgain(h); err != nil {
		return x, err
	} else if ok {
		h = again
	}
	return s.whose(h)
}

// whose finds the identifier behind the hash under which it is stored.
func (s *Store) whose(h Hash) (x id.ID, err error) {
	s.mu.Lock()
	for _, list := range [...][]*node{s.dirtyNodes, s.savingNodes} { // not on disk yet
		for _, n := range list {
			if n.hash == h {
				x = n.id
			}
		}
	}
	s.mu.Unlock()
	if h == s.hashID(graph.Everybody()) {
		return id.ID{}, ErrUnknown
	}
	if !x.IsZero() {
		return x, nil
	}
	lower, upper := keyspace.Bounds(keyspace.AppendNodePrefix(nil, h))
	err = s.o.DB.Iter(lower, upper, func(k, _ []byte) (bool, error) {
		_, facetHash, err := keyspace.ParseNode(k)
		if err != nil {
			return false, err
		}
		f, err := s.readFacet(facetHash)
		if err != nil || f == nil {
			return true, err
		}
		for _, o := range owners(f.f.Key) {
			if s.hashID(o) == h {
				x = o
			}
		}
		return x.IsZero(), nil
	})
	if err != nil || !x.IsZero() {
		return x, err
	}
	lower, upper = keyspace.Bounds(keyspace.AppendPairPrefix(nil, h))
	err = s.o.DB.Iter(lower, upper, func(k, v []byte) (bool, error) {
		plain, err := s.unseal(h, k, v)
		if err != nil {
			return false, err
		}
		p, err := graph.DecodePair(plain)
		for _, o := range [...]id.ID{p.A, p.B} {
			if s.hashID(o) == h {
				x = o
			}
		}
		return false, err
	})
	if err == nil && x.IsZero() {
		err = ErrUnknown
	}
	return x, err
}
