package app_test

import (
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/reuna/reuna/gateway/app"
	"github.com/reuna/reuna/gateway/config"
)

// fanFor is how long these tests' shop takes somebody for a fan.
const fanFor = 6 * time.Second

// startFans runs the demo shop with that window.
func startFans(t *testing.T) *gateway {
	t.Helper()
	cfg, err := config.Parse("test.yaml", []byte("demo: true\n"))
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, dir: filepath.Join(t.TempDir(), "data")}
	cfg.DataDir, cfg.SiteAddr, cfg.DeskAddr = g.dir, "127.0.0.1:0", "127.0.0.1:0"
	g.App, err = app.Start(app.Options{
		Packs: &packs, Config: cfg, AdminKey: adminKey, DemoFanFor: fanFor, Logger: slog.New(slog.NewTextHandler(testLog{t}, nil)),
		Exit: func(code int) { t.Errorf("the gateway wants to exit with %d", code) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.stop)
	return g
}

const (
	isFan   = `document.documentElement.dataset.reunaSegments?.split(" ").includes("thriller-fan")`
	theHero = `document.querySelector('[data-reuna-slot="hero"]').dataset.reunaShown`
)

// TestBuyingAThrillerMakesAFanUntilTheWindowEnds: the answer to the order itself
// says that the visitor is a fan, the pages show it, and when the window has
// ended they no longer do, without any event having been sent.
func TestBuyingAThrillerMakesAFanUntilTheWindowEnds(t *testing.T) {
	g := startFans(t)
	demo := g.SiteURL() + "/demo/"
	ctx := chromium(t)

	open(t, ctx, demo+"book/low-tide")
	if value[bool](t, ctx, isFan) {
		t.Fatal("looking at a thriller makes a fan: expected that only buying one does")
	}
	value[bool](t, ctx, `(document.querySelector("[data-add]").click(), true)`)
	open(t, ctx, demo+"checkout")
	// The page goes on to another with the answer, so what it said is kept for that one.
	value[bool](t, ctx, `(() => {
		let ordered = false;
		reuna.on("event", (e) => { ordered ||= e.event === "Order Completed" });
		reuna.on("answer", (a) => { if (ordered && !sessionStorage.test) sessionStorage.test = JSON.stringify(a.profile.segments) });
		document.querySelector("[data-order]").click();
		return true;
	})()`)
	if err := chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS(`[data-thanks]`))); err != nil {
		t.Fatal(err)
	}
	if got := value[[]string](t, ctx, `JSON.parse(sessionStorage.test)`); !slices.Contains(got, "thriller-fan") {
		t.Fatalf("the answer to the order has the segments %v: expected thriller-fan among them", got)
	}
	until(t, ctx, isFan)
	shot(t, ctx, "fan-thanks")
	open(t, ctx, demo)
	until(t, ctx, theHero+` === "fans"`)
	shot(t, ctx, "fan-front")
	visitor := value[string](t, ctx, `reuna.profile().id`)
	value[bool](t, ctx, `(() => { window.sent = 0; reuna.on("event", () => sent++); return reuna.flush(), true })()`)
	before := events(g, visitor)

	until(t, ctx, `!`+isFan)
	shot(t, ctx, "fan-no-more")
	if sent := value[int](t, ctx, `sent`); sent > 0 {
		t.Errorf("the page sent %d events before it showed that the window had ended: expected none", sent)
	}
	if after := events(g, visitor); after != before {
		t.Errorf("the gateway took %v events before the window's end and %v by then: expected the same", before, after)
	}
	said := `document.querySelector('[data-f="moves"]').innerText`
	if text := value[string](t, ctx, said); !strings.Contains(text, "entered thriller-fan") || !strings.Contains(text, "left thriller-fan by itself") {
		t.Errorf("the panel says %q: expected that thriller-fan was entered and left", text)
	}
	// A page that is answered after the tag's 300 ms shows what came of it on the next.
	for open(t, ctx, demo); value[bool](t, ctx, `new Promise((done) => setTimeout(() => done(`+theHero+` === "fans"), 350))`); {
		open(t, ctx, demo)
	}

	transitions(t, g, visitor)
}

// transitions looks at what the desk tells of it: the visitor left for no event,
// a window after the order, to the second.
func transitions(t *testing.T, g *gateway, visitor string) {
	t.Helper()
	var ordered time.Time
	for _, e := range timeline(t, g.DeskURL(), "anonymous_id", visitor) {
		if e["event"] == "Order Completed" {
			ordered = instant(t, e["timestamp"])
		}
	}
	status, history := g.desk("persons/anonymous_id:" + url.PathEscape(visitor) + "/history")
	if status != 200 {
		t.Fatalf("history answered %d %v", status, history)
	}
	seen := map[string]map[string]any{}
	for _, x := range history["transitions"].([]any) {
		if m := x.(map[string]any); m["audience"] == "thriller-fan" {
			seen[fmt.Sprint(m["change"])] = m
		}
	}
	if len(seen) != 2 || seen["entered"]["cause"] != "event" || seen["left"]["cause"] != "time" {
		t.Fatalf("the history has %v: expected thriller-fan entered by an event and left by time", history)
	}
	if late := instant(t, seen["left"]["at"]).Sub(ordered) - fanFor; late <= -time.Second || late > time.Second {
		t.Errorf("left %v after the window's end: expected it to the second", late)
	}
}

func instant(t *testing.T, text any) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(text))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// events is how many events the gateway has of a visitor.
func events(g *gateway, visitor string) any {
	return at(g.person("anonymous_id", visitor), "counts", "events")
}
