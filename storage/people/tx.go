package people

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/eventlog"
)

// Item is an event made ready outside the lock: what it is part of, what it
// says about identifiers, what it is known by.
type Item struct {
	Event   *event.Event
	Message Hash // of the site and the messageId
	Links   []graph.Evidence
	// NoClaimedLinks is kept with the event: a replay takes it as it was taken.
	NoClaimedLinks bool
	// Excluded: the event has a place in the log, and nobody's profile knows it
	// (Exclude).
	Excluded bool

	key    facet.Key
	hash   Hash // of the key
	looked bool // whether the disk knows the message has been looked up,
	known  bool // and what came of it,
	asOf   uint64
}

// Prepare readies an event whose identifiers are settled. noClaimedLinks is for
// sites where a claimed identify links nothing. blocked counts the values in
// it that identify nobody.
func (s *Store) Prepare(it *Item, e *event.Event, noClaimedLinks bool) (blocked int) {
	return s.prepare(it, e, noClaimedLinks, math.MaxUint64)
}

// prepare is Prepare for the event that stands, or will stand, in entry seq.
func (s *Store) prepare(it *Item, e *event.Event, noClaimedLinks bool, seq uint64) (blocked int) {
	key := facet.KeyOf(e, s.o.Log.OriginNumberOf(seq))
	links, blocked := graph.FromEvent(it.Links[:0], e, s.o.Types, graph.EventOptions{NoClaimedLinks: noClaimedLinks})
	*it = Item{
		Event: e, Links: links, NoClaimedLinks: noClaimedLinks,
		key: key, hash: s.hashFacet(key), Message: s.o.Vault.HashKey("message", e.Site, e.MessageID),
	}
	return blocked
}

// Tx is one request's change of the state. It holds the store's lock from
// Begin to End; nothing between the two may wait for anything. It is not to be copied.
type Tx struct {
	s *Store
	t eventlog.Ticket

	got, refused bool // t is a ticket; it is a refusal's
	ended        bool
}

// Begin loads what the items and the visitor need and takes the lock. fresh
// says that the visitor's id was minted for this request: nothing can be
// stored about it.
func (s *Store) Begin(items []Item, visitor string, fresh bool) (Tx, error) {
	if err := s.o.Log.Admit(); err != nil {
		return Tx{}, err
	}
	w := s.newWant()
	for {
		s.mu.Lock()
		if err := cmp.Or(s.failed, s.behind()); err != nil {
			s.mu.Unlock()
			return Tx{}, err
		}
		w.install()
		if visitor != "" {
			x := id.ID{Type: id.AnonymousID, Value: visitor}
			if fresh {
				s.newNode(x)
			} else {
				w.node(x)
			}
		}
		for i := range items {
			w.item(&items[i])
		}
		if w.none() {
			w.free()
			return Tx{s: s}, nil
		}
		s.mu.Unlock()
		if err := w.load(); err != nil {
			return Tx{}, err
		}
	}
}

// Session is the session of a visitor that Begin was told of.
func (tx *Tx) Session(visitor string) Session {
	if n := tx.s.nodes[id.ID{Type: id.AnonymousID, Value: visitor}]; n != nil {
		return n.session
	}
	return Session{}
}

// Duplicate says that the item has nothing to add: its message has been taken
// before, or it is older than the erasure of somebody it names. Who answers for
// one must still wait for End's ticket: the first may not be durable yet.
func (tx *Tx) Duplicate(it *Item) bool {
	s := tx.s
	if s.late(it) {
		s.stats.Late++
		return true
	}
	_, dup := s.taken[it.Message]
	if !dup {
		_, dup = s.writing[it.Message]
	}
	if dup = dup || it.known; dup {
		s.stats.Duplicates++
	}
	return dup
}

// late says that an event comes after the erasure of an identifier in it, and
// is from before.
func (s *Store) late(it *Item) bool {
	if !s.erased.Load() {
		return false
	}
	at := it.Event.Timestamp
	old := func(x id.ID) bool {
		n := s.nodes[x]
		return n != nil && n.erased != 0 && at <= n.erased
	}
	for i := range it.Links {
		if old(it.Links[i].A) || old(it.Links[i].B) {
			return true
		}
	}
	return it.key.AnonymousID != "" && old(id.ID{Type: id.AnonymousID, Value: it.key.AnonymousID}) ||
		it.key.UserID != "" && old(id.ID{Type: id.UserID, Value: it.key.UserID})
}

// Resolve adds what the event says about identifiers to the evidence.
func (tx *Tx) Resolve(it *Item) { tx.s.resolve(it.Links, tx.s.applied+1, it.Event.ReceivedAt) }

// Append gives the event its place in the log; 0 when the log refuses it, which
// End's ticket then tells.
func (tx *Tx) Append(it *Item) (seq uint64) {
	kind := byte(entryEvent)
	if it.Excluded {
		kind = entryExcluded
	}
	tx.s.buf = it.Event.AppendBinary(append(tx.s.buf[:0], kind, flag(it.NoClaimedLinks)))
	if seq = tx.append(it.Event.ReceivedAt); seq == 0 {
		clear(tx.s.suspects)
		return 0
	}
	if it.Excluded {
		tx.s.exclude(it.key, it.Event.ReceivedAt, seq)
		tx.s.take(it.Message, it.Event.ReceivedAt)
		tx.s.stats.Events++
		return seq
	}
	tx.s.seen(it)
	for _, e := range tx.s.due(it.Event.ReceivedAt) {
		tx.s.buf = appendEvidence(tx.s.buf[:0], &e)
		if n := tx.append(it.Event.ReceivedAt); n != 0 {
			tx.s.applyHold(e, it.Event.ReceivedAt, n)
		}
	}
	tx.s.take(it.Message, it.Event.ReceivedAt)
	tx.s.stats.Events++
	return seq
}

// Fold adds the event, whose place is seq, to its facet.
func (tx *Tx) Fold(it *Item, seq uint64) {
	if seq == 0 || it.Excluded {
		return
	}
	tx.s.fold(it.key, it.hash, it.Event, seq)
}

// Refuse keeps a refused message in the quarantine.
func (tx *Tx) Refuse(x *Refused) {
	tx.s.buf = x.append(tx.s.buf[:0])
	seq := tx.append(x.ReceivedAt)
	if seq == 0 {
		return
	}
	tx.s.refused = append(tx.s.refused, seq)
	tx.s.stats.Refused++
}

// SetSession begins or ends the session of a visitor that Begin was told of.
func (tx *Tx) SetSession(visitor string, x Session, now int64) {
	tx.s.buf = appendSession(tx.s.buf[:0], visitor, x)
	if x.Seq = tx.append(now); x.Seq != 0 {
		tx.s.setSession(visitor, x, now)
	}
}

func (tx *Tx) append(receivedAt int64) (seq uint64) {
	seq, t := tx.s.o.Log.Append(tx.s.buf, receivedAt)
	if seq != 0 {
		tx.s.applied = seq
	}
	if !tx.refused { // the ticket of a refusal is the one to answer with
		tx.t, tx.got, tx.refused = t, true, seq == 0
	}
	return seq
}

// End gives the lock back. The ticket is good when everything that the request
// saw, its own entries and those of others, is on disk.
func (tx *Tx) End() eventlog.Ticket {
	s := tx.s
	tx.ended = true
	wake := s.checkpointDue()
	made := s.takeMade()
	s.mu.Unlock()
	s.report(made)
	if wake {
		select {
		case s.wake <- struct{}{}:
		default: // one is due already
		}
	}
	if !tx.got {
		return s.o.Log.Barrier()
	}
	return tx.t
}

// Release is for a deferred call: it does nothing after End. A change that was
// broken off by a panic may stand in the log and not in memory, so the store
// then refuses everything until a restart has read the log again; but it does
// not keep its lock and hang.
func (tx *Tx) Release() {
	if tx.ended {
		return
	}
	tx.ended = true
	tx.s.failed = errBrokenOff
	tx.s.mu.Unlock()
}

var errBrokenOff = errors.New("people: a change was broken off half-way by a fault in this program; restart the gateway")

// What follows applies entries to memory, live and in a replay alike. The lock
// is held and everything touched is loaded.

func (s *Store) take(message Hash, at int64) {
	if s.detached {
		return
	}
	s.taken[message] = at
	s.ever.add(message)
}

// exclude has the entry of an excluded event found by whom it names, so that it
// goes with them.
func (s *Store) exclude(k facet.Key, at int64, seq uint64) {
	for _, x := range owners(k) {
		s.index = append(s.index, indexed{s.hashID(x), at, seq})
	}
}

func (s *Store) fold(k facet.Key, hash Hash, e *event.Event, seq uint64) {
	if !s.detached {
		s.index = append(s.index, indexed{hash, e.Timestamp, seq})
	}
	h := s.facets[hash]
	if h == nil {
		h = s.newFacet(k, hash)
		for _, x := range owners(k) {
			s.grew(s.nodes[x], seq, e.ReceivedAt)
		}
	}
	if seq <= h.applied && !s.detached { // which comes by month of receipt, not by number
		if s.judges { // what it changed is not known any more
			s.folded(k, facet.Everything(), seq, e.ReceivedAt)
		}
		return
	}
	h.applied, h.used = max(h.applied, seq), true
	s.contributed(k)
	folded := h.f.Fold(e, seq, &s.o.Rules)
	s.stats.TraitsOverLimit += int64(folded.Refused)
	if s.judges {
		if folded.Renewed != 0 && s.isJoined(k) {
			folded.Change.Core |= folded.Renewed
		}
		s.folded(k, folded.Change, seq, e.ReceivedAt)
	}
	if !h.dirty {
		h.dirty = true
		s.dirtyFacets = append(s.dirtyFacets, h)
	}
}

// isJoined says that the profile that a facet belongs to may be of others as well.
func (s *Store) isJoined(k facet.Key) bool {
	if k.AnonymousID != "" && k.UserID != "" {
		return true
	}
	n := s.nodes[k.Owner(id.VerifiedView, false)]
	if n == nil {
		return false // nobody's
	}
	c := n.clusters[id.VerifiedView]
	// Without links it is alone, and nobody needs to have made a cluster to know it.
	return len(n.facets) > 1 || len(n.pairs) > 0 && (c == nil || len(c.Members) > 1)
}

func (n *node) hasFacet(h Hash) bool {
	if len(n.facets) <= few {
		return slices.Contains(n.facets, h)
	}
	if len(n.byHash) != len(n.facets) {
		n.byHash = make(map[Hash]struct{}, 2*len(n.facets))
		for _, h := range n.facets {
			n.byHash[h] = struct{}{}
		}
	}
	_, ok := n.byHash[h]
	return ok
}

func (n *node) addFacet(h Hash) {
	n.facets = append(n.facets, h)
	if n.byHash != nil {
		n.byHash[h] = struct{}{}
	}
}

func (s *Store) touch(n *node) {
	if !n.dirty {
		n.dirty = true
		s.dirtyNodes = append(s.dirtyNodes, n)
	}
}

func (s *Store) setSession(visitor string, x Session, at int64) {
	for _, owner := range s.sessionOwners(visitor, x) {
		s.index = append(s.index, indexed{owner, at, x.Seq})
	}
	n := s.nodes[id.ID{Type: id.AnonymousID, Value: visitor}]
	if x.Seq < n.session.Seq {
		return
	}
	n.session = x
	n.session.User = strings.Clone(x.User)
	n.dirtySession = true
	s.touch(n)
}

// sessionOwners are those whose erasure takes a session's entry away.
func (s *Store) sessionOwners(visitor string, x Session) []Hash {
	owners := []Hash{s.hashID(id.ID{Type: id.AnonymousID, Value: visitor})}
	if x.User != "" {
		owners = append(owners, s.hashID(id.ID{Type: id.UserID, Value: x.User}))
	}
	return owners
}

// newFacet makes a facet that is stored nowhere and tells its identifiers.
func (s *Store) newFacet(k facet.Key, hash Hash) *held {
	k.AnonymousID, k.UserID = strings.Clone(k.AnonymousID), strings.Clone(k.UserID)
	h := &held{f: &facet.Facet{Key: k}, hash: hash, used: true, fresh: true}
	s.facets[hash] = h
	for _, x := range owners(k) {
		n := s.nodes[x]
		n.addFacet(hash)
		n.freshFacets++
		s.touch(n)
	}
	return h
}

// owners are the identifiers that a facet can be found by.
func owners(k facet.Key) []id.ID {
	list := make([]id.ID, 0, 2)
	if k.AnonymousID != "" {
		list = append(list, id.ID{Type: id.AnonymousID, Value: k.AnonymousID})
	}
	if k.UserID != "" {
		list = append(list, id.ID{Type: id.UserID, Value: k.UserID})
	}
	return list
}

// newNode makes an identifier known in memory that is stored nowhere.
func (s *Store) newNode(x id.ID) *node {
	if n := s.nodes[x]; n != nil {
		return n
	}
	x = id.ID{Type: strings.Clone(x.Type), Value: strings.Clone(x.Value)}
	n := &node{id: x, hash: s.hashID(x), used: true}
	s.nodes[x] = n
	return n
}
