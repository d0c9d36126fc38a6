package segment

import (
	"fmt"
	"strings"
	"testing"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/trait"
)

// TestRulesOverListsOfTraits: how long such a list can be is known, and how long a
// text in it, so that it may be searched.
func TestRulesOverListsOfTraits(t *testing.T) {
	traits := []trait.Definition{
		{Name: "queries", Kind: trait.Distinct, Event: "Products Searched", By: "properties.query", Limit: 20},
		{Name: "all", Kind: trait.Distinct, Event: "Products Searched", By: "properties.query", Limit: 256},
		{Name: "latest", Kind: trait.Latest, Event: "Products Searched", Value: "properties.query"},
		{Name: "often", Kind: trait.MostFrequent, Event: "Products Searched", By: "properties.query", Limit: 5},
		{Name: "first", Kind: trait.First, Event: "Products Searched", Value: "properties.query"},
		{Name: "shelf", Kind: trait.Affinity, Event: "Products Searched", By: "properties.query", HalfLife: day},
	}
	rules := []string{
		"computed.queries.exists(q, q.contains('gift'))",
		"computed.queries.exists(q, q.matches('gift|present'))",
		"computed.queries.filter(q, q.contains('gift')).size() >= 1",
		"computed.queries.exists(q, computed.latest.exists(l, l == q))",
		"computed.all.exists(q, q.contains('gift'))",
		"computed.latest.exists(q, q.contains('gift'))",
		"computed.latest.map(q, q + '!').exists(q, q.contains('gift'))",
		"computed.often.exists(q, q.contains('gift'))",
		"computed.first.contains('gift')",
		"affinity.exists(k, k.contains('gift'))",
	}
	var list []Definition
	for i, text := range rules {
		list = append(list, Definition{Name: fmt.Sprint(i), When: text})
	}
	w := newWorld(t, traits, list...)
	w.track("Products Searched", `{"query":"a gift for her"}`)
	sub := w.subject(new(Subject), w.now)
	w.set.Members(sub)
	for i, text := range rules {
		if !strings.Contains(" "+strings.Join(sub.Segments, " ")+" ", fmt.Sprintf(" %d ", i)) {
			t.Errorf("%s does not hold", text)
		}
	}
	if n := w.set.Failures(); n != 0 {
		t.Errorf("%d failures", n)
	}
	// What is too long or too deep all the same is refused with its cost.
	for _, text := range []string{
		"computed.all.exists(a, computed.all.exists(b, a == b))",
		"computed.all.exists(a, computed.all.exists(b, computed.all.exists(c, a == b && b == c)))",
		"traits.bio.matches('(abc[0-9]){400}')",
	} {
		_, bad := NewEnv(w.traits).Rule("when", text, nil)
		if len(bad) == 0 || !strings.Contains(bad.Error(), "cost up to ") || !strings.Contains(bad.Error(), "the limit is ") {
			t.Errorf("%s: %v", text, bad)
		}
	}
}

// TestRulesWalkOverAllAffinities: a person may have as many as a series keeps.
func TestRulesWalkOverAllAffinities(t *testing.T) {
	const many = 200
	w := newWorld(t, []trait.Definition{{Name: "shelf", Kind: trait.Affinity, Event: "Product Viewed", By: "properties.category", HalfLife: day}},
		Definition{Name: "any", When: "affinity.exists(k, k == 'category-0' && affinity[k] > 0.5)"},
		Definition{Name: "all", When: fmt.Sprintf("size(affinity) == %d", many)})
	for i := range many {
		v, _ := event.Check(fmt.Sprintf(`{"category":"category-%d"}`, i))
		w.fold(0, event.Event{Type: event.Track, Name: "Product Viewed", Properties: v, Timestamp: w.now})
	}
	sub := w.subject(new(Subject), w.now)
	w.set.Members(sub)
	if got := strings.Join(sub.Segments, " "); got != "any all" || w.set.Failures() != 0 {
		t.Errorf("in %q, with %d failures", got, w.set.Failures())
	}
}
