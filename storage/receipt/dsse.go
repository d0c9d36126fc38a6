// Package receipt makes and checks what the install signs for others to keep:
// a DSSE envelope (https://github.com/secure-systems-lab/dsse, version 1.0.2)
// around a JSON payload, signed with Ed25519 (RFC 8032). It needs nothing of
// the store, so that anybody can check a receipt anywhere.
package receipt

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxEnvelope is the longest envelope that is read, bytes.
const MaxEnvelope = 16 << 20

// Errors that callers tell apart with errors.Is.
var (
	ErrEnvelope  = errors.New("not a signed envelope")
	ErrSignature = errors.New("signature does not match")
	ErrReceipt   = errors.New("not an erasure receipt")
)

// envelope is the JSON form of DSSE 1.0.2. publicKey is ours, which the
// specification allows: readers ignore what they do not know.
type envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     string      `json:"payload"` // base64
	Signatures  []signature `json:"signatures"`
	PublicKey   string      `json:"publicKey,omitempty"` // base64 of 32 bytes; proves nothing by itself
}

type signature struct {
	KeyID string `json:"keyid,omitempty"`
	Sig   string `json:"sig"` // base64
}

// KeyID is a public key's name: the first 16 hexadecimal digits of its SHA-256.
func KeyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:8])
}

// pae is DSSE's pre-authentication encoding, which is what is signed:
// "DSSEv1" SP len(type) SP type SP len(body) SP body, lengths in ASCII decimal.
func pae(payloadType string, payload []byte) []byte {
	b := append([]byte("DSSEv1 "), strconv.Itoa(len(payloadType))...)
	b = append(append(b, ' '), payloadType...)
	b = strconv.AppendInt(append(b, ' '), int64(len(payload)), 10)
	return append(append(b, ' '), payload...)
}

// Sign gives the envelope of a payload as JSON with a line end.
func Sign(private ed25519.PrivateKey, payloadType string, payload []byte) ([]byte, error) {
	if len(private) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("receipt: a private key of %d bytes, expected %d", len(private), ed25519.PrivateKeySize)
	}
	public := private.Public().(ed25519.PublicKey)
	out, err := json.MarshalIndent(envelope{
		PayloadType: payloadType,
		Payload:     base64.StdEncoding.EncodeToString(payload),
		Signatures:  []signature{{KeyID(public), base64.StdEncoding.EncodeToString(ed25519.Sign(private, pae(payloadType, payload)))}},
		PublicKey:   base64.StdEncoding.EncodeToString(public),
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	if len(out) >= MaxEnvelope {
		return nil, fmt.Errorf("receipt: an envelope of %d bytes, at most %d can be read again", len(out)+1, MaxEnvelope)
	}
	return append(out, '\n'), nil
}

// Verify gives the payload of an envelope that public's owner signed. Errors
// wrap ErrEnvelope or ErrSignature; nothing of an envelope that does not verify
// is given out.
func Verify(public ed25519.PublicKey, text []byte) (payloadType string, payload []byte, err error) {
	if len(public) != ed25519.PublicKeySize {
		return "", nil, fmt.Errorf("receipt: a public key of %d bytes, expected %d", len(public), ed25519.PublicKeySize)
	}
	e, err := parse(text)
	if err != nil {
		return "", nil, err
	}
	if payload, err = decode("payload", e.Payload); err != nil {
		return "", nil, err
	}
	id, message := KeyID(public), pae(e.PayloadType, payload)
	var seen []string
	for _, s := range e.Signatures {
		seen = append(seen, strconv.Quote(s.KeyID))
		// A key's name is a hint only, and may be absent: the signature decides.
		sig, err := decode("sig", s.Sig)
		if err != nil {
			return "", nil, err
		}
		if len(sig) == ed25519.SignatureSize && ed25519.Verify(public, message, sig) {
			return e.PayloadType, payload, nil
		}
	}
	for _, s := range e.Signatures {
		if s.KeyID == id {
			return "", nil, fmt.Errorf("%w: it names key %s, but payload, type or signature were changed after signing", ErrSignature, id)
		}
	}
	return "", nil, fmt.Errorf("%w: it is signed by key %s, expected %s: another install signed it", ErrSignature, strings.Join(seen, ", "), id)
}

// EmbeddedKey is the public key that an envelope carries about itself. It lets
// a reader check that the envelope is whole, not who made it.
func EmbeddedKey(text []byte) (ed25519.PublicKey, error) {
	e, err := parse(text)
	if err != nil {
		return nil, err
	}
	if e.PublicKey == "" {
		return nil, fmt.Errorf("%w: it has no publicKey: give the install's public key", ErrEnvelope)
	}
	key, err := decode("publicKey", e.PublicKey)
	if err != nil {
		return nil, err
	}
	if len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: its publicKey has %d bytes, expected %d", ErrEnvelope, len(key), ed25519.PublicKeySize)
	}
	return key, nil
}

func parse(text []byte) (envelope, error) {
	var e envelope
	if len(text) > MaxEnvelope {
		return e, fmt.Errorf("%w: %d bytes, at most %d are read", ErrEnvelope, len(text), MaxEnvelope)
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return e, fmt.Errorf("%w: expected JSON with payloadType, payload and signatures: %w", ErrEnvelope, err)
	}
	switch {
	case e.PayloadType == "":
		return e, fmt.Errorf("%w: payloadType is missing", ErrEnvelope)
	case len(e.Signatures) == 0:
		return e, fmt.Errorf("%w: signatures is empty, expected at least one", ErrEnvelope)
	case len(e.Signatures) > 16:
		return e, fmt.Errorf("%w: %d signatures, at most 16 are looked at", ErrEnvelope, len(e.Signatures))
	}
	return e, nil
}

// decode reads standard or URL-safe base64: the specification takes either.
func decode(name, text string) ([]byte, error) {
	out, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		var url error
		if out, url = base64.URLEncoding.Strict().DecodeString(text); url != nil {
			return nil, fmt.Errorf("%w: %s is no base64: %w", ErrEnvelope, name, err)
		}
	}
	return out, nil
}
