package vault

import (
	"fmt"

	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// maxEpochs bounds the opened epoch keys that are kept: three years of days.
const maxEpochs = 1100

// Epoch gives the log key for now, ms since 1970. The first call of a day
// makes a new random key and syncs it to disk before it returns.
func (v *Vault) Epoch(now int64) (*Key, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	// A key from the future was made by a clock that ran ahead. It is left when
	// it is a day off, or it would stay in use until that future comes.
	if v.now.key != nil && now-v.now.created < EpochMillis && v.now.created-now < EpochMillis {
		return v.now.key, nil
	}
	e := epoch{id: v.now.id + 1, created: now}
	if e.id == 0 {
		return nil, fmt.Errorf("vault: all 2^32 epoch keys are used")
	}
	raw := randomKey()
	e.key = newKey(e.id, raw)
	place := keyspace.AppendVaultID(nil, keyspace.VaultEpoch, e.id)
	b := v.db.NewBatch()
	b.Set(place, wrap(v.wraps[v.wrapID], record.AppendVarint(raw, e.created), place))
	if err := b.Commit(true); err != nil {
		return nil, fmt.Errorf("vault: epoch key %d: %w", e.id, err)
	}
	v.keep(e)
	v.now = e
	return e.key, nil
}

// EpochKey gives the log key with that id, or ErrNoKey.
func (v *Vault) EpochKey(id uint32) (*Key, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if k := v.epochs[id]; k != nil {
		return k, nil
	}
	place := keyspace.AppendVaultID(nil, keyspace.VaultEpoch, id)
	var e epoch
	found, err := v.db.Get(place, func(val []byte) (err error) {
		e, err = v.openEpoch(place, val)
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("epoch key %d: %w", id, ErrNoKey)
	}
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	v.keep(e)
	return e.key, nil
}

// keep remembers an opened key. What is dropped for room is read again.
func (v *Vault) keep(e epoch) {
	if len(v.epochs) >= maxEpochs {
		for id := range v.epochs {
			delete(v.epochs, id)
			break
		}
	}
	v.epochs[e.id] = e.key
}
