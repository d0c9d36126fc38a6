package tag

import (
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
	"github.com/tdewolff/minify/v2"
	minifier "github.com/tdewolff/minify/v2/js"
	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/js"
)

func TestInlined(t *testing.T) {
	// What stands in and what comes out, written alike.
	canonical := func(code string) string {
		var b strings.Builder
		if err := (&minifier.Minifier{Version: 2020, KeepVarNames: true}).Minify(minify.New(), &b, strings.NewReader(code), nil); err != nil {
			t.Fatalf("%s: %v", code, err)
		}
		return b.String()
	}
	for _, c := range []struct{ name, in, out string }{
		{"a function used once", `var f=a=>a+1,g=z,h=()=>f(g)+g;x(h),y(h)`, `var g=z,h=()=>(a=>a+1)(g)+g;x(h),y(h)`},
		{"through others", `var f=()=>1,g=()=>f(),h=()=>g();x(h)`, `;x((()=>(()=>(()=>1)())()))`},
		{"a text and a number", `var t="text",n=50;x(a=>a>n?t:"")`, `;x(a=>a>50?"text":"")`},
		{"short ones, in each place", `var n=30,t="o.",l="long";x(n,t,l),y(n,t,l)`, `var l="long";x(30,"o.",l),y(30,"o.",l)`},
		{"a short one that is assigned", `var n=3;x(n,n,()=>{n=4})`, `var n=3;x(n,n,()=>{n=4})`},
		{"used twice", `var f=()=>1;x(f,f)`, `var f=()=>1;x(f,f)`},
		{"assigned", `var f=()=>1;x(()=>{f=y})`, `var f=()=>1;x(()=>{f=y})`},
		{"counted", `var n=0;x(()=>n++)`, `var n=0;x(()=>n++)`},
		{"added to", `var n=0;x(a=>{n+=a})`, `var n=0;x(a=>{n+=a})`},
		{"taken apart into", `var n=0;x(a=>{[n]=a})`, `var n=0;x(a=>{[n]=a})`},
		{"run through", `var n=0;for(n of y)z()`, `var n=0;for(n of y)z()`},
		{"run through by name", `var n="";for(n in y)z()`, `var n="";for(n in y)z()`},
		{"a short property", `var f=()=>1;x({f})`, `;x({f:()=>1})`},
		{"what has a state", `var r=/a/g,o={},l=[];x(()=>r.test(o,l))`, `var r=/a/g,o={},l=[];x(()=>r.test(o,l))`},
		{"what is made of others", "var t=`${y}`,s=a();x(()=>t+s)", "var t=`${y}`,s=a();x(()=>t+s)"},
		{"an inner one", `x(()=>{let f=()=>1;return f()})`, `x(()=>{let f=()=>1;return f()})`},
		{"a name inside that is another's", `var f=()=>1;x(f=>f+1,f)`, `;x(f=>f+1,()=>1)`},
	} {
		got, err := inlined([]byte("(()=>{" + c.in + "})()"))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if want := canonical("(()=>{" + c.out + "})()"); canonical(string(got)) != want {
			t.Errorf("%s: %s, want %s", c.name, canonical(string(got)), want)
		}
	}
	for _, odd := range []string{"", "var a=1", "f()", "(()=>{", "(function(){})()"} {
		if _, err := inlined([]byte(odd)); err == nil {
			t.Errorf("%q was taken for a bundle", odd)
		}
	}
}

// What inlined rests on: in a bundle no variable within a function has the name
// of one outside them.
func TestABundlesNamesAreApart(t *testing.T) {
	for _, o := range []Options{Standard("wk_shop"), Everything("wk_shop"), {WriteKey: "wk"}} {
		o, err := o.complete()
		if err != nil {
			t.Fatal(err)
		}
		code, err := joined(o, api.FormatIIFE)
		if err != nil {
			t.Fatal(err)
		}
		ast, err := js.Parse(parse.NewInputBytes(code), js.Options{})
		if err != nil {
			t.Fatal(err)
		}
		outer := map[string]bool{}
		for _, v := range immediate(ast).Scope.Declared {
			outer[string(v.Data)] = true
		}
		if len(outer) < 20 {
			t.Fatalf("only %d names in %s", len(outer), code)
		}
		inner := 0
		walk := visitor(func(n js.INode) {
			var s *js.Scope
			switch n := n.(type) {
			case *js.ArrowFunc:
				s = &n.Body.Scope
			case *js.BlockStmt:
				s = &n.Scope
			case *js.FuncDecl:
				s = &n.Body.Scope
			}
			if s == nil || s == &immediate(ast).Scope {
				return
			}
			for _, v := range s.Declared {
				inner++
				if outer[string(v.Data)] {
					t.Errorf("%s is the name of an inner variable and of an outer one", v.Data)
				}
			}
		})
		js.Walk(walk, ast)
		if inner < 20 {
			t.Errorf("only %d inner names were looked at", inner)
		}
		if !strings.HasPrefix(string(code), "(()=>{") {
			t.Errorf("the bundle begins with %.40s", code)
		}
	}
}

type visitor func(js.INode)

func (f visitor) Enter(n js.INode) js.IVisitor { f(n); return f }
func (f visitor) Exit(js.INode)                {}
