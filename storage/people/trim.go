package people

import (
	"runtime"

	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
)

// guests are who came into memory for a moment, because work that goes through everybody
// looked at them: they would push out whom requests need, and half a gigabyte of them
// has the garbage collector take half a second. They leave with the next trim, but for
// those whom somebody else has used since, who are no guests any more.
type guests struct {
	facets []Hash
	nodes  []id.ID
}

// trimmed is how many trim looks at in one hold of the lock.
const trimmed = 128

// trim drops guests, and facets and identifiers that are on disk and were not used since
// the last sweep, while there are more than the bound. The lock is held, but not all the
// while.
func (s *Store) trim() {
	looked := 0
	breathe := func() {
		if looked++; looked%trimmed == 0 {
			s.mu.Unlock()
			runtime.Gosched()
			s.mu.Lock()
		}
	}
	s.trimGuests(breathe)
	over := len(s.facets) - s.o.Hold
	for h, x := range s.facets {
		if over <= 0 {
			break
		}
		breathe()
		if s.facets[h] != x { // it was dropped, or erased, and maybe read again, while others held the lock
			continue
		}
		if !s.dropFacet(x) {
			x.used = false
			continue
		}
		over--
	}
	over = len(s.nodes) - s.o.Hold
	for x, n := range s.nodes {
		if over <= 0 {
			break
		}
		breathe()
		if s.nodes[x] != n {
			continue
		}
		if !s.dropNode(n) {
			n.used = false
			continue
		}
		over--
	}
}

func (s *Store) trimGuests(breathe func()) {
	list := s.guests
	s.guests = guests{}
	for _, h := range list.facets {
		breathe()
		if x := s.facets[h]; x != nil && !s.dropFacet(x) && !x.used {
			s.guests.facets = append(s.guests.facets, h)
		}
	}
	for _, x := range list.nodes {
		breathe()
		if n := s.nodes[x]; n != nil && !s.dropNode(n) && !n.used {
			s.guests.nodes = append(s.guests.nodes, x)
		}
	}
}

// dropFacet drops a facet that is on disk and was not used.
func (s *Store) dropFacet(x *held) (dropped bool) {
	if x.used || x.dirty {
		return false
	}
	delete(s.facets, x.hash)
	s.drops++
	s.stats.Evictions++
	return true
}

// dropNode drops an identifier that is on disk and was not used.
func (s *Store) dropNode(n *node) (dropped bool) {
	if n.used || n.dirty || n.freshFacets > 0 || n.id == graph.Everybody() || n.stand != nil && (n.stand.since != 0 || n.stand.queued) {
		return false
	}
	n.leave(s)
	delete(s.nodes, n.id)
	s.drops++
	s.stats.Evictions++
	return true
}
