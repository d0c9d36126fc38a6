package people

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
)

// Place is where an event stands in a timeline: by time, then by its entry. An entry of
// transitions has several, of which Nth is one: a page may end among them.
type Place struct {
	Time int64
	Seq  uint64
	Nth  uint32
}

// Bytes is what a page's cursor carries of a place: 16 bytes, and 4 more unless Nth is 0.
func (p Place) Bytes() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(p.Time))
	b = binary.BigEndian.AppendUint64(b, p.Seq)
	if p.Nth > 0 {
		b = binary.BigEndian.AppendUint32(b, p.Nth)
	}
	return b
}

// ParsePlace reads what Bytes wrote, and nothing else.
func ParsePlace(b []byte) (p Place, ok bool) {
	if len(b) != 16 && len(b) != 20 {
		return p, false
	}
	p = Place{Time: int64(binary.BigEndian.Uint64(b)), Seq: binary.BigEndian.Uint64(b[8:])}
	if len(b) == 20 {
		p.Nth = binary.BigEndian.Uint32(b[16:])
	}
	return p, len(b) == 16 || p.Nth > 0
}

func (p Place) compare(o Place) int {
	return cmp.Or(cmp.Compare(p.Time, o.Time), cmp.Compare(p.Seq, o.Seq), cmp.Compare(p.Nth, o.Nth))
}

// Timeline gives up to limit events of the facets, newest first, from before a
// place on; a zero Place begins at the end. next is where to go on, zero when
// there is nothing more. fn may keep the event. Among them are the audiences that those
// entered and left who own the facets, as events that AudienceEntered names.
func (s *Store) Timeline(facets []facet.Key, before Place, limit int, fn func(p Place, e *event.Event) error) (next Place, err error) {
	// Events that wait for a checkpoint have no index entry yet. On a full disk no
	// checkpoint ends, and reads go on.
	_, full := s.o.DB.Full()
	if !full {
		if err := s.Checkpoint(); err != nil {
			return Place{}, err
		}
	}
	owners := make([]Hash, len(facets))
	for i, k := range facets {
		owners[i] = s.hashFacet(k)
	}
	var found []placed
	for range settleRetries {
		found = nil
		if full {
			found = s.unindexed(owners, before)
		}
		found, err = s.newestEvents(owners, before, limit+1, found)
		if err == nil && s.stands.Load() {
			found, err = s.withTransitions(found, ownersOf(facets), before, limit+1)
		}
		var trimmed *eventlog.TrimmedError
		if !errors.As(err, &trimmed) {
			break
		} // settled between the look at the index and that at the log: now it is in a history
	}
	if err != nil {
		return Place{}, err
	}
	if len(found) > limit {
		found = found[:limit]
		next = found[limit-1].Place
	}
	for _, p := range found {
		if err := fn(p.Place, p.e); err != nil {
			return Place{}, err
		}
	}
	return next, nil
}

// settleRetries is how often a timeline is begun anew because the log gave up
// what it was about to read. That happens once in a tail's length of time.
const settleRetries = 3

// ownersOf are those whom facets belong to, whatever was claimed.
func ownersOf(facets []facet.Key) (list []id.ID) {
	for _, k := range facets {
		if x := k.Owner(id.VerifiedView, false); !x.IsZero() && !slices.Contains(list, x) {
			list = append(list, x)
		}
	}
	return list
}

// withTransitions adds the transitions of ids to found, and gives the newest.
func (s *Store) withTransitions(found []placed, ids []id.ID, before Place, most int) ([]placed, error) {
	list, err := s.readTransitions(ids, before, most)
	for i := range list {
		found = append(found, placed{list[i].place(), list[i].event()})
	}
	return newest(found, most), err
}

// newestEvents gives the most newest events before a place, newest first. The
// index is read before the histories: what settles meanwhile is then seen
// twice, and never not at all.
func (s *Store) newestEvents(owners []Hash, before Place, most int, found []placed) ([]placed, error) {
	for _, o := range owners {
		places, err := s.places(o, before, most)
		if err != nil {
			return nil, err
		}
		for _, p := range places {
			found = append(found, placed{Place: p})
		}
	}
	found, err := s.settled(owners, before, most, found)
	if err != nil {
		return nil, err
	}
	var seqs []uint64
	for _, p := range found {
		if p.e == nil {
			seqs = append(seqs, p.Seq)
		}
	}
	slices.Sort(seqs)
	events := make(map[uint64]*event.Event, len(seqs))
	err = s.o.Log.GetMany(seqs, func(seq uint64, _ int64, entry []byte) (bool, error) {
		if len(entry) > 0 && entry[0] == entryErased {
			return true, nil // since the index was read
		}
		if len(entry) == 0 || entry[0] != entryEvent {
			return false, fmt.Errorf("people: entry %d is indexed as an event and is none", seq)
		}
		e := &event.Event{}
		_, err := decodeEvent(e, string(entry[1:]))
		events[seq] = e
		return err == nil, err
	})
	for i := range found {
		if found[i].e == nil {
			found[i].e = events[found[i].Seq]
		}
	}
	return slices.DeleteFunc(found, func(p placed) bool { return p.e == nil }), err
}

// unindexed gives the durable events of these owners that have no index entry
// yet.
func (s *Store) unindexed(owners []Hash, before Place) (found []placed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := s.o.Log.Durable()
	for _, list := range [...][]indexed{s.index, s.indexing} {
		for _, x := range list {
			p := Place{Time: x.time, Seq: x.seq}
			if x.seq <= end && slices.Contains(owners, x.facet) && (before == (Place{}) || p.compare(before) < 0) {
				found = append(found, placed{Place: p})
			}
		}
	}
	return found
}

// places lists entries of a facet, or an identifier, of which something stands before a
// place, newest first.
func (s *Store) places(h Hash, before Place, limit int) (list []Place, err error) {
	lower, upper := keyspace.Bounds(keyspace.AppendEventPrefix(nil, h))
	if before != (Place{}) {
		upper = keyspace.AppendEvent(nil, h, before.Time, before.Seq)
		if before.Nth > 0 {
			upper = append(upper, 0) // with the entry that it is of
		}
	}
	err = s.o.DB.IterReverse(lower, upper, func(k, _ []byte) (bool, error) {
		_, ms, seq, err := keyspace.ParseEvent(k)
		list = append(list, Place{Time: ms, Seq: seq})
		return len(list) < limit, err
	})
	return list, err
}

// Quarantine gives up to limit refused messages, newest first, from before an
// entry on; 0 begins at the end.
func (s *Store) Quarantine(before uint64, limit int) (list []Refused, err error) {
	if err := s.Checkpoint(); err != nil {
		return nil, err
	}
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Quarantine))
	if before != 0 {
		upper = keyspace.AppendQuarantine(nil, before)
	}
	err = s.o.DB.IterReverse(lower, upper, func(k, v []byte) (bool, error) {
		seq, err := keyspace.ParseQuarantine(k)
		if err != nil {
			return false, err
		}
		x, err := s.refusedAt(seq, v)
		if err == nil {
			list = append(list, x)
		}
		return len(list) < limit, err
	})
	return list, err
}

// refusedAt reads a refused message: from the log's tail, or from v, where it
// has settled.
func (s *Store) refusedAt(seq uint64, v []byte) (x Refused, err error) {
	read := func(entry string) (err error) {
		if entry == "" || entry[0] != entryRefused {
			return fmt.Errorf("people: entry %d is in the quarantine and was not refused", seq)
		}
		x, err = parseRefused(entry[1:])
		x.Seq = seq
		return err
	}
	if len(v) == 0 {
		err = s.o.Log.Get(seq, func(_ int64, entry []byte) error { return read(string(entry)) })
		var trimmed *eventlog.TrimmedError
		if !errors.As(err, &trimmed) {
			return x, err
		} // it has settled since v was read
		if _, err := s.o.DB.Get(keyspace.AppendQuarantine(nil, seq), func(now []byte) error { v = slices.Clone(now); return nil }); err != nil {
			return x, err
		}
	}
	plain, err := s.openRefused(seq, v)
	if err != nil {
		return x, err
	}
	return x, read(string(plain))
}

// hashRefused is the owner of the key that a refused message is settled under:
// each has its own, so that one can be forgotten without the others.
func (s *Store) hashRefused(seq uint64) Hash {
	return s.o.Vault.HashKey("refused", strconv.FormatUint(seq, 10))
}
