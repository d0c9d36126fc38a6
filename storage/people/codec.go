package people

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/wire"
	"github.com/reuna/reuna/storage/engine"
)

// Records of this package, but for sessions (session.go). Each begins with its
// version; FORMAT.md lists them.
const (
	heldVersion  = 2 // sealed and packed: the last entry folded in of each origin, then the facet. 1: one origin, not packed
	takenVersion = 1 // in clear: when the message was taken, ms
)

// ownLog names this store's own log in a facet's vector of what was folded in,
// whatever its incarnation: its numbers go on through all of them. Other stores'
// logs will get numbers of their own.
const ownLog = 0

// seal encrypts a record under the data key of owner (a facet's or an
// identifier's hash), bound to its place. The key is made in b when it is new. buf is
// room for what is sealed, and given back.
func (s *Store) seal(buf []byte, owner Hash, place, plain []byte, b *engine.Batch) ([]byte, error) {
	k, err := s.o.Vault.FacetKey(owner, true, b)
	if err != nil {
		return buf, err
	}
	buf = k.Seal(buf, plain, place)
	b.Set(place, buf)
	return buf, nil
}

func (s *Store) unseal(owner Hash, place, sealed []byte) ([]byte, error) {
	k, err := s.o.Vault.FacetKey(owner, false, nil)
	if err != nil {
		return nil, err
	}
	plain, err := k.Open(nil, sealed, place)
	if err != nil {
		return nil, fmt.Errorf("people: record %x: %w", place, err)
	}
	return plain, nil
}

func (h *held) append(dst []byte) []byte {
	dst = append(dst, 1, ownLog)
	dst = wire.AppendUint(dst, h.applied)
	return h.f.AppendBinary(dst)
}

// decodeHeld reads a facet's opened record.
func (s *Store) decodeHeld(record []byte, hash Hash) (*held, error) {
	var o opened
	if err := s.decodeInto(&o, record, hash); err != nil {
		return nil, err
	}
	return o.held, nil
}

// opened is a facet as it was read, with the memory that its texts are in. The next one
// is read into the same memory (facet.DecodeInto).
type opened struct {
	*held
	text []byte
}

// decodeInto is decodeHeld for who keeps none of what they read.
func (s *Store) decodeInto(o *opened, record []byte, hash Hash) (err error) {
	size := len(record)
	version := byte(0)
	if size > 0 {
		version, record = record[0], record[1:]
	}
	if version == heldVersion {
		if o.text, err = s.packer.Unpack(o.text[:0], record); err != nil {
			return fmt.Errorf("people: facet %x: %w", hash, err)
		}
	} else {
		o.text = append(o.text[:0], record...)
	}
	r := wire.NewReader(unsafe.String(unsafe.SliceData(o.text), len(o.text)))
	if version == heldVersion && (r.Byte() != 1 || r.Byte() != ownLog) {
		r.Fail()
	}
	applied := r.Uint()
	if r.Bad() || version == 0 || version > heldVersion {
		return fmt.Errorf("people: facet %x has version %d; this program reads 1 to %d, of one origin", hash, version, heldVersion)
	}
	if o.held == nil {
		o.held = &held{f: new(facet.Facet)}
	}
	*o.held = held{f: o.f, hash: hash, applied: applied, used: true, size: size}
	if err := facet.DecodeInto(o.f, r.Rest()); err != nil {
		return fmt.Errorf("people: facet %x: %w", hash, err)
	}
	if s.o.Defined != nil {
		o.f.Prune(s.o.Defined)
	}
	return nil
}

func encodeTaken(at int64) []byte {
	return binary.AppendVarint([]byte{takenVersion}, at)
}

func decodeTaken(v []byte) (at int64, err error) {
	r := wire.NewReader(string(v))
	version := r.Byte()
	at = r.Int()
	if !r.Done() || version != takenVersion {
		return 0, fmt.Errorf("people: a stored message id is corrupt")
	}
	return at, nil
}
