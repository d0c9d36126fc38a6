package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/storage/audit"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/erasure"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
)

func (a *App) openFolder() error {
	if _, err := os.Stat(a.cfg.DataDir); errors.Is(err, os.ErrNotExist) {
		a.first = true
	}
	if err := os.MkdirAll(a.cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("%w; data_dir must be a folder that this user may write to", err)
	}
	return nil
}

func (a *App) openStore() (err error) {
	a.db, err = engine.Open(engine.Options{
		Dir: a.cfg.DataDir, CacheBytes: int64(a.cfg.CacheBytes), Logger: a.log, Exit: a.o.Exit,
	})
	if err == nil {
		a.opened("store", a.db.Close)
	}
	return err
}

func (a *App) openLog() (err error) {
	a.events, err = eventlog.Open(a.db, a.vault, eventlog.Options{
		QueueBytes: int64(a.cfg.Limits.QueueBytes), MinFree: minFree(a.cfg), CommitWait: a.cfg.Limits.CommitWait, Logger: a.log, OnFatal: a.lost,
	})
	if err == nil {
		a.opened("event log", a.events.Close)
	}
	return err
}

// minFree is the setting as the log understands it.
func minFree(cfg *config.Config) int64 {
	if cfg.Limits.MinFree == 0 {
		return -1
	}
	return int64(cfg.Limits.MinFree)
}

// lost ends the program when the log can no longer keep its promise: after a
// failed fsync nothing may be acknowledged, and a restart knows what was kept.
func (a *App) lost(err error) {
	a.fatal.Do(func() {
		a.log.Error("the event log failed; stopping, so that a restart can recover what is on disk", "err", err)
		go a.o.Exit(exitLost)
	})
}

const exitLost = 70 // EX_SOFTWARE in sysexits.h

// restoredMark is a file in a data folder that was brought back from a backup
// and has not been started since.
const restoredMark = "restored"

func (a *App) openAudit() error {
	mark := filepath.Join(a.cfg.DataDir, restoredMark)
	_, err := os.Stat(mark)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	restored := err == nil
	a.audit, err = audit.Open(audit.Options{
		DB: a.db, Keys: a.vault, HeadFile: filepath.Join(keyDir(a.cfg.DataDir), audit.HeadFileName), Restored: restored, Logger: a.log,
	})
	if err != nil {
		return err
	}
	a.opened("audit log", a.audit.Close)
	if restored {
		if err := os.Remove(mark); err != nil {
			return err
		}
	}
	return a.note("gateway.start", "ok")
}

// note writes down what the gateway does by itself, or for who controls its process.
func (a *App) note(action, outcome string) error { return a.noteAbout(action, "", outcome) }

func (a *App) noteAbout(action, object, outcome string) error {
	ctx, cancel := context.WithTimeout(context.Background(), noteTime)
	defer cancel()
	_, err := a.audit.Append(ctx, audit.Entry{Actor: "gateway", Role: "process", Action: action, Object: object, Outcome: outcome})
	return err
}

const noteTime = 10 * time.Second

func (a *App) openPeople() (err error) {
	if a.types, err = identifierTypes(a.cfg); err != nil {
		return err
	}
	shown := time.Now()
	a.people, err = people.Open(a.peopleOptions(), func(done, total uint64) {
		if time.Since(shown) > time.Second {
			shown = time.Now()
			a.log.Info("replaying the log's tail", "done", done, "of", total)
		}
	})
	if err != nil {
		return err
	}
	a.opened("people", a.people.Close)
	if st := a.people.Stats(); st.Replayed > 0 {
		a.log.Info("replayed the log's tail", "entries", st.Replayed, "took", st.ReplayTime.Round(time.Millisecond))
	}
	return nil
}

func (a *App) peopleOptions() people.Options {
	return people.Options{
		DB: a.db, Vault: a.vault, Log: a.events, Types: a.types, Rules: a.foldRules(), Defined: a.kept.Has,
		DedupeWindow: a.cfg.DedupeWindow, Logger: a.log,
		MaxLinks: orNone(a.cfg.Identity.MaxLinks), MaxAddresses: orNone(a.cfg.Identity.MaxAddresses),
		Judge: a.judge.Judge, AudienceName: a.defs.AudienceName,
		Tail: a.cfg.Retention.Tail, KeepEvents: a.cfg.Retention.Events, KeepRefused: a.cfg.Retention.Refused,
	}
}

// orNone turns the configuration's 0, no bound, into the store's word for it.
func orNone(bound int) int {
	if bound == 0 {
		return -1
	}
	return bound
}

func (a *App) openErasures() error {
	a.erasures = erasure.Open(erasure.Options{
		People: a.people, Vault: a.vault, Ledger: filepath.Join(keyDir(a.cfg.DataDir), ledgerFile), Logger: a.log,
	})
	a.opened("erasures", a.erasures.Close)
	return nil
}
