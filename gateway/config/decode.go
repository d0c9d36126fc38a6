package config

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// decoder walks a YAML tree and the typed Config side by side. It never stops
// at a fault: what cannot be read keeps its default and the walk goes on.
//
// The YAML library's own strict decoding was rejected because it ends at the
// first fault and loses the places of the values it did read.
type decoder struct {
	source source
	faults Faults
	// broken are the paths that have a fault of form, whose values therefore say
	// nothing: checks of meaning leave them alone.
	broken []string
	lines  [][]byte // of the text, for the places within rules
}

func newDecoder(name string, data []byte) *decoder {
	return &decoder{
		source: source{name: name, at: map[string]position{}, rules: map[string]written{}},
		lines:  bytes.SplitAfter(data, []byte("\n")),
	}
}

// defaulter is an element that does not start from its zero value.
type defaulter interface{ setDefaults() }

func (d *decoder) fault(p position, path, message string) {
	d.faults = append(d.faults, Fault{File: d.source.name, Line: p.line, Column: p.column, Path: path, Message: message})
	d.broken = append(d.broken, path)
}

// value reads node into v.
func (d *decoder) value(node ast.Node, path string, v reflect.Value) {
	at := place(node)
	switch n := node.(type) {
	case nil, *ast.NullNode:
		return // a key without a value says nothing: the default stays
	case *ast.AnchorNode, *ast.AliasNode:
		d.fault(at, path, "saw an anchor or alias, expected the value itself; write it out")
		return
	case *ast.TagNode:
		d.fault(at, path, fmt.Sprintf("saw the tag %s, expected a plain value; leave the tag out", quoted(n.Start.Value)))
		return
	}
	d.source.at[path] = at
	switch p := v.Addr().Interface().(type) {
	case *time.Duration:
		scalar(d, node, at, path, p, "a duration such as 90s, 24h, 30d or 25 months", ParseDuration)
	case *Size:
		scalar(d, node, at, path, p, "a size such as 500KiB, 2MiB or a number of bytes", ParseSize)
	case *Share:
		scalar(d, node, at, path, p, "a percentage such as 10%", ParseShare)
	case *time.Time:
		scalar(d, node, at, path, p, "a time such as 2026-11-27T09:00:00+02:00", parseTime)
	case *netip.Prefix:
		scalar(d, node, at, path, p, "an address range such as 10.0.0.0/8, or one address", parsePrefix)
	case *Secret:
		d.secret(node, at, path, p)
	default:
		d.plain(node, at, path, v)
	}
}

// plain reads what has no text form of its own.
func (d *decoder) plain(node ast.Node, at position, path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		d.object(node, at, path, v)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.plain(node, at, path, v.Elem())
	case reflect.Map:
		d.dictionary(node, at, path, v)
	case reflect.Slice:
		d.list(node, at, path, v)
	case reflect.String:
		text, ok := plainText(node)
		if !ok {
			d.fault(at, path, "saw "+describe(node)+", expected text"+quoteHint(node))
			return
		}
		v.SetString(text)
		d.keepRule(at, path, text)
	case reflect.Bool:
		n, ok := node.(*ast.BoolNode)
		if !ok {
			d.fault(at, path, "saw "+describe(node)+", expected true or false")
			return
		}
		v.SetBool(n.Value)
	case reflect.Int:
		n, ok := wholeNumber(node)
		if !ok {
			d.fault(at, path, "saw "+describe(node)+", expected a whole number")
			return
		}
		v.SetInt(n)
	case reflect.Float64:
		f, ok := number(node)
		if !ok {
			d.fault(at, path, "saw "+describe(node)+", expected a number")
			return
		}
		v.SetFloat(f)
	default:
		panic("config: no reader for " + v.Type().String()) // a field of a new type; every test would hit it
	}
}

// object reads a mapping into a struct by its yaml tags.
func (d *decoder) object(node ast.Node, at position, path string, v reflect.Value) {
	fields := map[string]int{}
	var names []string
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("yaml"); name != "" {
			fields[name] = i
			names = append(names, name)
		}
	}
	d.entries(node, at, path, "with keys of "+list(names), func(name, path string, at position, value ast.Node) {
		i, known := fields[name]
		if known {
			d.value(value, path, v.Field(i))
			return
		}
		if near := nearest(name, names); near != "" {
			d.fault(at, path, "unknown key; did you mean "+near+"?")
			d.faults[len(d.faults)-1].Suggestion = near
			d.broken = append(d.broken, join(strings.TrimSuffix(path, name), near))
			return
		}
		d.fault(at, path, "unknown key; known here: "+list(names))
	})
}

// dictionary reads a mapping into a map whose keys are names.
func (d *decoder) dictionary(node ast.Node, at position, path string, v reflect.Value) {
	d.entries(node, at, path, "of names", func(name, path string, _ position, value ast.Node) {
		element := reflect.New(v.Type().Elem()).Elem()
		if old := v.MapIndex(reflect.ValueOf(name)); old.IsValid() {
			element.Set(old)
		} else if e, ok := element.Addr().Interface().(defaulter); ok {
			e.setDefaults()
		}
		d.value(value, path, element)
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		v.SetMapIndex(reflect.ValueOf(name), element)
	})
}

// entries visits the keys of a mapping, each once.
func (d *decoder) entries(node ast.Node, at position, path, expected string, visit func(name, path string, at position, value ast.Node)) {
	values, ok := mapping(node)
	if !ok {
		d.fault(at, path, "saw "+describe(node)+", expected a mapping "+expected)
		return
	}
	seen := map[string]position{}
	for _, kv := range values {
		at := tokenPlace(kv.Key.GetToken())
		if kv.Key.IsMergeKey() {
			d.fault(at, path, "saw the merge key <<, expected the keys themselves; write them out")
			continue
		}
		name, ok := keyName(kv.Key)
		if !ok {
			d.fault(at, path, "saw a key that is no plain name; write it as text")
			continue
		}
		child := join(path, name)
		if first, twice := seen[name]; twice {
			d.fault(at, child, fmt.Sprintf("the key stands here twice; the first one is on line %d", first.line))
			continue
		}
		seen[name] = at
		visit(name, child, at, kv.Value)
		if _, isScalar := kv.Value.(ast.ScalarNode); !isScalar {
			if _, read := d.source.at[child]; read {
				d.source.at[child] = at // faults about a whole list or mapping point at its key
			}
		}
	}
}

// list reads a sequence into a slice.
func (d *decoder) list(node ast.Node, at position, path string, v reflect.Value) {
	n, ok := node.(*ast.SequenceNode)
	if !ok {
		d.fault(at, path, "saw "+describe(node)+", expected a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Values), len(n.Values)))
	for i, item := range n.Values {
		element := v.Index(i)
		if e, ok := element.Addr().Interface().(defaulter); ok {
			e.setDefaults()
		}
		d.value(item, path+"["+strconv.Itoa(i)+"]", element)
	}
}

// secret reads a secret and keeps its text out of every fault.
func (d *decoder) secret(node ast.Node, at position, path string, s *Secret) {
	text, ok := plainText(node)
	if !ok {
		d.fault(at, path, "expected text, env:NAME or file:PATH"+quoteHint(node))
		return
	}
	*s = readSecret(text)
}

// scalar reads a value that has a text form. A number's form is its text, so
// that a bare 90 is judged by parse.
func scalar[T any](d *decoder, node ast.Node, at position, path string, v *T, expected string, parse func(string) (T, error)) {
	text, ok := plainText(node)
	if !ok {
		switch node.(type) {
		case *ast.IntegerNode, *ast.FloatNode:
			text = node.GetToken().Value
		default:
			d.fault(at, path, "saw "+describe(node)+", expected "+expected)
			return
		}
	}
	read, err := parse(text)
	if err != nil {
		d.fault(at, path, err.Error())
		return
	}
	*v = read
}

// mapping is node's entries when it is a mapping.
func mapping(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

func keyName(key ast.MapKeyNode) (string, bool) {
	switch n := key.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.BoolNode, *ast.FloatNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func plainText(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.MappingNode:
		if len(n.Values) == 1 && !n.IsFlowStyle {
			return plainText(n.Values[0])
		}
	case *ast.MappingValueNode:
		return rejoined(n)
	}
	return "", false
}

// rejoined mends a plain scalar such as env:NAME that the library splits at its
// colon when it stands in a list inside braces (go-yaml issue 832): to YAML a
// colon without a space behind it is part of the text (YAML 1.2.2, 7.3.3).
func rejoined(n *ast.MappingValueNode) (string, bool) {
	if _, isScalar := n.Value.(ast.ScalarNode); !isScalar {
		return "", false
	}
	key, colon, value := n.Key.GetToken(), n.GetToken(), n.Value.GetToken()
	for _, t := range []*token.Token{key, colon, value} {
		if t == nil || t.Position == nil {
			return "", false
		}
	}
	isQuoted := key.Type == token.DoubleQuoteType || key.Type == token.SingleQuoteType
	if isQuoted || value.Position.Offset != colon.Position.Offset+1 {
		return "", false
	}
	return key.Value + ":" + value.Value, true
}

// number is a decimal number, whole or not.
func number(node ast.Node) (float64, bool) {
	switch node.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		f, err := strconv.ParseFloat(node.GetToken().Value, 64)
		return f, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
	}
	return 0, false
}

func wholeNumber(node ast.Node) (int64, bool) {
	n, ok := node.(*ast.IntegerNode)
	if !ok {
		return 0, false
	}
	switch x := n.Value.(type) {
	case int64:
		return x, true
	case uint64:
		return int64(x), x <= 1<<62
	}
	return 0, false
}

// describe says in a message what kind of value node is.
func describe(node ast.Node) string {
	switch n := node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.BoolNode:
		return strconv.FormatBool(n.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "the number " + n.GetToken().Value
	}
	if text, ok := plainText(node); ok {
		return "the text " + quoted(text)
	}
	return "something else"
}

// quoteHint adds what to do when YAML read a word as something other than text.
func quoteHint(node ast.Node) string {
	switch node.(type) {
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "; put it in quotes"
	}
	return ""
}

// place is where a node begins.
func place(node ast.Node) position {
	switch n := node.(type) {
	case nil:
		return position{}
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return tokenPlace(n.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		return tokenPlace(n.Key.GetToken())
	}
	return tokenPlace(node.GetToken())
}

func tokenPlace(t *token.Token) position {
	if t == nil || t.Position == nil {
		return position{}
	}
	return position{line: t.Position.Line, column: t.Position.Column}
}

// join puts a key behind a path.
func join(path, name string) string {
	if path = strings.TrimSuffix(path, "."); path == "" {
		return name
	}
	return path + "." + name
}
