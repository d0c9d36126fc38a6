package people

import (
	"sync/atomic"

	"github.com/reuna/reuna/identity/id"
)

// linked judges persons of more than a facet, and whoever else cannot be judged by the
// record of one, as the worker does it. They are few, and each takes as long as twenty
// others, so that it is done beside the reading, on a thread of its own.
type linked struct {
	todo  chan member
	done  chan error // what became of a batch
	over  atomic.Bool
	ended chan struct{}

	// What follows is the thread's, and between two batches everybody's.
	persons int64
	known   map[Hash]struct{} // members of persons who were judged, of late
}

// member is an identifier of somebody who is to be judged; the zero member ends a batch.
type member struct {
	id   id.ID
	hash Hash
}

const (
	// linkedAhead is how many may wait to be judged.
	linkedAhead = 256
	// mostKnown bounds the identifiers that a sweep knows to have been looked at.
	mostKnown = 100_000
)

// start has a thread ready; stop ends it, whoever still waits.
func (l *linked) start(s *Store) {
	l.todo, l.done, l.known = make(chan member, linkedAhead), make(chan error, 1), map[Hash]struct{}{}
	l.ended = make(chan struct{})
	go func() {
		defer close(l.ended)
		_ = aside(func() error { // it gives no error of its own
			var failed error // of the batch at hand
			for m := range l.todo {
				switch {
				case m == member{}:
					l.done <- failed
					failed = nil
				case failed == nil && !l.over.Load():
					failed = l.person(s, m)
				}
			}
			return nil
		})
	}()
}

func (l *linked) stop() {
	l.over.Store(true)
	close(l.todo)
	<-l.ended
}

// judge has the person of an identifier judged soon.
func (l *linked) judge(who id.ID, h Hash) { l.todo <- member{who, h} }

// wait waits for all who were to be judged.
func (l *linked) wait() error {
	l.todo <- member{}
	return <-l.done
}

// person judges the person of an identifier, unless that was done of late.
func (l *linked) person(s *Store, m member) error {
	if _, done := l.known[m.hash]; done {
		return nil
	}
	judged, err := s.sweepOne(m.id)
	if len(judged) > 0 {
		l.persons++
	}
	if len(l.known)+len(judged) > mostKnown {
		clear(l.known)
	}
	for _, h := range judged {
		l.known[h] = struct{}{}
	}
	return err
}
