package main

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

// Loaded is what filling the folder took.
type Loaded struct {
	Persons   int     `json:"persons"`
	Events    int64   `json:"events"`
	Busiest   int     `json:"busiestEvents"` // of one visitor
	JSON      float64 `json:"jsonBytes"`     // of a request with one event, on average
	Took      Took    `json:"took"`
	Evictions int64   `json:"evictions"`
	Written   Written `json:"written"`
	Held      int     `json:"heldAtMost"` // facets in memory
	Unsaved   int     `json:"unsavedAtMost"`
	Stalls    float64 `json:"stallSeconds"` // that a sender waited for checkpoints
	HeapPeak  uint64  `json:"heapAtMost"`
}

const (
	loaders = 2
	// together is how many visits of one loader are under way at the same time: so
	// the events of a visit lie apart in the log, as they do in a real one.
	together = 256
	perVisit = 5
	// waitEvery is how many events a loader sends before it waits for the disk.
	waitEvery = 512
	// mostUnsaved is how many facets and identifiers may wait for a checkpoint.
	mostUnsaved = 300_000
)

// spread is the time that the events are spread over.
const spread = 30 * 24 * time.Hour

// load fills a folder. Visits come in random order over the time of spread.
func load(ctx context.Context, p Population, dir string, begin int64, progress func(string, ...any)) (done Loaded, err error) {
	t, err := newTraffic(p, min(2000, p.Persons))
	if err != nil {
		return done, err
	}
	w, err := open(dir, worldOptions{clock: begin})
	if err != nil {
		return done, err
	}
	closed := false
	defer func() {
		if !closed {
			w.close(&err)
		}
	}()
	done.Persons, done.JSON = p.Persons, t.json
	total := int64(0)
	for v := range p.Persons {
		n := p.events(v)
		total += int64(n)
		done.Busiest = max(done.Busiest, n)
	}
	watch := newWatch()
	var sent, stalled atomic.Int64
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for i := range loaders {
		group.Go(func() {
			l := loader{w: w, t: t, r: rand.New(rand.NewPCG(p.Seed, uint64(i))), sent: &sent, stalled: &stalled, begin: begin, total: total}
			if err := l.run(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	finished := make(chan struct{})
	go func() { group.Wait(); close(finished) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for seconds := 1; ; seconds++ {
		select {
		case <-finished:
		case <-tick.C:
			st := w.Stats()
			done.Held, done.Unsaved = max(done.Held, st.Facets), max(done.Unsaved, st.Unsaved)
			done.HeapPeak = max(done.HeapPeak, heapNow())
			if seconds%10 == 0 {
				progress("%d of %d events, %d facets in memory, %d unsaved, checkpoint %v", sent.Load(), total, st.Facets, st.Unsaved, st.LastCheckpoint.Round(time.Millisecond))
			}
			continue
		}
		break
	}
	if err := context.Cause(ctx); err != nil {
		return done, err
	}
	if done.Events, done.Evictions = sent.Load(), w.Stats().Evictions; done.Events != total {
		return done, fmt.Errorf("%d events were sent of %d", done.Events, total)
	}
	if err := w.Checkpoint(); err != nil {
		return done, err
	}
	done.Stalls = time.Duration(stalled.Load()).Seconds() / loaders
	done.Written = writtenBy(w.db)
	w.close(&err)
	closed = true
	done.Took = watch.read(done.Events)
	return done, err
}

type loader struct {
	w            *world
	t            *traffic
	r            *rand.Rand
	sent         *atomic.Int64
	stalled      *atomic.Int64 // ns
	begin, total int64
	since        int // events sent
	ticket       eventlog.Ticket
	items        [1]people.Item
	e            event.Event
}

// run brings the visitors whose number divided by loaders leaves i.
func (l *loader) run(ctx context.Context, i int) error {
	var visits []uint32
	for v := i; v < l.t.Persons; v += loaders {
		for n := l.t.events(v); n > 0; n -= perVisit {
			visits = append(visits, uint32(v))
		}
	}
	l.r.Shuffle(len(visits), func(a, b int) { visits[a], visits[b] = visits[b], visits[a] })
	given := make([]uint16, (l.t.Persons+loaders-1)/loaders) // events that a visit has taken on
	type visit struct{ v, next, left int }
	active := make([]visit, min(together, len(visits)))
	for running := len(active); running > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		running = 0
		for k := range active {
			a := &active[k]
			if a.left == 0 {
				if len(visits) == 0 {
					continue
				}
				a.v, visits = int(visits[0]), visits[1:]
				g := &given[a.v/loaders]
				a.next, a.left = int(*g), min(perVisit, l.t.events(a.v)-int(*g))
				*g += uint16(a.left)
			}
			running++
			if err := l.send(a.v, a.next); err != nil {
				return err
			}
			a.next++
			a.left--
		}
	}
	return l.ticket.Wait()
}

// send takes one event in, at its time between begin and the end of spread.
func (l *loader) send(v, n int) error {
	at := l.begin + int64(float64(spread.Milliseconds())*float64(l.sent.Add(1))/float64(l.total))
	for was := l.w.clock.Load(); was < at && !l.w.clock.CompareAndSwap(was, at); was = l.w.clock.Load() {
	}
	l.t.event(&l.e, v, n, at, l.r)
	var err error
	for {
		l.ticket, err = take(l.w, &l.items, &l.e, n == 0)
		switch { // a sender over HTTP would be told to come again
		case errors.As(err, new(eventlog.ErrBusy)):
			err = l.w.log.Barrier().Wait()
		case errors.As(err, new(people.ErrBehind)):
			err = l.checkpoint()
		default:
			l.since++
			if err == nil && l.since%waitEvery == 0 {
				err = errors.Join(l.ticket.Wait(), l.keepBack())
			}
			return err
		}
		if err != nil {
			return err
		}
	}
}

// keepBack waits for a checkpoint when much has not been written by one, well
// before the store refuses events for that.
func (l *loader) keepBack() error {
	if l.w.Stats().Unsaved < mostUnsaved {
		return nil
	}
	return l.checkpoint()
}

func (l *loader) checkpoint() error {
	began := time.Now()
	err := l.w.Checkpoint()
	l.stalled.Add(int64(time.Since(began)))
	return err
}

var errDuplicate = errors.New("a message that was never sent counts as taken")

// take does with one event what gateway/pipeline does. fresh says that its
// visitor was never seen.
func take(w *world, items *[1]people.Item, e *event.Event, fresh bool) (eventlog.Ticket, error) {
	w.Prepare(&items[0], e, false)
	tx, err := w.Begin(items[:], e.AnonymousID, fresh)
	if err != nil {
		return eventlog.Ticket{}, err
	}
	defer tx.Release()
	if tx.Duplicate(&items[0]) {
		tx.End()
		return eventlog.Ticket{}, errDuplicate
	}
	tx.Resolve(&items[0])
	tx.Fold(&items[0], tx.Append(&items[0]))
	return tx.End(), nil
}
