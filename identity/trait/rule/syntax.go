package rule

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
)

// The parser says what it was in the middle of in its own terms. misread finds the
// same place among the words of the text, and says what stands there.

// token is a word, a number, a text, a bracket or a sign of a rule.
type token struct {
	kind tokenKind
	text string
	from int // in characters, from 0
	to   int
}

type tokenKind byte

const (
	aWord tokenKind = iota
	aNumber
	aText
	cutText // a text that does not end
	anOpening
	aClosing
	aSign
)

// tokens takes a text apart. Signs that stand together are one, so that <> and
// === are seen as they were meant.
func tokens(text []rune) (list []token) {
	for i := 0; i < len(text); {
		r := text[i]
		t := token{kind: aSign, from: i, to: i + 1}
		switch {
		case isBlank(r):
			i++
			continue
		case r == '/' && i+1 < len(text) && text[i+1] == '/':
			for i < len(text) && text[i] != '\n' {
				i++
			}
			continue
		case isLetter(r):
			t.kind = aWord
			for t.to < len(text) && (isLetter(text[t.to]) || isDigit(text[t.to])) {
				t.to++
			}
			if word := strings.ToLower(string(text[i:t.to])); t.to < len(text) && isQuote(text[t.to]) && slices.Contains([]string{"r", "b", "br", "rb"}, word) {
				t.kind, t.to = textToken(text, t.to, strings.Contains(word, "r"))
			}
		case isDigit(r):
			t.kind = aNumber
			for t.to < len(text) && (isDigit(text[t.to]) || text[t.to] == '.') {
				t.to++
			}
		case isQuote(r):
			t.kind, t.to = textToken(text, i, false)
		case strings.ContainsRune("([{", r):
			t.kind = anOpening
		case strings.ContainsRune(")]}", r):
			t.kind = aClosing
		case strings.ContainsRune("=<>!&|~", r):
			for t.to < len(text) && strings.ContainsRune("=<>!&|~", text[t.to]) {
				t.to++
			}
		}
		t.text = string(text[t.from:t.to])
		list = append(list, t)
		i = t.to
	}
	return list
}

func isLetter(r rune) bool { return r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
func isDigit(r rune) bool  { return r >= '0' && r <= '9' }
func isQuote(r rune) bool  { return r == '\'' || r == '"' }

// textToken is how far a text goes whose quote stands at from: to the end of its
// line where no other quote ends it.
func textToken(text []rune, from int, raw bool) (kind tokenKind, to int) {
	source := string(text[from:])
	n, closed := literal(source, raw)
	line := strings.IndexByte(source, '\n')
	three := strings.HasPrefix(source[1:], source[:1]+source[:1])
	switch {
	case line >= 0 && line < n && !three:
		kind, n = cutText, line
	case closed:
		kind = aText
	default:
		kind = cutText
	}
	return kind, from + len([]rune(source[:n]))
}

// misreading is what the parser refused first, said for people: what it goes on
// to find is mostly the same once more.
func misreading(path, text string, issues *cel.Issues) Fault {
	first := slices.MinFunc(issues.Errors(), func(a, b *cel.Error) int {
		return cmp.Or(cmp.Compare(a.Location.Line(), b.Location.Line()), cmp.Compare(a.Location.Column(), b.Location.Column()))
	})
	f := Fault{Path: path, Line: max(first.Location.Line(), 1), Column: max(first.Location.Column(), 0) + 1, Message: first.Message}
	says, refused := strings.CutPrefix(f.Message, "Syntax error: ")
	word, kept := strings.CutPrefix(f.Message, "reserved identifier: ")
	switch {
	case refused:
		x := &misread{f: &f, source: []rune(text), says: says}
		x.all = tokens(x.source)
		offset := x.offset(f.Line, f.Column)
		for x.i < len(x.all) && x.all[x.i].to <= offset {
			x.i++
		}
		x.say()
	case kept:
		f.Message = fmt.Sprintf("saw %s, expected a condition; the word is kept for the language", word)
		if word == "if" {
			f.Message += ", and what hangs on a condition is written a ? b : c"
		}
	case strings.HasPrefix(f.Message, "expression recursion limit"):
		f.Message = fmt.Sprintf("the rule is nested more than %d levels deep, which is the limit; leave out brackets, or take it apart", maxDepth)
	case strings.HasPrefix(f.Message, "invalid argument to has"):
		f.Message = "saw something else in has(), expected a member, as in has(traits.plan)"
	case strings.HasPrefix(f.Message, "argument must be a simple name"):
		f.Message = "saw something else, expected a name for each item, as in segments.exists(s, s == 'x')"
	case strings.HasPrefix(f.Message, "invalid int literal") || strings.HasPrefix(f.Message, "invalid double literal"):
		f.Message = "saw a number beyond those that rules know: whole ones to 9223372036854775807, others to about 1.8e308"
	}
	return f
}

// misread is a place at which a text stops to be a rule.
type misread struct {
	f      *Fault
	source []rune
	all    []token
	i      int    // of the token in all; len(all): the end
	says   string // the parser
}

// offset is the place of a line and a column, from 0.
func (x *misread) offset(line, column int) int {
	for i, r := range x.source {
		if line == 1 {
			return i + column - 1
		}
		if r == '\n' {
			line--
		}
	}
	return len(x.source)
}

func (x *misread) put(at *token, format string, args ...any) {
	x.f.Line, x.f.Column = x.place(at.from)
	x.f.Message = fmt.Sprintf(format, args...)
}

func (x *misread) place(offset int) (line, column int) {
	before := string(x.source[:offset])
	return strings.Count(before, "\n") + 1, len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
}

// say fills in the fault.
func (x *misread) say() {
	var before *token
	if x.i > 0 {
		before = &x.all[x.i-1]
	}
	if x.i == len(x.all) {
		x.end(before)
		return
	}
	at := &x.all[x.i]
	for _, t := range [...]*token{at, before} {
		if t != nil && x.meant(t) {
			return
		}
	}
	switch {
	case at.kind == cutText:
		x.put(at, "saw a text that does not end, expected another %s behind it", quoteOf(at.text))
		if before != nil && before.kind == aWord && x.i > 1 && x.all[x.i-2].kind == aText && x.all[x.i-2].to == before.from {
			x.within(&x.all[x.i-2], before)
		}
	case at.kind == aText && strings.HasPrefix(x.says, "token recognition error"):
		x.put(at, `saw %s, expected a text whose \ begins an escape such as \n or \'; the sign itself is written \\`, excerpt(at.text))
	case before != nil && before.kind == aText && at.kind == aWord && before.to == at.from:
		x.within(before, at)
	case before != nil && before.text == "." || at.text == ".":
		x.member(at)
	case at.kind == aClosing:
		x.closing(at, before)
	case before != nil && isOperand(before) && isOperand(at):
		expected := "an operator such as == or && between them"
		if x.opening() != nil {
			expected += ", a comma or a closing bracket"
		} else {
			expected += ", or the end of the rule"
		}
		x.put(at, "saw %s behind %s, expected %s", excerpt(at.text), excerpt(before.text), expected)
		if before.kind == aNumber && before.to == at.from && at.kind == aWord {
			x.f.Message += "; a time is written duration('36h')"
		}
	case at.kind == aSign && !strings.Contains(signs, at.text):
		x.put(at, "saw %s, expected a rule's own signs; it has no meaning but within texts such as '%s'", at.text, at.text)
	case before == nil:
		x.put(at, "saw %s, expected a rule to begin with a value or a condition", excerpt(at.text))
	default:
		x.put(at, "saw %s behind %s, expected a value or a condition", excerpt(at.text), excerpt(before.text))
	}
}

// signs are those that rules know; longer ones are made of them.
const signs = "== != <= >= && || + - * / % ? : . , ! < >"

// within is about a text that ends earlier than it was meant to.
func (x *misread) within(text, word *token) {
	quote := quoteOf(text.text)
	x.put(word, `saw %s right behind the text %s, expected an operator or the end; a %s within a text is written \%s`, excerpt(word.text), excerpt(text.text), quote, quote)
}

func quoteOf(text string) string { return text[strings.IndexAny(text, `'"`):][:1] }

// isOperand tells what a value may be from what stands between values.
func isOperand(t *token) bool { return t.kind != aSign && t.text != "in" }

// meant knows what other languages write.
func (x *misread) meant(t *token) bool {
	word := strings.ToLower(t.text)
	switch word {
	case "=", "===", "is", "equals":
		word = "=="
	case "!==", "<>", "≠":
		word = "!="
	case "=>", "≥":
		word = ">="
	case "=<", "≤":
		word = "<="
	case "&", "and":
		word = "&&"
	case "|", "or":
		word = "||"
	case "not":
		word = "!"
	case "“", "”", "„", "‘", "’", "`":
		x.put(t, "saw %s, expected a straight quote, as in 'text'", t.text)
		x.f.Suggestion = "'"
		return true
	case "like", "=~", "~=", "~":
		x.put(t, "saw %s, expected an operator that rules have; texts are searched with .contains('a'), .startsWith('a') and .matches('^a+$')", t.text)
		return true
	case ";":
		x.put(t, "saw ;, expected one condition; several are joined with && or ||")
		return true
	case "#":
		x.put(t, "saw #, expected a condition; a remark begins with //")
		return true
	default:
		return false
	}
	x.put(t, "saw %s, expected an operator that rules have", t.text)
	x.f.Suggestion = word
	return true
}

// end is about a rule that stops too early.
func (x *misread) end(before *token) {
	open := x.opening()
	switch {
	case before == nil:
		x.f.Message = "saw no rule, expected one such as counts.orders > 0" // remarks alone
	case before.text == ".":
		x.f.Message = "saw the end of the rule behind ., expected the name of a member"
	case !isOperand(before):
		x.f.Message = fmt.Sprintf("saw the end of the rule behind %s, expected a value or a condition", before.text)
	case open != nil:
		x.f.Message = fmt.Sprintf("saw the end of the rule, expected %s for the %s at %s", closes(open.text), open.text, x.where(open))
		x.f.Suggestion = closes(open.text)
	case strings.Contains(x.says, "expecting ':'"):
		x.f.Message = "saw the end of the rule, expected : and what holds otherwise, as in a ? b : c"
	default:
		x.f.Message = fmt.Sprintf("saw the end of the rule behind %s, expected more", excerpt(before.text))
	}
}

func (x *misread) where(t *token) string {
	line, column := x.place(t.from)
	if line > 1 {
		return fmt.Sprintf("line %d, column %d", line, column)
	}
	return fmt.Sprintf("column %d", column)
}

// opening is the innermost bracket that is open at the place.
func (x *misread) opening() *token {
	var open []*token
	for i := range x.all[:x.i] {
		switch t := &x.all[i]; {
		case t.kind == anOpening:
			open = append(open, t)
		case t.kind == aClosing && len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	if len(open) == 0 {
		return nil
	}
	return open[len(open)-1]
}

func closes(bracket string) string {
	switch bracket {
	case "(":
		return ")"
	case "[":
		return "]"
	}
	return "}"
}

// closing is about a bracket that closes nothing, or too early.
func (x *misread) closing(at, before *token) {
	switch open := x.opening(); {
	case open == nil:
		x.put(at, "saw %s, expected the end of the rule or an operator: no bracket is open here", at.text)
	case closes(open.text) != at.text:
		x.put(at, "saw %s, expected %s for the %s at %s", at.text, closes(open.text), open.text, x.where(open))
		x.f.Suggestion = closes(open.text)
	case before != nil:
		x.put(at, "saw %s behind %s, expected a value or a condition", at.text, excerpt(before.text))
	}
}

// member is about what stands behind a dot.
func (x *misread) member(at *token) {
	if at.text == "." && (x.i == 0 || x.all[x.i-1].text != ".") && x.i+1 < len(x.all) {
		at = &x.all[x.i+1]
	}
	switch {
	case at.kind == aNumber || at.kind == aWord:
		x.put(at, "saw %s behind ., expected a name that begins with a letter and is no word of the language; others are written in brackets, as in traits['%s']", excerpt(at.text), excerpt(at.text))
	case at.text == "." && x.i+1 == len(x.all):
		x.put(at, "saw the end of the rule behind ., expected the name of a member")
		x.f.Column++
	default:
		x.put(at, "saw %s behind ., expected the name of a member", excerpt(at.text))
	}
}
