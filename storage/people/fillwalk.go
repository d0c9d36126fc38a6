package people

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
	"github.com/reuna/reuna/storage/vault"
)

// walk stands on one owner after the other, in the order of their hashes, in
// all months of histories, among the facets and among keys at the same time.
type walk struct {
	months  []*engine.Walker
	facets  *engine.Walker
	keys    *engine.Walker
	key     []byte
	scratch record.Scratch
}

func (w *walk) open(s *Store, at Hash, months []keyspace.Month) (err error) {
	for _, m := range months {
		_, upper := keyspace.Bounds(keyspace.AppendMonth(nil, m))
		it, err := s.o.DB.NewWalker(keyspace.AppendHistoryPrefix(nil, m, at), upper)
		if err != nil {
			return err
		}
		w.months = append(w.months, it)
	}
	_, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Facet))
	if w.facets, err = s.o.DB.NewWalker(keyspace.AppendFacet(nil, at), upper); err != nil {
		return err
	}
	_, upper = keyspace.Bounds(keyspace.AppendVault(nil, keyspace.VaultFacet, nil))
	w.keys, err = s.o.DB.NewWalker(keyspace.AppendVault(nil, keyspace.VaultFacet, at[:]), upper)
	return err
}

func (w *walk) close() (err error) {
	for _, it := range w.months {
		err = errors.Join(err, it.Close())
	}
	for _, it := range [...]*engine.Walker{w.facets, w.keys} {
		if it != nil {
			err = errors.Join(err, it.Close())
		}
	}
	w.months, w.facets, w.keys = w.months[:0], nil, nil
	return err
}

// Where an owner's hash stands in the key of a chunk.
const ownerFrom, ownerTo = 5, 21

// owner is the owner of the chunk that a month's walker stands on.
func owner(it *engine.Walker) []byte {
	k := it.Key()
	if len(k) < ownerTo {
		return nil
	}
	return k[ownerFrom:ownerTo]
}

// next is the lowest owner that any month has something of; nil: none has.
func (w *walk) next() (lowest []byte) {
	for _, it := range w.months {
		if o := owner(it); o != nil && (lowest == nil || bytes.Compare(o, lowest) < 0) {
			lowest = o
		}
	}
	return lowest
}

// forward has a walker stand on a key, or where it would be. Nearly always it
// is one of the next.
func forward(it *engine.Walker, key []byte) (there bool) {
	for range 8 {
		k := it.Key()
		if c := bytes.Compare(k, key); k == nil || c >= 0 {
			return k != nil && c == 0
		}
		it.Next()
	}
	it.Seek(key)
	return bytes.Equal(it.Key(), key)
}

// record is the facet's record; nil when it has none.
func (w *walk) record(h Hash) ([]byte, error) {
	w.key = keyspace.AppendFacet(w.key[:0], h)
	if !forward(w.facets, w.key) {
		return nil, nil
	}
	return w.facets.Value()
}

// facetKey is the facet's key. Nobody destroys one between the walk's beginning
// and its end: erasing waits.
func (w *walk) facetKey(s *Store, h Hash) (*vault.Key, error) {
	w.key = keyspace.AppendVault(w.key[:0], keyspace.VaultFacet, h[:])
	if !forward(w.keys, w.key) {
		return s.o.Vault.FacetKeyOnce(h) // it was made since the walk began, or there is none
	}
	val, err := w.keys.Value()
	if err != nil {
		return nil, err
	}
	return s.o.Vault.FacetKeyAt(h, val)
}

// slice fills the next facets, for a fraction of a second.
func (x *fill) slice() (err error) {
	machine.collectLess()
	s := x.s
	s.maintain.Lock()
	defer s.maintain.Unlock()
	if err := x.tail.forgetErased(s); err != nil {
		return err
	}
	var months []keyspace.Month
	s.locked(func() {
		x.writing.drops = s.drops
		for _, m := range s.months {
			if (m + 1).Begin() > x.oldest { // nothing is received before it happened
				months = append(months, m)
			}
		}
	})
	defer func() { err = errors.Join(err, x.writing.wait(), x.walk.close()) }()
	x.pace.begin()
	defer func() { x.pace.end() }()
	if err := x.walk.open(s, x.at, months); err != nil {
		return err
	}
	for ends := time.Now().Add(x.o.Slice); ; {
		h, ok := x.nextOwner()
		if !ok {
			break
		}
		if err := x.facet(h); err != nil {
			return err
		}
		if x.at, ok = after(h); !ok {
			x.end = true
		}
		x.pace.tick()
		if len(x.ready) >= fillPut {
			if err := x.write(); err != nil {
				return err
			}
		}
		if x.end || time.Now().After(ends) {
			break
		}
	}
	return x.write()
}

// write has what is ready written beside what follows.
func (x *fill) write() (err error) {
	x.pace.tick()
	x.pace.end()
	defer x.pace.begin() // waiting is no work
	x.ready, err = x.writing.begin(x.ready)
	return err
}

// nextOwner is the lowest that histories or the tail have something of. At the
// end of what the tail was read for it moves the run there.
func (x *fill) nextOwner() (h Hash, ok bool) {
	t := &x.tail
	lowest := x.walk.next()
	if t.next < len(t.list) {
		if f := t.list[t.next].facet[:]; lowest == nil || bytes.Compare(f, lowest) < 0 {
			lowest = f
		}
	}
	switch {
	case lowest != nil && (t.until == nil || bytes.Compare(lowest, t.until[:]) < 0):
		return Hash(lowest), true
	case t.until != nil:
		x.at = *t.until
	default:
		x.end = true
	}
	return h, false
}

// after is the hash that follows; ok is false behind the last.
func after(h Hash) (Hash, bool) {
	for i := len(h) - 1; i >= 0; i-- {
		if h[i]++; h[i] != 0 {
			return h, true
		}
	}
	return h, false
}

// facet reads what an owner has, and notes what that gives to a facet. What is
// not a facet's, evidence and transitions, stands under identifiers.
func (x *fill) facet(h Hash) error {
	t := &x.tail
	for ; t.next < len(t.list) && t.list[t.next].facet == h; t.next++ {
		e := t.list[t.next]
		if err := x.contribute(e.seq, t.bytes[e.from:e.to]); err != nil {
			return fmt.Errorf("entry %d: %w", e.seq, err)
		}
	}
	stored, err := x.walk.record(h)
	if err != nil {
		return err
	}
	var key *vault.Key
	for _, it := range x.walk.months {
		for ; bytes.Equal(owner(it), h[:]); it.Next() {
			if stored == nil {
				continue
			}
			if key == nil {
				if key, err = x.walk.facetKey(x.s, h); err != nil {
					return err
				}
			}
			if err := x.chunk(it, key); err != nil {
				return err
			}
		}
	}
	if !x.partial.Empty() {
		x.note(h, key, stored)
	}
	return nil
}

// note has what was found for a facet wait to be written.
func (x *fill) note(h Hash, key *vault.Key, stored []byte) {
	n := len(x.ready)
	x.ready = slices.Grow(x.ready, 1)[:n+1]
	f := &x.ready[n] // of one that was written, or new
	*f = filled{hash: h, series: x.partial.Next(), key: key, stored: append(f.stored[:0], stored...), place: f.place[:0], sealed: f.sealed[:0]}
}

// chunk reads one chunk, unless its header says that nothing in it matters.
func (x *fill) chunk(it *engine.Walker, key *vault.Key) error {
	v, err := it.Value()
	if err != nil {
		return err
	}
	c, err := parseChunk(it.Key(), v)
	if err != nil {
		return err
	}
	if limit := min(x.o.UpTo, x.tail.settled); c.h.First > limit || c.h.MaxTime < x.oldest {
		return nil
	}
	_, plain, err := x.s.codec.Decode(v, key, c.key, c.h.First, &x.walk.scratch)
	if err != nil {
		return fmt.Errorf("history %x: %w", c.key, err)
	}
	return record.ChunkEntries(plain, c.h, func(seq uint64, _, at int64, entry []byte) (bool, error) {
		if seq > x.o.UpTo || seq > x.tail.settled { // what settled meanwhile is in the tail
			return false, nil
		}
		wanted, err := x.wanted(entry, at)
		if err == nil && wanted {
			x.pace.tick()
			err = x.contribute(seq, entry)
		}
		if err != nil {
			return false, fmt.Errorf("history %x: entry %d: %w", c.key, seq, err)
		}
		return true, nil
	})
}
