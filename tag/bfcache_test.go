package tag_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/reuna/reuna/tag"
)

// allOn is the tag with everything on but the console's; its pages grant consent
// at once, see allowed.
func allOn() tag.Options {
	o := tag.Everything("")
	o.Consent, o.Debug = tag.ConsentPending, false
	return o
}

// allowed is the snippet on a page whose visitor has consented.
const allowed = `%s<script>reuna.consent("granted")</script>`

// A page with this tells whether it was restored: its own variable has come
// with it, and the browser names no reason why it would not have been kept.
const restorable = `<script>window.mark = Math.random(); window.shown = [];
	addEventListener("pageshow", e => shown.push(e.persisted))</script>`

// goneAndBack leaves the page for /next, comes back, and tells whether the
// browser restored it, and if not, why. A busy one may not: then the return was
// not tested yet.
func goneAndBack(t *testing.T, ctx context.Context, c *collector) (restored bool, why string) {
	t.Helper()
	mark := value[float64](t, ctx, `mark`)
	views := len(viewsOf(c.requests(t, 0), "/next"))
	do(t, ctx, `setTimeout(() => location.href = "/next")`)
	// Asked of the gateway, not of the page: one that is put away is thrown out by a question.
	c.wait(t, "the next page", func(all []batch) bool { return len(viewsOf(all, "/next")) > views })
	until(t, ctx, `location.pathname == "/next" && document.readyState == "complete"`)
	views = len(viewsOf(c.requests(t, 0), "/"))
	do(t, ctx, `setTimeout(() => history.back())`)
	c.wait(t, "the return's page view", func(all []batch) bool { return len(viewsOf(all, "/")) > views })
	until(t, ctx, `location.pathname == "/" && shown.length > 0`)
	why = value[string](t, ctx, `JSON.stringify(performance.getEntriesByType("navigation")[0].notRestoredReasons ?? null)`)
	if value[float64](t, ctx, `mark`) == mark && value[bool](t, ctx, `shown.at(-1)`) && why == "null" {
		return true, why
	}
	t.Logf("the page was loaded anew; the browser's reasons: %s", why)
	return false, why
}

// tries is how often a browser may load a page anew that it should restore.
const tries = 4

// busyTries is how often a busy Chromium may give a return up by itself. It then
// names one reason: "navigation-canceled", or "masked", which the HTML standard
// has for what is none of the page's. What a page does is named as such.
const busyTries = 16

// gaveUp says that those are the browser's reasons.
func gaveUp(why string) bool {
	return strings.Count(why, `"reason":`) == 1 &&
		(strings.Contains(why, `"reason":"navigation-canceled"`) || strings.Contains(why, `"reason":"masked"`))
}

// The tag, with everything that it can do, does not keep a page out of the
// back/forward cache, and each return is one page view.
func TestReturnIsOnePageView(t *testing.T) {
	c := newCollector(t, allOn())
	c.page("/", restorable+allowed+`<div data-reuna-slot="hero">default<template data-reuna-variant="thrillers">T</template></div>`)
	c.page("/next", allowed)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	until(t, ctx, `reuna.profile && reuna.profile()`)
	c.wait(t, "what was shown", named("Experiment Viewed")) // a page with a request under way is not restored
	trips, restored, givenUp := 0, 0, 0
	for ; restored < 2; trips++ {
		if trips-givenUp == tries || givenUp == busyTries {
			t.Fatalf("of %d returns the browser restored %d and gave up %d, so 2 were not tested", trips, restored, givenUp)
		}
		switch back, why := goneAndBack(t, ctx, c); {
		case back:
			restored++
		case gaveUp(why):
			givenUp++
		}
		until(t, ctx, `reuna.profile && reuna.profile()`)
	}
	do(t, ctx, `reuna.track("Last"); reuna.flush()`)
	all := c.wait(t, "the last event", named("Last"))
	views := viewsOf(all, "/")
	if len(views) != 1+trips {
		t.Fatalf("the page was seen %d times; %d page views: %s", 1+trips, len(views), kinds(all))
	}
	ids := map[string]bool{}
	for _, b := range views {
		ids[b.Context.PageViewID] = true
	}
	if len(ids) != len(views) {
		t.Errorf("%d page views have %d ids", len(views), len(ids))
	}
	for _, b := range all {
		if named("Last")([]batch{b}) && b.Context.PageViewID != views[trips].Context.PageViewID {
			t.Error("what comes after the last view has another's id")
		}
	}
}

// A page that had failed to deliver, with whatever it holds open for that, is
// restored just so.
func TestReturnOfAPageThatCouldNotDeliver(t *testing.T) {
	for failed, givenUp := 0, 0; ; {
		back, why := returnsUndelivered(t)
		switch {
		case back:
			return
		case gaveUp(why):
			givenUp++
		default:
			failed++
		}
		if failed == tries || givenUp == busyTries {
			t.Fatalf("the browser never restored the page (it gave %d returns up), so its return was not tested", givenUp)
		}
	}
}

func returnsUndelivered(t *testing.T) (restored bool, why string) {
	c := newCollector(t, allOn())
	c.page("/", restorable+allowed)
	c.page("/next", allowed)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	until(t, ctx, `reuna.profile && reuna.profile()`)
	c.reply(func(_ batch, w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) })
	do(t, ctx, `reuna.track("Failed"); reuna.flush()`)
	c.wait(t, "the event that is refused", named("Failed"))
	do(t, ctx, `reuna.track("Unsent")`)
	c.reply(nil)
	if restored, why = goneAndBack(t, ctx, c); !restored {
		return false, why
	}
	all := c.wait(t, "both events", func(all []batch) bool {
		return named("Unsent")(all) && strings.Count(kinds(all), "track Failed") > 1
	})
	ids := map[string]string{}
	for _, m := range messages(all) {
		if (m.Event == "Failed" || m.Event == "Unsent") && ids[m.Event] != "" && ids[m.Event] != m.MessageID {
			t.Errorf("%s has two ids", m.Event)
		}
		ids[m.Event] = m.MessageID
	}
	return true, why
}

// firsts leaves out what had come before: a page that is left before the answer
// rightly sends again.
func firsts(all []batch) (list []batch) {
	seen := map[string]bool{}
	for _, b := range all {
		var fresh []message
		for _, m := range b.Batch {
			if !seen[m.MessageID] {
				fresh = append(fresh, m)
			}
			seen[m.MessageID] = true
		}
		if b.Batch = fresh; len(fresh) > 0 {
			list = append(list, b)
		}
	}
	return list
}

// viewsOf are the batches that hold a page view of the path, repeats left out.
func viewsOf(all []batch, path string) (views []batch) {
	for _, b := range firsts(all) {
		for _, m := range b.Batch {
			if m.Type == "page" && m.Properties["path"] == path {
				views = append(views, b)
			}
		}
	}
	return views
}
