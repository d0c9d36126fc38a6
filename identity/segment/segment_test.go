package segment

import (
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait"
)

var now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC).UnixMilli()

func traitSet(t testing.TB) *trait.Set {
	t.Helper()
	set, err := trait.Compile([]trait.Definition{
		{Name: "favourite_category", Kind: "affinity", Event: "Product Viewed", By: "properties.category", HalfLife: 14 * 24 * time.Hour},
		{Name: "orders_30d", Kind: "count", Event: "Order Completed", Window: 30 * 24 * time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func view(category string) *event.Event {
	return &event.Event{Type: event.Track, Name: "Product Viewed", AnonymousID: "a", MessageID: category, Timestamp: now,
		Trust: 1, Properties: event.Value(`{"category":` + string(event.Quote(category)) + `}`)}
}

func TestSmoke(t *testing.T) {
	set := traitSet(t)
	env := NewEnv(set)
	for _, text := range []string{
		"computed.favourite_category == 'crime'", "computed.nothing > 1", "counts.pageviews >= 5", "counts.pagevews >= 5", "traits.plan == 'pro'",
		"has(traits.plan)", "traits.?plan.orValue('') == 'pro'", "affinity['crime'] >= 2.5", "affinity.crime >= 2", "traits.exists(k, k.startsWith('x'))",
		"traits.exists(k, traits.exists(j, j == k))", "traits.name.matches(traits.other)", "traits.name.matches('a+b')", "traits.name.contains('x')", "geo.country in ['FI', 'SE']",
		"'x' in segments", "traits.x", "1", "true &&", "foo", "now - duration('1h') > timestamp('2026-01-01T00:00:00Z')", "now.getHours() > 8", "has(geo.city)", "consent.marketing",
		"'email' in identifiers", "counts.revenue > 40", "traits.a[0] == 2", "traits.tags.exists(t, t == 'x')", "geo == geo", "traits == {}", "size(segments) > 2", "has(computed.favourite_category) && computed.favourite_category == 'crime' && affinity['crime'] >= 2.5",
		"segments.exists(s, s in identifiers)", "traits.a.b.c.d == 1", "traits.email.lowerAscii() == 'x'", "reuna.geo{country: 'x'}.country == 'x'", "[geo].size() > 0", "string(traits.a + traits.b).contains('x')",
	} {
		r, bad := env.Rule("x", text, nil)
		if bad != nil {
			t.Logf("%-40s %v", text, bad)
			continue
		}
		sub := &Subject{Now: now, Profile: &facet.Profile{Traits: map[string]facet.Trait{"a": {Value: "[2]"}}}}
		t.Logf("%-40s ok %v %d", text, r.Holds(sub), r.Failures())
	}
}
