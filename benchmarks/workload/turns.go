package workload

import "math/rand/v2"

// turns is how visitors of a stream follow each other.
type turns struct {
	visit int       // requests of one on average; 0: visitors stay
	next  int       // number of the next who has never been here
	gone  []visitor // whom the stream remembers
}

const (
	// returning of ten visitors who come have been there before.
	returning = 3
	// mostGone are remembered by a stream; who is forgotten does not come again.
	mostGone = 2000
)

// newTurns gives each stream numbers of its own, far from those that visitors begin with.
func newTurns(visit, stream int) turns { return turns{visit: visit, next: (stream + 1) << 32} }

// length draws how many requests a visit has.
func (t *turns) length(r *rand.Rand) int {
	if t.visit == 0 {
		return 0
	}
	return 1 + r.IntN(2*t.visit-1)
}

// turn ends the visit of the visitor under way when it is over: somebody else takes the place.
func (s *Stream) turn() {
	t := &s.turns
	if t.visit == 0 {
		return
	}
	v := &s.people[s.who]
	if v.left > 0 {
		v.left--
		return
	}
	was := *v
	was.page = 0 // who comes again lands anew
	*v = visitor{number: t.next}
	switch {
	case len(t.gone) < mostGone:
		t.gone = append(t.gone, was)
		t.next++
	case s.random.IntN(10) < returning:
		i := s.random.IntN(mostGone)
		*v, t.gone[i] = t.gone[i], was
	default:
		t.gone[s.random.IntN(mostGone)] = was
		t.next++
	}
	v.left = t.length(s.random) - 1
	if s.known == s.who && v.cookie == "" {
		s.known = -1
	}
}
