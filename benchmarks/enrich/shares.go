package enrich

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// commonShare is the share of page views, in per cent, from which on a browser
// counts as common.
const commonShare = 0.1

// browser is one that caniuse tells the share of.
type browser struct {
	Key  string `json:"key"`  // caniuse's
	Name string `json:"name"` // for people
	// Families are what uap-core calls its agents, the ones of its web views too:
	// StatCounter, whose figures caniuse has, counts those in.
	Families []string  `json:"families"`
	Most     float64   `json:"mostPercent"` // its largest share in a sampled release
	When     time.Time `json:"when"`        // of that release
}

// knownBrowsers are those that caniuse has ever listed.
func knownBrowsers() []browser {
	return []browser{
		{Key: "chrome", Name: "Chrome", Families: []string{"Chrome", "Chromium"}},
		{Key: "and_chr", Name: "Chrome on Android", Families: []string{"Chrome Mobile", "Chrome Mobile WebView"}},
		{Key: "android", Name: "Android's own", Families: []string{"Android"}},
		{Key: "safari", Name: "Safari", Families: []string{"Safari"}},
		{Key: "ios_saf", Name: "Safari on iOS", Families: []string{"Mobile Safari", "Mobile Safari UI/WKWebView", "Chrome Mobile iOS", "Firefox iOS"}},
		{Key: "firefox", Name: "Firefox", Families: []string{"Firefox"}},
		{Key: "and_ff", Name: "Firefox on Android", Families: []string{"Firefox Mobile"}},
		{Key: "edge", Name: "Edge", Families: []string{"Edge", "Edge Mobile"}},
		{Key: "ie", Name: "Internet Explorer", Families: []string{"IE"}},
		{Key: "ie_mob", Name: "Internet Explorer on phones", Families: []string{"IE Mobile"}},
		{Key: "opera", Name: "Opera", Families: []string{"Opera"}},
		{Key: "op_mob", Name: "Opera on Android", Families: []string{"Opera Mobile"}},
		{Key: "op_mini", Name: "Opera Mini", Families: []string{"Opera Mini"}},
		{Key: "samsung", Name: "Samsung Internet", Families: []string{"Samsung Internet"}},
		{Key: "and_uc", Name: "UC Browser", Families: []string{"UC Browser"}},
		{Key: "and_qq", Name: "QQ Browser on Android", Families: []string{"QQ Browser Mobile"}},
		{Key: "baidu", Name: "Baidu Browser", Families: []string{"Baidu Browser"}},
		{Key: "kaios", Name: "KaiOS Browser", Families: []string{"Firefox Mobile"}}, // uap-core has no family for it
		{Key: "bb", Name: "BlackBerry Browser", Families: []string{"BlackBerry WebKit", "BlackBerry"}},
	}
}

// readShares reads one release of caniuse-lite: each browser's share, summed
// over its versions, and the day of the newest version that was out.
func readShares(files map[string][]byte) (share map[string]float64, day time.Time, err error) {
	names, err := readTable(files["data/browsers.js"])
	if err != nil {
		return nil, day, fmt.Errorf("browsers.js: %w", err)
	}
	agents, err := readTable(files["data/agents.js"])
	if err != nil {
		return nil, day, fmt.Errorf("agents.js: %w", err)
	}
	share = map[string]float64{}
	newest := 0.0
	for short, v := range agents {
		name, _ := names[short].(string)
		agent, _ := v.(map[string]any)
		usage, _ := agent["A"].(map[string]any)
		released, _ := agent["F"].(map[string]any)
		if name == "" || usage == nil {
			return nil, day, fmt.Errorf("agents.js: browser %q has no name or no shares", short)
		}
		for _, u := range usage {
			if n, ok := u.(float64); ok {
				share[name] += n
			}
		}
		for _, r := range released {
			if n, ok := r.(float64); ok {
				newest = max(newest, n)
			}
		}
	}
	return share, time.Unix(int64(newest), 0).UTC(), nil
}

// common finds the browsers that had commonShare in one of the releases.
func common(releases []map[string][]byte) ([]browser, error) {
	all := knownBrowsers()
	for _, files := range releases {
		share, day, err := readShares(files)
		if err != nil {
			return nil, err
		}
		for key, most := range share {
			i := slices.IndexFunc(all, func(b browser) bool { return b.Key == key })
			switch {
			case i >= 0 && most > all[i].Most:
				all[i].Most, all[i].When = most, day
			case i < 0 && most >= commonShare:
				return nil, fmt.Errorf("caniuse lists %q with %.2f %%, which benchmarks/enrich/shares.go does not know: name its families there", key, most)
			}
		}
	}
	all = slices.DeleteFunc(all, func(b browser) bool { return b.Most < commonShare })
	slices.SortFunc(all, func(a, b browser) int {
		switch {
		case a.Most > b.Most:
			return -1
		case a.Most < b.Most:
			return 1
		}
		return 0
	})
	return all, nil
}

// token is one of JavaScript's that caniuse-lite's data files use.
var token = regexp.MustCompile(`^(?:[{}\[\],:]|"(?:[^"\\]|\\.)*"|-?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?|[A-Za-z_$][A-Za-z0-9_$]*)`)

// readTable reads "module.exports={…};": an object of JavaScript with plain names,
// strings, numbers, lists and objects. It is read and not run.
func readTable(text []byte) (map[string]any, error) {
	const head = "module.exports="
	if len(text) < len(head) || string(text[:len(head)]) != head {
		return nil, fmt.Errorf("begins with %.20q, expected %q", text, head)
	}
	r := literal{text: text[len(head):]}
	v, err := r.value(0)
	if err != nil {
		return nil, fmt.Errorf("%w, at byte %d", err, len(text)-len(r.text))
	}
	table, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("holds a %T, expected an object", v)
	}
	return table, nil
}

type literal struct{ text []byte }

func (r *literal) next() string {
	t := token.Find(r.text)
	r.text = r.text[len(t):]
	return string(t)
}

func (r *literal) peek() byte {
	if len(r.text) == 0 {
		return 0
	}
	return r.text[0]
}

func (r *literal) value(depth int) (any, error) {
	if depth > 16 {
		return nil, fmt.Errorf("nested too deep")
	}
	t := r.next()
	switch {
	case t == "":
		return nil, fmt.Errorf("expected a value")
	case t == "{":
		object := map[string]any{}
		for r.peek() != '}' {
			name := r.next()
			if len(name) > 1 && name[0] == '"' {
				name = name[1 : len(name)-1]
			}
			if r.next() != ":" {
				return nil, fmt.Errorf("expected a colon after %q", name)
			}
			v, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			object[name] = v
			if r.peek() == ',' {
				r.next()
			} else if r.peek() != '}' {
				return nil, fmt.Errorf("expected a comma after %q", name)
			}
		}
		r.next()
		return object, nil
	case t == "[":
		list := []any{}
		for r.peek() != ']' {
			v, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
			if r.peek() == ',' {
				r.next()
			} else if r.peek() != ']' {
				return nil, fmt.Errorf("expected a comma in a list")
			}
		}
		r.next()
		return list, nil
	case t[0] == '"':
		return t[1 : len(t)-1], nil
	}
	if n, err := strconv.ParseFloat(t, 64); err == nil {
		return n, nil
	}
	return t, nil // null, true: no share
}
