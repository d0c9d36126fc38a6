package people

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// eraser gathers one erasure's deletions. The first error stays.
type eraser struct {
	s       *Store
	b       *engine.Batch
	e       *Erasure
	gone    map[Hash]bool     // identifiers and facets
	entries map[uint64]bool   // to overwrite in the log's tail
	ownKeys map[Hash]bool     // whose data keys go
	others  map[Hash][]uint64 // entries that go from the histories of those who stay
	scratch record.Scratch
	err     error
}

func (g *eraser) note(err error) {
	if g.err == nil {
		g.err = err
	}
}

// each walks the keys that begin with prefix, and deletes them.
func (g *eraser) each(prefix []byte, fn func(k, v []byte) error) {
	lower, upper := keyspace.Bounds(prefix)
	any := false
	g.note(g.s.o.DB.Iter(lower, upper, func(k, v []byte) (bool, error) {
		any = true
		return true, fn(k, v)
	}))
	if any {
		g.b.DeleteRange(lower, upper)
	}
}

// facet deletes a facet: its record, its events here and in the tail, the names
// that lead to it.
func (g *eraser) facet(h Hash) {
	s := g.s
	g.ownKeys[h] = true
	g.indexed(h, false)
	g.history(h, false)
	x, err := s.readFacet(h)
	if err != nil {
		g.note(err)
		return
	}
	if x == nil {
		return
	}
	g.e.Counts.Facets++
	g.b.Delete(keyspace.AppendFacet(nil, h))
	for _, o := range owners(x.f.Key) {
		g.b.Delete(keyspace.AppendNode(nil, s.hashID(o), h))
	}
}

// identifier deletes what is kept of an identifier, and its side of everything
// that is kept of others, and puts a tombstone.
func (g *eraser) identifier(h Hash, at int64) {
	s := g.s
	g.ownKeys[h] = true
	g.standing(h)
	lower, upper := keyspace.Bounds(keyspace.AppendNodePrefix(nil, h))
	g.note(s.o.DB.Iter(lower, upper, func(k, _ []byte) (bool, error) {
		_, facet, err := keyspace.ParseNode(k)
		if g.gone[facet] {
			g.b.Delete(k)
		} else { // one that is somebody else's keeps its names
			g.wake(h)
		}
		return true, err
	}))
	g.each(keyspace.AppendPairPrefix(nil, h), func(k, _ []byte) error {
		_, other, err := keyspace.ParsePair(k)
		g.e.Counts.Evidence++
		if !g.gone[other] && other != s.hashID(graph.Everybody()) {
			g.wake(other)
		}
		g.b.Delete(keyspace.AppendPair(nil, other, h))
		return err
	})
	session := keyspace.AppendSession(nil, h)
	found, err := s.o.DB.Get(session, func([]byte) error { return nil })
	g.note(err)
	if found {
		g.e.Counts.Sessions++
		g.b.Delete(session)
	}
	g.indexed(h, true)
	g.history(h, true)

	place := keyspace.AppendTombstone(nil, h)
	_, err = s.o.DB.Get(place, func(v []byte) error { // it was erased before
		before, err := decodeTombstone(v)
		switch {
		case err != nil:
			return err
		case before.at > at: // by an erasure that is repeated after a later one
			at = before.at
		case before.at < at:
			g.b.Delete(keyspace.AppendAgain(nil, s.hashAgain(h, before.at)))
		}
		return nil
	})
	g.note(err)
	g.b.Set(place, tombstone{at, g.e.Seq}.append(nil))
	g.b.Set(keyspace.AppendAgain(nil, s.hashAgain(h, at)), append([]byte{againVersion}, h[:]...))
}

// wake has somebody judged at the next start whom the person leaves: should the power fail
// before they are.
func (g *eraser) wake(h Hash) {
	if g.s.judges {
		g.b.Set(keyspace.AppendDue(nil, wakeSecond, h), nil)
	}
}

// standing deletes the standing of the person whom an identifier represents.
func (g *eraser) standing(h Hash) {
	s := g.s
	g.b.Delete(keyspace.AppendDue(nil, wakeSecond, h))
	key := keyspace.AppendStanding(nil, h)
	found, err := s.o.DB.Get(key, func(v []byte) error {
		plain, err := s.unseal(h, key, v)
		if err != nil {
			return err
		}
		_, _, st, err := decodeStand(string(plain))
		if err != nil {
			return err
		}
		x := storedOf(st)
		for _, m := range x.in {
			g.b.Delete(keyspace.AppendMember(nil, m.Audience, h))
		}
		if x.due != noDue {
			g.b.Delete(keyspace.AppendDue(nil, x.due, h))
		}
		return nil
	})
	g.note(err)
	if found {
		g.b.Delete(key)
	}
}

// indexed takes an owner's entries out of the tail. Those of an identifier name
// another one too, whose index must not lead to what is not there.
func (g *eraser) indexed(h Hash, shared bool) {
	g.each(keyspace.AppendEventPrefix(nil, h), func(k, _ []byte) error {
		_, at, seq, err := keyspace.ParseEvent(k)
		if err != nil {
			return err
		}
		if seq > g.e.Seq && g.s.replaying {
			return nil // a checkpoint was ahead of its cursor: the replay comes to it
		}
		if seq > g.e.Seq {
			return fmt.Errorf("entry %d came after the erasure %d and is in the index already", seq, g.e.Seq)
		}
		g.entries[seq] = true
		if !shared {
			g.e.Counts.Events++
			return nil
		}
		return g.s.o.Log.Get(seq, func(_ int64, entry []byte) error {
			for _, other := range g.s.sharers(entry) {
				if !g.gone[other] {
					g.b.Delete(keyspace.AppendEvent(nil, other, at, seq))
				}
			}
			return nil
		})
	})
}

// sharers are the identifiers that the entry of a session, of evidence or of an
// excluded event stands under.
func (s *Store) sharers(entry []byte) []Hash {
	if len(entry) == 0 {
		return nil
	}
	switch entry[0] {
	case entrySession:
		if visitor, x, err := parseSession(string(entry[1:])); err == nil {
			return s.sessionOwners(visitor, x)
		}
	case entryExcluded:
		var e event.Event
		if _, err := decodeEvent(&e, string(entry[1:])); err == nil {
			hashes := make([]Hash, 0, 2)
			for _, x := range owners(facet.KeyOf(&e, 0)) {
				hashes = append(hashes, s.hashID(x))
			}
			return hashes
		}
	case entryEvidence:
		if e, err := parseEvidence(string(entry[1:])); err == nil {
			return []Hash{s.hashID(e.A), s.hashID(e.B)}
		}
	}
	return nil
}

// history deletes an owner's history. Evidence is in the other identifier's
// history as well, and what the log still has of any of it must go there.
func (g *eraser) history(h Hash, shared bool) {
	s := g.s
	list, err := s.chunks(h)
	g.note(err)
	head := s.o.Log.Head()
	for i := range list {
		c := &list[i]
		g.e.Counts.Chunks++
		g.b.Delete(c.key)
		if !shared {
			g.e.Counts.Events += int64(c.h.Count)
		}
		if !shared && c.h.Last < head {
			continue
		}
		g.note(s.eachSettled(h, c, &g.scratch, func(seq uint64, _, _ int64, entry []byte) error {
			if seq >= head {
				g.entries[seq] = true
			}
			for _, other := range s.sharers(entry) {
				if shared && !g.gone[other] {
					g.others[other] = append(g.others[other], seq)
				}
			}
			return nil
		}))
	}
}

// without writes an owner's history anew without some of its entries: once for all
// that go, since it reads what was there before the batch.
func (g *eraser) without(owner Hash, seqs []uint64) {
	s := g.s
	list, err := s.chunks(owner)
	g.note(err)
	for i := range list {
		c := &list[i]
		var b record.ChunkBuilder
		g.note(s.eachSettled(owner, c, &g.scratch, func(seq uint64, receivedAt, at int64, entry []byte) error {
			if !slices.Contains(seqs, seq) {
				b.Add(seq, receivedAt, at, entry)
			}
			return nil
		}))
		if g.err != nil || b.Count() == c.h.Count {
			continue
		}
		g.b.Delete(c.key)
		if b.Count() == 0 {
			continue
		}
		key, err := s.o.Vault.FacetKey(owner, false, nil)
		if err != nil {
			g.note(err)
			return
		}
		place := keyspace.AppendHistory(nil, c.month, owner, c.origin, b.First())
		g.b.Set(place, s.codec.Encode(nil, &b, key, place))
	}
}

// sessions ends those of devices that stay. They lie under the devices' keys, and
// nothing leads to them from their user once their entries have settled.
func (g *eraser) sessions() {
	s := g.s
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Session))
	g.note(s.o.DB.Iter(lower, upper, func(k, v []byte) (bool, error) {
		device, err := keyspace.ParseSession(k)
		if err != nil || g.gone[device] {
			return true, err
		}
		plain, err := s.unseal(device, k, v)
		if err != nil {
			return false, err
		}
		x, err := decodeSession(string(plain))
		if err == nil && x.User != "" && g.gone[s.hashID(id.ID{Type: id.UserID, Value: x.User})] {
			g.e.Counts.Sessions++
			g.b.Delete(k)
		}
		return true, err
	}))
}

// settledTail finds what has settled into no history and is in the log still,
// since a reader is behind: nothing else leads to it any more.
func (g *eraser) settledTail() {
	s := g.s
	cursor, err := s.o.Log.Cursor(historyCursor)
	g.note(err)
	for head := s.o.Log.Head(); g.err == nil && cursor.Seq >= head; head = s.o.Log.Head() {
		err := s.o.Log.Read(head, func(seq uint64, _ int64, entry []byte) (bool, error) {
			if seq > cursor.Seq {
				return false, nil
			}
			if len(entry) == 0 || entry[0] != entrySession && entry[0] != entryExcluded {
				return true, nil
			}
			for _, owner := range s.sharers(entry) {
				if g.gone[owner] {
					g.entries[seq] = true
				}
			}
			return true, nil
		})
		if !settledMeanwhile(err) { // else the log gave up its head just now, and has a newer one
			g.note(err)
			return
		}
	}
}

// refused deletes the refused messages that name the person. They were never
// taken apart, so each text in them is tried as each type of identifier.
func (g *eraser) refused() {
	s := g.s
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Quarantine))
	g.note(s.o.DB.Iter(lower, upper, func(k, v []byte) (bool, error) {
		seq, err := keyspace.ParseQuarantine(k)
		if err != nil {
			return false, err
		}
		if seq > g.e.Seq {
			return true, nil // about somebody new; only a replay comes here
		}
		x, err := s.refusedAt(seq, v)
		if err != nil {
			return false, err
		}
		if !s.names(x.Raw, g.gone) {
			return true, nil
		}
		g.e.Counts.Refused++
		g.b.Delete(k)
		if len(v) > 0 {
			g.ownKeys[s.hashRefused(seq)] = true
		}
		if seq >= s.o.Log.Head() {
			g.entries[seq] = true
		}
		return true, nil
	}))
}

// names says that a text of the message raw, between quotes, is one of these
// identifiers. raw may be anything: it was refused.
func (s *Store) names(raw string, ids map[Hash]bool) bool {
	for raw != "" {
		_, rest, ok := strings.Cut(raw, `"`)
		if !ok {
			return false
		}
		end := 0
		for end < len(rest) && rest[end] != '"' {
			if rest[end] == '\\' {
				end++
			}
			end++
		}
		end = min(end, len(rest))
		text := event.Value(`"` + rest[:end] + `"`).Text()
		for _, t := range s.o.Types.Names() {
			if x, verdict := s.o.Types.Normalise(t, text); verdict == id.OK && ids[s.hashID(x)] {
				return true
			}
		}
		raw = rest[min(end+1, len(rest)):]
	}
	return false
}
