package vault

import (
	"fmt"
	"sync"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

// Bounds of the facet keys in memory. A checkpoint asks for those of all that changed,
// one after another, so that with one key too few it would read every one from the disk,
// and whoever comes back asks for theirs.
const (
	// defaultFacetKeys are ready to be used, at about 1 KB each: a tenth of what a facet
	// takes.
	defaultFacetKeys = 64 << 10
	// defaultRawKeys are 32 bytes each, 100 with their place: to make a key ready takes
	// 2 µs, to read and unwrap one five times that and more.
	defaultRawKeys = 512 << 10
)

// FacetKey gives the data key of a facet, or of another owner, by its hash.
// Without create an owner that has none gives ErrNoKey. With create a missing
// key is made and its record put into b: what the key seals must travel in the
// same batch, or in a later one.
//
// Several goroutines may make one owner's key at the same time, each with a
// batch of its own: all are given the same key, and whichever batch is committed
// carries it. Destroying is for one alone: see DropFacetKey. A batch that makes
// a key must end soon, since a Rewrap of the key's group waits for it.
func (v *Vault) FacetKey(facet [16]byte, create bool, b *engine.Batch) (*Key, error) {
	c := &v.facets
	var place []byte
	for {
		c.mu.Lock()
		k, p, changes, drops := c.get(facet), c.pending[facet], c.changes, c.drops
		c.mu.Unlock()
		if k != nil {
			return k, nil
		}
		if p == nil {
			place = keyspace.AppendVault(place[:0], keyspace.VaultFacet, facet[:])
			if k, err := v.readFacet(facet, place, drops); k != nil || err != nil {
				return k, err
			}
		}
		if !create {
			if p != nil && p.key != nil {
				return p.key, nil
			}
			return nil, fmt.Errorf("vault: facet %x: %w", facet, ErrNoKey)
		}
		if b == nil {
			return nil, fmt.Errorf("vault: facet %x: a key can only be made within a batch", facet)
		}
		made, put := c.prepare(facet, changes, b)
		if made == nil {
			continue // a batch ended meanwhile: the key may have come, or gone, with it
		}
		if put {
			place = keyspace.AppendVault(place[:0], keyspace.VaultFacet, facet[:])
			by := v.ring.enter(GroupOf(facet))
			b.Set(place, wrap(by, made.raw, place))
			v.onEnd(facet, made, b)
		}
		return made.key, nil
	}
}

// readFacet opens the stored key of a facet; nil when there is none. drops is
// the count of drops before it was known that none is under way.
func (v *Vault) readFacet(facet [16]byte, place []byte, drops uint64) (k *Key, err error) {
	var raw []byte
	err = rereading(func() error {
		raw = nil
		_, err := v.db.Get(place, func(val []byte) (err error) {
			raw, err = v.unwrap(val, place)
			return err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("vault: key of facet %x: %w", facet, err)
	}
	if raw == nil {
		return nil, nil
	}
	k = newKey(0, raw)
	c := &v.facets
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drops == drops { // else the key read may be one that is being destroyed
		c.put(facet, k)
		c.raw.put(facet, [keyBytes]byte(raw))
	}
	return k, nil
}

// DropFacetKey destroys a facet's key with b: what it sealed can never be read
// again. Reads within this process are refused from now on.
//
// A batch that makes the same key must have ended before, or it may bring the
// key back; and until b has ended only b may make a new one.
func (v *Vault) DropFacetKey(facet [16]byte, b *engine.Batch) {
	v.ring.enter(GroupOf(facet))
	b.Delete(keyspace.AppendVault(nil, keyspace.VaultFacet, facet[:]))
	p := &pendingKey{batches: 1}
	c := &v.facets
	c.mu.Lock()
	c.drops++
	c.changes++
	delete(c.young, facet)
	delete(c.old, facet)
	c.raw.drop(facet)
	c.pending[facet] = p
	c.mu.Unlock()
	v.onEnd(facet, p, b)
}

// onEnd settles what a batch that entered the facet's group has brought.
func (v *Vault) onEnd(facet [16]byte, p *pendingKey, b *engine.Batch) {
	b.OnEnd(func(committed bool) {
		v.facets.settle(facet, p, committed)
		v.ring.leave(GroupOf(facet))
	})
}

// pendingKey is the state that a batch under way will give a facet: a key, or
// none. Until one such batch is committed every batch that uses the key writes
// its record, so whichever of them comes first carries it. Each record is
// wrapped anew, since the wrapping key may have changed between two of them.
type pendingKey struct {
	raw     []byte
	key     *Key
	last    *engine.Batch // the batch that a record was last put into
	batches int
}

// facetCache keeps opened keys in two generations: when the young one is full
// it becomes the old one, and the old one is forgotten. Use brings a key back
// to the young. That is a bounded cache without a list to keep in order.
type facetCache struct {
	mu         sync.Mutex
	young, old map[[16]byte]*Key
	raw        rawKeys // of these, and of others that had to go
	pending    map[[16]byte]*pendingKey
	half       int
	drops      uint64 // counts DropFacetKey, to notice one during a read
	changes    uint64 // counts what came into pending as a drop, and what left it
}

func (c *facetCache) init(size, raws int) {
	c.half = max(1, size/2)
	c.raw.half = max(1, raws/2)
	c.raw.young, c.raw.old = map[[16]byte][keyBytes]byte{}, map[[16]byte][keyBytes]byte{}
	c.young, c.old = map[[16]byte]*Key{}, map[[16]byte]*Key{}
	c.pending = map[[16]byte]*pendingKey{}
}

// get, with mu held.
func (c *facetCache) get(facet [16]byte) *Key {
	if k := c.young[facet]; k != nil {
		return k
	}
	k := c.old[facet]
	if k == nil {
		k = c.raw.get(facet, true)
	}
	if k != nil {
		c.put(facet, k)
	}
	return k
}

// put, with mu held.
func (c *facetCache) put(facet [16]byte, k *Key) {
	if len(c.young) >= c.half {
		c.old, c.young = c.young, make(map[[16]byte]*Key, c.half)
	}
	c.young[facet] = k
}

// prepare gives the pending key of a facet that has no stored one, made if need
// be; put says that b has to carry its record, and counts b. It gives nil when
// something has changed since changes was read.
func (c *facetCache) prepare(facet [16]byte, changes uint64, b *engine.Batch) (p *pendingKey, put bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes != changes {
		return nil, false
	}
	p = c.pending[facet]
	if p == nil || p.key == nil {
		raw := randomKey()
		p = &pendingKey{raw: raw, key: newKey(0, raw)}
		c.pending[facet] = p
	}
	if p.last == b {
		return p, false
	}
	p.last = b
	p.batches++
	return p, true
}

// settle takes note that a batch with p has ended: p holds once one of its
// batches was committed, and is nothing when all have ended otherwise.
func (c *facetCache) settle(facet [16]byte, p *pendingKey, committed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.batches--
	if c.pending[facet] != p {
		return // a later drop or key has taken its place
	}
	if committed && p.key != nil {
		c.put(facet, p.key)
		c.raw.put(facet, [keyBytes]byte(p.raw))
	}
	if committed || p.batches == 0 {
		delete(c.pending, facet)
		c.changes++
	}
}

// rawKeys keeps keys as they are, in two generations as facetCache does. The cache's lock
// is held.
type rawKeys struct {
	young, old map[[16]byte][keyBytes]byte
	half       int
}

// get makes a key ready; nil where it is not known. keep notes that it was used.
func (r *rawKeys) get(facet [16]byte, keep bool) *Key {
	raw, ok := r.young[facet]
	if !ok {
		if raw, ok = r.old[facet]; !ok {
			return nil
		}
		if keep {
			r.put(facet, raw)
		}
	}
	return newKey(0, raw[:])
}

func (r *rawKeys) put(facet [16]byte, raw [keyBytes]byte) {
	if len(r.young) >= r.half {
		r.old, r.young = r.young, make(map[[16]byte][keyBytes]byte)
	}
	r.young[facet] = raw
}

// drop forgets a key for good.
func (r *rawKeys) drop(facet [16]byte) {
	for _, m := range [...]map[[16]byte][keyBytes]byte{r.young, r.old} {
		if _, ok := m[facet]; ok {
			m[facet] = [keyBytes]byte{} // what is deleted may stay as it is
			delete(m, facet)
		}
	}
}
