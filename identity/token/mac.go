package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// mac is HMAC-SHA-256 (RFC 2104) under one key, of up to maxIn bytes at a time.
//
// A visitor's id is derived on every request, so the keyed states are pooled:
// one that is reset skips the key's two blocks and allocates nothing, and the
// buffers live beside it because what goes through an interface escapes.
type mac struct {
	states sync.Pool
}

// maxIn is a cookie's visitor and login.
const maxIn = 32

type macState struct {
	hash hash.Hash
	in   [maxIn]byte
	out  [sha256.Size]byte
}

func newMAC(key []byte) *mac {
	m := new(mac)
	m.states.New = func() any { return &macState{hash: hmac.New(sha256.New, key)} }
	return m
}

// sum is the first 16 bytes of the MAC of text, which is maxIn bytes at most.
func (m *mac) sum(text []byte) (sum [macBytes]byte) {
	s := m.states.Get().(*macState)
	s.hash.Reset()
	n := copy(s.in[:], text)
	s.hash.Write(s.in[:n])
	copy(sum[:], s.hash.Sum(s.out[:0]))
	clear(s.in[:])
	m.states.Put(s)
	return sum
}

// subkey derives a key for one use from the install's key.
func subkey(key []byte, use string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(use))
	return h.Sum(nil)
}
