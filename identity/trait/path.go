package trait

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/reuna/reuna/identity/event"
)

// Bounds of what one event gives to one definition.
const (
	maxKeyBytes = 256 // longer values name nothing
	maxKeys     = 64  // items of one list
)

// path is where a value stands in an event: root.key.rest, or through the items of
// a list, root.key.rest[].below.
type path struct {
	root  string // properties, traits or context
	key   string
	rest  string // dotted, below key
	items bool   // each item of the list that stands there
	below string // dotted, below an item
	field func(*event.Event) string
}

func parsePath(s string) (p path, ok bool) {
	s, below, items := strings.Cut(s, "[]")
	if below != "" {
		rest, dot := strings.CutPrefix(below, ".")
		if !dot || strings.Contains(rest, "[]") || slices.Contains(strings.Split(rest, "."), "") {
			return path{}, false
		}
		below = rest
	}
	root, rest, _ := strings.Cut(s, ".")
	for part := range strings.SplitSeq(rest, ".") {
		if part == "" {
			return path{}, false
		}
	}
	p = path{root: root, items: items, below: below}
	p.key, p.rest, _ = strings.Cut(rest, ".")
	switch root {
	case "context":
		if !items {
			p.field = fieldOf(rest)
		}
	case "properties", "traits":
	default:
		return path{}, false
	}
	return p, true
}

// fieldOf reads what the gateway found out without writing it out as JSON.
func fieldOf(path string) func(*event.Event) string {
	switch path {
	case "site":
		return func(e *event.Event) string { return e.Site }
	case "ip":
		return func(e *event.Event) string { return e.IP }
	case "device.type":
		return func(e *event.Event) string { return e.Device.Type }
	case "device.manufacturer":
		return func(e *event.Event) string { return e.Device.Vendor }
	case "device.model":
		return func(e *event.Event) string { return e.Device.Model }
	case "device.language":
		return func(e *event.Event) string { return e.Device.Language }
	case "device.timezone":
		return func(e *event.Event) string { return e.Device.Timezone }
	case "os.name":
		return func(e *event.Event) string { return e.Device.OS }
	case "browser.name":
		return func(e *event.Event) string { return e.Device.Browser }
	case "geo.country":
		return func(e *event.Event) string { return e.Geo.Country }
	case "geo.region":
		return func(e *event.Event) string { return e.Geo.Region }
	case "geo.city":
		return func(e *event.Event) string { return e.Geo.City }
	case "traffic.channel":
		return func(e *event.Event) string { return e.Traffic.Channel }
	case "traffic.source":
		return func(e *event.Event) string { return e.Traffic.Source }
	case "traffic.medium":
		return func(e *event.Event) string { return e.Traffic.Medium }
	case "traffic.campaign":
		return func(e *event.Event) string { return e.Traffic.Campaign }
	}
	return nil
}

// of is the one value that stands there: of a path through a list, the list.
func (p *path) of(in *eventVars) (v event.Value) {
	switch p.root {
	case "properties":
		v = in.properties.get(in.e.Properties, p.key)
	case "traits":
		v = in.traits.get(in.e.Traits, p.key)
	case "context":
		v = contextMember(in.e, p.key)
	}
	if p.rest == "" {
		return v
	}
	return v.Path(p.rest)
}

// each calls fn for the first maxKeys values that stand there: the one, or the
// items of a list.
func (p *path) each(in *eventVars, fn func(v event.Value)) {
	v := p.of(in)
	if v.Kind() != event.Array {
		if !p.items && v != "" {
			fn(v)
		}
		return
	}
	n := 0
	v.Items(func(m event.Value) bool {
		if p.below != "" {
			m = m.Path(p.below)
		}
		if m != "" {
			fn(m)
		}
		n++
		return n < maxKeys
	})
}

// keyOf is the text that a value is known by: a text trimmed, numbers and booleans
// as they were written. "" for anything else.
func keyOf(v event.Value) string {
	var s string
	switch v.Kind() {
	case event.String:
		s = strings.TrimSpace(v.Text())
	case event.Number, event.Bool:
		s = string(v)
	}
	if len(s) > maxKeyBytes {
		return ""
	}
	return s
}

// scalarOf is a value as it is kept whole: a text, trimmed, a number or a boolean,
// in JSON. "" for anything else.
func scalarOf(v event.Value) string {
	key := keyOf(v)
	switch {
	case key == "" || v.Kind() != event.String:
		return key
	case len(v) == len(key)+2 && isQuotedAlike(key): // most are
		return string(v)
	}
	return string(event.Quote(key))
}

// isQuotedAlike says that a text which stands in JSON without an escape is written the
// same by event.Quote. Beyond ASCII it may not be.
func isQuotedAlike(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

func keyOfText(s string) string {
	if s = strings.TrimSpace(s); len(s) > maxKeyBytes {
		return ""
	}
	return s
}
