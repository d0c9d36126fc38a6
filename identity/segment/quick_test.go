package segment

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait"
)

// TestRulesReadWhatCELReads holds what rules of simple shapes read of a person, and
// until when that holds, to what CEL makes of the same: Explain evaluates every
// part by it.
func TestRulesReadWhatCELReads(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	traits := []trait.Definition{
		{Name: "views", Kind: trait.Count, Event: "Product Viewed", Window: time.Hour},
		{Name: "spent", Kind: trait.Sum, Event: "Product Viewed", Value: "properties.price", Window: time.Hour},
		{Name: "average", Kind: trait.Average, Event: "Product Viewed", Value: "properties.price"},
		{Name: "least", Kind: trait.Min, Event: "Product Viewed", Value: "properties.price"},
		{Name: "kinds", Kind: trait.Unique, Event: "Product Viewed", By: "properties.category", Window: 2 * time.Hour},
		{Name: "first", Kind: trait.First, Event: "Product Viewed", Value: "properties.category"},
		{Name: "last", Kind: trait.Last, Event: "Product Viewed", Value: "properties.price"},
		{Name: "liked", Kind: trait.Affinity, Event: "Product Viewed", By: "properties.category", HalfLife: 14 * day},
		{Name: "top", Kind: trait.MostFrequent, Event: "Product Viewed", By: "properties.category"},
		{Name: "tops", Kind: trait.MostFrequent, Event: "Product Viewed", By: "properties.category", Limit: 2, Window: time.Hour},
		{Name: "all", Kind: trait.Distinct, Event: "Product Viewed", By: "properties.category", Window: 3 * time.Hour},
		{Name: "latest", Kind: trait.Latest, Event: "Product Viewed", Value: "properties.category", Limit: 3, Window: time.Hour},
		{Name: "since", Kind: trait.TimeSince, Event: "Product Viewed"},
		{Name: "rfm", Kind: trait.RFM, Event: "Product Viewed", Value: "properties.price"},
		{Name: "days", Kind: trait.DaysActive, Event: "Product Viewed", Window: 30 * day},
		{Name: "row", Kind: trait.Streak, Event: "Product Viewed"},
		{Name: "hour", Kind: trait.BestHour, Event: "Product Viewed"},
		{Name: "left", Kind: trait.Sequence, Steps: []trait.Step{{Event: "Product Viewed"}}, Not: &trait.Step{Event: "Order Completed"}, Within: time.Hour},
	}
	rules := []string{
		"computed.views >= 2", "computed.views == 0", "computed.views != 1", "computed.average < 2.0", "computed.liked != 'b'", "computed.liked < 'b'", "computed.top == 'a'", "computed.spent > 1.5", "computed.average <= computed.last", "computed.least == 2.0", "computed.kinds in [1, 3]", "computed.first == 'a'", "computed.last > 1", "computed.last != computed.first",
		"computed.liked == 'b'", "computed.top != computed.liked", "'a' in computed.tops", "'b' in computed.all", "'c' in computed.latest", "has(computed.all)", "has(computed.latest)", "has(computed.tops)", "has(computed.top)", "has(computed.first)",
		"has(computed.since)", "computed.since < duration('30m')", "computed.since - duration('1h') >= duration('0s')", "computed.rfm.recency >= 4", "computed.rfm.score == '511'", "computed.rfm.none == 1", "computed.days >= 1", "computed.row == 2", "computed.hour >= 12",
		"computed.left", "!computed.left", "count('Product Viewed', properties.category == 'a', '1h') >= 1", "counts.events > 2", "counts.orders == 0", "has(counts.orders)", "counts.revenue > 10.0", "has(counts.averageOrder)", "counts.averageOrder < 20.0",
		"now - counts.lastOrder < duration('1h')", "counts.lastOrder > timestamp('2026-01-01T00:00:00Z')", "has(counts.lastOrder)", "geo.country == 'FI'", "has(geo.city)", "device.type.startsWith('mob')", "geo.asn in [1, 2]", "site == 'shop'", "site != ''",
		"traits.plan == 'pro'", "has(traits.plan)", "'plan' in traits", "traits.plan in ['pro', 'free']", "traits.deep.er == true", "traits.plan.er == true", "traits.list.exists(x, x == 'a')", "size(traits.list) > 1", "'a' in traits.list", "'email' in identifiers",
		"consent.ads", "consent.ads == false", "'ads' in consent", "affinity.a > 0.5", "has(affinity.b)", "'x' in segments",
	}
	var list []Definition
	for i, text := range rules {
		list = append(list, Definition{Name: fmt.Sprint("s", i), When: text})
	}
	list[len(list)-1].When = "'s0' in segments"
	w := newWorld(t, traits, list...)
	asked := 0
	for range 40 {
		w.facets = []*facet.Facet{{Key: facet.Key{AnonymousID: "a1"}}}
		for range r.IntN(8) {
			at := w.now - int64(r.IntN(9000))*1000
			said := []event.Value{"", `{"plan":"pro"}`, `{"plan":null}`, `{"plan":7,"list":["a",1]}`, `{"deep":{"er":true},"list":[]}`, `{"plan":{"er":true}}`}[r.IntN(6)]
			e := event.Event{Type: event.Track, Name: []string{"Product Viewed", "Product Viewed", "Order Completed"}[r.IntN(3)], Timestamp: at, Traits: said,
				Site: []string{"", "shop"}[r.IntN(2)], Context: event.Value([]string{"", `{"consent":{"categoryPreferences":{"ads":true}}}`}[r.IntN(2)]),
				Properties: event.Value(fmt.Sprintf(`{"category":%s,"price":%d,"total":%d,"currency":"EUR","order_id":"%d"}`, []string{`"a"`, `"b"`, `"c"`, `"\u0061"`, "1"}[r.IntN(5)], r.IntN(4), r.IntN(30), r.Uint64()))}
			if said != "" {
				e.Type, e.Name = event.Identify, ""
			}
			if r.IntN(2) == 0 {
				e.Geo, e.Device = event.Geo{Country: "FI", ASN: 2}, event.Device{Type: "mobile"}
			}
			w.fold(r.IntN(2), e)
		}
		now := w.now + int64(r.IntN(3))*1_800_000
		for i := range w.set.list {
			a := &w.set.list[i]
			if a.Name == list[len(list)-1].Name {
				continue // reads a standing
			}
			one, other := w.subject(new(Subject), now), w.subject(new(Subject), now)
			holds := a.rule.Holds(one)
			parts, err := a.rule.Explain(other)
			if err != nil {
				t.Fatal(err)
			}
			asked++
			want := parts[0].Holds != nil && *parts[0].Holds
			// Whether a count is so many may hold longer than the count stays the same.
			count := strings.HasPrefix(a.When, "computed.views >=") || strings.HasPrefix(a.When, "count(")
			if holds != want || one.Until() != other.Until() && !(count && one.Until() > other.Until()) {
				t.Errorf("%s: %t until %d, CEL says %t until %d: %+v", a.When, holds, one.Until(), want, other.Until(), parts)
			}
		}
	}
	t.Logf("%d answers", asked)
}

// BenchmarkRules is what judging an audience by a rule costs.
func BenchmarkRules(b *testing.B) {
	traits := []trait.Definition{
		{Name: "views", Kind: trait.Count, Event: "Product Viewed", Window: time.Hour},
		{Name: "liked", Kind: trait.Affinity, Event: "Product Viewed", By: "properties.category", HalfLife: 14 * day},
		{Name: "all", Kind: trait.Distinct, Event: "Product Viewed", By: "properties.category"},
		{Name: "since", Kind: trait.TimeSince, Event: "Product Viewed"},
		{Name: "rfm", Kind: trait.RFM, Event: "Product Viewed", Value: "properties.price"},
	}
	for _, text := range []string{"computed.views >= 1", "computed.liked == 'a'", "'a' in computed.all", "computed.since < duration('30m') && counts.orders == 0", "computed.rfm.recency >= 4", "geo.country in ['FI', 'SE']", "traits.plan == 'pro'", "now - counts.lastOrder < duration('1h')"} {
		w := newWorld(b, traits, Definition{Name: "x", When: text})
		w.fold(0, event.Event{Type: event.Track, Name: "Product Viewed", Timestamp: w.now, Properties: `{"category":"a","price":3}`})
		sub := w.subject(new(Subject), w.now)
		rule := w.set.list[0].rule
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rule.Holds(sub)
			}
		})
	}
}
