package app

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/gateway/ops"
	"github.com/reuna/reuna/storage/backup"
)

func (a *App) openOperations() error {
	b := a.cfg.Backup
	a.ops = ops.Open(ops.Options{
		DB: a.db, Vault: a.vault, Log: a.events, People: a.people, Ledger: filepath.Join(keyDir(a.cfg.DataDir), ledgerFile),
		To: b.To, Every: b.Every, Keep: b.Keep, Tail: a.cfg.Retention.Tail,
		MasterFile: a.keys.master.file, Next: a.nextMaster, Logger: a.log,
		Ended: func(j ops.Job) {
			if err := a.noteAbout("job.end", j.ID, j.State); err != nil {
				a.log.Error("the end of a job could not be written into the activity log", "job", j.ID, "err", err)
			}
		},
	})
	a.opened("operations", a.ops.Close)
	return nil
}

// nextMaster is the key that the configuration names for a rotation; nil when it
// names none. A reload may have brought it.
func (a *App) nextMaster() []byte {
	secret := a.front.Load().cfg.NextMasterKey
	if secret.IsZero() {
		return nil
	}
	key, err := config.MasterKeyBytes(secret.Reveal())
	if err != nil { // Validate has read it
		a.log.Error("next_master_key cannot be read", "err", err)
		return nil
	}
	return key
}

// operations gives the desk's requests to ops.
type operations struct{ d *ops.Desk }

func (x operations) Backup(to string) (admin.Job, error) { return started(x.d.Backup(to)) }

func (x operations) VerifyBackup(dir, id string) (admin.Job, error) {
	return started(x.d.VerifyBackup(dir, id))
}

func (x operations) Compact() (admin.Job, error) { return started(x.d.Compact()) }

func (x operations) Settle(age time.Duration) (admin.Job, error) { return started(x.d.Settle(age)) }

func (x operations) Rotate() (admin.Job, string, error) {
	j, next, err := x.d.Rotate()
	if errors.Is(err, ops.ErrNoNext) {
		err = &admin.Refusal{Status: fasthttp.StatusConflict, Code: "no_next_master_key", Err: err,
			Message: "the master key comes from the configuration, which names no other one to rotate to; set next_master_key, reload (HUP), and ask again"}
	}
	k, err := started(j, err)
	return k, next, err
}

// started says it in the desk's words.
func started(j ops.Job, err error) (admin.Job, error) {
	var running *ops.RunningError
	switch {
	case errors.As(err, &running):
		err = &admin.Refusal{Status: fasthttp.StatusConflict, Code: "already_running", Message: running.Error(), Err: err}
	case errors.Is(err, ops.ErrNoTarget):
		err = &admin.Refusal{Status: fasthttp.StatusBadRequest, Code: "no_backup_folder", Err: err,
			Message: "no folder is named, and the configuration has none; name one, or set backup.to"}
	case errors.Is(err, ops.ErrClosed):
		err = &admin.Refusal{Status: fasthttp.StatusServiceUnavailable, Code: "draining", Message: err.Error(), Err: err}
	}
	return admin.Job(j), err
}

func (x operations) Job(kind string) (admin.Job, bool) {
	j, ok := x.d.Job(kind)
	return admin.Job(j), ok
}

func (x operations) Snapshots() (string, []*backup.Snapshot, error) { return x.d.Snapshots() }

func (x operations) Keys(ctx context.Context) (admin.Keys, error) {
	k, err := x.d.Keys(ctx)
	return admin.Keys(k), err
}

func (x operations) Log() (admin.Log, error) {
	l, err := x.d.LogState()
	return admin.Log(l), err
}
