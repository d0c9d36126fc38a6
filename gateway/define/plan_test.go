package define

import (
	"slices"
	"strings"
	"testing"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
)

func count(name, event string) Definition {
	return Definition{Kind: Trait, Name: name, Source: FromAPI, Body: []byte(event), Trait: trait.Definition{Name: name, Kind: trait.Count, Event: event}}
}

func audience(name, when string) Definition {
	return Definition{Kind: Segment, Name: name, Source: FromAPI, Body: []byte(when), Segment: segment.Definition{Name: name, When: when}}
}

func slot(name, when string) Definition {
	return Definition{Kind: Placement, Name: name, Source: FromAPI, Body: []byte(when), Placement: name + ": " + when, Rules: []Text{{"variants[0].when", when}}}
}

// noPlacements takes them as they are.
func noPlacements(_ *Live, list []any) (any, error) { return list, nil }

// shelf is what is known of series, by name; all of them have numbers.
type shelf struct {
	numbers map[string]uint32
	whole   func(key string) bool
}

func (s *shelf) known(key string) series {
	if s.numbers[key] == 0 {
		s.numbers[key] = uint32(len(s.numbers) + 1)
	}
	return series{id: s.numbers[key], ready: s.whole(key)}
}

func (s *shelf) plan(t *testing.T, before *Live, list ...Definition) (*Live, *plan) {
	t.Helper()
	w, faults := gather(list)
	if faults = append(faults, w.check(noPlacements)...); len(faults) > 0 {
		t.Fatal(faults)
	}
	p := &plan{w: w, known: s.known, before: before, make: noPlacements, audiences: map[string]uint32{}, versions: func(string, string) int { return 0 }}
	for i, d := range w.segments {
		p.audiences[d.Name] = uint32(i + 1)
	}
	l, err := p.run()
	if err != nil {
		t.Fatal(err)
	}
	return l, p
}

func everything(string) bool { return true }

// without is a shelf on which series whose key has the text are not whole.
func without(text string) func(string) bool {
	return func(key string) bool { return !strings.Contains(key, text) }
}

func TestWhatIsWholeIsAtWork(t *testing.T) {
	s := &shelf{numbers: map[string]uint32{}, whole: everything}
	l, p := s.plan(t, nil, count("orders", "Order Completed"), audience("buyers", "computed.orders >= 1"),
		audience("fresh", "count('Order Completed', '1d') > 0"), slot("hero", "'buyers' in segments"))
	if len(p.waiting) != 0 || len(p.waitingFor) != 0 {
		t.Errorf("waiting %v for %v", p.waitingFor, p.waiting)
	}
	if _, ok := l.Traits.Slot("orders"); !ok || !slices.Equal(l.Segments.All(), []string{"buyers", "fresh"}) || len(l.Placements.([]any)) != 1 {
		t.Errorf("%v %v %v", ok, l.Segments.All(), l.Placements)
	}
}

// TestWhatIsNewWaitsForItsPast: a series that is not whole counts and is read by
// nobody; audiences that would read it are held, placements wait.
func TestWhatIsNewWaitsForItsPast(t *testing.T) {
	s := &shelf{numbers: map[string]uint32{}, whole: without("Order Completed")}
	l, p := s.plan(t, nil, count("orders", "Order Completed"), count("views", "Product Viewed"),
		audience("buyers", "computed.orders >= 1"), audience("viewers", "computed.views >= 1"), audience("fresh", "count('Order Completed', '1d') > 0"),
		audience("both", "'buyers' in segments && 'viewers' in segments"), slot("hero", "computed.orders > 2"), slot("foot", "'viewers' in segments"))
	if _, bad := l.Env.Rule("when", "computed.orders > 0", nil); len(bad) == 0 {
		t.Error("orders can be read before it is whole")
	}
	want := []string{"trait orders", "segment buyers", "segment fresh", "segment both", "placement hero"}
	if !slices.Equal(p.waitingFor, want) || len(p.waiting) != 2 {
		t.Errorf("%v wait for %v, expected %v", p.waitingFor, p.waiting, want)
	}
	for _, id := range p.waiting {
		if !l.ids[id] {
			t.Errorf("series %d does not count while it is filled", id)
		}
	}
	if list := l.Placements.([]any); len(list) != 1 || list[0] != "foot: 'viewers' in segments" {
		t.Errorf("%v are at work", list)
	}
	// Who is in a held audience stays.
	sub := &segment.Subject{Now: 1000}
	was := &segment.Standing{In: []segment.Member{{Audience: 1, Since: 7}, {Audience: 2, Since: 7}}, Until: rule.Never}
	st := l.Segments.Judge(sub, was, facet.Everything())
	if names := l.Segments.Names(st); !slices.Equal(names, []string{"buyers"}) {
		t.Errorf("%v, expected that who was a buyer is one, and who was a viewer is judged", names)
	}
}

// TestAChangedDefinitionStaysAsItWas: until the new version is whole, the one
// before is at work, with everything that reads it.
func TestAChangedDefinitionStaysAsItWas(t *testing.T) {
	s := &shelf{numbers: map[string]uint32{}, whole: everything}
	before, _ := s.plan(t, nil, count("orders", "Order Completed"), audience("buyers", "computed.orders >= 1 && count('Product Viewed', '1d') > 0"), slot("hero", "computed.orders > 2"))
	old := before.traits["\x00orders"].Trait.ID

	s.whole = without("Order Placed")
	changed := []Definition{count("orders", "Order Placed"), audience("buyers", "computed.orders >= 5"), slot("hero", "computed.orders > 9")}
	during, p := s.plan(t, before, changed...)
	if during.traits["\x00orders"].Trait.ID != old || during.Rule("buyers") != "computed.orders >= 1 && count('Product Viewed', '1d') > 0" || during.Placements.([]any)[0] != "hero: computed.orders > 2" {
		t.Errorf("at work are %v, %q, %v", during.traits["\x00orders"].Trait, during.Rule("buyers"), during.Placements)
	}
	if len(p.waiting) != 1 || !during.ids[p.waiting[0]] || !during.ids[old] {
		t.Errorf("waiting %v; both versions must count", p.waiting)
	}
	if len(during.hidden) != 1 {
		t.Errorf("%d hidden series: the one that the version before reads must stay", len(during.hidden))
	}

	s.whole = everything
	after, p := s.plan(t, during, changed...)
	if after.traits["\x00orders"].Trait.ID == old || after.ids[old] || after.Rule("buyers") != "computed.orders >= 5" || len(p.waitingFor) != 0 || len(after.hidden) != 0 {
		t.Errorf("at work are %v, %q; %v wait", after.traits["\x00orders"].Trait, after.Rule("buyers"), p.waitingFor)
	}
}

// TestDepths: an audience's text changes when its rule does, or a trait or an
// audience that it reads, and else not.
func TestDepths(t *testing.T) {
	s := &shelf{numbers: map[string]uint32{}, whole: everything}
	depths := func(list ...Definition) map[string]string {
		l, _ := s.plan(t, nil, list...)
		return l.depths()
	}
	list := []Definition{count("orders", "Order Completed"), count("views", "Product Viewed"), audience("buyers", "computed.orders >= 1"), audience("vip", "'buyers' in segments"), audience("other", "computed.views > 1")}
	first := depths(list...)
	for name, change := range map[string]struct {
		list    []Definition
		changed []string
	}{
		"nothing":     {list, nil},
		"the trait":   {append([]Definition{count("orders", "Order Placed")}, list[1:]...), []string{"buyers", "vip"}},
		"the rule":    {[]Definition{list[0], list[1], audience("buyers", "computed.orders >= 2"), list[3], list[4]}, []string{"buyers", "vip"}},
		"one more":    {append(slices.Clone(list), audience("more", "true")), []string{"more"}},
		"another one": {[]Definition{list[0], count("views", "Looked"), list[2], list[3], list[4]}, []string{"other"}},
	} {
		var got []string
		for n, text := range depths(change.list...) {
			if first[n] != text {
				got = append(got, n)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, change.changed) {
			t.Errorf("%s: %v changed, expected %v", name, got, change.changed)
		}
	}
}

// TestWhoseFault: faults are told of the definition that they are in, whatever
// list it stands in; the file's come first.
func TestWhoseFault(t *testing.T) {
	file := count("orders", "Order Completed")
	file.Source = FromFile
	bad := audience("lost", "computed.oders == 0")
	w, faults := gather([]Definition{audience("fine", "true"), bad, file})
	faults = append(faults, w.check(noPlacements)...)
	whose := w.whose(faults)
	if len(whose) != 1 || whose[0].Kind != Segment || whose[0].Name != "lost" || whose[0].Path != "when" || whose[0].Column != 9 || whose[0].Suggestion == "" {
		t.Errorf("%+v", whose)
	}
	builtin := count("orders", "Order Completed")
	builtin.Source = FromProgram
	if w, _ = gather([]Definition{builtin, file}); len(w.traits) != 1 || w.traits[0].Source != FromFile {
		t.Errorf("a built-in trait stands beside the file's: %v", w.traits)
	}
}

// TestPlacementsOfTwoSites: two of one name are two, each with its own version
// before.
func TestPlacementsOfTwoSites(t *testing.T) {
	of := func(site, source, when string) Definition {
		d := slot("hero", when)
		d.Site, d.Source = site, source
		return d
	}
	s := &shelf{numbers: map[string]uint32{}, whole: everything}
	before, _ := s.plan(t, nil, count("views", "Product Viewed"), of("", FromAPI, "computed.views > 1"), of("demo", FromDemo, "true"))
	s.whole = without("Order Completed")
	during, _ := s.plan(t, before, count("views", "Product Viewed"), count("orders", "Order Completed"), of("", FromAPI, "computed.orders > 1"), of("demo", FromDemo, "true"))
	if got := during.Placements.([]any); !slices.Equal(got, []any{"hero: computed.views > 1", "hero: true"}) {
		t.Errorf("at work are %v", got)
	}
	if text, _ := during.PlacementRule("demo", "hero", "variants[0].when"); text != "true" {
		t.Errorf("the demo's is %q", text)
	}
	if text, _ := during.PlacementRule("shop", "hero", "variants[0].when"); text != "computed.views > 1" {
		t.Errorf("every site's is %q", text)
	}
}
