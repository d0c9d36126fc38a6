package facet

import (
	"math"

	"github.com/reuna/reuna/identity/wire"
)

// append writes the keys; times are told by how far they are behind the series' newest.
func (t *tallies) append(dst []byte, s *Series) []byte {
	dst = wire.AppendUint(dst, uint64(len(t.keys)))
	for i := range t.keys {
		k := &t.keys[i]
		dst = wire.AppendText(dst, k.key)
		dst = wire.AppendInt(dst, s.Last-k.last)
		if !s.exact() {
			dst = k.cells.append(dst, s.bucket(s.Last))
			continue
		}
		if k.older == nil {
			dst = append(dst, 0)
		} else {
			dst = k.older.append(dst, s.bucket(s.Last))
		}
		dst = k.cells.append(dst, floor(s.Last, 1000))
	}
	return dst
}

// append writes how far the first cell is before the place near, and its tally; then
// for each other twice its distance from the one before, plus 1 where it has a tally
// of its own behind it and did not just happen once.
func (r *run) append(dst []byte, near int64) []byte {
	n := r.len()
	if dst = wire.AppendUint(dst, uint64(n)); n == 0 {
		return dst
	}
	first := r.at(0)
	dst = wire.AppendInt(dst, near-first.at)
	dst = first.Tally.append(dst)
	if r.sums == nil {
		prev := r.last.at
		if n > 1 {
			prev = r.older[0].at
		}
		for i := 1; i < n; i++ {
			c := r.last
			if i < len(r.older) {
				c = r.older[i]
			}
			apart := uint64(c.at-prev) << 1
			prev = c.at
			switch {
			case c.n == 1 && apart < 1<<7: // these two are nearly all
				dst = append(dst, byte(apart))
			case c.n == 1 && apart < 1<<14:
				dst = append(dst, byte(apart)|1<<7, byte(apart>>7))
			case c.n == 1:
				dst = wire.AppendUint(dst, apart)
			default:
				dst = wire.AppendUint(wire.AppendUint(dst, apart|1), uint64(c.n)<<1)
			}
		}
		return dst
	}
	prev := first.at
	for i := 1; i < n; i++ {
		c := r.at(i)
		apart := uint64(c.at-prev) << 1
		prev = c.at
		if c.Tally == (Tally{N: 1}) {
			dst = wire.AppendUint(dst, apart)
		} else {
			dst = c.Tally.append(wire.AppendUint(dst, apart|1))
		}
	}
	return dst
}

// append writes N shifted by one, with the lowest bit for amounts, and then their
// sum; of more than one the smallest and the largest follow.
func (t *Tally) append(dst []byte) []byte {
	if t.Sum == 0 && t.Min == 0 && t.Max == 0 {
		return wire.AppendUint(dst, uint64(t.N)<<1)
	}
	dst = wire.AppendInt(wire.AppendUint(dst, uint64(t.N)<<1|1), t.Sum)
	if t.N > 1 {
		dst = wire.AppendInt(wire.AppendInt(dst, t.Min), t.Max)
	}
	return dst
}

// maxTally is more than anybody counts: what says so is no record.
const maxTally = 1 << 48

func readTally(r *wire.Reader) (t Tally) {
	n := r.Uint()
	t.N = int64(n >> 1)
	if n&1 == 1 {
		t.Sum = r.Int()
		if t.Min, t.Max = t.Sum, t.Sum; t.N > 1 {
			t.Min, t.Max = r.Int(), r.Int()
		}
	}
	if t.N <= 0 || t.N > maxTally {
		r.Fail()
		t.N = 1
	}
	return t
}

func readTallies(r *wire.Reader, s *Series) (t tallies) {
	n := min(r.Count(), maxSeriesKeys)
	if n > 0 {
		t.keys = make([]keyed, 0, n)
	}
	for i := range n {
		k := keyed{key: r.Text(), last: s.Last - r.Int()}
		if i > 0 && t.keys[i-1].key >= k.key {
			r.Fail()
		}
		if !s.exact() {
			k.cells = readRun(r, s.bucket(s.Last))
		} else {
			if older := readRun(r, s.bucket(s.Last)); older.len() > 0 {
				k.older = &older
			}
			k.cells = readRun(r, floor(s.Last, 1000))
			t.points += k.cells.len()
		}
		t.keys = append(t.keys, k)
	}
	return t
}

func readRun(r *wire.Reader, near int64) (list run) {
	n := r.Count()
	if n == 0 {
		return list
	}
	if n > 1 {
		list.older = make([]count, 0, n-1)
	}
	at := near - r.Int()
	first := cell{at, readTally(r)}
	if at != clamped(at) || first.N > math.MaxUint32 {
		r.Fail()
		return list
	}
	list.push(first)
	for range n - 1 {
		apart := r.Uint()
		x := cell{at + int64(apart>>1), Tally{N: 1}}
		if apart&1 == 1 {
			x.Tally = readTally(r)
		}
		if x.at <= at || x.at != clamped(x.at) || x.N > math.MaxUint32 {
			r.Fail()
			return list
		}
		list.push(x)
		at = x.at
	}
	return list
}
