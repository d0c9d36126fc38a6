package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Get gives key's value to fn, which may use it until it returns and must not
// change it. found is false when there is no such key; fn is then not called.
func (db *DB) Get(key []byte, fn func(val []byte) error) (found bool, err error) {
	if !db.uses.enter() {
		return false, ErrClosed
	}
	defer db.uses.leave()
	val, closer, err := db.p.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, readError(err)
	}
	err = fn(val)
	return true, errors.Join(err, closer.Close())
}

// Iter walks the keys in [lower, upper) upwards until fn says no more; a nil
// bound is open. k and v may be used until fn returns. What fn sees is the
// store at the moment of the call.
func (db *DB) Iter(lower, upper []byte, fn func(k, v []byte) (more bool, err error)) error {
	return db.walk(lower, upper, (*pebble.Iterator).First, (*pebble.Iterator).Next, fn)
}

// IterReverse is Iter from the last key of [lower, upper) down.
func (db *DB) IterReverse(lower, upper []byte, fn func(k, v []byte) (more bool, err error)) error {
	return db.walk(lower, upper, (*pebble.Iterator).Last, (*pebble.Iterator).Prev, fn)
}

func (db *DB) walk(lower, upper []byte, first, next func(*pebble.Iterator) bool, fn func(k, v []byte) (bool, error)) (err error) {
	if !db.uses.enter() {
		return ErrClosed
	}
	defer db.uses.leave()
	it, err := db.p.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return readError(err)
	}
	// A read error ends the walk like the last key does; Close reports it too.
	defer func() {
		if cerr := it.Close(); err == nil && cerr != nil {
			err = readError(cerr)
		}
	}()
	for ok := first(it); ok; ok = next(it) {
		v, err := it.ValueAndErr()
		if err != nil {
			return readError(err)
		}
		more, err := fn(it.Key(), v)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// Seeker looks up many ranges of the store as it was when the seeker was made,
// at the cost of one iteration. It belongs to one goroutine and ends with Close;
// until then the store cannot be closed and keeps the tables that it sees.
type Seeker struct {
	db *DB
	it *pebble.Iterator
}

// NewSeeker makes a seeker over the keys in [lower, upper).
func (db *DB) NewSeeker(lower, upper []byte) (*Seeker, error) {
	if !db.uses.enter() {
		return nil, ErrClosed
	}
	it, err := db.p.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		db.uses.leave()
		return nil, readError(err)
	}
	return &Seeker{db, it}, nil
}

// Last gives the last key of [lower, upper) and its value, which may be used
// until the next call; found is false when there is none.
func (s *Seeker) Last(lower, upper []byte) (k, v []byte, found bool, err error) {
	if !s.it.SeekLT(upper) || bytes.Compare(s.it.Key(), lower) < 0 {
		if err := s.it.Error(); err != nil {
			return nil, nil, false, readError(err)
		}
		return nil, nil, false, nil
	}
	if v, err = s.it.ValueAndErr(); err != nil {
		return nil, nil, false, readError(err)
	}
	return s.it.Key(), v, true, nil
}

// Get is DB.Get: fn is given the value of a key if the key is there.
func (s *Seeker) Get(key []byte, fn func(v []byte) error) (found bool, err error) {
	if !s.it.SeekGE(key) || !bytes.Equal(s.it.Key(), key) {
		if err := s.it.Error(); err != nil {
			return false, readError(err)
		}
		return false, nil
	}
	v, err := s.it.ValueAndErr()
	if err != nil {
		return false, readError(err)
	}
	return true, fn(v)
}

// Close ends the seeker.
func (s *Seeker) Close() error {
	defer s.db.uses.leave()
	if err := s.it.Close(); err != nil {
		return readError(err)
	}
	return nil
}

func readError(err error) error {
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return fmt.Errorf("store: read: %w", err)
}

// Flush writes everything that is only in memory and the log to table files.
func (db *DB) Flush() (err error) {
	if !db.uses.enter() {
		return ErrClosed
	}
	defer db.uses.leave()
	if db.ro {
		return ErrReadOnly
	}
	if err := db.failure(); err != nil {
		return err
	}
	defer db.catch("flush", &err)
	return db.flush(context.Background())
}

// Compact rewrites the tables that hold keys of [lower, upper), so that what
// was deleted there is gone from them. Flush first.
func (db *DB) Compact(ctx context.Context, lower, upper []byte) (err error) {
	if !db.uses.enter() {
		return ErrClosed
	}
	defer db.uses.leave()
	if db.ro {
		return ErrReadOnly
	}
	if err := db.failure(); err != nil {
		return err
	}
	defer db.catch("compact", &err)
	return db.compact(ctx, lower, upper)
}

func (db *DB) compact(ctx context.Context, lower, upper []byte) error {
	ctx, cancel := db.untilDead(ctx)
	defer cancel()
	err := db.p.Compact(ctx, lower, upper, false)
	if failure := db.failure(); failure != nil {
		return failure
	}
	return err
}

// Checkpoint makes a consistent copy of the store in dir, which must not
// exist; files are linked, not copied, where the disk allows it. The mark is
// not part of it. It waits for a Scrub that is under way.
func (db *DB) Checkpoint(dir string) (err error) {
	if !db.uses.enter() {
		return ErrClosed
	}
	defer db.uses.leave()
	if err := db.failure(); err != nil {
		return err
	}
	db.still <- struct{}{}
	defer func() { <-db.still }()
	if !db.ro {
		if err := db.syncLog(); err != nil {
			return err
		}
	}
	// Pebble panics when it cannot sync the copy's folder. The store itself is
	// none the worse for that.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("store: checkpoint %s: %v", dir, p)
		}
	}()
	return db.p.Checkpoint(dir)
}

func (db *DB) syncLog() (err error) {
	defer db.catch("sync the log", &err)
	if err := db.p.LogData(nil, pebble.Sync); err != nil {
		return fmt.Errorf("store: sync the log: %w", err)
	}
	return db.failure()
}

// FreeBytes is the space that the folder's disk has left for this process.
// known is false where the system cannot tell.
func (db *DB) FreeBytes() (free uint64, known bool) {
	u, err := db.fs.GetDiskUsage(db.dir)
	if err != nil {
		return 0, false
	}
	return u.AvailBytes, true
}

// Metrics are the store's own figures. Counters run since Open.
type Metrics struct {
	DiskBytes        uint64 // everything in the folder
	WALBytes         uint64 // live write-ahead log
	WALBytesIn       uint64 // counter: bytes of batches
	WALBytesWritten  uint64 // counter: bytes written to the log files
	FlushedBytes     uint64 // counter: bytes of tables written from memory
	CompactedBytes   uint64 // counter: bytes of tables written by compactions
	Compactions      int64  // counter
	CompactionDebt   uint64 // bytes waiting to be compacted
	Flushes          int64  // counter
	MemTableBytes    uint64
	CacheBytes       int64
	CacheHits        int64 // counter
	CacheMisses      int64 // counter
	ReadAmp          int   // tables that one read may have to look into
	Tables           int64
	ObsoleteWALFiles int64 // kept for reuse; they still hold old bytes
}

// Metrics reads the figures; it costs tens of microseconds.
func (db *DB) Metrics() Metrics {
	if !db.uses.enter() {
		return Metrics{}
	}
	defer db.uses.leave()
	m := db.p.Metrics()
	total := m.Total()
	return Metrics{
		DiskBytes:        m.DiskSpaceUsage(),
		WALBytes:         m.WAL.Size,
		WALBytesIn:       m.WAL.BytesIn,
		WALBytesWritten:  m.WAL.BytesWritten,
		FlushedBytes:     total.TableBytesFlushed,
		CompactedBytes:   total.TableBytesCompacted,
		Compactions:      m.Compact.Count,
		CompactionDebt:   m.Compact.EstimatedDebt,
		Flushes:          m.Flush.Count,
		MemTableBytes:    m.MemTable.Size,
		CacheBytes:       m.BlockCache.Size,
		CacheHits:        m.BlockCache.Hits,
		CacheMisses:      m.BlockCache.Misses,
		ReadAmp:          m.ReadAmp(),
		Tables:           total.TablesCount,
		ObsoleteWALFiles: m.WAL.ObsoleteFiles,
	}
}
