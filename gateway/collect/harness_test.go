package collect

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/token"
)

// recorder is an Intake that remembers what it was given.
type recorder struct {
	mu       sync.Mutex
	requests []Request
	calls    []string
	err      error
	silent   bool           // appends nothing
	cookie   func(*Request) // what an interact finds out about the cookie; nil: nothing
}

func (r *recorder) note(name string, q *Request) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := *q
	kept.Batch.Events = append([]event.Event(nil), q.Batch.Events...)
	kept.Batch.Rejected = append([]event.Rejection(nil), q.Batch.Rejected...)
	kept.Batch.Placements = append([]string(nil), q.Batch.Placements...)
	r.requests = append(r.requests, kept)
	r.calls = append(r.calls, name)
	return r.err
}

func (r *recorder) answer(name string, q *Request, dst []byte) ([]byte, error) {
	if err := r.note(name, q); err != nil || r.silent {
		return dst, err
	}
	return append(dst, `"profile":{"id":"x"},"decisions":{}`...), nil
}

func (r *recorder) Interact(q *Request, dst []byte) ([]byte, error) {
	if r.cookie != nil {
		r.cookie(q)
	}
	return r.answer("interact", q, dst)
}
func (r *recorder) Profile(q *Request, dst []byte) ([]byte, error) {
	return r.answer("profile", q, dst)
}
func (r *recorder) Collect(q *Request) error { return r.note("collect", q) }
func (r *recorder) Reset(q *Request) error   { return r.note("reset", q) }

// last is the newest request; the test fails when there are not n of them.
func (r *recorder) last(t *testing.T, n int) Request {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.requests) != n {
		t.Fatalf("%d requests reached the intake; want %d", len(r.requests), n)
	}
	return r.requests[n-1]
}

type counted struct {
	route  string
	status int
	code   string
}

type counter struct {
	mu   sync.Mutex
	seen []counted
}

func (c *counter) Count(route string, status int, code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, counted{route, status, code})
}

// world is a server on loopback with all that it talks to.
type world struct {
	t      *testing.T
	url    string
	addr   string
	intake *recorder
	counts *counter
	logs   *syncBuffer
	server *Server
	now    time.Time
	mu     sync.Mutex
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var testLimits = Limits{EventBytes: 32 << 10, BatchBytes: 64 << 10, BatchEvents: 50, Depth: 20}

func options(t testing.TB) Options {
	t.Helper()
	cookies, err := token.NewCookies([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Sites: []Site{
			{Name: "shop", WriteKey: "wk_shop", ServerKeys: []string{"sk_shop_0123456789"}, Origins: []string{"https://shop.example", "https://*.deep.example"}},
			{Name: "local", WriteKey: "wk_local"},
		},
		Limits:  testLimits,
		Cookies: cookies,
	}
}

func start(t *testing.T, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, intake: new(recorder), counts: new(counter), logs: new(syncBuffer), now: time.Unix(1_800_000_000, 0)}
	o := options(t)
	o.Intake, o.Metrics = w.intake, w.counts
	o.Logger = slog.New(slog.NewTextHandler(w.logs, nil))
	o.Now = func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }
	for _, f := range change {
		f(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	w.server = s
	hs := new(fasthttp.Server)
	s.Configure(hs, HTTP{ReadTimeout: 2 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: 10 * time.Second, Stream: o.Otherwise != nil})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- hs.Serve(ln) }()
	t.Cleanup(func() {
		if err := hs.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	w.addr = ln.Addr().String()
	w.url = "http://" + w.addr
	// An answer shows that Serve is under way: a Shutdown before that is lost on
	// fasthttp, and the test would wait for ever.
	w.send("GET", "/healthz", "")
	w.counts.mu.Lock()
	defer w.counts.mu.Unlock()
	w.counts.seen = nil
	return w
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

type reply struct {
	*http.Response
	text string
}

// json is the value at a path of the answer, as encoding/json reads it.
func (r *reply) json(t *testing.T, keys ...string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(r.text), &v); err != nil {
		t.Fatalf("%q is not JSON: %v", r.text, err)
	}
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[k]
	}
	return v
}

func (r *reply) code(t *testing.T) string {
	t.Helper()
	s, _ := r.json(t, "error", "code").(string)
	return s
}

// send makes a request; headers are "Name: value".
func (w *world) send(method, path, body string, headers ...string) *reply {
	w.t.Helper()
	q, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			q.Host = value
			continue
		}
		q.Header.Add(name, value)
	}
	transport := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	a, err := transport.RoundTrip(q)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return &reply{a, string(text)}
}

func (w *world) post(path, body string, headers ...string) *reply {
	w.t.Helper()
	return w.send("POST", path, body, headers...)
}

// want checks a failure's status and code.
func (w *world) want(r *reply, status int, code string) {
	w.t.Helper()
	got := ""
	if r.StatusCode != 200 {
		got = r.code(w.t)
		if msg, _ := r.json(w.t, "error", "message").(string); msg == "" {
			w.t.Errorf("no message in %s", r.text)
		}
	}
	if r.StatusCode != status || got != code {
		w.t.Errorf("%d %s; want %d %s", r.StatusCode, r.text, status, code)
	}
	if r.Header.Get("X-Content-Type-Options") != "nosniff" {
		w.t.Error("no nosniff")
	}
}

func prefixes(list ...string) (ps []netip.Prefix) {
	for _, s := range list {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}
