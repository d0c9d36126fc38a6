package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/vault"
)

// busy is what working people out costs on a kiosk and on quiet devices.
type busy struct {
	held         bool // the kiosk, for its many links
	kiosk, quiet cost
	// others are clusters of other users of the kiosk that were worked out again
	// because one more user came, of so many asked for.
	others, asked int64
}

// cost is of one kind of device.
type cost struct {
	times        times
	n            int64
	reads, pairs int64 // identifiers read and pairs looked at, all together
}

// ratio is the kiosk's cost over a quiet device's.
func (b *busy) ratio(of func(c *cost) float64) float64 { return of(&b.kiosk) / of(&b.quiet) }

func (c *cost) median() float64    { return c.times.at(0.5) }
func (c *cost) meanReads() float64 { return float64(c.reads) / float64(c.n) }
func (c *cost) meanPairs() float64 { return float64(c.pairs) / float64(c.n) }

// world is an open store.
type world struct {
	db  *engine.DB
	log *eventlog.Log
	*people.Store
	serial int
}

func openWorld(dir string, maxLinks int) (w *world, err error) {
	w = &world{}
	quiet := slog.New(slog.DiscardHandler)
	if w.db, err = engine.Open(engine.Options{Dir: filepath.Join(dir, "data"), Logger: quiet}); err != nil {
		return nil, err
	}
	master, _, err := vault.LoadOrCreateMasterKey(filepath.Join(dir, "keys", "master"))
	var v *vault.Vault
	if err == nil {
		v, err = vault.Open(w.db, master)
	}
	if err == nil {
		w.log, err = eventlog.Open(w.db, v, eventlog.Options{Logger: quiet})
	}
	if err != nil {
		return nil, errors.Join(err, w.db.Close())
	}
	w.Store, err = people.Open(people.Options{DB: w.db, Vault: v, Log: w.log, Types: id.Default(), SettleEvery: -1, MaxLinks: maxLinks, Logger: quiet}, nil)
	if err != nil {
		return nil, errors.Join(err, w.log.Close(), w.db.Close())
	}
	return w, nil
}

func (w *world) close() error { return errors.Join(w.Store.Close(), w.log.Close(), w.db.Close()) }

// identify takes one event in, as the pipeline does, and does not wait for the disk.
func (w *world) identify(device, user, email string) (eventlog.Ticket, error) {
	w.serial++
	now := time.Now().UnixMilli()
	e := &event.Event{
		Type: event.Identify, Source: event.FromServer, Trust: id.Verified, Site: "shop",
		MessageID: fmt.Sprint("m", w.serial), AnonymousID: device, UserID: user, Timestamp: now, ReceivedAt: now,
	}
	if email != "" {
		e.Traits = event.Value(`{"email":"` + email + `"}`)
	}
	items := make([]people.Item, 1)
	w.Prepare(&items[0], e, false)
	tx, err := w.Begin(items, device, false)
	if err != nil {
		return eventlog.Ticket{}, err
	}
	tx.Resolve(&items[0])
	tx.Fold(&items[0], tx.Append(&items[0]))
	return tx.End(), nil
}

// kiosk has users of one device and users with a device each do the same in
// turn: each names an e-mail address that it had not named before, so that who
// it is must be worked out anew, and is then asked for.
func kiosk(ctx context.Context, dir string, o *options, maxLinks int) (b *busy, err error) {
	w, err := openWorld(dir, maxLinks)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	b = &busy{}
	user := func(kind string, k int) id.ID { return id.ID{Type: id.UserID, Value: fmt.Sprint(kind, k)} }
	device := func(kind string, k int) string {
		if kind == "kiosk" {
			return "kiosk"
		}
		return fmt.Sprint("device", k)
	}
	step := func(kind string, k int, email string) (took time.Duration, err error) {
		began := time.Now()
		ticket, err := w.identify(device(kind, k), user(kind, k).Value, email)
		if err != nil {
			return 0, err
		}
		p, err := w.Profile(user(kind, k), id.VerifiedView)
		took = time.Since(began)
		if err == nil && (p.Profile == nil || p.Profile.Events == 0) {
			err = fmt.Errorf("user %d of %s has no profile", k, kind)
		}
		if k%50 == 0 { // nobody runs away from the disk
			err = errors.Join(err, ticket.Wait())
		}
		return took, errors.Join(err, ctx.Err())
	}
	for k := range o.users {
		for _, kind := range [...]string{"kiosk", "quiet"} {
			if _, err := step(kind, k, ""); err != nil {
				return nil, err
			}
		}
	}
	for round := range o.rounds {
		for k := range o.users {
			kinds := []string{"kiosk", "quiet"}
			if (round+k)%2 == 1 {
				kinds[0], kinds[1] = kinds[1], kinds[0]
			}
			for _, kind := range kinds {
				c := &b.quiet
				if kind == "kiosk" {
					c = &b.kiosk
				}
				before := w.Stats()
				took, err := step(kind, k, fmt.Sprintf("%s%d.%d@x.com", kind, k, round))
				if err != nil {
					return nil, err
				}
				c.times.add(took)
				after := w.Stats()
				c.n++
				c.reads += after.ResolveReads - before.ResolveReads
				c.pairs += after.ResolvePairs - before.ResolvePairs
			}
		}
	}
	// One more comes: what of the others is known stays known.
	for i := range 20 {
		if _, err := step("kiosk", o.users+i, ""); err != nil {
			return nil, err
		}
		before := w.Stats()
		for k := range min(100, o.users) {
			if _, err := w.Profile(user("kiosk", k), id.VerifiedView); err != nil {
				return nil, err
			}
			b.asked++
		}
		b.others += w.Stats().Resolved - before.Resolved
	}
	p, err := w.Person(id.ID{Type: id.AnonymousID, Value: "kiosk"}, id.VerifiedView)
	if err != nil {
		return nil, err
	}
	if len(p.Cluster.Members) != 1 {
		return nil, fmt.Errorf("the kiosk is in a cluster of %d", len(p.Cluster.Members))
	}
	list, _, err := w.Held(1, "")
	b.held = len(list) > 0
	return b, err
}
