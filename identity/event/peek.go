package event

// Peeked is what tells whether an encoded event is worth decoding.
type Peeked struct {
	Type Type
	// Name is a window into the record.
	Name      []byte
	Timestamp int64
	Bot       bool
	Source    Source
}

// Peek reads of a record that AppendBinary made, in whatever version, what
// stands at its front; it allocates nothing. What follows is not checked: a
// record that can be peeked into need not decode.
func Peek(record []byte) (p Peeked, err error) {
	r := peeker{rest: record}
	switch version := r.byte(); version {
	case 1:
		r.peek1(&p)
	case 2:
		r.peek2(&p, mapBytes2)
	case 3:
		r.peek2(&p, mapBytes)
	default:
		r.bad = true
	}
	if r.bad || p.Type == 0 || int(p.Type) >= len(typeNames) {
		return Peeked{}, ErrCorrupt
	}
	return p, nil
}

// peek2 reads a record behind its version, as decode2 does.
func (r *peeker) peek2(p *Peeked, mapSize int) {
	flags := r.byte()
	p.Type, p.Bot = Type(flags&typeMask), flags&flagBot != 0
	receivedAt := r.int()
	if flags&flagTimestamp != 0 {
		p.Timestamp = receivedAt + r.int()
	}
	for _, more := range [...]byte{flagOriginal, flagSent} {
		if flags&more != 0 {
			r.int()
		}
	}
	for range firstID {
		r.uint()
	}
	r.skip(r.uint()) // the message's id
	p.Source = Source(r.byte())
	r.skip(2) // trust, packed texts
	texts := r.byte()
	r.skip(uint64(mapSize - 1))
	if texts&1 != 0 { // the name is the first of them
		p.Name = r.skip(r.uint())
	}
}

// peek1 reads a record behind its version, as decode1 does.
func (r *peeker) peek1(p *Peeked) {
	p.Type = Type(r.byte())
	p.Source = Source(r.byte())
	r.skip(1) // trust
	p.Bot = r.byte() == 1
	receivedAt := r.int()
	if z := r.uint(); z != 0 {
		z--
		p.Timestamp = receivedAt + (int64(z>>1) ^ -int64(z&1))
	}
	r.uint()
	r.uint()
	r.uint()         // the ASN
	r.skip(r.uint()) // the site
	p.Name = r.skip(r.uint())
}

// peeker takes primitives off a record as wire.Reader does, which reads texts.
type peeker struct {
	rest []byte
	bad  bool
}

func (r *peeker) skip(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	p := r.rest[:n]
	r.rest = r.rest[n:]
	return p
}

func (r *peeker) byte() byte {
	if p := r.skip(1); p != nil {
		return p[0]
	}
	return 0
}

func (r *peeker) uint() (v uint64) {
	for shift := 0; shift < 64; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	r.bad, r.rest = true, nil
	return 0
}

func (r *peeker) int() int64 {
	z := r.uint()
	return int64(z>>1) ^ -int64(z&1)
}
