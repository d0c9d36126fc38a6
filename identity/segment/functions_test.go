package segment

import (
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait"
)

func TestQueries(t *testing.T) {
	for _, c := range []struct {
		rule string
		want []trait.Definition
	}{
		{"counts.orders > 0", nil},
		{"count('Order Completed', '30d') > 2", []trait.Definition{{Kind: trait.Count, Event: "Order Completed", Window: 30 * day}}},
		{"counts.orders > 0 || count(\"page\", 'ever') == 0", []trait.Definition{{Kind: trait.Count, Event: "page"}}},
		{"count('A', properties.category == 'a, b)' && has(properties.x), '90m') > 0", []trait.Definition{{Kind: trait.Count, Event: "A", Where: "properties.category == 'a, b)' && has(properties.x)", Window: 90 * time.Minute}}},
		{"count('A',\n  properties.x   in\t[1, 2] // either\n , '2w') > 0", []trait.Definition{{Kind: trait.Count, Event: "A", Where: "properties.x in [1, 2]", Window: 14 * day}}},
		{"count('A', properties.x == '  // no comment', '1s') > 0", []trait.Definition{{Kind: trait.Count, Event: "A", Where: "properties.x == '  // no comment'", Window: time.Second}}},
		{`count('A', properties.x == r'\' || properties.y == "a'", '1h') > 0`, []trait.Definition{{Kind: trait.Count, Event: "A", Where: `properties.x == r'\' || properties.y == "a'"`, Window: time.Hour}}},
		{"sum('A', 'properties.total', '30d') > 9.5", []trait.Definition{{Kind: trait.Sum, Event: "A", Value: "properties.total", Window: 30 * day}}},
		{"sum('A', 'properties.total', properties.currency == 'EUR', 'ever') > 9.5", []trait.Definition{{Kind: trait.Sum, Event: "A", Value: "properties.total", Where: "properties.currency == 'EUR'"}}},
		{"followed(step('A', properties.x > 1), step('B'), step('page'), '3d')", []trait.Definition{{Kind: trait.Sequence, Steps: []trait.Step{{Event: "A", Where: "properties.x > 1"}, {Event: "B"}, {Event: "page"}}, Within: 3 * day}}},
		{"!notFollowed(step('A'), step('B', properties.x > 1), '3d')", []trait.Definition{{Kind: trait.Sequence, Steps: []trait.Step{{Event: "A"}}, Not: &trait.Step{Event: "B", Where: "properties.x > 1"}, Within: 3 * day}}},
		{"count('A', '1d') > count('A', '2d') || count('A', '1d') == 0", []trait.Definition{{Kind: trait.Count, Event: "A", Window: day}, {Kind: trait.Count, Event: "A", Window: 2 * day}}},
		{"traits.x.count('A', '1d') > 0", nil}, // another function, of a value: Compile says so
		{"'count(1)' == traits.x // count('A', '1d')", nil},
		{"count('A', '1d' > 0", nil}, // no rule: Compile says so
	} {
		got, bad := Queries("p", c.rule)
		if bad != nil {
			t.Errorf("%s: %v", c.rule, bad)
			continue
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %+v, want %+v", c.rule, got, c.want)
			continue
		}
		for i, d := range got {
			if !d.Hidden || !strings.HasPrefix(d.Name, "q_") || d.Fingerprint() != c.want[i].Fingerprint() || d.Within != c.want[i].Within || (d.Not == nil) != (c.want[i].Not == nil) || d.Kind != c.want[i].Kind || d.Where != c.want[i].Where {
				t.Errorf("%s: %+v, want %+v", c.rule, d, c.want[i])
			}
		}
	}
	name := func(text string) string {
		list, bad := Queries("p", text)
		if bad != nil || len(list) != 1 {
			t.Fatal(text, bad)
		}
		return list[0].Name
	}
	if name("count('A', properties.x==1, '1d') > 0") == name("count('A', properties.x==2, '1d') > 0") {
		t.Error("two conditions, one name")
	}
	if name("count('A', properties.x  == 1,'24h') > 0") != name("1 < count( \"A\" , properties.x == 1 , '1d')") {
		t.Error("one question, two names")
	}
	if name("followed(step('A'), step('B'), '1d')") == name("notFollowed(step('A'), step('B'), '1d')") || name("followed(step('A'), step('B'), '1d')") == name("followed(step('A'), step('B'), '2d')") {
		t.Error("two sequences, one name")
	}
}

func TestFaultsOfFunctions(t *testing.T) {
	env := NewEnv(nil)
	for _, c := range []struct {
		rule         string
		line, column int
		says         string
	}{
		{"count('A') > 0", 1, 1, "saw count with 1 arguments, expected such as count('Order Completed', '30d')"},
		{"true && count() > 0", 1, 9, "saw count with 0 arguments"},
		{"count('A', true, '1d', '1d') > 0", 1, 1, "saw count with 4 arguments"},
		{"count(traits.x, '1d') > 0", 1, 7, "saw traits.x, expected an event's name"},
		{"count('A', '30 days') > 0", 1, 12, "saw '30 days', expected a time such as '30d', '1h' or 'ever' at the end of count"},
		{"count('A', 30) > 0", 1, 12, "saw 30, expected a time"},
		{"count('A', '0d') > 0", 1, 12, "saw '0d', expected a time"},
		{"count('A', '99999999999w') > 0", 1, 12, "expected a time"},
		{"count('A', '1d', properties.x > 1) > 0", 1, 18, "saw properties.x > 1, expected a time"},
		{"count('A', property.x > 1, '1d') > 0", 1, 12, "there is no property; a rule here may use event, type, properties, context, time; did you mean properties?"},
		{"true ||\n  count('A', properties.x >, '1d') > 0", 2, 28, "saw , behind >, expected a value or a condition"},
		{"true ||\n  count('A', properties.x,\n '1d') > 0", 2, 14, "the rule gives a value of any type, expected a bool"},
		{"count('A', traits.plan == 'pro', '1d') > 0", 1, 12, "there is no traits"},
		{"sum('A', 'properties.total') > 1.0", 1, 1, "saw sum with 2 arguments, expected such as sum("},
		{"sum('A', properties.total, '1d') > 1.0", 1, 10, "saw properties.total, expected the path of an amount"},
		{"sum('A', 'total', '1d') > 1.0", 1, 1, `sum: its value: saw "total"`},
		{"followed(step('A'), '3d')", 1, 1, "saw followed with 2 arguments"},
		{"followed('A', step('B'), '3d')", 1, 10, "saw 'A', expected a step such as step('Product Viewed')"},
		{"followed(step('A'), step('B'), 'ever')", 1, 32, "saw 'ever', expected how long followed waits"},
		{"followed(step('A', properties.x = 1), step('B'), '3d')", 1, 33, "saw =, expected an operator that rules have"},
		{"notFollowed(step('A'), step('B', prop.x == 1), '3d')", 1, 34, "there is no prop"},
		{"notFollowed(step('A'), step('B'), step('C'), '3d')", 1, 1, "saw notFollowed with 4 arguments"},
		{"followed(step(), step('B'), '3d')", 1, 10, "saw step with 0 arguments"},
		{"step('A')", 1, 1, "a step stands in a sequence only"},
		{"count('A', '1d') > 0", 1, 1, "the computed trait that count stands for was not made"},
	} {
		_, bad := env.Rule("when", c.rule, nil)
		if len(bad) == 0 || bad[0].Path != "when" || bad[0].Line != c.line || bad[0].Column != c.column || !strings.Contains(bad[0].Text(), c.says) {
			t.Errorf("%q: %v\nwant line %d, column %d: %s", c.rule, bad, c.line, c.column, c.says)
		}
		_, again := Queries("when", c.rule)
		if strings.HasPrefix(c.says, "saw , ") || strings.HasPrefix(c.says, "saw =,") || strings.Contains(c.says, "not made") {
			continue // of the rule itself
		}
		if len(again) == 0 || again[0] != bad[0] {
			t.Errorf("%q: Queries says %v, Compile %v", c.rule, again, bad)
		}
	}
}

func TestExplain(t *testing.T) {
	w := newWorld(t, []trait.Definition{{Name: "views", Kind: trait.Count, Event: "Product Viewed", Window: time.Hour}, {Name: "favourite", Kind: trait.Affinity, Event: "Product Viewed", By: "properties.category", HalfLife: day}},
		Definition{Name: "viewers", When: "computed.views >= 1"},
		Definition{Name: "fans", Site: "shop", When: "'viewers' in segments &&\n (computed.favourite == 'thrillers' || traits.plan == 'pro') && !(count('Order Completed', properties.category == 'thrillers', '2h') >= 2) && now - counts.lastOrder > duration('1h')"},
	)
	w.fold(0, event.Event{Type: event.Page, Site: "shop"})
	v, _ := event.Check(`{"category":"thrillers"}`)
	w.fold(0, event.Event{Type: event.Track, Name: "Product Viewed", Site: "shop", Properties: v, Timestamp: w.now})
	x, err := w.set.Explain(w.subject(new(Subject), w.now), "fans")
	if err != nil {
		t.Fatal(err)
	}
	if !x.In || x.Site != "shop" || x.SeenOn != "shop" || x.Until != w.now+3_600_000 {
		t.Errorf("%+v", x)
	}
	var b strings.Builder
	for _, p := range x.Parts {
		b.WriteString(strings.Repeat("  ", p.Depth) + p.Text + " →")
		switch {
		case p.Holds != nil && *p.Holds:
			b.WriteString(" yes")
		case p.Holds != nil:
			b.WriteString(" no")
		}
		if p.Value != "" {
			b.WriteString(" " + p.Value)
		}
		if p.Error != "" {
			b.WriteString(" ! " + p.Error)
		}
		b.WriteString("\n")
	}
	want := `"viewers" in segments && (computed.favourite == "thrillers" || traits.plan == "pro") && !(count("Order Completed", properties.category == "thrillers", "2h") >= 2) && now - counts.lastOrder > duration("1h") → yes
  "viewers" in segments → yes
    segments → ["viewers"]
  computed.favourite == "thrillers" || traits.plan == "pro" → yes
    computed.favourite == "thrillers" → yes
      computed.favourite → "thrillers"
    traits.plan == "pro" → ! no such key: plan
      traits.plan → ! no such key: plan
  !(count("Order Completed", properties.category == "thrillers", "2h") >= 2) → yes
    count("Order Completed", properties.category == "thrillers", "2h") >= 2 → no
      count("Order Completed", properties.category == "thrillers", "2h") → 0
  now - counts.lastOrder > duration("1h") → yes
    now → "2026-03-04T12:00:00Z"
    counts.lastOrder → "1970-01-01T00:00:00Z"
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	if p := x.Parts[3]; p.Line != 2 || p.Column != 3 {
		t.Errorf("%+v stands at line 2, column 3", p)
	}
	if _, err := w.set.Explain(w.subject(new(Subject), w.now), "nobody"); err == nil {
		t.Error("an audience that there is not is explained")
	}
	// What a look explains is what judging says.
	st := w.anew(w.now)
	for _, name := range w.set.All() {
		if x, err := w.set.Explain(w.subject(new(Subject), w.now), name); err != nil || !x.In || *x.Parts[0].Holds != x.In {
			t.Errorf("%s: %+v, %v; standing %s", name, x, err, w.names(st))
		}
	}
}

func TestReads(t *testing.T) {
	w := newWorld(t, []trait.Definition{{Name: "views", Kind: trait.Count, Event: "Product Viewed"}, {Name: "hour", Kind: trait.BestHour, Event: "page"}, {Name: "unread", Kind: trait.Count, Event: "X"}},
		Definition{Name: "a", When: "computed.views > 1 && now > timestamp('2026-01-01T00:00:00Z')"},
		Definition{Name: "b", When: "'a' in segments || traits.plan == 'pro'"},
		Definition{Name: "c", When: "computed.hour == 9", Site: "shop"},
	)
	var want facet.Change
	want.Core = facet.ChangedTraits | facet.ChangedDevice | facet.ChangedGeo | facet.ChangedSite
	want.Mark(0)
	want.Mark(1)
	if got := w.set.Reads(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if (*Set)(nil).Reads() != (facet.Change{}) {
		t.Error("nobody reads something")
	}
}

func FuzzQueries(f *testing.F) {
	for _, s := range []string{"count('A', '1d') > 0", "count('A', properties.x == 'a,b)', '1d') > 0", "sum('A', 'properties.b', true, 'ever') > 1.0", "followed(step('A', properties.x in [1, 2]), step('B'), '3d')", "notFollowed(step('A'), step('B', '''x''' == \"y\"), '3d')",
		"count(r'A', properties.x == b'\\x00', '1d') // x\n > 0", "count(count('A', '1d'), '1d') > 0", "[1].exists(x, count('A', '1d') > x)", "step()", "count(,) > 0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, bad := Queries("p", text)
		for _, x := range bad {
			if x.Path != "p" || x.Message == "" || x.Line < 1 || x.Column < 1 {
				t.Fatalf("%q: fault %+v", text, x)
			}
		}
		if len(bad) > 0 {
			return
		}
		set, err := trait.Compile(list)
		if err != nil {
			t.Fatalf("%q: its queries %+v are wrong: %v", text, list, err)
		}
		r, faults := NewEnv(set).Rule("p", text, nil)
		if (r == nil) == (len(faults) == 0) {
			t.Fatalf("%q: %v, %v", text, r, faults)
		}
		for _, x := range faults {
			if strings.Contains(x.Message, "was not made") {
				t.Fatalf("%q: %v", text, x)
			}
		}
		if r != nil {
			r.Holds(&Subject{Now: now})
		}
	})
}
