package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErasureType is the payload type of an erasure's receipt.
const ErasureType = "application/vnd.reuna.erasure+json"

// ErasureKind is the only value of Erasure.Receipt yet: its format.
const ErasureKind = "reuna erasure 1"

// Erasure says what was erased, and how. It holds no personal data: identifiers
// stand in it as the keyed hashes under which the install knew them, which
// nobody without the install's key can test against a name or an address.
type Erasure struct {
	Receipt           string    `json:"receipt"`     // ErasureKind
	ID                string    `json:"id"`          // of the request, as the install gave it
	Install           string    `json:"install"`     // KeyID of the install's public key
	Origin            string    `json:"origin"`      // the log's incarnation, 32 hexadecimal digits
	Seq               uint64    `json:"seq"`         // the log entry that decided it, from 1
	Requested         time.Time `json:"requested"`   // RFC 3339, UTC, like the next two
	Decided           time.Time `json:"decided"`     // when that entry was on the disk: from then on nobody is shown what is erased
	Completed         time.Time `json:"completed"`   // when the last byte and key were gone
	View              string    `json:"view"`        // "all" or "verified": how the person was put together
	Identifiers       []string  `json:"identifiers"` // keyed hashes, 32 hexadecimal digits each
	Facets            int       `json:"facets"`      // erased, like all that follows
	Events            int       `json:"events"`
	LogEntriesBlanked int       `json:"logEntriesBlanked"` // overwritten in the log's tail
	HistoryChunks     int       `json:"historyChunks"`
	EvidenceRecords   int       `json:"evidenceRecords"`
	Sessions          int       `json:"sessions"`
	Refused           int       `json:"refused"` // messages in quarantine
	KeysDestroyed     int       `json:"keysDestroyed"`
	GroupsRewritten   int       `json:"groupsRewritten"` // of wrapped keys, under a new wrapping key
	Tombstones        int       `json:"tombstones"`
	CompactedRanges   int       `json:"compactedRanges"` // of keys, whose tables were rewritten without what was deleted
	Reason            string    `json:"reason"`          // as the request gave it; a code or a ticket, not a name
}

// SignErasure checks a receipt and gives its signed envelope. Receipt and
// Install are filled in where they are empty; times are told in UTC.
func SignErasure(private ed25519.PrivateKey, e Erasure) ([]byte, error) {
	if len(private) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("receipt: a private key of %d bytes, expected %d", len(private), ed25519.PrivateKeySize)
	}
	if e.Receipt == "" {
		e.Receipt = ErasureKind
	}
	id := KeyID(private.Public().(ed25519.PublicKey))
	if e.Install == "" {
		e.Install = id
	}
	if e.Install != id {
		return nil, fmt.Errorf("%w: install is %q, but the signing key's id is %s", ErrReceipt, e.Install, id)
	}
	e.Requested, e.Decided, e.Completed = e.Requested.UTC(), e.Decided.UTC(), e.Completed.UTC()
	if e.Identifiers == nil {
		e.Identifiers = []string{}
	}
	if err := e.Check(); err != nil {
		return nil, err
	}
	payload, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	return Sign(private, ErasureType, payload)
}

// VerifyErasure gives the receipt in an envelope that public's owner signed.
// Errors wrap ErrEnvelope, ErrSignature or ErrReceipt.
func VerifyErasure(public ed25519.PublicKey, text []byte) (Erasure, error) {
	payloadType, payload, err := Verify(public, text)
	if err != nil {
		return Erasure{}, err
	}
	if payloadType != ErasureType {
		return Erasure{}, fmt.Errorf("%w: the envelope holds %q, expected %q", ErrReceipt, payloadType, ErasureType)
	}
	e, err := ParseErasure(payload)
	if err == nil && e.Install != KeyID(public) {
		err = fmt.Errorf("%w: install is %q, but key %s signed it", ErrReceipt, e.Install, KeyID(public))
	}
	if err != nil {
		return Erasure{}, err
	}
	return e, nil
}

// ParseErasure reads a payload strictly: every field must be there, no other
// may be, and Check must pass.
func ParseErasure(payload []byte) (Erasure, error) {
	var e Erasure
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return Erasure{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Erasure{}, fmt.Errorf("%w: bytes follow the JSON", ErrReceipt)
	}
	if err := e.Check(); err != nil {
		return Erasure{}, err
	}
	// What it says must be all that the bytes say: this finds a field that is
	// missing, twice there, or in another case.
	again, err := json.Marshal(e)
	if err != nil {
		return Erasure{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, payload); err != nil {
		return Erasure{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	if !bytes.Equal(again, compact.Bytes()) {
		return Erasure{}, fmt.Errorf("%w: a field is missing, twice there, or written in another way than %s writes it", ErrReceipt, ErasureKind)
	}
	return e, nil
}

// Check says what no receipt can say.
func (e *Erasure) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrReceipt, fmt.Sprintf(format, args...))
	}
	switch {
	case e.Receipt != ErasureKind:
		return bad("receipt is %q, expected %q", e.Receipt, ErasureKind)
	case e.ID == "":
		return bad("id is empty")
	case !isHex(e.Install, 16):
		return bad("install is %q, expected 16 hexadecimal digits", e.Install)
	case !isHex(e.Origin, 32):
		return bad("origin is %q, expected 32 hexadecimal digits", e.Origin)
	case e.Seq == 0:
		return bad("seq is 0, expected the number of a log entry, from 1")
	case e.View != "all" && e.View != "verified":
		return bad("view is %q, expected all or verified", e.View)
	case e.Identifiers == nil:
		return bad("identifiers is null, expected a list")
	}
	// Their order is not checked: a clock that was set back must not stand in the
	// way of a receipt.
	for _, at := range [...]struct {
		name string
		t    time.Time
	}{{"requested", e.Requested}, {"decided", e.Decided}, {"completed", e.Completed}} {
		if _, offset := at.t.Zone(); offset != 0 || at.t.IsZero() {
			return bad("%s is %s, expected a time in UTC", at.name, at.t.Format(time.RFC3339))
		}
	}
	for i, h := range e.Identifiers {
		if !isHex(h, 32) {
			return bad("identifiers[%d] is %q, expected 32 hexadecimal digits", i, h)
		}
	}
	for _, n := range [...]int{e.Facets, e.Events, e.LogEntriesBlanked, e.HistoryChunks, e.EvidenceRecords, e.Sessions,
		e.Refused, e.KeysDestroyed, e.GroupsRewritten, e.Tombstones, e.CompactedRanges} {
		if n < 0 {
			return bad("a count is %d, expected 0 or more", n)
		}
	}
	return nil
}

// isHex says that s is n hexadecimal digits in lower case.
func isHex(s string, n int) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(s) == n && hex.EncodeToString(b) == s
}
