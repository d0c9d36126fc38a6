// Package engine is the one door to Pebble: it opens a data folder, reads and
// writes ordered keys, and makes sure that a broken disk stops the program
// instead of bending the truth.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// FormatVersion is the version of everything this program writes under the
// keys of package keyspace. A folder with a higher one is refused; one with a
// lower one keeps its number until SetFormat: package migrate brings it up.
const FormatVersion = 2

// pebbleFormat pins Pebble's own on-disk version, so that a new Pebble release
// changes files only when we say so.
const pebbleFormat = pebble.FormatTableFormatV6

// ExitFatal is the code the process exits with after a fatal storage error
// (EX_SOFTWARE of sysexits.h).
const ExitFatal = 70

const (
	defaultCacheBytes = 64 << 20
	memTableBytes     = 64 << 20
	blockBytes        = 16 << 10
	// manifestBytes bounds what Open has to read of the table list's changes, and
	// how long bounds of tables that are gone stay there.
	manifestBytes = 4 << 20

	defaultCloseWait = 3 * time.Second
	slowDisk         = 5 * time.Second
)

// Errors that callers tell apart with errors.Is.
var (
	ErrInUse    = errors.New("data folder is in use")
	ErrClosed   = errors.New("store is closed")
	ErrFailed   = errors.New("store has failed")
	ErrReadOnly = errors.New("store is open for reading only")
	ErrFormat   = errors.New("data folder has a format that this program does not read")
	ErrDamaged  = errors.New("data on disk is damaged")
	ErrFull     = errors.New("disk is full")
)

// Options say where a store lives and what it may use. Only Dir is required.
type Options struct {
	Dir        string
	CacheBytes int64          // block cache, bytes; default 64 MiB
	FS         vfs.FS         // tests give a crashable in-memory one; default the real one
	Logger     *slog.Logger   // default slog.Default()
	Exit       func(code int) // called after a fatal storage error; default os.Exit
	ReadOnly   bool           // refuses every write, and a folder that does not exist
	CloseWait  time.Duration  // how long Close lets writes wait on a full disk; default 3 s
}

// DB is an open store. All its methods may be called at the same time.
//
// Invariants:
//   - One process holds a folder at a time (a file lock held until Close).
//   - Once failed is set nothing is acknowledged: every later Commit gives an
//     error, even where Pebble would go on. A retried fsync may lie, so there
//     is no way back but a restart.
//   - Pebble is never called after it was closed: uses counts the calls under
//     way, and Close waits for them.
//   - After a failure nothing in the folder changes any more: see disk.
type DB struct {
	p      *pebble.DB
	lock   io.Closer
	fs     *disk
	full   *fullness
	health io.Closer // stops the watch for slow disks
	dir    string
	log    *slog.Logger
	exit   func(int)
	ro     bool
	format atomic.Uint64 // of the folder
	wait   time.Duration // for space, in Close
	failed atomic.Pointer[error]
	dead   chan struct{} // closed when failed is set
	mark   *Mark
	still  chan struct{} // has one place: for whoever needs log files to stay as they are
	damage atomic.Pointer[error]
	uses   gate
}

// Open opens the store in o.Dir, which is made (mode 0700) when it is missing.
// Errors wrap ErrInUse, ErrFormat or ErrDamaged where one of these is the reason.
func Open(o Options) (*DB, error) {
	if o.Dir == "" {
		return nil, errors.New("engine: Options.Dir is empty: name the folder to keep data in")
	}
	db := &DB{dir: o.Dir, log: o.Logger, exit: o.Exit, ro: o.ReadOnly, wait: o.CloseWait, dead: make(chan struct{}), still: make(chan struct{}, 1)}
	if db.log == nil {
		db.log = slog.Default()
	}
	if db.exit == nil {
		db.exit = os.Exit
	}
	if db.wait <= 0 {
		db.wait = defaultCloseWait
	}
	db.uses.init()
	inner := db.watch(o.FS)
	db.full = newFullness(db.log, db.FreeBytes)
	db.fs = newDisk(inner, o.Dir, db.full, db.fail)
	opened := false
	defer func() {
		if !opened {
			// Nothing was promised yet: the error that Open gives is the one that counts.
			_, _ = db.fs.closeSeal(), db.health.Close()
		}
	}()
	if !o.ReadOnly {
		if err := makeDir(db.fs, o.Dir); err != nil {
			return nil, fmt.Errorf("data folder %s cannot be made: %w", o.Dir, err)
		}
	}
	lock, err := inner.Lock(inner.PathJoin(o.Dir, "LOCK"))
	if err != nil {
		// The lock file's own trouble (no folder, no permission) comes as a path
		// error; a lock that somebody else holds comes as a bare errno.
		var path *fs.PathError
		if errors.As(err, &path) {
			return nil, fmt.Errorf("data folder %s cannot be opened: %w", o.Dir, err)
		}
		return nil, fmt.Errorf("%w: data folder %s is in use by another gateway: stop that one, or give this one its own folder", ErrInUse, o.Dir)
	}
	db.lock = lock
	if err := db.fs.checkManifest(db.log); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if db.p, err = pebble.Open(o.Dir, db.options(o)); err != nil {
		return nil, errors.Join(openError(o.Dir, err), lock.Close())
	}
	if err := db.checkFormat(); err != nil {
		return nil, errors.Join(err, db.p.Close(), lock.Close())
	}
	if db.mark, err = db.openMark(); err != nil {
		return nil, errors.Join(fmt.Errorf("data folder %s: mark: %w", o.Dir, err), db.p.Close(), lock.Close())
	}
	opened = true
	db.fs.open.Store(true)
	db.fs.breaths.behind = db.behind
	db.fs.breaths.taken.Store(true)
	return db, nil
}

// watch gives the file system to use, with a watch for slow disks on the real one.
func (db *DB) watch(given vfs.FS) vfs.FS {
	if given != nil {
		db.health = io.NopCloser(nil)
		return given
	}
	inner, health := vfs.WithDiskHealthChecks(vfs.Default, slowDisk, nil, func(i vfs.DiskSlowInfo) {
		db.log.Warn("storage: the disk is slow", "op", i.OpType.String(), "path", i.Path, "took", i.Duration)
	})
	db.health = health
	return inner
}

// makeDir makes dir and syncs its parent: without that a power cut may take
// the whole folder away, and what was acknowledged in it.
func makeDir(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil {
		return nil
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	parent, err := fs.OpenDir(fs.PathDir(dir))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

func openError(dir string, err error) error {
	switch {
	case pebble.IsCorruptionError(err):
		return fmt.Errorf("%w: data folder %s: %w: restore it from a backup", ErrDamaged, dir, err)
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		return fmt.Errorf("data folder %s holds no store: %w", dir, err)
	}
	return fmt.Errorf("data folder %s cannot be opened: %w", dir, err)
}

func (db *DB) options(o Options) *pebble.Options {
	po := &pebble.Options{
		FS:                          db.fs,
		Logger:                      pebbleLogger{db},
		ReadOnly:                    o.ReadOnly,
		ErrorIfNotExists:            o.ReadOnly,
		FormatMajorVersion:          pebbleFormat,
		CacheSize:                   o.CacheBytes,
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: 4,
		// Pebble's defaults stall writers at 12 sublevels; blocks arrive faster
		// than that can be compacted after a pause, and the reads that pay for
		// it are few.
		L0CompactionThreshold:      4,
		L0StopWritesThreshold:      1000,
		LBaseMaxBytes:              256 << 20,
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
		MaxManifestFileSize:        manifestBytes,
		BytesPerSync:               512 << 10,
		WALBytesPerSync:            512 << 10,
		EventListener: &pebble.EventListener{
			BackgroundError: db.backgroundError,
			FlushEnd:        func(i pebble.FlushInfo) { db.full.tableDone(flushes, i.Err) },
			CompactionEnd:   func(i pebble.CompactionInfo) { db.full.tableDone(compaction, i.Err) },
			// Pebble's default exits here, so that one bad byte in an old table
			// would keep the program from ever running. A damaged table fails
			// the reads that need it, by name, and turns Healthy.
			DataCorruption: func(i pebble.DataCorruptionInfo) { db.damaged(i.Path, i.Details) },
		},
	}
	if po.CacheSize <= 0 {
		po.CacheSize = defaultCacheBytes
	}
	// Values are compressed and encrypted before they come here: nothing is
	// left for Pebble to squeeze.
	po.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	for i := range po.Levels {
		po.Levels[i].BlockSize = blockBytes
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return po
}

// checkFormat reads the folder's format version, and writes ours into a new one.
func (db *DB) checkFormat() error {
	key := keyspace.AppendMeta(nil, keyspace.MetaFormat)
	var seen uint64
	found, err := db.Get(key, func(val []byte) error {
		r := record.NewReader(val)
		seen = r.Uvarint()
		return r.Done("format version")
	})
	switch {
	case errors.Is(err, record.ErrMalformed):
		return fmt.Errorf("%w: data folder %s: %w", ErrFormat, db.dir, err)
	case err != nil:
		return fmt.Errorf("data folder %s: %w", db.dir, err)
	case found && seen > FormatVersion:
		return fmt.Errorf("%w: data folder %s has format %d, this program reads up to %d: use a newer program", ErrFormat, db.dir, seen, FormatVersion)
	case found && seen == 0:
		return fmt.Errorf("%w: data folder %s has format 0, which never existed", ErrFormat, db.dir)
	case found:
		db.format.Store(seen)
		return nil
	}
	empty := true
	if err := db.Iter(nil, nil, func(_, _ []byte) (bool, error) { empty = false; return false, nil }); err != nil {
		return err
	}
	if !empty {
		return fmt.Errorf("%w: data folder %s holds another program's data: give Reuna a folder of its own", ErrFormat, db.dir)
	}
	if db.ro {
		db.format.Store(FormatVersion)
		return nil
	}
	return db.SetFormat(FormatVersion)
}

// Format is the version of the folder's contents: FormatVersion, or a lower
// one that no package but migrate may work with.
func (db *DB) Format() uint64 { return db.format.Load() }

// SetFormat says, synced, that everything in the folder now has version v.
func (db *DB) SetFormat(v uint64) error {
	b := db.NewBatch()
	b.Set(keyspace.AppendMeta(nil, keyspace.MetaFormat), record.AppendUvarint(nil, v))
	if err := b.Commit(true); err != nil {
		return fmt.Errorf("data folder %s: format %d: %w", db.dir, v, err)
	}
	db.format.Store(v)
	return nil
}

// backgroundError tells of a flush or compaction that failed and will be tried
// again. Of a full disk the log says enough already.
func (db *DB) backgroundError(err error) {
	if noSpace(err) || errors.Is(err, ErrFailed) {
		db.log.Debug("storage: background work failed", "err", err)
		return
	}
	db.log.Error("storage: background work failed", "err", err)
}

// fail marks the store failed for good, says why, and exits. It does not exit
// when Close itself has ended a wait for space.
func (db *DB) fail(err error) {
	closing := db.full.gaveUp.Load()
	if closing && !errors.Is(err, ErrFull) {
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	first := db.failed.CompareAndSwap(nil, &err)
	db.fs.fenced.Store(true)
	if first {
		close(db.dead)
	}
	if closing {
		return
	}
	if first {
		db.log.Error("storage: fatal error, the program stops now: nothing that was not yet acknowledged is promised", "err", err, "dir", db.dir)
	}
	db.exit(ExitFatal)
}

// catch makes a failure of the store out of a panic. Pebble panics when the
// log cannot be written and calls Fatalf when it cannot be synced. Either way
// its locks may be held, so both end the program.
func (db *DB) catch(what string, err *error) {
	if p := recover(); p != nil {
		db.fail(fmt.Errorf("%s: %v", what, p))
		*err = db.failure()
	}
}

func (db *DB) damaged(path string, detail error) {
	err := fmt.Errorf("%w: %s: %w", ErrDamaged, path, detail)
	db.damage.CompareAndSwap(nil, &err)
	db.log.Error("storage: damaged file: restore it from a backup", "path", path, "err", detail)
}

// Healthy is nil while the store can be trusted with reads and writes.
// Otherwise the error wraps ErrFailed, ErrDamaged or ErrClosed.
func (db *DB) Healthy() error {
	if err := db.failure(); err != nil {
		return err
	}
	if err := db.damage.Load(); err != nil {
		return *err
	}
	if db.uses.closed() {
		return ErrClosed
	}
	return nil
}

// untilDead is ctx, ended when the store fails.
func (db *DB) untilDead(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-db.dead:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func (db *DB) failure() error {
	if err := db.failed.Load(); err != nil {
		return fmt.Errorf("%w: %w", ErrFailed, *err)
	}
	return nil
}

// Dir is the folder the store lives in.
func (db *DB) Dir() string { return db.dir }

// ReadOnly says that the store refuses writes.
func (db *DB) ReadOnly() bool { return db.ro }

// Close waits for the calls under way, then closes the store and gives up the
// folder. Of several calls the first does the work. Writes that wait for space
// on a full disk get Options.CloseWait; what was not acknowledged by then fails
// with ErrFull, as does Close. After a fatal error Pebble may hold its locks for
// ever, so it is left as it is, cut off from the folder, and the failure
// returned.
func (db *DB) Close() (err error) {
	db.full.endIn(db.wait)
	db.fs.breaths.taken.Store(false)
	if !db.uses.close(db.dead) {
		return nil
	}
	merr := db.mark.close()
	if err = db.failure(); err == nil {
		err = merr
		closed := make(chan error, 1)
		go func() { closed <- db.p.Close() }()
		select {
		case cerr := <-closed:
			err = errors.Join(err, cerr)
		case <-db.dead:
			err = db.failure()
		}
	}
	return errors.Join(err, db.fs.closeSeal(), db.lock.Close(), db.health.Close())
}
