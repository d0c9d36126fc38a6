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

// Login is the second secret of a cookie whose visitor has logged in: 128
// random bits, made anew at each login. The zero Login is none.
//
// Who puts a cookie of their own into somebody's browser knows the visitor that
// logs in there (session fixation). They do not know the login: it goes to the
// browser that showed the token, and the session holds for cookies with it only.
type Login [16]byte

// NewLogin makes a login.
func NewLogin() (l Login) {
	rand.Read(l[:]) // never fails: the runtime ends the program instead
	return l
}

// Cookie is what a visitor cookie says.
type Cookie struct {
	Visitor Visitor
	Login   Login // zero: nobody has logged in with this cookie
}

const (
	// The first character of a cookie's text: of one without a login, and of one
	// with it.
	plainVersion = '1'
	loginVersion = '2'

	macBytes     = 16            // of the 32 of HMAC-SHA-256
	loginPayload = 32 + macBytes // the longest
	plainLength  = 1 + 43
	loginLength  = 1 + 64

	// MaxCookieLength is the length of the longest cookie text, in bytes.
	MaxCookieLength = loginLength
	// AnonymousIDLength is the length of every anonymous id, in bytes.
	AnonymousIDLength = 2 + 26

	minCookieKey = 16
)

// Cookies makes and reads visitor cookies under one secret key.
//
// Invariants: a text that Parse takes was made by Encode under the same key, and
// each cookie has exactly one such text. Each version's MAC has a subkey of its
// own, so no text of one can be made from texts of the other; anonymous ids have
// another, so that they say nothing about a MAC. An anonymous id follows from the
// visitor alone: it stays what it is when somebody logs in.
type Cookies struct {
	plain, login, name *mac
}

// NewCookies takes the install's cookie key of at least 16 bytes (32 random
// ones are meant). Another key makes every cookie that is out there a stranger's.
func NewCookies(key []byte) (*Cookies, error) {
	if len(key) < minCookieKey {
		return nil, fmt.Errorf("token: the cookie key has %d bytes; expected at least %d", len(key), minCookieKey)
	}
	return &Cookies{
		plain: newMAC(subkey(key, "reuna visitor cookie mac 1")),
		login: newMAC(subkey(key, "reuna visitor cookie mac 2")),
		name:  newMAC(subkey(key, "reuna anonymous id 1")),
	}, nil
}

// Mint makes a new visitor.
func (c *Cookies) Mint() (v Visitor) {
	rand.Read(v[:]) // never fails: the runtime ends the program instead
	return v
}

// Encode is the cookie's text: base64url (RFC 4648, section 5, no padding) behind
// a version. "1": the visitor's 16 bytes and 16 bytes of their MAC. "2": the
// visitor's and the login's 16 bytes each, and 16 of the MAC of both.
func (c *Cookies) Encode(x Cookie) string {
	return string(c.AppendCookie(make([]byte, 0, MaxCookieLength), x))
}

// AppendCookie appends what Encode gives.
func (c *Cookies) AppendCookie(dst []byte, x Cookie) []byte {
	var b [loginPayload]byte
	said, sign, version := 16, c.plain, byte(plainVersion)
	if x.Login != (Login{}) {
		said, sign, version = 32, c.login, loginVersion
	}
	copy(b[:16], x.Visitor[:])
	copy(b[16:], x.Login[:])
	sum := sign.sum(b[:said])
	copy(b[said:], sum[:])
	return base64.RawURLEncoding.AppendEncode(append(dst, version), b[:said+macBytes])
}

// Parse reads a cookie's text. The MAC is compared in constant time, before
// anything is looked up. It does not allocate.
func (c *Cookies) Parse(text string) (x Cookie, ok bool) {
	var said int
	var sign *mac
	switch {
	case len(text) == plainLength && text[0] == plainVersion:
		said, sign = 16, c.plain
	case len(text) == loginLength && text[0] == loginVersion:
		said, sign = 32, c.login
	default:
		return Cookie{}, false
	}
	var src [loginLength - 1]byte
	n := copy(src[:], text[1:])
	// Strict refuses set bits behind the last byte; the decoder skips line
	// breaks, which then leaves it short of bytes.
	var b [loginPayload]byte
	if n, err := strictBase64.Decode(b[:], src[:n]); err != nil || n != said+macBytes {
		return Cookie{}, false
	}
	sum := sign.sum(b[:said])
	if subtle.ConstantTimeCompare(sum[:], b[said:said+macBytes]) != 1 {
		return Cookie{}, false
	}
	x.Visitor = Visitor(b[:16])
	if sign == c.login {
		x.Login = Login(b[16:32])
		if x.Login == (Login{}) { // a second text of the cookie without one
			return Cookie{}, false
		}
	}
	return x, true
}

// AnonymousID is the visitor's public id: "v_" and 26 characters of base32 in
// lower case (RFC 4648, section 6, no padding), 128 bits. It cannot be turned
// back into the cookie.
func (c *Cookies) AnonymousID(v Visitor) string {
	return string(c.AppendAnonymousID(make([]byte, 0, AnonymousIDLength), v))
}

// AppendAnonymousID appends what AnonymousID gives.
func (c *Cookies) AppendAnonymousID(dst []byte, v Visitor) []byte {
	sum := c.name.sum(v[:])
	return lowerBase32.AppendEncode(append(dst, 'v', '_'), sum[:])
}

// The two encodings are values of the standard library that nobody changes.
var (
	strictBase64 = base64.RawURLEncoding.Strict()
	lowerBase32  = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
)

// equal compares two texts in a time that depends on their lengths only.
func equal(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }
