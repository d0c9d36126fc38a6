package collect

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/token"
)

// behind has a site's own server behind it, which counts what it is sent.
func behind(o *Options) {
	o.Otherwise = func(ctx *fasthttp.RequestCtx) bool {
		if string(ctx.Path()) == "/ours" {
			return false
		}
		n := int64(0)
		if ctx.Request.IsBodyStream() {
			n, _ = io.Copy(io.Discard, ctx.RequestBodyStream())
		}
		fmt.Fprint(ctx, "site ", n)
		return true
	}
	o.Extra = map[string]fasthttp.RequestHandler{
		"/extra/": func(ctx *fasthttp.RequestCtx) { fmt.Fprint(ctx, "extra ", len(ctx.PostBody())) },
		"/":       func(ctx *fasthttp.RequestCtx) { fmt.Fprint(ctx, "root") },
	}
}

// TestStreamedBodies: with a site's server behind, bodies of any size reach it,
// and what is answered here keeps its limit, however the body is sent.
func TestStreamedBodies(t *testing.T) {
	w := start(t, behind)
	over := 2*testLimits.BatchBytes + bodySlack + 1
	event := `{"writeKey":"wk_local","event":"x"}`
	for _, c := range []struct {
		path, body string
		chunked    bool
		status     int
		text       string
	}{
		{"/", "", false, 200, "site 0"},
		{"/upload", strings.Repeat("x", 5<<20), false, 200, fmt.Sprint("site ", 5<<20)},
		{"/upload", strings.Repeat("x", 5<<20), true, 200, fmt.Sprint("site ", 5<<20)},
		{"/extra/x", "abc", true, 200, "extra 3"},
		{"/extra/x", strings.Repeat("x", 20000), false, 200, "extra 20000"},
		{"/extra/x", strings.Repeat("x", over), false, 413, "body_too_large"},
		{"/extra/x", strings.Repeat("x", over), true, 413, "body_too_large"},
		{"/ours", "abc", false, 404, "not_found"},
		{"/v1/track", event, false, 200, "success"},
		{"/v1/track", event + strings.Repeat(" ", 20000), true, 200, "success"},
		{"/v1/track", strings.Repeat("x", over), true, 413, "body_too_large"},
	} {
		var body io.Reader = strings.NewReader(c.body)
		if c.chunked {
			body = struct{ io.Reader }{body}
		}
		resp, err := http.Post(w.url+c.path, "application/json", body)
		if err != nil {
			t.Fatalf("%s: %v", c.path, err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || !strings.Contains(string(text), c.text) {
			t.Errorf("%s, %d bytes, chunked %v: %d %s %v; want %d %s", c.path, len(c.body), c.chunked, resp.StatusCode, text, err, c.status, c.text)
		}
	}
	routes := map[string]bool{}
	for _, x := range w.counts.seen {
		routes[x.route] = true
	}
	if !routes["upstream"] {
		t.Errorf("counted are %v", w.counts.seen)
	}
}

// TestVisit: who asks for a page or a script, and on whose behalf.
func TestVisit(t *testing.T) {
	w := start(t)
	cookies := w.server.o.Cookies
	mine := cookies.Mint()
	value := string(cookies.AppendCookie(nil, token.Cookie{Visitor: mine}))
	ask := func(site string, script bool, headers ...string) *Request {
		t.Helper()
		ctx := new(fasthttp.RequestCtx)
		raw := "GET /books?utm_source=x HTTP/1.1\r\nHost: shop.example\r\n" + strings.Join(headers, "\r\n")
		if len(headers) > 0 {
			raw += "\r\n"
		}
		if err := ctx.Request.Header.Read(bufio.NewReader(strings.NewReader(raw + "\r\n"))); err != nil {
			t.Fatal(err)
		}
		return w.server.Visit(ctx, site, script)
	}
	r := ask("shop", false, "Cookie: a=b; reuna="+value, "Referer: https://search.example/", "User-Agent: x")
	if r == nil || !r.HasVisitor || r.AnonymousID != string(cookies.AppendAnonymousID(nil, mine)) || r.Fresh || r.UserAgent != "x" || len(r.Batch.Events) != 1 {
		t.Fatalf("a visitor's page: %+v", r)
	}
	page := r.Batch.Events[0].Context.Get("page")
	if page.Get("url").Text() != "http://shop.example/books?utm_source=x" || page.Get("referrer").Text() != "https://search.example/" {
		t.Errorf("the page is %s", page)
	}
	if r := ask("shop", false); r == nil || r.HasVisitor || r.AnonymousID != "" {
		t.Errorf("a newcomer: %+v", r)
	}
	if r := ask("nowhere", false); r != nil {
		t.Errorf("a site that is none: %+v", r)
	}
	for header, told := range map[string]bool{
		"Sec-Fetch-Site: same-origin":               true,
		"Referer: http://shop.example/x":            true, // the very host
		"Referer: https://a.deep.example/x":         true,
		"Referer: https://shop.example":             true,
		"Referer: https://evil.example/":            false,
		"Referer: https://shop.example.evil/":       false,
		"Referer: //shop.example/":                  false,
		"Origin: https://shop.example":              false, // a script element sends a Referer
		"Sec-Fetch-Site: cross-site":                false,
		"Sec-Fetch-Site: same-site":                 false,
		"Referer: https://x@shop.example/":          false,
		"Referer: https://shop.example:443/":        false,
		"Referer: javascript:https://shop.example/": false,
	} {
		if r := ask("shop", true, header, "Cookie: reuna="+value); (r != nil) != told {
			t.Errorf("%s: told %v, want %v", header, r != nil, told)
		}
	}
	for host, serves := range map[string]bool{"shop.example": true, "a.deep.example": true, "shop.example:8080": false, "evil.example": false, "127.0.0.1:80": false} {
		if got := w.server.Serves("shop", host); got != serves {
			t.Errorf("%s is the shop's: %v", host, got)
		}
	}
	if !w.server.Serves("local", "127.0.0.1:8080") || w.server.Serves("local", "shop.example") {
		t.Error("a site without origins is on loopback alone")
	}
}
