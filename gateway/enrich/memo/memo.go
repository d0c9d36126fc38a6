// Package memo remembers answers in bounded memory: caches of fixed size
// without locks, and texts that are made once. It also cuts texts to the lengths
// that are kept.
package memo

import (
	"hash/maphash"
	"sync/atomic"
)

// Table is a cache of fixed size without locks: a value may lie in one of two
// slots that its hash names, and a newcomer that finds both taken replaces one
// of them.
//
// Invariants: a value is never changed after it was put; every value carries
// its whole key, and the reader compares it, so that a collision is a miss and
// never another's answer. A map under a RWMutex was rejected because readers
// would share the lock's cache line, and because it needs an eviction order.
type Table[V any] struct {
	slots []atomic.Pointer[V]
	mask  uint64
}

// NewTable makes a table of at least size slots.
func NewTable[V any](size int) *Table[V] {
	n := 2
	for n < size {
		n <<= 1
	}
	return &Table[V]{slots: make([]atomic.Pointer[V], n), mask: uint64(n - 1)}
}

// Candidates are the values that may have this hash; nil where a slot is free.
func (t *Table[V]) Candidates(hash uint64) (a, b *V) {
	return t.slots[hash&t.mask].Load(), t.slots[(hash>>32)&t.mask].Load()
}

// Put adds a value, which must not be changed any more.
func (t *Table[V]) Put(hash uint64, v *V) {
	first, second := &t.slots[hash&t.mask], &t.slots[(hash>>32)&t.mask]
	if first.CompareAndSwap(nil, v) || second.CompareAndSwap(nil, v) {
		return
	}
	// A bit that chose neither slot decides, so that two values which share a
	// slot do not push each other out for ever.
	if hash>>63 == 0 {
		first.Store(v)
	} else {
		second.Store(v)
	}
}

// Interner gives the one string for some bytes, so that what must be decoded
// or lower-cased for every event costs an allocation only when it is new.
type Interner struct {
	seed   maphash.Seed
	values *Table[string]
}

// NewInterner remembers size texts.
func NewInterner(size int) *Interner {
	return &Interner{seed: maphash.MakeSeed(), values: NewTable[string](size)}
}

// Text is string(b).
func (in *Interner) Text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	h := maphash.Bytes(in.seed, b)
	x, y := in.values.Candidates(h)
	if x != nil && *x == string(b) {
		return *x
	}
	if y != nil && *y == string(b) {
		return *y
	}
	s := string(b)
	in.values.Put(h, &s)
	return s
}
