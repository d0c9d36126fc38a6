package people_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

var previews = flag.Int("previews", 60, "how many stores TestAPreviewIsWhatHappens makes")

// previewWorld is a store whose users keep few identifiers, so that random ones
// meet the bounds.
func previewWorld(t *testing.T, hold, maxLinks int) *world {
	t.Helper()
	types, err := id.NewTypes(id.Options{Rules: []id.Rule{{Name: id.AnonymousID, MaxPerPerson: 3}, {Name: id.Email, MaxPerPerson: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	w := open(t, vfs.NewMem(), hold)
	w.must(w.Store.Close())
	w.options.Types, w.options.MaxLinks = types, maxLinks
	w.Store, err = people.Open(w.options, nil)
	w.must(err)
	return w
}

// universe is every identifier that random traffic and operators name, and some
// that nobody ever does.
func universe() (list []id.ID) {
	for i := range 7 {
		list = append(list, user(fmt.Sprint("u", i)), device(fmt.Sprint("a", i)))
	}
	for i := range 5 {
		list = append(list, id.ID{Type: id.Email, Value: fmt.Sprintf("e%d@x.fi", i)})
	}
	return list
}

type look map[id.ID]*people.Person

// look asks for everybody.
func (w *world) look(all []id.ID, v id.View) look {
	w.t.Helper()
	l := look{}
	for _, x := range all {
		p, err := w.Person(x, v)
		if errors.Is(err, people.ErrUnknown) {
			continue
		}
		w.must(err)
		l[x] = comparable(p)
	}
	return l
}

// comparable is a person without the order of their facets, and with their series as
// they are written down: the same may be kept in different ways.
func comparable(p *people.Person) *people.Person {
	q, profile := *p, *p.Profile
	q.Facets = slices.SortedFunc(slices.Values(p.Facets), facet.Key.Compare)
	said := event.Value(series(p.Profile))
	profile.Computed, profile.Traits = facet.Joined{}, maps.Clone(profile.Traits)
	if profile.Traits == nil {
		profile.Traits = map[string]facet.Trait{}
	}
	profile.Traits["(series)"] = facet.Trait{Value: said}
	q.Profile = &profile
	return &q
}

// mostly is a person without what their cluster tells of others: conflicts at its
// border, and why who is closed to it anyway is held.
func mostly(p *people.Person) *people.Person {
	if p == nil {
		return nil
	}
	q, c := *p, *p.Cluster
	c.Conflicts, c.Refused = nil, 0
	c.Held = nil
	for _, h := range p.Cluster.Held {
		if slices.Contains(c.Members, h.ID) {
			c.Held = append(c.Held, h)
		}
	}
	q.Cluster = &c
	return &q
}

// randomOpinion is what an operator may say of any two.
func randomOpinion(r *rand.Rand, all []id.ID, cuts []graph.Evidence, now int64) graph.Evidence {
	e := graph.Evidence{Kind: graph.Link, Trust: id.Admin, Time: now - r.Int64N(1e10)}
	for i := range e.ID {
		e.ID[i] = byte(r.Uint32())
	}
	for e.A == e.B {
		e.A, e.B = all[r.IntN(len(all))], all[r.IntN(len(all))]
		if r.IntN(3) == 0 {
			e.A, e.B = user(fmt.Sprint("u", r.IntN(7))), user(fmt.Sprint("u", r.IntN(7)))
		}
	}
	switch r.IntN(5) {
	case 0:
		e.Kind = graph.Cut
	case 1: // a hold, by an operator or as the gateway makes them
		if e.Kind, e.A = graph.Cut, graph.Everybody(); r.IntN(2) == 0 {
			e = graph.HoldOf(e.B, graph.HoldAddresses, id.Claimed, e.Time)
		}
	case 2:
		if len(cuts) > 0 {
			c := cuts[r.IntN(len(cuts))]
			e.Kind, e.A, e.B, e.Lifts = graph.Lift, c.A, c.B, c.ID
		}
	}
	return e
}

// TestAPreviewIsWhatHappens: for random stores and random evidence, the preview
// has everybody whom stating it changes, as they are before and as they are
// after, and looking changes nothing.
func TestAPreviewIsWhatHappens(t *testing.T) {
	first := *firstSeed
	if first == 0 {
		first = rand.Uint64N(1 << 40)
	}
	t.Logf("seed %d", first)
	changed := 0
	for seed := first; seed < first+uint64(*previews); seed++ {
		changed += previewOne(t, seed)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if changed < *previews {
		t.Errorf("%d persons changed in %d stores: the test is too small", changed, *previews)
	}
}

func previewOne(t *testing.T, seed uint64) (changed int) {
	r := rand.New(rand.NewPCG(seed, 1))
	w := previewWorld(t, []int{0, 3}[r.IntN(2)], []int{0, 3, 5}[r.IntN(3)])
	w.seed = seed
	defer func() { w.close() }()
	all := universe()
	var cuts []graph.Evidence
	for range 10 + r.IntN(30) {
		switch r.IntN(8) {
		case 0:
			w.must(w.Checkpoint())
		case 1, 2, 3:
			e := randomOpinion(r, all, cuts, w.now())
			_, err := w.State(e)
			w.must(err)
			if e.Kind == graph.Cut {
				cuts = append(cuts, e)
			}
		case 4: // a login on a device that knows the address, too
			e := msg(r.IntN(1<<25), event.Identify, fmt.Sprint("a", r.IntN(6)), "")
			e.Trust = id.Trust(1 + r.IntN(2))
			e.MessageID = fmt.Sprint(e.MessageID, "-", r.Uint32())
			e.Traits = event.Value(fmt.Sprintf(`{"email":"e%d@x.fi"}`, r.IntN(4)))
			w.send(e)
		default:
			w.send(randomMessage(r, 0)...)
		}
	}
	for range 6 {
		evidence := make([]graph.Evidence, 1+r.IntN(3))
		for i := range evidence {
			evidence[i] = randomOpinion(r, all, cuts, w.now())
			if evidence[i].Kind == graph.Cut {
				cuts = append(cuts, evidence[i])
			}
		}
		var befores [2]look
		var got [2]*people.Preview
		end := w.log.LastSeq()
		for v := id.VerifiedView; v <= id.AllView; v++ {
			befores[v] = w.look(all, v)
			w.must(w.Checkpoint()) // drops from memory what Hold has no room for
			var err error
			got[v], err = w.Preview(evidence, v)
			w.must(err)
		}
		if w.log.LastSeq() != end {
			t.Errorf("seed %d: a preview wrote", seed)
		}
		for v := id.VerifiedView; v <= id.AllView; v++ {
			if !reflect.DeepEqual(w.look(all, v), befores[v]) {
				t.Errorf("seed %d: a preview changed somebody", seed)
			}
		}
		for i := range evidence {
			_, err := w.State(evidence[i])
			w.must(err)
		}
		for v := id.VerifiedView; v <= id.AllView; v++ {
			changed += w.compare(all, evidence, got[v], befores[v], w.look(all, v))
		}
	}
	return changed
}

// compare holds a preview against what was and what came.
func (w *world) compare(all []id.ID, evidence []graph.Evidence, p *people.Preview, before, after look) (changed int) {
	w.t.Helper()
	if p.Partial || len(p.Outcomes) != len(evidence) {
		w.t.Errorf("seed %d: partial %v, %d outcomes", w.seed, p.Partial, len(p.Outcomes))
	}
	counts := [2]int{}
	shown := [2]look{{}, {}}
	for i, r := range p.Regroupings {
		if len(r.Before) != r.CountBefore || len(r.After) != r.CountAfter {
			w.t.Errorf("seed %d: %d and %d persons of %d and %d", w.seed, len(r.Before), len(r.After), r.CountBefore, r.CountAfter)
		}
		counts[0] += r.CountBefore
		counts[1] += r.CountAfter
		for _, side := range []struct {
			list []*people.Person
			n    int
		}{{r.Before, r.ClosedBefore}, {r.After, r.ClosedAfter}} {
			for _, q := range side.list {
				if q.Cluster.Ambiguous || slices.ContainsFunc(q.Cluster.Held, func(h graph.Hold) bool { return h.ID == q.Cluster.Members[0] }) {
					side.n--
				}
			}
			if side.n != 0 {
				w.t.Errorf("seed %d: %d identifiers too many join nobody: %+v", w.seed, side.n, r)
			}
		}
		mine := look{}
		for side, list := range [...][]*people.Person{r.Before, r.After} {
			for _, q := range list {
				for _, m := range q.Cluster.Members {
					if shown[side][m] != nil {
						w.t.Errorf("seed %d: %v is shown twice", w.seed, m)
					}
					shown[side][m] = comparable(q)
					mine[m] = q
				}
			}
		}
		if stated := slices.ContainsFunc(evidence, func(e graph.Evidence) bool { return mine[e.A] != nil || mine[e.B] != nil }); stated != (i < 1) && !stated {
			if len(r.Before) == 1 && len(r.After) == 1 && reflect.DeepEqual(comparable(r.Before[0]), comparable(r.After[0])) {
				w.t.Errorf("seed %d: %v does not change", w.seed, r.Before[0].Cluster.Members)
			}
		}
	}
	if counts[0] != p.Before || counts[1] != p.After {
		w.t.Errorf("seed %d: %v persons of %d and %d", w.seed, counts, p.Before, p.After)
	}
	for side, truth := range [...]look{before, after} {
		for x, q := range shown[side] {
			if !reflect.DeepEqual(q, truth[x]) {
				w.t.Errorf("seed %d, side %d, view %v: %v is\n%+v %+v %+v\nwant\n%+v", w.seed, side, p.View, x, q, q.Cluster, q.Profile, truth[x])
				if truth[x] != nil {
					w.t.Errorf("%+v %+v", truth[x].Cluster, truth[x].Profile)
				}
				w.t.Errorf("%+v", evidence)
			}
		}
	}
	for _, x := range all {
		if !reflect.DeepEqual(mostly(before[x]), mostly(after[x])) {
			changed++
			if shown[1][x] == nil {
				w.t.Errorf("seed %d, view %v: %v changed and the preview does not have them: %+v, then %+v; %+v", w.seed, p.View, x, before[x].Cluster, after[x].Cluster, evidence)
			}
		}
	}
	for i, o := range p.Outcomes {
		if x := evidence[i]; x.A == graph.Everybody() {
			held := slices.ContainsFunc(after[x.B].Cluster.Held, func(h graph.Hold) bool { return h.ID == x.B })
			if (o.After.Why == graph.Held) != held || held && !slices.Contains(after[x.B].Cluster.Held, o.After.Held[0]) {
				w.t.Errorf("seed %d: %+v, and held is %v", w.seed, o, held)
			}
			continue
		}
		// A link may be kept from holding by two rules; each end names one.
		var list []graph.Reason
		for _, end := range [...]id.ID{evidence[i].A, evidence[i].B} {
			now, err := w.Explain(end, p.View)
			w.must(err)
			list = append(list, now...)
		}
		if !slices.ContainsFunc(list, func(r graph.Reason) bool { return reflect.DeepEqual(r, o.After) }) {
			w.t.Errorf("seed %d: %+v is not what came: %+v", w.seed, o.After, list)
		}
	}
	return changed
}

// TestAPreviewOfLargePersons: one who falls apart into a thousand, or two who are
// too large to be joined whole, are counted whole and shown in part; and past the
// most that a preview follows it says that there may be more.
func TestAPreviewOfLargePersons(t *testing.T) {
	w := previewWorld(t, 10_000, -1)
	defer func() { w.close() }()
	const many = 900
	hub := func(i int) id.ID { return id.ID{Type: id.Email, Value: fmt.Sprintf("hub%d@x.fi", i)} }
	link := func(a, b id.ID) graph.Evidence { return graph.Evidence{Kind: graph.Link, Trust: id.Admin, A: a, B: b} }
	for i := range 4 {
		events := make([]event.Event, many-1)
		for j := range events {
			events[j] = msg(i*many+j, event.Identify, fmt.Sprint("d", i, "-", j), "")
			events[j].Traits = event.Value(fmt.Sprintf(`{"email":"hub%d@x.fi"}`, i))
		}
		w.send(events...)
	}
	preview := func(evidence ...graph.Evidence) *people.Preview {
		t.Helper()
		p, err := w.Preview(evidence, id.AllView)
		w.must(err)
		return p
	}
	p := preview(graph.Evidence{Kind: graph.Cut, Trust: id.Admin, A: graph.Everybody(), B: hub(0)})
	r := p.Regroupings[0]
	if p.Partial || p.Before != 1 || p.After != many || r.CountAfter != many || r.ClosedAfter != 1 || len(r.Before) != 1 || len(r.After) != 100 || len(r.Before[0].Cluster.Members) != many {
		t.Errorf("held: %d before, %d after, %d and %d shown, partial %v", p.Before, p.After, len(r.Before), len(r.After), p.Partial)
	}
	p = preview(link(hub(0), hub(1)))
	// An operator's link comes first, and then there is room for a hundred.
	if o := p.Outcomes[0].After; p.Partial || !o.Holds || p.Before != 2 || p.After != 1+2*many-1000 || len(p.Regroupings) != 1 || len(p.Regroupings[0].After[0].Cluster.Conflicts) != 100 {
		t.Errorf("two: %+v; %d before, %d after, partial %v", o, p.Before, p.After, p.Partial)
	}
	p = preview(link(hub(0), hub(1)), link(hub(2), hub(3)))
	if !p.Partial {
		t.Error("four: not partial")
	}
	if _, err := w.Preview(nil, id.AllView); err == nil {
		t.Error("a preview of nothing")
	}
	if _, err := w.Preview(make([]graph.Evidence, people.MaxPreview+1), id.AllView); err == nil {
		t.Error("a preview of too much")
	}
	if _, err := w.Preview([]graph.Evidence{link(hub(0), graph.Everybody())}, id.AllView); err == nil {
		t.Error("a link to everybody")
	}
}
