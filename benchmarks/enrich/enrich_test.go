package enrich

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/gateway/enrich/geo"
)

func TestMadeAgentsAreWhatBrowsersSend(t *testing.T) {
	// As Chrome 131, 120 and 110 send it.
	for major, list := range map[int]string{
		131: `"Google Chrome";v="131", "Chromium";v="131", "Not_A Brand";v="24"`,
		120: `"Not_A Brand";v="8", "Chromium";v="120", "Google Chrome";v="120"`,
		110: `"Chromium";v="110", "Not A(Brand";v="24", "Google Chrome";v="110"`,
	} {
		if got := brandList(major, "Google Chrome", itoa(major), itoa(major)); got != list {
			t.Errorf("%d: %s, expected %s", major, got, list)
		}
	}
	type key struct {
		agent string
		hints hints
	}
	all, seen := generate(), map[key]labelled{}
	per := map[string]int{}
	for _, l := range all {
		if l.agent == "" || strings.ContainsAny(l.agent, "{}%") || l.kind == "" {
			t.Errorf("made badly: %+v", l)
		}
		k := key{l.agent, l.hints}
		// Nothing may have two truths.
		if other, twice := seen[k]; twice && (other.browser != l.browser || other.system != l.system || other.kind != l.kind || other.osMajor != "" && l.osMajor != "" && other.osMajor != l.osMajor) {
			t.Errorf("%+v is also %+v", l, other)
		}
		seen[k] = l
		per[l.browser]++
	}
	for _, b := range knownBrowsers() {
		switch b.Key {
		case "baidu", "bb", "ie_mob", "kaios": // never common, or without a family
			continue
		}
		n := 0
		for _, f := range b.Families {
			n += per[f]
		}
		if n == 0 {
			t.Errorf("no agent of %s is made", b.Name)
		}
	}
	t.Logf("%d agents: %v", len(all), per)
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestGooglesRows(t *testing.T) {
	table := google()
	for _, x := range [][4]string{
		{"(direct)", "(none)", "", "Direct"},
		{"(direct)", "cpc", "", "Paid Other"},
		{"google", "cpc", "cross-network", "Cross-network"},
		{"google", "cpc", "", "Paid Search"},
		{"Google", "CPC", "e-shop", "Paid Shopping"},
		{"facebook", "paid_social", "", "Paid Social"},
		{"youtube", "cpv", "", "Paid Video"}, // it has "cp" in it
		{"partner", "cpm", "", "Display"},
		{"partner", "retargeting", "", "Paid Other"},
		{"partner", "banner", "my bishop", "Display"},
		{"partner", "", "workshop", "Unassigned"},
		{"partner", "", "9shop", "Organic Shopping"},
		{"newsletter", "e-mail", "", "Email"},
		{"sms", "", "", "SMS"},
		{"app", "webpush", "", "Mobile Push Notifications"},
		{"example.org", "referral", "", "Referral"},
		{"example.org", "ai-assistant", "", "AI Assistant"},
	} {
		if got := googleSays(table, x[0], x[1], x[2]); got != x[3] {
			t.Errorf("%q: %q, expected %q", x[:3], got, x[3])
		}
	}
	// Every row is met by some landing, and so is what no row applies to.
	met := map[string]bool{}
	for _, l := range tagged() {
		met[l.channel] = true
	}
	for _, r := range append(table, row{channel: "Unassigned"}) {
		if !met[r.channel] {
			t.Errorf("no landing is of %s", r.channel)
		}
	}
}

// scripted answers what a test wants.
type scripted struct{ reading }

func (s scripted) read(*labelled) reading { return s.reading }

func TestQuestionsCountWhatIsRight(t *testing.T) {
	set := []labelled{
		{agent: "a", browser: "Chrome", weight: 0.9},
		{agent: "b", browser: "Firefox", weight: 0.1, held: true},
		{agent: "c", browser: "Safari", weight: 5, rare: true},
	}
	asked := func(l *labelled) bool { return !l.rare }
	said := readAll(scripted{reading{browser: "Chrome"}}, set)
	var failed []string
	fail := func(l *labelled, expected, got string) { failed = append(failed, l.agent+expected+got) }
	q := question{set: set, asked: asked, answer: browserIs}
	if share, n := q.put(said, fail); share != 50 || n != 2 {
		t.Errorf("%g %% of %d, expected 50 %% of 2", share, n)
	}
	q.weighted = true
	if share, _ := q.put(said, nil); share != 90 {
		t.Errorf("%g %% by weight, expected 90 %%", share)
	}
	if len(failed) != 1 || failed[0] != "bFirefoxChrome" {
		t.Errorf("failures: %q", failed)
	}
	q = question{set: set, atMost: true, answer: isCalledBot}
	if share, n := q.put(readAll(scripted{reading{bot: true}}, set), nil); share != 100 || n != 3 {
		t.Errorf("%g %% of %d called bots, expected all", share, n)
	}
	for _, x := range []struct {
		l     labelled
		r     reading
		right bool
	}{
		{labelled{browser: "Other"}, reading{}, true},
		{labelled{browser: "Googlebot"}, reading{browser: "Chrome", bot: true, botName: "Googlebot"}, true},
		{labelled{browser: "Chrome"}, reading{browser: "Chrome Mobile"}, false},
	} {
		if _, got, right := browserIs(&x.l, &x.r); right != x.right {
			t.Errorf("%s for %s: %v", got, x.l.browser, right)
		}
	}
	for _, x := range [][2]string{{"Linux", "Ubuntu"}, {"webOS", "Web0S"}, {"", "Other"}} {
		if _, _, right := systemIs(&labelled{system: x[1]}, &reading{system: x[0]}); !right {
			t.Errorf("%s is not taken for %s", x[0], x[1])
		}
	}
}

// small is data that needs no fixture.
func small(t *testing.T) *data {
	t.Helper()
	core, err := readCore(map[string][]byte{
		"regexes.yaml":           []byte("user_agent_parsers:\n  - regex: '(Firefox)/(\\d+)'\nos_parsers:\n  - regex: '(Linux)'\ndevice_parsers:\n  - regex: '(Nexus 7)'\n"),
		"tests/test_ua.yaml":     []byte("test_cases:\n  - user_agent_string: 'Firefox/3'\n    family: 'No such browser'\n  - user_agent_string: 'Firefox/4'\n    family: 'No such browser'\n  - user_agent_string: 'Firefox/5'\n    family: 'No such browser'\n  - user_agent_string: 'Firefox/6'\n    family: 'No such browser'\n"),
		"tests/test_os.yaml":     []byte("test_cases:\n  - user_agent_string: 'Linux'\n    family: 'Linux'\n"),
		"tests/test_device.yaml": []byte("test_cases:\n  - user_agent_string: 'a'\n    family: 'iPad'\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	d := &data{
		core: core, common: []browser{{Families: []string{"Firefox"}}}, generated: generate()[:50],
		crawlers: []labelled{{agent: "Googlebot/2.1"}}, tags: [][]string{{"search-engine", "seo"}},
	}
	d.visitors, d.left = d.people([]labelled{
		{agent: "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0", kind: "desktop", weight: 0.5},
		{agent: "Mozilla/5.0 (X11) BuiltWith/1.0"}, {agent: "Mozilla/5.0 DuckDuckGo/7", kind: "mobile"},
	})
	return d
}

// TestHeldOutAgentsAreNeverTold is what keeps the held-out half honest.
func TestHeldOutAgentsAreNeverTold(t *testing.T) {
	d := small(t)
	if len(d.visitors) != 2 || d.left.Robots != 1 || d.left.Strangers != 1 || d.visitors[0].browser != "Firefox" {
		t.Fatalf("%+v %+v", d.visitors, d.left)
	}
	classes, failures := d.ask(scripted{})
	told, held := 0, 0
	for _, l := range d.core.browsers {
		if l.held {
			held++
		}
	}
	if held == 0 || held == len(d.core.browsers) {
		t.Fatalf("%d of %d agents are held out: the test says nothing", held, len(d.core.browsers))
	}
	for _, f := range failures {
		for _, l := range d.core.browsers {
			if f.agent == l.agent {
				told++
				if l.held {
					t.Errorf("a held-out agent is told: %s", f.String())
				}
			}
		}
	}
	if told == 0 || len(classes) == 0 {
		t.Error("no failure is told at all")
	}
	var out bytes.Buffer
	print(&out, failures, 1)
	if n := strings.Count(out.String(), "crawler-user-agents' instances"); n != 1 {
		t.Errorf("%d failures of a class are printed, expected the first one:\n%s", n, out.String())
	}
}

func TestBars(t *testing.T) {
	share := func(v float64) *float64 { return &v }
	for _, x := range []struct {
		c    Class
		kept bool
	}{
		{Class{Bar: 97, Count: 10, Ours: share(97)}, true},
		{Class{Bar: 97, Count: 10, Ours: share(96.999)}, false},
		{Class{Bar: 97, Count: 0, Ours: share(100)}, false},
		{Class{Bar: 97, Count: 10}, false},
		{Class{Bar: 0.1, AtMost: true, Count: 10, Ours: share(0.1)}, true},
		{Class{Bar: 0.1, AtMost: true, Count: 10, Ours: share(0.2)}, false},
		{Class{Ours: share(1)}, true},
	} {
		if x.c.Kept() != x.kept {
			t.Errorf("%+v is kept: %v", x.c, x.c.Kept())
		}
	}
	if got := percent(share(96.999), false); got != "96.9 %" {
		t.Errorf("96.999 %% is shown as %s, which looks like a bar of 97 that was held", got)
	}
	for _, c := range []Cost{{Mean: 11, Bar: 10}, {Allocs: 1, NoAlloc: true}} {
		if c.Kept() {
			t.Errorf("%+v is kept", c)
		}
	}
}

func TestReportIsWritten(t *testing.T) {
	share := 12.5
	r := &Report{
		Fixtures: []Fixture{{Name: "x", Version: "1"}, {Name: "x", Version: "2"}},
		Common:   []browser{{Name: "Chrome", Most: 46.47, When: time.Unix(0, 0)}},
		Classes:  []Class{{Group: groups()[0], Name: "real & <visitors>", short: "<&>", Bar: 97, Count: 8, Ours: &share, Mssola: &share}},
		Costs:    []Cost{{Name: "an agent", Mean: 12, Bar: 10}, {Name: "by mssola", Mean: 2, Other: true}},
	}
	if err := r.Missed(); err == nil || !strings.Contains(err.Error(), "12.5 %") || !strings.Contains(err.Error(), "12.0 µs") {
		t.Errorf("missed: %v", err)
	}
	dir := t.TempDir()
	if err := r.Save(dir); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, part := range []string{"≥ 97 %", "12.5 % ✗", "| x | 1, 2 |", "46.47 %"} {
		if !strings.Contains(read("enrich.md"), part) {
			t.Errorf("enrich.md does not have %q:\n%s", part, read("enrich.md"))
		}
	}
	var back Report
	if err := json.Unmarshal([]byte(read("enrich.json")), &back); err != nil || back.Classes[0].Name != r.Classes[0].Name {
		t.Errorf("enrich.json: %v", err)
	}
	for d := xml.NewDecoder(strings.NewReader(read("enrich.svg"))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("enrich.svg: %v", err)
		}
	}
	var table bytes.Buffer
	if err := r.Table(&table); err != nil || !strings.Contains(table.String(), "mssola") {
		t.Errorf("%v\n%s", err, table.String())
	}
}

func TestTheMadeDatabaseHasCities(t *testing.T) {
	data, err := cityDatabase(300)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "city.mmdb")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := geo.Open(geo.Options{City: file})
	if err != nil {
		t.Fatal(err)
	}
	cities := map[string]bool{}
	for _, a := range addresses(1000, false) {
		g := p.At(a).Geo
		if g.Country == "" || g.City == "" || g.Region == "" || g.Postcode == "" || g.Timezone == "" {
			t.Fatalf("%s is in %+v", a, g)
		}
		cities[g.City] = true
	}
	if len(cities) < 200 {
		t.Errorf("1000 addresses lie in %d cities", len(cities))
	}
	if g := p.At(netip.MustParseAddr("193.166.3.2")).Geo; g.Country != "" {
		t.Errorf("an address outside is in %+v", g)
	}
}

// TestCostsAreTaken runs all measurements on little data and for a moment.
func TestCostsAreTaken(t *testing.T) {
	all, err := costs(context.Background(), small(t), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Name == "" || c.Mean < 0 || c.NoAlloc && c.Allocs != 0 {
			t.Errorf("%+v", c)
		}
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	m := &meter{stopped, time.Hour}
	m.mean(1, func(int) {}) // ends at once, or the test never does
}
