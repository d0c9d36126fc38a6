// Package vault keeps the keys: a master key outside the data folder opens the
// wrapping keys in it, those open a key per day of log and a key per facet.
// What must be forgotten is forgotten by destroying its key, and the key that
// wrapped it.
package vault

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
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
	ring    ring
	change  sync.Mutex // one run of Rewrap, or RotateMaster, at a time
	hashes  sync.Pool  // of *hasher

	making sync.Mutex // one new epoch key at a time; taken before mu
	mu     sync.Mutex // guards what follows; never held over a write
	epochs map[uint32]*Key
	now    epoch  // the newest
	floor  uint32 // epochs below were dropped

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
	v, err := openAny(db, master)
	if err != nil {
		return nil, err
	}
	if err := v.ring.complete(); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return v, nil
}

// openAny is Open also for a folder whose keys are not in groups yet.
func openAny(db *engine.DB, master []byte) (*Vault, error) {
	m, err := newMaster(master)
	if err != nil {
		return nil, err
	}
	v := &Vault{db: db, epochs: map[uint32]*Key{}}
	v.ring.init(m)
	v.facets.init(defaultFacetKeys, defaultRawKeys)
	seen, err := storedPrint(db)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	switch {
	case seen == "":
		if err := v.create(); err != nil {
			return nil, fmt.Errorf("vault: making the keys: %w", err)
		}
	case seen != m.print:
		return nil, wrongMaster(db, seen, m.print)
	}
	if err := v.load(); err != nil {
		return nil, err
	}
	v.hashes.New = func() any { return &hasher{mac: hmac.New(sha256.New, v.Subkey("hash"))} }
	return v, nil
}

func wrongMaster(db *engine.DB, owner, given string) error {
	return fmt.Errorf("%w: data folder %s belongs to master key %s, this one is %s: start with the key file that belongs to the folder",
		ErrWrongMaster, db.Dir(), owner, given)
}

// create makes the install key and the groups' wrapping keys, in one write.
func (v *Vault) create() error {
	if v.db.ReadOnly() {
		return engine.ErrReadOnly
	}
	b := v.db.NewBatch()
	defer b.Discard()
	v.ring.masterKey().put(b, randomKey())
	all := make([]int, Groups)
	for g := range all {
		all[g] = g
	}
	if _, err := v.putWraps(b, all); err != nil {
		return err
	}
	return b.Commit(true)
}

// putWraps makes a wrapping key for each of the groups; add makes them known
// once b is committed.
func (v *Vault) putWraps(b *engine.Batch, groups []int) (made []wrapKey, err error) {
	root, id := v.ring.find(0), v.ring.newest()
	for _, g := range groups {
		if id == math.MaxUint32 {
			return nil, errors.New("all 2^32 wrapping keys are used")
		}
		id++
		raw := randomKey()
		place := keyspace.AppendVaultID(nil, keyspace.VaultWrap, id)
		b.Set(place, wrap(root, appendGroup(raw, g), place))
		made = append(made, wrapKey{newKey(id, raw), g})
	}
	return made, nil
}

// load opens the install key, every wrapping key and the newest epoch.
func (v *Vault) load() error {
	place := keyspace.AppendVault(nil, keyspace.VaultInstall, nil)
	found, err := v.db.Get(place, func(val []byte) (err error) {
		v.install, err = v.unwrap(val, place)
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
		w, err := v.openWrap(k, val)
		if err == nil {
			v.ring.add(w)
		}
		return err == nil, err
	})
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

// parseID reads the number in the key of a kind that counts its keys.
func parseID(place []byte, kind byte) (uint32, error) {
	k, id, err := keyspace.ParseVault(place)
	if err == nil && k != kind {
		err = fmt.Errorf("%w: key %x is of kind %q, wanted %q", record.ErrMalformed, place, k, kind)
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(id), nil
}

// openWrap opens a wrapping key: its secret is the key and its group.
func (v *Vault) openWrap(place, val []byte) (w wrapKey, err error) {
	id, err := parseID(place, keyspace.VaultWrap)
	if err != nil {
		return w, err
	}
	secret, err := v.unwrap(val, place)
	if err == nil {
		w.group, err = parseGroup(secret[keyBytes:])
	}
	if err != nil {
		return w, fmt.Errorf("wrapping key %d: %w", id, err)
	}
	w.Key = newKey(id, secret[:keyBytes])
	return w, nil
}

// openEpoch opens an epoch key: its secret is the key and its time of birth.
func (v *Vault) openEpoch(place, val []byte) (epoch, error) {
	id, err := parseID(place, keyspace.VaultEpoch)
	if err != nil {
		return epoch{}, err
	}
	secret, err := v.unwrap(val, place)
	if err != nil {
		return epoch{}, fmt.Errorf("epoch key %d: %w", id, err)
	}
	r := record.NewReader(secret[keyBytes:])
	e := epoch{id: id, created: r.Varint(), key: newKey(id, secret[:keyBytes])}
	return e, r.Done("epoch key")
}
