package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// jsonReader reads JSON (RFC 8259) into the tree that YAML is read into, so that
// a body of either form meets the same decoder. The YAML reader itself does not
// know all of JSON: it joins no halves of a character that stand escaped.
type jsonReader struct {
	text         []byte
	at           int
	line, column int
	depth        int
	fault        string // "" as long as there is none; where it is, at says
}

// readJSON gives the tree of a document; the message tells what is no JSON, at
// the position.
func readJSON(text []byte) (root ast.Node, p position, message string) {
	if !utf8.Valid(text) {
		return nil, position{1, 1}, "not readable as JSON: it is not UTF-8"
	}
	r := &jsonReader{text: text, line: 1, column: 1}
	r.space()
	root = r.value()
	if r.space(); r.fault == "" && r.at < len(r.text) {
		r.expected("nothing more")
	}
	if r.fault != "" {
		return nil, position{r.line, r.column}, "not readable as JSON: " + r.fault
	}
	return root, p, ""
}

func (r *jsonReader) expected(what string) ast.Node {
	if r.fault != "" {
		return nil
	}
	saw := "the end"
	if c, _ := utf8.DecodeRune(r.text[r.at:]); r.at < len(r.text) {
		saw = fmt.Sprintf("%q", c)
	}
	r.fault = "saw " + saw + ", expected " + what
	return nil
}

func (r *jsonReader) skip(n int) {
	for _, c := range string(r.text[r.at : r.at+n]) {
		if r.column++; c == '\n' {
			r.line, r.column = r.line+1, 1
		}
	}
	r.at += n
}

func (r *jsonReader) space() {
	n := r.at
	for n < len(r.text) && (r.text[n] == ' ' || r.text[n] == '\t' || r.text[n] == '\r' || r.text[n] == '\n') {
		n++
	}
	r.skip(n - r.at)
}

// next takes c if it comes.
func (r *jsonReader) next(c byte) bool {
	if r.at < len(r.text) && r.text[r.at] == c {
		r.skip(1)
		return true
	}
	return false
}

func (r *jsonReader) token(kind token.Type, value, origin string) *token.Token {
	return &token.Token{Type: kind, Value: value, Origin: origin, Position: &token.Position{Line: r.line, Column: r.column, Offset: r.at}}
}

func (r *jsonReader) value() ast.Node {
	if r.at == len(r.text) {
		return r.expected("a value")
	}
	if r.depth++; r.depth > maxNesting {
		r.fault = fmt.Sprintf("saw more than %d brackets inside each other", maxNesting)
		return nil
	}
	defer func() { r.depth-- }()
	switch c := r.text[r.at]; {
	case c == '{':
		return r.object()
	case c == '[':
		return r.array()
	case c == '"':
		return r.string()
	case c == '-' || c >= '0' && c <= '9':
		return r.number()
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(string(r.text[r.at:min(len(r.text), r.at+8)]), word) {
			t := r.token(token.BoolType, word, word)
			r.skip(len(word))
			if word == "null" {
				return ast.Null(t)
			}
			return ast.Bool(t)
		}
	}
	return r.expected("a value")
}

func (r *jsonReader) object() ast.Node {
	node := ast.Mapping(r.token(token.MappingStartType, "{", "{"), true)
	r.skip(1)
	r.space()
	if r.next('}') {
		return node
	}
	for r.fault == "" {
		if r.at == len(r.text) || r.text[r.at] != '"' {
			return r.expected("a key in double quotes")
		}
		key, ok := r.string().(*ast.StringNode)
		if !ok {
			return nil
		}
		r.space()
		colon := r.token(token.MappingValueType, ":", ":")
		if !r.next(':') {
			return r.expected("a colon")
		}
		r.space()
		value := r.value()
		if r.fault != "" {
			return nil
		}
		node.Values = append(node.Values, ast.MappingValue(colon, key, value))
		r.space()
		if r.next('}') {
			return node
		}
		if !r.next(',') {
			return r.expected("a comma or }")
		}
		r.space()
	}
	return nil
}

func (r *jsonReader) array() ast.Node {
	node := ast.Sequence(r.token(token.SequenceStartType, "[", "["), true)
	r.skip(1)
	r.space()
	if r.next(']') {
		return node
	}
	for r.fault == "" {
		value := r.value()
		if r.fault != "" {
			return nil
		}
		node.Values = append(node.Values, value)
		r.space()
		if r.next(']') {
			return node
		}
		if !r.next(',') {
			return r.expected("a comma or ]")
		}
		r.space()
	}
	return nil
}

func (r *jsonReader) string() ast.Node {
	n := r.at + 1
	for n < len(r.text) && r.text[n] != '"' && r.text[n] >= ' ' {
		if r.text[n] == '\\' {
			n++
		}
		n++
	}
	if n >= len(r.text) || r.text[n] != '"' {
		r.skip(min(n, len(r.text)) - r.at)
		return r.expected("the quote that ends this text")
	}
	var text string
	origin := r.text[r.at : n+1]
	if err := json.Unmarshal(origin, &text); err != nil {
		r.fault = "saw a text with an escape that JSON does not have"
		return nil
	}
	t := r.token(token.DoubleQuoteType, text, string(origin))
	r.skip(len(origin))
	return ast.String(t)
}

func (r *jsonReader) number() ast.Node {
	n := r.at
	for n < len(r.text) && (r.text[n] >= '0' && r.text[n] <= '9' || strings.IndexByte("+-.eE", r.text[n]) >= 0) {
		n++
	}
	text := string(r.text[r.at:n])
	if !json.Valid([]byte(text)) {
		return r.expected("a number")
	}
	whole := !strings.ContainsAny(text, ".eE")
	kind := token.FloatType
	if whole {
		kind = token.IntegerType
	}
	t := r.token(kind, text, text)
	r.skip(len(text))
	if whole {
		return ast.Integer(t)
	}
	return ast.Float(t)
}
