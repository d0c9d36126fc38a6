package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/reuna/reuna/storage/audit"
	"github.com/reuna/reuna/storage/backup"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/erasure"
	"github.com/reuna/reuna/storage/vault"
)

// RestoreOptions say what is brought back to where.
type RestoreOptions struct {
	Offline
	From     string // the backup folder
	Snapshot string // its id; "" for the newest
	// Keys is the key folder of the install that made the backup, where it is not
	// the one beside the data folder: what it holds is copied there. "": it is.
	Keys string
}

// Restore makes a data folder of a snapshot, in which everybody stays erased who
// was erased before or since.
func Restore(ctx context.Context, o RestoreOptions) (*backup.Restored, error) {
	o.fill()
	cfg := o.Config
	own := keyDir(cfg.DataDir)
	if err := os.MkdirAll(own, 0o700); err != nil {
		return nil, err
	}
	if o.Keys != "" {
		if err := copyKeys(o.Keys, own); err != nil {
			return nil, err
		}
	}
	keys, err := masterOf(cfg)
	if err != nil {
		return nil, err
	}
	key, err := keys.bytes()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no master key at %s: put the one there that the backup was made under, name the old key folder with -keys, or set master_key", keys.file)
	}
	if err != nil {
		return nil, err
	}
	restore := backup.RestoreOptions{
		From: o.From, ID: o.Snapshot, To: cfg.DataDir, Master: key, Ledger: filepath.Join(own, ledgerFile),
		Erase: o.eraseAgain, Logger: o.Logger,
		Progress: func(done, total int64) { o.Progress("copying", done, total) },
	}
	others, err := keys.others()
	if err != nil {
		return nil, err
	}
	done, err := backup.Restore(ctx, restore)
	for _, key := range others {
		if !errors.Is(err, backup.ErrWrongMaster) {
			break
		}
		restore.Master = key
		var again error
		if done, again = backup.Restore(ctx, restore); !errors.Is(again, backup.ErrWrongMaster) {
			err = again // else the first one is told: it names the key in use
		}
	}
	if err != nil {
		return nil, err
	}
	// The next start tells the activity log that what is missing there is missing
	// by the restore.
	return done, os.WriteFile(filepath.Join(cfg.DataDir, restoredMark), []byte(done.Snapshot.ID+"\n"), 0o600)
}

// eraseAgain repeats erasures in the folder that is being brought back.
func (o *RestoreOptions) eraseAgain(ctx context.Context, db *engine.DB, v *vault.Vault, entries []backup.LedgerEntry) (err error) {
	o.Progress("erasing again", 0, int64(len(entries)))
	// A log that fails gives its error to whoever waits; that is enough here.
	a := &App{o: Options{Exit: func(int) {}}, cfg: o.Config, log: o.Logger, db: db, vault: v}
	defer func() { err = errors.Join(err, a.closeAll()) }()
	err = a.openAll([]opening{{"event log", a.openLog}, {"definitions", a.openDefinitions}, {"people", a.openPeople}})
	if err != nil {
		return err
	}
	n, err := erasure.Replay(ctx, a.people, entries)
	o.Progress("erasing again", int64(len(entries)), int64(len(entries)))
	o.Logger.Info("erased again", "persons", n)
	return err
}

// copyKeys copies what is in a key folder into another one, where nothing else
// may be in its place.
func copyKeys(from, to string) error {
	found := false
	names := []string{masterFile, masterFile + ".next", ledgerFile, audit.HeadFileName, adminFile}
	rotated, err := filepath.Glob(filepath.Join(from, masterFile+".was-*"))
	if err != nil {
		return err
	}
	for _, name := range rotated {
		names = append(names, filepath.Base(name))
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		found = true
		there, err := os.ReadFile(filepath.Join(to, name))
		switch {
		case err == nil && bytes.Equal(there, text):
		case err == nil:
			return fmt.Errorf("%s has another %s than %s: a data folder has one key folder; move the wrong one away", to, name, from)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		default:
			if err := os.WriteFile(filepath.Join(to, name), text, 0o600); err != nil {
				return err
			}
		}
	}
	if !found {
		return fmt.Errorf("%s is no key folder: it has neither a %s nor an %s file", from, masterFile, ledgerFile)
	}
	return nil
}
