package tag_test

import (
	"context"
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"
)

// ownBrowser starts a browser on a profile's folder, and gives a tab of it and
// what kills it, as a crash of the machine's graphics or a full memory would.
func ownBrowser(t *testing.T, profile string) (ctx context.Context, kill func()) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("the browser tests need Chromium (%v): run `go run ./tools/check`, which installs it", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(profile),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	process := chromedp.FromContext(ctx).Browser.Process()
	limited, end := context.WithTimeout(ctx, 2*patience)
	t.Cleanup(end)
	return limited, func() {
		t.Helper()
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
		stop() // waits for its end
	}
}
