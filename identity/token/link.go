package token

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// LinkLife is how long a link token can be used.
const LinkLife = 2 * time.Minute

const (
	linkSalt  = 16
	linkPlain = 16 + 8 // the visitor, and when the token was made
	linkBytes = linkSalt + linkPlain + 16

	// LinkLength is the length of every link token, in bytes.
	LinkLength = (linkBytes*8 + 5) / 6

	// maxUsed bounds the tokens that are remembered as used, for each of two
	// spans of LinkLife. Beyond it no token is taken: a flood of them costs 4 MB, and
	// visitors who come in the meantime their link.
	maxUsed = 1 << 16
)

// Landing is what a link token is bound to: who opens it has to be where the
// visitor whose token it is would be.
type Landing struct {
	From      string     // host of the page that the token was given to
	To        string     // linked domain that it leads to
	Client    netip.Addr // of which the network counts: 24 bits of IPv4, 48 of IPv6
	UserAgent string     // as the browser sends it
}

// Links makes and takes the tokens that carry a visitor from one domain to
// another in a link. It is safe for concurrent use.
//
// Invariants:
//   - A token shows nothing of its visitor: who sees an address, in a log or over a
//     shoulder, holds 54 random bytes.
//   - It opens where it was made for, within LinkLife, and for one use only. Which
//     ones were used is remembered in memory, so that none from before the start
//     is taken: a restart forgets nothing.
//
// Each token is sealed with a key of its own, derived from the install's key and
// 16 random bytes in front of the token (AES-256-GCM; the nonce is zero, since no
// key is used twice). One key for all with random nonces was rejected: GCM
// allows 2³² of them (NIST SP 800-38D, 8.3), which a busy gateway makes in weeks.
type Links struct {
	key  []byte
	born int64 // ms
	seed maphash.Seed

	mu        sync.Mutex
	used, old map[[linkSalt]byte]uint64 // token to a hash of what it was used for
	turned    int64                     // when used became old, ms
}

// NewLinks takes the install's key for links, of at least 16 bytes, and the time
// from which on this gateway remembers what was used.
func NewLinks(key []byte, now time.Time) (*Links, error) {
	if len(key) < minCookieKey {
		return nil, fmt.Errorf("token: the key for links has %d bytes; expected at least %d", len(key), minCookieKey)
	}
	return &Links{key: subkey(key, "reuna link 1"), born: now.UnixMilli(), seed: maphash.MakeSeed(), used: map[[linkSalt]byte]uint64{}}, nil
}

// Append appends a token for the visitor: base64url (RFC 4648, section 5, no
// padding) of the salt and the sealed visitor and time.
func (l *Links) Append(dst []byte, v Visitor, to Landing, now time.Time) []byte {
	var b [linkBytes]byte
	rand.Read(b[:linkSalt]) // never fails: the runtime ends the program instead
	plain := b[linkSalt : linkSalt+linkPlain]
	copy(plain, v[:])
	binary.BigEndian.PutUint64(plain[16:], uint64(now.UnixMilli()))
	l.sealer(b[:linkSalt]).Seal(plain[:0], make([]byte, 12), plain, to.bytes())
	return base64.RawURLEncoding.AppendEncode(dst, b[:])
}

// Open takes a token. use names what it is used for: the same token for the same
// use is the same request once more, whose answer was lost.
func (l *Links) Open(text string, at Landing, use string, now time.Time) (v Visitor, ok bool) {
	if len(text) != LinkLength {
		return v, false
	}
	var b [linkBytes]byte
	// Strict refuses set bits behind the last byte; the decoder skips line breaks,
	// which then leaves it short of bytes.
	if n, err := strictBase64.Decode(b[:], []byte(text)); err != nil || n != linkBytes {
		return v, false
	}
	plain, err := l.sealer(b[:linkSalt]).Open(nil, make([]byte, 12), b[linkSalt:], at.bytes())
	if err != nil {
		return v, false
	}
	made, present := int64(binary.BigEndian.Uint64(plain[16:])), now.UnixMilli()
	if made < l.born || made > present || present-made > LinkLife.Milliseconds() || !l.first([linkSalt]byte(b[:linkSalt]), use, present) {
		return v, false
	}
	return Visitor(plain[:16]), true
}

// first uses a token up, and says whether that had not been done, or for the
// same use.
func (l *Links) first(token [linkSalt]byte, use string, now int64) bool {
	hash := maphash.String(l.seed, use)
	l.mu.Lock()
	defer l.mu.Unlock()
	if now-l.turned > LinkLife.Milliseconds() {
		l.used, l.old, l.turned = map[[linkSalt]byte]uint64{}, l.used, now
	}
	before, known := l.used[token]
	if !known {
		before, known = l.old[token]
	}
	if known {
		return before == hash
	}
	if len(l.used) >= maxUsed {
		return false
	}
	l.used[token] = hash
	return true
}

// sealer is the cipher of one token.
func (l *Links) sealer(salt []byte) cipher.AEAD {
	h := hmac.New(sha256.New, l.key)
	h.Write(salt)
	block, err := aes.NewCipher(h.Sum(nil))
	if err != nil {
		panic("token: AES refuses a key of 32 bytes: " + err.Error()) // it takes 16, 24 and 32
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("token: GCM refuses AES: " + err.Error()) // it takes every cipher with blocks of 16 bytes
	}
	return aead
}

// bytes writes the landing so that no two are written alike.
func (x Landing) bytes() []byte {
	b := make([]byte, 0, 64+len(x.From)+len(x.To)+len(x.UserAgent))
	for _, s := range [...]string{x.From, x.To, network(x.Client).String(), x.UserAgent} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// network is the part of an address that a household or an office keeps.
func network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Addr{} // no address
	}
	return p.Addr()
}
