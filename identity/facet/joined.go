package facet

import (
	"slices"
	"sync"
)

// Joined are the series of several facets, joined one by one when they are asked
// for: most events and most rules are about few of them. It is safe for concurrent
// use. The zero Joined is empty.
type Joined struct {
	first []Kept   // of the first facet that has any, ascending by ID; shared with it
	more  [][]Kept // of the others
	memo  *memo    // of several facets
	lent  *lease   // of first
	lents []*lease // of more
}

// memo keeps what was joined.
type memo struct {
	mu     sync.Mutex
	series []Kept // ascending by ID
}

// add takes the series of another facet in, before anybody asks for one.
func (j *Joined) add(list []Kept, lent *lease) {
	switch {
	case len(list) == 0:
	case j.first == nil:
		j.first, j.lent = list, lent
	default:
		j.more, j.lents = append(j.more, list), append(j.lents, lent)
		if j.memo == nil {
			j.memo = new(memo)
		}
	}
}

// of gives the series with an ID; nil where nothing contributed.
func (j *Joined) of(id uint32) (s *Series) {
	parts := 0
	if i, ok := find(j.first, id); ok {
		s, parts = j.first[i].Series, 1
	}
	for _, list := range j.more {
		if i, ok := find(list, id); ok {
			s, parts = list[i].Series, parts+1
		}
	}
	if parts < 2 {
		return s
	}
	j.memo.mu.Lock()
	defer j.memo.mu.Unlock()
	at, found := find(j.memo.series, id)
	if found {
		return j.memo.series[at].Series
	}
	s = nil
	for k := range len(j.more) + 1 {
		list := j.part(k)
		i, ok := find(list, id)
		switch {
		case !ok:
		case s == nil:
			s = list[i].Series
		default:
			s = s.merged(list[i].Series)
		}
	}
	j.memo.series = append(j.memo.series, Kept{})
	copy(j.memo.series[at+1:], j.memo.series[at:])
	j.memo.series[at] = Kept{id, s}
	return s
}

func (j *Joined) part(k int) []Kept {
	if k == 0 {
		return j.first
	}
	return j.more[k-1]
}

// All gives every series, ascending by ID.
func (j *Joined) All() (list []Kept) {
	var ids []uint32
	for k := range len(j.more) + 1 {
		for _, s := range j.part(k) {
			ids = append(ids, s.ID)
		}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		list = append(list, Kept{id, j.of(id)})
	}
	return list
}
