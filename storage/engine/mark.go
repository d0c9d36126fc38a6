package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// markName is the mark's file in the data folder; Pebble leaves it alone.
const markName = "LAST"

// A mark's file is 24 bytes: "reunaLM" and a version byte, the number, and the
// CRC-64 (ECMA) of these 16 bytes; numbers are big-endian.
const (
	markBytes = 24
	markMagic = "reunaLM\x01"
)

var markTable = crc64.MakeTable(crc64.ECMA)

// Mark is one number beside the store that says how far its owner's log was
// durable. Pebble cannot tell a log that was torn by a crash from one whose end
// was damaged later, and drops the end of either; a mark beyond the last entry
// that is there shows that entries were acknowledged and are gone.
//
// Invariant: Store is called after the sync of what it names and is itself not
// synced, so whatever survives of the mark is never ahead of what was durable.
// It may be behind, after a power cut by as much as the system kept in memory.
//
// Its methods may be called at the same time.
type Mark struct {
	db   *DB
	seq  uint64 // as it was at Open
	ok   bool
	mu   sync.Mutex
	file vfs.File // nil when the store is read-only
	buf  [markBytes]byte
}

// Mark is the store's mark.
func (db *DB) Mark() *Mark { return db.mark }

// Load gives the number that was in the file at Open. ok is false when there
// was none, or none that is whole; the log tells of the latter.
func (m *Mark) Load() (seq uint64, ok bool) { return m.seq, m.ok }

// Store writes the number, without a sync: one system call, no allocation.
func (m *Mark) Store(seq uint64) error {
	if err := m.db.failure(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file == nil {
		return m.closed()
	}
	encodeMark(&m.buf, seq)
	if _, err := m.file.WriteAt(m.buf[:], 0); err != nil {
		return fmt.Errorf("store: mark: %w", err)
	}
	return nil
}

// Sync makes the last number stored durable; Close does it too.
func (m *Mark) Sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file == nil {
		return m.closed()
	}
	return m.file.Sync()
}

func (m *Mark) closed() error {
	if m.db.ro {
		return ErrReadOnly
	}
	return ErrClosed
}

func (m *Mark) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file == nil {
		return nil
	}
	f := m.file
	m.file = nil
	return errors.Join(f.Sync(), f.Close())
}

func encodeMark(buf *[markBytes]byte, seq uint64) {
	copy(buf[:8], markMagic)
	binary.BigEndian.PutUint64(buf[8:], seq)
	binary.BigEndian.PutUint64(buf[16:], crc64.Checksum(buf[:16], markTable))
}

// decodeMark reads a mark's file. One that was never written to, or whose first
// bytes did not reach the disk before a power cut, is empty or zero: no mark.
func decodeMark(data []byte) (seq uint64, ok bool, err error) {
	switch {
	case len(data) <= markBytes && allZero(data):
		return 0, false, nil
	case len(data) != markBytes:
		return 0, false, fmt.Errorf("%w: mark of %d bytes, want %d", ErrDamaged, len(data), markBytes)
	case string(data[:8]) != markMagic:
		return 0, false, fmt.Errorf("%w: mark begins with %q, want %q", ErrDamaged, data[:8], markMagic)
	}
	want, sum := binary.BigEndian.Uint64(data[16:]), crc64.Checksum(data[:16], markTable)
	if sum != want {
		return 0, false, fmt.Errorf("%w: mark has checksum %016x, its bytes give %016x", ErrDamaged, want, sum)
	}
	return binary.BigEndian.Uint64(data[8:]), true, nil
}

func (db *DB) openMark() (m *Mark, err error) {
	m = &Mark{db: db}
	path := db.fs.PathJoin(db.dir, markName)
	_, serr := db.fs.Stat(path)
	fresh := errors.Is(serr, fs.ErrNotExist)
	var f vfs.File
	switch {
	case db.ro && fresh:
		return m, nil
	case db.ro:
		f, err = db.fs.Open(path)
	default:
		f, err = db.fs.OpenReadWrite(path, "reuna-mark")
		m.file = f
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if db.ro || err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	data := make([]byte, markBytes+1)
	n, err := f.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if m.seq, m.ok, err = decodeMark(data[:n]); err != nil {
		db.log.Warn("storage: the mark of the last entry is damaged: a loss at the end of the log would not be seen this time", "path", path, "err", err)
	}
	if fresh {
		return m, db.fs.syncDir()
	}
	return m, nil
}
