// Package backup copies an open data folder into a folder of backups, each time
// only what is new, and brings a data folder back from one.
//
// A backup folder holds
//
//	reuna-backup           whose it is: format version and the install's public key
//	objects/<aa>/<sha256>  files of data folders, under the hash of what is in them
//	snapshots/<id>.json    a signed list of the files that made up the data folder at one moment
//	erasures               the ledger of who was erased: a restore erases them again
//	lock                   held by whoever writes
//
// Everything in it is as sealed as the data folder is, and as useless without
// the master key, which is never in it.
package backup

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/receipt"
	"github.com/reuna/reuna/storage/vault"
)

// Errors that callers tell apart with errors.Is.
var (
	ErrBusy        = errors.New("another backup is under way")
	ErrNotBackup   = errors.New("not a backup folder")
	ErrNoSnapshot  = errors.New("no such snapshot")
	ErrForeign     = errors.New("backup of another install")
	ErrBroken      = errors.New("backup is damaged")
	ErrLedger      = errors.New("erasure ledger is damaged")
	ErrSpace       = errors.New("too little space")
	ErrTarget      = errors.New("folder cannot be used for this")
	ErrWrongMaster = vault.ErrWrongMaster
)

// Options of Make. DB, Vault, To and Origin are required.
type Options struct {
	DB      *engine.DB
	Vault   *vault.Vault
	To      string           // the backup folder; made when it is missing
	Scratch string           // for links to the data folder's files, so on its disk; default "scratch" in it
	Ledger  string           // the erasure ledger beside the master key; "" or not there: nobody was erased
	LastSeq uint64           // an entry that is durable: the snapshot has it and all before
	Origin  [16]byte         // the log's present incarnation
	Now     func() time.Time // default time.Now
	FS      vfs.FS           // that the DB was opened with; default the real one
	Logger  *slog.Logger     // default slog.Default()
	// Progress hears how many bytes are copied and how many have to be. It is
	// called on Make's goroutine, never with less than before, and in the end with all.
	Progress func(done, total int64)
}

func (o *Options) fill() error {
	switch {
	case o.DB == nil || o.Vault == nil:
		return errors.New("backup: Options.DB and Options.Vault are needed")
	case o.To == "":
		return errors.New("backup: Options.To is empty: name the folder to back up into")
	case o.Origin == [16]byte{}:
		return errors.New("backup: Options.Origin is empty: give the log's")
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Scratch == "" {
		o.Scratch = o.FS.PathJoin(o.DB.Dir(), "scratch")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// making is one Make.
//
// Invariants:
//   - An object stands under its name only when it is whole and synced: it is
//     written beside, synced and renamed.
//   - A manifest is written last, when all that it names is synced. So what a
//     broken run leaves is objects that nobody names yet, and the next run uses
//     them or Prune takes them away.
//   - A file is left unread only when a manifest with our own signature says
//     what is in a table of this name, size and time of writing. Pebble never
//     writes to a table again; the time tells apart the tables of two folders that
//     were restored from one snapshot and number theirs alike.
type making struct {
	Options
	to    folder
	key   ed25519.PrivateKey
	known map[File]string // tables by name, size and time → hash
	last  string          // the newest snapshot's id; "" for none
	prog  progress
	buf   []byte
	dirs  map[string]bool // of objects/, that got new names
}

// Make copies the open store into the backup folder o.To while everything goes
// on. The snapshot holds every entry that was acknowledged before the call.
// When it fails, the backup folder is as good as before.
func Make(ctx context.Context, o Options) (*Snapshot, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	m := &making{
		Options: o, to: folder{o.FS, o.To}, key: o.Vault.Signer(), known: map[File]string{},
		prog: progress{fn: o.Progress}, buf: make([]byte, copyBytes), dirs: map[string]bool{},
	}
	s, err := m.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("backup into %s: %w", o.To, err)
	}
	return s, nil
}

func (m *making) run(ctx context.Context) (s *Snapshot, err error) {
	if err := m.checkPlaces(); err != nil {
		return nil, err
	}
	if err := makeDir(m.FS, m.Scratch); err != nil {
		return nil, err
	}
	mine, err := lock(m.FS, m.FS.PathJoin(m.Scratch, lockName), "this data folder is being backed up")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, mine.Close()) }()
	theirs, err := m.openFolder()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, theirs.Close()) }()

	began := m.Now()
	copied, done, err := m.checkpoint()
	defer func() {
		if cerr := done(); cerr != nil { // the backup is none the worse; the next Make tries again
			m.Logger.Warn("backup: links to the data folder's files are left over", "in", m.Scratch, "err", cerr)
		}
	}()
	if err != nil {
		return nil, err
	}
	s, err = m.describe(copied, began)
	if err != nil {
		return nil, err
	}
	if err := m.copyFiles(ctx, copied, s); err != nil {
		return nil, err
	}
	if s.Erasures, err = m.copyLedger(); err != nil {
		return nil, err
	}
	return s, m.writeManifest(s)
}

// checkPlaces refuses a backup folder that the data folder holds, or that would hold it.
func (m *making) checkPlaces() error {
	to, err := resolve(m.FS, m.To)
	if err != nil {
		return err
	}
	for _, dir := range []string{m.DB.Dir(), m.Scratch} {
		own, err := resolve(m.FS, dir)
		if err != nil {
			return err
		}
		if within(to, own) || within(own, to) {
			return fmt.Errorf("%w: it and %s lie in each other: name a folder elsewhere, best on another disk", ErrTarget, dir)
		}
	}
	return nil
}

// openFolder locks the backup folder, begins it where there is none, and takes
// in what it has.
func (m *making) openFolder() (l interface{ Close() error }, err error) {
	names, err := m.FS.List(m.To)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// A run that broke before its marker leaves a lock and a marker in the making.
	ours := []string{lockName, markerName + tmpSuffix, "lost+found"}
	other := slices.IndexFunc(names, func(n string) bool { return !slices.Contains(ours, n) })
	begun := slices.Contains(names, markerName)
	if !begun && other >= 0 {
		return nil, fmt.Errorf("%w: it holds something else (%s): name an empty folder, or one that a backup was made into", ErrNotBackup, names[other])
	}
	if err := makeDir(m.FS, m.To); err != nil {
		return nil, err
	}
	l, err = lock(m.FS, m.to.path(lockName), "somebody writes into this backup folder")
	if err != nil {
		return nil, err
	}
	if err := m.takeIn(begun); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (m *making) takeIn(begun bool) error {
	own := m.key.Public().(ed25519.PublicKey)
	if !begun {
		if err := replace(m.FS, m.to.path(markerName), encodeMarker(own)); err != nil {
			return err
		}
	}
	pub, err := m.to.publicKey()
	if err != nil {
		return err
	}
	if !pub.Equal(own) {
		return fmt.Errorf("%w: it holds backups of install %s, this is %s: name another folder", ErrForeign, receipt.KeyID(pub), receipt.KeyID(own))
	}
	for _, name := range []string{objectsName, snapshotsDir} {
		if err := makeDir(m.FS, m.to.path(name)); err != nil {
			return err
		}
		if err := m.sweep(name); err != nil {
			return err
		}
	}
	ids, err := m.to.ids()
	if err != nil || len(ids) == 0 {
		return err
	}
	m.last = ids[len(ids)-1]
	list, broken, err := m.to.list(own)
	if err != nil {
		return err
	}
	if broken != nil {
		m.Logger.Warn("backup: there are damaged snapshots; this one does not build on them", "err", broken)
	}
	if len(list) > 0 {
		for _, f := range list[0].Files {
			sum := f.SHA256
			f.SHA256 = ""
			m.known[f] = sum
		}
	}
	return nil
}

// sweep removes the files that a broken run left half-written.
func (m *making) sweep(dir string) error {
	names, err := m.FS.List(m.to.path(dir))
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, tmpSuffix) {
			if err := m.FS.Remove(m.to.path(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

const checkpointPrefix = "checkpoint-"

// checkpoint links the store's files, as of now, into a folder, and describes
// that folder. done takes it away, also after an error.
func (m *making) checkpoint() (c *checkpointed, done func() error, err error) {
	done = func() error { return nil }
	names, err := m.FS.List(m.Scratch)
	if err != nil {
		return nil, done, err
	}
	for _, name := range names {
		if strings.HasPrefix(name, checkpointPrefix) { // a crash left it
			if err := m.FS.RemoveAll(m.FS.PathJoin(m.Scratch, name)); err != nil {
				return nil, done, err
			}
		}
	}
	dir := m.FS.PathJoin(m.Scratch, checkpointPrefix+randomName())
	done = func() error {
		err := m.FS.RemoveAll(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := m.DB.Flush(); err != nil {
		return nil, done, err
	}
	if err := m.DB.Checkpoint(dir); err != nil {
		return nil, done, err
	}
	c, err = readCheckpoint(m.FS, dir)
	return c, done, err
}

// describe begins the manifest.
func (m *making) describe(c *checkpointed, began time.Time) (*Snapshot, error) {
	if c.last < m.LastSeq {
		return nil, fmt.Errorf("the store's copy ends with log entry %d, and %d is durable: nothing is kept of it; look at the disk", c.last, m.LastSeq)
	}
	s := &Snapshot{
		Version: Version, ID: newID(began, m.last), Parent: m.last, Time: began.UTC().Truncate(time.Millisecond),
		Format: c.format, Install: receipt.KeyID(m.key.Public().(ed25519.PublicKey)), Master: c.master,
		Origin: hex.EncodeToString(m.Origin[:]), Head: c.head, LastSeq: c.last, Files: c.files,
	}
	return s, nil
}

// copyFiles brings every file of the checkpoint into objects/ and notes their hashes.
func (m *making) copyFiles(ctx context.Context, c *checkpointed, s *Snapshot) error {
	need := int64(0)
	for i := range s.Files {
		f := &s.Files[i]
		if f.SHA256 = m.reuse(*f); f.SHA256 == "" {
			need += f.Size
		} else {
			s.ReusedFiles++
			s.ReusedBytes += f.Size
		}
	}
	if err := room(m.FS, m.To, need); err != nil {
		return err
	}
	m.prog.start(need)
	for i := range s.Files {
		f := &s.Files[i]
		if f.SHA256 != "" {
			continue
		}
		fresh, err := m.store(ctx, m.FS.PathJoin(c.dir, f.Name), f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if fresh {
			s.NewFiles++
			s.NewBytes += f.Size
		} else {
			s.ReusedFiles++
			s.ReusedBytes += f.Size
		}
	}
	for dir := range m.dirs {
		if err := syncDir(m.FS, dir); err != nil {
			return err
		}
	}
	return syncDir(m.FS, m.to.path(objectsName))
}

// reuse gives the hash of a file that need not be read again; "" when it must.
func (m *making) reuse(f File) string {
	sum, known := m.known[f]
	if !known || !isTable(f.Name) {
		return ""
	}
	if info, err := m.FS.Stat(m.to.object(sum)); err != nil || info.Size() != f.Size {
		return "" // gone or cut short: the copy heals it
	}
	return sum
}

// store brings one file into objects/; fresh says that it was not there.
func (m *making) store(ctx context.Context, from string, f *File) (fresh bool, err error) {
	tmp := m.to.path(objectsName, randomName()+tmpSuffix)
	sum, size, err := digest(ctx, m.FS, from, tmp, m.buf, m.prog.piece)
	if err != nil {
		return false, err
	}
	if size != f.Size {
		return false, fmt.Errorf("it had %d bytes, and %d while it was read", f.Size, size)
	}
	f.SHA256 = sum
	path := m.to.object(sum)
	dir := m.FS.PathDir(path)
	if !m.dirs[dir] {
		if err := m.FS.MkdirAll(dir, 0o700); err != nil {
			return false, err
		}
		m.dirs[dir] = true
	}
	info, err := m.FS.Stat(path)
	fresh = err != nil || info.Size() != size
	// Also over one that is there: a bit of it may have flipped.
	return fresh, m.FS.Rename(tmp, path)
}

// copyLedger puts into the backup who was erased, and says how many entries
// that are. What the backup has of it already stays, whatever became of the
// ledger beside the master key.
func (m *making) copyLedger() (n int, err error) {
	path := m.to.path(erasuresName)
	kept, torn, err := readLedger(m.FS, path)
	var damage *LedgerError
	switch {
	case errors.As(err, &damage):
		m.Logger.Error("backup: the backup's copy of the erasure ledger was damaged; it is made anew from its sound lines and the ledger", "err", err)
	case err != nil:
		return 0, err
	}
	var own []LedgerEntry
	if m.Ledger != "" {
		if own, torn, err = readLedger(m.FS, m.Ledger); err != nil {
			return 0, err
		}
	}
	if torn {
		m.Logger.Warn("backup: the last line of the erasure ledger was cut off by a crash; the log has what it said")
	}
	list, text, err := union(kept, own)
	if err != nil || len(text) == 0 && damage == nil {
		return 0, err
	}
	return len(list), replace(m.FS, path, text)
}

func (m *making) writeManifest(s *Snapshot) error {
	if err := s.check(); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	text, err := encodeSnapshot(s, m.key)
	if err != nil {
		return err
	}
	return replace(m.FS, m.to.manifest(s.ID), text)
}
