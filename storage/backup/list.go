package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// List gives the snapshots of a backup folder, newest first. Damaged ones make
// err wrap ErrBroken; list then has the others.
func List(dir string) (list []*Snapshot, err error) {
	return (&folder{vfs.Default, dir}).snapshots()
}

func (b *folder) snapshots() ([]*Snapshot, error) {
	pub, err := b.publicKey()
	if err != nil {
		return nil, err
	}
	list, broken, err := b.list(pub)
	return list, errors.Join(err, broken)
}

// Fault is one thing that is wrong with a backup.
type Fault struct {
	File string // in the backup folder
	What string
}

// DamageError lists what Verify found, at most maxFaults of it.
type DamageError struct {
	Faults []Fault
	More   int // found and not listed
}

const maxFaults = 100

func (e *DamageError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: %d faults", ErrBroken, len(e.Faults)+e.More)
	for i, f := range e.Faults {
		if i == 5 {
			fmt.Fprintf(&b, "; and %d more", len(e.Faults)+e.More-i)
			break
		}
		fmt.Fprintf(&b, "; %s: %s", f.File, f.What)
	}
	return b.String()
}

// Unwrap gives ErrBroken.
func (e *DamageError) Unwrap() error { return ErrBroken }

func (e *DamageError) add(file, what string, args ...any) {
	if len(e.Faults) == maxFaults {
		e.More++
		return
	}
	e.Faults = append(e.Faults, Fault{file, fmt.Sprintf(what, args...)})
}

// Verify reads everything that a snapshot (id "": the newest) needs, and the
// ledger, and compares it with what was signed. progress, which may be nil,
// hears how many bytes are read and how many there are. Damage gives a
// *DamageError that names each file; remove a damaged object, and the next Make
// copies it again as long as the store still has it.
//
// Verify needs no master key. So it proves that nothing was changed by accident; that
// nobody made the whole folder is proved by Restore.
func Verify(ctx context.Context, dir, id string, progress func(done, total int64)) (*Snapshot, error) {
	return (&folder{vfs.Default, dir}).verify(ctx, id, progress)
}

func (b *folder) verify(ctx context.Context, id string, fn func(done, total int64)) (*Snapshot, error) {
	pub, err := b.publicKey()
	if err != nil {
		return nil, err
	}
	if id, err = b.choose(id); err != nil {
		return nil, err
	}
	s, err := b.readOwn(id, pub)
	if err != nil {
		return nil, err
	}
	found := &DamageError{}
	ledger, _, err := readLedger(b.fs, b.path(erasuresName))
	switch {
	case errors.Is(err, ErrLedger):
		found.add(erasuresName, "%v", err)
	case err != nil:
		return s, err
	case len(ledger) < s.Erasures:
		found.add(erasuresName, "%d entries, the snapshot was made with %d", len(ledger), s.Erasures)
	}
	prog := progress{fn: fn}
	prog.start(s.Bytes())
	buf := make([]byte, copyBytes)
	for i := range s.Files {
		f := &s.Files[i]
		left := f.Size
		err := b.fetch(ctx, f, "", buf, func(n int) {
			step := min(int64(n), left) // the file may be too long
			left -= step
			prog.add(step)
		})
		switch {
		case errors.Is(err, ErrBroken):
			found.add(b.fs.PathJoin(objectsName, f.SHA256[:2], f.SHA256), "%v", err)
		case err != nil:
			return s, err
		}
		prog.add(left) // or too short
	}
	if len(found.Faults) > 0 {
		return s, found
	}
	return s, nil
}

// fetch reads an object, into the file to unless that is "", and checks it. An
// error that wraps ErrBroken says what is wrong with it.
func (b *folder) fetch(ctx context.Context, f *File, to string, buf []byte, tick func(int)) error {
	sum, size, err := digest(ctx, b.fs, b.object(f.SHA256), to, buf, tick)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: object %s, the data folder's %s, is missing", ErrBroken, f.SHA256, f.Name)
	case err != nil:
		return fmt.Errorf("object %s, the data folder's %s: %w", f.SHA256, f.Name, err)
	case size != f.Size:
		return fmt.Errorf("%w: object %s, the data folder's %s, has %d bytes, wanted %d", ErrBroken, f.SHA256, f.Name, size, f.Size)
	case sum != f.SHA256:
		return fmt.Errorf("%w: object %s, the data folder's %s, was changed: its hash is %s", ErrBroken, f.SHA256, f.Name, sum)
	}
	return nil
}

// choose gives the snapshot that id names; "" names the newest.
func (b *folder) choose(id string) (string, error) {
	ids, err := b.ids()
	if err != nil {
		return "", err
	}
	if len(ids) == 0 {
		return "", fmt.Errorf("%w: %s has none yet", ErrNoSnapshot, b.dir)
	}
	if id == "" {
		return ids[len(ids)-1], nil
	}
	for _, have := range ids {
		if have == id {
			return id, nil
		}
	}
	return "", fmt.Errorf("%w: %s has no %q; it has %d, from %s to %s", ErrNoSnapshot, b.dir, id, len(ids), ids[0], ids[len(ids)-1])
}

// Pruned is what Prune took away.
type Pruned struct {
	Snapshots int
	Objects   int
	Bytes     int64 // of the objects
}

// Prune removes all snapshots but the newest keep (1 or more), and then the
// objects that no snapshot needs. While a snapshot is damaged it removes nothing:
// what that one needs is not known.
func Prune(dir string, keep int) (Pruned, error) {
	return (&folder{vfs.Default, dir}).prune(keep)
}

func (b *folder) prune(keep int) (p Pruned, err error) {
	if keep < 1 {
		return p, fmt.Errorf("backup: prune to %d snapshots: the newest always stays, say 1 or more", keep)
	}
	if _, err := b.publicKey(); err != nil { // before a lock file is made in what may be something else
		return p, err
	}
	l, err := lock(b.fs, b.path(lockName), "somebody writes into this backup folder")
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	list, err := b.snapshots()
	if err != nil {
		return p, fmt.Errorf("nothing is removed: %w: move the damaged snapshots away first", err)
	}
	needed := map[string]bool{}
	for i, s := range list {
		if i < keep {
			for _, f := range s.Files {
				needed[f.SHA256] = true
			}
			continue
		}
		if err := b.fs.Remove(b.manifest(s.ID)); err != nil {
			return p, err
		}
		p.Snapshots++
	}
	// A crash from here on leaves objects that nobody names, never the reverse.
	if err := syncDir(b.fs, b.path(snapshotsDir)); err != nil {
		return p, err
	}
	return p, b.removeObjects(needed, &p)
}

func (b *folder) removeObjects(needed map[string]bool, p *Pruned) error {
	dirs, err := b.fs.List(b.path(objectsName))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if len(dir) != 2 { // a copy in the making, of a run that broke
			continue
		}
		names, err := b.fs.List(b.path(objectsName, dir))
		if err != nil {
			return err
		}
		for _, name := range names {
			if needed[name] || !isHex(name, 32) {
				continue
			}
			path := b.path(objectsName, dir, name)
			info, err := b.fs.Stat(path)
			if err != nil {
				return err
			}
			if err := b.fs.Remove(path); err != nil {
				return err
			}
			p.Objects++
			p.Bytes += info.Size()
		}
	}
	return nil
}
