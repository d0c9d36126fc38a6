package workload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
)

func fixedClock() func() time.Time {
	at := time.Date(2026, 3, 4, 5, 6, 7, 891e6, time.UTC)
	return func() time.Time { at = at.Add(time.Millisecond); return at }
}

func newWorkload(t testing.TB, change func(*Options)) *Workload {
	t.Helper()
	o := Options{Visitors: 400, Streams: 4, Seed: 1, Origin: "https://shop.example", WriteKey: "wk_bench", Now: fixedClock()}
	if change != nil {
		change(&o)
	}
	w, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

var uuid7 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestBodiesAreTheContracts(t *testing.T) {
	for _, shape := range []Shape{{Interact, 1}, {Interact, 20}, {Segment, 1}, {Segment, 7}} {
		t.Run(fmt.Sprintf("format %d batch %d", shape.Format, shape.Batch), func(t *testing.T) {
			s := newWorkload(t, func(o *Options) { o.Placements = []string{"hero"} }).Streams()[1]
			seen := map[string]bool{}
			names := map[string]int{}
			for range max(300, 2000/shape.Batch) {
				r := s.Next(shape)
				var body struct {
					WriteKey   string                     `json:"writeKey"`
					SentAt     time.Time                  `json:"sentAt"`
					Context    map[string]json.RawMessage `json:"context"`
					Batch      []map[string]any           `json:"batch"`
					Placements []string                   `json:"placements"`
				}
				d := json.NewDecoder(bytes.NewReader(r.Body))
				d.DisallowUnknownFields()
				if err := d.Decode(&body); err != nil {
					t.Fatalf("%v\n%s", err, r.Body)
				}
				if len(body.Batch) != shape.Batch || r.Events != shape.Batch {
					t.Fatalf("%d events in the body and %d said: expected %d", len(body.Batch), r.Events, shape.Batch)
				}
				if body.SentAt.IsZero() {
					t.Fatalf("no sentAt: %s", r.Body)
				}
				if shape.Format == Interact {
					if body.WriteKey != "wk_bench" || body.Context["page"] == nil || len(body.Placements) != 1 {
						t.Fatalf("write key, page or placements missing: %s", r.Body)
					}
				}
				ids := strings.Fields(string(r.IDs))
				for i, e := range body.Batch {
					id, _ := e["messageId"].(string)
					if !uuid7.MatchString(id) || seen[id] || ids[i] != id {
						t.Fatalf("messageId %q: expected a new UUIDv7, the same as %q in IDs", id, ids[i])
					}
					seen[id] = true
					if _, err := time.Parse(time.RFC3339, fmt.Sprint(e["timestamp"])); err != nil {
						t.Fatal(err)
					}
					kind := fmt.Sprint(e["type"])
					if kind == "track" {
						kind = fmt.Sprint(e["event"])
					}
					names[kind]++
					if shape.Format == Segment && (e["anonymousId"] == "" || e["context"].(map[string]any)["userAgent"] == "") {
						t.Fatalf("no anonymousId or userAgent: %s", r.Body)
					}
				}
			}
			for _, name := range []string{"page", "Product Viewed", "Products Searched", "Order Completed", "Element Clicked", "Product Added"} {
				if names[name] == 0 {
					t.Errorf("no %s among %v", name, names)
				}
			}
		})
	}
}

// The gateway's own parser takes every message.
func TestTheGatewaysParserTakesEveryBody(t *testing.T) {
	limits := event.Limits{EventBytes: 32 << 10, BatchEvents: 2500, Depth: 20}
	for _, shape := range []Shape{{Interact, 1}, {Interact, 20}, {Segment, 1}, {Segment, 20}} {
		s := newWorkload(t, nil).Streams()[0]
		for range 1000 / shape.Batch {
			r := s.Next(shape)
			var b event.Batch
			if err := event.Parse(&b, string(r.Body), event.ParseOptions{Limits: limits, ReceivedAt: s.now().UnixMilli()}); err != nil {
				t.Fatalf("%v\n%s", err, r.Body)
			}
			if len(b.Rejected) > 0 || len(b.Events) != shape.Batch {
				t.Fatalf("%d events and %d rejected, first %v\n%s", len(b.Events), len(b.Rejected), b.Rejected, r.Body)
			}
		}
	}
}

func TestBodiesAreAboutTheTagsSize(t *testing.T) {
	s := newWorkload(t, nil).Streams()[0]
	total, most := 0, 0
	const n = 5000
	for range n {
		size := len(s.Next(Shape{Interact, 1}).Body)
		total, most = total+size, max(most, size)
	}
	if mean := total / n; mean < 700 || mean > 1000 {
		t.Errorf("mean body is %d B: expected 700 to 1000", mean)
	}
	if most > 2000 {
		t.Errorf("largest body is %d B: expected at most 2000", most)
	}
	t.Logf("mean %d B, largest %d B", total/n, most)
}

// requests are n whole requests of a stream as text, all answered right.
func requests(s *Stream, n int) string {
	var b strings.Builder
	for range n {
		r := s.Next(Shape{Interact, 1})
		b.WriteString(r.Path)
		for _, h := range r.Headers {
			fmt.Fprintf(&b, "\n%s: %s", h.Name, h.Value)
		}
		fmt.Fprintf(&b, "\n\n%s\n", r.Body)
	}
	return b.String()
}

func TestSameSeedSameRequests(t *testing.T) {
	a := requests(newWorkload(t, nil).Streams()[2], 500)
	if b := requests(newWorkload(t, nil).Streams()[2], 500); a != b {
		t.Error("two workloads of one seed differ")
	}
	if b := requests(newWorkload(t, func(o *Options) { o.Seed = 2 }).Streams()[2], 500); a == b {
		t.Error("two seeds made the same requests")
	}
	if b := requests(newWorkload(t, nil).Streams()[3], 500); a == b {
		t.Error("two streams made the same requests")
	}
	ids := regexp.MustCompile(`("messageId"|"pageViewId"|"order_id"):"[^"]*"`)
	b := requests(newWorkload(t, func(o *Options) { o.Nonce = 9 }).Streams()[2], 500)
	if a == b || ids.ReplaceAllString(a, "") != ids.ReplaceAllString(b, "") {
		t.Error("a nonce must change the ids and nothing else")
	}
}

func TestVisitorsAreSpreadAndComeBack(t *testing.T) {
	w := newWorkload(t, func(o *Options) { o.Visitors, o.Streams = 4000, 4 })
	agents, addresses := map[string]int{}, map[string]int{}
	visits := map[int]int{}
	for _, s := range w.Streams() {
		for range 5000 {
			r := s.Next(Shape{Interact, 1})
			visits[s.people[0].number+s.who]++
			for _, h := range r.Headers {
				switch h.Name {
				case "User-Agent":
					agents[string(h.Value)]++
				case "X-Forwarded-For":
					addresses[string(h.Value)]++
				}
			}
		}
	}
	if len(agents) < 50 {
		t.Errorf("%d user agents: expected 50 or more", len(agents))
	}
	once := 0
	for _, n := range visits {
		if n <= 2 {
			once++
		}
	}
	if len(visits) < 1500 || once < len(visits)/10 {
		t.Errorf("%d visitors came, %d of them once or twice: expected 1500 and a tenth", len(visits), once)
	}
	if len(addresses) < len(visits)*9/10 {
		t.Errorf("%d addresses for %d visitors", len(addresses), len(visits))
	}
	for a := range addresses {
		addr, err := netip.ParseAddr(a)
		if err != nil || !addr.IsGlobalUnicast() || addr.IsPrivate() {
			t.Fatalf("address %q (%v): expected a public one", a, err)
		}
	}
}

func TestAgentTable(t *testing.T) {
	list := agentTable()
	seen := map[string]bool{}
	for _, a := range list {
		if seen[a.ua] || a.weight < 1 || !strings.HasPrefix(a.ua, "Mozilla/5.0 (") {
			t.Errorf("agent %q is twice in the table, weightless or odd", a.ua)
		}
		seen[a.ua] = true
	}
	if len(list) < 55 {
		t.Errorf("%d agents: expected about 60", len(list))
	}
}

func TestCatalogueIsSafeInJSONAndURLs(t *testing.T) {
	for _, p := range catalogue() {
		if !json.Valid([]byte("{" + p.props + "}")) {
			t.Errorf("not JSON: %s", p.props)
		}
		if u, err := url.Parse("https://shop.example" + p.path); err != nil || u.String() != "https://shop.example"+p.path {
			t.Errorf("path %q changes when parsed (%v)", p.path, err)
		}
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.WriteKey = "" }, "write key is empty"},
		{func(o *Options) { o.Visitors = 3 }, "3 visitors for 4 streams"},
		{func(o *Options) { o.Visitors = -1 }, "visitors is -1"},
		{func(o *Options) { o.Streams = -1 }, "streams is -1"},
		{func(o *Options) { o.Origin = "shop.example" }, "origin is"},
		{func(o *Options) { o.Origin = "https://shop.example/x" }, "origin is"},
		{func(o *Options) { o.Origin = "ftp://shop.example" }, "origin is"},
	} {
		o := Options{Visitors: 400, Streams: 4, Origin: "https://shop.example", WriteKey: "wk"}
		c.change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v: expected one with %q", err, c.want)
		}
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	for _, shape := range []Shape{{Interact, 1}, {Segment, 1}, {Snowplow, 3}, {Matomo, 3}, {Umami, 1}, {GoatCounter, 3}, {Plausible, 1}} {
		s := newWorkload(t, nil).Streams()[0]
		for range 2000 {
			s.Next(shape)
		}
		if n := testing.AllocsPerRun(1000, func() { s.Next(shape) }); n > 0 {
			t.Errorf("format %d: %v allocations a request: expected 0", shape.Format, n)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	s := newWorkload(b, func(o *Options) { o.Now = time.Now }).Streams()[0]
	b.ReportAllocs()
	for b.Loop() {
		s.Next(Shape{Interact, 1})
	}
}

// Each quiet visitor comes once with a page view, in turn, and nobody sends
// anything after it but how far a page was read.
func TestQuietVisitorsComeOnceAndThenOnlyRead(t *testing.T) {
	const visitors = 40
	s := newWorkload(t, func(o *Options) { o.Visitors, o.Streams, o.Quiet = visitors, 1, true }).Streams()[0]
	for i := range 10 * visitors {
		shape := Shape{Interact, 1 + 19*(i%2)}
		if i < visitors {
			shape.Batch = 1
		}
		body := string(s.Next(shape).Body)
		pages, reads := strings.Count(body, `"type":"page"`), strings.Count(body, `"event":"Page Read"`)
		if i < visitors && (pages != 1 || reads != 0 || s.who != i) || i >= visitors && (pages != 0 || reads != shape.Batch) {
			t.Fatalf("request %d, of visitor %d, has %d page views and %d readings: %s", i, s.who, pages, reads, body)
		}
	}
}
