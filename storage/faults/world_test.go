package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/vault"
)

var (
	master = bytes.Repeat([]byte{7}, 32)
	quiet  = slog.New(slog.DiscardHandler)
)

// Persons have one device and one user each. Those from erasable on may be
// erased; an operator links and cuts the users of the first two.
const (
	persons  = 8
	erasable = 4
	begin    = int64(1_700_000_000_000) // ms; 14 November 2023
)

func user(p int) id.ID   { return id.ID{Type: id.UserID, Value: fmt.Sprint("u", p)} }
func device(p int) id.ID { return id.ID{Type: id.AnonymousID, Value: fmt.Sprint("a", p)} }

// config is what a world stands on.
type config struct {
	fs    vfs.FS
	dir   string
	clock *atomic.Int64 // ms since 1970
	truth *truth

	opening    *atomic.Int64 // above zero while an engine opens; may be nil
	minFree    int64         // default: none
	commitWait time.Duration // default of the log
	shredWait  time.Duration // default one minute: a table that cannot be deleted stays until the next start
}

// world is an open store.
type world struct {
	config
	exits atomic.Int64 // how often the engine ended the program

	db    *engine.DB
	vault *vault.Vault
	log   *eventlog.Log
	*people.Store
}

func (c config) now() time.Time { return time.UnixMilli(c.clock.Load()) }

func open(c config) (w *world, err error) {
	w = &world{config: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.end())
		}
	}()
	if c.opening != nil {
		c.opening.Add(1)
	}
	w.db, err = engine.Open(engine.Options{Dir: c.dir, FS: c.fs, CacheBytes: 1 << 20, Logger: quiet, CloseWait: 100 * time.Millisecond, Exit: func(int) { w.exits.Add(1) }})
	if c.opening != nil {
		c.opening.Add(-1)
	}
	if err != nil {
		return w, err
	}
	if w.vault, err = vault.Open(w.db, master); err != nil {
		return w, err
	}
	if c.minFree == 0 {
		c.minFree = -1
	}
	w.log, err = eventlog.Open(w.db, w.vault, eventlog.Options{MinFree: c.minFree, CommitWait: c.commitWait, Logger: quiet, Now: c.now, MaxBlock: 1500})
	if err != nil {
		return w, err
	}
	w.Store, err = people.Open(people.Options{
		DB: w.db, Vault: w.vault, Log: w.log, Types: id.Default(), Hold: 6, Every: time.Hour, Logger: quiet,
		Now: c.now, SettleEvery: -1, SliceBytes: 3000, ChunkBytes: 700,
		Rules: facet.Rules{Contribute: func(e *event.Event, _ uint64, add func(*facet.Contribution)) {
			add(&facet.Contribution{Spec: &facet.Spec{ID: 1, Form: facet.Tallies, Window: 90e9, Width: 1e9}, At: e.Timestamp, Key: e.Type.String(), Tally: facet.Tally{N: 1}})
		}},
	}, nil)
	return w, err
}

// end closes what is open, in order.
func (w *world) end() error {
	var list []error
	if w.Store != nil {
		list = append(list, w.Store.Close())
	}
	if w.log != nil {
		list = append(list, w.log.Close())
	}
	if w.db != nil {
		list = append(list, w.db.Close())
	}
	w.Store, w.log, w.db = nil, nil, nil
	return errors.Join(list...)
}

// truth is what was tried and what was acknowledged, over all lives of a store.
type truth struct {
	mu       sync.Mutex
	sent     []*sent
	byID     map[string]*sent
	refused  struct{ tried, acked int }
	erasures struct{ tried, acked int }
	sessions [persons]map[string]bool // users that a session may have now
	stamp    int64                    // of the newest event; they never go back, whatever the clock does
}

type sent struct {
	e      event.Event
	person int
	acked  bool
	mayGo  bool // an erasure of the person was tried after it
	gone   bool // and acknowledged
}

func newTruth() *truth {
	t := &truth{byID: map[string]*sent{}, stamp: begin}
	for p := range t.sessions {
		t.sessions[p] = map[string]bool{"": true}
	}
	return t
}

// message makes an event that was never sent before.
func (w *world) message(p int, kind event.Type) *sent {
	t := w.truth
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.sent)
	t.stamp += 1000
	x := &sent{person: p, e: event.Event{
		Type: kind, Site: "shop", Trust: id.Verified, MessageID: fmt.Sprint("m", n), AnonymousID: device(p).Value, Source: event.FromServer,
		Timestamp: t.stamp, ReceivedAt: w.clock.Load(), Name: fmt.Sprint("name of ", n),
		Properties: event.Value(fmt.Sprintf(`{"n":%d,"text":"%x"}`, n, rand.New(rand.NewPCG(uint64(n), 9)).Uint64())),
	}}
	if kind == event.Identify {
		x.e.UserID = user(p).Value
		x.e.Traits = event.Value(fmt.Sprintf(`{"email":"p%d@example.com","plan":"%d"}`, p, n))
	}
	t.sent = append(t.sent, x)
	t.byID[x.e.MessageID] = x
	return x
}

// send does what a request does with its events.
func (w *world) send(list ...*sent) error {
	items := make([]people.Item, len(list))
	for i, x := range list {
		e := x.e
		w.Prepare(&items[i], &e, false)
	}
	tx, err := w.Begin(items, "", false)
	if err != nil && !isFull(err) && w.Checkpoint() == nil { // memory had no room for more
		tx, err = w.Begin(items, "", false)
	}
	if err != nil {
		return err
	}
	defer tx.Release()
	for i := range items {
		if !tx.Duplicate(&items[i]) {
			tx.Resolve(&items[i])
			tx.Fold(&items[i], tx.Append(&items[i]))
		}
	}
	if err := tx.End().WaitUnlessFull(); err != nil {
		return err
	}
	w.truth.mu.Lock()
	defer w.truth.mu.Unlock()
	for _, x := range list {
		x.acked = true
	}
	return nil
}

func (w *world) page(p int) error     { return w.send(w.message(p, event.Page)) }
func (w *world) identify(p int) error { return w.send(w.message(p, event.Identify)) }

func (w *world) session(p int, user string) error {
	tx, err := w.Begin(nil, device(p).Value, false)
	if err != nil {
		return err
	}
	defer tx.Release()
	w.truth.mu.Lock()
	w.truth.sessions[p][user] = true
	w.truth.mu.Unlock()
	tx.SetSession(device(p).Value, people.Session{User: user, Until: begin * 2, Token: [16]byte{byte(p)}}, w.clock.Load())
	if err := tx.End().Wait(); err != nil {
		return err
	}
	w.truth.mu.Lock()
	w.truth.sessions[p] = map[string]bool{user: true}
	w.truth.mu.Unlock()
	return nil
}

func (w *world) refuse() error {
	tx, err := w.Begin(nil, "", false)
	if err != nil {
		return err
	}
	defer tx.Release()
	w.truth.mu.Lock()
	w.truth.refused.tried++
	w.truth.mu.Unlock()
	tx.Refuse(&people.Refused{Site: "shop", ReceivedAt: w.clock.Load(), Code: "bad", Message: "is bad", Raw: `{"userId":"nobody"}`})
	if err := tx.End().Wait(); err != nil {
		return err
	}
	w.truth.mu.Lock()
	w.truth.refused.acked++
	w.truth.mu.Unlock()
	return nil
}

func (w *world) evidence(kind graph.Kind) error {
	_, err := w.State(graph.Evidence{Kind: kind, A: user(0), B: user(1), Trust: id.Admin, Reason: "because"})
	return err
}

// erase decides an erasure; shred makes it physical.
func (w *world) erase(p int) (*people.Erasure, error) {
	t := w.truth
	t.mu.Lock()
	t.erasures.tried++
	t.stamp = max(t.stamp, w.clock.Load()) // what comes from now on is not from before the erasure
	var list []*sent
	for _, x := range t.sent {
		if x.person == p {
			x.mayGo = true
			list = append(list, x)
		}
	}
	t.mu.Unlock()
	e, err := w.Erase(device(p), people.EraseRequest{View: id.AllView, Requested: w.clock.Load()})
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.erasures.acked++
	for _, x := range list {
		x.gone = true
	}
	return e, nil
}

func (w *world) shred(e *people.Erasure) error {
	wait := w.shredWait
	if wait == 0 {
		wait = time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if err := w.Shred(ctx, e, nil); err != nil {
		return err
	}
	return w.Finished(e, []byte("receipt"))
}

func (w *world) settle(age time.Duration) error {
	_, err := w.Settle(context.Background(), age)
	return err
}

// everything is an age by which all settles.
const everything = time.Duration(-1 << 62)

// wrongError says that the store gave out what is not so.
type wrongError struct{ what string }

func (e *wrongError) Error() string { return e.what }

func wrong(format string, args ...any) error { return &wrongError{fmt.Sprintf(format, args...)} }

// judge reads all that there is and holds it against the truth.
func (w *world) judge() error {
	t := w.truth
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := map[string]bool{}
	for p := range persons {
		found, err := w.Person(device(p), id.AllView)
		if errors.Is(err, people.ErrUnknown) {
			continue
		}
		if err != nil {
			return fmt.Errorf("person %d: %w", p, err)
		}
		own := map[string]bool{}
		var before people.Place
		for {
			before, err = w.Timeline(found.Facets, before, 7, func(_ people.Place, e *event.Event) error {
				if own[e.MessageID] {
					return wrong("event %s is there twice", e.MessageID)
				}
				own[e.MessageID] = true
				x := t.byID[e.MessageID]
				if x == nil || x.e.Name != e.Name || x.e.Properties != e.Properties || x.e.Traits != e.Traits || x.e.Timestamp != e.Timestamp ||
					x.e.AnonymousID != e.AnonymousID || x.e.UserID != e.UserID {
					return wrong("event %s is wrong: %+v", e.MessageID, e)
				}
				if x.person == p {
					seen[e.MessageID] = true
				} else if x.person > 1 || p > 1 {
					return wrong("person %d has event %s of person %d", p, e.MessageID, x.person)
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("timeline of person %d: %w", p, err)
			}
			if before == (people.Place{}) {
				break
			}
		}
		if int(found.Profile.Events) != len(own) {
			return wrong("the profile of person %d counts %d events, the timeline has %d", p, found.Profile.Events, len(own))
		}
		if p < erasable {
			x, err := w.Session(device(p).Value, false)
			if err != nil {
				return fmt.Errorf("session of person %d: %w", p, err)
			}
			if !t.sessions[p][x.User] {
				return wrong("the session of person %d is of %q; want one of %v", p, x.User, t.sessions[p])
			}
		}
	}
	for _, x := range t.sent {
		name := x.e.MessageID
		switch {
		case x.gone && seen[name]:
			return wrong("event %s was erased and is there", name)
		case x.acked && !x.mayGo && !seen[name]:
			return wrong("event %s of person %d was acknowledged and is gone", name, x.person)
		}
	}
	refused, err := w.Quarantine(0, 1000)
	if err != nil {
		return fmt.Errorf("refused messages: %w", err)
	}
	if len(refused) < t.refused.acked || len(refused) > t.refused.tried {
		return wrong("%d refused messages; %d were tried, %d acknowledged", len(refused), t.refused.tried, t.refused.acked)
	}
	list, err := w.Erasures(0, 1000)
	if err != nil {
		return fmt.Errorf("erasures: %w", err)
	}
	if len(list) < t.erasures.acked || len(list) > t.erasures.tried {
		return wrong("%d erasures; %d were tried, %d acknowledged", len(list), t.erasures.tried, t.erasures.acked)
	}
	n := w.log.Head()
	return w.log.Read(0, func(seq uint64, _ int64, _ []byte) (bool, error) {
		n++
		if seq != n-1 {
			return false, wrong("the log gives entry %d, want %d", seq, n-1)
		}
		return true, nil
	})
}

// again sends what was sent and not acknowledged once more, as a sender does.
func (w *world) again() error {
	var list []*sent
	w.truth.mu.Lock()
	for _, x := range w.truth.sent {
		if !x.acked && !x.mayGo {
			list = append(list, x)
		}
	}
	w.truth.mu.Unlock()
	for _, x := range list {
		if err := w.send(x); err != nil {
			return err
		}
	}
	return nil
}

// finish shreds what an erasure has left to do.
func (w *world) finish() error {
	list, err := w.Erasures(0, 1000)
	if err != nil {
		return err
	}
	for _, e := range list {
		if !e.Done {
			if err := w.shred(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newConfig(fs vfs.FS) config {
	c := config{fs: fs, dir: "data", clock: new(atomic.Int64), truth: newTruth()}
	c.clock.Store(begin)
	return c
}
