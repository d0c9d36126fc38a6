package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/vault"
)

// made stands beside a folder that was filled to its end.
type made struct {
	Version int `json:"version"` // of this program's way of filling
	Population
	Events int64 `json:"events"`
}

const (
	madeFile    = "made.json"
	madeVersion = 1
	// oldest is how long ago the last event of a folder may have been: the newest
	// month must still be full of them.
	oldest = 10 * 24 * time.Hour
)

// kept finds a folder made before that will do; nil when there is none.
func kept(dir string, p Population) (*made, error) {
	data, err := os.ReadFile(filepath.Join(dir, madeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var m made
	if json.Unmarshal(data, &m) != nil || m.Version != madeVersion || m.Devices != p.Devices || m.Seed != p.Seed {
		return nil, nil
	}
	if end := time.UnixMilli(m.Begin).Add(visits * stretch); time.Since(end) > oldest {
		return nil, nil
	}
	return &m, nil
}

// fill makes a data folder, dir/data, whose key lies where a gateway looks for it.
func fill(ctx context.Context, dir string, p Population, progress func(string, ...any)) (m *made, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	w, err := open(data, p.Begin)
	if err != nil {
		return nil, err
	}
	defer w.close(&err)
	t, err := newEvents(p)
	if err != nil {
		return nil, err
	}
	m = &made{Version: madeVersion, Population: p, Events: p.total()}
	for k := range visits {
		if err := w.bring(ctx, t, k, m.Events/visits, progress); err != nil {
			return nil, err
		}
		if err := w.people.Checkpoint(); err != nil {
			return nil, err
		}
		progress("settling visit %d of %d", k+1, visits)
		if _, err := w.people.Settle(ctx, -time.Hour); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(m)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, madeFile), append(text, '\n'), 0o600)
	}
	return m, err
}

// store is an open data folder.
type store struct {
	people *people.Store
	clock  atomic.Int64 // ms
	ends   []func() error
}

func open(data string, at int64) (w *store, err error) {
	w = &store{}
	w.clock.Store(at)
	now := func() time.Time { return time.UnixMilli(w.clock.Load()) }
	quiet := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	defer func() {
		if err != nil {
			w.close(&err)
		}
	}()
	db, err := engine.Open(engine.Options{Dir: data, Logger: quiet, CacheBytes: 512 << 20})
	if err != nil {
		return w, err
	}
	w.ends = append(w.ends, db.Close)
	v, _, err := vault.OpenWithFile(db, filepath.Join(data+".keys", "master.key"))
	if err != nil {
		return w, err
	}
	log, err := eventlog.Open(db, v, eventlog.Options{Logger: quiet, Now: now})
	if err != nil {
		return w, err
	}
	w.ends = append(w.ends, log.Close)
	w.people, err = people.Open(people.Options{
		DB: db, Vault: v, Log: log, Types: id.Default(), Rules: facet.Rules{}, DedupeWindow: time.Minute,
		Hold: 200_000, Every: time.Minute, SettleEvery: -1, SliceBytes: slice, Now: now, Logger: quiet,
	}, nil)
	if err != nil {
		return w, err
	}
	w.ends = append(w.ends, w.people.Close)
	return w, nil
}

// close ends in order. With an error already there it adds what else went wrong.
func (w *store) close(err *error) {
	for i := len(w.ends) - 1; i >= 0; i-- {
		if e := w.ends[i](); e != nil {
			*err = errors.Join(*err, fmt.Errorf("closing: %w", e))
		}
	}
	w.ends = nil
}

const (
	loaders = 2
	// slice is how much of the log settles at once. The events of a visit lie
	// together in it, so that larger slices find nothing more to put together.
	slice = 8 << 20
	// batch is how many visits a loader takes on before it waits for the disk.
	batch = 512
	// mostUnsaved is how many facets and identifiers may wait for a checkpoint.
	mostUnsaved = 250_000
)

// bring lets each device come once.
func (w *store) bring(ctx context.Context, t *events, visit int, total int64, progress func(string, ...any)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, sent atomic.Int64
	var group sync.WaitGroup
	for i := range loaders {
		group.Go(func() {
			l := loader{store: w, t: t, visit: visit, r: rand.New(rand.NewPCG(t.Seed, uint64(visit*loaders+i))), sent: &sent}
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
			return context.Cause(ctx)
		case <-tick.C:
			n := sent.Load()
			progress("visit %d of %d: %d of about %d events, %.0f a second", visit+1, visits, n, total, float64(n)/time.Since(began).Seconds())
		}
	}
}

type loader struct {
	*store
	t      *events
	visit  int
	r      *rand.Rand
	sent   *atomic.Int64
	ticket eventlog.Ticket
	list   [mostEvents]event.Event
	items  [mostEvents]people.Item
}

func (l *loader) run(ctx context.Context, next *atomic.Int64) error {
	for {
		from := int(next.Add(batch) - batch)
		if from >= l.t.Devices {
			return l.ticket.Wait()
		}
		for place := from; place < min(from+batch, l.t.Devices); place++ {
			if err := l.come(place); err != nil {
				return err
			}
		}
		if err := errors.Join(ctx.Err(), l.ticket.Wait()); err != nil {
			return err
		}
		if l.people.Stats().Unsaved > mostUnsaved {
			if err := l.people.Checkpoint(); err != nil {
				return err
			}
		}
	}
}

// come takes a device's visit in, in one transaction.
func (l *loader) come(place int) error {
	v, at := l.t.turn(place), l.t.came(place, l.visit)
	received := at + mostEvents*between // all of the visit at once
	for was := l.clock.Load(); was < received && !l.clock.CompareAndSwap(was, received); was = l.clock.Load() {
	}
	n := l.t.eventsIn(v, l.visit)
	for i := range n {
		e := &l.list[i]
		l.t.make(e, v, l.visit, i, at+int64(i)*between, l.r)
		e.ReceivedAt = received
		l.people.Prepare(&l.items[i], e, false)
	}
	for {
		tx, err := l.people.Begin(l.items[:n], l.list[0].AnonymousID, l.visit == 0)
		if errors.As(err, new(people.ErrBehind)) {
			if err := l.people.Checkpoint(); err != nil {
				return err
			}
			continue
		}
		if errors.As(err, new(eventlog.ErrBusy)) {
			if err := l.ticket.Wait(); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		for i := range n {
			it := &l.items[i]
			if tx.Duplicate(it) {
				tx.End()
				tx.Release()
				return fmt.Errorf("event %d of visit %d of device %d counts as a duplicate", i, l.visit, v)
			}
			tx.Resolve(it)
			tx.Fold(it, tx.Append(it))
		}
		l.ticket = tx.End()
		tx.Release()
		l.sent.Add(int64(n))
		return nil
	}
}
