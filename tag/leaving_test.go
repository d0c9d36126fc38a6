package tag_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/reuna/reuna/tag"
)

// A page that is being left gets no timers (setTimeout gives 0 and never runs)
// and all its requests fail at once. Trying again without a timer would keep
// the thread, and the next page with it, busy for ever.
func TestARetryIsNeverSynchronous(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	until(t, ctx, "reuna.profile && reuna.profile()")
	const most = 3
	tries := value[int](t, ctx, `new Promise(done => {
		window.tries = 0;
		const later = setTimeout, ask = fetch;
		window.alive = () => { window.setTimeout = later; window.fetch = ask };
		window.setTimeout = () => 0;
		// After far too many it hangs, so that the test can tell.
		window.fetch = () => ++tries < 50 ? Promise.reject(new TypeError("left")) : new Promise(() => {});
		reuna.track("Left"); reuna.identify("u1"); reuna.flush();
		later(() => done(tries), 100);
	})`)
	if tries < 1 || tries > most {
		t.Errorf("%d tries of a page without timers, expected 1 to %d", tries, most)
	}
	// Nothing but the page's own life wakes it: it comes back from the cache.
	do(t, ctx, `alive(); dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true}))`)
	c.wait(t, "what the page had not delivered", named("Left"))
}

// A timer that runs outlives the page's time in the back/forward cache; the
// return is no reason to ask a gateway sooner that said when.
func TestReturnHonoursRetryAfter(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s`)
	c.reply(func(_ batch, w http.ResponseWriter) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	holds(t, ctx, "o.", true)
	do(t, ctx, `dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true})); document.dispatchEvent(new Event("visibilitychange"))`)
	if n := len(c.settled(t, ctx)); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

// The requests of a page that is left in their middle fail or hang with it. The
// next page, of the same process, must not notice; and back on the first one
// nothing is missing.
func TestLeavingWithRequestsInFlight(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s`)
	c.page("/next", `%s`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	until(t, ctx, "reuna.profile && reuna.profile()")
	answer := c.hold("/v1/interact")
	// Of the large ones only two may be kept alive; the third ends with the page.
	do(t, ctx, `for (let i = 0; i < 3; i++) reuna.track("Large", {i, text: "x".repeat(29000)}); reuna.identify("u1"); reuna.flush()`)
	c.requests(t, 4)
	do(t, ctx, `setTimeout(() => location.href = "/next")`)
	c.wait(t, "the next page's view", func(all []batch) bool { return strings.Contains(kinds(all), "page /next") })
	answer()
	large := func(all []batch) bool {
		seen := map[string]bool{}
		for _, m := range messages(all) {
			if m.Event == "Large" {
				seen[m.MessageID] = true
			}
		}
		return len(seen) == 3
	}
	c.wait(t, "the next page's view and what the first one had left", func(all []batch) bool {
		return strings.Contains(kinds(all), "page /next") && large(all)
	})
	until(t, ctx, `reuna.profile()`)
}

// The same in a window that has really gone: a frame that its page takes out.
func TestAFrameThatIsTakenOutStaysQuiet(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `<iframe src="/frame"></iframe>`)
	c.page("/frame", `%s`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	until(t, ctx, "frames[0].reuna.profile && frames[0].reuna.profile()")
	c.hold("/v1/interact")
	do(t, ctx, `window.gone = frames[0].reuna; gone.track("In flight"); gone.flush()`)
	c.requests(t, 2)
	do(t, ctx, `window.asked = 0; frames[0].fetch = ((ask) => (...all) => (asked++, ask(...all)))(frames[0].fetch);
		document.querySelector("iframe").remove(); gone.track("Too late"); gone.flush(); gone.identify("u1")`)
	if n := value[int](t, ctx, `new Promise(done => setTimeout(() => done(asked), 100))`); n > 3 {
		t.Errorf("%d tries of a frame that is gone", n)
	}
}

// A page that comes back from the back/forward cache delivers what it had when
// it was left, beside what the next page did of that.
func TestReturnFromTheCache(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s<script>addEventListener("pageshow", e => window.back = e.persisted)</script>`)
	c.page("/next", `%s`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	until(t, ctx, "reuna.profile && reuna.profile()")
	c.reply(func(_ batch, w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) })
	do(t, ctx, `reuna.track("Failed"); reuna.flush()`)
	holds(t, ctx, "o.", true)
	c.reply(nil)
	do(t, ctx, `setTimeout(() => location.href = "/next")`)
	// Asked of the gateway, not of the page: a script that waits is put away with its page.
	c.wait(t, "the next page", func(all []batch) bool { return strings.Contains(kinds(all), "page /next") })
	do(t, ctx, `setTimeout(() => history.back())`)
	all := c.wait(t, "the failed event and the return's page view", func(all []batch) bool {
		after := kinds(all)
		after = after[strings.Index(after, "page /next")+len("page /next"):]
		return strings.Count(kinds(all), "track Failed") > 1 && strings.Contains(after, "page /")
	})
	ids := map[string]bool{}
	for _, m := range messages(all) {
		if m.Event == "Failed" {
			ids[m.MessageID] = true
		}
	}
	if len(ids) != 1 {
		t.Errorf("one event has %d ids", len(ids))
	}
	if !value[bool](t, ctx, "window.back") {
		t.Error("the page was loaded anew: its return was not tested")
	}
}
