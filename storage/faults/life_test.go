package faults

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/vault"
	"github.com/reuna/reuna/storage/verify"
)

// verified has package verify look at a folder that nobody has open.
func verified(c config) (err error) {
	db, err := engine.Open(engine.Options{Dir: c.dir, FS: c.fs, Logger: quiet, CacheBytes: 1 << 20})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	v, err := vault.Open(db, master)
	if err != nil {
		return err
	}
	report, err := verify.Run(context.Background(), verify.Options{DB: db, Vault: v, Types: id.Default(), Now: c.now()})
	return errors.Join(err, report.Err())
}

// sound is the verdict on what a fault has left: the folder as it lies there,
// the store that opens on it, what senders send again, and the folder after it.
func sound(c config, asIs bool) error {
	if asIs {
		if err := verified(c); err != nil {
			return fmt.Errorf("as the fault left it: %w", err)
		}
	}
	w, err := open(c)
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"after the start", w.judge}, {"sending again", w.again}, {"after sending again", w.judge}, {"shredding", w.finish},
		{"after shredding", w.judge}, {"checkpoint", w.Checkpoint}, {"settling", func() error { return w.settle(everything) }},
		{"after settling", w.judge},
	} {
		if err := step.do(); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", step.name, err), w.end())
		}
	}
	if err := w.end(); err != nil {
		return fmt.Errorf("closing: %w", err)
	}
	if err := verified(c); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	return nil
}

// life is one run through all that a store does. A step that fails is told to
// failed, which says whether to go on; w may be replaced by a step.
func life(w *world, failed func(step string, err error) (goOn bool)) *world {
	var shredLater *people.Erasure
	steps := []struct {
		name string
		do   func() error
	}{
		{"first events", func() error {
			for p := range persons {
				if err := w.page(p); err != nil {
					return err
				}
			}
			return nil
		}},
		{"identify", func() error {
			for p := range persons {
				if err := w.identify(p); err != nil {
					return err
				}
			}
			return nil
		}},
		{"a batch", func() error {
			return w.send(w.message(0, event.Track), w.message(1, event.Track), w.message(4, event.Track))
		}},
		{"sessions", func() error { return errors.Join(w.session(0, "u0"), w.session(1, "u1"), w.session(0, "")) }},
		{"refused", w.refuse},
		{"link", func() error { return w.evidence(graph.Link) }},
		{"checkpoint", func() error { return w.Checkpoint() }},
		{"more events", func() error { return errors.Join(w.page(4), w.page(5), w.identify(2), w.page(6)) }},
		{"settle", func() error { return w.settle(everything) }},
		{"flush", func() error { return w.db.Flush() }},
		{"events after settling", func() error { return errors.Join(w.page(4), w.page(5), w.page(0), w.refuse()) }},
		{"cut", func() error { return w.evidence(graph.Cut) }},
		{"erase and shred", func() error {
			e, err := w.erase(4)
			if err != nil {
				return err
			}
			return w.shred(e)
		}},
		{"the erased one comes back", func() error { return errors.Join(w.page(4), w.identify(4), w.page(7)) }},
		{"restart", func() error {
			if err := w.end(); err != nil {
				return err
			}
			next, err := open(w.config)
			next.exits.Add(w.exits.Load())
			w = next
			return err
		}},
		{"events after the restart", func() error { return errors.Join(w.page(4), w.page(3), w.page(6)) }},
		{"settle what is older than a day", func() error { return w.settle(24 * time.Hour) }},
		{"erase", func() (err error) { shredLater, err = w.erase(5); return err }},
		{"events between", func() error { return errors.Join(w.page(5), w.page(1)) }},
		{"shred later", func() error { return w.shred(shredLater) }},
		{"link again", func() error { return w.evidence(graph.Link) }},
		{"last events", func() error { return errors.Join(w.page(2), w.page(7)) }},
	}
	for _, s := range steps {
		w.clock.Add(5 * 3_600_000)
		if s.name == "shred later" && shredLater == nil {
			continue
		}
		if w.Store == nil {
			return w
		}
		if err := s.do(); err != nil && !failed(s.name, err) {
			return w
		}
	}
	return w
}

// TestALife: without faults nothing fails, and all is well at the end.
func TestALife(t *testing.T) {
	c := newConfig(vfs.NewMem())
	w, err := open(c)
	must(t, err)
	w = life(w, func(step string, err error) bool { t.Errorf("%s: %v", step, err); return true })
	must(t, w.judge())
	must(t, w.end())
	must(t, sound(c, true))
}
