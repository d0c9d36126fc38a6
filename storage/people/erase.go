package people

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
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
	if err := s.writeDirty(); err != nil {
		return nil, err
	}
	who := decided{erasure: erasure{EraseRequest: request}}
	err := s.see(func(w *want) error {
		n := w.node(x)
		if n != nil && len(n.pairs) == 0 && len(n.facets) == 0 {
			return ErrUnknown
		}
		c, list := s.around(w, n, request.View)
		if c == nil {
			return nil
		}
		who.members = slices.Clone(c.Members)
		for _, f := range list {
			who.facets = append(who.facets, s.hashFacet(f.Key))
		}
		err := s.decide(&who)        // around lacks nothing, so this is the last look,
		w.nodes, w.facets = nil, nil // and what was asked for before is gone now
		return err
	})
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
func (s *Store) decide(who *decided) error {
	if s.failed != nil {
		return s.failed
	}
	who.at = s.o.Now().UnixMilli()
	gone := map[Hash]bool{}
	for _, m := range who.members {
		h := s.nodes[m].hash
		who.identifiers = append(who.identifiers, h)
		gone[h] = true
	}
	for _, h := range who.facets {
		gone[h] = true
	}
	for _, list := range [...][]Hash{who.identifiers, who.facets} {
		slices.SortFunc(list, func(a, b Hash) int { return slices.Compare(a[:], b[:]) })
	}
	s.buf = who.erasure.append(s.buf[:0])
	if who.seq, who.ticket = s.o.Log.Append(s.buf, who.at); who.seq == 0 {
		return who.ticket.Wait()
	}
	s.applied = who.seq

	for _, m := range who.members {
		n := s.nodes[m]
		for _, p := range n.pairs {
			if other := s.nodes[p.Other(m)]; other != nil {
				other.dropPair(p)
			}
		}
		delete(s.nodes, m)
	}
	for _, h := range who.facets {
		if x := s.facets[h]; x != nil {
			for _, o := range owners(x.f.Key) {
				if n := s.nodes[o]; n != nil {
					n.dropFacet(h)
				}
			}
			delete(s.facets, h)
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
	s.shape++
	s.drops++
	return nil
}

func (n *node) dropPair(p *graph.Pair) {
	n.pairs = slices.DeleteFunc(n.pairs, func(q *graph.Pair) bool { return q.A == p.A && q.B == p.B })
	n.byOther = nil
	delete(n.newPairs, p)
}

func (n *node) dropFacet(h Hash) {
	n.facets = slices.DeleteFunc(n.facets, func(x Hash) bool { return x == h })
	n.byHash = nil
}

// strip takes out of a node that was loaded during an erasure what is about to
// go from the disk. The lock is held.
func (s *Store) strip(n *node) {
	n.facets = slices.DeleteFunc(n.facets, func(h Hash) bool { return s.erasing[h] })
	if s.erasing[n.hash] {
		n.pairs, n.session, n.erased = nil, Session{}, s.erasingAt
		return
	}
	n.pairs = slices.DeleteFunc(n.pairs, func(p *graph.Pair) bool { return s.erasing[s.hashID(p.Other(n.id))] })
}

// replayErasure does again what the log says was decided. Nobody else uses the
// store yet.
func (s *Store) replayErasure(seq uint64, x erasure) error {
	if err := s.Checkpoint(); err != nil { // up to the entry before
		return err
	}
	s.mu.Lock()
	clear(s.nodes)
	clear(s.facets)
	s.shape++
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
	g := eraser{s: s, b: b, e: e, gone: map[Hash]bool{}, entries: map[uint64]bool{}, ownKeys: map[Hash]bool{}}
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
	g.refused()
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
