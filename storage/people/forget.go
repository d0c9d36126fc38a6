package people

import (
	"bytes"
	"context"
	"time"

	"github.com/reuna/reuna/storage/keyspace"
)

// forgetMessages drops message ids that were taken before a time: a message
// that comes again after the window counts as new.
func (s *Store) forgetMessages(ctx context.Context, before time.Time) error {
	var old [][]byte
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Dedupe))
	err := s.o.DB.Iter(lower, upper, func(k, v []byte) (bool, error) {
		at, err := decodeTaken(v)
		if err != nil {
			return false, err
		}
		if at < before.UnixMilli() {
			old = append(old, bytes.Clone(k))
		}
		if len(old) >= forgetBatch {
			err = s.forget(old, before)
			old = old[:0]
		}
		return ctx.Err() == nil, err
	})
	if err != nil {
		return err
	}
	return s.forget(old, before)
}

const forgetBatch = 1000

// forget deletes those that are still old: a checkpoint may have written one
// anew since it was read, and stands still for this.
func (s *Store) forget(keys [][]byte, before time.Time) error {
	s.checkpoint.Lock()
	defer s.checkpoint.Unlock()
	b := s.o.DB.NewBatch()
	defer b.Discard()
	for _, k := range keys {
		_, err := s.o.DB.Get(k, func(v []byte) error {
			at, err := decodeTaken(v)
			if err == nil && at < before.UnixMilli() {
				b.Delete(k)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return b.Commit(false)
}
