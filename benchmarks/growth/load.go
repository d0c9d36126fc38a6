package growth

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
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reuna/reuna/benchmarks/backfill"
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
	// Cookies is the folder's key of visitor cookies. It opens nothing that the
	// master key beside it does not.
	Cookies []byte `json:"cookieKey"`
}

const (
	madeFile    = "made.json"
	madeVersion = 1
	// oldest is how long ago the last event of a folder may have been.
	oldest = 10 * 24 * time.Hour
	// cookieUse is what the gateway derives its cookie key for. (gateway/app)
	cookieUse = "visitor cookies"
)

// population finds a folder that will do, or fills one.
func (o *Options) population(ctx context.Context, persons int) (*made, string, error) {
	cache := o.Cache
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, "", err
		}
		cache = filepath.Join(user, "reuna-growth")
	}
	folder := filepath.Join(cache, strconv.Itoa(persons))
	p := Population{Persons: persons, Seed: o.Seed}
	m, err := kept(folder, p)
	if err != nil || m != nil {
		return m, folder, err
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return nil, "", err
	}
	total := p.total()
	if err := backfill.Enough(cache, total); err != nil {
		return nil, "", err
	}
	fmt.Fprintf(o.Log, "filling %s: %d persons, %d events\n", folder, persons, total)
	p.Begin = time.Now().Add(-spread - time.Hour).UnixMilli()
	m, err = fill(ctx, folder, p, total, func(format string, v ...any) { fmt.Fprintf(o.Log, "  "+format+"\n", v...) })
	return m, folder, err
}

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
	if json.Unmarshal(data, &m) != nil || m.Version != madeVersion || m.Persons != p.Persons || m.Seed != p.Seed {
		return nil, nil
	}
	if time.Since(time.UnixMilli(m.Begin).Add(spread)) > oldest {
		return nil, nil
	}
	return &m, nil
}

// fill makes a data folder, dir/data, whose key lies where a gateway looks for it.
func fill(ctx context.Context, dir string, p Population, total int64, progress func(string, ...any)) (m *made, err error) {
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
	m = &made{Version: madeVersion, Population: p, Events: total, Cookies: w.vault.Subkey(cookieUse)}
	err = w.fill(ctx, m, progress)
	w.close(&err)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(m)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, madeFile), append(text, '\n'), 0o600)
	}
	return m, err
}

// store is an open data folder.
type store struct {
	vault  *vault.Vault
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
	if w.vault, _, err = vault.OpenWithFile(db, filepath.Join(data+".keys", "master.key")); err != nil {
		return w, err
	}
	log, err := eventlog.Open(db, w.vault, eventlog.Options{Logger: quiet, Now: now})
	if err != nil {
		return w, err
	}
	w.ends = append(w.ends, log.Close)
	w.people, err = people.Open(people.Options{
		DB: db, Vault: w.vault, Log: log, Types: id.Default(), Rules: facet.Rules{},
		Hold: 200_000, SettleEvery: -1, SliceBytes: slice, Now: now, Logger: quiet,
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
	// slice is how much of the log settles at once. A person's events lie together
	// in it, so that larger slices find nothing more to put together.
	slice = 8 << 20
	// batch is how many persons a loader takes on before it waits for the disk.
	batch = 512
	// mostUnsaved is how many facets and identifiers may wait for a checkpoint.
	mostUnsaved = 250_000
)

// fill brings everybody, and settles what they did into histories: a gateway that
// starts on the folder has none of that left to do.
func (w *store) fill(ctx context.Context, m *made, progress func(string, ...any)) error {
	t, err := newEvents(m.Population, m.Cookies)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, sent atomic.Int64
	var group sync.WaitGroup
	for i := range loaders {
		group.Go(func() {
			l := loader{store: w, t: t, r: rand.New(rand.NewPCG(m.Seed, uint64(i))), sent: &sent}
			if err := l.run(ctx, &next); err != nil {
				cancel(err)
			}
		})
	}
	finished := make(chan struct{})
	go func() { group.Wait(); close(finished) }()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for began, running := time.Now(), true; running; {
		select {
		case <-finished:
			running = false
		case <-tick.C:
			n := sent.Load()
			progress("%d of %d events, %.0f a second", n, m.Events, float64(n)/time.Since(began).Seconds())
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if n := sent.Load(); n != m.Events {
		return fmt.Errorf("%d events were sent: expected %d", n, m.Events)
	}
	if err := w.people.Checkpoint(); err != nil {
		return err
	}
	progress("settling")
	_, err = w.people.Settle(ctx, -time.Hour)
	return err
}

type loader struct {
	*store
	t      *events
	r      *rand.Rand
	sent   *atomic.Int64
	ticket eventlog.Ticket
	list   [mostEvents]event.Event
	items  [mostEvents]people.Item
}

func (l *loader) run(ctx context.Context, next *atomic.Int64) error {
	for {
		from := int(next.Add(batch) - batch)
		if from >= l.t.Persons {
			return l.ticket.Wait()
		}
		for place := from; place < min(from+batch, l.t.Persons); place++ {
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

// come takes in all that a person did, in one transaction.
func (l *loader) come(place int) error {
	v, at := l.t.turn(place), l.t.came(place)
	received := at + mostEvents*between // all of it at once
	for was := l.clock.Load(); was < received && !l.clock.CompareAndSwap(was, received); was = l.clock.Load() {
	}
	n := l.t.eventsOf(v)
	for i := range n {
		e := &l.list[i]
		l.t.make(e, v, i, at+int64(i)*between, l.r)
		e.ReceivedAt = received
		l.people.Prepare(&l.items[i], e, false)
	}
	for {
		tx, err := l.people.Begin(l.items[:n], l.list[0].AnonymousID, true)
		switch {
		case errors.As(err, new(people.ErrBehind)):
			err = l.people.Checkpoint()
		case errors.As(err, new(eventlog.ErrBusy)):
			err = l.ticket.Wait()
		case err == nil:
			return l.take(&tx, v, n)
		}
		if err != nil {
			return err
		}
	}
}

func (l *loader) take(tx *people.Tx, v, n int) error {
	defer tx.Release()
	for i := range n {
		it := &l.items[i]
		if tx.Duplicate(it) {
			tx.End()
			return fmt.Errorf("event %d of person %d counts as a duplicate", i, v)
		}
		tx.Resolve(it)
		tx.Fold(it, tx.Append(it))
	}
	l.ticket = tx.End()
	l.sent.Add(int64(n))
	return nil
}
