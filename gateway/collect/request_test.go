package collect

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
)

const trackBody = `{"writeKey":"wk_shop","event":"Bought","userId":"u1","messageId":"m1"}`

func basic(user string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"))
}

// Every route of the contract takes its messages, under its long and its short
// name, and says the same simple thing.
func TestSegmentRoutes(t *testing.T) {
	w := start(t)
	bodies := map[event.Type]string{
		event.Track:    `"event":"Bought"`,
		event.Page:     `"name":"Home"`,
		event.Screen:   `"name":"Home"`,
		event.Identify: `"traits":{"a":1}`,
		event.Group:    `"groupId":"g1"`,
		event.Alias:    `"previousId":"p1"`,
	}
	n := 0
	for typ, members := range bodies {
		for _, path := range []string{"/v1/" + typ.String(), "/v1/" + typ.String()[:1]} {
			r := w.post(path, `{"userId":"u1",`+members+`}`, basic("wk_shop"))
			if n++; r.StatusCode != 200 || r.text != `{"success":true}` {
				t.Fatalf("%s: %d %s", path, r.StatusCode, r.text)
			}
			q := w.intake.last(t, n)
			if len(q.Batch.Events) != 1 || q.Batch.Events[0].Type != typ || q.Batch.Events[0].UserID != "u1" {
				t.Errorf("%s: %+v", path, q.Batch.Events)
			}
			if q.Site != "shop" || q.Source != event.FromSDK || q.Trust != id.Claimed || q.HasVisitor || q.ReceivedAt != w.now.UnixMilli() {
				t.Errorf("%s: %+v", path, q)
			}
			if ct := r.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
				t.Errorf("%s: Content-Type %q", path, ct)
			}
			if len(r.Cookies()) > 0 {
				t.Errorf("%s sets a cookie", path)
			}
		}
	}
	for _, path := range []string{"/v1/batch", "/v1/b", "/v1/import", "/v1/m"} {
		r := w.post(path, `{"writeKey":"wk_shop","batch":[{"type":"track","event":"A"},{"type":"page"}]}`)
		if n++; r.text != `{"success":true}` {
			t.Fatalf("%s: %s", path, r.text)
		}
		if q := w.intake.last(t, n); len(q.Batch.Events) != 2 {
			t.Errorf("%s: %+v", path, q.Batch.Events)
		}
	}
}

func TestBatchKeepsTheSiblings(t *testing.T) {
	w := start(t)
	r := w.post("/v1/batch", `{"writeKey":"wk_shop","batch":[{"type":"track","event":"A"},{"type":"track"},{"type":"page"}]}`)
	if r.StatusCode != 200 || r.json(t, "success") != true {
		t.Fatalf("%d %s", r.StatusCode, r.text)
	}
	list, _ := r.json(t, "rejected").([]any)
	if len(list) != 1 {
		t.Fatal(r.text)
	}
	one := list[0].(map[string]any)
	if one["index"] != 1.0 || one["code"] != "missing_field" || one["field"] != "event" || one["message"] == "" {
		t.Error(r.text)
	}
	q := w.intake.last(t, 1)
	if len(q.Batch.Events) != 2 || len(q.Batch.Rejected) != 1 || q.Batch.Rejected[0].Raw != `{"type":"track"}` {
		t.Errorf("%+v", q.Batch)
	}
}

// A refused single message is an error for its sender and goes to quarantine.
func TestSingleRefusedReachesTheIntake(t *testing.T) {
	w := start(t)
	r := w.post("/v1/track", `{"writeKey":"wk_shop","userId":"u1"}`)
	w.want(r, 400, "missing_field")
	if r.json(t, "error", "field") != "event" {
		t.Error(r.text)
	}
	if q := w.intake.last(t, 1); len(q.Batch.Events) != 0 || len(q.Batch.Rejected) != 1 {
		t.Errorf("%+v", q.Batch)
	}
}

func TestNothingToCollect(t *testing.T) {
	w := start(t)
	for _, body := range []string{`{"writeKey":"wk_shop","batch":[]}`, `{"writeKey":"wk_shop"}`} {
		if r := w.post("/v1/batch", body); r.text != `{"success":true}` {
			t.Error(r.text)
		}
	}
	// analytics-next's figures about itself carry no key.
	if r := w.post("/v1/m", `{"series":[{"type":"Counter","metric":"x","value":1}]}`); r.text != `{"success":true}` {
		t.Error(r.text)
	}
	if len(w.intake.calls) != 0 {
		t.Error(w.intake.calls)
	}
}

func TestKeys(t *testing.T) {
	w := start(t)
	plain := `{"event":"A"}`
	n := 0
	ok := func(name string, site string, trust id.Trust, r *reply) {
		t.Helper()
		if r.StatusCode != 200 {
			t.Errorf("%s: %d %s", name, r.StatusCode, r.text)
			return
		}
		n++
		if q := w.intake.last(t, n); q.Site != site || q.Trust != trust {
			t.Errorf("%s: site %s, trust %s", name, q.Site, q.Trust)
		}
	}
	ok("basic", "shop", id.Claimed, w.post("/v1/track", plain, basic("wk_shop")))
	ok("basic with password", "shop", id.Claimed, w.post("/v1/track", plain, "Authorization: basic "+base64.StdEncoding.EncodeToString([]byte("wk_shop:x:y"))))
	ok("header", "local", id.Claimed, w.post("/v1/track", plain, "X-Write-Key: wk_local"))
	ok("body", "shop", id.Claimed, w.post("/v1/track", trackBody))
	ok("server key, basic", "shop", id.Verified, w.post("/v1/track", plain, basic("sk_shop_0123456789")))
	ok("server key, header", "shop", id.Verified, w.post("/v1/track", plain, "X-Write-Key: sk_shop_0123456789"))
	ok("server key, body", "shop", id.Verified, w.post("/v1/track", `{"event":"A","writeKey":"sk_shop_0123456789"}`))
	ok("the site's own password in front", "shop", id.Claimed, w.post("/v1/track", trackBody, basic("staging")))
	if q := w.intake.requests[4]; q.Source != event.FromServer {
		t.Errorf("source %s", q.Source)
	}
	w.want(w.post("/v1/track", plain), 401, "write_key_missing")
	w.want(w.post("/v1/track", plain, basic("")), 401, "write_key_unknown")
	w.want(w.post("/v1/track", plain, basic("wk_sho")), 401, "write_key_unknown")
	w.want(w.post("/v1/track", plain, "Authorization: Basic !!"), 401, "write_key_unknown")
	w.want(w.post("/v1/track", plain, "Authorization: Bearer wk_shop"), 401, "write_key_missing")
	w.want(w.post("/v1/track", plain, "X-Write-Key: "+strings.Repeat("k", 4000)), 401, "write_key_unknown")
	w.want(w.post("/v1/track", `{"event":"A","writeKey":"WK_SHOP"}`), 401, "write_key_unknown")
	r := w.post("/v1/interact", `{"writeKey":"sk_shop_0123456789","batch":[]}`)
	w.want(r, 403, "server_key_in_page")
	if r := w.post("/v1/track", plain, "X-Write-Key: no"); r.Header.Get("WWW-Authenticate") != "" {
		t.Error("a browser would ask for a password")
	}
}

func TestKeysMustDiffer(t *testing.T) {
	for name, sites := range map[string][]Site{
		"same write key":        {{Name: "a", WriteKey: "k"}, {Name: "b", WriteKey: "k"}},
		"server key is public":  {{Name: "a", WriteKey: "k", ServerKeys: []string{"k"}}},
		"public key is secret":  {{Name: "a", WriteKey: "k", ServerKeys: []string{"s"}}, {Name: "b", WriteKey: "s"}},
		"same server key":       {{Name: "a", WriteKey: "k", ServerKeys: []string{"s", "s"}}},
		"no write key":          {{Name: "a"}},
		"same name":             {{Name: "a", WriteKey: "k"}, {Name: "a", WriteKey: "l"}},
		"cookie name not a one": {{Name: "a", WriteKey: "k", Cookie: Cookie{Name: "a;b"}}},
	} {
		o := options(t)
		o.Intake, o.Sites = new(recorder), sites
		if _, err := New(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestReload(t *testing.T) {
	w := start(t)
	if err := w.server.SetSites([]Site{{Name: "new", WriteKey: "wk_new"}}); err != nil {
		t.Fatal(err)
	}
	w.want(w.post("/v1/track", trackBody), 401, "write_key_unknown")
	w.want(w.post("/v1/track", `{"event":"A"}`, basic("wk_new")), 200, "")
	if err := w.server.SetSites([]Site{{Name: "bad"}}); err == nil {
		t.Error("a site without a key taken")
	}
	w.want(w.post("/v1/track", `{"event":"A"}`, basic("wk_new")), 200, "")
}

func TestBadInput(t *testing.T) {
	w := start(t)
	pad := func(n int) string { return strings.Repeat("x", n) }
	event := func(props string) string { return `{"writeKey":"wk_shop","event":"A","properties":` + props + `}` }
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	many := func(n int) string {
		return `{"writeKey":"wk_shop","batch":[` + strings.TrimSuffix(strings.Repeat(`{"type":"page"},`, n), ",") + `]}`
	}
	tests := []struct {
		name, path, body string
		headers          []string
		status           int
		code             string
	}{
		{"empty", "/v1/track", "", nil, 400, "body_empty"},
		{"spaces", "/v1/track", "  ", nil, 400, "invalid_json"},
		{"not JSON", "/v1/track", "hello", nil, 400, "invalid_json"},
		{"cut off", "/v1/track", trackBody[:20], nil, 400, "invalid_json"},
		{"more behind it", "/v1/track", trackBody + "{}", nil, 400, "invalid_json"},
		{"a list", "/v1/batch", "[]", nil, 400, "invalid_type"},
		{"batch no list", "/v1/batch", `{"writeKey":"wk_shop","batch":{}}`, nil, 400, "invalid_type"},
		{"bad UTF-8", "/v1/track", event("{\"a\":\"\xff\"}"), nil, 400, "invalid_json"},
		{"lone surrogate", "/v1/track", event(`{"a":"\ud800"}`), nil, 400, "invalid_json"},
		{"huge number", "/v1/track", event(`{"a":1e999}`), nil, 400, "invalid_json"},
		{"leading zero", "/v1/track", event(`{"a":01}`), nil, 400, "invalid_json"},
		{"too deep", "/v1/track", event(deep(21)), nil, 400, "too_deep"},
		{"absurdly deep", "/v1/track", strings.Repeat("[", 60000), nil, 400, "invalid_json"},
		{"key twice", "/v1/track", event(`{"a":1,"a":2}`), nil, 400, "duplicate_key"},
		{"prototype", "/v1/track", event(`{"__proto__":{}}`), nil, 400, "forbidden_key"},
		{"event too large", "/v1/track", event(`{"a":"` + pad(33<<10) + `"}`), nil, 413, "event_too_large"},
		{"body too large", "/v1/track", event(`{"a":"` + pad(65<<10) + `"}`), nil, 413, "body_too_large"},
		{"body far too large", "/v1/track", event(`{"a":"` + pad(900<<10) + `"}`), nil, 413, "body_too_large"},
		{"too many events", "/v1/batch", many(51), nil, 413, "limit_exceeded"},
		{"as many as allowed", "/v1/batch", many(50), nil, 200, ""},
		{"XML", "/v1/track", trackBody, []string{"Content-Type: text/xml"}, 415, "content_type"},
		{"multipart", "/v1/track", trackBody, []string{"Content-Type: multipart/form-data; boundary=x"}, 415, "content_type"},
		{"Latin 1", "/v1/track", trackBody, []string{"Content-Type: application/json; charset=iso-8859-1"}, 415, "charset"},
		{"no form field", "/v1/track", "a=b", []string{"Content-Type: application/x-www-form-urlencoded"}, 400, "form"},
		{"form badly encoded", "/v1/track", "data=%zz", []string{"Content-Type: application/x-www-form-urlencoded"}, 400, "form"},
		{"form with nonsense", "/v1/track", "data=!!!", []string{"Content-Type: application/x-www-form-urlencoded"}, 400, "form"},
		{"unknown path", "/v2/track", trackBody, nil, 404, "not_found"},
		{"unknown route", "/v1/trac", trackBody, nil, 404, "not_found"},
		{"root", "/", "", nil, 404, "not_found"},
		{"script in the path", "/<script>", "", nil, 404, "not_found"},
		{"suffix on a personal route", "/v1/profile/a.css", trackBody, nil, 404, "not_found"},
		{"encoded suffix", "/v1/profile%2fa.css", trackBody, nil, 404, "not_found"},
		{"encoded name", "/v1/%70rofile", trackBody, nil, 404, "not_found"},
		{"dots", "/static/../v1/profile", trackBody, nil, 404, "not_found"},
		{"parameter", "/v1/profile;a.css", trackBody, nil, 404, "not_found"},
		{"double slash", "//v1/profile", trackBody, nil, 404, "not_found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.t = t
			w.want(w.post(tt.path, tt.body, tt.headers...), tt.status, tt.code)
		})
	}
	w.t = t
	for _, q := range w.intake.requests {
		if len(q.Batch.Events) != 0 && len(q.Batch.Events) != 50 {
			t.Errorf("something bad got through: %+v", q.Batch.Events)
		}
	}
}

func TestMethods(t *testing.T) {
	w := start(t)
	for path, allow := range map[string]string{
		"/v1/interact": "POST, OPTIONS", "/v1/track": "POST, OPTIONS", "/v1/profile": "POST, OPTIONS",
	} {
		for _, m := range []string{"GET", "PUT", "DELETE", "PATCH", "HEAD", "BREW"} {
			r := w.send(m, path, "")
			if r.StatusCode != 405 || r.Header.Get("Allow") != allow {
				t.Errorf("%s %s: %d, Allow %q", m, path, r.StatusCode, r.Header.Get("Allow"))
			}
			if m != "HEAD" {
				w.want(r, 405, "method_not_allowed")
			}
		}
	}
	w.want(w.post("/v1/p.gif", ""), 405, "method_not_allowed")
	w.want(w.post("/healthz", ""), 405, "method_not_allowed")
}

func TestForms(t *testing.T) {
	w := start(t)
	n := 0
	body := `{"writeKey":"wk_shop","event":"A+ä","properties":{"q":"a&b=c>?"}}`
	std := base64.StdEncoding.EncodeToString([]byte(body))
	for name, form := range map[string]string{
		"raw":                 body,
		"raw after space":     " \n" + body,
		"data":                "data=" + url.QueryEscape(body),
		"jsonBody, second":    "x=1&jsonBody=" + url.QueryEscape(body) + "&y=2",
		"base64":              "data=" + url.QueryEscape(std),
		"base64 not escaped":  "data=" + std,
		"base64 for URLs":     "data=" + base64.RawURLEncoding.EncodeToString([]byte(body)),
		"base64 with no pads": "data=" + strings.TrimRight(std, "="),
	} {
		r := w.post("/v1/track", form, "Content-Type: Application/X-WWW-form-urlencoded; charset=UTF-8")
		if n++; r.StatusCode != 200 {
			t.Fatalf("%s: %d %s", name, r.StatusCode, r.text)
		}
		e := w.intake.last(t, n).Batch.Events[0]
		if e.Name != "A+ä" || e.Properties.Get("q").Text() != "a&b=c>?" {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestRetriesKeepTheirOwnTime(t *testing.T) {
	w := start(t)
	// Sent ten minutes ago by the sender's clock, as a first attempt says too.
	ago := w.now.Add(-10 * time.Minute).UTC().Format(time.RFC3339)
	body := fmt.Sprintf(`{"writeKey":"wk_shop","event":"A","sentAt":%q,"timestamp":%q}`, ago, ago)
	at := func(n int) time.Duration {
		return w.now.Sub(time.UnixMilli(w.intake.last(t, n).Batch.Events[0].Timestamp))
	}
	w.post("/v1/track", body)
	if d := at(1); d != 0 {
		t.Errorf("first attempt: %s ago; want the clock corrected", d)
	}
	for i, h := range []string{"X-Retry-Count: 1", "rsa-retry-attempt: 2"} {
		w.post("/v1/track", body, h)
		if d := at(2 + i); d != 10*time.Minute {
			t.Errorf("%s: %s ago; want ten minutes", h, d)
		}
	}
	w.post("/v1/track", body, "X-Retry-Count: 0")
	if d := at(4); d != 0 {
		t.Errorf("count 0: %s ago", d)
	}
}

// What the intake keeps stays what it was while the connection's buffers are
// used again.
func TestStringsOwnTheirMemory(t *testing.T) {
	w := start(t)
	const rounds = 300
	for i := range rounds {
		mark := fmt.Sprintf("%04d", i)
		w.post("/v1/interact", `{"writeKey":"wk_local","batch":[{"type":"track","event":"e`+mark+`"}]}`,
			"User-Agent: ua"+mark, "Referer: http://r/"+mark, "Sec-CH-UA: b"+mark, "Sec-CH-UA-Model: m"+mark)
	}
	names := make(map[string]bool)
	for i, q := range w.intake.requests {
		mark := fmt.Sprintf("%04d", i)
		if q.UserAgent != "ua"+mark || q.Referer != "http://r/"+mark || q.Hints.Brands != "b"+mark || q.Hints.Model != "m"+mark || q.Batch.Events[0].Name != "e"+mark {
			t.Fatalf("request %d turned into %+v", i, q)
		}
		if names[q.AnonymousID] || !strings.HasPrefix(q.AnonymousID, "v_") {
			t.Fatalf("request %d: anonymous id %q", i, q.AnonymousID)
		}
		names[q.AnonymousID] = true
	}
	if len(w.intake.requests) != rounds {
		t.Errorf("%d requests", len(w.intake.requests))
	}
}

func TestHeadersAreHandedOn(t *testing.T) {
	w := start(t)
	w.post("/v1/interact", `{"writeKey":"wk_local","batch":[],"placements":["hero"],"token":"t"}`,
		"USER-AGENT: Mozilla", "referer: http://x/", "Origin: http://localhost:3000", "sec-ch-ua: a", "sec-ch-ua-mobile: ?1", "sec-ch-ua-platform: c",
		"sec-ch-ua-platform-version: d", "sec-ch-ua-model: e", "sec-ch-ua-full-version-list: f", "sec-ch-ua-arch: g", "sec-ch-ua-form-factors: h", "sec-gpc: 1", "accept-language: fi-FI,fi;q=0.9")
	q := w.intake.last(t, 1)
	if q.Hints != (Hints{"a", "?1", "c", "d", "e", "f", "g", "h"}) || !q.GPC || q.UserAgent != "Mozilla" || q.Referer != "http://x/" || q.Origin != "http://localhost:3000" || q.Host != w.addr || q.Language != "fi-FI,fi;q=0.9" {
		t.Errorf("%+v", q)
	}
	if len(q.Batch.Placements) != 1 || q.Batch.Token != "t" || q.Source != event.FromTag {
		t.Errorf("%+v", q.Batch)
	}
}

// Headers that decide who may do what must stand once; of the others the first counts.
func TestHeadersTwice(t *testing.T) {
	w := start(t)
	for _, h := range []string{"Origin: https://shop.example", "X-Write-Key: wk_shop", basic("wk_shop"), "Content-Type: text/plain", "Sec-Fetch-Site: cross-site"} {
		w.want(w.post("/v1/track", trackBody, h, h), 400, "bad_request")
	}
	w.want(w.post("/v1/track", trackBody, "Sec-CH-UA: a", "Sec-CH-UA: b"), 200, "")
	if q := w.intake.last(t, 1); q.Hints.Brands != "a" {
		t.Errorf("%+v", q.Hints)
	}
}

func TestPanicsWhileReadingAreContained(t *testing.T) {
	w := start(t)
	c := &call{s: w.server, route: &route{name: "track"}}
	f := c.contain(func(*call) *failure { panic("in a parser") })
	if f == nil || f.status != 500 || strings.Contains(f.message, "parser") {
		t.Errorf("%+v", f)
	}
	if !strings.Contains(w.logs.String(), "in a parser") {
		t.Error("the log does not say why")
	}
}
