package rule

import (
	"fmt"

	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/parser"
)

// Sizes that a rule's cost is told from. Lists and maps that are longer are an
// error to the rule that walks over one; texts may be longer (an event has 32
// KiB by default), since no rule can do worse with them than read them.
const (
	textSize = 2048
	maxItems = 1000 // of a list or an object in JSON
	madeSize = 8192 // of a list that the rule itself makes of others
)

type estimator struct {
	size func(path []string) uint64
}

// EstimateSize implements checker.CostEstimator.
func (e *estimator) EstimateSize(n checker.AstNode) *checker.SizeEstimate {
	path := n.Path()
	if e.size != nil && len(path) > 0 {
		if most := e.size(path); most > 0 {
			return &checker.SizeEstimate{Max: most}
		}
	}
	switch kind := n.Type().Kind(); {
	case kind != types.ListKind && kind != types.MapKind: // of any kind, if it is of any type
		return &checker.SizeEstimate{Max: textSize}
	case len(path) == 0:
		return &checker.SizeEstimate{Max: madeSize}
	}
	return &checker.SizeEstimate{Max: maxItems}
}

// EstimateCallCost implements checker.CostEstimator: CEL's own figures.
func (e *estimator) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// price tells the worst case of a rule, and refuses one above MaxCost with the
// part that costs most, and one with more than maxLoops loops in each other.
func (e *Env) price(r *Reader) uint64 {
	root := r.tree.Expr()
	whole, err := e.costOf(r.tree, root)
	if err != nil {
		r.whole("its cost cannot be told: %v", err)
		return 0
	}
	if deep, inner := loops(r.tree); deep > maxLoops {
		line, column := start(r.tree, inner)
		r.faults = append(r.faults, Fault{Path: r.path, Line: line, Column: column,
			Message: fmt.Sprintf("loops stand %d deep in each other, the limit is %d; the rule may cost up to %s steps, the limit is %d; leave out loops within loops", deep, maxLoops, steps(whole), MaxCost)})
		return whole
	}
	if whole <= MaxCost {
		return whole
	}
	part, most := root, whole
	for {
		next, cost := part, uint64(0)
		for _, x := range halves(part) {
			if c, err := e.costOf(r.tree, x); err == nil && c > cost {
				next, cost = x, c
			}
		}
		if cost < most/2 || cost == 0 {
			break
		}
		part, most = next, cost
	}
	message := fmt.Sprintf("the rule may cost up to %s steps, the limit is %d", steps(whole), MaxCost)
	if part != root {
		message += fmt.Sprintf(", and %s of them are for %s", steps(most), excerpt(textOf(r.tree, part)))
	}
	line, column := start(r.tree, part)
	r.faults = append(r.faults, Fault{Path: r.path, Line: line, Column: column, Message: message + "; leave out loops within loops and repeated work on long texts"})
	return whole
}

// loops is how many loops stand in each other at most, and the innermost. Those
// over nothing, which optMap and the like are made of, are none.
func loops(tree *ast.AST) (deep int, inner ast.Expr) {
	for _, x := range ast.MatchDescendants(ast.NavigateAST(tree), ast.KindMatcher(ast.ComprehensionKind)) {
		n := 0
		for y, ok := x, true; ok; y, ok = y.Parent() {
			if y.Kind() == ast.ComprehensionKind {
				if over := y.AsComprehension().IterRange(); over.Kind() != ast.ListKind || over.AsList().Size() > 0 {
					n++
				}
			}
		}
		if n > deep {
			deep, inner = n, x
		}
	}
	return deep, inner
}

// halves are the parts of an expression that a person would take apart.
func halves(x ast.Expr) []ast.Expr {
	if x.Kind() != ast.CallKind {
		return nil
	}
	c := x.AsCall()
	switch c.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional, operators.Equals, operators.NotEquals,
		operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals, operators.Add:
		return c.Args()
	}
	return nil
}

func (e *Env) costOf(tree *ast.AST, x ast.Expr) (uint64, error) {
	part := ast.NewCheckedAST(ast.NewAST(x, tree.SourceInfo()), tree.TypeMap(), tree.ReferenceMap())
	cost, err := checker.Cost(part, &estimator{size: e.size}, checker.PresenceTestHasCost(true))
	return cost.Max, err
}

// textOf writes a part of a rule out again, as its author had it but for blanks
// and brackets.
func textOf(tree *ast.AST, x ast.Expr) string {
	text, err := parser.Unparse(x, tree.SourceInfo(), parser.WrapOnColumn(maxText))
	if err != nil {
		return "a part of it"
	}
	return text
}

// start is where a part of a rule begins: an operator's own place is between
// its operands.
func start(tree *ast.AST, x ast.Expr) (line, column int) {
	least := int32(-1)
	note := func(id int64) {
		if at, ok := tree.SourceInfo().GetOffsetRange(id); ok && (least < 0 || at.Start < least) {
			least = at.Start
		}
	}
	ast.PostOrderVisit(x, ast.NewExprVisitor(func(e ast.Expr) { note(e.ID()) }))
	if least < 0 {
		return 1, 1
	}
	at := tree.SourceInfo().GetLocationByOffset(least)
	return max(at.Line(), 1), max(at.Column(), 0) + 1
}
