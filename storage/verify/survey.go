package verify

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// Survey is what a folder holds, as far as it shows without a key.
type Survey struct {
	Format       uint64
	Incarnations []Incarnation
	Head, Last   uint64 // the log's first entry that is still here, and its last
	HeadHigh     int64  // highest receipt time before Head, ms since 1970; the lowest number there is when unknown
	Expired      int64  // events received before this were deleted by age, ms; 0: none
	Cursors      []Cursor
	Spaces       []Space // in the order of their first bytes, each that has records
	WrapGroups   int     // wrapping keys
	OwnerKeys    uint64  // wrapped keys of facets, identifiers and refused messages
	Epochs       []uint32
	Blocks       uint64
	BlockBytes   uint64 // values of log blocks
	FirstEpoch   uint32 // of the log's first block; 0 when there is none
	Chunks       uint64
	ChunkEntries uint64
	ChunkPlain   uint64 // bytes of entries in chunks before compression
	ChunkBytes   uint64 // values of chunks
	TailPlain    uint64 // bytes of entries in blocks before compression
}

// Space is one key space's size, in records and bytes before Pebble's own.
type Space struct {
	Space      keyspace.Space
	Records    uint64
	KeyBytes   uint64
	ValueBytes uint64
}

// Incarnation is one life of the store: a restored one numbers on under a new id.
type Incarnation struct {
	ID    Hash
	First uint64 // its first entry
}

// Cursor is a named reader's place in the log.
type Cursor struct {
	Name  string
	Seq   uint64
	Moved time.Time     // zero when not known
	Hold  time.Duration // for how long entries wait for it beyond their age; negative: for ever
}

var spaceNames = map[keyspace.Space]string{
	keyspace.Meta: "settings", keyspace.LogBlock: "log blocks", keyspace.VaultKey: "wrapped keys", keyspace.Facet: "facets",
	keyspace.Node: "identifiers' facets", keyspace.Pair: "evidence", keyspace.Event: "tail index", keyspace.Dedupe: "messages taken",
	keyspace.Session: "sessions", keyspace.Quarantine: "quarantine", keyspace.Cursor: "cursors", keyspace.History: "histories",
	keyspace.Tombstone: "tombstones", keyspace.Erasure: "erasures", keyspace.Audit: "audit log", keyspace.AuditHead: "audit heads",
	keyspace.Again: "returned identifiers", keyspace.Reader: "readers' states",
	keyspace.Standing: "standings", keyspace.Member: "audiences' members", keyspace.Due: "due index", keyspace.Definition: "definitions",
}

// SpaceName is a key space in words.
func SpaceName(s keyspace.Space) string {
	if n, ok := spaceNames[s]; ok {
		return n
	}
	return fmt.Sprintf("unknown space %#02x", byte(s))
}

func (s *Survey) space(of keyspace.Space) Space {
	for _, x := range s.Spaces {
		if x.Space == of {
			return x
		}
	}
	return Space{Space: of}
}

// Cursor gives the place of a reader by name, 0 when it has none.
func (s *Survey) Cursor(name string) (seq uint64, found bool) {
	for _, x := range s.Cursors {
		if x.Name == name {
			return x.Seq, true
		}
	}
	return 0, false
}

// originOf is the number, from 1, of the incarnation that named entry seq.
func (s *Survey) originOf(seq uint64) int {
	n := 0
	for n < len(s.Incarnations) && s.Incarnations[n].First <= seq {
		n++
	}
	return n
}

// Look surveys a folder without any key. The first thing that is not as it
// should be is the error.
func Look(ctx context.Context, db *engine.DB, progress func(step string, done, total uint64)) (Survey, error) {
	c := &checker{o: Options{DB: db, MaxFaults: 1, Progress: progress}, ctx: ctx}
	s, err := c.survey()
	if err == nil && c.report.FaultCount > 0 {
		err = fmt.Errorf("%v", c.report.Faults[0])
	}
	return s, err
}

// survey reads every key once and tells those that are none.
func (c *checker) survey() (Survey, error) {
	s := Survey{Format: c.o.DB.Format(), Head: 1, HeadHigh: math.MinInt64}
	var sizes [256]Space
	err := c.walk("reading keys", nil, nil, 0, func(k, v []byte) {
		space := keyspace.Space(k[0])
		x := &sizes[k[0]]
		x.Space = space
		x.Records++
		x.KeyBytes += uint64(len(k))
		x.ValueBytes += uint64(len(v))
		if err := s.take(space, k, v); err != nil {
			c.fault(k, "%v", err)
		}
	})
	for _, x := range sizes {
		if x.Records > 0 {
			s.Spaces = append(s.Spaces, x)
		}
	}
	if s.Last == 0 {
		s.Last = s.Head - 1
	}
	return s, err
}

// take parses one key, and those values that are in clear.
func (s *Survey) take(space keyspace.Space, k, v []byte) (err error) {
	switch space {
	case keyspace.Meta:
		return s.meta(string(k[1:]), v)
	case keyspace.LogBlock:
		return s.block(k, v)
	case keyspace.VaultKey:
		return s.key(k)
	case keyspace.Facet:
		_, err = keyspace.ParseFacet(k)
	case keyspace.Node:
		_, _, err = keyspace.ParseNode(k)
	case keyspace.Pair:
		_, _, err = keyspace.ParsePair(k)
	case keyspace.Event:
		_, _, _, err = keyspace.ParseEvent(k)
	case keyspace.Dedupe:
		_, err = keyspace.ParseDedupe(k)
	case keyspace.Session:
		_, err = keyspace.ParseSession(k)
	case keyspace.Quarantine:
		_, err = keyspace.ParseQuarantine(k)
	case keyspace.Cursor:
		return s.cursor(k, v)
	case keyspace.History:
		return s.chunk(k, v)
	case keyspace.Tombstone:
		_, err = keyspace.ParseTombstone(k)
	case keyspace.Erasure:
		_, err = keyspace.ParseErasure(k)
	case keyspace.Audit:
		_, err = keyspace.ParseAudit(k)
	case keyspace.AuditHead:
		_, err = keyspace.ParseAuditHead(k)
	case keyspace.Standing:
		_, err = keyspace.ParseStanding(k)
	case keyspace.Member:
		_, _, err = keyspace.ParseMember(k)
	case keyspace.Due:
		_, _, err = keyspace.ParseDue(k)
	case keyspace.Again:
		_, err = keyspace.ParseAgain(k)
	case keyspace.Reader:
		_, _, err = keyspace.ParseReader(k)
	case keyspace.Definition:
		_, _, err = keyspace.ParseDefinition(k)
	default:
		return fmt.Errorf("no space has this first byte")
	}
	return err
}

func (s *Survey) meta(name string, v []byte) error {
	r := record.NewReader(v)
	switch name {
	case keyspace.MetaFormat:
		r.Uvarint() // the engine has read it
	case keyspace.MetaOrigin:
		version := r.Version("log origin", 2)
		n := uint64(1)
		if version > 1 {
			n = r.Uvarint()
		}
		for ; n > 0 && r.Err() == nil; n-- {
			x := Incarnation{First: 1}
			copy(x.ID[:], r.Fixed(len(x.ID)))
			if version > 1 {
				x.First = r.Uvarint()
			}
			if r.Err() == nil {
				s.Incarnations = append(s.Incarnations, x)
			}
		}
	case keyspace.MetaHead:
		r.Version("log head", 1)
		s.Head, s.HeadHigh = r.Uvarint(), r.Varint()
		if s.Head == 0 {
			s.Head = 1
			return fmt.Errorf("says that the log begins at entry 0; the first is 1")
		}
	case keyspace.MetaVault:
		r.Version("vault record", 1)
		r.Fixed(8)
	case keyspace.MetaExpired:
		r.Version("newest month deleted by age", 1)
		if m := r.Uvarint(); r.Err() == nil && m < math.MaxUint32 {
			s.Expired = (keyspace.Month(m) + 1).Begin()
		}
	default:
		return fmt.Errorf("no setting has the name %q", name)
	}
	return r.Done("setting " + name)
}

func (s *Survey) block(k, v []byte) error {
	first, err := keyspace.ParseLogBlock(k)
	if err != nil {
		return err
	}
	h, _, err := record.ParseHeader(v)
	if err != nil {
		return nil // the log's own check tells it
	}
	if s.Blocks == 0 {
		s.FirstEpoch = h.Epoch
	}
	s.Blocks++
	s.BlockBytes += uint64(len(v))
	s.TailPlain += uint64(h.Bytes)
	s.Last = first + uint64(h.Count) - 1
	return nil
}

func (s *Survey) chunk(k, v []byte) error {
	_, _, _, first, err := keyspace.ParseHistory(k)
	if err != nil {
		return err
	}
	h, _, err := record.ParseChunkHeader(v, first)
	if err != nil {
		return nil // the histories' own check tells it
	}
	s.Chunks++
	s.ChunkEntries += uint64(h.Count)
	s.ChunkPlain += uint64(h.Bytes)
	s.ChunkBytes += uint64(len(v))
	return nil
}

func (s *Survey) key(k []byte) error {
	kind, id, err := keyspace.ParseVault(k)
	if err != nil {
		return err
	}
	switch kind {
	case keyspace.VaultWrap:
		s.WrapGroups++
	case keyspace.VaultEpoch:
		s.Epochs = append(s.Epochs, keyNumber(id))
	case keyspace.VaultFacet:
		s.OwnerKeys++
	}
	return nil
}

func (s *Survey) cursor(k, v []byte) error {
	name, err := keyspace.ParseCursor(k)
	if err != nil {
		return err
	}
	r := record.NewReader(v)
	version := r.Version("cursor", 2)
	x := Cursor{Name: name, Seq: r.Uvarint()}
	if version > 1 {
		if moved := r.Varint(); moved != 0 {
			x.Moved = time.UnixMilli(moved)
		}
		x.Hold = time.Duration(r.Varint()) * time.Millisecond
	}
	if err := r.Done("cursor"); err != nil {
		return err
	}
	s.Cursors = append(s.Cursors, x)
	return nil
}
