package people

import "encoding/binary"

// filter answers "was this message ever taken?" with no for certain or perhaps:
// a blocked Bloom filter (one cache line a key, 12 bits a key, about 1 % false
// perhapses) over the keyed hashes, which are random already. It grows by
// adding larger parts, up to maxFiltered keys; beyond that it says perhaps to
// everything, and the disk is asked.
//
// Rejected: asking the store for each new message. A miss costs a descent of
// the memory table and a look at each level's filter: a tenth of all the
// processor time of an event, for an answer that is nearly always no.
//
// It is guarded by Store.mu.
type filter struct {
	parts []filterPart
	keys  int
	whole bool // every key on disk is in it
}

type filterPart struct {
	blocks []filterBlock
	room   int // keys it may still take
}

type filterBlock [8]uint64 // 512 bits

const (
	firstFiltered = 1 << 16
	maxFiltered   = 1 << 25 // 50 MB
	bitsPerKey    = 12
	probes        = 6
)

func (f *filter) add(h Hash) {
	if f.keys >= maxFiltered {
		f.whole = false
		return
	}
	if n := len(f.parts); n == 0 || f.parts[n-1].room == 0 {
		room := min(firstFiltered<<min(2*n, 20), maxFiltered-f.keys)
		f.parts = append(f.parts, filterPart{make([]filterBlock, room*bitsPerKey/512+1), room})
	}
	p := &f.parts[len(f.parts)-1]
	p.room--
	f.keys++
	b, bits := p.place(h)
	for range probes {
		b[bits>>6&7] |= 1 << (bits & 63)
		bits >>= 9
	}
}

// never says for certain that a message was not taken.
func (f *filter) never(h Hash) bool {
	if !f.whole {
		return false
	}
	for i := range f.parts {
		if f.parts[i].perhaps(h) {
			return false
		}
	}
	return true
}

func (p *filterPart) perhaps(h Hash) bool {
	b, bits := p.place(h)
	for range probes {
		if b[bits>>6&7]&(1<<(bits&63)) == 0 {
			return false
		}
		bits >>= 9
	}
	return true
}

// place gives the key's block and the bits that choose within it.
func (p *filterPart) place(h Hash) (*filterBlock, uint64) {
	at := binary.LittleEndian.Uint64(h[:8])
	return &p.blocks[at%uint64(len(p.blocks))], binary.LittleEndian.Uint64(h[8:])
}
