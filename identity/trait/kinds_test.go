package trait

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/cel"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait/rule"
)

// one is a definition of each kind, over orders.
func one(t testing.TB) *Set {
	const e, price = "Order Completed", "properties.total"
	return compile(t,
		Definition{Name: "n", Kind: Count, Event: e, Window: time.Hour},
		Definition{Name: "total", Kind: Sum, Event: e, Value: price},
		Definition{Name: "mean", Kind: Average, Event: e, Value: price},
		Definition{Name: "least", Kind: Min, Event: e, Value: price},
		Definition{Name: "most", Kind: Max, Event: e, Value: price},
		Definition{Name: "earliest", Kind: First, Event: e, Value: "properties.coupon"},
		Definition{Name: "newest", Kind: Last, Event: e, Value: price},
		Definition{Name: "kinds", Kind: Unique, Event: e, By: "properties.products[].category"},
		Definition{Name: "usual", Kind: MostFrequent, Event: e, By: "properties.products[].category"},
		Definition{Name: "usuals", Kind: MostFrequent, Event: e, By: "properties.products[].category", Limit: 2, AtLeast: 2},
		Definition{Name: "each", Kind: Distinct, Event: e, By: "properties.products[].category", Limit: 2},
		Definition{Name: "totals", Kind: Latest, Event: e, Value: price},
		Definition{Name: "quiet", Kind: TimeSince, Event: e, Unit: Minute},
		Definition{Name: "liked", Kind: Affinity, Event: e, By: "properties.products[].category", Value: "properties.products[].price", HalfLife: 14 * day},
		Definition{Name: "worth", Kind: RFM, Event: e, Value: price, Monetary: []float64{100, 50, 20, 10}},
		Definition{Name: "days", Kind: DaysActive, Event: e, Window: 7 * day},
		Definition{Name: "row", Kind: Streak, Event: e, Unit: Week},
		Definition{Name: "left", Kind: Sequence, Steps: []Step{{Event: e}}, Not: &Step{Event: "page"}, Within: time.Minute},
		Definition{Name: "hour", Kind: BestHour, Event: e},
	)
}

func ordered(t testing.TB, s *Set) *facet.Profile {
	f := &facet.Facet{}
	for i, text := range []string{
		`{"total":20,"coupon":" spring ","products":[{"category":"crime","price":15},{"category":"travel","price":5}]}`,
		`{"total":"30.5","products":[{"category":"crime","price":0.5},{"category":"cooking","price":30}]}`,
	} {
		e := track(t, "Order Completed", text)
		e.Timestamp, e.MessageID = now-int64(2-i)*60_000, fmt.Sprint(i)
		f.Fold(e, uint64(i+1), &facet.Rules{Contribute: s.Contribute})
	}
	return facet.Join([]*facet.Facet{f})
}

func TestEveryKind(t *testing.T) {
	s := one(t)
	c, none := s.Compute(ordered(t, s), now), s.Compute(nil, now)
	minute := int64(60_000)
	for name, want := range map[string]struct {
		value, none string
		until       int64
	}{
		"n": {"2", "0", now - 2*minute + time.Hour.Milliseconds()}, "total": {"50.5", "0", never}, "mean": {"25.25", "", never}, "least": {"20", "", never}, "most": {"30.5", "", never},
		"earliest": {`"spring"`, "", never}, "newest": {`"30.5"`, "", never}, "kinds": {"3", "0", never}, "usual": {`"crime"`, "", never}, "usuals": {`["crime"]`, "[]", never},
		"each": {`["cooking","crime"]`, "[]", never}, "totals": {`["30.5",20]`, "[]", never}, "quiet": {"1", "", now + minute}, "liked": {`"cooking"`, "", 0},
		"worth": {`{"recency":5,"frequency":2,"monetary":4,"score":"524"}`, "", now - minute + 7*day.Milliseconds()},
		"days":  {"1", "0", now + 12*time.Hour.Milliseconds()}, "row": {"1", "0", time.Date(2026, 3, 16, 0, 0, 0, 0, time.UTC).UnixMilli()}, "left": {"true", "false", never}, "hour": {"11", "", 0},
	} {
		v, ok := c.Get(name)
		if got := v.JSON(); !ok || string(got) != want.value || v.Known() != (got != "") || want.until > 0 && v.Until != want.until {
			t.Errorf("%s: %s until %d, want %s until %d", name, got, v.Until, want.value, want.until)
		}
		if v, _ := none.Get(name); string(v.JSON()) != want.none || v.Until != never {
			t.Errorf("%s of nobody: %s until %d, want %s", name, v.JSON(), v.Until, want.none)
		}
		if want.value != "" {
			if _, err := event.Check(string(v.JSON())); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestRulesReadEveryKind: each has its type, its value and an answer to has(), and
// the clock is told until when.
func TestRulesReadEveryKind(t *testing.T) {
	s := one(t)
	o := s.Object()
	env, err := rule.NewEnv(rule.Options{Objects: []*rule.Object{o}, Vars: []rule.Var{{Name: "computed", Type: cel.ObjectType(o.Name)}}})
	if err != nil {
		t.Fatal(err)
	}
	p := ordered(t, s)
	for _, c := range []struct {
		text        string
		some, none  bool
		untilMinute int64 // from now; 0: for ever
	}{
		{"computed.n >= 2", true, false, 58}, {"has(computed.n)", true, true, 58}, {"computed.total > 50.0", true, false, 0}, {"computed.mean == 25.25", true, false, 0}, {"has(computed.mean)", true, false, 0},
		{"computed.least == 20.0 && computed.most < 31.0", true, false, 0}, {"computed.earliest == 'spring'", true, false, 0}, {"computed.newest == '30.5'", true, false, 0},
		{"computed.kinds == 3", true, false, 0}, {"computed.usual == 'crime'", true, false, 0}, {"computed.usuals == ['crime']", true, false, 0}, {"'crime' in computed.each", true, false, 0},
		{"size(computed.each) == 2", true, false, 0}, {"has(computed.each)", true, false, 0}, {"computed.totals[1] == 20", true, false, 0},
		{"computed.quiet < duration('5m')", true, false, 4}, {"computed.quiet > duration('5m')", false, true, 4}, {"has(computed.quiet)", true, false, 0},
		{"computed.liked == 'cooking'", true, false, -1}, {"computed.worth.recency == 5 && computed.worth.score == '524'", true, false, -1}, {"has(computed.worth)", true, false, -1},
		{"computed.days == 1", true, false, 12 * 60}, {"computed.row == 1", true, false, -1}, {"computed.left", true, false, 0}, {"computed.hour == 11", true, false, -1},
	} {
		r, faults := env.Compile("p", c.text)
		if faults != nil {
			t.Errorf("%s: %v", c.text, faults)
			continue
		}
		for _, x := range []struct {
			p    *facet.Profile
			want bool
		}{{p, c.some}, {nil, c.none}} {
			var clock rule.Clock
			clock.At(now)
			computed := s.Compute(x.p, now)
			computed.Clock = &clock
			if got := r.Holds(vars{&computed}); got != x.want || r.Failures() > 0 {
				t.Errorf("%s: %v, want %v, %d failures", c.text, got, x.want, r.Failures())
			}
			want := int64(rule.Never)
			if c.untilMinute > 0 && x.p != nil {
				want = now + c.untilMinute*60_000
			}
			if near := clock.Until - want; c.untilMinute >= 0 && near != 0 && near != 1 || c.untilMinute < 0 && x.p != nil && clock.Until == rule.Never {
				t.Errorf("%s: until %d, want %d", c.text, clock.Until-now, want-now)
			}
		}
	}
}

type vars struct{ c *Computed }

func (v vars) ResolveName(name string) (any, bool) { return v.c, name == "computed" }
func (v vars) Parent() cel.Activation              { return nil }

// TestFingerprints: what the series hangs on tells definitions apart, what only
// names or reads it does not.
func TestFingerprints(t *testing.T) {
	base := Definition{Name: "x", Kind: Sum, Event: "E", Value: "properties.a", Window: day}
	steps := Definition{Kind: Sequence, Steps: []Step{{Event: "A"}, {Event: "B"}}, Within: day}
	same := func(a, b Definition) {
		t.Helper()
		if a.Fingerprint() != b.Fingerprint() {
			t.Errorf("different: %s and %s", a.Fingerprint(), b.Fingerprint())
		}
	}
	with := func(d Definition, change func(*Definition)) Definition { change(&d); return d }
	same(base, with(base, func(d *Definition) { d.Name, d.ID, d.Since, d.Pending, d.Hidden = "y", 7, 8, true, true }))
	same(base, with(base, func(d *Definition) { d.Kind = Average }))
	same(base, with(base, func(d *Definition) { d.Kind, d.Recency = RFM, []time.Duration{1, 2, 3, 4} }))
	same(base, with(base, func(d *Definition) { d.Event, d.Events = "", []string{"E", "E"} }))
	same(steps, with(steps, func(d *Definition) { d.Within, d.Steps, d.Not = time.Hour, d.Steps[:1], &d.Steps[1] }))
	same(Definition{Kind: Unique, By: "traits.a"}, Definition{Kind: Distinct, By: "traits.a", Limit: 7})
	same(Definition{Kind: Streak}, Definition{Kind: Streak, Unit: Day, Longest: true})
	seen := map[string]bool{base.Fingerprint(): true, steps.Fingerprint(): true}
	for i, d := range []Definition{
		with(base, func(d *Definition) { d.Event = "F" }), with(base, func(d *Definition) { d.Events = []string{"F"} }), with(base, func(d *Definition) { d.Where = "true" }),
		with(base, func(d *Definition) { d.Value = "properties.b" }), with(base, func(d *Definition) { d.Window = 2 * day }), with(base, func(d *Definition) { d.Site = "shop" }),
		with(base, func(d *Definition) { d.Kind, d.Value = Count, "" }), with(steps, func(d *Definition) { d.Window = day }), with(steps, func(d *Definition) { d.Steps = []Step{{Event: "B"}, {Event: "A"}} }),
		{Kind: Affinity, By: "traits.a", HalfLife: day}, {Kind: Affinity, By: "traits.a", HalfLife: 2 * day}, {Kind: MostFrequent, By: "traits.a"}, {Kind: Unique, By: "traits.a"},
		{Kind: First, Value: "traits.a"}, {Kind: Last, Value: "traits.a"}, {Kind: Latest, Value: "traits.a", Limit: 2}, {Kind: Latest, Value: "traits.a", Limit: 3},
		{Kind: Streak}, {Kind: Streak, Unit: Week}, {Kind: Streak, Timezone: Person}, {Kind: DaysActive, Window: 7 * day}, {Kind: BestHour}, {Kind: BestHour, HalfLife: day}, {Kind: BestHour, Timezone: "UTC"},
	} {
		if f := d.Fingerprint(); seen[f] {
			t.Errorf("%d: %s is another's", i, f)
		} else {
			seen[f] = true
		}
	}
	// What is on disk hangs on it: a changed one is filled anew, for everybody.
	const want = `{"Form":"amounts","Events":["E"],"Value":"properties.a","Window":86400000,"Most":128}`
	if got := base.Fingerprint(); got != want {
		t.Errorf("the fingerprint is %s, it was %s", got, want)
	}
}

// TestOneSeriesForAllThatAreTheSame: it gets each event once, and each reads it.
func TestOneSeriesForAllThatAreTheSame(t *testing.T) {
	s := compile(t,
		Definition{Name: "a", Kind: Sum, Event: "E", Value: "properties.v"},
		Definition{Name: "b", Kind: Max, Event: "E", Value: "properties.v"},
		Definition{Name: "c", Kind: Count, Event: "E"})
	f := &facet.Facet{}
	change := f.Fold(track(t, "E", `{"v":3}`), 1, &facet.Rules{Contribute: s.Contribute}).Change
	if f.Computed.Len() != 2 {
		t.Errorf("%d series", f.Computed.Len())
	}
	a, _ := s.Slot("a")
	b, _ := s.Slot("b")
	c, _ := s.Slot("c")
	if a != b || a == c || !change.Has(a) || !change.Has(c) || change.Has(2) {
		t.Errorf("slots %d %d %d, changed %v", a, b, c, change)
	}
	if _, err := Compile([]Definition{{Name: "a", Kind: Count, Event: "E", ID: 5}, {Name: "b", Kind: Count, Event: "F", ID: 5}}); err == nil || !strings.Contains(err.Error(), "one id, 5") {
		t.Errorf("two series with one id: %v", err)
	}
}

// TestVersionsBesideEachOther: the old one is read until the new one is filled.
func TestVersionsBesideEachOther(t *testing.T) {
	s := compile(t,
		Definition{Name: "n", Kind: Count, Event: "E", ID: 1},
		Definition{Name: "n", Kind: Count, Event: "E", Window: day, ID: 2, Since: 10, Pending: true},
		Definition{Name: "new", Kind: Count, Event: "E", Window: time.Hour, ID: 3, Since: 10, Pending: true},
		Definition{Name: "q_1", Kind: Count, Event: "E", Window: 2 * day, ID: 4, Hidden: true},
		Definition{Name: "blog", Kind: Count, Event: "E", Site: "blog", ID: 5})
	f := &facet.Facet{}
	for seq := uint64(9); seq <= 12; seq++ {
		e := track(t, "E", "")
		e.MessageID, e.Site = fmt.Sprint(seq), "shop"
		if seq == 12 {
			e.Site = "blog"
		}
		f.Fold(e, seq, &facet.Rules{Contribute: s.Contribute})
	}
	counts := ""
	p := facet.Join([]*facet.Facet{f})
	for id := uint32(1); id <= 5; id++ {
		n, _ := p.Series(id).Tally("", now, 0)
		counts += fmt.Sprint(n.N, " ")
	}
	if counts != "4 2 2 4 1 " {
		t.Errorf("the series have %s", counts)
	}
	c := s.Compute(p, now)
	shown := ""
	c.Each(func(name string, v Value) { shown += name + "=" + string(v.JSON()) + " " })
	if shown != "n=4 blog=1 " {
		t.Errorf("shown: %s", shown)
	}
	if _, ok := c.Get("new"); ok {
		t.Error("a pending one is read")
	}
	if v, ok := c.Get("q_1"); !ok || v.JSON() != "4" {
		t.Error("a hidden one is not read")
	}
	if !s.Wants(event.Track, "E") || s.Wants(event.Page, "E") || s.Wants(event.Track, "F") {
		t.Error("wants")
	}
}

func TestReach(t *testing.T) {
	hours := Definition{Name: "a", Kind: Count, Event: "E", Window: time.Hour}
	for _, c := range []struct {
		list []Definition
		want time.Duration
	}{
		{nil, 0}, {[]Definition{hours}, time.Hour + 37500*time.Millisecond},
		{[]Definition{hours, {Name: "b", Kind: DaysActive, Window: 7 * day}}, 9 * day},
		{[]Definition{hours, {Name: "b", Kind: Affinity, By: "traits.a", HalfLife: day}}, 8*day + 2*time.Hour},
		{[]Definition{hours, {Name: "b", Kind: TimeSince}}, 0}, {[]Definition{{Name: "b", Kind: Streak}, hours}, 0},
	} {
		if got := compile(t, c.list...).Reach(); got != c.want {
			t.Errorf("%v: %s, want %s", c.list, got, c.want)
		}
	}
}

func TestEveryFault(t *testing.T) {
	seq := Definition{Kind: Sequence, Steps: []Step{{Event: "A"}, {Event: "B"}}}
	with := func(d Definition, change func(*Definition)) Definition {
		d.Steps = append([]Step(nil), d.Steps...)
		change(&d)
		return d
	}
	for _, c := range []struct {
		d          Definition
		path, says string
	}{
		{Definition{Kind: "afinity"}, "kind", "did you mean affinity?"},
		{Definition{Kind: Sum}, "value", "such as properties.revenue"},
		{Definition{Kind: Sum, Value: "properties.a[]b"}, "value", "expected the path"},
		{Definition{Kind: Sum, Value: "properties.a[].b[]"}, "value", "expected the path"},
		{Definition{Kind: Sum, Value: "properties.a[]."}, "value", ""},
		{Definition{Kind: Unique, By: "properties.a", Value: "properties.b"}, "value", "has no value"},
		{Definition{Kind: Count, Window: 401 * day}, "window", "up to 400d"},
		{Definition{Kind: First, Value: "traits.a", Window: day}, "window", "has no window"},
		{Definition{Kind: TimeSince, Window: day}, "window", "has no window"},
		{Definition{Kind: DaysActive, Window: 36 * time.Hour}, "window", "whole days"},
		{Definition{Kind: Count, HalfLife: day}, "half_life", "has no half_life"},
		{Definition{Kind: Affinity, By: "traits.a", HalfLife: 401 * day}, "half_life", "at most 400d"},
		{Definition{Kind: Count, Limit: 1}, "limit", "has no limit"},
		{Definition{Kind: Latest, Value: "traits.a", Limit: 101}, "limit", "1 to 100"},
		{Definition{Kind: Distinct, By: "traits.a", Limit: -1}, "limit", "1 to 256"},
		{Definition{Kind: Count, AtLeast: 1}, "at_least", "has no at_least"},
		{Definition{Kind: MostFrequent, By: "traits.a", AtLeast: -1}, "at_least", "1 or more"},
		{Definition{Kind: Count, Longest: true}, "longest", "has no longest"},
		{Definition{Kind: Count, Unit: Day}, "unit", "has no unit"},
		{Definition{Kind: Streak, Unit: "weeks"}, "unit", "did you mean week?"},
		{Definition{Kind: TimeSince, Unit: Week}, "unit", "second, minute, hour, day"},
		{Definition{Kind: Count, Timezone: "UTC"}, "timezone", "has no timezone"},
		{Definition{Kind: Streak, Timezone: "Europe/Helsinky"}, "timezone", "did you mean Europe/Helsinki?"},
		{Definition{Kind: BestHour, Timezone: "Local"}, "timezone", "IANA"},
		{Definition{Kind: Count, Recency: []time.Duration{1}}, "recency", "has no recency"},
		{Definition{Kind: RFM, Value: "traits.a", Recency: []time.Duration{4, 3, 2, 1}}, "recency", "the best first"},
		{Definition{Kind: RFM, Value: "traits.a", Frequency: []int{3, 2, 1}}, "frequency", "four thresholds"},
		{Definition{Kind: RFM, Value: "traits.a", Monetary: []float64{1, 2, 3, 4}}, "monetary", "the best first"},
		{Definition{Kind: Count, Events: []string{"A", ""}}, "events[1]", "saw nothing"},
		{Definition{Kind: Count, Steps: seq.Steps}, "steps", "use kind: sequence"},
		{Definition{Kind: Count, Not: &Step{}}, "not", "use kind: sequence"},
		{Definition{Kind: Count, Within: day}, "within", "use kind: sequence"},
		{with(seq, func(d *Definition) { d.Event = "A" }), "event", "in steps"},
		{with(seq, func(d *Definition) { d.Steps = d.Steps[:1] }), "steps", "2 to 8"},
		{with(seq, func(d *Definition) { d.Steps = make([]Step, 9) }), "steps", "saw 9"},
		{with(seq, func(d *Definition) { d.Steps[1].Event = "" }), "steps[1].event", "saw nothing"},
		{with(seq, func(d *Definition) { d.Steps[1].Where = "oops" }), "steps[1].where", "column 1"},
		{with(seq, func(d *Definition) { d.Not, d.Within = &Step{Event: "C", Where: "1"}, day }), "not.where", "expected a bool"},
		{with(seq, func(d *Definition) { d.Not = &Step{Event: "C"} }), "within", "such as 3d"},
		{with(seq, func(d *Definition) { d.Within = -1 }), "within", "at most 400d"},
	} {
		c.d.Name = "x"
		_, err := Compile([]Definition{c.d})
		var faults rule.Faults
		if !errors.As(err, &faults) || faults[0].Path != "traits[0]."+c.path || !strings.Contains(faults[0].Error(), c.says) {
			t.Errorf("%+v: got %v, want %s … %s", c.d, err, c.path, c.says)
		}
	}
	var many []Definition
	for i := range facet.MaxComputed + 1 {
		many = append(many, Definition{Name: fmt.Sprint("n", i), Kind: Count, Event: fmt.Sprint("E", i)})
	}
	if _, err := Compile(many); err == nil || !strings.Contains(err.Error(), "the limit is 256") {
		t.Errorf("257 traits: %v", err)
	}
}

// TestComputedIsUsedAgain without anything of the last person, or the heap.
func TestComputedIsUsedAgain(t *testing.T) {
	s := one(t)
	p := ordered(t, s)
	var c Computed
	c.Reset(s, p, now)
	c.Each(func(string, Value) {})
	c.Reset(s, nil, now)
	c.Each(func(name string, v Value) {
		if strings.ContainsAny(string(v.JSON()), "123456789c") {
			t.Errorf("%s is still %s", name, v.JSON())
		}
	})
	for i, d := range s.defs {
		if d.Kind == Latest || d.Kind == Distinct || d.Kind == MostFrequent && d.Limit > 1 {
			continue // lists
		}
		c.Reset(s, p, now)
		c.value(i)
		if n := testing.AllocsPerRun(100, func() { c.Reset(s, p, now); c.value(i) }); n > 2 { // the spans of a sequence
			t.Errorf("%s: %v allocations", d.Name, n)
		}
	}
}
