package tag_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/reuna/reuna/tag"
)

// stored is a script for what the tag keeps in the browser, by name: of the
// database, and over it of localStorage.
const stored = `(async () => {
	const all = {}, name = "reuna.wk_test";
	if ((await indexedDB.databases()).some(d => d.name == name)) await new Promise(done => {
		const r = indexedDB.open(name);
		r.onerror = done;
		r.onsuccess = () => {
			const s = r.result.transaction("o").objectStore("o").getAll();
			s.onsuccess = () => { Object.assign(all, Object.fromEntries(s.result)); r.result.close(); done() };
		};
	});
	for (const k in localStorage) if (k.startsWith(name + ".")) all[k.slice(name.length + 1)] = localStorage[k];
	return all;
})()`

// keeps gives the names that begin with prefix of what the tag keeps in the browser.
func keeps(t *testing.T, ctx context.Context, prefix string) []string {
	t.Helper()
	var names []string
	for name := range value[map[string]string](t, ctx, stored) {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// holds waits until the tag keeps something whose name begins with prefix, or
// nothing.
func holds(t *testing.T, ctx context.Context, prefix string, something bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); (len(keeps(t, ctx, prefix)) > 0) != something; {
		if time.Now().After(deadline) {
			text, _ := json.Marshal(value[map[string]string](t, ctx, stored))
			t.Fatalf("waited %v for %q to be kept: %v; kept: %s", patience, prefix, something, text)
		}
		do(t, ctx, "new Promise(done => setTimeout(done, 20))")
	}
}

// counted is what the gateway makes of the requests that it took: the messages
// by id, and of each run how many it was told of, as the gateway counts them.
type counted struct {
	made, arrived map[string]int    // by run
	path          map[string]string // of the runs that were reported
	events        map[string]int    // by name: distinct messages
}

func count(all []batch) counted {
	c := counted{map[string]int{}, map[string]int{}, map[string]string{}, map[string]int{}}
	seen := map[string]bool{}
	for _, b := range all {
		for _, m := range b.Batch {
			if seen[m.MessageID] {
				continue
			}
			seen[m.MessageID] = true
			run := b.Context.Run
			c.events[m.Event]++
			c.arrived[run]++
			c.made[run] = max(c.made[run], m.Context.Seq)
			for _, note := range m.Context.Runs {
				run := note[0].(string)
				c.made[run] = max(c.made[run], int(note[1].(float64)))
				c.path[run] = note[2].(string)
			}
		}
	}
	return c
}

// refuse lets the collector answer 503, with a Retry-After, until it is called
// again with false.
func (c *collector) refuse(yes bool, after string) {
	c.reply(nil)
	if yes {
		c.reply(func(_ batch, w http.ResponseWriter) {
			if after != "" {
				w.Header().Set("Retry-After", after)
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		})
	}
}

// Of a tab that crashes the next page tells how much was made, and what had
// failed is delivered. A run of which all has arrived is not reported.
func TestACrashedTabIsCounted(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s`)
	c.page("/reader", `%s`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/reader")
	c.requests(t, 1)
	until(t, ctx, "reuna.profile && reuna.profile()")
	holds(t, ctx, "r.", false)

	crash, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	open(t, crash, c.URL+"/")
	run := c.requests(t, 2)[1].Context.Run
	until(t, crash, "reuna.profile && reuna.profile()")
	c.refuse(true, "3600")
	do(t, crash, `reuna.track("Failed"); reuna.flush()`)
	holds(t, crash, "o.", true)
	do(t, crash, `reuna.track("Waits"); reuna.track("Waits")`)
	refused := len(c.requests(t, 3))
	crashed := chromedp.BrowserEvents(crash, target.TargetCrashed)
	go func() { _, _ = chromedp.Call(crash, cdppage.Crash, cdp.Empty{}) }() // a tab that crashes gives no answer
	for _, err := range crashed {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	c.refuse(false, "")

	ctx, cancel = chromedp.NewContext(ctx) // the first tab may have shared the renderer
	t.Cleanup(cancel)
	open(t, ctx, c.URL+"/reader")
	until(t, ctx, "reuna.profile && reuna.profile()")
	c.wait(t, "what had failed", func(all []batch) bool { return named("Failed")(all[refused:]) })
	do(t, ctx, `reuna.track("Report"); reuna.flush()`)
	all := c.wait(t, "the report", func(all []batch) bool { return count(all[refused:]).path[run] != "" })
	all = append(slices.Clone(all[:2]), all[refused:]...)
	got := count(all)
	if got.path[run] != "/" || got.made[run] != 4 || got.arrived[run] != 2 {
		t.Errorf("of the crashed tab's 4 messages (2 of them lost) the gateway learned: made %d on %q, arrived %d", got.made[run], got.path[run], got.arrived[run])
	}
	if len(got.path) != 1 {
		t.Errorf("runs reported: %v, want only the crashed one", got.path)
	}
	holds(t, ctx, "r.", false)
	holds(t, ctx, "o.", false)
}

// A browser that is killed forgets the last seconds of localStorage, but not of
// the database.
func TestAKilledBrowserLosesNothingThatFailed(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s`)
	c.page("/after", `%s`)
	profile := t.TempDir()
	ctx, kill := ownBrowser(t, profile)
	open(t, ctx, c.URL+"/")
	run := c.requests(t, 1)[0].Context.Run
	until(t, ctx, "reuna.profile && reuna.profile()")
	c.refuse(true, "3600")
	do(t, ctx, `for (let i = 0; i < 3; i++) reuna.track("Failed", {i}); reuna.flush()`)
	holds(t, ctx, "o.", true)
	do(t, ctx, `reuna.track("Waits")`)
	// The note that the killed page leaves says 5 when it is in the database.
	until(t, ctx, `(new Promise(done => {
		const r = indexedDB.open("reuna.wk_test");
		r.onsuccess = () => {
			const s = r.result.transaction("o").objectStore("o").getAll();
			s.onsuccess = () => { r.result.close(); window.noted = s.result.some(([key, text]) => key[0] == "r" && JSON.parse(text)[1] == 5); done() };
		};
	}), window.noted)`)
	refused := len(c.requests(t, 2))
	kill()
	c.refuse(false, "")

	ctx, _ = ownBrowser(t, profile)
	open(t, ctx, c.URL+"/after")
	until(t, ctx, "reuna.profile && reuna.profile()")
	c.wait(t, "what had failed", func(all []batch) bool { return count(all[refused:]).events["Failed"] == 3 })
	do(t, ctx, `reuna.track("Report"); reuna.flush()`)
	all := c.wait(t, "the report", func(all []batch) bool { return count(all[refused:]).path[run] != "" })
	all = append(slices.Clone(all[:1]), all[refused:]...)
	if got := count(all); got.made[run] != 5 || got.arrived[run] != 4 {
		t.Errorf("of the killed browser's 5 messages (one of them lost) the gateway learned: made %d, arrived %d", got.made[run], got.arrived[run])
	}
	holds(t, ctx, "r.", false)
	holds(t, ctx, "o.", false)
}

// Four tabs that are all refused for a while deliver each event; what is sent
// twice, because one tab did it for another that still lived, has one id.
func TestFourTabsThatAreRefused(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `%s`)
	c.page("/plain", ``)
	c.refuse(true, "")
	ctx := tab(t)
	open(t, ctx, c.URL+"/plain")
	ids := map[string]string{}
	for i := range 4 {
		tab, cancel := chromedp.NewContext(ctx)
		t.Cleanup(cancel)
		open(t, tab, fmt.Sprint(c.URL, "/?", i))
		until(t, tab, "reuna.profile")
		do(t, tab, fmt.Sprintf(`reuna.on("event", m => window.id = m.messageId); reuna.track("Tab %d"); reuna.flush()`, i))
		ids[fmt.Sprint("Tab ", i)] = value[string](t, tab, "window.id")
	}
	refused := len(c.requests(t, 4))
	c.refuse(false, "")
	all := c.wait(t, "every tab's event", func(all []batch) bool {
		got := count(all[min(refused, len(all)):])
		return got.events["Tab 0"]+got.events["Tab 1"]+got.events["Tab 2"]+got.events["Tab 3"] == 4
	})
	for _, m := range messages(all) {
		if want := ids[m.Event]; want != "" && m.MessageID != want {
			t.Errorf("%s came with id %s, made with %s", m.Event, m.MessageID, want)
		}
	}
	holds(t, ctx, "o.", false)
}

// The page's storage is really full: what does not fit stays in memory, and
// events go all the same.
func TestStorageThatIsFull(t *testing.T) {
	c := newCollector(t, tag.Standard(""))
	c.page("/", `<script>onerror = onunhandledrejection = e => window.thrown = String(e.reason || e);
		for (let size = 1 << 22; size >= 1; size >>= 1) try { for (let i = 0;; i++) localStorage["fill" + size + "." + i] = "x".repeat(size) } catch {}</script>%s`)
	ctx := tab(t)
	open(t, ctx, c.URL+"/")
	c.requests(t, 1)
	until(t, ctx, "reuna.profile && reuna.profile()")
	if value[bool](t, ctx, `(() => { try { localStorage.more = "xx"; return true } catch { return false } })()`) {
		t.Fatal("the storage is not full: nothing is tested")
	}
	c.refuse(true, "")
	do(t, ctx, `reuna.identify("u1"); reuna.track("Still here"); reuna.flush()`)
	holds(t, ctx, "o.", true) // the database has it
	c.refuse(false, "")
	all := c.wait(t, "the event", func(all []batch) bool {
		return strings.Count(kinds(all), "track Still here") > 1
	})
	for _, m := range messages(all) {
		if m.Event == "Still here" && m.UserID != "u1" {
			t.Errorf("the user is %q", m.UserID)
		}
	}
	if thrown := value[string](t, ctx, `String(window.thrown)`); thrown != "undefined" {
		t.Errorf("the tag threw into the page: %s", thrown)
	}
}
