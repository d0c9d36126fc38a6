package people

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
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
	s.applied, s.cursor, s.begun = from, from, from
	end := s.o.Log.Durable()
	if from > end {
		return fmt.Errorf("people are written up to entry %d, but the log ends at %d: the data folder was mixed from two", from, end)
	}
	total := end - from
	s.replaying = true
	defer func() { s.replaying = false }()
	var ahead []logged
	replay := func() error {
		if err := s.prefetch(ahead); err != nil {
			return err
		}
		for _, x := range ahead {
			if err := s.replay(x.seq, x.receivedAt, x.entry); err != nil {
				return fmt.Errorf("entry %d: %w", x.seq, err)
			}
			s.stats.Replayed++
			if n := x.seq - from; n%4096 == 0 && progress != nil {
				progress(n, total)
			}
		}
		ahead = ahead[:0]
		if s.crowded() {
			s.mu.Lock()
			s.owe()
			s.mu.Unlock()
			return s.Checkpoint()
		}
		return nil
	}
	err = s.o.Log.Read(from+1, func(seq uint64, receivedAt int64, entry []byte) (bool, error) {
		if ahead = append(ahead, logged{seq, receivedAt, string(entry)}); len(ahead) < readAhead {
			return true, nil
		}
		return true, replay()
	})
	if err == nil {
		err = replay()
	}
	s.stats.ReplayTime = time.Since(began)
	return err
}

type logged struct {
	seq        uint64
	receivedAt int64
	entry      string
}

// readAhead is how many entries are looked at before they are applied, and
// loaders how many read what they need at a time: in a store that nothing of is
// in memory yet, one read after the other took half a millisecond an entry.
const (
	readAhead = 256
	loaders   = 16
)

// prefetch loads what these entries will ask for. What it overlooks is loaded
// when it is asked for.
func (s *Store) prefetch(list []logged) error {
	items := make([]Item, 0, len(list))
	events := make([]event.Event, len(list))
	for i, x := range list {
		if x.entry == "" || x.entry[0] != entryEvent {
			continue
		}
		noLinks, err := decodeEvent(&events[i], x.entry[1:])
		if err != nil {
			return fmt.Errorf("entry %d: %w", x.seq, err)
		}
		items = append(items, Item{looked: true})
		s.prepare(&items[len(items)-1], &events[i], noLinks, x.seq)
	}
	w := want{s: s}
	for range 2 { // identifiers, then the facets that they name
		s.mu.Lock()
		w.install()
		for i := range items {
			items[i].looked, items[i].asOf = true, s.rotations
			w.item(&items[i])
		}
		done := w.none()
		s.mu.Unlock()
		if done {
			return nil
		}
		if err := w.loadTogether(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.install()
	return nil
}

// loadTogether is load by several at a time.
func (w *want) loadTogether() error {
	parts := make([]want, loaders)
	for i := range parts {
		parts[i] = want{s: w.s, drops: w.drops}
	}
	for i, x := range w.nodes {
		p := &parts[i%loaders]
		p.nodes = append(p.nodes, x)
	}
	for i, h := range w.facets {
		p := &parts[i%loaders]
		p.facets = append(p.facets, h)
	}
	errs := make([]error, loaders)
	var all sync.WaitGroup
	for i := range parts {
		all.Go(func() { errs[i] = parts[i].load() })
	}
	all.Wait()
	for i := range parts {
		w.gotNodes = append(w.gotNodes, parts[i].gotNodes...)
		w.gotFacets = append(w.gotFacets, parts[i].gotFacets...)
	}
	return errors.Join(errs...)
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
		s.prepare(&it, &e, noLinks, seq)
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
		s.resolve(it.Links, seq, e.ReceivedAt)
		s.fold(it.key, it.hash, &e, seq)
	case entryExcluded:
		var e event.Event
		if _, err := decodeEvent(&e, entry[1:]); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.take(s.o.Vault.HashKey("message", e.Site, e.MessageID), e.ReceivedAt)
		s.exclude(facet.KeyOf(&e, 0), e.ReceivedAt, seq)
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
	case entryTransition:
		list, err := parseTransitions(nil, entry[1:])
		if err != nil {
			return err
		}
		s.stands.Store(true)
		if err := s.hold(&w, func() { w.node(list[0].ID) }); err != nil {
			return err
		}
		defer s.mu.Unlock()
		s.replayTransitions(seq, list)
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
