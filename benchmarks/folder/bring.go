package folder

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
)

// Visits are what visitors do, one visit a transaction.
type Visits struct {
	Count int  // they have places from 0 on, in about the order of their times
	Most  int  // events that one has at most
	New   bool // nobody of them has been here before
	// Make makes the events of the visit at a place, in list, and gives how many there are and when all
	// of them were received, in ms. Several goroutines call it, each with a list and a generator of its own.
	Make func(place int, list []event.Event, r *rand.Rand) (n int, received int64)
	// The generators follow from Seed and Stream.
	Seed, Stream uint64
	// Progress, if set, is told every ten seconds how many events have come, and how many a second.
	Progress func(events int64, rate float64)
}

const (
	loaders = 2
	// batch is how many visits a loader takes on before it waits for the disk.
	batch = 512
	// mostUnsaved is how many facets and identifiers may wait for a checkpoint.
	mostUnsaved = 250_000
)

// Bring takes all of the visits in, as fast as it can, and gives how many events that were.
func (s *Store) Bring(ctx context.Context, v Visits) (events int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, sent atomic.Int64
	var group sync.WaitGroup
	for i := range uint64(loaders) {
		group.Go(func() {
			l := loader{
				Store: s, visits: &v, r: rand.New(rand.NewPCG(v.Seed, v.Stream*loaders+i)), sent: &sent,
				list: make([]event.Event, v.Most), items: make([]people.Item, v.Most),
			}
			if err := l.run(ctx, &next); err != nil {
				cancel(err)
			}
		})
	}
	finished := make(chan struct{})
	go func() { group.Wait(); close(finished) }()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for began := time.Now(); ; {
		select {
		case <-finished:
			return sent.Load(), context.Cause(ctx)
		case <-tick.C:
			if n := sent.Load(); v.Progress != nil {
				v.Progress(n, float64(n)/time.Since(began).Seconds())
			}
		}
	}
}

type loader struct {
	*Store
	visits *Visits
	r      *rand.Rand
	sent   *atomic.Int64
	ticket eventlog.Ticket
	list   []event.Event
	items  []people.Item
}

func (l *loader) run(ctx context.Context, next *atomic.Int64) error {
	for {
		from := int(next.Add(batch) - batch)
		if from >= l.visits.Count {
			return l.ticket.Wait()
		}
		for place := from; place < min(from+batch, l.visits.Count); place++ {
			if err := l.come(place); err != nil {
				return fmt.Errorf("visit %d: %w", place, err)
			}
		}
		if err := errors.Join(ctx.Err(), l.ticket.Wait()); err != nil {
			return err
		}
		if l.People.Stats().Unsaved > mostUnsaved {
			if err := l.People.Checkpoint(); err != nil {
				return err
			}
		}
	}
}

// come takes a visit in.
func (l *loader) come(place int) error {
	n, received := l.visits.Make(place, l.list, l.r)
	for was := l.clock.Load(); was < received && !l.clock.CompareAndSwap(was, received); was = l.clock.Load() {
	}
	for i := range n {
		l.list[i].ReceivedAt = received
		l.People.Prepare(&l.items[i], &l.list[i], false)
	}
	for {
		tx, err := l.People.Begin(l.items[:n], l.list[0].AnonymousID, l.visits.New)
		switch {
		case errors.As(err, new(people.ErrBehind)):
			err = l.People.Checkpoint()
		case errors.As(err, new(eventlog.ErrBusy)):
			err = l.ticket.Wait()
		case err == nil:
			return l.take(&tx, n)
		}
		if err != nil {
			return err
		}
	}
}

func (l *loader) take(tx *people.Tx, n int) error {
	defer tx.Release()
	for i := range n {
		it := &l.items[i]
		if tx.Duplicate(it) {
			tx.End()
			return fmt.Errorf("event %d counts as a duplicate", i)
		}
		tx.Resolve(it)
		tx.Fold(it, tx.Append(it))
	}
	l.ticket = tx.End()
	l.sent.Add(int64(n))
	return nil
}
