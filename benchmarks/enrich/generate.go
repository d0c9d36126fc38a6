package enrich

import (
	"fmt"
	"slices"
	"strings"
)

// Agents are made here the way browsers make theirs, so that what they are is
// known by construction, client hints included. Sources: Chromium's
// components/embedder_support/user_agent_utils.cc (the agent, its reduction from
// 107 on desktops and 110 on Android, brands with GREASE, the order of brands),
// https://learn.microsoft.com/microsoft-edge/web-platform/how-to-detect-win11,
// https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/User-Agent/Firefox,
// and agents as the products' makers publish them.

// chromiums are major versions of 2020 to 2026.
func chromiums() []int {
	return []int{80, 84, 87, 89, 91, 94, 97, 100, 103, 106, 108, 110, 113, 116, 119, 122, 125, 128, 131, 134, 138, 142, 146, 150, 153}
}

// hintsFrom is the first Chromium that sends client hints.
const hintsFrom = 89

// brandList is Sec-CH-UA of a Chromium.
func brandList(major int, brand, version, chromium string) string {
	odd := [...]string{" ", "(", ":", "-", ".", "/", ")", ";", "=", "?", "_"}
	grease := fmt.Sprintf(`"Not%sA%sBrand";v="%s"`, odd[major%len(odd)], odd[(major+1)%len(odd)], [...]string{"8", "99", "24"}[major%3])
	engine := fmt.Sprintf(`"Chromium";v="%s"`, chromium)
	product := fmt.Sprintf(`"%s";v="%s"`, brand, version)
	order := [...][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}[major%6]
	var list [3]string
	for i, part := range [...]string{grease, engine, product} {
		list[order[i]] = part
	}
	return strings.Join(list[:], ", ")
}

// machine is a system with a browser on it.
type machine struct {
	kind           string
	inAgent        string // the agent's parenthesis
	reduced        string // the same once browsers reduced it
	platform       string // Sec-CH-UA-Platform
	version        string // Sec-CH-UA-Platform-Version
	model          string
	system         string
	major          string // of the system; "" where nothing tells
	from, to       int    // Chromium versions; 0: no end
	beforeHintsToo bool   // the agent's text alone tells the system's version, too
}

func desktops() []machine {
	windows := "Windows NT 10.0; Win64; x64"
	mac := "Macintosh; Intel Mac OS X 10_15_7"
	all := []machine{
		{inAgent: windows, platform: "Windows", version: "10.0.0", system: "Windows", major: "10", beforeHintsToo: true},
		{inAgent: windows, platform: "Windows", version: "13.0.0", system: "Windows", major: "11", from: 94},
		{inAgent: windows, platform: "Windows", version: "15.0.0", system: "Windows", major: "11", from: 106},
		{inAgent: windows, platform: "Windows", version: "19.0.0", system: "Windows", major: "11", from: 128},
		{inAgent: "Windows NT 6.1; Win64; x64", reduced: windows, platform: "Windows", version: "0.1.0", system: "Windows", major: "7", to: 109, beforeHintsToo: true},
		{inAgent: "Windows NT 6.3; Win64; x64", reduced: windows, platform: "Windows", version: "0.3.0", system: "Windows", major: "8", to: 109, beforeHintsToo: true},
		{inAgent: "Macintosh; Intel Mac OS X 10_14_6", reduced: mac, platform: "macOS", version: "10.14.6", system: "Mac OS X", major: "10", to: 116, beforeHintsToo: true},
		{inAgent: mac, platform: "macOS", version: "11.7.10", system: "Mac OS X", major: "11", from: 89, to: 138},
		{inAgent: mac, platform: "macOS", version: "12.6.1", system: "Mac OS X", major: "12", from: 97},
		{inAgent: mac, platform: "macOS", version: "13.5.2", system: "Mac OS X", major: "13", from: 108},
		{inAgent: mac, platform: "macOS", version: "14.5.0", system: "Mac OS X", major: "14", from: 119},
		{inAgent: mac, platform: "macOS", version: "15.1.0", system: "Mac OS X", major: "15", from: 131},
		{inAgent: mac, platform: "macOS", version: "26.0.1", system: "Mac OS X", major: "26", from: 142},
		{inAgent: "X11; Linux x86_64", platform: "Linux", version: "6.8.0", system: "Linux"},
		{inAgent: "X11; CrOS x86_64 13505.73.0", reduced: "X11; CrOS x86_64 14541.0.0", platform: "Chrome OS", version: "16093.68.0", system: "Chrome OS"},
	}
	for i := range all {
		all[i].kind = "desktop"
	}
	return all
}

func androids() []machine {
	var all []machine
	add := func(kind, version, model string, from, to int) {
		major, _, _ := strings.Cut(version, ".")
		all = append(all, machine{
			kind: kind, inAgent: "Linux; Android " + strings.TrimSuffix(version, ".0") + "; " + model, reduced: "Linux; Android 10; K",
			platform: "Android", version: version + ".0", model: model, system: "Android", major: major, from: from, to: to, beforeHintsToo: true,
		})
	}
	add("mobile", "8.0", "SM-G955F", 0, 138)
	add("mobile", "9.0", "Redmi Note 7", 0, 142)
	add("mobile", "10.0", "Mi 9T", 0, 0)
	add("mobile", "11.0", "CPH2185", 89, 0)
	add("mobile", "12.0", "SM-A125F", 97, 0)
	add("mobile", "13.0", "Pixel 6a", 106, 0)
	add("mobile", "14.0", "SM-S918B", 119, 0)
	add("mobile", "15.0", "Pixel 8 Pro", 131, 0)
	add("mobile", "16.0", "SM-S938B", 138, 0)
	add("tablet", "9.0", "SM-T515", 0, 142)
	add("tablet", "11.0", "Lenovo TB-X606F", 89, 0)
	add("tablet", "13.0", "SM-X700", 110, 0)
	add("tablet", "15.0", "Pixel Tablet", 131, 0)
	return all
}

// product is a browser that is built on Chromium.
type product struct {
	brand  string                  // in Sec-CH-UA
	suffix func(major int) string  // after "Safari/537.36"; nil: none
	middle func(major int) string  // before "Chrome/…"
	own    func(major int) string  // its own version; nil: Chromium's
	family func(m *machine) string // uap-core's
	quiet  bool                    // its agent is Chrome's: only hints tell
	webApp bool                    // a web view of an app
}

// tablets: uap-core calls Chrome on Android without the word Mobile "Chrome".
func familyOf(desktop, mobile, tablet string) func(m *machine) string {
	return func(m *machine) string {
		switch m.kind {
		case "mobile":
			return mobile
		case "tablet":
			return tablet
		}
		return desktop
	}
}

func always(s string) func(*machine) string { return func(*machine) string { return s } }

func desktopProducts() []product {
	return []product{
		{brand: "Google Chrome", family: always("Chrome")},
		{brand: "Microsoft Edge", family: always("Edge"), suffix: func(v int) string { return fmt.Sprintf(" Edg/%d.0.%d.%d", v, v*20, 50+v%40) }},
		{brand: "Opera", family: always("Opera"), own: func(v int) string { return fmt.Sprint(v - 14) }, suffix: func(v int) string { return fmt.Sprintf(" OPR/%d.0.0.0", v-14) }},
		{brand: "Brave", family: always("Brave"), quiet: true},
		{brand: "Vivaldi", family: always("Vivaldi"), quiet: true, own: func(v int) string { return fmt.Sprintf("%d.%d", 3+v/40, v%10) }},
	}
}

func androidProducts() []product {
	return []product{
		{brand: "Google Chrome", family: familyOf("", "Chrome Mobile", "Chrome")},
		{brand: "Microsoft Edge", family: always("Edge Mobile"), suffix: func(v int) string { return fmt.Sprintf(" EdgA/%d.0.%d.%d", v, v*20, 50+v%40) }},
		{brand: "Opera", family: familyOf("", "Opera Mobile", "Opera"), own: func(v int) string { return fmt.Sprint(v - 40) }, suffix: func(v int) string { return fmt.Sprintf(" OPR/%d.0.0.0", v-40) }},
		{brand: "Samsung Internet", family: always("Samsung Internet"), own: func(v int) string { return fmt.Sprintf("%d.0", v/5-1) }, middle: func(v int) string { return fmt.Sprintf("SamsungBrowser/%d.0 ", v/5-1) }},
		{brand: "Brave", family: always("Brave"), quiet: true},
		{brand: "Android WebView", family: always("Chrome Mobile WebView"), webApp: true, middle: func(int) string { return "Version/4.0 " }},
	}
}

// chromiumAgent is the agent's text, and whether that version reduces it.
func chromiumAgent(p *product, m *machine, major int) (agent string, reduced bool) {
	reduced = major >= 107 && m.kind == "desktop" || major >= 110 && m.kind != "desktop"
	if p.webApp {
		reduced = false // web views are not reduced
	}
	inside, version := m.inAgent, fmt.Sprintf("%d.0.%d.%d", major, 4000+(major-80)*53, 40+major%100)
	if reduced {
		version = fmt.Sprintf("%d.0.0.0", major)
		if m.reduced != "" {
			inside = m.reduced
		}
	}
	if p.webApp {
		inside += " Build/SP1A.210812.016; wv"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Mozilla/5.0 (%s) AppleWebKit/537.36 (KHTML, like Gecko) ", inside)
	if p.middle != nil {
		b.WriteString(p.middle(major))
	}
	b.WriteString("Chrome/" + version)
	if m.kind == "mobile" {
		b.WriteString(" Mobile")
	}
	b.WriteString(" Safari/537.36")
	if p.suffix != nil {
		b.WriteString(p.suffix(major))
	}
	return b.String(), reduced
}

// chromium makes every product on every machine in every version, once with
// all hints, once with those that come unasked, and once with none.
func chromium(products []product, machines []machine) (all []labelled) {
	for i := range products {
		p := &products[i]
		for j := range machines {
			m := &machines[j]
			for _, major := range chromiums() {
				if major < m.from || m.to > 0 && major > m.to {
					continue
				}
				agent, reduced := chromiumAgent(p, m, major)
				whole := labelled{agent: agent, browser: p.family(m), system: m.system, kind: m.kind}
				// What the agent's text says of the system's version is true of old
				// agents and frozen in new ones.
				if m.beforeHintsToo && !reduced && !p.quiet {
					plain := whole
					plain.osMajor = m.major
					all = append(all, plain)
				} else if !p.quiet {
					all = append(all, whole)
				}
				if major < hintsFrom {
					continue
				}
				own := fmt.Sprint(major)
				if p.own != nil {
					own = p.own(major)
				}
				h := hints{brands: brandList(major, p.brand, own, fmt.Sprint(major)), mobile: "?0", platform: `"` + m.platform + `"`}
				if m.kind == "mobile" {
					h.mobile = "?1"
				}
				whole.hints = h
				all = append(all, whole)
				h.platformVersion = `"` + m.version + `"`
				h.fullVersions = brandList(major, p.brand, own+".0.10.2", fmt.Sprintf("%d.0.%d.20", major, major*50))
				if m.model != "" {
					h.model = `"` + m.model + `"`
				}
				whole.hints, whole.osMajor = h, m.major
				all = append(all, whole)
			}
		}
	}
	return all
}

// form is an agent's text with places for versions, which are whole numbers.
type form struct {
	browser, system, kind string
	text                  string // %[1]d the browser's version, %[2]s the system's
	versions              []int
	systems               []string
}

// generate makes all agents.
func generate() []labelled {
	all := slices.Concat(chromium(desktopProducts(), desktops()), chromium(androidProducts(), androids()))
	for _, f := range slices.Concat(forms(), screens()) {
		if len(f.systems) == 0 {
			f.systems = []string{""}
		}
		if len(f.versions) == 0 {
			f.versions = []int{0}
		}
		for _, v := range f.versions {
			for _, system := range f.systems {
				text := strings.NewReplacer("{v}", fmt.Sprint(v), "{s}", system).Replace(f.text)
				all = append(all, labelled{agent: text, browser: f.browser, system: f.system, kind: f.kind})
			}
		}
	}
	return all
}
