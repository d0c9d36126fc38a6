package engine

import (
	"math/rand/v2"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// cutter makes one copy of a file system as a power cut would leave it: before
// the operation that it was told.
type cutter struct {
	vfs.FS
	mem *vfs.MemFS
	rng *rand.Rand

	mu    sync.Mutex
	armed bool
	left  int64
	clone *vfs.MemFS
}

func (c *cutter) after(n int64) { c.mu.Lock(); c.armed, c.left = true, n; c.mu.Unlock() }

func (c *cutter) op() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.armed || c.clone != nil {
		return
	}
	if c.left--; c.left < 0 {
		c.clone = c.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: c.rng.IntN(101), RNG: c.rng})
	}
}

func (c *cutter) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &cutFile{f, c}, nil
}

func (c *cutter) Create(name string, cat vfs.DiskWriteCategory) (vfs.File, error) {
	c.op()
	return c.wrap(c.FS.Create(name, cat))
}

func (c *cutter) OpenReadWrite(name string, cat vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	c.op()
	return c.wrap(c.FS.OpenReadWrite(name, cat, opts...))
}

func (c *cutter) ReuseForWrite(oldname, newname string, cat vfs.DiskWriteCategory) (vfs.File, error) {
	c.op()
	return c.wrap(c.FS.ReuseForWrite(oldname, newname, cat))
}

func (c *cutter) OpenDir(name string) (vfs.File, error) { return c.wrap(c.FS.OpenDir(name)) }

func (c *cutter) Remove(name string) error { c.op(); return c.FS.Remove(name) }

func (c *cutter) Rename(oldname, newname string) error { c.op(); return c.FS.Rename(oldname, newname) }

type cutFile struct {
	vfs.File
	c *cutter
}

func (f *cutFile) Write(p []byte) (int, error) { f.c.op(); return f.File.Write(p) }

func (f *cutFile) WriteAt(p []byte, at int64) (int, error) { f.c.op(); return f.File.WriteAt(p, at) }

func (f *cutFile) Sync() error { f.c.op(); return f.File.Sync() }

func (f *cutFile) SyncData() error { f.c.op(); return f.File.SyncData() }
