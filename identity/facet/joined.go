package facet

import (
	"slices"
	"sync"
)

// Joined are the series of several facets, joined one by one when they are asked
// for: most events and most rules are about few of them. It is safe for concurrent
// use. The zero Joined is empty.
type Joined struct {
	first *Kept   // of the first facet that has any; shared with it
	more  []*Kept // of the others
	memo  *memo   // of several facets
}

// memo keeps what was joined. Its memory is used again once the profile is released.
type memo struct {
	mu   sync.Mutex
	kept Kept // in the order in which they were asked for
}

var memos = sync.Pool{New: func() any { return new(memo) }}

// mostSpared is how many words a memo may have that is used again.
const mostSpared = 1 << 13

// release gives the memory back.
func (m *memo) release() {
	k := &m.kept
	if cap(k.words) > mostSpared {
		return
	}
	k.index, k.words, k.texts, k.hashes = k.index[:0], k.words[:0], nil, nil
	memos.Put(m)
}

// add takes the series of another facet in, before anybody asks for one.
func (j *Joined) add(k *Kept) {
	if k.Len() == 0 {
		return
	}
	k.out.Add(1)
	if j.first == nil {
		j.first = k
		return
	}
	j.more = append(j.more, k)
	if j.memo == nil {
		j.memo, _ = memos.Get().(*memo)
	}
}

// of gives the series with an ID; an empty one where nothing contributed.
func (j *Joined) of(id uint32) (s Series) {
	parts := 0
	if i, ok := j.first.find(id); ok {
		s, parts = j.first.at(i), 1
	}
	for _, k := range j.more {
		if i, ok := k.find(id); ok {
			s, parts = k.at(i), parts+1
		}
	}
	if parts < 2 {
		return s
	}
	return j.joined(id)
}

// joined gives the series of several facets: what was joined before stays where it is.
func (j *Joined) joined(id uint32) Series {
	j.memo.mu.Lock()
	defer j.memo.mu.Unlock()
	k := &j.memo.kept
	if i := slices.IndexFunc(k.index, func(x indexed) bool { return x.id == id }); i >= 0 {
		return k.at(i)
	}
	at := len(k.index)
	if at == 0 { // nobody writes what is shared, and what is added goes elsewhere
		k.texts, k.hashes = slices.Clip(j.first.texts), slices.Clip(j.first.hashes)
	}
	for n := range len(j.more) + 1 {
		part := j.part(n)
		i, ok := part.find(id)
		switch {
		case !ok:
		case len(k.index) == at:
			k.graft(at, part.at(i))
		default:
			k.merge(at, part.at(i))
		}
	}
	return k.at(at)
}

func (j *Joined) part(n int) *Kept {
	if n == 0 {
		return j.first
	}
	return j.more[n-1]
}

// All gives every series, ascending by ID.
func (j *Joined) All() (list []Series) {
	var ids []uint32
	for n := range len(j.more) + 1 {
		if part := j.part(n); part != nil {
			for _, x := range part.index {
				ids = append(ids, x.id)
			}
		}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		list = append(list, j.of(id))
	}
	return list
}
