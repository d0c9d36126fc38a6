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

// mostFalling bounds the cells that Falls looks at from either end.
const mostFalling = 64

// Falls is when what Tally counts for key in (now − window, now], which is least or more
// now, is fewer than least by time alone; math.MaxInt64: never. Where that is far from
// the first cell to leave and from the last, it is when some of the first have: it is
// never too late. Nothing may have happened after now.
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
	both := leaving{older, newer, k.width(), unit, older.len(), newer.len()}
	// Seen from the end, it is when the cell leaves that has as many with what came later.
	have := int64(0)
	for range mostFalling {
		began, n, ok := both.last()
		if !ok {
			break
		}
		if have += n; have >= least {
			return began + window
		}
	}
	both.i, both.j = older.beginning(k.width(), now-window), newer.beginning(unit, now-window)
	all := older.between(both.i, older.len())
	all.Add(newer.between(both.j, newer.len()))
	until := int64(math.MaxInt64)
	for range mostFalling {
		began, n, ok := both.first()
		if !ok {
			return until
		}
		if until, all.N = began+window, all.N-n; all.N < least {
			return until
		}
	}
	return until
}

// leaving are a key's buckets and the cells behind them, in the order in which they
// began, from the places i and j on or before them.
type leaving struct {
	older, newer run
	width, unit  int64
	i, j         int
}

// first takes the one that began first.
func (l *leaving) first() (began, n int64, ok bool) {
	switch {
	case l.i < l.older.len() && (l.j == l.newer.len() || l.older.place(l.i)*l.width <= l.newer.place(l.j)*l.unit):
		began, n = l.older.place(l.i)*l.width, l.older.count(l.i)
		l.i++
	case l.j < l.newer.len():
		began, n = l.newer.place(l.j)*l.unit, l.newer.count(l.j)
		l.j++
	default:
		return 0, 0, false
	}
	return began, n, true
}

// last takes the one that began last.
func (l *leaving) last() (began, n int64, ok bool) {
	switch {
	case l.j > 0 && (l.i == 0 || l.newer.place(l.j-1)*l.unit >= l.older.place(l.i-1)*l.width):
		l.j--
		return l.newer.place(l.j) * l.unit, l.newer.count(l.j), true
	case l.i > 0:
		l.i--
		return l.older.place(l.i) * l.width, l.older.count(l.i), true
	}
	return 0, 0, false
}

// beginning is the place of the first cell that began after a time; unit is how many ms
// apart places are.
func (r *run) beginning(unit, after int64) (i int) {
	for i < r.len() && r.place(i)*unit <= after {
		i++
	}
	return i
}
