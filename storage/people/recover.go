package people

import (
	"cmp"
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
	batches, stop := make(chan []logged, 1), make(chan struct{})
	var unread error
	go func() {
		defer close(batches)
		unread = s.readTail(from+1, batches, stop)
	}()
	for list := range batches {
		if err = s.replayAll(list, func(seq uint64) {
			if n := seq - from; n%4096 == 0 && progress != nil {
				progress(n, total)
			}
		}); err != nil {
			break
		}
	}
	close(stop)
	for range batches { // until the reader has ended
	}
	err = cmp.Or(err, unread)
	s.stats.ReplayTime = time.Since(began)
	return err
}

// readTail reads the log from an entry on, and makes what it reads ready to be applied
// while others apply what it read before.
func (s *Store) readTail(from uint64, to chan<- []logged, stop <-chan struct{}) error {
	list := make([]logged, 0, readAhead)
	send := func() (more bool) {
		select {
		case to <- list:
			list = make([]logged, 0, readAhead)
			return true
		case <-stop:
			return false
		}
	}
	err := s.o.Log.Read(from, func(seq uint64, receivedAt int64, entry []byte) (bool, error) {
		x := logged{seq: seq, receivedAt: receivedAt, entry: string(entry)}
		if err := x.ready(s); err != nil {
			return false, fmt.Errorf("entry %d: %w", seq, err)
		}
		if list = append(list, x); len(list) < readAhead {
			return true, nil
		}
		return send(), nil
	})
	if err == nil && len(list) > 0 {
		send()
	}
	return err
}

// replayAll applies entries, each of which done hears of.
func (s *Store) replayAll(list []logged, done func(seq uint64)) error {
	if err := s.prefetch(list); err != nil {
		return err
	}
	for i := range list {
		if err := s.replay(&list[i]); err != nil {
			return fmt.Errorf("entry %d: %w", list[i].seq, err)
		}
		s.stats.Replayed++
		done(list[i].seq)
	}
	if s.crowded() {
		s.mu.Lock()
		s.owe()
		s.mu.Unlock()
		return s.Checkpoint()
	}
	return nil
}

// logged is an entry of the log.
type logged struct {
	seq        uint64
	receivedAt int64
	entry      string
	item       Item // of an event that counts, once it is ready
}

// ready reads the entry's event, if it is one that counts.
func (x *logged) ready(s *Store) error {
	if x.entry == "" || x.entry[0] != entryEvent || x.item.Event != nil {
		return nil
	}
	e := new(event.Event)
	noLinks, err := decodeEvent(e, x.entry[1:])
	if err != nil {
		return err
	}
	s.prepare(&x.item, e, noLinks, x.seq)
	return nil
}

// readAhead is how many entries are looked at before they are applied, and
// loaders how many read what they need at a time: in a store that nothing of is
// in memory yet, one read after the other took half a millisecond an entry.
const (
	readAhead = 256
	loaders   = 16
)

// prefetch loads what these entries, which are ready, will ask for. What it overlooks
// is loaded when it is asked for.
func (s *Store) prefetch(list []logged) error {
	w := want{s: s}
	for range 2 { // identifiers, then the facets that they name
		s.mu.Lock()
		w.install()
		for i := range list {
			if it := &list[i].item; it.Event != nil {
				it.looked, it.asOf = true, s.rotations
				w.item(it)
			}
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
func (s *Store) replay(x *logged) error {
	seq, receivedAt, entry := x.seq, x.receivedAt, x.entry
	if entry == "" {
		return errEmpty
	}
	w := want{s: s}
	switch entry[0] {
	case entryEvent:
		err := x.ready(s)
		if err != nil {
			return err
		}
		it := &x.item
		if s.detached {
			if it.Links, err = s.notErased(it.Links, seq); err != nil {
				return err
			}
		}
		it.looked, it.known = true, false // what is in the log was taken once
		if err := s.hold(&w, func() { it.asOf = s.rotations; w.item(it) }); err != nil {
			return err
		}
		defer s.mu.Unlock()
		s.take(it.Message, it.Event.ReceivedAt)
		s.resolve(it.Links, seq, it.Event.ReceivedAt)
		s.fold(it.key, it.hash, it.Event, seq)
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
