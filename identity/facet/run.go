package facet

import (
	"math"
	"slices"
)

// run is a list of cells, ascending and each at another place. The newest, which
// nearly every change is about, stands apart.
//
// Invariant: the lists are only appended to, and only by the run's one owner: what
// changes an older cell makes new ones. So a run that was copied and is not written
// any more, such as a profile's, may have its lists in common with the owner's.
type run struct {
	older []count
	last  count // n is 0 where there are no cells
	sums  *sums // nil where no cell has amounts
	n     int64 // of all cells
}

// count is a cell without amounts. What happened before 1970 or after 2106 counts as
// of the first or the last second that there is, and beyond 4,294,967,295 no cell
// counts: there are so many cells that it matters how large they are.
type count struct {
	at uint32 // second, or index of a bucket
	n  uint32
}

// clamped is the place of a cell for a second or an index.
func clamped(at int64) int64 { return min(max(at, 0), math.MaxUint32) }

// plus adds up to what a cell can count.
func (c *count) plus(n int64) { c.n = uint32(min(int64(c.n)+n, math.MaxUint32)) }

// sums are the amounts of a run's cells, in the same order, and of all of them.
type sums struct {
	older []amounts
	last  amounts
	all   amounts
}

type amounts struct{ sum, min, max int64 }

// cell is one cell as it is given and taken.
type cell struct {
	at int64
	Tally
}

func (x *cell) count() count { return count{uint32(x.at), uint32(min(x.N, math.MaxUint32))} }

func (r *run) len() int {
	if r.last.n == 0 {
		return 0
	}
	return len(r.older) + 1
}

// place is the i-th cell's.
func (r *run) place(i int) int64 {
	if i < len(r.older) {
		return int64(r.older[i].at)
	}
	return int64(r.last.at)
}

// at gives the i-th cell.
func (r *run) at(i int) cell {
	c, a := r.last, amounts{}
	if i < len(r.older) {
		c = r.older[i]
	}
	switch {
	case r.sums == nil:
	case i < len(r.older):
		a = r.sums.older[i]
	default:
		a = r.sums.last
	}
	return cell{int64(c.at), Tally{int64(c.n), a.sum, a.min, a.max}}
}

// copied is the run to be written by another, or by the same owner when nobody
// writes r any more.
func (r run) copied() run {
	if r.sums != nil {
		s := *r.sums
		r.sums = &s
	}
	return r
}

// clipped is a copy that has an owner besides r's.
func (r run) clipped() run {
	r = r.copied()
	r.older = slices.Clip(r.older)
	if r.sums != nil {
		r.sums.older = slices.Clip(r.sums.older)
	}
	return r
}

// drop takes the first n cells away.
func (r *run) drop(n int) {
	switch {
	case n >= r.len():
		*r = run{}
	case n > 0:
		for _, c := range r.older[:n] {
			r.n -= int64(c.n)
		}
		r.older = r.older[n:]
		if r.sums != nil {
			r.dropAmounts(n)
		}
	}
}

// dropAmounts takes those of the first n cells away; the cells are gone already.
func (r *run) dropAmounts(n int) {
	x := r.sums
	extreme := false
	for _, a := range x.older[:n] {
		x.all.sum -= a.sum
		extreme = extreme || a.min == x.all.min || a.max == x.all.max
	}
	if x.older = x.older[n:]; !extreme {
		return
	}
	was, rest := x.all, x.last
	for i := len(x.older) - 1; i >= 0 && (rest.min != was.min || rest.max != was.max); i-- { // prices are often the same
		rest.min, rest.max = min(rest.min, x.older[i].min), max(rest.max, x.older[i].max)
	}
	x.all.min, x.all.max = rest.min, rest.max
}

// all sums up every cell.
func (r *run) all() Tally {
	if r.sums == nil {
		return Tally{N: r.n}
	}
	return Tally{r.n, r.sums.all.sum, r.sums.all.min, r.sums.all.max}
}

// between sums up the cells from the place i up to j, which is left out.
func (r *run) between(i, j int) (sum Tally) {
	for ; i < j; i++ {
		c := r.at(i)
		sum.Add(c.Tally)
	}
	return sum
}

// put adds x.
func (r *run) put(x cell) {
	switch {
	case r.last.n == 0 || x.at > int64(r.last.at):
		r.push(x)
	case x.at < int64(r.last.at):
		var one run
		one.push(x)
		*r = r.union(&one)
	case r.sums == nil && x.Sum|x.Min|x.Max == 0:
		r.last.plus(x.N)
		r.n += x.N
	default:
		c := r.at(len(r.older))
		c.Add(x.Tally)
		r.newest(c)
		r.count(x.Tally)
	}
}

// push adds x, which is behind all others.
func (r *run) push(x cell) {
	if r.last.n != 0 {
		r.older = push(r.older, r.last)
		if r.sums != nil {
			r.sums.older = push(r.sums.older, r.sums.last)
		}
	}
	r.newest(x)
	r.count(x.Tally)
}

// count takes x into what is kept of all cells.
func (r *run) count(x Tally) {
	all := r.all()
	all.Add(x)
	if r.n = all.N; r.sums != nil {
		r.sums.all = amounts{all.Sum, all.Min, all.Max}
	}
}

// newest makes x the newest cell.
func (r *run) newest(x cell) {
	r.last = x.count()
	a := amounts{x.Sum, x.Min, x.Max}
	if r.sums == nil && a != (amounts{}) {
		r.sums = new(sums)
		if cap(r.older) > 0 {
			r.sums.older = make([]amounts, len(r.older), cap(r.older))
		}
	}
	if r.sums != nil {
		r.sums.last = a
	}
}

// union gives the cells of both.
func (r *run) union(o *run) (n run) {
	switch {
	case r.len() == 0:
		return o.clipped()
	case o.len() == 0:
		return r.clipped()
	}
	n.older = make([]count, 0, r.len()+o.len()-1)
	for i, j := 0, 0; i < r.len() || j < o.len(); {
		switch {
		case j == o.len() || i < r.len() && r.place(i) < o.place(j):
			n.push(r.at(i))
			i++
		case i == r.len() || r.place(i) > o.place(j):
			n.push(o.at(j))
			j++
		default:
			c := r.at(i)
			c.Add(o.at(j).Tally)
			n.push(c)
			i, j = i+1, j+1
		}
	}
	return n
}

// grown is the list with room for another, for some more and a quarter when there is
// none: there are many lists, and most are short.
func grown[T any](list []T, more int) []T {
	if len(list) < cap(list) {
		return list
	}
	return append(slices.Grow([]T(nil), len(list)+len(list)/4+more), list...)
}

func push[T any](list []T, x T) []T { return append(grown(list, 2), x) }

// insert puts x at i in a list that is the caller's own.
func insert[T any](list []T, i int, x T) []T {
	list = append(grown(list, 1), x)
	copy(list[i+1:], list[i:])
	list[i] = x
	return list
}
