// Package migrate brings a data folder of an older format up to this program's,
// in place.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
	"github.com/reuna/reuna/storage/vault"
)

// ErrReadOnly says that a folder has to be brought up, but is open for reading
// only.
var ErrReadOnly = errors.New("data folder has an older format and is open for reading only")

// batchBytes is how much is moved at once: enough to be quick, little enough to
// be held in memory.
const batchBytes = 1 << 20

// Up brings the folder to engine.FormatVersion; one that has it is left alone.
// It belongs between engine.Open and vault.Open, with nothing else at work on
// the folder. master is the folder's 32-byte master key.
//
// It may be interrupted at any moment and called again: each step finds what is
// done already, and the new format's number is written last. Once it has begun
// there is no way back: an older program misses what was moved. The log's blocks
// are written once more, so for a while the disk has to hold them twice.
func Up(db *engine.DB, master []byte, log *slog.Logger) error {
	return up(db, master, log, batchBytes)
}

func up(db *engine.DB, master []byte, log *slog.Logger, batchBytes int) error {
	from := db.Format()
	if from >= engine.FormatVersion {
		return nil
	}
	if db.ReadOnly() {
		return fmt.Errorf("%w: %s has format %d, this program works with %d: start the gateway once", ErrReadOnly, db.Dir(), from, engine.FormatVersion)
	}
	log.Info("bringing the data folder to a new format; it may take some minutes, and may be interrupted", "dir", db.Dir(), "from", from, "to", engine.FormatVersion)
	for _, s := range []struct {
		to   uint64
		step func() error
	}{
		{2, func() error { return groupKeys(db, master, log) }},
		{2, func() error { return moveBlocks(db, log, batchBytes) }},
	} {
		if from >= s.to {
			continue
		}
		if err := s.step(); err != nil {
			return fmt.Errorf("data folder %s, from format %d to %d: %w", db.Dir(), from, s.to, err)
		}
	}
	if err := db.SetFormat(engine.FormatVersion); err != nil {
		return err
	}
	log.Info("the data folder has the new format", "dir", db.Dir(), "format", engine.FormatVersion)
	return nil
}

// groupKeys gives each group of data keys a wrapping key of its own. The bytes
// of the records under the one that all had go with a compaction: a key that is
// destroyed later must not survive in them.
func groupKeys(db *engine.DB, master []byte, log *slog.Logger) error {
	err := vault.Regroup(db, master, func(done, total int) {
		if done%256 == 0 || done == total {
			log.Info("wrapping keys anew", "groups", done, "of", total)
		}
	})
	if err != nil {
		return err
	}
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.VaultKey))
	if err := db.Flush(); err != nil {
		return err
	}
	return db.Compact(context.Background(), lower, upper)
}

// Format 1 had the log's origin before a block's number in its key. A store has
// had one origin then; the block's seal is bound to it as ever.
const (
	oldBlockKey = 1 + 16 + 8
	newBlockKey = 1 + 8
)

// moveBlocks gives the log's blocks their new keys. New keys and old differ in
// length, so a block that was moved is passed over.
func moveBlocks(db *engine.DB, log *slog.Logger, batchBytes int) error {
	origin, err := readOrigin(db)
	if err != nil {
		return err
	}
	moved := 0
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.LogBlock))
	for len(lower) > 0 {
		b := db.NewBatch()
		n := 0
		if lower, n, err = moveSome(db, b, origin, lower, upper, batchBytes); err == nil {
			err = b.Commit(false)
		}
		b.Discard()
		if err != nil {
			return fmt.Errorf("moving the log's blocks: %w", err)
		}
		if moved += n; n > 0 && len(lower) > 0 {
			log.Info("moving the log's blocks", "moved", moved)
		}
	}
	log.Info("moved the log's blocks", "moved", moved)
	return nil
}

// moveSome puts the moves of about batchBytes from lower on into b, and gives
// the lower bound of the rest; nothing when there is none.
func moveSome(db *engine.DB, b *engine.Batch, origin, lower, upper []byte, batchBytes int) (rest []byte, n int, err error) {
	read := 0
	err = db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		switch len(k) {
		case newBlockKey:
		case oldBlockKey:
			if !slices.Equal(k[1:17], origin) {
				return false, fmt.Errorf("%w: block %x is of another origin than %x", engine.ErrDamaged, k, origin)
			}
			b.Set(append([]byte{byte(keyspace.LogBlock)}, k[17:]...), v)
			b.Delete(k)
			n++
		default:
			return false, fmt.Errorf("%w: key %x is no log block's", engine.ErrDamaged, k)
		}
		read += len(k) + len(v)
		if read < batchBytes {
			return true, nil
		}
		rest = append(slices.Clone(k), 0)
		return false, nil
	})
	return rest, n, err
}

// readOrigin gives the 16 bytes of a format-1 folder's origin; nothing when its
// log was never opened.
func readOrigin(db *engine.DB) (origin []byte, err error) {
	_, err = db.Get(keyspace.AppendMeta(nil, keyspace.MetaOrigin), func(val []byte) error {
		r := record.NewReader(val)
		r.Version("log origin", 1)
		origin = slices.Clone(r.Fixed(16))
		return r.Done("log origin")
	})
	return origin, err
}
