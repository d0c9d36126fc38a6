package rule

import (
	"cmp"
	"slices"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// Use is one thing that a rule reads: a member of a name (computed.orders,
// traits['plan'], 'vip' in segments), or all of it.
type Use struct {
	Name   string
	Member string // "": all of it, or one that only an evaluation can tell
}

// Uses are what a rule reads, each once, in order.
type Uses []Use

// Reads says whether the rule reads anything of a name.
func (u Uses) Reads(name string) bool {
	return slices.ContainsFunc(u, func(x Use) bool { return x.Name == name })
}

// Of lists the members of a name that the rule reads. all is true when it reads
// more than can be told beforehand.
func (u Uses) Of(name string) (members []string, all bool) {
	for _, x := range u {
		switch {
		case x.Name != name:
		case x.Member == "":
			all = true
		default:
			members = append(members, x.Member)
		}
	}
	return members, all
}

func uses(e *Env, tree *ast.AST) Uses {
	u := &user{env: e}
	u.visit(tree.Expr())
	slices.SortFunc(u.list, func(a, b Use) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Member, b.Member)) })
	return slices.Compact(u.list)
}

type user struct {
	env   *Env
	local []string // names that loops have taken
	list  Uses
}

// name is the global name that x is; "" when it is none.
func (u *user) name(x ast.Expr) string {
	if x.Kind() != ast.IdentKind || slices.Contains(u.local, x.AsIdent()) {
		return ""
	}
	if _, ok := u.env.vars[x.AsIdent()]; !ok {
		return ""
	}
	return x.AsIdent()
}

// member notes x.key, when x is a global name.
func (u *user) member(x ast.Expr, key string) bool {
	name := u.name(x)
	if name == "" || key == "" {
		return false
	}
	u.list = append(u.list, Use{name, key})
	return true
}

func (u *user) visit(x ast.Expr) {
	switch x.Kind() {
	case ast.IdentKind:
		if name := u.name(x); name != "" {
			u.list = append(u.list, Use{Name: name})
		}
	case ast.SelectKind:
		if s := x.AsSelect(); !u.member(s.Operand(), s.FieldName()) {
			u.visit(s.Operand())
		}
	case ast.CallKind:
		u.call(x.AsCall())
	case ast.ListKind:
		u.each(x.AsList().Elements())
	case ast.MapKind:
		for _, m := range x.AsMap().Entries() {
			u.visit(m.AsMapEntry().Key())
			u.visit(m.AsMapEntry().Value())
		}
	case ast.StructKind:
		for _, m := range x.AsStruct().Fields() {
			u.visit(m.AsStructField().Value())
		}
	case ast.ComprehensionKind:
		c := x.AsComprehension()
		u.visit(c.IterRange())
		u.visit(c.AccuInit())
		outer := u.local
		u.local = append(slices.Clip(outer), c.AccuVar(), c.IterVar(), c.IterVar2())
		u.visit(c.LoopCondition())
		u.visit(c.LoopStep())
		u.local = append(slices.Clip(outer), c.AccuVar())
		u.visit(c.Result())
		u.local = outer
	}
}

func (u *user) each(list []ast.Expr) {
	for _, x := range list {
		u.visit(x)
	}
}

func (u *user) call(c ast.CallExpr) {
	args := c.Args()
	if len(args) == 2 {
		of, key := args[0], args[1]
		switch c.FunctionName() {
		case operators.In, operators.OldIn:
			of, key = key, of
			fallthrough
		case operators.Index, operators.OptIndex, operators.OptSelect:
			if key.Kind() == ast.LiteralKind {
				if s, ok := key.AsLiteral().(types.String); ok && u.member(of, string(s)) {
					return
				}
			}
		}
	}
	if c.IsMemberFunction() {
		u.visit(c.Target())
	}
	u.each(args)
}
