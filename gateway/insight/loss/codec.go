package loss

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/reuna/reuna/identity/wire"
)

// The book is kept in parts, of which only those that changed are written:
//
//	b                 the floor and what could not be judged
//	h + hour 8        an hour's counts
//	s + slot 8        the runs that began in five minutes
//
// Numbers in names are big-endian with the sign bit flipped. storage/FORMAT.md
// has the layout of the values.
const (
	partBook = "b"
	partHour = 'h'
	partSlot = 's'

	partVersion = 1
)

var errPart = errors.New("loss: a part of the book is corrupt")

func partName(kind byte, n int64) string {
	return string(binary.BigEndian.AppendUint64([]byte{kind}, uint64(n)^1<<63))
}

// Changes gives fn every part that changed since Saved, nil for one that is no
// more. fn must not keep value. The order is that of the names.
func (b *Book) Changes(fn func(part string, value []byte)) {
	value := wire.AppendInt([]byte{partVersion}, b.floor)
	value = wire.AppendUint(value, b.tally.Unjudged)
	fn(partBook, wire.AppendUint(value, b.tally.Dropped))
	for _, hour := range slices.Sorted(maps.Keys(b.dirty)) {
		fn(partName(partHour, hour), b.appendHour(value[:0], hour))
	}
	for _, at := range slices.Sorted(maps.Keys(b.gone)) {
		fn(partName(partSlot, at), nil)
	}
	for _, at := range slices.Sorted(maps.Keys(b.slots)) {
		if s := b.slots[at]; s.dirty {
			value = s.append(value[:0])
			fn(partName(partSlot, at), value)
		}
	}
}

// Saved says that all changes are kept.
func (b *Book) Saved() {
	clear(b.dirty)
	clear(b.gone)
	for _, s := range b.slots {
		s.dirty = false
	}
}

// appendHour gives nil for an hour without counts.
func (b *Book) appendHour(dst []byte, hour int64) []byte {
	var list []*cell
	for _, c := range b.cells {
		if _, ok := c.hours[hour]; ok {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, func(x, y *cell) int { return x.compare(y.label) })
	dst = wire.AppendUint(append(dst, partVersion), uint64(len(list)))
	for _, c := range list {
		n := c.hours[hour]
		dst = c.append(dst)
		dst = wire.AppendUint(dst, n.Made)
		dst = wire.AppendUint(dst, n.Lost())
	}
	return dst
}

func (s *slot) append(dst []byte) []byte {
	number := map[*cell]int{}
	var list []*cell
	keys := slices.Sorted(maps.Keys(s.runs))
	for _, k := range keys {
		c := s.runs[k].cell
		if _, ok := number[c]; !ok {
			number[c] = len(list)
			list = append(list, c)
		}
	}
	dst = wire.AppendUint(append(dst, partVersion), uint64(len(list)))
	for _, c := range list {
		dst = c.append(dst)
	}
	dst = wire.AppendUint(dst, uint64(len(keys)))
	for _, k := range keys {
		r := s.runs[k]
		dst = binary.BigEndian.AppendUint64(dst, k)
		for _, n := range [...]uint64{uint64(number[r.cell]), uint64(r.made), uint64(r.named + 1), uint64(r.upTo), uint64(len(r.more))} {
			dst = wire.AppendUint(dst, n)
		}
		at := r.upTo
		for _, x := range r.more {
			dst = wire.AppendUint(dst, uint64(x.from-at))
			dst = wire.AppendUint(dst, uint64(x.to-x.from))
			at = x.to
		}
	}
	return dst
}

// Load takes a part that Changes gave to a book that is empty but for other
// parts. All of them make the book that it was.
func (b *Book) Load(part string, value []byte) error {
	r := wire.NewReader(string(value))
	if v := r.Byte(); v != partVersion {
		return fmt.Errorf("loss: a part of the book has version %d; this program reads %d", v, partVersion)
	}
	if part == partBook {
		b.floor, b.tally = r.Int(), Tally{Unjudged: r.Uint(), Dropped: r.Uint()}
	} else {
		if len(part) != 9 {
			return errPart
		}
		n := int64(binary.BigEndian.Uint64([]byte(part[1:])) ^ 1<<63)
		switch part[0] {
		case partHour:
			b.loadHour(n, r)
		case partSlot:
			b.loadSlot(n, r)
		default:
			return errPart
		}
	}
	if !r.Done() {
		return errPart
	}
	return nil
}

func (b *Book) loadHour(hour int64, r *wire.Reader) {
	for n := r.Count(); n > 0 && !r.Bad(); n-- {
		l := readLabel(r)
		made, lost := r.Uint(), r.Uint()
		if lost > made || made == 0 {
			r.Fail()
		}
		if !r.Bad() {
			b.cell(l).hours[hour] = Count{made, made - lost}
		}
	}
}

func (b *Book) loadSlot(at int64, r *wire.Reader) {
	list := make([]*cell, r.Count())
	for i := range list {
		if l := readLabel(r); !r.Bad() {
			list[i] = b.cell(l)
		}
	}
	s := &slot{runs: map[uint64]run{}}
	for n := r.Count(); n > 0 && !r.Bad(); n-- {
		var key [8]byte
		for i := range key {
			key[i] = r.Byte()
		}
		var x run
		of := r.Uint()
		x.made, x.named, x.upTo = small(r), uint32(r.Uint())-1, small(r)
		x.got = x.upTo
		gaps, end := r.Count(), x.upTo
		for ; gaps > 0 && !r.Bad(); gaps-- {
			from := end + small(r)
			to := from + small(r)
			if from < end+2 || to > MaxSeq {
				r.Fail()
			}
			x.more = append(x.more, span{from, to})
			x.got += to - from + 1
			end = to
		}
		if of >= uint64(len(list)) || x.made == 0 || end > x.made {
			r.Fail()
		}
		if r.Bad() {
			return
		}
		x.cell = list[of]
		s.runs[binary.BigEndian.Uint64(key[:])] = x
		s.weight += x.weight()
	}
	b.weight += s.weight
	b.slots[at] = s
}

// small reads a number of at most MaxSeq.
func small(r *wire.Reader) uint32 {
	n := r.Uint()
	if n > MaxSeq {
		r.Fail()
		return 0
	}
	return uint32(n)
}

func (l label) append(dst []byte) []byte {
	return wire.AppendText(wire.AppendText(wire.AppendText(dst, l.site), l.browser), l.page)
}

func readLabel(r *wire.Reader) label { return label{r.Text(), r.Text(), r.Text()} }
