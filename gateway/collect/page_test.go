package collect

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/token"
)

const interactBody = `{"writeKey":"wk_shop","batch":[{"type":"page"}]}`

func TestCORS(t *testing.T) {
	w := start(t)
	host := w.addr
	tests := []struct {
		origin, key string
		ok          bool
	}{
		{"https://shop.example", "wk_shop", true},
		{"http://shop.example", "wk_shop", false},
		{"https://shop.example:8443", "wk_shop", false},
		{"https://shop.example.evil.example", "wk_shop", false},
		{"https://evilshop.example", "wk_shop", false},
		{"https://www.shop.example", "wk_shop", false},
		{"https://a.deep.example", "wk_shop", true},
		{"https://a.b.deep.example", "wk_shop", true},
		{"https://deep.example", "wk_shop", false},
		{"https://.deep.example", "wk_shop", false},
		{"https://a..deep.example", "wk_shop", false},
		{"https://evil.example/.deep.example", "wk_shop", false},
		{"https://evil.example#.deep.example", "wk_shop", false},
		{"https://evil@a.deep.example", "wk_shop", false},
		{"http://a.deep.example", "wk_shop", false},
		{"https://a.deep.example:8443", "wk_shop", false},
		{"null", "wk_shop", false},
		{"http://localhost:3000", "wk_shop", false},
		{"http://localhost:3000", "wk_local", true},
		{"http://127.0.0.1:9", "wk_local", true},
		{"http://[::1]:9", "wk_local", true},
		{"https://app.localhost", "wk_local", true},
		{"http://localhost.evil.example", "wk_local", false},
		{"http://127.0.0.1.evil.example", "wk_local", false},
		{"https://shop.example", "wk_local", false},
		{"null", "wk_local", false},
		{"http://" + host, "wk_shop", true},
		{"http://" + host, "wk_local", true},
	}
	n := 0
	for _, tt := range tests {
		for _, path := range []string{"/v1/interact", "/v1/profile", "/v1/reset", "/v1/batch"} {
			r := w.post(path, `{"writeKey":"`+tt.key+`","batch":[{"type":"page"}]}`, "Origin: "+tt.origin, "Content-Type: text/plain")
			name := fmt.Sprintf("%s from %s for %s", path, tt.origin, tt.key)
			if r.Header.Get("Vary") != "Origin" {
				t.Errorf("%s: Vary %q", name, r.Header.Get("Vary"))
			}
			allow, credentials := r.Header.Get("Access-Control-Allow-Origin"), r.Header.Get("Access-Control-Allow-Credentials")
			if !tt.ok {
				w.want(r, 403, "origin_not_allowed")
				if allow != "" || credentials != "" || len(r.Cookies()) > 0 {
					t.Errorf("%s: %v", name, r.Header)
				}
				if msg := r.json(t, "error", "message").(string); !strings.Contains(msg, "origins") {
					t.Errorf("%s: the message names no setting: %s", name, msg)
				}
				continue
			}
			if path != "/v1/reset" { // which has nothing to end without a cookie
				n++
			}
			w.want(r, 200, "")
			personal := ""
			if path != "/v1/batch" {
				personal = "true"
			}
			if allow != tt.origin || credentials != personal || r.Header.Get("Access-Control-Expose-Headers") != "Retry-After" {
				t.Errorf("%s: %v", name, r.Header)
			}
		}
	}
	w.intake.last(t, n)
}

func TestPreflight(t *testing.T) {
	w := start(t)
	for _, path := range []string{"/v1/interact", "/v1/t", "/v1/batch", "/v1/profile"} {
		r := w.send("OPTIONS", path, "", "Origin: https://shop.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type")
		if r.StatusCode != 200 || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") || r.text != `{"success":true}` {
			t.Fatalf("%s: %d %s", path, r.StatusCode, r.text)
		}
		personal := path == "/v1/interact" || path == "/v1/profile"
		if got := r.Header.Get("Access-Control-Allow-Credentials") == "true"; got != personal {
			t.Errorf("%s: credentials %v", path, got)
		}
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin": "https://shop.example", "Access-Control-Max-Age": "86400", "Vary": "Origin",
			"Access-Control-Allow-Headers": "authorization, content-type, x-write-key, x-retry-count, anonymousid, sentat, rsa-retry-attempt, rsa-retry-reason, rsa-since-first-attempt, rsa-since-last-attempt",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if !strings.Contains(r.Header.Get("Access-Control-Allow-Methods"), "POST") {
			t.Errorf("%s: methods %q", path, r.Header.Get("Access-Control-Allow-Methods"))
		}
	}
	r := w.send("OPTIONS", "/v1/interact", "", "Origin: https://evil.example")
	w.want(r, 403, "origin_not_allowed")
	if r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a foreign origin echoed")
	}
	w.want(w.send("OPTIONS", "/nowhere", "", "Origin: https://shop.example"), 404, "not_found")
	w.want(w.send("OPTIONS", "/v1/t", ""), 200, "")
}

// A failure can be read by the page it concerns, and by no other.
func TestFailuresAreReadable(t *testing.T) {
	w := start(t)
	for origin, want := range map[string]string{"https://shop.example": "https://shop.example", "https://evil.example": ""} {
		for _, body := range []string{"{", `{"event":"A"}`, `{"writeKey":"no","event":"A"}`} {
			if got := w.post("/v1/track", body, "Origin: "+origin).Header.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("%s from %s: allow-origin %q", body, origin, got)
			}
		}
	}
}

func TestCrossSiteWithoutOrigin(t *testing.T) {
	w := start(t)
	for _, path := range []string{"/v1/interact", "/v1/profile", "/v1/reset"} {
		w.want(w.post(path, interactBody, "Sec-Fetch-Site: cross-site"), 403, "origin_not_allowed")
	}
	w.want(w.post("/v1/interact", interactBody, "Sec-Fetch-Site: cross-site", "Origin: https://shop.example"), 200, "")
	w.want(w.post("/v1/interact", interactBody, "Sec-Fetch-Site: same-origin"), 200, "")
	w.want(w.post("/v1/batch", interactBody, "Sec-Fetch-Site: cross-site"), 200, "")
}

func TestInteract(t *testing.T) {
	w := start(t)
	r := w.post("/v1/interact", `{"writeKey":"wk_shop","batch":[{"type":"page"},{"type":"x"}]}`)
	if r.StatusCode != 200 || r.json(t, "success") != true || r.json(t, "profile", "id") != "x" || r.json(t, "decisions") == nil {
		t.Fatal(r.text)
	}
	if list, _ := r.json(t, "rejected").([]any); len(list) != 1 {
		t.Error(r.text)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store, private", "Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer", "Server": "",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s is %q; want %q", name, got, want)
		}
	}
	q := w.intake.last(t, 1)
	if !q.HasVisitor || !q.Fresh || q.AnonymousID == "" {
		t.Errorf("%+v", q)
	}
	w.intake.silent = true
	if r := w.post("/v1/interact", `{"writeKey":"wk_shop","batch":[]}`); r.text != `{"success":true,"rejected":[]}` {
		t.Error(r.text)
	}
	if r := w.post("/v1/profile", `{"writeKey":"wk_shop"}`); r.text != `{"success":true}` {
		t.Error(r.text)
	}
}

func onlyCookie(t *testing.T, r *reply) *http.Cookie {
	t.Helper()
	if n := len(r.Header.Values("Set-Cookie")); n != 1 {
		t.Fatalf("%d cookies: %v", n, r.Header.Values("Set-Cookie"))
	}
	return r.Cookies()[0]
}

func TestCookieLife(t *testing.T) {
	w := start(t)
	r := w.post("/v1/interact", interactBody)
	c := onlyCookie(t, r)
	if c.Name != "reuna" || c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.MaxAge != 34560000 || c.Domain != "" {
		t.Errorf("%+v", c)
	}
	first := w.intake.last(t, 1)
	cookie := "Cookie: a=b; reuna=" + c.Value + "; z=1"

	// A page view starts the cookie's life again; a click does not.
	r = w.post("/v1/interact", interactBody, cookie)
	if again := onlyCookie(t, r); again.Value != c.Value {
		t.Error("another visitor")
	}
	if q := w.intake.last(t, 2); q.Fresh || q.Visitor != first.Visitor || q.AnonymousID != first.AnonymousID {
		t.Errorf("%+v", q)
	}
	r = w.post("/v1/interact", `{"writeKey":"wk_shop","batch":[{"type":"track","event":"click"}]}`, cookie)
	if len(r.Cookies()) != 0 {
		t.Error("a click refreshes the cookie")
	}

	// Profile reads and never writes.
	if r = w.post("/v1/profile", `{"writeKey":"wk_shop","token":"t","placements":["hero"],"batch":[{"type":"identify","userId":"victim"}]}`, cookie); len(r.Cookies()) != 0 {
		t.Error("profile sets a cookie")
	}
	if q := w.intake.last(t, 4); len(q.Batch.Events) != 0 || q.Batch.Token != "" || q.AnonymousID != first.AnonymousID || len(q.Batch.Placements) != 1 {
		t.Errorf("%+v", q)
	}
	if r = w.post("/v1/profile", "", "X-Write-Key: wk_shop"); len(r.Cookies()) != 0 || r.StatusCode != 200 {
		t.Errorf("%d %s", r.StatusCode, r.text)
	}
	if q := w.intake.last(t, 5); q.HasVisitor || q.AnonymousID != "" || q.Visitor != (token.Visitor{}) {
		t.Errorf("%+v", q)
	}

	// Reset ends this visitor and makes another.
	r = w.post("/v1/reset", `{"writeKey":"wk_shop"}`, cookie)
	w.want(r, 200, "")
	if next := onlyCookie(t, r); next.Value == c.Value {
		t.Error("the cookie was not rotated")
	}
	if q := w.intake.last(t, 6); q.AnonymousID != first.AnonymousID || w.intake.calls[5] != "reset" {
		t.Errorf("%+v", q)
	}
	if r = w.post("/v1/reset", `{"writeKey":"wk_shop"}`); len(r.Cookies()) != 0 || r.StatusCode != 200 {
		t.Errorf("reset without a visitor: %d %v", r.StatusCode, r.Cookies())
	}
	w.intake.last(t, 6)
}

// What the Intake finds out decides which cookie the browser has from then on.
func TestCookieOfALogin(t *testing.T) {
	w := start(t)
	const click = `{"writeKey":"wk_shop","batch":[{"type":"track","event":"click"}]}`
	plain := onlyCookie(t, w.post("/v1/interact", interactBody)).Value
	visitor := w.intake.last(t, 1).AnonymousID
	begun := token.Login{1, 2, 3}
	n := 1
	send := func(body, cookie string, found func(*Request)) (q Request, next string) {
		t.Helper()
		w.intake.cookie = found
		r := w.post("/v1/interact", body, "Cookie: reuna="+cookie)
		w.want(r, 200, "")
		n++
		if len(r.Cookies()) > 0 {
			next = onlyCookie(t, r).Value
		}
		return w.intake.last(t, n), next
	}
	_, login := send(click, plain, func(q *Request) { q.Begun = begun })
	if login == "" || login == plain {
		t.Fatalf("a login was answered with the cookie %q", login)
	}
	if q, next := send(interactBody, login, nil); q.Login != begun || q.AnonymousID != visitor || next != login {
		t.Errorf("the login's cookie came back as %+v and was renewed as %q", q, next)
	}
	if q, next := send(click, login, nil); q.Login != begun || next != "" {
		t.Errorf("a click: %+v and %q", q, next)
	}
	if q, next := send(interactBody, plain, func(q *Request) { q.Outdated = true }); q.Login != (token.Login{}) || next != "" {
		t.Errorf("an outdated cookie was renewed: %q", next)
	}
	for _, cookie := range []string{plain, login} {
		_, next := send(click, cookie, func(q *Request) { q.Revoked = true })
		if next == "" || next == plain || next == login {
			t.Fatalf("a reset visitor kept the cookie %q", next)
		}
		if q, _ := send(click, next, nil); q.Fresh || q.AnonymousID == visitor || q.Login != (token.Login{}) {
			t.Errorf("after a reset: %+v", q)
		}
	}
	// What was found out belongs to its request.
	if q, next := send(click, plain, func(q *Request) {
		if q.Begun != (token.Login{}) || q.Revoked || q.Outdated {
			t.Errorf("left from before: %+v", q)
		}
	}); next != "" {
		t.Errorf("%+v and %q", q, next)
	}
	// Reads and pictures keep what the cookie carries.
	w.intake.cookie = nil
	w.post("/v1/profile", `{"writeKey":"wk_shop"}`, "Cookie: reuna="+login)
	if q := w.intake.last(t, n+1); q.Login != begun {
		t.Errorf("profile: %+v", q)
	}
	if c := onlyCookie(t, w.send("GET", "/v1/p.gif?writeKey=wk_shop", "", "Cookie: reuna="+login)); c.Value != login {
		t.Errorf("a picture renewed it as %q", c.Value)
	}
}

func TestForgedCookies(t *testing.T) {
	w := start(t)
	c := onlyCookie(t, w.post("/v1/interact", interactBody))
	id := w.intake.last(t, 1).AnonymousID
	n := 1
	last := "A"
	if strings.HasSuffix(c.Value, last) {
		last = "E"
	}
	for _, cookie := range []string{
		"reuna=" + c.Value[:len(c.Value)-1] + last, "reuna=", "reuna", "reuna=" + id, "Reuna=" + c.Value, "xreuna=" + c.Value,
		"reuna=\"" + c.Value + "\"", "__Host-reuna=" + c.Value, "reuna =" + c.Value, ";;=;reuna==" + c.Value,
	} {
		w.post("/v1/interact", interactBody, "Cookie: "+cookie)
		if n++; !w.intake.last(t, n).Fresh {
			t.Errorf("%q taken", cookie)
		}
	}
	for _, cookie := range []string{"reuna=" + c.Value, "a=1;reuna=" + c.Value, " reuna=planted; reuna=" + c.Value + " ;b"} {
		w.post("/v1/interact", interactBody, "Cookie: "+cookie)
		if n++; w.intake.last(t, n).AnonymousID != id {
			t.Errorf("%q refused", cookie)
		}
	}
	w.post("/v1/interact", interactBody, "Cookie: x=1", "Cookie: reuna="+c.Value)
	if n++; w.intake.last(t, n).AnonymousID != id {
		t.Error("the second Cookie line was not read")
	}
}

func TestSecureCookie(t *testing.T) {
	w := start(t, func(o *Options) {
		o.TrustedProxies = prefixes("127.0.0.1/32")
		o.Sites[0].Cookie = Cookie{Name: "visit", MaxAge: time.Hour}
	})
	r := w.post("/v1/interact", interactBody, "X-Forwarded-Proto: https", "Host: shop.example")
	c := onlyCookie(t, r)
	if c.Name != "__Host-visit" || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.MaxAge != 3600 || c.SameSite != http.SameSiteLaxMode {
		t.Errorf("%+v", c)
	}
	w.post("/v1/interact", interactBody, "X-Forwarded-Proto: https", "Cookie: __Host-visit="+c.Value)
	if w.intake.last(t, 2).Fresh {
		t.Error("not recognised")
	}
	// The name without a prefix can be planted by a neighbour, so it does not count on https.
	w.post("/v1/interact", interactBody, "X-Forwarded-Proto: https", "Cookie: visit="+c.Value)
	if !w.intake.last(t, 3).Fresh {
		t.Error("a cookie without __Host- taken on https")
	}
	// A page of the same host over plain http does not speak for the one over https.
	w.want(w.post("/v1/interact", interactBody, "X-Forwarded-Proto: https", "Host: other.example", "Origin: http://other.example"), 403, "origin_not_allowed")
	w.want(w.post("/v1/interact", interactBody, "X-Forwarded-Proto: https", "Host: other.example", "Origin: https://other.example"), 200, "")
	if strings.Contains(w.logs.String(), "plain http") {
		t.Error(w.logs)
	}
}

func TestUntrustedProxyProvesNothing(t *testing.T) {
	w := start(t)
	r := w.post("/v1/interact", interactBody, "X-Forwarded-Proto: https", "Host: shop.example")
	if c := onlyCookie(t, r); c.Secure || c.Name != "reuna" {
		t.Errorf("%+v", c)
	}
	w.post("/v1/interact", interactBody, "Host: shop.example")
	if n := strings.Count(w.logs.String(), "plain http"); n != 1 {
		t.Errorf("%d warnings about plain http; want one", n)
	}
}

func TestIntakeErrors(t *testing.T) {
	w := start(t)
	paths := map[string]string{"/v1/interact": interactBody, "/v1/profile": interactBody, "/v1/track": trackBody, "/v1/p.gif?writeKey=wk_shop": ""}
	send := func(path, body string) *reply {
		if body == "" {
			return w.send("GET", path, "")
		}
		return w.post(path, body, "Origin: https://shop.example")
	}
	for path, body := range paths {
		w.intake.err = &Unavailable{Status: 503, Code: "queue_full", Message: "full; see limits.queue_bytes", RetryAfter: 1500 * time.Millisecond}
		r := send(path, body)
		w.want(r, 503, "queue_full")
		if r.Header.Get("Retry-After") != "2" || len(r.Cookies()) != 0 {
			t.Errorf("%s: %v", path, r.Header)
		}
		w.intake.err = fmt.Errorf("deep inside: %w", &Unavailable{Status: 429, Code: "slow_down", Message: "m"})
		r = send(path, body)
		w.want(r, 429, "slow_down")
		if r.Header.Get("Retry-After") != "1" {
			t.Errorf("%s: %v", path, r.Header)
		}
		w.intake.err = errors.New("secret detail")
		r = send(path, body)
		w.want(r, 500, "internal")
		if strings.Contains(r.text, "secret") || len(r.Cookies()) != 0 {
			t.Errorf("%s: %s %v", path, r.text, r.Header)
		}
	}
	if !strings.Contains(w.logs.String(), "secret detail") {
		t.Error("the log does not say why")
	}
}
