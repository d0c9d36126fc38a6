// Package token makes and checks what a browser presents: visitor cookies,
// which only the gateway can make, and identity tokens, which a site's server
// signs to say who its visitor is.
package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
)

// Visitor is the secret that a visitor cookie carries: 128 random bits. It is
// never shown, logged or stored; AnonymousID is what everything else knows.
type Visitor [16]byte

const (
	// cookieVersion is the first character of a cookie's text.
	cookieVersion = '1'
	macBytes      = 16 // of the 32 of HMAC-SHA-256
	payload       = 16 + macBytes

	// CookieLength is the length of every cookie text, in bytes.
	CookieLength = 1 + 43
	// AnonymousIDLength is the length of every anonymous id, in bytes.
	AnonymousIDLength = 2 + 26

	minCookieKey = 16
)

// Cookies makes and reads visitor cookies under one secret key.
//
// Invariants: a text that Parse takes was made by Encode under the same key, and
// each visitor has exactly one such text. Anonymous ids are made under another
// subkey than the MAC, so that neither says anything about the other.
type Cookies struct {
	sign, name *mac
}

// NewCookies takes the install's cookie key of at least 16 bytes (32 random
// ones are meant). Another key makes every cookie that is out there a stranger's.
func NewCookies(key []byte) (*Cookies, error) {
	if len(key) < minCookieKey {
		return nil, fmt.Errorf("token: the cookie key has %d bytes; expected at least %d", len(key), minCookieKey)
	}
	return &Cookies{
		sign: newMAC(subkey(key, "reuna visitor cookie mac 1")),
		name: newMAC(subkey(key, "reuna anonymous id 1")),
	}, nil
}

// Mint makes a new visitor.
func (c *Cookies) Mint() (v Visitor) {
	rand.Read(v[:]) // never fails: the runtime ends the program instead
	return v
}

// Encode is the cookie's text: "1" and the base64url (RFC 4648, section 5, no
// padding) of the visitor's 16 bytes and 16 bytes of their MAC.
func (c *Cookies) Encode(v Visitor) string {
	return string(c.AppendCookie(make([]byte, 0, CookieLength), v))
}

// AppendCookie appends what Encode gives.
func (c *Cookies) AppendCookie(dst []byte, v Visitor) []byte {
	var b [payload]byte
	copy(b[:], v[:])
	sum := c.sign.sum(v)
	copy(b[16:], sum[:])
	return base64.RawURLEncoding.AppendEncode(append(dst, cookieVersion), b[:])
}

// Parse reads a cookie's text. The MAC is compared in constant time, before
// anything is looked up. It does not allocate.
func (c *Cookies) Parse(text string) (Visitor, bool) {
	if len(text) != CookieLength || text[0] != cookieVersion {
		return Visitor{}, false
	}
	var src [CookieLength - 1]byte
	copy(src[:], text[1:])
	// Strict refuses set bits behind the last byte; the decoder skips line
	// breaks, which then leaves it short of bytes.
	var b [payload]byte
	if n, err := strictBase64.Decode(b[:], src[:]); err != nil || n != payload {
		return Visitor{}, false
	}
	v := Visitor(b[:16])
	sum := c.sign.sum(v)
	if subtle.ConstantTimeCompare(sum[:], b[16:]) != 1 {
		return Visitor{}, false
	}
	return v, true
}

// AnonymousID is the visitor's public id: "v_" and 26 characters of base32 in
// lower case (RFC 4648, section 6, no padding), 128 bits. It cannot be turned
// back into the cookie.
func (c *Cookies) AnonymousID(v Visitor) string {
	return string(c.AppendAnonymousID(make([]byte, 0, AnonymousIDLength), v))
}

// AppendAnonymousID appends what AnonymousID gives.
func (c *Cookies) AppendAnonymousID(dst []byte, v Visitor) []byte {
	sum := c.name.sum(v)
	return lowerBase32.AppendEncode(append(dst, 'v', '_'), sum[:])
}

// The two encodings are values of the standard library that nobody changes.
var (
	strictBase64 = base64.RawURLEncoding.Strict()
	lowerBase32  = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
)

// equal compares two texts in a time that depends on their lengths only.
func equal(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }
