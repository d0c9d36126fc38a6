package rule

import (
	"cmp"
	"slices"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
)

// PartCost is what a condition of a rule costs in the worst case, in the steps of
// Cost.
type PartCost struct {
	Text         string // as in the rule
	Line, Column int    // of its beginning, from 1
	Cost         uint64
}

// Costs are the conditions that the rule is made of, the costly ones first.
func (r *Rule) Costs() (list []PartCost) {
	tree := r.tree.NativeRep()
	var walk func(x ast.Expr)
	walk = func(x ast.Expr) {
		if x.Kind() == ast.CallKind {
			switch c := x.AsCall(); c.FunctionName() {
			case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional:
				for _, y := range c.Args() {
					walk(y)
				}
				return
			}
		}
		p := PartCost{Text: textOf(tree, x)}
		p.Line, p.Column = start(tree, x)
		p.Cost, _ = r.env.costOf(tree, x) // the whole could be told, so can a part
		list = append(list, p)
	}
	walk(tree.Expr())
	slices.SortStableFunc(list, func(a, b PartCost) int { return cmp.Compare(b.Cost, a.Cost) })
	return list
}
