package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Definitions are the lists of a configuration that say what is computed of
// persons, who belongs together and what pages show.
type Definitions struct {
	Traits     []Trait     `yaml:"traits"`
	Segments   []Segment   `yaml:"segments"`
	Placements []Placement `yaml:"placements"`
}

// YAML writes definitions exactly as a file takes them: what Parse reads from it
// is the same again. Keys that say nothing are left out.
func (d *Definitions) YAML() []byte {
	var e yamlWriter
	e.fields(reflect.ValueOf(d).Elem(), 0, "")
	return e.Bytes()
}

// JSON writes the definition that was read, as Trait.JSON does.
func (b *Body) JSON() []byte {
	switch {
	case b.Trait != nil:
		return b.Trait.JSON()
	case b.Segment != nil:
		return b.Segment.JSON()
	}
	return b.Placement.JSON()
}

// JSON writes the trait as one object with the keys of a file, in their order,
// without those that say nothing: equal traits have equal texts, and ReadTrait
// reads it back.
func (t *Trait) JSON() []byte { return appendJSON(nil, reflect.ValueOf(t).Elem()) }

// JSON writes the segment, as Trait.JSON does a trait.
func (s *Segment) JSON() []byte { return appendJSON(nil, reflect.ValueOf(s).Elem()) }

// JSON writes the placement, as Trait.JSON does a trait.
func (p *Placement) JSON() []byte { return appendJSON(nil, reflect.ValueOf(p).Elem()) }

// text is a value's form as text; ok is false for what has none of its own.
func text(v reflect.Value) (s string, ok bool) {
	switch x := v.Interface().(type) {
	case time.Duration:
		return FormatDuration(x), true
	case Share:
		return x.String(), true
	case time.Time:
		return x.Format(time.RFC3339Nano), true
	}
	if v.Kind() == reflect.String {
		return strings.ToValidUTF8(v.String(), "\ufffd"), true
	}
	return "", false
}

// bare is the form of a number or a truth.
func bare(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'f', -1, 64)
	}
	panic("config: no writer for " + v.Type().String()) // a field of a new type; every test would hit it
}

// says says that a value is worth writing. A pointer's is, whatever it points at.
func says(v reflect.Value) bool {
	if v.Kind() == reflect.Slice {
		return v.Len() > 0
	}
	return !v.IsZero()
}

func appendJSON(b []byte, v reflect.Value) []byte {
	if s, ok := text(v); ok {
		return appendJSONText(b, s)
	}
	switch v.Kind() {
	case reflect.Pointer:
		return appendJSON(b, v.Elem())
	case reflect.Slice:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, v.Index(i))
		}
		return append(b, ']')
	case reflect.Struct:
		b = append(b, '{')
		first := true
		for i := range v.NumField() {
			name := v.Type().Field(i).Tag.Get("yaml")
			if name == "" || !says(v.Field(i)) {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(appendJSONText(b, name), ':')
			b = appendJSON(b, v.Field(i))
		}
		return append(b, '}')
	}
	return append(b, bare(v)...)
}

func appendJSONText(b []byte, s string) []byte {
	var w bytes.Buffer
	e := json.NewEncoder(&w)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("config: " + err.Error()) // a text of UTF-8 has a form in JSON
	}
	return append(b, bytes.TrimRight(w.Bytes(), "\n")...)
}

// yamlWriter writes definitions as people write them: one key a line, short
// lists and flat mappings within a line.
type yamlWriter struct{ bytes.Buffer }

// fields writes the keys of a struct; first stands before the first one, which
// has its line's indent already.
func (e *yamlWriter) fields(v reflect.Value, indent int, first string) {
	started := first != ""
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Tag.Get("yaml"), v.Field(i)
		if name == "" || !says(f) {
			continue
		}
		if started {
			started = false
		} else {
			e.WriteString(strings.Repeat(" ", indent))
		}
		e.WriteString(name + ":")
		e.field(f, indent)
	}
	if started { // nothing was written
		e.WriteString("{}\n")
	}
}

// field writes a value behind its key.
func (e *yamlWriter) field(v reflect.Value, indent int) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	s, isText := text(v)
	switch {
	case isText && isBlock(s):
		e.WriteString(" |-\n")
		for line := range strings.SplitSeq(s, "\n") {
			if line != "" {
				line = strings.Repeat(" ", indent+2) + line
			}
			e.WriteString(line + "\n")
		}
	case isText:
		e.WriteString(" " + yamlText(s) + "\n")
	case v.Kind() == reflect.Struct:
		e.WriteString(" ")
		e.flow(v)
		e.WriteString("\n")
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		e.WriteString("\n")
		for i := range v.Len() {
			e.WriteString(strings.Repeat(" ", indent+2) + "- ")
			e.fields(v.Index(i), indent+4, "- ")
		}
	case v.Kind() == reflect.Slice:
		e.WriteString(" ")
		e.flow(v)
		e.WriteString("\n")
	default:
		e.WriteString(" " + bare(v) + "\n")
	}
}

// flow writes a value within a line.
func (e *yamlWriter) flow(v reflect.Value) {
	if s, ok := text(v); ok {
		e.WriteString(yamlText(s))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		e.flow(v.Elem())
	case reflect.Slice:
		e.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				e.WriteString(", ")
			}
			e.flow(v.Index(i))
		}
		e.WriteByte(']')
	case reflect.Struct:
		e.WriteByte('{')
		first := true
		for i := range v.NumField() {
			name := v.Type().Field(i).Tag.Get("yaml")
			if name == "" || !says(v.Field(i)) {
				continue
			}
			if !first {
				e.WriteString(", ")
			}
			first = false
			e.WriteString(name + ": ")
			e.flow(v.Field(i))
		}
		e.WriteByte('}')
	default:
		e.WriteString(bare(v))
	}
}

// isBlock says that a text is best written on lines of its own: it has some, and
// nothing that YAML would change in them.
func isBlock(s string) bool {
	if !strings.Contains(s, "\n") {
		return false
	}
	for line := range strings.SplitSeq(s, "\n") {
		if line == "" || line[0] == ' ' || strings.HasSuffix(line, " ") || line[0] == '#' || strings.HasPrefix(line, "---") || strings.HasPrefix(line, "...") {
			return false
		}
		if strings.ContainsFunc(line, func(r rune) bool { return !isPrintable(r) }) {
			return false
		}
	}
	return true
}

func isPrintable(r rune) bool { return r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) }

// plainForm are texts that mean themselves to YAML without quotes, also within
// brackets.
var plainForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*( [A-Za-z0-9_.-]+)*$|^[0-9]+(ms|[smhd]|(\.[0-9]+)?%)$`)

// yamlText writes a text on one line.
func yamlText(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return "'" + s + "'"
	}
	if plainForm.MatchString(s) {
		return s
	}
	isPlain := !strings.ContainsFunc(s, func(r rune) bool { return !isPrintable(r) })
	if isPlain && !(strings.Contains(s, "'") && !strings.ContainsAny(s, `"\\`)) {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case isPrintable(r):
			b.WriteRune(r)
		case r > 0xffff:
			b.WriteString(`\U` + hexDigits(r, 8))
		default:
			b.WriteString(`\u` + hexDigits(r, 4))
		}
	}
	b.WriteByte('"')
	return b.String()
}

func hexDigits(r rune, digits int) string {
	s := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", max(0, digits-utf8.RuneCountInString(s))) + s
}
