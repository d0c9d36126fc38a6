package rule

import (
	"slices"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/reuna/reuna/identity/event"
)

// global is the name that e is, of those of the environment; "" when it is none.
func (q *quick) global(e ast.Expr) string {
	if e.Kind() != ast.IdentKind || slices.Contains(q.loops, e.AsIdent()) || q.env.vars[e.AsIdent()] == nil {
		return ""
	}
	return e.AsIdent()
}

// field is the member of an object that e reads, and the object's name.
func (q *quick) field(e ast.Expr) (*Field, string) {
	if e.Kind() != ast.SelectKind || e.AsSelect().IsTestOnly() {
		return nil, ""
	}
	return q.member(e.AsSelect().Operand(), e.AsSelect().FieldName())
}

func (q *quick) member(of ast.Expr, key string) (*Field, string) {
	name := q.global(of)
	if name == "" || q.kind(of) != types.StructKind {
		return nil, ""
	}
	return q.env.provider.members[[2]string{q.env.vars[name].TypeName(), key}], name
}

// has is has(of.key).
func (q *quick) has(of ast.Expr, key string) condition {
	if f, name := q.member(of, key); f != nil {
		return func(vars cel.Activation, _ *items) answer {
			v, ok := vars.ResolveName(name)
			switch {
			case !ok:
				return unsure
			case f.Plain != nil:
				_, has := f.Plain(v)
				return answerOf(has)
			}
			_, has := f.Get(v)
			return answerOf(has)
		}
	}
	if k := q.kind(of); k != types.MapKind && k != types.DynKind {
		return nil
	}
	if q.global(of) != "" {
		r := q.key(of, key)
		if r == nil {
			return nil
		}
		return func(vars cel.Activation, items *items) answer {
			switch r(vars, items).kind {
			case isMissing:
				return no
			case isOther:
				return unsure
			}
			return yes
		}
	}
	r := q.reading(of)
	if r == nil {
		return nil
	}
	return func(vars cel.Activation, items *items) answer {
		switch v := r(vars, items); {
		case v.kind == isMissing:
			return missing
		case v.kind == isJSON && v.text[0] == '{':
			return answerOf(event.Value(v.text).Get(key) != "")
		}
		return unsure
	}
}

// key is of.key, where of is a map or something in JSON.
func (q *quick) key(of ast.Expr, key string) reading {
	if name := q.global(of); name != "" {
		if q.kind(of) != types.MapKind {
			return nil
		}
		boxed := ref.Val(types.String(key))
		return func(vars cel.Activation, _ *items) Plain {
			v, _ := vars.ResolveName(name)
			m, ok := v.(*Map)
			if !ok {
				return Plain{kind: isOther}
			}
			if raw, ok := m.source.(rawSource); ok {
				return PlainJSON(raw.JSON(key))
			}
			x, found := m.Find(boxed)
			if !found {
				return Plain{}
			}
			return PlainOf(x)
		}
	}
	if f, name := q.field(of); f != nil && f.Key != nil {
		return func(vars cel.Activation, _ *items) Plain {
			v, ok := vars.ResolveName(name)
			if !ok {
				return Plain{kind: isOther}
			}
			return f.Key(v, key)
		}
	}
	r := q.reading(of)
	if r == nil || q.kind(of) != types.DynKind {
		return nil
	}
	return func(vars cel.Activation, items *items) Plain {
		v := r(vars, items)
		switch {
		case v.kind == isJSON && v.text[0] == '{':
			return PlainJSON(event.Value(v.text).Get(key))
		case v.kind == isMissing:
			return v
		}
		return Plain{kind: isOther}
	}
}

func (q *quick) reading(e ast.Expr) reading {
	switch e.Kind() {
	case ast.LiteralKind:
		return constant(PlainOf(e.AsLiteral()))
	case ast.IdentKind:
		return q.name(e)
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return nil
		}
		if f, name := q.field(e); f != nil {
			return readField(f, name)
		}
		return q.key(e.AsSelect().Operand(), e.AsSelect().FieldName())
	case ast.CallKind:
		return q.call(e)
	}
	return nil
}

func constant(p Plain) reading {
	if p.kind == isOther {
		return nil
	}
	return func(cel.Activation, *items) Plain { return p }
}

func (q *quick) name(e ast.Expr) reading {
	if depth := slices.Index(q.loops, e.AsIdent()); depth >= 0 {
		if slices.Index(q.loops[depth+1:], e.AsIdent()) >= 0 {
			return nil
		}
		return func(_ cel.Activation, items *items) Plain { return PlainJSON(items[depth]) }
	}
	name := q.global(e)
	if name == "" {
		return nil
	}
	switch q.kind(e) {
	case types.StringKind:
		return func(vars cel.Activation, _ *items) Plain {
			if r, ok := vars.(Reads); ok {
				if s, ok := r.ResolveText(name); ok {
					return PlainText(s)
				}
			}
			v, _ := vars.ResolveName(name)
			return PlainOf(v)
		}
	case types.TimestampKind, types.DurationKind, types.BoolKind, types.IntKind, types.DoubleKind:
		return func(vars cel.Activation, _ *items) Plain {
			v, _ := vars.ResolveName(name)
			return PlainOf(v)
		}
	}
	return nil
}

func readField(f *Field, name string) reading {
	switch f.Type.Kind() {
	case types.ListKind, types.MapKind, types.StructKind:
		return nil
	}
	if f.Plain != nil {
		return func(vars cel.Activation, _ *items) Plain {
			v, ok := vars.ResolveName(name)
			if !ok {
				return Plain{kind: isOther}
			}
			p, _ := f.Plain(v)
			return p
		}
	}
	return func(vars cel.Activation, _ *items) Plain {
		v, ok := vars.ResolveName(name)
		if !ok {
			return Plain{kind: isOther}
		}
		x, _ := f.Get(v)
		return PlainOf(x)
	}
}

func (q *quick) call(e ast.Expr) reading {
	c := e.AsCall()
	args := c.Args()
	switch f := c.FunctionName(); f {
	case operators.Index:
		if key, ok := textLiteral(args[1]); ok {
			return q.key(args[0], key)
		}
	case overloads.TypeConvertDuration, overloads.TypeConvertTimestamp:
		return constant(literalOf(e))
	case operators.Add, operators.Subtract:
		sign := int64(1)
		if f == operators.Subtract {
			sign = -1
		}
		return q.sum(e.ID(), args, sign)
	case overloads.Size:
		if !c.IsMemberFunction() && len(args) == 1 && q.kind(args[0]) == types.DynKind {
			return q.size(args[0])
		}
	}
	return nil
}

// sum is of times that move, or of numbers.
func (q *quick) sum(id int64, args []ast.Expr, sign int64) reading {
	moves := q.motion.calls[id]
	if !moves && (q.kind(args[0]) != types.DoubleKind || q.kind(args[1]) != types.DoubleKind) {
		return nil
	}
	l, r := q.reading(args[0]), q.reading(args[1])
	if l == nil || r == nil {
		return nil
	}
	return func(vars cel.Activation, items *items) Plain {
		a, b, got := both(l, r, vars, items)
		switch {
		case got == missing:
			return Plain{}
		case a.kind == isTime && b.kind == isTime && moves:
			if m, ok := a.line().plus(b.line(), sign); ok {
				return plainLine(m)
			}
		case a.kind == isDouble && b.kind == isDouble:
			return PlainDouble(a.f + float64(sign)*b.f)
		}
		return Plain{kind: isOther}
	}
}

// size is how long a list or a text is.
func (q *quick) size(of ast.Expr) reading {
	r := q.reading(of)
	if r == nil {
		return nil
	}
	return func(vars cel.Activation, items *items) Plain {
		v := r(vars, items)
		switch {
		case v.kind == isMissing:
			return v
		case v.kind == isText:
			return PlainInt(int64(utf8.RuneCountInString(v.text)))
		case v.kind == isJSON && v.text[0] == '[':
			n := int64(0)
			event.Value(v.text).Items(func(event.Value) bool { n++; return n <= maxItems })
			if n <= maxItems {
				return PlainInt(n)
			}
		}
		return Plain{kind: isOther}
	}
}
