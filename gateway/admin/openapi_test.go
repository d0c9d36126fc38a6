package admin_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/reuna/reuna/gateway/admin"
)

// document is the OpenAPI document with what a check needs of it.
type document struct {
	root map[string]any
	sent bool // what is looked at was sent: its times need no milliseconds
}

func readDocument(t *testing.T) *document {
	t.Helper()
	d := &document{}
	if err := yaml.Unmarshal(admin.Document(), &d.root); err != nil {
		t.Fatal(err)
	}
	return d
}

// at walks down the document; references are followed.
func (d *document) at(v any, keys ...string) any {
	for _, k := range keys {
		m, _ := d.follow(v).(map[string]any)
		v = m[k]
	}
	return d.follow(v)
}

func (d *document) follow(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	ref, ok := m["$ref"].(string)
	if !ok {
		return v
	}
	target := d.at(d.root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	if target == nil {
		panic("the document refers to nothing: " + ref)
	}
	return target
}

// faults tells how v breaks a schema: the keywords that the document uses.
// Members that the schema does not name are faults, so that nothing is answered
// which is not written down.
func (d *document) faults(schema, v any, where string) (list []string) {
	s, _ := d.follow(schema).(map[string]any)
	fault := func(format string, args ...any) { list = append(list, where+": "+fmt.Sprintf(format, args...)) }
	if c, ok := s["const"]; ok && c != v {
		fault("is %v, not %v", v, c)
	}
	if e, ok := s["enum"].([]any); ok && !slices.Contains(e, v) {
		fault("is %v, none of %v", v, e)
	}
	if one, ok := s["oneOf"].([]any); ok {
		least := d.faults(one[0], v, where)
		for _, part := range one[1:] {
			if f := d.faults(part, v, where); len(f) < len(least) {
				least = f
			}
		}
		return append(list, least...)
	}
	all, _ := s["allOf"].([]any)
	switch x := v.(type) {
	case map[string]any:
		properties := map[string]any{}
		for _, part := range append(all, s) {
			p, _ := d.follow(part).(map[string]any)
			for name, q := range mapOf(p["properties"]) {
				properties[name] = q
			}
			required, _ := p["required"].([]any)
			for _, name := range required {
				if _, ok := x[name.(string)]; !ok {
					fault("lacks %v", name)
				}
			}
		}
		for name, member := range x {
			q, named := properties[name]
			switch {
			case named:
				list = append(list, d.faults(q, member, where+"."+name)...)
			case s["additionalProperties"] == true || len(properties) == 0 && s["additionalProperties"] == nil:
			case s["additionalProperties"] != nil:
				list = append(list, d.faults(s["additionalProperties"], member, where+"."+name)...)
			default:
				fault("has %s, which is not written down", name)
			}
		}
	case []any:
		for i, item := range x {
			list = append(list, d.faults(s["items"], item, fmt.Sprintf("%s[%d]", where, i))...)
		}
	case string:
		if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(x) {
			fault("%q does not match %s", x, p)
		}
		if s["format"] == "date-time" {
			if at, err := time.Parse(time.RFC3339, x); err != nil || !d.sent && at.UTC().Format("2006-01-02T15:04:05.000Z") != x {
				fault("%q is no time", x)
			}
		}
	}
	if want, ok := s["type"].(string); ok {
		if got := kindOf(v); got != want && (want != "number" || got != "integer") {
			fault("is %s, want %s", got, want)
		}
	}
	return list
}

func mapOf(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func kindOf(v any) string {
	switch x := v.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		if x == float64(int64(x)) {
			return "integer"
		}
		return "number"
	}
	return "null"
}

// check holds an answer of a route against the document: its status and content
// type must be listed for the path, and its body must be as the schema says.
func (d *document) check(t *testing.T, method, sent string, status int, contentType, body string) {
	t.Helper()
	path := admin.Match(method, sent)
	if path == "" {
		return
	}
	answer := mapOf(d.at(d.root, "paths", path, strings.ToLower(method), "responses", fmt.Sprint(status)))
	if answer == nil {
		t.Errorf("%s %s answers %d, which is not written down: %.300s", method, path, status, body)
		return
	}
	kind, _, _ := strings.Cut(contentType, ";")
	media := mapOf(d.at(answer, "content", kind))
	if media == nil {
		t.Errorf("%s answers %d with %s, which is not written down", path, status, contentType)
		return
	}
	if kind != "application/json" {
		return
	}
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	for _, f := range d.faults(media["schema"], v, path) {
		t.Error(f)
	}
}

// checkSent holds a body that a route has taken against the document.
func (d *document) checkSent(t *testing.T, method, sent, body string) {
	t.Helper()
	path := admin.Match(method, sent)
	schema := d.at(d.root, "paths", path, strings.ToLower(method), "requestBody", "content", "application/json", "schema")
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil || schema == nil {
		t.Errorf("%s takes %.300s: %v", path, body, err)
		return
	}
	for _, f := range (&document{root: d.root, sent: true}).faults(schema, v, path+" takes") {
		t.Error(f)
	}
}

// TestDocumentAndTableAgree: every route is in the document with its parameters
// and whether it needs a key, and nothing else is.
func TestDocumentAndTableAgree(t *testing.T) {
	d := readDocument(t)
	paths := mapOf(d.root["paths"])
	seen := map[string]bool{}
	for _, r := range admin.Table() {
		method := strings.ToLower(r.Method)
		op := mapOf(d.at(paths, r.Path, method))
		if op == nil {
			t.Errorf("%s is served and not in the document", r.Path)
			continue
		}
		if served := mapOf(paths[r.Path]); served != nil {
			seen[r.Path+" "+method] = true
		}
		if _, open := op["security"]; open != r.Open {
			t.Errorf("%s: open is %v in the table and %v in the document", r.Path, r.Open, open)
		}
		var query, variable []string
		parameters, _ := op["parameters"].([]any)
		for _, p := range parameters {
			m := mapOf(d.follow(p))
			switch m["in"] {
			case "query":
				query = append(query, m["name"].(string))
			case "path":
				variable = append(variable, m["name"].(string))
			}
		}
		if r.Query != nil {
			slices.Sort(query)
			if want := slices.Sorted(slices.Values(r.Query)); !slices.Equal(query, want) {
				t.Errorf("%s: the table has parameters %v, the document %v", r.Path, want, query)
			}
		}
		_, rest, has := strings.Cut(r.Path, "{")
		name, _, _ := strings.Cut(rest, "}")
		if has != (len(variable) == 1) || has && variable[0] != name {
			t.Errorf("%s: the document has path parameters %v", r.Path, variable)
		}
		if d.at(op, "responses", "200") == nil && d.at(op, "responses", "202") == nil || d.at(op, "responses", "403") == nil {
			t.Errorf("%s: no success or no 403 in the document", r.Path)
		}
		if (r.Method == "POST" || r.Method == "PUT") && d.at(op, "requestBody", "content", "application/json", "schema") == nil {
			t.Errorf("%s: no body in the document", r.Path)
		}
		for _, status := range []string{"401", "429"} {
			if (d.at(op, "responses", status) == nil) != r.Open {
				t.Errorf("%s: %s in the document", r.Path, status)
			}
		}
	}
	for path, methods := range paths {
		for method := range mapOf(methods) {
			if !seen[path+" "+method] {
				t.Errorf("%s %s is in the document and not served", method, path)
			}
		}
	}
}
