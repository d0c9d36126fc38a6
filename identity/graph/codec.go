package graph

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/reuna/reuna/identity/id"
)

// pairVersion is the first byte of every encoded Pair. A new layout takes a
// new number, and DecodePair goes on reading the old ones.
const pairVersion = 1

// maxText bounds the texts that DecodePair takes; far beyond any identifier.
const maxText = 1 << 16

// flagSingle, shifted by a span's index: newest is earliest and is not written.
const flagSingle = 1 << 3

// AppendBinary appends the pair's one encoding: equal pairs have equal bytes.
//
//	version 1 | A.type A.value B.type B.value (uvarint length, bytes)
//	seen (bits 0–2: claimed, verified, admin; bits 3–5: that span is one stamp)
//	for each span: earliest time (zigzag varint), id (16 bytes);
//	  unless it is one stamp: newest time - earliest time (uvarint), id (16 bytes)
//	number of cuts (uvarint); for each, by id: id (16 bytes), trust<<4|lift;
//	  when trust > 0: time (zigzag varint)
func (p *Pair) AppendBinary(dst []byte) []byte {
	dst = append(dst, pairVersion)
	for _, s := range [...]string{p.A.Type, p.A.Value, p.B.Type, p.B.Value} {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	seen := p.seen
	for t, s := range p.spans {
		if p.seen&(1<<t) != 0 && s.earliest == s.newest {
			seen |= flagSingle << t
		}
	}
	dst = append(dst, seen)
	for t, s := range p.spans {
		if p.seen&(1<<t) == 0 {
			continue
		}
		dst = binary.AppendVarint(dst, s.earliest.Time)
		dst = append(dst, s.earliest.ID[:]...)
		if seen&(flagSingle<<t) == 0 {
			// Wraps for spans beyond 2^63 ms, and so does reading them back.
			dst = binary.AppendUvarint(dst, uint64(s.newest.Time)-uint64(s.earliest.Time))
			dst = append(dst, s.newest.ID[:]...)
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(p.cuts)))
	for _, c := range p.cuts {
		dst = append(dst, c.id[:]...)
		dst = append(dst, byte(c.trust<<4|c.lift))
		if c.trust != 0 {
			dst = binary.AppendVarint(dst, c.time)
		}
	}
	return dst
}

// DecodePair reads what AppendBinary wrote and nothing else: bytes that are not
// the one encoding of a pair are an error. The pair keeps no part of b.
func DecodePair(b []byte) (Pair, error) {
	d := decoder{b: b}
	if v := d.byte(); d.err == nil && v != pairVersion {
		return Pair{}, fmt.Errorf("graph: an encoded pair has version %d; this program reads version %d", v, pairVersion)
	}
	var p Pair
	p.A = id.ID{Type: d.text(), Value: d.text()}
	p.B = id.ID{Type: d.text(), Value: d.text()}
	if d.err == nil && (p.A.IsZero() || id.Compare(p.A, p.B) >= 0) {
		d.fail("its identifiers are not in order")
	}
	p.A.Type, _ = intern(p.A.Type)
	p.B.Type, _ = intern(p.B.Type)
	d.spans(&p)
	if p.seen != 0 && isEverybody(p.A) {
		d.fail("it links an identifier to everybody")
	}
	d.cuts(&p)
	if d.err == nil && len(d.b) > 0 {
		d.fail(fmt.Sprintf("%d bytes follow its end", len(d.b)))
	}
	if d.err != nil {
		return Pair{}, fmt.Errorf("graph: an encoded pair of %d bytes is damaged: %w", len(b), d.err)
	}
	return p, nil
}

// decoder reads from b; after the first error every read gives zeros.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = errors.New(what)
	}
	d.b = nil
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail("it ends early")
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) id() (x EvidenceID) {
	if len(d.b) < len(x) {
		d.fail("it ends within an id")
		return x
	}
	d.b = d.b[copy(x[:], d.b):]
	return x
}

func (d *decoder) uvarint() uint64 {
	x, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 { // a last byte of 0 is a longer writing of the same number
		d.fail("a number is cut off or not in its shortest form")
		return 0
	}
	d.b = d.b[n:]
	return x
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) text() string {
	n := d.uvarint()
	if n > uint64(len(d.b)) || n > maxText {
		d.fail("a text is longer than the rest")
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) spans(p *Pair) {
	flags := d.byte()
	p.seen = flags & 7
	if single := flags >> 3; single&^p.seen != 0 {
		d.fail("it has flags that mean nothing")
	}
	for t := range p.spans {
		if p.seen&(1<<t) == 0 {
			continue
		}
		s := &p.spans[t]
		s.earliest = Stamp{d.varint(), d.id()}
		s.newest = s.earliest
		if flags&(flagSingle<<t) == 0 {
			s.newest = Stamp{int64(uint64(s.earliest.Time) + d.uvarint()), d.id()}
			if d.err == nil && !s.earliest.Less(s.newest) {
				d.fail("its newest evidence is not after its earliest")
			}
		}
	}
}

func (d *decoder) cuts(p *Pair) {
	const least = 17 // bytes of one cut
	n := d.uvarint()
	if n > uint64(len(d.b)/least) {
		d.fail("it has more cuts than bytes for them")
		return
	}
	if n > 0 {
		p.cuts = make([]cut, 0, n)
	}
	for range n {
		c := cut{id: d.id()}
		t := d.byte()
		c.trust, c.lift = id.Trust(t>>4), id.Trust(t&15)
		if c.trust > id.Admin || c.lift > id.Admin || t == 0 {
			d.fail("a cut has an unknown trust")
		}
		if c.trust != 0 {
			c.time = d.varint()
		}
		if k := len(p.cuts); k > 0 && bytes.Compare(p.cuts[k-1].id[:], c.id[:]) >= 0 {
			d.fail("its cuts are not in order")
		}
		if d.err != nil {
			return
		}
		p.cuts = append(p.cuts, c)
	}
}
