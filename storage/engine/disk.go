package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is the data folder as Pebble sees it. What lies outside of the folder,
// such as a checkpoint, passes through.
//
// Invariants:
//   - A sync that fails, and once the store is open a log or MANIFEST that cannot
//     be written, is told to failed before Pebble hears of it. Pebble would sync
//     a table again, and panic over the others: partly in goroutines of its own,
//     partly so that no recover helps.
//   - Once fenced nothing in the folder changes any more. Pebble goes on after
//     a fatal error that did not end the process, and would delete tables whose
//     replacements never got into the MANIFEST. It is told that all is well with
//     what it cannot live without: nothing is acknowledged any more anyway.
//   - A write to anything but a table waits while the disk is full (see
//     fullness) instead of failing, because Pebble cannot live with the failure.
//   - While fresh is above zero no write-ahead log is made from an old one's file.
//   - Left are the files that Pebble wanted gone and that are still there: it asks
//     once, so nobody reads them any more.
type disk struct {
	vfs.FS
	dir    string
	failed func(error)
	full   *fullness
	open   atomic.Bool // Pebble's Open is done: it has nobody any more to give errors to
	fenced atomic.Bool

	breaths breaths

	seal  seal
	logs  sync.Mutex // held while a log file gets its name
	fresh int

	leftMu sync.Mutex
	left   []string // paths
}

func newDisk(inner vfs.FS, dir string, full *fullness, failed func(error)) *disk {
	return &disk{FS: inner, dir: dir, full: full, failed: failed, breaths: breaths{rest: time.Sleep}}
}

var errFenced = fmt.Errorf("%w: nothing is written any more", ErrFailed)

// enter is nil when the file of that name may be changed.
func (d *disk) enter(op, name string) error {
	if d.fenced.Load() {
		return &fs.PathError{Op: op, Path: name, Err: errFenced}
	}
	return nil
}

func (d *disk) owns(name string) bool { return d.PathDir(name) == d.PathJoin(d.dir) }

// role says how a file bears a full disk.
type role uint8

const (
	waits      role = iota // Pebble cannot go on without it
	flushes                // a table from memory: Pebble tries again
	compaction             // a table from other tables: Pebble tries again
)

func roleOf(name string, category vfs.DiskWriteCategory) role {
	switch {
	case !strings.HasSuffix(name, ".sst") && !strings.HasSuffix(name, ".blob"):
		return waits
	case category == "pebble-memtable-flush":
		return flushes
	}
	return compaction
}

// Create is that of [vfs.FS].
func (d *disk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !d.owns(name) {
		return d.FS.Create(name, category)
	}
	if strings.HasSuffix(name, ".log") {
		d.logs.Lock()
		defer d.logs.Unlock()
	}
	return d.create(name, category)
}

func (d *disk) create(name string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	r := roleOf(name, category)
	makeFile := func() (err error) {
		if isMarker(d.PathBase(name)) {
			if err := d.syncDir(); err != nil {
				return err
			}
		}
		if err = d.enter("create", name); err == nil {
			f, err = d.FS.Create(name, category)
		}
		return err
	}
	if r == waits {
		return d.vital(name, makeFile, &f)
	}
	d.full.hold(r)
	if err = makeFile(); err != nil {
		d.full.tableFailed(r, name, err)
		return nil, err
	}
	return &diskFile{File: f, d: d, name: name, role: r}, nil
}

// isMarker tells Pebble's pointers to its current files. A pointer may not be
// durable before the file that it names, nor the old one gone before the new one
// is there. Pebble syncs the folder once, after all of it, which is enough for
// file systems that keep the order of names but is promised by none.
func isMarker(base string) bool { return strings.HasPrefix(base, "marker.") }

func (d *disk) syncDir() error {
	dir, err := d.OpenDir(d.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// vital gives the file that makeFile puts into f: one that Pebble cannot go on
// without. After a failure it is one that leads nowhere.
func (d *disk) vital(name string, makeFile func() error, f *vfs.File) (vfs.File, error) {
	err := d.full.wait(name, makeFile)
	if err != nil && !d.lost("create", name, err) {
		return nil, err
	}
	if err != nil {
		if *f, err = vfs.NewMem().Create("nowhere", vfs.WriteCategoryUnspecified); err != nil {
			return nil, err
		}
	}
	file := &diskFile{File: *f, d: d, name: name}
	if num, ok := manifestNumber(d.PathBase(name)); ok {
		return &manifestFile{diskFile: file, state: manifestState{num: num}}, nil
	}
	return file, nil
}

// lost tells the store that it has failed, but for Pebble's Open, which can
// give the error back itself. It is true when Pebble must not see the error.
func (d *disk) lost(op, name string, err error) bool {
	if d.fenced.Load() {
		return true
	}
	if !d.open.Load() && !errors.Is(err, ErrFull) {
		return false
	}
	d.failed(fmt.Errorf("%s %s: %w", op, name, err))
	return true
}

// ReuseForWrite is that of [vfs.FS]. The old file is not reused while it must
// not be, or when Scrub has taken it away: Pebble still believes in it then.
func (d *disk) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	d.logs.Lock()
	defer d.logs.Unlock()
	return d.vital(newname, func() (err error) {
		if err := d.enter("rename", oldname); err != nil {
			return err
		}
		_, err = d.Stat(oldname)
		missing := errors.Is(err, fs.ErrNotExist)
		if err != nil && !missing {
			return err
		}
		if !missing && d.fresh == 0 {
			f, err = d.FS.ReuseForWrite(oldname, newname, category)
			return err
		}
		if !missing {
			if err := d.FS.Remove(oldname); err != nil {
				return err
			}
		}
		f, err = d.FS.Create(newname, category)
		return err
	}, &f)
}

// OpenReadWrite is that of [vfs.FS].
func (d *disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (f vfs.File, err error) {
	if !d.owns(name) {
		return d.FS.OpenReadWrite(name, category, opts...)
	}
	return d.vital(name, func() (err error) {
		if err = d.enter("open", name); err == nil {
			f, err = d.FS.OpenReadWrite(name, category, opts...)
		}
		return err
	}, &f)
}

// OpenDir is that of [vfs.FS].
func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil || d.PathJoin(name) != d.PathJoin(d.dir) {
		return f, err
	}
	return &diskFile{File: f, d: d, name: name}, nil
}

// Rename is that of [vfs.FS].
func (d *disk) Rename(oldname, newname string) error {
	if !d.owns(newname) {
		return d.FS.Rename(oldname, newname)
	}
	return d.full.wait(newname, func() error {
		if err := d.enter("rename", oldname); err != nil {
			return err
		}
		return d.FS.Rename(oldname, newname)
	})
}

// Remove is that of [vfs.FS].
func (d *disk) Remove(name string) error {
	if !d.owns(name) {
		return d.FS.Remove(name)
	}
	if isMarker(d.PathBase(name)) {
		if err := d.syncDir(); err != nil {
			return err
		}
		if err := d.markerMoved(); err != nil {
			return err
		}
	}
	if d.fenced.Load() {
		return nil
	}
	err := d.FS.Remove(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.leftMu.Lock()
		d.left = append(d.left, name)
		d.leftMu.Unlock()
	}
	return err
}

// removeLeft tries again to remove what could not be removed.
func (d *disk) removeLeft() (err error) {
	d.leftMu.Lock()
	defer d.leftMu.Unlock()
	still := d.left[:0]
	for _, name := range d.left {
		if d.fenced.Load() {
			return errFenced
		}
		if e := d.FS.Remove(name); e != nil && !errors.Is(e, fs.ErrNotExist) {
			still, err = append(still, name), e
		}
	}
	clear(d.left[len(still):])
	d.left = still
	return err
}

// Lock gives Pebble nothing to hold: the folder's lock is ours, because it must
// be given up even when Pebble cannot be closed any more.
func (d *disk) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Unwrap is that of [vfs.FS].
func (d *disk) Unwrap() vfs.FS { return d.FS }

// freshLogs keeps Pebble from giving old log files a new name, until release.
// It returns the logs that there are at this moment, all of which may hold
// bytes from earlier: those made from now on do not.
func (d *disk) freshLogs(ctx context.Context) (old []string, release func(), err error) {
	for !d.logs.TryLock() { // whoever has it may wait for space
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(pollFull):
		}
	}
	defer d.logs.Unlock()
	names, err := d.List(d.dir)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			old = append(old, d.PathJoin(d.dir, name))
		}
	}
	d.fresh++
	return old, func() {
		d.logs.Lock()
		d.fresh--
		d.logs.Unlock()
	}, nil
}

// diskFile is a file of the folder that was opened for writing, or the folder.
type diskFile struct {
	vfs.File
	d    *disk
	name string
	role role

	written int // since the last breath, bytes of a table
}

// Write is that of [vfs.File]. A part that found room is not written twice.
func (f *diskFile) Write(p []byte) (n int, err error) {
	if err = f.d.enter("write", f.name); err == nil {
		n, err = f.File.Write(p)
	}
	if err == nil {
		if f.written += n; f.role != waits && f.written >= breathEvery {
			f.written = 0
			f.d.breaths.take()
		}
		return n, nil
	}
	if f.role != waits {
		f.d.full.tableFailed(f.role, f.name, err)
		return n, err
	}
	if noSpace(err) {
		err = f.d.full.wait(f.name, func() error {
			if err := f.d.enter("write", f.name); err != nil {
				return err
			}
			m, err := f.File.Write(p[n:])
			n += m
			return err
		})
	}
	if err != nil && f.d.lost("write", f.name, err) {
		return len(p), nil
	}
	return n, err
}

// Sync is that of [vfs.File].
func (f *diskFile) Sync() error { return f.sync(f.File.Sync) }

// SyncData is that of [vfs.File].
func (f *diskFile) SyncData() error { return f.sync(f.File.SyncData) }

// SyncTo is that of [vfs.File].
func (f *diskFile) SyncTo(length int64) (full bool, err error) {
	err = f.sync(func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, err
}

func (f *diskFile) sync(inner func() error) error {
	err := f.d.enter("sync", f.name)
	if err == nil {
		if err = inner(); err == nil {
			return nil
		}
		f.d.failed(fmt.Errorf("sync %s: %w", f.name, err))
	}
	if f.role == waits {
		return nil // see disk
	}
	return err
}

// Stat is that of [vfs.File].
func (f *diskFile) Stat() (vfs.FileInfo, error) {
	info, err := f.File.Stat()
	if err != nil && f.role == waits && f.d.lost("stat", f.name, err) {
		return vfs.NewMemFile(nil).Stat()
	}
	return info, err
}

// Close is that of [vfs.File].
func (f *diskFile) Close() error {
	err := f.File.Close()
	if err != nil && f.role == waits && f.d.lost("close", f.name, err) {
		return nil
	}
	return err
}
