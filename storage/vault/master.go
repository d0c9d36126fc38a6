package vault

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// masterKey is what the 32 bytes from outside the folder give.
type masterKey struct {
	root  *Key   // wrapping key 0
	print string // tells two masters apart and nothing else: 8 bytes, in hexadecimal digits
}

func newMaster(master []byte) (m masterKey, err error) {
	if len(master) != keyBytes {
		return m, fmt.Errorf("vault: the master key has %d bytes: %d wanted", len(master), keyBytes)
	}
	m.root = newKey(0, derive(master, "reuna wrap 1", keyBytes))
	m.print = Fingerprint(master)
	return m, nil
}

// Fingerprint tells a master key from another: 16 hexadecimal digits, from
// which nothing else about the key follows.
func Fingerprint(master []byte) string {
	return hex.EncodeToString(derive(master, "reuna fingerprint 1", printBytes))
}

const printBytes = 8

// derive is HKDF-Expand (RFC 5869); the secret is random, so it needs no Extract.
func derive(secret []byte, use string, n int) []byte {
	key, err := hkdf.Expand(sha256.New, secret, use, n)
	if err != nil {
		panic(fmt.Sprintf("vault: deriving %q: %v", use, err)) // up to 8,160 bytes are always to be had
	}
	return key
}

// put writes what the master key itself guards: its fingerprint and the
// install key. The wrapping keys are the third.
func (m masterKey) put(b *engine.Batch, install []byte) {
	print, err := hex.DecodeString(m.print)
	if err != nil {
		panic(fmt.Sprintf("vault: fingerprint %q: %v", m.print, err)) // Fingerprint wrote it
	}
	b.Set(keyspace.AppendMeta(nil, keyspace.MetaVault), append([]byte{1}, print...))
	place := keyspace.AppendVault(nil, keyspace.VaultInstall, nil)
	b.Set(place, wrap(m.root, install, place))
}

// storedPrint is the fingerprint of the master key that a folder belongs to;
// "" for a folder that has no keys yet.
func storedPrint(db *engine.DB) (print string, err error) {
	_, err = db.Get(keyspace.AppendMeta(nil, keyspace.MetaVault), func(val []byte) error {
		r := record.NewReader(val)
		r.Version("vault record", 1)
		print = hex.EncodeToString(r.Fixed(printBytes))
		return r.Done("vault record")
	})
	return print, err
}

// Fingerprint is that of the master key that opens the folder now.
func (v *Vault) Fingerprint() string { return v.ring.masterKey().print }
