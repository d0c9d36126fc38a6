package record

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// maxPacked bounds what Unpack makes room for: far above any facet.
const maxPacked = 16 << 20

// Packer compresses single records, as ChunkCodec does chunks: a packing byte
// (PackedRaw, PackedZstd, or PackedZstd + a dictionary's id), then the record
// or its frame without zstd's magic number. Its methods may be called at the
// same time.
type Packer struct {
	enc   *zstd.Encoder
	quick *zstd.Encoder // for short records
	dec   *zstd.Decoder
}

// shortRecord is up to where a record's literals are left as they are: zstd
// rarely makes them much shorter, and half its time goes into trying. Facets of
// visitors who came three times become 240 bytes of 443 either way; with the series of
// fifty computed traits 1,316 bytes become 821 rather than 794, in 13 µs rather than 23.
const shortRecord = 4096

// NewPacker makes a packer; Close it after use.
func NewPacker() (*Packer, error) {
	encoder := func(quick bool) (*zstd.Encoder, error) {
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithNoEntropyCompression(quick),
			zstd.WithEncoderCRC(false), zstd.WithWindowSize(64<<10), zstd.WithSingleSegment(true), encoderDictionary(newestDictionary))
		if err != nil {
			return nil, fmt.Errorf("record: zstd encoder: %w", err)
		}
		return enc, nil
	}
	enc, err := encoder(false)
	if err != nil {
		return nil, err
	}
	quick, err := encoder(true)
	if err != nil {
		return nil, err
	}
	options := []zstd.DOption{zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxPacked)}
	for id := uint(1); id <= newestDictionary; id++ {
		options = append(options, decoderDictionary(id))
	}
	dec, err := zstd.NewReader(nil, options...)
	if err != nil {
		return nil, fmt.Errorf("record: zstd decoder: %w", err)
	}
	return &Packer{enc, quick, dec}, nil
}

// Close frees what the packer holds.
func (p *Packer) Close() { p.dec.Close() }

// Pack appends plain, packed. dst's spare capacity must not overlap plain.
func (p *Packer) Pack(dst, plain []byte) []byte {
	start := len(dst)
	enc := p.enc
	if len(plain) <= shortRecord {
		enc = p.quick
	}
	dst = enc.EncodeAll(plain, dst)
	frame := dst[start:]
	if len(frame)-len(zstdMagic) >= len(plain) {
		return append(append(dst[:start], PackedRaw), plain...)
	}
	// The magic number makes room for the packing byte.
	copy(frame[1:], frame[len(zstdMagic):])
	frame[0] = PackedZstd + newestDictionary
	return dst[:len(dst)-len(zstdMagic)+1]
}

// Unpack appends what Pack was given.
func (p *Packer) Unpack(dst, packed []byte) ([]byte, error) {
	if len(packed) == 0 {
		return dst, fmt.Errorf("%w: a packed record of no bytes", ErrMalformed)
	}
	way, body := packed[0], packed[1:]
	switch {
	case way == PackedRaw:
		return append(dst, body...), nil
	case way > PackedZstd+newestDictionary:
		return dst, fmt.Errorf("%w: a record packed in way %d, this program knows 0 to %d: use a newer program", ErrMalformed, way, PackedZstd+newestDictionary)
	}
	frame := append(append(make([]byte, 0, len(zstdMagic)+len(body)), zstdMagic...), body...)
	var h zstd.Header
	if err := h.Decode(frame); err != nil {
		return dst, fmt.Errorf("%w: zstd: %w", ErrMalformed, err)
	}
	if !h.HasFCS || h.FrameContentSize > maxPacked || h.DictionaryID != uint32(way-PackedZstd) {
		return dst, fmt.Errorf("%w: a frame of %d bytes with dictionary %d, packed in way %d", ErrMalformed, h.FrameContentSize, h.DictionaryID, way)
	}
	out, err := p.dec.DecodeAll(frame, dst)
	if err != nil {
		return dst, fmt.Errorf("%w: zstd: %w", ErrMalformed, err)
	}
	return out, nil
}
