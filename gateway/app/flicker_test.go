package app_test

import (
	"context"
	"flag"
	"slices"
	"strings"
	"testing"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// loads is how often the flicker tests load the demo's front page.
var loads = flag.Int("loads", 12, "page loads of the flicker tests")

// recorder writes down what a visitor sees of the hero, from the first frame on.
//
// Frames: an animation frame's callbacks are the last that runs before its
// paint, so what is to be seen in the slot then is what is painted. Painted: the
// browser's own word for which headline was painted, and when (Element Timing).
// Shifts: layout shifts with something of the slot among their sources, or
// something that is in the page no more.
const recorder = `(() => {
	const rec = window.rec = {frames: [], painted: [], shifts: 0, fcp: 0, lcp: 0};
	const slot = () => document.querySelector('[data-reuna-slot="hero"]');
	const look = () => {
		const title = slot() && slot().querySelector("h1");
		const now = title && getComputedStyle(title).visibility == "visible" ? title.getAttribute("elementtiming") : "";
		if (rec.frames.at(-1) !== now) rec.frames.push(now);
		requestAnimationFrame(look);
	};
	requestAnimationFrame(look);
	const on = (type, run) => new PerformanceObserver((list) => list.getEntries().forEach(run)).observe({type, buffered: true});
	on("element", (e) => rec.painted.push(e.identifier));
	on("layout-shift", (e) => { if (e.sources.some((s) => !s.node || slot()?.contains(s.node) || s.node.contains(slot()))) rec.shifts += e.value; });
	on("paint", (e) => { if (e.name == "first-contentful-paint") rec.fcp = e.startTime; });
	on("largest-contentful-paint", (e) => (rec.lcp = e.startTime));
})();`

// record is what the recorder saw of one load.
type record struct {
	Frames, Painted  []string
	Shifts, FCP, LCP float64
}

// watch lets the recorder run in every page of the tab, after more.
func watch(t *testing.T, ctx context.Context, more string) {
	t.Helper()
	if _, err := chromedp.Call(ctx, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: more + recorder}); err != nil {
		t.Fatal(err)
	}
}

// seen loads the page and gives what the visitor saw up to two frames after the
// gateway's answer.
func seen(t *testing.T, ctx context.Context, url string) record {
	t.Helper()
	open(t, ctx, url)
	until(t, ctx, `rec.painted.length && rec.fcp && rec.lcp`)
	return value[record](t, ctx, `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done({Frames: rec.frames, Painted: rec.painted, Shifts: rec.shifts, FCP: rec.fcp, LCP: rec.lcp})))))`)
}

// likesThrillers opens the shop and looks at three thrillers.
func likesThrillers(t *testing.T, ctx context.Context, front string) {
	t.Helper()
	open(t, ctx, front)
	value[bool](t, ctx, `[1, 2, 3].forEach(() => reuna.track("Product Viewed", {category: "thrillers"})), reuna.flush(), true`)
	until(t, ctx, `(reuna.profile().affinity || []).some(([k, n]) => k === "thrillers" && n > 2.8)`)
}

// steady says that a load showed the variant from the first frame on that had a
// slot, and moved nothing.
func (r record) steady() bool {
	frames := strings.TrimSpace(strings.Join(r.Frames, " "))
	return frames == "variant" && !slices.Contains(r.Painted, "default") && r.Shifts == 0
}

func middle(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// TestRewrittenPagesDoNotFlicker: with the gateway in front of the site the
// default is never painted, on a first view of a session, too.
func TestRewrittenPagesDoNotFlicker(t *testing.T) {
	f := stand(t, "  rewrite: {budget: 1s}\n") // a busy machine may take more than 30 ms to decide
	ctx := chromium(t)
	front := f.SiteURL() + "/demo/"
	likesThrillers(t, ctx, front)
	watch(t, ctx, "sessionStorage.clear();") // nothing is known from the page before
	// By another name: cookies do not tell ports apart.
	untouched := strings.Replace(f.upstream, "127.0.0.1", "localhost", 1) + "/demo/"
	var ours, bare struct{ fcp, lcp []float64 }
	for i := range *loads {
		r := seen(t, ctx, front)
		if !r.steady() {
			t.Errorf("load %d: %+v", i, r)
		}
		ours.fcp, ours.lcp = append(ours.fcp, r.FCP), append(ours.lcp, r.LCP)
		r = seen(t, ctx, untouched)
		bare.fcp, bare.lcp = append(bare.fcp, r.FCP), append(bare.lcp, r.LCP)
	}
	if shown := value[string](t, ctx, `rec.painted.join()`); shown != "default" {
		t.Errorf("the untouched page paints %q: the test sees nothing", shown)
	}
	t.Logf("medians of %d loads: first paint with content %.0f ms (untouched %.0f), largest %.0f ms (untouched %.0f)",
		*loads, middle(ours.fcp), middle(bare.fcp), middle(ours.lcp), middle(bare.lcp))
}

// TestRepeatViewsDoNotFlicker: without a gateway in front, the decision of the
// last page is shown before the first paint.
func TestRepeatViewsDoNotFlicker(t *testing.T) {
	f := stand(t, "  rewrite: {pages: false}\n")
	ctx := chromium(t)
	front := f.SiteURL() + "/demo/"
	likesThrillers(t, ctx, front)
	open(t, ctx, front) // the first view asks for the decision, and keeps it
	until(t, ctx, `Object.values({...sessionStorage}).join().includes("thrillers")`)
	watch(t, ctx, "")
	for i := range *loads {
		if r := seen(t, ctx, front); !r.steady() {
			t.Errorf("load %d: %+v", i, r)
		}
	}
}
