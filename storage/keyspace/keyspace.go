// Package keyspace lays out the store's keys: one byte says what a key is for,
// fixed-width parts follow, and bytes sort the way people read. Nothing
// personal stands in a key: identifiers come as keyed hashes (vault.Hash).
package keyspace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"
)

// Space is a key's first byte. The values are on disk for ever: a space that
// falls out of use keeps its number. FORMAT.md lists them with their values.
type Space byte

const (
	Meta       Space = 0x01 // name
	LogBlock   Space = 0x02 // first seq 8
	VaultKey   Space = 0x03 // kind 1, id (4 or 16)
	Facet      Space = 0x04 // facet hash 16
	Node       Space = 0x05 // identifier hash 16, facet hash 16
	Pair       Space = 0x06 // identifier hash 16, other identifier hash 16
	Event      Space = 0x07 // owner hash 16, time 8, seq 8
	Dedupe     Space = 0x08 // message hash 16
	Session    Space = 0x09 // session hash 16
	Quarantine Space = 0x0a // seq 8
	Cursor     Space = 0x0b // name
	History    Space = 0x0c // month 4, owner hash 16, origin number 2, first seq 8
	Tombstone  Space = 0x0d // identifier hash 16
	Erasure    Space = 0x0e // seq of its log entry 8
	Audit      Space = 0x0f // number 8
	AuditHead  Space = 0x10 // number of the entry it signs 8
	Again      Space = 0x11 // public hash 16 of an identifier that was erased and came back
	Reader     Space = 0x12 // name of a log reader, 0, part of what it has made of the entries
	Standing   Space = 0x13 // identifier hash 16
	Member     Space = 0x14 // audience 4, identifier hash 16
	Due        Space = 0x15 // second 8, identifier hash 16
	Definition Space = 0x16 // kind 1, what it is of (definitions)
)

// Names under Meta.
const (
	MetaFormat = "format" // uvarint: engine.FormatVersion
	MetaOrigin = "origin" // this log's incarnations
	MetaHead   = "head"   // the first entry that the log still has
	// The newest month whose events were deleted by age.
	MetaExpired = "expired"
	MetaVault   = "vault" // version 1, 8 bytes: fingerprint of the master key
)

// Kinds under VaultKey.
const (
	VaultInstall byte = 'i' // no id
	VaultWrap    byte = 'w' // id 4
	VaultEpoch   byte = 'e' // id 4
	VaultFacet   byte = 'f' // facet hash 16
)

// Kinds under Definition.
const (
	DefinitionVersion  byte = 'v' // hash of kind and name 16, number 4
	DefinitionSeries   byte = 's' // id 4
	DefinitionAudience byte = 'a' // id 4
	DefinitionJob      byte = 'j' // hash of its name 16
	DefinitionCounters byte = 'n' // nothing
)

// Hash is a 16-byte keyed hash or random id as it stands in keys.
type Hash = [16]byte

// Upper appends the smallest key that is greater than every key that begins
// with prefix, so that [prefix, Upper(prefix)) holds exactly those. It appends
// nothing for an empty prefix or one of only 0xff bytes: no bound exists, and
// an empty slice is none to the engine.
func Upper(dst, prefix []byte) []byte {
	n := len(prefix)
	for n > 0 && prefix[n-1] == 0xff {
		n--
	}
	if n == 0 {
		return dst
	}
	dst = append(dst, prefix[:n]...)
	dst[len(dst)-1]++
	return dst
}

// Bounds gives the half-open range of the keys that begin with prefix.
func Bounds(prefix []byte) (lower, upper []byte) { return prefix, Upper(nil, prefix) }

// AppendSpace appends the prefix of a whole space.
func AppendSpace(dst []byte, s Space) []byte { return append(dst, byte(s)) }

// AppendMeta appends the key of a named setting of the store.
func AppendMeta(dst []byte, name string) []byte { return append(append(dst, byte(Meta)), name...) }

// AppendLogBlock appends the key of the block whose first entry is seq.
func AppendLogBlock(dst []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(LogBlock)), seq)
}

// ParseLogBlock takes a log block's key apart.
func ParseLogBlock(key []byte) (seq uint64, err error) { return parseSeq(key, LogBlock) }

// AppendVault appends a vault key's key. id is absent, 4 or 16 bytes by kind.
func AppendVault(dst []byte, kind byte, id []byte) []byte {
	return append(append(dst, byte(VaultKey), kind), id...)
}

// AppendVaultID is AppendVault for kinds that count their keys.
func AppendVaultID(dst []byte, kind byte, id uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(VaultKey), kind), id)
}

// ParseVault takes a vault key's key apart; id is a part of key.
func ParseVault(key []byte) (kind byte, id []byte, err error) {
	if len(key) < 2 || key[0] != byte(VaultKey) {
		return 0, nil, malformed(key, VaultKey)
	}
	kind, id = key[1], key[2:]
	width := -1
	switch kind {
	case VaultInstall:
		width = 0
	case VaultWrap, VaultEpoch:
		width = 4
	case VaultFacet:
		width = 16
	}
	if len(id) != width {
		return 0, nil, malformed(key, VaultKey)
	}
	return kind, id, nil
}

// AppendFacet appends the key of a facet's record.
func AppendFacet(dst []byte, facet Hash) []byte {
	return append(append(dst, byte(Facet)), facet[:]...)
}

// ParseFacet takes a facet's key apart.
func ParseFacet(key []byte) (facet Hash, err error) { return parseHash(key, Facet) }

// AppendNodePrefix appends the prefix of the facets that an identifier has.
func AppendNodePrefix(dst []byte, id Hash) []byte {
	return append(append(dst, byte(Node)), id[:]...)
}

// AppendNode appends the key that says: identifier id has this facet.
func AppendNode(dst []byte, id, facet Hash) []byte {
	return append(AppendNodePrefix(dst, id), facet[:]...)
}

// ParseNode takes a node's key apart.
func ParseNode(key []byte) (id, facet Hash, err error) { return parseHashes(key, Node) }

// AppendPairPrefix appends the prefix of the pairs that an identifier is in.
func AppendPairPrefix(dst []byte, id Hash) []byte {
	return append(append(dst, byte(Pair)), id[:]...)
}

// AppendPair appends the key of the evidence about two identifiers, as seen
// from id: each pair is stored once from either side.
func AppendPair(dst []byte, id, other Hash) []byte {
	return append(AppendPairPrefix(dst, id), other[:]...)
}

// ParsePair takes a pair's key apart.
func ParsePair(key []byte) (id, other Hash, err error) { return parseHashes(key, Pair) }

// AppendEventPrefix appends the prefix of a facet's events.
func AppendEventPrefix(dst []byte, facet Hash) []byte {
	return append(append(dst, byte(Event)), facet[:]...)
}

// AppendEvent appends the key that says: the facet has the event seq of that
// time, milliseconds since 1970; times before sort before.
func AppendEvent(dst []byte, facet Hash, ms int64, seq uint64) []byte {
	dst = AppendEventTime(dst, facet, ms)
	return binary.BigEndian.AppendUint64(dst, seq)
}

// AppendEventTime appends the lower bound of a facet's events from ms on.
func AppendEventTime(dst []byte, facet Hash, ms int64) []byte {
	return binary.BigEndian.AppendUint64(AppendEventPrefix(dst, facet), uint64(ms)^1<<63)
}

// ParseEvent takes an event index key apart.
func ParseEvent(key []byte) (facet Hash, ms int64, seq uint64, err error) {
	rest, err := open(key, Event, 32)
	if err != nil {
		return facet, 0, 0, err
	}
	copy(facet[:], rest)
	ms = int64(binary.BigEndian.Uint64(rest[16:]) ^ 1<<63)
	return facet, ms, binary.BigEndian.Uint64(rest[24:]), nil
}

// AppendDedupe appends the key that says: this message has been taken.
func AppendDedupe(dst []byte, message Hash) []byte {
	return append(append(dst, byte(Dedupe)), message[:]...)
}

// ParseDedupe takes a dedupe key apart.
func ParseDedupe(key []byte) (message Hash, err error) { return parseHash(key, Dedupe) }

// AppendSession appends the key of a live session.
func AppendSession(dst []byte, session Hash) []byte {
	return append(append(dst, byte(Session)), session[:]...)
}

// ParseSession takes a session's key apart.
func ParseSession(key []byte) (session Hash, err error) { return parseHash(key, Session) }

// AppendQuarantine appends the key that says: entry seq was refused.
func AppendQuarantine(dst []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(Quarantine)), seq)
}

// ParseQuarantine takes a quarantine key apart.
func ParseQuarantine(key []byte) (seq uint64, err error) { return parseSeq(key, Quarantine) }

// AppendCursor appends the key of a log reader's place.
func AppendCursor(dst []byte, name string) []byte { return append(append(dst, byte(Cursor)), name...) }

// ParseCursor takes a cursor's key apart.
func ParseCursor(key []byte) (name string, err error) {
	if len(key) < 1 || key[0] != byte(Cursor) {
		return "", malformed(key, Cursor)
	}
	return string(key[1:]), nil
}

// Month numbers the calendar months (UTC) of receipt by which histories are
// kept, so that a month that has expired goes at once. January 1970 is 1<<31,
// so that months before sort before.
type Month uint32

// MonthOf is the month of ms, milliseconds since 1970. Times that no clock
// shows, a hundred million years off, share the outermost months.
func MonthOf(ms int64) Month {
	t := time.UnixMilli(ms).UTC()
	n := (t.Year()-1970)*12 + int(t.Month()) - 1
	return Month(1<<31 + max(-1<<30, min(n, 1<<30)))
}

// Begin is the month's first moment, ms since 1970.
func (m Month) Begin() int64 {
	n := int(int64(m) - 1<<31)
	return time.Date(1970, time.January+time.Month(n), 1, 0, 0, 0, 0, time.UTC).UnixMilli()
}

// AppendMonth appends the prefix of everything that was received in a month.
func AppendMonth(dst []byte, m Month) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(History)), uint32(m))
}

// AppendHistoryPrefix appends the prefix of what an owner (a facet, or an
// identifier) has of a month.
func AppendHistoryPrefix(dst []byte, m Month, owner Hash) []byte {
	return append(AppendMonth(dst, m), owner[:]...)
}

// AppendHistory appends the key of the chunk whose first entry is seq of the
// origin with that number.
func AppendHistory(dst []byte, m Month, owner Hash, origin uint16, seq uint64) []byte {
	dst = binary.BigEndian.AppendUint16(AppendHistoryPrefix(dst, m, owner), origin)
	return binary.BigEndian.AppendUint64(dst, seq)
}

// ParseHistory takes a history chunk's key apart.
func ParseHistory(key []byte) (m Month, owner Hash, origin uint16, seq uint64, err error) {
	rest, err := open(key, History, 30)
	if err != nil {
		return 0, owner, 0, 0, err
	}
	copy(owner[:], rest[4:])
	return Month(binary.BigEndian.Uint32(rest)), owner, binary.BigEndian.Uint16(rest[20:]), binary.BigEndian.Uint64(rest[22:]), nil
}

// AppendTombstone appends the key that says: this identifier was erased.
func AppendTombstone(dst []byte, id Hash) []byte {
	return append(append(dst, byte(Tombstone)), id[:]...)
}

// ParseTombstone takes a tombstone's key apart.
func ParseTombstone(key []byte) (id Hash, err error) { return parseHash(key, Tombstone) }

// AppendErasure appends the key of the erasure whose log entry is seq.
func AppendErasure(dst []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(Erasure)), seq)
}

// ParseErasure takes an erasure's key apart.
func ParseErasure(key []byte) (seq uint64, err error) { return parseSeq(key, Erasure) }

// AppendAudit appends the key of entry n of the audit log.
func AppendAudit(dst []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(Audit)), n)
}

// ParseAudit takes an audit entry's key apart.
func ParseAudit(key []byte) (n uint64, err error) { return parseSeq(key, Audit) }

// AppendAuditHead appends the key of the signed head of the audit log at entry n.
func AppendAuditHead(dst []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(AuditHead)), n)
}

// ParseAuditHead takes a signed head's key apart.
func ParseAuditHead(key []byte) (n uint64, err error) { return parseSeq(key, AuditHead) }

// AppendAgain appends the key that leads from the public hash of an identifier
// that was erased and came back to the hash under which it is stored.
func AppendAgain(dst []byte, public Hash) []byte {
	return append(append(dst, byte(Again)), public[:]...)
}

// ParseAgain takes such a key apart.
func ParseAgain(key []byte) (public Hash, err error) { return parseHash(key, Again) }

// AppendReaderPrefix appends the prefix of all that a log reader has made of the
// entries. No name has a zero byte.
func AppendReaderPrefix(dst []byte, reader string) []byte {
	return append(append(append(dst, byte(Reader)), reader...), 0)
}

// AppendReader appends the key of one part of that.
func AppendReader(dst []byte, reader, part string) []byte {
	return append(AppendReaderPrefix(dst, reader), part...)
}

// ParseReader takes such a key apart.
func ParseReader(key []byte) (reader, part string, err error) {
	if len(key) < 1 || key[0] != byte(Reader) {
		return "", "", malformed(key, Reader)
	}
	name, rest, found := bytes.Cut(key[1:], []byte{0})
	if !found || len(name) == 0 || len(rest) == 0 {
		return "", "", malformed(key, Reader)
	}
	return string(name), string(rest), nil
}

// AppendDefinition appends the key of a record about definitions, or a prefix
// of such keys.
func AppendDefinition(dst []byte, kind byte, rest []byte) []byte {
	return append(append(dst, byte(Definition), kind), rest...)
}

// ParseDefinition takes such a key apart; rest is a part of key.
func ParseDefinition(key []byte) (kind byte, rest []byte, err error) {
	if len(key) < 2 || key[0] != byte(Definition) {
		return 0, nil, malformed(key, Definition)
	}
	kind, rest = key[1], key[2:]
	width := -1
	switch kind {
	case DefinitionVersion:
		width = 20
	case DefinitionSeries, DefinitionAudience:
		width = 4
	case DefinitionJob:
		width = 16
	case DefinitionCounters:
		width = 0
	}
	if len(rest) != width {
		return 0, nil, malformed(key, Definition)
	}
	return kind, rest, nil
}

// AppendStanding appends the key of the standing of the person whom the
// identifier represents.
func AppendStanding(dst []byte, id Hash) []byte {
	return append(append(dst, byte(Standing)), id[:]...)
}

// ParseStanding takes a standing's key apart.
func ParseStanding(key []byte) (id Hash, err error) { return parseHash(key, Standing) }

// AppendMemberPrefix appends the prefix of an audience's members.
func AppendMemberPrefix(dst []byte, audience uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, byte(Member)), audience)
}

// AppendMember appends the key that says: the person whom the identifier
// represents is in the audience.
func AppendMember(dst []byte, audience uint32, id Hash) []byte {
	return append(AppendMemberPrefix(dst, audience), id[:]...)
}

// ParseMember takes a member's key apart.
func ParseMember(key []byte) (audience uint32, id Hash, err error) {
	rest, err := open(key, Member, 20)
	if err != nil {
		return 0, id, err
	}
	copy(id[:], rest[4:])
	return binary.BigEndian.Uint32(rest), id, nil
}

// AppendDueTime appends the lower bound of what is due from a second on, in
// seconds since 1970; times before sort before.
func AppendDueTime(dst []byte, second int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(Due)), uint64(second)^1<<63)
}

// AppendDue appends the key that says: in that second the standing of the person
// whom the identifier represents may change by itself.
func AppendDue(dst []byte, second int64, id Hash) []byte {
	return append(AppendDueTime(dst, second), id[:]...)
}

// ParseDue takes such a key apart.
func ParseDue(key []byte) (second int64, id Hash, err error) {
	rest, err := open(key, Due, 24)
	if err != nil {
		return 0, id, err
	}
	copy(id[:], rest[8:])
	return int64(binary.BigEndian.Uint64(rest) ^ 1<<63), id, nil
}

func parseSeq(key []byte, s Space) (seq uint64, err error) {
	rest, err := open(key, s, 8)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(rest), nil
}

func parseHash(key []byte, s Space) (h Hash, err error) {
	rest, err := open(key, s, 16)
	if err == nil {
		copy(h[:], rest)
	}
	return h, err
}

func parseHashes(key []byte, s Space) (a, b Hash, err error) {
	rest, err := open(key, s, 32)
	if err == nil {
		copy(a[:], rest)
		copy(b[:], rest[16:])
	}
	return a, b, err
}

func open(key []byte, s Space, width int) ([]byte, error) {
	if len(key) != 1+width || key[0] != byte(s) {
		return nil, malformed(key, s)
	}
	return key[1:], nil
}

func malformed(key []byte, s Space) error {
	return fmt.Errorf("keyspace: key %x is not one of space %#02x", key, byte(s))
}
