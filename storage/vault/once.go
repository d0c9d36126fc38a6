package vault

import (
	"fmt"

	"github.com/reuna/reuna/storage/keyspace"
)

// FacetKeyOnce is FacetKey, without create, for who goes through all owners: a
// key that is not in memory is opened and not kept, so that those which requests
// use stay.
func (v *Vault) FacetKeyOnce(facet [16]byte) (*Key, error) {
	c := &v.facets
	c.mu.Lock()
	k, p := c.young[facet], c.pending[facet]
	if k == nil {
		k = c.old[facet]
	}
	c.mu.Unlock()
	switch {
	case k != nil:
		return k, nil
	case p != nil && p.key != nil:
		return p.key, nil
	case p != nil: // it is being destroyed
		return nil, fmt.Errorf("vault: facet %x: %w", facet, ErrNoKey)
	}
	place := keyspace.AppendVault(nil, keyspace.VaultFacet, facet[:])
	found := false
	err := rereading(func() (err error) {
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
