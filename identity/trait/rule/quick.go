package rule

import (
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/reuna/reuna/identity/event"
)

// Most rules are of a few simple shapes: fields compared with each other or with
// what is written in the rule, texts looked for in lists, joined by && || ! and
// has(). Those run as closures over plain values, which costs a tenth of CEL's
// interpreter and no memory.
//
// Invariant: a closure says what CEL says, having read what CEL reads in the same
// order, or it says unsure, and then CEL evaluates the rule from the beginning: most
// of what is an error to CEL other than a missing key is unsure. A rule with a part of any other shape has no closure at all.

// answer is what a condition came to.
type answer uint8

const (
	no answer = iota
	yes
	missing // a key that nobody set; no more is known
	failed  // an error to CEL, other than a missing key
	unsure  // let CEL say
)

func answerOf(b bool) answer {
	if b {
		return yes
	}
	return no
}

type (
	condition func(vars cel.Activation, items *items) answer
	reading   func(vars cel.Activation, items *items) Plain
)

// items are what loops are at.
type items [maxLoops]event.Value

var spareItems = sync.Pool{New: func() any { return new(items) }}

// Reads is an Activation that gives texts without making values of them.
type Reads interface {
	ResolveText(name string) (text string, ok bool)
}

// rawSource is a Source of JSON.
type rawSource interface{ JSON(key string) event.Value }

// quick makes closures of a rule's parts; nil where the part has another shape.
type quick struct {
	env    *Env
	tree   *ast.AST
	motion *motion
	loops  []string // names that stand for items
}

func (q *quick) kind(e ast.Expr) types.Kind { return q.tree.GetType(e.ID()).Kind() }

func (q *quick) condition(e ast.Expr) condition {
	switch e.Kind() {
	case ast.SelectKind:
		if e.AsSelect().IsTestOnly() {
			return q.has(e.AsSelect().Operand(), e.AsSelect().FieldName())
		}
	case ast.ComprehensionKind:
		return q.loop(e.AsComprehension())
	case ast.CallKind:
		c := e.AsCall()
		switch f := c.FunctionName(); f {
		case operators.LogicalAnd:
			return join(q.conditions(c.Args()), no)
		case operators.LogicalOr:
			return join(q.conditions(c.Args()), yes)
		case operators.LogicalNot:
			if list := q.conditions(c.Args()); list != nil {
				return not(list[0])
			}
			return nil
		case operators.Conditional:
			if list := q.conditions(c.Args()); list != nil {
				return choose(list[0], list[1], list[2])
			}
			return nil
		case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
			return q.comparison(e.ID(), f, c.Args())
		case operators.In:
			return q.in(c.Args()[0], c.Args()[1])
		case overloads.StartsWith:
			return q.textTest(c, strings.HasPrefix)
		case overloads.EndsWith:
			return q.textTest(c, strings.HasSuffix)
		case overloads.Contains:
			return q.textTest(c, strings.Contains)
		}
	}
	r := q.reading(e)
	if r == nil {
		return nil
	}
	return func(vars cel.Activation, items *items) answer {
		switch v := r(vars, items); v.kind {
		case isBool:
			return answer(v.n)
		case isMissing:
			return missing
		}
		return unsure
	}
}

func (q *quick) conditions(list []ast.Expr) []condition {
	made := make([]condition, len(list))
	for i, x := range list {
		if made[i] = q.condition(x); made[i] == nil {
			return nil
		}
	}
	return made
}

// join is && (settled by no) or || (settled by yes): what settles it may stand
// behind a key that is missing.
func join(list []condition, settles answer) condition {
	if list == nil {
		return nil
	}
	return func(vars cel.Activation, items *items) answer {
		outcome := yes - settles
		for _, c := range list {
			switch a := c(vars, items); a {
			case settles, unsure:
				return a
			case missing, failed:
				if outcome <= yes { // the first error is the whole's
					outcome = a
				}
			}
		}
		return outcome
	}
}

func not(c condition) condition {
	return func(vars cel.Activation, items *items) answer {
		switch a := c(vars, items); a {
		case yes:
			return no
		case no:
			return yes
		default:
			return a
		}
	}
}

func choose(c, then, otherwise condition) condition {
	return func(vars cel.Activation, items *items) answer {
		switch a := c(vars, items); a {
		case yes:
			return then(vars, items)
		case no:
			return otherwise(vars, items)
		default:
			return a
		}
	}
}

func (q *quick) isTime(e ast.Expr) bool {
	return q.kind(e) == types.TimestampKind || q.kind(e) == types.DurationKind
}

func (q *quick) textTest(c ast.CallExpr, test func(s, part string) bool) condition {
	if !c.IsMemberFunction() || len(c.Args()) != 1 {
		return nil
	}
	part, ok := textLiteral(c.Args()[0])
	of := q.reading(c.Target())
	if !ok || of == nil {
		return nil
	}
	return func(vars cel.Activation, items *items) answer {
		switch v := of(vars, items); v.kind {
		case isText:
			return answerOf(test(v.text, part))
		case isMissing:
			return missing
		}
		return unsure
	}
}

func textLiteral(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// exact is up to where doubles tell integers apart.
const exact = 1 << 53

// in is x in ['a', 'b'], or 'a' in x.
func (q *quick) in(of, list ast.Expr) condition {
	if list.Kind() == ast.ListKind {
		return q.oneOf(of, list.AsList())
	}
	text, ok := textLiteral(of)
	if !ok {
		return nil
	}
	boxed := ref.Val(types.String(text)) // once, not at each evaluation
	asked := func(v any) answer {
		c, ok := v.(traits.Container)
		if !ok {
			return unsure
		}
		in, ok := c.Contains(boxed).(types.Bool)
		if !ok {
			return unsure
		}
		return answerOf(bool(in))
	}
	if name := q.global(list); name != "" {
		if k := q.kind(list); k != types.ListKind && k != types.MapKind {
			return nil
		}
		return func(vars cel.Activation, _ *items) answer {
			v, ok := vars.ResolveName(name)
			if !ok {
				return unsure
			}
			return asked(v)
		}
	}
	if f, name := q.field(list); f != nil {
		return func(vars cel.Activation, _ *items) answer {
			v, ok := vars.ResolveName(name)
			if !ok {
				return unsure
			}
			if f.Contains != nil {
				return answerOf(f.Contains(v, text))
			}
			x, _ := f.Get(v)
			return asked(x)
		}
	}
	json := q.reading(list)
	if json == nil || q.kind(list) != types.DynKind {
		return nil
	}
	return func(vars cel.Activation, items *items) answer {
		v := json(vars, items)
		if v.kind == isMissing {
			return missing
		}
		if v.kind != isJSON {
			return unsure
		}
		return within(event.Value(v.text), text)
	}
}

// within looks for a text among the items of a list, or the keys of an object.
func within(v event.Value, text string) answer {
	if v.Kind() == event.Object {
		return answerOf(v.Get(text) != "")
	}
	n, found := 0, no
	v.Items(func(m event.Value) bool {
		switch k := m.Kind(); {
		case k == event.Array || k == event.Object:
			n = maxItems
		case found == no && k == event.String && m.Text() == text:
			found = yes
		}
		n++
		return n <= maxItems
	})
	if n > maxItems {
		return unsure
	}
	return found
}

func (q *quick) oneOf(of ast.Expr, list ast.ListExpr) condition {
	r := q.reading(of)
	if r == nil || list.Size() == 0 || len(list.OptionalIndices()) > 0 {
		return nil
	}
	var texts []string
	var numbers []float64
	for _, x := range list.Elements() {
		if x.Kind() != ast.LiteralKind {
			return nil
		}
		v := PlainOf(x.AsLiteral())
		switch {
		case v.kind == isText:
			texts = append(texts, v.text)
		case v.kind == isInt && v.n > -exact && v.n < exact:
			numbers = append(numbers, float64(v.n))
		case v.kind == isDouble && v.f > -exact && v.f < exact:
			numbers = append(numbers, v.f)
		default:
			return nil
		}
	}
	return func(vars cel.Activation, items *items) answer {
		switch v := r(vars, items); v.kind {
		case isText:
			return answerOf(slices.Contains(texts, v.text))
		case isDouble:
			return answerOf(slices.Contains(numbers, v.f))
		case isInt:
			if v.n <= -exact || v.n >= exact {
				return unsure
			}
			return answerOf(slices.Contains(numbers, float64(v.n)))
		case isMissing:
			return missing
		case isNull, isBool:
			return no
		}
		return unsure
	}
}

// loop is list.exists(x, …) or list.all(x, …) over a list in JSON.
func (q *quick) loop(c ast.ComprehensionExpr) condition {
	init, step := c.AccuInit(), c.LoopStep()
	if c.IterVar2() != "" || len(q.loops) == maxLoops || init.Kind() != ast.LiteralKind || step.Kind() != ast.CallKind || c.Result().Kind() != ast.IdentKind || c.Result().AsIdent() != c.AccuVar() {
		return nil
	}
	args := step.AsCall().Args()
	if len(args) != 2 || args[0].Kind() != ast.IdentKind || args[0].AsIdent() != c.AccuVar() {
		return nil
	}
	var settles answer
	switch f := step.AsCall().FunctionName(); {
	case f == operators.LogicalOr && init.AsLiteral() == types.False:
		settles = yes
	case f == operators.LogicalAnd && init.AsLiteral() == types.True:
		settles = no
	default:
		return nil
	}
	list := q.reading(c.IterRange())
	if list == nil || q.kind(c.IterRange()) != types.DynKind {
		return nil
	}
	depth := len(q.loops)
	q.loops = append(q.loops, c.IterVar())
	each := q.condition(args[1])
	q.loops = q.loops[:depth]
	if each == nil {
		return nil
	}
	return func(vars cel.Activation, at *items) answer {
		v := list(vars, at)
		switch {
		case v.kind == isMissing:
			return missing
		case v.kind != isJSON || v.text[0] != '[':
			return unsure
		}
		if at == nil {
			at = spareItems.Get().(*items)
			defer spareItems.Put(at)
			defer clear(at[:])
		}
		n, outcome := 0, yes-settles
		event.Value(v.text).Items(func(m event.Value) bool {
			if n++; n > maxItems {
				outcome = unsure
				return false
			}
			if outcome == settles || outcome == unsure {
				return true // only counted
			}
			at[depth] = m
			switch a := each(vars, at); a {
			case settles, unsure:
				outcome = a
			case missing, failed:
				if outcome <= yes {
					outcome = a
				}
			}
			return true
		})
		return outcome
	}
}
