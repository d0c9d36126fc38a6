package enrich

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/reuna/reuna/identity/event"
)

const (
	chromeWindows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
	safariPhone   = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)

func newEnricher(t testing.TB, o Options) *Enricher {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// object is a JSON object as a checked Value, escaped as a browser would: "&"
// stands for itself.
func object(t testing.TB, v any) event.Value {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return event.Value(strings.TrimSpace(b.String()))
}

type o = map[string]any

func pageEvent(t testing.TB, source event.Source, context any) *event.Event {
	return &event.Event{Type: event.Page, Source: source, Context: object(t, context)}
}

func TestEnrichFillsEverything(t *testing.T) {
	e := newEnricher(t, Options{})
	ev := pageEvent(t, event.FromTag, o{"page": o{
		"url": "https://shop.example/books?utm_source=Newsletter&utm_medium=email&utm_campaign=Summer+Sale", "referrer": "https://mail.google.com/"}})
	e.Enrich(ev, &Input{
		UserAgent: chromeWindows,
		Hints: Hints{UA: `"Not/A)Brand";v="8", "Chromium";v="126", "Google Chrome";v="126"`, Mobile: "?0", Platform: `"Windows"`,
			PlatformVersion: `"15.0.0"`, FullVersionList: `"Not/A)Brand";v="8.0.0.0", "Chromium";v="126.0.6478.127", "Google Chrome";v="126.0.6478.127"`},
		Client: netip.MustParseAddr("8.8.8.8"),
	})
	want := event.Device{Type: "desktop", OS: "Windows", OSVersion: "11", Browser: "Chrome", BrowserVersion: "126.0.6478.127"}
	if ev.Device != want {
		t.Errorf("device %+v, want %+v", ev.Device, want)
	}
	if ev.IP != "8.8.8.0" || ev.Geo.Country != "US" {
		t.Errorf("ip %q geo %+v", ev.IP, ev.Geo)
	}
	if ev.Traffic != (event.Traffic{Channel: "Email", Source: "newsletter", Medium: "email", Campaign: "Summer Sale", Referrer: "mail.google.com"}) {
		t.Errorf("traffic %+v", ev.Traffic)
	}
	if ev.Bot.Is {
		t.Errorf("bot %+v", ev.Bot)
	}
}

func TestWhoseRequestItIs(t *testing.T) {
	e := newEnricher(t, Options{IP: "full"})
	us, fi := netip.MustParseAddr("8.8.8.8"), "193.166.3.2" // Google; FUNET
	for _, c := range []struct {
		name    string
		source  event.Source
		context o
		agent   string
		ip, os  string
		bot     bool
	}{
		{"a tag's request is the visitor's", event.FromTag, o{}, chromeWindows, "8.8.8.8", "Windows", false},
		{"a tag may not claim an address", event.FromTag, o{"ip": fi}, chromeWindows, "8.8.8.8", "Windows", false},
		{"a browser SDK's context wins", event.FromSDK, o{"userAgent": safariPhone, "ip": fi}, chromeWindows, fi, "iOS", false},
		{"a server's own request says nothing", event.FromServer, o{}, "analytics-node/2.1", "", "", false},
		{"a server speaks through its context", event.FromServer, o{"userAgent": safariPhone, "ip": fi}, "analytics-node/2.1", fi, "iOS", false},
		{"a server library with the public key too", event.FromSDK, o{"library": o{"name": "analytics-python"}}, "python-requests/2.32", "", "", false},
		{"an app's HTTP library is no bot", event.FromSDK, o{"os": o{"name": "Android", "version": "14"}, "device": o{"type": "android", "manufacturer": "Samsung", "model": "SM-S918B"}}, "okhttp/4.12.0", "8.8.8.8", "Android", false},
		{"a telephone's library without a word is an app's", event.FromSDK, o{}, "okhttp/4.12.0", "8.8.8.8", "Android", false},
		{"a program without a word is a server", event.FromSDK, o{}, "python-requests/2.32.3", "", "", false},
		{"which may speak of a robot", event.FromSDK, o{"userAgent": "curl/8.5.0"}, "python-requests/2.32.3", "8.8.8.8", "", true},
		{"a program that plays the page is a robot", event.FromTag, o{}, "python-requests/2.32.3", "8.8.8.8", "", true},
		{"and so is one that fetches the pixel", event.FromPixel, o{}, "curl/8.5.0", "8.8.8.8", "", true},
		{"0.0.0.0 asks not to be placed", event.FromSDK, o{"ip": "0.0.0.0"}, chromeWindows, "", "Windows", false},
		{"an address that is none is unknown", event.FromSDK, o{"ip": "all of them"}, chromeWindows, "", "Windows", false},
		{"a browser always has an agent", event.FromTag, o{}, "", "8.8.8.8", "", true},
	} {
		ev := pageEvent(t, c.source, c.context)
		e.Enrich(ev, &Input{UserAgent: c.agent, Client: us})
		if ev.IP != c.ip || ev.Device.OS != c.os || ev.Bot.Is != c.bot {
			t.Errorf("%s: ip %q os %q bot %+v; want %q %q %v", c.name, ev.IP, ev.Device.OS, ev.Bot, c.ip, c.os, c.bot)
		}
		if c.bot && ev.Bot.Reason == "" {
			t.Errorf("%s: a verdict without a reason", c.name)
		}
	}
}

func TestAppDevices(t *testing.T) {
	e := newEnricher(t, Options{})
	for _, c := range []struct {
		context o
		want    event.Device
	}{
		{o{"os": o{"name": "iOS", "version": "17.5"}, "device": o{"type": "ios", "manufacturer": "Apple", "model": "iPhone15,3"}},
			event.Device{Type: "mobile", OS: "iOS", OSVersion: "17.5", Vendor: "Apple", Model: "iPhone15,3"}},
		{o{"os": o{"name": "iPadOS", "version": "17.5"}, "device": o{"model": "iPad13,4"}},
			event.Device{Type: "tablet", OS: "iOS", OSVersion: "17.5", Vendor: "Apple", Model: "iPad13,4"}},
		{o{"os": o{"name": "Android", "version": "14"}, "device": o{"model": "Pixel 8"}},
			event.Device{Type: "mobile", OS: "Android", OSVersion: "14", Vendor: "Google", Model: "Pixel 8"}},
		{o{"os": o{"name": "tvOS", "version": "17"}, "device": o{"model": "AppleTV14,1"}},
			event.Device{Type: "tv", OS: "tvOS", OSVersion: "17", Vendor: "Apple", Model: "AppleTV14,1"}},
		{o{"os": o{"name": "macOS", "version": "14.5"}},
			event.Device{Type: "desktop", OS: "Mac OS X", OSVersion: "14.5"}},
	} {
		ev := pageEvent(t, event.FromSDK, c.context)
		e.Enrich(ev, &Input{})
		if ev.Device != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", ev.Context, ev.Device, c.want)
		}
	}
}

// What stood in the event before must not shine through.
func TestEnrichReplaces(t *testing.T) {
	e := newEnricher(t, Options{})
	ev := &event.Event{Source: event.FromServer, IP: "x", Device: event.Device{OS: "x"}, Geo: event.Geo{City: "x"},
		Traffic: event.Traffic{Channel: "x"}, Bot: event.Bot{Is: true}}
	e.Enrich(ev, &Input{UserAgent: chromeWindows, Client: netip.MustParseAddr("8.8.8.8")})
	if ev.IP != "" || ev.Device != (event.Device{}) || ev.Geo != (event.Geo{}) || ev.Traffic != (event.Traffic{}) || ev.Bot != (event.Bot{}) {
		t.Errorf("left over: %+v", ev)
	}
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.mmdb")
	if err := os.WriteFile(junk, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		options Options
		want    string
	}{
		{Options{IP: "some"}, `"some"`},
		{Options{City: filepath.Join(dir, "missing.mmdb")}, "geo.city"},
		{Options{ASN: junk}, "geo.asn"},
		{Options{City: dir}, "geo.city"},
	} {
		_, err := New(c.options)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one with %s", c.options, err, c.want)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "country.mmdb")
	if err := os.WriteFile(path, countryFile(t), 0o600); err != nil {
		t.Fatal(err)
	}
	e := newEnricher(t, Options{Country: path, UACacheSize: 16, AddrCacheSize: 16})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 300 {
				version := fmt.Sprint(100 + (i+w)%40)
				ev := &event.Event{Source: event.FromTag, Context: object(t, o{"page": o{"url": "https://s.example/?utm_source=A" + version}})}
				addr := netip.AddrFrom4([4]byte{8, 8, 8, byte(i)})
				e.Enrich(ev, &Input{UserAgent: strings.Replace(chromeWindows, "126", version, 1), Client: addr})
				if ev.Device.BrowserVersion != version+".0.0.0" || ev.Geo.Country != "US" || ev.Traffic.Source != "a"+version {
					t.Errorf("another's answer: %+v", ev)
					return
				}
			}
		})
	}
	for range 2 {
		if err := e.Reload(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

func cachedCase(t testing.TB) (*event.Event, *Input) {
	ev := pageEvent(t, event.FromTag, o{
		"userAgent": chromeWindows, "locale": "fi-FI",
		"page":          o{"url": "https://shop.example/books/?q=%C3%A4&utm_source=Google&utm_medium=cpc&utm_campaign=summer%20sale&gclid=Cj0KCQ", "referrer": "https://www.google.fi/", "title": "Books"},
		"userAgentData": o{"mobile": false, "platform": "Windows", "brands": []o{{"brand": "Chromium", "version": "126"}}},
	})
	return ev, &Input{UserAgent: chromeWindows, Client: netip.MustParseAddr("193.166.3.2"), Host: "shop.example", Origin: "https://shop.example",
		Hints: Hints{UA: `"Chromium";v="126"`, Mobile: "?0", Platform: `"Windows"`}, InternalHosts: []string{"shop.example", "*.shop.example"}}
}

func TestWarmEnrichDoesNotAllocate(t *testing.T) {
	e := newEnricher(t, Options{})
	ev, in := cachedCase(t)
	e.Enrich(ev, in)
	if n := testing.AllocsPerRun(500, func() { e.Enrich(ev, in) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkEnrichCached(b *testing.B) {
	e := newEnricher(b, Options{})
	ev, in := cachedCase(b)
	b.ReportAllocs()
	for b.Loop() {
		e.Enrich(ev, in)
	}
}

// Every event with an agent, an address and a campaign of its own.
func BenchmarkEnrichUnseen(b *testing.B) {
	e := newEnricher(b, Options{})
	ev, in := cachedCase(b)
	ev.Context = object(b, o{"page": o{"url": "https://shop.example/?utm_source=News&utm_campaign=a%20b"}})
	agents := make([]string, 40000)
	for i := range agents {
		agents[i] = strings.Replace(chromeWindows, "126.0", fmt.Sprintf("%d.%d", 100+i%50, i), 1)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		in.UserAgent = agents[i%len(agents)]
		in.Client = netip.AddrFrom4([4]byte{byte(i>>16)%200 + 11, byte(i >> 8), byte(i), 9})
		e.Enrich(ev, in)
	}
}

// What a sender says of an address is looked up whole and kept as configured:
// the context that goes to the log does not hold it.
func TestAddressInContextIsNotKept(t *testing.T) {
	e := newEnricher(t, Options{})
	for _, ip := range []any{"193.166.3.2", 42, o{"v4": "193.166.3.2"}} {
		ev := pageEvent(t, event.FromServer, o{"ip": ip, "locale": "fi-FI", "page": o{"url": "https://shop.example/"}})
		e.Enrich(ev, &Input{})
		if got := string(ev.Context); got != `{"locale":"fi-FI","page":{"url":"https://shop.example/"}}` {
			t.Errorf("ip %v: the context is %s", ip, got)
		}
		if ip == "193.166.3.2" && (ev.IP != "193.166.3.0" || ev.Geo.Country != "FI") {
			t.Errorf("ip %q, geo %+v", ev.IP, ev.Geo)
		}
	}
}

func TestFacts(t *testing.T) {
	e := newEnricher(t, Options{})
	said := o{"locale": "en_gb", "timezone": "Europe/London", "screen": o{"width": 1280, "height": 720}}
	for _, c := range []struct {
		source  event.Source
		context o
		want    event.Device
	}{
		{event.FromTag, said, event.Device{Language: "en-GB", Timezone: "Europe/London", Screen: "1280x720"}},
		{event.FromTag, o{}, event.Device{Language: "sv-SE"}}, // of the request
		{event.FromServer, o{}, event.Device{}},               // which is the server's own
		{event.FromServer, said, event.Device{Language: "en-GB", Timezone: "Europe/London", Screen: "1280x720"}},
	} {
		ev := pageEvent(t, c.source, c.context)
		e.Enrich(ev, &Input{Language: "sv-SE,sv;q=0.9,en;q=0.8"})
		got := event.Device{Language: ev.Device.Language, Timezone: ev.Device.Timezone, Screen: ev.Device.Screen}
		if got != c.want {
			t.Errorf("%v %v: %+v, want %+v", c.source, c.context, got, c.want)
		}
	}
}
