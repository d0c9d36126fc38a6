package tag

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Options are one site's settings. The zero value, with a WriteKey, is the
// smallest useful tag: page views, the whole API, delivery, and consent that
// can be withdrawn. Standard gives what most sites want.
type Options struct {
	WriteKey string // public; letters, digits, '_', '-' and '.', at most 128

	// APIBase is where the gateway's API lives: a path ("/v1") on the origin
	// that the script itself came from, or an absolute http or https URL.
	// Empty means "/v1".
	APIBase string
	// Global is the name of the object on window. Empty means "reuna".
	Global string

	ManualPages bool // the site calls page() itself; none is sent on load, route change or return
	SPA         bool // page views of routes: a changed path or query without a load
	HashRoutes  bool // with SPA: the part after # makes another page, too

	Autocapture bool     // Clicks and Forms
	Clicks      bool     // clicks on buttons and links, outbound links, downloads
	Forms       bool     // submitted forms: the names of their fields, never a value
	Downloads   []string // file extensions that count as downloads beside the usual ones, such as "apk"

	Engagement  bool // how long each page was read, and how far: one event as it is hidden or ends
	Frustration bool // clicks in anger, and clicks that do nothing
	Vitals      bool // web vitals: LCP, CLS, INP, TTFB; in Engagement's event when that is on
	Errors      bool // script errors, at most five a page view
	Search      bool // what was looked for on the site itself
	// SearchParameters are the parameters that may hold the search term; the first
	// that does counts. Empty means q, s, search, query and keyword, as in GA4.
	SearchParameters []string
	Campaign         bool // campaign tags and click ids of the address visited, where the page cleans it before the tag arrives
	Hints            bool // high-entropy client hints: the real versions of browser and system, and the model

	// CollectOnly leaves out whatever looks back: identify, group, alias, reset,
	// user, profile, decide and slots.
	CollectOnly bool
	NoOutbox    bool // undelivered requests are not kept for the next page
	// Beacon sends what is left when the page closes by sendBeacon in browsers whose
	// fetch has no keepalive (Firefox before 133). Its answer cannot be heard, so
	// with the outbox the next page sends it again, and the gateway counts it once.
	Beacon bool

	Slots bool // data-reuna-slot, data-reuna-text and data-reuna-segments

	// Given lets the gateway's answer come with the tag, or be in a page that the
	// gateway has rewritten.
	Given bool
	// FetchLater has the browser send the page's summary, when the page is gone or
	// has crashed, where it can (fetchLater); else the tag sends it each time when
	// the page is hidden.
	FetchLater bool

	// Consent says how things stand before the visitor has chosen.
	Consent     Consent
	TCF         bool // consent is read from the page's consent manager, by IAB TCF v2
	ConsentMode bool // and from its commands for Google's tags, Consent Mode v2
	// Link lets links to the domains that the gateway's answers name carry the
	// visitor along; it needs answers.
	Link bool
	// RespectGPC takes Global Privacy Control as a refusal of advertising.
	RespectGPC bool

	Debug bool // writes what the tag does to the browser's console
}

// Consent is how a site stands to its visitors' consent.
type Consent string

const (
	ConsentNone     Consent = "none"     // not asked for; consent() can still withdraw it. The empty value means the same
	ConsentPending  Consent = "pending"  // kept in memory until the visitor chooses
	ConsentRequired Consent = "required" // nothing is kept until the visitor grants it
	// Until it is granted, and when it is refused, page views and events are counted
	// without a cookie, storage and id.
	ConsentCookieless Consent = "cookieless"
	ConsentOff        Consent = "off" // the tag has no consent(), and is smaller by it
)

// Standard is the tag that most sites want.
func Standard(writeKey string) Options {
	return Options{WriteKey: writeKey, SPA: true, Autocapture: true, Engagement: true, Slots: true, Beacon: true, RespectGPC: true}
}

// Everything is the tag with all that can be on: the largest one, which the
// budgets and the tests of what pages allow are held against.
func Everything(writeKey string) Options {
	o := Standard(writeKey)
	o.HashRoutes, o.Debug, o.Downloads = true, true, []string{"apk"}
	o.Consent, o.TCF, o.ConsentMode, o.Link = ConsentCookieless, true, true, true
	o.Given, o.FetchLater, o.Beacon = true, true, true
	o.Frustration, o.Vitals, o.Errors, o.Search, o.Campaign, o.Hints = true, true, true, true, true, true
	return o
}

var (
	writeKeyForm  = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)
	globalForm    = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]{0,63}$`)
	parameterForm = regexp.MustCompile(`^[A-Za-z0-9_.\[\]-]{1,40}$`)
	extensionForm = regexp.MustCompile(`^[a-z0-9]{1,8}$`)
)

// complete fills in what is left out and refuses what cannot be. Its checks are
// what lets the names stand unescaped in scripts and addresses.
func (o Options) complete() (Options, error) {
	if !writeKeyForm.MatchString(o.WriteKey) {
		return o, fmt.Errorf("tag: write key %q: expected 1 to 128 letters, digits, '_', '-' and '.'", o.WriteKey)
	}
	if o.Global == "" {
		o.Global = "reuna"
	}
	if !globalForm.MatchString(o.Global) {
		return o, fmt.Errorf("tag: global %q of %s: expected a name such as \"reuna\": letters, digits, '_' and '$', no digit first, at most 64", o.Global, o.WriteKey)
	}
	if o.APIBase == "" {
		o.APIBase = "/v1"
	}
	u, err := url.Parse(o.APIBase)
	absolute := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
	onPath := err == nil && u.Scheme == "" && u.Host == "" && strings.HasPrefix(u.Path, "/")
	if !absolute && !onPath || u.RawQuery != "" || u.Fragment != "" {
		return o, fmt.Errorf("tag: API base %q of %s: expected a path such as \"/v1\" or an http(s) URL without query and fragment", o.APIBase, o.WriteKey)
	}
	o.APIBase = strings.TrimRight(o.APIBase, "/")
	switch o.Consent {
	case "":
		o.Consent = ConsentNone
	case ConsentNone, ConsentPending, ConsentRequired, ConsentCookieless, ConsentOff:
	default:
		return o, fmt.Errorf("tag: consent %q of %s: expected none, pending, required, cookieless or off", o.Consent, o.WriteKey)
	}
	if (o.TCF || o.ConsentMode) && (o.Consent == ConsentNone || o.Consent == ConsentOff) {
		return o, fmt.Errorf("tag: consent %q of %s: expected pending, required or cookieless, since consent is read from the page's consent manager", o.Consent, o.WriteKey)
	}
	for _, d := range o.Downloads {
		if !extensionForm.MatchString(d) {
			return o, fmt.Errorf("tag: download extension %q of %s: expected 1 to 8 small letters and digits, no dot", d, o.WriteKey)
		}
	}
	if len(o.SearchParameters) == 0 {
		o.SearchParameters = []string{"q", "s", "search", "query", "keyword"}
	}
	for _, p := range o.SearchParameters {
		if !parameterForm.MatchString(p) {
			return o, fmt.Errorf("tag: search parameter %q of %s: expected 1 to 40 letters, digits, '_', '-', '.', '[' and ']'", p, o.WriteKey)
		}
	}
	return o, nil
}

// modules names the source files to import, each of which exports a function of
// its own name. Consent comes first: the others ask it.
func (o Options) modules() []string {
	clicks := o.Clicks || o.Autocapture
	list := []struct {
		on   bool
		name string
	}{
		{o.Consent != ConsentOff, "consent"},
		{o.TCF, "tcf"},
		{o.ConsentMode, "consentmode"},
		{o.Link && !o.CollectOnly, "linker"},
		{!o.CollectOnly, "identity"},
		{!o.CollectOnly, "profile"},
		{o.Slots && !o.CollectOnly, "slots"},
		{o.Campaign, "campaign"},
		{o.Search, "search"},
		{true, "pageviews"},
		{o.SPA, "spa"},
		{clicks, "clicks"},
		{o.Forms || o.Autocapture, "forms"},
		{o.Engagement, "engagement"},
		{o.Frustration, "frustration"},
		{o.Vitals, "vitals"},
		{o.Errors, "errors"},
		{o.Hints, "hints"},
	}
	var names []string
	for _, m := range list {
		if m.on {
			names = append(names, m.name)
		}
	}
	return names
}

// files are the extensions that count as downloads, as alternatives of a
// regular expression.
const files = "7z|csv|dmg|(doc|ppt|xls)x?|epub|exe|gz|iso|mov|mp[34]|pdf|pkg|rar|txt|zip"

// constants are what stands for SETTINGS.x (interface Settings in src/types.ts):
// literals, so that esbuild drops what they switch off.
func (o Options) constants() map[string]string {
	initial := "granted"
	switch o.Consent {
	case ConsentPending, ConsentCookieless:
		initial = "pending"
	case ConsentRequired:
		initial = "denied"
	}
	downloads := strings.Join(append([]string{files}, o.Downloads...), "|")
	return map[string]string{
		"SETTINGS.writeKey":   quote(o.WriteKey),
		"SETTINGS.apiBase":    quote(o.APIBase),
		"SETTINGS.global":     quote(o.Global),
		"SETTINGS.version":    quote(Version),
		"SETTINGS.debug":      strconv.FormatBool(o.Debug),
		"SETTINGS.manual":     strconv.FormatBool(o.ManualPages),
		"SETTINGS.hash":       strconv.FormatBool(o.HashRoutes),
		"SETTINGS.answers":    strconv.FormatBool(!o.CollectOnly),
		"SETTINGS.given":      strconv.FormatBool(o.Given && !o.CollectOnly),
		"SETTINGS.fetchLater": strconv.FormatBool(o.FetchLater),
		"SETTINGS.beacon":     strconv.FormatBool(o.Beacon),
		"SETTINGS.outbox":     strconv.FormatBool(!o.NoOutbox),
		"SETTINGS.consent":    strconv.FormatBool(o.Consent != ConsentOff),
		"SETTINGS.cookieless": strconv.FormatBool(o.Consent == ConsentCookieless),
		"SETTINGS.link":       strconv.FormatBool(o.Link && !o.CollectOnly),
		"SETTINGS.initial":    quote(initial),
		"SETTINGS.gpc":        strconv.FormatBool(o.RespectGPC),
		"SETTINGS.downloads":  quote(downloads),
		"SETTINGS.engagement": strconv.FormatBool(o.Engagement),
		"SETTINGS.hints":      strconv.FormatBool(o.Hints),
		"SETTINGS.campaign":   strconv.FormatBool(o.Campaign),
		"SETTINGS.search":     quote(strings.Join(o.SearchParameters, "|")),
	}
}

// quote writes s as a script's literal that may stand in an HTML page, too.
// JSON's strings are JavaScript's; strconv.Quote's are not.
func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic("tag: a string that JSON cannot hold: " + err.Error()) // json.Marshal of a string has no error to give
	}
	return string(text)
}
