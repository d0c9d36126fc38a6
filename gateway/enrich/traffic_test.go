package enrich

import (
	"math/rand/v2"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

func TestTraffic(t *testing.T) {
	e := newEnricher(t, Options{})
	const page = "https://www.shop.example/books"
	type T = event.Traffic
	direct := T{Channel: "Direct", Source: "(direct)", Medium: "(none)"}
	for _, c := range []struct {
		name, url, referrer string
		want                T
	}{
		{"typed in", page, "", direct},
		{"a fragment is no query", page + "#utm_source=x", "", direct},
		{"other parameters are none of ours", page + "?q=utm_source&utm_foo=1&utm_source=&x", "", direct},
		{"from the site itself", page, "https://www.shop.example/", T{}},
		{"from the site without www", page, "http://shop.example:8080/x", T{}},
		{"from a listed host", page, "https://pay.partner.example/done", T{}},
		{"from below a listed domain", page, "https://a.b.family.example/", T{}},
		{"a host that only ends alike", page, "https://notfamily.example/", T{Channel: "Referral", Source: "notfamily.example", Medium: "referral", Referrer: "notfamily.example"}},
		{"tags count from the site itself too", page + "?utm_source=banner&utm_medium=display", "https://shop.example/", T{Channel: "Display", Source: "banner", Medium: "display"}},
		{"search", page, "https://www.google.com/", T{Channel: "Organic Search", Source: "google", Medium: "organic", Referrer: "www.google.com"}},
		{"search elsewhere", page, "https://www.google.co.uk/", T{Channel: "Organic Search", Source: "google", Medium: "organic", Referrer: "www.google.co.uk"}},
		{"search in an app", page, "android-app://com.google.android.googlequicksearchbox/", T{Channel: "Organic Search", Source: "google", Medium: "organic", Referrer: "com.google.android.googlequicksearchbox"}},
		{"duckduckgo", page, "https://duckduckgo.com/", T{Channel: "Organic Search", Source: "duckduckgo", Medium: "organic", Referrer: "duckduckgo.com"}},
		{"not google at all", page, "https://google.evil.example/", T{Channel: "Referral", Source: "google.evil.example", Medium: "referral", Referrer: "google.evil.example"}},
		{"a document, no search", page, "https://docs.google.com/d/1", T{Channel: "Referral", Source: "docs.google.com", Medium: "referral", Referrer: "docs.google.com"}},
		{"mail", page, "https://mail.google.com/mail/u/0/", T{Channel: "Email", Source: "gmail", Medium: "email", Referrer: "mail.google.com"}},
		{"mail in an app", page, "android-app://com.google.android.gm/", T{Channel: "Email", Source: "gmail", Medium: "email", Referrer: "com.google.android.gm"}},
		{"social", page, "https://l.facebook.com/l.php?u=x", T{Channel: "Organic Social", Source: "facebook", Medium: "social", Referrer: "l.facebook.com"}},
		{"a short link", page, "https://t.co/abc", T{Channel: "Organic Social", Source: "twitter", Medium: "social", Referrer: "t.co"}},
		{"video", page, "https://www.youtube.com/watch?v=1", T{Channel: "Organic Video", Source: "youtube", Medium: "video", Referrer: "www.youtube.com"}},
		{"an assistant", page, "https://chatgpt.com/", T{Channel: "AI Assistant", Source: "chatgpt", Medium: "ai-assistant", Referrer: "chatgpt.com"}},
		{"an assistant on a search engine's domain", page, "https://gemini.google.com/app", T{Channel: "AI Assistant", Source: "gemini", Medium: "ai-assistant", Referrer: "gemini.google.com"}},
		{"an assistant that tags", page + "?utm_source=chatgpt.com", "", T{Channel: "AI Assistant", Source: "chatgpt.com"}},
		{"a marketplace", page, "https://www.amazon.de/dp/1", T{Channel: "Organic Shopping", Source: "amazon", Medium: "referral", Referrer: "www.amazon.de"}},
		{"somebody's page", page, "https://WWW.Blog.Example:8443/post", T{Channel: "Referral", Source: "blog.example", Medium: "referral", Referrer: "www.blog.example"}},
		{"tags over the referrer", page + "?utm_source=News&utm_medium=Email&utm_campaign=Spring%20Sale&utm_term=a+b&utm_content=C", "https://www.google.com/",
			T{Channel: "Email", Source: "news", Medium: "email", Campaign: "Spring Sale", Term: "a b", Content: "C", Referrer: "www.google.com"}},
		{"names in capitals", page + "?UTM_Source=mag&UTM_MEDIUM=cpc", "", T{Channel: "Paid Other", Source: "mag", Medium: "cpc"}},
		{"an id instead of a name", page + "?utm_source=mag&utm_medium=affiliate&utm_id=77", "", T{Channel: "Affiliates", Source: "mag", Medium: "affiliate", Campaign: "77"}},
		{"twice: the first with a value", page + "?utm_source=&utm_source=a&utm_source=b", "", T{Channel: "Unassigned", Source: "a"}},
		{"an ad of Google", page + "?gclid=Cj0K", "https://www.google.com/", T{Channel: "Paid Search", Source: "google", Medium: "cpc", ClickID: "Cj0K", ClickType: "gclid", Referrer: "www.google.com"}},
		{"an ad on an iPhone", page + "?gbraid=1", "", T{Channel: "Paid Search", Source: "google", Medium: "cpc", ClickID: "1", ClickType: "gbraid"}},
		{"a banner of Google", page + "?dclid=1", "", T{Channel: "Display", Source: "google", Medium: "display", ClickID: "1", ClickType: "dclid"}},
		{"an ad of Bing", page + "?msclkid=1", "", T{Channel: "Paid Search", Source: "bing", Medium: "cpc", ClickID: "1", ClickType: "msclkid"}},
		{"a link on Facebook", page + "?fbclid=Iw", "", T{Channel: "Organic Social", Source: "facebook", Medium: "social", ClickID: "Iw", ClickType: "fbclid"}},
		{"an ad on TikTok", page + "?ttclid=1", "", T{Channel: "Paid Social", Source: "tiktok", Medium: "cpc", ClickID: "1", ClickType: "ttclid"}},
		{"tags over a click id", page + "?utm_source=fb&utm_medium=paid_social&fbclid=Iw", "", T{Channel: "Paid Social", Source: "fb", Medium: "paid_social", ClickID: "Iw", ClickType: "fbclid"}},
		{"a click id fills the source", page + "?utm_campaign=x&gclid=1", "", T{Channel: "Organic Search", Source: "google", Campaign: "x", ClickID: "1", ClickType: "gclid"}},
		{"the stronger click id", page + "?fbclid=2&gclid=1", "", T{Channel: "Paid Search", Source: "google", Medium: "cpc", ClickID: "1", ClickType: "gclid"}},
		{"a broken escape stands", page + "?utm_source=50%&utm_medium=%zz%4", "", T{Channel: "Unassigned", Source: "50%", Medium: "%zz%4"}},
		{"bytes that are no text", page + "?utm_source=a%ff", "", T{Channel: "Unassigned", Source: "a\ufffd"}},
		{"no page, no referrer", "", "", T{}},
		{"a referrer without a page", "", "https://www.google.com/", T{Channel: "Organic Search", Source: "google", Medium: "organic", Referrer: "www.google.com"}},
		{"a referrer that is none", page, "about:client", T{}},
	} {
		ev := pageEvent(t, event.FromSDK, o{"page": o{"url": c.url, "referrer": c.referrer}})
		in := &Input{InternalHosts: []string{"Pay.Partner.Example", "*.family.example"}}
		e.Enrich(ev, in)
		if ev.Traffic != c.want {
			t.Errorf("%s (%s from %q):\n got %+v\nwant %+v", c.name, c.url, c.referrer, ev.Traffic, c.want)
		}
	}
}

func TestTrafficFromElsewhere(t *testing.T) {
	e := newEnricher(t, Options{})
	addr := netip.MustParseAddr("8.8.8.8")
	for _, c := range []struct {
		name string
		ev   event.Event
		in   Input
		want event.Traffic
	}{
		{"properties when there is no context", event.Event{Source: event.FromSDK, Properties: `{"url":"https://s.example/?utm_source=mag&utm_medium=sms","referrer":""}`}, Input{},
			event.Traffic{Channel: "SMS", Source: "mag", Medium: "sms"}},
		{"the SDK's campaign over the URL's", event.Event{Source: event.FromSDK, Context: `{"campaign":{"source":"App","name":"N"},"page":{"url":"https://s.example/?utm_source=x&utm_medium=push"}}`}, Input{},
			event.Traffic{Channel: "Mobile Push Notifications", Source: "app", Medium: "push", Campaign: "N"}},
		{"the click id of an address that the page has cleaned", event.Event{Source: event.FromTag, Context: `{"campaign":{"query":"fbclid=f&gclid=+g%20"},"page":{"url":"https://s.example/","referrer":"https://www.google.com/"}}`}, Input{},
			event.Traffic{Channel: "Paid Search", Source: "google", Medium: "cpc", ClickID: "g", ClickType: "gclid", Referrer: "www.google.com"}},
		{"and its tags", event.Event{Source: event.FromTag, Context: `{"campaign":{"query":"utm_campaign=Spring&utm_source=x&utm_medium=email","source":"News"},"page":{"url":"https://s.example/","referrer":""}}`}, Input{},
			event.Traffic{Channel: "Email", Source: "news", Medium: "email", Campaign: "Spring"}},
		{"the URL's own click id counts first", event.Event{Source: event.FromTag, Context: `{"campaign":{"query":"gclid=old"},"page":{"url":"https://s.example/?fbclid=new","referrer":""}}`}, Input{},
			event.Traffic{Channel: "Organic Social", Source: "facebook", Medium: "social", ClickID: "new", ClickType: "fbclid"}},
		{"a server may tell a campaign", event.Event{Source: event.FromServer, Context: `{"campaign":{"source":"mailer","medium":"e-mail"}}`}, Input{Referer: "https://x.example/"},
			event.Traffic{Channel: "Email", Source: "mailer", Medium: "e-mail"}},
		{"a server's own headers are nothing", event.Event{Source: event.FromServer}, Input{Referer: "https://x.example/?gclid=1"}, event.Traffic{}},
		{"the pixel's page is its Referer", event.Event{Source: event.FromPixel}, Input{Referer: "https://s.example/?utm_source=a&utm_medium=audio"},
			event.Traffic{Channel: "Audio", Source: "a", Medium: "audio"}},
		{"which proves nothing about its own referrer", event.Event{Source: event.FromPixel}, Input{Referer: "https://s.example/"}, event.Traffic{}},
		{"the tag's host is the site's own", event.Event{Source: event.FromTag, Context: `{"page":{"url":"https://a.s.example/","referrer":"https://b.s.example/"}}`}, Input{Host: "B.S.Example:443"}, event.Traffic{}},
		{"its Origin too", event.Event{Source: event.FromTag, Context: `{"page":{"url":"https://a.s.example/","referrer":"https://c.s.example/"}}`}, Input{Origin: "https://c.s.example"}, event.Traffic{}},
	} {
		c.in.Client = addr
		c.in.UserAgent = chromeWindows
		e.Enrich(&c.ev, &c.in)
		if c.ev.Traffic != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, c.ev.Traffic, c.want)
		}
	}
}

func TestSplitURL(t *testing.T) {
	words := memo.NewInterner(16)
	for _, c := range []struct{ url, host, query string }{
		{"https://Shop.Example:443/a?b=c#d", "shop.example", "b=c"},
		{"https://shop.example", "shop.example", ""},
		{"https://shop.example.?x", "shop.example", "x"},
		{"http://user:pass@host.example@real.example/x", "real.example", ""},
		{`https://a.example\@b.example/`, "a.example", ""},
		{"https://[2001:DB8::1]:8080/", "2001:db8::1", ""},
		{"https://[::1", "", ""},
		{"https://päivä.example/", "päivä.example", ""},
		{"/path?x=1", "", "x=1"},
		{"//shop.example/", "", ""},
		{"javascript:alert(1)", "", ""},
		{"data:text/html,<a href='http://x.example'>", "", ""},
		{"://x.example", "", ""},
		{"https://<script>/", "", ""},
		{"https://a b.example/", "", ""},
		{"https://" + strings.Repeat("a", 300) + ".example/", "", ""},
		{"?", "", ""}, {"", "", ""}, {"#", "", ""},
	} {
		host, query := splitURL(words, c.url)
		if host != c.host || query != c.query {
			t.Errorf("%q: host %q query %q, want %q %q", c.url, host, query, c.host, c.query)
		}
	}
}

// The standard library is the oracle for what it accepts too.
func TestUnescapedAgreesWithNetURL(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	words := memo.NewInterner(64)
	letters := []rune("aZ9 +%&=?#äö漢😀-_.~\t")
	for range 3000 {
		runes := make([]rune, r.IntN(40))
		for i := range runes {
			runes[i] = letters[r.IntN(len(letters))]
		}
		plain := strings.TrimSpace(string(runes))
		if got := words.Unescaped(url.QueryEscape(plain)); got != strings.Trim(plain, " ") {
			t.Fatalf("%q became %q", plain, got)
		}
	}
}

func FuzzTraffic(f *testing.F) {
	for _, s := range []string{"https://s.example/?utm_source=a%20b&gclid=1#x", "https://%/?%", "a://b?utm_campaign=" + strings.Repeat("%C3%A4", 200),
		"https://[", "http://@:?utm_source", "android-app://x/", "https://e.example/?utm_term=" + strings.Repeat("ä", 300), "\xff://\xff?utm_id=\xff%ff"} {
		f.Add(s, s)
	}
	e := newEnricher(f, Options{})
	f.Fuzz(func(t *testing.T, page, referrer string) {
		ev := &event.Event{Source: event.FromTag, Context: `{"page":{"url":` + event.Quote(page) + `,"referrer":` + event.Quote(referrer) + `}}`}
		e.Enrich(ev, &Input{UserAgent: chromeWindows, Referer: page, Origin: referrer, Host: page, InternalHosts: []string{referrer}})
		tr := ev.Traffic
		for _, s := range []string{tr.Source, tr.Medium, tr.Campaign, tr.Term, tr.Content, tr.ClickID, tr.Referrer} {
			if len(s) > memo.MaxText || !utf8.ValidString(s) {
				t.Errorf("%d bytes, valid %v: %q", len(s), utf8.ValidString(s), s)
			}
		}
		if (tr.Channel == "") != (tr == event.Traffic{}) {
			t.Errorf("a source without a channel: %+v", tr)
		}
	})
}
