package app_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// chromium starts a browser with a profile of its own.
func chromium(t *testing.T) context.Context {
	t.Helper()
	opts := chromiumOptions(t, t.TempDir(), chromedp.Flag("disable-sync", true), chromedp.WindowSize(1280, 900))
	alloc, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute+time.Duration(*loads)*4*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// open goes to a page and waits until the tag has had an answer there.
func open(t *testing.T, ctx context.Context, url string) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	until(t, ctx, "window.reuna && reuna.profile && reuna.profile()")
}

// value is what an expression gives in the page; promises are awaited.
func value[T any](t *testing.T, ctx context.Context, js string) T {
	t.Helper()
	within, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	v, err := chromedp.Run(within, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", js, err)
	}
	return v
}

// until waits in the page until an expression is true.
func until(t *testing.T, ctx context.Context, js string) {
	t.Helper()
	value[bool](t, ctx, `new Promise(done => { const look = () => (`+js+`) ? done(true) : setTimeout(look, 10); look() })`)
}

// shot keeps a screenshot in $REUNA_SHOTS, for people to look at.
func shot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("REUNA_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

const heroText = `document.querySelector('[data-reuna-slot="hero"]').innerText`

// TestReadingThrillersChangesTheHero is the product in one test: three product
// pages, then the front page shows another hero; a login on a second browser
// brings it along.
func TestReadingThrillersChangesTheHero(t *testing.T) {
	g := start(t, "demo: true\n")
	demo := g.SiteURL() + "/demo/"
	first := chromium(t)

	open(t, first, demo)
	own := value[string](t, first, heroText)
	shot(t, first, "front")
	open(t, first, demo+"category/thrillers")
	shot(t, first, "category")
	thrillers := value[[]string](t, first, `[...new Set([...document.querySelectorAll('main a[href*="/book/"]')].map(a => a.href))].slice(0, 3)`)
	if len(thrillers) != 3 {
		t.Fatalf("the thrillers' page links to %v", thrillers)
	}
	for i, url := range thrillers {
		open(t, first, url)
		until(t, first, fmt.Sprintf(`(reuna.profile().affinity || []).some(([k, n]) => k === "thrillers" && n > %f)`, float64(i)+0.8))
	}
	shot(t, first, "product")
	open(t, first, demo)
	until(t, first, heroText+` !== `+strconv.Quote(own))
	changed := value[string](t, first, heroText)
	t.Logf("the hero was %.50q and is %.50q", own, changed)
	shot(t, first, "hero-thrillers")
	login(t, first, demo)

	second := chromium(t)
	open(t, second, demo)
	if hero := value[string](t, second, heroText); hero != own {
		t.Errorf("a new browser starts with %.60q", hero)
	}
	login(t, second, demo)
	open(t, second, demo)
	until(t, second, heroText+` === `+strconv.Quote(changed))
	if !value[bool](t, second, `reuna.profile().known`) {
		t.Error("the second browser is not known")
	}
	shot(t, second, "second-browser")
	if err := chromedp.Do(second, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile)); err != nil {
		t.Fatal(err)
	}
	open(t, second, demo)
	shot(t, second, "phone")
}

func login(t *testing.T, ctx context.Context, demo string) {
	t.Helper()
	open(t, ctx, demo+"login")
	value[bool](t, ctx, `(() => { document.querySelector("#name").value = "Aino"; document.querySelector("form[data-login]").requestSubmit(); return true })()`)
	// The shop leads to its front page once the token was taken.
	if err := chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS(`[data-reuna-slot="hero"]`))); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, `reuna.profile && reuna.profile() && reuna.profile().known === true`)
}
