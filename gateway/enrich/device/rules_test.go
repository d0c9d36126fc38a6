package device

import (
	"strings"
	"testing"

	"github.com/reuna/reuna/identity/event"
)

func newReader(t testing.TB) *Reader {
	t.Helper()
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestExamples reads the example of every rule through the whole reader.
func TestExamples(t *testing.T) {
	r := newReader(t)
	book, examples, err := readBook()
	if err != nil {
		t.Fatal(err)
	}
	field := map[int]struct {
		name string
		of   func(event.Device) string
	}{
		kindSystem:  {"os", func(d event.Device) string { return strings.TrimSpace(d.OS + " " + d.OSVersion) }},
		kindType:    {"type", func(d event.Device) string { return d.Type }},
		kindModel:   {"vendor", func(d event.Device) string { return strings.TrimSpace(d.Vendor + " / " + d.Model) }},
		kindBrowser: {"browser", func(d event.Device) string { return strings.TrimSpace(d.Browser + " " + d.BrowserVersion) }},
	}
	for kind, list := range examples {
		spoke := map[string]bool{}
		for _, x := range list {
			d, whys := r.Explain(x.agent, nil)
			if got := field[kind].of(d); got != x.want {
				t.Errorf("%s: %s\n\tgives %q, want %q\n\t%v", x.where, x.agent, got, x.want, whys)
			}
			for _, why := range whys {
				if why.Field == field[kind].name {
					spoke[why.Rule] = true
				}
			}
		}
		for i := book.kinds[kind].from; i < book.kinds[kind].to; i++ {
			if where := book.rules[i].where; !spoke[where] {
				t.Errorf("%s: no example shows it: put one below the rule, and see that no rule before it takes its agents", where)
			}
		}
	}
}

func TestVendorExamples(t *testing.T) {
	r := newReader(t)
	text, err := readRules("vendors.txt")
	if err != nil {
		t.Fatal(err)
	}
	rules, examples := 0, 0
	for _, l := range lines(text) {
		if l.text[0] != '\t' {
			rules++
			continue
		}
		examples++
		model, want, _ := strings.Cut(strings.TrimSpace(l.text), " => ")
		if got := r.Vendor(model); got != want {
			t.Errorf("vendors.txt line %d: %s is %q, want %q", l.number, model, got, want)
		}
	}
	if rules != examples {
		t.Errorf("vendors.txt has %d rules and %d examples: every rule needs one", rules, examples)
	}
}
