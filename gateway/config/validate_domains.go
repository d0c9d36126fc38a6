package config

import (
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// mostLinked bounds what an answer carries: one token for each linked domain.
const mostLinked = 16

// domains checks over which hosts a visitor stays the same.
func (k *checker) domains(at string, s *Site) {
	if d := s.Cookie.Domain; d != "" && k.domain(at+".cookie.domain", d) && !hasOriginBelow(s.Origins, d) {
		k.fault(at+".cookie.domain", "saw %s, and none of the site's origins is at or below it; browsers refuse a cookie for somebody else's domain", quoted(d))
	}
	seen := map[string]int{}
	for i, d := range s.LinkedDomains {
		at := index(at+".linked_domains", i)
		if k.domain(at, d) {
			k.unique(at, d, seen, i, "this domain")
		}
	}
	if n := len(s.LinkedDomains); n > mostLinked {
		k.fault(at+".linked_domains", "saw %d domains, expected at most %d; an answer carries a token for each", n, mostLinked)
	}
}

// domain checks a name that somebody can own (https://publicsuffix.org).
func (k *checker) domain(at, text string) bool {
	const example = "expected a domain of yours in lower case such as shop.example"
	_, notAddress := netip.ParseAddr(text)
	switch suffix, _ := publicsuffix.PublicSuffix(text); {
	case strings.HasPrefix(text, "."):
		k.fault(at, "saw %s, expected %s; it stands for all hosts below it without the dot", quoted(text), quoted(text[1:]))
	case !hostForm.MatchString(text) || notAddress == nil:
		k.fault(at, "saw %s, %s", quoted(text), example)
	case suffix == text:
		k.fault(at, "saw %s, under which anybody can have a domain; %s", quoted(text), example)
	default:
		return true
	}
	return false
}

func hasOriginBelow(origins []string, domain string) bool {
	for _, o := range origins {
		if u, err := url.Parse(o); err == nil && (u.Hostname() == domain || strings.HasSuffix(u.Hostname(), "."+domain)) {
			return true
		}
	}
	return false
}

func (k *checker) consent(at string, t *Tag) {
	k.choice(at+".consent", t.Consent, "none", "pending", "required", "cookieless")
	seen := map[string]int{}
	for i, from := range t.ConsentFrom {
		at := index(at+".consent_from", i)
		k.choice(at, from, "tcf", "gcm")
		k.unique(at, from, seen, i, "this standard")
	}
	if len(t.ConsentFrom) > 0 && t.Consent == "none" {
		k.fault(at+".consent_from", "there is nothing to wait for with consent: none; expected consent to be pending, required or cookieless")
	}
}
