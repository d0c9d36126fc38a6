package vault

import (
	"hash"
	"slices"

	"github.com/reuna/reuna/storage/record"
)

// InstallKey is this install's own 32 bytes, random and made once. The caller
// may keep and change the copy. It never leaves the process.
func (v *Vault) InstallKey() []byte { return slices.Clone(v.install) }

// Subkey derives 32 bytes for one use from the install key (HKDF-SHA-256,
// RFC 5869): the same name gives the same bytes, and no two names are related.
func (v *Vault) Subkey(name string) []byte {
	return derive(v.install, "reuna subkey "+name, 32)
}

// Hash is an identifier's keyed hash for use in keys and indexes: who has the
// disk but not the master key can neither read nor test a value.
func (v *Vault) Hash(typ, value string) [16]byte { return v.HashKey("identifier", typ, value) }

// HashKey is the keyed hash of parts within a domain: HMAC-SHA-256 under a
// subkey over the length-prefixed domain and parts, cut to 16 bytes. It does
// not allocate.
func (v *Vault) HashKey(domain string, parts ...string) (out [16]byte) {
	h := v.hashes.Get().(*hasher)
	h.buf = record.AppendString(h.buf[:0], domain)
	for _, p := range parts {
		h.buf = record.AppendString(h.buf, p)
	}
	h.mac.Reset()
	h.mac.Write(h.buf) // a hash's Write never fails
	h.buf = h.mac.Sum(h.buf[:0])
	copy(out[:], h.buf)
	if cap(h.buf) <= 64<<10 {
		v.hashes.Put(h)
	}
	return out
}

type hasher struct {
	mac hash.Hash
	buf []byte
}
