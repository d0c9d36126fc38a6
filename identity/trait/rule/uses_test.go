package rule

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"github.com/reuna/reuna/identity/event"
)

func TestUses(t *testing.T) {
	env := testEnv(t)
	for _, c := range []struct{ rule, want string }{
		{"true", ""},
		{"text == 'x'", "text"},
		{"o.plan == 'pro' && o['plan'] != o.?size.orValue('s')", "o.plan o.size"},
		{"o.deep.er.x > 1 && has(o.a.b)", "o.a o.deep"},
		{"'a' in list && text in list", "list list.a text"},
		{"'k' in o || o[text] == 1", "o o.k text"},
		{"shop.name == 'x' || has(shop.stock) || shop.?stock.orValue(1) > 2", "shop.name shop.stock"},
		{"list.exists(x, x == 'a' && o.y == 1)", "list o.y"},
		{"list.exists(o, o == 'y')", "list"},
		{"[o.a].exists(text, text == shop.name) && {'a': at}.size() > 0", "at o.a shop.name"},
		{"at.getHours() > 3 ? o.a == 1 : !(o.b == 2)", "at o.a o.b"},
	} {
		r, bad := env.Compile("r", c.rule)
		if bad != nil {
			t.Errorf("%s: %v", c.rule, bad)
			continue
		}
		var got []string
		for _, u := range r.Uses() {
			got = append(got, strings.TrimSuffix(u.Name+"."+u.Member, "."))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: reads %v, want %s", c.rule, got, c.want)
		}
	}
	u := Uses{{"a", ""}, {"a", "b"}, {"a", "c"}, {"d", "e"}}
	if members, all := u.Of("a"); !all || !slices.Equal(members, []string{"b", "c"}) || !u.Reads("d") || u.Reads("b") {
		t.Errorf("%v, %v of %v", members, all, u)
	}
	if members, all := u.Of("d"); all || !slices.Equal(members, []string{"e"}) {
		t.Errorf("%v, %v of d", members, all)
	}
}

// TestRulesReadOnlyWhatTheyUse holds Uses to what an evaluation really asks for.
func TestRulesReadOnlyWhatTheyUse(t *testing.T) {
	env := testEnv(t)
	for _, text := range []string{"o.plan == 'pro' && shop.stock > 1", "list.exists(x, x == 'x') || text == 'b' || at.getHours() > 3", "[1].exists(o, o == 2)", "has(o.x) ? text == 'a' : shop.?name.orValue('') == 'b'"} {
		r, bad := env.Compile("r", text)
		if bad != nil {
			t.Fatal(bad)
		}
		asked := &asking{vars: vars{"o": FromJSON(`{"plan":"pro","x":1}`), "list": &Texts{"x"}, "text": "b", "shop": &shop{name: "b"}, "at": types.Timestamp{Time: time.Unix(0, 0)}}}
		r.Holds(asked)
		if _, err := r.Explain(asked); err != nil {
			t.Fatal(err)
		}
		for name := range asked.names {
			if !r.Uses().Reads(name) {
				t.Errorf("%s: %s was read and is not among %v", text, name, r.Uses())
			}
		}
	}
}

type asking struct {
	vars
	names map[string]bool
}

func (a *asking) ResolveName(name string) (any, bool) {
	x, ok := a.vars[name]
	if ok {
		if a.names == nil {
			a.names = map[string]bool{}
		}
		a.names[name] = true
	}
	return x, ok
}

func (a *asking) Parent() cel.Activation { return nil }

func TestCost(t *testing.T) {
	env := testEnv(t)
	for _, c := range []struct {
		rule         string
		line, column int
		says         string
	}{
		{"o.exists(a, o.exists(b, a == b))", 1, 1, "the rule may cost up to "},
		{"text == 'a' && (shop.stock > 1 ||\n  o.exists(a, o.exists(b, a == b)))", 2, 3, "of them are for o.exists(a, o.exists(b, a == b)); leave out"},
		{"!(text == 'a') && list.exists(a, o.exists(b, a == b)) == true", 1, 19, "of them are for list.exists(a, o.exists(b, a == …"},
		{"text.matches('a*') ? o.all(a, o.all(b, a != b)) : true", 1, 22, "of them are for o.all(a, o.all(b, a != b))"},
	} {
		_, bad := env.Compile("r", c.rule)
		if len(bad) != 1 || bad[0].Line != c.line || bad[0].Column != c.column || !strings.Contains(bad[0].Message, c.says) || !strings.Contains(bad[0].Message, "the limit is 100000") {
			t.Errorf("%s: %v, want line %d, column %d: %s", c.rule, bad, c.line, c.column, c.says)
		}
	}
	cheap, bad := env.Compile("r", "shop.stock > 1")
	if bad != nil {
		t.Fatal(bad)
	}
	dear, bad := env.Compile("r", "shop.stock > 1 && o.exists(k, k.startsWith('x'))")
	if bad != nil {
		t.Fatal(bad)
	}
	if cheap.Cost() == 0 || cheap.Cost() >= dear.Cost() || dear.Cost() > MaxCost {
		t.Errorf("costs %d and %d", cheap.Cost(), dear.Cost())
	}
}

func TestExplainTellsEveryPart(t *testing.T) {
	env := testEnv(t)
	in := vars{"o": FromJSON(`{"plan":"pro","tags":["a"],"deep":{"x":1.5,"y":null},"n":"x"}`), "list": &Texts{"x", "y"}, "text": "hello", "shop": &shop{name: "north"}, "at": types.Timestamp{Time: time.Date(2026, 3, 4, 12, 0, 0, 5e6, time.UTC)}}
	for _, c := range []struct{ rule, want string }{
		{"true", "true=yes"},
		{"text == 'x' || text == 'hello'", `text == "x" || text == "hello"=yes, .text == "x"=no, ..text="hello", .text == "hello"=yes, ..text="hello"`},
		{"text == 'x' && o.none == 1", `text == "x" && o.none == 1=no, .text == "x"=no, ..text="hello", .o.none == 1!no such key: none, ..o.none!no such key: none`},
		{"o.deep == o.deep", `o.deep == o.deep=yes, .o.deep={"x":1.5,"y":null}`},
		{"has(o.plan) && !has(shop.stock)", `has(o.plan) && !has(shop.stock)=yes, .has(o.plan)=yes, .!has(shop.stock)=yes, ..has(shop.stock)=no`},
		{"list.exists(x, x == 'y')", `list.exists(x, x == "y")=yes, .list=["x","y"]`},
		{"o.plan + text == 'x'", `o.plan + text == "x"=no, .o.plan="pro", .text="hello"`},
		{"shop.?name.orValue('') == 'north'", `(shop.?name).orValue("") == "north"=yes, .shop.name="north"`},
		{"at > timestamp('2026-01-01T00:00:00Z') && at - at < duration('1h')", `at > timestamp("2026-01-01T00:00:00Z") && at - at < duration("1h")=yes, .at > timestamp("2026-01-01T00:00:00Z")=yes, ..at="2026-03-04T12:00:00.005Z", .at - at < duration("1h")=yes, ..at="2026-03-04T12:00:00.005Z"`},
		{"o.n > 3", `o.n > 3!no such overload, .o.n="x"`},
		{"o.plan == 'pro' ? 'a' in o.tags : shop.stock == 1", `(o.plan == "pro") ? ("a" in o.tags) : (shop.stock == 1)=yes, .o.plan == "pro"=yes, ..o.plan="pro", ."a" in o.tags=yes, ..o.tags=["a"], .shop.stock == 1=no, ..shop.stock=0`},
	} {
		r, bad := env.Compile("r", c.rule)
		if bad != nil {
			t.Errorf("%s: %v", c.rule, bad)
			continue
		}
		parts, err := r.Explain(in)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range parts {
			text := strings.Repeat(".", p.Depth) + p.Text
			switch {
			case p.Error != "":
				text += "!" + p.Error
			case p.Holds != nil:
				text += "=" + map[bool]string{true: "yes", false: "no"}[*p.Holds]
			default:
				text += "=" + p.Value
			}
			got = append(got, text)
			if p.Line != 1 || p.Column < 1 || p.Column > len(c.rule) {
				t.Errorf("%s: %+v stands nowhere", c.rule, p)
			}
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.rule, strings.Join(got, ", "), c.want)
		}
		if first := parts[0].Holds; (first != nil && *first) != r.Holds(in) {
			t.Errorf("%s: explained as %v", c.rule, first)
		}
	}
}

func TestJSONOfLargeValues(t *testing.T) {
	list := make(Texts, 1000)
	for i := range list {
		list[i] = fmt.Sprint(i)
	}
	if got := JSON(&list); strings.Count(got, ",") != shownItems-1 || !strings.HasSuffix(got, `"49"]`) {
		t.Errorf("%s", got)
	}
	deep := "1"
	for range 20 {
		deep = "[" + deep + "]"
	}
	if got := JSON(FromJSON(event.Value(deep))); got != "" {
		t.Errorf("%s", got)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"orders", "orders_30d", "favourite_category", "properties", "pageviews", "vip", "email"}
	for word, want := range map[string]string{
		"order": "orders", "Orders": "orders", "orders30d": "orders_30d", "orders_3d": "orders_30d", "favorite_category": "favourite_category", "favourteCategory": "favourite_category",
		"property": "properties", "pageveiws": "pageviews", "VIP": "vip", "vap": "vip", "abc": "", "": "", "emial": "email", "pageviews": "", "completely_else": "",
		strings.Repeat("a", 1<<20): "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%.40s: %q, want %q", word, got, want)
		}
	}
}
