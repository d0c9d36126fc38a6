package ops

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"time"

	"github.com/reuna/reuna/storage/backup"
)

// ErrNoTarget says that no folder for backups is configured, and none was named.
var ErrNoTarget = errors.New("no backup folder is configured (setting backup.to)")

// Backup copies the data folder to a folder of backups; "" means the configured
// one, where older snapshots than Keep are then removed.
func (d *Desk) Backup(to string) (Job, error) {
	if to == "" {
		to = d.o.To
	}
	if to == "" {
		return Job{}, ErrNoTarget
	}
	return d.begin(Backup, func(ctx context.Context, tell func(string, int64, int64)) (any, error) {
		s, err := backup.Make(ctx, backup.Options{
			DB: d.o.DB, Vault: d.o.Vault, To: to, Ledger: d.o.Ledger,
			LastSeq: d.o.Log.Durable(), Origin: d.o.Log.Origin(), Now: d.o.Now, Logger: d.o.Logger,
			Progress: func(done, total int64) { tell("copying", done, total) },
		})
		if err != nil {
			return nil, err
		}
		result := map[string]any{"to": to, "snapshot": s.ID, "lastSeq": s.LastSeq, "newFiles": s.NewFiles, "newBytes": s.NewBytes,
			"reusedFiles": s.ReusedFiles, "reusedBytes": s.ReusedBytes}
		if to != d.o.To {
			return result, nil
		}
		d.mu.Lock()
		d.good = s.Time
		d.mu.Unlock()
		if d.o.Keep > 0 {
			tell("removing old snapshots", 0, 0)
			gone, err := backup.Prune(to, d.o.Keep)
			if err != nil {
				return result, err
			}
			result["prunedSnapshots"], result["prunedBytes"] = gone.Snapshots, gone.Bytes
		}
		return result, nil
	})
}

// VerifyBackup reads everything that a snapshot (id "": the newest) needs and
// compares it with what was signed. dir "" means the configured folder.
func (d *Desk) VerifyBackup(dir, id string) (Job, error) {
	if dir == "" {
		dir = d.o.To
	}
	if dir == "" {
		return Job{}, ErrNoTarget
	}
	return d.begin(VerifyBackup, func(ctx context.Context, tell func(string, int64, int64)) (any, error) {
		s, err := backup.Verify(ctx, dir, id, func(done, total int64) { tell("reading", done, total) })
		result := map[string]any{"from": dir}
		var damage *backup.DamageError
		if errors.As(err, &damage) {
			result["faults"], result["more"] = damage.Faults, damage.More
		}
		if s != nil {
			result["snapshot"] = s.ID
		}
		return result, err
	})
}

// LastBackup is when the newest snapshot in the configured folder was made; zero
// when there is none.
func (d *Desk) LastBackup() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.good
}

// newest looks into the configured folder.
func (d *Desk) newest() time.Time {
	list, err := backup.List(d.o.To)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, backup.ErrNotBackup) {
		d.o.Logger.Warn("looking for the last backup", "dir", d.o.To, "err", err)
	}
	if len(list) == 0 {
		return time.Time{}
	}
	return list[0].Time
}

// retryBackup is the longest wait after a backup that failed.
const retryBackup = time.Hour

// schedule makes a backup when Every has passed since the last good one. A
// little chance keeps many gateways that share a disk from coming at once.
func (d *Desk) schedule() {
	for wait := d.due(); ; {
		timer := time.NewTimer(wait)
		select {
		case <-d.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		before := d.LastBackup()
		if _, err := d.Backup(""); err != nil {
			d.o.Logger.Warn("the scheduled backup was put off", "err", err)
			wait = min(d.o.Every, retryBackup)
			continue
		}
		if !d.await(Backup) {
			return
		}
		if d.LastBackup().Equal(before) { // it failed, and its log line says why
			wait = min(d.o.Every, retryBackup)
			continue
		}
		wait = d.due()
	}
}

// await waits for the end of the newest job of a kind; false when the desk
// closes first.
func (d *Desk) await(kind string) bool {
	d.mu.Lock()
	j := d.jobs[kind]
	d.mu.Unlock()
	select {
	case <-d.ctx.Done():
		return false
	case <-j.ended:
		return true
	}
}

// due is how long to wait for the next backup.
func (d *Desk) due() time.Duration {
	jitter := time.Duration(rand.Int64N(int64(min(d.o.Every/20, 10*time.Minute)) + 1))
	last := d.LastBackup()
	if last.IsZero() {
		return jitter
	}
	// A clock that was set back must not put it off for longer than that.
	return min(max(last.Add(d.o.Every).Sub(d.o.Now()), 0), d.o.Every) + jitter
}
