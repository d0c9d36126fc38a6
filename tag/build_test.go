package tag

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
)

func compressed(t *testing.T, text []byte) int {
	t.Helper()
	var b bytes.Buffer
	w := brotli.NewWriterLevel(&b, brotli.BestCompression)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Len()
}

func build(t *testing.T, o Options) Bundle {
	t.Helper()
	b, err := Build(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The budgets of the design, in KiB of brotli.
func TestBudgets(t *testing.T) {
	for _, c := range []struct {
		name   string
		o      Options
		budget float64
	}{
		{"pages and clicks only", Options{WriteKey: "wk_shop", Clicks: true, Consent: ConsentOff, CollectOnly: true, NoOutbox: true}, 3.5},
		{"standard", Standard("wk_shop"), 5.5},
		{"everything on", Everything("wk_shop"), 7.5},
	} {
		b := build(t, c.o)
		size := compressed(t, b.JS)
		t.Logf("%s: %d bytes, brotli %d", c.name, len(b.JS), size)
		if float64(size) > c.budget*1024 {
			t.Errorf("%s: %d bytes of brotli; the budget is %g KiB", c.name, size, c.budget)
		}
	}
	stub := build(t, Standard("wk_shop")).Stub
	size := compressed(t, []byte(stub))
	t.Logf("stub: %d bytes, brotli %d", len(stub), size)
	if size > 260 {
		t.Errorf("stub: %d bytes of brotli; the budget is 260\n%s", size, stub)
	}
}

// What is added to the options must be added to Everything, or be something that
// leaves out: else no budget holds it.
func TestEverythingIsOn(t *testing.T) {
	leavesOut := []string{"ManualPages", "CollectOnly", "NoOutbox"}
	both := []string{"Clicks", "Forms"} // by Autocapture
	o := reflect.ValueOf(Everything("wk_shop"))
	for i := range o.NumField() {
		name, v := o.Type().Field(i).Name, o.Field(i)
		if v.Kind() != reflect.Bool || slices.Contains(both, name) {
			continue
		}
		if v.Bool() == slices.Contains(leavesOut, name) {
			t.Errorf("%s is %v", name, v.Bool())
		}
	}
}

// What a setting leaves out must not be in the script: each module is known by
// a word that only it holds.
func TestOnlyEnabledModulesAreBuilt(t *testing.T) {
	marks := map[string]string{
		"spa": "currententrychange", "clicks": "Element Clicked", "forms": "Form Submitted", "slots": "reunaSlot",
		"consent": "personalisation", "profile": "onProfile", "identity": "identify", "outbox": "navigator.locks|ifAvailable",
		"tcf": "__tcfapi", "gcm": "dataLayer", "cookieless": "\"cookieless\":true", "link": "_reuna=",
		"debug": "console.debug", "gpc": "globalPrivacyControl", "pages": "persisted",
		"engagement": "percent_scrolled", "frustration": "Rage Clicked", "vitals": "takeRecords", "errors": "Script Error", "search": "search_term",
		"campaign": "braid", "hints": "getHighEntropyValues",
	}
	least := Options{WriteKey: "wk", Consent: ConsentOff, CollectOnly: true, NoOutbox: true}
	with := func(change func(*Options)) Options {
		o := least
		change(&o)
		return o
	}
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"least", least, "pages"},
		{"manual", with(func(o *Options) { o.ManualPages = true }), ""},
		{"spa", with(func(o *Options) { o.SPA = true }), "pages spa"},
		{"clicks", with(func(o *Options) { o.Clicks = true }), "pages clicks"},
		{"forms", with(func(o *Options) { o.Forms = true }), "pages forms"},
		{"autocapture", with(func(o *Options) { o.Autocapture = true }), "pages clicks forms"},
		{"outbox", with(func(o *Options) { o.NoOutbox = false }), "pages outbox"},
		{"consent", with(func(o *Options) { o.Consent = ConsentPending }), "pages consent"},
		{"consent and gpc", with(func(o *Options) { o.Consent, o.RespectGPC = ConsentNone, true }), "pages consent gpc"},
		{"cookieless", with(func(o *Options) { o.Consent = ConsentCookieless }), "pages consent cookieless"},
		{"consent read from elsewhere", with(func(o *Options) { o.Consent, o.TCF, o.ConsentMode = ConsentPending, true, true }), "pages consent tcf gcm"},
		{"links need answers", with(func(o *Options) { o.Link = true }), "pages"},
		{"links", with(func(o *Options) { o.CollectOnly, o.Link = false, true }), "pages identity profile link"},
		{"answers", with(func(o *Options) { o.CollectOnly = false }), "pages identity profile"},
		{"slots need answers", with(func(o *Options) { o.Slots = true }), "pages"},
		{"slots", with(func(o *Options) { o.CollectOnly, o.Slots = false, true }), "pages identity profile slots"},
		{"debug", with(func(o *Options) { o.Debug = true }), "pages debug"},
		{"engagement", with(func(o *Options) { o.Engagement = true }), "pages engagement"},
		{"frustration", with(func(o *Options) { o.Frustration = true }), "pages frustration"},
		{"vitals", with(func(o *Options) { o.Vitals = true }), "pages vitals"},
		{"errors", with(func(o *Options) { o.Errors = true }), "pages errors"},
		{"search", with(func(o *Options) { o.Search = true }), "pages search"},
		{"campaign", with(func(o *Options) { o.Campaign = true }), "pages campaign"},
		{"hints", with(func(o *Options) { o.Hints = true }), "pages hints"},
		{"standard", Standard("wk"), "pages spa clicks forms engagement slots consent profile identity outbox gpc"},
	} {
		js := string(build(t, c.o).JS)
		for module, mark := range marks {
			in := false
			for _, m := range strings.Split(mark, "|") {
				in = in || strings.Contains(js, m)
			}
			if want := slices.Contains(strings.Fields(c.want), module); in != want {
				t.Errorf("%s: %s in the script: %v, want %v", c.name, module, in, want)
			}
		}
	}
}

func TestBuildIsRepeatable(t *testing.T) {
	a, b := build(t, Standard("wk_shop")), build(t, Standard("wk_shop"))
	if !bytes.Equal(a.JS, b.JS) || a.Hash != b.Hash || a.SRI != b.SRI || a.Stub != b.Stub {
		t.Error("two builds of the same settings differ")
	}
	sum := sha256.Sum256(a.JS)
	if a.Hash != hex.EncodeToString(sum[:8]) {
		t.Errorf("hash %s is not of the script", a.Hash)
	}
	if other := build(t, Standard("wk_blog")); other.Hash == a.Hash {
		t.Error("another site has the same hash")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"no write key":    {Options{}, "write key"},
		"odd write key":   {Options{WriteKey: `"</script>`}, "write key"},
		"odd global":      {Options{WriteKey: "wk", Global: "1st"}, "global"},
		"dotted global":   {Options{WriteKey: "wk", Global: "a.b"}, "global"},
		"relative base":   {Options{WriteKey: "wk", APIBase: "v1"}, "API base"},
		"odd scheme":      {Options{WriteKey: "wk", APIBase: "javascript:x"}, "API base"},
		"base and query":  {Options{WriteKey: "wk", APIBase: "/v1?x=1"}, "API base"},
		"consent":         {Options{WriteKey: "wk", Consent: "maybe"}, "consent"},
		"consent of whom": {Options{WriteKey: "wk", TCF: true}, "consent"},
		"mode of whom":    {Options{WriteKey: "wk", Consent: ConsentOff, ConsentMode: true}, "consent"},
		"downloads":       {Options{WriteKey: "wk", Downloads: []string{".apk"}}, "extension"},
	} {
		if _, err := Build(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v; want one about the %s", name, err, c.want)
		}
	}
	for _, base := range []string{"", "/", "/v1/", "/edge/v1", "https://gateway.example/v1", "http://127.0.0.1:8080/v1"} {
		if _, err := Build(Options{WriteKey: "wk", APIBase: base}); err != nil {
			t.Errorf("API base %q: %v", base, err)
		}
	}
}

func TestSnippetStandsInHTML(t *testing.T) {
	b := build(t, Options{WriteKey: "wk_shop", Global: "shop"})
	got := b.Snippet(`/tag/a"b.js`)
	if strings.Count(got, "</script>") != 2 || !strings.Contains(got, `src="/tag/a&#34;b.js"`) || !strings.Contains(got, ".shop=") {
		t.Errorf("snippet: %s", got)
	}
	if strings.Contains(b.Stub, "<") {
		t.Errorf("the stub holds a '<': %s", b.Stub)
	}
}

// FuzzOptions: whatever a config holds, it is refused or builds into a script
// that does not break out of its page.
func FuzzOptions(f *testing.F) {
	f.Add("wk_shop", "/v1", "reuna", "apk", "filter[q]")
	f.Add("</script>", "//x", "a;b", "", "a|b")
	f.Fuzz(func(t *testing.T, key, base, global, download, parameter string) {
		o := Options{WriteKey: key, APIBase: base, Global: global, Downloads: []string{download}, Search: true, SearchParameters: []string{parameter}}
		b, err := Build(o)
		if err == nil && (strings.Contains(string(b.JS), "</script") || strings.Contains(b.Stub, "</script")) {
			t.Errorf("%+v builds a script that ends its element", o)
		}
	})
}
