package config

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// written is the text of a rule as it stands in the file: its lines from the
// one it begins on, the first from its first character on.
type written struct {
	at    position
	lines []string
	text  string // what it says
}

// isRule says that what stands at path is a rule in CEL.
func isRule(path string) bool {
	key := path[strings.LastIndexByte(path, '.')+1:]
	return key == "when" || key == "where"
}

// keepRule remembers how a rule was written. Only what a place in it can be
// found in is kept: the rest of the file may hold secrets.
func (d *decoder) keepRule(at position, path, text string) {
	if !isRule(path) || at.line < 1 || at.line > len(d.lines) {
		return
	}
	w := written{at: at, text: text}
	most := len(text)*6 + 16 // an escape has at most 6 bytes for one
	for i := at.line - 1; i < len(d.lines) && most > 0; i++ {
		line := d.lines[i]
		if i == at.line-1 {
			line = line[min(len(line), byteOf(line, at.column)):]
		}
		most -= len(line)
		w.lines = append(w.lines, string(bytes.TrimRight(line, "\r\n")))
	}
	end, ok := w.find(utf8.RuneCountInString(text))
	if !ok {
		return
	}
	w.lines = w.lines[:min(len(w.lines), end.line-at.line+1)]
	d.source.rules[path] = w
}

// byteOf is where a line's column begins.
func byteOf(line []byte, column int) (n int) {
	for ; column > 1 && n < len(line); column-- {
		_, size := utf8.DecodeRune(line[n:])
		n += size
	}
	return n
}

// find is the place of text's n-th character (from 0; the number of its
// characters: behind it). ok is false when the text is not what was written.
func (w written) find(n int) (p position, ok bool) {
	text := w.text
	c := cursor{w: w, text: w.lines[0], column: w.at.column}
	var style byte
	if c.text != "" {
		style = c.text[0]
	}
	switch style {
	case '\'', '"':
		c.skip(1)
	case '|', '>':
		if !c.block() {
			return p, false
		}
	default:
		style = 0
	}
	for i := 0; ; i++ {
		if i == n {
			return position{line: w.at.line + c.line, column: c.column}, true
		}
		if text == "" {
			return p, false
		}
		r, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		if !c.take(r, style) {
			return p, false
		}
	}
}

// cursor walks through what was written.
type cursor struct {
	w      written
	line   int    // in w
	text   string // what is left of it
	column int
	indent int // of a block's lines
}

func (c *cursor) skip(n int) {
	c.column += utf8.RuneCountInString(c.text[:n])
	c.text = c.text[n:]
}

// next goes on to the next line.
func (c *cursor) next() bool {
	if c.line++; c.line >= len(c.w.lines) {
		return false
	}
	c.text, c.column = c.w.lines[c.line], 1
	return true
}

// block goes to where the text of a block begins.
func (c *cursor) block() bool {
	if strings.ContainsAny(c.text, "0123456789") || !c.next() {
		return false // an indent of its own: too rare to be followed
	}
	if strings.TrimSpace(c.text) == "" {
		return false // begins with an empty line
	}
	c.indent = len(c.text) - len(strings.TrimLeft(c.text, " "))
	c.skip(c.indent)
	return true
}

// take goes past one character of the text.
func (c *cursor) take(r rune, style byte) bool {
	if (style == '|' || style == '>') && r == '\n' && c.text == "" {
		if !c.next() {
			return true // the last line's end
		}
		c.skip(min(c.indent, len(c.text)-len(strings.TrimLeft(c.text, " "))))
		return true
	}
	if style != '|' && r == ' ' && strings.TrimSpace(c.text) == "" {
		if !c.next() { // lines that are folded into one
			return false
		}
		c.skip(len(c.text) - len(strings.TrimLeft(c.text, " \t")))
		return true
	}
	switch {
	case style == '\'' && strings.HasPrefix(c.text, "''"):
		c.skip(2)
		return r == '\''
	case style == '"' && strings.HasPrefix(c.text, `\`):
		return c.escape(r)
	}
	got, size := utf8.DecodeRuneInString(c.text)
	if size == 0 || got != r {
		return false
	}
	c.skip(size)
	return true
}

// escape goes past one escape of a text in double quotes, JSON's among them.
func (c *cursor) escape(r rune) bool {
	if len(c.text) < 2 {
		return false
	}
	hex := 0
	switch c.text[1] {
	case 'x':
		hex = 2
	case 'u':
		hex = 4
	case 'U':
		hex = 8
	default:
		c.skip(2)
		return true
	}
	if len(c.text) < 2+hex {
		return false
	}
	n, err := strconv.ParseUint(c.text[2:2+hex], 16, 32)
	if err != nil {
		return false
	}
	c.skip(2 + hex)
	if n >= 0xd800 && n < 0xdc00 && strings.HasPrefix(c.text, `\u`) && len(c.text) >= 6 {
		c.skip(6) // the other half of a character
		return true
	}
	return rune(n) == r
}

// FaultIn makes a fault at a place within the rule at path: line and column
// count from 1 within its text, columns in characters, 0 where none is known. It
// points at the character in the file where the rule's form allows it, else at
// the rule's begin, and the message says the rest.
func (c *Config) FaultIn(path string, line, column int, message, suggestion string) Fault {
	return c.source.faultIn(path, line, column, message, suggestion)
}

func (s *source) faultIn(path string, line, column int, message, suggestion string) Fault {
	p := s.find(path)
	f := Fault{File: s.name, Line: p.line, Column: p.column, Path: path, Message: message, Suggestion: suggestion}
	if suggestion != "" && !strings.Contains(message, "did you mean") {
		f.Message += "; did you mean " + suggestion + "?"
	}
	if line < 1 || column < 1 {
		return f
	}
	if w, ok := s.rules[path]; ok {
		if p, ok := w.find(runeOf(w.text, line, column)); ok {
			f.Line, f.Column = p.line, p.column
			return f
		}
	}
	if line > 1 {
		f.Message = fmt.Sprintf("line %d, column %d of the rule: %s", line, column, f.Message)
	} else {
		f.Message = fmt.Sprintf("column %d of the rule: %s", column, f.Message)
	}
	return f
}

// runeOf is which character of text, from 0, stands in a line and column of it.
func runeOf(text string, line, column int) (n int) {
	for ; line > 1; line-- {
		head, rest, ok := strings.Cut(text, "\n")
		if !ok {
			break
		}
		n += utf8.RuneCountInString(head) + 1
		text = rest
	}
	return n + column - 1
}
