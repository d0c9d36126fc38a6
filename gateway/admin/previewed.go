package admin

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

// Bounds of a preview's answer. Past any of them it says so, with what there
// would be.
const (
	shownIdentifiers = 100 // of one person
	shownConflicts   = 20  // of one person; as many of the holds around them
	shownDifferences = 100 // traits, and computed traits, from one person to another
)

// preview writes the answer of one request.
type preview struct {
	c   *call
	o   *event.Writer
	now time.Time

	truncated bool // in the view at hand
}

// appendPreview writes what changes would change: what becomes of each pair, and
// who becomes whom, view by view.
func (c *call) appendPreview(o *event.Writer, changes []change, views []*people.Preview) error {
	w := preview{c: c, o: o, now: c.s.o.Now()}
	o.Open()
	o.Key("views")
	o.Open()
	for _, p := range views {
		o.Key(p.View.String())
		if err := w.view(changes, p); err != nil {
			return err
		}
	}
	o.Close()
	o.Close()
	return nil
}

func (w *preview) view(changes []change, p *people.Preview) error {
	o := w.o
	w.truncated = false
	o.Open()
	o.Flag("changed", changed(p))
	o.Int("personsBefore", int64(p.Before))
	o.Int("personsAfter", int64(p.After))
	o.Key("outcomes")
	o.OpenList()
	at := 0
	for _, x := range changes {
		for range x.evidence {
			w.outcome(x.do, &p.Outcomes[at])
			at++
		}
	}
	o.CloseList()
	if len(p.Holds) > 0 {
		holds := make([]graph.Hold, len(p.Holds))
		for i, e := range p.Holds {
			holds[i] = graph.Hold{ID: e.B, Why: graph.HoldReason(e.Reason), Trust: e.Trust, Since: e.Time, Evidence: e.ID}
		}
		appendHolds(o, holds)
	}
	o.Key("groups")
	o.OpenList()
	shownBefore, shownAfter := 0, 0
	for i := range p.Regroupings {
		if len(o.Bytes()) >= maxBody {
			break
		}
		g := &p.Regroupings[i]
		if err := w.group(g); err != nil {
			return err
		}
		shownBefore += len(g.Before)
		shownAfter += len(g.After)
	}
	o.CloseList()
	o.Flag("truncated", w.truncated || shownBefore < p.Before || shownAfter < p.After)
	o.Flag("partial", p.Partial)
	o.Close()
	return nil
}

// changed says that the evidence would change anybody in this view.
func changed(p *people.Preview) bool {
	return slices.ContainsFunc(p.Regroupings, func(r people.Regrouping) bool { return effectOf(&r) != effectNone })
}

// outcome writes what becomes of one pair, or of one hold.
func (w *preview) outcome(do string, x *people.Outcome) {
	o := w.o
	o.Open()
	o.String("do", do)
	if x.Before.A == graph.Everybody() {
		o.Key("identifier")
		appendIDItem(o, x.Before.B)
		for _, side := range [...]struct {
			name string
			r    *graph.Reason
		}{{"before", &x.Before}, {"after", &x.After}} {
			o.Key(side.name)
			o.Open()
			o.Flag("held", len(side.r.Held) > 0)
			for i := range side.r.Held { // one at most
				o.Key("hold")
				o.Open()
				appendHold(o, &side.r.Held[i])
				o.Close()
			}
			o.Close()
		}
		o.Close()
		return
	}
	appendEnds(o, x.Before.A, x.Before.B)
	for _, side := range [...]struct {
		name string
		r    *graph.Reason
	}{{"before", &x.Before}, {"after", &x.After}} {
		o.Key(side.name)
		o.Open()
		o.Flag("holds", side.r.Holds)
		appendWhy(o, side.r.Why)
		o.Close()
	}
	o.Close()
}

// Effects of a preview on a group of persons.
const (
	effectNone    = "none"
	effectAppear  = "appear"
	effectMerge   = "merge"
	effectSplit   = "split"
	effectRegroup = "regroup"
	effectChange  = "change"
	effectLinks   = "links"
)

func effectOf(g *people.Regrouping) string {
	switch b, a := g.CountBefore, g.CountAfter; {
	case b == 0:
		return effectAppear
	case b > 1 && a == 1:
		return effectMerge
	case b == 1 && a > 1:
		return effectSplit
	case b > 1:
		return effectRegroup
	case len(g.Before) == 0 || len(g.After) == 0:
		return effectChange // not shown, and not left out where nothing changes
	}
	before, after := g.Before[0], g.After[0]
	switch {
	case len(before.Cluster.Members) != len(after.Cluster.Members) || before.ID != after.ID:
		return effectChange
	case !sameFacets(before.Facets, after.Facets):
		return effectChange
	case !sameEvidence(before.Cluster, after.Cluster):
		return effectLinks
	}
	return effectNone
}

func sameFacets(a, b []facet.Key) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, facet.Key.Compare)
	slices.SortFunc(b, facet.Key.Compare)
	return slices.Equal(a, b)
}

// sameEvidence says that two clusters of the same members tell the same of what
// is around them.
func sameEvidence(a, b *graph.Cluster) bool {
	return slices.Equal(a.Since, b.Since) && slices.Equal(a.Shared, b.Shared) && slices.Equal(a.Held, b.Held) &&
		a.Refused == b.Refused && slices.Equal(a.Conflicts, b.Conflicts) && a.Ambiguous == b.Ambiguous
}

// effectText says an effect in a sentence.
func effectText(effect string, g *people.Regrouping) string {
	switch effect {
	case effectNone:
		return "Nothing changes for this person."
	case effectAppear:
		return "These identifiers are nobody's yet; they would be known from now on."
	case effectMerge, effectSplit, effectRegroup:
		verb := "become"
		if g.CountBefore == 1 {
			verb = "becomes"
		}
		return fmt.Sprintf("%s %s %s.", headcount(g.CountBefore, g.ClosedBefore), verb, headcount(g.CountAfter, g.ClosedAfter))
	case effectChange:
		return "It stays one person, with other identifiers, another id or other events."
	case effectLinks:
		return "The person stays the same; what is known of the links around them changes."
	}
	return ""
}

// headcount writes how many persons there are, of whom some are single
// identifiers that join nobody.
func headcount(persons, closed int) string {
	text, persons := "", persons-closed
	switch {
	case persons == 1:
		text = "1 person"
	case persons > 1:
		text = fmt.Sprintf("%d persons", persons)
	}
	if persons > 0 && closed > 0 {
		text += " and "
	}
	switch {
	case closed == 1:
		text += "1 identifier that joins nobody"
	case closed > 1:
		text += fmt.Sprintf("%d identifiers that join nobody", closed)
	}
	return text
}

func (w *preview) group(g *people.Regrouping) error {
	o, effect := w.o, effectOf(g)
	o.Open()
	o.String("effect", effect)
	o.String("text", effectText(effect, g))
	var derived [2]map[*people.Person]derived
	for i, side := range [...]struct {
		name string
		list []*people.Person
	}{{"before", g.Before}, {"after", g.After}} {
		o.Key(side.name)
		o.OpenList()
		for _, p := range side.list {
			w.person(p)
		}
		o.CloseList()
		var err error
		if derived[i], err = w.derive(side.list); err != nil {
			return err
		}
	}
	o.Key("becomes")
	o.OpenList()
	for _, p := range g.Before {
		for _, q := range g.After {
			common := commonIDs(p.Cluster.Members, q.Cluster.Members)
			if len(common) == 0 {
				continue
			}
			if len(o.Bytes()) >= maxBody {
				w.truncated = true
				break
			}
			w.becomes(p, q, common, derived[0][p], derived[1][q])
		}
	}
	o.CloseList()
	o.Close()
	return nil
}

// person writes who somebody is on one side, in the words of their own route.
func (w *preview) person(p *people.Person) {
	o, cl := w.o, p.Cluster
	o.Open()
	o.String("personId", p.ID)
	o.Flag("known", len(cl.Users) > 0)
	if cl.Ambiguous {
		o.Flag("ambiguous", true)
	}
	o.Int("identifierCount", int64(len(cl.Members)))
	if len(cl.Members) > shownIdentifiers {
		w.truncated = true
		short := *cl
		// user_ids are at the end of what is sorted by text, and written first.
		short.Members, short.Since = nil, nil
		for _, users := range [...]bool{true, false} {
			for i, x := range cl.Members {
				if (x.Type == id.UserID) == users && len(short.Members) < shownIdentifiers {
					short.Members = append(short.Members, x)
					short.Since = append(short.Since, cl.Since[i])
				}
			}
		}
		cl = &short
	}
	appendMembers(o, "identifiers", cl)
	appendCounts(o, p.Profile)
	o.Time("firstSeen", p.Profile.First)
	o.Time("lastSeen", p.Profile.Last)
	if p.Cluster.Refused > shownConflicts || len(p.Cluster.Held) > shownConflicts {
		w.truncated = true
	}
	appendHolds(o, p.Cluster.Held[:min(len(p.Cluster.Held), shownConflicts)])
	if list := p.Cluster.Conflicts; len(list) > 0 {
		appendConflicts(o, list[:min(len(list), shownConflicts)])
	}
	o.Close()
}

// derived is what the definitions make of somebody.
type derived struct {
	computed map[string]event.Value
	segments map[string]bool
}

func (w *preview) derive(list []*people.Person) (map[*people.Person]derived, error) {
	all := map[*people.Person]derived{}
	if w.c.s.o.Derive == nil {
		return all, nil
	}
	for _, p := range list {
		computed, segments := w.c.s.o.Derive(p, w.now)
		d := derived{computed: map[string]event.Value{}, segments: map[string]bool{}}
		for name, v := range computed {
			text, err := json.Marshal(v)
			if err != nil {
				return nil, fmt.Errorf("computed trait %q: %w", name, err)
			}
			d.computed[name] = event.Value(text)
		}
		for _, name := range segments {
			d.segments[name] = true
		}
		all[p] = d
	}
	return all, nil
}

// becomes writes what is different for the identifiers that go from one person
// to another, who may be the same.
func (w *preview) becomes(p, q *people.Person, common []id.ID, before, after derived) {
	o := w.o
	o.Open()
	o.String("from", p.ID)
	o.String("to", q.ID)
	o.Int("identifierCount", int64(len(common)))
	w.traits(p.Profile.Traits, q.Profile.Traits)
	w.computed(before.computed, after.computed)
	o.Key("segments")
	o.Open()
	w.segments("entered", after.segments, before.segments)
	w.segments("left", before.segments, after.segments)
	o.Close()
	o.Close()
}

// traits writes those that differ, each with where it comes from; a side
// without the trait is left out.
func (w *preview) traits(before, after map[string]facet.Trait) {
	o := w.o
	names := w.differences(keysOf(before, after), func(name string) bool {
		b, inB := before[name]
		a, inA := after[name]
		return inB != inA || b != a
	}, "traits")
	for _, name := range names {
		o.Open()
		o.String("name", name)
		if t, ok := before[name]; ok {
			o.Key("before")
			appendTrait(o, t)
		}
		if t, ok := after[name]; ok {
			o.Key("after")
			appendTrait(o, t)
		}
		o.Close()
	}
	o.CloseList()
}

func (w *preview) computed(before, after map[string]event.Value) {
	o := w.o
	names := w.differences(keysOf(before, after), func(name string) bool {
		return before[name] != after[name]
	}, "computed")
	for _, name := range names {
		o.Open()
		o.String("name", name)
		o.Raw("before", before[name])
		o.Raw("after", after[name])
		o.Close()
	}
	o.CloseList()
}

// differences begins the list of what differs, and gives the names in it; where
// there are more than are shown their number stands before it.
func (w *preview) differences(names []string, differs func(string) bool, key string) []string {
	names = slices.DeleteFunc(names, func(name string) bool { return !differs(name) })
	if len(names) > shownDifferences {
		w.truncated = true
		w.o.Int(key+"Count", int64(len(names)))
		names = names[:shownDifferences]
	}
	w.o.Key(key)
	w.o.OpenList()
	return names
}

func keysOf[T any](a, b map[string]T) []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(names)
	return slices.Compact(names)
}

// segments writes what is in one set and not in the other.
func (w *preview) segments(key string, in, out map[string]bool) {
	w.o.Key(key)
	w.o.OpenList()
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if !out[name] {
			w.o.Item(name)
		}
	}
	w.o.CloseList()
}

// commonIDs are those in both of two sorted lists.
func commonIDs(a, b []id.ID) (list []id.ID) {
	for len(a) > 0 && len(b) > 0 {
		switch c := id.Compare(a[0], b[0]); {
		case c < 0:
			a = a[1:]
		case c > 0:
			b = b[1:]
		default:
			list = append(list, a[0])
			a, b = a[1:], b[1:]
		}
	}
	return list
}
