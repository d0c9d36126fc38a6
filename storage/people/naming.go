package people

import (
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/keyspace"
)

// RefusedNaming looks at up to most refused messages, newest first, from before
// an entry on, and gives those in which one of these identifiers stands: the ones
// that an erasure would take away. 0 begins at the end; next is where to go on,
// 0 when all were looked at.
func (s *Store) RefusedNaming(ids []id.ID, before uint64, most int) (list []Refused, next uint64, err error) {
	if _, full := s.o.DB.Full(); !full { // else what has been indexed must do
		if err := s.Checkpoint(); err != nil {
			return nil, 0, err
		}
	}
	named := make(map[Hash]bool, len(ids))
	for _, x := range ids {
		named[s.hashID(x)] = true
	}
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Quarantine))
	if before != 0 {
		upper = keyspace.AppendQuarantine(nil, before)
	}
	looked := 0
	err = s.o.DB.IterReverse(lower, upper, func(k, v []byte) (bool, error) {
		if looked == most {
			next = before
			return false, nil
		}
		seq, err := keyspace.ParseQuarantine(k)
		if err != nil {
			return false, err
		}
		x, err := s.refusedAt(seq, v)
		if err != nil {
			return false, err
		}
		looked, before = looked+1, seq
		if s.names(x.Raw, named) {
			list = append(list, x)
		}
		return true, nil
	})
	return list, next, err
}
