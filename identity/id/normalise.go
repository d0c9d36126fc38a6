package id

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// builtInBlocked lists the values that broken code sends in an identifier's
// place; design: identity rules, "Identifiers". The empty string and whatever is
// made of zeros and dashes only are onlyZeros's.
func builtInBlocked() []string {
	return []string{
		"null", "none", "nil", "undefined", "nan", "true", "false", "anonymous", "guest", "unknown",
		"id", "email", "distinct_id", "anonymousid", "userid", "[object object]", "-1",
	}
}

// Normaliser gives the normaliser of that name: "trim" (what every value gets
// anyway, instead of what a built-in type has), "lower", "email", "phone"; nil
// for "", which leaves a built-in type its own. Phone numbers that are written without
// their country are phoneRegion's, as in Options.
func Normaliser(name, phoneRegion string) (func(string) (string, bool), error) {
	switch name {
	case "":
		return nil, nil
	case "trim":
		return func(s string) (string, bool) { return s, true }, nil
	case "lower":
		return func(s string) (string, bool) { return strings.ToLower(s), true }, nil
	case "email":
		return normaliseEmail, nil
	case "phone":
		p, err := newPhones(phoneRegion)
		if err != nil {
			return nil, err
		}
		return p.normalise, nil
	}
	return nil, fmt.Errorf("normalise is %q; expected trim, lower, email or phone", name)
}

// plain says that s can stand in a key, a log and a page: 1 to MaxValue bytes
// of UTF-8 without control characters.
func plain(s string) bool {
	if s == "" || len(s) > MaxValue {
		return false
	}
	ascii := true
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < 0x20 || c == 0x7f {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.ValidString(s)
}

// normaliseEmail lower-cases. It asks for a local part, an @ and a domain, no
// more: whether an address exists only its mail server knows.
//
// Beyond that, an address is who wrote it so. Dots and +tags are other addresses
// on most servers, and a domain's xn-- form and the same in its own letters stay
// two, since to tell when they are one takes Unicode's tables (UTS 46). Both can
// only leave one person's devices apart, never bring two persons together.
func normaliseEmail(s string) (string, bool) {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 || strings.ContainsFunc(s, unicode.IsSpace) {
		return "", false
	}
	return strings.ToLower(s), true
}

// bare is a value as the block list sees it, but for its letters' case: trimmed
// and out of any quotes.
func bare(s string) string {
	for {
		s = strings.TrimSpace(s)
		n := len(s)
		if n < 2 || s[0] != s[n-1] || (s[0] != '"' && s[0] != '\'' && s[0] != '`') {
			return s
		}
		s = s[1 : n-1]
	}
}

// onlyZeros says that s holds nothing but zeros and dashes: "", "0", "000", the
// nil UUID.
func onlyZeros(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] != '0' && s[i] != '-' {
			return false
		}
	}
	return true
}

// blockList is a set of values in their bare, lower-case form.
type blockList struct {
	values  map[string]struct{}
	longest int
}

func newBlockList(values []string) blockList {
	b := blockList{values: make(map[string]struct{}, len(values))}
	for _, v := range values {
		v = strings.ToLower(bare(v))
		b.values[v] = struct{}{}
		b.longest = max(b.longest, len(v))
	}
	return b
}

// has looks a bare value up, whatever its case.
func (b *blockList) has(s string) bool {
	// Lower-casing shrinks a letter to a third of its bytes at most (U+212A).
	if len(b.values) == 0 || len(s) > 3*b.longest {
		return false
	}
	var low [64]byte
	if len(s) <= len(low) {
		i := 0
		for ; i < len(s) && s[i] < utf8.RuneSelf; i++ {
			c := s[i]
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			low[i] = c
		}
		if i == len(s) {
			_, ok := b.values[string(low[:i])]
			return ok
		}
	}
	_, ok := b.values[strings.ToLower(s)]
	return ok
}
