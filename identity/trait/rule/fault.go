package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
)

// Fault is one thing that is wrong with a definition.
type Fault struct {
	Path string // such as segments[0].when
	// Line and Column count from 1 within the rule's text, columns in
	// characters; 0 when the fault is not inside a rule.
	Line, Column int
	Message      string // what was seen, what was expected
	Suggestion   string // what was probably meant, to put in its place; "": nothing is near
}

// Error is "path: line 1, column 5: message", without the parts not known.
func (f Fault) Error() string {
	var b strings.Builder
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Text())
	return b.String()
}

// Text is the fault without its path, for a reader that shows places itself.
func (f Fault) Text() string {
	what := f.Message
	if f.Suggestion != "" {
		what += "; did you mean " + f.Suggestion + "?"
	}
	switch {
	case f.Line > 1:
		return fmt.Sprintf("line %d, column %d: %s", f.Line, f.Column, what)
	case f.Line == 1:
		return fmt.Sprintf("column %d: %s", f.Column, what)
	}
	return what
}

// Faults is everything that is wrong, in the order of the definitions.
type Faults []Fault

// Error is one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Err is nil when there is no fault, else the faults.
func (fs Faults) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return fs
}

// maxFaults keeps a text that is no rule at all from filling a screen.
const maxFaults = 8

// faults tells what the checker found in terms of the rule.
func (e *Env) faults(path string, tree *ast.AST, issues *cel.Issues) (fs Faults) {
	for _, x := range issues.Errors() {
		f := Fault{Path: path, Line: max(x.Location.Line(), 1), Column: max(x.Location.Column(), 0) + 1, Message: strings.ReplaceAll(x.Message, " (in container '')", "")}
		if name, ok := strings.CutPrefix(f.Message, "undeclared reference to '"); ok {
			e.undeclared(&f, strings.TrimSuffix(name, "'"), tree, x.ExprID)
		} else if name, ok := strings.CutPrefix(f.Message, "undefined field '"); ok {
			e.undefined(&f, strings.TrimSuffix(name, "'"), tree, x.ExprID)
		} else {
			mistyped(&f, tree, x.ExprID)
		}
		if slices.Contains(fs, f) {
			continue // what is written once may be checked twice
		}
		fs = append(fs, f)
		if len(fs) == maxFaults {
			break
		}
	}
	if len(fs) == 0 {
		fs = Faults{{Path: path, Message: issues.Err().Error()}}
	}
	return fs
}

// undeclared is about a name, or a function, that there is not.
func (e *Env) undeclared(f *Fault, name string, tree *ast.AST, id int64) {
	call := false
	var of ast.Expr
	ast.PostOrderVisit(tree.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if x.ID() == id {
			of, call = x, x.Kind() == ast.CallKind
		}
	}))
	if !call {
		f.Message = fmt.Sprintf("there is no %s; a rule here may use %s", name, strings.Join(e.names, ", "))
		f.Suggestion = Nearest(name, e.names)
		return
	}
	f.Message = fmt.Sprintf("there is no function %s", name)
	if slices.ContainsFunc(e.cel.Macros(), func(m cel.Macro) bool { return m.Function() == name }) {
		f.Message = fmt.Sprintf("saw %s with %d arguments, expected a name for each item and a condition, as in segments.exists(s, s == 'x')", name, len(of.AsCall().Args()))
		return
	}
	var known []string
	for other := range e.cel.Functions() {
		if isWord(other) {
			known = append(known, other)
		}
	}
	for _, m := range e.cel.Macros() {
		if m.IsReceiverStyle() == of.AsCall().IsMemberFunction() {
			known = append(known, m.Function())
		}
	}
	if !of.AsCall().IsMemberFunction() {
		for _, fn := range e.functions {
			known = append(known, fn.Name)
		}
	}
	f.Suggestion = Nearest(name, known)
}

// isWord tells the functions that a rule can call by name from operators.
func isWord(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// undefined is about a member that an object has not.
func (e *Env) undefined(f *Fault, name string, tree *ast.AST, id int64) {
	ast.PostOrderVisit(tree.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if x.ID() != id {
			return
		}
		var operand ast.Expr
		switch x.Kind() {
		case ast.SelectKind:
			operand = x.AsSelect().Operand()
		case ast.CallKind: // a.?b
			if args := x.AsCall().Args(); len(args) > 0 {
				operand = args[0]
			}
		}
		of, object := e.object(operand)
		if object == nil {
			return
		}
		names, _ := e.provider.FindStructFieldNames(object.TypeName())
		f.Suggestion = Nearest(name, names)
		f.Message = fmt.Sprintf("there is no %s.%s", of, name)
		switch {
		case len(names) == 0:
			f.Message += fmt.Sprintf("; %s has nothing yet", of)
		case f.Suggestion == "":
			f.Message += fmt.Sprintf("; %s has %s", of, strings.Join(names[:min(len(names), manyNames)], ", "))
			if n := len(names) - manyNames; n > 0 {
				f.Message += fmt.Sprintf(" and %d more", n)
			}
		}
	}))
}

// manyNames is how many members a fault lists.
const manyNames = 20

// object gives the text and the type of an expression that is an object.
func (e *Env) object(x ast.Expr) (string, *types.Type) {
	if x == nil {
		return "", nil
	}
	var text string
	var t *types.Type
	switch x.Kind() {
	case ast.IdentKind:
		text, t = x.AsIdent(), e.vars[x.AsIdent()]
	case ast.SelectKind:
		of, object := e.object(x.AsSelect().Operand())
		if object == nil {
			return "", nil
		}
		if field, ok := e.provider.FindStructFieldType(object.TypeName(), x.AsSelect().FieldName()); ok {
			text, t = of+"."+x.AsSelect().FieldName(), field.Type
		}
	}
	if t == nil || t.Kind() != types.StructKind {
		return "", nil
	}
	return text, t
}
