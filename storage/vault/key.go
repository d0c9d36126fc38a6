package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"math"

	"github.com/reuna/reuna/storage/record"
)

const keyBytes = 32 // AES-256

// Overhead is what sealing adds, in bytes: a 12-byte nonce and a 16-byte tag.
const Overhead = 28

// Key seals and opens with AES-256-GCM. The cipher is set up once, since that
// costs three times the sealing of a small record. Safe for concurrent use.
type Key struct {
	id   uint32
	aead cipher.AEAD
}

// newKey makes a Key of 32 raw bytes, which it does not keep.
func newKey(id uint32, raw []byte) *Key {
	block, err := aes.NewCipher(raw)
	if err != nil {
		panic(fmt.Sprintf("vault: a key of %d bytes: %v", len(raw), err)) // unwrap and randomKey give 32
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(fmt.Sprintf("vault: AES-GCM: %v", err)) // AES blocks are what GCM wants
	}
	return &Key{id: id, aead: aead}
}

// ID is an epoch key's number; 0 for a facet's key.
func (k *Key) ID() uint32 { return k.id }

// Seal appends nonce, ciphertext and tag of plain to dst; aad is bound but not
// stored. dst's spare capacity must not overlap plain.
func (k *Key) Seal(dst, plain, aad []byte) []byte { return k.aead.Seal(dst, nil, plain, aad) }

// Open appends the plain text of what Seal made to dst. The error says only
// that key, place or bytes are not the ones that were sealed: GCM knows no more.
func (k *Key) Open(dst, sealed, aad []byte) ([]byte, error) {
	out, err := k.aead.Open(dst, nil, sealed, aad)
	if err != nil {
		return dst, fmt.Errorf("vault: %d sealed bytes do not open: they were changed, moved, or sealed with another key: %w", len(sealed), err)
	}
	return out, nil
}

func randomKey() []byte {
	raw := make([]byte, keyBytes)
	rand.Read(raw) // never fails: crypto/rand ends the program instead
	return raw
}

// wrap makes the record of a secret that will stand at place: version, uvarint
// id of the wrapping key, sealed secret.
func wrap(by *Key, secret, place []byte) []byte {
	dst := record.AppendUvarint([]byte{wrapVersion}, uint64(by.id))
	return by.Seal(dst, secret, append([]byte("reuna key "), place...))
}

// unwrap opens a record made by wrap: 32 bytes of key and what follows them. A
// wrapping key that is not there gives a retiredError.
func (v *Vault) unwrap(val, place []byte) (secret []byte, err error) {
	id, sealed, err := splitWrapped(val)
	if err != nil {
		return nil, err
	}
	by := v.ring.find(id)
	if by == nil {
		return nil, &retiredError{id}
	}
	secret, err = by.Open(nil, sealed, append([]byte("reuna key "), place...))
	if err == nil && len(secret) < keyBytes {
		err = fmt.Errorf("%w: a key of %d bytes", record.ErrMalformed, len(secret))
	}
	return secret, err
}

// splitWrapped takes a wrapped key's record apart: the id of the key that
// wraps it, and the sealed secret.
func splitWrapped(val []byte) (by uint32, sealed []byte, err error) {
	r := record.NewReader(val)
	r.Version("wrapped key", wrapVersion)
	id := r.Uvarint()
	sealed = r.Rest()
	if err := r.Err(); err != nil {
		return 0, nil, err
	}
	if id > math.MaxUint32 {
		return 0, nil, fmt.Errorf("wrapped key: %w: wrapped by key %d, wanted at most %d", record.ErrMalformed, id, uint32(math.MaxUint32))
	}
	return uint32(id), sealed, nil
}
