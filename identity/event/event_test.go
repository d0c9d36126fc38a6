package event

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

var received = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC).UnixMilli()

func parseOne(t *testing.T, kind Type, body string) (Event, *Rejection) {
	t.Helper()
	var b Batch
	if err := Parse(&b, body, ParseOptions{Type: kind, ReceivedAt: received, Limits: Limits{EventBytes: 32 << 10, BatchEvents: 2500, Depth: 20}}); err != nil {
		t.Fatalf("Parse(%s): %v", body, err)
	}
	if len(b.Rejected) == 1 && len(b.Events) == 0 {
		return Event{}, &b.Rejected[0]
	}
	if len(b.Events) != 1 {
		t.Fatalf("Parse(%s): %d events, %d rejected; want one", body, len(b.Events), len(b.Rejected))
	}
	return b.Events[0], nil
}

func TestMessagesAreReadAsTheSegmentSpecShapesThem(t *testing.T) {
	e, r := parseOne(t, Track, `{"event":"Order Completed","messageId":"m1","anonymousId":"a1","userId":null,
		"properties":{"revenue":49.9},"context":{"page":{"url":"https://x/"}},"unknown":[1,2]}`)
	if r != nil {
		t.Fatal(r)
	}
	if e.Type != Track || e.Name != "Order Completed" || e.MessageID != "m1" || e.AnonymousID != "a1" || e.UserID != "" {
		t.Errorf("read %+v", e)
	}
	if f, _ := e.Properties.Get("revenue").Number(); f != 49.9 {
		t.Errorf("revenue = %v", f)
	}
	if got := e.Context.Path("page.url").Text(); got != "https://x/" {
		t.Errorf("page.url = %q", got)
	}
}

func TestMembersOfABody(t *testing.T) {
	for body, want := range map[string]Batch{
		`{"writeKey":"wk","token":"t","link":"l","cookieless":true,"forget":true,"placements":["hero"]}`: {
			WriteKey: "wk", Token: "t", Link: "l", Cookieless: true, Forget: true, Placements: []string{"hero"},
		},
		// Only what says so plainly changes what becomes of a visitor.
		`{"cookieless":"true","forget":1,"link":["l"]}`:            {},
		`{"cookieless":false,"forget":null}`:                       {},
		`{"batch":[{"type":"page","cookieless":true,"link":"x"}]}`: {},
	} {
		b := Batch{Link: "left over", Cookieless: true, Forget: true}
		if err := Parse(&b, body, ParseOptions{Cookieless: true}); err != nil {
			t.Fatal(err)
		}
		got := Batch{WriteKey: b.WriteKey, Token: b.Token, Link: b.Link, Cookieless: b.Cookieless, Forget: b.Forget, Placements: want.Placements}
		if len(b.Placements) != len(want.Placements) || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %+v", body, b)
		}
	}
}

// A batch of nobody's has no room for who somebody is, whatever stands first.
func TestCookielessBatch(t *testing.T) {
	list := `"batch":[{"type":"page"},{"type":"identify","userId":"u"},{"type":"track","event":"A"},{"type":"group","groupId":"g"},{"type":"alias","previousId":"p","userId":"u"},{"type":"screen"}]`
	for _, body := range []string{`{"cookieless":true,` + list + `}`, `{` + list + `,"cookieless":true}`} {
		for may, refused := range map[bool]int{true: 3, false: 0} {
			var b Batch
			if err := Parse(&b, body, ParseOptions{Cookieless: may}); err != nil {
				t.Fatal(err)
			}
			if b.Cookieless != may || len(b.Rejected) != refused || len(b.Events) != 6-refused {
				t.Errorf("%s, may %v: %d events, %+v", body, may, len(b.Events), b.Rejected)
			}
			for i, r := range b.Rejected {
				if r.Code != CodeCookieless || r.Index != []int{1, 3, 4}[i] || r.Field != "type" {
					t.Errorf("%+v", r)
				}
			}
		}
	}
}

func TestRefusalsNameTheFieldAndTheRemedy(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 25) + "1" + strings.Repeat("}", 25)
	for _, c := range []struct {
		kind  Type
		body  string
		code  Code
		field string
	}{
		{Track, `{"anonymousId":"a"}`, CodeMissingField, "event"},
		{Group, `{"userId":"u"}`, CodeMissingField, "groupId"},
		{Alias, `{"userId":"u"}`, CodeMissingField, "previousId"},
		{Alias, `{"previousId":"u"}`, CodeMissingField, "userId"},
		{Track, `{"event":{"a":1}}`, CodeInvalidType, "event"},
		{Track, `{"event":"x","userId":true}`, CodeInvalidType, "userId"},
		{Track, `{"event":"x","userId":1.5}`, CodeInvalidType, "userId"},
		{Track, `{"event":"x","userId":"a\u0000b"}`, CodeInvalidType, "userId"},
		{Track, `{"event":"x","properties":[1]}`, CodeInvalidType, "properties"},
		{Track, `{"event":"x","timestamp":"yesterday"}`, CodeInvalidTimestamp, "timestamp"},
		{Track, `{"event":"x","timestamp":{}}`, CodeInvalidTimestamp, "timestamp"},
		{Track, `{"event":"x","userId":"` + strings.Repeat("u", 513) + `"}`, CodeTooLong, "userId"},
		{Track, `{"event":"x","properties":{"__proto__":1}}`, CodeForbiddenKey, "__proto__"},
		{Track, `{"event":"x","properties":{"\u005f_proto__":1}}`, CodeForbiddenKey, "__proto__"},
		{Track, `{"event":"x","properties":{"a":{"constructor":1}}}`, CodeForbiddenKey, "constructor"},
		{Track, `{"event":"x","event":"y"}`, CodeDuplicateKey, "event"},
		{Track, `{"event":"x","properties":{"a":1,"\u0061":2}}`, CodeDuplicateKey, "a"},
		{Track, `{"event":"x","properties":` + deep + `}`, CodeTooDeep, ""},
		{Track, `{"event":"x","properties":{"a":"` + strings.Repeat("x", 32<<10) + `"}}`, CodeEventTooLarge, ""},
	} {
		_, r := parseOne(t, c.kind, c.body)
		if r == nil || r.Code != c.code || r.Field != c.field {
			t.Errorf("%.80s: refused with %+v; want %s at %q", c.body, r, c.code, c.field)
			continue
		}
		if r.Message == "" || len(r.Message) > 300 || string(r.Raw) != strings.TrimSpace(c.body) {
			t.Errorf("%.80s: message %q, raw %.40s", c.body, r.Message, r.Raw)
		}
	}
}

func TestBodiesThatAreRefusedWhole(t *testing.T) {
	for _, body := range []string{
		``, `{`, `[]`, `null`, `{"batch":{}}`, `{"batch":[]} x`, `{"batch":[{"type":"track","event":"x",}]}`,
		`{"a":"` + "\xff" + `"}`, `{"a":"\ud800"}`, `{"a":"\udc00\ud800"}`, `{"a":"\q"}`, `{"a":01}`, `{"a":1.}`, `{"a":1e999}`, `{"a":-}`,
		`{"a":"` + "\n" + `"}`, `{"a":tru}`, `{a:1}`, `{"context":{"__proto__":1},"batch":[]}`,
		strings.Repeat("[", 100000) + strings.Repeat("]", 100000), `{"a":` + strings.Repeat("9", 400) + `}`,
	} {
		var b Batch
		if err := Parse(&b, body, ParseOptions{}); err == nil {
			t.Errorf("%.60q was taken", body)
		}
	}
	var b Batch
	body := `{"batch":[` + strings.Repeat(`{"type":"page"},`, 10) + `{"type":"page"}]}`
	err := Parse(&b, body, ParseOptions{Limits: Limits{BatchEvents: 10}})
	if limit, ok := err.(*LimitError); !ok || limit.Seen != 11 || limit.Max != 10 {
		t.Errorf("11 messages of 10: %v", err)
	}
}

func TestARefusedMessageDoesNotSinkItsSiblings(t *testing.T) {
	var b Batch
	err := Parse(&b, `{"writeKey":"wk","context":{"library":{"name":"x"},"ip":"1.1.1.1"},"messageId":"batch7","batch":[
		{"type":"track","event":"a","context":{"ip":"2.2.2.2"}},{"type":"track"},{"type":"dance"},{},
		{"type":"page","messageId":"own","properties":{"prototype":1}},{"type":"page","messageId":"own2"}]}`,
		ParseOptions{ReceivedAt: received})
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Events) != 2 || len(b.Rejected) != 4 || b.WriteKey != "wk" {
		t.Fatalf("%d events, rejected %+v", len(b.Events), b.Rejected)
	}
	for i, want := range []int{1, 2, 3, 4} {
		if b.Rejected[i].Index != want {
			t.Errorf("rejection %d has index %d, want %d", i, b.Rejected[i].Index, want)
		}
	}
	if e := b.Events[0]; e.MessageID != "batch7:0" || e.Context.Get("ip").Text() != "2.2.2.2" || e.Context.Path("library.name").Text() != "x" {
		t.Errorf("first event %+v", e)
	}
	if e := b.Events[1]; e.MessageID != "own2" || e.Context.Get("ip").Text() != "1.1.1.1" {
		t.Errorf("last event %+v", e)
	}
	for _, e := range b.Events {
		if _, err := Check(string(e.Context)); err != nil {
			t.Errorf("merged context %s: %v", e.Context, err)
		}
	}
}

func TestClocksAreCorrectedByTheTimeOfSending(t *testing.T) {
	at := func(d time.Duration) string {
		return string(AppendTime(nil, received+d.Milliseconds()))
	}
	for _, c := range []struct {
		name               string
		original, sent     string
		retried            bool
		want               time.Duration // from receipt
		viaTimestampMember bool
	}{
		{"clock five minutes slow", at(-6 * time.Minute), at(-5 * time.Minute), false, -time.Minute, false},
		{"the same in `timestamp`", at(-6 * time.Minute), at(-5 * time.Minute), false, -time.Minute, true},
		{"clock ten minutes fast", at(9 * time.Minute), at(10 * time.Minute), false, -time.Minute, false},
		{"a retry keeps its first sentAt", at(-6 * time.Minute), at(-5 * time.Minute), true, -6 * time.Minute, false},
		{"a skew over an hour corrects nothing", at(-3 * time.Hour), at(-2 * time.Hour), false, -3 * time.Hour, false},
		{"the future is clamped to receipt", "2099-01-01T00:00:00.000Z", "", false, 0, false},
		{"sent before it happened", at(time.Minute), at(0), false, 0, false},
		{"nothing said", "", "", false, 0, false},
	} {
		m := map[string]any{"event": "x"}
		if c.original != "" {
			m["originalTimestamp"] = c.original
			if c.viaTimestampMember {
				delete(m, "originalTimestamp")
				m["timestamp"] = c.original
			}
		}
		if c.sent != "" {
			m["sentAt"] = c.sent
		}
		body, _ := json.Marshal(m)
		var b Batch
		if err := Parse(&b, string(body), ParseOptions{Type: Track, ReceivedAt: received, Retried: c.retried}); err != nil || len(b.Events) != 1 {
			t.Fatal(err, b.Rejected)
		}
		if got := b.Events[0].Timestamp - received; got != c.want.Milliseconds() {
			t.Errorf("%s: %d ms from receipt, want %d", c.name, got, c.want.Milliseconds())
		}
	}
}

// TestTimesAgreeWithTheStandardLibrary holds the fast path against time.Parse.
func TestTimesAgreeWithTheStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		ms := r.Int64N(253402300799999)
		s := string(AppendTime(nil, ms))
		if got, ok := ParseTime(Quote(s)); !ok || got != ms {
			t.Fatalf("%s: %d, %v; want %d", s, got, ok, ms)
		}
	}
	for _, s := range []string{"2026-02-30T00:00:00.000Z", "2026-13-01T00:00:00.000Z", "2026-01-01T24:00:00.000Z", "2026-01-0xT00:00:00.000Z", "", "x"} {
		if ms, ok := ParseTime(Quote(s)); ok {
			t.Errorf("%q was read as %d", s, ms)
		}
	}
}

func TestJSONIsWhatEncodingJSONReads(t *testing.T) {
	e := Event{Type: Track, Name: "Odd \"name\"\n", MessageID: "m", ReceivedAt: received, Timestamp: received,
		Context: `{"ip":"9.9.9.9","page":{"url":"u"}}`, IP: "1.2.3.0", Geo: Geo{Country: "FI", ASN: 719}, Bot: Bot{Is: true, Class: "search"}}
	var m map[string]any
	if err := json.Unmarshal(e.AppendJSON(nil), &m); err != nil {
		t.Fatal(err)
	}
	c := m["context"].(map[string]any)
	if m["event"] != e.Name || c["ip"] != "1.2.3.0" || c["page"].(map[string]any)["url"] != "u" || c["geo"].(map[string]any)["country"] != "FI" {
		t.Errorf("wrote %s", e.AppendJSON(nil))
	}
}

// FuzzParse holds the checker against encoding/json: what we take it takes,
// with the same content; and whatever comes in, nothing panics.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"type":"track","event":"x","properties":{"a":[1,2.5e3,"\u00e4\ud83d\ude00",null,true]}}`,
		`{"batch":[{"type":"page"},{"type":"identify","traits":{"email":"a@b"}}],"context":{"a":{}}}`, `{"a":"\ud800"}`, `[[[]]]`, `{"":""}`, ` {} `, `-0.0`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := Check(s)
		if err == nil {
			var want any
			if err := json.Unmarshal([]byte(s), &want); err != nil {
				t.Fatalf("we take %q, encoding/json says %v", s, err)
			}
			var dup checker
			dup.s, dup.limit = s, hardDepth
			if _, err := dup.run(); err == nil && len(dup.faults) == 0 && !reflect.DeepEqual(v.Any(), want) {
				t.Fatalf("%q: %#v, encoding/json %#v", s, v.Any(), want)
			}
		}
		var b Batch
		for _, kind := range []Type{0, Track, Alias} {
			if Parse(&b, s, ParseOptions{Type: kind, ReceivedAt: received, Limits: Limits{EventBytes: 1 << 15, BatchEvents: 100, Depth: 20}}) != nil {
				continue
			}
			for i := range b.Events {
				e := &b.Events[i]
				if e.Timestamp < 0 || e.Timestamp > received {
					t.Fatalf("timestamp %d", e.Timestamp)
				}
				out := e.AppendJSON(nil)
				if !json.Valid(out) {
					t.Fatalf("%q gives %s", s, out)
				}
				var back Event
				if err := Decode(&back, string(e.AppendBinary(nil))); err != nil || !reflect.DeepEqual(*e, back) {
					t.Fatalf("codec: %v", err)
				}
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	body := `{"writeKey":"wk_shop","sentAt":"2026-03-04T12:00:00.000Z","context":{"page":{"url":"https://shop.example/books/thrillers/the-cold-harbour?utm_source=news","path":"/books/thrillers/the-cold-harbour","title":"The Cold Harbour","referrer":"https://www.google.com/"},"locale":"fi-FI","screen":{"width":1920,"height":1080,"density":2},"library":{"name":"reuna.js","version":"1.0.0"},"userAgentData":{"mobile":false,"platform":"Windows","brands":[{"brand":"Chromium","version":"140"}]}},"batch":[{"type":"track","event":"Product Viewed","messageId":"0198c0de-0000-7000-8000-000000000001","timestamp":"2026-03-04T11:59:59.900Z","properties":{"product_id":"b-17","name":"The Cold Harbour","category":"thrillers","price":14.9,"currency":"EUR"}}],"placements":["hero"]}`
	var batch Batch
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := Parse(&batch, body, ParseOptions{ReceivedAt: received, Limits: Limits{EventBytes: 32 << 10, BatchEvents: 2500, Depth: 20}}); err != nil || len(batch.Events) != 1 {
			b.Fatal(err)
		}
	}
}

// TestReadingABodyDoesNotAllocate: the batch keeps its memory for the next one.
func TestReadingABodyDoesNotAllocate(t *testing.T) {
	body := `{"writeKey":"wk","context":{"page":{"url":"u","path":"p"}},"batch":[{"type":"track","event":"x","properties":{"a":1,"b":[1,2]}}],"sentAt":"2026-03-04T12:00:00.000Z"}`
	var b Batch
	if n := testing.AllocsPerRun(100, func() {
		if err := Parse(&b, body, ParseOptions{ReceivedAt: received}); err != nil || len(b.Events) != 1 {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations a body", n)
	}
}
