package app_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// The core of the tag's tests, with our own gateway behind real pages: what a
// page says is held against what the desk shows afterwards.

// tagPages are pages of another origin than the gateway; each has the tag and
// writes down what that made, in the tab's session.
type tagPages struct {
	*gateway
	base string
	ctx  context.Context
}

// A page that is restored has to read what the page after it wrote down.
const diary = `<script>
	window.diary = () => JSON.parse(sessionStorage.diary || "[]");
	reuna.on("event", m => { const all = diary(); all.some(d => d.id == m.messageId) || (sessionStorage.diary = JSON.stringify([...all, {id: m.messageId, what: m.event || m.type}])) });
</script>`

// newTagPages opens a tab; api is where the pages find the gateway, "" is the gateway itself.
func newTagPages(t *testing.T, g *gateway, api string) *tagPages {
	t.Helper()
	if api == "" {
		api = g.SiteURL()
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/favicon.ico" {
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><title>%s</title><script>%s</script><script async src="%s/tag/%s.js"></script>%s
			<body><a id="on" href="/on">On</a> <button id="buy" type="button">Buy</button></body>`, r.URL.Path, tagStub, api, writeKey, diary)
	}))
	t.Cleanup(server.Close)
	p := &tagPages{g, server.URL, chromium(t)}
	if err := chromedp.Listen(p.ctx, func(e any) {
		if e, ok := e.(*cdppage.EventBackForwardCacheNotUsed); ok {
			for _, why := range e.NotRestoredExplanations {
				t.Logf("not restored from the back/forward cache: %s %s %v", why.Type, why.Reason, why.Details)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	return p
}

// tagStub is the least that a page may do before the tag is there.
const tagStub = `window.reuna = new Proxy([], {get: (q, m) => q[m] || ((...a) => new Promise(r => q.push([m, a, Date.now(), r])))})`

func (p *tagPages) run(js string) {
	p.t.Helper()
	if _, err := chromedp.Run(p.ctx, chromedp.Evaluate[chromedp.Void](js, chromedp.EvalAwaitPromise)); err != nil {
		p.t.Fatalf("%s: %v", js, err)
	}
}

// at waits until the tab shows a path, whichever document that is.
func (p *tagPages) at(path, and string) {
	p.t.Helper()
	eventually(p.t, path, func() bool {
		// What is asked of a page that is being put away may never be answered.
		ctx, cancel := context.WithTimeout(p.ctx, 2*time.Second)
		defer cancel()
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(`location.pathname == %q && !!(%s)`, path, and)))
		return err == nil && ok
	})
}

const answered = `window.reuna?.profile?.()?.id`

// made is what the pages of this tab have said so far: message ids by what they are.
func (p *tagPages) made() (ids, what []string) {
	p.t.Helper()
	for _, d := range value[[]struct{ ID, What string }](p.t, p.ctx, `JSON.parse(sessionStorage.diary)`) {
		ids, what = append(ids, d.ID), append(what, d.What)
	}
	return ids, what
}

// visitor is what the gateway calls this browser.
func (p *tagPages) visitor() who {
	p.t.Helper()
	return who{"anonymous_id", value[string](p.t, p.ctx, `reuna.user().anonymousId`)}
}

// keeps is what the browser has of the site: cookies and storage, but for the
// diary and the visitor's choice.
func (p *tagPages) keeps() string {
	p.t.Helper()
	cookies, err := chromedp.Call(p.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{p.base, p.SiteURL()}})
	if err != nil {
		p.t.Fatal(err)
	}
	var all []string
	for _, c := range cookies.Cookies {
		all = append(all, "cookie "+c.Name)
	}
	return strings.Join(append(all, value[[]string](p.t, p.ctx, `[...Object.keys(localStorage), ...Object.keys(sessionStorage)].filter(k => k != "diary" && !k.startsWith("reuna-consent."))`)...), ", ")
}

// stored waits until the desk shows what the pages have made, all of it, as
// these people's, and checks that each is there once. It gives the events.
func (p *tagPages) stored(names ...who) map[string]map[string]any {
	p.t.Helper()
	ids, what := p.made()
	deadline := time.Now().Add(30 * time.Second)
	for missing := what; len(missing) > 0; {
		if time.Now().After(deadline) {
			p.t.Fatalf("of %v the desk does not show %v", what, missing)
		}
		there := map[string]bool{}
		for _, x := range names {
			for _, e := range timeline(p.t, p.DeskURL(), x.typ, x.value) {
				there[fmt.Sprint(e["messageId"])] = true
			}
		}
		missing = nil
		for i, id := range ids {
			if !there[id] {
				missing = append(missing, what[i])
			}
		}
	}
	return p.once(ids, names...)
}

// viewed waits until the desk shows n page views of a path.
func (p *tagPages) viewed(path string, n int, by who) {
	p.t.Helper()
	eventually(p.t, "a view of "+path, func() bool {
		views := 0
		for _, e := range timeline(p.t, p.DeskURL(), by.typ, by.value) {
			if e["type"] == "page" && at(e, "properties", "path") == path {
				views++
			}
		}
		return views >= n
	})
}

// TestTagsVisitIsStoredAsItWasMade: routes, a click that leaves, a return from
// the back/forward cache and a close inside the batch window.
func TestTagsVisitIsStoredAsItWasMade(t *testing.T) {
	p := newTagPages(t, start(t, shop), "")
	open(t, p.ctx, p.base+"/?utm_source=news&utm_medium=email")
	first := value[string](t, p.ctx, `[reuna.profile().visit.pageviews, reuna.profile().traffic.channel, performance.getEntriesByType("resource").filter(r => r.name.includes("/v1/")).length].join()`)
	if first != "1,Email,1" {
		t.Errorf("page views, channel and requests of the first round trip: %s", first)
	}
	visitor := p.visitor()
	p.run(fmt.Sprintf(`reuna.identify("u1", {plan: "pro"}, {token: %q}); reuna.track("Read", {n: 1})`, signed(t, "u1", visitor.value)))
	p.at("/", `reuna.profile().known`)

	p.run(`history.pushState({}, "", "/a"); history.replaceState({}, "", "/b"); location.hash = "x"`)
	p.at("/b", `diary().filter(d => d.what == "page").length == 2`)
	p.run(`history.go(-2)`)
	p.at("/", `diary().filter(d => d.what == "page").length == 3`)
	// A request under way costs a page its place in the cache, and so may a busy
	// machine: until it was restored once, its return was not tested.
	trips := 0
	for restored := false; !restored; {
		p.stored(visitor, who{"user_id", "u1"})
		if trips++; trips > 5 {
			t.Fatal("the browser always loaded the page anew, so its return was not tested")
		}
		p.run(`window.mark = 1; setTimeout(() => location.href = "/on")`)
		p.viewed("/on", trips, visitor) // a page that is put away is not asked anything: that, too, would have it thrown out
		p.at("/on", answered)
		p.run(`setTimeout(() => history.back())`)
		p.viewed("/", 2+trips, visitor)
		restored = value[bool](t, p.ctx, `window.mark == 1`)
	}
	p.run(`document.getElementById("buy").click(); document.getElementById("on").click()`)
	p.at("/on", answered)
	p.run(`reuna.track("Last words"); setTimeout(() => location.href = "/end")`)
	p.at("/end", answered)

	p.run(`reuna.flush()`)
	stored := p.stored(visitor, who{"user_id", "u1"})
	views := map[any]int{}
	for _, e := range stored {
		if e["type"] == "page" {
			views[at(e, "properties", "path")]++
		}
		if e["event"] == "Last words" && at(e, "context", "page", "path") != "/on" {
			t.Errorf("the last words are of %v", at(e, "context", "page", "path"))
		}
	}
	// "/" was loaded, come back to by a route, and come back to from /on.
	if views["/"] != 2+trips || views["/b"] != 1 || views["/on"] != 1+trips || views["/end"] != 1 || len(views) != 4 {
		t.Errorf("page views %v", views)
	}
}

// TestTagRepeatsWhatWasTakenAndNotAnswered: the gateway knows the repeats by
// their message ids.
func TestTagRepeatsWhatWasTakenAndNotAnswered(t *testing.T) {
	g := start(t, shop)
	l := g.lossy(1)
	p := newTagPages(t, g, l.URL)
	open(t, p.ctx, p.base+"/") // the second answer to the page view
	visitor := p.visitor()
	p.run(`reuna.track("Read", {n: 1}); reuna.identify("u1"); reuna.flush()`)
	p.run(`reuna.track("Read", {n: 2}); reuna.flush()`)
	eventually(t, "each batch to be sent twice", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		twice := 0
		for _, tries := range l.tries {
			if len(tries) >= 2 {
				twice++
			}
		}
		return twice >= 3
	})
	p.stored(visitor, who{"user_id", "u1"})
}

// TestTagsSecondUserIsSomebodyElse: what is said before reset is the first
// user's, what comes after is not.
func TestTagsSecondUserIsSomebodyElse(t *testing.T) {
	p := newTagPages(t, start(t, shop), "")
	open(t, p.ctx, p.base+"/")
	first := p.visitor()
	p.run(`reuna.identify("u1"); reuna.track("Mine"); reuna.reset(); reuna.track("Nobody's"); reuna.identify("u2"); reuna.track("Theirs"); reuna.flush()`)
	p.at("/", `reuna.user().anonymousId && reuna.user().userId == "u2"`)
	second := p.visitor()
	if second == first {
		t.Error("after reset the gateway still calls the browser what it called it before")
	}
	p.stored(first, second)
	if a, b := p.person("user_id", "u1"), p.person("user_id", "u2"); a["personId"] == b["personId"] {
		t.Error("the two users are one person")
	}
	for _, x := range []struct {
		user  string
		wants string
	}{{"u1", "Mine"}, {"u2", "Nobody's, Theirs"}} {
		var has []string
		for _, e := range timeline(t, p.DeskURL(), "user_id", x.user) {
			if name, ok := e["event"].(string); ok {
				has = append(has, name)
			}
		}
		slices.Sort(has)
		if got := strings.Join(has, ", "); got != x.wants {
			t.Errorf("%s did %s, want %s", x.user, got, x.wants)
		}
	}
}

// TestTagsConsent: nothing is asked or kept before it is granted, what was said
// before then comes with its own times, and a withdrawal takes the cookie back.
func TestTagsConsent(t *testing.T) {
	p := newTagPages(t, start(t, shop+"    tag: {consent: pending}\n"), "")
	if err := chromedp.Do(p.ctx, chromedp.Navigate(p.base+"/")); err != nil {
		t.Fatal(err)
	}
	p.at("/", `window.reuna && !Array.isArray(reuna) && reuna.version`)
	p.run(`reuna.track("Early", {}); reuna.flush(); dispatchEvent(new Event("pagehide"))`)
	if got := p.keeps(); got != "" {
		t.Errorf("before consent: %s", got)
	}
	if n := value[int](t, p.ctx, `performance.getEntriesByType("resource").filter(r => r.name.includes("/v1/")).length`); n != 0 {
		t.Errorf("before consent: %d requests", n)
	}
	granted := time.Now()
	p.run(`reuna.consent("granted")`)
	p.at("/", answered)
	visitor := p.visitor()
	for _, e := range p.stored(visitor) {
		if when, err := time.Parse(time.RFC3339Nano, fmt.Sprint(e["originalTimestamp"])); err != nil || e["event"] == "Early" && when.After(granted) {
			t.Errorf("%v is dated %v (%v), after the grant", e["event"], e["originalTimestamp"], err)
		}
	}
	if got := p.keeps(); !strings.Contains(got, "cookie") {
		t.Errorf("with consent: %s", got)
	}
	p.run(`reuna.consent("denied"); reuna.track("Late"); reuna.flush()`)
	eventually(t, "the cookie to go", func() bool { return p.keeps() == "" })
	if err := chromedp.Do(p.ctx, chromedp.Navigate(p.base+"/refused")); err != nil {
		t.Fatal(err)
	}
	p.at("/refused", `window.reuna && !Array.isArray(reuna) && reuna.version`)
	p.run(`reuna.track("Later"); reuna.flush()`)
	if got := p.keeps(); got != "" {
		t.Errorf("after a refusal: %s", got)
	}
	// A second grant is a stranger's.
	p.run(`reuna.consent("granted"); reuna.track("Again"); reuna.flush()`)
	p.at("/refused", answered)
	stranger := p.visitor()
	if stranger == visitor {
		t.Error("the visitor whose consent was withdrawn is known again")
	}
	eventually(t, "the second grant's event", func() bool {
		for _, e := range timeline(t, p.DeskURL(), stranger.typ, stranger.value) {
			if e["event"] == "Again" {
				return true
			}
		}
		return false
	})
	for _, x := range []who{visitor, stranger} {
		for _, e := range timeline(t, p.DeskURL(), x.typ, x.value) {
			if e["event"] == "Late" || e["event"] == "Later" {
				t.Errorf("without consent %v was stored", e["event"])
			}
		}
	}
}
