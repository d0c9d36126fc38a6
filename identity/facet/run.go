package facet

import "math"

// run is a list of cells, ascending and each at another place, as it stands in the
// words of a series: a window into them.
//
// What happened before 1970 or after 2106 counts as of the first or the last second
// that there is, and beyond 4,294,967,295 no cell counts: there are so many cells that
// it matters how large they are.
type run struct {
	words []int64 // of a cell its place in the upper half of a word, and how many in the lower; with amounts their sum, least and largest follow
	size  int     // words of a cell
	all   Tally   // of all cells
}

// Words of a cell.
const (
	narrowCell = 1
	wideCell   = 4 // with amounts
)

// cell is one cell as it is given and taken.
type cell struct {
	at int64
	Tally
}

// clamped is the place of a cell for a second or an index.
func clamped(at int64) int64 { return min(max(at, 0), math.MaxUint32) }

func (r *run) len() int {
	if r.size == narrowCell {
		return len(r.words)
	}
	return len(r.words) / wideCell
}

// place is the i-th cell's.
func (r *run) place(i int) int64 { return int64(high(r.words[i*r.size])) }

// count is how many contributions the i-th cell has.
func (r *run) count(i int) int64 { return int64(low(r.words[i*r.size])) }

// at gives the i-th cell.
func (r *run) at(i int) cell {
	w := r.words[i*r.size:]
	c := cell{int64(high(w[0])), Tally{N: int64(low(w[0]))}}
	if r.size == wideCell {
		c.Sum, c.Min, c.Max = w[1], w[2], w[3]
	}
	return c
}

// set makes x the i-th cell.
func (r *run) set(i int, x cell) {
	w := r.words[i*r.size:]
	w[0] = pair(uint32(min(x.N, math.MaxUint32)), uint32(x.at))
	if r.size == wideCell {
		w[1], w[2], w[3] = x.Sum, x.Min, x.Max
	}
}

// search gives the place of a cell in the list, nearly always at its end.
func (r *run) search(at int64) (i int, found bool) {
	n := r.len()
	if n == 0 || at > r.place(n-1) {
		return n, false
	}
	low, high := 0, n-1
	for low < high {
		if m := int(uint(low+high) >> 1); r.place(m) < at {
			low = m + 1
		} else {
			high = m
		}
	}
	return low, r.place(low) == at
}

// between sums up the cells from the place i up to j, which is left out.
func (r *run) between(i, j int) (sum Tally) {
	for ; i < j; i++ {
		c := r.at(i)
		sum.Add(c.Tally)
	}
	return sum
}

// without is what is kept of all cells when the first n are gone.
func (r *run) without(n int) Tally {
	all := r.all
	if n == r.len() {
		return Tally{}
	}
	if r.size == narrowCell {
		for _, w := range r.words[:n] {
			all.N -= int64(low(w))
		}
		return all
	}
	extreme := false
	for i := range n {
		c := r.at(i)
		all.N -= c.N
		all.Sum -= c.Sum
		extreme = extreme || c.Min == r.all.Min || c.Max == r.all.Max
	}
	if !extreme {
		return all
	}
	c := r.at(r.len() - 1)
	all.Min, all.Max = c.Min, c.Max
	for i := r.len() - 2; i >= n && (all.Min != r.all.Min || all.Max != r.all.Max); i-- { // prices are often the same
		c = r.at(i)
		all.Min, all.Max = min(all.Min, c.Min), max(all.Max, c.Max)
	}
	return all
}

// within sums up the cells in (now − window, now], all where window is 0; unit is how
// many ms apart their places are. Nearly always that is all of them.
func (r *run) within(unit, now, window int64) (sum Tally, until int64) {
	until = math.MaxInt64
	if window == 0 {
		return r.all, until
	}
	first, end := 0, r.len()
	for first < end && r.place(first)*unit <= now-window {
		first++
	}
	for end > first && r.place(end-1)*unit > now {
		end--
		until = r.place(end) * unit
	}
	if first < end {
		until = min(until, r.place(first)*unit+window)
	}
	if first == 0 && end == r.len() {
		return r.all, until
	}
	return r.between(first, end), until
}
