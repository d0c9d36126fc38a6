package folder

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
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/vault"
)

// Store is an open data folder, with a clock that goes by what is brought.
type Store struct {
	Vault  *vault.Vault
	People *people.Store
	clock  atomic.Int64 // ms
	ends   []func() error
}

// slice is how much of the log settles at once. The events of a visit lie
// together in it, so that larger slices find nothing more to put together.
const slice = 8 << 20

// Open opens or makes a data folder, whose key lies where a gateway looks for it.
// It is then at, in ms since 1970; nobody's messageId is looked for longer than dedupe.
func Open(data string, at int64, dedupe time.Duration) (s *Store, err error) {
	s = &Store{}
	s.clock.Store(at)
	now := func() time.Time { return time.UnixMilli(s.clock.Load()) }
	quiet := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	defer func() {
		if err != nil {
			s.Close(&err)
		}
	}()
	if err := os.MkdirAll(data, 0o700); err != nil {
		return s, err
	}
	db, err := engine.Open(engine.Options{Dir: data, Logger: quiet, CacheBytes: 512 << 20})
	if err != nil {
		return s, err
	}
	s.ends = append(s.ends, db.Close)
	if s.Vault, _, err = vault.OpenWithFile(db, filepath.Join(data+".keys", "master.key")); err != nil {
		return s, err
	}
	log, err := eventlog.Open(db, s.Vault, eventlog.Options{Logger: quiet, Now: now})
	if err != nil {
		return s, err
	}
	s.ends = append(s.ends, log.Close)
	s.People, err = people.Open(people.Options{
		DB: db, Vault: s.Vault, Log: log, Types: id.Default(), Rules: facet.Rules{}, DedupeWindow: dedupe,
		Hold: 200_000, Every: time.Minute, SettleEvery: -1, SliceBytes: slice, Now: now, Logger: quiet,
	}, nil)
	if err != nil {
		return s, err
	}
	s.ends = append(s.ends, s.People.Close)
	return s, nil
}

// Close ends in order. With an error already there it adds what else went wrong.
func (s *Store) Close(err *error) {
	for i := len(s.ends) - 1; i >= 0; i-- {
		if e := s.ends[i](); e != nil {
			*err = errors.Join(*err, fmt.Errorf("closing: %w", e))
		}
	}
	s.ends = nil
}
