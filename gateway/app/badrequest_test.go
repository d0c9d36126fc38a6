package app_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestBadRequests: who may speak, where, and how.
func TestBadRequests(t *testing.T) {
	g := start(t, strict)
	good := track("good", "")
	interact := `{"writeKey":"` + writeKey + `","batch":[]}`
	for _, b := range []bad{
		{name: "unknown key", headers: []string{"Authorization", "", "X-Write-Key", "wk_nobody"}, body: good, status: 401, code: "write_key_unknown", says: []string{"write_key"}},
		{name: "unknown key in the body", headers: []string{"Authorization", ""}, body: `{"writeKey":"wk_nobody","event":"E","userId":"bad"}`, status: 401, code: "write_key_unknown"},
		{name: "no key", headers: []string{"Authorization", ""}, body: good, status: 401, code: "write_key_missing", says: []string{"X-Write-Key", "writeKey"}},
		{name: "Basic that is no base64", headers: []string{"Authorization", "", "Authorization", "Basic %%%"}, body: good, status: 401, code: "write_key_unknown"},
		{name: "key under another scheme", headers: []string{"Authorization", "", "Authorization", "Bearer " + writeKey}, body: good, status: 401, code: "write_key_missing"},
		{name: "secret key in a page", path: "/v1/interact", headers: []string{"Authorization", "", "X-Write-Key", serverKey}, body: `{"batch":[]}`, status: 403, code: "server_key_in_page", says: []string{"change the server key"}},
		{name: "two keys of one header", headers: []string{"X-Write-Key", "a", "X-Write-Key", "b"}, body: good, status: 400, code: "bad_request", says: []string{"X-Write-Key", "twice"}},
		{name: "settings of an unknown key", method: "GET", path: "/v1/projects/wk_nobody/settings", status: 404, code: "write_key_unknown"},
		{name: "settings of a server key", method: "GET", path: "/v1/projects/" + serverKey + "/settings", status: 404, code: "write_key_unknown"},
		{name: "tag of an unknown key", method: "GET", path: "/tag/wk_nobody.js", status: 404, code: "unknown_tag", says: []string{"/tag/wk_nobody.js"}},
		{name: "wrong method", method: "GET", path: "/v1/track", status: 405, code: "method_not_allowed", says: []string{"GET", "POST"}},
		{name: "wrong method of the settings", method: "POST", path: "/v1/projects/" + writeKey + "/settings", body: "{}", status: 405, code: "method_not_allowed"},
		{name: "unknown path", path: "/v1/nothing", body: good, status: 404, code: "not_found", says: []string{"/openapi.yaml"}},
		{name: "unknown path outside the API", method: "GET", path: "/nothing", status: 404, code: "not_found"},
		{name: "personal path as a public file", path: "/v1/profile/a.css", body: interact, status: 404, code: "not_found"},
		{name: "personal path, written otherwise", path: "/v1/%70rofile", body: interact, status: 404, code: "not_found"},
		{name: "the desk's routes on the site", method: "GET", path: "/admin/v1/quarantine", headers: []string{"Authorization", "", "Authorization", "Bearer " + adminKey}, status: 404, code: "not_found"},
		{name: "foreign origin", headers: []string{"Origin", "https://evil.example"}, body: good, status: 403, code: "origin_not_allowed", says: []string{"https://evil.example", "origins"}},
		{name: "foreign origin that looks alike", path: "/v1/interact", headers: []string{"Origin", "https://shop.example.evil.example"}, body: interact, status: 403, code: "origin_not_allowed"},
		{name: "origin null", path: "/v1/interact", headers: []string{"Origin", "null"}, body: interact, status: 403, code: "origin_not_allowed"},
		{name: "foreign preflight", method: "OPTIONS", path: "/v1/interact", headers: []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "POST"}, status: 403, code: "origin_not_allowed"},
		{name: "cross-site interact", path: "/v1/interact", headers: []string{"Sec-Fetch-Site", "cross-site"}, body: interact, status: 403, code: "origin_not_allowed"},
		{name: "cross-site profile", path: "/v1/profile", headers: []string{"Sec-Fetch-Site", "cross-site"}, body: interact, status: 403, code: "origin_not_allowed"},
		{name: "cross-site reset", path: "/v1/reset", headers: []string{"Sec-Fetch-Site", "cross-site"}, body: interact, status: 403, code: "origin_not_allowed"},
	} {
		t.Run(b.name, func(t *testing.T) {
			a := b.refused(t, g.SiteURL())
			if got := a.header.Get("Access-Control-Allow-Origin"); got != "" && got != "*" {
				t.Errorf("a page of %q may read the answer", got)
			}
			if b.status == 405 && !strings.Contains(a.header.Get("Allow"), "OPTIONS") {
				t.Errorf("Allow is %q", a.header.Get("Allow"))
			}
		})
	}
	if status, p := g.desk("persons/user_id:bad"); status != 404 {
		t.Errorf("a refused request made somebody: %v", p)
	}
}

// TestForgedCookies: a cookie that the gateway did not make is no visitor.
func TestForgedCookies(t *testing.T) {
	g := start(t, shop)
	victim := g.browser()
	mine := at(victim.interact(page(`{}`), ""), "profile", "id").(string)
	site, err := url.Parse(g.SiteURL())
	if err != nil {
		t.Fatal(err)
	}
	cookie := victim.Jar.Cookies(site)[0]
	other := byte('A')
	if cookie.Value[0] == other {
		other = 'B'
	}
	last := len(cookie.Value) - 1
	flip := func(i int) string {
		c := byte('A')
		if cookie.Value[i] == c {
			c = 'B'
		}
		return cookie.Value[:i] + string(c) + cookie.Value[i+1:]
	}
	for name, value := range map[string]string{
		"nonsense": "forged", "empty": "", "the public id": mine, "cut": cookie.Value[:last], "longer": cookie.Value + "A",
		"another version": flip(0), "another visitor": flip(10), "another MAC": flip(last - 4), "other last bits": flip(last), "4 KB": strings.Repeat("A", 4096),
	} {
		t.Run(name, func(t *testing.T) {
			thief := g.browser()
			thief.Jar = nil
			status, a := thief.post("/v1/interact", fmt.Sprintf(`{"writeKey":%q,"batch":[%s]}`, writeKey, page(`{}`)), "Cookie", cookie.Name+"="+value)
			if id := at(a, "profile", "id"); status != 200 || id == mine || id == nil || pageviews(a) != 1.0 {
				t.Errorf("answered %d %v", status, a)
			}
			if status, a = thief.post("/v1/profile", fmt.Sprintf(`{"writeKey":%q}`, writeKey), "Cookie", cookie.Name+"="+value); status != 200 || pageviews(a) == 1.0 {
				t.Errorf("the profile is %d %v", status, a)
			}
		})
	}
	if a := victim.interact(page(`{}`), ""); at(a, "profile", "id") != mine || pageviews(a) != 2.0 {
		t.Errorf("the victim sees %v", a)
	}
}

// TestTooManyRequests: over a rate, a sender is told when to come again, and so
// is the page it runs in.
func TestTooManyRequests(t *testing.T) {
	g := start(t, strict+"limits: {requests_per_second_per_key: 1, burst_per_key: 2, requests_per_second_per_address: 1, burst_per_address: 1}\n")
	page := []string{"Origin", "https://shop.example"}
	for _, b := range []bad{
		// A peer on the same machine that forwards for nobody has no rate of its own.
		{name: "key_rate", headers: page, says: []string{"limits.requests_per_second_per_key"}},
		{name: "address_rate", headers: append(page, "X-Forwarded-For", "203.0.113.7"), says: []string{"limits.requests_per_second_per_address"}},
	} {
		t.Run(b.name, func(t *testing.T) {
			b.body = `{"messageId":"r1","userId":"u1","event":"E"}`
			var a answer
			for range 200 { // a slow machine may earn a request or two meanwhile
				if a = b.send(t, g.SiteURL()); a.Error.Code == b.name {
					break
				}
			}
			if a.status != 429 || a.Error.Code != b.name || !strings.Contains(a.Error.Message, b.says[0]) {
				t.Errorf("answered %d %s", a.status, a.body)
			}
			if a.header.Get("Retry-After") != "1" || a.header.Get("Access-Control-Expose-Headers") != "Retry-After" || a.header.Get("Access-Control-Allow-Origin") != "https://shop.example" {
				t.Errorf("429 has the headers %v", a.header)
			}
		})
	}
	g.once([]string{"r1"}, who{"user_id", "u1"})
}

// conversation writes bytes to a listener and reads one answer; closed says that
// nothing comes after it.
func conversation(t *testing.T, addr string, text ...string) (status int, body string, closed bool) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, part := range text {
		if _, err := io.WriteString(conn, part); err != nil {
			t.Fatal(err)
		}
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.ReadByte()
	return resp.StatusCode, string(raw), err == io.EOF || err != nil && strings.Contains(err.Error(), "reset")
}

// TestRawRequests: what no client library would send. Each is answered and the
// connection closed, so that nothing behind it is taken for a request.
func TestRawRequests(t *testing.T) {
	g := start(t, shop+"limits: {read_timeout: 300ms}\n")
	addr := strings.TrimPrefix(g.SiteURL(), "http://")
	hidden := "POST /v1/track HTTP/1.1\r\nHost: x\r\nX-Write-Key: " + writeKey + "\r\nContent-Length: 28\r\n\r\n" + `{"event":"E","userId":"bad"}`
	head := "POST /v1/track HTTP/1.1\r\nHost: x\r\nX-Write-Key: " + writeKey + "\r\n"
	for _, c := range []struct {
		name, text string
		status     int
		says       string
	}{
		{"Content-Length and Transfer-Encoding", head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, 400, `"code"`},
		{"Transfer-Encoding and Content-Length", head + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + hidden, 400, `"code"`},
		{"two lengths", head + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde" + hidden, 400, `"code"`},
		{"the same length twice", head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + hidden, 400, `"code"`},
		{"a list of lengths", head + "Content-Length: 2, 2\r\n\r\n{}" + hidden, 400, `"code"`},
		{"a negative length", head + "Content-Length: -1\r\n\r\n" + hidden, 400, `"code"`},
		{"a length with a sign", head + "Content-Length: +2\r\n\r\n{}" + hidden, 400, `"code"`},
		{"another transfer encoding", head + "Transfer-Encoding: identity\r\n\r\n" + hidden, 400, `"code"`},
		{"an encoding after the chunks", head + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" + hidden, 400, `"code"`},
		{"an encoding before the chunks", head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + hidden, 400, `"code"`},
		{"two transfer encodings", head + "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, 400, `"code"`},
		{"an empty transfer encoding", head + "Transfer-Encoding:\r\n\r\n" + hidden, 400, `"code"`},
		{"a hidden transfer encoding", head + "Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + hidden, 400, `"code"`},
		{"a space before the colon", head + "Content-Length : 4\r\n\r\nabcd" + hidden, 400, `"code"`},
		{"a folded header", head + "X-A: b\r\n Content-Length: 4\r\n\r\nabcd" + hidden, 400, `"code"`},
		{"bare line feeds", "POST /v1/track HTTP/1.1\nHost: x\nContent-Length: 2\n\n{}" + hidden, 400, `"code"`},
		{"a chunk size that is none", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n" + hidden, 400, `"code"`},
		{"no Host", "POST /v1/track HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}" + hidden, 400, `"code"`},
		{"two Hosts", "POST /v1/track HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 2\r\n\r\n{}" + hidden, 400, `"code"`},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello\r\n\r\n", 400, `"code"`},
		{"headers over the limit", head + "X-A: " + strings.Repeat("a", 17<<10) + "\r\n\r\n", 431, "16384"},
		{"a target over the limit", "GET /" + strings.Repeat("a", 17<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", 431, "16384"},
		{"a body far over the limit", head + "Content-Length: 99999999999\r\n\r\n{", 413, "limits.batch"},
		{"headers that never end", head, 408, "limits.read_timeout"},
		{"a body that never ends", head + "Content-Length: 100\r\n\r\n{", 408, "limits.read_timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			status, body, closed := conversation(t, addr, c.text)
			if status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("answered %d %s; expected %d with %s", status, body, c.status, c.says)
			}
			if !closed {
				t.Error("the connection is still open")
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	if status, p := g.desk("persons/user_id:bad"); status != 404 {
		t.Errorf("a hidden request was taken: %v", p)
	}
}

// TestBadRequestsAtTheDesk: nobody without a key learns anything.
func TestBadRequestsAtTheDesk(t *testing.T) {
	g := start(t, shop)
	if status, _ := plain(t, g.SiteURL()+"/v1/track", writeKey, "application/json", `{"event":"E","userId":"u1"}`); status != 200 {
		t.Fatal(status)
	}
	key := []string{"Authorization", "", "Authorization", "Bearer " + adminKey}
	for _, b := range []bad{
		{name: "no key", path: "/admin/v1/persons/user_id:u1", headers: []string{"Authorization", ""}, status: 401, code: "no_key", says: []string{"Bearer", "REUNA_ADMIN_KEY"}},
		{name: "no key, unknown route", path: "/admin/v1/nothing", headers: []string{"Authorization", ""}, status: 401, code: "no_key"},
		{name: "no key for metrics", path: "/metrics", headers: []string{"Authorization", ""}, status: 401, code: "no_key"},
		{name: "no key for profiles", path: "/debug/pprof/heap", headers: []string{"Authorization", ""}, status: 401, code: "no_key"},
		{name: "wrong key", path: "/admin/v1/quarantine", headers: []string{"Authorization", "", "Authorization", "Bearer wrong"}, status: 401, code: "wrong_key"},
		{name: "a write key", path: "/admin/v1/quarantine", headers: []string{"Authorization", "", "Authorization", "Bearer " + writeKey}, status: 401, code: "wrong_key"},
		{name: "a server key", path: "/admin/v1/quarantine", headers: []string{"Authorization", "", "Authorization", "Bearer " + serverKey}, status: 401, code: "wrong_key"},
		{name: "Basic", path: "/admin/v1/quarantine", status: 401, code: "no_key"},
		{name: "unknown route", path: "/admin/v1/nothing", headers: key, status: 404, code: "not_found", says: []string{"/admin/v1/nothing"}},
		{name: "unknown person", path: "/admin/v1/persons/user_id:nobody", headers: key, status: 404, code: "unknown_person"},
		{name: "unknown type", path: "/admin/v1/persons/shoe_size:44", headers: key, status: 400, code: "unknown_type", field: "identifier", says: []string{"shoe_size", "user_id"}},
		{name: "no identifier", path: "/admin/v1/persons/u1", headers: key, status: 400, code: "invalid_identifier", field: "identifier", says: []string{"type:value"}},
		{name: "bad escape", path: "/admin/v1/persons/user_id:%25zz", headers: key, status: 404, code: "unknown_person"},
		{name: "bad view", path: "/admin/v1/persons/user_id:u1?view=some", headers: key, status: 400, code: "invalid_view", field: "view", says: []string{"verified"}},
		{name: "bad limit", path: "/admin/v1/persons/user_id:u1/events?limit=0", headers: key, status: 400, code: "invalid_limit", field: "limit", says: []string{"1000"}},
		{name: "bad cursor", path: "/admin/v1/persons/user_id:u1/events?before=x", headers: key, status: 400, code: "invalid_cursor", field: "before"},
		{name: "bad quarantine cursor", path: "/admin/v1/quarantine?before=-1", headers: key, status: 400, code: "invalid_cursor", field: "before"},
		{name: "wrong method", method: "DELETE", path: "/admin/v1/quarantine", headers: key, status: 405, code: "method_not_allowed"},
	} {
		if b.method == "" {
			b.method = "GET"
		}
		t.Run(b.name, func(t *testing.T) {
			a := b.refused(t, g.DeskURL())
			if b.status == 401 && bytes.Contains(a.body, []byte("/admin/v1")) {
				t.Error("who has no key is told about routes")
			}
		})
	}
	status, body, _ := conversation(t, strings.TrimPrefix(g.DeskURL(), "http://"), "GET /admin/v1/quarantine HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nAuthorization: Bearer "+adminKey+"\r\n\r\n")
	if status != 403 || !strings.Contains(body, "foreign_host") {
		t.Errorf("a foreign host is answered %d %s", status, body)
	}
	// Wrong keys lock an address out, and the right one does not tell.
	last := map[int]int{}
	for range 12 {
		a := bad{method: "GET", path: "/admin/v1/quarantine", headers: []string{"Authorization", "", "Authorization", "Bearer guess"}}.send(t, g.DeskURL())
		last[a.status]++
		if a.status == 429 && a.header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
	}
	if last[429] == 0 || last[401]+last[429] != 12 {
		t.Errorf("twelve guesses were answered %v", last)
	}
}
