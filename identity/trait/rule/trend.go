package rule

import (
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
)

// Trend is what a rule may come to say when more has happened: whoever knows what it said
// before need not ask again where it can only say the same.
type Trend int8

// The trends.
const (
	Either Trend = iota // anything
	Rises               // it holds still where it held, until then at least
	Falls               // it does not hold where it did not, until then at least
)

// opposite is the trend of what is negated.
func (t Trend) opposite() Trend {
	switch t {
	case Rises:
		return Falls
	case Falls:
		return Rises
	}
	return Either
}

// of is the trend of a comparison, or a negation, of what has a trend.
func (t Trend) of(grows Trend) Trend {
	switch t {
	case Rises:
		return grows
	case Falls:
		return grows.opposite()
	}
	return Either
}

// Trend is the rule's, as more happens of what stands behind one thing that it reads: that
// of Field.Grows, where the rule does nothing but to compare it with what is written there.
// A key that is missing changes nothing of it: to && || and ! it stands between no and yes.
func (r *Rule) Trend(u Use) Trend { return r.trends[u] }

func trends(q *quick) map[Use]Trend {
	t := trender{q, map[Use]Trend{}}
	t.visit(q.tree.Expr(), Rises)
	return t.list
}

type trender struct {
	*quick
	list map[Use]Trend
}

func (t *trender) note(u Use, trend Trend) {
	if was, twice := t.list[u]; twice && was != trend {
		trend = Either
	}
	t.list[u] = trend
}

// visit notes the trends of a part whose outcome is the whole's when sign Rises, and its
// negation when it Falls.
func (t *trender) visit(e ast.Expr, sign Trend) {
	if e.Kind() == ast.CallKind {
		c := e.AsCall()
		switch args := c.Args(); c.FunctionName() {
		case operators.LogicalAnd, operators.LogicalOr:
			for _, x := range args {
				t.visit(x, sign)
			}
			return
		case operators.LogicalNot:
			t.visit(args[0], sign.opposite())
			return
		case operators.Greater, operators.GreaterEquals:
			if t.compared(args[0], args[1], sign) || t.compared(args[1], args[0], sign.opposite()) {
				return
			}
		case operators.Less, operators.LessEquals:
			if t.compared(args[0], args[1], sign.opposite()) || t.compared(args[1], args[0], sign) {
				return
			}
		}
	}
	u := user{env: t.env}
	u.visit(e)
	for _, x := range u.list {
		t.note(x, Either)
	}
}

// compared notes a field that is compared with a literal: with sign, the more the likelier.
func (t *trender) compared(of, with ast.Expr, sign Trend) bool {
	f, name := t.field(of)
	literal := literalOf(with)
	if f == nil || literal.kind == isOther {
		return false
	}
	trend := Either
	if f.Grows != nil {
		trend = sign.of(f.Grows(literal))
	}
	t.note(Use{name, of.AsSelect().FieldName()}, trend)
	return true
}

// literalOf is a literal, that of a time too; isOther where there is none.
func literalOf(e ast.Expr) Plain {
	switch e.Kind() {
	case ast.LiteralKind:
		return PlainOf(e.AsLiteral())
	case ast.CallKind:
		c := e.AsCall()
		if len(c.Args()) != 1 {
			break
		}
		text, ok := textLiteral(c.Args()[0])
		switch f := c.FunctionName(); {
		case ok && f == overloads.TypeConvertDuration:
			return PlainOf(types.String(text).ConvertToType(types.DurationType))
		case ok && f == overloads.TypeConvertTimestamp:
			return PlainOf(types.String(text).ConvertToType(types.TimestampType))
		}
	}
	return Plain{kind: isOther}
}

// Equals gives what a rule compares that says name.member == 'text' and nothing else.
func (r *Rule) Equals() (u Use, text string, ok bool) {
	q := quick{env: r.env, tree: r.tree.NativeRep()}
	e := q.tree.Expr()
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.Equals {
		return u, "", false
	}
	args := e.AsCall().Args()
	f, name := q.field(args[0])
	if text, ok = textLiteral(args[1]); f == nil || !ok {
		return u, "", false
	}
	return Use{name, args[0].AsSelect().FieldName()}, text, true
}
