package device

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// machine is who made the machine and what it is called.
func (r *Reader) machine(s *scan, d *event.Device, w *reasons) {
	if m := r.book.first(s, kindModel, d.OS, d.Type); m.rule != nil {
		d.Vendor, d.Model, _ = strings.Cut(m.name, " /")
		d.Model = strings.TrimSpace(d.Model)
		w.add("vendor", d.Vendor, m.rule.where)
		w.add("model", d.Model, m.rule.where)
		return
	}
	switch d.OS {
	case "Mac OS X", "Mac OS", "iOS":
		d.Vendor = "Apple"
		w.add("vendor", d.Vendor, "the system "+d.OS)
		return
	case "Android", "HarmonyOS":
		d.Model = androidModel(s.ua)
		w.add("model", d.Model, "the part of the comment behind the system")
		r.vendor(d, w)
	default:
		if d.Type != Desktop {
			r.phone(s, d, w)
		}
	}
}

// phone finds the maker and the model of what is neither a computer nor of
// Android: a telephone of before puts its model first or into the comment,
// "Nokia3100/1.0", "(…; NOKIA; Lumia 800)", a television "(;Sony;KDL50;…)".
func (r *Reader) phone(s *scan, d *event.Device, w *reasons) {
	rest, named := s.ua, false
	for n := 0; rest != "" && n < 40; n++ {
		part := rest
		if i := strings.IndexAny(rest, ";(),"); i >= 0 {
			part, rest = rest[:i], rest[i+1:]
		} else {
			rest = ""
		}
		part = strings.TrimSpace(part)
		if named {
			// The part behind the maker's name is the model.
			if len(part) < 2 || isLanguage(part) {
				continue
			}
			if len(part) <= memo.MaxName {
				d.Model = part
				w.add("model", d.Model, "the part behind the maker's name")
			}
			return
		}
		for at := 0; at < len(part); {
			end := len(part)
			if i := strings.IndexByte(part[at:], ' '); i >= 0 {
				end = at + i
			}
			word, _, _ := strings.Cut(part[at:end], "/")
			vendor, where := r.vendors.of(word)
			if vendor == "" || !telling(where) || n > 0 && isSystemWord(word) || d.OS == "" && !strings.ContainsAny(word, "0123456789-") {
				at = end + 1
				continue
			}
			d.Vendor = vendor
			w.add("vendor", vendor, where)
			if named = strings.EqualFold(word, vendor) && len(word) == len(part); named {
				break
			}
			if d.Model = word; at == 0 && n > 0 && strings.Count(part, " ") == 1 && !hasPrefixFold(part[end:], " AppleWebKit") {
				d.Model, _, _ = strings.Cut(part, "/")
			}
			w.add("model", d.Model, where)
			if d.Type == "" {
				d.Type = Mobile
				w.add("type", d.Type, where)
			}
			return
		}
	}
}

// telling says that a rule's text is long enough, or has a sign that is enough,
// for a word anywhere in an agent.
func telling(where string) bool {
	_, text, _ := strings.Cut(where, ": ")
	return len(text) >= 4 || strings.HasSuffix(text, "-") || text == "htc" || text == "lge" || text == "zte"
}

// isSystemWord says that a word that some maker's models begin with tells a
// system, a browser or a network here.
func isSystemWord(word string) bool {
	for _, w := range [...]string{"Android", "Vodafone", "Orange", "T-Mobile", "Windows", "Opera", "Mobile", "Kindle", "Phone", "View", "Power", "Echo", "Sugar", "Bird", "Chromecast", "Glass", "Surface", "Lemon", "Cube", "Spice", "Tesla", "Droid", "Transformer", "Aqua", "Luna", "Iris", "Liquid", "Rainbow", "Primo", "Venue", "Nexus"} {
		if hasPrefixFold(word, w) {
			return true
		}
	}
	return false
}

// vendor finds who made a model.
func (r *Reader) vendor(d *event.Device, w *reasons) {
	var where string
	d.Vendor, where = r.vendors.of(d.Model)
	w.add("vendor", d.Vendor, where)
}

// androidModel is the part of the comment behind the Android version, which
// may come behind a language: "(Linux; U; Android 4.4.2; en-us; SM-T531 Build/KOT49H)".
func androidModel(ua string) string {
	if i := strings.Index(ua, "FBDV/"); i >= 0 {
		model, _, _ := strings.Cut(ua[i+5:], ";")
		return modelOf(model)
	}
	_, rest, found := strings.Cut(ua, "Android")
	if !found {
		if _, rest, found = strings.Cut(ua, "Adr "); !found {
			if _, rest, found = strings.Cut(ua, "HarmonyOS"); !found {
				if _, rest, found = strings.Cut(ua, "(Linux; U; "); !found {
					return ""
				}
				rest = ";" + rest
			}
		}
	}
	if end := strings.IndexByte(rest, ')'); end >= 0 {
		// A model may hold brackets of its own: "moto g(9) play", "K01 (2021)".
		if open := strings.IndexByte(rest[:end], '('); open >= 0 {
			if next := strings.IndexByte(rest[end+1:], ')'); next >= 0 {
				end += 1 + next
			}
		}
		rest = rest[:end]
	}
	_, rest, found = strings.Cut(rest, ";")
	for found || rest != "" {
		var part string
		part, rest, found = strings.Cut(rest, ";")
		part = strings.TrimSpace(part)
		if isLanguage(part) || part == "HarmonyOS" || part == "U" || part == "arm_64" || part == "Mobile" || part == "Tablet" || part != "" && isDigit(part[0]) && strings.Trim(part, "0123456789.") == "" {
			continue
		}
		if i := strings.Index(part, "Build/"); i >= 0 {
			return modelOf(part[:i])
		}
		return modelOf(part)
	}
	return ""
}

// modelOf is a model without what is no part of it; "" when nothing is left.
func modelOf(part string) string {
	if i := strings.Index(part, " Build"); i > 0 {
		part = part[:i]
	}
	if i := strings.Index(part, " MIUI/"); i > 0 {
		part = part[:i]
	}
	part = strings.TrimSpace(part)
	// K is what a browser that hides the model writes; the rest are words of
	// the comment that are no model.
	switch part {
	case "K", "Mobile", "Tablet", "wv", "U", "Linux", "Android", "armeabi-v7a", "arm64-v8a", "Build", "unknown", "VR":
		return ""
	}
	if strings.HasPrefix(part, "rv:") || strings.HasPrefix(part, "Opera ") || strings.HasPrefix(part, "SAMSUNG SM-") && len(part) < 11 {
		return ""
	}
	return strings.TrimPrefix(part, "SAMSUNG ")
}

// isLanguage recognises en, en-us and zh_CN.
func isLanguage(s string) bool {
	if len(s) != 2 && (len(s) != 5 || s[2] != '-' && s[2] != '_') {
		return false
	}
	for i := range len(s) {
		c := s[i] | 0x20
		if i != 2 && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// vendors are makers by the beginnings of their models' names.
//
// Invariants: prefixes that begin with the same two bytes stand together, the
// longest first, so that the first that fits is the one that decides.
type vendors struct{ of2 map[[2]byte][]prefix }

type prefix struct {
	text, vendor, where string
	word                bool // no letter may follow
}

func readVendors() (*vendors, error) {
	text, err := readRules("vendors.txt")
	if err != nil {
		return nil, err
	}
	v := &vendors{of2: map[[2]byte][]prefix{}}
	for _, l := range lines(text) {
		if l.text[0] == '\t' || l.text[0] == ' ' {
			continue // an example
		}
		vendor, list, ok := strings.Cut(l.text, " = ")
		if !ok {
			return nil, fmt.Errorf("device: vendors.txt line %d: want \"Maker = text | text\", not %q", l.number, l.text)
		}
		for _, name := range strings.Split(list, " | ") {
			name = strings.Trim(strings.TrimLeft(name, " "), `"`)
			text := strings.ToLower(name)
			if len(text) < 2 {
				return nil, fmt.Errorf("device: vendors.txt line %d: %q is too short: give at least two letters", l.number, text)
			}
			key := [2]byte{text[0], text[1]}
			p := prefix{text: text, vendor: vendor, where: fmt.Sprintf("vendors.txt line %d: %s", l.number, text)}
			if vendor == "*" {
				p.vendor, p.word = name, true
			}
			v.of2[key] = append(v.of2[key], p)
		}
	}
	for _, list := range v.of2 {
		slices.SortStableFunc(list, func(a, b prefix) int { return len(b.text) - len(a.text) })
	}
	return v, nil
}

// of is a model's maker and the rule that says so.
func (v *vendors) of(model string) (vendor, where string) {
	if len(model) < 2 {
		return "", ""
	}
	for _, p := range v.of2[[2]byte{lower(model[0]), lower(model[1])}] {
		if hasPrefixFold(model, p.text) && !(p.word && len(model) > len(p.text) && isLetter(model[len(p.text)])) {
			return p.vendor, p.where
		}
	}
	return "", ""
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// Vendor is who makes a model, by how its makers name models; "" when that
// tells nothing. For what an SDK says of its machine.
func (r *Reader) Vendor(model string) string {
	vendor, _ := r.vendors.of(model)
	return vendor
}

// SystemFamily gives a system's uap-core family for the name that an SDK or a
// client hint uses; a name that it does not know stays.
func SystemFamily(name string) string {
	for _, s := range [...]struct{ name, family string }{
		{"ios", "iOS"}, {"ipados", "iOS"}, {"iphone os", "iOS"}, {"android", "Android"},
		{"macos", "Mac OS X"}, {"mac os x", "Mac OS X"}, {"mac os", "Mac OS X"},
		{"windows", "Windows"}, {"chrome os", "Chrome OS"}, {"chromium os", "Chrome OS"}, {"chromeos", "Chrome OS"},
		{"linux", "Linux"}, {"watchos", "WatchOS"}, {"tvos", "tvOS"}, {"harmonyos", "HarmonyOS"},
	} {
		if strings.EqualFold(name, s.name) {
			return s.family
		}
	}
	return name
}
