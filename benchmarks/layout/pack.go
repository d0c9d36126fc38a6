package main

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/reuna/reuna/storage/record"
)

// gcm seals as the vault does: AES-256-GCM with a random nonce.
type gcm struct{ aead cipher.AEAD }

func newGCM() (gcm, error) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return gcm{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return gcm{aead}, err
}

func (g gcm) Seal(dst, plain, aad []byte) []byte { return g.aead.Seal(dst, nil, plain, aad) }

func (g gcm) Open(dst, sealed, aad []byte) ([]byte, error) {
	return g.aead.Open(dst, nil, sealed, aad)
}

const (
	sealBytes  = 28 // nonce and tag
	chunkKey   = 31 // space, month, owner, origin, number
	magicBytes = 4  // which a chunk leaves out of its zstd frame
	indexKey   = 41 // space, owner, time, number … of an event in a block
)

// packing is a way to compress.
type packing struct {
	level zstd.EncoderLevel
	dict  []byte // raw content or zstd's format; nil: none
}

func (p packing) codec() (*zstd.Encoder, *zstd.Decoder, error) {
	eo := []zstd.EOption{zstd.WithEncoderLevel(p.level), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithWindowSize(1 << 20)}
	do := []zstd.DOption{zstd.WithDecoderConcurrency(1)}
	if isFormatted(p.dict) {
		eo = append(eo, zstd.WithEncoderDict(p.dict))
		do = append(do, zstd.WithDecoderDicts(p.dict))
	} else if p.dict != nil {
		eo = append(eo, zstd.WithEncoderDictRaw(1, p.dict))
		do = append(do, zstd.WithDecoderDictRaw(1, p.dict))
	}
	enc, err := zstd.NewWriter(nil, eo...)
	if err != nil {
		return nil, nil, err
	}
	dec, err := zstd.NewReader(nil, do...)
	return enc, dec, err
}

// cost is what one event takes.
type cost struct {
	bytes          float64 // on the way to the disk: key, header, seal and entries
	encode, decode time.Duration
}

func (c cost) String() string {
	return fmt.Sprintf("%.0f B, %s + %s", c.bytes, micros(c.encode), micros(c.decode))
}

func micros(d time.Duration) string { return fmt.Sprintf("%.1f µs", float64(d)/1000) }

// measure packs and seals each plain text, opens and unpacks it again, and
// gives the cost of one of the events that they hold together. overhead is
// what a record has besides, in bytes.
func (p packing) measure(plains [][]byte, events, overhead int) (cost, error) {
	enc, dec, err := p.codec()
	if err != nil {
		return cost{}, err
	}
	defer dec.Close()
	seal, err := newGCM()
	if err != nil {
		return cost{}, err
	}
	var packed, opened, plain []byte
	sealed := make([][]byte, len(plains))
	if len(plains) > 0 { // the encoder makes its tables
		packed = enc.EncodeAll(plains[0], nil)
	}
	total := 0
	start := cpu()
	for i, b := range plains {
		packed = enc.EncodeAll(b, packed[:0])
		sealed[i] = seal.Seal(nil, packed, nil)
		total += len(packed) + sealBytes + overhead
	}
	encode := cpu() - start
	start = cpu()
	for _, b := range sealed {
		if opened, err = seal.Open(opened[:0], b, nil); err == nil {
			plain, err = dec.DecodeAll(opened, plain[:0])
		}
		if err != nil {
			return cost{}, err
		}
	}
	n := time.Duration(events)
	return cost{float64(total) / float64(events), encode / n, (cpu() - start) / n}, nil
}

// blocks are the entries as the log holds them: mixed, in blocks of about size bytes.
func blocks(entries []entry, size int) (out [][]byte) {
	var b []byte
	for _, e := range entries {
		b = record.AppendVarint(record.AppendUvarint(b, uint64(len(e.bytes))), 1000)
		if b = append(b, e.bytes...); len(b) >= size {
			out, b = append(out, b), nil
		}
	}
	return append(out, b)
}

// chunks are the entries by owner, each owner's in one chunk, unpacked.
// headers are their headers' lengths together.
func chunks(entries []entry) (plains [][]byte, headers int, err error) {
	builders := map[int]*record.ChunkBuilder{}
	var order []int
	for _, e := range entries {
		if builders[e.owner] == nil {
			builders[e.owner] = new(record.ChunkBuilder)
			order = append(order, e.owner)
		}
		builders[e.owner].Add(e.seq, e.receivedAt, e.eventTime, e.bytes)
	}
	c, err := record.NewChunkCodec()
	if err != nil {
		return nil, 0, err
	}
	defer c.Close()
	for _, owner := range order {
		b := builders[owner]
		value := c.Encode(nil, b, unsealed{}, nil)
		_, n, err := record.ParseChunkHeader(value, b.First())
		if err != nil {
			return nil, 0, err
		}
		_, plain, err := c.Decode(value, unsealed{}, nil, b.First(), new(record.Scratch))
		if err != nil {
			return nil, 0, err
		}
		plains, headers = append(plains, plain), headers+n
	}
	return plains, headers, nil
}

// unsealed leaves a chunk open, to look into it.
type unsealed struct{}

func (unsealed) Seal(dst, plain, _ []byte) []byte           { return append(dst, plain...) }
func (unsealed) Open(dst, sealed, _ []byte) ([]byte, error) { return append(dst, sealed...), nil }
