package app_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// town is a gateway with real pages before it, on as many hosts as a test asks
// for: every host below .test is this machine for its browser.
type town struct {
	*gateway
	port    string
	browser context.Context

	mu     sync.Mutex
	pages  map[string]string // body by host and path; PORT and SNIPPET stand for theirs
	asked  []string          // addresses of pages, as servers write them into their logs
	policy string            // Referrer-Policy of the pages
}

const townSite = `
demo: false
sites:
  - name: shop
    write_key: wk_shop
    origins: ["https://www.shop.test"]
    page_traits: [plan]
    cookie: {domain: shop.test}
    linked_domains: [pay.test, shop.test]
    identity_keys: [{kid: k1, alg: HS256, secret: ` + idSecret + `}]
`

func newTown(t *testing.T, config string) *town {
	t.Helper()
	w := &town{gateway: start(t, config), pages: map[string]string{}}
	target, err := url.Parse(w.SiteURL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") || strings.HasPrefix(r.URL.Path, "/tag/") {
			proxy.ServeHTTP(rw, r)
			return
		}
		host, _, _ := strings.Cut(r.Host, ":")
		w.mu.Lock()
		body, policy := w.pages[host+r.URL.Path], w.policy
		w.asked = append(w.asked, host+r.URL.RequestURI())
		w.mu.Unlock()
		if policy != "" {
			rw.Header().Set("Referrer-Policy", policy)
		}
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		body = strings.NewReplacer("PORT", w.port, "SNIPPET", `<script async src="/tag/wk_shop.js"></script>`).Replace(body)
		fmt.Fprintf(rw, "<!doctype html><title>%s</title>%s", host, body)
	}))
	t.Cleanup(server.Close)
	if _, w.port, err = net.SplitHostPort(server.Listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"www.shop.test/", "blog.shop.test/", "pay.test/", "www.pay.test/landing"} {
		w.pages[path] = "SNIPPET"
	}
	return w
}

// start opens the town's browser, once.
func (w *town) open() context.Context {
	w.t.Helper()
	if w.browser != nil {
		return w.browser
	}
	options := chromiumOptions(w.t, w.t.TempDir(), chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1 , MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"))
	allocator, cancel := chromedp.NewExecAllocator(w.t.Context(), options...)
	w.t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	w.t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		w.t.Fatal(err)
	}
	w.browser = ctx
	return ctx
}

// walker is somebody with a browser profile of their own.
type walker struct {
	*town
	ctx context.Context
}

func (w *town) walker() *walker {
	w.t.Helper()
	ctx, cancel := chromedp.NewContext(w.open(), chromedp.WithNewBrowserContext())
	w.t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		w.t.Fatal(err)
	}
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	w.t.Cleanup(cancel)
	return &walker{w, limited}
}

// go to a page as a typed address does: without a referrer.
func (p *walker) visit(address string) *walker {
	p.t.Helper()
	host, path, _ := strings.Cut(address, "/")
	if err := chromedp.Do(p.ctx, chromedp.Navigate("http://"+host+":"+p.port+"/"+path)); err != nil {
		p.t.Fatal(err)
	}
	return p
}

func (p *walker) do(script string) string {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("Promise.resolve().then(() => "+script+").then(String)", chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// until waits for a condition, across navigations.
func (p *walker) until(script string) *walker {
	p.t.Helper()
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if _, err = chromedp.Run(p.ctx, chromedp.Poll[bool]("!!("+script+")", chromedp.WithPollingTimeout(20*time.Second))); err == nil {
			return p
		}
	}
	p.t.Fatalf("waiting for %s on %s: %v", script, p.do("location.href"), err)
	return p
}

// on waits until the page of a host has its answer, and gives its visitor.
func (p *walker) on(host string) string {
	p.t.Helper()
	p.until(`location.hostname == "` + host + `" && window.reuna?.profile && reuna.profile()?.id`)
	return p.do("reuna.profile().id")
}

// click clicks as a hand does: the pointer comes, presses and lets go.
func (p *walker) click(selector string) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, chromedp.Click(selector)); err != nil {
		p.t.Fatalf("clicking %s: %v", selector, err)
	}
}

// cookies are those of a host, as name, domain, and flags.
func (p *walker) cookies(host string) (list []string) {
	p.t.Helper()
	r, err := chromedp.Call(p.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{"http://" + host + ":" + p.port + "/"}})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range r.Cookies {
		list = append(list, fmt.Sprintf("%s %s %v", c.Name, c.Domain, c.HTTPOnly))
	}
	return list
}

// steal gives the address that a link has while it is followed, and keeps the
// page where it is.
func (p *walker) steal(selector string) string {
	p.t.Helper()
	return p.do(`(() => { let href; const a = document.querySelector("` + selector + `"); a.addEventListener("click", e => { href = a.href; e.preventDefault() }, {once: true}); a.click(); return href })()`)
}

const linkToPay = `SNIPPET<a id=pay href="http://www.pay.test:PORT/landing?x=%20+&y#end">Pay</a> <a id=evil href="http://evil.test:PORT/">Elsewhere</a> <a id=look href="http://notpay.test:PORT/">Elsewhere</a>
	<form id=buy method=post action="http://www.pay.test:PORT/landing?form"><button>Buy</button></form>`

func TestSubdomainsShareAVisitor(t *testing.T) {
	w := newTown(t, townSite)
	p := w.walker()
	shop := p.visit("www.shop.test/").on("www.shop.test")
	if blog := p.visit("blog.shop.test/").on("blog.shop.test"); blog != shop {
		t.Errorf("on the blog %s, in the shop %s", blog, shop)
	}
	if got := fmt.Sprint(p.cookies("www.shop.test"), p.cookies("pay.test")); got != "[reuna .shop.test true] []" {
		t.Errorf("the cookies are %s", got)
	}
	if other := p.visit("pay.test/").on("pay.test"); other == shop {
		t.Error("another domain, reached by its address, has the shop's visitor")
	}
	if got := fmt.Sprint(p.cookies("pay.test")); got != "[reuna pay.test true]" {
		t.Errorf("the cookies are %s", got)
	}
	// Logging out on one host is logging out on all.
	p.visit("blog.shop.test/").on("blog.shop.test")
	p.do("reuna.reset()")
	p.until("reuna.profile() == undefined")
	p.do("(reuna.page(), reuna.flush())")
	next := p.on("blog.shop.test")
	if now := p.visit("www.shop.test/").on("www.shop.test"); next == shop || now != next {
		t.Errorf("after logging out %s, then %s; it was %s", next, now, shop)
	}
}

func TestALinkCarriesItsVisitor(t *testing.T) {
	w := newTown(t, townSite)
	w.pages["www.shop.test/"] = linkToPay
	for _, by := range []string{"#pay", "#buy button"} {
		p := w.walker()
		shop := p.visit("www.shop.test/").on("www.shop.test")
		const links = `[...document.querySelectorAll("a")].map(a => a.href).join() + buy.action`
		before := p.do(links)
		for _, other := range []string{"#evil", "#look"} {
			if got := p.steal(other); strings.Contains(got, "_reuna") {
				t.Errorf("a link to another's host is %s", got)
			}
		}
		if got := p.steal("#pay"); !strings.Contains(got, "/landing?x=%20+&y&_reuna=") || !strings.HasSuffix(got, "#end") {
			t.Errorf("the link is %s while it is followed", got)
		}
		p.until(links + ` == ` + fmt.Sprintf("%q", before)) // nothing to copy is left
		p.visit("www.shop.test/").on("www.shop.test")
		p.click(by)
		if pay := p.on("www.pay.test"); pay != shop {
			t.Errorf("%s: %s followed as %s", by, shop, pay)
		}
		want := map[string]string{"#pay": "/landing?x=%20+&y#end", "#buy button": "/landing?form"}[by]
		if got := p.do("location.pathname + location.search + location.hash"); got != want {
			t.Errorf("%s: the address is %s", by, got)
		}
		if got := fmt.Sprint(p.cookies("www.pay.test")); got != "[reuna www.pay.test true]" {
			t.Errorf("the cookies are %s", got)
		}
		if pay := p.visit("www.pay.test/landing").on("www.pay.test"); pay != shop {
			t.Errorf("%s: the next page is of %s", by, pay)
		}
		if p := w.person("anonymous_id", shop); at(p, "counts", "pageviews") != 4.0 {
			t.Errorf("%s: the visitor is %v", by, p["counts"])
		}
		noTokens(t, w, shop)
	}
	// The addresses did hold tokens, or nothing was tested.
	if w.mu.Lock(); !strings.Contains(strings.Join(w.asked, "\n"), "_reuna=") {
		t.Error("no address ever held a token")
	}
	w.mu.Unlock()
}

// noTokens says that nothing that is stored of a visitor holds a token.
func noTokens(t *testing.T, w *town, visitor string) {
	t.Helper()
	events := timeline(t, w.DeskURL(), "anonymous_id", visitor)
	if text := fmt.Sprint(events); len(events) == 0 || strings.Contains(text, "_reuna") {
		t.Errorf("%d events: %s", len(events), text)
	}
}

// What comes of an address that held a token, in others' hands and on other ways.
func TestALinkInOthersHands(t *testing.T) {
	w := newTown(t, townSite)
	w.pages["www.shop.test/"] = linkToPay
	victim := w.walker()
	shop := victim.visit("www.shop.test/").on("www.shop.test")
	fresh := func() string {
		t.Helper()
		victim.visit("www.shop.test/").on("www.shop.test")
		return victim.steal("#pay")
	}
	landed := func(name string, p *walker, is bool) {
		t.Helper()
		if pay := p.on("www.pay.test"); (pay == shop) != is {
			t.Errorf("%s: the landing is of %s, the shop's visitor is %s", name, pay, shop)
		}
		if got := p.do("location.href"); strings.Contains(got, "_reuna") {
			t.Errorf("%s: the address is still %s", name, got)
		}
		noTokens(t, w, p.do("reuna.profile().id"))
	}
	page := func(host, link string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.pages[host+"/"] = `<a id=bait href="` + link + `">Look</a>`
	}

	mailed := w.walker()
	if err := chromedp.Do(mailed.ctx, chromedp.Navigate(fresh())); err != nil {
		t.Fatal(err)
	}
	landed("mailed", mailed, false)

	page("evil.test", fresh())
	lured := w.walker().visit("evil.test/")
	lured.click("#bait")
	landed("from an attacker's page", lured, false)

	// The shop redirects to wherever it is told; the referrer is that of the page before.
	w.mu.Lock()
	w.pages["www.shop.test/go"] = `<meta http-equiv=refresh content="0;url=` + fresh2(w, fresh) + `"><meta name=referrer content=no-referrer>`
	w.mu.Unlock()
	page("evil.test", "http://www.shop.test:"+w.port+"/go")
	sent := w.walker().visit("evil.test/")
	sent.click("#bait")
	landed("through a page that names no referrer", sent, false)

	// An attacker writes a link with a token of their own into the shop's page. Who
	// follows it there is given their own.
	attacker := w.walker()
	attacker.visit("www.shop.test/").on("www.shop.test")
	planted := attacker.steal("#pay")
	w.mu.Lock()
	w.pages["www.shop.test/reviews"] = `SNIPPET<a id=bait href="` + planted + `">Look</a>`
	w.mu.Unlock()
	reader := w.walker()
	own := reader.visit("www.shop.test/reviews").on("www.shop.test")
	reader.click("#bait")
	if pay := reader.on("www.pay.test"); pay != own {
		t.Errorf("a planted link made %s of %s", pay, own)
	}

	// A browser that has a visitor there keeps it.
	settled := w.walker()
	mine := settled.visit("www.pay.test/landing").on("www.pay.test")
	other := settled.visit("www.shop.test/").on("www.shop.test")
	settled.click("#pay")
	if pay := settled.on("www.pay.test"); pay != mine || pay == other {
		t.Errorf("%s became %s", mine, pay)
	}

	// Pages without referrers: the visitor is lost, the token is not.
	w.mu.Lock()
	w.policy = "no-referrer"
	w.mu.Unlock()
	silent := w.walker()
	quiet := silent.visit("www.shop.test/").on("www.shop.test")
	silent.click("#pay")
	if pay := silent.on("www.pay.test"); pay == quiet {
		t.Error("taken without a referrer")
	}
	noTokens(t, w, silent.do("reuna.profile().id"))
}

// fresh2 gives a stolen address while the town's pages are being changed.
func fresh2(w *town, fresh func() string) string {
	w.mu.Unlock()
	defer w.mu.Lock()
	return fresh()
}

// Before consent a link carries nothing, and a token that came waits for it.
func TestLinksAndConsent(t *testing.T) {
	w := newTown(t, strings.Replace(townSite, "page_traits", "tag: {consent: pending}\n    page_traits", 1))
	w.pages["www.shop.test/"] = linkToPay
	p := w.walker().visit("www.shop.test/").until("window.reuna?.version")
	p.click("#pay")
	p.until(`location.hostname == "www.pay.test" && window.reuna?.version`)
	if w.mu.Lock(); strings.Contains(strings.Join(w.asked, "\n"), "_reuna") {
		t.Error("a link held a token before consent")
	}
	w.mu.Unlock()

	p = w.walker().visit("www.shop.test/").until("window.reuna?.version")
	p.do(`reuna.consent("granted")`)
	shop := p.on("www.shop.test")
	p.click("#pay")
	p.until(`location.hostname == "www.pay.test" && window.reuna?.version`)
	if got := p.do("location.search + Object.keys(localStorage)"); got != "?x=%20+&y" || len(p.cookies("www.pay.test")) != 0 {
		t.Errorf("before consent there is %s and %v", got, p.cookies("www.pay.test"))
	}
	p.do(`reuna.consent("granted")`)
	if pay := p.on("www.pay.test"); pay != shop {
		t.Errorf("%s landed as %s", shop, pay)
	}
	// Withdrawn again: the gateway's cookie goes, and the visitor it stood for is no more.
	p.do(`reuna.consent("denied")`)
	await(t, "the cookie to go", func() bool { return len(p.cookies("www.pay.test")) == 0 })
	p.visit("www.pay.test/landing").until("window.reuna?.version")
	p.do(`(reuna.consent("granted"), reuna.page())`)
	if again := p.on("www.pay.test"); again == shop {
		t.Error("who withdrew consent and gave it again is the same visitor")
	}
}

// A domain's cookie goes from all its hosts when consent is withdrawn.
func TestWithdrawnConsentTakesTheDomainsCookie(t *testing.T) {
	w := newTown(t, townSite)
	p := w.walker()
	shop := p.visit("www.shop.test/").on("www.shop.test")
	p.visit("blog.shop.test/").on("blog.shop.test")
	p.do(`reuna.consent("denied")`)
	await(t, "the cookie to go", func() bool { return len(p.cookies("www.shop.test")) == 0 })
	if now := p.visit("www.shop.test/").on("www.shop.test"); now == shop {
		t.Error("the visitor is still there")
	}
}
