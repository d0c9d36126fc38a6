package people

import (
	"fmt"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
)

// recover applies the log's tail: what came after the last checkpoint.
func (s *Store) recover(progress func(done, total uint64)) error {
	began := time.Now()
	cursor, err := s.o.Log.Cursor(cursorName)
	if err != nil {
		return err
	}
	from := cursor.Seq
	s.applied = from
	end := s.o.Log.Durable()
	if from > end {
		return fmt.Errorf("people are written up to entry %d, but the log ends at %d: the data folder was mixed from two", from, end)
	}
	total := end - from
	s.replaying = true
	defer func() { s.replaying = false }()
	err = s.o.Log.Read(from+1, func(seq uint64, receivedAt int64, entry []byte) (bool, error) {
		if err := s.replay(seq, receivedAt, string(entry)); err != nil {
			return false, fmt.Errorf("entry %d: %w", seq, err)
		}
		s.stats.Replayed++
		if n := seq - from; n%4096 == 0 {
			if progress != nil {
				progress(n, total)
			}
			if s.unsaved() > 2*s.o.Hold {
				return true, s.Checkpoint()
			}
		}
		return true, nil
	})
	s.stats.ReplayTime = time.Since(began)
	return err
}

// replay applies one entry. Nobody else uses the store yet.
func (s *Store) replay(seq uint64, receivedAt int64, entry string) error {
	if entry == "" {
		return errEmpty
	}
	w := want{s: s}
	switch entry[0] {
	case entryEvent:
		var e event.Event
		noLinks, err := decodeEvent(&e, entry[1:])
		if err != nil {
			return err
		}
		var it Item
		s.Prepare(&it, &e, noLinks)
		if s.detached {
			if it.Links, err = s.notErased(it.Links, seq); err != nil {
				return err
			}
		}
		it.looked, it.known = true, false // what is in the log was taken once
		if err := s.hold(&w, func() { it.asOf = s.rotations; w.item(&it) }); err != nil {
			return err
		}
		defer s.mu.Unlock()
		s.take(it.Message, e.ReceivedAt)
		s.resolve(it.Links)
		s.fold(it.key, it.hash, &e, seq)
	case entrySession:
		visitor, x, err := parseSession(entry[1:])
		if err != nil {
			return err
		}
		x.Seq = seq
		if err := s.hold(&w, func() { w.node(id.ID{Type: id.AnonymousID, Value: visitor}) }); err != nil {
			return err
		}
		defer s.mu.Unlock()
		s.setSession(visitor, x, receivedAt)
		if x.User != "" {
			s.take(x.Token, x.Until)
		}
	case entryRefused:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.refused = append(s.refused, seq)
	case entryErased:
		s.mu.Lock()
		defer s.mu.Unlock()
	case entryEvidence:
		e, err := parseEvidence(entry[1:])
		if err != nil {
			return err
		}
		if err := s.hold(&w, func() { w.node(e.A); w.node(e.B) }); err != nil {
			return err
		}
		defer s.mu.Unlock()
		s.state(e, receivedAt, seq)
	case entryErasure:
		x, err := parseErasure(entry[1:])
		if err != nil {
			return err
		}
		return s.replayErasure(seq, x)
	default:
		return fmt.Errorf("has kind %d, which this program does not know: it was written by a newer one", entry[0])
	}
	s.applied = seq
	return nil
}

// hold takes the lock with everything loaded that ask asks for.
func (s *Store) hold(w *want, ask func()) error {
	for {
		s.mu.Lock()
		w.install()
		ask()
		if w.none() {
			return nil
		}
		s.mu.Unlock()
		if err := w.load(); err != nil {
			return err
		}
	}
}

// decodeEvent reads an event's entry behind its kind.
func decodeEvent(e *event.Event, entry string) (noClaimedLinks bool, err error) {
	if entry == "" {
		return false, event.ErrCorrupt
	}
	return entry[0] == 1, event.Decode(e, entry[1:])
}
