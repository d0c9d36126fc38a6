package rule

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/reuna/reuna/identity/event"
)

// vars are names with values, for tests.
type vars map[string]any

func (v vars) ResolveName(name string) (any, bool) { x, ok := v[name]; return x, ok }
func (v vars) Parent() cel.Activation              { return nil }

type shop struct {
	name  string
	stock int64
}

func testEnv(t testing.TB) *Env {
	t.Helper()
	env, err := NewEnv(Options{
		Vars: []Var{
			{Name: "o", Type: cel.MapType(cel.StringType, cel.DynType)},
			{Name: "list", Type: cel.ListType(cel.StringType)},
			{Name: "text", Type: cel.StringType},
			{Name: "at", Type: cel.TimestampType},
			{Name: "shop", Type: cel.ObjectType("test.shop")},
		},
		Objects: []*Object{{Name: "test.shop", Fields: []Field{
			{Name: "name", Type: types.StringType, Get: func(of any) (any, bool) { s, _ := of.(*shop); return types.String(s.name), s.name != "" }},
			{Name: "stock", Type: types.IntType, Get: func(of any) (any, bool) { s, _ := of.(*shop); return types.Int(s.stock), s.stock != 0 }},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func TestRulesOverJSON(t *testing.T) {
	env := testEnv(t)
	in := vars{
		"o":    FromJSON(`{"plan":"pro","age":30,"big":9007199254740993,"vip":true,"none":null,"tags":["a","b\n"],"deep":{"er":{"x":1.5}},"ke\u0079":"esc","":"empty"}`),
		"list": &Texts{"x", "y"}, "text": "hello", "shop": &shop{name: "north"},
		"at": types.Timestamp{Time: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)},
	}
	for _, c := range []struct {
		rule string
		want bool
	}{
		{"o.plan == 'pro'", true},
		{"o['plan'] == 'pro'", true},
		{"o.plan in ['free', 'pro']", true},
		{"o.age == 30", true},
		{"o.age == 30.0", true},
		{"o.age >= 18 && o.age < 31", true},
		{"o.age in [29, 30]", true},
		{"30 == o.age", true},
		{"o.vip == true", true},
		{"o.none == null", true},
		{"has(o.none)", true},
		{"o.tags[1] == 'b\\n'", true},
		{"'a' in o.tags", true},
		{"size(o.tags) == 2", true},
		{"o.tags.exists(t, t.startsWith('b'))", true},
		{"o.deep.er.x > 1", true},
		{"o.key == 'esc'", true},
		{"o[''] == 'empty'", true},
		{"'plan' in o", true},
		{"o.exists(k, k == 'vip')", true},
		{"size(o) == 9", true},
		{"o.deep == {'er': {'x': 1.5}}", true},
		{"o.deep == o.deep && o == o", true},
		{"type(o.deep) == map", true},
		{"at.getHours() == 12", true},
		{"at - duration('1h') < at", true},
		{"shop.name == 'north' && has(shop.name)", true},
		{"!has(shop.stock) && shop.stock == 0", true},
		{"text.matches('^h.*o$')", true},
		{"text.matches('^h[a-z]{4}$')", true},
		{"text.matches('^[a-z]{6,}$')", false},

		// What is missing does not match, whichever way it is asked…
		{"o.nothing == 'pro'", false},
		{"o.nothing != 'pro'", false},
		{"!(o.nothing == 'pro')", false},
		{"o.deep.no.x == 1", false},
		{"o.tags[2] == 'c'", false},
		{"has(o.nothing)", false},
		{"has(o.deep.no)", false},
		// …unless the outcome does not hang on it, or the rule says what then.
		{"o.nothing == 'pro' || o.vip == true", true},
		{"o.?nothing.orValue('free') == 'free'", true},
		{"o.?plan.orValue('free') == 'pro'", true},
		{"o.?deep.?er.?x.orValue(0.0) == 1.5", true},
		{"!has(o.nothing)", true},
	} {
		r, bad := env.Compile("rule", c.rule)
		if bad != nil {
			t.Errorf("%s: %v", c.rule, bad)
			continue
		}
		if got := r.Holds(in); got != c.want {
			t.Errorf("%s: got %v, want %v", c.rule, got, c.want)
		}
		if n := r.Failures(); n != 0 {
			t.Errorf("%s: %d failures besides missing keys", c.rule, n)
		}
	}
}

func TestFailuresAreCounted(t *testing.T) {
	env := testEnv(t)
	for _, text := range []string{"o.plan > 3", "o.plan - 1 == 2", "shop == shop", "[shop].size() == 1 && test.shop{name: 'x'}.name == 'x'"} {
		r, bad := env.Compile("rule", text)
		if bad != nil {
			t.Fatalf("%s: %v", text, bad)
		}
		in := vars{"o": FromJSON(`{"plan":"pro"}`), "shop": &shop{}}
		for range 3 {
			if r.Holds(in) {
				t.Errorf("%s holds", text)
			}
		}
		if n := r.Failures(); n != 3 {
			t.Errorf("%s: %d failures counted, want 3", text, n)
		}
	}
}

func TestFaultsNameThePlace(t *testing.T) {
	env := testEnv(t)
	for _, c := range []struct {
		rule         string
		line, column int
		says         string
	}{
		{"", 0, 0, "saw no rule"},
		{" \n", 0, 0, "saw no rule"},
		{"o.plan == ", 1, 11, "the end of the rule"},
		{"o.plan = 'x'", 1, 8, "saw =, expected an operator that rules have"},
		{"o.plan == 'x", 1, 11, "saw a text that does not end, expected another ' behind it"},
		{"plan == 'x'", 1, 1, "there is no plan; a rule here may use o, list, text, at, shop"},
		{"text == 'a' &&\n  foo == 'x'", 2, 3, "there is no foo"},
		{"shop.nam == 'x'", 1, 5, "there is no shop.nam"},
		{"shop.stock == 'x'", 1, 12, "saw shop.stock (int) == \"x\" (string), expected values that go together"},
		{"text.lower() == 'x'", 1, 11, "there is no function lower"},
		{"text", 1, 1, "the rule gives string, expected a bool"},
		{"o.plan", 1, 1, "the rule gives a value of any type, expected a bool"},
		{"1 + 2", 1, 1, "the rule gives int"},
		{"text.matches('(')", 1, 14, "expected a regular expression (RE2): error parsing regexp: missing closing )"},
		{"text.matches(text)", 1, 13, "must be written in the rule"},
		{"text.matches(o.pattern)", 1, 13, "must be written in the rule"},
		{"at > timestamp('yesterday')", 1, 16, "saw \"yesterday\", expected a moment such as timestamp('2026-01-31T00:00:00Z')"},
		{"at - duration('2 days') > at", 1, 15, "saw \"2 days\", expected a time in hours, minutes and seconds, such as duration('36h')"},
		{"o.exists(a, o.exists(b, a == b))", 1, 1, "steps, the limit is 100000"},
		{"list.all(a, list.all(b, list.all(c, a == b)))", 1, 25, "loops stand 3 deep in each other, the limit is 2; the rule may cost up to "},
		{"text.matches('(a{9}){100}')", 1, 14, "the pattern \"(a{9}){100}\" may cost up to 1102 steps for each character, the limit is 1000"},
		{"text.matches('a{9999}')", 1, 14, "expected a regular expression (RE2): error parsing regexp: invalid repeat count"},
		{strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100), 1, 1, "nested more than 40 levels deep"},
		{strings.Repeat("a", 5000), 0, 0, "the rule has 5000 bytes; the limit is 4096"},
		{"ü.é", 1, 1, "saw ü, expected a rule's own signs"},
		{"text == 'ä' && x", 1, 16, "there is no x"},
	} {
		_, bad := env.Compile("segments[0].when", c.rule)
		if len(bad) == 0 {
			t.Errorf("%q is taken", c.rule)
			continue
		}
		f := bad[0]
		if f.Path != "segments[0].when" || c.line > 0 && f.Line != c.line || c.column > 0 && f.Column != c.column || !strings.Contains(f.Message, c.says) {
			t.Errorf("%q: %+v, want line %d, column %d, %q", c.rule, f, c.line, c.column, c.says)
		}
	}
}

func TestFaultText(t *testing.T) {
	for _, c := range []struct {
		f    Fault
		want string
	}{
		{Fault{Path: "traits[0].name", Message: "m"}, "traits[0].name: m"},
		{Fault{Path: "p", Line: 1, Column: 4, Message: "m"}, "p: column 4: m"},
		{Fault{Line: 2, Column: 4, Message: "m"}, "line 2, column 4: m"},
	} {
		if got := c.f.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if got := (Faults{{Path: "a", Message: "b"}, {Path: "c", Message: "d"}}).Error(); got != "a: b\nc: d" {
		t.Errorf("got %q", got)
	}
	if (Faults)(nil).Err() != nil {
		t.Error("no faults are an error")
	}
}

// endless is a map that is larger than any estimate.
type endless struct{ list event.Value }

func (e endless) Find(key string) (ref.Val, bool) {
	if key == "list" {
		return FromJSON(e.list), true
	}
	return types.String("v"), true
}

func (endless) All() map[string]any {
	m := map[string]any{}
	for i := range maxItems + 1 {
		m[fmt.Sprint(i)] = "v"
	}
	return m
}

func TestWhatIsLargerThanTheEstimateFails(t *testing.T) {
	env := testEnv(t)
	list := "[" + strings.TrimSuffix(strings.Repeat("1,", maxItems+1), ",") + "]"
	for _, text := range []string{"o.exists(k, k == 'x')", "o.all(k, k != 'x')", "size(o) == 0", "o == {}", "o == o", "o.list.exists(x, true)", "1 in o.list"} {
		r, bad := env.Compile("rule", text)
		if bad != nil {
			t.Fatalf("%s: %v", text, bad)
		}
		if got := r.Holds(vars{"o": NewMap(endless{event.Value(list)}, 1000)}); got || r.Failures() != 1 {
			t.Errorf("%s: %v with %d failures, want false with one", text, got, r.Failures())
		}
	}
	// Looking keys up is no walk.
	r, bad := env.Compile("rule", strings.TrimSuffix(strings.Repeat("o.k == 'v' && ", 3*manyFinds), "&& "))
	if bad != nil {
		t.Fatal(bad)
	}
	if !r.Holds(vars{"o": NewMap(endless{}, 1000)}) || r.Failures() != 0 {
		t.Error("a key of a large map is not found")
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{"o.plan == 'pro'", "has(o.a) && o.a in list", "o.?a.orValue(1) > 2", "list.exists(x, x == text)", "text.matches('a+')", "at > timestamp('2026-01-01T00:00:00Z')", "((", "'\\u{110000}' == text", "shop.stock > 9223372036854775807", "{1: 2}[1] == 2", "b'a' == b'b'", "[1,2].map(x, x*2).size() == 1", "duration('1h') == at - at"} {
		f.Add(s, `{"a":1,"plan":["x"]}`)
	}
	env := testEnv(f)
	f.Fuzz(func(t *testing.T, text, data string) {
		v, err := event.Check(data)
		if err != nil || v.Kind() != event.Object {
			v = "{}"
		}
		r, bad := env.Compile("p", text)
		if (r == nil) == (len(bad) == 0) {
			t.Fatalf("%q: rule %v, faults %v", text, r, bad)
		}
		for _, x := range bad {
			if x.Path != "p" || x.Message == "" || x.Line < 0 || x.Column < 0 {
				t.Fatalf("%q: fault %+v", text, x)
			}
		}
		if r != nil {
			r.Holds(vars{"o": FromJSON(v), "list": &Texts{"x"}, "text": text, "shop": &shop{}, "at": types.Timestamp{Time: time.Unix(0, 0)}})
		}
	})
}

func BenchmarkHolds(b *testing.B) {
	env := testEnv(b)
	o := FromJSON(`{"plan":"pro","age":30}`)
	for _, text := range []string{"shop.stock >= 5", "o.plan == 'pro'", "o.nothing == 'pro'", "o.plan == 'pro' && shop.stock > 1 && has(o.age)", "o.exists(k, k.startsWith('x'))"} {
		r, bad := env.Compile("rule", text)
		if bad != nil {
			b.Fatal(bad)
		}
		var in cel.Activation = vars{"o": o, "shop": &shop{stock: 7}}
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Holds(in)
			}
		})
	}
}
