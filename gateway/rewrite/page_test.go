package rewrite

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
)

const (
	sitePage = `<!doctype html><html><head><title>T</title></head><body><div data-reuna-slot="hero">old<template data-reuna-variant="red">red</template></div>`
	plainOut = `<!doctype html><html><head><title>T</title>` + both + `</head><body><div data-reuna-slot="hero">old<template data-reuna-variant="red">red</template></div>`
	shownOut = `<!doctype html><html data-reuna-segments="fans"><head><title>T</title><script>` + stubText + "\n" + `window.reuna.a={"profile":{"id":"\u00e4\u003c/script\u003e\ud83d\ude00"}}</script>` + srcTag +
		`</head><body><div data-reuna-slot="hero" data-reuna-shown="red">red<template data-reuna-default>old<template data-reuna-variant="red">red</template></template></div>`
)

func fan() (Decision, error) {
	return Decision{Variants: map[string]string{"hero": "red"}, Segments: []string{"fans"}, Answer: []byte(`{"profile":{"id":"ä</script>😀"}}`)}, nil
}

// htmlPage answers with the page, its type and more headers.
func htmlPage(text, kind string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		for i := 0; i < len(headers); i += 2 {
			w.Header().Add(headers[i], headers[i+1])
		}
		_, _ = io.WriteString(w, text)
	}
}

func packedBy(t *testing.T, coding string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = brotli.NewWriter(&b)
	if coding == "gzip" {
		w = gzip.NewWriter(&b)
	}
	if _, err := io.WriteString(w, sitePage); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWhichPagesAreRewritten(t *testing.T) {
	const kind = "text/html; charset=utf-8"
	for name, c := range map[string]struct {
		site   http.HandlerFunc
		ask    []string
		decide decider
		change func(*Site)
		want   string
	}{
		"a page":              {htmlPage(sitePage, kind), nil, fan, nil, shownOut},
		"in an iframe":        {htmlPage(sitePage, kind), []string{"Sec-Fetch-Dest", "iframe"}, fan, nil, shownOut},
		"for an old browser":  {htmlPage(sitePage, "Text/HTML"), []string{"Sec-Fetch-Dest", ""}, fan, nil, shownOut},
		"fetched by a script": {htmlPage(sitePage, kind), []string{"Sec-Fetch-Dest", "empty"}, fan, nil, sitePage},
		"no HTML":             {htmlPage(sitePage, "text/plain"), nil, fan, nil, sitePage},
		"other encoding":      {htmlPage(sitePage, "text/html; charset=utf-16le"), nil, fan, nil, sitePage},
		"unknown coding":      {htmlPage(sitePage, kind, "Content-Encoding", "zstd"), nil, fan, nil, sitePage},
		"no transform":        {htmlPage(sitePage, kind, "Cache-Control", "public, no-transform"), nil, fan, nil, sitePage},
		"a download":          {htmlPage(sitePage, kind, "Content-Disposition", "attachment; filename=x"), nil, fan, nil, sitePage},
		"gzip":                {htmlPage(packedBy(t, "gzip"), kind, "Content-Encoding", "gzip"), nil, fan, nil, shownOut},
		"brotli":              {htmlPage(packedBy(t, "br"), kind, "Content-Encoding", "br"), nil, fan, nil, shownOut},
		"nothing decided":     {htmlPage(sitePage, kind), nil, nil, nil, plainOut},
		"it failed":           {htmlPage(sitePage, kind), nil, func() (Decision, error) { return Decision{}, errors.New("x") }, nil, plainOut},
		"too late":            {htmlPage(sitePage, kind), nil, func() (Decision, error) { time.Sleep(300 * time.Millisecond); return fan() }, func(s *Site) { s.Budget = 20 * time.Millisecond }, plainOut},
		"consent comes first": {htmlPage(sitePage, kind), nil, fan, func(s *Site) { s.Slots = false }, plainOut},
		"switched off":        {htmlPage(sitePage, kind), nil, fan, func(s *Site) { s.Pages = false }, sitePage},
	} {
		f := stand(t, c.site, func(s *Site, o *Options) {
			if c.change != nil {
				c.change(s)
			}
			if c.decide != nil {
				o.Decider = c.decide
			}
		})
		for _, coding := range []string{"", "gzip, br;q=0.9", "gzip", "br;q=0, deflate"} {
			if coding == "" && (name == "gzip" || name == "brotli") {
				continue
			}
			ask := append([]string{"Accept-Encoding", coding, "Accept", "text/html"}, c.ask...)
			if !strings.Contains(strings.Join(c.ask, " "), "Sec-Fetch-Dest") {
				ask = append(ask, "Sec-Fetch-Dest", "document")
			}
			resp := f.begin("GET", "/", nil, ask...)
			var in io.Reader = resp.Body
			if name != "unknown coding" {
				in = unpacked(t, resp)
			}
			text, err := io.ReadAll(in)
			resp.Body.Close()
			if err != nil || string(text) != c.want {
				t.Errorf("%s, %q: %v\n got %s\nwant %s", name, coding, err, text, c.want)
			}
		}
	}
}

func TestHeadersOfPages(t *testing.T) {
	site := htmlPage(sitePage, "text/html", "Cache-Control", "public, max-age=600", "ETag", `"x"`, "Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT",
		"Accept-Ranges", "bytes", "Content-MD5", "x", "Expires", "0", "Vary", "Cookie")
	f := stand(t, site, func(s *Site, o *Options) { o.Decider = decider(fan); s.ClientHints = true })
	check := func(what string, h http.Header, want map[string]string) {
		t.Helper()
		for name, value := range want {
			if got := strings.Join(h.Values(name), ", "); got != value {
				t.Errorf("%s: %s is %q, want %q", what, name, got, value)
			}
		}
	}
	resp, _ := f.visit("/")
	check("somebody's own", resp.Header, map[string]string{"Cache-Control": "private, no-store", "ETag": "", "Last-Modified": "", "Accept-Ranges": "", "Content-MD5": "",
		"Expires": "", "Vary": "Cookie, Accept-Encoding", "Content-Length": "", "Accept-CH": ClientHints})
	everybody := map[string]string{"Cache-Control": "public, max-age=600", "ETag": `W/"x"`, "Last-Modified": "Mon, 02 Jan 2006 15:04:05 GMT", "Accept-Ranges": "", "Content-MD5": "", "Expires": "0"}
	for name, d := range map[string]decider{
		"nobody's":         nil,
		"nothing for them": func() (Decision, error) { return Decision{Answer: []byte(`{"profile":{"id":"v_secret"}}`)}, nil },
	} {
		f := stand(t, site, func(_ *Site, o *Options) {
			if d != nil {
				o.Decider = d
			}
		})
		resp, text := f.visit("/")
		check(name, resp.Header, everybody)
		if strings.Contains(text, "secret") {
			t.Errorf("%s: a page that may be kept for others says %s", name, text)
		}
	}
	resp, text := f.ask("HEAD", "/", nil, "Sec-Fetch-Dest", "document")
	check("its head alone", resp.Header, map[string]string{"Content-Length": "", "ETag": `W/"x"`, "Accept-Ranges": ""})
	if len(text) > 0 {
		t.Errorf("HEAD: %q", text)
	}
}

// A browser that holds the page from before it was known gets its own; parts of
// a page are never asked for.
func TestConditionsOfPages(t *testing.T) {
	var got http.Header
	f := stand(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		htmlPage(sitePage, "text/html")(w, r)
	}, func(_ *Site, o *Options) { o.Decider = decider(fan) })
	for cookie, want := range map[string]string{"reuna=x": "", "other=x": `"x"`} {
		f.visit("/", "Cookie", cookie, "If-None-Match", `"x"`, "Range", "bytes=0-1")
		if got.Get("If-None-Match") != want || got.Get("Range") != "" {
			t.Errorf("with %s the server is asked with %q and %q", cookie, got.Get("If-None-Match"), got.Get("Range"))
		}
	}
}

func TestPolicies(t *testing.T) {
	sum := sha256.Sum256([]byte(stubText))
	hash := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	const nonce = ` nonce="r4nd"`
	stub, src := stubTag, srcTag
	answer := "<script>" + stubText + "\nA</script>"
	with := func(s string) string { return strings.Replace(s, "<script", "<script"+nonce, 1) }
	for _, c := range []struct {
		headers []string
		meta    string
		want    string
	}{
		{nil, "", answer + src},
		{[]string{"img-src 'none'"}, "", answer + src},
		{[]string{"default-src 'self'; script-src 'nonce-r4nd' 'strict-dynamic'; require-trusted-types-for 'script'"}, "", with(answer) + with(src)},
		{[]string{"default-src 'self'"}, "", src},
		{[]string{"script-src 'self' 'unsafe-inline'"}, "", answer + src},
		{[]string{"script-src 'self' 'unsafe-inline' 'nonce-r4nd'"}, "", with(answer) + with(src)},
		{[]string{"script-src 'self' 'unsafe-inline' 'sha256-AAAA'"}, "", src},
		{[]string{"script-src 'self' " + hash}, "", stub + src},
		{[]string{"script-src 'strict-dynamic' " + hash}, "", stub},
		{[]string{"script-src https://cdn.example"}, "", ""},
		{[]string{"script-src 'none'; script-src *"}, "", ""},
		{[]string{"script-src http:; script-src-elem 'none'"}, "", ""},
		{[]string{"default-src 'self', script-src 'none'"}, "", ""},
		{[]string{"script-src *", "script-src 'nonce-r4nd'"}, "", with(src)},
		{[]string{"script-src HTTPS://SHOP.EXAMPLE/tag/"}, "", src},
		{[]string{"script-src shop.example/other/"}, "", ""},
		{nil, "script-src 'nonce-r4nd'", with(answer) + with(src)},
		{[]string{"script-src 'nonce-r4nd'"}, "script-src &#39;nonce-r4nd&#39; 'self'", with(answer) + with(src)},
		{[]string{"script-src 'nonce-r4nd'"}, "script-src 'nonce-other'", ""},
	} {
		page := shopPage()
		page.Answer = "\nA"
		e := &editor{page: page, origin: "https://shop.example", sized: true}
		for _, h := range c.headers {
			e.csp.add(h)
		}
		meta := ""
		if c.meta != "" {
			meta = `<META HTTP-EQUIV=Content-Security-Policy content="` + c.meta + `">`
		}
		s := &scanner{e: e}
		s.write([]byte(meta + "<body>"))
		if want := meta + c.want + "<body>"; string(e.out) != want {
			t.Errorf("%q, %q:\n got %s\nwant %s", c.headers, c.meta, e.out, want)
		}
	}
}

func TestNewChecksItsSites(t *testing.T) {
	for _, upstream := range []string{"", "127.0.0.1:3000", "ftp://x", "http://x/app", "http://u:p@x", "http://x?y"} {
		if _, err := New(Options{Sites: []Site{{Name: "shop", Upstream: upstream, Serves: func(string) bool { return true }}}}); err == nil || !strings.Contains(err.Error(), `"shop"`) {
			t.Errorf("upstream %q: %v", upstream, err)
		}
	}
}

func FuzzPolicies(f *testing.F) {
	f.Add("script-src 'nonce-a' 'sha256-x'", "default-src *, ;;")
	f.Fuzz(func(t *testing.T, a, b string) {
		var p policies
		p.add(a)
		inline := p.inline("x", p.nonce())
		p.add(b)
		// One more policy never allows what was refused.
		if !inline && p.nonce() != "" && p.inline("x", "") {
			t.Errorf("%q refuses, and with %q it allows", a, b)
		}
	})
}

func BenchmarkPage(b *testing.B) {
	text := []byte(`<!doctype html><html><head><meta charset=utf-8><title>T</title><link rel=stylesheet href=x></head><body>` +
		strings.Repeat(`<div class="card"><a href="/book/1" title='x'><img src="/c.svg" alt="A cover"><b>Title</b></a><p>Some words about it, and more.</p></div>`, 700) +
		`<div data-reuna-slot="hero">old<template data-reuna-variant="red">red</template></div>`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	e := &editor{}
	for b.Loop() {
		*e = editor{page: shopPage(), out: e.out[:0], sized: true}
		s := scanner{e: e}
		s.write(text)
		s.close()
	}
}

// A page costs the same few allocations however long it is.
func TestAllocations(t *testing.T) {
	card := `<div class="card" data-x='1'><a href="/book/1"><img src="/c.svg" alt=x><b>Title</b></a><!-- x --><script>1</script></div>`
	cost := func(cards int) float64 {
		text := []byte(`<html><head></head><body>` + strings.Repeat(card, cards) + `<div data-reuna-slot="hero">old<template data-reuna-variant="red">red</template></div>`)
		page, out := shopPage(), make([]byte, 0, 2*len(text)+4096)
		return testing.AllocsPerRun(20, func() {
			e := editor{page: page, out: out, sized: true}
			s := scanner{e: &e}
			s.write(text)
			s.close()
		})
	}
	if few, many := cost(10), cost(1000); many > few || few > 60 {
		t.Errorf("%v allocations for 10 cards, %v for 1000", few, many)
	}
}
