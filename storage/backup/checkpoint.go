package backup

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// checkpointed is a consistent copy of a store, made of links, and what is in
// it. The log goes on while the copy is made, so only the copy knows its end.
type checkpointed struct {
	dir    string
	files  []File // sorted by name, without hashes
	format uint64
	master string // fingerprint of the master key
	head   uint64 // the log's first entry
	last   uint64 // and its last
}

// isTable says that a file of this name is never written to again.
func isTable(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob")
}

// readCheckpoint lists the copy's files and opens it: a copy that does not open is none.
func readCheckpoint(d vfs.FS, dir string) (c *checkpointed, err error) {
	c = &checkpointed{dir: dir}
	names, err := d.List(dir)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		info, err := d.Stat(d.PathJoin(dir, name))
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			return nil, fmt.Errorf("the store's copy holds a folder, %s, which this program does not know", name)
		}
		c.files = append(c.files, File{Name: name, Size: info.Size(), Modified: info.ModTime().UnixNano()})
	}
	db, err := openEngine(engine.Options{Dir: dir, FS: d, CacheBytes: 1 << 20, ReadOnly: true, Logger: slog.New(slog.DiscardHandler)}, func() {})
	if err != nil {
		return nil, fmt.Errorf("the store's copy: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return c, c.look(db)
}

// openEngine opens a store whose fatal failure calls died and ends no program.
func openEngine(o engine.Options, died func()) (*engine.DB, error) {
	if o.FS == vfs.Default {
		o.FS = nil // the engine adds its own watch
	}
	o.Exit = func(int) { died() }
	return engine.Open(o)
}

func (c *checkpointed) look(db *engine.DB) error {
	c.format = db.Format()
	var err error
	if c.master, err = fingerprintOf(db); err != nil {
		return err
	}
	c.head = 1
	_, err = db.Get(keyspace.AppendMeta(nil, keyspace.MetaHead), func(val []byte) error {
		r := record.NewReader(val)
		r.Version("log head", 1)
		c.head = r.Uvarint()
		r.Varint() // the highest receipt time before it
		return r.Done("log head")
	})
	if err != nil {
		return err
	}
	c.last = c.head - 1
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.LogBlock))
	return db.IterReverse(lower, upper, func(k, v []byte) (bool, error) {
		first, err := keyspace.ParseLogBlock(k)
		if err != nil {
			return false, err
		}
		h, _, err := record.ParseHeader(v)
		c.last = first + uint64(h.Count) - 1
		return false, err
	})
}

// fingerprintOf reads which master key a store is under.
func fingerprintOf(db *engine.DB) (print string, err error) {
	found, err := db.Get(keyspace.AppendMeta(nil, keyspace.MetaVault), func(val []byte) error {
		r := record.NewReader(val)
		r.Version("vault record", 1)
		print = hex.EncodeToString(r.Fixed(8))
		return r.Done("vault record")
	})
	if err == nil && !found {
		err = errors.New("the store has no keys yet: open its vault first")
	}
	return print, err
}
