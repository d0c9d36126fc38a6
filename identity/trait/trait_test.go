package trait

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/trait/rule"
)

var now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC).UnixMilli()

func compile(t testing.TB, list ...Definition) *Set {
	t.Helper()
	s, err := Compile(list)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func value(t testing.TB, text string) event.Value {
	t.Helper()
	if text == "" {
		return ""
	}
	v, err := event.Check(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func track(t testing.TB, name, properties string) *event.Event {
	t.Helper()
	return &event.Event{Type: event.Track, Name: name, AnonymousID: "a1", MessageID: "m", Trust: id.Claimed, Timestamp: now, Properties: value(t, properties)}
}

// added lists what e contributes, as "name key n".
func added(s *Set, e *event.Event) (list []string) {
	s.Contribute(e, 1, func(c *facet.Contribution) {
		list = append(list, strings.Join(strings.Fields(fmt.Sprintf("%s %s %d", s.defs[c.Spec.Slot].Name, c.Key, c.Tally.N)), " "))
	})
	return list
}

func TestContribute(t *testing.T) {
	s := compile(t,
		Definition{Name: "views", Kind: Count, Event: "Product Viewed"},
		Definition{Name: "category", Kind: Affinity, Event: "Product Viewed", By: "properties.category", HalfLife: 14 * day},
		Definition{Name: "dear", Kind: Count, Event: "Product Viewed", Where: "properties.price >= 100", Window: 30 * day},
		Definition{Name: "pages", Kind: Count, Event: "page", Window: day},
		Definition{Name: "country", Kind: Affinity, Where: "type == 'page' && context.geo.country != ''", By: "context.geo.country", HalfLife: day},
		Definition{Name: "deep", Kind: Affinity, Event: "Deep", By: "properties.a.b.c", HalfLife: day},
		Definition{Name: "plan", Kind: Affinity, Event: "identify", By: "traits.plan", HalfLife: day},
		Definition{Name: "mobile", Kind: Count, Where: "event == 'Shared' && context.device.type == 'mobile' && time > timestamp('2026-01-01T00:00:00Z')"},
		Definition{Name: "shop", Kind: Count, Event: "Site", Where: "context.site == 'shop' && context.ip == '10.0.0.0' && context.locale == 'fi' && 'geo' in context && context.exists(k, k == 'site')"},
	)
	page := &event.Event{Type: event.Page, Name: "Product Viewed", Timestamp: now, Geo: event.Geo{Country: "FI"}}
	shared := track(t, "Shared", "")
	shared.Device.Type = "mobile"
	spoofed := track(t, "Shared", "")
	spoofed.Context = value(t, `{"device":{"type":"mobile"}}`)
	site := track(t, "Site", "")
	site.Site, site.IP, site.Geo.Country, site.Context = "shop", "10.0.0.0", "FI", value(t, `{"locale":"fi","site":"other"}`)
	for _, c := range []struct {
		name string
		e    *event.Event
		want []string
	}{
		{"all three", track(t, "Product Viewed", `{"category":"crime","price":120}`), []string{"views 1", "category crime 1", "dear 1"}},
		{"where is false", track(t, "Product Viewed", `{"category":"crime","price":99.9}`), []string{"views 1", "category crime 1"}},
		{"where misses its field", track(t, "Product Viewed", `{"category":"crime"}`), []string{"views 1", "category crime 1"}},
		{"where meets another type", track(t, "Product Viewed", `{"category":"crime","price":"120"}`), []string{"views 1", "category crime 1"}},
		{"no properties", track(t, "Product Viewed", ""), []string{"views 1"}},
		{"a list counts each", track(t, "Product Viewed", `{"category":["crime","", "travel",{"x":1}]}`), []string{"views 1", "category crime 1", "category travel 1"}},
		{"keys are trimmed and unescaped", track(t, "Product Viewed", `{"category":"  cr\u0069me "}`), []string{"views 1", "category crime 1"}},
		{"a number is a key", track(t, "Product Viewed", `{"category":12}`), []string{"views 1", "category 12 1"}},
		{"an object is none", track(t, "Product Viewed", `{"category":{"a":1}}`), []string{"views 1"}},
		{"null is none", track(t, "Product Viewed", `{"category":null}`), []string{"views 1"}},
		{"a text is none", track(t, "Product Viewed", `{"category":"`+strings.Repeat("x", 257)+`"}`), []string{"views 1"}},
		{"a page goes by its type", page, []string{"pages 1", "country FI 1"}},
		{"deep path", track(t, "Deep", `{"a":{"b":{"c":"d"}}}`), []string{"deep d 1"}},
		{"path through a text", track(t, "Deep", `{"a":"b"}`), nil},
		{"traits", &event.Event{Type: event.Identify, Timestamp: now, Traits: value(t, `{"plan":"pro"}`)}, []string{"plan pro 1"}},
		{"what the gateway found", shared, []string{"mobile 1"}},
		{"not what the sender says it found", spoofed, nil},
		{"the gateway's names in context", site, []string{"shop 1"}},
		{"nobody asks", track(t, "Something Else", `{"category":"crime"}`), nil},
	} {
		if got := added(s, c.e); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if n := s.Failures(); n != 1 {
		t.Errorf("%d failures, want the one of a price that is a text", n)
	}
	if got := added(nil, page); got != nil {
		t.Errorf("no definitions: %q", got)
	}
	long := track(t, "Product Viewed", `{"category":[`+strings.TrimSuffix(strings.Repeat(`"a",`, 1000), ",")+`]}`)
	if got := added(s, long); len(got) != 1+maxKeys {
		t.Errorf("a list of 1000 adds %d times, want %d", len(got)-1, maxKeys)
	}
}

func TestFaults(t *testing.T) {
	good := Definition{Name: "ok", Kind: Count, Event: "X"}
	for _, c := range []struct {
		d    Definition
		path string
		says string
	}{
		{Definition{Name: "", Kind: Count}, "traits[1].name", `saw ""`},
		{Definition{Name: "a-b", Kind: Count}, "traits[1].name", "letters, digits and _"},
		{Definition{Name: "1a", Kind: Count}, "traits[1].name", "letters, digits and _"},
		{Definition{Name: "in", Kind: Count}, "traits[1].name", "letters, digits and _"},
		{Definition{Name: "ok", Kind: Count}, "traits[1].name", "two traits"},
		{Definition{Name: "x", Kind: "sumn"}, "traits[1].kind", "did you mean sum?"},
		{Definition{Name: "x", Kind: Count, Window: -1}, "traits[1].window", "whole seconds"},
		{Definition{Name: "x", Kind: Count, Window: 1}, "traits[1].window", "whole seconds"},
		{Definition{Name: "x", Kind: Count, By: "properties.a"}, "traits[1].by", "a trait of kind count has no by"},
		{Definition{Name: "x", Kind: Affinity, By: "properties.a"}, "traits[1].half_life", "at least 1s"},
		{Definition{Name: "x", Kind: Affinity, HalfLife: day}, "traits[1].by", "expected the path"},
		{Definition{Name: "x", Kind: Affinity, HalfLife: day, By: "properties"}, "traits[1].by", "expected the path"},
		{Definition{Name: "x", Kind: Affinity, HalfLife: day, By: "properties."}, "traits[1].by", "expected the path"},
		{Definition{Name: "x", Kind: Affinity, HalfLife: day, By: "properties.a..b"}, "traits[1].by", "expected the path"},
		{Definition{Name: "x", Kind: Affinity, HalfLife: day, By: "props.a"}, "traits[1].by", "expected the path"},
		{Definition{Name: "x", Kind: Count, Where: "properties.a ="}, "traits[1].where", "column 14"},
		{Definition{Name: "x", Kind: Count, Where: "property.a == 1"}, "traits[1].where", "column 1: there is no property; a rule here may use event, type, properties, context, time"},
		{Definition{Name: "x", Kind: Count, Where: "event"}, "traits[1].where", "expected a bool"},
	} {
		_, err := Compile([]Definition{good, c.d})
		var faults rule.Faults
		if !errors.As(err, &faults) || len(faults) == 0 || faults[0].Path != c.path || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: got %v, want %s … %s", c.d, err, c.path, c.says)
		}
	}
	_, err := Compile([]Definition{{Name: "-", Kind: "no"}, {Name: "x", Kind: Count, Where: "("}})
	var faults rule.Faults
	if !errors.As(err, &faults) || len(faults) != 3 {
		t.Errorf("all faults together: got %v", err)
	}
}

// TestSeriesFitTheFacet holds every window and half-life to the facet's bounds.
func TestSeriesFitTheFacet(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 90 * time.Second, time.Hour, day, 30 * day, 400 * day} {
		s := compile(t,
			Definition{Name: "n", Kind: Count, Window: d},
			Definition{Name: "a", Kind: Affinity, HalfLife: d, By: "properties.x"})
		for i, span := range []int64{d.Milliseconds(), halfLives * d.Milliseconds()} {
			spec := s.defs[i].spec
			if spec.Width < minWidth || spec.Window/spec.Width > 100 || spec.Window < span {
				t.Errorf("%s: %+v does not cover %d ms", d, spec, span)
			}
		}
	}
}

func TestAChangedDefinitionStartsAfresh(t *testing.T) {
	base := Definition{Name: "x", Kind: Affinity, Event: "E", Where: "true", By: "properties.a", HalfLife: day}
	names := map[uint32]bool{}
	add := func(change func(*Definition)) {
		d := base
		change(&d)
		names[compile(t, d).defs[0].spec.ID] = true
	}
	add(func(*Definition) {})
	add(func(*Definition) {}) // the same again
	add(func(d *Definition) { d.Event = "F" })
	add(func(d *Definition) { d.Where = "false" })
	add(func(d *Definition) { d.By = "properties.b" })
	add(func(d *Definition) { d.HalfLife = 2 * day })
	add(func(d *Definition) { d.Kind, d.By, d.HalfLife = Count, "", 0 })
	add(func(d *Definition) { d.Kind, d.By, d.HalfLife, d.Window = Count, "", 0, day })
	if len(names) != 7 {
		t.Errorf("%d names for 7 definitions: %v", len(names), names)
	}
}

// TestComputeAgainstTheEvents compares with counting the events themselves, up
// to one bucket's width, however the events are spread over devices.
func TestComputeAgainstTheEvents(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	const window, halfLife = 30 * day, 14 * day
	s := compile(t,
		Definition{Name: "ever", Kind: Count, Event: "E"},
		Definition{Name: "month", Kind: Count, Event: "E", Window: window},
		Definition{Name: "liked", Kind: Affinity, Event: "E", By: "properties.k", HalfLife: halfLife})
	width := s.defs[1].spec.Width
	for range 50 {
		facets := []*facet.Facet{{Key: facet.Key{AnonymousID: "a"}}, {Key: facet.Key{AnonymousID: "b"}}, {Key: facet.Key{AnonymousID: "b", UserID: "u"}}}
		rules := facet.Rules{Contribute: s.Contribute}
		var least, most, ever int64
		want := map[string]float64{}
		for i := range 200 {
			age := r.Int64N((60 * day).Milliseconds())
			key := string(rune('a' + r.IntN(4)))
			e := track(t, "E", `{"k":"`+key+`"}`)
			e.Timestamp, e.MessageID = now-age, fmt.Sprint(i)
			facets[r.IntN(3)].Fold(e, 1, &rules)
			ever++
			if age < window.Milliseconds()-width {
				least++
			}
			if age <= window.Milliseconds() {
				most++
			}
			want[key] += math.Exp2(-float64(age) / float64(halfLife.Milliseconds()))
		}
		c := s.Compute(facet.Join(facets), now)
		if v, _ := c.Get("ever"); v.n != ever {
			t.Fatalf("ever: got %d, want %d", v.n, ever)
		}
		if v, _ := c.Get("month"); v.n < least || v.n > most {
			t.Fatalf("month: got %d, want %d to %d", v.n, least, most)
		}
		if len(c.Affinity()) != len(want) || !slices.IsSortedFunc(c.Affinity(), func(a, b facet.Score) int { return int(math.Copysign(1, b.Value-a.Value)) }) {
			t.Fatalf("affinity %v, want the keys of %v, highest first", c.Affinity(), want)
		}
		for _, got := range c.Affinity() {
			if math.Abs(got.Value-want[got.Key]) > 0.03*want[got.Key] {
				t.Fatalf("affinity of %s: got %v, want %v within 3 %%", got.Key, got.Value, want[got.Key])
			}
		}
		for n := range len(want) + 2 {
			if got, want := c.Foremost(nil, n), c.Affinity()[:min(n, len(c.Affinity()))]; !slices.Equal(got, want) {
				t.Fatalf("the first %d: %v, want %v", n, got, want)
			}
		}
		if v, _ := c.Get("liked"); v.text != c.Affinity()[0].Key {
			t.Fatalf("favourite %q, want %q", v.text, c.Affinity()[0].Key)
		}
	}
}

func TestThreeViewsAMomentApart(t *testing.T) {
	s := compile(t, Definition{Name: "liked", Kind: Affinity, Event: "E", By: "properties.k", HalfLife: 14 * day})
	rules := facet.Rules{Contribute: s.Contribute}
	for shift := range 60 {
		f := &facet.Facet{}
		at := now + int64(shift)*time.Hour.Milliseconds()
		for i := range 3 {
			e := track(t, "E", `{"k":"crime"}`)
			e.Timestamp = at + int64(i)*60_000
			f.Fold(e, 1, &rules)
		}
		c := s.Compute(facet.Join([]*facet.Facet{f}), at+180_000)
		if got := c.Affinity()[0].Value; got < 2.9 || got > 3 {
			t.Errorf("%d hours on: three views score %v", shift, got)
		}
	}
}

func TestNothingIsKnown(t *testing.T) {
	s := compile(t,
		Definition{Name: "n", Kind: Count, Event: "E"},
		Definition{Name: "liked", Kind: Affinity, Event: "E", By: "properties.k", HalfLife: day})
	for name, c := range map[string]Computed{"no profile": s.Compute(nil, now), "an empty one": s.Compute(&facet.Profile{}, now)} {
		n, ok := c.Get("n")
		if !ok || n.JSON() != "0" || !n.Known() {
			t.Errorf("%s: count %+v", name, n)
		}
		liked, ok := c.Get("liked")
		if !ok || liked.JSON() != "" || liked.Known() || len(c.Affinity()) != 0 {
			t.Errorf("%s: favourite %+v, %v", name, liked, c.Affinity())
		}
	}
	c := (*Set)(nil).Compute(&facet.Profile{}, now)
	if _, ok := c.Get("n"); ok {
		t.Error("a trait without definitions")
	}
	c.Each(func(name string, _ Value) { t.Errorf("a trait %s without definitions", name) })

	f := &facet.Facet{}
	f.Fold(track(t, "E", `{"k":"x"}`), 1, &facet.Rules{Contribute: s.Contribute})
	p := facet.Join([]*facet.Facet{f})
	c = s.Compute(p, now)
	got := ""
	c.Each(func(name string, v Value) { got += name + "=" + string(v.JSON()) + " " })
	if got != `n=1 liked="x" ` {
		t.Errorf("got %s", got)
	}
	c = s.Compute(p, now+(9*day).Milliseconds())
	if liked, _ := c.Get("liked"); liked.Known() || len(c.Affinity()) > 0 {
		t.Errorf("nine half-lives later: %+v is still the favourite", liked)
	}
}

func TestAllocations(t *testing.T) {
	s := compile(t,
		Definition{Name: "liked", Kind: Affinity, Event: "E", By: "properties.k", HalfLife: day},
		Definition{Name: "dear", Kind: Count, Event: "Priced", Where: "properties.price >= 100"})
	add := func(*facet.Contribution) {}
	for _, c := range []struct {
		e    *event.Event
		most float64
	}{
		{track(t, "Other", `{"k":"x"}`), 0},
		{track(t, "E", `{"k":"x"}`), 0},
		{&event.Event{Type: event.Page, Timestamp: now}, 0},
		{track(t, "Priced", `{"price":120}`), 4}, // the map that CEL sees, its number and boxes
	} {
		if got := testing.AllocsPerRun(100, func() { s.Contribute(c.e, 1, add) }); got > c.most {
			t.Errorf("%s: %v allocations, want at most %v", c.e.Name, got, c.most)
		}
	}
}

func BenchmarkContribute(b *testing.B) {
	var list []Definition
	for i := range 10 {
		list = append(list, Definition{Name: fmt.Sprintf("t%d", i), Kind: Count, Event: fmt.Sprintf("Event %d", i), Where: "properties.price >= 100 && properties.category == 'crime'"})
	}
	s := compile(b, list...)
	add := func(*facet.Contribution) {}
	for _, name := range []string{"Event 3", "Other"} {
		e := track(b, name, `{"category":"crime","price":120}`)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Contribute(e, 1, add)
			}
		})
	}
}

func FuzzContribute(f *testing.F) {
	f.Add("properties.a.b", `{"a":{"b":"c"}}`)
	f.Add("context.geo.country", `{}`)
	f.Add("context.device", `{"geo":1}`)
	f.Add("traits.x", `{"x":["a",1,true,null]}`)
	f.Add("traits..", `[]`)
	f.Fuzz(func(t *testing.T, by, text string) {
		s, err := Compile([]Definition{{Name: "x", Kind: Affinity, By: by, HalfLife: day}})
		if err != nil {
			return
		}
		v, err := event.Check(text)
		if err != nil {
			return
		}
		e := event.Event{Type: event.Track, Timestamp: now, Properties: v, Context: v, Traits: v, Geo: event.Geo{Country: "FI"}}
		n := 0
		s.Contribute(&e, 1, func(c *facet.Contribution) {
			if n++; c.Key == "" || len(c.Key) > maxKeyBytes || c.Tally != (facet.Tally{N: 1}) || c.Spec != &s.defs[0].spec {
				t.Fatalf("%+v", c)
			}
		})
		if n > maxKeys {
			t.Fatalf("%d keys of one event", n)
		}
	})
}

func TestBuiltinsCompile(t *testing.T) {
	if s := compile(t, Builtins()...); s.Len() != 5 {
		t.Errorf("%d builtins", s.Len())
	}
}
