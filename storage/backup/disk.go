package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	copyBytes  = 1 << 20  // read, hashed and written at once
	syncBytes  = 4 << 20  // written before the disk is asked to begin, so that the last sync is short
	spareBytes = 16 << 20 // must be left on a disk after a copy
	tmpSuffix  = ".tmp"
)

// makeDir makes dir (mode 0700) and syncs every folder that got a new name in
// it: a power cut must not take away what is later put into dir.
func makeDir(d vfs.FS, dir string) error {
	if _, err := d.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := d.PathDir(dir)
	if parent != dir {
		if err := makeDir(d, parent); err != nil {
			return err
		}
	}
	if err := d.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(d, parent)
}

func syncDir(d vfs.FS, dir string) error {
	f, err := d.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// replace puts a small file in place whole: what stands under the name is the
// old text or the new one, whatever happens.
func replace(d vfs.FS, path string, text []byte) (err error) {
	tmp := path + tmpSuffix
	f, err := d.Create(tmp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := d.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(d, d.PathDir(path))
}

// readFile reads a file of at most max bytes.
func readFile(d vfs.FS, path string, max int64) (text []byte, err error) {
	f, err := d.Open(path)
	if err != nil {
		return nil, err
	}
	text, err = io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(text)) > max {
		err = fmt.Errorf("%s has more than %d bytes", path, max)
	}
	return text, errors.Join(err, f.Close())
}

// digest reads a file from end to end and gives its size and the SHA-256 of
// its bytes, in hexadecimal digits. With to it writes what it reads there, synced.
// tick hears of every piece.
func digest(ctx context.Context, d vfs.FS, from, to string, buf []byte, tick func(n int)) (sum string, size int64, err error) {
	src, err := d.Open(from, vfs.SequentialReadsOption)
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	var dst vfs.File
	if to != "" {
		f, err := d.Create(to, vfs.WriteCategoryUnspecified)
		if err != nil {
			return "", 0, err
		}
		dst = vfs.NewSyncingFile(f, vfs.SyncingFileOptions{BytesPerSync: syncBytes})
		defer func() { err = errors.Join(err, dst.Close()) }()
	}
	hash := sha256.New()
	for {
		if err := ctx.Err(); err != nil {
			return "", size, err
		}
		n, err := src.Read(buf)
		hash.Write(buf[:n]) // before Write, which may change buf
		size += int64(n)
		if n > 0 && dst != nil {
			if _, err := dst.Write(buf[:n]); err != nil {
				return "", size, err
			}
		}
		if n > 0 && tick != nil {
			tick(n)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", size, err
		}
	}
	if dst != nil {
		if err := dst.Sync(); err != nil {
			return "", size, err
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), size, nil
}

// lock takes a lock file, or says who else may have it.
func lock(d vfs.FS, path, what string) (io.Closer, error) {
	l, err := d.Lock(path)
	var place *fs.PathError
	var number syscall.Errno
	switch {
	case err == nil:
		return l, nil
	case errors.As(err, &place), errors.As(err, &number) && number != syscall.EAGAIN && number != syscall.EACCES:
		return nil, fmt.Errorf("lock file %s: %w", path, err)
	}
	return nil, fmt.Errorf("%w: %s: wait until it is done (%w)", ErrBusy, what, err)
}

// room says whether the disk that holds dir can take need more bytes.
func room(d vfs.FS, dir string, need int64) error {
	usage, err := d.GetDiskUsage(dir)
	if err != nil {
		return nil // the system cannot tell; the copy will
	}
	if usage.AvailBytes < uint64(need)+spareBytes {
		return fmt.Errorf("%w: %s needs %d bytes and %d to spare, its disk has %d left: make room or use another disk",
			ErrSpace, dir, need, spareBytes, usage.AvailBytes)
	}
	return nil
}

// progress adds up pieces for a listener. What it is told never falls and ends
// at the total.
type progress struct {
	done, total int64
	fn          func(done, total int64)
}

func (p *progress) start(total int64) {
	p.total = total
	p.add(0)
}

func (p *progress) add(n int64) {
	p.done = min(p.done+n, p.total)
	if p.fn != nil {
		p.fn(p.done, p.total)
	}
}

func (p *progress) piece(n int) { p.add(int64(n)) }

func randomName() string { return fmt.Sprintf("%08x", rand.Uint32()) }

// resolve gives path without symbolic links, as far as it exists.
func resolve(d vfs.FS, path string) (string, error) {
	if vfs.Root(d) != vfs.Default {
		return filepath.Clean(path), nil // a file system in memory has no links
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for {
		found, err := filepath.EvalSymlinks(path)
		switch {
		case err == nil:
			return filepath.Join(found, rest), nil
		case !errors.Is(err, fs.ErrNotExist) || filepath.Dir(path) == path:
			return "", err
		}
		rest = filepath.Join(filepath.Base(path), rest)
		path = filepath.Dir(path)
	}
}

// within says whether path is dir or lies in it; both as resolve gives them.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
