package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/reuna/reuna/gateway/enrich/device"
)

// visit is what is asked about.
type visit struct {
	Agent, IP, Page, Referrer, Language string
	Hints                               device.Hints
	// KnowsReferrer: there is a referrer, or it is said that there was none.
	KnowsReferrer bool
	// guessedPage: the URL was not said to be a page, so it may be a referrer.
	guessedPage bool
}

// given counts what there is to explain.
func (v *visit) given() (n int) {
	for _, there := range []bool{v.Agent != "", v.IP != "", v.Page != "", v.Referrer != "" || v.KnowsReferrer, v.Language != "", v.Hints != device.Hints{}} {
		if there {
			n++
		}
	}
	return n
}

// take puts a bare argument where it belongs, by what it looks like.
func (v *visit) take(arg string) error {
	put := func(to *string, what, flag, value string) error {
		if value == "" {
			return fmt.Errorf("%q has no value", arg)
		}
		if *to != "" {
			return fmt.Errorf("two %s, %q and %q: a visit has one; ask about each in a line of its own, with \"-\", or say what it is with -%s", what, *to, value, flag)
		}
		*to = value
		return nil
	}
	name, value, _ := strings.Cut(arg, ":")
	value = strings.TrimSpace(value)
	switch lower := strings.ToLower(name); {
	case strings.TrimSpace(arg) == "":
		return errors.New("an argument is empty")
	case strings.HasPrefix(lower, "sec-ch-"):
		return v.hint(arg)
	case lower == "user-agent":
		return put(&v.Agent, "agents", "agent", value)
	case lower == "accept-language":
		return put(&v.Language, "languages", "language", value)
	case lower == "referer" || lower == "referrer":
		v.KnowsReferrer = true
		return put(&v.Referrer, "referrers", "referrer", value)
	}
	if a, ok := address(arg); ok {
		return put(&v.IP, "addresses", "ip", a)
	}
	u, ok := asURL(arg)
	switch {
	case !ok:
		return put(&v.Agent, "agents", "agent", arg)
	case v.Page == "" && !strings.HasPrefix(u, "android-app:"):
		v.guessedPage = v.Referrer == ""
		return put(&v.Page, "pages", "url", u)
	}
	v.KnowsReferrer, v.guessedPage = true, false
	return put(&v.Referrer, "referrers", "referrer", u)
}

// address recognises an IP address, with a port or in brackets, too.
func address(s string) (string, bool) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a.Addr().String(), true
	}
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return a.String(), true
	}
	return "", false
}

// asURL recognises a URL: with a scheme, as a path or a query alone, or as a host
// below a top-level domain that there is. "Googlebot/2.1" is none.
func asURL(s string) (string, bool) {
	if strings.ContainsAny(s, " \t") {
		return "", false
	}
	if scheme, _, found := strings.Cut(s, "://"); found {
		_, err := url.Parse(scheme + "://host/")
		return s, err == nil
	}
	if s[0] == '/' || s[0] == '?' {
		return s, true
	}
	host := s
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		host = s[:i]
	}
	if u, err := url.Parse("https://" + host); err != nil || u.User != nil {
		return "", false
	} else if domain := strings.ToLower(u.Hostname()); strings.Contains(domain, ".") {
		if _, icann := publicsuffix.PublicSuffix(domain); icann {
			return "https://" + s, true
		}
	}
	return "", false
}
