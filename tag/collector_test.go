package tag_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reuna/reuna/tag"
)

// patience is how long a test waits for a condition before it fails.
const patience = 20 * time.Second

// message and batch are what the tag sends, as far as tests look at it.
type message struct {
	Type, Event, Name, MessageID, UserID, GroupID, PreviousID, Category string
	Timestamp                                                           time.Time
	Properties, Traits                                                  map[string]any
	Context                                                             struct {
		Seq  int
		Runs [][3]any // run, messages made, path
	}
}

type batch struct {
	Path       string
	Cookie     string
	WriteKey   string
	SentAt     time.Time
	Token      string
	Placements []string
	Context    struct {
		Page       struct{ URL, Path, Title, Referrer string }
		PageViewID string
		Run        string
		Library    struct{ Name, Version string }
		Locale     string
		Screen     map[string]float64

		UserAgentData struct{ Brands []map[string]string }
		Consent       struct{ CategoryPreferences map[string]bool }
	}
	Batch []message

	ContentType string
	Raw         string
}

// collector is a gateway that records what it gets and answers as it is told,
// and a site with pages.
type collector struct {
	*httptest.Server

	mu      sync.Mutex
	changed chan struct{} // closed and renewed with every request
	seen    []batch
	pages   map[string]page
	answer  func(b batch, w http.ResponseWriter) // nil: reply with profileAnswer
	gates   map[string]chan struct{}             // a path waits until its gate is closed
	opens   []func()                             // of all gates
	reports []string                             // of the content security policy
	bundle  tag.Bundle
}

type page struct {
	html   string
	header http.Header
}

const profileAnswer = `{"success":true,"rejected":[],"profile":{"id":"v_1","known":false,"visit":{"new":true,"sessions":1,"pageviews":1},` +
	`"traits":{"firstName":"Anna"},"segments":["thriller-fans","buyers"],"affinity":[["thrillers",0.8]]},` +
	`"decisions":{"hero":{"variant":"thrillers"}}}`

func newCollector(t *testing.T, o tag.Options) *collector {
	t.Helper()
	o.WriteKey = "wk_test"
	b, err := tag.Build(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{bundle: b, changed: make(chan struct{}), pages: map[string]page{}, gates: map[string]chan struct{}{}}
	c.Server = httptest.NewServer(c)
	t.Cleanup(func() {
		c.mu.Lock()
		for _, open := range c.opens {
			open()
		}
		c.mu.Unlock()
		c.Close()
	})
	return c
}

// snippet is what the site pastes; its script's address is absolute, so that it
// works on pages of another origin, too.
func (c *collector) snippet() string { return c.bundle.Snippet(c.URL + "/tag.js") }

// page adds a page. %s in html stands for the snippet.
func (c *collector) page(path, html string) {
	c.pages[path] = page{html: "<!doctype html><title>" + path + "</title>" + strings.ReplaceAll(html, "%s", c.snippet())}
}

// hold makes a path wait until the function that it returns is called.
func (c *collector) hold(path string) (open func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gate := make(chan struct{})
	c.gates[path] = gate
	open = sync.OnceFunc(func() { close(gate) })
	c.opens = append(c.opens, open)
	return open
}

// reply replaces the answer; nil puts the usual one back.
func (c *collector) reply(f func(b batch, w http.ResponseWriter)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = f
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	gate := c.gates[r.URL.Path]
	c.mu.Unlock()
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/v1/"):
		c.collect(w, r, gate)
	case path == "/tag.js":
		if gate != nil {
			<-gate
		}
		w.Header().Set("Content-Type", "text/javascript")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		_, _ = w.Write(c.bundle.JS)
	case path == "/report":
		text, _ := io.ReadAll(r.Body)
		c.record(func() { c.reports = append(c.reports, string(text)) })
	default:
		p, ok := c.pages[path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		for k, v := range p.header {
			w.Header()[k] = v
		}
		if gate != nil {
			<-gate
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, p.html)
	}
}

func (c *collector) collect(w http.ResponseWriter, r *http.Request, gate chan struct{}) {
	raw, err := io.ReadAll(r.Body)
	b := batch{Path: r.URL.Path, Cookie: r.Header.Get("Cookie"), ContentType: r.Header.Get("Content-Type"), Raw: string(raw)}
	if err == nil {
		err = json.Unmarshal(raw, &b)
	}
	if err != nil {
		b.Path = "unreadable: " + err.Error()
	}
	c.record(func() { c.seen = append(c.seen, b) })
	if gate != nil {
		<-gate
	}
	h := w.Header()
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Expose-Headers", "Retry-After")
	}
	c.mu.Lock()
	answer := c.answer
	c.mu.Unlock()
	if answer != nil {
		answer(b, w)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "vid", Value: "1", Path: "/", HttpOnly: true, MaxAge: 1000})
	_, _ = io.WriteString(w, profileAnswer)
}

func (c *collector) record(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.changed)
	c.changed = make(chan struct{})
}

// wait waits until the requests seen so far satisfy ok, and returns them.
func (c *collector) wait(t *testing.T, what string, ok func([]batch) bool) []batch {
	t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		seen, changed := append([]batch(nil), c.seen...), c.changed
		c.mu.Unlock()
		if ok(seen) {
			return seen
		}
		select {
		case <-changed:
		case <-deadline:
			var list strings.Builder
			for _, b := range seen {
				fmt.Fprintf(&list, "\n%s %.1500s", b.Path, b.Raw)
			}
			t.Fatalf("waited %v for %s; seen:%s", patience, what, list.String())
		}
	}
}

// requests waits for at least n requests.
func (c *collector) requests(t *testing.T, n int) []batch {
	t.Helper()
	return c.wait(t, fmt.Sprintf("%d requests", n), func(b []batch) bool { return len(b) >= n })
}

// settled gives the requests that the page has sent up to now: one that it
// sends after them has been answered.
func (c *collector) settled(t *testing.T, ctx context.Context) []batch {
	t.Helper()
	if status := value[int](t, ctx, `fetch("/", {cache: "no-store"}).then(r => r.status)`); status != http.StatusOK {
		t.Fatalf("the page itself: status %d", status)
	}
	return c.requests(t, 0)
}

// messages are all messages in the order of their arrival, repeats included.
func messages(all []batch) []message {
	var list []message
	for _, b := range all {
		list = append(list, b.Batch...)
	}
	return list
}

func named(event string) func([]batch) bool {
	return func(all []batch) bool {
		for _, m := range messages(all) {
			if m.Event == event || m.Type == event {
				return true
			}
		}
		return false
	}
}

// kinds lists messages as "page /a", "track X".
func kinds(all []batch) string {
	var list []string
	for _, m := range messages(all) {
		word := m.Type
		if m.Event != "" {
			word += " " + m.Event
		}
		if m.Type == "page" {
			word += fmt.Sprint(" ", m.Properties["path"], m.Properties["search"])
		}
		list = append(list, word)
	}
	return strings.Join(list, ", ")
}
