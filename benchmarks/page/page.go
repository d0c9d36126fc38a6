// Package page measures what the tag costs the page that it stands in: its
// bytes, and the time that it takes on the main thread of a real Chromium
// whose processor is slowed down.
package page

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"

	"github.com/reuna/reuna/tag"
)

// build is a tag that is measured, and what it may cost.
type build struct {
	name   string
	size   tag.Options // what its bytes are counted of
	run    tag.Options // what runs in the page
	budget int         // bytes of brotli
	stub   bool        // the inline stub alone, without its tag
	grant  bool        // the page grants consent at once
}

// builds are those that have a budget (the tag's design, and build_test.go).
func builds() []build {
	const key = "wk_shop"
	few := tag.Options{WriteKey: key, Clicks: true, Consent: tag.ConsentOff, CollectOnly: true, NoOutbox: true}
	standard := tag.Standard(key)
	all := tag.Everything(key)
	run := all
	run.Debug = false // DevTools, which measures, would take a copy of each line
	return []build{
		{name: "stub", size: standard, run: standard, budget: 260, stub: true},
		{name: "pages and clicks only", size: few, run: few, budget: 3584},
		{name: "standard", size: standard, run: standard, budget: 5632},
		{name: "everything on", size: all, run: run, budget: 7680, grant: true},
	}
}

// Bytes are a script's size: as it is, and compressed as well as can be.
type Bytes struct {
	Raw    int `json:"raw"`
	Gzip   int `json:"gzip"`
	Brotli int `json:"brotli"`
}

// weigh compresses a script with the best levels.
func weigh(script []byte) (b Bytes, err error) {
	b.Raw = len(script)
	count := func(into io.WriteCloser, out *bytes.Buffer) int {
		if _, failed := into.Write(script); failed != nil && err == nil {
			err = failed
		}
		if failed := into.Close(); failed != nil && err == nil {
			err = failed
		}
		return out.Len()
	}
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return b, err
	}
	b.Gzip = count(zip, &out)
	out.Reset()
	b.Brotli = count(brotli.NewWriterLevel(&out, brotli.BestCompression), &out)
	return b, err
}

// site serves one page with or without a tag, and a gateway that answers at
// once and counts.
type site struct {
	*httptest.Server
	html   string
	script []byte

	mu    sync.Mutex
	posts int
	first chan struct{} // closed by the first request
}

// html is the page: a slot with a variant, a text of the profile and something
// to click. What stands for %s is all that the pages differ in.
const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title><link rel="icon" href="data:,">%s</head><body>
<button style="position:fixed;left:0;top:0;width:100px;height:100px">Add to cart</button>
<main style="margin-top:120px"><div data-reuna-slot="hero"><p>default</p><template data-reuna-variant="thrillers"><h2>Thrillers</h2></template></div>
<p>Welcome back, <span data-reuna-text="traits.firstName">reader</span>.</p></main></body></html>`

const answer = `{"success":true,"rejected":[],"profile":{"id":"v_1","known":true,"visit":{"new":false,"sessions":3,"pageviews":12},` +
	`"traits":{"firstName":"Anna","plan":"pro"},"segments":["thriller-fans","buyers"],"affinity":[["thrillers",0.8],["crime",0.4]]},` +
	`"decisions":{"hero":{"variant":"thrillers"}}}`

// newSite serves a page with the build's tag; nil: the blank page.
func newSite(b *build) (*site, error) {
	s := &site{first: make(chan struct{})}
	head := ""
	if b != nil {
		made, err := tag.Build(b.run)
		if err != nil {
			return nil, err
		}
		s.script = made.JS
		head = made.Snippet("/tag.js")
		if b.stub {
			head = "<script>" + made.Stub + "</script>"
		}
		if b.grant {
			head += `<script>reuna.consent("granted")</script>`
		}
	}
	s.html = strings.Replace(html, "%s", head, 1)
	s.Server = httptest.NewServer(s)
	return s, nil
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, s.html) // who has gone needs no page
	case r.URL.Path == "/tag.js":
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = w.Write(s.script)
	case strings.HasPrefix(r.URL.Path, "/v1/"):
		_, _ = io.Copy(io.Discard, r.Body)
		s.mu.Lock()
		if s.posts++; s.posts == 1 {
			close(s.first)
		}
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	default:
		http.Error(w, fmt.Sprintf("nothing at %s", r.URL.Path), http.StatusNotFound)
	}
}

// asked is how many requests the API has had.
func (s *site) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.posts
}
