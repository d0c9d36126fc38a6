package rule

import (
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
)

func TestTrends(t *testing.T) {
	always := func(x Trend) func(Plain) Trend { return func(Plain) Trend { return x } }
	number := func(name string, grows func(Plain) Trend) Field {
		return Field{Name: name, Type: types.IntType, Get: func(any) (any, bool) { return types.Int(0), true }, Plain: func(any) (Plain, bool) { return PlainInt(0), true }, Grows: grows}
	}
	o := &Object{Name: "test.o", Fields: []Field{
		number("more", always(Rises)), number("less", always(Falls)), number("other", nil),
		number("few", func(p Plain) Trend {
			if n, ok := p.Int(); ok && n < 10 {
				return Rises
			}
			return Either
		}),
		{Name: "age", Type: types.DurationType, Get: func(any) (any, bool) { return types.Duration{}, true }, Plain: func(any) (Plain, bool) { return PlainSpan(0), true }, Grows: always(Falls)},
	}}
	env, err := NewEnv(Options{Vars: []Var{
		{Name: "o", Type: cel.ObjectType(o.Name)}, {Name: "m", Type: cel.MapType(cel.StringType, cel.DynType)}, {Name: "now", Type: cel.TimestampType, Moving: true},
	}, Objects: []*Object{o}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rule, member string
		want         Trend
	}{
		{"o.more >= 2", "more", Rises},
		{"o.more > 2", "more", Rises},
		{"o.more < 2", "more", Falls},
		{"2 < o.more", "more", Rises},
		{"2 >= o.more", "more", Falls},
		{"!(o.more <= 2)", "more", Rises},
		{"o.more == 2", "more", Either},
		{"o.more != 2", "more", Either},
		{"o.more - 1 > 2", "more", Either},
		{"o.more > o.other", "more", Either},
		{"o.less > 2", "less", Falls},
		{"!(o.less > 2)", "less", Rises},
		{"o.other > 2", "other", Either},
		{"o.few > 2", "few", Rises},
		{"o.few > 12", "few", Either},
		{"o.few > 2 && o.few > 12", "few", Either},
		{"o.few < 2.5", "few", Either},
		{"o.age < duration('1h')", "age", Rises},
		{"duration('1h') < o.age", "age", Falls},
		{"o.age > duration('1h') && o.age < duration('2h')", "age", Either},
		{"o.more > 2 && m.x == 'y' || o.other == 3", "more", Rises},
		{"!(o.more > 2 && !(m.x == 'y'))", "more", Falls},
		{"o.more > 2 && !(o.more > 5)", "more", Either},
		{"m.x == 'y' ? o.more > 2 : false", "more", Either},
		{"(o.more > 2) == true", "more", Either},
		{"has(o.more) && o.more > 2", "more", Either},
		{"o.more in [1, 2]", "more", Either},
		{"m.list.exists(o, o.more > 2) && o.more > 1", "more", Rises},
		{"m.list.exists(x, o.more > 2)", "more", Either},
	} {
		r, faults := env.Compile("rule", c.rule)
		if err := faults.Err(); err != nil {
			t.Fatalf("%s: %v", c.rule, err)
		}
		if got := r.Trend(Use{"o", c.member}); got != c.want {
			t.Errorf("%s: %d, want %d", c.rule, got, c.want)
		}
	}
}

func TestEquals(t *testing.T) {
	o := &Object{Name: "test.o", Fields: []Field{{Name: "text", Type: types.StringType, Get: func(any) (any, bool) { return types.String(""), true }}}}
	env, err := NewEnv(Options{Vars: []Var{{Name: "o", Type: cel.ObjectType(o.Name)}, {Name: "m", Type: cel.MapType(cel.StringType, cel.DynType)}}, Objects: []*Object{o}})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"o.text == 'a'": "a", "o.text == ''": "", "o.text != 'a'": "-", "'a' == o.text": "-", "m.text == 'a'": "-", "o.text == 'a' || has(m.x)": "-", "has(m.x)": "-", "o.text == m.x": "-",
	} {
		r, faults := env.Compile("rule", text)
		if err := faults.Err(); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		u, got, ok := r.Equals()
		if !ok {
			got = "-"
		} else if u != (Use{"o", "text"}) {
			t.Errorf("%s: of %v", text, u)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
