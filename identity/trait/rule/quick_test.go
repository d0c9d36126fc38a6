package rule

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"github.com/reuna/reuna/identity/event"
)

// subject is what rules of these tests are about.
type subject struct {
	age, views int64
	spent      float64
	name       string
	fan        bool
	any        event.Value
	ordered    int64 // ms; 0: never
	seen       int64
	tags       Texts
	clock      *Clock
	moving     Moving
	properties event.Value
	object     Map
}

func (p *subject) ResolveName(name string) (any, bool) {
	switch name {
	case "p":
		return p, true
	case "o":
		if !p.object.Ready() {
			p.object.Of(object(p.properties), maxItems)
		}
		return &p.object, true
	case "tags":
		return &p.tags, true
	case "site":
		return types.String(p.name), true
	case "now":
		return p.moving.Now(p.clock), true
	}
	return nil, false
}

func (p *subject) Parent() cel.Activation { return nil }

func (p *subject) ResolveText(name string) (string, bool) { return p.name, name == "site" }

func quickEnv(t testing.TB) *Env {
	t.Helper()
	type of = *subject
	env, err := NewEnv(Options{
		Vars: []Var{
			{Name: "p", Type: cel.ObjectType("test.person")},
			{Name: "o", Type: cel.MapType(cel.StringType, cel.DynType)},
			{Name: "tags", Type: cel.ListType(cel.StringType)},
			{Name: "site", Type: cel.StringType},
			{Name: "now", Type: cel.TimestampType, Moving: true},
		},
		Objects: []*Object{{Name: "test.person", Fields: []Field{
			{Name: "age", Type: types.IntType, Get: func(x any) (any, bool) { return types.Int(x.(of).age), x.(of).age != 0 }},
			{Name: "views", Type: types.IntType, Get: func(x any) (any, bool) { return types.Int(x.(of).views), x.(of).views != 0 }, Plain: func(x any) (Plain, bool) { return PlainInt(x.(of).views), x.(of).views != 0 }},
			{Name: "spent", Type: types.DoubleType, Get: func(x any) (any, bool) { return types.Double(x.(of).spent), x.(of).spent != 0 }, Plain: func(x any) (Plain, bool) { return PlainDouble(x.(of).spent), x.(of).spent != 0 }},
			{Name: "name", Type: types.StringType, Get: func(x any) (any, bool) { return types.String(x.(of).name), x.(of).name != "" }, Plain: func(x any) (Plain, bool) { return PlainText(x.(of).name), x.(of).name != "" }},
			{Name: "live", Type: types.IntType, Get: func(x any) (any, bool) {
				x.(of).clock.Note(testNow + 1)
				return types.Int(x.(of).views), true
			}, Plain: func(x any) (Plain, bool) {
				x.(of).clock.Note(testNow + 1)
				return PlainInt(x.(of).views), true
			}},
			{Name: "fan", Type: types.BoolType, Get: func(x any) (any, bool) { return types.Bool(x.(of).fan), true }, Plain: func(x any) (Plain, bool) { return PlainBool(x.(of).fan), true }},
			{Name: "any", Type: types.DynType, Get: func(x any) (any, bool) {
				if v := x.(of).any; v != "" {
					return FromJSON(v), true
				}
				return types.NullValue, false
			}, Plain: func(x any) (Plain, bool) {
				if v := x.(of).any; v != "" {
					return PlainJSON(v), true
				}
				return PlainJSON("null"), false
			}},
			{Name: "ordered", Type: types.TimestampType, Get: func(x any) (any, bool) {
				return types.Timestamp{Time: time.UnixMilli(x.(of).ordered).UTC()}, x.(of).ordered != 0
			}},
			{Name: "since", Type: types.DurationType, Get: func(x any) (any, bool) {
				if x.(of).seen == 0 {
					return types.Duration{Duration: math.MaxInt64}, false
				}
				return Since(x.(of).clock, x.(of).seen), true
			}, Plain: func(x any) (Plain, bool) {
				if x.(of).seen == 0 {
					return PlainOf(types.Duration{Duration: math.MaxInt64}), false
				}
				return PlainSince(x.(of).clock, x.(of).seen), true
			}},
			{Name: "tags", Type: types.NewListType(types.StringType), Get: func(x any) (any, bool) { return &x.(of).tags, len(x.(of).tags) > 0 }},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// chooser gives numbers below n: of chance, or of a fuzzer.
type chooser func(n int) int

func (c chooser) of(list ...string) string { return list[c(len(list))] }

// subject is made so that it often meets what rules ask.
func (c chooser) subject(now int64) *subject {
	age := func() int64 {
		if c(4) == 0 {
			return 0
		}
		return now - []int64{0, 1, 59_999, 60_000, 60_001, 3_599_999, 3_600_000, 86_400_000, 864_000_000}[c(9)]
	}
	p := &subject{age: []int64{0, 1, 2, 3, -1, exact, exact + 1, math.MaxInt64}[c(8)], views: int64(c(4)), spent: []float64{0, 1, 1.5, 2, exact, math.Inf(1), math.NaN(), math.Copysign(0, -1)}[c(8)],
		name: c.of("", "a", "b", "shop"), fan: c(2) == 0, any: event.Value(c.of("", c.json(0))), ordered: age(), seen: age(), tags: Texts{"a", "b", "c"}[:c(4)]}
	text := "{"
	for i, key := range []string{"a", "b", "c", "k\\u0061"} {
		if c(4) > 0 {
			if len(text) > 1 {
				text += ","
			}
			text += `"` + key + `":` + c.json(i%3)
		}
	}
	p.properties = event.Value(text + "}")
	return p
}

func (c chooser) json(depth int) string {
	switch k := c(12); {
	case k < 2 && depth < 3:
		return `{"a":` + c.json(depth+1) + `,"b":` + c.json(depth+1) + `}`
	case k < 5 && depth < 3:
		text := "["
		for i := range c(4) {
			if i > 0 {
				text += ", "
			}
			text += c.json(depth + 1)
		}
		return text + "]"
	}
	return c.of("null", "true", "false", "0", "1", "2", "1.5", "-1", "9007199254740993", "1e999", `"a"`, `"b"`, `"shop"`, `""`, `"\u0061"`, `"1"`)
}

func (c chooser) scalar(item string) string {
	if item != "" && c(3) > 0 {
		return c.of(item, item+".a", item+".b", item+"['a']")
	}
	switch c(3) {
	case 0:
		return c.of("1", "2", "-1", "0.0", "1.5", "'a'", "'b'", "'shop'", "''", "true", "false", "null", "9007199254740993", "9007199254740992.0")
	case 1:
		return c.of("o.a", "o.b", "o.c", "o.ka", "o.none", "o['b']", "o.a.a", "o.b.a.b", "size(o.a)", "size(o.c)")
	}
	return c.of("p.age", "p.views", "p.spent", "p.name", "p.fan", "p.any", "p.any.a", "site", "p.live", "p.spent - p.spent", "p.spent + 1.5")
}

func (c chooser) line(span bool) string {
	if span {
		return c.of("p.since", "now - p.ordered", "duration('1m')", "duration('3600s')", "duration('10h')", "p.since - duration('1h')", "now - now", "p.ordered - timestamp('2026-01-01T00:00:00Z')")
	}
	return c.of("now", "p.ordered", "now - duration('1h')", "p.ordered + duration('1m')", "p.ordered + p.since", "timestamp('2026-03-04T12:00:00Z')")
}

func (c chooser) rule(depth int, item string) string {
	if depth > 0 {
		switch c(8) {
		case 0, 1:
			return "(" + c.rule(depth-1, item) + " && " + c.rule(depth-1, item) + ")"
		case 2, 3:
			return "(" + c.rule(depth-1, item) + " || " + c.rule(depth-1, item) + ")"
		case 4:
			return "!(" + c.rule(depth-1, item) + ")"
		case 5:
			return "(" + c.rule(depth-1, item) + " ? " + c.rule(depth-1, item) + " : " + c.rule(depth-1, item) + ")"
		case 6:
			x := c.of("x", "y")
			list := c.of("o.a", "o.b", "p.any", "o.c.a")
			if item != "" {
				list = c.of(item, item+".a", list)
			}
			return list + c.of(".exists(", ".all(") + x + ", " + c.rule(depth-1, x) + ")"
		}
	}
	op := c.of("==", "!=", "<", "<=", ">", ">=")
	switch c(8) {
	case 0:
		return c.of("p.fan", "o.a == true", "has(p.age)", "has(p.views)", "has(p.since)", "has(p.any)", "has(o.a)", "has(o.none)", "has(o.a.b)", "has(o.none.b)", "has(p.any.a)", "true", "false")
	case 1:
		return c.of("'a'", "'b'", "'shop'") + " in " + c.of("tags", "p.tags", "o", "o.a", "o.b", "p.any", "['a', 'b']")
	case 2:
		return c.scalar(item) + " in " + c.of("['a', 'shop']", "[1, 2]", "[1.5, 1.0]", "[1, 'a', 2.0]", "[true, null]", "[9007199254740993]")
	case 3:
		return c.of("p.name", "o.a", "site", "p.any") + c.of(".startsWith", ".endsWith", ".contains") + c.of("('a')", "('')", "('sh')")
	case 4, 5:
		span := c(2) == 0
		return c.line(span) + " " + op + " " + c.line(span)
	}
	return c.scalar(item) + " " + op + " " + c.scalar(item)
}

// agree holds a rule's closure to what CEL says of somebody: its answer, how it
// fails, and until when that holds. sure is false where the closure leaves it to
// CEL.
func agree(t testing.TB, r *Rule, p *subject, now int64) (sure bool) {
	t.Helper()
	var mine, cels Clock
	mine.At(now)
	cels.At(now)
	p.clock = &mine
	got := r.quick(p, nil)
	p.clock = &cels
	v, _, err := r.program.Eval(p)
	want := no
	switch {
	case err != nil && isMissingKey(err):
		want = missing
	case err != nil:
		want = failed
	case v == types.True:
		want = yes
	}
	text := textOf(r.tree.NativeRep(), r.tree.NativeRep().Expr())
	if got == unsure {
		if mine.Until < cels.Until {
			t.Fatalf("%s: noted %d before giving up, CEL only %d", text, mine.Until, cels.Until)
		}
		return false
	}
	if got != want || mine.Until != cels.Until {
		t.Fatalf("%s of %+v at %d: %d until %d, CEL says %d (%v, %v) until %d", text, *p, now, got, mine.Until, want, v, err, cels.Until)
	}
	return true
}

const testNow = 1_772_625_600_000 // 2026-03-04 12:00 UTC

func TestQuickRulesSayWhatCELSays(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := chooser(rand.New(rand.NewPCG(seed, 1)).IntN)
	env := quickEnv(t)
	rules, quick, asked, sure := 0, 0, 0, 0
	for rules < 1500 {
		r, bad := env.Compile("r", c.rule(c(4), ""))
		if bad != nil {
			continue // such as 1 < 'a'
		}
		if rules++; r.quick == nil {
			continue
		}
		quick++
		for range 20 {
			if asked++; agree(t, r, c.subject(testNow), testNow) {
				sure++
			}
		}
	}
	t.Logf("%d of %d rules are quick, %d of %d answers sure", quick, rules, sure, asked)
	if quick < rules/2 || sure < asked/2 {
		t.Errorf("%d of %d rules are quick, %d of %d answers sure", quick, rules, sure, asked)
	}
}

func FuzzQuick(f *testing.F) {
	env := quickEnv(f)
	f.Add([]byte("a rule"), int64(testNow))
	f.Fuzz(func(t *testing.T, choices []byte, now int64) {
		if now < 0 || now > 1<<45 {
			return
		}
		c := chooser(func(n int) int {
			if len(choices) == 0 {
				return 0
			}
			x := int(choices[0]) % n
			choices = choices[1:]
			return x
		})
		r, bad := env.Compile("r", c.rule(3, ""))
		if bad == nil && r.quick != nil {
			agree(t, r, c.subject(now), now)
		}
	})
}

// TestShapesOfQuickRules says which rules need not go through CEL.
func TestShapesOfQuickRules(t *testing.T) {
	env := quickEnv(t)
	for _, text := range []string{
		"p.views >= 3", "p.views >= 30 && p.age == 0", "p.name in ['FI', 'SE']", "'a' in tags || 'b' in tags", "p.since < duration('10m')", "now - p.ordered > duration('720h')",
		"!has(p.name) || p.name.startsWith('Paid')", "o.plan == 'plus'", "o.products.exists(x, x.category == 'thrillers')", "size(o.products) >= 3", "site == 'shop'", "p.any.recency >= 4", "'a' in p.tags",
	} {
		r, bad := env.Compile("r", text)
		if bad != nil {
			t.Fatal(bad)
		}
		if r.quick == nil {
			t.Errorf("%s goes through CEL", text)
			continue
		}
		p := chooser(func(int) int { return 1 }).subject(testNow)
		p.clock, p.properties = &Clock{Now: testNow}, `{"plan":"plus","products":[{"category":"crime"},{"category":"thrillers"}]}`
		if n := testing.AllocsPerRun(100, func() { r.Holds(p) }); n != 0 && text != "now - p.ordered > duration('720h')" {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func BenchmarkQuick(b *testing.B) {
	env := quickEnv(b)
	p := chooser(func(int) int { return 1 }).subject(testNow)
	p.clock, p.properties = &Clock{Now: testNow}, `{"plan":"plus","products":[{"category":"crime"},{"category":"thrillers"}]}`
	for _, text := range []string{"p.views >= 3", "o.plan == 'plus'", "p.since < duration('10m') && p.views > 0", "o.products.exists(x, x.category == 'thrillers')"} {
		r, bad := env.Compile("r", text)
		if bad != nil {
			b.Fatal(bad)
		}
		b.Run(fmt.Sprint(text), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Holds(p)
			}
		})
	}
}
