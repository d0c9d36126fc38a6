package tag_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/reuna/reuna/tag"
)

// exposures are the properties of the events that say what a page shows, in the
// order of their arrival.
func exposures(all []batch) (list []string) {
	for _, m := range messages(all) {
		if m.Event == "Experiment Viewed" {
			text, err := json.Marshal(m.Properties) // sorted by key
			if err != nil {
				panic(err)
			}
			list = append(list, string(text))
		}
	}
	return list
}

// beside is what was sent beside exposures, which come whenever an answer was in
// time: the requests without them, and without those that held nothing else.
func beside(all []batch) (list []batch) {
	for _, b := range all {
		rest := slices.DeleteFunc(slices.Clone(b.Batch), func(m message) bool { return m.Event == "Experiment Viewed" })
		if len(rest) > 0 || len(b.Batch) == 0 {
			b.Batch = rest
			list = append(list, b)
		}
	}
	return list
}

// exposed waits until so many have arrived.
func (c *collector) exposed(t *testing.T, n int) []string {
	t.Helper()
	return exposures(c.wait(t, fmt.Sprint(n, " exposures"), func(all []batch) bool { return len(exposures(all)) >= n }))
}

const twoSlots = slotPage + `<div data-reuna-slot="foot"><i>plain</i><template data-reuna-variant="offer"><b>offer</b></template></div>
	<script>reuna.on("answer", () => window.answers = (window.answers ?? 0) + 1)</script>`

// What each slot shows is told once, with all that the gateway said of it: a
// variant, the default, being held out; and nothing of a slot that nothing was
// decided for.
func TestExposures(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", twoSlots)
	c.answers(`{"hero":{"variant":"thrillers","experience":"spring","holdout":false},"foot":{"variant":"default","experience":"ab","holdout":true,"heldOutOf":"offer"}}`)
	ctx := tab(t)
	shows(t, ctx, c.URL+"/", `document.querySelector("[data-reuna-slot] h2")`)
	want := []string{
		`{"experience":"spring","experiment_id":"hero","holdout":false,"variant":"thrillers","variation_id":"thrillers"}`,
		`{"experience":"ab","experiment_id":"foot","heldOutOf":"offer","holdout":true,"variant":"default","variation_id":"default"}`,
	}
	if got := c.exposed(t, 2); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("told %v, want %v", got, want)
	}
	// Answers in time, to a login and to a route, change nothing of it.
	do(t, ctx, `reuna.identify("u1")`)
	until(t, ctx, `window.answers >= 3`) // the view's, the exposures', the login's
	do(t, ctx, `history.pushState({}, "", "/?route")`)
	until(t, ctx, `window.answers >= 4`)
	do(t, ctx, `reuna.track("Last")`)
	if got := exposures(c.wait(t, "the last event", named("Last"))); len(got) != 2 {
		t.Errorf("told again: %v", got)
	}
	// Another variant is.
	c.answers(`{"foot":{"variant":"offer"}}`)
	do(t, ctx, `setInterval(() => history.pushState({}, "", "/?" + Math.random()), 400)`) // an answer that is late is for the next view
	if got := c.exposed(t, 3); len(got) != 3 || got[2] != `{"experiment_id":"foot","variant":"offer","variation_id":"offer"}` {
		t.Errorf("told %v", got[2:])
	}
}

// A decision that came too late was not shown, whichever variant it names: else
// those with slow connections would count for the default and for no other. The
// next page shows it from the start.
func TestExposuresOfLateAnswers(t *testing.T) {
	for name, variant := range map[string]string{"a variant": "thrillers", "the default": "default"} {
		t.Run(name, func(t *testing.T) {
			c := newCollector(t, tag.Standard(""))
			c.page("/", slotPage+`<script>reuna.decide("none", "plain").then(() => window.over = true); reuna.on("answer", () => window.answered = true)</script>`)
			c.answers(fmt.Sprintf(`{"hero":{"variant":%q}}`, variant))
			ctx := tab(t)
			for n := range 2 {
				answer := c.hold("/v1/interact")
				visit(t, ctx, c.URL+fmt.Sprint("/?", n))
				until(t, ctx, "window.over") // 300 ms have passed
				answer()
				until(t, ctx, "window.answered")
				if n == 0 {
					do(t, ctx, `reuna.track("First")`)
					if got := exposures(c.wait(t, "the event", named("First"))); len(got) > 0 {
						t.Fatalf("what came too late was told: %v", got)
					}
				}
			}
			if got := c.exposed(t, 1); len(got) != 1 || got[0] != fmt.Sprintf(`{"experiment_id":"hero","variant":%q,"variation_id":%q}`, variant, variant) {
				t.Errorf("told %v", got)
			}
		})
	}
}

// What a gateway in front of the site has put into the page is told as well, and
// the slots that it left as they are.
func TestExposuresOfTheGatewayInFront(t *testing.T) {
	c := newCollector(t, given())
	const own = `{"hero":{"variant":"thrillers","holdout":false},"foot":{"variant":"default","holdout":true,"heldOutOf":"offer"}}`
	c.page("/", strings.Replace(shownPage, "%s", "%s<script>reuna.a = {profile: {id: 'v_1'}, decisions: "+own+"}</script>", 1)+
		`<div data-reuna-slot="foot"><i>plain</i><template data-reuna-variant="offer"><b>offer</b></template></div><p></p>`)
	c.answers(own)
	ctx := tab(t)
	visit(t, ctx, c.URL+"/")
	want := []string{
		`{"experiment_id":"hero","holdout":false,"variant":"thrillers","variation_id":"thrillers"}`,
		`{"experiment_id":"foot","heldOutOf":"offer","holdout":true,"variant":"default","variation_id":"default"}`,
	}
	if got := c.exposed(t, 2); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("told %v, want %v", got, want)
	}
}
