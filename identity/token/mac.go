package token

import "crypto/sha256"

// mac is HMAC-SHA-256 (RFC 2104) under one key, with the padded key blocks made
// once. crypto/hmac allocates its state for every sum; a visitor's id is
// derived on every request, so this one lives on the stack. Tests hold it
// against crypto/hmac.
type mac struct {
	inner, outer [sha256.BlockSize]byte
}

// maxMessage is the longest message that sum takes, in bytes.
const maxMessage = 64

// newMAC takes keys of any length.
func newMAC(key []byte) (m mac) {
	if len(key) > sha256.BlockSize {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	copy(m.inner[:], key)
	copy(m.outer[:], key)
	for i := range m.inner {
		m.inner[i] ^= 0x36
		m.outer[i] ^= 0x5c
	}
	return m
}

// sum is the MAC of a message of at most maxMessage bytes; a longer one is the
// caller's mistake and panics.
func (m *mac) sum(message []byte) [sha256.Size]byte {
	var b [sha256.BlockSize + maxMessage]byte
	copy(b[:], m.inner[:])
	n := copy(b[sha256.BlockSize:sha256.BlockSize+maxMessage], message)
	if n != len(message) {
		panic("token: message longer than maxMessage")
	}
	first := sha256.Sum256(b[:sha256.BlockSize+n])
	var c [sha256.BlockSize + sha256.Size]byte
	copy(c[:], m.outer[:])
	copy(c[sha256.BlockSize:], first[:])
	return sha256.Sum256(c[:])
}
