package segment

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
)

// TestNeeds holds what Needs says to who is in the audiences: nobody without one of the
// series is, now or later, whatever else they did.
func TestNeeds(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	traits := []trait.Definition{
		{ID: 11, Name: "views", Kind: trait.Count, Event: "Product Viewed", Window: time.Hour},
		{ID: 12, Name: "spent", Kind: trait.Sum, Event: "Order Completed", Value: "properties.price", Window: time.Hour},
		{ID: 13, Name: "top", Kind: trait.MostFrequent, Event: "Product Viewed", By: "properties.category"},
		{ID: 14, Name: "liked", Kind: trait.Affinity, Event: "Order Completed", By: "properties.category", HalfLife: 14 * day},
		{ID: 15, Name: "since", Kind: trait.TimeSince, Event: "Order Completed"},
		{ID: 16, Name: "hour", Kind: trait.BestHour, Event: "Product Viewed"},
		{ID: 17, Name: "days", Kind: trait.DaysActive, Event: "Order Completed", Window: 30 * day, Timezone: "Europe/Helsinki"},
	}
	cases := []struct {
		when string
		site string
		need []uint32 // nil: there is no list
	}{
		{when: "computed.views >= 2", need: []uint32{11}},
		{when: "computed.views >= 2", site: "shop", need: []uint32{11}},
		{when: "computed.views >= 2 && computed.spent > 1.0 || computed.top == 'a'", need: []uint32{11, 12, 13}},
		{when: "computed.since < duration('30m')", need: []uint32{15}},
		{when: "has(computed.since) && now > timestamp('2026-01-01T00:00:00Z')", need: []uint32{15}},
		{when: "affinity.a > 0.5", need: []uint32{14}},
		{when: "computed.days >= 1", need: []uint32{17}},
		{when: "computed.views > 1 && computed.views < 5", need: []uint32{11}},
		{when: "computed.views == 0"},
		{when: "!has(computed.since)"},
		{when: "computed.views >= 0"},
		{when: "computed.views >= 2 || now > timestamp('2040-01-01T00:00:00Z')"},
		{when: "computed.views >= 2 && site == 'shop'"},
		{when: "computed.views >= 2 && 's0' in segments"},
		{when: "computed.views >= 2 || geo.country == 'FI'"},
		{when: "computed.views >= 2 || counts.events > 2"},
		{when: "computed.views >= 2 || 'email' in identifiers"},
		{when: "computed.hour >= 12"}, // of where the person is
		{when: "consent.ads"},
		{when: "has(traits.plan)"},
	}
	var list []Definition
	for i, c := range cases {
		list = append(list, Definition{Name: fmt.Sprint("s", i), When: c.when, Site: c.site, ID: uint32(100 + i)})
	}
	w := newWorld(t, traits, list...)
	for i, c := range cases {
		got, ok := w.set.Needs(w.env, []uint32{uint32(100 + i)}, w.now)
		if ok != (c.need != nil) || ok && !slices.Equal(got, c.need) {
			t.Errorf("%s: %v, %v: want %v", c.when, got, ok, c.need)
		}
	}
	if got, ok := w.set.Needs(w.env, []uint32{100, 103, 105}, w.now); !ok || !slices.Equal(got, []uint32{11, 14, 15}) {
		t.Errorf("three: %v, %v", got, ok)
	}
	for _, none := range [][]uint32{{100, 108}, {99}, {100, 7}} {
		if got, ok := w.set.Needs(w.env, none, w.now); ok {
			t.Errorf("%v: %v", none, got)
		}
	}
	var alone []*Set
	for _, d := range list {
		if strings.Contains(d.When, "segments") {
			d.When = "true" // it has no list
		}
		set, err := Compile(w.env, []Definition{d})
		if err != nil {
			t.Fatal(err)
		}
		alone = append(alone, set)
	}
	without := 0
	for range 200 {
		w.facets = []*facet.Facet{{Key: facet.Key{AnonymousID: "a1"}}}
		for range r.IntN(4) {
			w.fold(0, event.Event{Type: event.Track, Name: []string{"Product Viewed", "Order Completed", "Signed Up"}[r.IntN(3)], Timestamp: w.now - int64(r.IntN(9000))*1000,
				Site: []string{"", "shop"}[r.IntN(2)], Traits: []event.Value{"", `{"plan":"pro"}`}[r.IntN(2)], Geo: event.Geo{Country: "FI", Timezone: "Asia/Tokyo"},
				Properties: event.Value(fmt.Sprintf(`{"category":%q,"price":%d}`, []string{"a", "b"}[r.IntN(2)], r.IntN(4)))})
		}
		for _, at := range []int64{w.now, w.now + 3600_000, w.now + 400*86_400_000} {
			st := w.anew(at)
			for i, c := range cases {
				if c.need == nil || slices.ContainsFunc(c.need, func(id uint32) bool { return w.has(id) }) {
					continue
				}
				without++
				if _, in := st.Since(uint32(100 + i)); in {
					t.Fatalf("who has no series of %v is in %s", c.need, c.when)
				}
				if one := alone[i].Judge(w.subject(new(Subject), at), nil, facet.Everything()); len(one.In) > 0 || one.Until != rule.Never {
					t.Fatalf("%s: %+v", c.when, one)
				}
			}
		}
	}
	if without == 0 {
		t.Error("everybody has everything: the test is too small")
	}
}

// has says that the person has a series.
func (w *world) has(id uint32) bool {
	return slices.ContainsFunc(w.facets, func(f *facet.Facet) bool { return f.Computed.Has(id) })
}
