package tag_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/tag"
)

const slotPage = `%s<main><div data-reuna-slot="hero"><p>default</p><template data-reuna-variant="thrillers"><h2>Thrillers for <span data-reuna-text="traits.firstName">you</span></h2></template></div>
	<p id="name" data-reuna-text="traits.firstName">reader</p></main>`

func TestSlotShowsTheVariant(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", slotPage)
	ctx := tab(t)
	shows(t, ctx, c.URL+"/", `document.querySelector("[data-reuna-slot] h2")?.textContent == "Thrillers for Anna"`)
	if got := value[string](t, ctx, `document.documentElement.dataset.reunaSegments + "|" + document.getElementById("name").textContent`); got != "thriller-fans buyers|Anna" {
		t.Errorf("segments and name: %s", got)
	}
	if b := c.requests(t, 1)[0]; len(b.Placements) != 1 || b.Placements[0] != "hero" {
		t.Errorf("placements %v", b.Placements)
	}
}

func TestSlotKeepsItsDefault(t *testing.T) {
	for name, answer := range map[string]string{
		"no decision":     `{"success":true,"profile":{"id":"v_1"},"decisions":{}}`,
		"default":         `{"success":true,"profile":{"id":"v_1"},"decisions":{"hero":{"variant":"default"}}}`,
		"holdout":         `{"success":true,"profile":{"id":"v_1"},"decisions":{"hero":{"variant":"default","holdout":true}}}`,
		"unknown variant": `{"success":true,"profile":{"id":"v_1"},"decisions":{"hero":{"variant":"gardening"}}}`,
		"no answer":       `not JSON`,
	} {
		t.Run(name, func(t *testing.T) {
			c := newCollector(t, tag.Standard(""))
			c.page("/", slotPage+`<script>reuna.on("answer", () => window.answered = true)</script>`)
			c.reply(func(_ batch, w http.ResponseWriter) { _, _ = io.WriteString(w, answer) })
			ctx := tab(t)
			open(t, ctx, c.URL+"/")
			until(t, ctx, "window.answered")
			if got := value[string](t, ctx, `document.querySelector("[data-reuna-slot] p").textContent`); got != "default" {
				t.Errorf("the slot shows %q", got)
			}
		})
	}
}

// A late answer does not move what the visitor has begun to read; it is for the
// next page, where the inline stub shows it before the tag has arrived.
func TestSlotTimesOutAndIsCachedForTheNextPage(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", slotPage+`<script>reuna.decide("hero", "plain").then(v => window.decided = v); reuna.on("answer", () => window.answered = true)</script>`)
	answer := c.hold("/v1/interact")
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	until(t, ctx, `window.decided == "plain"`) // 300 ms have passed
	answer()
	until(t, ctx, "window.answered")
	if got := value[string](t, ctx, `document.querySelector("[data-reuna-slot]").textContent`); got == "Thrillers for Anna" || value[bool](t, ctx, `!!document.querySelector("[data-reuna-slot] h2")`) {
		t.Errorf("the slot changed after its time: %q", got)
	}

	arrive := c.hold("/tag.js")
	began := time.Now()
	visit(t, ctx, c.URL+"/?again") // its tag is not there yet
	until(t, ctx, `document.querySelector("[data-reuna-slot] h2")`)
	if value[bool](t, ctx, `Array.isArray(reuna)`) != true {
		t.Errorf("the tag was there after %v: the stub was not tested", time.Since(began))
	}
	arrive()
	until(t, ctx, "window.answered")
	until(t, ctx, `document.querySelector("[data-reuna-slot] h2").textContent == "Thrillers for Anna"`)

	// The default's own elements come back, not copies.
	do(t, ctx, `reuna.reset()`)
	until(t, ctx, `document.querySelector("[data-reuna-slot] p")?.textContent == "default" && document.getElementById("name").textContent == "reader"`)
	if got := value[string](t, ctx, `document.documentElement.dataset.reunaSegments + sessionStorage.length`); got != "0" {
		t.Errorf("after reset the page keeps %q", got)
	}
}

const answerHead = `{"success":true,"profile":{"id":"v_1"},"decisions":`

// answers lets the gateway decide as it is told.
func (c *collector) answers(decisions string) {
	c.reply(func(_ batch, w http.ResponseWriter) { _, _ = io.WriteString(w, answerHead+decisions+"}") })
}

// Without a decision there is nothing for the next page's stub to show, and an
// empty selector would throw at each of the parser's steps.
func TestStubWithoutADecision(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `<script>onerror = e => window.thrown = e</script>`+slotPage+`<script>reuna.on("answer", () => window.answered = true)</script>`)
	c.answers(`{}`)
	ctx := tab(t)
	for range 2 {
		open(t, ctx, c.URL+"/")
		until(t, ctx, "window.answered")
		if got := value[string](t, ctx, `JSON.stringify({...sessionStorage}) + window.thrown`); got != "{}undefined" {
			t.Errorf("the session keeps, and the page threw: %s", got)
		}
	}
}

// A visitor whom a rule no longer fits gets the page's own content back, on this
// page if the answer is in time; a slot that was not asked for keeps its variant.
func TestSlotWhoseDecisionIsGone(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	// Until `over` an answer is in time for certain.
	c.page("/", slotPage+`<script>setTimeout(() => window.over = true, 250); reuna.on("answer", a => window.answered = a.placements + !window.over)</script>`)
	c.page("/other", `%s<script>reuna.on("answer", a => window.answered = "" + a.placements)</script>`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/") // thrillers
	until(t, ctx, `sessionStorage["reuna.wk_test"]`)
	c.wait(t, "what was shown", named("Experiment Viewed")) // whose answer names the variant again, or does not
	c.answers(`{}`)
	open(t, ctx, c.URL+"/other")
	until(t, ctx, `window.answered === ""`)
	if !value[bool](t, ctx, `"reuna.wk_test" in sessionStorage`) {
		t.Error("a page without the slot made the tag forget its variant")
	}
	open(t, ctx, c.URL+"/")
	until(t, ctx, `window.answered`)
	if got := value[string](t, ctx, `sessionStorage.length + " " + answered + " " + !!document.querySelector("[data-reuna-slot] h2")`); got == "0 herotrue true" || !strings.HasPrefix(got, "0 hero") {
		t.Errorf("keys kept, slots asked for and in time, variant shown: %s", got)
	}
	open(t, ctx, c.URL+"/")
	until(t, ctx, `window.answered && document.querySelector("[data-reuna-slot] p")?.textContent == "default"`)
}

func TestSlotWhoseDecisionIsGoneTooLate(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", slotPage+`<script>reuna.decide("none", "plain").then(() => window.over = true); reuna.on("answer", () => window.answered = true)</script>`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/") // thrillers
	until(t, ctx, `sessionStorage["reuna.wk_test"]`)
	c.wait(t, "what was shown", named("Experiment Viewed")) // whose answer names the variant again, or does not
	c.answers(`{}`)
	answer := c.hold("/v1/interact")
	open(t, ctx, c.URL+"/")
	until(t, ctx, `window.over`) // 300 ms have passed
	answer()
	until(t, ctx, `window.answered && !sessionStorage.length`)
	if !value[bool](t, ctx, `!!document.querySelector("[data-reuna-slot] h2")`) {
		t.Error("a late answer changed the page")
	}
	do(t, ctx, `history.pushState({}, "", "/?route")`) // the next page view, of the same document
	until(t, ctx, `document.querySelector("[data-reuna-slot] p")?.textContent == "default"`)
	if value[bool](t, ctx, `"reunaShown" in document.querySelector("[data-reuna-slot]").dataset`) {
		t.Error("the slot says that it shows a variant")
	}
}

func TestConsentPendingGrantedDenied(t *testing.T) {
	o := tag.Standard("")
	o.Engagement = false
	o.Consent = tag.ConsentPending
	c := newCollector(t, o)
	c.page("/", slotPage)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	until(t, ctx, "reuna.version && !Array.isArray(reuna)")
	do(t, ctx, `reuna.identify("u1"); reuna.track("Before"); reuna.flush(); dispatchEvent(new Event("pagehide"))`)
	if got := value[string](t, ctx, `JSON.stringify({...localStorage, ...sessionStorage}) + document.cookie`); got != "{}" {
		t.Errorf("before consent the browser keeps %s", got)
	}
	asked := time.Now()
	do(t, ctx, `new Promise(done => setTimeout(() => done(reuna.consent("granted")), 50))`)
	all := c.wait(t, "what was kept", named("Before"))
	if got := kinds(all); got != "page /, identify, track Before" {
		t.Errorf("messages: %s", got)
	}
	if b := all[0]; b.Batch[2].Timestamp.After(asked) || !b.Context.Consent.CategoryPreferences["analytics"] {
		t.Errorf("the batch does not tell when, or what was consented to: %s", b.Raw)
	}
	until(t, ctx, `localStorage["reuna.wk_test.user"] == "u1" && reuna.profile()`)
	open(t, ctx, c.URL+"/?granted") // the decision is cached by now, however late it came
	until(t, ctx, `document.querySelector("[data-reuna-slot] h2")`)
	c.wait(t, "its page view", func(all []batch) bool { return strings.Contains(kinds(all), "?granted") })

	do(t, ctx, `reuna.consent("denied"); reuna.track("After"); reuna.flush()`)
	if got := value[string](t, ctx, `Object.keys({...localStorage, ...sessionStorage}).join() + document.querySelector("[data-reuna-slot] p").textContent`); got != "reuna-consent.wk_testdefault" {
		t.Errorf("after a refusal the page keeps %s", got)
	}
	open(t, ctx, c.URL+"/?refused")
	until(t, ctx, "reuna.version && !Array.isArray(reuna)")
	do(t, ctx, `reuna.consent({analytics: true}); reuna.track("Again"); reuna.flush()`)
	all = beside(c.wait(t, "the second grant", named("Again")))
	if got := kinds(all); got != "page /, identify, track Before, page /?granted, track Again" {
		t.Errorf("messages: %s", got)
	}
	if got := value[string](t, ctx, `reuna.decide("hero", "plain").then(v => v + reuna.profile())`); got != "plainundefined" {
		t.Errorf("without consent to personalisation the page learns %s", got)
	}
	last := all[len(all)-1]
	if p := last.Context.Consent.CategoryPreferences; !p["analytics"] || p["personalisation"] || len(last.Placements) != 0 {
		t.Errorf("consent for analytics alone: %s", last.Raw)
	}
}

// given is a tag that may find the gateway's answer in its page.
func given() tag.Options {
	o := tag.Standard("")
	o.Given = true
	return o
}

// shownPage is slotPage as a gateway in front of the site rewrites it.
const shownPage = `%s<main><div data-reuna-slot="hero" data-reuna-shown="thrillers"><h2>Thrillers</h2><template data-reuna-default><p>default</p><template data-reuna-variant="thrillers"><h2>Thrillers</h2></template><template data-reuna-variant="cooking"><h2>Cooking</h2></template></template></div></main>
	<script>window.shown = document.querySelector("h2"); reuna.on("answer", () => window.answered = true)</script>`

// What the gateway has put into the page stays as it is, the same elements,
// while the page is read, even when the first answer names another variant;
// that one is for the next view. The default comes back when it has to.
func TestSlotShownByTheGateway(t *testing.T) {
	c := newCollector(t, given())
	c.page("/", shownPage)
	c.answers(`{"hero":{"variant":"cooking"}}`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	until(t, ctx, `window.answered && sessionStorage["reuna.wk_test"]`)
	if !value[bool](t, ctx, `shown.isConnected && !document.querySelector("template[data-reuna-default]")`) {
		t.Error("the answer changed what the gateway had shown")
	}
	do(t, ctx, `history.pushState({}, "", "/?route")`)
	until(t, ctx, `document.querySelector("[data-reuna-slot] h2")?.textContent == "Cooking" && document.querySelector("[data-reuna-slot]").dataset.reunaShown == "cooking"`)
	do(t, ctx, `reuna.reset()`)
	until(t, ctx, `document.querySelector("[data-reuna-slot] > p")?.textContent == "default" && document.querySelectorAll("[data-reuna-slot] > template").length == 2 && !("reunaShown" in document.querySelector("[data-reuna-slot]").dataset)`)
}

// A visitor who refused personalisation gets the default back, whatever the
// gateway, which cannot know, has put into the page.
func TestSlotShownByTheGatewayToSomebodyWhoRefused(t *testing.T) {
	c := newCollector(t, given())
	c.page("/", shownPage)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	until(t, ctx, `window.answered`)
	do(t, ctx, `reuna.consent("denied")`)
	open(t, ctx, c.URL+"/")
	until(t, ctx, `document.querySelector("[data-reuna-slot] > p")?.textContent == "default"`)
}

// The answer that comes with the page is the first one: nothing is asked for
// before it is there, and the slot shows it whatever the next answer takes.
func TestAnswerInThePage(t *testing.T) {
	c := newCollector(t, given())
	c.page("/", strings.Replace(slotPage, "%s", `%s<script>reuna.a = {profile: {id: "v_9", traits: {firstName: "Ada"}, segments: ["s"]}, decisions: {hero: {variant: "thrillers"}}};
		reuna.decide("hero", "plain").then(v => window.decided = v); reuna.once("answer", a => window.first = a.ms + a.profile.id + a.decisions.hero.variant)</script>`, 1))
	c.hold("/v1/interact")
	ctx := tab(t)
	visit(t, ctx, c.URL+"/")
	until(t, ctx, `window.decided == "thrillers" && window.first == "0v_9thrillers" && reuna.profile().id == "v_9"`)
	until(t, ctx, `document.querySelector("[data-reuna-slot] h2")?.textContent == "Thrillers for Ada" && document.documentElement.dataset.reunaSegments == "s"`)
}

// A page may bring its own snippet although the gateway put one in, in any
// order: one tag runs, and no call is lost.
func TestTheSnippetStandsTwice(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s<script>reuna.track("First")</script>%s<script>reuna.track("Second")</script><p>text`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	all := c.wait(t, "both calls", func(b []batch) bool { return named("First")(b) && named("Second")(b) })
	if got := kinds(all); strings.Count(got, "page /") != 1 || strings.Count(got, "First") != 1 || strings.Count(got, "Second") != 1 {
		t.Errorf("messages: %s", got)
	}
}

// waitingPage has a slot of a reserved height that waits, by the rules that the
// README gives, and writes down each frame: when, whether the slot is to be
// seen, what is in it, and whether the rest is to be seen.
const waitingPage = `<style>
	[data-reuna-slot] { height: 100px; overflow: hidden }
	html:not([data-reuna-segments]) [data-reuna-wait]:has(> [data-reuna-variant]) { animation: reuna-wait .3s step-end }
	@keyframes reuna-wait { 0%, 100% { visibility: hidden } }
	</style>
	<script>
	window.frames_ = [];
	const look = (now) => {
		const slot = document.querySelector("[data-reuna-slot]"), rest = document.getElementById("rest");
		if (slot) frames_.push([now, getComputedStyle(slot).visibility, slot.querySelector("h2") ? "variant" : "default", rest ? getComputedStyle(rest).visibility : "visible"].join(" "));
		requestAnimationFrame(look);
	};
	requestAnimationFrame(look);
	new PerformanceObserver((list) => list.getEntries().forEach((e) => (window.shifted = true))).observe({type: "layout-shift", buffered: true});
	</script>
	%s<div data-reuna-slot="hero" data-reuna-wait><template data-reuna-variant="thrillers"><h2>Thrillers</h2></template><p>default</p></div><p id="rest">rest`

type frame struct {
	at          float64
	hidden      bool
	shows, rest string
}

func framesOf(t *testing.T, text []string) (list []frame) {
	t.Helper()
	for _, line := range text {
		f := strings.Fields(line)
		at, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, frame{at, f[1] == "hidden", f[2], f[3]})
	}
	return list
}

// A gateway that hangs costs a waiting slot 300 ms, one that does not wait
// nothing, and the rest of the page nothing either.
func TestWaitingSlotOfAGatewayThatHangs(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", waitingPage)
	c.page("/plain", strings.Replace(waitingPage, " data-reuna-wait>", ">", 1))
	c.hold("/tag.js")
	ctx := tab(t)
	for path, waits := range map[string]bool{"/": true, "/plain": false} {
		visit(t, ctx, c.URL+path)
		until(t, ctx, `location.pathname == "`+path+`" && window.frames_?.at(-1)?.includes(" visible default ")`)
		list := framesOf(t, value[[]string](t, ctx, "frames_"))
		hidden := 0.0
		for _, f := range list {
			if f.hidden {
				hidden = f.at - list[0].at
			}
			if f.rest != "visible" {
				t.Errorf("%s: the page hides itself", path)
			}
		}
		// An animation counts from its first frame, whose time is list[0]'s.
		if list[0].hidden != waits || hidden >= 300 {
			t.Errorf("%s: waits %v, hidden for %.0f ms", path, list[0].hidden, hidden)
		}
		if value[bool](t, ctx, "!!window.shifted") {
			t.Errorf("%s: the page moved", path)
		}
	}
}

// With an answer in time a waiting slot is never seen to show its default.
func TestWaitingSlotIsDecided(t *testing.T) {
	for answer, want := range map[string]string{`{"hero":{"variant":"thrillers"}}`: "variant", `{}`: "default"} {
		c := newCollector(t, tag.Standard(""))
		c.page("/", waitingPage+`<script>reuna.on("answer", () => window.answered = performance.now())</script>`)
		c.answers(answer)
		ctx := tab(t)
		for try := 1; ; try++ {
			open(t, ctx, c.URL+"/")
			until(t, ctx, `window.answered && frames_.at(-1)?.includes(" visible `+want+` ")`)
			list := framesOf(t, value[[]string](t, ctx, "frames_"))
			if answered := value[float64](t, ctx, "answered"); answered > list[0].at+250 && try < 10 {
				t.Logf("try %d: not in time", try) // a busy machine
				do(t, ctx, "sessionStorage.clear()")
				continue
			}
			for _, f := range list {
				if !f.hidden && f.shows != want {
					t.Errorf("%s: a frame shows %s", answer, f.shows)
				}
			}
			if value[bool](t, ctx, "!!window.shifted") {
				t.Errorf("%s: the page moved", answer)
			}
			break
		}
	}
}

// A slot that the parser is not through with stays as it is until it is: what
// came later would stand behind the variant. The script in it holds the parser up.
func TestSlotThatIsBeingParsed(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s<script>reuna.on("answer", () => window.answered = true)</script><div data-reuna-slot="hero"><template data-reuna-variant="thrillers"><h2>Thrillers</h2></template><p>one</p><script src="/v1/slow.js"></script><p>two</p></div>
		<div data-reuna-slot="hero"><p>other</p><template data-reuna-variant="thrillers"><h2>Others</h2></template></div>`)
	ctx := tab(t)
	for _, view := range []string{"first", "repeated"} {
		more := c.hold("/v1/slow.js")
		visit(t, ctx, c.URL+"/?"+view)
		until(t, ctx, `location.search == "?`+view+`" && window.answered`)
		if got := value[string](t, ctx, `document.readyState + document.querySelector("[data-reuna-slot]").innerText`); got != "loadingone" {
			t.Errorf("%s view: half a slot is %q", view, got)
		}
		more()
		until(t, ctx, `document.readyState == "complete" && [...document.querySelectorAll("[data-reuna-slot]")].map(s => s.innerText) == "Thrillers,Others"`)
		do(t, ctx, `reuna.identify("u")`)
	}
	do(t, ctx, `reuna.reset()`)
	until(t, ctx, `[...document.querySelectorAll("[data-reuna-slot]")].map(s => s.innerText.replace(/\s+/g, " ")) == "one two,other"`)
}
