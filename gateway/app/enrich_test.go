package app_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	iphoneAgent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1"
	secret      = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
)

// A visit as the page, the desk and the log have it: where from, on what, first
// and last, whatever way the visitor took.
func TestAVisitEnriched(t *testing.T) {
	g := start(t, shop)
	b := g.browser()
	visit := func(url, referrer string) map[string]any {
		t.Helper()
		return b.interact(fmt.Sprintf(`{"type":"page","messageId":%q,"context":{"locale":"fi_FI","timezone":"Europe/Helsinki","screen":{"width":390,"height":844},"page":{"url":%q,"referrer":%q}}}`,
			url+referrer, url, referrer), "")
	}
	send := func(url, referrer string) (string, string, string) {
		t.Helper()
		status, a := b.post("/v1/interact", fmt.Sprintf(
			`{"writeKey":%q,"batch":[{"type":"page","context":{"locale":"fi_FI","timezone":"Europe/Helsinki","screen":{"width":390,"height":844},"page":{"url":%q,"referrer":%q}}}]}`, writeKey, url, referrer),
			"User-Agent", iphoneAgent, "X-Forwarded-For", "193.166.3.2")
		if status != 200 {
			t.Fatalf("%d %v", status, a)
		}
		if got := fmt.Sprint(at(a, "profile", "device", "type"), " ", at(a, "profile", "device", "browser"), " ", at(a, "profile", "geo", "country")); got != "mobile Mobile Safari FI" {
			t.Errorf("device and place are %s", got)
		}
		channel := func(name string) string { return fmt.Sprint(at(a, "profile", name, "channel")) }
		return channel("traffic"), channel("firstTouch"), channel("lastTouch")
	}
	const page = "https://shop.example/books"
	for _, c := range []struct{ url, referrer, now, first, last string }{
		{page + "?utm_source=Chatgpt.com", "https://chatgpt.com/", "AI Assistant", "AI Assistant", "AI Assistant"},
		{page + "?gclid=Cj0", "https://www.google.fi/", "Paid Search", "AI Assistant", "Paid Search"},
		{page, "https://shop.example/cart", "Paid Search", "AI Assistant", "Paid Search"},           // within the site
		{page + "/thanks", "https://www.paypal.com/", "Paid Search", "AI Assistant", "Paid Search"}, // back from paying
		{page, "", "Direct", "AI Assistant", "Paid Search"},
	} {
		now, first, last := send(c.url, c.referrer)
		if now != c.now || first != c.first || last != c.last {
			t.Errorf("%s from %q: now %s, first %s, last %s; want %s, %s, %s", c.url, c.referrer, now, first, last, c.now, c.first, c.last)
		}
	}
	a := visit(page, "")
	if new := at(a, "profile", "visit", "pageviews"); new != 6.0 {
		t.Errorf("page views %v", new)
	}
	events := timeline(t, g.DeskURL(), "anonymous_id", b.id())
	device, _ := at(events[0], "context", "device").(map[string]any)
	if device["language"] != "fi-FI" || device["timezone"] != "Europe/Helsinki" || device["screen"] != "390x844" {
		t.Errorf("the device is %v", device)
	}
}

// Nothing personal that stood in an address, and no address of a client in
// whole, is in what the gateway keeps: not in events, not among refused messages.
func TestAddressesAreKeptClean(t *testing.T) {
	g := start(t, shop+"    url: {trailing_slash: drop, drop: [internal]}\n")
	b := g.browser()
	const page = "https://bob:pw@shop.example/reset/?email=bob%2Bx%40mail.example&token=" + secret + "&internal=1&p=2#access_token=" + secret
	b.interact(fmt.Sprintf(`{"type":"page","messageId":"m1","properties":{"url":%[1]q,"title":"Welcome bob@mail.example"},"context":{"page":{"url":%[1]q,"referrer":"https://mail.example/?u=bob%%40mail.example"}}}`, page)+
		`,{"type":"track","event":"Link Clicked","messageId":"m2","properties":{"href":"mailto:bob@mail.example","note":"`+page+`"}}`, "")
	status, answer := b.post("/v1/batch", fmt.Sprintf(`{"writeKey":%q,"batch":[{"type":"page","messageId":"m3","anonymousId":"a1","context":{"ip":"193.166.3.2","page":{"url":%[2]q}}},{"type":"page","anonymousId":"a1","timestamp":"https://x.example/?to=bob@mail.example","context":{"ip":"193.166.3.2","page":{"url":%[2]q}}}]}`, writeKey, page))
	if rejected, _ := answer["rejected"].([]any); status != 200 || len(rejected) != 1 {
		t.Fatalf("%d %v", status, answer)
	}
	kept := []any{g.quarantine(), timeline(t, g.DeskURL(), "anonymous_id", b.id()), timeline(t, g.DeskURL(), "anonymous_id", "a1")}
	text, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	for _, personal := range []string{"bob", "mail.example/?u=b", secret, secret[:40], "193.166.3.2", "internal=1"} {
		if strings.Contains(string(text), personal) {
			t.Errorf("%q is kept", personal)
		}
	}
	if !strings.Contains(string(text), `https://shop.example/reset?email=[email]\u0026token=[token]\u0026p=2"`) {
		t.Errorf("the address is not kept clean")
	}
	if t.Failed() {
		t.Log(string(text))
	}
}

// A visitor who looks at two pages a second for longer than a minute is no
// person, whatever the agent says; and who wrote it off-line and sends it now is
// one.
func TestBehaviourIsJudged(t *testing.T) {
	g := start(t, shop)
	reader, robot := g.browser(), g.browser()
	begin := time.Now().Add(-3 * time.Hour)
	views := func(b *browser, every time.Duration) (human, bots float64) {
		t.Helper()
		for batch := range 10 {
			var events []string
			for i := range 10 {
				n := batch*10 + i
				events = append(events, fmt.Sprintf(`{"type":"page","timestamp":%q,"context":{"page":{"url":"https://shop.example/%d"}}}`, begin.Add(time.Duration(n)*every).UTC().Format(time.RFC3339Nano), n))
			}
			b.interact(strings.Join(events, ","), "")
		}
		counts := g.person("anonymous_id", b.id())["counts"].(map[string]any)
		return counts["pageviews"].(float64), counts["botPageviews"].(float64)
	}
	if human, bots := views(reader, 30*time.Second); human != 100 || bots != 0 {
		t.Errorf("of a person %v page views count, and %v as a robot's", human, bots)
	}
	if human, bots := views(robot, 500*time.Millisecond); human != 59 || bots != 41 {
		t.Errorf("of a robot %v page views count as a person's, and %v as a robot's", human, bots)
	}
	events := timeline(t, g.DeskURL(), "anonymous_id", robot.id())
	if why := fmt.Sprint(at(events[0], "context", "bot", "reason")); !strings.Contains(why, "page views within a minute") {
		t.Errorf("the reason is %q", why)
	}
}

// id is the visitor whose cookie the browser has.
func (b *browser) id() string { return fmt.Sprint(at(b.profile(), "profile", "id")) }
