package app_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// strict is a shop that only its own pages may speak for.
const strict = shop + `
    origins: ["https://shop.example"]
`

// bad is a request that is to be refused, and how.
type bad struct {
	name    string
	method  string   // default: POST
	path    string   // default: /v1/track
	headers []string // name, value, …; writeKey's Basic and application/json are there unless said otherwise
	body    string
	status  int
	code    string
	says    []string // pieces of the message: the limit, its setting, what was seen
	field   string
}

// answer is any answer of the gateway's.
type answer struct {
	status int
	header http.Header
	body   []byte
	Error  struct{ Code, Message, Field string }
}

func readAnswer(t *testing.T, resp *http.Response) (a answer) {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a = answer{status: resp.StatusCode, header: resp.Header, body: body}
	if err := json.Unmarshal(body, &a); err != nil {
		t.Errorf("answered %d %q, which is no JSON: %v", a.status, body, err)
	}
	return a
}

// send sends the request as it is.
func (b bad) send(t *testing.T, base string) answer {
	t.Helper()
	method, path := b.method, b.path
	if method == "" {
		method = "POST"
	}
	if path == "" {
		path = "/v1/track"
	}
	req, err := http.NewRequest(method, base+path, strings.NewReader(b.body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(writeKey, "")
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(b.headers); i += 2 {
		if b.headers[i+1] == "" {
			req.Header.Del(b.headers[i])
		} else {
			req.Header.Add(b.headers[i], b.headers[i+1])
		}
		if b.headers[i] == "Content-Type" && b.headers[i+1] != "" {
			req.Header.Set("Content-Type", b.headers[i+1])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, resp)
}

// refused sends a bad request and holds the answer against what is written.
func (b bad) refused(t *testing.T, base string) answer {
	t.Helper()
	a := b.send(t, base)
	if a.status != b.status || a.Error.Code != b.code || a.Error.Field != b.field {
		t.Errorf("answered %d %q (field %q): %s\nexpected %d %q (field %q)", a.status, a.Error.Code, a.Error.Field, a.Error.Message, b.status, b.code, b.field)
	}
	for _, piece := range b.says {
		if !strings.Contains(a.Error.Message, piece) {
			t.Errorf("the message %q does not tell of %q", a.Error.Message, piece)
		}
	}
	if len(a.Error.Message) > 500 {
		t.Errorf("the message has %d bytes", len(a.Error.Message))
	}
	if len(a.header["Set-Cookie"]) > 0 {
		t.Error("a refused request was given a cookie")
	}
	return a
}

// track is a message that would be fine, were it not for what is put into it.
func track(id, more string) string {
	return fmt.Sprintf(`{"messageId":%q,"userId":"bad","event":"E"%s}`, id, more)
}

func deep(levels int) string {
	return strings.Repeat(`{"a":`, levels) + "1" + strings.Repeat("}", levels)
}

func batchOf(messages ...string) string { return `{"batch":[` + strings.Join(messages, ",") + `]}` }

// bombs are small bodies that unfold to 64 MiB of JSON.
func bombs(t *testing.T) map[string]string {
	t.Helper()
	made := map[string]string{}
	for name, open := range map[string]func(io.Writer) (io.WriteCloser, error){
		"gzip": func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.BestSpeed) },
		"br":   func(w io.Writer) (io.WriteCloser, error) { return brotli.NewWriterLevel(w, 2), nil },
		"zstd": func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) },
	} {
		var b bytes.Buffer
		w, err := open(&b)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, `{"messageId":"bomb","userId":"bad","event":"`)
		for range 64 {
			if _, err := w.Write(bytes.Repeat([]byte("a"), 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprint(w, `"}`)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if b.Len() > 400<<10 {
			t.Fatalf("the %s bomb has %d bytes on the wire, which would be refused for that", name, b.Len())
		}
		made[name] = b.String()
	}
	return made
}

func manyKeys(n int) string {
	var b strings.Builder
	b.WriteString("{")
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"k%d":1`, i)
	}
	b.WriteString("}")
	return b.String()
}

func wholeBodies(t *testing.T) []bad {
	list := []bad{
		{name: "empty body", status: 400, code: "body_empty"},
		{name: "no JSON", body: "hello", status: 400, code: "invalid_json", says: []string{"byte 0"}},
		{name: "truncated JSON", body: `{"event":"E","userId":"ba`, status: 400, code: "invalid_json", says: []string{"byte 25"}},
		{name: "two JSON values", body: track("two", "") + track("two", ""), status: 400, code: "invalid_json", says: []string{"more text"}},
		{name: "an array", body: `[]`, status: 400, code: "invalid_type", says: []string{"array", "expected a JSON object"}},
		{name: "null", body: `null`, status: 400, code: "invalid_type"},
		{name: "bad UTF-8", body: track("utf8", `,"properties":{"a":"`+"\xff\xfe"+`"}`), status: 400, code: "invalid_json", says: []string{"UTF-8", "byte"}},
		{name: "lone surrogate", body: track("surrogate", `,"properties":{"a":"\ud800"}`), status: 400, code: "invalid_json", says: []string{"surrogate"}},
		{name: "bare control character", body: track("control", ",\"properties\":{\"a\":\"\x01\"}"), status: 400, code: "invalid_json", says: []string{"control character"}},
		{name: "number beyond a double", body: track("huge", `,"properties":{"a":1e999}`), status: 400, code: "invalid_json", says: []string{"double"}},
		{name: "number of 10⁵ digits", body: track("digits", `,"properties":{"a":`+strings.Repeat("9", 1e5)+`}`), status: 400, code: "invalid_json", says: []string{"128"}},
		{name: "number with a leading zero", body: track("zero", `,"properties":{"a":01}`), status: 400, code: "invalid_json"},
		{name: "10⁵ levels of objects", body: deep(7e4), status: 400, code: "invalid_json", says: []string{"64 levels"}},
		{name: "10⁵ levels of arrays", body: track("arrays", `,"properties":{"a":`+strings.Repeat("[", 1e5)+strings.Repeat("]", 1e5)+`}`), status: 400, code: "invalid_json", says: []string{"64 levels"}},
		{name: "body over the limit", path: "/v1/batch", body: batchOf(slices.Repeat([]string{track("big", `,"properties":{"a":"`+strings.Repeat("x", 20_000)+`"}`)}, 26)...), status: 413, code: "body_too_large", says: []string{"512000", "limits.batch"}},
		{name: "10⁶ keys", body: track("keys", `,"properties":`+manyKeys(1e6)), status: 413, code: "body_too_large", says: []string{"512000", "limits.batch"}},
		{name: "2,501 events", path: "/v1/batch", body: batchOf(slices.Repeat([]string{`{"type":"track","userId":"bad","event":"E"}`}, 2501)...), status: 413, code: "limit_exceeded", says: []string{"2501", "2500", "limits.batch_events"}},
		{name: "batch is no array", path: "/v1/batch", body: `{"batch":{}}`, status: 400, code: "invalid_type", field: "batch", says: []string{"object", "array"}},
		{name: "__proto__ beside the batch", path: "/v1/batch", body: `{"__proto__":{},"batch":[]}`, status: 400, code: "forbidden_key", field: "__proto__"},
		{name: "duplicate key beside the batch", path: "/v1/batch", body: `{"batch":[],"batch":[` + track("twice", `,"type":"track"`) + `]}`, status: 400, code: "duplicate_key", field: "batch"},
		{name: "unsupported encoding", headers: []string{"Content-Encoding", "compress"}, body: track("enc", ""), status: 415, code: "content_encoding", says: []string{"compress", "gzip, br, zstd"}},
		{name: "nested encodings", headers: []string{"Content-Encoding", "gzip, gzip"}, body: track("enc", ""), status: 415, code: "content_encoding", says: []string{"gzip, gzip", "once"}},
		{name: "two encodings in two lines", headers: []string{"Content-Encoding", "gzip", "Content-Encoding", "br"}, body: track("enc", ""), status: 400, code: "bad_request", says: []string{"Content-Encoding", "twice"}},
		{name: "not what the encoding says", headers: []string{"Content-Encoding", "gzip"}, body: track("enc", ""), status: 400, code: "content_encoding", says: []string{"gzip"}},
		{name: "text behind the compressed end", headers: []string{"Content-Encoding", "gzip"}, body: zipped(t, track("tail", "")) + "tail", status: 400, code: "content_encoding"},
		{name: "wrong content type", headers: []string{"Content-Type", "application/xml"}, body: track("xml", ""), status: 415, code: "content_type", says: []string{"application/xml", "application/json"}},
		{name: "multipart form", headers: []string{"Content-Type", "multipart/form-data; boundary=x"}, body: "--x--", status: 415, code: "content_type"},
		{name: "another charset", headers: []string{"Content-Type", "application/json; charset=utf-16"}, body: track("charset", ""), status: 415, code: "charset", says: []string{"utf-16", "utf-8"}},
		{name: "form without the JSON", headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, body: "a=1&b=2", status: 400, code: "form", says: []string{"data"}},
		{name: "form that is not encoded", headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, body: "data=%zz", status: 400, code: "form"},
	}
	for name, body := range bombs(t) {
		list = append(list, bad{name: name + " bomb", headers: []string{"Content-Encoding", name}, body: body, status: 413, code: "body_too_large", says: []string{"512000", "decoded", "limits.batch"}})
	}
	return list
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// messages are bodies whose one message is at fault. Sent alone, each is
// refused; in a batch, its siblings are taken. Either way it is in quarantine.
func messages() []bad {
	return []bad{
		{name: "no event name", body: `{"messageId":"m","userId":"bad"}`, status: 400, code: "missing_field", field: "event", says: []string{"track"}},
		{name: "group without id", path: "/v1/group", body: `{"messageId":"m","userId":"bad"}`, status: 400, code: "missing_field", field: "groupId"},
		{name: "alias of nothing", path: "/v1/alias", body: `{"messageId":"m","userId":"bad"}`, status: 400, code: "missing_field", field: "previousId"},
		{name: "alias to nobody", path: "/v1/alias", body: `{"messageId":"m","previousId":"bad"}`, status: 400, code: "missing_field", field: "userId"},
		{name: "timestamp in words", body: track("m", `,"timestamp":"yesterday"`), status: 400, code: "invalid_timestamp", field: "timestamp", says: []string{"yesterday", "RFC 3339"}},
		{name: "30 February", body: track("m", `,"timestamp":"2026-02-30T00:00:00Z"`), status: 400, code: "invalid_timestamp", field: "timestamp"},
		{name: "year 10000", body: track("m", `,"originalTimestamp":"10000-01-01T00:00:00Z"`), status: 400, code: "invalid_timestamp", field: "originalTimestamp"},
		{name: "negative time", body: track("m", `,"timestamp":-1`), status: 400, code: "invalid_timestamp", field: "timestamp"},
		{name: "time as an object", body: track("m", `,"sentAt":{}`), status: 400, code: "invalid_timestamp", field: "sentAt"},
		{name: "properties as a list", body: track("m", `,"properties":[1]`), status: 400, code: "invalid_type", field: "properties", says: []string{"array", "object"}},
		{name: "userId as an object", body: `{"messageId":"m","event":"E","userId":{"$ne":null}}`, status: 400, code: "invalid_type", field: "userId", says: []string{"object", "string"}},
		{name: "userId of 513 bytes", body: `{"messageId":"m","event":"E","userId":"` + strings.Repeat("u", 513) + `"}`, status: 400, code: "value_too_long", field: "userId", says: []string{"513", "512"}},
		{name: "event name of 1,025 bytes", body: `{"messageId":"m","userId":"bad","event":"` + strings.Repeat("e", 1025) + `"}`, status: 400, code: "value_too_long", field: "event", says: []string{"1025", "1024"}},
		{name: "zero byte in an id", body: `{"messageId":"m","event":"E","userId":"bad\u0000"}`, status: 400, code: "invalid_type", field: "userId", says: []string{"zero byte"}},
		{name: "__proto__", body: track("m", `,"properties":{"a":{"__proto__":{"admin":true}}}`), status: 400, code: "forbidden_key", field: "__proto__", says: []string{"rename"}},
		{name: "__proto__, escaped", body: track("m", `,"properties":{"\u005f_proto__":1}`), status: 400, code: "forbidden_key", field: "__proto__"},
		{name: "constructor", body: track("m", `,"context":{"constructor":1}`), status: 400, code: "forbidden_key", field: "constructor"},
		{name: "duplicate key", body: track("m", `,"userId":"somebody-else"`), status: 400, code: "duplicate_key", field: "userId", says: []string{"twice"}},
		{name: "duplicate key deep down", body: track("m", `,"properties":{"list":[{"x":1,"\u0078":2}]}`), status: 400, code: "duplicate_key", field: "x"},
		{name: "21 levels", body: track("m", `,"properties":`+deep(20)), status: 400, code: "too_deep", says: []string{"20 levels", "limits.depth"}},
		{name: "event over the limit", body: track("m", `,"properties":{"a":"`+strings.Repeat("x", 32<<10)+`"}`), status: 413, code: "event_too_large", says: []string{"32768", "limits.event"}},
	}
}

// TestBadBodies: each kind of bad body has its answer, and leaves nothing behind.
func TestBadBodies(t *testing.T) {
	g := start(t, shop)
	for _, b := range wholeBodies(t) {
		t.Run(b.name, func(t *testing.T) { b.refused(t, g.SiteURL()) })
	}
	if status, p := g.desk("persons/user_id:bad"); status != 404 {
		t.Errorf("a refused body made somebody: %v", p)
	}
	if q := g.quarantine(); len(q) > 0 {
		t.Errorf("bodies that hold no message are in quarantine: %v", q)
	}
	if status, body := plain(t, g.SiteURL()+"/v1/track", writeKey, "application/json", `{"event":"E","userId":"good"}`); status != 200 {
		t.Errorf("afterwards a good event is answered %d %s", status, body)
	}
}

// quarantine gives the refused messages, newest first.
func (g *gateway) quarantine() (list []map[string]any) {
	g.t.Helper()
	status, answer := g.desk("quarantine?limit=1000")
	refused, ok := answer["refused"].([]any)
	if status != 200 || !ok {
		g.t.Fatalf("quarantine answered %d %v", status, answer)
	}
	for _, r := range refused {
		list = append(list, r.(map[string]any))
	}
	return list
}

func TestBadMessagesAreKeptInQuarantine(t *testing.T) {
	g := start(t, shop)
	for i, b := range messages() {
		t.Run(b.name, func(t *testing.T) {
			b.refused(t, g.SiteURL())
			newest := g.quarantine()
			if len(newest) != 2*i+1 {
				t.Fatalf("%d messages in quarantine; expected %d", len(newest), 2*i+1)
			}
			b.kept(t, newest[0], b.body)

			// The same in the middle of a batch.
			typ := strings.TrimPrefix(b.path, "/v1/")
			if typ == "" {
				typ = "track"
			}
			message := `{"type":"` + typ + `",` + b.body[1:]
			before, after := fmt.Sprintf("before-%d", i), fmt.Sprintf("after-%d", i)
			good := `{"type":"track","userId":"sibling","event":"E","messageId":%q}`
			status, raw := plain(t, g.SiteURL()+"/v1/batch", writeKey, "application/json", batchOf(fmt.Sprintf(good, before), message, fmt.Sprintf(good, after)))
			var a struct {
				Success  bool
				Rejected []struct {
					Index                int
					Code, Message, Field string
				}
			}
			if err := json.Unmarshal(raw, &a); err != nil {
				t.Fatal(err)
			}
			if status != 200 || !a.Success || len(a.Rejected) != 1 || a.Rejected[0].Index != 1 || a.Rejected[0].Code != b.code || a.Rejected[0].Field != b.field || a.Rejected[0].Message == "" {
				t.Fatalf("in a batch: %d %s", status, raw)
			}
			b.kept(t, g.quarantine()[0], message)
			times := map[any]int{}
			for _, e := range timeline(t, g.DeskURL(), "user_id", "sibling") {
				times[e["messageId"]]++
			}
			if times[before] != 1 || times[after] != 1 {
				t.Errorf("the siblings are there %d and %d times", times[before], times[after])
			}
		})
	}
	if status, p := g.desk("persons/user_id:bad"); status != 404 {
		t.Errorf("a refused message made somebody: %v", p)
	}
}

// kept says that a quarantined message is the one that was sent, and why.
func (b bad) kept(t *testing.T, q map[string]any, raw string) {
	t.Helper()
	field, _ := q["field"].(string)
	text, _ := q["raw"].(string)
	if q["code"] != b.code || field != b.field || q["site"] != "shop" || q["message"] == "" {
		t.Errorf("in quarantine as %v", q)
	}
	if text == "" || text != raw && !(len(raw) > 32<<10 && strings.HasPrefix(raw, text)) {
		t.Errorf("the quarantine keeps %.200q; sent was %.200q", text, raw)
	}
}

// TestAMillionKeys: with limits that allow it, reading them takes time in
// proportion, and what a person keeps is bounded all the same.
func TestAMillionKeys(t *testing.T) {
	g := start(t, shop+"limits: {event: 16MiB, batch: 16MiB, read_timeout: 60s, write_timeout: 60s}\n")
	begun := time.Now()
	for _, body := range []string{
		`{"messageId":"k1","userId":"keys","event":"E","properties":` + manyKeys(1e6) + `}`,
		`{"messageId":"k2","userId":"keys","event":"E","properties":{"list":[` + strings.Repeat(`{"a":1},`, 1e6) + `{}]}}`,
	} {
		if status, raw := plain(t, g.SiteURL()+"/v1/track", writeKey, "application/json", body); status != 200 {
			t.Fatalf("answered %d %.300s", status, raw)
		}
	}
	t.Logf("two million keys took %v", time.Since(begun))
	if took := time.Since(begun); took > time.Minute { // to compare each key with each would take hours
		t.Errorf("two million keys took %v", took)
	}
	g.once([]string{"k1", "k2"}, who{"user_id", "keys"})
	status, raw := plain(t, g.SiteURL()+"/v1/identify", writeKey, "application/json", `{"messageId":"k3","userId":"keys","traits":`+manyKeys(20_000)+`}`)
	if status != 200 {
		t.Errorf("20,000 traits are answered %d %.300s", status, raw)
	}
	if traits, _ := g.person("user_id", "keys")["traits"].(map[string]any); len(traits) == 0 || len(traits) > 6000 {
		t.Errorf("a person has %d of 20,000 traits; the limit is 6,000", len(traits))
	}
}
