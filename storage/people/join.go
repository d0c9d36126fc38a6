package people

import (
	"slices"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
)

// cluster is a cluster that was worked out, shared by its members in memory,
// and the join of its facets once it has been asked for twice.
//
// Invariants:
//   - It may be used as long as its component stands (clusters.go).
//   - The profile is dropped when a facet that belongs to a member in its view
//     changes or comes. Whose a facet is changes only with a cut between its two
//     identifiers, and then the component falls. Who was given the profile may
//     keep it: it is never written to.
type cluster struct {
	*graph.Cluster
	of      *component
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
	s.stats.Joins++
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

// contributed drops the profiles that a facet is part of: in each view its
// owner's, and nobody else's, so that claims about a user do not cost the user's
// verified profile. The lock is held and the facet's identifiers are loaded.
func (s *Store) contributed(k facet.Key) {
	device, user := s.nodes[id.ID{Type: id.AnonymousID, Value: k.AnonymousID}], s.nodes[id.ID{Type: id.UserID, Value: k.UserID}]
	for v := id.VerifiedView; v <= id.AllView; v++ {
		if (device == nil || device.clusters[v] == nil) && (user == nil || user.clusters[v] == nil) {
			continue
		}
		cut := user != nil && v.Reaches(k.Trust) && s.isCut(user, k, v)
		if n := s.nodes[k.Owner(v, cut)]; n != nil && n.clusters[v] != nil { // nil: nobody's in this view
			n.clusters[v].forget(s)
		}
	}
}
