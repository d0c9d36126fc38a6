package people

import (
	"errors"
	"slices"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
)

// Exclude keeps the event out of everything that people know: it folds into no
// facet and links nobody. It lies in the log for as long as the log's tail does,
// and is taken once like any other.
func (it *Item) Exclude() { it.Excluded, it.Links = true, it.Links[:0] }

// ExcludedNaming gives up to most of the excluded events that name one of these
// identifiers, newest entry first, from before an entry on: the ones that an
// erasure would take away. 0 begins at the end; next is where to go on, 0 when
// there are no more.
func (s *Store) ExcludedNaming(ids []id.ID, before uint64, most int) (list []*event.Event, next uint64, err error) {
	if _, full := s.o.DB.Full(); !full { // else what has been indexed must do
		if err := s.Checkpoint(); err != nil {
			return nil, 0, err
		}
	}
	for range settleRetries {
		list, next, err = s.excludedNaming(ids, before, most)
		var trimmed *eventlog.TrimmedError
		if !errors.As(err, &trimmed) {
			break
		} // the tail ended between the look at the index and that at the log
	}
	return list, next, err
}

func (s *Store) excludedNaming(ids []id.ID, before uint64, most int) (list []*event.Event, next uint64, err error) {
	// Their sessions and an operator's evidence stand under them as well: these few
	// are read and left out.
	var seqs []uint64
	for _, x := range ids {
		lower, upper := keyspace.Bounds(keyspace.AppendEventPrefix(nil, s.hashID(x)))
		err := s.o.DB.Iter(lower, upper, func(k, _ []byte) (bool, error) {
			_, _, seq, err := keyspace.ParseEvent(k)
			if before == 0 || seq < before {
				seqs = append(seqs, seq)
			}
			return true, err
		})
		if err != nil {
			return nil, 0, err
		}
	}
	slices.Sort(seqs)
	seqs = slices.Compact(seqs)
	if len(seqs) > most {
		seqs = seqs[len(seqs)-most:]
		next = seqs[0]
	}
	err = s.o.Log.GetMany(seqs, func(_ uint64, _ int64, entry []byte) (bool, error) {
		if len(entry) == 0 || entry[0] != entryExcluded {
			return true, nil
		}
		e := &event.Event{}
		_, err := decodeEvent(e, string(entry[1:]))
		list = append(list, e)
		return true, err
	})
	slices.Reverse(list)
	return list, next, err
}
