package vault

import (
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

// DropEpochs destroys with b the keys of all epochs before one: the blocks that
// they sealed are gone, and what copies of them there are can never be read.
func (v *Vault) DropEpochs(before uint32, b *engine.Batch) {
	b.DeleteRange(keyspace.AppendVaultID(nil, keyspace.VaultEpoch, 0), keyspace.AppendVaultID(nil, keyspace.VaultEpoch, before))
	b.OnEnd(func(committed bool) {
		if !committed {
			return
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		for id := range v.epochs {
			if id < before && id != v.now.id {
				delete(v.epochs, id)
			}
		}
	})
}
