package vault

import (
	"errors"
	"fmt"

	"github.com/reuna/reuna/storage/keyspace"
)

// FacetKeyOnce is FacetKey, without create, for who goes through all owners: a
// key that is not in memory is opened and not kept, so that those which requests
// use stay.
func (v *Vault) FacetKeyOnce(facet [16]byte) (*Key, error) {
	k, err := v.facets.known(facet)
	if k != nil || err != nil {
		return k, err
	}
	place := keyspace.AppendVault(nil, keyspace.VaultFacet, facet[:])
	found := false
	err = rereading(func() (err error) {
		found, err = v.db.Get(place, func(val []byte) error {
			raw, err := v.unwrap(val, place)
			if err == nil {
				k = newKey(0, raw)
			}
			return err
		})
		return err
	})
	if err == nil && !found {
		err = ErrNoKey
	}
	if err != nil {
		return nil, fmt.Errorf("vault: key of facet %x: %w", facet, err)
	}
	return k, nil
}

// FacetKeyAt is FacetKeyOnce for who has the key's record in hand, val, as it is
// now or was a moment ago: whoever walks over all of them. Nobody may have
// destroyed the key since.
func (v *Vault) FacetKeyAt(facet [16]byte, val []byte) (*Key, error) {
	if k, err := v.facets.known(facet); k != nil || err != nil {
		return k, err
	}
	raw, err := v.unwrap(val, keyspace.AppendVault(nil, keyspace.VaultFacet, facet[:]))
	if errors.As(err, new(*retiredError)) {
		return v.FacetKeyOnce(facet) // it is wrapped by another key now
	}
	if err != nil {
		return nil, fmt.Errorf("vault: key of facet %x: %w", facet, err)
	}
	return newKey(0, raw), nil
}

// known gives a key that is in memory, without noting that it was used; nil when
// it is not. One that is being destroyed gives ErrNoKey.
func (c *facetCache) known(facet [16]byte) (*Key, error) {
	c.mu.Lock()
	k, p := c.young[facet], c.pending[facet]
	if k == nil {
		k = c.old[facet]
	}
	if k == nil && p == nil {
		k = c.raw.get(facet, false)
	}
	c.mu.Unlock()
	switch {
	case k != nil:
		return k, nil
	case p != nil && p.key != nil:
		return p.key, nil
	case p != nil:
		return nil, fmt.Errorf("vault: facet %x: %w", facet, ErrNoKey)
	}
	return nil, nil
}
