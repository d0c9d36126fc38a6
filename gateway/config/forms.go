package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The forms of names. Compiled once, never changed.
var (
	labelForm     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)
	traitForm     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)
	typeForm      = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	writeKeyForm  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`) // no dot: /tag/KEY.HASH.js
	cookieForm    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	globalForm    = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]{0,63}$`)
	extensionForm = regexp.MustCompile(`^[a-z0-9]{1,8}$`)
	parameterForm = regexp.MustCompile(`^[A-Za-z0-9_.\[\]-]{1,40}$`)
	hostForm      = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)
	eventPath     = regexp.MustCompile(`^(traits|properties|context)(\.[A-Za-z0-9_$-]+)+$`)
)

func (k *checker) name(at, text string, form *regexp.Regexp, expected string) {
	if !form.MatchString(text) {
		k.fault(at, "saw %s, expected %s", quoted(text), expected)
	}
}

// label checks a name that people give to their own things.
func (k *checker) label(at, text string) {
	k.name(at, text, labelForm, "1 to 64 letters, digits and _ . - that begin with a letter or digit")
}

// unique reports the second one of a name.
func (k *checker) unique(at, name string, seen map[string]int, i int, what string) {
	if name == "" {
		return // reported as missing
	}
	if first, twice := seen[name]; twice {
		k.fault(at, "saw %s again; number %d of the list is already %s", quoted(name), first+1, what)
		return
	}
	seen[name] = i
}

func (k *checker) choice(at, text string, choices ...string) {
	for _, c := range choices {
		if c == text {
			return
		}
	}
	k.fault(at, "saw %s, expected %s", quoted(text), oneOf(choices))
}

func (k *checker) number(at string, n, least, most int) {
	if n < least || n > most {
		if least == most {
			k.fault(at, "saw %d, expected %d", n, least)
			return
		}
		k.fault(at, "saw %d, expected %d to %d", n, least, most)
	}
}

func (k *checker) size(at string, n, least, most Size) {
	if n < least || n > most {
		k.fault(at, "saw %s, expected %s to %s", n, least, most)
	}
}

func (k *checker) between(at string, d, least, most time.Duration) {
	if d < least || d > most {
		k.fault(at, "saw %s, expected %s to %s", FormatDuration(d), FormatDuration(least), FormatDuration(most))
	}
}

func (k *checker) atLeast(at string, d, least time.Duration) {
	if d < least {
		k.fault(at, "saw %s, expected at least %s", FormatDuration(d), FormatDuration(least))
	}
}

// parsePrefix reads an address range; one address is the range that holds it alone.
func parsePrefix(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if p, err := netip.ParsePrefix(text); err == nil {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96), nil
		}
		return p, nil
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.Prefix{}, fmt.Errorf("saw %s, expected an address range such as 10.0.0.0/8, or one address", quoted(text))
}

// index is the path of a list's element.
func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
