package facet

import "slices"

// run is a list of cells, ascending and each at another place, that is never
// written: what changes it gives another. The newest cells, which nearly every
// change is about, stand apart, so that it does not copy the others.
type run struct {
	head, tail []cell
}

// tailMost is how many cells may stand apart. Copying 16 for each change and all
// of them for every sixteenth costs the least for lists of a hundred.
const tailMost = 16

type cell struct {
	at int64 // second, or index of a bucket
	Tally
}

func (r *run) len() int { return len(r.head) + len(r.tail) }

// at gives the i-th cell, to be read.
func (r *run) at(i int) *cell {
	if i < len(r.head) {
		return &r.head[i]
	}
	return &r.tail[i-len(r.head)]
}

// drop gives the list without its first n cells.
func (r run) drop(n int) run {
	if n < len(r.head) {
		return run{r.head[n:], r.tail}
	}
	return run{nil, r.tail[n-len(r.head):]}
}

// put gives the list with x in it.
func (r run) put(x cell) run {
	switch h, t := len(r.head), len(r.tail); {
	case t > 0 && x.at >= r.tail[0].at, t == 0 && (h == 0 || x.at > r.head[h-1].at):
		r.tail = put(r.tail, x)
		if len(r.tail) > tailMost {
			r = run{slices.Concat(r.head, r.tail), nil}
		}
	case t == 0 && x.at == r.head[h-1].at:
		last := r.head[h-1]
		last.Add(x.Tally)
		r = run{r.head[:h-1], []cell{last}}
	default:
		r = run{put(slices.Concat(r.head, r.tail), x), nil}
	}
	return r
}

// put gives the list with x in it; the list itself may be shared and stays.
func put(list []cell, x cell) []cell {
	i := len(list)
	for i > 0 && list[i-1].at >= x.at { // nearly always x is the newest
		i--
	}
	if i < len(list) && list[i].at == x.at {
		list = slices.Clone(list)
		list[i].Add(x.Tally)
		return list
	}
	n := make([]cell, len(list)+1)
	copy(n, list[:i])
	n[i] = x
	copy(n[i+1:], list[i:])
	return n
}

// union gives the cells of both.
func (r run) union(o run) run {
	switch {
	case r.len() == 0:
		return o
	case o.len() == 0:
		return r
	}
	list := make([]cell, 0, r.len()+o.len())
	for i, j := 0, 0; i < r.len() || j < o.len(); {
		switch {
		case j == o.len() || i < r.len() && r.at(i).at < o.at(j).at:
			list = append(list, *r.at(i))
			i++
		case i == r.len() || r.at(i).at > o.at(j).at:
			list = append(list, *o.at(j))
			j++
		default:
			c := *r.at(i)
			c.Add(o.at(j).Tally)
			list = append(list, c)
			i, j = i+1, j+1
		}
	}
	return run{list, nil}
}
