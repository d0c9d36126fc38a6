package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/parser"
)

// Function is a name that rules call and that stands for a member of one of the
// names: count('Order Completed', '30d') for computed.q_….
type Function struct {
	Name string
	// Expand gives what a call stands for, as [name, member], or what is wrong
	// with it: faults with lines and columns, whose paths it need not set.
	Expand func(c *Call) ([2]string, Faults)
}

// Call is a call of a Function as it is written in a rule.
type Call struct {
	Name         string
	Args         []Arg
	Line, Column int
}

// Arg is an argument of a Call: a text, a call, or something else, of which
// there is only the source.
type Arg struct {
	IsText       bool
	Text         string // its value, if it is a text
	Call         *Call  // if it is a call by name
	Source       string // as it is written
	Padded       string // Source with blanks before it, so that places in it are places in the rule
	Line, Column int
}

// Fault is what is wrong with an argument.
func (a *Arg) Fault(format string, args ...any) Faults {
	return Faults{{Line: a.Line, Column: a.Column, Message: fmt.Sprintf(format, args...)}}
}

// Fault is what is wrong with a call.
func (c *Call) Fault(format string, args ...any) Faults {
	return Faults{{Line: c.Line, Column: c.Column, Message: fmt.Sprintf(format, args...)}}
}

// Calls gives fn every call of the named functions in a rule, in the order of
// the text, without checking the rule: a text that cannot be read has none.
func Calls(text string, fn func(c *Call), names ...string) {
	if len(text) > maxText {
		return
	}
	p, err := parser.NewParser(parser.Macros(parser.AllMacros...), parser.EnableOptionalSyntax(true), parser.MaxRecursionDepth(maxDepth), parser.ExpressionSizeCodePointLimit(maxText))
	if err != nil {
		return
	}
	tree, issues := p.Parse(common.NewTextSource(text))
	if len(issues.GetErrors()) > 0 {
		return
	}
	x := &expander{tree: tree, text: []rune(text)}
	for _, e := range x.find(func(name string) bool { return slices.Contains(names, name) }) {
		fn(x.read(e))
	}
}

// expand puts what functions stand for in their place, before the check.
func (e *Env) expand(path, text string, tree *ast.AST) (faults Faults) {
	x := &expander{tree: tree, text: []rune(text)}
	find := func(name string) *Function {
		for i := range e.functions {
			if e.functions[i].Name == name {
				return &e.functions[i]
			}
		}
		return nil
	}
	next := ast.MaxID(tree) + 1
	make := ast.NewExprFactory()
	for _, call := range x.find(func(name string) bool { return find(name) != nil }) {
		to, bad := find(call.AsCall().FunctionName()).Expand(x.read(call))
		for i := range bad {
			bad[i].Path = path
		}
		if faults = append(faults, bad...); len(bad) > 0 {
			continue
		}
		// What stands for it is written out as the call that it was.
		info := tree.SourceInfo()
		info.SetMacroCall(call.ID(), make.NewCall(0, call.AsCall().FunctionName(), call.AsCall().Args()...))
		at, _ := info.GetOffsetRange(call.ID())
		info.SetOffsetRange(next, at)
		call.SetKindCase(make.NewSelect(call.ID(), make.NewIdent(next, to[0]), to[1]))
		next++
	}
	if len(faults) > maxFaults {
		faults = faults[:maxFaults]
	}
	e.optional(tree, make, next)
	return faults
}

// optional writes a.?b, where a is an object, as has(a.b) ? optional.of(a.b) :
// optional.none(): the engine's own form knows only maps.
func (e *Env) optional(tree *ast.AST, make ast.ExprFactory, next int64) {
	var list []ast.Expr
	ast.PostOrderVisit(tree.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() == ast.CallKind && x.AsCall().FunctionName() == operators.OptSelect {
			list = append(list, x)
		}
	}))
	info := tree.SourceInfo()
	for _, x := range list {
		args := x.AsCall().Args()
		key, ok := args[1].AsLiteral().(types.String)
		if _, object := e.object(args[0]); object == nil || !ok {
			continue
		}
		at, _ := info.GetOffsetRange(x.ID())
		id := func() int64 {
			next++
			info.SetOffsetRange(next-1, at)
			return next - 1
		}
		operand := func() ast.Expr { // with ids of its own
			c := make.CopyExpr(args[0])
			c.RenumberIDs(func(int64) int64 { return id() })
			return c
		}
		info.SetMacroCall(x.ID(), make.NewCall(0, operators.OptSelect, args...))
		x.SetKindCase(make.NewCall(x.ID(), operators.Conditional,
			make.NewPresenceTest(id(), args[0], string(key)),
			make.NewCall(id(), "optional.of", make.NewSelect(id(), operand(), string(key))),
			make.NewCall(id(), "optional.none")))
	}
}

type expander struct {
	tree *ast.AST
	text []rune
}

// find lists calls by name, in the order of the text. What stands in the
// arguments of one is its own.
func (x *expander) find(wanted func(name string) bool) (list []ast.Expr) {
	seen := map[int64]bool{}
	ast.PreOrderVisit(x.tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind {
			return
		}
		c := e.AsCall()
		if seen[e.ID()] || c.IsMemberFunction() || !wanted(c.FunctionName()) {
			return
		}
		list = append(list, e)
		for _, a := range c.Args() {
			ast.PreOrderVisit(a, ast.NewExprVisitor(func(e ast.Expr) { seen[e.ID()] = true }))
		}
	}))
	return list
}

func (x *expander) read(e ast.Expr) *Call {
	c := &Call{Name: e.AsCall().FunctionName()}
	at, _ := x.tree.SourceInfo().GetOffsetRange(e.ID())
	open := int(at.Start) // of the bracket
	for open < len(x.text) && x.text[open] != '(' {
		open++
	}
	c.Line, c.Column = x.place(max(open-len([]rune(c.Name)), 0))
	parts := arguments(x.text, open)
	for i, a := range e.AsCall().Args() {
		arg := Arg{Line: c.Line, Column: c.Column}
		if i < len(parts) {
			from, to := parts[i][0], parts[i][1]
			arg.Source = string(x.text[from:to])
			arg.Padded = blank(x.text[:from]) + arg.Source
			arg.Line, arg.Column = x.place(from)
		}
		switch {
		case a.Kind() == ast.LiteralKind:
			if s, ok := a.AsLiteral().(types.String); ok {
				arg.IsText, arg.Text = true, string(s)
			}
		case a.Kind() == ast.CallKind && !a.AsCall().IsMemberFunction() && isWord(a.AsCall().FunctionName()):
			arg.Call = x.read(a)
		}
		c.Args = append(c.Args, arg)
	}
	return c
}

func (x *expander) place(offset int) (line, column int) {
	at := x.tree.SourceInfo().GetLocationByOffset(int32(offset))
	return max(at.Line(), 1), max(at.Column(), 0) + 1
}

func blank(text []rune) string {
	var b strings.Builder
	for _, r := range text {
		if r != '\n' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// arguments cuts what stands in brackets at its commas: [from, to) of each, in
// runes, without the blanks and comments around it. text has been parsed before.
func arguments(text []rune, open int) (parts [][2]int) {
	depth, from := 0, open+1
	add := func(to int) {
		for from < to && isBlank(text[from]) {
			from++
		}
		for to > from && isBlank(text[to-1]) {
			to--
		}
		if from < to {
			parts = append(parts, [2]int{from, to})
		}
	}
	for i := open; i < len(text); {
		switch r := text[i]; r {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth == 0 {
				add(i)
				return parts
			}
		case ',':
			if depth == 1 {
				add(i)
				from = i + 1
			}
		case '\'', '"':
			raw := i > 0 && (text[i-1] == 'r' || text[i-1] == 'R')
			i += len([]rune(string(text[i:])[:Literal(string(text[i:]), raw)]))
			continue
		case '/':
			if i+1 < len(text) && text[i+1] == '/' {
				for i < len(text) && text[i] != '\n' {
					i++
				}
				continue
			}
		}
		i++
	}
	return parts
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\f' }

// Literal is the length of the text literal that source begins with, quotes
// included; in a raw one no character is escaped.
func Literal(source string, raw bool) int {
	n, _ := literal(source, raw)
	return n
}

// literal is Literal; closed says that the text ends before source does.
func literal(source string, raw bool) (length int, closed bool) {
	quote := source[0]
	three := len(source) >= 3 && source[1] == quote && source[2] == quote
	n := 1
	if three {
		n = 3
	}
	for i := n; i < len(source); i++ {
		if source[i] == '\\' && !raw {
			i++
			continue
		}
		if strings.HasPrefix(source[i:], source[:n]) {
			return i + n, true
		}
	}
	return len(source), false
}
