package segment

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
)

const day = 24 * time.Hour

var now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC).UnixMilli()

func traitSet(t testing.TB) *trait.Set {
	t.Helper()
	set, err := trait.Compile([]trait.Definition{
		{Name: "orders_30d", Kind: trait.Count, Event: "Order Completed", Window: 30 * day},
		{Name: "favourite_category", Kind: trait.Affinity, Event: "Product Viewed", By: "properties.category", HalfLife: 14 * day},
		{Name: "favourite_author", Kind: trait.Affinity, Event: "Product Viewed", By: "properties.author", HalfLife: 14 * day},
	})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// reader is somebody who looked at three thrillers and ordered two.
func reader(t testing.TB, set *trait.Set) *Subject {
	t.Helper()
	f := &facet.Facet{Key: facet.Key{AnonymousID: "a1"}}
	rules := facet.Rules{Contribute: set.Contribute}
	n := 0
	fold := func(e event.Event, properties string) {
		v, err := event.Check(properties)
		if err != nil {
			t.Fatal(err)
		}
		n++
		e.AnonymousID, e.MessageID, e.Trust, e.Timestamp = "a1", fmt.Sprint(n), id.Claimed, now-int64(10-n)*1000
		if e.Type == event.Identify {
			e.Traits = v
		} else {
			e.Properties = v
		}
		f.Fold(&e, 1, &rules)
	}
	for range 3 {
		fold(event.Event{Type: event.Track, Name: "Product Viewed"}, `{"category":"thrillers"}`)
	}
	fold(event.Event{Type: event.Track, Name: "Product Viewed"}, `{"category":"travel"}`)
	fold(event.Event{Type: event.Page, Geo: event.Geo{Country: "FI"}, Device: event.Device{Type: "desktop", OS: "Linux", Language: "fi-FI", Timezone: "Europe/Helsinki", Screen: "1920x1080"},
		Traffic: event.Traffic{Channel: "Organic Search", Source: "google"}}, `{}`)
	for _, kind := range []event.Type{event.Page, event.Track} {
		fold(event.Event{Type: kind, Name: "Polled", Bot: event.Bot{Is: true}}, `{}`)
	}
	fold(event.Event{Type: event.Identify}, `{"plan":"pro","age":41,"gone":null,"tags":["a","b"],"address":{"city":"Oulu"}}`)
	for i := range 2 {
		fold(event.Event{Type: event.Track, Name: "Order Completed"}, fmt.Sprintf(`{"order_id":"o%d","revenue":24.95,"currency":"EUR"}`, i))
	}
	p := facet.Join([]*facet.Facet{f})
	return &Subject{Profile: p, Computed: set.Compute(p, now), Identifiers: []string{"anonymous_id", "email"}, Consent: map[string]bool{"analytics": true, "ads": false}, Now: now}
}

func TestRules(t *testing.T) {
	set := traitSet(t)
	env := NewEnv(set)
	mobile := &event.Event{Type: event.Page, Device: event.Device{Type: "mobile"}, Geo: event.Geo{Country: "SE"}, Traffic: event.Traffic{Channel: "Email", Campaign: "spring"}}
	internal := &event.Event{Type: event.Page, Device: event.Device{Type: "mobile"}}
	direct := &event.Event{Type: event.Page, Traffic: event.Traffic{Channel: event.Direct}}
	for _, c := range []struct {
		rule            string
		reader, unknown bool
	}{
		{"traits.plan == 'pro'", true, false},
		{"traits.age > 40 && traits.address.city == 'Oulu' && 'b' in traits.tags", true, false},
		{"has(traits.gone)", false, false},
		{"!has(traits.gone)", true, true},
		{"traits.?plan.orValue('free') == 'free'", false, true},
		{"size(traits) == 4", true, false},
		{"traits.exists(k, k == 'gone')", false, false},
		{"computed.orders_30d >= 2", true, false},
		{"computed.orders_30d == 0", false, true},
		{"computed.favourite_category == 'thrillers'", true, false},
		{"has(computed.favourite_category) && computed.favourite_category == 'thrillers' && affinity['thrillers'] >= 2.5", true, false},
		{"has(computed.favourite_author) || computed.favourite_author != ''", false, false},
		{"affinity.thrillers > affinity.travel", true, false},
		{"affinity.exists(k, affinity[k] > 2.0)", true, false},
		{"affinity['crime'] < 1.0", false, false},
		{"counts.events == 8 && counts.pageviews == 1 && counts.sessions == 1 && counts.orders == 2", true, false},
		{"counts.botEvents == 2 && counts.botPageviews == 1", true, false},
		{"device.language.startsWith('fi') && device.timezone == 'Europe/Helsinki' && device.screen == '1920x1080'", true, false},
		{"firstTouch.source == 'google' && lastTouch.source == firstTouch.source", true, false},
		{"!has(firstTouch.channel) && lastTouch.channel == ''", false, true},
		{"counts.revenue > 49.8 && counts.revenue < 50", true, false},
		{"counts.orders == 0 && !has(counts.revenue)", false, true},
		{"'email' in identifiers", true, false},
		{"size(identifiers) == 0", false, true},
		{"geo.country in ['FI', 'SE']", true, false},
		{"geo.country == '' && !has(geo.city)", false, true},
		{"device.type == 'desktop' && device.os == 'Linux'", true, false},
		{"traffic.channel == 'Organic Search' && traffic.source == 'google'", true, false},
		{"consent.analytics && !consent.ads", true, false},
		{"consent.none", false, false},
		{"!consent.none", false, false},
		{"now > timestamp('2026-03-01T00:00:00Z') && now.getDayOfWeek() == 3", true, true},
		{"size(segments) == 0", true, true},
		{"segments == identifiers", false, true},
		{"identifiers == ['anonymous_id', 'email'] && identifiers[1] == 'email'", true, false},
		{"identifiers.exists(x, x.startsWith('em')) && identifiers.filter(x, x != 'email') == ['anonymous_id']", true, false},
		{"(identifiers + segments + identifiers).size() == 4 && type(identifiers) == list", true, false},
		{"dyn(3) in identifiers", false, false},
		{"true", true, true},
	} {
		r, bad := env.Rule("when", c.rule, nil)
		if bad != nil {
			t.Errorf("%s: %v", c.rule, bad)
			continue
		}
		if got := r.Holds(reader(t, set)); got != c.reader {
			t.Errorf("%s: %v for the reader", c.rule, got)
		}
		if got := r.Holds(&Subject{Now: now}); got != c.unknown {
			t.Errorf("%s: %v for somebody unknown", c.rule, got)
		}
		if n := r.Failures(); n > 0 {
			t.Errorf("%s: %d failures", c.rule, n)
		}
	}
	for _, c := range []struct {
		rule  string
		event *event.Event
		want  bool
	}{
		{"device.type == 'mobile' && geo.country == 'SE' && traffic.campaign == 'spring'", mobile, true},
		{"device.type == 'mobile' && geo.country == 'FI' && traffic.source == 'google'", internal, true},
		{"device.type == 'desktop'", nil, true},
		{"firstTouch.source == 'google' && lastTouch.channel == 'Email'", mobile, true},
		{"traffic.channel == 'Direct' && firstTouch.source == 'google' && lastTouch.source == 'google'", direct, true},
	} {
		r, bad := env.Rule("when", c.rule, nil)
		if bad != nil {
			t.Fatal(bad)
		}
		sub := reader(t, set)
		sub.Event = c.event
		if got := r.Holds(sub); got != c.want {
			t.Errorf("%s: %v", c.rule, got)
		}
	}
}

func TestMembers(t *testing.T) {
	set := traitSet(t)
	s, err := Compile(NewEnv(set), []Definition{
		{Name: "pro", When: "traits.plan == 'pro'"},
		{Name: "lost", When: "counts.orders == 0"},
		{Name: "loyal", When: "'pro' in segments && computed.orders_30d >= 2"},
		{Name: "both", When: "'pro' in segments && !('lost' in segments)"},
	})
	if err != nil {
		t.Fatal(err)
	}
	sub := reader(t, set)
	s.Members(sub)
	if want := []string{"pro", "loyal", "both"}; !slices.Equal(sub.Segments, want) {
		t.Errorf("got %v, want %v", sub.Segments, want)
	}
	sub.Reset()
	sub.Now = now
	if s.Members(sub); !slices.Equal(sub.Segments, []string{"lost"}) {
		t.Errorf("somebody unknown: %v", sub.Segments)
	}
	var none *Set
	if none.Members(sub); none.All() != nil || none.Failures() != 0 {
		t.Error("no set is an empty one")
	}
	if s.Failures() != 0 {
		t.Errorf("%d failures", s.Failures())
	}
}

func TestFaults(t *testing.T) {
	env := NewEnv(traitSet(t))
	for _, c := range []struct {
		list   []Definition
		path   string
		column int
		says   string
	}{
		{[]Definition{{Name: "", When: "true"}}, "segments[0].name", 0, "expected a name"},
		{[]Definition{{Name: "a", When: ""}}, "segments[0].when", 0, "saw no rule"},
		{[]Definition{{Name: "a", When: "true"}, {Name: "a", When: "true"}}, "segments[1].name", 0, "segments[0]"},
		{[]Definition{{Name: "a", When: "true", ID: 7}, {Name: "b", When: "true", ID: 7}}, "segments[1].id", 0, "segments[0]"},
		{[]Definition{{Name: "a", When: "'a' in segments"}}, "segments[0].when", 1, `"a" asks for itself`},
		{[]Definition{{Name: "a", When: "true && 'b' in segments"}, {Name: "b", When: "'c' in segments"}, {Name: "c", When: "'a' in segments"}}, "segments[0].when", 9, "in a circle: a asks for b asks for c asks for a"},
		{[]Definition{{Name: "buyers", When: "true"}, {Name: "b", When: "true && 'buyer' in segments"}}, "segments[1].when", 9, `there is no segment "buyer"; did you mean 'buyers'?`},
		{[]Definition{{Name: "a", When: "true"}, {Name: "b", When: "true && 'cx' in segments"}}, "segments[1].when", 9, `there is no segment "cx"; there are: a, b`},
		{[]Definition{{Name: "a", When: "computed.orders_3d > 1"}}, "segments[0].when", 9, "there is no computed.orders_3d; did you mean orders_30d?"},
		{[]Definition{{Name: "a", When: "computed.favorite_category == 'x'"}}, "segments[0].when", 9, "there is no computed.favorite_category; did you mean favourite_category?"},
		{[]Definition{{Name: "a", When: "computed.xyz == 'x'"}}, "segments[0].when", 9, "there is no computed.xyz; computed has orders_30d, favourite_category, favourite_author"},
		{[]Definition{{Name: "a", When: "computed.orders_30d == 'x'"}}, "segments[0].when", 21, "saw computed.orders_30d (int) == \"x\" (string), expected values that go together"},
		{[]Definition{{Name: "a", When: "counts.pageveiws > 1"}}, "segments[0].when", 7, "there is no counts.pageveiws; did you mean pageviews?"},
		{[]Definition{{Name: "a", When: "true ||\n  counts.?order.orValue(1) > 1"}}, "segments[0].when", 9, "line 2, column 9: there is no counts.order; did you mean orders?"},
		{[]Definition{{Name: "a", When: "geo.land == 'FI'"}}, "segments[0].when", 4, "there is no geo.land; geo has country, region"},
		{[]Definition{{Name: "a", When: "trait.plan == 'pro'"}}, "segments[0].when", 1, "did you mean traits?"},
		{[]Definition{{Name: "a", When: "counts.orders > 1 && cuont('Order Completed', '30d') > 1"}}, "segments[0].when", 27, "there is no function cuont; did you mean count?"},
		{[]Definition{{Name: "a", When: "geo.country.startWith('F')"}}, "segments[0].when", 22, "there is no function startWith; did you mean startsWith?"},
		{[]Definition{{Name: "a", When: "string(now) == 'x'"}}, "segments[0].when", 8, "this goes on with the time"},
		{[]Definition{{Name: "a", When: "properties.x == 1"}}, "segments[0].when", 1, "a rule here may use traits, computed"},
		{[]Definition{{Name: "a", When: "traits.plan"}}, "segments[0].when", 1, "expected a bool"},
		{[]Definition{{Name: "a", When: "segments.exists(s, s in identifiers)"}}, "segments[0].when", 1, "may cost up to 1006002 steps, the limit is 100000;"},
		{[]Definition{{Name: "a", When: "traits.exists(k, traits.exists(j, traits[j] == k))"}}, "segments[0].when", 1, "may cost up to"},
		{[]Definition{{Name: "a", When: "counts.orders > 1 && (geo.country == 'FI' || segments.exists(s, s in identifiers))"}}, "segments[0].when", 46, "are for segments.exists(s, s in"},
	} {
		_, err := Compile(env, c.list)
		var faults rule.Faults
		if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Path != c.path || faults[0].Column != c.column || !strings.Contains(faults[0].Text(), c.says) {
			t.Errorf("%v: got %v, want %s, column %d: %s", c.list, err, c.path, c.column, c.says)
		}
	}
}

// TestFaultsDoNotSpread: what is wrong with a trait is told once, not again by
// each segment that reads it, and so with segments.
func TestFaultsDoNotSpread(t *testing.T) {
	set, err := trait.Compile([]trait.Definition{
		{Name: "bad_where", Kind: trait.Count, Where: "oops"}, {Name: "bad_kind", Kind: "sum"}, {Name: "bad_by", Kind: trait.Affinity, HalfLife: day}, {Name: "not a word", Kind: trait.Count},
	})
	var faults rule.Faults
	if !errors.As(err, &faults) || len(faults) != 4 {
		t.Fatalf("traits: %v", err)
	}
	env := NewEnv(set)
	s, err := Compile(env, []Definition{
		{Name: "a", When: "computed.bad_where > 1 && computed.bad_kind == 'x' && computed.bad_by == 'y'"},
		{Name: "b", When: "oops"},
		{Name: "c", When: "'b' in segments && computed.nothing > 1"},
	})
	if !errors.As(err, &faults) || len(faults) != 2 || faults[0].Path != "segments[1].when" || faults[1].Path != "segments[2].when" {
		t.Errorf("segments: %v", err)
	}
	if _, bad := env.Rule("p", "'b' in segments && 'c' in segments", s.All()); bad != nil {
		t.Error(bad)
	}
	sub := Subject{Now: now}
	if s.Members(&sub); len(sub.Segments) > 0 {
		t.Errorf("somebody is in %v", sub.Segments)
	}
}

// maxFuzzed is how far ahead rules are asked, in ms: beyond some 290 years CEL's
// times overflow.
const maxFuzzed = 100 * 365 * 86_400_000

func FuzzRule(f *testing.F) {
	for _, s := range []string{"computed.orders_30d >= 2 && 'pro' in segments", "has(traits.plan) || geo.country == 'FI'", "affinity['x'] > 1.0", "now.getHours() > 3 && consent.a", "now - counts.lastOrder > duration('2h')", "now.getDayOfWeek('Europe/Helsinki') == 3", "affinity['thrillers'] > 1.5", "computed.since < duration('1h')", "(now - counts.lastOrder).getHours() < 5",
		"traits.map(k, traits[k]).size() > 1", "counts == counts", "dyn(geo) == geo", "[computed, computed].size() == 2", "device in [device]", "type(traffic) == type(geo)", "counts.?revenue.hasValue()", "'a' in segments && 'a' in identifiers"} {
		f.Add(s)
	}
	set := traitSet(f)
	env := NewEnv(set)
	f.Fuzz(func(t *testing.T, text string) {
		r, bad := env.Rule("p", text, []string{"pro"})
		if (r == nil) == (len(bad) == 0) {
			t.Fatalf("%q: rule %v, faults %v", text, r, bad)
		}
		if r == nil {
			return
		}
		sub := reader(t, set)
		first := r.Holds(sub)
		until := sub.Until()
		if r.Holds(sub) != first {
			t.Fatalf("%q: two answers about one person", text)
		}
		if until <= now {
			t.Fatalf("%q: until %d, now it is %d", text, until, now)
		}
		for _, at := range []int64{until - 1, now + 1, now + (until-now)/2} {
			if at >= until || at > now+maxFuzzed {
				continue
			}
			later := reader(t, set)
			later.Now = at
			later.Computed.Reset(set, later.Profile, at)
			if r.Holds(later) != first {
				t.Fatalf("%q: %v at %d until %d, but not at %d", text, first, now, until, at)
			}
		}
		r.Holds(&Subject{})
	})
}

// BenchmarkWorst runs a rule that is as dear as may be over a person with as
// many traits as may be.
func BenchmarkWorst(b *testing.B) {
	r, bad := NewEnv(nil).Rule("p", "traits.exists(k, k.startsWith('zz') || k.contains('yy'))", nil)
	if bad != nil {
		b.Fatal(bad)
	}
	p := &facet.Profile{Traits: map[string]facet.Trait{}}
	for i := range facet.MaxTraits {
		p.Traits[fmt.Sprintf("trait number %d", i)] = facet.Trait{Value: `"value"`}
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Holds(&Subject{Profile: p})
	}
}
