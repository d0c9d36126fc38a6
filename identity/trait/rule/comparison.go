package rule

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

func (q *quick) comparison(id int64, function string, args []ast.Expr) condition {
	if q.motion.parts[id] {
		return nil
	}
	l, r := q.reading(args[0]), q.reading(args[1])
	if l == nil || r == nil {
		return nil
	}
	test := tests(function)
	if q.motion.calls[id] || q.isTime(args[0]) && q.kind(args[0]) == q.kind(args[1]) {
		return func(vars cel.Activation, items *items) answer {
			a, b, got := both(l, r, vars, items)
			if got != yes {
				return got
			}
			if a.kind != isTime || b.kind != isTime || a.span != b.span {
				return unsure
			}
			d, _ := a.line().plus(b.line(), -1)
			return answerOf(d.compare(test))
		}
	}
	if args[1].Kind() == ast.LiteralKind {
		if f, name := q.field(args[0]); f != nil && f.Test != nil {
			if meets := f.Test(PlainOf(args[1].AsLiteral()), test); meets != nil {
				return tested(name, meets)
			}
		}
		return against(l, PlainOf(args[1].AsLiteral()), function, test)
	}
	if equals := function == operators.Equals; equals || function == operators.NotEquals {
		return func(vars cel.Activation, items *items) answer {
			a, b, got := both(l, r, vars, items)
			if got != yes {
				return got
			}
			same, ok := a.equal(&b)
			if !ok {
				return unsure
			}
			return answerOf(same == equals)
		}
	}
	return func(vars cel.Activation, items *items) answer {
		a, b, got := both(l, r, vars, items)
		if got != yes {
			return got
		}
		sign, ok := a.compare(&b)
		switch {
		case ok:
			return answerOf(test(sign))
		case a.unlike(&b):
			return failed
		}
		return unsure
	}
}

// tested asks a field's own Test.
func tested(name string, meets func(of any) bool) condition {
	return func(vars cel.Activation, _ *items) answer {
		v, ok := vars.ResolveName(name)
		if !ok {
			return unsure
		}
		return answerOf(meets(v))
	}
}

// against compares with a literal, as nearly every rule does, in fewer steps.
func against(l reading, b Plain, function string, test func(sign int) bool) condition {
	if equals := function == operators.Equals; equals || function == operators.NotEquals {
		return func(vars cel.Activation, items *items) answer {
			a := l(vars, items)
			if a.kind <= isOther {
				return a.kind.absent()
			}
			same, ok := a.equal(&b)
			if !ok {
				return unsure
			}
			return answerOf(same == equals)
		}
	}
	return func(vars cel.Activation, items *items) answer {
		a := l(vars, items)
		if a.kind <= isOther {
			return a.kind.absent()
		}
		sign, ok := a.compare(&b)
		switch {
		case ok:
			return answerOf(test(sign))
		case a.unlike(&b):
			return failed
		}
		return unsure
	}
}

// both reads two values; got is yes where there are both. Where the first is
// missing the second is not read.
func both(l, r reading, vars cel.Activation, items *items) (a, b Plain, got answer) {
	if a = l(vars, items); a.kind <= isOther {
		return a, b, a.kind.absent()
	}
	if b = r(vars, items); b.kind <= isOther {
		return a, b, b.kind.absent()
	}
	return a, b, yes
}

func (k plainKind) absent() answer {
	if k == isMissing {
		return missing
	}
	return unsure
}
