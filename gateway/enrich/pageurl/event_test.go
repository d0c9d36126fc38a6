package pageurl

import (
	"strings"
	"testing"

	"github.com/reuna/reuna/identity/event"
)

const sentContext = `{"library":{"name":"reuna.js","version":"1.0.0"},"page":{"url":"https://shop.example/thrillers/the-silent-harbour-2019?utm_source=newsletter&utm_medium=email","path":"/thrillers/the-silent-harbour-2019","search":"?utm_source=newsletter&utm_medium=email","title":"The Silent Harbour – The Reading Room","referrer":"https://www.google.com/"},"pageViewId":"0190f3a2-7b1c-7d3e-8f4a-5b6c7d8e9f01","run":"0190f3a2-7b1c-7d3e-8f4a-5b6c7d8e9f00","seq":3,"locale":"en-GB","timezoneOffset":-120,"screen":{"width":1920,"height":1080,"density":1,"innerWidth":1903,"innerHeight":937},"userAgentData":{"brands":[{"brand":"Chromium","version":"126"},{"brand":"Not/A)Brand","version":"8"}],"mobile":false,"platform":"Windows"}}`

// sent is a page view as the tag sends it, about 1,000 bytes of JSON.
func sent() event.Event {
	return event.Event{
		Type: event.Page, Source: event.FromTag, Context: sentContext,
		Properties: `{"url":"https://shop.example/thrillers/the-silent-harbour-2019?utm_source=newsletter&utm_medium=email","path":"/thrillers/the-silent-harbour-2019","search":"?utm_source=newsletter&utm_medium=email","title":"The Silent Harbour – The Reading Room","referrer":"https://www.google.com/"}`,
		Traffic:    event.Traffic{Channel: "Email", Source: "newsletter", Medium: "email"},
	}
}

func TestEvent(t *testing.T) {
	c := cleaner(t, Options{})
	for _, x := range []struct{ context, wantContext, properties, wantProperties string }{
		{
			`{"page": {"url":"https://a.example/?token=x&b=1", "title":"For anna@x.example","n":1.50}, "traits":{"url":"https://a.example/?token=x","email":"anna@x.example"},"campaign":{"query":"utm_term=anna@x.example&gclid=a","term":"anna@x.example"},"ip":"1.2.3.4"}`,
			`{"page": {"url":"https://a.example/?token=[token]&b=1", "title":"For [email]","n":1.50}, "traits":{"url":"https://a.example/?token=x","email":"anna@x.example"},"campaign":{"query":"utm_term=[email]&gclid=a","term":"[email]"},"ip":"1.2.3.4"}`,
			`{"email":"anna@x.example","href":"mailto:anna@x.example","list":["/a?email=x","b"],"deep":{"er":[{"image":"//User@Cdn.example/x"}]},"search_term":"of anna@x.example","query":"shoes","search":"?q=anna@x.example"}`,
			`{"email":"anna@x.example","href":"mailto:[email]","list":["/a?email=[email]","b"],"deep":{"er":[{"image":"//cdn.example/x"}]},"search_term":"of [email]","query":"shoes","search":"?q=[email]"}`,
		},
		{
			`{"page":{"url":"https:\/\/a.example\/?token=\"x&b=\u00e9","title":"a \"b\" anna\u0040x.example"}}`,
			`{"page":{"url":"https://a.example/?token=[token]&b=é","title":"a \"b\" [email]"}}`,
			`{"url":"https:\/\/a.example\/b","u\u0072l":"x","stack":"at f (https://a.example/x.js?key=abc:1:2)\n at \ud83d\ude00 g","text":"Contact: anna@x.example"}`,
			`{"url":"https:\/\/a.example\/b","u\u0072l":"x","stack":"at f (https://a.example/x.js?key=[token])\n at 😀 g","text":"Contact: anna@x.example"}`,
		},
		{`{}`, `{}`, ``, ``},
	} {
		for _, v := range []string{x.context, x.properties} {
			if v != "" {
				if _, err := event.Check(v); err != nil {
					t.Fatalf("%s: %v", v, err)
				}
			}
		}
		ev := event.Event{Type: event.Track, Context: event.Value(x.context), Properties: event.Value(x.properties), Traits: `{"url":"https://a.example/?token=x"}`}
		c.Event(&ev)
		if string(ev.Context) != x.wantContext {
			t.Errorf("context %s\nbecame %s\nwant   %s", x.context, ev.Context, x.wantContext)
		}
		if string(ev.Properties) != x.wantProperties {
			t.Errorf("properties %s\nbecame %s\nwant   %s", x.properties, ev.Properties, x.wantProperties)
		}
		if ev.Traits != `{"url":"https://a.example/?token=x"}` {
			t.Errorf("traits became %s", ev.Traits)
		}
	}

	ev := event.Event{Type: event.Page, Name: "https://a.example/?token=x", Traffic: event.Traffic{Source: "anna@x.example", Term: "anna%40x.example", Content: jwt, Campaign: "spring"}}
	c.Event(&ev)
	if ev.Name != "https://a.example/?token=[token]" || ev.Traffic != (event.Traffic{Source: "[email]", Term: "[email]", Content: "[token]", Campaign: "spring"}) {
		t.Errorf("%+v", ev)
	}
}

func TestMessage(t *testing.T) {
	c := cleaner(t, Options{})
	const in = `{"type":"page","userId":"anna@x.example","traits":{"site":"https://a.example/?token=x"},"properties":{"url":"/a?token=x","traits":{"url":"/a?token=x"}},"context":{"traits":{"url":"/a?token=x"},"campaign":{"query":"email=x"},"page":{"referrer":"https://b:c@d.example/"}},"timestamp":"x"}`
	const want = `{"type":"page","userId":"anna@x.example","traits":{"site":"https://a.example/?token=x"},"properties":{"url":"/a?token=[token]","traits":{"url":"/a?token=[token]"}},"context":{"traits":{"url":"/a?token=x"},"campaign":{"query":"email=[email]"},"page":{"referrer":"https://d.example/"}},"timestamp":"x"}`
	if got := c.Message(in); got != want {
		t.Errorf(" got %s\nwant %s", got, want)
	}
}

func BenchmarkURL(b *testing.B) {
	c := cleaner(b, Options{})
	for name, s := range map[string]string{
		"clean":    "https://shop.example/thrillers/the-silent-harbour-2019?utm_source=newsletter&page=2",
		"bare":     "https://shop.example/thrillers/the-silent-harbour-2019",
		"gclid":    "https://shop.example/thrillers/the-silent-harbour?gclid=" + gclid,
		"escaped":  "https://shop.example/search?q=red%20shoes%20and%20%C3%A4iti&sort=price",
		"scrubbed": "https://shop.example/reset?token=abcdef&email=anna%40example.com",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				c.URL(s)
			}
		})
	}
}

func BenchmarkEvent(b *testing.B) {
	c := cleaner(b, Options{})
	page := sent()
	click := sent()
	click.Type, click.Properties = event.Track, `{"text":"The Silent Harbour","element":"a.card < li < ul.grid < main","href":"https://shop.example/thrillers/the-silent-harbour-2019"}`
	order := sent()
	order.Type, order.Properties = event.Track, event.Value(`{"order_id":"o-1x2y3z","currency":"EUR","products":[`+strings.Repeat(`{"product_id":"b-17","name":"The Silent Harbour","category":"thrillers","price":12.9,"quantity":1},`, 2)+`{"product_id":"b-18"}],"total":25.80}`)
	for name, ev := range map[string]event.Event{"page": page, "click": click, "order": order} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(ev.Context) + len(ev.Properties)))
			for range b.N {
				c.Event(&ev)
			}
		})
	}
}
