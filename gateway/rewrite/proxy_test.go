package rewrite

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/valyala/fasthttp"
)

// front is a Proxy that listens, in front of a site's own server.
type front struct {
	t   *testing.T
	url string
	*http.Client
}

// decider answers for every visitor as it is told.
type decider func() (Decision, error)

func (d decider) Visit(*fasthttp.RequestCtx, string) func() (Decision, error) { return d }

// stand puts a proxy in front of a handler. change may change its settings.
func stand(t *testing.T, site http.HandlerFunc, change func(*Site, *Options)) *front {
	t.Helper()
	upstream := httptest.NewServer(site)
	t.Cleanup(upstream.Close)
	return standAt(t, upstream.URL, change)
}

func standAt(t *testing.T, upstream string, change func(*Site, *Options)) *front {
	t.Helper()
	base, cancel := context.WithCancel(context.Background())
	s := Site{Name: "shop", Upstream: upstream, Serves: func(string) bool { return true }, Cookie: "reuna", Timeout: 5 * time.Second,
		Pages: true, Stub: stubText, Src: tagPath, Global: "reuna", Slots: true, Budget: time.Second}
	o := Options{Logger: slog.New(slog.DiscardHandler), Context: base, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second}
	if change != nil {
		change(&s, &o)
	}
	o.Sites = []Site{s}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			if !p.Handle(ctx) {
				ctx.SetStatusCode(http.StatusTeapot)
			}
		},
		StreamRequestBody: true, NoDefaultContentType: true, NoDefaultServerHeader: true, DisablePreParseMultipartForm: true,
		ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second, CloseOnShutdown: true,
		Logger: quiet{},
	}
	var done sync.WaitGroup
	done.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		cancel()
		ctx, stop := context.WithTimeout(context.Background(), 3*time.Second)
		defer stop()
		_ = server.ShutdownWithContext(ctx)
		_ = l.Close()
		done.Wait()
	})
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &front{t, "http://" + l.Addr().String(), &http.Client{
		Transport: transport, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// ask sends a request; headers are names and values.
func (f *front) ask(method, path string, body io.Reader, headers ...string) (*http.Response, []byte) {
	f.t.Helper()
	resp := f.begin(method, path, body, headers...)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, text
}

func (f *front) begin(method, path string, body io.Reader, headers ...string) *http.Response {
	f.t.Helper()
	req, err := http.NewRequest(method, f.url+path, body)
	if err != nil {
		f.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := f.Do(req)
	if err != nil {
		f.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp
}

// visit asks for a page as a browser does.
func (f *front) visit(path string, headers ...string) (*http.Response, string) {
	f.t.Helper()
	resp, text := f.ask("GET", path, nil, append([]string{"Sec-Fetch-Dest", "document", "Accept", "text/html"}, headers...)...)
	return resp, string(text)
}

func TestARequestArrivesAsItWasSent(t *testing.T) {
	var got *http.Request
	var text []byte
	f := stand(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		text, _ = io.ReadAll(r.Body)
	}, nil)
	f.ask("PATCH", "/a%2Fb//c;d=%7c?x=1&y=%20&z", strings.NewReader("body"),
		"Cookie", "a=1; reuna=ours; __Host-reuna=ours; b=2", "X-Odd", "one", "X-Odd", "two", "Connection", "X-Hop, close", "X-Hop", "gone",
		"X-Forwarded-For", "6.6.6.6", "X-Real-IP", "6.6.6.6", "Forwarded", "for=6.6.6.6", "Te", "trailers", "Authorization", "Basic x", "User-Agent", "")
	if got.Method != "PATCH" || got.RequestURI != "/a%2Fb//c;d=%7c?x=1&y=%20&z" || string(text) != "body" || got.ContentLength != 4 {
		t.Errorf("arrived: %s %s, %d bytes %q", got.Method, got.RequestURI, got.ContentLength, text)
	}
	if got.Host != strings.TrimPrefix(f.url, "http://") {
		t.Errorf("the host is %s", got.Host)
	}
	for name, want := range map[string]string{
		"Cookie": "a=1; b=2", "X-Hop": "", "X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "", "Forwarded": "", "Te": "", "Authorization": "Basic x",
		"X-Forwarded-Proto": "http", "X-Forwarded-Host": got.Host, "User-Agent": "", "X-Odd": "one,two", "Accept-Encoding": "",
	} {
		if have := strings.Join(got.Header[name], ","); have != want {
			t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
	f.ask("GET", "//elsewhere.example/x", nil)
	if got.RequestURI != "//elsewhere.example/x" || got.Host != strings.TrimPrefix(f.url, "http://") {
		t.Errorf("a path with two slashes: %s at %s", got.RequestURI, got.Host)
	}
}

func TestAnAnswerArrivesAsItWasSent(t *testing.T) {
	const page = "<html><head></head><body>hello"
	f := stand(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Set-Cookie"] = []string{"a=1; Path=/", "a=2; Path=/x; HttpOnly"}
		h.Set("Server", "theirs")
		h.Set("Keep-Alive", "timeout=9")
		h.Set("Content-Type", "image/png")
		switch r.URL.Path {
		case "/moved":
			h.Set("Location", "https://other.example/x")
			w.WriteHeader(302)
		case "/own":
			h.Set("Location", "http://"+r.Context().Value(http.LocalAddrContextKey).(net.Addr).String()+"/next?x#y")
			w.WriteHeader(303)
		case "/none":
			w.WriteHeader(204)
		case "/same":
			h.Set("ETag", `"x"`)
			w.WriteHeader(304)
		case "/part":
			http.ServeContent(w, r, "x", time.Unix(1e9, 0), strings.NewReader("0123456789"))
		case "/bad":
			w.WriteHeader(500)
			_, _ = io.WriteString(w, page)
		case "/untyped":
			h["Content-Type"] = nil
			_, _ = io.WriteString(w, page)
		default:
			h.Set("Content-Length", "10")
			_, _ = io.WriteString(w, "0123456789")
		}
	}, nil)
	for _, c := range []struct {
		method, path string
		headers      []string
		status       int
		body         string
		want         map[string]string
	}{
		{"GET", "/", nil, 200, "0123456789", map[string]string{"Content-Length": "10", "Server": "theirs", "Keep-Alive": "", "Content-Type": "image/png"}},
		{"HEAD", "/", nil, 200, "", map[string]string{"Content-Length": "10"}},
		{"GET", "/moved", nil, 302, "", map[string]string{"Location": "https://other.example/x"}},
		{"GET", "/own", nil, 303, "", map[string]string{"Location": "/next?x#y"}},
		{"DELETE", "/none", nil, 204, "", map[string]string{"Content-Length": ""}},
		{"GET", "/same", []string{"If-None-Match", `"x"`}, 304, "", map[string]string{"Etag": `"x"`, "Content-Length": ""}},
		{"GET", "/part", []string{"Range", "bytes=2-4"}, 206, "234", map[string]string{"Content-Range": "bytes 2-4/10", "Accept-Ranges": "bytes"}},
		{"POST", "/bad", nil, 500, page, map[string]string{"Content-Type": "image/png"}},
		{"GET", "/untyped", nil, 200, page, map[string]string{"Content-Type": ""}},
	} {
		resp, text := f.ask(c.method, c.path, nil, c.headers...)
		if resp.StatusCode != c.status || string(text) != c.body {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.path, resp.StatusCode, text, c.status, c.body)
		}
		for name, want := range c.want {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s %s: %s is %q, want %q", c.method, c.path, name, got, want)
			}
		}
		if got := resp.Header["Set-Cookie"]; !slices.Equal(got, []string{"a=1; Path=/", "a=2; Path=/x; HttpOnly"}) {
			t.Errorf("%s %s: cookies %q", c.method, c.path, got)
		}
	}
}

// Uploads of any size stream through, with and without a length, and what
// follows on the connection is read as the next request.
func TestUploads(t *testing.T) {
	f := stand(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refused" {
			w.WriteHeader(413) // without reading
			return
		}
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, " ", r.ContentLength, " ", err)
	}, nil)
	const big = 40 << 20
	for name, c := range map[string]struct {
		body io.Reader
		want string
	}{
		"none":            {nil, "0 0 <nil>"},
		"small":           {strings.NewReader("abc"), "3 3 <nil>"},
		"large":           {bytes.NewReader(make([]byte, big)), fmt.Sprint(big, " ", big, " <nil>")},
		"of no length":    {io.LimitReader(zeros{}, big), fmt.Sprint(big, " -1 <nil>")},
		"of none, little": {io.LimitReader(zeros{}, 5), "5 -1 <nil>"},
	} {
		if _, text := f.ask("POST", "/", c.body); string(text) != c.want {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
	if resp, _ := f.ask("POST", "/refused", bytes.NewReader(make([]byte, 4<<20))); resp.StatusCode != 413 {
		t.Errorf("an upload that is refused early: %d", resp.StatusCode)
	}
	// Pipelined: the second request begins where the first body ends.
	text := f.raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20000) + "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
	if a, b := strings.Index(text, "20000 20000 <nil>"), strings.Index(text, "3 -1 <nil>"); a < 0 || b < a {
		t.Errorf("two requests in a row: %s", text)
	}
	// The sender goes away in the middle: nothing hangs, and the server hears of it.
	if text := f.raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\nabc"); strings.Contains(text, " 200 ") {
		t.Errorf("half a request was answered with %s", text)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// raw sends bytes and gives all that comes back.
func (f *front) raw(text string) string {
	f.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		f.t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		f.t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		f.t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(15 * time.Second))
	all, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		f.t.Fatalf("%v after %q", err, all)
	}
	return string(all)
}

// What comes is passed on at once: the first part is read before the second is
// made, for a file as for a page.
func TestAnswersStream(t *testing.T) {
	more := make(chan struct{})
	f := stand(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		_, _ = io.WriteString(w, "<html><head></head><body>first")
		w.(http.Flusher).Flush()
		<-more
		_, _ = io.WriteString(w, "second")
	}, nil)
	for _, kind := range []string{"text/html", "text/event-stream"} {
		for _, coding := range []string{"identity", "br", "gzip"} {
			resp := f.begin("GET", "/?type="+kind, nil, "Sec-Fetch-Dest", "document", "Accept-Encoding", coding)
			text := unpacked(t, resp)
			seen := ""
			b := make([]byte, 4096)
			for !strings.Contains(seen, "first") {
				n, err := text.Read(b)
				if seen += string(b[:n]); err != nil {
					t.Fatalf("%s, %s: %v after %q", kind, coding, err, seen)
				}
			}
			more <- struct{}{}
			rest, err := io.ReadAll(text)
			if err != nil || string(rest) != "second" {
				t.Errorf("%s, %s: then %q, %v", kind, coding, rest, err)
			}
			if want := kind == "text/html"; strings.Contains(seen, both) != want {
				t.Errorf("%s, %s: %s", kind, coding, seen)
			}
			resp.Body.Close()
		}
	}
	go func() { more <- struct{}{} }()
	if text := f.raw("GET /?type=text/html HTTP/1.0\r\nHost: x\r\nAccept: text/html\r\n\r\n"); !strings.HasSuffix(text, "firstsecond") || strings.Contains(text, "chunked") || !strings.Contains(text, "\r\n\r\n<html>") {
		t.Errorf("to HTTP/1.0: %q", text)
	}
}

func unpacked(t *testing.T, resp *http.Response) io.Reader {
	t.Helper()
	switch c := resp.Header.Get("Content-Encoding"); c {
	case "br":
		return brotli.NewReader(resp.Body)
	case "gzip":
		z, err := gzip.NewReader(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return z
	case "":
		return resp.Body
	default:
		t.Fatalf("coding %q", c)
		return nil
	}
}

func TestASiteThatDoesNotAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "http://" + l.Addr().String()
	l.Close()
	f := standAt(t, dead, nil)
	resp, text := f.visit("/")
	if resp.StatusCode != 502 || !strings.HasPrefix(text, "<!doctype html>") || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("a dead server: %d %q %v", resp.StatusCode, text, resp.Header)
	}
	if resp, text := f.ask("GET", "/x.json", nil); resp.StatusCode != 502 || strings.Contains(string(text), "<") {
		t.Errorf("a dead server, no page: %d %q", resp.StatusCode, text)
	}
	hang := make(chan struct{})
	f = stand(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/half" {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<p>half")
			w.(http.Flusher).Flush()
		}
		<-hang
	}, func(s *Site, _ *Options) { s.Timeout = 100 * time.Millisecond })
	defer close(hang)
	if resp, _ := f.visit("/"); resp.StatusCode != 504 {
		t.Errorf("a server that hangs: %d", resp.StatusCode)
	}
	// An answer that stops in the middle must not look whole.
	half := f.begin("GET", "/half", nil, "Sec-Fetch-Dest", "document")
	defer half.Body.Close()
	if got, err := io.ReadAll(half.Body); err == nil || !strings.HasSuffix(string(got), "<p>half") {
		t.Errorf("a server that hangs in the middle: %q, %v", got, err)
	}
	if text := f.raw("GET http://elsewhere/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.Contains(text, " 400 ") {
		t.Errorf("an address that is no path: %q", text)
	}
}

func TestWebSocket(t *testing.T) {
	ended := make(chan struct{})
	f := stand(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Connection") != "Upgrade" || r.Header.Get("Sec-WebSocket-Key") != "k" {
			w.WriteHeader(400)
			return
		}
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer close(ended)
		defer c.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\nhello ")
		_ = rw.Flush()
		_, _ = io.Copy(c, rw) // echo
	}, nil)
	c, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n\r\nabc")
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("Sec-WebSocket-Accept") != "a" {
		t.Fatalf("%v %v", resp, err)
	}
	_, _ = io.WriteString(c, "def")
	got := make([]byte, len("hello abcdef"))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != "hello abcdef" {
		t.Errorf("got %q, %v", got, err)
	}
	c.Close()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the server's side stays open")
	}
	if resp, _ := f.ask("GET", "/ws", nil); resp.StatusCode != 400 {
		t.Errorf("without an upgrade: %d", resp.StatusCode)
	}
}
