package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/storage/audit"
	"github.com/reuna/reuna/storage/definitions"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/vault"
	"github.com/reuna/reuna/storage/verify"
)

// Offline says which data folder is worked on that no gateway has open.
type Offline struct {
	Config *config.Config
	Logger *slog.Logger // nil: slog.Default()
	// Progress hears how far a step is; total is 0 while it is not known. Nil: nobody.
	Progress func(step string, done, total int64)
}

func (o *Offline) fill() {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
}

// Verified is what Verify found.
type Verified struct {
	Store verify.Report
	Audit audit.Report
	// Restored says that the folder was brought back and not started since: the
	// activity log was then not compared with the head file.
	Restored bool
}

// OK says that nothing is wrong.
func (v *Verified) OK() bool { return v.Store.OK() && v.Audit.OK }

// Verify reads everything in a data folder with a reader of its own and checks
// that it agrees, and then the activity log. It changes nothing.
func Verify(ctx context.Context, o Offline) (v *Verified, err error) {
	o.fill()
	if err := there(o.Config.DataDir); err != nil {
		return nil, err
	}
	types, err := identifierTypes(o.Config)
	if err != nil {
		return nil, err
	}
	db, err := engine.Open(engine.Options{Dir: o.Config.DataDir, CacheBytes: int64(o.Config.CacheBytes), ReadOnly: true, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	keys, err := masterOf(o.Config)
	if err != nil {
		return nil, err
	}
	open, err := keys.openReadOnly(db)
	if err != nil {
		return nil, err
	}
	v = &Verified{}
	v.Store, err = verify.Run(ctx, verify.Options{
		DB: db, Vault: open, Types: types, DedupeWindow: o.Config.DedupeWindow, NoAudit: true,
		Progress: func(step string, done, total uint64) { o.Progress(step, int64(done), int64(total)) },
	})
	if err != nil {
		return v, err
	}
	head := filepath.Join(keyDir(o.Config.DataDir), audit.HeadFileName)
	if _, err := os.Stat(filepath.Join(o.Config.DataDir, restoredMark)); err == nil {
		// The head file is of the time before the restore; the next start sees to it.
		v.Restored, head = true, ""
	}
	log, err := audit.Open(audit.Options{DB: db, Keys: open, HeadFile: head, Logger: o.Logger})
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	v.Audit, err = log.Verify(ctx, audit.VerifyOptions{Progress: func(done, total uint64) {
		o.Progress("activity log", int64(done), int64(total))
	}})
	return v, err
}

// openReadOnly opens the keys with any of those that may be the folder's.
func (m master) openReadOnly(db *engine.DB) (*vault.Vault, error) {
	key, err := m.bytes()
	if err != nil {
		return nil, err
	}
	others, err := m.others()
	if err != nil {
		return nil, err
	}
	if m.file != "" { // a rotation that was cut short
		next, err := vault.LoadMasterKey(m.file + ".next")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			others = append(others, next)
		}
	}
	v, err := vault.Open(db, key)
	for _, key := range others {
		if !errors.Is(err, vault.ErrWrongMaster) {
			break
		}
		if other, again := vault.Open(db, key); again == nil {
			return other, nil
		}
	}
	return v, err
}

// Rebuild derives everything known of people from the events alone and compares
// it with what is stored; with replace it is put in the place of what differs.
// It needs as much space beside the data folder as people take in it.
func Rebuild(ctx context.Context, o Offline, replace bool) (r *people.Rebuilt, err error) {
	o.fill()
	if err := there(o.Config.DataDir); err != nil {
		return nil, err
	}
	a := &App{o: Options{Exit: os.Exit}, cfg: o.Config, log: o.Logger}
	defer func() { err = errors.Join(err, a.closeAll()) }()
	err = a.openAll([]opening{
		{"keys", a.openKeys}, {"store", a.openStore}, {"vault", a.openVault}, {"event log", a.openLog},
		{"definitions", a.openDefinitions}, {"people", a.openPeople},
	})
	if err != nil {
		return nil, err
	}
	// What is in memory and in the log's tail only is written; then nobody uses it.
	if err := a.people.Close(); err != nil {
		return nil, err
	}
	a.open = a.open[:len(a.open)-1]
	scratch := filepath.Clean(o.Config.DataDir) + ".rebuild"
	if err := os.RemoveAll(scratch); err != nil { // of a run that broke
		return nil, err
	}
	into, err := engine.Open(engine.Options{Dir: scratch, Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, into.Close(), os.RemoveAll(scratch)) }()
	if replace { // of what was being filled the derived has nothing
		if err := a.kept.Change(func(c *definitions.Change) error { c.End(definitions.FillJob); return nil }); err != nil {
			return nil, err
		}
	}
	whole := map[uint32]bool{}
	for _, x := range a.kept.Series() {
		whole[x.ID] = x.State == definitions.Ready
	}
	return people.Rebuild(ctx, people.RebuildOptions{
		Options: a.peopleOptions(), Scratch: into, Replace: replace, Whole: func(id uint32) bool { return whole[id] },
		Progress: func(done, total uint64) { o.Progress("deriving", int64(done), int64(total)) },
	})
}

// there refuses a data folder that is not, which opening would make.
func there(dir string) error {
	list, err := os.ReadDir(dir)
	if err == nil && len(list) == 0 || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no data folder at %s; name it with -data, or with data_dir in the configuration", dir)
	}
	return err
}
