// Package wire reads and writes the primitives of our binary records: varints
// and length-prefixed text.
package wire

import "encoding/binary"

// AppendText appends s behind its length.
func AppendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// AppendUint appends an unsigned varint.
func AppendUint(dst []byte, n uint64) []byte { return binary.AppendUvarint(dst, n) }

// AppendInt appends a zigzag varint.
func AppendInt(dst []byte, n int64) []byte { return binary.AppendVarint(dst, n) }

// Reader takes primitives off the front of a record. The first one that is cut
// short or malformed makes it bad for good, and everything after it reads as
// zero; so a decoder checks once, at its end.
type Reader struct {
	s   string
	bad bool
}

// NewReader reads record; texts are windows into it.
func NewReader(record string) *Reader { return &Reader{s: record} }

// Done says that the record was whole and that nothing is left of it.
func (r *Reader) Done() bool { return !r.bad && r.s == "" }

// Bad says that something could not be read.
func (r *Reader) Bad() bool { return r.bad }

// Fail makes the reader bad: for values that are well written but impossible.
func (r *Reader) Fail() { r.bad, r.s = true, "" }

// Byte takes one byte.
func (r *Reader) Byte() byte {
	if r.s == "" {
		r.bad = true
		return 0
	}
	b := r.s[0]
	r.s = r.s[1:]
	return b
}

// Uint takes an unsigned varint.
func (r *Reader) Uint() (v uint64) {
	for shift := 0; shift < 64; shift += 7 {
		b := r.Byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.Fail()
	return 0
}

// Int takes a zigzag varint.
func (r *Reader) Int() int64 {
	z := r.Uint()
	return int64(z>>1) ^ -int64(z&1)
}

// Count takes the number of elements that follow. Each takes a byte at least,
// so a count beyond what is left is malformed: nobody allocates for it.
func (r *Reader) Count() int {
	n := r.Uint()
	if n > uint64(len(r.s)) {
		r.Fail()
		return 0
	}
	return int(n)
}

// Text takes a length-prefixed text.
func (r *Reader) Text() string {
	n := r.Count()
	s := r.s[:n]
	r.s = r.s[n:]
	return s
}

// Rest takes everything that is left.
func (r *Reader) Rest() string {
	s := r.s
	r.s = ""
	return s
}
