package people

import (
	"fmt"
	"slices"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// A history is what an owner's log entries became when they settled: a facet's
// events, an identifier's evidence by operators. It stands by month of receipt,
// in chunks that are compressed and sealed under the owner's key.

// chunk is a part of a history as it is stored.
type chunk struct {
	key    []byte
	month  keyspace.Month
	origin uint16
	h      record.ChunkHeader
	value  []byte
}

// newest is where the chunk's newest entry stands, or before that.
func (c *chunk) newest() Place { return Place{Time: c.h.MaxTime, Seq: c.h.Last} }

// listMonths finds the months that histories have, oldest first.
func (s *Store) listMonths() (list []keyspace.Month, err error) {
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.History))
	for more := true; more && err == nil; {
		more = false
		err = s.o.DB.Iter(lower, upper, func(k, _ []byte) (bool, error) {
			m, _, _, _, err := keyspace.ParseHistory(k)
			list = append(list, m)
			lower = keyspace.AppendMonth(lower[:0:0], m+1)
			more = true
			return false, err
		})
	}
	return list, err
}

// chunks lists an owner's chunks, oldest month first.
func (s *Store) chunks(owner Hash) (list []chunk, err error) {
	s.mu.Lock()
	months := s.months // never changed in place
	s.mu.Unlock()
	for _, m := range months {
		lower, upper := keyspace.Bounds(keyspace.AppendHistoryPrefix(nil, m, owner))
		err := s.o.DB.Iter(lower, upper, func(k, v []byte) (bool, error) {
			c, err := parseChunk(k, v)
			c.key, c.value = slices.Clone(k), slices.Clone(v)
			list = append(list, c)
			return true, err
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// parseChunk reads a chunk's place and header; the parts are k's and v's.
func parseChunk(k, v []byte) (c chunk, err error) {
	m, _, origin, first, err := keyspace.ParseHistory(k)
	if err != nil {
		return c, err
	}
	h, _, err := record.ParseChunkHeader(v, first)
	if err != nil {
		return c, fmt.Errorf("people: history %x: %w", k, err)
	}
	return chunk{key: k, month: m, origin: origin, h: h, value: v}, nil
}

// openChunk gives a chunk's entries, which are scratch's until its next use.
func (s *Store) openChunk(owner Hash, c *chunk, scratch *record.Scratch) (plain []byte, err error) {
	key, err := s.o.Vault.FacetKey(owner, false, nil)
	if err != nil {
		return nil, fmt.Errorf("people: history %x: %w", c.key, err)
	}
	_, plain, err = s.codec.Decode(c.value, key, c.key, c.h.First, scratch)
	if err != nil {
		return nil, fmt.Errorf("people: history %x: %w", c.key, err)
	}
	return plain, nil
}

// eachSettled walks the entries of a chunk.
func (s *Store) eachSettled(owner Hash, c *chunk, scratch *record.Scratch, fn func(seq uint64, receivedAt, at int64, entry []byte) error) error {
	plain, err := s.openChunk(owner, c, scratch)
	if err != nil {
		return err
	}
	return record.ChunkEntries(plain, c.h, func(seq uint64, receivedAt, at int64, entry []byte) (bool, error) {
		return true, fn(seq, receivedAt, at, entry)
	})
}

// placed is an event with its place.
type placed struct {
	Place
	e *event.Event // nil: it is in the log's tail and not read yet
}

// settled adds to found the newest events of the owners' histories that come
// before a place, as many as are needed to have most of them all together, and
// gives the newest, newest first. A chunk is opened only when its times say that
// it may hold one of them.
func (s *Store) settled(owners []Hash, before Place, most int, found []placed) ([]placed, error) {
	type owned struct {
		owner Hash
		chunk
	}
	var list []owned
	for _, o := range owners {
		chunks, err := s.chunks(o)
		if err != nil {
			return nil, err
		}
		for _, c := range chunks {
			if before == (Place{}) || c.h.MinTime <= before.Time {
				list = append(list, owned{o, c})
			}
		}
	}
	slices.SortFunc(list, func(a, b owned) int {
		return b.newest().compare(a.newest())
	})
	var scratch record.Scratch
	found = newest(found, most)
	for i := range list {
		c := &list[i]
		if len(found) == most && c.h.MaxTime < found[most-1].Time {
			break
		}
		err := s.eachSettled(c.owner, &c.chunk, &scratch, func(seq uint64, _, at int64, entry []byte) error {
			p := Place{Time: at, Seq: seq}
			if before != (Place{}) && p.compare(before) >= 0 {
				return nil
			}
			e := &event.Event{}
			if len(entry) == 0 || entry[0] != entryEvent {
				return fmt.Errorf("people: history %x: entry %d is no event", c.key, seq)
			}
			if _, err := decodeEvent(e, string(entry[1:])); err != nil {
				return fmt.Errorf("people: history %x: entry %d: %w", c.key, seq, err)
			}
			found = append(found, placed{p, e})
			return nil
		})
		if err != nil {
			return nil, err
		}
		found = newest(found, most)
	}
	return found, nil
}

// newest sorts found, newest first, and keeps most of it. An event that settled
// while it was being looked for is there twice; one with its content stays.
func newest(found []placed, most int) []placed {
	slices.SortStableFunc(found, func(a, b placed) int { return b.compare(a.Place) })
	out := found[:0]
	for _, p := range found {
		if n := len(out); n > 0 && out[n-1].Place == p.Place {
			if out[n-1].e == nil {
				out[n-1] = p
			}
			continue
		}
		out = append(out, p)
	}
	return out[:min(len(out), most)]
}
