package admin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/reuna/reuna/identity/id"
)

// body reads the request's JSON object into v, strictly. No body at all is an
// empty object.
func (c *call) body(v any) *failure {
	return readBody(c.ctx.PostBody(), v)
}

func readBody(text []byte, v any) *failure {
	if text = bytes.TrimSpace(text); len(text) == 0 {
		text = []byte("{}")
	}
	if !utf8.Valid(text) {
		return badRequest("invalid_json", "", "the body is not UTF-8; expected a JSON object")
	}
	if text[0] != '{' {
		return badRequest("invalid_json", "", fmt.Sprintf("the body begins with %q; expected a JSON object", clip(text[:1])))
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind):
		field := memberPath(kind.Field)
		return badRequest("invalid_type", field, fmt.Sprintf("%s is of the kind %s; expected %s", cmp.Or(field, "the body"), clip([]byte(kind.Value)), jsonKind(kind.Type)))
	case err != nil && strings.HasPrefix(err.Error(), "json: unknown field "):
		name := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		return badRequest("unknown_field", clip([]byte(name)), fmt.Sprintf("there is no member %q here; /openapi.yaml names those there are", clip([]byte(name))))
	case err != nil:
		return badRequest("invalid_json", "", "the body is no JSON object: "+clip([]byte(strings.TrimPrefix(err.Error(), "json: "))))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest("invalid_json", "", "something follows the JSON object in the body; expected one object")
	}
	return nil
}

// memberPath is a path of encoding/json without the types that are embedded:
// their names alone end in Body.
func memberPath(path string) string {
	names := slices.DeleteFunc(strings.Split(path, "."), func(name string) bool { return strings.HasSuffix(name, "Body") })
	return strings.Join(names, ".")
}

// jsonKind says in the words of JSON what a member is expected to be.
func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return jsonKind(t.Elem())
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	}
	return "a number"
}

// subjectBody is how a body names a person.
type subjectBody struct {
	Person string `json:"person"` // a person id, or
	Type   string `json:"type"`   // a type with
	Value  string `json:"value"`  // its value
	View   string `json:"view"`
	Reason string `json:"reason"`
}

func (b *subjectBody) subject(types *id.Types) (x subject, v id.View, f *failure) {
	switch {
	case b.Person != "" && (b.Type != "" || b.Value != ""):
		return x, v, badRequest("invalid_identifier", "person", "person and type with value name somebody twice; give one of the two")
	case b.Person != "":
		x, f = newSubject(personType, b.Person, types)
	case b.Type == "" || b.Value == "":
		return x, v, badRequest("missing_identifier", "type", `nobody is named; expected {"type":"user_id","value":"u1"} or {"person":"p_…"}`)
	default:
		x, f = newSubject(b.Type, b.Value, types)
	}
	if f == nil {
		v, f = viewNamed(b.View)
	}
	if f == nil {
		f = checkReason(b.Reason)
	}
	return x, v, f
}

// maxReason is the longest reason, bytes.
const maxReason = 500

func checkReason(text string) *failure {
	if len(text) > maxReason || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == utf8.RuneError }) {
		return badRequest("invalid_reason", "reason", fmt.Sprintf("reason has %d bytes; expected at most %d, on one line: a code or a ticket, never a name", len(text), maxReason))
	}
	return nil
}

// identifierBody names one identifier.
type identifierBody struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

func (b *identifierBody) id(field string, types *id.Types) (id.ID, *failure) {
	if b.Type == "" || b.Value == "" {
		return id.ID{}, badRequest("missing_identifier", field, field+` is missing; expected {"type":"user_id","value":"u1"}`)
	}
	if b.Type == personType {
		return id.ID{}, badRequest("unknown_type", field, field+" is a person id; evidence is about identifiers, so give a type and a value")
	}
	if _, known := types.Rule(b.Type); !known {
		return id.ID{}, badRequest("unknown_type", field, fmt.Sprintf("there is no identifier type %q; expected %s", clip([]byte(b.Type)), list(types.Names())))
	}
	x, f := newSubject(b.Type, b.Value, types)
	if f != nil {
		f.status, f.field = 400, field
		if f.code == "unknown_person" { // a blocked value
			f.code = "blocked_value"
		}
	}
	return x.id, f
}

// readTime reads a time of a body, in ms since 1970; 0 when it is not given.
func readTime(field, text string, now time.Time) (int64, *failure) {
	if text == "" {
		return 0, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, badRequest("invalid_time", field, fmt.Sprintf("%s is %q; expected a time such as %s", field, clip([]byte(text)), now.UTC().Format(time.RFC3339)))
	}
	if t.UnixMilli() <= 0 || t.After(now) {
		return 0, badRequest("invalid_time", field, fmt.Sprintf("%s is %q; expected a time after 1970 that has passed", field, clip([]byte(text))))
	}
	return t.UnixMilli(), nil
}
