package tag_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/reuna/reuna/tag"
)

// mouse does one thing with the real mouse of the browser.
func mouse(t *testing.T, ctx context.Context, p input.DispatchMouseEventParams) {
	t.Helper()
	if _, err := chromedp.Call(ctx, input.DispatchMouseEvent, p); err != nil {
		t.Fatal(err)
	}
}

// press clicks on an element, as the count-th click of a row.
func press(t *testing.T, ctx context.Context, selector string, count int) {
	t.Helper()
	at := value[[]float64](t, ctx, fmt.Sprintf(`(() => { const r = document.querySelector(%q).getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`, selector))
	for _, what := range []input.DispatchMouseEventType{input.DispatchMouseEventTypeMouseMoved, input.DispatchMouseEventTypeMousePressed, input.DispatchMouseEventTypeMouseReleased} {
		p := input.DispatchMouseEventParams{Type: what, X: at[0], Y: at[1], Button: input.MouseButtonLeft, ClickCount: int64(count)}
		if what == input.DispatchMouseEventTypeMouseMoved {
			p.Button, p.ClickCount = input.MouseButtonNone, 0
		}
		mouse(t, ctx, p)
	}
}

// events are the messages of this name, each once, and the page views that they
// belong to.
func events(all []batch, name string) (list []message, views []batch) {
	seen := map[string]bool{}
	for _, b := range all {
		for _, m := range b.Batch {
			if m.Event == name && !seen[m.MessageID] {
				seen[m.MessageID] = true
				list, views = append(list, m), append(views, b)
			}
		}
	}
	return list, views
}

func number(v any) float64 {
	n, ok := v.(float64)
	if !ok {
		return math.NaN()
	}
	return n
}

// A clock that the test moves: the tag asks performance.now. And a page that the
// test hides, as the browser does when another tab comes before it.
const clock = `<script>
	let skew = 0, hidden = false;
	const now = performance.now.bind(performance);
	performance.now = () => now() + skew;
	window.pass = ms => skew += ms;
	Object.defineProperty(document, "hidden", {get: () => hidden});
	window.hide = yes => { hidden = yes; document.dispatchEvent(new Event("visibilitychange", {bubbles: true})) };
</script>`

func TestEngagedTimeIsVisibleAndActive(t *testing.T) {
	for name, before := range map[string]string{
		"fetchLater":         "",
		"without fetchLater": `<script>Object.defineProperty(window, "fetchLater", {value: undefined})</script>`,
	} {
		t.Run(name, func(t *testing.T) {
			o := tag.Standard("")
			o.FetchLater = true
			c := newCollector(t, o)
			c.page("/", clock+before+`%s<body style="margin: 0; height: 4000px">`)
			ctx := tab(t)
			begun := time.Now()
			open(t, ctx, c.URL+"/")
			c.requests(t, 1)
			move := func(x float64) {
				t.Helper()
				do(t, ctx, `void (window.moved = new Promise(done => addEventListener("pointermove", done, {once: true})))`)
				mouse(t, ctx, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseMoved, X: x, Y: 50})
				do(t, ctx, "window.moved.then(() => {})")
			}
			move(10)
			do(t, ctx, "pass(5_000)") // read
			move(20)
			do(t, ctx, "pass(600_000)") // went for a walk: 30 s of it count
			move(30)
			do(t, ctx, "pass(2_000); hide(true); pass(50_000); hide(false); pass(3_000)") // looked elsewhere
			// As far as to 1500, and back.
			for _, y := range []float64{1500, -1200} {
				mouse(t, ctx, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseWheel, X: 100, Y: 100, DeltaX: 1e-9, DeltaY: y}) // a zero would be left out, and is asked for
				until(t, ctx, fmt.Sprintf("scrollY == %g", map[bool]float64{true: 1500, false: 300}[y > 0]))
				do(t, ctx, `new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))`)
			}
			deepest := value[float64](t, ctx, "Math.round((1500 + innerHeight) / document.documentElement.scrollHeight * 100)")
			open(t, ctx, "about:blank")
			const want = 40_000 // 5 + 30 + 2 + 3 s
			var list []message
			c.wait(t, "the summary", func(all []batch) bool {
				list, _ = events(all, "User Engagement")
				sum := 0.0
				for _, m := range list {
					sum += number(m.Properties["engagement_time_msec"])
				}
				return sum >= want
			})
			sum, depth := 0.0, 0.0
			for _, m := range list {
				sum += number(m.Properties["engagement_time_msec"])
				depth = max(depth, number(m.Properties["percent_scrolled"]))
			}
			if most := want + float64(time.Since(begun).Milliseconds()); sum > most {
				t.Errorf("%g ms engaged, expected %d to %g", sum, want, most)
			}
			if depth != deepest {
				t.Errorf("%g %% scrolled, expected %g", depth, deepest)
			}
			if before == "" && len(list) != 1 {
				t.Errorf("%d summaries of one view", len(list))
			}
		})
	}
}

func TestEachViewHasItsSummary(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", clock+`%s<body style="margin: 0; height: 100px">`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	do(t, ctx, `pass(7_000); history.pushState({}, "", "/b")`)
	all := c.wait(t, "the second view", func(all []batch) bool { return strings.Contains(kinds(all), "page /b") })
	first := all[0].Context.PageViewID
	do(t, ctx, `pass(3_000)`)
	open(t, ctx, "about:blank")
	all = c.wait(t, "two summaries", func(all []batch) bool {
		list, _ := events(all, "User Engagement")
		return len(list) == 2
	})
	list, views := events(all, "User Engagement")
	for i, m := range list {
		ms, own := number(m.Properties["engagement_time_msec"]), views[i].Context.PageViewID == first
		least := map[bool]float64{true: 7_000, false: 3_000}[own]
		if path := map[bool]string{true: "/", false: "/b"}[own]; ms < least || ms > least+float64(patience.Milliseconds()) || views[i].Context.Page.Path != path || m.Properties["percent_scrolled"] != 100.0 {
			t.Errorf("view %s has the summary %v", views[i].Context.Page.Path, m.Properties)
		}
	}
}

// A verdict comes when the test asks for it, not after 1.5 s.
const judged = `<script>
	const later = setTimeout;
	window.setTimeout = (run, ms, ...more) => ms == 1500 ? (window.judge = run, 1) : later(run, ms, ...more);
	window.settle = async () => { await new Promise(done => requestAnimationFrame(() => later(done, 20))); judge(); judge = () => {} };
	window.judge = () => {};
</script><style>body > * { position: absolute; width: 150px; height: 30px; margin: 0 }</style>`

func TestDeadClicks(t *testing.T) {
	o := tag.Standard("")
	o.Frustration, o.Clicks, o.Autocapture = true, false, false
	c := newCollector(t, o)
	var html strings.Builder
	html.WriteString(judged + `%s`)
	things := []struct {
		name, html string
		dead       bool
		after      string // what the test waits for before the verdict
	}{
		{"button", `<button id="button">button</button>`, true, ""},
		{"looks", `<div id="looks" style="cursor: pointer">looks</div>`, true, ""},
		{"placeholder", `<a id="placeholder" href="javascript:void 0">placeholder</a>`, true, ""},
		{"masked", `<button id="masked" data-reuna-mask>secret</button>`, true, ""},
		{"shadow", `<div id="shadow"></div><script>document.querySelector("#shadow").attachShadow({mode: "open"}).innerHTML = "<button style='width: 150px; height: 30px'>shadow</button>"</script>`, true, ""},
		{"own", `<button id="own" onclick="document.documentElement.dataset.reunaSegments = 'x'">own</button>`, true, ""},
		{"text", `<p id="text">text</p>`, false, ""},
		{"changes", `<button id="changes" onclick="this.className = 'on'">changes</button>`, false, ""},
		{"inside", `<div id="inside"></div><script>{ const root = document.querySelector("#inside").attachShadow({mode: "open"}); root.innerHTML = "<button style='width: 150px; height: 30px'>inside</button>"; root.firstChild.onclick = () => root.append("x") }</script>`, false, ""},
		{"fetches", `<button id="fetches" onclick="fetch('/?fetched', {cache: 'no-store'})">fetches</button>`, false, `performance.getEntriesByType("resource").some(e => e.name.endsWith("?fetched"))`},
		{"moves", `<button id="moves" onclick="reuna.once('view', () => window.moved = true); history.pushState({}, '', '/?moved')">moves</button>`, false, "window.moved"},
		{"focuses", `<button id="focuses" onclick="document.querySelector('#field').focus()">focuses</button>`, false, ""},
		{"field", `<input id="field">`, false, ""},
		{"ignored", `<button id="ignored" class="ph-no-capture">ignored</button>`, false, ""},
		{"scrolls", `<button id="scrolls" onclick="window.scrollTo(0, scrollY + 20)">scrolls</button>`, false, ""},
		{"submits", `<form id="form"><button id="submits" style="width: 150px; height: 30px">submits</button></form><script>document.querySelector("#form").addEventListener("submit", e => e.preventDefault())</script>`, false, ""},
	}
	for _, x := range things {
		html.WriteString(x.html)
	}
	html.WriteString(`<div style="height: 3000px"></div><script>[...document.querySelectorAll("body > :not(script, style)")].forEach((e, i) => { e.style.left = (i % 4) * 180 + "px"; e.style.top = (i >> 2) * 60 + 40 + "px" })</script>`)
	c.page("/", html.String())
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	until(t, ctx, "reuna.profile && reuna.profile()")
	var want []string
	for _, x := range things {
		press(t, ctx, "#"+x.name, 1)
		if x.after != "" {
			until(t, ctx, x.after)
		}
		do(t, ctx, "settle()")
		if x.dead {
			want = append(want, map[string]string{"masked": ""}[x.name]+strings.TrimPrefix(x.name, "masked"))
		}
	}
	do(t, ctx, `reuna.track("Done"); reuna.flush()`)
	list, _ := events(c.wait(t, "the end", named("Done")), "Dead Clicked")
	var got []string
	for _, m := range list {
		got = append(got, fmt.Sprint(m.Properties["text"]))
	}
	if !slices.Equal(got, want) {
		t.Errorf("dead: %q, expected %q", got, want)
	}
}

func TestRageClicks(t *testing.T) {
	o := tag.Standard("")
	o.Frustration = true
	c := newCollector(t, o)
	c.page("/", `<style>button { margin: 40px }</style>%s<button id="a" data-reuna-prop-size="xl">Pay</button><button id="b">Back</button><p id="p">A paragraph that is selected by three clicks.</p>`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	rages := func() (list []message) {
		do(t, ctx, `new Promise(done => setTimeout(done)); reuna.track("Done"); reuna.flush()`)
		n := 0
		all := c.wait(t, "the flush", func(all []batch) bool {
			done, _ := events(all, "Done")
			n = len(done)
			return n > 0
		})
		list, _ = events(all, "Rage Clicked")
		return list
	}
	for _, id := range []string{"#a", "#b", "#a", "#b"} {
		press(t, ctx, id, 1)
	}
	for i := range 3 {
		press(t, ctx, "#p", i+1)
	}
	if value[string](t, ctx, `getSelection().toString()`) == "" {
		t.Error("three clicks have not selected the paragraph")
	}
	if list := rages(); len(list) != 0 {
		t.Errorf("clicks at two places, and a paragraph selected, are rage: %v", list)
	}
	// A busy machine may need more than a second for three clicks.
	for range 10 {
		for range 6 {
			press(t, ctx, "#a", 1)
		}
		do(t, ctx, `new Promise(done => setTimeout(done)); reuna.flush()`)
		if list, _ := events(c.settled(t, ctx), "Rage Clicked"); len(list) > 0 {
			break
		}
	}
	list, _ := events(c.wait(t, "rage", named("Rage Clicked")), "Rage Clicked")
	if m := list[0]; m.Properties["text"] != "Pay" || m.Properties["size"] != "xl" || fmt.Sprint(m.Properties["element"]) != "[button#a]" {
		t.Errorf("rage at %v", m.Properties)
	}
	if len(list) != 1 {
		t.Errorf("one row of clicks is %d rages", len(list))
	}
}

// Marks hold for what is inside, in open shadow trees, too; what was typed, or
// looks like it, stays in the page.
func TestMasking(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `<script>document.title = "Inbox of anna@shop.example"</script><style>body > * { display: inline-block } textarea { width: 5px }</style>%s
		<div id="ignored" data-reuna-ignore></div><div id="masked" data-hj-suppress data-reuna-prop-shelf="left"></div><div id="open"></div>
		<label id="label">Newsletter <input type="checkbox" id="box"></label>
		<button id="card">Pay with 4111 1111 1111 1111 12/27, anna@shop.example, order 20240131</button>
		<button id="typed">To <b>somebody else</b> <span contenteditable>hunter2</span><textarea>hunter2</textarea></button>
		<a id="link" href="/reset/anna%40shop.example?token=hunter2#hunter2">x</a><a id="mail" href="mailto:anna@shop.example">x</a><a id="bad" href="http://[">x</a>
		<svg width="20" height="20"><a id="svg" href="/svg?hunter2"><rect width="20" height="20"/></a></svg>
		<script>
			for (const id of ["ignored", "masked", "open"]) {
				const root = document.getElementById(id).attachShadow({mode: "open"});
				root.innerHTML = "<button data-testid='in-" + id + "'>hunter2".replace("hunter2", id == "open" ? "shown" : "hunter2") + "</button>";
			}
			addEventListener("click", e => e.target.closest("a") && e.preventDefault());
		</script>`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	for _, id := range []string{"#ignored", "#masked", "#open", "#label", "#card", "#typed", "#link", "#mail", "#bad", "#svg"} {
		press(t, ctx, id, 1)
	}
	do(t, ctx, `new Promise(done => setTimeout(done))`)
	do(t, ctx, `reuna.track("Done"); reuna.flush()`)
	all := c.wait(t, "the end", named("Done"))
	var got []string
	for _, m := range messages(all) {
		if m.Type == "track" && m.Event != "Done" {
			got = append(got, fmt.Sprintf("%s %v: %v %v %v", m.Event, m.Properties["element"].([]any)[0], m.Properties["text"], m.Properties["href"], m.Properties["shelf"]))
		}
	}
	want := []string{
		"Element Clicked button[data-testid=in-masked]:  <nil> left",
		"Element Clicked button[data-testid=in-open]: shown <nil> <nil>",
		"Element Clicked input#box[type=checkbox]:  <nil> <nil>",
		"Element Clicked button#card: Pay with [number] 12/27, [email], order 20240131 <nil> <nil>",
		"Element Clicked button#typed: To somebody else <nil> <nil>",
		"Element Clicked a#link: x " + c.URL + "/reset/[email] <nil>",
		"Element Clicked a#mail: x mailto: <nil>",
		"Element Clicked a#bad: x : <nil>",
		"Element Clicked a#svg:  <nil> <nil>",
	}
	if !slices.Equal(got, want) {
		t.Errorf("clicks:\n%s\nexpected:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, b := range all {
		if strings.Contains(b.Raw, "hunter2") || strings.Contains(b.Raw, "anna@") || strings.Contains(b.Raw, "anna%40") {
			t.Errorf("what was typed left the page: %s", b.Raw)
		}
	}
	if title := all[0].Context.Page.Title; title != "Inbox of [email]" {
		t.Errorf("the title is %q", title)
	}
}
