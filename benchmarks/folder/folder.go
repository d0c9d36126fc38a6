// Package folder makes data folders with millions of visitors in them for benchmarks,
// through storage/people's own API, and copies them.
package folder

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Fork makes a copy of a data folder and its keys that may be written to. Tables
// are never changed once written, so the copy has the same files under names of
// its own; all else is copied.
func Fork(from, to string) error {
	for _, part := range []string{"data", "data.keys"} {
		root := filepath.Join(from, part)
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			below, err := filepath.Rel(from, path)
			if err != nil {
				return err
			}
			target := filepath.Join(to, below)
			switch {
			case entry.IsDir():
				return os.MkdirAll(target, 0o700)
			case filepath.Ext(path) == ".sst":
				return os.Link(path, target)
			case entry.Type().IsRegular():
				return copyFile(path, target)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("copying the folder of the population: %w", err)
		}
	}
	return nil
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}

// perEvent is what a folder takes while it is made, in bytes, about.
const perEvent = 700

// Enough says whether the disk has room for a population of so many events.
func Enough(dir string, events int64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return fmt.Errorf("free space of %s: %w", dir, err)
	}
	free, need := uint64(s.Bavail)*uint64(s.Bsize), uint64(events)*perEvent
	if free < need {
		return fmt.Errorf("%s has %d MB left, and the population needs up to %d: name another folder with -cache, or fewer -persons", dir, free>>20, need>>20)
	}
	return nil
}
