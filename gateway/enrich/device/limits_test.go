package device

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// bounded fails when a device holds what no device may.
func bounded(t testing.TB, d event.Device) {
	t.Helper()
	for _, s := range [...]string{d.OS, d.OSVersion, d.Browser, d.BrowserVersion, d.Vendor, d.Model} {
		if len(s) > memo.MaxName {
			t.Errorf("%q is longer than %d bytes", s, memo.MaxName)
		}
		if !utf8.ValidString(s) {
			t.Errorf("%q is no UTF-8", s)
		}
	}
	for _, v := range [...]string{d.OSVersion, d.BrowserVersion} {
		if strings.Trim(v, "0123456789.") != "" && !strings.Contains(versionWords, " "+v+" ") {
			t.Errorf("%q is no version of digits and dots", v)
		}
	}
	switch d.Type {
	case "", Desktop, Mobile, Tablet, TV, Console, Wearable, Other:
	default:
		t.Errorf("type %q", d.Type)
	}
}

// An agent may hold somebody's address, which must not become a browser's name.
func TestMailboxesAreNoNames(t *testing.T) {
	r := newReader(t)
	for _, ua := range []string{"jane.doe@mail.example", "jane.doe@mail.example/1.0", "Mozilla/5.0 (compatible; jane.doe@mail.example)", "jane doe@mail.example (iPhone; iOS 17.1)"} {
		if d := r.Read(ua, nil); strings.Contains(d.Browser, "doe") {
			t.Errorf("%s: the browser is %q", ua, d.Browser)
		}
	}
}

// versionWords are the systems that have names for numbers.
const versionWords = " XP Vista ME NT CE "

func TestNothingSaidIsNothingKnown(t *testing.T) {
	r := newReader(t)
	if d := r.Read("", nil); d != (event.Device{}) {
		t.Errorf("got %+v", d)
	}
	if d := r.Read("", &Claims{}); d != (event.Device{}) {
		t.Errorf("got %+v", d)
	}
}

func TestHugeAgentsEndQuickly(t *testing.T) {
	r := newReader(t)
	start := time.Now()
	for _, unit := range []string{"(", "Mozilla/5.0 (", "bot ", "compatible;", "a/1 ", "bot@", ";", "Android;", " crawler", "http://", "\xff", "1", "._", "İ"} {
		bounded(t, r.Read(strings.Repeat(unit, 1<<20/len(unit)), nil))
		bounded(t, r.Read("Mozilla/5.0 "+strings.Repeat(unit, 1<<20/len(unit)), nil))
		h := Hints{UA: strings.Repeat(unit, 1<<18), Model: strings.Repeat(unit, 1<<18)}
		if c := ClaimsOf(h, ""); c != (Claims{}) {
			t.Errorf("hints of a megabyte say %+v", c)
		}
	}
	list := `{"brands":[` + strings.Repeat(`{"brand":"a","version":"1"},`, 30_000) + `{}],"formFactors":[` + strings.Repeat(`"x",`, 30_000) + `"Tablet"]}`
	c := ClaimsOf(Hints{}, event.Value(list))
	bounded(t, r.Read("", &c))
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestRuleErrorsNameTheLine(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"Chrome Chrome/", "x.txt line 1"},
		{"# a comment\n\nChrome = C", "x.txt line 3"},
		{"\tan example => of nothing", "x.txt line 1"},
		{"Chrome = Chrome/\n\tno arrow", "x.txt line 2"},
		{"Chrome = Chrome/ &  & Mobile", "x.txt line 1"},
		{"Chrome = Chrome/ @x", "x.txt line 1"},
	} {
		p := &parser{number: map[mark]int32{}}
		if _, err := p.file("x.txt", c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want an error that names %s", c.text, err, c.want)
		}
	}
}

// TestExplainAgrees holds Explain to Read's word.
func TestExplainAgrees(t *testing.T) {
	r := newReader(t)
	for _, c := range realAgents {
		d, whys := r.Explain(c.ua, nil)
		if d != r.Read(c.ua, nil) {
			t.Errorf("%s: explained as %+v", c.ua, d)
		}
		said := map[string]bool{}
		for _, w := range whys {
			said[w.Field] = true
			if w.Rule == "" || w.Value == "" {
				t.Errorf("%s: %+v explains nothing", c.ua, w)
			}
		}
		for field, value := range map[string]string{"browser": d.Browser, "os": d.OS, "vendor": d.Vendor, "model": d.Model} {
			if value != "" && !said[field] {
				t.Errorf("%s: nothing explains %s %q", c.ua, field, value)
			}
		}
	}
}

func TestSystemFamily(t *testing.T) {
	for name, want := range map[string]string{"iPadOS": "iOS", "macOS": "Mac OS X", "ANDROID": "Android", "chromeos": "Chrome OS", "Plan 9": "Plan 9", "": ""} {
		if got := SystemFamily(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, c := range realAgents {
		f.Add(c.ua, `"Not/A)Brand";v="8", "Chromium";v="126"`, `"15.0.0"`, `{"mobile":true}`)
	}
	f.Add("Mozilla/5.0 (", `"\`, "?", `{"brands":[{"brand":"x"}`)
	f.Add("(((((", `;v="`, `0.`, `[`)
	f.Add("bot\xff\u0130", `"HeadlessChrome";v="1"`, ``, `{"maxTouchPoints":5}`)
	f.Add("n\xe9/1.0 (Linux; Android 9; \xff\xfe Build/x)", ``, "\xff", ``)
	f.Add("a%zz-iPhone/1 CFNetwork/", ``, ``, ``)
	r := newReader(f)
	f.Fuzz(func(t *testing.T, ua, brands, version, data string) {
		if !json.Valid([]byte(data)) {
			data = "" // what is no JSON never becomes a Value
		}
		c := ClaimsOf(Hints{UA: brands, FullVersionList: brands, Platform: version, PlatformVersion: version, Model: version, FormFactors: brands, Mobile: version}, event.Value(data))
		d := r.Read(ua, &c)
		bounded(t, d)
		if explained, _ := r.Explain(ua, &c); explained != d {
			t.Errorf("read as %+v and explained as %+v", d, explained)
		}
		if ua != "" && d.Type == "" {
			t.Errorf("no type for %q", ua)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	r := newReader(b)
	var agents []string
	_, examples, err := readBook()
	if err != nil {
		b.Fatal(err)
	}
	for _, list := range examples {
		for _, x := range list {
			agents = append(agents, x.agent)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Read(agents[i%len(agents)], nil)
	}
}

// TestReadmeTellsOfEveryFile keeps the table of files whole.
func TestReadmeTellsOfEveryFile(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	list, err := ruleFiles.ReadDir("rules")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if !strings.Contains(string(readme), "`"+f.Name()+"`") {
			t.Errorf("README.md does not tell of rules/%s", f.Name())
		}
	}
}
