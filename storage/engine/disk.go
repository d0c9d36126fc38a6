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
//   - A sync that fails is told to failed before Pebble hears of it: Pebble
//     tries tables again, and panics in its own goroutine over a directory.
//   - Once fenced nothing in the folder changes any more. Pebble goes on after
//     a fatal error that did not end the process, and would delete tables whose
//     replacements never got into the MANIFEST.
//   - A write to anything but a table waits while the disk is full (see
//     fullness) instead of failing, because Pebble cannot live with the failure.
//   - While fresh is above zero no write-ahead log is made from an old one's file.
type disk struct {
	vfs.FS
	dir    string
	failed func(error)
	full   *fullness
	fenced atomic.Bool

	logs  sync.Mutex // held while a log file gets its name
	fresh int
}

func newDisk(inner vfs.FS, dir string, full *fullness, failed func(error)) *disk {
	return &disk{FS: inner, dir: dir, full: full, failed: failed}
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
	if r != waits {
		d.full.hold(r)
	}
	makeFile := func() (err error) {
		if err = d.enter("create", name); err == nil {
			f, err = d.FS.Create(name, category)
		}
		return err
	}
	if r == waits {
		err = d.full.wait(name, makeFile)
	} else if err = makeFile(); err != nil {
		d.full.tableFailed(r, name, err)
	}
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, d: d, name: name, role: r}, nil
}

// ReuseForWrite is that of [vfs.FS]. The old file is not reused while it must
// not be, or when Scrub has taken it away: Pebble still believes in it then.
func (d *disk) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	d.logs.Lock()
	defer d.logs.Unlock()
	if err := d.enter("rename", oldname); err != nil {
		return nil, err
	}
	_, err = d.Stat(oldname)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return d.create(newname, category)
	case err != nil:
		return nil, err
	case d.fresh > 0:
		if err := d.Remove(oldname); err != nil {
			return nil, err
		}
		return d.create(newname, category)
	}
	err = d.full.wait(newname, func() (err error) {
		f, err = d.FS.ReuseForWrite(oldname, newname, category)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, d: d, name: newname}, nil
}

// OpenReadWrite is that of [vfs.FS].
func (d *disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (f vfs.File, err error) {
	if !d.owns(name) {
		return d.FS.OpenReadWrite(name, category, opts...)
	}
	err = d.full.wait(name, func() (err error) {
		if err = d.enter("open", name); err == nil {
			f, err = d.FS.OpenReadWrite(name, category, opts...)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, d: d, name: name}, nil
}

// OpenDir is that of [vfs.FS].
func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil || d.PathJoin(name) != d.PathJoin(d.dir) {
		return f, err
	}
	return &diskFile{File: f, d: d, name: name, isDir: true}, nil
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
	if d.owns(name) {
		if err := d.enter("remove", name); err != nil {
			return err
		}
	}
	return d.FS.Remove(name)
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
	d     *disk
	name  string
	role  role
	isDir bool
}

// Write is that of [vfs.File]. A part that found room is not written twice.
func (f *diskFile) Write(p []byte) (n int, err error) {
	if err := f.d.enter("write", f.name); err != nil {
		return 0, err
	}
	n, err = f.File.Write(p)
	if err == nil {
		return n, nil
	}
	if f.role != waits {
		f.d.full.tableFailed(f.role, f.name, err)
		return n, err
	}
	if !noSpace(err) {
		return n, err
	}
	err = f.d.full.wait(f.name, func() error {
		if err := f.d.enter("write", f.name); err != nil {
			return err
		}
		m, err := f.File.Write(p[n:])
		n += m
		return err
	})
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
	if err := f.d.enter("sync", f.name); err != nil {
		return f.unsynced(err)
	}
	if err := inner(); err != nil {
		f.d.failed(fmt.Errorf("sync %s: %w", f.name, err))
		return f.unsynced(err)
	}
	return nil
}

// unsynced gives no error for a directory: the store has failed, so whatever
// Pebble believes is of no consequence, and it would panic in a goroutine that
// nobody can catch.
func (f *diskFile) unsynced(err error) error {
	if f.isDir {
		return nil
	}
	return err
}
