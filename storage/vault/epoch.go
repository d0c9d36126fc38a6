package vault

import (
	"fmt"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// maxEpochs bounds the opened epoch keys that are kept: three years of days.
const maxEpochs = 1100

// Epoch gives the log key for now, ms since 1970. The first call of a day
// makes a new random key and syncs it to disk before it returns.
func (v *Vault) Epoch(now int64) (*Key, error) {
	v.making.Lock()
	defer v.making.Unlock()
	v.mu.Lock()
	last := v.now
	v.mu.Unlock()
	// A key from the future was made by a clock that ran ahead. It is left when
	// it is a day off, or it would stay in use until that future comes.
	if last.key != nil && now-last.created < EpochMillis && last.created-now < EpochMillis {
		return last.key, nil
	}
	e := epoch{id: last.id + 1, created: now}
	if e.id == 0 {
		return nil, fmt.Errorf("vault: all 2^32 epoch keys are used")
	}
	raw := randomKey()
	e.key = newKey(e.id, raw)
	place := keyspace.AppendVaultID(nil, keyspace.VaultEpoch, e.id)
	by := v.ring.enter(LogGroup)
	defer v.ring.leave(LogGroup)
	b := v.db.NewBatch()
	b.Set(place, wrap(by, record.AppendVarint(raw, e.created), place))
	if err := b.Commit(true); err != nil {
		return nil, fmt.Errorf("vault: epoch key %d: %w", e.id, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
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
	found := false
	err := rereading(func() (err error) {
		found, err = v.db.Get(place, func(val []byte) (err error) {
			e, err = v.openEpoch(place, val)
			return err
		})
		return err
	})
	if err == nil && (!found || id < v.floor) {
		err = fmt.Errorf("epoch key %d: %w", id, ErrNoKey)
	}
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	v.keep(e)
	return e.key, nil
}

// DropEpochs destroys with b the log keys with an id below before: what they
// sealed can never be read again. The newest key stays, whatever before says.
// Until b is committed the keys are given out as ever.
func (v *Vault) DropEpochs(before uint32, b *engine.Batch) {
	v.mu.Lock()
	before = min(before, v.now.id)
	v.mu.Unlock()
	if before == 0 {
		return
	}
	v.ring.enter(LogGroup)
	b.DeleteRange(keyspace.AppendVaultID(nil, keyspace.VaultEpoch, 0), keyspace.AppendVaultID(nil, keyspace.VaultEpoch, before))
	b.OnEnd(func(committed bool) {
		defer v.ring.leave(LogGroup)
		if !committed {
			return
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		v.floor = max(v.floor, before)
		for id := range v.epochs {
			if id < before {
				delete(v.epochs, id)
			}
		}
	})
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
