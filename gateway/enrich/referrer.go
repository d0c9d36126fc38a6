package enrich

import (
	_ "embed" // the table of known sites below
	"fmt"
	"strings"
)

//go:embed referrers.txt
var referrerTable string

// siteKind is what a known site is for.
type siteKind uint8

const (
	kindNone siteKind = iota
	kindSearch
	kindSocial
	kindVideo
	kindShopping
	kindMail
	kindAI
	kindOther // known not to be what the rest of its domain is for
)

// knownSite is one line of the table.
type knownSite struct {
	kind   siteKind
	name   string // what Traffic.Source says
	medium string // what Traffic.Medium says of a visit that came by a link there
}

// referrers knows sites by host and by the names people use for them. It is
// filled once and only read after that.
type referrers struct {
	byHost  map[string]*knownSite // "mail.google.com": it and everything below
	byLabel map[string]*knownSite // "google", "shopping.google": in front of any public suffix
	byName  map[string]*knownSite
	clicks  []clickID
	rules   []channelRule
}

// newReferrers reads the table of referrers.txt.
func newReferrers(text string) (*referrers, error) {
	r := &referrers{
		byHost:  map[string]*knownSite{},
		byLabel: map[string]*knownSite{},
		byName:  map[string]*knownSite{},
		clicks:  clickIDs(),
		rules:   channelRules(),
	}
	for i, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.Split(line, "|")
		if len(parts) != 3 {
			return nil, fmt.Errorf("enrich: referrers.txt line %d: saw %d fields, expected kind|name|hosts", i+1, len(parts))
		}
		site := &knownSite{name: parts[1]}
		switch parts[0] {
		case "search":
			site.kind, site.medium = kindSearch, "organic"
		case "social":
			site.kind, site.medium = kindSocial, "social"
		case "video":
			site.kind, site.medium = kindVideo, "video"
		case "shopping":
			site.kind, site.medium = kindShopping, "referral"
		case "mail":
			site.kind, site.medium = kindMail, "email"
		case "ai":
			site.kind, site.medium = kindAI, "ai-assistant"
		case "other":
			site.kind = kindOther
		default:
			return nil, fmt.Errorf("enrich: referrers.txt line %d: unknown kind %q", i+1, parts[0])
		}
		if site.kind != kindOther {
			if _, taken := r.byName[site.name]; taken {
				return nil, fmt.Errorf("enrich: referrers.txt line %d: the name %q comes twice", i+1, site.name)
			}
			r.byName[site.name] = site
		}
		for _, host := range strings.Fields(parts[2]) {
			into := r.byHost
			key := strings.TrimPrefix(host, "android-app:")
			if label, any := strings.CutSuffix(key, ".*"); any {
				into, key = r.byLabel, label
			} else if !strings.Contains(key, ".") {
				into = r.byName
			}
			if _, taken := into[key]; taken {
				return nil, fmt.Errorf("enrich: referrers.txt line %d: %q comes twice", i+1, host)
			}
			into[key] = site
		}
	}
	return r, nil
}

// find is the known site a host (in lower case) belongs to; nil when there is
// none.
func (r *referrers) find(host string) *knownSite {
	for rest := host; rest != ""; {
		if s := r.byHost[rest]; s != nil {
			return s
		}
		if s := r.findLabel(rest); s != nil {
			return s
		}
		i := strings.IndexByte(rest, '.')
		if i < 0 {
			return nil
		}
		rest = rest[i+1:]
	}
	return nil
}

// findLabel tries host as a label of the table in front of a country's or
// another top-level domain, with or without a second level that registries
// use: google.fi, google.com, google.co.uk, shopping.google.com.au.
func (r *referrers) findLabel(host string) *knownSite {
	end := strings.LastIndexByte(host, '.')
	if end < 0 {
		return nil
	}
	if s := r.byLabel[host[:end]]; s != nil {
		return s
	}
	dot := strings.LastIndexByte(host[:end], '.')
	if dot < 0 || !oneOf(host[dot+1:end], "co", "com", "org", "net", "ne", "or") {
		return nil
	}
	return r.byLabel[host[:dot]]
}

// kindOf is what a source is for, whether it is written as a name ("google")
// or as a host ("m.facebook.com"), in lower case.
func (r *referrers) kindOf(source string) siteKind {
	if s := r.byName[source]; s != nil {
		return s.kind
	}
	if strings.IndexByte(source, '.') >= 0 {
		if s := r.find(source); s != nil {
			return s.kind
		}
	}
	return kindNone
}
