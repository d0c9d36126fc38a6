package collect

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/token"
)

// document is the OpenAPI document as YAML reads it.
type document struct{ root map[string]any }

func readDocument(t *testing.T) *document {
	t.Helper()
	d := &document{}
	if err := yaml.UnmarshalWithOptions(openAPI, &d.root, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return d
}

// at walks down from v; references are followed.
func (d *document) at(v any, keys ...string) any {
	for _, k := range keys {
		v = mapOf(d.follow(v))[k]
	}
	return d.follow(v)
}

func (d *document) follow(v any) any {
	ref, ok := mapOf(v)["$ref"].(string)
	if !ok {
		return v
	}
	target := d.at(d.root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	if target == nil {
		panic("the document refers to nothing: " + ref)
	}
	return target
}

func mapOf(v any) map[string]any  { m, _ := v.(map[string]any); return m }
func listOf(v any) (list []any)   { list, _ = v.([]any); return list }
func pathOf(d *document) []string { return keysOf(mapOf(d.root["paths"])) }

func keysOf(m map[string]any) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// faults tells how v breaks a schema, by the keywords that the document uses.
// A member that the schema does not name is a fault: nothing is answered that
// is not written down.
func (d *document) faults(schema, v any, where string) (list []string) {
	s := mapOf(d.follow(schema))
	fault := func(format string, args ...any) { list = append(list, where+": "+fmt.Sprintf(format, args...)) }
	if c, ok := s["const"]; ok && fmt.Sprint(c) != fmt.Sprint(v) {
		fault("is %v, not %v", v, c)
	}
	if e := listOf(s["enum"]); e != nil && !slices.Contains(e, v) {
		fault("is %v, none of %v", v, e)
	}
	if either := listOf(s["anyOf"]); either != nil {
		fits := func(schema any) bool { return len(d.faults(schema, v, where)) == 0 }
		if !slices.ContainsFunc(either, fits) {
			fault("is none of the alternatives")
		}
		return list
	}
	properties := map[string]any{}
	required := listOf(s["required"])
	for name, p := range mapOf(s["properties"]) {
		properties[name] = p
	}
	for _, part := range listOf(s["allOf"]) {
		p := mapOf(d.follow(part))
		required = append(required, listOf(p["required"])...)
		for name, q := range mapOf(p["properties"]) {
			properties[name] = q
		}
	}
	switch x := v.(type) {
	case map[string]any:
		for _, name := range required {
			if _, ok := x[name.(string)]; !ok {
				fault("lacks %v", name)
			}
		}
		more, stated := s["additionalProperties"]
		for name, member := range x {
			q, named := properties[name]
			switch {
			case named:
				list = append(list, d.faults(q, member, where+"."+name)...)
			case more == true || !stated && len(properties) == 0:
			case stated:
				list = append(list, d.faults(more, member, where+"."+name)...)
			default:
				fault("has %s, which is not written down", name)
			}
		}
	case []any:
		for i, item := range x {
			of := s["items"]
			if first := listOf(mapOf(d.follow(of))["prefixItems"]); first != nil && len(listOf(item)) != len(first) {
				fault("[%d] has %d items, not %d", i, len(listOf(item)), len(first))
			}
			if prefix := listOf(s["prefixItems"]); i < len(prefix) {
				of = prefix[i]
			}
			list = append(list, d.faults(of, item, fmt.Sprintf("%s[%d]", where, i))...)
		}
	case string:
		if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(x) {
			fault("%q does not match %s", x, p)
		}
		if s["format"] == "date-time" {
			if _, err := time.Parse("2006-01-02T15:04:05.000Z", x); err != nil {
				fault("%q is no time with milliseconds in UTC", x)
			}
		}
	}
	kinds := listOf(s["type"])
	if one, ok := s["type"].(string); ok {
		kinds = []any{one}
	}
	if got := kindOf(v); kinds != nil && !slices.Contains(kinds, any(got)) && (got != "integer" || !slices.Contains(kinds, any("number"))) {
		fault("is %s, want %v", got, kinds)
	}
	return list
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
	case nil:
		return "null"
	}
	return fmt.Sprintf("%T", v)
}

// plain is a value of the document as JSON would give it.
func plain(t *testing.T, v any) (out any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// check holds an answer against what the document says about the path: status,
// content type, required headers' values, and the body's members.
func (d *document) check(t *testing.T, path, method string, r *reply) {
	t.Helper()
	at := fmt.Sprintf("%s %s answers %d", method, path, r.StatusCode)
	answer := mapOf(d.at(d.root, "paths", path, method, "responses", fmt.Sprint(r.StatusCode)))
	if answer == nil {
		t.Errorf("%s, which is not written down: %s", at, r.text)
		return
	}
	for name, h := range mapOf(answer["headers"]) {
		got := r.Header.Get(name)
		schema := mapOf(d.at(h, "schema"))
		if c, ok := schema["const"]; ok && got != c {
			t.Errorf("%s with %s %q, want %q", at, name, got, c)
		}
		if got == "" && name != "Set-Cookie" {
			t.Errorf("%s without %s", at, name)
		}
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	media := mapOf(d.at(answer, "content", kind))
	if media == nil {
		t.Errorf("%s with %s, which is not written down", at, kind)
		return
	}
	if kind == "application/json" {
		for _, f := range d.faults(media["schema"], r.json(t), at) {
			t.Error(f)
		}
	}
}

// exampleIntake answers with the document's own example.
type exampleIntake struct {
	idle
	members []byte
}

func (x *exampleIntake) Interact(_ *Request, dst []byte) ([]byte, error) {
	return append(dst, x.members...), nil
}
func (x *exampleIntake) Profile(_ *Request, dst []byte) ([]byte, error) {
	return append(dst, x.members...), nil
}

// full cannot take anything now.
type full struct{}

var errFull = &Unavailable{Status: 503, Code: "store_full", Message: "no room", RetryAfter: time.Second}

func (full) Interact(_ *Request, dst []byte) ([]byte, error) { return dst, errFull }
func (full) Profile(_ *Request, dst []byte) ([]byte, error)  { return dst, errFull }
func (full) Collect(*Request) error                          { return errFull }
func (full) Reset(*Request) error                            { return errFull }

// served lists every path that a Server answers by itself, as the document
// writes them.
func served(s *Server) (paths []string) {
	for p := range s.routes {
		paths = append(paths, p)
	}
	return append(paths, s.o.Prefix+"/projects/{writeKey}/settings")
}

// elsewhere are the document's paths that other packages serve through Extra.
var elsewhere = []string{"/tag/{writeKey}.js", "/tag/{writeKey}.mjs", "/tag/{writeKey}.{hash}.js", "/tag/reuna.d.ts"}

// TestDocumentAndRoutesAgree: what is served is written down, and nothing else.
func TestDocumentAndRoutesAgree(t *testing.T) {
	d := readDocument(t)
	s := start(t).server
	want := append(append(served(s), pathOpenAPI), elsewhere...)
	slices.Sort(want)
	if got := pathOf(d); !slices.Equal(got, want) {
		t.Errorf("the document has the paths\n%s\nserved are\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	ids := map[any]string{}
	for _, path := range pathOf(d) {
		method := "get"
		if r := s.routes[path]; r != nil {
			method = strings.ToLower(r.method)
		}
		item := mapOf(d.at(d.root, "paths", path))
		if got := keysOf(item); len(got) != 1 || got[0] != method {
			t.Errorf("%s: the document has %v, served is %s", path, got, method)
			continue
		}
		op := mapOf(item[method])
		if other, twice := ids[op["operationId"]]; twice || op["operationId"] == nil {
			t.Errorf("%s: operationId %v, as %s", path, op["operationId"], other)
		}
		ids[op["operationId"]] = path
		var variables []string
		for _, p := range listOf(op["parameters"]) {
			if m := mapOf(d.follow(p)); m["in"] == "path" {
				variables = append(variables, "{"+m["name"].(string)+"}")
			}
		}
		if inPath := regexp.MustCompile(`\{[^}]+\}`).FindAllString(path, -1); !slices.Equal(variables, inPath) {
			t.Errorf("%s: the document's path parameters are %v", path, variables)
		}
	}
}

// TestReferences: every reference in the document leads somewhere, and every
// component is used.
func TestReferences(t *testing.T) {
	d := readDocument(t)
	used := map[string]bool{}
	var walk func(any)
	walk = func(v any) {
		switch x := v.(type) {
		case map[string]any:
			if ref, ok := x["$ref"].(string); ok {
				d.follow(x)
				used[strings.TrimPrefix(ref, "#/components/")] = true
			}
			for _, m := range x {
				walk(m)
			}
		case []any:
			for _, m := range x {
				walk(m)
			}
		}
	}
	walk(d.root)
	for _, group := range []string{"parameters", "requestBodies", "responses", "schemas"} {
		for _, name := range keysOf(mapOf(d.at(d.root, "components", group))) {
			if !used[group+"/"+name] {
				t.Errorf("%s %s is never referred to", group, name)
			}
		}
	}
}

// TestExamplesFitTheirSchemas: and the gateway takes the request examples.
func TestExamplesFitTheirSchemas(t *testing.T) {
	d := readDocument(t)
	for _, group := range []string{"requestBodies", "responses"} {
		for name := range mapOf(d.at(d.root, "components", group)) {
			for kind, m := range mapOf(d.at(d.root, "components", group, name, "content")) {
				media := mapOf(m)
				schema := d.follow(media["schema"])
				example := media["example"]
				if example == nil {
					example = mapOf(schema)["example"]
				}
				if example == nil {
					continue
				}
				for _, f := range d.faults(schema, plain(t, example), name+" "+kind) {
					t.Error(f)
				}
			}
		}
	}
}

// TestAnswersAreAsDocumented sends to every route what the document's examples
// say, and then one request of each kind that is refused.
func TestAnswersAreAsDocumented(t *testing.T) {
	d := readDocument(t)
	example := mapOf(plain(t, d.at(d.root, "components", "responses", "Interact", "content", "application/json", "example")))
	members, err := json.Marshal(map[string]any{"profile": example["profile"], "decisions": example["decisions"]})
	if err != nil {
		t.Fatal(err)
	}
	extra := func(o *Options) { o.Extra = map[string]fasthttp.RequestHandler{pathOpenAPI: OpenAPI} }
	good := start(t, extra, func(o *Options) { o.Intake = &exampleIntake{members: members[1 : len(members)-1]} })
	busy := start(t, extra, func(o *Options) {
		o.Intake, o.Ready = full{}, func() error { return errors.New("starting") }
	})
	slow := start(t, extra, func(o *Options) { o.Limits.PerAddress = Rate{PerSecond: 1, Burst: 1} })
	forwarded := "X-Forwarded-For: 203.0.113.9" // what comes straight from loopback has no limit
	slow.send("GET", "/v1/projects/wk_shop/settings", "", forwarded)
	known := "Cookie: reuna=" + string(busy.server.o.Cookies.AppendCookie(nil, token.Cookie{Visitor: busy.server.o.Cookies.Mint()}))
	for _, path := range pathOf(d) {
		if slices.Contains(elsewhere, path) {
			continue
		}
		op := mapOf(mapOf(d.at(d.root, "paths", path))["post"])
		method := "get"
		if op != nil {
			method = "post"
		}
		fetched := path == "/v1/projects/{writeKey}/settings"
		send := strings.ReplaceAll(path, "{writeKey}", "wk_shop")
		if path == "/v1/p.gif" {
			send += "?writeKey=wk_shop"
		}
		body := ""
		if op != nil {
			media := mapOf(d.at(op, "requestBody", "content", "application/json"))
			x := media["example"]
			if x == nil {
				x = mapOf(d.follow(media["schema"]))["example"]
			}
			if x != nil {
				text, err := json.Marshal(x)
				if err != nil {
					t.Fatal(err)
				}
				body = string(text)
			}
		}
		verb := strings.ToUpper(method)
		asked := map[int]bool{}
		ask := func(w *world, want int, verb, send, body string, headers ...string) {
			t.Helper()
			r := w.send(verb, send, body, headers...)
			if asked[want] = true; r.StatusCode != want {
				t.Errorf("%s %s: %d %s; want %d", verb, send, r.StatusCode, r.text, want)
				return
			}
			d.check(t, path, method, r)
		}
		key := "X-Write-Key: wk_shop"
		ask(good, 200, verb, send, body, key)
		ask(good, 405, "DELETE", send, "")
		if method == "get" && path != "/v1/p.gif" && !fetched {
			if r := good.send("HEAD", send, ""); r.StatusCode != 200 || r.text != "" {
				t.Errorf("HEAD %s: %d %q", path, r.StatusCode, r.text)
			}
		}
		r := good.server.routes[path]
		if r != nil && r.kind != health {
			none := strings.ReplaceAll(body, `"writeKey":"wk_shop"`, `"x":0`)
			if path == "/v1/m" {
				none = `{"batch":[]}`
			}
			ask(good, 401, verb, strings.ReplaceAll(send, "wk_shop", "wk_nobody"), none)
			ask(good, 403, verb, send, body, key, "Origin: https://evil.example")
			if path == "/v1/m" { // its example is dropped before anything could be full
				body = `{"batch":[{"type":"page"}]}`
			}
			ask(busy, 503, verb, send, body, key, known)
		}
		if fetched || r != nil && r.kind != health {
			ask(slow, 429, verb, send, body, key, forwarded)
		}
		if op != nil {
			ask(good, 400, verb, send, "{", key)
			ask(good, 415, verb, send, body, key, "Content-Type: image/png")
			ask(good, 413, verb, send, `{"x":"`+strings.Repeat("x", testLimits.BatchBytes)+`"}`, key)
		}
		switch path {
		case "/readyz":
			ask(busy, 503, verb, send, "")
		case "/v1/p.gif":
			ask(good, 400, verb, send+"&type=track", "")
			ask(good, 413, verb, send+"&title="+strings.Repeat("%01", 4000), "") // each becomes 6 bytes of JSON, twice
		case "/v1/projects/{writeKey}/settings":
			ask(good, 404, verb, strings.ReplaceAll(send, "wk_shop", "wk_nobody"), "")
			ask(good, 400, verb, send, "", "Host: a*b")
		}
		for _, status := range keysOf(mapOf(d.at(d.root, "paths", path, method, "responses"))) {
			var n int
			if _, err := fmt.Sscan(status, &n); err != nil {
				t.Errorf("%s: the status %s", path, status)
			}
			if !asked[n] && n != http.StatusInternalServerError {
				t.Errorf("%s: nothing here asks for its %s", path, status)
			}
		}
	}
}

func TestOpenAPIServesItsPathAlone(t *testing.T) {
	w := start(t, func(o *Options) { o.Extra = map[string]fasthttp.RequestHandler{pathOpenAPI: OpenAPI} })
	r := w.send("GET", pathOpenAPI, "")
	if r.text != string(openAPI) || r.Header.Get("Content-Type") != "application/yaml" || r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Cache-Control") != "public, max-age=3600" {
		t.Errorf("%d bytes, %v", len(r.text), r.Header)
	}
	w.want(w.send("GET", pathOpenAPI+"x", ""), 404, "not_found")
	r = w.post(pathOpenAPI, "{}")
	w.want(r, 405, "method_not_allowed")
	if r.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("Allow is %q", r.Header.Get("Allow"))
	}
}
