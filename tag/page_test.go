package tag_test

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/reuna/reuna/tag"
)

// entry is a performance entry as the page's own observer saw it.
type entry struct {
	EntryType               string
	StartTime, Duration     float64
	Value                   float64
	HadRecentInput          bool
	InteractionID           float64
	ResponseStart, Activate float64
}

// The oracle: the page's own observer collects the entries, and this is another
// reading of https://web.dev/articles/vitals than the tag's.
func vitalsOf(all []entry) (lcp, cls, inp, ttfb float64) {
	var shifts []entry
	longest := map[float64]float64{}
	for _, e := range all {
		switch e.EntryType {
		case "navigation":
			ttfb = e.ResponseStart
		case "largest-contentful-paint":
			lcp = max(lcp, e.StartTime)
		case "layout-shift":
			if !e.HadRecentInput {
				shifts = append(shifts, e)
			}
		default:
			if e.InteractionID != 0 {
				longest[e.InteractionID] = max(longest[e.InteractionID], e.Duration)
			}
		}
	}
	// Every window of shifts that could be: the greatest sum is that of the session windows.
	for i := range shifts {
		if i > 0 && shifts[i].StartTime-shifts[i-1].StartTime < 1000 {
			continue
		}
		start, sum := shifts[i].StartTime, 0.0
		for j := i; j < len(shifts) && (j == i || shifts[j].StartTime-shifts[j-1].StartTime < 1000); j++ {
			if shifts[j].StartTime-start >= 5000 {
				start, sum = shifts[j].StartTime, 0
			}
			sum += shifts[j].Value
			cls = max(cls, sum)
		}
	}
	for _, d := range longest {
		inp = max(inp, d) // fewer than fifty
	}
	return lcp, cls, inp, ttfb
}

func TestVitalsAgreeWithThePagesOwnObserver(t *testing.T) {
	for name, change := range map[string]func(*tag.Options){
		"in the summary": func(*tag.Options) {},
		"alone":          func(o *tag.Options) { o.Engagement = false },
	} {
		t.Run(name, func(t *testing.T) {
			o := tag.Standard("")
			o.Vitals, o.FetchLater = true, true // one summary, however slowly the page goes
			change(&o)
			c := newCollector(t, o)
			c.page("/", `<script>
				window.entries = [];
				for (const type of ["largest-contentful-paint", "layout-shift", "event", "first-input", "navigation"])
					new PerformanceObserver(l => entries.push(...l.getEntries())).observe({type, buffered: true, durationThreshold: 16});
				const wait = ms => new Promise(done => setTimeout(done, ms));
				const push = px => { const d = document.createElement("div"); d.style.height = px + "px"; document.querySelector("h1").before(d) };
			</script>%s<body style="margin: 0"><h1>The largest thing on this page is this heading</h1><button id="slow">slow</button>
			<script>
				document.querySelector("#slow").onclick = () => { for (const end = performance.now() + 120; performance.now() < end;); push(50) };
				addEventListener("load", async () => { await wait(100); push(30); await wait(200); push(60); await wait(1300); push(20); await wait(300); window.shifted = true });
			</script>`)
			ctx := tab(t)
			open(t, ctx, c.URL+"/")
			until(t, ctx, "window.shifted")
			press(t, ctx, "#slow", 1)
			until(t, ctx, `entries.some(e => e.interactionId && e.duration >= 104)`)
			do(t, ctx, "wait(300)")
			var all []entry
			text := value[string](t, ctx, `JSON.stringify(entries.map(e => ({EntryType: e.entryType, StartTime: e.startTime, Duration: e.duration, Value: e.value, HadRecentInput: e.hadRecentInput, InteractionID: e.interactionId, ResponseStart: e.responseStart})))`)
			if err := json.Unmarshal([]byte(text), &all); err != nil {
				t.Fatal(err)
			}
			open(t, ctx, "about:blank")
			event := map[bool]string{true: "User Engagement", false: "Web Vitals"}[o.Engagement]
			list, _ := events(c.wait(t, "the vitals", named(event)), event)
			if len(list) != 1 {
				t.Fatalf("%d summaries", len(list))
			}
			p := list[0].Properties
			lcp, cls, inp, ttfb := vitalsOf(all)
			if lcp == 0 || cls == 0 || inp < 100 || ttfb == 0 {
				t.Errorf("the page measured LCP %g, CLS %g, INP %g, TTFB %g", lcp, cls, inp, ttfb)
			}
			for name, want := range map[string]float64{"LCP": lcp, "CLS": cls, "INP": inp, "TTFB": ttfb} {
				exact := map[bool]float64{true: 0.00006, false: 0.51}[name == "CLS"]
				if got := number(p[name]); !(math.Abs(got-want) <= exact) {
					t.Errorf("%s is %v, the page measured %g", name, p[name], want)
				}
			}
		})
	}
}

func TestScriptErrors(t *testing.T) {
	o := tag.Standard("")
	o.Errors = true
	c := newCollector(t, o)
	c.page("/", `%s<img src="/none.png"><script>
		reuna.ready(() => setTimeout(() => {
			// Whatever is told makes another one: a page that fails over our events.
			let n = 0;
			reuna.on("event", () => setTimeout(() => { throw Error("loop " + n++) }));
			reuna.on("event", () => { throw Error("in a listener") });
			setTimeout(() => { throw Error("card 4111 1111 1111 1111 of anna@shop.example") });
			setTimeout(() => { throw Error("card 4111 1111 1111 1111 of anna@shop.example") });
			Promise.reject(new TypeError("rejected"));
			Promise.reject(undefined);
		}));
	</script>`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/?token=secret")
	c.wait(t, "five", func(all []batch) bool {
		list, _ := events(all, "Script Error")
		return len(list) >= 5
	})
	do(t, ctx, `new Promise(done => setTimeout(done, 100))`)
	do(t, ctx, `reuna.track("Done"); reuna.flush()`)
	all := c.wait(t, "the end", named("Done"))
	list, _ := events(all, "Script Error")
	if len(list) != 5 {
		t.Errorf("%d errors of a view, expected 5", len(list))
	}
	var said []string
	for _, m := range list {
		p := m.Properties
		said = append(said, fmt.Sprint(p["message"]))
		// A rejection's place stands in its source, as its stack writes it.
		place := regexp.MustCompile(`^` + regexp.QuoteMeta(c.URL) + `/:\d+:\d+$`).MatchString(fmt.Sprint(p["source"]))
		if p["message"] != "rejected" {
			place = p["source"] == c.URL+"/" && number(p["line"]) >= 1 && number(p["column"]) >= 1
		}
		if !place {
			t.Errorf("the error says %v", p)
		}
	}
	for _, want := range []string{"Uncaught Error: card [number] of [email]", "rejected"} {
		if !slices.Contains(said, want) {
			t.Errorf("%q is not among %q", want, said)
		}
	}
	for _, b := range all {
		if strings.Contains(b.Raw, "in a listener") {
			t.Errorf("a listener's error was told: %s", b.Raw)
		}
	}
	// Another view may tell its own.
	do(t, ctx, `history.pushState({}, "", "/b")`)
	c.wait(t, "the next view's", func(all []batch) bool {
		list, views := events(all, "Script Error")
		return len(list) > 5 && views[5].Context.Page.Path == "/b"
	})
}

func TestSearchAndCampaign(t *testing.T) {
	o := tag.Standard("")
	o.Search, o.Campaign = true, true
	c := newCollector(t, o)
	c.page("/", `<script>history.replaceState({}, "", "/?s=&q=blue+shoes+for+anna%40shop.example")</script>%s`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/?utm_source=News&utm_campaign=Spring&gclid=Cj0&code=secret")
	all := c.wait(t, "the search", named("Search Results Viewed"))
	if got := kinds(all); !strings.HasPrefix(got, "page /?s=&q=") {
		t.Errorf("the view does not come first: %s", got)
	}
	list, _ := events(all, "Search Results Viewed")
	if got := list[0].Properties["search_term"]; len(list) != 1 || got != "blue shoes for [email]" {
		t.Errorf("%d searches, for %v", len(list), got)
	}
	var first struct {
		Context struct{ Campaign struct{ Query string } }
	}
	if err := json.Unmarshal([]byte(all[0].Raw), &first); err != nil {
		t.Fatal(err)
	}
	if got := first.Context.Campaign.Query; got != "utm_source=News&utm_campaign=Spring&gclid=Cj0" {
		t.Errorf("the campaign is %s", got)
	}
	do(t, ctx, `history.pushState({}, "", "/b")`)
	all = c.wait(t, "the second view", func(all []batch) bool { return strings.Contains(kinds(all), "page /b") })
	for _, b := range all {
		if b.Context.Page.Path == "/b" && strings.Contains(b.Raw, "campaign") {
			t.Errorf("the second view has the campaign, too: %s", b.Raw)
		}
	}
	if list, _ := events(all, "Search Results Viewed"); len(list) != 1 {
		t.Errorf("%d searches", len(list))
	}
}

func TestFullClientHints(t *testing.T) {
	o := tag.Standard("")
	o.Hints = true
	c := newCollector(t, o)
	c.page("/", `%s`)
	ctx := tab(t)
	brands := []*emulation.UserAgentBrandVersion{{Brand: "Google Chrome", Version: "126.0.6478.127"}}
	agent := emulation.SetUserAgentOverrideParams{
		UserAgent:         "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
		UserAgentMetadata: &emulation.UserAgentMetadata{Platform: "Windows", PlatformVersion: "15.0.0", FullVersionList: brands},
	}
	if _, err := chromedp.Call(ctx, emulation.SetUserAgentOverride, agent); err != nil {
		t.Fatal(err)
	}
	// Only a secure context has userAgentData; http://127.0.0.1 is one.
	open(t, ctx, c.URL+"/")
	if all := c.requests(t, 1); strings.Contains(all[0].Raw, "platformVersion") {
		t.Errorf("the first request waited for the hints: %s", all[0].Raw)
	}
	do(t, ctx, `navigator.userAgentData.getHighEntropyValues(["model"])`)
	do(t, ctx, `reuna.track("Later"); reuna.flush()`)
	all := c.wait(t, "a later event", named("Later"))
	raw := all[len(all)-1].Raw
	for _, want := range []string{`"platformVersion":"15.0.0"`, `"fullVersionList":[{"brand":"Google Chrome","version":"126.0.6478.127"}]`, `"platform":"Windows"`} {
		if !strings.Contains(raw, want) {
			t.Errorf("%s is not in %s", want, raw)
		}
	}
}

// What a browser does not have costs it that one measure, and nothing else.
func TestBrowsersWithoutTheseAPIs(t *testing.T) {
	o := tag.Standard("")
	o.Frustration, o.Vitals, o.Errors, o.Search, o.Campaign, o.Hints = true, true, true, true, true, true
	c := newCollector(t, o)
	c.page("/", `<script>
		window.thrown = [];
		addEventListener("error", e => thrown.push(e.message));
		for (const name of ["PerformanceObserver", "fetchLater", "navigation"]) Object.defineProperty(window, name, {value: undefined});
		for (const name of ["userAgentData", "locks"]) Object.defineProperty(navigator, name, {value: undefined});
		performance.getEntriesByType = () => [];
	</script>%s<button id="b">Pay</button>`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/?q=shoes")
	c.wait(t, "the search", named("Search Results Viewed"))
	press(t, ctx, "#b", 1)
	c.wait(t, "the click", named("Element Clicked"))
	if thrown := value[[]string](t, ctx, "thrown"); len(thrown) != 0 {
		t.Errorf("the page was thrown %q", thrown)
	}
	open(t, ctx, "about:blank")
	c.wait(t, "the summary", named("User Engagement"))
}
