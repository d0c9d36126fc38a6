package engine

import (
	"sync/atomic"
	"time"
)

// Tables are written as fast as the machine can by nature: a flush or a compaction takes
// a processor, and then the disk, for tenths of a second, and whoever acknowledges an
// event meanwhile waits for both. So who writes one takes a breath every 64 KB, which
// leaves it up to 50 MB a second. Pebble has no such limit of its own.
//
// Where tables come faster than that, there is none either: reads and, in the end,
// writes would pay for it.
const (
	breathEvery = 64 << 10 // bytes of a table
	breath      = time.Millisecond
	breathLook  = 250 * time.Millisecond // between two looks whether tables come faster
	// Breaths are over while there are more sublevels than mostSublevels of tables that
	// no compaction has seen, or more than mostQueued tables in memory: half of what
	// has Pebble stop writers.
	mostSublevels = 8
	mostQueued    = 2
)

// breaths are those of a store. None are taken before the store is open, nor once it is
// being closed.
type breaths struct {
	behind func() bool // tables come faster
	rest   func(time.Duration)
	taken  atomic.Bool
	hurry  atomic.Bool
	looked atomic.Int64 // nanoseconds since 1970
}

// take waits for a moment, if there is time for it.
func (b *breaths) take() {
	if !b.taken.Load() {
		return
	}
	now, looked := time.Now().UnixNano(), b.looked.Load()
	if now-looked > int64(breathLook) && b.looked.CompareAndSwap(looked, now) {
		b.hurry.Store(b.behind())
	}
	if !b.hurry.Load() {
		b.rest(breath)
	}
}

// behind says that tables come faster than they are written.
func (db *DB) behind() bool {
	if !db.uses.enter() {
		return true
	}
	defer db.uses.leave()
	m := db.p.Metrics()
	return m.Levels[0].Sublevels > mostSublevels || m.MemTable.Count > mostQueued
}
