package tag_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// stops end the browsers that were started.
var stops struct {
	sync.Mutex
	list []func()
}

func atEnd(stop func()) {
	stops.Lock()
	defer stops.Unlock()
	stops.list = append(stops.list, stop)
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, stop := range stops.list {
		stop()
	}
	os.Exit(code)
}

// browser is shared by the package's tests; each test has its own storage and
// cookies in it.
var browser = sync.OnceValues(newBrowser)

// newBrowser starts Chromium, until the end of the package's tests.
func newBrowser() (context.Context, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		options := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(path), chromedp.NoSandbox,
			chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true),
			chromedp.Flag("disable-component-update", true),
		)
		allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
		atEnd(stop) // waits for the browser's end, and removes its profile
		ctx, _ := chromedp.NewContext(allocator)
		return ctx, chromedp.Do(ctx)
	}
	return nil, exec.ErrNotFound
}

// firefox is shared in the same way.
var firefox = sync.OnceValues(func() (*fox, error) {
	for _, name := range []string{"firefox-esr", "firefox"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		f, stop, err := startFox(path)
		if err == nil {
			atEnd(stop)
		}
		return f, err
	}
	return nil, exec.ErrNotFound
})

// inFirefox is the name of the test whose parts run in Firefox: the same tests
// that run in Chromium under names of their own.
const inFirefox = "TestFirefox"

type foxKey struct{}

// foxOf is the tab of Firefox that the context stands for; nil: it is Chromium's.
func foxOf(ctx context.Context) *foxTab {
	f, _ := ctx.Value(foxKey{}).(*foxTab)
	return f
}

// tab opens a tab of a fresh profile.
func tab(t *testing.T) context.Context {
	t.Helper()
	if strings.HasPrefix(t.Name(), inFirefox+"/") {
		f, err := firefox()
		if err != nil {
			t.Fatalf("the tests in Firefox need it (%v): run `go run ./tools/check`, which installs Debian's firefox-esr", err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 2*patience)
		t.Cleanup(stop)
		return context.WithValue(ctx, foxKey{}, newFoxTab(t, f))
	}
	return tabOf(t, browser)
}

// tabOf opens a tab of a fresh profile in a browser of Chromium.
func tabOf(t *testing.T, browser func() (context.Context, error)) context.Context {
	t.Helper()
	parent, err := browser()
	if err != nil {
		t.Fatalf("the browser tests need Chromium (%v): run `go run ./tools/check`, which installs it", err)
	}
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	limited, stop := context.WithTimeout(ctx, 2*patience)
	t.Cleanup(stop)
	return limited
}

func open(t *testing.T, ctx context.Context, url string) {
	t.Helper()
	var err error
	if f := foxOf(ctx); f != nil {
		err = f.visit(ctx, url, "complete")
	} else {
		err = chromedp.Do(ctx, chromedp.Navigate(url))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// visit goes to a page without waiting for its load event, which an async
// script holds up.
func visit(t *testing.T, ctx context.Context, url string) {
	t.Helper()
	var err error
	if f := foxOf(ctx); f != nil {
		err = f.visit(ctx, url, "none")
	} else {
		_, err = chromedp.Call(ctx, cdppage.Navigate, cdppage.NavigateParams{URL: url})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// do runs statements in the page and waits for the promise that the last one may be.
func do(t *testing.T, ctx context.Context, script string) {
	t.Helper()
	var err error
	if f := foxOf(ctx); f != nil {
		err = f.eval(ctx, script, nil)
	} else {
		_, err = chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void](script, chromedp.EvalAwaitPromise))
	}
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
}

// value is what an expression comes to in the page.
func value[T any](t *testing.T, ctx context.Context, script string) (v T) {
	t.Helper()
	var err error
	if f := foxOf(ctx); f != nil {
		err = f.eval(ctx, script, &v)
	} else {
		v, err = chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	}
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return v
}

// offline cuts the tab off from its network, and connects it again.
func offline(t *testing.T, ctx context.Context, yes bool) {
	t.Helper()
	var err error
	if f := foxOf(ctx); f != nil {
		err = f.offline(ctx, yes)
	} else {
		state := []*network.Conditions{{Offline: yes, DownloadThroughput: -1, UploadThroughput: -1}}
		if _, err = chromedp.Call(ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: state}); err == nil {
			_, err = chromedp.Call(ctx, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: yes, DownloadThroughput: -1, UploadThroughput: -1})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// shows opens a page until it shows what the answer makes of it. A machine that
// is busy with other things may take more than the tag's 300 ms for an answer,
// and then the tag rightly keeps the page as it is; each try starts afresh.
func shows(t *testing.T, ctx context.Context, url, script string) {
	t.Helper()
	for try := 1; ; try++ {
		open(t, ctx, url)
		until(t, ctx, `reuna.profile && reuna.profile()?.id`)
		switch {
		case value[bool](t, ctx, "!!("+script+")"):
			return
		case try == 10:
			t.Fatalf("after %d tries the page never came to: %s", try, script)
		}
		t.Logf("try %d: not in time", try)
		do(t, ctx, "sessionStorage.clear()")
	}
}

// until waits until the script's value is true, across navigations. It asks
// again and again, because a page that waits by itself is put away with its wait.
func until(t *testing.T, ctx context.Context, script string) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	var last error
	ask := func() (ok bool) {
		// What is asked of a page that is just being put away may never be answered.
		ctx, cancel := context.WithTimeout(ctx, patience/10)
		defer cancel()
		if f := foxOf(ctx); f != nil {
			last = f.eval(ctx, "!!("+script+")", &ok)
		} else {
			ok, last = chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+script+")"))
		}
		return ok
	}
	for deadline := time.Now().Add(patience); !ask(); <-again.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s; the page's last error: %v", patience, script, last)
		}
	}
}
