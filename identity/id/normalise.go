package id

import (
	"fmt"
	"strings"
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
// anyway), "lower", "email", "phone". Phone numbers without a country calling
// code get phonePrefix, as in Options.
func Normaliser(name, phonePrefix string) (func(string) (string, bool), error) {
	switch name {
	case "", "trim":
		return nil, nil
	case "lower":
		return func(s string) (string, bool) { return strings.ToLower(s), true }, nil
	case "email":
		return normaliseEmail, nil
	case "phone":
		code, err := callingCode(phonePrefix)
		if err != nil {
			return nil, err
		}
		return phoneNormaliser(code), nil
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
func normaliseEmail(s string) (string, bool) {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 || strings.ContainsAny(s, " \u00a0") {
		return "", false
	}
	return strings.ToLower(s), true
}

// callingCode checks a country calling code (ITU-T E.164: 1 to 3 digits, the
// first not 0) and gives its digits.
func callingCode(s string) (string, error) {
	code := strings.TrimPrefix(strings.TrimSpace(s), "+")
	if code == "" && s == "" {
		return "", nil
	}
	if len(code) < 1 || len(code) > 3 || !allDigits(code) || code[0] == '0' {
		return "", fmt.Errorf("phone prefix is %q; expected a country calling code such as +358", s)
	}
	return code, nil
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// phoneNormaliser brings a number to + and 7 to 15 digits, country calling code
// first (ITU-T E.164). It knows the usual punctuation, the prefix 00, a trunk
// zero in brackets, and the national prefixes of the plan that code names.
func phoneNormaliser(code string) func(string) (string, bool) {
	return func(s string) (string, bool) {
		if isE164(s) {
			return s, true
		}
		digits, international, ok := phoneDigits(s)
		if !ok {
			return "", false
		}
		if !international {
			if code == "" {
				return "", false
			}
			digits = code + nationalPart(code, digits)
		}
		if s = "+" + digits; !isE164(s) {
			return "", false
		}
		return s, true
	}
}

// isE164 says that s is in its one form already.
func isE164(s string) bool {
	return len(s) >= 8 && len(s) <= 16 && s[0] == '+' && s[1] != '0' && allDigits(s[1:])
}

// phoneDigits strips what people write between digits.
func phoneDigits(s string) (digits string, international, ok bool) {
	if len(s) > 64 {
		return "", false, false
	}
	s = strings.TrimPrefix(s, "tel:")
	if rest, plus := strings.CutPrefix(s, "+"); plus {
		s, international = strings.Replace(rest, "(0)", "", 1), true
	}
	b := make([]byte, 0, len(s))
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			b = append(b, byte(r))
		case strings.ContainsRune(" -./()\u00a0\u202f\u2010\u2011\u2012\u2013", r):
		default:
			return "", false, false
		}
	}
	digits = string(b)
	if !international {
		if rest, zeros := strings.CutPrefix(digits, "00"); zeros {
			digits, international = rest, true
		}
	}
	return digits, international, digits != ""
}

// nationalPart drops the prefix that a plan dials inside the country only.
func nationalPart(code, digits string) string {
	switch code {
	case "1": // North America: ten digits, often dialled after a 1
		if len(digits) == 11 {
			return strings.TrimPrefix(digits, "1")
		}
		return digits
	case "7": // Russia, Kazakhstan: ten digits after an 8
		if len(digits) == 11 {
			return strings.TrimPrefix(digits, "8")
		}
		return digits
	case "36": // Hungary
		return strings.TrimPrefix(digits, "06")
	case "39", "378", "379": // Italy's zero is part of the number
		return digits
	}
	return strings.TrimPrefix(digits, "0")
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
