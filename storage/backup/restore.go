package backup

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/migrate"
	"github.com/reuna/reuna/storage/vault"
)

// RestoreOptions of Restore. From, To, Master and Erase are required.
type RestoreOptions struct {
	From   string // the backup folder
	ID     string // the snapshot; "" for the newest
	To     string // the data folder to make; must not be there, or be empty
	Master []byte // the 32-byte master key that the snapshot was made under
	Ledger string // the erasure ledger beside the master key; gets what only the backup's copy has. "": only that copy
	// Erase erases again those whom the snapshot still has. It opens the log and
	// the people itself, closes them, and leaves the store open.
	Erase    func(ctx context.Context, db *engine.DB, v *vault.Vault, entries []LedgerEntry) error
	FS       vfs.FS       // default the real one
	Logger   *slog.Logger // default slog.Default()
	Progress func(done, total int64)
}

// Restored is what Restore brought back.
type Restored struct {
	Snapshot *Snapshot
	Bytes    int64
	Entries  uint64 // of the log, each one read
	Erased   int    // ledger entries that the snapshot did not know yet
}

// restoring is the suffix of a data folder in the making.
const restoring = ".restoring"

// restore is one Restore.
//
// Invariants:
//   - To appears by one rename, after every check. What a failure or a crash
//     leaves is the folder beside it, which the next Restore takes away.
//   - Nobody who was erased is in To: an erasure of either ledger is done again
//     unless the snapshot's own log has it.
//   - The log goes on as a new incarnation, so that no two entries have one name.
type restore struct {
	RestoreOptions
	from folder
	tmp  string
	prog progress
}

// Restore makes the data folder o.To of a snapshot. It refuses a snapshot that
// is damaged, that another install signed, or that another master key opens.
func Restore(ctx context.Context, o RestoreOptions) (*Restored, error) {
	switch {
	case o.From == "" || o.To == "":
		return nil, errors.New("restore: From and To are needed: a backup folder, and the data folder to make")
	case len(o.Master) != 32:
		return nil, fmt.Errorf("restore: the master key has %d bytes, wanted 32", len(o.Master))
	case o.Erase == nil:
		return nil, errors.New("restore: Erase is needed: without it those who were erased would come back")
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	r := &restore{RestoreOptions: o, from: folder{o.FS, o.From}, tmp: o.To + restoring, prog: progress{fn: o.Progress}}
	done, err := r.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("restore from %s: %w", o.From, err)
	}
	return done, nil
}

func (r *restore) run(ctx context.Context) (done *Restored, err error) {
	s, by, err := r.choose()
	if err != nil {
		return nil, err
	}
	if print := vault.Fingerprint(r.Master); print != s.Master {
		return nil, fmt.Errorf("%w: this backup was made with master key %s, this one is %s: give the key that was in use on %s",
			ErrWrongMaster, s.Master, print, s.Time.Format("2006-01-02"))
	}
	ledger, err := r.ledgers(s)
	if err != nil {
		return nil, err
	}
	if err := r.checkTarget(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeAll(r.FS, r.tmp))
		}
	}()
	if err := r.copyFiles(ctx, s); err != nil {
		return nil, err
	}
	done = &Restored{Snapshot: s, Bytes: s.Bytes()}
	if err := r.guarded(func(died func()) error { return r.bringUp(ctx, done, by, ledger, died) }); err != nil {
		return nil, err
	}
	if err := r.keepLedger(ledger); err != nil {
		return nil, err
	}
	return done, r.putInPlace()
}

// choose reads the manifest. Its signer is compared with the marker now, and
// with the vault's own key later, which alone proves whose it is. So a damaged
// marker is no reason to lose the data.
func (r *restore) choose() (s *Snapshot, signer ed25519.PublicKey, err error) {
	pub, err := r.from.publicKey()
	if errors.Is(err, ErrBroken) {
		r.Logger.Warn("restore: the backup's marker is damaged; the snapshot itself is checked with the install's own key", "err", err)
		pub, err = nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	id, err := r.from.choose(r.ID)
	if err != nil {
		return nil, nil, err
	}
	s, signer, err = r.from.read(id)
	if err == nil && pub != nil {
		err = r.from.signedBy(s, signer, pub)
	}
	if err != nil {
		if r.ID == "" {
			err = fmt.Errorf("the newest snapshot: %w: name an older one by its id", err)
		}
		return nil, nil, err
	}
	if s.Format > engine.FormatVersion {
		return nil, nil, fmt.Errorf("%w: snapshot %s has format %d, this program reads up to %d: use a newer program", engine.ErrFormat, s.ID, s.Format, engine.FormatVersion)
	}
	return s, signer, nil
}

// ledgers gives every erasure that either ledger knows.
func (r *restore) ledgers(s *Snapshot) ([]LedgerEntry, error) {
	theirs, torn, err := readLedger(r.FS, r.from.path(erasuresName))
	if err != nil {
		return nil, err
	}
	var own []LedgerEntry
	if r.Ledger != "" {
		if own, torn, err = readLedger(r.FS, r.Ledger); err != nil {
			return nil, err
		}
	}
	if torn {
		r.Logger.Warn("restore: the last line of the erasure ledger was cut off by a crash: an erasure that was never answered is not done again; ask for it once more")
	}
	list, _, err := union(theirs, own)
	if err == nil && len(list) < s.Erasures {
		err = fmt.Errorf("%w: it has %d entries, snapshot %s was made with %d: put back a sound copy of %s, or give the ledger beside the master key",
			ErrLedger, len(list), s.ID, s.Erasures, r.from.path(erasuresName))
	}
	return list, err
}

// checkTarget makes sure that there is nothing at To, and begins the folder beside it.
func (r *restore) checkTarget() error {
	names, err := r.FS.List(r.To)
	switch {
	case err == nil && len(names) > 0:
		return fmt.Errorf("%w: %s is not empty (%s): name a data folder that is not there yet", ErrTarget, r.To, names[0])
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	from, err := resolve(r.FS, r.From)
	if err != nil {
		return err
	}
	to, err := resolve(r.FS, r.To)
	if err != nil {
		return err
	}
	if within(to, from) || within(from, to) {
		return fmt.Errorf("%w: %s and the backup lie in each other: name a folder elsewhere", ErrTarget, r.To)
	}
	if err := removeAll(r.FS, r.tmp); err != nil { // of a run that broke
		return err
	}
	return makeDir(r.FS, r.tmp)
}

func (r *restore) copyFiles(ctx context.Context, s *Snapshot) error {
	if err := room(r.FS, r.tmp, s.Bytes()); err != nil {
		return err
	}
	r.prog.start(s.Bytes())
	buf := make([]byte, copyBytes)
	for i := range s.Files {
		f := &s.Files[i]
		if err := r.from.fetch(ctx, f, r.FS.PathJoin(r.tmp, f.Name), buf, r.prog.piece); err != nil {
			return err
		}
	}
	return syncDir(r.FS, r.tmp)
}

// guarded runs work on a store that may fail for good. Pebble then goes on for
// ever, on the goroutine that failed or on another: it is stopped where it is
// and left behind, as the engine does when it closes a failed store.
func (r *restore) guarded(work func(died func()) error) error {
	failed, result := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		result <- work(func() {
			once.Do(func() { close(failed) })
			select {}
		})
	}()
	select {
	case err := <-result:
		return err
	case <-failed:
		return fmt.Errorf("%w: %s could not be written: the log says why; look at the disk", engine.ErrFailed, r.tmp)
	}
}

// bringUp opens the copy, checks it, and makes it a store of its own.
func (r *restore) bringUp(ctx context.Context, done *Restored, signer ed25519.PublicKey, ledger []LedgerEntry, died func()) (err error) {
	db, err := openEngine(engine.Options{Dir: r.tmp, FS: r.FS, Logger: r.Logger}, died)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s := done.Snapshot
	if db.Format() != s.Format {
		return fmt.Errorf("%w: snapshot %s says format %d, its files are of format %d", ErrBroken, s.ID, s.Format, db.Format())
	}
	if err := migrate.Up(db, r.Master, r.Logger); err != nil {
		return err
	}
	v, err := vault.Open(db, r.Master)
	if err != nil {
		return err
	}
	if err := r.from.signedBy(s, signer, v.PublicKey()); err != nil {
		return err
	}
	replay, err := r.checkLog(ctx, db, v, done, ledger)
	if err != nil {
		return err
	}
	if err := eventlog.Reincarnate(db); err != nil {
		return err
	}
	if len(replay) > 0 {
		if err := r.Erase(ctx, db, v, replay); err != nil {
			return fmt.Errorf("erasing again what %d entries of the ledger say: %w", len(replay), err)
		}
	}
	done.Erased = len(replay)
	return db.Flush()
}

// checkLog reads the whole log, and picks the erasures that it does not have.
func (r *restore) checkLog(ctx context.Context, db *engine.DB, v *vault.Vault, done *Restored, ledger []LedgerEntry) (replay []LedgerEntry, err error) {
	log, err := eventlog.Open(db, v, eventlog.Options{MinFree: -1, Logger: r.Logger})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	s, origin := done.Snapshot, log.Origin()
	if log.LastSeq() != s.LastSeq || log.Head() != s.Head || hex.EncodeToString(origin[:]) != s.Origin {
		return nil, fmt.Errorf("%w: snapshot %s has log entries %d to %d of incarnation %x, wanted %d to %d of %s",
			ErrBroken, s.ID, log.Head(), log.LastSeq(), origin, s.Head, s.LastSeq, s.Origin)
	}
	err = log.Read(0, func(uint64, int64, []byte) (bool, error) {
		done.Entries++
		return true, ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	for _, e := range ledger {
		known, err := erased(db, log, e)
		if err != nil {
			return nil, err
		}
		if !known {
			replay = append(replay, e)
		}
	}
	return replay, nil
}

// erased says whether the snapshot was made after an erasure: its log gave that
// number, in that incarnation, and whoever was erased has a tombstone.
func erased(db *engine.DB, log *eventlog.Log, e LedgerEntry) (bool, error) {
	if origin := log.OriginOf(e.Seq); e.Seq > log.LastSeq() || hex.EncodeToString(origin[:]) != e.Origin {
		return false, nil
	}
	for _, text := range e.Identifiers {
		var h keyspace.Hash
		if _, err := hex.Decode(h[:], []byte(text)); err != nil {
			return false, err
		}
		found, err := db.Get(keyspace.AppendTombstone(nil, h), func([]byte) error { return nil })
		if err != nil || !found {
			return false, err
		}
	}
	return true, nil
}

// keepLedger adds to the ledger beside the master key what only the backup's
// copy had, as on a new machine: it is what the next restore goes by.
func (r *restore) keepLedger(all []LedgerEntry) error {
	if r.Ledger == "" {
		return nil
	}
	own, _, err := readLedger(r.FS, r.Ledger)
	if err != nil {
		return err
	}
	_, text, err := union(own, all)
	if err != nil || len(text) == 0 {
		return err
	}
	return replace(r.FS, r.Ledger, text)
}

func (r *restore) putInPlace() error {
	if err := syncDir(r.FS, r.tmp); err != nil {
		return err
	}
	// Renaming onto a folder, even an empty one, is not for every system.
	if err := r.FS.Remove(r.To); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := r.FS.Rename(r.tmp, r.To); err != nil {
		return err
	}
	return syncDir(r.FS, r.FS.PathDir(r.To))
}

func removeAll(d vfs.FS, dir string) error {
	if err := d.RemoveAll(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
