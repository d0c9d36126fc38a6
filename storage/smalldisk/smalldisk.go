// Package smalldisk is a file system in memory with an end, for tests of what
// happens there.
package smalldisk

import (
	"os"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Disk has a number of bytes for all files of one folder. Like a real disk it
// writes what fits of a write that does not, then says ENOSPC. It is safe for
// concurrent use.
type Disk struct {
	vfs.FS
	dir string

	mu    sync.Mutex // also lets only one write look at the space at a time
	bytes int64
}

// New makes an empty disk.
func New(dir string, bytes int64) *Disk { return &Disk{FS: vfs.NewMem(), dir: dir, bytes: bytes} }

// Resize gives the disk another number of bytes.
func (d *Disk) Resize(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bytes = bytes
}

// Grow gives it more, or takes some away.
func (d *Disk) Grow(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bytes += bytes
}

// Leave makes the disk as large as what is on it and so many bytes more.
func (d *Disk) Leave(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bytes = d.used() + bytes
}

func (d *Disk) used() (n int64) {
	names, err := d.List(d.dir)
	if err != nil {
		return 0 // there is no folder yet
	}
	for _, name := range names {
		if i, err := d.Stat(d.PathJoin(d.dir, name)); err == nil {
			n += i.Size()
		}
	}
	return n
}

// GetDiskUsage is that of [vfs.FS].
func (d *Disk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	used := d.used()
	return vfs.DiskUsage{AvailBytes: uint64(max(0, d.bytes-used)), TotalBytes: uint64(d.bytes), UsedBytes: uint64(used)}, nil
}

func (d *Disk) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &file{f, d}, nil
}

// Create is that of [vfs.FS].
func (d *Disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.used() >= d.bytes {
		return nil, &os.PathError{Op: "create", Path: name, Err: syscall.ENOSPC}
	}
	return d.wrap(d.FS.Create(name, c))
}

// ReuseForWrite is that of [vfs.FS].
func (d *Disk) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.wrap(d.FS.ReuseForWrite(oldname, newname, c))
}

type file struct {
	vfs.File
	d *Disk
}

// Write is that of [vfs.File].
func (f *file) Write(p []byte) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	room := f.d.bytes - f.d.used()
	if int64(len(p)) <= room {
		return f.File.Write(p)
	}
	n := 0
	if room > 0 {
		n, _ = f.File.Write(p[:room])
	}
	return n, &os.PathError{Op: "write", Path: "disk", Err: syscall.ENOSPC}
}
