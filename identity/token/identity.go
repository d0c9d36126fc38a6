package token

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Alg is a signature algorithm of identity tokens (RFC 7518, RFC 8037).
type Alg string

const (
	HS256 Alg = "HS256" // HMAC-SHA-256 with a shared secret of at least 32 bytes
	EdDSA Alg = "EdDSA" // Ed25519
)

const (
	minSecret   = sha256.Size // RFC 7518, section 3.2
	maxLifetime = 10 * time.Minute
	maxSkew     = 60 * time.Second
)

// Key is one key of a site. Its algorithm is pinned here; a token that names
// the key with another one is refused.
type Key struct {
	KID        string
	Alg        Alg
	Secret     []byte             // HS256
	PublicKey  ed25519.PublicKey  // EdDSA, to verify
	PrivateKey ed25519.PrivateKey // EdDSA, to sign; a gateway needs none
}

// Options says what a verifier holds tokens against.
type Options struct {
	Audience       string        // the site's name, which `aud` must hold
	RequireVisitor bool          // refuse tokens without `vid`
	Skew           time.Duration // clock difference allowed, at most (and by default) 60 s
}

// Code names why a token was refused; stable, for programs.
type Code string

const (
	CodeMalformed  Code = "token_malformed"
	CodeAlgorithm  Code = "token_algorithm"
	CodeUnknownKey Code = "token_unknown_key"
	CodeSignature  Code = "token_signature"
	CodeAudience   Code = "token_audience"
	CodeSubject    Code = "token_subject"
	CodeID         Code = "token_id"
	CodeLifetime   Code = "token_lifetime"
	CodeNotYet     Code = "token_not_yet"
	CodeExpired    Code = "token_expired"
	CodeVisitor    Code = "token_visitor"
)

// Error says why a token was refused. Message is safe for whoever sent it: it
// tells nothing that the token or the documentation does not.
type Error struct {
	Code    Code
	Message string
}

func (e *Error) Error() string { return e.Message }

func refuse(code Code, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Verifier checks identity tokens of one site. It is safe for concurrent use.
type Verifier struct {
	keys map[string]Key
	o    Options
}

// NewVerifier checks the keys. Without any, every token is refused.
func NewVerifier(keys []Key, o Options) (*Verifier, error) {
	if o.Audience == "" {
		return nil, fmt.Errorf("token: no audience; expected the site's name")
	}
	if o.Skew == 0 {
		o.Skew = maxSkew
	}
	if o.Skew < 0 || o.Skew > maxSkew {
		return nil, fmt.Errorf("token: a skew of %s; expected at most %s", o.Skew, maxSkew)
	}
	v := &Verifier{keys: make(map[string]Key, len(keys)), o: o}
	for _, k := range keys {
		if k.KID == "" {
			return nil, fmt.Errorf("token: a key without a kid; every key needs a name of its own")
		}
		if _, twice := v.keys[k.KID]; twice {
			return nil, fmt.Errorf("token: the kid %q stands twice", k.KID)
		}
		switch k.Alg {
		case HS256:
			if len(k.Secret) < minSecret {
				return nil, fmt.Errorf("token: the secret of key %q has %d bytes; HS256 needs at least %d", k.KID, len(k.Secret), minSecret)
			}
		case EdDSA:
			if len(k.PublicKey) != ed25519.PublicKeySize {
				return nil, fmt.Errorf("token: the public key %q has %d bytes; Ed25519 keys have %d", k.KID, len(k.PublicKey), ed25519.PublicKeySize)
			}
		default:
			return nil, fmt.Errorf("token: key %q has the algorithm %q; expected HS256 or EdDSA", k.KID, k.Alg)
		}
		v.keys[k.KID] = Key{KID: k.KID, Alg: k.Alg, Secret: slices.Clone(k.Secret), PublicKey: slices.Clone(k.PublicKey)}
	}
	return v, nil
}

// Verify checks a token in JWS compact form at the time now. visitor is the
// anonymous id of the visitor who presents it, "" when there is none. The error
// is an *Error. That each `jti` is taken once is the caller's to see to.
func (v *Verifier) Verify(token string, visitor string, now time.Time) (Claims, error) {
	if len(token) > MaxTokenBytes {
		return Claims{}, refuse(CodeMalformed, "the token has %d bytes; the limit is %d", len(token), MaxTokenBytes)
	}
	head, rest, ok := strings.Cut(token, ".")
	body, signature, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || strings.Contains(signature, ".") {
		return Claims{}, refuse(CodeMalformed, "the token is not three parts with dots between; expected a JWS in compact form")
	}
	var w wire
	if err := part(head, "header", &w); err != nil {
		return Claims{}, err
	}
	key, err := v.key(&w)
	if err != nil {
		return Claims{}, err
	}
	sum, ok := decode(signature)
	if !ok {
		return Claims{}, refuse(CodeMalformed, "the token's signature is not base64url without padding")
	}
	if !key.verify(token[:len(head)+1+len(body)], sum) {
		return Claims{}, refuse(CodeSignature, "the token's signature does not fit the key %.64q", key.KID)
	}
	w = wire{}
	if err := part(body, "payload", &w); err != nil {
		return Claims{}, err
	}
	return v.judge(&w, visitor, now)
}

// key finds the key that the header names, under the algorithm pinned to it.
func (v *Verifier) key(w *wire) (*Key, error) {
	switch {
	case w.crit:
		return nil, refuse(CodeMalformed, "the token's header has crit; no extension is understood here")
	case w.typ != "" && !strings.EqualFold(w.typ, "JWT"):
		return nil, refuse(CodeMalformed, "the token's typ is %.40q; expected JWT", w.typ)
	case w.alg != string(HS256) && w.alg != string(EdDSA):
		return nil, refuse(CodeAlgorithm, "the token's algorithm is %.40q; expected HS256 or EdDSA", w.alg)
	case !w.hasKid:
		return nil, refuse(CodeUnknownKey, "the token's header has no kid; name the key as in identity_keys of the site")
	}
	key, ok := v.keys[w.kid]
	if !ok {
		return nil, refuse(CodeUnknownKey, "the site has no key %.64q; see identity_keys of the site", w.kid)
	}
	if w.alg != string(key.Alg) {
		return nil, refuse(CodeAlgorithm, "the token's algorithm is %s; the key %.64q is for %s", w.alg, key.KID, key.Alg)
	}
	return &key, nil
}

func (v *Verifier) judge(w *wire, visitor string, now time.Time) (Claims, error) {
	c := Claims{Audience: v.o.Audience, Subject: w.sub, ID: w.jti, Visitor: w.vid, IssuedAt: time.Unix(w.iat, 0).UTC(), Expires: time.Unix(w.exp, 0).UTC()}
	var err error
	switch life := c.Expires.Sub(c.IssuedAt); {
	case !slices.Contains(w.aud, v.o.Audience):
		err = refuse(CodeAudience, "the token is not for this site; expected aud to be %q", v.o.Audience)
	case w.sub == "" || len(w.sub) > MaxSubjectBytes:
		err = refuse(CodeSubject, "the token's sub has %d bytes; expected the user's id, 1 to %d", len(w.sub), MaxSubjectBytes)
	case w.jti == "" || len(w.jti) > MaxIDBytes:
		err = refuse(CodeID, "the token's jti has %d bytes; expected an id of its own, 1 to %d", len(w.jti), MaxIDBytes)
	case !w.hasIat || !w.hasExp:
		err = refuse(CodeLifetime, "the token lacks iat or exp; expected both")
	case life <= 0 || life > maxLifetime:
		err = refuse(CodeLifetime, "the token lives %s from iat to exp; expected more than 0 and at most %s", life, maxLifetime)
	case now.Add(v.o.Skew).Before(c.IssuedAt), w.hasNbf && now.Add(v.o.Skew).Before(time.Unix(w.nbf, 0)):
		err = refuse(CodeNotYet, "the token is not valid yet; check the clock of the server that signed it")
	case !now.Add(-v.o.Skew).Before(c.Expires):
		err = refuse(CodeExpired, "the token has expired; sign a new one for each page")
	case w.vid == "" && v.o.RequireVisitor:
		err = refuse(CodeVisitor, "the token lacks vid; expected the visitor's id as the page knows it (setting bind_tokens)")
	case w.vid != "" && !equal(w.vid, visitor):
		err = refuse(CodeVisitor, "the token was made for another visitor")
	default:
		return c, nil
	}
	return Claims{}, err
}

// part reads the header or the payload.
func part(encoded, what string, into *wire) error {
	raw, ok := decode(encoded)
	if !ok {
		return refuse(CodeMalformed, "the token's %s is not base64url without padding", what)
	}
	if err := readObject(raw, into); err != nil {
		return refuse(CodeMalformed, "the token's %s: %s", what, err)
	}
	return nil
}

// decode is base64url without padding in its one canonical form. The library
// skips line breaks, which would be a second form.
func decode(s string) ([]byte, bool) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, false
	}
	b, err := strictBase64.DecodeString(s)
	return b, err == nil
}

func (k *Key) verify(signed string, sum []byte) bool {
	switch k.Alg {
	case HS256:
		h := hmac.New(sha256.New, k.Secret)
		h.Write([]byte(signed))
		return hmac.Equal(h.Sum(nil), sum)
	case EdDSA:
		return len(sum) == ed25519.SignatureSize && ed25519.Verify(k.PublicKey, []byte(signed), sum)
	}
	return false
}

// Sign makes a token of the claims as they are: it judges nothing, so that
// tests can make every wrong token. Times are cut to whole seconds.
func Sign(k Key, c Claims) (string, error) {
	head, err := json.Marshal(headerJSON{Alg: string(k.Alg), Kid: k.KID, Typ: "JWT"})
	if err != nil {
		return "", fmt.Errorf("token: header: %w", err)
	}
	body, err := json.Marshal(payloadJSON{
		Audience: c.Audience, Subject: c.Subject, ID: c.ID, IssuedAt: c.IssuedAt.Unix(), Expires: c.Expires.Unix(), Visitor: c.Visitor,
	})
	if err != nil {
		return "", fmt.Errorf("token: payload: %w", err)
	}
	signed := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(body)
	sum, err := k.sign(signed)
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(sum), nil
}

func (k *Key) sign(signed string) ([]byte, error) {
	switch k.Alg {
	case HS256:
		if len(k.Secret) < minSecret {
			return nil, fmt.Errorf("token: the secret of key %q has %d bytes; HS256 needs at least %d", k.KID, len(k.Secret), minSecret)
		}
		h := hmac.New(sha256.New, k.Secret)
		h.Write([]byte(signed))
		return h.Sum(nil), nil
	case EdDSA:
		if len(k.PrivateKey) != ed25519.PrivateKeySize {
			return nil, fmt.Errorf("token: the private key %q has %d bytes; Ed25519 private keys have %d", k.KID, len(k.PrivateKey), ed25519.PrivateKeySize)
		}
		return ed25519.Sign(k.PrivateKey, []byte(signed)), nil
	}
	return nil, fmt.Errorf("token: key %q has the algorithm %q; expected HS256 or EdDSA", k.KID, k.Alg)
}
