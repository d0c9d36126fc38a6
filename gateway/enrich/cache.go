package enrich

import (
	"hash/maphash"
	"sync/atomic"
)

// table is a cache of fixed size without locks: a value may lie in one of two
// slots that its hash names, and a newcomer that finds both taken replaces one
// of them.
//
// Invariants: a value is never changed after it was put; every value carries
// its whole key, and the reader compares it, so that a collision is a miss and
// never another's answer. A map under a RWMutex was rejected because readers
// would share the lock's cache line, and because it needs an eviction order.
type table[V any] struct {
	slots []atomic.Pointer[V]
	mask  uint64
}

// newTable makes a table of at least size slots.
func newTable[V any](size int) *table[V] {
	n := 2
	for n < size {
		n <<= 1
	}
	return &table[V]{slots: make([]atomic.Pointer[V], n), mask: uint64(n - 1)}
}

// candidates are the values that may have this hash; nil where a slot is free.
func (t *table[V]) candidates(hash uint64) (a, b *V) {
	return t.slots[hash&t.mask].Load(), t.slots[(hash>>32)&t.mask].Load()
}

func (t *table[V]) put(hash uint64, v *V) {
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

// interner gives the one string for some bytes, so that what must be decoded
// or lower-cased for every event costs an allocation only when it is new.
type interner struct {
	seed   maphash.Seed
	values *table[string]
}

func newInterner(size int) *interner {
	return &interner{seed: maphash.MakeSeed(), values: newTable[string](size)}
}

func (in *interner) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	h := maphash.Bytes(in.seed, b)
	x, y := in.values.candidates(h)
	if x != nil && *x == string(b) {
		return *x
	}
	if y != nil && *y == string(b) {
		return *y
	}
	s := string(b)
	in.values.put(h, &s)
	return s
}
