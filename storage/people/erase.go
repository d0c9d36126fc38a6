package people

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// Erasing a person goes in two steps.
//
// Erase decides: under the lock it finds out who and what belongs to the
// person, gives the decision a place in the log and takes them out of memory.
// From here on nobody sees them. Then the records go, and tombstones come, in
// one synced batch. What arrives later and is older than the decision is
// dropped; the same identifier seen again is somebody new.
//
// Shred makes it physical: entries in the log's tail are overwritten, data keys
// destroyed and their neighbours wrapped anew, tables rewritten, old files gone.
// It can be done again at any time, and is, when the program ended in between.
//
// Invariant: an identifier's and a facet's records are from after its last
// erasure. Checkpoints and settling stand still between the decision and the
// batch, so nothing can be written that was decided to go; and a checkpoint
// that moves its cursor past the decision comes after the batch. A crash in
// between leaves the decision in the log's tail, where the replay finds it.

// Erase erases the person that x belongs to in the request's view. ErrUnknown when nothing
// is stored about x. The person's data can no longer be read when it returns;
// Shred then takes it off the disk.
func (s *Store) Erase(x id.ID, request EraseRequest) (*Erasure, error) {
	s.maintain.Lock()
	defer s.maintain.Unlock()
	s.checkpoint.Lock()
	defer s.checkpoint.Unlock()
	who, err := s.decideOn(x, request)
	if err != nil {
		return nil, err
	}
	err = who.ticket.Wait()
	var e *Erasure
	if err == nil {
		e, err = s.eraseRecords(who.seq, who.erasure, who.unindexed...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		// Memory has forgotten what the disk may still have: only a restart, which
		// finds the decision in the log or does not, can tell.
		s.failed = fmt.Errorf("people: an erasure was broken off; restart the gateway: %w", err)
		return nil, s.failed
	}
	s.erasing = nil
	s.drops++ // what was loaded meanwhile may be from before
	return e, nil
}

// decideOn finds out who belongs to the person and decides.
func (s *Store) decideOn(x id.ID, request EraseRequest) (*decided, error) {
	var who *decided
	for range decideRetries {
		if err := s.writeDirty(); err != nil {
			return nil, err
		}
		err := s.see(func(w *want) (err error) {
			who, err = s.belongings(w, x, request)
			return err
		})
		if err != nil {
			return nil, err
		}
		kept, err := s.restate(who.facets, who.gone())
		if err != nil {
			return nil, err
		}
		err = s.see(func(w *want) error {
			now, err := s.belongings(w, x, request)
			if err != nil || now == nil {
				return err
			}
			for i := range kept {
				w.node(kept[i].A)
				w.node(kept[i].B)
			}
			if !w.none() {
				return nil
			}
			gone := now.gone()
			if !maps.Equal(gone, who.gone()) || slices.ContainsFunc(s.index, func(i indexed) bool { return gone[i.facet] }) {
				return errMoved // what is kept was read too early
			}
			who = now
			err = s.decide(who, kept)
			w.nodes, w.facets = nil, nil // what was asked for before is gone now
			return err
		})
		if !errors.Is(err, errMoved) {
			return who, err
		}
	}
	return nil, errMoved
}

// decideRetries is how often an erasure looks again because the person did
// something while their events were read.
const decideRetries = 20

var errMoved = errors.New("people: the person that is to be erased is too busy just now; try again")

// belongings gives who and what belongs to the person that x belongs to; nil
// while something must be loaded. The lock is held.
func (s *Store) belongings(w *want, x id.ID, request EraseRequest) (*decided, error) {
	n := w.node(x)
	if n != nil && len(n.pairs) == 0 && len(n.facets) == 0 {
		return nil, ErrUnknown
	}
	c, list := s.around(w, n, request.View)
	if c == nil {
		return nil, nil
	}
	who := &decided{erasure: erasure{EraseRequest: request}, members: slices.Clone(c.Members)}
	for _, x := range list {
		who.facets = append(who.facets, x.hash)
	}
	for _, m := range who.members {
		n := s.nodes[m]
		who.identifiers = append(who.identifiers, n.hash)
		// What was claimed of a user without a device is nobody's in the verified
		// view. It names them alone, and goes with them.
		for _, h := range n.facets {
			x := w.facet(h)
			if x == nil {
				return nil, nil
			}
			if x.f.Key.AnonymousID == "" && !slices.Contains(who.facets, h) {
				who.facets = append(who.facets, h)
			}
		}
	}
	for _, list := range [...][]Hash{who.identifiers, who.facets} {
		slices.SortFunc(list, func(a, b Hash) int { return slices.Compare(a[:], b[:]) })
	}
	return who, nil
}

// gone are the identifiers and facets of an erasure.
func (x *erasure) gone() map[Hash]bool {
	gone := map[Hash]bool{}
	for _, h := range slices.Concat(x.identifiers, x.facets) {
		gone[h] = true
	}
	return gone
}

// restate gives the evidence that events of these facets state about
// identifiers which stay. A device that was cut from its user takes its events
// with it, and what they said of the user's e-mail address is the user's: it is
// stated again by an entry of its own, so that it still follows from the log.
func (s *Store) restate(facets []Hash, gone map[Hash]bool) (kept []graph.Evidence, err error) {
	seen := map[graph.EvidenceID]bool{}
	look := func(seq uint64, entry []byte) error {
		if len(entry) == 0 || entry[0] != entryEvent {
			return nil
		}
		var e event.Event
		noLinks, err := decodeEvent(&e, string(entry[1:]))
		if err != nil {
			return fmt.Errorf("entry %d: %w", seq, err)
		}
		var it Item
		s.prepare(&it, &e, noLinks, seq)
		links, err := s.notErased(it.Links, seq)
		for _, l := range links {
			if !seen[l.ID] && !gone[s.hashID(l.A)] && !gone[s.hashID(l.B)] {
				seen[l.ID] = true
				kept = append(kept, l)
			}
		}
		return err
	}
	var scratch record.Scratch
	for _, h := range facets {
		places, err := s.places(h, Place{}, math.MaxInt)
		if err != nil {
			return nil, err
		}
		seqs := make([]uint64, len(places))
		for i, p := range places {
			seqs[i] = p.Seq
		}
		slices.Sort(seqs)
		err = s.o.Log.GetMany(seqs, func(seq uint64, _ int64, entry []byte) (bool, error) { return true, look(seq, entry) })
		if err != nil {
			return nil, err
		}
		chunks, err := s.chunks(h)
		if err != nil {
			return nil, err
		}
		for i := range chunks {
			err := s.eachSettled(h, &chunks[i], &scratch, func(seq uint64, _, _ int64, entry []byte) error { return look(seq, entry) })
			if err != nil {
				return nil, err
			}
		}
	}
	return kept, nil
}

// decided is an erasure on its way from the decision to the records.
type decided struct {
	erasure
	members   []id.ID
	unindexed []uint64 // entries that have no index yet
	seq       uint64
	ticket    eventlog.Ticket
}

// decide gives the erasure its place in the log and forgets the person in
// memory. The lock is held and everything of the person is loaded.
func (s *Store) decide(who *decided, kept []graph.Evidence) error {
	if s.failed != nil {
		return s.failed
	}
	who.at = s.o.Now().UnixMilli()
	gone := who.gone()
	told := len(s.index)
	for _, m := range who.members { // these entries go with the person, and readers may see them before
		if n := s.nodes[m]; n.stand != nil && n.stand.now != nil {
			s.become(n, nil, who.at, CauseErasure)
		}
	}
	for _, x := range s.index[told:] {
		who.unindexed = append(who.unindexed, x.seq)
	}
	for _, e := range kept {
		s.appendState(e, who.at) // the erasure's own ticket, which comes after, covers it
	}
	s.buf = who.erasure.append(s.buf[:0])
	if who.seq, who.ticket = s.o.Log.Append(s.buf, who.at); who.seq == 0 {
		return who.ticket.Wait()
	}
	s.applied = who.seq
	s.erased.Store(true) // events of the person that come from now on are late
	for _, m := range who.members {
		n := s.nodes[m]
		if graph.IsHeld(n.pairs, id.AllView) {
			s.held--
		}
		for _, p := range n.pairs {
			if other := s.nodes[p.Other(m)]; other != nil {
				if s.judges && !gone[other.hash] && other.id != graph.Everybody() {
					s.concernAll(other, who.seq, who.at)
				}
				other.dropPair(p)
				other.leave(s)
			}
		}
		n.leave(s)
		n.links, n.counted, n.networks = [2]int{}, false, networks{}
		// Facets that are somebody else's may name it still.
		n.pairs, n.byOther, n.newPairs = nil, nil, nil
		n.session, n.dirtySession, n.dirty = Session{}, false, false
		n.erased = who.at
		s.forgetStanding(n)
	}
	users := map[string]bool{}
	for _, m := range who.members {
		if m.Type == id.UserID {
			users[m.Value] = true
		}
	}
	for _, n := range s.nodes { // those of devices that stay
		if n.session.User != "" && users[n.session.User] {
			n.session, n.dirtySession = Session{}, false
		}
	}
	for _, h := range who.facets {
		x := s.facets[h]
		for _, o := range owners(x.f.Key) {
			if n := s.nodes[o]; n != nil {
				if s.judges && !gone[n.hash] {
					s.concernAll(n, who.seq, who.at)
					n.stand.page = nil
				}
				n.dropFacet(x)
				n.leave(s)
			}
		}
		delete(s.facets, h)
	}
	for _, m := range who.members {
		if n := s.nodes[m]; s.judges && len(n.facets) > 0 { // what others claimed to be them
			s.concernAll(n, who.seq, who.at)
		}
	}
	s.dirtyFacets = slices.DeleteFunc(s.dirtyFacets, func(x *held) bool { return gone[x.hash] })
	s.dirtyNodes = slices.DeleteFunc(s.dirtyNodes, func(n *node) bool { return gone[n.hash] })
	for _, x := range s.index {
		if gone[x.facet] {
			who.unindexed = append(who.unindexed, x.seq)
		}
	}
	// Evidence stands under both its identifiers, and goes with either.
	s.index = slices.DeleteFunc(s.index, func(x indexed) bool { return slices.Contains(who.unindexed, x.seq) })
	s.erasing, s.erasingAt = gone, who.at
	s.drops++
	return nil
}

func (n *node) dropPair(p *graph.Pair) {
	n.pairs = slices.DeleteFunc(n.pairs, func(q *graph.Pair) bool { return q.A == p.A && q.B == p.B })
	n.byOther, n.counted = nil, false
	delete(n.newPairs, p)
}

func (n *node) dropFacet(x *held) {
	n.facets = slices.DeleteFunc(n.facets, func(h Hash) bool { return h == x.hash })
	n.byHash = nil
	if x.fresh {
		n.freshFacets--
	}
}

// strip takes out of a node that was loaded during an erasure what is about to
// go from the disk. The lock is held.
func (s *Store) strip(n *node) {
	n.facets = slices.DeleteFunc(n.facets, func(h Hash) bool { return s.erasing[h] })
	if n.session.User != "" && s.erasing[s.hashID(id.ID{Type: id.UserID, Value: n.session.User})] {
		n.session = Session{}
	}
	if s.erasing[n.hash] {
		n.pairs, n.session, n.erased, n.stand = nil, Session{}, s.erasingAt, nil
		return
	}
	n.pairs = slices.DeleteFunc(n.pairs, func(p *graph.Pair) bool { return s.erasing[s.hashID(p.Other(n.id))] })
}

// replayErasure does again what the log says was decided. Nobody else uses the
// store yet.
func (s *Store) replayErasure(seq uint64, x erasure) error {
	s.oneJudge.Lock()
	defer s.oneJudge.Unlock()
	s.mu.Lock()
	s.owe() // those whom it leaves are judged when all is read
	s.mu.Unlock()
	if err := s.Checkpoint(); err != nil { // up to the entry before
		return err
	}
	s.mu.Lock()
	for i := range s.judging.concerns { // what was known in memory goes
		s.judging.concerns[i].wide = true
	}
	for _, n := range s.nodes {
		n.leave(s)
	}
	clear(s.nodes)
	s.addEverybody()
	clear(s.facets)
	s.drops++
	s.mu.Unlock()
	if _, err := s.eraseRecords(seq, x); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applied = seq
	return nil
}

// eraseRecords deletes every record of an erasure's identifiers and facets,
// leaves tombstones, and notes what is left to shred, all in one synced batch.
func (s *Store) eraseRecords(seq uint64, x erasure, unindexed ...uint64) (*Erasure, error) {
	e := &Erasure{Seq: seq, At: x.at, Origin: s.o.Log.OriginOf(seq), EraseRequest: x.EraseRequest,
		Identifiers: x.identifiers, Facets: x.facets}
	b := s.o.DB.NewBatch()
	defer b.Discard()
	g := eraser{s: s, b: b, e: e, gone: map[Hash]bool{}, entries: map[uint64]bool{}, ownKeys: map[Hash]bool{}, others: map[Hash][]uint64{}}
	for _, list := range [...][]Hash{x.identifiers, x.facets} {
		for _, h := range list {
			g.gone[h] = true
		}
	}
	for _, n := range unindexed {
		g.entries[n] = true
	}
	for _, h := range x.facets {
		g.facet(h)
	}
	for _, h := range x.identifiers {
		g.identifier(h, x.at)
	}
	for other, seqs := range g.others {
		g.without(other, seqs)
	}
	s.erased.Store(true) // the same when a restart does it again
	g.sessions()
	g.refused()
	g.settledTail()
	if g.err != nil {
		return nil, fmt.Errorf("people: erasing: %w", g.err)
	}
	for h := range g.ownKeys {
		s.o.Vault.DropFacetKey(h, b)
	}
	before, err := s.Erasure(seq)
	switch {
	case err == nil && before.Done: // the replay of one that was through already
		return before, b.Commit(true)
	case err == nil: // the replay of one whose records had gone already, with what led to the rest
		e.Counts = before.Counts
		for _, n := range before.Entries {
			g.entries[n] = true
		}
		for _, h := range before.Keys {
			g.ownKeys[h] = true
		}
	case !errors.Is(err, ErrUnknown):
		return nil, err
	}
	e.Entries = slices.Sorted(maps.Keys(g.entries))
	e.Keys = slices.Collect(maps.Keys(g.ownKeys))
	b.Set(keyspace.AppendErasure(nil, seq), e.append(nil))
	return e, b.Commit(true)
}
