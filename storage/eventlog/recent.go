package eventlog

import (
	"sync"
	"sync/atomic"

	"github.com/reuna/reuna/storage/record"
)

// Bounds of recent: who follows comes some forty times a second, and the log commits two
// thousand times at most.
const (
	recentBlocks = 128
	recentBytes  = 4 << 20
)

// recent has the newest blocks as they were before they were compressed and sealed,
// for those who follow: without it each of them opens each block.
//
// Invariant: a block comes before it is durable, and goes when it is overwritten or
// given up. So what is here is what the disk has, or had when the reader came.
type recent struct {
	wanted atomic.Bool // somebody follows

	mu    sync.Mutex
	list  []*opened // oldest first
	bytes int
	spare [][]byte
}

// opened is one block. Its bytes are used again once it is gone and nobody reads it.
type opened struct {
	first   uint64
	h       record.Header
	plain   []byte
	readers int
	gone    bool
}

func (o *opened) last() uint64 { return o.first + uint64(o.h.Count) - 1 }

// add takes a copy of a block that is about to become durable.
func (r *recent) add(first uint64, b *record.Builder) {
	if !r.wanted.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.list) > 0 && (len(r.list) == recentBlocks || r.bytes+b.Len() > recentBytes) {
		r.drop(1)
	}
	var room []byte
	if k := len(r.spare); k > 0 {
		room, r.spare = r.spare[k-1], r.spare[:k-1]
	}
	o := &opened{first: first}
	o.plain, o.h = b.AppendPlain(room[:0])
	r.list = append(r.list, o)
	r.bytes += len(o.plain)
}

// drop lets go of the n oldest. The lock is held.
func (r *recent) drop(n int) {
	for _, o := range r.list[:n] {
		r.bytes -= len(o.plain)
		o.gone = true
		r.reuse(o)
	}
	rest := copy(r.list, r.list[n:])
	clear(r.list[rest:])
	r.list = r.list[:rest]
}

// reuse keeps the bytes of a block that nobody needs. The lock is held.
func (r *recent) reuse(o *opened) {
	if o.gone && o.readers == 0 && len(r.spare) < keepSpare && cap(o.plain) <= keepSegment {
		clear(o.plain)
		r.spare = append(r.spare, o.plain)
		o.plain = nil
	}
}

// clear lets go of all.
func (r *recent) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(len(r.list))
}

// take gives the block that has an entry, if it is here and ends at end at the
// latest; else nil. release gives it back.
func (r *recent) take(seq, end uint64) *opened {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.list) - 1; i >= 0; i-- {
		o := r.list[i]
		if o.first > seq {
			continue
		}
		if o.last() < seq || o.last() > end {
			return nil
		}
		o.readers++
		return o
	}
	return nil
}

func (r *recent) release(o *opened) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o.readers--
	r.reuse(o)
}

// readRecent is Read as far as the blocks are here. next is the entry that it came to.
func (l *Log) readRecent(from uint64, fn func(seq uint64, receivedAt int64, entry []byte) (more bool, err error)) (next uint64, more bool, err error) {
	end, more := l.durable.Load(), true
	for more && from <= end && from >= l.head.Load() {
		o := l.recent.take(from, end)
		if o == nil {
			return from, true, nil
		}
		more, err = o.read(from, fn)
		from = o.last() + 1
		l.recent.release(o)
		if err != nil {
			return from, false, err
		}
	}
	return from, more, nil
}

func (o *opened) read(from uint64, fn func(seq uint64, receivedAt int64, entry []byte) (bool, error)) (more bool, err error) {
	more = true
	var own error // fn's, which says nothing about the block
	err = record.Entries(o.plain, o.h, func(i int, at int64, entry []byte) (bool, error) {
		seq := o.first + uint64(i)
		if seq < from {
			return true, nil
		}
		more, own = fn(seq, at, entry)
		return more, own
	})
	if err != nil && own == nil {
		err = &DamageError{First: o.first, Err: err}
	}
	return more, err
}
