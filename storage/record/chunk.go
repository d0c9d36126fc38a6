package record

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// ChunkVersion is the newest version of a history chunk.
const ChunkVersion = 1

// Bounds of one chunk, far above what settling writes. A decoder refuses more
// before it makes room for it.
const (
	MaxChunkBytes = 2 * MaxEntryBytes // of entries, before compression
	MaxChunkCount = 1 << 20
)

// Ways in which a chunk's entries are packed. Above PackedZstd the number
// names a dictionary: PackedZstd + its id.
const (
	PackedRaw  = 0 // as they are, where zstd would make them longer
	PackedZstd = 1 // zstd without a dictionary
)

// ChunkHeader is a history chunk's part in clear: what finding an entry needs,
// and nothing that an entry says. It is bound to the chunk by authentication.
type ChunkHeader struct {
	Count int // entries; never 0
	Bytes int // length of the entries before compression
	// Numbers of the first and the last entry. The first stands in the chunk's
	// key: whoever reads a chunk says it.
	First, Last uint64
	// Event times, in milliseconds since 1970: the entries' lowest and highest.
	MinTime, MaxTime int64
	Packing          uint // PackedRaw, PackedZstd, or PackedZstd + a dictionary's id
}

// Append writes the header in its newest version; First is left to the key.
func (h ChunkHeader) Append(dst []byte) []byte {
	dst = append(dst, ChunkVersion)
	dst = binary.AppendUvarint(dst, uint64(h.Packing))
	dst = binary.AppendUvarint(dst, uint64(h.Count))
	dst = binary.AppendUvarint(dst, uint64(h.Bytes))
	dst = binary.AppendUvarint(dst, h.Last-h.First)
	dst = binary.AppendVarint(dst, h.MinTime)
	return binary.AppendUvarint(dst, uint64(h.MaxTime)-uint64(h.MinTime))
}

// ParseChunkHeader reads the header of a chunk whose first entry is number
// first. n is its length in bytes.
func ParseChunkHeader(value []byte, first uint64) (h ChunkHeader, n int, err error) {
	r := Reader{b: value}
	r.Version("history chunk", ChunkVersion)
	packing, count, size, span := r.Uvarint(), r.Uvarint(), r.Uvarint(), r.Uvarint()
	h.First, h.Last = first, first+span
	h.MinTime = r.Varint()
	h.MaxTime = int64(uint64(h.MinTime) + r.Uvarint())
	if err := r.Err(); err != nil {
		return ChunkHeader{}, 0, err
	}
	switch {
	case packing > PackedZstd+newestDictionary:
		err = fmt.Errorf("%w: a chunk packed in way %d, this program knows 0 to %d: use a newer program", ErrMalformed, packing, PackedZstd+newestDictionary)
	case count == 0 || count > MaxChunkCount:
		err = fmt.Errorf("%w: a chunk of %d entries", ErrMalformed, count)
	case size > MaxChunkBytes || size < chunkEntryMin*count:
		err = fmt.Errorf("%w: %d entries in %d bytes", ErrMalformed, count, size)
	case h.Last < first || span < count-1 || (count == 1 && span > 0):
		err = fmt.Errorf("%w: %d entries from number %d to %d", ErrMalformed, count, first, h.Last)
	case h.MaxTime < h.MinTime:
		err = fmt.Errorf("%w: event times out of order", ErrMalformed)
	}
	if err != nil {
		return ChunkHeader{}, 0, err
	}
	h.Packing, h.Count, h.Bytes = uint(packing), int(count), int(size)
	return h, len(value) - r.Len(), nil
}

// chunkEntryMin is the length of an entry of no bytes: four numbers.
const chunkEntryMin = 4

// ChunkBuilder gathers the entries of one chunk. The zero ChunkBuilder is empty.
//
// An entry is: uvarint length, uvarint number as a difference to the entry
// before (the first: to the chunk's first, so 0), varint receipt time as a
// difference to the entry before (the first: to 0), varint event time as a
// difference to its receipt, bytes. Only the first entry's numbers depend on
// where it stands, so chunks are joined without taking them apart.
type ChunkBuilder struct {
	buf         []byte
	count       int
	first, last uint64
	min, max    int64 // event times
	received    int64 // of the last entry
}

// Add appends a copy of log entry number seq; times are milliseconds since
// 1970. Numbers must rise: an entry out of order is a fault of the caller's, which panics.
func (b *ChunkBuilder) Add(seq uint64, receivedAt, eventTime int64, entry []byte) {
	b.prefix(seq, receivedAt, eventTime, len(entry))
	b.buf = append(b.buf, entry...)
	b.note(1, seq, receivedAt, eventTime, eventTime)
}

func (b *ChunkBuilder) prefix(seq uint64, receivedAt, eventTime int64, size int) {
	if b.count == 0 {
		b.first, b.last = seq, seq
	} else if seq <= b.last {
		panic(fmt.Sprintf("record: entry %d is added to a chunk that ends with entry %d", seq, b.last))
	}
	b.buf = binary.AppendUvarint(b.buf, uint64(size))
	b.buf = binary.AppendUvarint(b.buf, seq-b.last)
	b.buf = binary.AppendVarint(b.buf, receivedAt-b.received)
	b.buf = binary.AppendVarint(b.buf, eventTime-receivedAt)
}

func (b *ChunkBuilder) note(count int, last uint64, received, lo, hi int64) {
	if b.count == 0 {
		b.min, b.max = lo, hi
	}
	b.min, b.max = min(b.min, lo), max(b.max, hi)
	b.count += count
	b.last, b.received = last, received
}

// AddChunk appends the entries of a decoded chunk, all of which must be newer
// than what is there. They are checked on the way, and copied in one piece. On
// an error the builder is as it was.
func (b *ChunkBuilder) AddChunk(plain []byte, h ChunkHeader) error {
	if b.count > 0 && h.First <= b.last {
		return fmt.Errorf("record: a chunk from entry %d on cannot follow entry %d", h.First, b.last)
	}
	w := chunkWalk{r: Reader{b: plain}, seq: h.First}
	var received, eventTime int64 // of the first entry,
	var size, end int             // its length, and where it ends
	for i := range h.Count {
		entry, at, err := w.next(i)
		if err != nil {
			return err
		}
		if i == 0 {
			received, eventTime, size, end = w.received, at, len(entry), w.r.off
		}
	}
	if err := w.done(h); err != nil {
		return err
	}
	b.prefix(h.First, received, eventTime, size)
	b.buf = append(b.buf, plain[end-size:]...)
	b.note(h.Count, h.Last, w.received, h.MinTime, h.MaxTime)
	return nil
}

// Len is the length of what was added, in bytes.
func (b *ChunkBuilder) Len() int { return len(b.buf) }

// Cap is the memory the builder holds, in bytes.
func (b *ChunkBuilder) Cap() int { return cap(b.buf) }

// Count is the number of entries.
func (b *ChunkBuilder) Count() int { return b.count }

// First is the number of the first entry: it belongs in the chunk's key.
func (b *ChunkBuilder) First() uint64 { return b.first }

// Last is the number of the last entry.
func (b *ChunkBuilder) Last() uint64 { return b.last }

// Reset empties the builder and keeps its memory.
func (b *ChunkBuilder) Reset() { *b = ChunkBuilder{buf: b.buf[:0]} }

// ChunkCodec compresses and seals history chunks. Encode belongs to one
// goroutine at a time; Decode may be called by many.
type ChunkCodec struct {
	enc    *zstd.Encoder // with the newest dictionary
	dec    *zstd.Decoder // with every dictionary
	packed []byte        // Encode's scratch
	aad    []byte        // Encode's scratch
}

// NewChunkCodec makes a codec; Close it after use.
func NewChunkCodec() (*ChunkCodec, error) {
	// GCM authenticates each chunk, so zstd's own check sum would be a second one.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(chunkLevel), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithWindowSize(chunkWindow), zstd.WithSingleSegment(true),
		encoderDictionary(newestDictionary))
	if err != nil {
		return nil, fmt.Errorf("record: zstd encoder: %w", err)
	}
	options := []zstd.DOption{zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(MaxChunkBytes)}
	for id := uint(1); id <= newestDictionary; id++ {
		options = append(options, decoderDictionary(id))
	}
	dec, err := zstd.NewReader(nil, options...)
	if err != nil {
		return nil, fmt.Errorf("record: zstd decoder: %w", err)
	}
	return &ChunkCodec{enc: enc, dec: dec}, nil
}

const (
	// Slower levels save 1 to 7 % for two to five times the processor time, and
	// a chunk that grows is written again each time. (benchmarks/results/layout.md)
	chunkLevel  = zstd.SpeedFastest
	chunkWindow = 1 << 20
)

// zstdMagic begins every zstd frame. A chunk leaves it out, since its header
// says what follows, and the four bytes are a part of a short chunk that can be felt.
var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// Close frees what the codec holds.
func (c *ChunkCodec) Close() { c.dec.Close() }

// AppendChunkBinding writes what a chunk is authenticated with besides its
// header: its whole key. A chunk moved to another owner, month, log or number
// does not open.
func AppendChunkBinding(dst, key []byte) []byte {
	return append(append(dst, "reuna history chunk"...), key...)
}

// Encode appends the chunk of b's entries, as it will stand at key, which
// holds b.First. b must not be empty.
func (c *ChunkCodec) Encode(dst []byte, b *ChunkBuilder, s Sealer, key []byte) []byte {
	h := ChunkHeader{Count: b.count, Bytes: len(b.buf), First: b.first, Last: b.last, MinTime: b.min, MaxTime: b.max,
		Packing: PackedZstd + newestDictionary}
	c.packed = c.enc.EncodeAll(b.buf, c.packed[:0])
	packed := c.packed[len(zstdMagic):]
	if len(packed) >= len(b.buf) {
		h.Packing, packed = PackedRaw, b.buf
	}
	start := len(dst)
	dst = h.Append(dst)
	c.aad = append(AppendChunkBinding(c.aad[:0], key), dst[start:]...)
	return s.Seal(dst, packed, c.aad)
}

// Decode opens the chunk that stands at key, whose first entry is number
// first. plain, h.Bytes long, is scratch's until its next use: ChunkEntries reads it.
func (c *ChunkCodec) Decode(value []byte, s Sealer, key []byte, first uint64, scratch *Scratch) (h ChunkHeader, plain []byte, err error) {
	h, n, err := ParseChunkHeader(value, first)
	if err != nil {
		return ChunkHeader{}, nil, err
	}
	scratch.aad = append(AppendChunkBinding(scratch.aad[:0], key), value[:n]...)
	if h.Packing == PackedRaw {
		scratch.plain, err = s.Open(scratch.plain[:0], value[n:], scratch.aad)
	} else {
		scratch.packed, err = s.Open(append(scratch.packed[:0], zstdMagic...), value[n:], scratch.aad)
	}
	if err != nil {
		return ChunkHeader{}, nil, fmt.Errorf("%w: the chunk's seal is broken: %w", ErrMalformed, err)
	}
	if h.Packing != PackedRaw {
		if err := c.unpack(h, scratch); err != nil {
			return ChunkHeader{}, nil, err
		}
	}
	if len(scratch.plain) != h.Bytes {
		return ChunkHeader{}, nil, fmt.Errorf("%w: %d bytes of entries, the header says %d", ErrMalformed, len(scratch.plain), h.Bytes)
	}
	return h, scratch.plain, nil
}

// unpack takes the frame in scratch.packed apart. The frame has to agree with
// the header before anything is made room for.
func (c *ChunkCodec) unpack(h ChunkHeader, scratch *Scratch) error {
	var frame zstd.Header
	if err := frame.Decode(scratch.packed); err != nil {
		return fmt.Errorf("%w: zstd: %w", ErrMalformed, err)
	}
	if !frame.HasFCS || frame.FrameContentSize != uint64(h.Bytes) || uint(frame.DictionaryID) != h.Packing-PackedZstd {
		return fmt.Errorf("%w: a frame of %d bytes with dictionary %d, the header says %d bytes and dictionary %d",
			ErrMalformed, frame.FrameContentSize, frame.DictionaryID, h.Bytes, h.Packing-PackedZstd)
	}
	var err error
	if scratch.plain, err = c.dec.DecodeAll(scratch.packed, slices.Grow(scratch.plain[:0], h.Bytes)); err != nil {
		return fmt.Errorf("%w: zstd: %w", ErrMalformed, err)
	}
	return nil
}

// ChunkEntries walks a decoded chunk's entries in order until fn says no more;
// times are milliseconds since 1970. entry is a part of plain. After a whole
// walk the entries have been checked against h.
func ChunkEntries(plain []byte, h ChunkHeader, fn func(seq uint64, receivedAt, eventTime int64, entry []byte) (more bool, err error)) error {
	w := chunkWalk{r: Reader{b: plain}, seq: h.First}
	for i := range h.Count {
		entry, at, err := w.next(i)
		if err != nil {
			return err
		}
		if more, err := fn(w.seq, w.received, at, entry); err != nil || !more {
			return err
		}
	}
	return w.done(h)
}

// chunkWalk is a place between two entries of a decoded chunk.
type chunkWalk struct {
	r        Reader
	seq      uint64 // of the entry before
	received int64  // of the entry before
	min, max int64  // event times so far
}

// next reads entry i.
func (w *chunkWalk) next(i int) (entry []byte, eventTime int64, err error) {
	size, step := w.r.Uvarint(), w.r.Uvarint()
	w.received += w.r.Varint()
	eventTime = w.received + w.r.Varint()
	if w.r.err == nil && size > uint64(w.r.Len()) {
		w.r.fail("entry of %d bytes, %d left", size, w.r.Len())
	}
	if w.r.err == nil && ((step == 0) != (i == 0) || step > math.MaxUint64-w.seq) {
		w.r.fail("entry number %d above the one before", step)
	}
	entry = w.r.Fixed(int(size))
	if w.r.err != nil {
		return nil, 0, fmt.Errorf("history chunk entry %d: %w", i, w.r.err)
	}
	w.seq += step
	if i == 0 {
		w.min, w.max = eventTime, eventTime
	}
	w.min, w.max = min(w.min, eventTime), max(w.max, eventTime)
	return entry, eventTime, nil
}

// done compares what was walked with the header.
func (w *chunkWalk) done(h ChunkHeader) error {
	if w.seq != h.Last || w.min != h.MinTime || w.max != h.MaxTime {
		return fmt.Errorf("%w: entries up to number %d, from %d to %d ms, the header says number %d, %d to %d ms",
			ErrMalformed, w.seq, w.min, w.max, h.Last, h.MinTime, h.MaxTime)
	}
	return w.r.Done("history chunk")
}
