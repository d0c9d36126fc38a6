package tag_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// unwatched opens a page that nobody debugs, in a profile of its own: Chromium
// prerenders nothing in a tab that DevTools is attached to. Such a page can only
// do what its own scripts do.
func unwatched(t *testing.T, url string) {
	t.Helper()
	ctx := tab(t) // for the connection to the browser
	profile, err := chromedp.CallBrowser(ctx, target.CreateBrowserContext, target.CreateBrowserContextParams{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.CallBrowser(ctx, target.CreateTarget, target.CreateTargetParams{URL: url, BrowserContextID: profile.BrowserContextID}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := chromedp.CallBrowser(ctx, target.DisposeBrowserContext, target.DisposeBrowserContextParams(profile)); err != nil {
			t.Logf("closing the page: %v", err)
		}
	})
}

// reported waits for n reports of the pages.
func (c *collector) reported(t *testing.T, n int) []string {
	t.Helper()
	var reports []string
	c.wait(t, fmt.Sprintf("%d reports of the pages", n), func([]batch) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		reports = append([]string(nil), c.reports...)
		return len(reports) >= n
	})
	return reports
}

// A page that the browser renders before anybody asks for it is nobody's page
// view; it is one from the moment it is shown, and one only. The pages say
// themselves that they really were prerendered and activated; else the test
// fails, since it has tested nothing.
func TestPrerenderedPageIsSeenWhenItIsShown(t *testing.T) {
	c := newCollector(t, allOn())
	c.page("/", allowed+`<script type="speculationrules">{"prerender": [{"urls": ["/next", "/unseen"], "eagerness": "immediate"}]}</script>
		<script>fetch("/go").then(() => location.href = "/next")</script>`)
	c.page("/go", "")
	// Each reports when the tag has been there for longer than it waits for anything.
	const prerendered = allowed + `<script>
		const report = text => fetch("/report", {method: "POST", body: location.pathname + " " + text});
		const born = document.prerendering;
		reuna.track("Said early");
		addEventListener("load", () => {
			reuna.track("Said late");
			reuna.flush();
			setTimeout(() => report("prerendering " + (born && document.prerendering && !Array.isArray(reuna))), 500);
		});
		document.addEventListener("prerenderingchange", () => setTimeout(() => {
			report("activated " + (performance.getEntriesByType("navigation")[0].activationStart > 0));
			reuna.track("Last");
			reuna.flush();
		}));
	</script>`
	c.page("/next", prerendered)
	c.page("/unseen", prerendered)
	show := c.hold("/go")
	unwatched(t, c.URL+"/")
	c.requests(t, 1)
	for _, r := range c.reported(t, 2) {
		if !strings.HasSuffix(r, " prerendering true") {
			t.Fatalf("the browser did not prerender: %s", r)
		}
	}
	if got := kinds(firsts(c.requests(t, 0))); got != "page /" {
		t.Fatalf("before a page is shown: %s", got)
	}
	shown := time.Now()
	show()
	if r := c.reported(t, 3)[2]; r != "/next activated true" {
		t.Fatalf("the browser did not activate what it had prerendered: %s", r)
	}
	want := []string{"page /", "page /next", "track Last", "track Said early", "track Said late"}
	var got []string
	// Two requests may overtake each other, so "Last" need not come last.
	all := c.wait(t, "the shown page's messages", func(all []batch) bool {
		got = strings.Split(kinds(firsts(all)), ", ")
		got = slices.DeleteFunc(got, func(k string) bool { return k == "track User Engagement" }) // of the page that was left
		return len(got) >= len(want)
	})
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Fatalf("messages %q, want %q", got, want)
	}
	view := viewsOf(all, "/next")[0]
	if early := shown.Sub(view.Batch[0].Timestamp); early > 0 {
		t.Errorf("the page view is dated %v before it was shown", early)
	}
	if p := view.Context.Page; p.Path != "/next" || p.Referrer != c.URL+"/" {
		t.Errorf("the page is %+v", p)
	}
}
