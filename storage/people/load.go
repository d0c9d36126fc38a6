package people

import (
	"errors"
	"fmt"
	"slices"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/vault"
)

// want gathers, under the lock, what a request needs and memory lacks; loads it
// without the lock; and installs it under the lock again. What was read is
// thrown away when anything was dropped from memory in between: it could be
// older than what was dropped.
type want struct {
	s       *Store
	nodes   []id.ID
	facets  []Hash
	lookups []*Item

	guests    bool // what it loads is used for a moment, by work that goes through everybody
	loads     int  // how often it had to load
	drops     uint64
	gotNodes  []*node
	gotFacets []*held
}

// newWant makes one, or takes one that was freed.
func (s *Store) newWant() *want {
	if w, ok := s.wants.Get().(*want); ok {
		return w
	}
	return &want{s: s}
}

// free keeps w for the next request, when nothing is in it: nobody looks with it any more.
func (w *want) free() {
	if w.loads == 0 {
		w.s.wants.Put(w)
	}
}

// node asks for an identifier.
func (w *want) node(x id.ID) *node {
	if n := w.s.nodes[x]; n != nil {
		n.used = n.used || !w.guests
		return n
	}
	if !slices.Contains(w.nodes, x) {
		w.nodes = append(w.nodes, x)
	}
	return nil
}

// facet asks for a facet that is known to exist.
func (w *want) facet(h Hash) *held {
	if x := w.s.facets[h]; x != nil {
		x.used = x.used || !w.guests
		return x
	}
	if !slices.Contains(w.facets, h) {
		w.facets = append(w.facets, h)
	}
	return nil
}

// item asks for everything that applying the item touches.
func (w *want) item(it *Item) {
	for i := range it.Links {
		w.node(it.Links[i].A)
		w.node(it.Links[i].B)
	}
	for _, x := range owners(it.key) {
		// A facet that none of its identifiers knows does not exist yet.
		if n := w.node(x); n != nil && !it.Excluded && w.s.facets[it.hash] == nil && n.hasFacet(it.hash) {
			w.facet(it.hash)
		}
	}
	if _, ok := w.s.taken[it.Message]; ok {
		return
	}
	if _, ok := w.s.writing[it.Message]; ok {
		return
	}
	if w.s.ever.never(it.Message) {
		it.looked, it.known, it.asOf = true, false, w.s.rotations
		return
	}
	if !it.looked || w.s.rotations-it.asOf > 1 {
		it.asOf = w.s.rotations
		w.lookups = append(w.lookups, it)
	}
}

// none says that nothing is lacking. It ends a look that began with install.
func (w *want) none() bool {
	w.nodes = slices.DeleteFunc(w.nodes, func(x id.ID) bool { return w.s.nodes[x] != nil })
	w.facets = slices.DeleteFunc(w.facets, func(h Hash) bool { return w.s.facets[h] != nil })
	w.drops = w.s.drops
	return len(w.nodes)+len(w.facets)+len(w.lookups) == 0
}

// install puts what was loaded into memory. It begins every look, so that the
// look goes on from there: it asks for all that it needs again, since what the look
// before asked for may have been erased and must not be looked for any more.
func (w *want) install() {
	w.nodes, w.facets = w.nodes[:0], w.facets[:0]
	if w.drops == w.s.drops {
		for _, n := range w.gotNodes {
			if w.s.nodes[n.id] == nil {
				if w.s.erasing != nil {
					w.s.strip(n)
				}
				w.s.adopt(n)
				w.s.nodes[n.id] = n
				if w.guests {
					w.s.guests.nodes, n.used = append(w.s.guests.nodes, n.id), false
				}
			}
		}
		for _, h := range w.gotFacets {
			if _, filling := w.s.filling[h.hash]; w.s.facets[h.hash] == nil && !w.s.erasing[h.hash] && !filling {
				w.s.facets[h.hash] = h
				if w.guests {
					w.s.guests.facets, h.used = append(w.s.guests.facets, h.hash), false
				}
			}
		}
	}
	w.gotNodes, w.gotFacets = nil, nil
}

// load reads what was asked for. The lock is not held.
func (w *want) load() error {
	w.loads++
	next, read := w.nodes, map[id.ID]bool{}
	for steps := w.loads - soon; len(next) > 0; steps-- {
		from := len(w.gotNodes)
		for _, x := range next {
			n, err := w.s.readNode(x)
			if errors.Is(err, vault.ErrNoKey) && w.going() {
				continue // the next look asks again, if it is still to be asked for
			}
			if err != nil {
				return err
			}
			read[x] = true
			w.gotNodes = append(w.gotNodes, n)
		}
		if next = nil; steps > 0 {
			next = w.ahead(w.gotNodes[from:], read)
		}
	}
	for _, h := range w.facets {
		f, err := w.s.readFacet(h)
		if gone := err == nil && f == nil || errors.Is(err, vault.ErrNoKey); gone && w.going() {
			continue // it was erased since it was asked for; whoever looks again does not ask
		}
		if err != nil {
			return err
		}
		if f == nil {
			return fmt.Errorf("people: facet %x is named by its identifier but is not there", h)
		}
		w.gotFacets = append(w.gotFacets, f)
	}
	for _, it := range w.lookups {
		known, err := w.s.readMessage(it.Message, it.Event.ReceivedAt)
		if err != nil {
			return err
		}
		it.looked, it.known = true, known
	}
	w.lookups = w.lookups[:0]
	return nil
}

// Whoever loads the soon-th time goes along a chain, of which each look shows one
// more link. From then on each load looks a step further ahead than the one
// before, through at most aheadMost identifiers: 10,000 devices in a row are
// loaded in 150 rounds, and whoever is loaded in a few reads nothing in vain.
const (
	soon      = 8
	aheadMost = 1000
)

// ahead gives those that the just read ones are linked to and that are not in
// memory; none when they are too many. The lock is not held.
func (w *want) ahead(just []*node, read map[id.ID]bool) (next []id.ID) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	for _, n := range just {
		for _, p := range n.pairs {
			x := p.Other(n.id)
			if read[x] || w.s.nodes[x] != nil {
				continue
			}
			if read[x] = true; len(read) > aheadMost {
				return nil
			}
			next = append(next, x)
		}
	}
	return next
}

// going says that what could not be read may have been erased since the last look. Keys
// go before the records do: where an erasure is under way it waits for its end.
func (w *want) going() bool {
	w.s.mu.Lock()
	outdated, erasing := w.drops != w.s.drops, w.s.erasing != nil
	w.s.mu.Unlock()
	if !outdated && erasing { // then the erasure has the lock, and loads nothing any more
		w.s.maintain.Lock()
		defer w.s.maintain.Unlock()
	}
	return outdated || erasing
}

// readNode reads an identifier; one that is not stored is an empty node.
func (s *Store) readNode(x id.ID) (*node, error) {
	n := &node{id: x, hash: s.hashID(x), used: true}
	t, err := s.readTombstone(n.hash)
	if err != nil {
		return nil, err
	}
	n.erased = t.at
	lower, upper := keyspace.Bounds(keyspace.AppendNodePrefix(nil, n.hash))
	err = s.o.DB.Iter(lower, upper, func(k, _ []byte) (bool, error) {
		_, h, err := keyspace.ParseNode(k)
		n.facets = append(n.facets, h)
		return true, err
	})
	if err != nil {
		return nil, err
	}
	lower, upper = keyspace.Bounds(keyspace.AppendPairPrefix(nil, n.hash))
	err = s.o.DB.Iter(lower, upper, func(k, v []byte) (bool, error) {
		plain, err := s.unseal(n.hash, k, v)
		if err != nil {
			return false, err
		}
		p, err := graph.DecodePair(plain)
		if err != nil {
			return false, fmt.Errorf("people: evidence %x: %w", k, err)
		}
		n.pairs = graph.AddPair(n.pairs, &p)
		return true, nil
	})
	if err == nil && s.stands.Load() {
		err = s.readStanding(n)
	}
	if err != nil || x.Type != id.AnonymousID {
		return n, err
	}
	key := keyspace.AppendSession(nil, n.hash)
	_, err = s.o.DB.Get(key, func(v []byte) error {
		plain, err := s.unseal(n.hash, key, v)
		if err != nil {
			return err
		}
		n.session, err = decodeSession(string(plain))
		return err
	})
	return n, err
}

// readStanding reads the standing of the person whom n represents, if it does.
func (s *Store) readStanding(n *node) error {
	key := keyspace.AppendStanding(nil, n.hash)
	_, err := s.o.DB.Get(key, func(v []byte) error {
		plain, err := s.unseal(n.hash, key, v)
		if err != nil {
			return err
		}
		st := n.standing()
		if _, st.seq, st.now, err = decodeStand(string(plain)); err != nil {
			return fmt.Errorf("people: standing %x: %w", n.hash, err)
		}
		st.stored = storedOf(st.now)
		return nil
	})
	return err
}

// readFacet reads a facet; nil when it is not stored.
func (s *Store) readFacet(h Hash) (*held, error) {
	var x *held
	key := keyspace.AppendFacet(nil, h)
	_, err := s.o.DB.Get(key, func(v []byte) error {
		plain, err := s.unseal(h, key, v)
		if err != nil {
			return err
		}
		x, err = s.decodeHeld(plain, h)
		return err
	})
	return x, err
}

// readMessage says whether a message was taken within the window before at.
func (s *Store) readMessage(m Hash, at int64) (known bool, err error) {
	_, err = s.o.DB.Get(keyspace.AppendDedupe(nil, m), func(v []byte) error {
		taken, err := decodeTaken(v)
		known = at-taken <= s.o.DedupeWindow.Milliseconds()
		return err
	})
	return known, err
}

// fillFilter puts the messages on disk into the filter, beside the traffic:
// until it is through, the disk is asked. What is taken meanwhile is added as
// it comes, so nothing can fall between the two.
func (s *Store) fillFilter() {
	var list []Hash
	add := func(done bool) (more bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, h := range list {
			s.ever.add(h)
		}
		list = list[:0]
		s.ever.whole = done && s.ever.keys < maxFiltered
		return s.ever.keys < maxFiltered
	}
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Dedupe))
	err := s.o.DB.Iter(lower, upper, func(k, _ []byte) (bool, error) {
		h, err := keyspace.ParseDedupe(k)
		if err != nil {
			return false, err
		}
		if list = append(list, h); len(list) < 1024 {
			return true, nil
		}
		select {
		case <-s.stop:
			return false, eventlog.ErrClosed
		default:
			return add(false), nil
		}
	})
	if err == nil {
		add(true)
	} else if !errors.Is(err, eventlog.ErrClosed) {
		s.log.Warn("the messages on disk could not be listed; each new one is looked up there", "err", err)
	}
}

// adopt makes n share its pairs with the neighbours in memory: evidence that
// was loaded from either side must be one object, or a change made through one
// identifier would be missing from the other.
func (s *Store) adopt(n *node) {
	for i, p := range n.pairs {
		if other := s.nodes[p.Other(n.id)]; other != nil {
			if q := other.pair(n.id); q != nil {
				n.pairs[i] = q // n is new: it has no index yet
			}
		}
	}
}

// reader reads the graph in memory; the lock is held.
type reader struct{ w *want }

// Pairs gives the evidence about x, or notes that it must be loaded.
func (r reader) Pairs(x id.ID) (pairs []*graph.Pair, loaded bool) {
	n := r.w.node(x)
	if n == nil {
		return nil, false
	}
	return n.pairs, true
}

// facetsOf gives the facets that name an identifier; whole is false while some
// must be loaded. The list is good until it is called again.
func facetsOf(w *want, n *node) (list []*facet.Facet, whole bool) {
	whole = true
	if len(n.facets) <= len(w.s.list) {
		list = w.s.list[:0]
	}
	for _, h := range n.facets {
		if x := w.facet(h); x != nil {
			list = append(list, x.f)
		} else {
			whole = false
		}
	}
	return list, whole
}
