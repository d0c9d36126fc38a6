package engine

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Batch collects writes that become visible and durable together, or not at
// all. It belongs to one goroutine. Every batch ends with Commit or Discard;
// after either it must not be used.
type Batch struct {
	db    *DB
	b     *pebble.Batch
	err   error // the first write that Pebble refused
	ended bool
	hooks []func(committed bool)
}

// NewBatch starts an empty batch.
func (db *DB) NewBatch() *Batch { return &Batch{db: db, b: db.p.NewBatch()} }

// Set writes key and val, which are copied. A refusal is told by Commit.
func (b *Batch) Set(key, val []byte) { b.note(b.b.Set(key, val, nil)) }

// Delete removes key. A refusal is told by Commit.
func (b *Batch) Delete(key []byte) { b.note(b.b.Delete(key, nil)) }

// DeleteRange removes every key of [lower, upper). A refusal is told by Commit.
func (b *Batch) DeleteRange(lower, upper []byte) { b.note(b.b.DeleteRange(lower, upper, nil)) }

func (b *Batch) note(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Len is the batch's size in bytes.
func (b *Batch) Len() int { return b.b.Len() }

// Count is the number of writes in the batch.
func (b *Batch) Count() int { return int(b.b.Count()) }

// OnEnd has fn called once when the batch ends: with true after it was
// committed, with false when it was refused, failed or discarded.
func (b *Batch) OnEnd(fn func(committed bool)) { b.hooks = append(b.hooks, fn) }

// Commit applies the batch. With sync it returns after the write-ahead log was
// fsynced; without, a crash may take the batch, whole, together with every
// later one. An error after a sync that failed is for good: see DB.
func (b *Batch) Commit(sync bool) (err error) {
	if b.ended {
		return fmt.Errorf("store: batch was committed or discarded before")
	}
	defer func() { b.end(err == nil) }()
	db := b.db
	if !db.uses.enter() {
		return ErrClosed
	}
	defer db.uses.leave()
	if b.err != nil {
		return fmt.Errorf("store: batch: %w", b.err)
	}
	if db.ro {
		return ErrReadOnly
	}
	if err := db.failure(); err != nil {
		return err
	}
	defer db.catch("commit", &err)
	// Pebble takes a commit of nothing for done at once. Who asks for a sync means
	// everything that came before, too.
	if sync && b.b.Empty() {
		if err := b.b.LogData(nil, nil); err != nil {
			return fmt.Errorf("store: commit: %w", err)
		}
	}
	opt := pebble.NoSync
	if sync {
		opt = pebble.Sync
	}
	if err := b.b.Commit(opt); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	// Pebble returns nil after its Fatalf came back, as it does in tests.
	return db.failure()
}

// Discard drops the batch. Discarding an ended batch does nothing, so it can
// be deferred.
func (b *Batch) Discard() {
	if !b.ended {
		b.end(false)
	}
}

func (b *Batch) end(committed bool) {
	b.ended = true
	for _, fn := range b.hooks {
		fn(committed)
	}
	b.hooks = nil
	// A failed commit leaves Pebble's batch in an unknown state: the garbage
	// collector may have it. Close of a sound one only returns it to its pool.
	if b.db.failed.Load() == nil {
		if err := b.b.Close(); err != nil {
			b.db.log.Error("storage: batch close", "err", err)
		}
	}
}
