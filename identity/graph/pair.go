package graph

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/reuna/reuna/identity/id"
)

// Pair is all evidence between two identifiers, reduced to what the rules can
// see. Add and Merge are commutative, associative and idempotent: any way of
// bringing the same evidence together, in any order and repeated, ends in
// equal Pairs with equal bytes.
//
// Invariants: A sorts before B; spans[t] is set exactly when evidence of trust
// t+1 was seen, and then earliest <= newest; cuts are sorted by id, each once,
// and each was either seen or lifted.
//
// Keeping every piece of evidence here instead would make a reader's device,
// identified on each page view, cost a linear scan; two stamps per trust are
// all that the rules ask for.
type Pair struct {
	A, B  id.ID
	seen  uint8 // bit t: spans[t] is set
	spans [3]span
	cuts  []cut
}

type span struct{ earliest, newest Stamp }

// cut is one cut with what is known of its lifting. Time is the earliest it was
// stated with, 0 while only its lift is known.
type cut struct {
	id    EvidenceID
	time  int64
	trust id.Trust // strongest that stated the cut; 0: not seen yet
	lift  id.Trust // strongest that lifted it; 0: nobody did
}

// A lift counts against cuts of at most its own trust, so that a server's key
// cannot undo what an operator decided.
func (c *cut) holds(v id.View) bool { return c.trust > c.lift && v.Reaches(c.trust) }

// Change says what a piece of evidence changed in a Pair, view by view.
type Change uint8

const (
	changedShape Change = 1 << iota
	changedNewest
	changedLoose
	bitsPerView = iota
)

// Shape says that clusters of view v may change: the pair holds or holds no
// longer, has an operator's word now, or its earliest evidence is another.
func (c Change) Shape(v id.View) bool { return c>>(uint(v)*bitsPerView)&changedShape != 0 }

// Newest says that the pair's newest evidence is another; Component.Stands
// knows to whom that matters.
func (c Change) Newest(v id.View) bool { return c>>(uint(v)*bitsPerView)&changedNewest != 0 }

// Loosens says that an identifier which was shared or held may be so no longer:
// a cut or a lift came. Links cannot do that, so who only knows that an
// identifier is closed need not look again for one. (That operators join users
// changes the users, whom the resolver has read.)
func (c Change) Loosens(v id.View) bool { return c>>(uint(v)*bitsPerView)&changedLoose != 0 }

// changedUnseen marks a change that no view sees, so that Change is not 0.
const changedUnseen Change = 1 << 7

// Changed says that the pair is another than before, whether a view sees it or
// not: it is to be kept anew.
func (c Change) Changed() bool { return c != 0 }

// NewPair is the pair of two different identifiers without any evidence. It
// keeps copies of their texts.
func NewPair(a, b id.ID) Pair {
	switch c := id.Compare(a, b); {
	case c == 0:
		panic(fmt.Sprintf("graph: a pair of %s identifiers needs two different ones", a.Type))
	case c > 0:
		a, b = b, a
	}
	return Pair{A: cloneID(a), B: cloneID(b)}
}

func cloneID(x id.ID) id.ID {
	typ, builtIn := intern(x.Type)
	if !builtIn {
		typ = strings.Clone(typ)
	}
	return id.ID{Type: typ, Value: strings.Clone(x.Value)}
}

// intern gives the built-in types' names one copy for all pairs.
func intern(typ string) (name string, builtIn bool) {
	switch typ {
	case id.UserID:
		return id.UserID, true
	case id.AnonymousID:
		return id.AnonymousID, true
	case id.Email:
		return id.Email, true
	case id.Phone:
		return id.Phone, true
	}
	return typ, false
}

// Other is the end of the pair that x is not.
func (p *Pair) Other(x id.ID) id.ID {
	if p.A == x {
		return p.B
	}
	return p.A
}

// Add takes one more piece of evidence in; a zero Pair becomes the pair of its
// identifiers. Evidence that is a mere repetition changes nothing; so does
// evidence of no known kind or trust, for which nobody vouches, and a link to
// Everybody. Evidence about other identifiers is a caller's mistake, and panics.
func (p *Pair) Add(e Evidence) Change {
	p.adopt(e.A, e.B)
	if e.Trust < id.Claimed || e.Trust > id.Admin {
		return 0
	}
	before := p.snapshot()
	var touched bool
	switch e.Kind {
	case Link:
		if isEverybody(p.A) {
			return 0
		}
		touched = p.addSpan(int(e.Trust)-1, span{e.Stamp(), e.Stamp()})
	case Cut:
		touched = p.addCut(cut{id: e.ID, time: e.Time, trust: e.Trust})
	case Lift:
		touched = p.addCut(cut{id: e.Lifts, lift: e.Trust})
	}
	return p.since(before, touched)
}

// Merge takes in everything that q holds. Pairs of different identifiers are a
// caller's mistake, and panic.
func (p *Pair) Merge(q *Pair) Change {
	p.adopt(q.A, q.B)
	before := p.snapshot()
	var touched bool
	for t := range q.spans {
		if q.seen&(1<<t) != 0 && p.addSpan(t, q.spans[t]) {
			touched = true
		}
	}
	for _, c := range q.cuts {
		if p.addCut(c) {
			touched = true
		}
	}
	return p.since(before, touched)
}

func (p *Pair) adopt(a, b id.ID) {
	if p.A.IsZero() && p.B.IsZero() {
		fresh := NewPair(a, b)
		p.A, p.B = fresh.A, fresh.B
		return
	}
	if !(p.A == a && p.B == b) && !(p.A == b && p.B == a) {
		panic(fmt.Sprintf("graph: evidence between %s and %s identifiers was added to another pair", a.Type, b.Type))
	}
}

func (p *Pair) addSpan(t int, s span) (touched bool) {
	have := &p.spans[t]
	if p.seen&(1<<t) == 0 {
		p.seen |= 1 << t
		*have = s
		return true
	}
	if s.earliest.Less(have.earliest) {
		have.earliest, touched = s.earliest, true
	}
	if have.newest.Less(s.newest) {
		have.newest, touched = s.newest, true
	}
	return touched
}

func (p *Pair) addCut(c cut) (touched bool) {
	i, found := slices.BinarySearchFunc(p.cuts, c.id, func(have cut, want EvidenceID) int {
		return bytes.Compare(have.id[:], want[:])
	})
	if !found {
		p.cuts = slices.Insert(p.cuts, i, c)
		return true
	}
	have := &p.cuts[i]
	was := *have
	if c.trust != 0 && (have.trust == 0 || c.time < have.time) {
		have.time = c.time
	}
	have.trust = max(have.trust, c.trust)
	have.lift = max(have.lift, c.lift)
	return *have != was
}

// state is what one view sees of a pair.
type state struct {
	linked           bool // some evidence of the view links the two
	cut              bool // a cut stands; the pair does not hold
	admin            bool
	earliest, newest Stamp // of the linking evidence that the view sees
}

func (s *state) holds() bool { return s.linked && !s.cut }

// IsCut says that a cut stands in view v.
func (p *Pair) IsCut(v id.View) bool { return p.isCut(v) }

func (p *Pair) isCut(v id.View) bool {
	for i := range p.cuts {
		if p.cuts[i].holds(v) {
			return true
		}
	}
	return false
}

func (p *Pair) at(v id.View) (s state) {
	s.cut = p.isCut(v)
	for t := range p.spans {
		if p.seen&(1<<t) == 0 || !v.Reaches(id.Trust(t+1)) {
			continue
		}
		sp := &p.spans[t]
		if !s.linked || sp.earliest.Less(s.earliest) {
			s.earliest = sp.earliest
		}
		if !s.linked || s.newest.Less(sp.newest) {
			s.newest = sp.newest
		}
		s.linked = true
		s.admin = id.Trust(t+1) == id.Admin
	}
	return s
}

// Holds says that the two are linked in view v, and not cut. Whether the link is
// followed is for a Resolver to say.
func (p *Pair) Holds(v id.View) bool { return p.holds(v) }

// holds is at(v).holds() without the stamps.
func (p *Pair) holds(v id.View) bool {
	seen := p.seen
	if v == id.VerifiedView {
		seen &^= 1 << (id.Claimed - 1)
	}
	return seen != 0 && !p.isCut(v)
}

type snapshot [2]state

func (p *Pair) snapshot() snapshot {
	return snapshot{p.at(id.VerifiedView), p.at(id.AllView)}
}

func (p *Pair) since(before snapshot, touched bool) (c Change) {
	if !touched {
		return 0
	}
	c = changedUnseen
	for v, was := range before {
		now := p.at(id.View(v))
		if was.cut && now.cut { // no rule looks past a cut, but who is held shows why
			if isEverybody(p.A) {
				c |= (changedShape | changedLoose) << (v * bitsPerView)
			}
			continue
		}
		if was.cut != now.cut {
			c |= changedLoose << (v * bitsPerView)
		}
		if was.linked != now.linked || was.cut != now.cut || was.admin != now.admin || was.earliest != now.earliest {
			c |= changedShape << (v * bitsPerView)
		}
		if was.newest != now.newest {
			c |= changedNewest << (v * bitsPerView)
		}
	}
	return c
}

// IsEmpty says that the pair holds no evidence at all.
func (p *Pair) IsEmpty() bool { return p.seen == 0 && len(p.cuts) == 0 }

// Span gives the earliest and the newest linking evidence of trust t.
func (p *Pair) Span(t id.Trust) (earliest, newest Stamp, ok bool) {
	if t < id.Claimed || t > id.Admin || p.seen&(1<<(t-1)) == 0 {
		return Stamp{}, Stamp{}, false
	}
	s := p.spans[t-1]
	return s.earliest, s.newest, true
}

// Trust is the strongest that links the two, 0 when nothing does.
func (p *Pair) Trust() id.Trust {
	for t := id.Admin; t >= id.Claimed; t-- {
		if p.seen&(1<<(t-1)) != 0 {
			return t
		}
	}
	return 0
}

// Cuts lists the cuts that stand in view v, by id.
func (p *Pair) Cuts(v id.View) []EvidenceID {
	var ids []EvidenceID
	for i := range p.cuts {
		if p.cuts[i].holds(v) {
			ids = append(ids, p.cuts[i].id)
		}
	}
	return ids
}
