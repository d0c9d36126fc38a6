package admin_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/identity/event"
)

func TestWhoMayCome(t *testing.T) {
	d := newDesk(t, nil)
	open := []string{"/", "/healthz", "/readyz"}
	closed := []string{"/openapi.yaml", "/metrics", "/debug/pprof/", "/debug/pprof/heap", persons + "user_id:u1", persons + "user_id:u1/events",
		persons + "user_id:u1/identities", "/admin/v1/quarantine", "/nothing", "/admin", "/debug/pprof/nothing", "/healthz/", "/./healthz", "/%68ealthz"}
	for _, path := range open {
		for _, auth := range []string{"-", "Bearer wrong", ""} {
			if a := d.do(ask{path: path, authorization: auth}); a.status != 200 {
				t.Errorf("%s with %q: %d", path, auth, a.status)
			}
		}
	}
	for i, path := range closed {
		from := fmt.Sprintf("127.0.1.%d", i+1) // so that no address is locked out
		for _, c := range []struct{ auth, code string }{
			{"-", "no_key"}, {"Bearer", "no_key"}, {"Bearer ", "no_key"}, {key, "no_key"}, {"Basic " + key, "no_key"},
			{"Bearer wrong", "wrong_key"}, {"Bearer " + key + "x", "wrong_key"}, {"Bearer " + key[1:], "wrong_key"}, {"Bearer " + strings.ToUpper(key), "wrong_key"},
		} {
			a := d.do(ask{path: path, authorization: c.auth, from: from})
			a.fails(401, c.code)
			if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s: no challenge", path)
			}
		}
		for _, auth := range []string{"Bearer " + key, "bearer  " + key, "Bearer another-admin-key-9876543210"} {
			if a := d.do(ask{path: path, authorization: auth, from: from}); a.status == 401 || a.status == 429 {
				t.Errorf("%s with %q: %d", path, auth, a.status)
			}
		}
	}
	d.do(ask{path: "/nothing"}).fails(404, "not_found")
	d.do(ask{path: "/debug/pprof/nothing"}).fails(404, "unknown_profile")
	d.do(ask{path: "/debug/pprof/profile?seconds=3600"}).fails(400, "invalid_seconds")
	a := d.do(ask{path: "/metrics", method: "PUT"})
	if a.fails(405, "method_not_allowed"); a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("Allow: %q", a.header.Get("Allow"))
	}
	d.do(ask{path: "/metrics", method: "DELETE", authorization: "-"}).fails(401, "no_key")
	mustNotContain(t, "the log", d.log.String(), key, "another-admin", "wrong_key")
}

func TestKeysThatCannotBe(t *testing.T) {
	for _, keys := range [][]string{nil, {""}, {"good-enough-key-1", "with space"}, {"new\nline"}, {"ключ"}} {
		o := openStore(t).options()
		o.Keys = keys
		_, err := admin.New(o)
		if err == nil {
			t.Errorf("%q: no error", keys)
		} else if len(keys) > 0 && keys[len(keys)-1] != "" && strings.Contains(err.Error(), keys[len(keys)-1]) {
			t.Errorf("the error tells the key: %v", err)
		}
	}
	_, err := admin.New(admin.Options{Hosts: []string{"a b", "ok.example:8443", ""}})
	for _, part := range []string{"People is nil", "Activity is nil", "no admin key", `"a b"`, `""`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v lacks %s", err, part)
		}
	}
}

func TestLockOut(t *testing.T) {
	d := newDesk(t, nil)
	wrong := ask{path: "/metrics", authorization: "Bearer wrong", from: "127.0.0.2"}
	right := ask{path: "/metrics", from: "127.0.0.2"}
	for range 9 {
		d.do(wrong).fails(401, "wrong_key")
	}
	d.do(ask{path: "/metrics", authorization: "-", from: "127.0.0.2"}).fails(401, "no_key") // guesses nothing
	if a := d.do(right); a.status != 200 {
		t.Fatalf("after nine: %d", a.status)
	}
	d.pass(61 * time.Second) // those are over
	for range 10 {
		d.do(wrong).fails(401, "wrong_key")
	}
	for _, a := range []ask{wrong, right} {
		got := d.do(a)
		if got.fails(429, "too_many_failures"); got.header.Get("Retry-After") != "60" {
			t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
		}
	}
	for _, a := range []ask{{path: "/metrics"}, {path: "/healthz", from: "127.0.0.2"}} {
		if got := d.do(a); got.status != 200 {
			t.Errorf("%+v: %d", a, got.status)
		}
	}
	d.pass(59500 * time.Millisecond)
	if got := d.do(right); got.status != 429 || got.header.Get("Retry-After") != "1" {
		t.Errorf("%d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
	d.pass(500 * time.Millisecond)
	if got := d.do(right); got.status != 200 {
		t.Errorf("after a minute: %d", got.status)
	}
	if !strings.Contains(d.log.String(), "locked out") {
		t.Error("the log does not tell of the lock-out")
	}
}

// TestGuessesAtOnce: many guesses at the same time are no more than ten.
func TestGuessesAtOnce(t *testing.T) {
	d := newDesk(t, nil)
	var guessed, locked atomic.Int64
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			switch d.do(ask{path: "/metrics", authorization: fmt.Sprint("Bearer guess", i)}).status {
			case 401:
				guessed.Add(1)
			case 429:
				locked.Add(1)
			}
		})
	}
	all.Wait()
	if guessed.Load() != 10 || locked.Load() != 30 {
		t.Errorf("%d guesses were judged and %d were not", guessed.Load(), locked.Load())
	}
}

func TestForeignHosts(t *testing.T) {
	d := newDesk(t, func(o *admin.Options) { o.Hosts = []string{"Desk.Example", "cdp.example:8443"} })
	port := d.base[strings.LastIndexByte(d.base, ':'):]
	for _, host := range []string{"", "localhost", "localhost" + port, "LOCALHOST:1", "localhost.", "localhost:", "127.0.0.1" + port, "127.0.0.2", "[::1]" + port, "[::ffff:127.0.0.1]",
		"desk.example", "desk.example:443", "cdp.example", "cdp.example."} {
		for _, path := range []string{"/", "/healthz", "/metrics"} {
			if a := d.do(ask{path: path, host: host}); a.status != 200 {
				t.Errorf("%q %s: %d %s", host, path, a.status, a.body)
			}
		}
	}
	for _, host := range []string{"evil.example", "evil.example" + port, "localhost.evil.example", "127.0.0.1.evil.example", "xdesk.example", "10.0.0.1", "[2001:db8::1]", "0.0.0.0"} {
		for _, path := range []string{"/", "/healthz", "/metrics", "/nothing"} {
			d.do(ask{path: path, host: host}).fails(403, "foreign_host")
		}
	}
	for _, host := range []string{"a b", "localhost:port", "[::1", "[localhost]", "a:1:2"} {
		if a := d.raw("GET /healthz HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"); !strings.Contains(a, " 400 ") {
			t.Errorf("%q: %s", host, a)
		}
	}
	if a := d.raw("GET /healthz HTTP/1.0\r\n\r\n"); !strings.Contains(a, " 200 ") {
		t.Errorf("HTTP/1.0 without a host: %s", a)
	}
	if a := d.raw("GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); !strings.Contains(a, " 403 ") {
		t.Errorf("a foreign host in the request line: %s", a)
	}
}

// raw sends bytes as they are and gives what comes back.
func (d *desk) raw(request string) string {
	d.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(d.base, "http://"))
	if err != nil {
		d.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(request)); err != nil {
		d.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(conn); err != nil {
		d.Fatal(err)
	}
	return b.String()
}

func TestWhatIsNoRequest(t *testing.T) {
	d := newDesk(t, nil)
	for request, status := range map[string]string{
		"nonsense\r\n\r\n": " 400 ",
		// As much as fits, and no end: nothing is left unread, which would reset the connection.
		fmt.Sprintf("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: %16341s", "x"):      " 431 ",
		"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n": " 413 ",
	} {
		if a := d.raw(request); !strings.Contains(a, status) || !strings.Contains(a, `{"error":{"code":`) {
			t.Errorf("%.30q: %s", request, a)
		}
	}
}

func TestReadiness(t *testing.T) {
	var failing atomic.Bool
	d := newDesk(t, func(o *admin.Options) {
		o.Ready = func() error {
			if failing.Load() {
				return errors.New("disk of /srv/secret-place is full")
			}
			return nil
		}
	})
	for round := range 2 {
		failing.Store(false)
		if a := d.do(ask{path: "/readyz", authorization: "-"}); a.status != 200 || a.body != `{"status":"ready"}` {
			t.Errorf("round %d: %d %s", round, a.status, a.body)
		}
		failing.Store(true)
		for range 3 {
			a := d.do(ask{path: "/readyz", authorization: "-"})
			if a.fails(503, "not_ready"); a.header.Get("Retry-After") != "5" || strings.Contains(a.body, "secret-place") {
				t.Errorf("%v %s", a.header, a.body)
			}
		}
	}
	if a := d.do(ask{path: "/healthz", authorization: "-"}); a.body != `{"status":"ok"}` {
		t.Error(a.body)
	}
	if n := strings.Count(d.log.String(), "secret-place"); n != 2 {
		t.Errorf("the log tells %d times of 2 changes:\n%s", n, d.log)
	}
}

// TestMetrics: what /metrics says is in Prometheus' text format, holds what was
// handed in and the desk's own counters, and tells nothing of whom was asked for.
func TestMetrics(t *testing.T) {
	set := metrics.NewSet()
	set.NewCounter(`reuna_events_total{source="tag"}`).Set(42)
	d := newDesk(t, func(o *admin.Options) { o.Metrics = set })
	const canary = "canary-7f3a"
	e := msg(1, event.Identify, canary+"-device", canary+"-user")
	e.Traits = `{"email":"canary-7f3a@x.fi"}`
	d.send(e)
	d.get(persons + "user_id:" + canary + "-user")
	d.get(persons + "user_id:" + canary + "-nobody")
	d.get(persons + canary)
	d.get("/" + canary + "?" + canary + "=1")
	d.do(ask{path: "/metrics", authorization: "Bearer " + canary})
	d.do(ask{path: "/metrics", host: canary + ".example"})
	d.do(ask{path: "/metrics", method: "CANARY-7F3A"})
	a := d.get("/metrics")
	if got := a.header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") {
		t.Errorf("content type %q", got)
	}
	mustNotContain(t, "/metrics", strings.ToLower(a.body), canary, key)
	mustNotContain(t, "the log", d.log.String(), canary+"-user", canary+"-nobody", canary+"@", "Bearer")
	sample := regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\.)*"(, ?[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\.)*")*\})? [-+]?([0-9.eE+-]+|Inf|NaN)$`)
	seen := map[string]bool{}
	for line := range strings.Lines(a.body) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !sample.MatchString(line) {
			t.Errorf("no sample: %s", line)
		}
		name := line[:strings.LastIndexByte(line, ' ')]
		if seen[name] {
			t.Errorf("%s stands twice", name)
		}
		seen[name] = true
	}
	for _, name := range []string{`reuna_events_total{source="tag"}`, `reuna_desk_requests_total{route="/admin/v1/persons/{identifier}",code="200"}`,
		`reuna_desk_requests_total{route="/admin/v1/persons/{identifier}",code="404"}`, `reuna_desk_requests_total{route="none",code="404"}`,
		`reuna_desk_refused_total{reason="wrong_key"}`, `reuna_desk_refused_total{reason="foreign_host"}`,
		"go_goroutines", "process_resident_memory_bytes"} {
		if !seen[name] {
			t.Errorf("%s is missing in\n%s", name, a.body)
		}
	}
}

func TestProfiles(t *testing.T) {
	d := newDesk(t, nil)
	for path, kind := range map[string]string{
		"/debug/pprof/": "text/html", "/debug/pprof/heap": "application/octet-stream", "/debug/pprof/goroutine?debug=1": "text/plain",
		"/debug/pprof/cmdline": "text/plain", "/debug/pprof/trace?seconds=0.01": "application/octet-stream",
		"/debug/pprof/profile?seconds=1": "application/octet-stream",
	} {
		a := d.get(path)
		if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), kind) || a.body == "" {
			t.Errorf("%s: %d %q", path, a.status, a.header.Get("Content-Type"))
		}
	}
}

func TestPage(t *testing.T) {
	d := newDesk(t, func(o *admin.Options) { o.Version = "<v1&2>"; o.Hosts = []string{"desk.example"} })
	a := d.do(ask{path: "/", authorization: "-", host: "desk.example:8081"})
	for _, part := range []string{"Reuna", "&lt;v1&amp;2&gt;", `"http://desk.example:8081/admin/v1/persons/user_id:u1"`, "Authorization: Bearer", "/debug/pprof/{profile}"} {
		if !strings.Contains(a.body, part) {
			t.Errorf("the page lacks %s", part)
		}
	}
	policy := a.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") || strings.Contains(a.body, "style=") {
		t.Errorf("policy %s", policy)
	}
}

// TestHeaders holds for every answer, of whatever kind.
func TestHeaders(t *testing.T) {
	d := newDesk(t, nil)
	for _, path := range []string{"/", "/healthz", "/metrics", "/openapi.yaml", "/debug/pprof/", "/debug/pprof/heap", "/nothing", persons + "user_id:u1", "/admin/v1/quarantine"} {
		for _, method := range []string{"GET", "HEAD"} {
			a := d.do(ask{path: path, method: method})
			for name, want := range map[string]string{"Cache-Control": "no-store, private", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin"} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s %s: %s is %q", method, path, name, got)
				}
			}
			if !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") || a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Server") != "" || a.header.Get("Content-Type") == "" {
				t.Errorf("%s %s: %v", method, path, a.header)
			}
			if method == "HEAD" && a.body != "" {
				t.Errorf("HEAD %s has a body", path)
			}
		}
	}
}

func TestDefaultsAreUsable(t *testing.T) {
	if _, err := admin.New(openStore(t).options()); err != nil {
		t.Error(err)
	}
}
