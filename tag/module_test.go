package tag_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/reuna/reuna/tag"
)

// modules serves a site that has the tag as a module among its own.
func modules(t *testing.T, c *collector) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, kind := "", "text/javascript"
		switch r.URL.Path {
		case "/":
			body, kind = "<!doctype html><title>module</title>", "text/html"
		case "/reuna.mjs":
			body = string(c.bundle.ESM)
		case "/site.mjs":
			body = `import reuna, { reuna as same } from "./reuna.mjs"; reuna.track("Module", {same: reuna === same && reuna === window.reuna})`
		case "/worker.mjs":
			// A worker has no window, as a server has none.
			body = `import reuna from "./reuna.mjs";
				reuna.track("Nobody's"); reuna.ready(() => postMessage("ready"));
				postMessage(await reuna === reuna && typeof window)`
		default:
			c.ServeHTTP(w, r) // the gateway stands on the site's own origin
			return
		}
		w.Header().Set("Content-Type", kind)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestModule(t *testing.T) {
	c := newCollector(t, tag.Everything(""))
	site := modules(t, c)
	ctx := tab(t)
	open(t, ctx, site.URL+"/")
	do(t, ctx, `import("/site.mjs"); window.reuna || 0`)
	until(t, ctx, "window.reuna")
	do(t, ctx, `reuna.consent("granted"); reuna.flush()`)
	all := c.wait(t, "the event of the module", named("Module"))
	for _, m := range messages(all) {
		if m.Event == "Module" && m.Properties["same"] != true {
			t.Error("the exports and the global are not one object")
		}
	}
	if !named("page")(all) {
		t.Errorf("no page view: %s", kinds(all))
	}
}

func TestModuleWithoutAWindowDoesNothing(t *testing.T) {
	c := newCollector(t, tag.Everything(""))
	site := modules(t, c)
	ctx := tab(t)
	open(t, ctx, site.URL+"/")
	got := value[string](t, ctx, `new Promise(done => {
		const w = new Worker("/worker.mjs", {type: "module"});
		w.onmessage = e => done(String(e.data));
		w.onerror = e => done("thrown: " + e.message);
	})`)
	if got != "undefined" {
		t.Errorf("the worker says %q", got)
	}
	if n := len(c.settled(t, ctx)); n != 0 {
		t.Errorf("%d requests of a tag without a window", n)
	}
}

func TestTypesDeclareTheModule(t *testing.T) {
	for _, want := range []string{"export default reuna", "interface Reuna<", "interface Signals"} {
		if !strings.Contains(tag.Types(), want) {
			t.Errorf("the declarations lack %q", want)
		}
	}
}
