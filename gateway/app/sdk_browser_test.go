package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// sdkPage is a page with @segment/analytics-next in a browser that can reach
// this machine alone.
type sdkPage struct {
	context.Context
	t    *testing.T
	base string // of the page

	mu       sync.Mutex
	requests []sent
	faults   []string // what the page threw, or wrote to the console as an error
}

// segmentPage opens a page whose SDK differs from a usual one in its cdnURL
// alone. The page is of another origin than the gateway.
func segmentPage(t *testing.T, key, cdn string) *sdkPage {
	t.Helper()
	installed(t, "@segment/analytics-next")
	html, err := os.ReadFile(filepath.Join(sdkFolder, "next.html"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("{{KEY}}", key, "{{CDN}}", cdn).Replace(string(html))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, text)
	})
	mux.HandleFunc("GET /favicon.ico", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("GET /", http.FileServer(http.Dir(filepath.Join(sdkFolder, "node_modules/@segment/analytics-next/dist/umd"))))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	p := &sdkPage{t: t, base: server.URL}
	limited, cancel := context.WithTimeout(loopbackBrowser(t), 2*time.Minute)
	t.Cleanup(cancel)
	p.Context = limited // before anybody listens, who reads it whenever the browser speaks
	if err := chromedp.Listen(p, p.hear); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(p, network.Enable, network.EnableParams{MaxPostDataSize: new(int64(1 << 20))}); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(p, chromedp.Navigate(server.URL+"/?utm_source=news")); err != nil {
		t.Fatal(err)
	}
	return p
}

// loopbackBrowser starts a browser with a profile of its own, for which no name
// but this machine's address exists.
func loopbackBrowser(t *testing.T) context.Context {
	t.Helper()
	options := chromiumOptions(t, t.TempDir(), chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"))
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// hear keeps what the page asks for and what goes wrong in it.
func (p *sdkPage) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		r := sent{URL: e.Request.URL, Method: e.Request.Method, Headers: map[string]string{}}
		for k, v := range e.Request.Headers {
			r.Headers[k] = fmt.Sprint(v)
		}
		for _, part := range e.Request.PostDataEntries {
			r.Body += string(part.Bytes)
		}
		p.requests = append(p.requests, r)
	case *runtime.EventExceptionThrown:
		p.faults = append(p.faults, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			p.faults = append(p.faults, fmt.Sprintf("console: %v", e.Args))
		}
	}
}

// asked gives the page's requests but for its own files, after a look at where
// they all went.
func (p *sdkPage) asked(gateway string) (requests []sent) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.requests {
		u, err := url.Parse(r.URL)
		if err != nil {
			p.t.Fatal(err)
		}
		switch u.Scheme + "://" + u.Host {
		case p.base:
		case gateway:
			r.Headers["Origin"] = p.base
			requests = append(requests, r)
		default:
			p.t.Errorf("the SDK turned to %s", r.URL)
		}
	}
	for _, f := range p.faults {
		p.t.Errorf("the page: %s", f)
	}
	return requests
}

// script runs a script in the page and waits for its promise.
func script[T any](p *sdkPage, js string) T {
	p.t.Helper()
	v, err := chromedp.Run(p, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// call calls methods of the SDK one after the other, each given as the arguments
// of the page's send, and wants each to succeed.
func (p *sdkPage) call(calls ...string) (list []told) {
	p.t.Helper()
	list = script[[]told](p, `(async () => { const all = []; for (const args of [`+strings.Join(calls, ",")+`]) all.push(await send(...args)); return all })()`)
	for _, m := range list {
		if m.Failed != "" || len(m.Logs) > 0 {
			p.t.Errorf("the SDK says of %s: %s %v", m.Type, m.Failed, m.Logs)
		}
	}
	return list
}

// quiet says that the SDK reported no error.
func (p *sdkPage) quiet() {
	p.t.Helper()
	if errors := script[[]string](p, `seen.errors`); len(errors) > 0 {
		p.t.Errorf("the SDK reports %v", errors)
	}
}

func (p *sdkPage) anonymousID() string {
	p.t.Helper()
	return script[string](p, `analytics.then(([a]) => a.user().anonymousId())`)
}

func TestAnalyticsNext(t *testing.T) {
	g := start(t, shop)
	p := segmentPage(t, writeKey, g.SiteURL())
	list := p.call(
		`["page", "Shop", "Front", {shelf: 3}]`,
		`["track", "Product Viewed", {sku: "b1", price: 9.5, tags: ["thrillers", "žluťoučký 📚"], nested: {deep: [1, null]}}]`,
		`["identify", "u1", {plan: "pro"}]`,
		`["track", "Order Completed", {order_id: "o-1", revenue: 12.5}]`,
		`["screen", "Home"]`,
		`["group", "g1", {name: "Book Club"}]`,
		`["alias", "u2"]`,
	)
	p.quiet()
	anonymous := p.anonymousID()
	names := []who{{"user_id", "u1"}, {"anonymous_id", anonymous}}
	g.once(ids(list), names...)

	var posts []sent
	settings := 0
	for _, r := range p.asked(g.SiteURL()) {
		switch {
		case r.Method == http.MethodPost:
			posts = append(posts, r)
		case strings.HasSuffix(r.URL, "/v1/projects/"+writeKey+"/settings"):
			settings++
		case r.Method == http.MethodOptions: // the browser's own preflight
		default:
			t.Errorf("the SDK asked for %s %s", r.Method, r.URL)
		}
	}
	if len(posts) != len(list) || settings != 1 {
		t.Fatalf("%d messages went out in %d requests after %d looks at the settings", len(list), len(posts), settings)
	}
	replay(t, posts)
	events := g.once(ids(list), names...)

	version := installed(t, "@segment/analytics-next")
	for i, m := range list {
		e := events[m.MessageID]
		if e["anonymousId"] != anonymous || at(e, "context", "library", "name") != "analytics.js" || at(e, "context", "library", "version") != "next-"+version {
			t.Errorf("%s came through with anonymousId %v, library %v", m.Type, e["anonymousId"], at(e, "context", "library"))
		}
		if want := map[bool]any{true: "u1"}[i >= 2]; e["userId"] != want {
			t.Errorf("%s has userId %v; expected %v", m.Type, e["userId"], want)
		}
		if at(e, "context", "traffic", "source") != "news" {
			t.Errorf("%s has traffic %v", m.Type, at(e, "context", "traffic"))
		}
	}
	view := events[list[0].MessageID]
	if view["name"] != "Front" || view["category"] != "Shop" || at(view, "properties", "shelf") != 3.0 || at(view, "properties", "url") != p.base+"/?utm_source=news" {
		t.Errorf("page %v", view)
	}
	equal(t, "the product", events[list[1].MessageID]["properties"], `{"sku":"b1","price":9.5,"tags":["thrillers","žluťoučký 📚"],"nested":{"deep":[1,null]}}`)
	equal(t, "the traits", events[list[2].MessageID]["traits"], `{"plan":"pro"}`)
	if e := events[list[5].MessageID]; e["groupId"] != "g1" {
		t.Errorf("group %v", e)
	}

	// What the SDK makes of alias("u2") after identify("u1") names u1 twice: it
	// must change nothing, and above all make no u2.
	var alias struct{ UserID, PreviousID string }
	if err := json.Unmarshal([]byte(posts[6].Body), &alias); err != nil || alias.UserID != "u1" || alias.PreviousID != "u1" {
		t.Errorf("alias was sent as %s (%v)", posts[6].Body, err)
	}
	if status, answer := g.desk("persons/user_id:u2"); status != 404 {
		t.Errorf("u2 is somebody: %v", answer)
	}
	one := g.person("user_id", "u1")
	if n := len(one["identifiers"].([]any)); n != 2 || at(one, "counts", "events") != 7.0 || at(one, "counts", "orders") != 1.0 {
		t.Errorf("person %v", one)
	}
	p.asked(g.SiteURL()) // nothing late went elsewhere
}

// TestAnalyticsNextAliasesAVisitor: before any identify, alias joins what the
// device did to the user.
func TestAnalyticsNextAliasesAVisitor(t *testing.T) {
	g := start(t, shop)
	p := segmentPage(t, writeKey, g.SiteURL())
	list := p.call(`["track", "Read"]`, `["alias", "u3"]`)
	p.quiet()
	g.once(ids(list), who{"user_id", "u3"})
	if a, b := g.person("user_id", "u3"), g.person("anonymous_id", p.anonymousID()); a["personId"] != b["personId"] {
		t.Errorf("the visitor is %v and the user %v", b["personId"], a["personId"])
	}
}

// TestAnalyticsNextLosesAnswersAndItsNetwork: what was taken but not answered is
// sent again by the SDK itself, and so is what was said offline.
func TestAnalyticsNextLosesAnswersAndItsNetwork(t *testing.T) {
	g := start(t, shop)
	l := g.lossy(1)
	p := segmentPage(t, writeKey, l.URL)
	first := script[[]told](p, `(async () => [await send("identify", "u1", {plan: "pro"}), await send("track", "Read", {n: 1})])()`)
	tried := func(n int) {
		t.Helper()
		eventually(t, "the SDK's retries", func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			done := 0
			for _, tries := range l.tries {
				if len(tries) == 2 {
					done++
				}
			}
			return done == n
		})
	}
	tried(2)
	g.once(ids(first), who{"user_id", "u1"})

	p.offline(true)
	second := script[[]told](p, `(async () => [await send("track", "Read", {n: 2})])()`)
	g.once(ids(first), who{"user_id", "u1"})
	p.offline(false)
	tried(3)
	l.check(t, 1)
	g.once(slices.Concat(ids(first), ids(second)), who{"user_id", "u1"})
	p.quiet()
	p.asked(l.URL)
}

func (p *sdkPage) offline(yes bool) {
	p.t.Helper()
	state := []*network.Conditions{{Offline: yes, DownloadThroughput: -1, UploadThroughput: -1}}
	if _, err := chromedp.Call(p, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: state}); err != nil {
		p.t.Fatal(err)
	}
	if _, err := chromedp.Call(p, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: yes, DownloadThroughput: -1, UploadThroughput: -1}); err != nil {
		p.t.Fatal(err)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited a minute for %s", what)
		case <-poll.C:
		}
	}
}
