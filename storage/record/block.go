package record

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/klauspost/compress/zstd"
)

// BlockVersion is the newest version of a log block.
const BlockVersion = 1

// Bounds of one block, far above what the log writes. A decoder refuses more
// before it makes room for it.
const (
	MaxBlockBytes = 64 << 20 // of entries, before compression
	MaxBlockCount = 1 << 24
	MaxEntryBytes = 16 << 20
)

// Sealer encrypts and authenticates: *vault.Key is one. Seal appends to dst
// what Open undoes; both bind aad, and both work when called at the same time.
type Sealer interface {
	Seal(dst, plain, aad []byte) []byte
	Open(dst, sealed, aad []byte) ([]byte, error)
}

// Header is a block's part in clear: what finding a block needs, and nothing
// about anybody. It is bound to the block by authentication.
type Header struct {
	Epoch uint32 // key of the block
	Count int    // entries; never 0
	Bytes int    // length of the entries before compression
	// Milliseconds since 1970 of the entries' receipt.
	Min, Max int64
	// High is the highest receipt time of the whole log up to the end of this
	// block. Clocks jump; High never falls, so a search by time can halve.
	High int64
}

// Append writes the header in its newest version.
func (h Header) Append(dst []byte) []byte {
	dst = append(dst, BlockVersion)
	dst = binary.AppendUvarint(dst, uint64(h.Epoch))
	dst = binary.AppendUvarint(dst, uint64(h.Count))
	dst = binary.AppendUvarint(dst, uint64(h.Bytes))
	dst = binary.AppendVarint(dst, h.Min)
	dst = binary.AppendUvarint(dst, uint64(h.Max)-uint64(h.Min))
	return binary.AppendUvarint(dst, uint64(h.High)-uint64(h.Max))
}

// ParseHeader reads a block's header. n is its length in bytes.
func ParseHeader(block []byte) (h Header, n int, err error) {
	r := NewReader(block)
	r.Version("log block", BlockVersion)
	epoch, count, size := r.Uvarint(), r.Uvarint(), r.Uvarint()
	h.Min = r.Varint()
	h.Max = int64(uint64(h.Min) + r.Uvarint())
	h.High = int64(uint64(h.Max) + r.Uvarint())
	if err := r.Err(); err != nil {
		return Header{}, 0, err
	}
	switch {
	case epoch > math.MaxUint32:
		err = fmt.Errorf("%w: epoch %d", ErrMalformed, epoch)
	case count == 0 || count > MaxBlockCount:
		err = fmt.Errorf("%w: a block of %d entries", ErrMalformed, count)
	case size > MaxBlockBytes || size < 2*count:
		err = fmt.Errorf("%w: %d entries in %d bytes", ErrMalformed, count, size)
	case h.Max < h.Min || h.High < h.Max:
		err = fmt.Errorf("%w: receipt times out of order", ErrMalformed)
	}
	if err != nil {
		return Header{}, 0, err
	}
	h.Epoch, h.Count, h.Bytes = uint32(epoch), int(count), int(size)
	return h, len(block) - r.Len(), nil
}

// Builder gathers the entries of one block. The zero Builder is empty.
//
// An entry is: uvarint length, varint receipt time as a difference to the
// entry before (the first: to 0), bytes.
type Builder struct {
	buf      []byte
	count    int
	min, max int64
	prev     int64
}

// Add appends a copy of entry, received at receivedAt ms since 1970.
func (b *Builder) Add(entry []byte, receivedAt int64) {
	b.buf = binary.AppendUvarint(b.buf, uint64(len(entry)))
	b.buf = binary.AppendVarint(b.buf, receivedAt-b.prev)
	b.buf = append(b.buf, entry...)
	if b.count == 0 {
		b.min, b.max = receivedAt, receivedAt
	}
	b.min, b.max = min(b.min, receivedAt), max(b.max, receivedAt)
	b.prev = receivedAt
	b.count++
}

// Len is the length of what was added, in bytes.
func (b *Builder) Len() int { return len(b.buf) }

// Cap is the memory the builder holds, in bytes.
func (b *Builder) Cap() int { return cap(b.buf) }

// Count is the number of entries.
func (b *Builder) Count() int { return b.count }

// AppendPlain appends what a block of the entries so far has before it is compressed
// and sealed, as Entries reads it with h. h has no key and no High.
func (b *Builder) AppendPlain(dst []byte) (plain []byte, h Header) {
	return append(dst, b.buf...), Header{Count: b.count, Bytes: len(b.buf), Min: b.min, Max: b.max}
}

// Reset empties the builder and keeps its memory.
func (b *Builder) Reset() { *b = Builder{buf: b.buf[:0]} }

// Codec compresses and seals blocks. Encode belongs to one goroutine at a
// time; Decode may be called by many.
type Codec struct {
	enc    *zstd.Encoder
	dec    *zstd.Decoder
	packed []byte // Encode's scratch
	aad    []byte // Encode's scratch
}

// NewCodec makes a codec; Close it after use.
func NewCodec() (*Codec, error) {
	// GCM authenticates each block, so zstd's own check sum would be a second one.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("record: zstd encoder: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(MaxBlockBytes))
	if err != nil {
		return nil, fmt.Errorf("record: zstd decoder: %w", err)
	}
	return &Codec{enc: enc, dec: dec}, nil
}

// Close frees what the codec holds.
func (c *Codec) Close() { c.dec.Close() }

// AppendBinding writes what a block is authenticated with besides its header:
// where it stands. A block moved to another place or log does not open.
func AppendBinding(dst []byte, origin [16]byte, first uint64) []byte {
	dst = append(dst, "reuna log block"...)
	dst = append(dst, origin[:]...)
	return binary.BigEndian.AppendUint64(dst, first)
}

// Encode appends the block of b's entries, of which the first is entry number
// first of the log origin. high is the highest receipt time of the log before
// this block; the new one is returned. b must not be empty.
func (c *Codec) Encode(dst []byte, b *Builder, s Sealer, epoch uint32, origin [16]byte, first uint64, high int64) (block []byte, newHigh int64) {
	h := Header{Epoch: epoch, Count: b.count, Bytes: len(b.buf), Min: b.min, Max: b.max, High: max(high, b.max)}
	start := len(dst)
	dst = h.Append(dst)
	c.aad = append(AppendBinding(c.aad[:0], origin, first), dst[start:]...)
	c.packed = c.enc.EncodeAll(b.buf, c.packed[:0])
	return s.Seal(dst, c.packed, c.aad), h.High
}

// Scratch is memory that Decode uses again. It belongs to one goroutine; the
// zero Scratch is ready.
type Scratch struct{ aad, packed, plain []byte }

// Cap is the memory the scratch holds, in bytes.
func (s *Scratch) Cap() int { return cap(s.aad) + cap(s.packed) + cap(s.plain) }

// Decode opens a block whose first entry is entry number first of the log
// origin. The result, h.Bytes long, is s's until its next use: Entries reads it.
func (c *Codec) Decode(block []byte, sealer Sealer, origin [16]byte, first uint64, s *Scratch) (plain []byte, err error) {
	h, n, err := ParseHeader(block)
	if err != nil {
		return nil, err
	}
	s.aad = append(AppendBinding(s.aad[:0], origin, first), block[:n]...)
	if s.packed, err = sealer.Open(s.packed[:0], block[n:], s.aad); err != nil {
		return nil, fmt.Errorf("%w: the block's seal is broken: %w", ErrMalformed, err)
	}
	if s.plain, err = c.dec.DecodeAll(s.packed, s.plain[:0]); err != nil {
		return nil, fmt.Errorf("%w: zstd: %w", ErrMalformed, err)
	}
	if len(s.plain) != h.Bytes {
		return nil, fmt.Errorf("%w: %d bytes of entries, the header says %d", ErrMalformed, len(s.plain), h.Bytes)
	}
	return s.plain, nil
}

// Entries walks a decoded block's entries in order until fn says no more.
// entry is a part of plain; i counts from 0. After a whole walk the entries
// have been checked against h.
func Entries(plain []byte, h Header, fn func(i int, receivedAt int64, entry []byte) (more bool, err error)) error {
	r := Reader{b: plain}
	at, lo, hi := int64(0), int64(math.MaxInt64), int64(math.MinInt64)
	for i := range h.Count {
		size := r.Uvarint()
		at += r.Varint()
		if r.err == nil && size > uint64(r.Len()) {
			r.fail("entry of %d bytes, %d left", size, r.Len())
		}
		entry := r.Fixed(int(size))
		if r.err != nil {
			return fmt.Errorf("log block entry %d: %w", i, r.err)
		}
		lo, hi = min(lo, at), max(hi, at)
		if more, err := fn(i, at, entry); err != nil || !more {
			return err
		}
	}
	if lo != h.Min || hi != h.Max {
		return fmt.Errorf("%w: entries received from %d to %d, the header says %d to %d", ErrMalformed, lo, hi, h.Min, h.Max)
	}
	return r.Done("log block")
}
