package rule

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"
)

// Part is a part of a rule with what it came to for one person: a condition, or
// a value that the condition above it read.
type Part struct {
	Text   string `json:"text"` // as in the rule
	Line   int    `json:"line"` // of its beginning, from 1
	Column int    `json:"column"`
	Depth  int    `json:"depth"`           // 0: the rule; a part belongs to the nearest one above it that is less deep
	Value  string `json:"value,omitempty"` // JSON; "" when it has none
	Holds  *bool  `json:"holds,omitempty"` // of a condition; nil when it could not be told
	Error  string `json:"error,omitempty"` // why there is no value, such as: no such key: plan
}

// Explain says what each part of the rule came to. Every part is evaluated,
// those too that could not change the outcome.
func (r *Rule) Explain(vars cel.Activation) ([]Part, error) {
	p, err := r.env.cel.Program(r.tree, r.motion.decorate(), cel.EvalOptions(cel.OptOptimize, cel.OptExhaustiveEval, cel.OptTrackState))
	if err != nil {
		return nil, err
	}
	_, details, _ := p.Eval(vars) // an error is a part's
	x := &explainer{tree: r.tree.NativeRep(), state: details.State()}
	// What the rule comes to is what Holds says.
	x.condition(x.tree.Expr(), 0)
	return x.parts, nil
}

type explainer struct {
	tree  *ast.AST
	state interpreter.EvalState
	parts []Part
	seen  map[string]bool // values told under the condition at hand
}

func (x *explainer) add(e ast.Expr, depth int) *Part {
	p := Part{Text: textOf(x.tree, e), Depth: depth}
	p.Line, p.Column = start(x.tree, e)
	if v, ok := x.state.Value(e.ID()); ok {
		if bad, is := v.(*types.Err); is {
			p.Error = bad.Error()
		} else {
			p.Value = JSON(v)
		}
	}
	x.parts = append(x.parts, p)
	return &x.parts[len(x.parts)-1]
}

// condition tells a yes or no, and what it is made of.
func (x *explainer) condition(e ast.Expr, depth int) {
	p := x.add(e, depth)
	if v, ok := x.state.Value(e.ID()); ok {
		if b, ok := v.(types.Bool); ok {
			holds := bool(b)
			p.Holds = &holds
		}
	}
	p.Value = ""
	if list := x.conditions(e); list != nil {
		for _, part := range list {
			x.condition(part, depth+1)
		}
		return
	}
	x.seen = map[string]bool{p.Text: true}
	x.values(e, depth+1)
}

// conditions are those that e joins; a && b && c has three.
func (x *explainer) conditions(e ast.Expr) (list []ast.Expr) {
	if e.Kind() != ast.CallKind {
		return nil
	}
	c := e.AsCall()
	switch f := c.FunctionName(); f {
	case operators.LogicalAnd, operators.LogicalOr:
		for _, a := range c.Args() {
			if a.Kind() == ast.CallKind && a.AsCall().FunctionName() == f {
				list = append(list, x.conditions(a)...)
			} else {
				list = append(list, a)
			}
		}
	case operators.LogicalNot:
		list = c.Args()
	case operators.Conditional:
		if x.tree.GetType(e.ID()).IsExactType(types.BoolType) {
			list = c.Args()
		}
	}
	return list
}

// values tells what a condition read: the longest paths from names.
func (x *explainer) values(e ast.Expr, depth int) {
	switch e.Kind() {
	case ast.IdentKind, ast.SelectKind:
		if isPath(e) {
			x.value(e, depth)
		} else if of := e.AsSelect().Operand(); !isPath(of) { // has(a.b) says it all
			x.values(of, depth)
		}
	case ast.CallKind:
		if isPath(e) {
			x.value(e, depth)
			return
		}
		c := e.AsCall()
		if c.IsMemberFunction() {
			x.values(c.Target(), depth)
		}
		for _, a := range c.Args() {
			x.values(a, depth)
		}
	case ast.ListKind:
		for _, a := range e.AsList().Elements() {
			x.values(a, depth)
		}
	case ast.ComprehensionKind: // what it does with each item has no one value
		x.values(e.AsComprehension().IterRange(), depth)
	}
}

func (x *explainer) value(e ast.Expr, depth int) {
	text := textOf(x.tree, e)
	if x.seen[text] {
		return
	}
	x.seen[text] = true
	x.add(e, depth)
}

// isPath tells a.b, a['b'], a.?b and what is below them.
func isPath(e ast.Expr) bool {
	switch e.Kind() {
	case ast.IdentKind:
		return true
	case ast.SelectKind:
		return !e.AsSelect().IsTestOnly() && isPath(e.AsSelect().Operand())
	case ast.CallKind:
		switch e.AsCall().FunctionName() {
		case operators.Index, operators.OptIndex, operators.OptSelect:
			args := e.AsCall().Args()
			return len(args) == 2 && isPath(args[0]) && args[1].Kind() == ast.LiteralKind
		}
	}
	return false
}
