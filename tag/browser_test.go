package tag_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reuna/reuna/tag"
)

func TestStubQueueIsReplayedWithItsOwnTimes(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	arrive := c.hold("/tag.js")
	c.page("/", `%s<script>
		reuna.identify("u1", {plan: "pro"}, {token: "signed"});
		reuna.track("First", {n: 1});
		setTimeout(() => { reuna.track("Second", {n: 2}); reuna.push(["track", ["Third"]]); window.called = true }, 120);
	</script>`)
	ctx := tab(t)
	visit(t, ctx, c.URL+"/")
	until(t, ctx, "window.called")
	released := time.Now()
	arrive()
	all := c.requests(t, 1)
	if got := kinds(all); got != "page /, identify, track First, track Second, track Third" {
		t.Fatalf("messages: %s", got)
	}
	b := all[0]
	if b.WriteKey != "wk_test" || b.Token != "signed" || b.Context.Library.Name != "reuna.js" || b.Context.PageViewID == "" || b.Context.Page.Path != "/" || b.Context.Screen["width"] == 0 || b.Context.Locale == "" {
		t.Errorf("batch: %s", b.Raw)
	}
	if foxOf(ctx) == nil && len(b.Context.UserAgentData.Brands) == 0 { // Firefox has no navigator.userAgentData
		t.Errorf("the batch does not name the browser: %s", b.Raw)
	}
	if !strings.HasPrefix(b.ContentType, "text/plain") {
		t.Errorf("content type %q needs a preflight", b.ContentType)
	}
	if gap := b.Batch[3].Timestamp.Sub(b.Batch[2].Timestamp); gap < 110*time.Millisecond {
		t.Errorf("First and Second are %v apart; they were called 120 ms apart", gap)
	}
	if late := b.Batch[3].Timestamp.Sub(released); late > 0 {
		t.Errorf("Second is dated %v after the tag arrived", late)
	}
	ids := map[string]bool{}
	for i, m := range b.Batch {
		ids[m.MessageID] = true
		if m.Context.Seq != i+1 {
			t.Errorf("message %d has sequence number %d", i, m.Context.Seq)
		}
		if i > 0 && m.UserID != "u1" {
			t.Errorf("message %d has user %q", i, m.UserID)
		}
	}
	if len(ids) != len(b.Batch) {
		t.Errorf("%d ids for %d messages", len(ids), len(b.Batch))
	}
}

// Who listens through the stub hears the page's first events and the first
// answer, in whatever form and order the calls were made.
func TestListenersOfTheStubHearTheFirstEvents(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s<script>
		window.heard = [];
		const hear = name => m => heard.push(name + m.type);
		const never = hear("never ");
		reuna.track("Early");
		reuna.on("event", hear("on "));
		reuna.push(["once", ["event", hear("once ")]]);
		reuna.on("event", never);
		reuna.off("event", never);
		reuna.onProfile(p => heard.push("profile " + p.id));
	</script>`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	until(t, ctx, `heard.length == 4`)
	if got := value[string](t, ctx, `heard.join()`); got != "on page,once page,on track,profile v_1" {
		t.Errorf("heard %s", got)
	}
}

// The same between the tag's arrival and its beginning, which waits for a page
// that is still being parsed.
func TestListenersOfATagThatHasNotBegun(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `<script>window.heard = [];
		Object.defineProperty(document, "readyState", {value: "loading"});
		document.addEventListener("readystatechange", e => e.stopImmediatePropagation());</script>`+
		strings.ReplaceAll(c.snippet(), "<script async", "<script")+`<script>
		window.early = !Array.isArray(reuna);
		reuna.track("Early");
		reuna.on("event", m => heard.push("on " + m.type));
		reuna.push(["once", ["event", m => heard.push("once " + m.type)]]);
	</script>`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	until(t, ctx, `heard.length == 3`)
	if got := value[string](t, ctx, `early + " " + heard.join()`); got != "true on page,once page,on track" {
		t.Errorf("heard %s", got)
	}
}

func TestProfileComesInTheSameRoundTrip(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s<script>
		reuna.onProfile(p => window.seen = p);
		reuna.on("answer", a => window.answer = a);
		reuna.decide("banner", "plain").then(v => window.banner = v);
		reuna.decide("hero", "plain").then(v => window.hero = v);
	</script>`)
	// The page is of another origin than the gateway.
	shop := httptest.NewServer(c)
	t.Cleanup(shop.Close)
	ctx := tab(t)
	shows(t, ctx, shop.URL+"/", `window.seen && window.answer && window.hero == "thrillers"`)
	until(t, ctx, `window.banner == "plain"`) // which nobody decided, so that takes its 300 ms
	if got := value[string](t, ctx, `[seen.id, answer.ms > 0, answer.decisions.hero.variant, reuna.user().anonymousId, reuna.profile().traits.firstName].join()`); got != "v_1,true,thrillers,v_1,Anna" {
		t.Errorf("the page learned %s", got)
	}
	all := c.requests(t, 1)
	views := viewsOf(all, "/")
	view := views[len(views)-1]
	if !slices.Contains(view.Placements, "banner") || !slices.Contains(view.Placements, "hero") {
		t.Errorf("placements %v", view.Placements)
	}
	if n := len(slices.DeleteFunc(all, func(b batch) bool { return b.Context.PageViewID != view.Context.PageViewID })); n != 1 {
		t.Errorf("%d requests for one page view", n)
	}
}

func TestRoutesOfASinglePageSite(t *testing.T) {
	for name, before := range map[string]string{
		"Navigation API":   "",
		"history, patched": `<script>Object.defineProperty(window, "navigation", {value: undefined})</script>`,
	} {
		t.Run(name, func(t *testing.T) {
			o := tag.Standard("")
			o.Engagement = false // whose summaries are requests of their own
			c := newCollector(t, o)
			c.page("/", before+`%s<a id="top">x</a>`)
			ctx := tab(t)
			open(t, ctx, c.URL+"/")
			c.requests(t, 1)
			// A burst comes to rest on /b; the title is set after it.
			do(t, ctx, `history.pushState({}, "", "/a"); history.pushState({}, "", "/a2"); history.replaceState({}, "", "/b?x=1"); setTimeout(() => document.title = "B")`)
			all := c.requests(t, 2)
			if p := all[1].Context.Page; p.Title != "B" || p.Referrer != c.URL+"/" || all[1].Context.PageViewID == all[0].Context.PageViewID {
				t.Errorf("the second view's page is %+v", p)
			}
			// Neither a hash nor the same address is another page.
			do(t, ctx, `location.hash = "top"; history.replaceState({}, "", location.href)`)
			do(t, ctx, `history.pushState({}, "", "/c")`)
			c.requests(t, 3)
			do(t, ctx, `history.go(-1)`)
			c.requests(t, 4)
			// Back from the back/forward cache is a view of its own.
			do(t, ctx, `dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true}))`)
			all = c.requests(t, 5)
			if got := kinds(all); got != "page /, page /b?x=1, page /c, page /b?x=1, page /b?x=1" {
				t.Errorf("messages: %s", got)
			}
		})
	}
}

func TestThePagesOwnCallTakesTheAutomaticViewsPlace(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s<script>reuna.page("Docs", "Start", {depth: 2})</script>`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	do(t, ctx, `reuna.track("Done"); reuna.flush()`)
	all := c.wait(t, "the event", named("Done"))
	if got := kinds(all); got != "page /, track Done" {
		t.Errorf("messages: %s", got)
	}
	if m := all[0].Batch[0]; m.Category != "Docs" || m.Name != "Start" || m.Properties["depth"] != 2.0 {
		t.Errorf("the page view is %+v", m)
	}
}

func TestManySmallBatches(t *testing.T) {
	o := tag.Standard("")
	o.Global = "shop"
	c := newCollector(t, o)
	c.page("/", `%s`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	until(t, ctx, "shop.profile && shop.profile()")
	// 180 KB at once, in events of 6 KB, as the page closes.
	do(t, ctx, `for (let i = 0; i < 30; i++) shop.track("Big", {i, text: "x".repeat(6000)})`)
	open(t, ctx, c.URL+"/")
	all := c.wait(t, "all thirty", func(all []batch) bool {
		seen := map[string]bool{}
		for _, m := range messages(all) {
			if m.Event == "Big" {
				seen[m.MessageID] = true
			}
		}
		return len(seen) == 30
	})
	for _, b := range all {
		if len(b.Raw) > 60_000 {
			t.Errorf("a body of %d bytes", len(b.Raw))
		}
	}
}

func TestClickThenNavigateAtOnce(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s<div class="card" data-reuna-prop-shelf="left"><a id="go" class="big" href="/next?secret=1#x">Read <b>more</b> anna@shop.example</a></div>`)
	c.page("/next", `%s`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	do(t, ctx, `document.getElementById("go").click()`)
	all := c.wait(t, "the next page's view", func(all []batch) bool {
		return strings.Contains(kinds(all), "page /next") && named("Element Clicked")(all)
	})
	seen := map[string]bool{}
	for _, m := range messages(all) {
		if m.Event != "Element Clicked" {
			continue
		}
		seen[m.MessageID] = true
		if got := fmt.Sprintf("%v, %v, %v, %v", m.Properties["text"], m.Properties["href"], m.Properties["element"], m.Properties["shelf"]); got != "Read more [email], "+c.URL+"/next, [a#go.big div.card], left" {
			t.Errorf("the click says %s", got)
		}
	}
	if len(seen) != 1 {
		t.Errorf("one click has %d ids", len(seen))
	}
	for _, b := range all {
		if strings.Contains(b.Raw, "Element Clicked") && b.Context.Page.Path != "/" {
			t.Errorf("the click was on page %s", b.Context.Page.Path)
		}
	}
}

func TestNothingTypedIsSent(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s<form id="f" action="/search?q=1"><input name="q"><input type="password" name="pw"><textarea name="note">hunter2</textarea>
		<label id="l">Name <textarea>hunter2</textarea></label><div contenteditable id="e" role="button">hunter2</div>
		<button id="m" type="button"><span data-reuna-mask>hunter2</span> Pay</button>
		<div data-reuna-ignore><button id="i" type="button">hunter2</button></div>
		<button id="k" type="button" data-reuna-track="Kept" data-reuna-prop-size="xl">ok</button></form>
		<script>addEventListener("submit", e => e.preventDefault())</script>`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	do(t, ctx, `document.querySelectorAll("[name]").forEach(i => { i.value = "hunter2"; i.click() });
		for (const id of ["l", "e", "m", "i", "k"]) document.getElementById(id).click();
		document.getElementById("f").requestSubmit(); reuna.flush()`)
	all := c.wait(t, "the form", func(all []batch) bool { return named("Form Submitted")(all) && named("Kept")(all) })
	for _, b := range all {
		if strings.Contains(b.Raw, "hunter2") {
			t.Errorf("what was typed left the page: %s", b.Raw)
		}
	}
	for _, m := range messages(all) {
		switch m.Event {
		case "Form Submitted":
			if got := fmt.Sprintf("%v, %v", m.Properties["fields"], m.Properties["action"]); got != "[q pw note], "+c.URL+"/search" {
				t.Errorf("the form says %s", got)
			}
		case "Kept":
			if m.Properties["size"] != "xl" {
				t.Errorf("properties %v", m.Properties)
			}
		}
	}
}

func TestOfflineThenOnline(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s<script>reuna.on("error", e => { throw e })</script>`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	until(t, ctx, "reuna.profile && reuna.profile()")
	offline(t, ctx, true)
	do(t, ctx, `reuna.on("event", m => (window.ids ??= []).push(m.messageId)); reuna.track("Read", {n: 1}); reuna.identify("u1"); reuna.flush()`)
	holds(t, ctx, "o.", true) // it failed, and is kept
	offline(t, ctx, false)
	all := c.wait(t, "the kept messages", named("Read"))
	want := value[[]string](t, ctx, "window.ids")
	for _, m := range messages(all)[1:] {
		if !slices.Contains(want, m.MessageID) {
			t.Errorf("message %s %s has another id than it was made with: %v", m.MessageID, m.Event, want)
		}
	}
	holds(t, ctx, "o.", false) // acknowledged, and gone
}

func TestRefusedForAWhileIsRepeatedWithTheSameIds(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s`)
	c.page("/next", `%s`)
	c.reply(func(_ batch, w http.ResponseWriter) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	first := c.requests(t, 1)[0]
	holds(t, ctx, "o.", true)
	// Retry-After is honoured: more is not sent, but kept when the page closes.
	do(t, ctx, `reuna.track("Waits"); reuna.flush()`)
	c.reply(nil)
	open(t, ctx, c.URL+"/next")
	all := c.wait(t, "what the first page kept", func(all []batch) bool {
		return named("Waits")(all) && strings.Count(kinds(all)+",", "page /,") == 2 && strings.Contains(kinds(all), "page /next")
	})
	repeated := 0
	for _, b := range all[1:] {
		for _, m := range b.Batch {
			if m.MessageID == first.Batch[0].MessageID {
				repeated++
				if !b.SentAt.After(first.SentAt) {
					t.Errorf("the repeat has the first try's sentAt")
				}
			}
		}
	}
	if repeated != 1 {
		t.Errorf("the first batch was repeated %d times", repeated)
	}
	holds(t, ctx, "o.", false)
}

func TestCloseInsideTheBatchWindow(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	until(t, ctx, "reuna.profile && reuna.profile()")
	do(t, ctx, `reuna.track("Last words")`)
	open(t, ctx, "about:blank")
	c.wait(t, "the last event", named("Last words"))
}

// Two requests of a browser without a cookie would be given two visitors.
func TestFirstRequestsGoOneAtATime(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s`)
	answer := c.hold("/v1/interact")
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	do(t, ctx, `reuna.track("Second"); reuna.flush(); reuna.track("Third"); reuna.flush()`)
	if n := len(c.settled(t, ctx)); n != 1 {
		t.Errorf("%d requests before the first answer", n)
	}
	answer()
	all := c.wait(t, "the rest", named("Third"))
	for _, b := range all[1:] {
		if b.Cookie != "vid=1" {
			t.Errorf("a later request has cookie %q", b.Cookie)
		}
	}
}

func TestResetThenASecondUser(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s<div data-reuna-slot="hero">default<template data-reuna-variant="thrillers">T</template></div>`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	until(t, ctx, `sessionStorage["reuna.wk_test"]`)
	answerBatch, answerReset := c.hold("/v1/interact"), c.hold("/v1/reset")
	do(t, ctx, `reuna.identify("u1"); reuna.track("Mine"); reuna.reset(); reuna.track("Nobody's"); reuna.identify("u2"); reuna.track("Theirs"); reuna.flush()`)
	if got := value[string](t, ctx, `document.querySelector("[data-reuna-slot]").textContent + reuna.profile() + reuna.user().anonymousId`); got != "defaultundefinednull" {
		t.Errorf("after reset the page still shows %s", got)
	}
	// The reset waits for what was said before it, and what is said after waits for the reset.
	c.wait(t, "the first user", named("Mine"))
	if n := len(beside(c.settled(t, ctx))); n != 2 {
		t.Errorf("%d requests while the first user's is unanswered, want 2", n)
	}
	answerBatch()
	c.wait(t, "the reset", func(all []batch) bool { return all[len(all)-1].Path == "/v1/reset" })
	if n := len(beside(c.settled(t, ctx))); n != 3 {
		t.Errorf("%d requests while the reset is unanswered, want 3", n)
	}
	answerReset()
	all := beside(c.wait(t, "the second user", named("Theirs")))
	var order []string
	for _, b := range all {
		if b.Path == "/v1/reset" {
			order = append(order, "reset")
		}
		for _, m := range b.Batch {
			order = append(order, m.Type+m.Event+"/"+m.UserID)
		}
	}
	if got := strings.Join(order, " "); got != "page/ identify/u1 trackMine/u1 reset trackNobody's/ identify/u2 trackTheirs/u2" {
		t.Errorf("order: %s", got)
	}
	if got := value[string](t, ctx, `localStorage["reuna.wk_test.user"]`); got != "u2" {
		t.Errorf("the remembered user is %q", got)
	}
}

// What is said after a reset must not reach the gateway before it, not even from
// the next page.
func TestResetThatFailedComesBeforeTheNextPage(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `<script>const at = Date.now(); Date.now = () => at</script>%s`) // all in one millisecond
	c.page("/next", `%s`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	until(t, ctx, "reuna.profile && reuna.profile()")
	c.reply(func(_ batch, w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) })
	do(t, ctx, `reuna.identify("u1"); reuna.reset(); reuna.track("Nobody's"); reuna.flush()`)
	holds(t, ctx, "o.", true)
	failed := len(c.requests(t, 2))
	open(t, ctx, "about:blank") // everything is kept, and fails once more where it is tried
	c.reply(nil)
	open(t, ctx, c.URL+"/next")
	all := c.wait(t, "the next page", func(all []batch) bool { return strings.Contains(kinds(all), "page /next") && named("Nobody's")(all) })
	reset := false
	for _, b := range all[failed:] {
		reset = reset || b.Path == "/v1/reset"
		if !reset && (strings.Contains(b.Raw, "Nobody's") || strings.Contains(b.Raw, `"path":"/next"`)) {
			t.Errorf("before the reset the gateway got %s", b.Raw)
		}
	}
	if !reset {
		t.Error("the reset was lost")
	}
}

func TestStorageBlockedOrFull(t *testing.T) {
	for name, script := range map[string]string{
		"blocked": `for (const s of ["localStorage", "sessionStorage"]) Object.defineProperty(window, s, {get() { throw new DOMException("denied", "SecurityError") }})`,
		"full":    `Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError") }`,
		"all blocked": `for (const s of ["localStorage", "sessionStorage", "indexedDB"]) Object.defineProperty(window, s, {get() { throw new DOMException("denied", "SecurityError") }});
			Object.defineProperty(navigator, "locks", {value: {request: () => Promise.reject(new DOMException("denied", "SecurityError"))}})`,
		"database refused": `indexedDB.open = () => { throw new DOMException("no", "InvalidStateError") }`,
		"database full":    `IDBObjectStore.prototype.put = () => { throw new DOMException("full", "QuotaExceededError") }`,
	} {
		t.Run(name, func(t *testing.T) {
			c := newCollector(t, tag.Standard(""))
			var refused atomic.Bool
			c.reply(func(b batch, w http.ResponseWriter) {
				// Once, so that the outbox is asked to keep it.
				if strings.Contains(b.Raw, "Still here") && !refused.Swap(true) {
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				fmt.Fprint(w, profileAnswer)
			})
			c.page("/", `<script>onerror = onunhandledrejection = e => window.thrown = String(e.reason || e);`+script+`</script>%s
				<div data-reuna-slot="hero">default<template data-reuna-variant="thrillers">T</template></div>`)
			ctx := tab(t)
			open(t, ctx, c.URL+"/")
			c.requests(t, 1)
			do(t, ctx, `reuna.identify("u1"); reuna.track("Still here"); reuna.consent("granted"); reuna.flush()`)
			all := c.wait(t, "the event, and its repeat", func(all []batch) bool { return strings.Count(kinds(all), "track Still here") > 1 })
			ids := map[string]bool{}
			for _, m := range messages(all) {
				if m.Event == "Still here" {
					ids[m.MessageID] = true
				}
				if m.Event == "Still here" && m.UserID != "u1" {
					t.Errorf("the user is %q", m.UserID)
				}
			}
			if len(ids) != 1 {
				t.Errorf("one event has %d ids", len(ids))
			}
			until(t, ctx, `reuna.profile()`)
			do(t, ctx, `reuna.reset(); reuna.track("After"); reuna.flush()`)
			c.wait(t, "the event after reset", named("After"))
			if thrown := value[string](t, ctx, `String(window.thrown)`); thrown != "undefined" {
				t.Errorf("the tag threw into the page: %s", thrown)
			}
		})
	}
}
