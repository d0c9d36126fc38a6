// Package record turns what the store keeps into bytes and back: versioned
// values from fixed parts, and the log's blocks. Every format is pinned by a
// golden test and written down in FORMAT.md.
package record

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is under every error about bytes that no version wrote.
var ErrMalformed = errors.New("malformed record")

// AppendUvarint appends v in base 128, least significant group first.
func AppendUvarint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

// AppendVarint appends v zigzag-coded in base 128.
func AppendVarint(dst []byte, v int64) []byte { return binary.AppendVarint(dst, v) }

// AppendBytes appends b's length and b.
func AppendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// AppendString appends s's length and s.
func AppendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// Reader takes a value apart from the front. The first thing that does not fit
// stops it: from then on every method gives the zero value, so a caller reads
// all parts and asks once, with Done or Err.
type Reader struct {
	b   []byte
	off int
	err error
}

// NewReader reads b, which it never changes.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Version reads the version byte of a value of that kind and refuses 0 and any above max.
func (r *Reader) Version(kind string, max byte) byte {
	v := r.Byte()
	if r.err == nil && (v == 0 || v > max) {
		r.err = fmt.Errorf("%w: %s has version %d, this program reads 1 to %d: use a newer program", ErrMalformed, kind, v, max)
		return 0
	}
	return v
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if p := r.Fixed(1); p != nil {
		return p[0]
	}
	return 0
}

// Fixed reads n bytes; they are a part of the value read.
func (r *Reader) Fixed(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || len(r.b)-r.off < n {
		r.fail("%d bytes wanted, %d left", n, len(r.b)-r.off)
		return nil
	}
	p := r.b[r.off : r.off+n : r.off+n]
	r.off += n
	return p
}

// Uvarint reads what AppendUvarint wrote.
func (r *Reader) Uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.b[r.off:])
	if n <= 0 {
		r.fail("no number that ends")
		return 0
	}
	r.off += n
	return v
}

// Varint reads what AppendVarint wrote.
func (r *Reader) Varint() int64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Varint(r.b[r.off:])
	if n <= 0 {
		r.fail("no number that ends")
		return 0
	}
	r.off += n
	return v
}

// Bytes reads what AppendBytes wrote; the result is a part of the value read.
func (r *Reader) Bytes() []byte {
	n := r.Uvarint()
	if r.err == nil && n > uint64(len(r.b)-r.off) {
		r.fail("%d bytes announced, %d left", n, len(r.b)-r.off)
	}
	return r.Fixed(int(n))
}

// String reads what AppendString wrote, as a copy.
func (r *Reader) String() string { return string(r.Bytes()) }

// Rest gives what was not read yet; it is a part of the value read.
func (r *Reader) Rest() []byte {
	if r.err != nil {
		return nil
	}
	p := r.b[r.off:]
	r.off = len(r.b)
	return p
}

// Len is the number of bytes not read yet.
func (r *Reader) Len() int { return len(r.b) - r.off }

// Err is what stopped the reader, if anything did.
func (r *Reader) Err() error { return r.err }

// Done is Err, and an error when bytes are left over. what names the value.
func (r *Reader) Done(what string) error {
	if r.err == nil && r.off < len(r.b) {
		r.fail("%d bytes left over", len(r.b)-r.off)
	}
	if r.err != nil {
		return fmt.Errorf("%s: %w", what, r.err)
	}
	return nil
}

func (r *Reader) fail(format string, args ...any) {
	r.err = fmt.Errorf("%w: at byte %d: %s", ErrMalformed, r.off, fmt.Sprintf(format, args...))
}
