package tag_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

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
// with it.
const restorable = `<script>window.mark = Math.random(); window.shown = [];
	addEventListener("pageshow", e => shown.push(e.persisted))</script>`

// reasons are why the browser did not restore a page.
type reasons []*cdppage.BackForwardCacheNotRestoredExplanation

// circumstantial says that none is of the page's doing: the browser was short of
// memory, say, or the return was cancelled.
func (r reasons) circumstantial() bool {
	return !slices.ContainsFunc(r, func(e *cdppage.BackForwardCacheNotRestoredExplanation) bool {
		return e.Type != cdppage.BackForwardCacheNotRestoredReasonTypeCircumstantial
	})
}

func (r reasons) String() string {
	var list []string
	for _, e := range r {
		list = append(list, fmt.Sprintf("%s (%s)", e.Reason, e.Type))
	}
	return strings.Join(list, ", ")
}

// refusals are the reasons that the browser gives whenever it does not restore a
// page of the tab. It tells a page less: "masked" for what is none of its doing.
func refusals(t *testing.T, ctx context.Context) <-chan reasons {
	t.Helper()
	told := make(chan reasons, 2*busyTries)
	if err := chromedp.Listen(ctx, func(e any) {
		if e, ok := e.(*cdppage.EventBackForwardCacheNotUsed); ok {
			told <- e.NotRestoredExplanations
		}
	}); err != nil {
		t.Fatal(err)
	}
	return told
}

// goneAndBack leaves the page for /next, comes back, and tells whether the
// browser restored it, and if not, why. A busy one may not: then the return was
// not tested yet.
func goneAndBack(t *testing.T, ctx context.Context, c *collector, told <-chan reasons) (restored bool, why reasons) {
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
	if value[float64](t, ctx, `mark`) == mark && value[bool](t, ctx, `shown.at(-1)`) {
		return true, nil
	}
	select {
	case why = <-told:
	case <-time.After(patience):
		t.Fatal("the page was loaded anew, and the browser does not tell why")
	}
	t.Logf("the page was loaded anew, because of %s", why)
	return false, why
}

// tries is how often a browser may load a page anew that it should restore.
const tries = 4

// busyTries is how often busy ones may give a return up by themselves, for what
// is none of the page's doing.
const busyTries = 16

// inBrowsers gives what returns to a page one tab after another, until it was
// restored: the first in the browser of all tests, the others each in a browser
// of its own, because one that has begun to give returns up goes on with it.
func inBrowsers(t *testing.T, try func(ctx context.Context) (restored bool, why reasons)) {
	t.Helper()
	failed, givenUp := 0, 0
	for which := browser; failed < tries && givenUp < busyTries; which = newBrowser {
		switch restored, why := try(tabOf(t, which)); {
		case restored:
			return
		case why.circumstantial():
			givenUp++
		default:
			failed++
		}
	}
	t.Fatalf("the browsers never restored the page (%d times for its own sake, %d times for theirs), so its return was not tested", failed, givenUp)
}

// The tag, with everything that it can do, does not keep a page out of the
// back/forward cache, and each return is one page view.
func TestReturnIsOnePageView(t *testing.T) {
	inBrowsers(t, func(ctx context.Context) (restored bool, why reasons) { return returnsTwice(t, ctx) })
}

func returnsTwice(t *testing.T, ctx context.Context) (restored bool, why reasons) {
	c := newCollector(t, allOn())
	c.page("/", restorable+allowed+`<div data-reuna-slot="hero">default<template data-reuna-variant="thrillers">T</template></div>`)
	c.page("/next", allowed)
	told := refusals(t, ctx)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	until(t, ctx, `reuna.profile && reuna.profile()`)
	c.wait(t, "what was shown", named("Experiment Viewed")) // a page with a request under way is not restored
	const trips = 2
	for range trips {
		if restored, why = goneAndBack(t, ctx, c, told); !restored {
			return false, why
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
	return true, nil
}

// A page that had failed to deliver, with whatever it holds open for that, is
// restored just so.
func TestReturnOfAPageThatCouldNotDeliver(t *testing.T) {
	inBrowsers(t, func(ctx context.Context) (restored bool, why reasons) { return returnsUndelivered(t, ctx) })
}

func returnsUndelivered(t *testing.T, ctx context.Context) (restored bool, why reasons) {
	c := newCollector(t, allOn())
	c.page("/", restorable+allowed)
	c.page("/next", allowed)
	told := refusals(t, ctx)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	until(t, ctx, `reuna.profile && reuna.profile()`)
	c.reply(func(_ batch, w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) })
	do(t, ctx, `reuna.track("Failed"); reuna.flush()`)
	c.wait(t, "the event that is refused", named("Failed"))
	do(t, ctx, `reuna.track("Unsent")`)
	c.reply(nil)
	if restored, why = goneAndBack(t, ctx, c, told); !restored {
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
