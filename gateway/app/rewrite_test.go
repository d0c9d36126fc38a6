package app_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/reuna/reuna/gateway/demo"
)

// shopfront is the demo shop as a site of its own, with another gateway in front
// of it that knows the shop's rules.
type shopfront struct {
	*gateway
	upstream string
	key      string
}

// stand starts both. settings are more lines of the site's config, with two
// spaces before each.
func stand(t *testing.T, settings string) *shopfront {
	t.Helper()
	shop := start(t, "demo: true\n")
	_, front := do(t, http.DefaultClient, request(t, "GET", shop.SiteURL()+"/demo/"))
	key := regexp.MustCompile(`/tag/(wk_demo_\w+)\.js`).FindSubmatch(front)
	if key == nil {
		t.Fatalf("the demo's page has no tag: %.2000s", front)
	}
	target, err := url.Parse(shop.SiteURL())
	if err != nil {
		t.Fatal(err)
	}
	// The browser is to tell when a headline is painted (Element Timing): the
	// shop's own, or one of the variants'.
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: func(r *http.Response) error {
			if !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
				return nil
			}
			text, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			text = bytes.ReplaceAll(text, []byte(`<h1 id="hero-title">`), []byte(`<h1 id="hero-title" elementtiming="variant">`))
			if i := bytes.LastIndex(text, []byte(`elementtiming="variant"`)); i >= 0 { // the templates come first
				copy(text[i:], `elementtiming="default"`)
			}
			r.Body = io.NopCloser(bytes.NewReader(text))
			r.Header.Del("ETag")
			r.ContentLength = int64(len(text))
			r.Header.Set("Content-Length", fmt.Sprint(len(text)))
			return nil
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/upload" {
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n, err)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	var b strings.Builder
	fmt.Fprintf(&b, "demo: false\nsites:\n- name: shop\n  write_key: %s\n  upstream: %s\n%straits:\n", key[1], server.URL, settings)
	for _, x := range demo.Traits() {
		fmt.Fprintf(&b, "- {name: %s, kind: %s, event: %s, by: %s}\n", x.Name, x.Kind, x.Event, x.By)
	}
	fmt.Fprint(&b, "segments:\n- {name: reader, when: \"has(computed.favourite_category)\"}\n")
	fan := demo.Segments(0)[0] // the one that the placements ask for
	fmt.Fprintf(&b, "- {name: %s, when: %q}\nplacements:\n", fan.Name, fan.When)
	list, err := demo.Placements()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		fmt.Fprintf(&b, "- name: %s\n  variants:\n", p.Name)
		for _, v := range p.Variants {
			fmt.Fprintf(&b, "  - {name: %s, when: %q}\n", v.Name, v.When)
		}
	}
	return &shopfront{start(t, b.String()), server.URL, string(key[1])}
}

func request(t *testing.T, method, url string, headers ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req
}

// page asks for a page as a browser does that goes there.
func (b *browser) page(path string, headers ...string) (*http.Response, string) {
	b.g.t.Helper()
	req := request(b.g.t, "GET", b.g.SiteURL()+path, append([]string{"Sec-Fetch-Dest", "document", "Accept", "text/html"}, headers...)...)
	resp, err := b.Do(req)
	if err != nil {
		b.g.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.g.t.Fatal(err)
	}
	return resp, string(text)
}

// reads makes the browser's visitor one who likes thrillers.
func (b *browser) reads(f *shopfront) {
	b.g.t.Helper()
	view := `{"type":"track","event":"Product Viewed","properties":{"category":"thrillers"}}`
	if status, answer := b.post("/v1/interact", fmt.Sprintf(`{"writeKey":%q,"batch":[%[2]s,%[2]s,%[2]s]}`, f.key, view)); status != 200 {
		b.g.t.Fatalf("interact answered %d %v", status, answer)
	}
}

// TestAGatewayInFrontOfASite: the whole of it with a client that is no browser.
func TestAGatewayInFrontOfASite(t *testing.T) {
	f := stand(t, "  rewrite: {budget: 1s, client_hints: true}\n")
	b := f.browser()
	_, bare := do(t, http.DefaultClient, request(t, "GET", f.upstream+"/demo/"))
	tag := `src="/tag/` + f.key + `.js"`

	resp, text := b.page("/demo/")
	if resp.StatusCode != 200 || strings.Count(text, tag) != 2 || strings.Contains(text, "data-reuna-shown") || strings.Contains(resp.Header.Get("Cache-Control"), "private") || resp.Header.Get("Accept-CH") == "" {
		t.Errorf("to a newcomer: %d %v\n%.3000s", resp.StatusCode, resp.Header, text)
	}
	b.reads(f)
	resp, text = b.page("/demo/")
	if !strings.Contains(text, `<html lang="en" data-reuna-segments="reader">`) || !strings.Contains(text, `data-reuna-wait data-reuna-shown="thrillers"`) || resp.Header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("to a reader of thrillers: %v\n%.6000s", resp.Header, text)
	}
	// The shop's policy names the stub by its hash, so nothing else may stand in there.
	if strings.Contains(text, ".a={") {
		t.Error("an inline script that the page's policy refuses")
	}
	if _, text := b.page("/demo/", "Sec-Fetch-Dest", "empty"); text != string(bare)+"\n" && text != string(bare) {
		t.Error("a page that a script fetches was changed")
	}
	if _, text := f.browser().page("/demo/"); strings.Contains(text, "data-reuna-shown") {
		t.Error("another visitor is shown this one's variant")
	}
	// What is the gateway's own stays so; the rest is the shop's.
	for path, status := range map[string]int{"/healthz": 200, "/tag/" + f.key + ".js": 200, "/v1/interact": 405, "/demo/static/none.css": 404, "/nowhere": 404, "/": 200} {
		if resp, _ := b.page(path); resp.StatusCode != status {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, status)
		}
	}
	// Bodies above the collector's limits go through to the shop, and are refused
	// where they are the collector's.
	big := strings.Repeat("x", 3<<20)
	for path, want := range map[string]string{"/upload": "200 3145728 <nil>", "/v1/interact": "413 ", "/tag/x.js": "413 "} {
		req, err := http.NewRequest("POST", f.SiteURL()+path, strings.NewReader(big))
		if err != nil {
			t.Fatal(err)
		}
		if status, text := do(t, &b.Client, req); !strings.HasPrefix(fmt.Sprintf("%d %s", status, text), want) {
			t.Errorf("3 MiB to %s: %d %s, want %s", path, status, text, want)
		}
	}
	if status, answer := b.post("/v1/interact", fmt.Sprintf(`{"writeKey":%q,"batch":[%s]}`, f.key, page(`{}`))); status != 200 {
		t.Errorf("behind all that: %d %v", status, answer)
	}
}

// Where the visitor is asked first, the page goes without anything personal.
func TestNothingPersonalBeforeConsent(t *testing.T) {
	for _, setting := range []string{"consent: pending", "consent: required", "consent: cookieless", "consent: pending, consent_from: [tcf]"} {
		f := stand(t, "  rewrite: {budget: 1s}\n  tag: {profile: true, "+setting+"}\n")
		b := f.browser()
		b.reads(f)
		resp, text := b.page("/demo/")
		if !strings.Contains(text, "/tag/"+f.key+".js\"") || strings.Contains(text, "data-reuna-shown") || strings.Contains(text, "data-reuna-segments") || strings.Contains(resp.Header.Get("Cache-Control"), "private") {
			t.Errorf("%s: %v\n%.3000s", setting, resp.Header, text)
		}
		if resp, text := b.page("/tag/"+f.key+".js?profile", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Dest", "script"); strings.Contains(text, ".a={") || resp.StatusCode != 200 {
			t.Errorf("%s: the tag tells %.300s", setting, text)
		}
	}
}

// TestTagWithProfile: the tag's own response tells a page of the site about its
// visitor, and no other page.
func TestTagWithProfile(t *testing.T) {
	f := stand(t, "  origins: [\"https://shop.example\"]\n  tag: {name: app, profile: true}\n")
	b := f.browser()
	b.reads(f)
	for name, c := range map[string]struct {
		headers []string
		told    bool
	}{
		"its own page":                 {[]string{"Sec-Fetch-Site", "same-origin"}, true},
		"its own page, an old browser": {[]string{"Referer", f.SiteURL() + "/x?y"}, true},
		"a page of the site":           {[]string{"Sec-Fetch-Site", "same-site", "Referer", "https://shop.example/"}, true},
		"one that hides":               {[]string{"Sec-Fetch-Site", "same-site"}, false},
		"a neighbour":                  {[]string{"Sec-Fetch-Site", "same-site", "Referer", "https://evil.shop.example/"}, false},
		"a stranger":                   {[]string{"Sec-Fetch-Site", "cross-site", "Referer", "https://evil.example/https://shop.example/"}, false},
		"nobody":                       {nil, false},
	} {
		resp, text := b.page("/tag/app.js?profile", c.headers...)
		if told := strings.Contains(text, `"hero":{"variant":"thrillers"`); told != c.told || resp.StatusCode != 200 {
			t.Errorf("%s: %d, told %v, want %v: %.300s", name, resp.StatusCode, told, c.told, text)
		}
		if cache := resp.Header.Get("Cache-Control"); strings.Contains(cache, "no-store") != c.told || !strings.HasPrefix(cache, "private") {
			t.Errorf("%s: Cache-Control %q", name, cache)
		}
		if origin := resp.Header.Get("Access-Control-Allow-Origin"); c.told && origin != "" {
			t.Errorf("%s: readable by %s", name, origin)
		}
	}
	// Asking counts nothing and makes nobody.
	before := f.person("anonymous_id", b.visitor(f))["counts"]
	fresh := f.browser()
	resp, text := fresh.page("/tag/app.js?profile", "Sec-Fetch-Site", "same-origin")
	if len(resp.Cookies()) > 0 || !strings.Contains(text, `"decisions":{`) {
		t.Errorf("a first visit: %v %.300s", resp.Header, text)
	}
	b.page("/tag/app.js?profile", "Sec-Fetch-Site", "same-origin")
	if after := f.person("anonymous_id", b.visitor(f))["counts"]; fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("counts were %v and are %v", before, after)
	}
	for path, want := range map[string]string{"/tag/app.js": "interact", "/tag/app.mjs": "export", "/tag/" + f.key + ".mjs": "export", "/tag/reuna.d.ts": "export interface Reuna"} {
		if resp, text := b.page(path); resp.StatusCode != 200 || !strings.Contains(text, want) || resp.Header.Get("Cache-Control") != "public, max-age=300, stale-while-revalidate=86400" {
			t.Errorf("%s: %d %v %.100s", path, resp.StatusCode, resp.Header, text)
		}
	}
}

// visitor is what the gateway calls the browser's visitor.
func (b *browser) visitor(f *shopfront) string {
	b.g.t.Helper()
	_, answer := b.post("/v1/profile", fmt.Sprintf(`{"writeKey":%q}`, f.key))
	id, _ := at(answer, "profile", "id").(string)
	return id
}
