package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/reuna/reuna/storage/record"
)

// Actions of the log's own entries, whose actor is "reuna". Append refuses them.
const (
	ActionLost     = "audit.lost"      // entries that a signed head covers were missing at a start; detail: first, last
	ActionHeadFile = "audit.head_file" // the head file was missing at a start; detail: last
	ActionRestored = "audit.restored"  // the store was put back from a backup
)

// self is the actor of these.
const self = "reuna"

// MaxDetail is the longest Detail, bytes.
const MaxDetail = 4 << 10

// Entry is one thing that somebody did. Only Actor and Action must be there.
type Entry struct {
	Actor   string          `json:"actor"`             // name of the key or the user, at most 256 bytes
	Role    string          `json:"role,omitempty"`    // at most 64 bytes
	Action  string          `json:"action"`            // such as person.read, at most 64 bytes
	Object  string          `json:"object,omitempty"`  // a person id, the name of a definition; never personal data; at most 512 bytes
	Outcome string          `json:"outcome,omitempty"` // such as ok, denied, failed; at most 64 bytes
	Remote  string          `json:"remote,omitempty"`  // address that it came from, at most 64 bytes
	Detail  json.RawMessage `json:"detail,omitempty"`  // JSON of at most MaxDetail bytes, stored without its spaces
}

// Record is an entry as the log has it.
type Record struct {
	N    uint64    `json:"n"`
	Time time.Time `json:"time"` // UTC, to the millisecond
	Entry
	Prev Hash `json:"prev"` // of the entry before; the first one's is derived from the install's public key
	Hash Hash `json:"hash"`
	// Fault says why the entry cannot be read, and everything but N is then empty.
	Fault string `json:"fault,omitempty"`
}

// Hash is a link of the chain: SHA-256 over "reuna audit 1" and the record's
// bytes, which hold its number, the hash before it and 16 random bytes. These
// keep a hash that stands in clear from being tested against guessed entries.
type Hash [sha256.Size]byte

// String is the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText is String.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) {
		return fmt.Errorf("a hash of %d characters: expected %d hexadecimal digits", len(text), 2*len(h))
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fmt.Errorf("a hash that is not hexadecimal: %w", err)
	}
	return nil
}

const (
	recordVersion = 1
	saltBytes     = 16
	recordDomain  = "reuna audit 1"
	sealBinding   = "reuna audit entry"
)

// genesis is what the first entry follows: it ties a chain to its install.
func genesis(public ed25519.PublicKey) Hash {
	return sha256.Sum256(append([]byte(recordDomain+" begin"), public...))
}

// check says what is wrong with an entry, and gives its Detail without spaces.
func (e *Entry) check() (detail []byte, err error) {
	for _, f := range [...]struct {
		name, value string
		most        int
		needed      bool
	}{
		{"Actor", e.Actor, 256, true},
		{"Role", e.Role, 64, false},
		{"Action", e.Action, 64, true},
		{"Object", e.Object, 512, false},
		{"Outcome", e.Outcome, 64, false},
		{"Remote", e.Remote, 64, false},
	} {
		switch {
		case f.needed && f.value == "":
			return nil, fmt.Errorf("%w: %s is empty: say it", ErrEntry, f.name)
		case len(f.value) > f.most:
			return nil, fmt.Errorf("%w: %s has %d bytes, at most %d are taken", ErrEntry, f.name, len(f.value), f.most)
		case !utf8.ValidString(f.value):
			return nil, fmt.Errorf("%w: %s is not UTF-8", ErrEntry, f.name)
		}
	}
	switch e.Action {
	case ActionLost, ActionHeadFile, ActionRestored:
		return nil, fmt.Errorf("%w: Action %s is the log's own: use another name", ErrEntry, e.Action)
	}
	if len(e.Detail) == 0 {
		return nil, nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, e.Detail); err != nil || !utf8.Valid(e.Detail) {
		return nil, fmt.Errorf("%w: Detail of %d bytes is not JSON in UTF-8", ErrEntry, len(e.Detail))
	}
	if compact.Len() > MaxDetail {
		return nil, fmt.Errorf("%w: Detail has %d bytes, at most %d are taken: name less", ErrEntry, compact.Len(), MaxDetail)
	}
	return compact.Bytes(), nil
}

// appendFields appends the part of a record that does not depend on its place.
func (e *Entry) appendFields(dst, detail []byte) []byte {
	for _, s := range [...]string{e.Actor, e.Role, e.Action, e.Object, e.Outcome, e.Remote} {
		dst = record.AppendString(dst, s)
	}
	return record.AppendBytes(dst, detail)
}

// appendRecord appends a record: version · uvarint n · varint ms · hash before
// 32 · salt 16 · fields.
func appendRecord(dst []byte, n uint64, ms int64, prev Hash, salt [saltBytes]byte, fields []byte) []byte {
	dst = record.AppendUvarint(append(dst, recordVersion), n)
	dst = record.AppendVarint(dst, ms)
	dst = append(dst, prev[:]...)
	dst = append(dst, salt[:]...)
	return append(dst, fields...)
}

// parseRecord reads what appendRecord wrote; nothing of the result is a part
// of plain. The Hash is of all of plain.
func parseRecord(plain []byte) (Record, error) {
	r := record.NewReader(plain)
	r.Version("audit entry", recordVersion)
	rec := Record{N: r.Uvarint()}
	rec.Time = time.UnixMilli(r.Varint()).UTC()
	copy(rec.Prev[:], r.Fixed(len(rec.Prev)))
	r.Fixed(saltBytes)
	for _, s := range [...]*string{&rec.Actor, &rec.Role, &rec.Action, &rec.Object, &rec.Outcome, &rec.Remote} {
		*s = r.String()
	}
	rec.Detail = bytes.Clone(r.Bytes())
	if len(rec.Detail) == 0 {
		rec.Detail = nil
	}
	if err := r.Done("audit entry"); err != nil {
		return Record{}, err
	}
	rec.Hash = hashOf(plain)
	return rec, nil
}

func hashOf(plain []byte) Hash {
	return sha256.Sum256(append(append(make([]byte, 0, len(recordDomain)+len(plain)), recordDomain...), plain...))
}

// seal makes the record of an entry and seals it into l.sealed. It does not
// allocate once its buffers have grown, and belongs to the committer.
func (l *Log) seal(n uint64, ms int64, prev Hash, fields []byte) Hash {
	rand.Read(l.salt[:]) // never fails: crypto/rand ends the program instead
	l.plain = appendRecord(append(l.plain[:0], recordDomain...), n, ms, prev, l.salt, fields)
	l.sealed = l.aead.Seal(l.sealed[:0], nil, l.plain[len(recordDomain):], l.binding)
	return sha256.Sum256(l.plain)
}

// errMoved says that a sound entry stands in another's place.
type errMoved struct{ at, is uint64 }

func (e errMoved) Error() string {
	return fmt.Sprintf("in the place of entry %d stands entry %d: it was moved or copied there", e.at, e.is)
}

// open reads the value that stands at entry n. The number is sealed with the
// entry, so that a moved one is not only refused but named. scratch may be nil.
func (l *Log) open(n uint64, sealed, scratch []byte) (Record, error) {
	plain, err := l.aead.Open(scratch[:0], nil, sealed, l.binding)
	if err != nil {
		return Record{}, fmt.Errorf("entry %d: its %d bytes do not open: they were changed, or are another install's", n, len(sealed))
	}
	r, err := parseRecord(plain)
	if err != nil {
		return Record{}, fmt.Errorf("entry %d: %w", n, err)
	}
	if r.N != n {
		return Record{}, errMoved{n, r.N}
	}
	return r, nil
}
