package tagserve

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/tag"
)

func serve(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func shops(t testing.TB) *Server {
	return serve(t, Options{Sites: []Site{
		{Name: "shop", WriteKey: "wk_shop", Tag: tag.Standard("")},
		{Name: "blog", WriteKey: "wk_blog", Tag: tag.Options{CollectOnly: true}},
	}})
}

func request(method, path string, headers ...string) *fasthttp.RequestCtx {
	ctx := &fasthttp.RequestCtx{}
	ctx.Request.Header.SetMethod(method)
	ctx.Request.SetRequestURI(path)
	for i := 0; i < len(headers); i += 2 {
		ctx.Request.Header.Set(headers[i], headers[i+1])
	}
	return ctx
}

func get(s *Server, path string, headers ...string) *fasthttp.Response {
	ctx := request("GET", path, headers...)
	s.Handle(ctx)
	return &ctx.Response
}

func TestEveryFormIsTheSameScript(t *testing.T) {
	s := shops(t)
	want := get(s, "/tag/wk_shop.js").Body()
	if len(want) < 1000 || !bytes.Contains(want, []byte("wk_shop")) {
		t.Fatalf("the tag is %q", want)
	}
	for _, c := range []struct{ accept, coding string }{
		{"", ""}, {"gzip, deflate, br, zstd", "br"}, {"gzip", "gzip"}, {"br;q=0, gzip", "gzip"}, {"*", "br"},
		{"identity", ""}, {"BR", "br"}, {"br; q=0.5", "br"}, {"br;q=x", ""}, {"*;q=0", ""},
	} {
		r := get(s, "/tag/wk_shop.js", "Accept-Encoding", c.accept)
		if got := string(r.Header.Peek("Content-Encoding")); got != c.coding {
			t.Errorf("Accept-Encoding %q: coding %q, want %q", c.accept, got, c.coding)
			continue
		}
		var in io.Reader = bytes.NewReader(r.Body())
		switch c.coding {
		case "br":
			in = brotli.NewReader(in)
		case "gzip":
			z, err := gzip.NewReader(in)
			if err != nil {
				t.Fatal(err)
			}
			in = z
		}
		got, err := io.ReadAll(in)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("Accept-Encoding %q: another script (error %v)", c.accept, err)
		}
	}
}

func TestHeaders(t *testing.T) {
	s := shops(t)
	for path, cache := range map[string]string{
		"/tag/wk_shop.js":          "public, max-age=300, stale-while-revalidate=86400",
		s.ImmutablePath("wk_shop"): "public, max-age=31536000, immutable",
	} {
		r := get(s, path)
		for name, want := range map[string]string{
			"Cache-Control": cache, "Vary": "Accept-Encoding", "Access-Control-Allow-Origin": "*",
			"Cross-Origin-Resource-Policy": "cross-origin", "X-Content-Type-Options": "nosniff",
			"Content-Type": "text/javascript; charset=utf-8",
		} {
			if got := string(r.Header.Peek(name)); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		etag := string(r.Header.Peek("ETag"))
		for header, status := range map[string]int{
			etag: 304, "W/" + etag: 304, `"x", ` + etag: 304, "*": 304, `"x"`: 200, strings.Trim(etag, `"`): 200, "": 200,
		} {
			again := get(s, path, "If-None-Match", header)
			if again.StatusCode() != status || (status == 304) != (len(again.Body()) == 0) {
				t.Errorf("%s with If-None-Match %s: status %d and %d bytes, want %d", path, header, again.StatusCode(), len(again.Body()), status)
			}
		}
	}
}

func TestIntegrityIsOfTheServedBytes(t *testing.T) {
	s := shops(t)
	sum := sha512.Sum384(get(s, s.ImmutablePath("wk_shop")).Body())
	if want := "sha384-" + base64.StdEncoding.EncodeToString(sum[:]); s.SRI("wk_shop") != want {
		t.Errorf("SRI is %s, want %s", s.SRI("wk_shop"), want)
	}
	if s.SRI("wk_none") != "" || s.Snippet("wk_none") != "" || s.ImmutablePath("wk_none") != "" {
		t.Error("an unknown write key has a tag")
	}
}

func TestSitesDiffer(t *testing.T) {
	s := shops(t)
	shop, blog := get(s, "/tag/wk_shop.js").Body(), get(s, "/tag/wk_blog.js").Body()
	if bytes.Contains(blog, []byte("wk_shop")) || len(blog) >= len(shop) {
		t.Error("the blog's tag is not its own")
	}
	if got := s.Snippet("wk_blog"); !strings.Contains(got, `src="/tag/wk_blog.js"`) {
		t.Errorf("snippet: %s", got)
	}
}

func TestRefusals(t *testing.T) {
	s := shops(t)
	for _, c := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/tag/wk_none.js", 404, "unknown_tag"},
		{"GET", "/tag/wk_shop", 404, "unknown_tag"},
		{"GET", "/tag/wk_shop.0123456789abcdef.js", 404, "unknown_tag"},
		{"GET", "/tag/.js", 404, "unknown_tag"},
		{"GET", "/elsewhere/wk_shop.js", 404, "unknown_tag"},
		{"GET", "/tag/%22%3E%3Cscript%3E.js", 404, "unknown_tag"},
		{"POST", "/tag/wk_shop.js", 405, "method_not_allowed"},
	} {
		ctx := request(c.method, c.path)
		s.Handle(ctx)
		var answer struct {
			Error struct{ Code, Message string }
		}
		if err := json.Unmarshal(ctx.Response.Body(), &answer); err != nil {
			t.Errorf("%s %s: %v in %s", c.method, c.path, err, ctx.Response.Body())
		}
		if ctx.Response.StatusCode() != c.status || answer.Error.Code != c.code || answer.Error.Message == "" {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, ctx.Response.StatusCode(), ctx.Response.Body(), c.status, c.code)
		}
		if got := string(ctx.Response.Header.Peek("Cache-Control")); got != "no-store" {
			t.Errorf("%s %s: a refusal may be cached: %q", c.method, c.path, got)
		}
	}
}

func TestNewReportsEverySite(t *testing.T) {
	_, err := New(Options{Sites: []Site{
		{Name: "one", WriteKey: "a b"},
		{Name: "two", WriteKey: "wk", Tag: tag.Options{Consent: "maybe"}},
		{Name: "three", WriteKey: "wk_same"},
		{Name: "four", WriteKey: "wk_same"},
	}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`"one"`, `"two"`, `"wk_same" belongs to another site`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in: %v", want, err)
		}
	}
	if _, err := New(Options{Prefix: "tag"}); err == nil {
		t.Error("a prefix without slashes was taken")
	}
}

func TestHandleAllocatesNothing(t *testing.T) {
	s := shops(t)
	ctx := request("GET", "/tag/wk_shop.js", "Accept-Encoding", "gzip, deflate, br, zstd", "If-None-Match", `"other"`)
	if n := testing.AllocsPerRun(200, func() {
		ctx.Response.Reset()
		s.Handle(ctx)
	}); n > 0 {
		t.Errorf("%v allocations a request", n)
	}
}

func FuzzAccepts(f *testing.F) {
	for _, s := range []string{"gzip, br;q=0.5", "*", ";;;,,,q=", "br;q=0", "br;level=3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		// A coding that the header does not name, by itself or by a star, is never used.
		if accepts([]byte(header), "br") && !strings.Contains(header, "*") && !strings.Contains(strings.ToLower(header), "br") {
			t.Errorf("br was chosen for %q", header)
		}
		// Neither is one that is refused first.
		if accepts([]byte("br;q=0,"+header), "br") {
			t.Errorf("br was chosen although refused before %q", header)
		}
	})
}

func FuzzMatches(f *testing.F) {
	f.Add(`"a", W/"b"`)
	f.Fuzz(func(t *testing.T, header string) {
		if matches([]byte(header), `"tag"`) && !strings.Contains(header, `"tag"`) && !strings.Contains(header, "*") {
			t.Errorf("%q matched", header)
		}
		if !matches([]byte(header+`,"tag"`), `"tag"`) {
			t.Errorf("%q hid the tag after it", header)
		}
	})
}

// answering serves a shop whose tag has a name, and comes with an answer for
// whoever asks with the header Sec-Fetch-Site: same-origin.
func answering(t testing.TB) *Server {
	return serve(t, Options{
		Sites: []Site{{Name: "shop", WriteKey: "wk_shop", File: "app", Profile: true, Tag: tag.Standard("")}},
		Answer: func(ctx *fasthttp.RequestCtx, site string, dst []byte) ([]byte, bool) {
			return append(dst, `{"profile":{"id":"`+site+`"}}`...), string(ctx.Request.Header.Peek("Sec-Fetch-Site")) == "same-origin"
		},
	})
}

// A tag that was not built for answers would not look at one.
func TestATagWithoutAnswersIsTheSameForAll(t *testing.T) {
	s := serve(t, Options{
		Sites:  []Site{{Name: "shop", WriteKey: "wk_shop", Tag: tag.Standard("")}},
		Answer: func(_ *fasthttp.RequestCtx, _ string, dst []byte) ([]byte, bool) { return append(dst, "{}"...), true },
	})
	plain := get(s, "/tag/wk_shop.js")
	asked := get(s, "/tag/wk_shop.js?profile", "Sec-Fetch-Site", "same-origin")
	if !bytes.Equal(asked.Body(), plain.Body()) || string(asked.Header.Peek("Cache-Control")) != string(plain.Header.Peek("Cache-Control")) {
		t.Errorf("?profile is answered with %.100s", asked.Body())
	}
}

func TestTheTagWithItsAnswer(t *testing.T) {
	s := answering(t)
	plain := get(s, "/tag/app.js").Body()
	if got := s.Path("wk_shop"); got != "/tag/app.js?profile" || !strings.Contains(s.Snippet("wk_shop"), got) || !strings.HasPrefix(s.ImmutablePath("wk_shop"), "/tag/app.") {
		t.Errorf("paths %s and %s", got, s.ImmutablePath("wk_shop"))
	}
	if !bytes.Equal(get(s, s.ImmutablePath("wk_shop")).Body(), plain) || !bytes.Equal(get(s, "/tag/wk_shop.js").Body(), plain) {
		t.Error("the tag differs by its name")
	}
	want := `(window.reuna=window.reuna||[]).a={"profile":{"id":"shop"}};` + "\n" + string(plain)
	for _, coding := range []string{"", "br"} {
		r := get(s, "/tag/app.js?profile", "Sec-Fetch-Site", "same-origin", "Accept-Encoding", coding, "If-None-Match", "*")
		text := r.Body()
		if coding == "br" {
			var err error
			if text, err = io.ReadAll(brotli.NewReader(bytes.NewReader(text))); err != nil {
				t.Fatal(err)
			}
		}
		if string(text) != want {
			t.Errorf("%q: the script begins with %.200s", coding, text)
		}
		for name, want := range map[string]string{"Cache-Control": "private, no-store", "ETag": "", "Access-Control-Allow-Origin": "", "Cross-Origin-Resource-Policy": "same-origin", "Content-Encoding": coding} {
			if got := string(r.Header.Peek(name)); got != want {
				t.Errorf("%q: %s is %q, want %q", coding, name, got, want)
			}
		}
	}
	for _, path := range []string{"/tag/app.js?profile", "/tag/app.js?profile=1", s.ImmutablePath("wk_shop") + "?profile", "/tag/app.mjs?profile"} {
		r := get(s, path, "Sec-Fetch-Site", map[bool]string{true: "cross-site", false: "same-origin"}[path == "/tag/app.js?profile"])
		if bytes.Contains(r.Body(), []byte(`"profile":{"id"`)) {
			t.Errorf("%s is answered with a profile", path)
		}
	}
	if r := get(s, "/tag/app.js?profile"); string(r.Header.Peek("Cache-Control")) != "private, no-cache" || !bytes.Equal(r.Body(), plain) {
		t.Errorf("without an answer: %s", r.Header.String())
	}
}
