package facet

import (
	"math"

	"github.com/reuna/reuna/identity/wire"
)

// appendTallies writes the keys; times are told by how far they are behind the series'
// newest.
func (s Series) appendTallies(dst []byte) []byte {
	dst = wire.AppendUint(dst, uint64(s.items()))
	newest := s.words[last]
	for k := s.walk(); k.step(); {
		dst = wire.AppendText(dst, k.name())
		dst = wire.AppendInt(dst, newest-s.words[k.entry+keyLast])
		newer := k.newer()
		if !s.exact() {
			dst = newer.append(dst, s.bucket(newest))
			continue
		}
		older := k.older()
		dst = older.append(dst, s.bucket(newest))
		dst = newer.append(dst, floor(newest, 1000))
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
	if r.size == narrowCell {
		prev := high(r.words[0])
		for _, w := range r.words[1:] {
			apart := uint64(high(w)-prev) << 1
			prev = high(w)
			switch {
			case low(w) == 1 && apart < 1<<7: // these two are nearly all
				dst = append(dst, byte(apart))
			case low(w) == 1 && apart < 1<<14:
				dst = append(dst, byte(apart)|1<<7, byte(apart>>7))
			case low(w) == 1:
				dst = wire.AppendUint(dst, apart)
			default:
				dst = wire.AppendUint(wire.AppendUint(dst, apart|1), uint64(low(w))<<1)
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

// readTallies reads what appendTallies wrote into the last series, which is the i-th.
func (k *Kept) readTallies(r *wire.Reader, i int) {
	again := *r
	if narrow := k.readKeys(r, i); narrow {
		return
	}
	k.index[i].used = content // there are amounts: they take another shape
	k.words = k.words[:k.index[i].at+content]
	k.words[k.index[i].at] |= isWideBit
	*r = again
	k.readKeys(r, i)
}

// readKeys says false if it met an amount that there is no room for.
func (k *Kept) readKeys(r *wire.Reader, i int) (ok bool) {
	n := min(r.Count(), maxSeriesKeys)
	s := k.at(i)
	entry, size := s.sizes()
	k.words = append(k.words, make([]int64, n*entry)...)
	k.index[i].used += uint32(n * entry)
	k.at(i).words[items] = int64(n)
	newest, exact := s.words[last], s.exact()
	before := ""
	for j := range n {
		key, at := r.Text(), newest-r.Int()
		if r.Bad() || j > 0 && before >= key {
			r.Fail()
			return true
		}
		before = key
		older, cells := run{size: size}, run{size: size}
		fits := true
		if !exact {
			cells, fits = k.readRun(r, s.bucket(newest), size)
		} else if older, fits = k.readRun(r, s.bucket(newest), size); fits {
			cells, fits = k.readRun(r, floor(newest, 1000), size)
		}
		if !fits {
			return false
		}
		x := k.at(i).words[content+j*entry:]
		x[keyText], x[keyLast], x[keyCells] = pair(k.number(key, nil), 0), at, pair(uint32(cells.len()), uint32(older.len()))
		setSums(x, keyOlderN, keyOlder, size, older.all)
		setSums(x, keyN, keySums, size, cells.all)
	}
	return true
}

// readRun appends cells to the words. ok is false if there is no room for amounts.
func (k *Kept) readRun(r *wire.Reader, near int64, size int) (x run, ok bool) {
	n, from := r.Count(), len(k.words)
	x.size = size
	at := near
	for j := range n {
		c := cell{Tally: Tally{N: 1}}
		if j == 0 {
			at -= r.Int()
			c.Tally = readTally(r)
		} else {
			apart := r.Uint()
			if at += int64(apart >> 1); apart>>1 == 0 {
				r.Fail()
			}
			if apart&1 == 1 {
				c.Tally = readTally(r)
			}
		}
		if at != clamped(at) || c.N > math.MaxUint32 {
			r.Fail()
		}
		if r.Bad() {
			break
		}
		if size == narrowCell {
			if c.Sum|c.Min|c.Max != 0 {
				return x, false
			}
			k.words = append(k.words, pair(uint32(c.N), uint32(at)))
		} else {
			k.words = append(k.words, pair(uint32(c.N), uint32(at)), c.Sum, c.Min, c.Max)
		}
		x.all.Add(c.Tally)
	}
	x.words = k.words[from:]
	return x, true
}
