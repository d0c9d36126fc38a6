package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// faultyFront is a site, and its network between browser and gateway: it serves
// pages, passes the tag on, and loses, delays and refuses what the tag sends.
type faultyFront struct {
	*httptest.Server
	client http.Client

	mu      sync.Mutex
	rand    *rand.Rand
	gateway string // where it is now
	snippet string // what it says to put into pages
	healed  bool
	spell   time.Time     // until then every request is answered 503,
	calm    time.Duration // and for so long from then on few are
	fates   map[string]int
	history map[string][]string // of each message, for who has to find out
}

func newFaultyFront(seed uint64) *faultyFront {
	f := &faultyFront{rand: rand.New(rand.NewPCG(seed, 7)), fates: map[string]int{}, history: map[string][]string{}}
	f.client.Timeout = 10 * time.Second
	f.Server = httptest.NewServer(f)
	return f
}

// stands says where the gateway is; "" when it is down.
func (f *faultyFront) stands(at string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gateway = at
}

// shows puts a snippet into the pages.
func (f *faultyFront) shows(snippet string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snippet = snippet
}

// heal ends all faults.
func (f *faultyFront) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.healed = true
}

// The fates of a request: what happens to it before the gateway, and to the answer behind it.
const (
	fatePass   = "passed"
	fateLate   = "passed late"
	fateRefuse = "503"
	fateLose   = "lost"
	fateAnswer = "answer lost"
	fateGarble = "answer replaced by 502"
	fateDown   = "gateway down"
)

// note writes down what became of a request's messages.
func (f *faultyFront) note(r *http.Request, body []byte, what string) {
	var sent struct {
		Batch []struct {
			MessageID string
			Context   struct{ Runs [][3]any }
		}
	}
	if !strings.HasPrefix(r.URL.Path, "/v1/") {
		return
	}
	err := json.Unmarshal(body, &sent)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.history[""] = append(f.history[""], fmt.Sprintf("%s: %v: %q", what, err, body))
	}
	for _, m := range sent.Batch {
		for _, r := range m.Context.Runs {
			path := r[2].(string)
			f.history[path] = append(f.history[path], fmt.Sprintf("%s reported %v: %s", time.Now().Format("05.000"), r[1], what))
		}
		f.history[m.MessageID] = append(f.history[m.MessageID], fmt.Sprintf("%s %s %s from %s", time.Now().Format("05.000"), what, r.URL.Path, r.RemoteAddr))
	}
}

func (f *faultyFront) fate() (fate, gateway string, delay time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	fate = fatePass
	if !f.healed {
		if now.After(f.spell.Add(f.calm)) {
			f.spell = now.Add(time.Duration(200+f.rand.IntN(800)) * time.Millisecond)
			f.calm = time.Duration(4+f.rand.IntN(10)) * time.Second
		}
		switch n := f.rand.IntN(100); {
		case now.Before(f.spell), n < 2:
			fate = fateRefuse
		case n < 6:
			fate = fateLose
		case n < 11:
			fate = fateAnswer
		case n < 13:
			fate = fateGarble
		case n < 23:
			fate, delay = fateLate, time.Duration(f.rand.IntN(300))*time.Millisecond
		}
	}
	if f.gateway == "" && fate != fateRefuse && fate != fateLose {
		fate = fateDown
	}
	f.fates[fate]++
	return fate, f.gateway, delay
}

func (f *faultyFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/v1/"):
		f.collect(w, r)
	case strings.HasPrefix(path, "/tag/"):
		f.mu.Lock()
		gateway := f.gateway
		f.mu.Unlock()
		f.pass(w, r, gateway)
	case path == "/dump":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!doctype html><title>dump</title>")
	case path == "/favicon.ico":
		http.NotFound(w, r)
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store") // and so not restored from the back/forward cache
		f.mu.Lock()
		snippet := f.snippet
		f.mu.Unlock()
		fmt.Fprintf(w, visitPage, snippet, r.FormValue("events"), r.FormValue("every"))
	}
}

// visitPage says what it made, to the test and to the browser's storage, because
// a page that is closed or left is not heard any more, nor always told of its end.
const visitPage = `<!doctype html><title>visit</title>
%s
<script>
const all = [];
let leaving = false;
reuna.on("error", e => heard(JSON.stringify([location.pathname, "", 0, String(e)])));
reuna.on("event", m => {
	all.push([m.messageId, m.context.seq, (m.event || m.type) + (leaving ? " after pagehide" : "") + (document.hidden ? " hidden" : "")]);
	localStorage["made." + location.pathname] = JSON.stringify(all);
	heard(JSON.stringify([location.pathname, ...all.at(-1)]));
});
addEventListener("pagehide", () => { leaving = true }, true);
let left = %s;
const step = () => { if (left-- > 0) { reuna.track("Step", {left}); setTimeout(step, %s * Math.random()) } };
step();
</script>`

func (f *faultyFront) collect(w http.ResponseWriter, r *http.Request) {
	fate, gateway, delay := f.fate()
	body, err := io.ReadAll(r.Body)
	f.note(r, body, fate)
	if err != nil {
		hangUp(w)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done(): // the browser has gone; what it sent is on its way
		}
	}
	switch fate {
	case fateRefuse:
		w.WriteHeader(http.StatusServiceUnavailable)
	case fateDown:
		w.WriteHeader(http.StatusBadGateway)
	case fateLose:
		hangUp(w)
	case fateAnswer:
		f.pass(httptest.NewRecorder(), r, gateway)
		hangUp(w)
	case fateGarble:
		f.pass(httptest.NewRecorder(), r, gateway)
		w.WriteHeader(http.StatusBadGateway)
	default:
		f.pass(w, r, gateway)
	}
}

func (f *faultyFront) pass(w http.ResponseWriter, r *http.Request, gateway string) {
	body, err := io.ReadAll(r.Body)
	if err != nil || gateway == "" {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	// Not with the browser's context: what a proxy has taken it passes on.
	out, err := http.NewRequest(r.Method, gateway+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	out.Header, out.Host = r.Header.Clone(), r.Host
	resp, err := f.client.Do(out)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	f.note(r, body, resp.Status)
	for k, v := range resp.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer) // a browser that has gone
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) {
	h, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	c, _, err := h.Hijack()
	if err == nil {
		_ = c.Close()
	}
}
