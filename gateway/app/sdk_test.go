package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The SDKs in testdata/sdk are driven as they come from their package registry.
// What they report, what they put on the wire, and what the desk then knows must
// agree: each message once, with all that was in it, however often it was sent.

const sdkFolder = "testdata/sdk"

// sent is a request as an SDK made it.
type sent struct {
	URL     string            `json:"url"`
	Method  string            `json:"method"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// told is what an SDK says of a message.
type told struct {
	Type      string   `json:"type"`
	MessageID string   `json:"messageId"`
	Failed    string   `json:"failed"`
	Logs      []string `json:"logs"`
}

func ids(list []told) (ids []string) {
	for _, m := range list {
		ids = append(ids, m.MessageID)
	}
	return ids
}

// installed gives the version of a package of the SDK folder.
func installed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(sdkFolder, "node_modules", filepath.FromSlash(name), "package.json"))
	if err != nil {
		t.Fatalf("%s is not installed: run `go run ./tools/check`, which installs it (%v)", name, err)
	}
	var p struct{ Version string }
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	return p.Version
}

// who names a person by one of their identifiers.
type who struct{ typ, value string }

// once holds the timelines of some people against the messages that were sent:
// each is there exactly once, and nothing else is. Names of one person count as
// one. It gives the events by message id.
func (g *gateway) once(want []string, names ...who) map[string]map[string]any {
	g.t.Helper()
	times := map[string]int{}
	people := map[any]bool{}
	events := map[string]map[string]any{}
	for _, x := range names {
		person := g.person(x.typ, x.value)["personId"]
		if people[person] {
			continue
		}
		people[person] = true
		for _, e := range timeline(g.t, g.DeskURL(), x.typ, x.value) {
			id, _ := e["messageId"].(string)
			times[id]++
			events[id] = e
		}
	}
	for _, id := range want {
		if id == "" || times[id] != 1 {
			g.t.Errorf("message %q of %v is there %d times; expected once", id, names, times[id])
		}
		delete(times, id)
	}
	for id := range times {
		g.t.Errorf("%v have a message that was not sent: %v", names, events[id])
	}
	return events
}

// ofType gives the one event of a type (and name) among events.
func ofType(t *testing.T, events map[string]map[string]any, typ, name string) map[string]any {
	t.Helper()
	var found map[string]any
	for _, e := range events {
		if e["type"] == typ && (name == "" || e["event"] == name || e["name"] == name) {
			if found != nil {
				t.Fatalf("two events %s %s", typ, name)
			}
			found = e
		}
	}
	if found == nil {
		t.Fatalf("no event %s %s", typ, name)
	}
	return found
}

// equal compares a part of an answer with what the JSON text says.
func equal(t *testing.T, what string, got any, want string) {
	t.Helper()
	var w any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, w) {
		t.Errorf("%s is %v; expected %s", what, got, want)
	}
}

// replay sends recorded requests three times more, marked as retries.
func replay(t *testing.T, requests []sent) {
	t.Helper()
	for try := 1; try <= 3; try++ {
		for _, r := range requests {
			req, err := http.NewRequest(r.Method, r.URL, strings.NewReader(r.Body))
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range r.Headers {
				req.Header.Set(k, v)
			}
			req.Header.Set("X-Retry-Count", strconv.Itoa(try))
			if status, answer := do(t, http.DefaultClient, req); status != 200 || !bytes.Contains(answer, []byte(`"success":true`)) {
				t.Errorf("retry %d of %s answered %d %s", try, r.URL, status, answer)
			}
		}
	}
}

// lossy stands before a gateway and loses answers: the first n to any one body
// arrive at the sender as 503, although the gateway took what was sent.
type lossy struct {
	*httptest.Server
	mu    sync.Mutex
	tries map[string][]string // X-Retry-Count of each try, by body
}

func (g *gateway) lossy(n int) *lossy {
	g.t.Helper()
	to, err := url.Parse(g.SiteURL())
	if err != nil {
		g.t.Fatal(err)
	}
	l := &lossy{tries: map[string][]string{}}
	// sentAt differs from try to try; what is in the batch does not.
	key := func(body []byte) string {
		var b struct {
			MessageID string
			Batch     []struct{ MessageID string }
		}
		if err := json.Unmarshal(body, &b); err != nil {
			g.t.Errorf("a body that is no JSON: %s", body)
		}
		for _, m := range b.Batch {
			b.MessageID += m.MessageID
		}
		return b.MessageID
	}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method != http.MethodPost {
				return nil
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			k := r.Request.Header.Get("X-Test-Key")
			l.tries[k] = append(l.tries[k], r.Request.Header.Get("X-Retry-Count"))
			if len(l.tries[k]) <= n {
				r.StatusCode = http.StatusServiceUnavailable
			} else if r.StatusCode != http.StatusOK {
				return errors.New(r.Status)
			}
			return nil
		},
	}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				g.t.Error(err)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			r.Header.Set("X-Test-Key", key(body))
		}
		forward.ServeHTTP(w, r)
	}))
	g.t.Cleanup(l.Close)
	return l
}

// check says that every body was tried n+1 times, the retries marked as such.
func (l *lossy) check(t *testing.T, n int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.tries) == 0 {
		t.Error("nothing went through the lossy connection")
	}
	for k, tries := range l.tries {
		if len(tries) != n+1 || slices.Contains(tries[1:], "") {
			t.Errorf("%s was sent with X-Retry-Count %q; expected %d tries", k, tries, n+1)
		}
	}
}

// nodeReport is what testdata/sdk/node.mjs prints.
type nodeReport struct {
	Requests []sent
	Statuses []int
	Events   []told
	Errors   []string
}

func runNode(t *testing.T, base, key, user string) (r nodeReport) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("no Node on this machine; install Node 20 or newer with npm, then run `go run ./tools/check`")
	}
	cmd := exec.CommandContext(t.Context(), node, filepath.Join(sdkFolder, "node.mjs"), base, key, user)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node.mjs: %v\n%s", err, stderr.Bytes())
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("node.mjs printed %q: %v", out, err)
	}
	if len(r.Errors) > 0 || stderr.Len() > 0 {
		t.Errorf("the SDK reports %v\n%s", r.Errors, stderr.Bytes())
	}
	if len(r.Events) != 7 {
		t.Errorf("the SDK knows of %d messages: %v", len(r.Events), r.Events)
	}
	return r
}

func TestAnalyticsNode(t *testing.T) {
	version := installed(t, "@segment/analytics-node")
	g := start(t, shop)
	for _, c := range []struct{ name, key, trust string }{
		{"public key", writeKey, "claimed"},
		{"server key", serverKey, "verified"},
	} {
		t.Run(c.name, func(t *testing.T) {
			user := "node-" + c.trust
			r := runNode(t, g.SiteURL(), c.key, user)
			for _, s := range r.Statuses {
				if s != 200 {
					t.Errorf("the SDK was answered %v", r.Statuses)
				}
			}
			names := []who{{"user_id", user}, {"anonymous_id", user + "-before"}}
			g.once(ids(r.Events), names...)
			replay(t, r.Requests)
			events := g.once(ids(r.Events), names...)

			order := ofType(t, events, "track", "Order Completed")
			equal(t, "the order's properties", order["properties"], `{"order_id":"o-1","revenue":12.5,"items":[{"sku":"b1","n":2}],"note":"žluťoučký 📚","nothing":null}`)
			identity := ofType(t, events, "identify", "")
			if identity["anonymousId"] != user+"-device" || identity["userId"] != user {
				t.Errorf("identify has ids %v, %v", identity["anonymousId"], identity["userId"])
			}
			equal(t, "the traits", identity["traits"], `{"plan":"pro","address":{"city":"Oulu"}}`)
			if e := ofType(t, events, "page", "Start"); e["category"] != "Docs" {
				t.Errorf("page %v", e)
			}
			equal(t, "the screen's properties", ofType(t, events, "screen", "Home")["properties"], `{"tab":1}`)
			if e := ofType(t, events, "group", ""); e["groupId"] != "g1" {
				t.Errorf("group %v", e)
			}
			if e := ofType(t, events, "alias", ""); e["previousId"] != user+"-before" || e["userId"] != user {
				t.Errorf("alias %v", e)
			}
			for _, e := range events {
				if at(e, "context", "library", "name") != "@segment/analytics-node" || at(e, "context", "library", "version") != version || e["trust"] != c.trust {
					t.Errorf("%v has trust %v and library %v", e["type"], e["trust"], at(e, "context", "library"))
				}
			}
			if p := g.person("user_id", user); at(p, "traits", "plan", "value") != "pro" || at(p, "counts", "orders") != 1.0 || at(p, "counts", "revenue") != 12.5 {
				t.Errorf("person %v", p)
			}
		})
	}
}

// TestAnalyticsNodeLosesAnswers: the SDK's own retries, each message sent three
// times.
func TestAnalyticsNodeLosesAnswers(t *testing.T) {
	installed(t, "@segment/analytics-node")
	g := start(t, shop)
	l := g.lossy(2)
	r := runNode(t, l.URL, serverKey, "node-lossy")
	l.check(t, 2)
	if len(r.Requests) < 6 {
		t.Errorf("only %d requests", len(r.Requests))
	}
	g.once(ids(r.Events), who{"user_id", "node-lossy"}, who{"anonymous_id", "node-lossy-before"})
}

// plain sends a body as curl does, by curl itself where there is one.
func plain(t *testing.T, target, user, contentType, body string) (status int, answer []byte) {
	t.Helper()
	curl, err := exec.LookPath("curl")
	if err != nil {
		req, err := http.NewRequest("POST", target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", "curl/8.0.0")
		req.Header.Set("Accept", "*/*")
		req.Header.Set("Content-Type", contentType)
		if user != "" {
			req.SetBasicAuth(user, "")
		}
		return do(t, http.DefaultClient, req)
	}
	args := []string{"--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}", "--data-binary", "@-", target}
	if contentType != "application/x-www-form-urlencoded" { // curl's own choice
		args = append(args, "--header", "Content-Type: "+contentType)
	}
	if user != "" {
		args = append(args, "--user", user+":")
	}
	cmd := exec.CommandContext(t.Context(), curl, args...)
	cmd.Stdin = strings.NewReader(body)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("curl: %v", err)
	}
	cut := bytes.LastIndexByte(out, '\n')
	if status, err = strconv.Atoi(string(out[cut+1:])); err != nil {
		t.Fatal(err)
	}
	return status, out[:cut]
}

// TestPlainHTTP: nothing but a body and a key, on every route, under every name
// that the body may travel, three times.
func TestPlainHTTP(t *testing.T) {
	g := start(t, shop)
	const (
		jsonType = "application/json"
		textType = "text/plain"
		formType = "application/x-www-form-urlencoded"
	)
	var want []string
	for _, c := range []struct{ id, path, key, contentType, body string }{
		{"c-page", "/v1/page", writeKey, jsonType, `"anonymousId":"c-old","name":"Front","properties":{"url":"https://shop.example/"}`},
		{"c-identify", "/v1/identify", writeKey, formType, `"userId":"c1","anonymousId":"c-new","traits":{"plan":"pro"}`},
		{"c-track", "/v1/track", writeKey, textType, `"userId":"c1","event":"Read","properties":{"pages":12}`},
		{"c-group", "/v1/group", writeKey, jsonType, `"userId":"c1","groupId":"g1"`},
		{"c-screen", "/v1/screen", writeKey, jsonType, `"userId":"c1","name":"Home"`},
		{"c-alias", "/v1/alias", writeKey, jsonType, `"userId":"c1","previousId":"c-old"`},
		{"c-short", "/v1/t", "", jsonType, `"writeKey":"` + writeKey + `","userId":"c1","event":"Read"`},
		{"c-import", "/v1/import", "", textType, `"writeKey":"` + writeKey + `","batch":[{"type":"track","userId":"c1","event":"Read","messageId":"c-import"}]`},
		{"c-batch", "/v1/batch", writeKey, formType, `"batch":[{"type":"track","userId":"c1","event":"Read","messageId":"c-batch","timestamp":"2026-01-31T12:00:00Z"}]`},
	} {
		want = append(want, c.id)
		body := `{"messageId":"` + c.id + `",` + c.body + `}`
		for try := range 3 {
			status, answer := plain(t, g.SiteURL()+c.path, c.key, c.contentType, body)
			if status != 200 || string(answer) != `{"success":true}` {
				t.Fatalf("%s, try %d: %d %s", c.id, try+1, status, answer)
			}
		}
	}
	events := g.once(want, who{"user_id", "c1"}, who{"anonymous_id", "c-old"})
	equal(t, "the properties", events["c-track"]["properties"], `{"pages":12}`)
	if e := events["c-batch"]; e["timestamp"] != "2026-01-31T12:00:00.000Z" {
		t.Errorf("the batch's event is dated %v", e["timestamp"])
	}
	if p := g.person("user_id", "c1"); at(p, "traits", "plan", "value") != "pro" || at(p, "counts", "pageviews") != 1.0 {
		t.Errorf("person %v", p)
	}
}
