package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/inspector"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// madeEvent is one message as its page told of it.
type madeEvent struct {
	load string // the page's path, which only this load of a page has
	seq  int
	name string
}

// pageLoad is one load of a page, and how it ended.
type pageLoad struct {
	profile int
	end     string
	// exposed says that its renderer or its browser was gone while what it had
	// written may not have been on the disk yet. Then these are what the disk had: the
	// highest number, and the messages in the outbox.
	exposed bool
	noted   int
	kept    map[string]bool
}

// How a load ends.
const (
	endNavigation = "navigation"
	endClose      = "tab closed"
	endCrash      = "renderer crashed"
	endKill       = "browser killed"
	endLast       = "last"
)

// truth is what the pages themselves made.
type truth struct {
	mu     sync.Mutex
	events map[string]madeEvent // by messageId
	loads  map[string]*pageLoad // by path
	heard  map[string]int       // events of a load, by what the test was told
	faults map[string][]string  // what the tag of a load complained of
	change chan struct{}
}

func newTruth() *truth {
	return &truth{faults: map[string][]string{}, events: map[string]madeEvent{}, loads: map[string]*pageLoad{}, heard: map[string]int{}, change: make(chan struct{})}
}

func (x *truth) add(id string, e madeEvent) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.events[id] = e
	x.heard[e.load]++
	close(x.change)
	x.change = make(chan struct{})
}

// fault keeps what a page's tag complained of.
func (x *truth) fault(path, text string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.faults[path] = append(x.faults[path], text)
}

func (x *truth) begin(path string, profile int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.loads[path] = &pageLoad{profile: profile, noted: -1}
}

func (x *truth) end(path, how string) *pageLoad {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.loads[path].end = how
	return x.loads[path]
}

// wait waits until n events of a load were heard, or the time is over: a page
// may be slow, and then it is left early.
func (x *truth) wait(ctx context.Context, path string, n int, most time.Duration) {
	over := time.After(most)
	for {
		x.mu.Lock()
		enough, change := x.heard[path] >= n, x.change
		x.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-change:
		case <-over:
			return
		case <-ctx.Done():
			return
		}
	}
}

// profile is a browser with a folder of its own that survives its kills.
type profile struct {
	t     *testing.T
	n     int
	dir   string
	agent string
	front *faultyFront
	truth *truth
	rand  *rand.Rand

	ctx  context.Context // of the running browser
	stop context.CancelFunc
	tabs []*visitTab
	next func() int // the number of the next visit; 0: there are no more
}

type visitTab struct {
	ctx     context.Context
	close   context.CancelFunc
	path    string // of the page in it
	offline bool
	crashed chan struct{}
}

func (p *profile) launch() {
	p.t.Helper()
	options := chromiumOptions(p.t, p.dir, chromedp.Flag("hide-crash-restore-bubble", true))
	if p.agent != "" {
		options = append(options, chromedp.UserAgent(p.agent))
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	p.ctx, _ = chromedp.NewContext(allocator)
	p.stop = stop
	if err := chromedp.Do(p.ctx); err != nil {
		p.t.Fatalf("profile %d: starting the browser: %v", p.n, err)
	}
}

// open opens a tab that tells what its pages make.
func (p *profile) open() *visitTab {
	p.t.Helper()
	tab := &visitTab{crashed: make(chan struct{})}
	tab.ctx, tab.close = chromedp.NewContext(p.ctx)
	if err := chromedp.Do(tab.ctx); err != nil {
		p.t.Fatalf("profile %d: opening a tab: %v", p.n, err)
	}
	crash := sync.OnceFunc(func() { close(tab.crashed) })
	hear := func(ev any) {
		switch e := ev.(type) {
		case *inspector.EventTargetCrashed:
			crash()
		case *runtime.EventBindingCalled:
			var m [4]any
			if err := json.Unmarshal([]byte(e.Payload), &m); err != nil {
				p.t.Errorf("a page told %q: %v", e.Payload, err)
				return
			}
			if m[1] == "" {
				p.truth.fault(m[0].(string), m[3].(string))
				return
			}
			p.truth.add(m[1].(string), madeEvent{m[0].(string), int(m[2].(float64)), m[3].(string)})
		}
	}
	_, err := chromedp.Call(tab.ctx, runtime.AddBinding, runtime.AddBindingParams{Name: "heard"})
	if err := errors.Join(err, chromedp.Listen(tab.ctx, hear)); err != nil {
		p.t.Fatal(err)
	}
	p.tabs = append(p.tabs, tab)
	return tab
}

// areas are the sites' pages; their names are the figures' labels.
var areas = []string{"shop", "cart", "help"}

// visit loads a page in a tab and stays until some of its events are made.
func (p *profile) visit(tab *visitTab, n int) {
	events := p.rand.IntN(12)
	tab.path = fmt.Sprintf("/%s/%d", areas[p.rand.IntN(len(areas))], n)
	p.truth.begin(tab.path, p.n)
	url := fmt.Sprintf("%s%s?events=%d&every=%d", p.front.URL, tab.path, events, 10+p.rand.IntN(150))
	if _, err := chromedp.Call(tab.ctx, cdppage.Navigate, cdppage.NavigateParams{URL: url}); err != nil {
		p.t.Errorf("profile %d: going to %s: %v", p.n, tab.path, err)
		return
	}
	if p.rand.IntN(5) == 0 {
		p.truth.wait(tab.ctx, tab.path, 1, 2*time.Second)
		p.offline(tab, true)
	}
	// With no event to wait for, the page is left before it has begun.
	p.truth.wait(tab.ctx, tab.path, p.rand.IntN(events+2), 3*time.Second)
}

func (p *profile) offline(tab *visitTab, yes bool) {
	state := []*network.Conditions{{Offline: yes, DownloadThroughput: -1, UploadThroughput: -1}}
	_, err := chromedp.Call(tab.ctx, network.Enable, network.EnableParams{})
	if err == nil {
		_, err = chromedp.Call(tab.ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: state})
	}
	if err == nil {
		_, err = chromedp.Call(tab.ctx, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: yes, DownloadThroughput: -1, UploadThroughput: -1})
	}
	if err != nil {
		p.t.Errorf("profile %d: offline %v: %v", p.n, yes, err)
	}
	tab.offline = yes
}

// live makes visits until there are no more, in up to three tabs.
func (p *profile) live() {
	for n := p.next(); n > 0; n = p.next() {
		if len(p.tabs) > 0 && (len(p.tabs) == 3 || p.rand.IntN(3) > 0) {
			i := p.rand.IntN(len(p.tabs))
			switch r := p.rand.IntN(100); {
			case r < 45:
				tab := p.tabs[i]
				if tab.offline {
					p.offline(tab, false)
				}
				p.truth.end(tab.path, endNavigation)
				p.visit(tab, n)
				continue
			case r < 78:
				p.end(i, endClose)
			case r < 92:
				p.end(i, endCrash)
			default:
				p.kill()
			}
		}
		p.visit(p.open(), n)
	}
}

// end ends a tab.
func (p *profile) end(i int, how string) {
	tab := p.tabs[i]
	p.tabs = append(p.tabs[:i], p.tabs[i+1:]...)
	l := p.truth.end(tab.path, how)
	if how == endClose {
		// The browser answers once the page's handlers have run and it is gone.
		id := chromedp.FromContext(tab.ctx).Target.TargetID
		if _, err := chromedp.CallBrowser(tab.ctx, target.CloseTarget, target.CloseTargetParams{TargetID: id}); err != nil {
			p.t.Errorf("profile %d: closing a tab: %v", p.n, err)
		}
		tab.close()
		return
	}
	ctx, cancel := context.WithTimeout(tab.ctx, 10*time.Second)
	defer cancel()
	go func() {
		// The page that should answer is the one that goes.
		_, _ = chromedp.Call(ctx, cdppage.Crash, struct{}{})
	}()
	select {
	case <-tab.crashed:
	case <-ctx.Done():
		p.t.Errorf("profile %d: the renderer did not crash", p.n)
	}
	tab.close()
	d := p.dump()
	p.see(l, tab.path, d)
}

// kill ends the browser as it is, with all its tabs, and starts it again.
func (p *profile) kill() {
	if err := chromedp.FromContext(p.ctx).Browser.Process().Kill(); err != nil {
		p.t.Fatal(err)
	}
	for _, tab := range p.tabs {
		p.truth.end(tab.path, endKill)
	}
	p.tabs = nil
	p.stop() // waits for its end
	p.launch()
	// What a page wrote when it was left is on the disk some seconds later, so the
	// pages before are those of a killed browser, too.
	d := p.dump()
	p.truth.mu.Lock()
	paths := slices.Collect(maps.Keys(p.truth.loads))
	p.truth.mu.Unlock()
	for _, path := range paths {
		if l := p.truth.loads[path]; l.profile == p.n {
			p.see(l, path, d)
		}
	}
}

// onDisk is what a browser keeps for the tag and for the test.
type onDisk struct {
	Notes    map[string]int      // by path: the highest number
	Messages map[string]bool     // in kept requests
	Made     map[string][][3]any // by path: what a page told at its end
}

// dump reads it, from a page without the tag.
func (p *profile) dump() (d onDisk) {
	p.t.Helper()
	ctx, cancel := chromedp.NewContext(p.ctx)
	defer cancel()
	text, err := func() (string, error) {
		if err := chromedp.Do(ctx, chromedp.Navigate(p.front.URL+"/dump")); err != nil {
			return "", err
		}
		return chromedp.Run(ctx, chromedp.Evaluate[string](readDisk, chromedp.EvalAwaitPromise))
	}()
	if err == nil {
		err = d.parse(text)
	}
	if err != nil {
		p.t.Errorf("profile %d: reading what the browser keeps: %v", p.n, err)
	}
	return d
}

// readDisk gives [[key, text], …] of both places. A database that is not there
// must not be made by looking.
const readDisk = `(async () => {
	const name = "reuna.` + writeKey + `", all = Object.entries(localStorage);
	if ((await indexedDB.databases()).some(d => d.name == name)) {
		const ask = r => new Promise((done, fail) => { r.onsuccess = () => done(r.result); r.onerror = () => fail(r.error) });
		const db = await ask(indexedDB.open(name));
		if (db.objectStoreNames.contains("o")) {
			const s = db.transaction("o").objectStore("o");
			const [keys, texts] = await Promise.all([ask(s.getAllKeys()), ask(s.getAll())]);
			keys.forEach((k, i) => all.push([name + "." + k, [texts[i]].flat().pop()]));
		}
		db.close();
	}
	return JSON.stringify(all);
})()`

func (d *onDisk) parse(text string) error {
	*d = onDisk{map[string]int{}, map[string]bool{}, map[string][][3]any{}}
	var all [][2]string
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return err
	}
	for _, x := range all {
		key, ours := strings.CutPrefix(x[0], "reuna."+writeKey+".")
		switch {
		case ours && strings.HasPrefix(key, "r."):
			var note [3]any // run, made, path
			if err := json.Unmarshal([]byte(x[1]), &note); err != nil {
				return fmt.Errorf("note %q: %w", x[1], err)
			}
			path := note[2].(string)
			d.Notes[path] = max(d.Notes[path], int(note[1].(float64)))
		case ours && strings.HasPrefix(key, "o."):
			_, rest, _ := strings.Cut(x[1], `"`)
			var body struct{ Batch []struct{ MessageID string } }
			if err := json.Unmarshal([]byte(`{"`+rest), &body); err != nil {
				return fmt.Errorf("request %.100q: %w", x[1], err)
			}
			for _, m := range body.Batch {
				d.Messages[m.MessageID] = true
			}
		case strings.HasPrefix(x[0], "made."):
			var list [][3]any
			if err := json.Unmarshal([]byte(x[1]), &list); err != nil {
				return err
			}
			d.Made[strings.TrimPrefix(x[0], "made.")] = list
		}
	}
	return nil
}

// empty says that nothing is kept but what the last page itself left: whether
// its summary has arrived only the next page would hear.
func (p *profile) empty(d *onDisk, last string) bool {
	for path := range d.Notes {
		if path != last {
			return false
		}
	}
	p.truth.mu.Lock()
	defer p.truth.mu.Unlock()
	for id := range d.Messages {
		if p.truth.events[id].load != last {
			return false
		}
	}
	return true
}

// see notes what was on the disk when a load was over.
func (p *profile) see(l *pageLoad, path string, d onDisk) {
	p.truth.mu.Lock()
	defer p.truth.mu.Unlock()
	l.exposed, l.noted, l.kept = true, d.Notes[path], d.Messages
}

// drain closes the tabs and shows pages until nothing is kept any more. A page
// reports what it finds with the message that it makes next, so it goes on
// making some.
func (p *profile) drain(last int) {
	for len(p.tabs) > 0 {
		p.end(0, endClose)
	}
	var d onDisk
	for try := range 3 {
		tab := p.open()
		tab.path = fmt.Sprintf("/last/%d", last+try)
		p.truth.begin(tab.path, p.n)
		if _, err := chromedp.Call(tab.ctx, cdppage.Navigate, cdppage.NavigateParams{URL: p.front.URL + tab.path + "?events=0&every=0"}); err != nil {
			p.t.Error(err)
		}
		p.truth.wait(tab.ctx, tab.path, 1, 20*time.Second)
		for range 12 {
			if _, err := chromedp.Run(tab.ctx, chromedp.Evaluate[chromedp.Void](`reuna.track("Last")`)); err != nil {
				p.t.Error(err)
			}
			text, err := chromedp.Run(tab.ctx, chromedp.Evaluate[string](`new Promise(done => setTimeout(done, 1300)).then(() => `+readDisk+`)`, chromedp.EvalAwaitPromise))
			if err == nil {
				err = d.parse(text)
			}
			if err != nil {
				p.t.Error(err)
				break
			}
			if len(d.Notes)+len(d.Messages) == 0 {
				break
			}
		}
		p.end(0, endClose)
		d = p.dump()
		p.collect(d)
		if p.empty(&d, tab.path) {
			return
		}
	}
	p.t.Errorf("profile %d: something is kept for ever: notes %v, messages %v", p.n, d.Notes, d.Messages)
}

// collect takes what closed pages told of themselves.
func (p *profile) collect(d onDisk) {
	for path, list := range d.Made {
		for _, m := range list {
			id := m[0].(string)
			p.truth.mu.Lock()
			_, known := p.truth.events[id]
			p.truth.mu.Unlock()
			if !known {
				p.truth.add(id, madeEvent{path, int(m[1].(float64)), m[2].(string)})
			}
		}
	}
}
