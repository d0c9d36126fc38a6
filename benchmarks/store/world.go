package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/vault"
)

// world is an open store, made of what the gateway makes it of.
type world struct {
	db    *engine.DB
	vault *vault.Vault
	log   *eventlog.Log
	*people.Store
	clock  atomic.Int64 // ms; 0: the real one
	opened Opening
}

// Opening is how long the parts of an opening took, in milliseconds.
type Opening struct {
	Engine   float64 `json:"engineMillis"`
	Vault    float64 `json:"vaultMillis"`
	Log      float64 `json:"logMillis"`
	People   float64 `json:"peopleMillis"`
	Replayed int64   `json:"replayedEntries"`
}

type worldOptions struct {
	clock int64         // ms; 0: the real time
	hold  int           // 0: the default
	every time.Duration // between checkpoints; 0: the default
	slice int           // bytes that settle at once; 0: the default
}

// computed are the traits that the end-to-end benchmark's shop has.
var computed = []trait.Definition{
	{Name: "favourite_category", Kind: trait.Affinity, Event: "Product Viewed", By: "properties.category", HalfLife: 14 * 24 * time.Hour},
	{Name: "orders_30d", Kind: trait.Count, Event: "Order Completed", Window: 30 * 24 * time.Hour},
}

func dataFolder(dir string) string { return filepath.Join(dir, "data") }

func open(dir string, o worldOptions) (w *world, err error) {
	w = &world{}
	w.clock.Store(o.clock)
	now := func() time.Time {
		if ms := w.clock.Load(); ms != 0 {
			return time.UnixMilli(ms)
		}
		return time.Now()
	}
	quiet := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var ends []func() error
	defer func() {
		if err != nil {
			for i := len(ends) - 1; i >= 0; i-- {
				err = errors.Join(err, ends[i]())
			}
			w = nil
		}
	}()
	began := time.Now()
	lap := func(into *float64) {
		*into = millis(time.Since(began))
		began = time.Now()
	}
	if w.db, err = engine.Open(engine.Options{Dir: dataFolder(dir), Logger: quiet}); err != nil {
		return w, err
	}
	ends = append(ends, w.db.Close)
	lap(&w.opened.Engine)
	master, _, err := vault.LoadOrCreateMasterKey(filepath.Join(dir, "keys", "master"))
	if err != nil {
		return w, err
	}
	if w.vault, err = vault.Open(w.db, master); err != nil {
		return w, err
	}
	lap(&w.opened.Vault)
	if w.log, err = eventlog.Open(w.db, w.vault, eventlog.Options{Logger: quiet, Now: now}); err != nil {
		return w, err
	}
	ends = append(ends, w.log.Close)
	lap(&w.opened.Log)
	traits, err := trait.Compile(computed)
	if err != nil {
		return w, err
	}
	w.Store, err = people.Open(people.Options{
		DB: w.db, Vault: w.vault, Log: w.log, Types: id.Default(), Rules: facet.Rules{Contribute: traits.Contribute},
		Hold: o.hold, Every: o.every, SliceBytes: o.slice, SettleEvery: -1, Now: now, Logger: quiet,
	}, nil)
	if err != nil {
		return w, err
	}
	lap(&w.opened.People)
	w.opened.Replayed = w.Stats().Replayed
	return w, nil
}

// close ends in order. With an error already there it adds what else went wrong.
func (w *world) close(err *error) {
	for _, end := range []func() error{w.Store.Close, w.log.Close, w.db.Close} {
		if e := end(); e != nil {
			*err = errors.Join(*err, fmt.Errorf("closing: %w", e))
		}
	}
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
