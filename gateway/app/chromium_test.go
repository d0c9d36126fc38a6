package app_test

import (
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"
)

// personAgent is what the tests' Chromium calls itself: without a window it
// would say HeadlessChrome, which is a robot to us, and robots have no visits.
// Its client hints name no robot.
const personAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

// chromiumOptions are those of a person's Chromium with its profile in dir.
func chromiumOptions(t *testing.T, dir string, more ...chromedp.ExecAllocatorOption) []chromedp.ExecAllocatorOption {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		options := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(dir), chromedp.UserAgent(personAgent),
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		)
		return append(options, more...)
	}
	t.Fatal("no Chromium on this machine: run `go run ./tools/check`, which installs it")
	return nil
}
