package vault

import (
	"fmt"
	"sync"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

// defaultFacetKeys bounds the opened facet keys in memory, at about 1 KB each.
const defaultFacetKeys = 16 << 10

// FacetKey gives the data key of a facet. Without create a facet that has none
// gives ErrNoKey. With create a missing key is made and its record put into b:
// what the key seals must travel in the same batch, or in a later one.
//
// Batches that make or drop the key of one facet must follow each other: the
// next begins after the one before was committed or discarded. A batch that
// was not yet committed may be followed by one that only uses the key again.
func (v *Vault) FacetKey(facet [16]byte, create bool, b *engine.Batch) (*Key, error) {
	c := &v.facets
	c.mu.Lock()
	if k := c.get(facet); k != nil {
		c.mu.Unlock()
		return k, nil
	}
	p := c.pending[facet]
	c.mu.Unlock()
	place := keyspace.AppendVault(nil, keyspace.VaultFacet, facet[:])
	if p == nil {
		if k, err := v.readFacet(facet, place); k != nil || err != nil {
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
	if p == nil || p.key == nil {
		raw := randomKey()
		p = &pendingKey{key: newKey(0, raw), record: wrap(v.wraps[v.wrapID], raw, place)}
	}
	if p.last != b {
		p.last = b
		b.Set(place, p.record)
		c.mu.Lock()
		c.hold(facet, p, b)
		c.mu.Unlock()
	}
	return p.key, nil
}

// readFacet opens the stored key of a facet; nil when there is none.
func (v *Vault) readFacet(facet [16]byte, place []byte) (k *Key, err error) {
	c := &v.facets
	c.mu.Lock()
	drops := c.drops
	c.mu.Unlock()
	found, err := v.db.Get(place, func(val []byte) error {
		raw, _, err := v.unwrap(val, place)
		if err == nil {
			k = newKey(0, raw)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("vault: key of facet %x: %w", facet, err)
	}
	if !found {
		return nil, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drops == drops { // else the key read may be one that is being destroyed
		c.put(facet, k)
	}
	return k, nil
}

// DropFacetKey destroys a facet's key with b: what it sealed can never be read
// again. Reads within this process are refused from now on.
func (v *Vault) DropFacetKey(facet [16]byte, b *engine.Batch) {
	b.Delete(keyspace.AppendVault(nil, keyspace.VaultFacet, facet[:]))
	c := &v.facets
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	delete(c.young, facet)
	delete(c.old, facet)
	c.hold(facet, &pendingKey{}, b)
}

// hold, with mu held, makes p the facet's pending state until one of the
// batches that carry it is committed, or all have ended.
func (c *facetCache) hold(facet [16]byte, p *pendingKey, b *engine.Batch) {
	c.pending[facet] = p
	p.batches++
	b.OnEnd(func(committed bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		p.batches--
		if c.pending[facet] != p {
			return // a later drop or key has taken its place
		}
		if committed && p.key != nil {
			c.put(facet, p.key)
		}
		if committed || p.batches == 0 {
			delete(c.pending, facet)
		}
	})
}

// pendingKey is the state that a batch under way will give a facet: a key, or
// none. Until one such batch is committed every batch that uses the key writes
// its record, so whichever of them comes first carries it.
type pendingKey struct {
	key     *Key
	record  []byte
	last    *engine.Batch // the batch that record was last put into
	batches int
}

// facetCache keeps opened keys in two generations: when the young one is full
// it becomes the old one, and the old one is forgotten. Use brings a key back
// to the young. That is a bounded cache without a list to keep in order.
type facetCache struct {
	mu         sync.Mutex
	young, old map[[16]byte]*Key
	pending    map[[16]byte]*pendingKey
	half       int
	drops      uint64 // counts DropFacetKey, to notice one during a read
}

func (c *facetCache) init(size int) {
	c.half = max(1, size/2)
	c.young, c.old = map[[16]byte]*Key{}, map[[16]byte]*Key{}
	c.pending = map[[16]byte]*pendingKey{}
}

// get, with mu held.
func (c *facetCache) get(facet [16]byte) *Key {
	if k := c.young[facet]; k != nil {
		return k
	}
	k := c.old[facet]
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
