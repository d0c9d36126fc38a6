// Package zstd stands in for the C library that Pebble would compile for its
// tables where there is a C compiler: 28 of the 140 processor seconds of a first
// `go run ./gateway`, for a compression that our store turns off, because its
// values are compressed and encrypted already. It does the same work with the
// Go library that the event log uses, so a store looks the same whether or not
// a C compiler stood by.
//
// It is a module of its own only because a replaced module has to be one.
package zstd

import (
	"errors"

	"github.com/klauspost/compress/zstd"
)

// Ctx compresses and decompresses. It belongs to one goroutine at a time.
type Ctx interface {
	// CompressLevel compresses src into dst, which it replaces by a larger one
	// when it has less than CompressBound bytes.
	CompressLevel(dst, src []byte, level int) ([]byte, error)
	// DecompressInto decompresses src into dst, which must be large enough, and
	// gives the number of bytes.
	DecompressInto(dst, src []byte) (int, error)
}

// ErrTooSmall says that what was compressed does not fit.
var ErrTooSmall = errors.New("zstd: the destination is too small")

// NewCtx makes a Ctx.
func NewCtx() Ctx { return &ctx{} }

// CompressBound is the most that n bytes can become: raw blocks of 128 KiB with
// 3 bytes each, a frame header and a checksum.
func CompressBound(n int) int { return n + n/256 + 64 }

type ctx struct {
	enc   *zstd.Encoder
	level zstd.EncoderLevel
	dec   *zstd.Decoder
}

func (c *ctx) CompressLevel(dst, src []byte, level int) ([]byte, error) {
	want := zstd.EncoderLevelFromZstd(level)
	if c.enc == nil || c.level != want {
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(want), zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
		if err != nil {
			return nil, err
		}
		c.enc, c.level = enc, want
	}
	if n := CompressBound(len(src)); cap(dst) < n {
		dst = make([]byte, n)
	}
	return c.enc.EncodeAll(src, dst[:0]), nil
}

func (c *ctx) DecompressInto(dst, src []byte) (int, error) {
	if c.dec == nil {
		dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
		if err != nil {
			return 0, err
		}
		c.dec = dec
	}
	out, err := c.dec.DecodeAll(src, dst[:0])
	if err != nil {
		return 0, err
	}
	if len(out) > len(dst) {
		return 0, ErrTooSmall
	}
	return len(out), nil
}
