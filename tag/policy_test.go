package tag_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/reuna/reuna/tag"
)

const strictPolicy = "default-src 'self'; script-src 'nonce-n0nce' 'strict-dynamic'; require-trusted-types-for 'script'; report-uri /report"

// strict gives all pages the policy, and their scripts its nonce.
func (c *collector) strict(policy string) {
	for path, p := range c.pages {
		p.html = strings.ReplaceAll(p.html, "<script", `<script nonce="n0nce"`)
		if p.header == nil {
			p.header = http.Header{}
		}
		p.header.Set("Content-Security-Policy", policy)
		c.pages[path] = p
	}
}

// A strict policy with Trusted Types is not violated by anything that the tag
// can do, and nothing goes wrong in the console.
func TestPolicyWithEverythingOn(t *testing.T) {
	c := newCollector(t, allOn())
	// It answers with all that a gateway may say, and fails once, so that the outbox is used.
	const full = `{"success":true,"rejected":[],"link":"a.b.c","profile":{"id":"v_1","traits":{"firstName":"Anna"},"segments":["buyers"]},"decisions":{"hero":{"variant":"thrillers"}}}`
	var failed atomic.Bool
	c.reply(func(b batch, w http.ResponseWriter) {
		if strings.Contains(b.Raw, "Fails once") && !failed.Swap(true) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, full)
	})
	c.page("/favicon.ico", "") // which a browser asks for by itself
	c.page("/", `<script>
			window.violations = [];
			document.addEventListener("securitypolicyviolation", e => violations.push(e.violatedDirective + " " + e.blockedURI + " " + e.sample));
			window.dataLayer = [];
		</script>`+allowed+`<body>
		<p data-reuna-text="traits.firstName">reader</p>
		<div data-reuna-slot="hero">default<template data-reuna-variant="thrillers"><b>T</b><a href="/next">on</a></template></div>
		<a id="out" href="https://linked.example/landing?x=1" target="_blank">out</a> <a id="file" href="/book.pdf" target="_blank">file</a>
		<form id="f" action="/next"><input name="q" value="x"><button id="send">Search</button></form><button id="b" type="button">Buy</button><i id="dead">dead</i>
		<script>
			reuna.track("Early");
			reuna.onProfile(p => window.known = p.id);
			for (const id of ["out", "file", "f"]) document.getElementById(id).addEventListener(id == "f" ? "submit" : "click", e => e.preventDefault());
		</script></body>`)
	c.page("/next", allowed+`<body><p>next</p></body>`)
	c.strict(strictPolicy)

	ctx := tab(t)
	var mu sync.Mutex
	var wrong []string
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		wrong = append(wrong, fmt.Sprintf(format, args...))
	}
	if foxOf(ctx) == nil { // Firefox tells by the page's own listener and its reports
		if err := chromedp.Listen(ctx, func(e any) {
			switch e := e.(type) {
			case *runtime.EventExceptionThrown:
				note("thrown: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
			case *runtime.EventConsoleAPICalled:
				note("console.%s: %v", e.Type, e.Args)
			case *cdplog.EventEntryAdded:
				// The browser itself writes down each 503.
				if !strings.Contains(e.Entry.Text, "503") {
					note("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := chromedp.Call(ctx, cdplog.Enable, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
	}
	open(t, ctx, c.URL+"/?q=books&utm_source=news&gclid=g1")
	until(t, ctx, `window.known`)
	open(t, ctx, c.URL+"/?q=books") // this time the inline stub shows the variant
	until(t, ctx, `document.querySelector("[data-reuna-slot] b") && document.querySelector("p").textContent == "Anna"`)
	do(t, ctx, `for (const id of ["out", "file", "b", "b", "b", "b", "dead", "send"]) document.getElementById(id).click();
		scrollTo(0, 1e4); history.pushState({}, "", "/route?x=2#y"); location.hash = "z";
		dispatchEvent(new ErrorEvent("error", {message: "made up", filename: location.href, lineno: 1, colno: 2, error: new Error("made up")}));
		dataLayer.push(["consent", "update", {analytics_storage: "granted"}]);
		reuna.group("g1", {}); reuna.identify("u1", {plan: "pro"}, {token: "signed"}); reuna.track("Fails once"); reuna.flush()`)
	c.wait(t, "the repeat of what failed", func(all []batch) bool {
		n := 0
		for _, m := range messages(all) {
			if m.Event == "Fails once" {
				n++
			}
		}
		return n > 1
	})
	do(t, ctx, `reuna.alias("u2"); reuna.consent({analytics: true, personalisation: false, advertising: false}); reuna.consent("granted"); reuna.reset(); reuna.track("After"); reuna.flush()`)
	c.wait(t, "the reset, and what came after", func(all []batch) bool {
		return named("After")(all) && slices.ContainsFunc(all, func(b batch) bool { return b.Path == "/v1/reset" })
	})
	violations := value[[]string](t, ctx, `violations`)
	do(t, ctx, `setTimeout(() => location.href = "/next")`)
	c.wait(t, "the next page", func(all []batch) bool { return strings.Contains(kinds(all), "page /next") })
	do(t, ctx, `reuna.consent("denied")`)
	c.settled(t, ctx)
	for _, v := range violations {
		t.Errorf("violation: %s", v)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, w := range wrong {
		t.Errorf("console: %s", w)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.reports {
		t.Errorf("report: %s", r)
	}
}

// The test above can tell: what the policy forbids is seen.
func TestPolicyIsInForce(t *testing.T) {
	c := newCollector(t, allOn())
	c.page("/", `<script>window.violations = [];
		document.addEventListener("securitypolicyviolation", e => violations.push(e.violatedDirective));</script>`+allowed+`<body></body>`)
	c.strict(strictPolicy)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	do(t, ctx, `try { document.body.innerHTML = "<b>x</b>" } catch {}; document.body.append(Object.assign(document.createElement("img"), {src: "http://localhost:1/x.png"}))`)
	until(t, ctx, `violations.some(v => v.startsWith("require-trusted-types-for")) && violations.some(v => v.startsWith("default-src") || v.startsWith("img-src"))`)
	if len(c.reported(t, 2)) < 2 {
		t.Error("the browser sends no reports")
	}
}

func TestStrictPolicyIsNotViolated(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `<body>%s<p data-reuna-text="traits.firstName">reader</p><div data-reuna-slot="hero">default<template data-reuna-variant="thrillers"><b>T</b></template></div>
		<script nonce="n0nce">reuna.track("Early")</script></body>`)
	p := c.pages["/"]
	p.html = strings.ReplaceAll(strings.ReplaceAll(p.html, "<script>", `<script nonce="n0nce">`), "<script async", `<script nonce="n0nce" async`)
	p.header = http.Header{"Content-Security-Policy": {"default-src 'none'; script-src 'nonce-n0nce'; connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'; report-uri /report"}}
	c.pages["/"] = p
	ctx := tab(t)
	shown := `document.querySelector("[data-reuna-slot]").textContent == "T" && document.querySelector("p").textContent == "Anna"`
	shows(t, ctx, c.URL+"/", shown)
	open(t, ctx, c.URL+"/") // this time the inline stub shows the variant
	until(t, ctx, shown)
	do(t, ctx, `document.querySelector("p").click(); history.pushState({}, "", "/other"); reuna.identify("u1"); reuna.reset()`)
	c.wait(t, "reset", func(all []batch) bool {
		return slices.ContainsFunc(all, func(b batch) bool { return b.Path == "/v1/reset" })
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.reports {
		t.Errorf("violation: %s", r)
	}
}
