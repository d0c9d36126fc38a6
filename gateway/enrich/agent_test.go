package enrich

import (
	"slices"
	"strings"
	"testing"

	"github.com/reuna/reuna/gateway/enrich/bot"
	"github.com/reuna/reuna/gateway/enrich/device"
	"github.com/reuna/reuna/gateway/enrich/memo"
)

const (
	googlebot = "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
	headless  = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36"
)

// A robot's device is the robot, but for a browser without a window, which is a
// real browser on a real system.
func TestDeviceOfRobots(t *testing.T) {
	a := testAgents(t)
	for _, c := range []struct {
		key         agentKey
		class, kind string
	}{
		{agentKey{ua: googlebot}, bot.Search, typeBot},
		{agentKey{ua: "curl/8.5.0"}, bot.Library, typeBot},
		{agentKey{ua: headless}, bot.Headless, device.Desktop},
		{agentKey{ua: chromeWindows, hints: Hints{UA: `"HeadlessChrome";v="126", "Chromium";v="126"`}}, bot.Headless, device.Desktop},
		{agentKey{ua: safariPhone}, "", device.Mobile},
		{agentKey{ua: "Mozilla/5.0"}, "", device.Other},
		{agentKey{}, "", ""}, // nothing was said, so nothing is known
	} {
		got := a.find(c.key)
		if got.bot.Class != c.class || got.bot.Is != (c.class != "") || got.device.Type != c.kind {
			t.Errorf("%q: %+v on a device of type %q; want class %q, type %q", c.key.ua, got.bot, got.device.Type, c.class, c.kind)
		}
		if c.class != "" && !slices.Contains(bot.Classes(), c.class) {
			t.Errorf("class %q is none", c.class)
		}
	}
}

func testAgents(t testing.TB) *agents {
	t.Helper()
	a, err := newAgents(64)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestHugeAgentIsCut(t *testing.T) {
	a := testAgents(t)
	huge := "Mozilla/5.0 " + strings.Repeat("(", 1<<20)
	found := a.find(agentKey{ua: huge, hints: Hints{UA: strings.Repeat(`"a";`, 1<<18)}})
	if len(found.key.ua) > memo.MaxAgent || found.key.hints.UA != "" {
		t.Errorf("kept %d bytes of agent and %d of hints", len(found.key.ua), len(found.key.hints.UA))
	}
	if again := a.find(agentKey{ua: huge}); len(again.key.ua) > memo.MaxAgent {
		t.Error("not cut")
	}
}

// A cached answer must not depend on the request's memory.
func TestAgentsKeepTheirOwnStrings(t *testing.T) {
	a := testAgents(t)
	body := []byte(safariPhone)
	key := agentKey{ua: string(body)}
	first := a.find(key)
	for i := range body {
		body[i] = 'x'
	}
	if second := a.find(agentKey{ua: safariPhone}); second != first || second.device.Model != "iPhone" {
		t.Errorf("got %+v", second)
	}
}

func TestWarmAgentDoesNotAllocate(t *testing.T) {
	a := testAgents(t)
	key := agentKey{ua: chromeWindows, hints: Hints{UA: `"Chromium";v="126"`, Platform: `"Windows"`}, uaData: `{"mobile":false}`}
	a.find(key)
	if n := testing.AllocsPerRun(500, func() { a.find(key) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func FuzzAgent(f *testing.F) {
	for _, ua := range []string{chromeWindows, safariPhone, googlebot, headless} {
		f.Add(ua, `"Not/A)Brand";v="8", "Chromium";v="126"`, `"15.0.0"`)
	}
	f.Add("Mozilla/5.0 (", `"\`, "?")
	f.Add("(((((", `;v="`, `0.`)
	f.Add("bot\xff\u0130", `"HeadlessChrome";v="1"`, ``)
	a := testAgents(f)
	f.Fuzz(func(t *testing.T, ua, brands, version string) {
		found := a.find(agentKey{ua: ua, hints: Hints{UA: brands, FullVersionList: brands, Platform: version, PlatformVersion: version, Model: version}})
		d := found.device
		for _, s := range []string{d.OS, d.OSVersion, d.Browser, d.BrowserVersion, d.Model, d.Vendor} {
			if len(s) > memo.MaxName {
				t.Errorf("%q is longer than %d bytes", s, memo.MaxName)
			}
		}
		switch d.Type {
		case device.Desktop, device.Mobile, device.Tablet, device.TV, "console", device.Wearable, typeBot, device.Other:
		case "":
			if ua != "" || brands != "" || version != "" {
				t.Errorf("no type for %q", ua)
			}
		default:
			t.Errorf("type %q", d.Type)
		}
		if found.bot.Is != (found.bot.Class != "") || found.bot.Is != (found.bot.Reason != "") {
			t.Errorf("half a verdict: %+v", found.bot)
		}
	})
}
