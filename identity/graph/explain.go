package graph

import (
	"slices"

	"github.com/reuna/reuna/identity/id"
)

// Why says what became of a pair.
type Why uint8

const (
	// Joined: the pair holds, and both are one person.
	Joined Why = iota
	// NoLink: nothing links the two; a cut or its lifting names them.
	NoLink
	// OtherView: only claims link the two, and the view does not follow them.
	OtherView
	// CutByOperator: a cut between the two stands.
	CutByOperator
	// SharedIdentifier: one of the two belongs to several user_ids.
	SharedIdentifier
	// Held: one of the two is held, and neither is shared anyway.
	Held
	// OverMax: the user_id has max_per_person newer identifiers of this type.
	OverMax
	// TwoUsers: the union would hold user_ids that no operator joined.
	TwoUsers
	// CutApart: the union would hold two identifiers that a cut parts.
	CutApart
	// TooLarge: the union would exceed the largest cluster.
	TooLarge
)

// String is the code that interfaces show; Explain's text is for people.
func (y Why) String() string {
	switch y {
	case Joined:
		return "joined"
	case NoLink:
		return "no_link"
	case OtherView:
		return "other_view"
	case CutByOperator:
		return "cut"
	case SharedIdentifier:
		return "shared"
	case Held:
		return "held"
	case OverMax:
		return "over_max_per_person"
	case TwoUsers:
		return "two_users"
	case CutApart:
		return "cut_apart"
	case TooLarge:
		return "too_large"
	}
	return "unknown"
}

// Text says it in a sentence.
func (y Why) Text() string {
	switch y {
	case Joined:
		return "The link holds: both identifiers are one person."
	case NoLink:
		return "Nothing links the two."
	case OtherView:
		return "Only claims link the two, and this view does not follow claims."
	case CutByOperator:
		return "A cut between the two stands, so no link between them counts."
	case SharedIdentifier:
		return "One of the two is linked to several user_ids, so it belongs to none of them."
	case Held:
		return "One of the two is held: none of its links is followed until somebody releases it."
	case OverMax:
		return "The user_id has newer identifiers of this type, as many as max_per_person allows."
	case TwoUsers:
		return "Joining them would put two user_ids into one person, which only an operator's link may do."
	case CutApart:
		return "Joining them would put two identifiers together that a cut keeps apart."
	case TooLarge:
		return "Joining them would make a person of more identifiers than a cluster may hold."
	}
	return ""
}

// Reason is one pair and what became of it in a view.
type Reason struct {
	A, B             id.ID // A before B by text
	Holds            bool
	Why              Why
	Trust            id.Trust // strongest that links the two; 0: only a cut names them
	Earliest, Newest Stamp    // of the evidence that the view sees
	Cuts             []EvidenceID
	Held             []Hold // on one of the two, or both, where no rule came before
}

// Explain lists every pair of the identifiers in x's component, by its texts,
// with what became of it and why. Holds are no pairs here: they are why one does
// not hold. Missing is as Cluster's.
func (r *Resolver) Explain(x id.ID, v id.View, g Reader) (reasons []Reason, missing []id.ID) {
	w := r.walk(x, v, g)
	if len(w.missing) > 0 {
		return nil, w.takeMissing()
	}
	w.union()
	outcome := make(map[[2]id.ID]Why, len(w.edges))
	for i := range w.edges {
		p := w.edges[i].pair
		outcome[[2]id.ID{p.A, p.B}] = Joined
	}
	for i := range w.refused {
		p := w.refused[i].pair
		outcome[[2]id.ID{p.A, p.B}] = w.refused[i].why
	}
	done := make(map[[2]id.ID]bool)
	for _, n := range w.members {
		for _, p := range n.pairs {
			ends := [2]id.ID{p.A, p.B}
			if done[ends] || p.IsEmpty() || isEverybody(p.A) {
				continue
			}
			done[ends] = true
			st := p.at(v)
			why, tried := outcome[ends]
			if !tried {
				why = w.dropped(p, &st)
			}
			y := Reason{
				A: p.A, B: p.B, Holds: why == Joined, Why: why, Trust: p.Trust(),
				Earliest: st.earliest, Newest: st.newest, Cuts: p.Cuts(v),
			}
			if why == Held || why == SharedIdentifier {
				y.Held = w.holdsOf(p)
			}
			reasons = append(reasons, y)
		}
	}
	if len(w.missing) > 0 {
		return nil, w.takeMissing()
	}
	slices.SortFunc(reasons, func(a, b Reason) int {
		if c := id.Compare(a.A, b.A); c != 0 {
			return c
		}
		return id.Compare(a.B, b.B)
	})
	return reasons, nil
}

// dropped says which of rules 1 to 3, or a hold, took a pair of the component away.
func (w *walk) dropped(p *Pair, st *state) Why {
	switch {
	case st.cut:
		return CutByOperator
	case p.seen == 0:
		return NoLink
	case !st.linked:
		return OtherView
	}
	held := false
	for _, x := range [2]id.ID{p.A, p.B} {
		n := w.nodes[x]
		if n == nil {
			continue
		}
		if n.held {
			held = true
			w.isShared(n, nil) // to follow its links nobody had to know
		}
		if n.sharing == isShared {
			return SharedIdentifier // to release it would join nobody
		}
	}
	if held {
		return Held
	}
	return OverMax
}

// holdsOf gives the holds on the two ends of a pair.
func (w *walk) holdsOf(p *Pair) (list []Hold) {
	for _, x := range [2]id.ID{p.A, p.B} {
		if n := w.nodes[x]; n != nil {
			list = appendHold(list, n, w.v)
		}
	}
	return list
}
