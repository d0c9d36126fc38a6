package facet

import "math"

// Falls is when what Tally counts for a series' key "" in (now − window, now], which is
// least or more now and stays as it is until a time, is fewer than least by time alone; it
// is never too late. Nothing may have happened after now. Of several facets it is that
// time: they would have to be joined.
func (p *Profile) Falls(id uint32, now, window, least, until int64) int64 {
	var room [fewParts]Series
	parts := p.parts(room[:0], id)
	if len(parts) != 1 {
		return until
	}
	return parts[0].Falls("", now, window, least)
}

// mostFalling bounds the cells that Falls looks at.
const mostFalling = 64

// Falls is when what Tally counts for key in (now − window, now], which is least or more
// now, is fewer than least by time alone; math.MaxInt64: never. Where it takes many
// seconds and buckets to leave the window until then, it is when the first so many of
// them have: it is never too late. Nothing may have happened after now.
func (s Series) Falls(key string, now, window, least int64) int64 {
	if s.Form() != Tallies || window == 0 {
		return math.MaxInt64
	}
	for k := s.walk(); k.step(); {
		if k.name() == key {
			return k.falls(now, window, least)
		}
	}
	return math.MaxInt64
}

func (k *keyed) falls(now, window, least int64) int64 {
	older, newer := run{size: k.size}, k.newer()
	unit := k.width()
	if k.exact() {
		unit, older = 1000, k.older()
	}
	have := Tally{}
	i, j := older.beginning(k.width(), now-window), newer.beginning(unit, now-window)
	if i == 0 && j == 0 {
		have.N = older.all.N + newer.all.N
	} else {
		have = older.between(i, older.len())
		have.Add(newer.between(j, newer.len()))
	}
	until := int64(math.MaxInt64)
	for range mostFalling {
		// The next that leaves is the one that began first.
		switch {
		case i < older.len() && (j == newer.len() || older.place(i)*k.width() <= newer.place(j)*unit):
			until = older.place(i)*k.width() + window
			have.N -= older.at(i).N
			i++
		case j < newer.len():
			until = newer.place(j)*unit + window
			have.N -= newer.at(j).N
			j++
		default:
			return until
		}
		if have.N < least {
			return until
		}
	}
	return until
}

// beginning is the place of the first cell that began after a time; unit is how many ms
// apart places are.
func (r *run) beginning(unit, after int64) (i int) {
	for i < r.len() && r.place(i)*unit <= after {
		i++
	}
	return i
}
