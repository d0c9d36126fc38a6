package admin_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

const persons = "/admin/v1/persons/"

func pretty(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPersonWhole pins the whole answer: a device that became a user's, with an
// order, a trait of either trust and one that was taken back.
func TestPersonWhole(t *testing.T) {
	d := newDesk(t, func(o *admin.Options) {
		o.Derive = func(p *people.Person, now time.Time) (map[string]any, []string) {
			return map[string]any{"orders_30d": p.Profile.Orders, "as_of": now.Format(time.RFC3339)}, []string{"thriller-fans"}
		}
	})
	page := msg(0, event.Page, "a1", "")
	login := msg(1, event.Identify, "a1", "u1")
	login.Traits = `{"plan":"pro","email":"Ann@X.fi","old":null}`
	claim := claimed(msg(2, event.Identify, "a1", "u1"))
	claim.Traits = `{"plan":"fake","colour":"red"}`
	order := msg(3, event.Track, "a1", "u1")
	order.Name, order.Properties = "Order Completed", `{"order_id":"o1","revenue":49.90,"currency":"eur"}`
	for _, e := range []*event.Event{&page, &login, &claim, &order} {
		e.Device = event.Device{Type: "desktop", OS: "Linux", Browser: "Firefox", Language: "fi-FI", Timezone: "Europe/Helsinki", Screen: "1920x1080"}
	}
	page.Traffic = event.Traffic{Channel: "Email", Source: "news", ClickID: "x1", ClickType: "gclid"}
	order.Traffic = event.Traffic{Channel: event.Direct}
	polled, robot := msg(1, event.Page, "a1", ""), msg(2, event.Track, "a1", "")
	polled.MessageID, robot.MessageID = "polled", "robot"
	polled.Bot, robot.Bot = event.Bot{Is: true, Class: "headless"}, event.Bot{Is: true, Class: "headless"}
	d.send(page, login, claim, order, polled, robot)

	a := d.get(persons + "user_id:u1")
	if a.status != 200 {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	user, device, mail := d.personID("user_id", "u1"), d.personID("anonymous_id", "a1"), d.personID("email", "ann@x.fi")
	want := fmt.Sprintf(`{"personId":%q,"view":"all","known":true,"aliases":[%q,%q],
	 "identifiers":[{"type":"user_id","value":"u1","since":"2023-11-14T22:13:21.000Z"},{"type":"anonymous_id","value":"a1","since":"2023-11-14T22:13:21.000Z"},{"type":"email","value":"ann@x.fi","since":"2023-11-14T22:13:21.000Z"}],
	 "shared":[],
	 "traits":{
	  "plan":{"value":"pro","trust":"verified","source":"shop","party":"first","time":"2023-11-14T22:13:21.000Z"},
	  "email":{"value":"Ann@X.fi","trust":"verified","source":"shop","party":"first","time":"2023-11-14T22:13:21.000Z"},
	  "old":{"value":null,"trust":"verified","source":"shop","party":"first","time":"2023-11-14T22:13:21.000Z"},
	  "colour":{"value":"red","trust":"claimed","source":"shop","party":"first","time":"2023-11-14T22:13:22.000Z"}},
	 "computed":{"orders_30d":1,"as_of":"2024-05-01T12:00:00Z"},"segments":["thriller-fans"],
	 "counts":{"events":4,"pageviews":1,"sessions":1,"botEvents":2,"botPageviews":1,"orders":1,"revenue":49.9,"currency":"EUR"},
	 "facets":[{"anonymousId":"a1","trust":"verified"},{"anonymousId":"a1","userId":"u1","trust":"claimed"},{"anonymousId":"a1","userId":"u1","trust":"verified"}],
	 "firstSeen":"2023-11-14T22:13:20.000Z","lastSeen":"2023-11-14T22:13:23.000Z",
	 "firstTouch":{"channel":"Email","source":"news","clickId":"x1","clickType":"gclid"},"lastTouch":{"channel":"Email","source":"news","clickId":"x1","clickType":"gclid"},
	 "devices":[{"anonymousId":"a1","type":"desktop","os":"Linux","browser":"Firefox","language":"fi-FI","timezone":"Europe/Helsinki","screen":"1920x1080","firstSeen":"2023-11-14T22:13:20.000Z","lastSeen":"2023-11-14T22:13:23.000Z","sessions":1}],
	 "orders":[{"id":"o1","time":"2023-11-14T22:13:23.000Z","revenue":49.9,"currency":"EUR"}],"consent":{}}`, user, device, mail)
	got := a.body
	if pretty(t, got) != pretty(t, want) {
		t.Errorf("got\n%s\nwant\n%s", pretty(t, got), pretty(t, want))
	}

	// Whatever names the person leads to the same answer.
	for _, path := range []string{"user_id%3Au1", "user_id:%75%31", "anonymous_id:a1", "email:ann@x.fi", "email:%20ANN%40X.FI%20",
		"person:" + user, "person:" + device, "person:" + mail, "user_id:u1?view=all", "user_id:u1?view="} {
		if b := d.get(persons + path); b.body != a.body {
			t.Errorf("%s: %d %s", path, b.status, b.body)
		}
	}

	// At the verified view a device that only claimed to be u1's is not there.
	claim = claimed(msg(4, event.Identify, "a2", "u1"))
	claim.Traits = `{"size":43}`
	d.send(claim)
	var verified struct {
		View   string
		Traits map[string]struct{ Trust string }
		Counts struct{ Events int }
	}
	d.get(persons + "user_id:u1?view=verified").ok(&verified)
	if _, ok := verified.Traits["size"]; ok || verified.View != "verified" || verified.Counts.Events != 4 || len(verified.Traits) != 4 {
		t.Errorf("verified view: %+v", verified)
	}
	mustNotContain(t, "the log", d.log.String(), "u1", "a1", "ann", "Ann", key)
	if !strings.Contains(d.log.String(), "person="+user) || !strings.Contains(d.log.String(), "key=2") {
		t.Errorf("the log does not tell who was read with which key:\n%s", d.log)
	}
}

func TestRevenueOfSeveralCurrencies(t *testing.T) {
	d := newDesk(t, nil)
	for i, p := range []string{`{"revenue":0.1,"currency":"EUR"}`, `{"revenue":0.2,"currency":"EUR"}`, `{"revenue":-1.25,"currency":"USD"}`, `{"revenue":"0.000001"}`} {
		order := msg(i, event.Track, "a1", "")
		order.Name, order.Properties = "Order Completed", event.Value(p)
		d.send(order)
	}
	a := d.get(persons + "anonymous_id:a1")
	if want := `"revenue":0.3,"currency":"EUR","revenueByCurrency":{"EUR":0.3,"XXX":0.000001,"USD":-1.25}`; !strings.Contains(a.body, want) {
		t.Errorf("%s\nlacks %s", a.body, want)
	}
	if want := `"orders":[{"id":"m3","time":"2023-11-14T22:13:23.000Z","revenue":0.000001},{"id":"m2","time":"2023-11-14T22:13:22.000Z","revenue":-1.25,"currency":"USD"},`; !strings.Contains(a.body, want) {
		t.Errorf("%s\nlacks %s", a.body, want)
	}
	if !strings.Contains(a.body, `"known":false`) || !strings.Contains(a.body, `"aliases":[]`) {
		t.Error(a.body)
	}
}

type identity struct{ Type, Value, Since string }

type graphBody struct {
	PersonID  string
	Known     bool
	Ambiguous bool
	Members   []identity
	Shared    []identity
	Conflicts []struct {
		A, B             identity
		Why, Text, Since string
	}
	Pairs []struct {
		A, B                    identity
		Holds                   bool
		Why, Text, Trust, Since string
	}
}

func TestTwoDevicesOfOneUser(t *testing.T) {
	d := newDesk(t, nil)
	d.send(msg(1, event.Page, "a1", ""), msg(2, event.Page, "a2", ""))
	before := d.personID("anonymous_id", "a1")
	var p struct {
		PersonID    string
		Known       bool
		Identifiers []identity
		Devices     []struct{ AnonymousID string }
		Counts      struct{ Events, Sessions int }
	}
	d.get(persons + "anonymous_id:a1").ok(&p)
	if p.Known || p.PersonID != before {
		t.Errorf("before the login: %+v", p)
	}
	d.send(msg(3, event.Identify, "a1", "u1"), claimed(msg(4, event.Identify, "a2", "u1")))
	d.get(persons + "person:" + before).ok(&p)
	if p.PersonID != d.personID("user_id", "u1") || !p.Known || len(p.Identifiers) != 3 || len(p.Devices) != 2 || p.Devices[0].AnonymousID != "a2" || p.Counts.Events != 4 || p.Counts.Sessions != 2 {
		t.Errorf("the id from before the login: %+v", p)
	}
	var g graphBody
	d.get(persons + "user_id:u1/identities").ok(&g)
	if len(g.Members) != 3 || g.Members[0].Type != "user_id" || len(g.Pairs) != 2 || g.Ambiguous {
		t.Errorf("graph: %+v", g)
	}
	for i, trust := range []string{"verified", "claimed"} {
		if r := g.Pairs[i]; !r.Holds || r.Why != "joined" || r.Trust != trust || r.B.Value != "u1" || r.Since == "" || r.Text == "" {
			t.Errorf("pair %d: %+v", i, r)
		}
	}
	d.get(persons + "user_id:u1/identities?view=verified").ok(&g)
	if len(g.Members) != 2 || len(g.Pairs) != 2 || g.Pairs[1].Holds || g.Pairs[1].Why != "other_view" {
		t.Errorf("verified graph: %+v", g)
	}
}

func TestAmbiguousIdentifier(t *testing.T) {
	d := newDesk(t, nil)
	login := func(n int, a, u string) event.Event {
		e := msg(n, event.Identify, a, u)
		e.Traits = `{"email":"both@x.fi"}`
		return e
	}
	d.send(msg(0, event.Page, "a1", ""), login(1, "a1", "u1"), login(2, "a1", "u2"))
	for _, route := range []string{"", "/events", "/identities"} {
		for _, x := range []string{"email:both@x.fi", "anonymous_id:a1"} {
			a := d.get(persons + x + route)
			a.fails(409, "ambiguous_identifier")
			var body struct {
				Candidates []struct{ Type, Value, PersonID string }
				PersonID   string
			}
			if err := json.Unmarshal([]byte(a.body), &body); err != nil {
				t.Fatal(err)
			}
			if len(body.Candidates) != 2 {
				t.Fatalf("%s: %s", x, a.body)
			}
			for i, u := range []string{"u1", "u2"} {
				if c := body.Candidates[i]; c.Type != "user_id" || c.Value != u || c.PersonID != d.personID("user_id", u) {
					t.Errorf("%s: candidate %d: %+v", x, i, c)
				}
			}
			var alone graphBody
			d.get(persons + "person:" + body.PersonID + "/identities").ok(&alone)
			if alone.PersonID != body.PersonID || !alone.Ambiguous || len(alone.Members) != 1 || alone.Known || alone.Pairs[0].Why != "shared" {
				t.Errorf("%s by itself: %+v", x, alone)
			}
		}
	}
	var p struct{ Shared []identity }
	d.get(persons + "user_id:u1").ok(&p)
	if !reflect.DeepEqual(p.Shared, []identity{{"anonymous_id", "a1", ""}, {"email", "both@x.fi", ""}}) {
		t.Errorf("u1 shares %+v", p.Shared)
	}
	var events struct{ Events []struct{ MessageID string } }
	d.get(persons + "person:" + d.personID("anonymous_id", "a1") + "/events").ok(&events)
	if len(events.Events) != 1 || events.Events[0].MessageID != "m0" {
		t.Errorf("the device by itself did %+v", events)
	}
	mustNotContain(t, "the log", d.log.String(), "both", "u1", "u2", "a1")
}

func TestWhoCannotBeFound(t *testing.T) {
	d := newDesk(t, nil)
	d.send(msg(1, event.Page, "a1", ""))
	for _, c := range []struct {
		path   string
		status int
		code   string
	}{
		{"user_id:nobody", 404, "unknown_person"},
		{"user_id:nobody/events", 404, "unknown_person"},
		{"user_id:nobody/identities", 404, "unknown_person"},
		{"user_id:null", 404, "unknown_person"},
		{"person:p_aaaaaaaaaaaaaaaaaaaaaaaaaa", 404, "unknown_person"},
		{"person:p_short", 400, "invalid_identifier"},
		{"person:a1", 400, "invalid_identifier"},
		{"person:p_AAAAAAAAAAAAAAAAAAAAAAAAAA", 400, "invalid_identifier"},
		{"user_id:", 400, "invalid_identifier"},
		{":u1", 400, "invalid_identifier"},
		{"u1", 400, "invalid_identifier"},
		{"user_id:%zz", 400, "invalid_identifier"},
		{"user_id:a%00b", 400, "invalid_identifier"},
		{"user_id:%ff", 400, "invalid_identifier"},
		{"user_id:" + strings.Repeat("x", id.MaxValue+1), 400, "invalid_identifier"},
		{"email:nonsense", 400, "invalid_identifier"},
		{"shoe_size:43", 400, "unknown_type"},
		{"anonymous_id:a1?view=everything", 400, "invalid_view"},
		{"anonymous_id:a1?veiw=verified", 400, "unknown_parameter"},
		{"anonymous_id:a1?limit=3", 400, "unknown_parameter"},
		{"anonymous_id:a1/events?limit=0", 400, "invalid_limit"},
		{"anonymous_id:a1/events?limit=1001", 400, "invalid_limit"},
		{"anonymous_id:a1/events?limit=ten", 400, "invalid_limit"},
		{"anonymous_id:a1/events?before=xyz", 400, "invalid_cursor"},
		{"anonymous_id:a1/events?type=click", 400, "invalid_type"},
		{"anonymous_id:a1/nothing", 404, "not_found"},
		{"anonymous_id:a1/", 404, "not_found"},
		{"", 404, "not_found"},
		{"user_id:..%2f..%2fa1", 404, "unknown_person"},
	} {
		t.Run(c.path[:min(len(c.path), 40)], func(t *testing.T) {
			a := d.get(persons + c.path)
			a.T = t
			a.fails(c.status, c.code)
		})
	}
	mustNotContain(t, "the log", d.log.String(), "nobody", "a1", "nonsense")
}

// TestHardValues: identifiers hold whatever people put into them.
func TestHardValues(t *testing.T) {
	d := newDesk(t, nil)
	for i, u := range []string{"a/b", "a:b", "a b", "../..", "å∂ƒ", "100%", "a?b=c#d", "person:p_x", "a/events", "<script>", `q"uote\`} {
		d.send(msg(i, event.Identify, "", u))
		var p struct{ Identifiers []identity }
		d.get(persons + "user_id:" + url.PathEscape(u)).ok(&p)
		if len(p.Identifiers) != 1 || p.Identifiers[0].Value != u {
			t.Errorf("%q: %+v", u, p)
		}
		var events struct{ Events []json.RawMessage }
		d.get(persons + "user_id:" + url.PathEscape(u) + "/events").ok(&events)
		if len(events.Events) != 1 {
			t.Errorf("%q: %d events", u, len(events.Events))
		}
	}
}

type eventsBody struct {
	PersonID string
	Events   []struct {
		Type, Event, MessageID, Timestamp string
		Properties                        json.RawMessage
		Context                           struct{ Site string }
	}
	Next string
}

// pages walks a timeline to its end.
func (d *desk) pages(path string, query url.Values) (ids []string, sizes []int) {
	d.Helper()
	for {
		var b eventsBody
		d.get(path + "?" + query.Encode()).ok(&b)
		for _, e := range b.Events {
			ids = append(ids, e.MessageID)
		}
		sizes = append(sizes, len(b.Events))
		if b.Next == "" {
			return ids, sizes
		}
		if len(sizes) > 1000 {
			d.Fatal("the pages do not end")
		}
		query.Set("before", b.Next)
	}
}

// TestPagingOverATimeline: 600 events on three devices of one user, several at
// the same millisecond. Pages of any size give each once, newest first.
func TestPagingOverATimeline(t *testing.T) {
	const total = 600
	d := newDesk(t, nil)
	d.send(msg(0, event.Identify, "a0", "u1"), msg(0, event.Identify, "a1", "u1"), msg(0, event.Identify, "a2", "u1"))
	var want, clicks []string
	var events []event.Event
	for i := range total {
		e := msg(1000+i/4, event.Page, fmt.Sprint("a", i%3), "")
		e.MessageID = fmt.Sprint("e", i)
		if i%7 == 0 {
			e.Type, e.Name = event.Track, "Clicked"
			clicks = append(clicks, e.MessageID)
		}
		want = append(want, e.MessageID)
		events = append(events, e)
	}
	d.send(events...)
	slices.Reverse(want)
	slices.Reverse(clicks)
	path := persons + "user_id:u1/events"
	for _, limit := range []int{1, 7, 100, 256, 257, 599, 603, 1000} {
		ids, sizes := d.pages(path, url.Values{"limit": {fmt.Sprint(limit)}})
		if got := ids[:total]; !slices.Equal(got, want) {
			t.Errorf("limit %d: %v", limit, got)
		}
		if len(ids) != total+3 {
			t.Errorf("limit %d: %d events, want %d", limit, len(ids), total+3)
		}
		for _, n := range sizes[:len(sizes)-1] {
			if n != limit {
				t.Errorf("limit %d: pages %v", limit, sizes)
				break
			}
		}
	}
	if _, sizes := d.pages(path, url.Values{}); sizes[0] != 100 {
		t.Errorf("the default page has %d events", sizes[0])
	}
	for _, limit := range []int{1, 10, 1000} {
		ids, _ := d.pages(path, url.Values{"limit": {fmt.Sprint(limit)}, "type": {"track"}, "event": {"Clicked"}})
		if !slices.Equal(ids, clicks) {
			t.Errorf("limit %d: clicks %v, want %v", limit, ids, clicks)
		}
	}
	if ids, _ := d.pages(path, url.Values{"type": {"group"}}); len(ids) != 0 {
		t.Errorf("groups: %v", ids)
	}
}

// TestNewEventsDoNotDisturbPaging: what arrives while somebody pages neither
// moves nor doubles what was there.
func TestNewEventsDoNotDisturbPaging(t *testing.T) {
	const total = 250
	d := newDesk(t, nil)
	var old []event.Event
	for i := range total {
		old = append(old, msg(i, event.Page, "a1", ""))
	}
	d.send(old...)
	seen := map[string]int{}
	query := url.Values{"limit": {"30"}}
	for n := 0; ; n++ {
		var b eventsBody
		d.get(persons + "anonymous_id:a1/events?" + query.Encode()).ok(&b)
		for _, e := range b.Events {
			seen[e.MessageID]++
		}
		if b.Next == "" {
			break
		}
		query.Set("before", b.Next)
		d.send(msg(total+n, event.Page, "a1", "")) // newer than everything
	}
	for i := range total {
		if n := seen[fmt.Sprint("m", i)]; n != 1 {
			t.Errorf("m%d came %d times", i, n)
		}
	}
}

func TestQuarantine(t *testing.T) {
	d := newDesk(t, nil)
	type body struct {
		Refused []struct{ ID, Site, Source, ReceivedAt, Code, Field, Message, Raw string }
		Next    string
	}
	var b body
	d.get("/admin/v1/quarantine").ok(&b)
	if b.Refused == nil || len(b.Refused) != 0 {
		t.Errorf("empty: %+v", b)
	}
	const total = 25
	for i := range total {
		d.refuse(people.Refused{Site: "shop", Source: event.FromSDK, ReceivedAt: day + int64(i), Code: "invalid_type", Field: "type",
			Message: "type is missing", Raw: fmt.Sprintf(`{"n":%d,"secret":"s3cret"}`, i)})
	}
	for _, limit := range []int{1, 8, 25, 26} {
		path, n := fmt.Sprint("/admin/v1/quarantine?limit=", limit), total
		for before := ""; ; {
			b = body{}
			d.get(path + "&before=" + before).ok(&b)
			for _, x := range b.Refused {
				n--
				if want := fmt.Sprintf(`{"n":%d,"secret":"s3cret"}`, n); x.Raw != want || x.Site != "shop" || x.Source != "sdk" || x.Code != "invalid_type" || x.Field != "type" || x.ReceivedAt == "" || x.ID == "" {
					t.Fatalf("limit %d: %+v, want %s", limit, x, want)
				}
			}
			if before = b.Next; before == "" {
				break
			}
		}
		if n != 0 {
			t.Errorf("limit %d: %d of %d are missing", limit, n, total)
		}
	}
	d.get("/admin/v1/quarantine?limit=5000").fails(400, "invalid_limit")
	d.get("/admin/v1/quarantine?before=x").fails(400, "invalid_cursor")
	d.get("/admin/v1/quarantine?before=0").fails(400, "invalid_cursor")
	mustNotContain(t, "the log", d.log.String(), "s3cret")
}
