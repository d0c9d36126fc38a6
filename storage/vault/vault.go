// Package vault keeps the keys: a master key outside the data folder opens the
// wrapping keys in it, those open a key per day of log and a key per facet.
// What must be forgotten is forgotten by destroying its key.
package vault

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// Errors that callers tell apart with errors.Is.
var (
	ErrWrongMaster = errors.New("the master key does not open this data folder")
	ErrNoKey       = errors.New("no such key")
)

// EpochMillis is how long one log key is used: 24 hours.
const EpochMillis = 24 * 60 * 60 * 1000

// wrapVersion is the version of a wrapped key's record.
const wrapVersion = 1

// Vault hands out keys. All its methods may be called at the same time.
//
// Invariants:
//   - A key is on disk before anything sealed with it: an epoch key is synced
//     before Epoch returns it, a facet key travels in the batch that uses it.
//   - No key leaves the process unwrapped, and none is logged.
//   - A wrapped key opens only in its own place: kind and id are authenticated.
//
// Random 96-bit nonces allow 2^32 seals under one key; a day of log at 10,000
// blocks a second makes 2^29.7.
type Vault struct {
	db      *engine.DB
	install []byte
	wraps   map[uint32]*Key // by id; 0 is the master key's own. Fixed after Open
	wrapID  uint32          // wrapping key of new keys
	hashes  sync.Pool       // of *hasher

	mu     sync.Mutex // guards epochs and now; held over a write once a day
	epochs map[uint32]*Key
	now    epoch // the newest

	facets facetCache
}

type epoch struct {
	id      uint32
	created int64 // ms since 1970
	key     *Key
}

// Open opens the folder's keys with the 32-byte master key, and makes them in
// a new folder. Another folder's master gives ErrWrongMaster.
func Open(db *engine.DB, master []byte) (*Vault, error) {
	if len(master) != keyBytes {
		return nil, fmt.Errorf("vault: the master key has %d bytes: %d wanted", len(master), keyBytes)
	}
	v := &Vault{db: db, wraps: map[uint32]*Key{}, epochs: map[uint32]*Key{}}
	v.facets.init(defaultFacetKeys)
	root, err := hkdf.Expand(sha256.New, master, "reuna wrap 1", keyBytes)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	v.wraps[0] = newKey(0, root)
	print, err := hkdf.Expand(sha256.New, master, "reuna fingerprint 1", 8)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	fresh, err := v.checkMaster(print)
	if err != nil {
		return nil, err
	}
	if fresh {
		if err := v.create(print); err != nil {
			return nil, fmt.Errorf("vault: making the keys: %w", err)
		}
	}
	if err := v.load(); err != nil {
		return nil, err
	}
	v.hashes.New = func() any { return &hasher{mac: hmac.New(sha256.New, v.Subkey("hash"))} }
	return v, nil
}

// checkMaster compares the master's fingerprint with the folder's; fresh says
// that the folder has none yet.
func (v *Vault) checkMaster(print []byte) (fresh bool, err error) {
	found, err := v.db.Get(keyspace.AppendMeta(nil, keyspace.MetaVault), func(val []byte) error {
		r := record.NewReader(val)
		r.Version("vault record", 1)
		seen := r.Fixed(8)
		if err := r.Done("vault record"); err != nil {
			return err
		}
		if !hmac.Equal(seen, print) {
			return fmt.Errorf("%w: data folder %s was made with master key %s, this one is %s: start with the key file that belongs to the folder",
				ErrWrongMaster, v.db.Dir(), hex.EncodeToString(seen), hex.EncodeToString(print))
		}
		return nil
	})
	return !found, err
}

// create makes the install key and the first wrapping key, in one write.
func (v *Vault) create(print []byte) error {
	if v.db.ReadOnly() {
		return engine.ErrReadOnly
	}
	b := v.db.NewBatch()
	defer b.Discard()
	b.Set(keyspace.AppendMeta(nil, keyspace.MetaVault), append([]byte{1}, print...))
	place := keyspace.AppendVault(nil, keyspace.VaultInstall, nil)
	b.Set(place, wrap(v.wraps[0], randomKey(), place))
	place = keyspace.AppendVaultID(nil, keyspace.VaultWrap, 1)
	b.Set(place, wrap(v.wraps[0], randomKey(), place))
	return b.Commit(true)
}

// load opens the install key, every wrapping key and the newest epoch.
func (v *Vault) load() error {
	place := keyspace.AppendVault(nil, keyspace.VaultInstall, nil)
	found, err := v.db.Get(place, func(val []byte) (err error) {
		v.install, _, err = v.unwrap(val, place)
		return err
	})
	if err == nil && !found {
		err = ErrNoKey
	}
	if err != nil {
		return fmt.Errorf("vault: install key: %w", err)
	}
	lower, upper := keyspace.Bounds(keyspace.AppendVault(nil, keyspace.VaultWrap, nil))
	err = v.db.Iter(lower, upper, func(k, val []byte) (bool, error) {
		id, err := parseID(k)
		if err != nil {
			return false, err
		}
		raw, _, err := v.unwrap(val, k)
		if err != nil {
			return false, fmt.Errorf("wrapping key %d: %w", id, err)
		}
		v.wraps[id] = newKey(id, raw)
		v.wrapID = max(v.wrapID, id)
		return true, nil
	})
	if err == nil && v.wrapID == 0 {
		err = fmt.Errorf("wrapping key: %w", ErrNoKey)
	}
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	lower, upper = keyspace.Bounds(keyspace.AppendVault(nil, keyspace.VaultEpoch, nil))
	err = v.db.IterReverse(lower, upper, func(k, val []byte) (bool, error) {
		e, err := v.openEpoch(k, val)
		if err != nil {
			return false, err
		}
		v.now = e
		v.epochs[e.id] = e.key
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	return nil
}

func parseID(k []byte) (uint32, error) {
	_, id, err := keyspace.ParseVault(k)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(id), nil
}

// openEpoch opens an epoch key: its secret is the key and its time of birth.
func (v *Vault) openEpoch(place, val []byte) (epoch, error) {
	id, err := parseID(place)
	if err != nil {
		return epoch{}, err
	}
	raw, rest, err := v.unwrap(val, place)
	if err != nil {
		return epoch{}, fmt.Errorf("epoch key %d: %w", id, err)
	}
	r := record.NewReader(rest)
	e := epoch{id: id, created: r.Varint(), key: newKey(id, raw)}
	return e, r.Done("epoch key")
}
