package demo

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/net/html"
)

const snippet = `<script>!function(w,n){w[n]=w[n]||[]}(window,"reuna")</script>
<script async fetchpriority="high" src="/tag/wk_test.js"></script>`

func newShop(t testing.TB) *Shop {
	t.Helper()
	s, err := New(Options{
		Snippet: snippet,
		Sign:    func(userID, visitor string) (string, error) { return userID + "@" + visitor, nil },
		Log:     slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends one request to the shop; headers are name, value, name, value …
func ask(s *Shop, method, uri string, body []byte, headers ...string) *fasthttp.Response {
	var request fasthttp.Request
	request.Header.SetMethod(method)
	request.SetRequestURI(uri)
	request.SetHost("shop.test")
	request.SetBody(body)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	var ctx fasthttp.RequestCtx
	ctx.Init(&request, nil, nil)
	s.Handle(&ctx)
	var response fasthttp.Response
	ctx.Response.CopyTo(&response)
	return &response
}

func parse(t testing.TB, page []byte) *html.Node {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// walk visits the elements below node; into says whether those within
// <template> elements are visited too.
func walk(node *html.Node, into bool, visit func(*html.Node)) {
	for c := range node.ChildNodes() {
		if c.Type == html.ElementNode {
			visit(c)
			if c.Data == "template" && !into {
				continue
			}
		}
		walk(c, into, visit)
	}
}

func attribute(node *html.Node, name string) (string, bool) {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// TestCrawl follows every link, form, script, style and picture from the front
// page on, and looks at each page on the way.
func TestCrawl(t *testing.T) {
	s := newShop(t)
	base, err := url.Parse("http://shop.test/demo/")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	queue := []string{"/demo/", "/demo/account", "/demo/thanks"} // scripts go to the latter two
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		r := ask(s, "GET", path, nil)
		if r.StatusCode() != fasthttp.StatusOK {
			t.Errorf("%s: status %d", path, r.StatusCode())
			continue
		}
		if string(r.Header.Peek("X-Content-Type-Options")) != "nosniff" {
			t.Errorf("%s: sent without nosniff", path)
		}
		if !strings.HasPrefix(string(r.Header.ContentType()), "text/html") {
			continue
		}
		checkPage(t, path, r)
		walk(parse(t, r.Body()), true, func(n *html.Node) {
			for _, name := range []string{"href", "src", "action"} {
				link, ok := attribute(n, name)
				if !ok || strings.HasPrefix(link, "#") {
					continue
				}
				u, err := base.Parse(link)
				if err != nil || u.Host != base.Host {
					t.Errorf("%s: %s %q leaves the shop", path, name, link)
				} else if u.Path != "/tag/wk_test.js" {
					queue = append(queue, u.Path)
				}
			}
		})
	}
	for path := range s.pages {
		if !seen["/demo/"+path] {
			t.Errorf("nothing links to %q", path)
		}
	}
}

// checkPage holds a page to what its security policy and its readers need.
func checkPage(t *testing.T, path string, r *fasthttp.Response) {
	t.Helper()
	policy := string(r.Header.Peek("Content-Security-Policy"))
	ids := map[string]bool{}
	headings, landmarks := 0, map[string]int{}
	root := parse(t, r.Body())
	walk(root, true, func(n *html.Node) {
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
				t.Errorf("%s: <%s %s=%q>, which the policy forbids", path, n.Data, a.Key, a.Val)
			}
		}
		if n.Data == "style" {
			t.Errorf("%s: an inline style sheet, which the policy forbids", path)
		}
		if _, external := attribute(n, "src"); n.Data == "script" && !external {
			sum := sha256.Sum256([]byte(n.FirstChild.Data))
			if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
				t.Errorf("%s: the policy does not allow the inline script %s: %s", path, want, policy)
			}
		}
		if alt, ok := attribute(n, "alt"); n.Data == "img" && !ok {
			t.Errorf("%s: a picture without an alternative text %q", path, alt)
		}
	})
	walk(root, false, func(n *html.Node) {
		if id, ok := attribute(n, "id"); ok {
			if ids[id] {
				t.Errorf("%s: the id %q stands twice", path, id)
			}
			ids[id] = true
		}
		if n.Data == "h1" {
			headings++
		}
		landmarks[n.Data]++
	})
	if headings != 1 {
		t.Errorf("%s: %d main headings, expected 1", path, headings)
	}
	for _, name := range []string{"header", "main", "footer", "aside", "title"} {
		if landmarks[name] == 0 {
			t.Errorf("%s: no <%s>", path, name)
		}
	}
	walk(root, false, func(n *html.Node) {
		for _, name := range []string{"for", "aria-labelledby", "aria-controls"} {
			if id, ok := attribute(n, name); ok && !ids[id] {
				t.Errorf("%s: %s=%q names nothing on the page", path, name, id)
			}
		}
	})
}

func TestHeroHasAVariantForEveryRule(t *testing.T) {
	var inPage, inRules []string
	var needed string // the interest that the panel draws its line at
	walk(parse(t, ask(newShop(t), "GET", "/demo/", nil).Body()), true, func(n *html.Node) {
		if name, ok := attribute(n, "data-reuna-variant"); ok {
			inPage = append(inPage, name)
		}
		if text, ok := attribute(n, "data-needed"); ok {
			needed = text
		}
	})
	placements, err := Placements()
	if err != nil {
		t.Fatal(err)
	}
	if len(placements) != 1 || placements[0].Name != "hero" {
		t.Fatalf("placements %+v, expected the hero alone", placements)
	}
	for i, v := range placements[0].Variants {
		inRules = append(inRules, v.Name)
		if i == 0 { // fans come first
			if v.Name != fanVariant || v.When != "'"+fanSegment+"' in segments" {
				t.Errorf("the first variant is %+v, expected that of the fans", v)
			}
			continue
		}
		if !strings.Contains(v.When, "'"+v.Name+"'") {
			t.Errorf("the rule of %s does not speak of it: %s", v.Name, v.When)
		}
		if !strings.HasSuffix(v.When, ">= "+needed) {
			t.Errorf("the panel says that %q turns the hero, the rule of %s: %s", needed, v.Name, v.When)
		}
	}
	if len(inPage) == 0 || !slices.Equal(inPage, inRules) {
		t.Errorf("the page has the variants %v, the rules %v", inPage, inRules)
	}
}

// A fan is one definition, and the page says it as it is.
func TestFans(t *testing.T) {
	for d, text := range map[time.Duration]string{0: "2m", 90 * time.Second: "1m30s", 2 * time.Second: "2s", 720 * time.Hour: "720h", time.Minute: "1m"} {
		want := Segment{"thriller-fan", "count('Order Completed', properties.products.exists(p, p.category == 'thrillers'), '" + text + "') >= 1"}
		if got := Segments(d)[0]; got != want {
			t.Errorf("%v: %+v, expected %+v", d, got, want)
		}
	}
	s, err := New(Options{Snippet: snippet, Sign: func(string, string) (string, error) { return "", nil }, FanFor: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	front, style := string(ask(s, "GET", "/demo/", nil).Body()), string(ask(s, "GET", "/demo/"+s.render.Files["shop.css"], nil).Body())
	for what, where := range map[string]string{
		html.EscapeString(Segments(time.Minute)[0].When): front, "After 1 minute you": front, `data-fan="thriller-fan"`: front,
		`[data-reuna-segments~="thriller-fan"]`: style,
	} {
		if !strings.Contains(where, what) {
			t.Errorf("the shop lacks %q", what)
		}
	}
}

func TestAnswers(t *testing.T) {
	s := newShop(t)
	front := ask(s, "GET", "/demo/", nil)
	etag := string(front.Header.Peek("ETag"))
	css := "/demo/" + s.render.Files["shop.css"]
	for _, c := range []struct {
		name, method, uri string
		headers           []string
		status            int
		header, want      string
	}{
		{"the prefix without its slash", "GET", "/demo", nil, 308, "Location", "/demo/"},
		{"a page may be kept but is asked for", "GET", "/demo/", nil, 200, "Cache-Control", "no-cache"},
		{"a page that the browser has", "GET", "/demo/", []string{"If-None-Match", etag}, 304, "ETag", etag},
		{"a page that the browser has had", "GET", "/demo/", []string{"If-None-Match", `"old"`}, 200, "ETag", etag},
		{"an asset never changes", "GET", css, nil, 200, "Cache-Control", "public, max-age=31536000, immutable"},
		{"an asset says what it is", "GET", css, nil, 200, "Content-Type", "text/css; charset=utf-8"},
		{"packed", "GET", "/demo/", []string{"Accept-Encoding", "gzip, br"}, 200, "Content-Encoding", "gzip"},
		{"not packed", "GET", "/demo/", nil, 200, "Content-Encoding", ""},
		{"a cover", "GET", "/demo/covers/low-tide.svg", nil, 200, "Content-Type", "image/svg+xml"},
		{"no such page", "GET", "/demo/book/none", nil, 404, "Content-Type", "text/html; charset=utf-8"},
		{"no way out", "GET", "/demo/../secret", nil, 404, "Cache-Control", "no-cache"},
		{"another's path", "GET", "/demonstration", nil, 404, "Content-Type", "text/html; charset=utf-8"},
		{"only the head", "HEAD", "/demo/cart", nil, 200, "Content-Type", "text/html; charset=utf-8"},
		{"a method that a page has not", "POST", "/demo/cart", nil, 405, "Allow", "GET, HEAD"},
		{"a method that the login has not", "DELETE", "/demo/login", nil, 405, "Allow", "GET, HEAD, POST"},
		{"search", "GET", "/demo/search?q=moon", nil, 200, "Content-Type", "text/html; charset=utf-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ask(s, c.method, c.uri, nil, c.headers...)
			if r.StatusCode() != c.status {
				t.Errorf("status %d, expected %d", r.StatusCode(), c.status)
			}
			if got := string(r.Header.Peek(c.header)); got != c.want {
				t.Errorf("%s: %q, expected %q", c.header, got, c.want)
			}
			if string(r.Header.Peek("Content-Security-Policy")) == "" {
				t.Error("sent without a security policy")
			}
		})
	}
	packed, err := gzip.NewReader(bytes.NewReader(ask(s, "GET", "/demo/", nil, "Accept-Encoding", "gzip").Body()))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(packed); err != nil || !bytes.Equal(plain, front.Body()) {
		t.Errorf("the packed page is not the page: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	sign := func(string, string) (string, error) { return "", errors.New("unused") }
	for name, o := range map[string]Options{
		"no snippet":                {Sign: sign},
		"no sign":                   {Snippet: snippet},
		"prefix without slash":      {Snippet: snippet, Sign: sign, Prefix: "/demo"},
		"prefix of another kind":    {Snippet: snippet, Sign: sign, Prefix: "demo/"},
		"script of an odd scheme":   {Snippet: `<script src="ftp://cdn.test/x.js"></script>`, Sign: sign},
		"script of an odd host":     {Snippet: `<script src="//a;b/x.js"></script>`, Sign: sign},
		"script address unreadable": {Snippet: `<script src="http://[::1/x.js"></script>`, Sign: sign},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	s, err := New(Options{Snippet: snippet, Sign: sign, Prefix: "/"})
	if err != nil {
		t.Fatal(err)
	}
	if r := ask(s, "GET", "/book/low-tide", nil); r.StatusCode() != 200 {
		t.Errorf("at the root: status %d", r.StatusCode())
	}
}

func TestPolicy(t *testing.T) {
	for _, c := range []struct {
		name, snippet string
		scripts       string // of other origins
		inline        []string
	}{
		{"the page's own", `<script src="/tag/a.js"></script>`, "", nil},
		{"another origin", `<script async src="https://edge.test:8443/tag/a.js"></script>`, " https://edge.test:8443", nil},
		{"another origin of the page's scheme", `<script src="//edge.test/a.js"></script>`, " edge.test", nil},
		{"markup in a script", `<script>if(a<b&&c>d)x("<p>&amp;</p>")</script>`, "", []string{`if(a<b&&c>d)x("<p>&amp;</p>")`}},
		{"line ends", "<script>a()\r\nb()</script>", "", []string{"a()\nb()"}},
		{"two scripts, one of them commented out", `<script>one()</script><!--<script>two()</script>--><SCRIPT type=module>three()</SCRIPT>`, "", []string{"one()", "three()"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := contentPolicy(c.snippet)
			if err != nil {
				t.Fatal(err)
			}
			want := "script-src 'self'" + c.scripts
			for _, text := range c.inline {
				sum := sha256.Sum256([]byte(text))
				want += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
			}
			if !strings.Contains(got, want+";") || !strings.Contains(got, "connect-src 'self'"+c.scripts+";") {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestAllocations(t *testing.T) {
	s := newShop(t)
	var request fasthttp.Request
	request.SetRequestURI("/demo/book/low-tide")
	request.SetHost("shop.test")
	request.Header.Set("Accept-Encoding", "gzip")
	var ctx fasthttp.RequestCtx
	ctx.Init(&request, nil, nil)
	if n := testing.AllocsPerRun(200, func() {
		ctx.Response.Reset()
		s.Handle(&ctx)
	}); n > 0 {
		t.Errorf("a page costs %v allocations, expected none", n)
	}
}

// FuzzSearch looks for a query that writes markup of its own.
func FuzzSearch(f *testing.F) {
	for _, q := range []string{"moon", "", `"><script>alert(1)</script>`, "<", "\xff\xfe", strings.Repeat("ä", 99), "{{.}}", "\x00"} {
		f.Add(q)
	}
	s := newShop(f)
	shape := func(t testing.TB, page []byte) string {
		var out strings.Builder
		walk(parse(t, page), true, func(n *html.Node) {
			switch n.Data {
			case "script", "main", "input", "h1", "title":
				out.WriteString(n.Data + " ")
				for _, a := range n.Attr {
					out.WriteString(a.Key + " ")
				}
			}
		})
		return out.String()
	}
	want := shape(f, ask(s, "GET", "/demo/search?q=nothing+like+it", nil).Body())
	f.Fuzz(func(t *testing.T, query string) {
		r := ask(s, "GET", "/demo/search?q="+url.QueryEscape(query), nil)
		if r.StatusCode() != 200 {
			t.Fatalf("status %d", r.StatusCode())
		}
		if got := shape(t, r.Body()); got != want {
			t.Errorf("the query %q changed the page:\n%s\n%s", query, got, want)
		}
	})
}
