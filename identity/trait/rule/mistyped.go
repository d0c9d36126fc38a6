package rule

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
)

// mistyped says for people what the checker found at id: values of kinds that do
// not go together, and texts that are not what a function reads.
func mistyped(f *Fault, tree *ast.AST, id int64) {
	var at ast.Expr
	ast.PostOrderVisit(tree.Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		if x.ID() == id {
			at = x
		}
	}))
	if at == nil {
		return
	}
	if rest, ok := strings.CutPrefix(f.Message, "found no matching overload for '"); ok && at.Kind() == ast.CallKind {
		if _, applied, ok := strings.Cut(rest, "' applied to '"); ok {
			overload(f, tree, at, kinds(strings.TrimSuffix(applied, "'")))
		}
		return
	}
	if rest, ok := strings.CutPrefix(f.Message, "expected type '"); ok {
		want, got, _ := strings.Cut(strings.TrimSuffix(rest, "'"), "' but found '")
		f.Line, f.Column = start(tree, at)
		f.Message = fmt.Sprintf("saw %s, which is %s, expected %s", excerpt(textOf(tree, at)), kindName(got), kindName(want))
		if want == "bool" {
			f.Message = fmt.Sprintf("saw %s, which is %s, expected a condition; %s", excerpt(textOf(tree, at)), kindName(got), asCondition(textOf(tree, at), got))
		}
		return
	}
	if at.Kind() != ast.LiteralKind {
		return
	}
	text, ok := at.AsLiteral().(types.String)
	if !ok {
		return
	}
	switch f.Message {
	case "invalid duration argument":
		f.Message = fmt.Sprintf("saw %q, expected a time in hours, minutes and seconds, such as duration('36h') or duration('1h30m')", text)
		f.Suggestion = inHours(string(text))
	case "invalid timestamp argument":
		f.Message = fmt.Sprintf("saw %q, expected a moment such as timestamp('2026-01-31T00:00:00Z')", text)
		if _, err := time.Parse(time.DateOnly, string(text)); err == nil {
			f.Suggestion = "'" + string(text) + "T00:00:00Z'"
		}
	}
}

// inHours writes "5 days", "5d" or "2w" as the hours that a duration is of; ""
// when text is no such time.
func inHours(text string) string {
	digits := strings.TrimRight(text, " abcdefghijklmnopqrstuvwxyz")
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return ""
	}
	switch strings.TrimSpace(text[len(digits):]) {
	case "hours", "hour":
	case "d", "day", "days":
		n *= 24
	case "w", "week", "weeks":
		n *= 7 * 24
	default:
		return ""
	}
	return fmt.Sprintf("'%dh'", n)
}

// kinds takes "(int, list(string))" or "int.(string)" apart.
func kinds(applied string) (list []string) {
	target, args, ok := strings.Cut(applied, ".(")
	if strings.HasPrefix(applied, "(") {
		args = applied[1:]
	} else if ok {
		list = append(list, target)
	}
	depth, from := 0, 0
	for i, r := range args {
		switch {
		case r == '(':
			depth++
		case r == ')' && depth > 0:
			depth--
		case r == ')' || r == ',' && depth == 0:
			if kind := strings.TrimSpace(args[from:i]); kind != "" {
				list = append(list, kind)
			}
			from = i + 1
		}
	}
	return list
}

// kindName is a type in words.
func kindName(kind string) string {
	switch {
	case kind == "dyn":
		return "a value of any type"
	case kind == "int":
		return "an int"
	case isObject(kind):
		return "an object"
	}
	return "a " + kind
}

// isObject tells the names of objects, which have a dot, from CEL's own types.
func isObject(kind string) bool { return strings.Contains(kind, ".") && !strings.Contains(kind, "(") }

// asCondition says how something that is none is made a condition.
func asCondition(text, kind string) string {
	text = excerpt(text)
	switch {
	case isObject(kind):
		return "name one of its members"
	case kind == "int" || kind == "double":
		text += " > 0"
	case kind == "duration":
		text += " < duration('36h')"
	case kind == "timestamp":
		text += " > timestamp('2026-01-31T00:00:00Z')"
	case strings.HasPrefix(kind, "list(") || strings.HasPrefix(kind, "map("):
		text = "size(" + text + ") > 0"
	default:
		text += " == 'x'"
	}
	return "compare it with something, as in " + text
}

// overload is about a call with values that it does not take.
func overload(f *Fault, tree *ast.AST, x ast.Expr, kinds []string) {
	c := x.AsCall()
	args := c.Args()
	if c.IsMemberFunction() {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	if len(args) != len(kinds) || len(args) == 0 {
		return
	}
	said := func(i int) string { return fmt.Sprintf("%s (%s)", excerpt(textOf(tree, args[i])), kinds[i]) }
	sign := strings.Trim(c.FunctionName(), "_@")
	switch {
	case c.IsMemberFunction():
		f.Message = fmt.Sprintf("saw %s of %s, which is %s", sign, excerpt(textOf(tree, args[0])), kindName(kinds[0]))
		if len(args) > 1 {
			f.Message += fmt.Sprintf(", with %s", kindName(kinds[1]))
		}
		f.Message += fmt.Sprintf("; there is no such %s", sign)
		if sign == "contains" && strings.HasPrefix(kinds[0], "list(") && len(args) == 2 {
			f.Suggestion = textOf(tree, args[1]) + " in " + textOf(tree, args[0])
		}
	case sign == "?_:" && len(args) == 3:
		f.Message = fmt.Sprintf("saw %s or %s behind the ?, expected two values of one kind", said(1), said(2))
	case sign == "in" && len(args) == 2:
		f.Message = fmt.Sprintf("saw %s in %s, expected a list or a map behind in", said(0), said(1))
		if kinds[1] == "string" && args[1].Kind() == ast.LiteralKind {
			f.Line, f.Column = start(tree, args[1])
			f.Suggestion = "[" + textOf(tree, args[1]) + "]"
		}
	case len(args) == 2 && c.FunctionName()[0] == '_':
		f.Message = fmt.Sprintf("saw %s %s %s, expected values that go together", said(0), sign, said(1))
		for i := range args {
			if other := kinds[1-i]; kinds[i] == "string" && (other == "int" || other == "double") {
				number(f, tree, args[i])
			} else if (other == "timestamp" || other == "duration") && (kinds[i] == "int" || kinds[i] == "string") {
				f.Message += "; times are written timestamp('2026-01-31T00:00:00Z') and duration('36h')"
			}
		}
	default:
		list := make([]string, len(args))
		for i := range args {
			list[i] = said(i)
		}
		f.Message = fmt.Sprintf("%s cannot be used of %s", strings.Trim(sign, "_"), strings.Join(list, " and "))
	}
}

// number suggests a number for a text that is one.
func number(f *Fault, tree *ast.AST, x ast.Expr) {
	if x.Kind() != ast.LiteralKind {
		return
	}
	text, ok := x.AsLiteral().(types.String)
	if _, err := strconv.ParseFloat(string(text), 64); !ok || err != nil {
		return
	}
	f.Line, f.Column = start(tree, x)
	f.Suggestion = string(text)
}
