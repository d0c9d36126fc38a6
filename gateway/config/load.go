package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

const (
	// maxFile bounds a configuration, in bytes. 1 MiB is some ten thousand sites.
	maxFile = 1 << 20
	// maxNesting bounds open brackets on a line of descent, so that the YAML
	// parser, which recurses, cannot be driven into the ground.
	maxNesting = 64
)

// Load reads the file at path, resolves its secrets and checks everything. The
// error is Faults, or says why the file cannot be read.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	return read(path, data, true)
}

// Parse reads a configuration from data; name stands for the file in faults.
// It touches no file and no environment: a secret that is named by env: or
// file: stays unresolved and unchecked. The error is Faults.
func Parse(name string, data []byte) (*Config, error) {
	return read(name, data, false)
}

func read(name string, data []byte, resolve bool) (*Config, error) {
	d := newDecoder(name, data)
	c := Default()
	if root := d.tree(data); root != nil {
		d.value(root, "", reflect.ValueOf(c).Elem())
		d.source.at[""] = position{1, 1}
	}
	if len(d.faults) > 0 && slices.Contains(d.broken, "") {
		return nil, d.faults // not a configuration at all: no use in checking its values
	}
	c.source = d.source
	c.settle()
	if resolve {
		c.eachSecret(func(path string, s *Secret) {
			if err := s.resolve(); err != nil {
				d.fault(c.source.find(path), path, err.Error())
			}
		})
	}
	for _, f := range c.check() {
		if !slices.ContainsFunc(d.broken, func(root string) bool { return under(f.Path, root) }) {
			d.faults = append(d.faults, f)
		}
	}
	d.faults.sort()
	if err := d.faults.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// tree is the document's root node; nil when there is none, with a fault
// unless the document is just empty.
func (d *decoder) tree(data []byte) ast.Node {
	start := position{1, 1}
	if len(data) > maxFile {
		d.fault(start, "", fmt.Sprintf("saw more than %s, expected a configuration of at most that size", Size(maxFile)))
		return nil
	}
	if at, deep := tooDeep(data); deep {
		d.fault(at, "", fmt.Sprintf("saw more than %d brackets or list dashes inside each other, expected a configuration", maxNesting))
		return nil
	}
	file, err := parseYAML(data)
	if err != nil {
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			// Its message only: the full text quotes lines around it, which may hold a secret.
			d.fault(tokenPlace(syntax.GetToken()), "", "not readable as YAML: "+syntax.GetMessage())
			return nil
		}
		d.fault(start, "", "not readable as YAML; check the indentation and the quotes")
		return nil
	}
	var root ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if _, isDirective := doc.Body.(*ast.DirectiveNode); isDirective {
			continue
		}
		if root != nil {
			d.fault(place(doc.Body), "", "saw a second document after ---, expected one; put everything in the first")
			return nil
		}
		root = doc.Body
	}
	if line := firstText(data); root == nil && line > 0 {
		d.fault(position{line, 1}, "", "saw text that the YAML reader makes nothing of, expected keys with their values")
	}
	return root
}

// firstText is the first line that says something: no comment, no mark of a
// document's begin or end, no null; 0 when there is none.
func firstText(data []byte) int {
	n := 0
	for line := range bytes.Lines(data) {
		n++
		text, _, _ := bytes.Cut(line, []byte(" #"))
		switch text = bytes.TrimSpace(text); {
		case len(text) == 0, text[0] == '#', text[0] == '%':
		case string(text) == "---", string(text) == "...", string(text) == "~", string(text) == "null":
		default:
			return n
		}
	}
	return 0
}

var errParser = errors.New("the YAML parser gave up")

// parseYAML keeps a panic of the YAML library from ending the gateway on a bad
// file: to its user that is one more unreadable file.
func parseYAML(data []byte) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			file, err = nil, errParser
		}
	}()
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

// tooDeep finds where brackets open more than maxNesting deep, or as many list
// dashes stand in a row. Quotes are not looked at, as no configuration of ours
// comes near; lines that are comments are left out.
func tooDeep(data []byte) (position, bool) {
	depth, line := 0, 0
	for text := range bytes.Lines(data) {
		line++
		if bytes.HasPrefix(bytes.TrimLeft(text, " \t"), []byte("#")) {
			continue
		}
		dashes := 0
		for i, b := range text {
			next := byte('\n')
			if i+1 < len(text) {
				next = text[i+1]
			}
			switch b {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(0, depth-1)
			case '-', '?':
				if next == ' ' || next == '\t' {
					dashes++
				}
			}
			if depth > maxNesting || dashes > maxNesting {
				return position{line, i + 1}, true
			}
		}
	}
	return position{}, false
}
