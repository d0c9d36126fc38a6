package people

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/storage/keyspace"
)

// Place is where an event stands in a timeline: by time, then by its entry.
type Place struct {
	Time int64
	Seq  uint64
}

func (p Place) compare(o Place) int {
	return cmp.Or(cmp.Compare(p.Time, o.Time), cmp.Compare(p.Seq, o.Seq))
}

// Timeline gives up to limit events of the facets, newest first, from before a
// place on; a zero Place begins at the end. next is where to go on, zero when
// there is nothing more. fn may keep the event.
func (s *Store) Timeline(facets []facet.Key, before Place, limit int, fn func(p Place, e *event.Event) error) (next Place, err error) {
	// Events that wait for a checkpoint have no index entry yet.
	if err := s.Checkpoint(); err != nil {
		return Place{}, err
	}
	var found []Place
	for _, k := range facets {
		places, err := s.places(s.hashFacet(k), before, limit+1)
		if err != nil {
			return Place{}, err
		}
		found = append(found, places...)
	}
	slices.SortFunc(found, func(a, b Place) int { return b.compare(a) })
	if len(found) > limit {
		found = found[:limit]
		next = found[limit-1]
	}
	seqs := make([]uint64, len(found))
	for i, p := range found {
		seqs[i] = p.Seq
	}
	slices.Sort(seqs)
	events := make(map[uint64]*event.Event, len(seqs))
	err = s.o.Log.GetMany(seqs, func(seq uint64, _ int64, entry []byte) (bool, error) {
		if len(entry) == 0 || entry[0] != entryEvent {
			return false, fmt.Errorf("people: entry %d is indexed as an event and is none", seq)
		}
		e := &event.Event{}
		_, err := decodeEvent(e, string(entry[1:]))
		events[seq] = e
		return err == nil, err
	})
	if err != nil {
		return Place{}, err
	}
	for _, p := range found {
		if err := fn(p, events[p.Seq]); err != nil {
			return Place{}, err
		}
	}
	return next, nil
}

// places lists a facet's events before a place, newest first.
func (s *Store) places(h Hash, before Place, limit int) (list []Place, err error) {
	lower, upper := keyspace.Bounds(keyspace.AppendEventPrefix(nil, h))
	if before != (Place{}) {
		upper = keyspace.AppendEvent(nil, h, before.Time, before.Seq)
	}
	err = s.o.DB.IterReverse(lower, upper, func(k, _ []byte) (bool, error) {
		_, ms, seq, err := keyspace.ParseEvent(k)
		list = append(list, Place{ms, seq})
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
	err = s.o.DB.IterReverse(lower, upper, func(k, _ []byte) (bool, error) {
		seq, err := keyspace.ParseQuarantine(k)
		if err != nil {
			return false, err
		}
		err = s.o.Log.Get(seq, func(_ int64, entry []byte) error {
			if len(entry) == 0 || entry[0] != entryRefused {
				return fmt.Errorf("people: entry %d is in the quarantine and was not refused", seq)
			}
			x, err := parseRefused(string(entry[1:]))
			x.Seq = seq
			list = append(list, x)
			return err
		})
		return len(list) < limit, err
	})
	return list, err
}
