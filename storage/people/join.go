package people

import (
	"slices"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
)

// cluster is a cluster that was worked out, shared by its members in memory,
// and the join of its facets once it has been asked for twice.
//
// Invariants:
//   - It holds as long as Store.shape is its shape, and all its members are in
//     memory: one that is dropped makes it stale, since what changes through the
//     same identifier later would not find it.
//   - The profile is dropped when a facet of a member changes or comes, or
//     evidence about a member does. Who was given it may keep it: it is never
//     written to.
type cluster struct {
	*graph.Cluster
	shape   uint64
	stale   bool
	asked   bool           // since the profile was dropped: who reads twice reads often
	profile *facet.Profile // nil when it is not kept
	size    int            // of the profile, roughly, bytes
	queued  bool           // stands in Store.joined
}

// profileOf gives the join of a cluster's facets; nil while something must be
// loaded. The lock is held.
func (s *Store) profileOf(w *want, c *cluster) *facet.Profile {
	if c.profile != nil {
		s.stats.JoinHits++
		return c.profile
	}
	list, whole := s.members(w, c.Cluster)
	if !whole {
		return nil
	}
	facets := make([]*facet.Facet, len(list))
	size := 0
	for i, x := range list {
		facets[i] = x.f
		size += max(x.size, smallFacet)
	}
	p := facet.Join(facets)
	if !c.asked {
		c.asked = true
		return p
	}
	c.profile, c.size = p, 4*size
	s.joinedBytes += c.size
	s.kept++
	if !c.queued {
		c.queued = true
		s.joined = append(s.joined, c)
	}
	for s.joinedBytes > s.o.ProfileBytes && len(s.joined) > 0 {
		s.joined[0].forget(s)
		s.joined[0].queued = false
		s.joined[0] = nil
		s.joined = s.joined[1:]
	}
	if len(s.joined) > 2*s.kept+1024 { // most were forgotten since
		s.joined = slices.DeleteFunc(s.joined, func(c *cluster) bool {
			c.queued = c.profile != nil
			return !c.queued
		})
	}
	return p
}

// smallFacet is what a facet counts for whose record was never written, bytes.
const smallFacet = 256

// forget drops the profile.
func (c *cluster) forget(s *Store) {
	if c.profile != nil {
		s.joinedBytes -= c.size
		s.kept--
	}
	c.profile, c.size, c.asked = nil, 0, false
}

// changed drops what is known of the person that n is part of. The lock is held.
func (s *Store) changed(n *node) {
	if n == nil {
		return
	}
	for _, c := range n.clusters {
		if c != nil {
			c.forget(s)
		}
	}
}

// leave is for an identifier that is dropped from memory.
func (n *node) leave(s *Store) {
	for _, c := range n.clusters {
		if c != nil {
			c.stale = true
			c.forget(s)
		}
	}
}
