package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/tracing"
	"github.com/chromedp/chromedp"

	"github.com/reuna/reuna/benchmarks/measure"
	"github.com/reuna/reuna/tag"
)

const (
	throttle = 4 // how many times slower the page's processor is made
	clicks   = 6 // presses of the mouse in each visit

	// settle is how long a visit is looked at once it has sent its page view, or
	// the blank page is loaded: longer than anything in the tag waits (the
	// batch's second, slots' 300 ms).
	settle = 1500 * time.Millisecond
	// between two presses, so that each has tasks of its own.
	pause = 150 * time.Millisecond
	// patience is how long one visit may take.
	patience = time.Minute
)

// Run measures and gives the report. The visits of one round are the blank page
// and each build's, in turn; each begins with an empty profile.
func Run(ctx context.Context, rounds int, log io.Writer) (*Report, error) {
	all := builds()
	sizes := make([]Bytes, len(all))
	for i, b := range all {
		made, err := tag.Build(b.size)
		if err != nil {
			return nil, err
		}
		script := made.JS
		if b.stub {
			script = []byte(made.Stub)
		}
		if sizes[i], err = weigh(script); err != nil {
			return nil, err
		}
	}
	start, stop, err := launch(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	version, err := chromedp.CallBrowser(start, browser.GetVersion, cdp.Empty{})
	if err != nil {
		return nil, err
	}
	load, err := beginLoad()
	if err != nil {
		return nil, err
	}
	r := &Report{Environment: measure.Here(), Browser: version.Product, Throttle: throttle, Rounds: rounds}
	blank, visits := make([]Visit, rounds), make([][]Visit, len(all))
	for round := range rounds {
		fmt.Fprintf(log, "round %d of %d\n", round+1, rounds)
		if blank[round], err = visit(start, nil); err != nil {
			return nil, fmt.Errorf("the blank page: %w", err)
		}
		for i := range all {
			v, err := visit(start, &all[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", all[i].name, err)
			}
			visits[i] = append(visits[i], v)
		}
	}
	if r.Load, err = load(); err != nil {
		return nil, err
	}
	for i, b := range all {
		r.Costs = append(r.Costs, newCost(b, sizes[i], visits[i], blank))
	}
	return r, nil
}

// beginLoad gives what the machine was busy from here to the call, in percent.
func beginLoad() (end func() (float64, error), err error) {
	busy, total, err := measure.Machine()
	return func() (float64, error) {
		b, t, err := measure.Machine()
		if err != nil || t == total {
			return 0, err
		}
		return 100 * float64(b-busy) / float64(t-total), nil
	}, err
}

func launch(ctx context.Context) (browser context.Context, stop func(), err error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		options := append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
			chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
		allocator, stop := chromedp.NewExecAllocator(ctx, options...)
		browser, _ := chromedp.NewContext(allocator)
		if err := chromedp.Do(browser); err != nil {
			stop()
			return nil, nil, err
		}
		return browser, stop, nil
	}
	return nil, nil, errors.New("no Chromium on PATH: `go run ./tools/check -run install` installs it")
}

// visit opens the build's page in a fresh profile, waits until it is at rest,
// presses its button, and leaves it.
func visit(parent context.Context, b *build) (v Visit, err error) {
	s, err := newSite(b)
	if err != nil {
		return v, err
	}
	defer s.Close()
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	defer cancel()
	if err := chromedp.Do(ctx); err != nil {
		return v, err
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()

	var events []json.RawMessage
	complete := make(chan struct{})
	if err := chromedp.Listen(ctx, func(e any) {
		switch e := e.(type) {
		case *tracing.EventDataCollected:
			for _, text := range e.Value {
				events = append(events, json.RawMessage(bytes.Clone(text)))
			}
		case *tracing.EventTracingComplete:
			close(complete)
		}
	}); err != nil {
		return v, err
	}
	if _, err := chromedp.Call(ctx, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: throttle}); err != nil {
		return v, err
	}
	if _, err := chromedp.Call(ctx, tracing.Start, tracing.StartParams{TraceConfig: &tracing.TraceConfig{IncludedCategories: categories}}); err != nil {
		return v, err
	}
	// From here to the end of the trace nothing is asked of the page, since that would be a script in it.
	if err := chromedp.Do(ctx, chromedp.Navigate(s.URL+"/")); err != nil {
		return v, err
	}
	if b != nil && !b.stub {
		select {
		case <-s.first:
		case <-ctx.Done():
			return v, errors.New("the page sent nothing")
		}
	}
	if err := wait(ctx, settle); err != nil {
		return v, err
	}
	v.Requests = s.asked()
	for range clicks {
		for _, kind := range []input.DispatchMouseEventType{input.DispatchMouseEventTypeMousePressed, input.DispatchMouseEventTypeMouseReleased} {
			if _, err := chromedp.Call(ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: kind, X: 50, Y: 50, Button: input.MouseButtonLeft, ClickCount: 1}); err != nil {
				return v, err
			}
		}
		if err := wait(ctx, pause); err != nil {
			return v, err
		}
	}
	if _, err := chromedp.Call(ctx, tracing.End, cdp.Empty{}); err != nil {
		return v, err
	}
	select {
	case <-complete:
	case <-ctx.Done():
		return v, errors.New("the trace never ended")
	}
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		return v, err
	}
	if err := wait(ctx, settle); err != nil {
		return v, err
	}
	found, err := read(events, strings.TrimSuffix(s.URL, "/"))
	if err != nil {
		return v, err
	}
	found.Requests, found.Leaving = v.Requests, s.asked()-v.Requests
	return found, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
