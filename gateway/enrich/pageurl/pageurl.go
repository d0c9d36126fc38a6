// Package pageurl makes addresses of pages fit to be kept: one spelling for one
// page, and nothing in them that is about a person or opens a door.
//
// [Cleaner.URL] does one address, [Cleaner.Event] everything an event holds,
// [Text] what is no address: titles, search terms, messages that nobody could
// read. What goes is replaced by a word in brackets that says what stood there,
// the words of the tag's own scrub.ts where it has one:
//
//	[email]    an e-mail address, plain or escaped any number of times
//	[token]    what signs somebody in, or names a session or a recipient
//	[number]   a payment card's or a bank account's number
//	[phone]    what follows tel: and its like
//	[removed]  the value of a parameter that is about a person
//
// Browsers leave brackets as they are in a path, a query and a fragment, so the
// address stays one. The marks of an advertisement stay: campaign tags and the
// ids of clicks are the site's to read. The ids of mails' recipients go.
//
// Whoever reads a visit's source from an address does so before it is cleaned.
package pageurl

import (
	"fmt"
	"strings"

	"github.com/reuna/reuna/gateway/enrich/memo"
)

// Options are a site's settings. The zero value takes the first choice of each.
type Options struct {
	Fragment      string   // drop (but for routes, "#/…" and "#!…") or keep
	Tracking      string   // keep or drop: campaign tags, ids of clicks and of mails
	TrailingSlash string   // keep, drop or add
	IDN           string   // keep, unicode or ascii: hosts in other scripts
	Drop          []string // parameters that are taken out
	Keep          []string // parameters whose values stay whatever they hold
	KeepRoutes    bool     // every fragment is a route of the site, as the tag's hash_routes says
}

// Cleaner cleans the addresses of one site. It is safe for concurrent use.
type Cleaner struct {
	dropFragment, keepRoutes bool
	dropTracking             bool
	slash, idn               string
	names                    map[string]rule // the site's own parameters, in lower case
	known                    *known          // nil: of no site
}

// New makes a Cleaner. The error names the setting that cannot be used.
func New(o Options) (*Cleaner, error) {
	for _, x := range []struct {
		name, value string
		choices     []string
	}{
		{"fragment", o.Fragment, []string{"drop", "keep"}},
		{"tracking", o.Tracking, []string{"keep", "drop"}},
		{"trailing_slash", o.TrailingSlash, []string{"keep", "drop", "add"}},
		{"idn", o.IDN, []string{"keep", "unicode", "ascii"}},
	} {
		ok := x.value == ""
		for _, choice := range x.choices {
			ok = ok || x.value == choice
		}
		if !ok {
			return nil, fmt.Errorf("pageurl: %s is %q, expected %s", x.name, x.value, strings.Join(x.choices, " or "))
		}
	}
	c := &Cleaner{
		dropFragment: o.Fragment != "keep", keepRoutes: o.KeepRoutes,
		dropTracking: o.Tracking == "drop",
		slash:        o.TrailingSlash, idn: o.IDN, known: newKnown(),
	}
	if len(o.Drop)+len(o.Keep) > 0 {
		c.names = map[string]rule{}
	}
	for _, name := range o.Keep {
		c.names[strings.ToLower(name)] = ruleKeep
	}
	for _, name := range o.Drop {
		if _, both := c.names[strings.ToLower(name)]; both {
			return nil, fmt.Errorf("pageurl: the parameter %q stands in drop and in keep, expected one of them", name)
		}
		c.names[strings.ToLower(name)] = ruleDrop
	}
	return c, nil
}

// maxRounds bounds how often an address is cleaned. One round does it, and the
// second sees that: but what stands beside a replaced text is another text than
// before, and may be something else that has to go. No address that a browser
// sends needs three.
const maxRounds = 6

// maxGrowth is how many bytes longer than what they replace all words in
// brackets of one address may be; "*" stands for what follows.
const maxGrowth = 128

// URL is the address as it may be kept. It takes any text: absolute, relative
// ("/path", "?query"), scheme-relative, broken. An address that needs no change
// comes back as it is, without an allocation.
//
// URL(URL(s)) is URL(s), and at most maxGrowth bytes and a host's length
// (255 bytes) are added.
func (c *Cleaner) URL(s string) string { return c.clean(s, asURL, nil) }

// Query is URL for a query without its "?": "utm_source=news&email=…".
func (c *Cleaner) Query(s string) string { return c.clean(s, asQuery, nil) }

// Explain is URL with what was changed, in the address's order: Field is the
// part ("host", "parameter token"), Value what is written now, "" when the part
// was taken out. What stood there is not repeated.
func (c *Cleaner) Explain(s string) (string, []memo.Why) {
	var whys []memo.Why
	return c.clean(s, asURL, &whys), whys
}

type form uint8

const (
	asURL form = iota
	asQuery
	asText
)

func (c *Cleaner) clean(s string, f form, whys *[]memo.Why) string {
	if s == "" {
		return s
	}
	left := maxGrowth
	for round := 0; ; round++ {
		next := c.round(s, f, &left, whys)
		if next == s {
			return s
		}
		if round == maxRounds {
			return "[removed]" // it does not settle: made for that
		}
		s = next
	}
}

func (c *Cleaner) round(s string, f form, left *int, whys *[]memo.Why) string {
	x := scan{s: s}
	switch f {
	case asURL:
		if tidy := withoutBreaks(s); len(tidy) != len(s) {
			if whys != nil {
				*whys = append(*whys, memo.Why{Field: "address", Value: "without them", Rule: ruleBreaks.about()})
			}
			return tidy
		}
		c.address(&x)
	case asQuery:
		c.query(&x, 0, len(s), 0)
	case asText:
		x.free = true
		x.run(0, len(s), -1, false)
	}
	x.settleCodes()
	if len(x.edits) == 0 {
		return s
	}
	if whys != nil {
		for _, e := range x.edits {
			*whys = append(*whys, memo.Why{Field: e.field(s), Value: e.text, Rule: e.rule.about()})
		}
	}
	return apply(s, x.edits, left)
}

// withoutBreaks leaves out what browsers leave out of an address: blanks around
// it, tabs and line breaks inside (https://url.spec.whatwg.org/#url-parsing).
func withoutBreaks(s string) string {
	for len(s) > 0 && s[0] <= ' ' {
		s = s[1:]
	}
	for len(s) > 0 && s[len(s)-1] <= ' ' {
		s = s[:len(s)-1]
	}
	if strings.IndexByte(s, '\n') < 0 && strings.IndexByte(s, '\r') < 0 && strings.IndexByte(s, '\t') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if c := s[i]; c != '\n' && c != '\r' && c != '\t' {
			b = append(b, c)
		}
	}
	return string(b)
}
