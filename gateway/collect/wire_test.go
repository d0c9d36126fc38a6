package collect

import (
	"bufio"
	"bytes"
	"errors"
	"image/gif"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
)

// talk sends bytes as they are and reads answers until the connection closes,
// or one answer when it stays open.
func (w *world) talk(raw string) (statuses []int, texts []string, closed bool) {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		w.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		w.t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for {
		a, err := http.ReadResponse(in, nil)
		if err != nil {
			return statuses, texts, true
		}
		text, err := io.ReadAll(a.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		statuses, texts = append(statuses, a.StatusCode), append(texts, string(text))
		if !a.Close && in.Buffered() == 0 {
			return statuses, texts, false
		}
	}
}

// Whatever could make a proxy in front see other requests than we do ends the
// connection, and what follows on it is never looked at.
func TestSmuggling(t *testing.T) {
	w := start(t)
	const next = "POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: 29\r\n\r\n" + `{"writeKey":"x","event":"ev"}`
	good := "POST /v1/track HTTP/1.1\r\nHost: x\r\nX-Write-Key: wk_shop\r\n"
	for name, raw := range map[string]string{
		"CL and TE":          good + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE and CL":          good + "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
		"CL twice":           good + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"CL twice, differ":   good + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		"CL a list":          good + "Content-Length: 2, 2\r\n\r\n{}",
		"CL signed":          good + "Content-Length: +2\r\n\r\n{}",
		"CL negative":        good + "Content-Length: -2\r\n\r\n{}",
		"TE twice":           good + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE identity and CL": good + "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
		"TE a list":          good + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"TE hidden by case":  good + "tRANSFER-eNCODING: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"space before colon": good + "Content-Length : 2\r\n\r\n{}",
		"folded header":      good + "X-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\n{}",
		"folded with a tab":  good + "X-A: 1\r\n\tContent-Length: 0\r\nContent-Length: 2\r\n\r\n{}",
		"bare line feed":     good + "X-A: 1\nContent-Length: 2\r\n\r\n{}",
		"no Host":            "POST /v1/track HTTP/1.1\r\nX-Write-Key: wk_shop\r\nContent-Length: 2\r\n\r\n{}",
		"Host twice":         good + "Host: y\r\nContent-Length: 2\r\n\r\n{}",
		"bad chunk":          good + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
		"no HTTP at all":     "hello\r\n\r\n",
	} {
		statuses, texts, closed := w.talk(raw + next)
		if len(statuses) != 1 || statuses[0] != 400 || !closed {
			t.Errorf("%s: answers %v, closed %v; want one 400 and the end: %s", name, statuses, closed, texts)
			continue
		}
		if !strings.HasPrefix(texts[0], `{"error":{"code":"bad_request","message":"`) {
			t.Errorf("%s: %s", name, texts[0])
		}
	}
	if len(w.intake.calls) != 0 {
		t.Error(w.intake.calls)
	}
	// What is well formed passes, several on one connection.
	body := `{"event":"A"}`
	chunked := good + "Transfer-Encoding: chunked\r\n\r\nd\r\n" + body + "\r\n0\r\n\r\n"
	if statuses, texts, _ := w.talk(chunked + chunked); len(statuses) != 2 || statuses[0] != 200 || statuses[1] != 200 {
		t.Errorf("chunked: %v %s", statuses, texts)
	}
}

func TestTooMuchHead(t *testing.T) {
	w := start(t)
	statuses, texts, closed := w.talk("GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 20<<10) + "\r\n\r\n")
	if len(statuses) != 1 || statuses[0] != 431 || !closed || !strings.Contains(texts[0], "headers_too_large") {
		t.Errorf("%v %s", statuses, texts)
	}
}

func TestSlowSender(t *testing.T) {
	w := start(t)
	statuses, texts, closed := w.talk("POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	if !closed || len(statuses) > 1 || len(statuses) == 1 && (statuses[0] != 408 || !strings.Contains(texts[0], "timeout")) {
		t.Errorf("%v %s closed %v", statuses, texts, closed)
	}
}

func TestHealth(t *testing.T) {
	var broken error
	w := start(t, func(o *Options) { o.Ready = func() error { return broken } })
	for _, path := range []string{"/healthz", "/readyz"} {
		for _, m := range []string{"GET", "HEAD"} {
			r := w.send(m, path, "")
			if r.StatusCode != 200 || m == "GET" && r.text != `{"status":"ok"}` || r.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: %d %s", m, path, r.StatusCode, r.text)
			}
		}
	}
	broken = errors.New("the disk is full")
	r := w.send("GET", "/readyz", "")
	w.want(r, 503, "not_ready")
	if r.Header.Get("Retry-After") == "" || strings.Contains(r.text, "disk") {
		t.Errorf("%s %v", r.text, r.Header)
	}
	w.want(w.send("GET", "/healthz", ""), 200, "")
}

func TestSettings(t *testing.T) {
	w := start(t, func(o *Options) { o.TrustedProxies = prefixes("127.0.0.1/32") })
	r := w.send("GET", "/v1/projects/wk_shop/settings", "", "Origin: https://anywhere.example")
	w.want(r, 200, "")
	for key, want := range map[string]any{"apiKey": "wk_shop", "apiHost": w.addr + "/v1", "protocol": "http"} {
		if got := r.json(t, "integrations", "Segment.io", key); got != want {
			t.Errorf("%s is %v; want %v", key, got, want)
		}
	}
	if r.json(t, "plan", "track", "__default", "enabled") != true || r.json(t, "metrics", "sampleRate") != 0.0 {
		t.Error(r.text)
	}
	if r.Header.Get("Access-Control-Allow-Origin") != "*" || r.Header.Get("Access-Control-Allow-Credentials") != "" || strings.Contains(r.Header.Get("Cache-Control"), "public") {
		t.Errorf("%v", r.Header)
	}
	r = w.send("GET", "/v1/projects/wk_shop/settings", "", "X-Forwarded-Proto: https", "Host: t.shop.example")
	if r.json(t, "integrations", "Segment.io", "protocol") != "https" || r.json(t, "integrations", "Segment.io", "apiHost") != "t.shop.example/v1" {
		t.Error(r.text)
	}
	for _, key := range []string{"nobody", "sk_shop_0123456789"} {
		w.want(w.send("GET", "/v1/projects/"+key+"/settings", ""), 404, "write_key_unknown")
	}
	for _, path := range []string{"/v1/projects//settings", "/v1/projects/a/b/settings", "/v1/projects/wk_shop/settings/x"} {
		w.want(w.send("GET", path, ""), 404, "not_found")
	}
	w.want(w.send("OPTIONS", "/v1/projects/wk_shop/settings", "", "Origin: https://anywhere.example"), 200, "")
	if statuses, texts, _ := w.talk("GET /v1/projects/wk_shop/settings HTTP/1.1\r\nHost: evil\"/x\r\n\r\n"); len(statuses) != 1 || statuses[0] != 400 {
		t.Errorf("%v %s", statuses, texts)
	}
}

func TestSettingsWithoutTrust(t *testing.T) {
	w := start(t)
	r := w.send("GET", "/v1/projects/wk_shop/settings", "", "X-Forwarded-Proto: https")
	if r.json(t, "integrations", "Segment.io", "protocol") != "http" {
		t.Error(r.text)
	}
}

func TestPixel(t *testing.T) {
	w := start(t)
	r := w.send("GET", "/v1/p.gif?writeKey=wk_shop&url=https%3A%2F%2Fshop.example%2Fa%3Futm_source%3Dmail&title=%C3%A4%22&referrer=https://r/&userId=victim&anonymousId=chosen&messageId=m1", "")
	w.want(r, 200, "")
	if len(r.text) != 43 || r.Header.Get("Content-Type") != "image/gif" || r.Header.Get("Cache-Control") != "no-store, private" || r.Header.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
		t.Errorf("%d bytes, %v", len(r.text), r.Header)
	}
	if img, err := gif.Decode(bytes.NewReader([]byte(r.text))); err != nil || img.Bounds().Dx() != 1 || img.Bounds().Dy() != 1 {
		t.Errorf("no picture: %v", err)
	} else if _, _, _, alpha := img.At(0, 0).RGBA(); alpha != 0 {
		t.Error("the picture can be seen")
	}
	c := onlyCookie(t, r)
	q := w.intake.last(t, 1)
	e := q.Batch.Events[0]
	if e.Type != event.Page || e.UserID != "" || e.AnonymousID != "" || e.MessageID != "m1" || q.Source != event.FromPixel || !q.Fresh {
		t.Errorf("%+v", q)
	}
	if e.Context.Get("page", "url").Text() != "https://shop.example/a?utm_source=mail" || e.Properties.Get("title").Text() != `ä"` || e.Context.Get("page", "referrer").Text() != "https://r/" {
		t.Errorf("%s %s", e.Context, e.Properties)
	}
	w.send("GET", "/v1/p.gif?writeKey=wk_shop&e=Opened", "", "Cookie: reuna="+c.Value, "Referer: https://shop.example/mail")
	if again := w.intake.last(t, 2); again.AnonymousID != q.AnonymousID || again.Batch.Events[0].Type != event.Track || again.Batch.Events[0].Name != "Opened" ||
		again.Batch.Events[0].Context.Get("page", "url").Text() != "https://shop.example/mail" {
		t.Errorf("%+v", again)
	}
	// In another site's page it is nobody's visit.
	r = w.send("GET", "/v1/p.gif?writeKey=wk_shop&anonymousId=chosen", "", "Cookie: reuna="+c.Value, "Sec-Fetch-Site: cross-site")
	if other := w.intake.last(t, 3); other.HasVisitor || other.Batch.Events[0].AnonymousID != "chosen" || len(r.Cookies()) != 0 {
		t.Errorf("%+v %v", other, r.Cookies())
	}
	w.want(w.send("GET", "/v1/p.gif", ""), 401, "write_key_missing")
	w.want(w.send("GET", "/v1/p.gif?writeKey=no", ""), 401, "write_key_unknown")
	w.want(w.send("GET", "/v1/p.gif?writeKey=sk_shop_0123456789", ""), 403, "server_key_in_page")
	w.want(w.send("GET", "/v1/p.gif?writeKey=wk_shop&type=track", ""), 400, "missing_field")
	w.want(w.send("GET", "/v1/p.gif?writeKey=wk_shop", "", "Origin: https://evil.example"), 403, "origin_not_allowed")
}

func TestExtraHandlers(t *testing.T) {
	say := func(text string) fasthttp.RequestHandler {
		return func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString(text) }
	}
	w := start(t, func(o *Options) {
		o.Extra = map[string]fasthttp.RequestHandler{"/tag/": say("tag"), "/demo/": say("demo"), "/demo/api/": say("api"), "/v1/hooks/": say("hook"), "/v1/profile/": say("never under a personal route's own name")}
	})
	for path, want := range map[string]string{"/tag/wk.js": "tag", "/demo/": "demo", "/demo/api/x": "api", "/v1/hooks/stripe": "hook"} {
		r := w.send("GET", path, "")
		if r.text != want || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s %v", path, r.text, r.Header)
		}
	}
	w.want(w.post("/v1/profile", interactBody), 200, "")
	w.want(w.send("GET", "/tagx", ""), 404, "not_found")
}

func TestPrefix(t *testing.T) {
	w := start(t, func(o *Options) { o.Prefix = "/shop/collect" })
	w.want(w.post("/shop/collect/track", trackBody), 200, "")
	w.want(w.post("/v1/track", trackBody), 404, "not_found")
	if r := w.send("GET", "/shop/collect/projects/wk_shop/settings", ""); r.json(t, "integrations", "Segment.io", "apiHost") != w.addr+"/shop/collect" {
		t.Error(r.text)
	}
	for _, p := range []string{"v1", "/v1/", "/"} {
		o := options(t)
		o.Intake, o.Prefix = idle{}, p
		if _, err := New(o); err == nil {
			t.Errorf("prefix %q taken", p)
		}
	}
}

func TestCounts(t *testing.T) {
	w := start(t)
	w.post("/v1/t", trackBody)
	w.post("/v1/interact", "{")
	w.post("/nowhere", "")
	w.send("GET", "/healthz", "")
	want := []counted{{"track", 200, ""}, {"interact", 400, "invalid_json"}, {"other", 404, "not_found"}, {"healthz", 200, ""}}
	if len(w.counts.seen) != len(want) {
		t.Fatalf("%v", w.counts.seen)
	}
	for i := range want {
		if w.counts.seen[i] != want[i] {
			t.Errorf("%v; want %v", w.counts.seen[i], want[i])
		}
	}
}

func FuzzHead(f *testing.F) {
	f.Add([]byte("Host: x\r\nCookie: a=b\r\nX-Forwarded-For: 1\r\nX-Forwarded-For: 2\r\n\r\n"))
	f.Add([]byte("Host: x\r\n folded\r\n\r\n"))
	f.Add([]byte(":\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := string(raw)
		var h head
		first := h.read(raw)
		if string(raw) != before {
			t.Fatal("the block was written to")
		}
		h.reset()
		if again := h.read(raw); again != first {
			t.Fatalf("%q, then %q", first, again)
		}
		if first == "" && h.host == nil {
			t.Fatal("taken without a host")
		}
	})
}

func FuzzOrigin(f *testing.F) {
	s, err := newSite(Site{Name: "a", WriteKey: "k", Origins: []string{"https://shop.example", "https://*.deep.example"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("https://shop.example")
	f.Add("https://a.deep.example")
	f.Fuzz(func(t *testing.T, origin string) {
		if !s.allows(origin) || origin == "https://shop.example" {
			return
		}
		host, ok := strings.CutPrefix(origin, "https://")
		if !ok || !strings.HasSuffix(host, ".deep.example") || strings.ContainsAny(host, "/@:?#\\ ") {
			t.Fatalf("%q taken", origin)
		}
	})
}
