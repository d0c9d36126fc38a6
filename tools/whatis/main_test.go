package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	chrome  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
	samsung = "Mozilla/5.0 (Linux; Android 13; SM-A536B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/23.0 Chrome/115.0.0.0 Mobile Safari/537.36"
)

// whatis runs the command.
func whatis(t *testing.T, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, problem bytes.Buffer
	status = run(args, strings.NewReader(stdin), &out, &problem)
	return out.String(), problem.String(), status
}

// says runs the command with -json and gives its parts by their names.
func says(t *testing.T, args ...string) map[string]map[string]said {
	t.Helper()
	out, problem, status := whatis(t, "", append([]string{"-json"}, args...)...)
	if status != exitSaid {
		t.Fatalf("%q: status %d: %s", args, status, problem)
	}
	return parts(t, out)
}

func parts(t *testing.T, line string) map[string]map[string]said {
	t.Helper()
	var a answer
	if err := json.Unmarshal([]byte(line), &a); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	all := map[string]map[string]said{}
	for _, p := range a.Parts {
		all[p.Of] = map[string]said{}
		for _, s := range p.Said {
			all[p.Of][s.Field] = s
		}
	}
	return all
}

func TestEachKindIsRecognisedAndExplained(t *testing.T) {
	for _, x := range []struct {
		args                     []string
		part, field, value, rule string // rule: a part of it
	}{
		{[]string{samsung}, "agent", "browser", "Samsung Internet 23.0", "line"},
		{[]string{samsung}, "agent", "os", "Android 13", "line"},
		{[]string{samsung}, "robot", "bot", "no", ""},
		{[]string{"-agent", chrome, "-hints", `Sec-CH-UA-Platform: "Windows"`, "-hints", `sec-ch-ua-platform-version: "15.0.0"`}, "agent", "os", "Windows", ""},
		{[]string{chrome, `Sec-CH-UA: "Brave";v="131", "Chromium";v="131"`}, "agent", "browser", "Brave", ""},
		{[]string{"User-Agent: GPTBot/1.1"}, "robot", "class", "ai-training", "line"},
		{[]string{"Googlebot/2.1"}, "robot", "name", "Googlebot", "line"},
		{[]string{"193.166.3.2"}, "address", "country", "FI", "193.166"},
		{[]string{"[2001:708::1]:443"}, "address", "country", "FI", ""},
		{[]string{"::ffff:193.166.3.2"}, "address", "country", "FI", ""},
		{[]string{"203.0.113.7"}, "address", "country", "", "documentation"},
		{[]string{"-ip", "10.0.0.1"}, "address", "country", "", "unknown"},
		{[]string{"https://shop.example/?utm_source=google&utm_medium=cpc"}, "traffic", "channel", "Paid Search", "GA4"},
		{[]string{"https://shop.example/?email=a%40b.example"}, "page", "kept", "https://shop.example/?email=[email]", ""},
		{[]string{"/books?gclid=abc"}, "traffic", "source", "google", "gclid"},
		{[]string{"www.google.com/search?q=books"}, "referrer", "channel", "Organic Search", "GA4"},
		{[]string{"-referrer", "https://t.co/x"}, "traffic", "source", "twitter", ""},
		{[]string{"Referer: https://t.co/x"}, "traffic", "source", "twitter", ""},
		{[]string{"android-app://com.google.android.gm/"}, "traffic", "referrer", "com.google.android.gm", ""},
		{[]string{"https://shop.example/", "https://www.google.com/"}, "traffic", "channel", "Organic Search", "GA4"},
		{[]string{"https://shop.example/", "-referrer", ""}, "traffic", "channel", "Direct", "GA4"},
		{[]string{"https://shop.example/", "https://shop.example/cart"}, "traffic", "channel", "", "keeps"},
		{[]string{chrome, "193.166.3.2", "https://shop.example/", "https://www.google.com/"}, "visit", "channel", "Organic Search", ""},
		{[]string{chrome, "193.166.3.2"}, "visit", "place", "FI", ""},
		{[]string{chrome, "193.166.3.2"}, "visit", "kept address", "193.166.3.0", ""},
		{[]string{chrome, "-language", "fi-FI,fi;q=0.9"}, "visit", "language", "fi-FI", ""},
		{[]string{"--", "-agent"}, "robot", "bot", "no", ""}, // an agent that begins like a flag
	} {
		got, there := says(t, x.args...)[x.part][x.field]
		if !there || got.Value != x.value && !strings.HasPrefix(got.Value, x.value+" ") || !strings.Contains(got.Rule, x.rule) {
			t.Errorf("%q: %s's %s is %q by %q, expected %q by …%s…", x.args, x.part, x.field, got.Value, got.Rule, x.value, x.rule)
		}
	}
}

// TestTheVisitIsWhatThePartsSay compares the gateway's enrichment of an event
// with what its subjects explain.
func TestTheVisitIsWhatThePartsSay(t *testing.T) {
	for _, agent := range []string{chrome, samsung, "curl/8.4.0", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15"} {
		got := says(t, agent, "193.166.3.2", "https://shop.example/?utm_source=FB&utm_medium=Social", "https://l.facebook.com/")
		for _, x := range [][3]string{{"agent", "browser", "browser"}, {"agent", "os", "os"}, {"traffic", "channel", "channel"}, {"traffic", "source", "source"}, {"traffic", "medium", "medium"}, {"address", "country", "place"}} {
			part, whole := got[x[0]][x[1]].Value, got["visit"][x[2]].Value
			if part != whole {
				t.Errorf("%s: %s is %q, and %q of the whole visit", agent, x[1], part, whole)
			}
		}
	}
}

func TestLinesAreExplainedOneByOne(t *testing.T) {
	out, problem, status := whatis(t, "curl/8.4.0\n\n 193.166.3.2 \nhttps://www.google.com/\n", "-json", "-")
	if status != exitSaid {
		t.Fatalf("status %d: %s", status, problem)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d answers, expected 3:\n%s", len(lines), out)
	}
	for i, part := range []string{"robot", "address", "referrer"} {
		if parts(t, lines[i])[part] == nil {
			t.Errorf("line %d says nothing of a %s: %s", i+1, part, lines[i])
		}
	}
	_, problem, status = whatis(t, "curl/8.4.0\nSec-CH-UA-Nothing: 1\n", "-")
	if status != exitNot || !strings.Contains(problem, "line 2") {
		t.Errorf("status %d, %q: expected %d and the number of the line", status, problem, exitNot)
	}
}

func TestTheConfigurationCounts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "reuna.yaml")
	text := `sites:
  - name: shop
    write_key: wk_shop
    origins: ["https://shop.example"]
    internal_hosts: ["pay.partner.test"]
    url: {trailing_slash: drop, tracking: drop}
    bots: refuse
  - name: blog
    write_key: wk_blog
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	visit := []string{"https://shop.example/done", "https://pay.partner.test/ok"}
	if got := says(t, append(visit, "-config", file, "-site", "shop")...)["traffic"]["channel"]; got.Value != "" {
		t.Errorf("from a host of the site itself: %+v, expected no channel", got)
	}
	if got := says(t, append(visit, "-config", file, "-site", "blog")...)["traffic"]["channel"]; got.Value != "Referral" {
		t.Errorf("from a host that is none of the site: %+v, expected Referral", got)
	}
	if got := says(t, "https://shop.example/a/?utm_source=x", "-config", file, "-site", "shop")["page"]["kept"]; got.Value != "https://shop.example/a" {
		t.Errorf("the site's settings of URLs: %+v", got)
	}
	if got := says(t, "curl/8.4.0", "10.0.0.1", "-config", file, "-site", "shop")["visit"]["events"]; got.Value != "not taken" {
		t.Errorf("a robot where they are refused: %+v", got)
	}
	for _, x := range []struct {
		args []string
		say  string
	}{
		{append(visit, "-config", file), "shop, blog"},
		{append(visit, "-config", file, "-site", "none"), `"none"`},
		{append(visit, "-config", file+".none"), "none"},
		{append(visit, "-site", "shop"), "-config"},
	} {
		if _, problem, status := whatis(t, "", x.args...); status != exitNot || !strings.Contains(problem, x.say) {
			t.Errorf("%q: status %d, %q: expected %d and …%s…", x.args, status, problem, exitNot, x.say)
		}
	}
}

func TestWrongUseIsToldWithWhatToDo(t *testing.T) {
	for _, x := range []struct {
		args []string
		say  string
	}{
		{nil, "nothing to explain"},
		{[]string{chrome, samsung}, "two agents"},
		{[]string{"1.2.3.4", "5.6.7.8"}, "two addresses"},
		{[]string{"https://a.example/", "https://b.example/", "https://c.example/"}, "two referrers"},
		{[]string{""}, "empty"},
		{[]string{"-ip", "somewhere"}, "no IP address"},
		{[]string{"-hints", "Sec-CH-Something: 1"}, "sec-ch-ua-platform"},
		{[]string{"-hints", "1"}, "no client hint"},
		{[]string{"-nothing"}, "not defined"},
		{[]string{"-", chrome}, "one a line"},
		{[]string{"-city", filepath.Join("none", "here.mmdb"), "1.2.3.4"}, "here.mmdb"},
	} {
		_, problem, status := whatis(t, "", x.args...)
		if status != exitNot || !strings.Contains(problem, x.say) {
			t.Errorf("%q: status %d, %q: expected %d and …%s…", x.args, status, problem, exitNot, x.say)
		}
	}
	if _, problem, status := whatis(t, "", "-help"); status != exitSaid || !strings.Contains(problem, "-referrer") {
		t.Errorf("-help: status %d, %q", status, problem)
	}
}

func TestTextIsAlignedAndHarmless(t *testing.T) {
	out, _, _ := whatis(t, "", samsung)
	at := -1
	for _, line := range strings.Split(out, "\n")[1:4] {
		i := strings.Index(line, ".txt")
		i = strings.LastIndex(line[:i], "  ")
		if at >= 0 && i != at {
			t.Errorf("rules begin in columns %d and %d:\n%s", at, i, out)
		}
		at = i
	}
	out, _, status := whatis(t, "", "evil\x1b[31m\nagent\x00")
	if status != exitSaid || strings.ContainsAny(out, "\x1b\x00") {
		t.Errorf("status %d, %q: a terminal would obey", status, out)
	}
	huge, problem, status := whatis(t, strings.Repeat("a", maxLine-1)+"\n", "-json", "-")
	if status != exitSaid {
		t.Errorf("a line of %d bytes: status %d, %s", maxLine-1, status, problem)
	}
	if parts(t, huge)["agent"] == nil {
		t.Error("a long agent is not explained")
	}
	if _, problem, status := whatis(t, strings.Repeat("a", maxLine+1)+"\n", "-"); status != exitNot || !strings.Contains(problem, "standard input") {
		t.Errorf("a line above the limit: status %d, %q", status, problem)
	}
}

func FuzzTake(f *testing.F) {
	for _, s := range []string{chrome, "1.2.3.4", "https://a.example/", "Sec-CH-UA: x", "Referer: y", "?q", "a.com:99999/", "://", "[::1", "http://[::1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var v visit
		if err := v.take(s); err == nil && v.given() != 1 {
			t.Errorf("%q is %d things: %+v", s, v.given(), v)
		}
	})
}
