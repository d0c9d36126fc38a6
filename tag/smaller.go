package tag

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/tdewolff/minify/v2"
	minifier "github.com/tdewolff/minify/v2/js"
	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/js"
)

// inlined puts functions and texts that are used in one place only, and short
// literals, where they are used, so that the sources may name what they do and the script need not.
// esbuild does this within a function but not for a module's own names.
//
// It takes what esbuild's bundle gives, whose names make it safe: no variable
// within a function has the name of one outside all functions, so what is moved
// into a function means there what it meant before. Only arrow functions and
// plain literals that nobody assigns are moved; when and how often they are made
// does not show.
func inlined(code []byte) ([]byte, error) {
	ast, err := js.Parse(parse.NewInputBytes(code), js.Options{})
	if err != nil {
		return nil, fmt.Errorf("reading the bundle: %w", err)
	}
	body := immediate(ast)
	if body == nil {
		return nil, errors.New("the bundle is not one function that is called at once")
	}
	uses := map[*js.Var][]use{}
	collect(reflect.ValueOf(body), false, uses)
	for i, statement := range body.List {
		list, ok := statement.(*js.VarDecl)
		if !ok {
			continue
		}
		kept := list.List[:0]
		for _, d := range list.List {
			v, ok := d.Binding.(*js.Var)
			if !ok || !movable(d.Default, len(uses[v])) || slices.ContainsFunc(uses[v], func(u use) bool { return u.assigned }) {
				kept = append(kept, d)
				continue
			}
			for _, u := range uses[v] {
				u.place.Set(reflect.ValueOf(&js.GroupExpr{X: d.Default}))
			}
		}
		if list.List = kept; len(kept) == 0 {
			body.List[i] = &js.EmptyStmt{}
		}
	}
	var b bytes.Buffer
	ast.JS(&b)
	return b.Bytes(), nil
}

// immediate is the body of the function that is the whole script.
func immediate(ast *js.AST) *js.BlockStmt {
	if len(ast.List) == 0 {
		return nil
	}
	s, _ := ast.List[0].(*js.ExprStmt)
	if s == nil {
		return nil
	}
	call, _ := s.Value.(*js.CallExpr)
	if call == nil {
		return nil
	}
	group, _ := call.X.(*js.GroupExpr)
	if group == nil {
		return nil
	}
	if f, ok := group.X.(*js.ArrowFunc); ok {
		return &f.Body
	}
	return nil
}

// shortText is the length of a literal that is worth no name however often it is
// used, quotes included.
const shortText = 4

// movable says that it makes no difference when, or how often, e is evaluated,
// and that it may stand in as many places. A regular expression has a state, and
// a template may read variables.
func movable(e js.IExpr, places int) bool {
	switch e := e.(type) {
	case *js.ArrowFunc:
		return places == 1
	case *js.LiteralExpr:
		plain := e.TokenType == js.StringToken || e.TokenType == js.IntegerToken || e.TokenType == js.DecimalToken
		return plain && (places == 1 || len(e.Data) <= shortText)
	}
	return false
}

// use is one place where a variable is read or may be assigned.
type use struct {
	place    reflect.Value // a settable js.IExpr
	assigned bool
}

var (
	scopeType   = reflect.TypeFor[js.Scope]()
	bindingType = reflect.TypeFor[js.IBinding]()
)

// collect finds the uses of every variable below v; assigned says that what v
// names is assigned. The tree has too many kinds of nodes to name each, and what
// refers to a variable is the same in all of them.
func collect(v reflect.Value, assigned bool, uses map[*js.Var][]use) {
	switch v.Kind() {
	case reflect.Interface:
		x, ok := v.Interface().(*js.Var)
		switch {
		case !ok:
			collect(v.Elem(), assigned, uses)
		case v.Type() != bindingType: // which is where it is declared
			for x.Link != nil {
				x = x.Link
			}
			uses[x] = append(uses[x], use{v, assigned})
		}
	case reflect.Pointer:
		if v.IsNil() || v.Type().Elem() == scopeType {
			return
		}
		switch n := v.Interface().(type) {
		case *js.BinaryExpr:
			collect(reflect.ValueOf(&n.X).Elem(), assigned || assigns(n.Op), uses)
			collect(reflect.ValueOf(&n.Y).Elem(), false, uses)
		case *js.UnaryExpr:
			collect(reflect.ValueOf(&n.X).Elem(), assigned || assigns(n.Op), uses)
		default:
			collect(v.Elem(), assigned, uses)
		}
	case reflect.Slice:
		for i := range v.Len() {
			collect(v.Index(i), assigned, uses)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			// A loop's Init is what it runs through its values with.
			if f, field := v.Field(i), v.Type().Field(i); field.IsExported() && f.Type() != scopeType {
				collect(f, assigned || field.Name == "Init", uses)
			}
		}
	}
}

// assigns says that an operator changes its (left) operand.
func assigns(op js.TokenType) bool {
	switch op {
	case js.EqToken, js.AddEqToken, js.SubEqToken, js.MulEqToken, js.DivEqToken, js.ModEqToken, js.ExpEqToken,
		js.LtLtEqToken, js.GtGtEqToken, js.GtGtGtEqToken, js.BitAndEqToken, js.BitOrEqToken, js.BitXorEqToken,
		js.AndEqToken, js.OrEqToken, js.NullishEqToken,
		js.PreIncrToken, js.PreDecrToken, js.PostIncrToken, js.PostDecrToken, js.DeleteToken:
		return true
	}
	return false
}

// renamed gives local variables the names of outer ones that they do not use.
// esbuild names each apart, and the same few letters everywhere compress better.
func renamed(code []byte) ([]byte, error) {
	var b bytes.Buffer
	if err := (&minifier.Minifier{Version: 2020}).Minify(minify.New(), &b, bytes.NewReader(code), nil); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
