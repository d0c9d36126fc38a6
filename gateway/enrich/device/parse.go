package device

import (
	"fmt"
	"strings"
)

// line is one line of a rule file that is no comment.
type line struct {
	number int
	text   string
}

// lines are the lines of a file that say something.
func lines(text string) []line {
	var out []line
	for i, s := range strings.Split(text, "\n") {
		s = strings.TrimRight(s, " \t\r")
		if s == "" || s[0] == '#' {
			continue
		}
		out = append(out, line{i + 1, s})
	}
	return out
}

// Example is an agent below a rule and what is to come out of it.
type example struct {
	where, agent, want string
}

// parsed is a rule file as it is written.
type parsed struct {
	rules    []rule
	examples []example
}

// parser reads rule files and gives every mark in them a number.
type parser struct {
	marks  []mark
	number map[mark]int32 // with literal 0
}

// file reads the rules of one file. Each is a line
//
//	Name = mark | mark & mark & !mark & os:iOS,Android @mark
//
// and below it, indented, examples "agent => what comes out".
func (p *parser) file(name, text string) (parsed, error) {
	var out parsed
	for _, l := range lines(text) {
		where := fmt.Sprintf("%s line %d", name, l.number)
		if l.text[0] == '\t' || l.text[0] == ' ' {
			agent, want, ok := cutLast(strings.TrimSpace(l.text), " => ")
			if !ok || len(out.rules) == 0 {
				return out, fmt.Errorf("device: %s: an example is \"agent => what comes out\" below a rule, not %q", where, l.text)
			}
			out.examples = append(out.examples, example{where, agent, want})
			continue
		}
		r, err := p.rule(l.text)
		if err != nil {
			return out, fmt.Errorf("device: %s: %w", where, err)
		}
		_, marks, _ := strings.Cut(l.text, " = ")
		r.where = where + ": " + marks
		out.rules = append(out.rules, r)
	}
	return out, nil
}

// cutLast cuts s around the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func (p *parser) rule(text string) (rule, error) {
	var r rule
	name, rest, ok := strings.Cut(text, " = ")
	if !ok {
		return r, fmt.Errorf("a rule is \"Name = mark & condition\", not %q", text)
	}
	r.name = strings.TrimSpace(name)
	r.version = -1
	if body, version, ok := cutLast(rest, " @"); ok {
		rest = body
		if err := p.version(&r, version); err != nil {
			return r, err
		}
	}
	list := func(s string) []string {
		names := strings.Split(s, ",")
		for i := range names {
			names[i] = strings.Trim(names[i], `"`)
		}
		return names
	}
	for i, part := range strings.Split(rest, " & ") {
		part = strings.TrimSpace(part)
		switch {
		case part == "":
			return r, fmt.Errorf("an empty condition in %q", text)
		case strings.HasPrefix(part, "os:"):
			r.systems = append(r.systems, list(part[3:])...)
		case strings.HasPrefix(part, "type:"):
			r.types = append(r.types, list(part[5:])...)
		case strings.HasPrefix(part, "!os:"):
			r.notSystems = append(r.notSystems, list(part[4:])...)
		case part[0] == '!':
			for _, alternative := range strings.Split(part[1:], " | ") {
				m, err := p.mark(alternative)
				if err != nil {
					return r, err
				}
				r.none = append(r.none, m)
			}
		default:
			var any []int32
			for _, alternative := range strings.Split(part, " | ") {
				m, err := p.mark(alternative)
				if err != nil {
					return r, err
				}
				any = append(any, m)
			}
			if i == 0 {
				r.any = any
			} else {
				r.all = append(r.all, any)
			}
		}
	}
	return r, nil
}

// version reads what stands behind the @ of a rule: a mark behind which the
// version stands, "=11" for a version known beforehand, "none", and a name in
// braces for what the version is to be looked up in.
func (p *parser) version(r *rule, text string) error {
	if i := strings.IndexByte(text, '{'); i >= 0 && strings.HasSuffix(text, "}") {
		r.table, text = text[i+1:len(text)-1], strings.TrimSpace(text[:i])
	}
	switch {
	case text == "":
		return nil
	case text == "none":
		r.fixed, r.hasFixed = "", true
		return nil
	case text[0] == '=':
		r.fixed, r.hasFixed = text[1:], true
		return nil
	}
	m, err := p.mark(text)
	r.version = m
	return err
}

// mark numbers a mark. "^" holds it to the agent's start, "~" lets it stand
// within a word, a "$" behind it wants the word to end there; double quotes
// keep blanks.
func (p *parser) mark(text string) (int32, error) {
	text = strings.TrimSpace(text)
	var m mark
	m.word = true
	switch {
	case strings.HasPrefix(text, "^"):
		m.start, text = true, text[1:]
	case strings.HasPrefix(text, "~"):
		m.word, text = false, text[1:]
	}
	if len(text) > 1 && strings.HasSuffix(text, "$") {
		m.ends, text = true, text[:len(text)-1]
	}
	if len(text) > 1 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	if len(text) < 2 {
		return 0, fmt.Errorf("the mark %q is too short to tell anything: give at least two letters", text)
	}
	m.text = strings.ToLower(text)
	m.word = m.word && isWord(m.text[0])
	if n, ok := p.number[m]; ok {
		return n, nil
	}
	n := int32(len(p.marks))
	p.marks = append(p.marks, m)
	p.number[m] = n
	return n, nil
}

func isWord(c byte) bool { return isDigit(c) || isLetter(c) }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { c |= 0x20; return c >= 'a' && c <= 'z' }
