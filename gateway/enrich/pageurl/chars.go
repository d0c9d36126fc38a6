package pageurl

import "github.com/reuna/reuna/gateway/enrich/memo"

// Kinds of bytes.
const (
	isWord   = 1 << iota // letters, digits, "-" and "_": what tokens are made of (RFC 4648, 5)
	isLocal              // may stand before the @ of an e-mail address
	isDomain             // may stand behind it
	isDigit
	isUpper
	isLower
	isWide // not ASCII
)

const isAlnum = isDigit | isUpper | isLower

// kinds never changes.
var kinds = kindTable()

func kindTable() (t [256]uint8) {
	for c := range len(t) {
		switch {
		case c >= '0' && c <= '9':
			t[c] = isWord | isLocal | isDomain | isDigit
		case c >= 'a' && c <= 'z':
			t[c] = isWord | isLocal | isDomain | isLower
		case c >= 'A' && c <= 'Z':
			t[c] = isWord | isLocal | isDomain | isUpper
		case c >= 0x80:
			t[c] = isLocal | isDomain | isWide
		}
	}
	t['-'], t['_'] = isWord|isLocal|isDomain, isWord|isLocal
	// Of what RFC 5322, 3.2.3 lets stand in a local part, that which does not part
	// an address or a text. "=" is one more in a value: bounce+anna=home.example@….
	for _, c := range ".!$%'*+^~" {
		t[c] = isLocal
	}
	t['.'] |= isDomain
	return t
}

// char reads one character: a byte as it stands, or one escaped any number of
// times, %40, %2540, %252540. level tells how often; width the bytes it took. A
// broken escape is a percent sign. In JSON text \u0040 and \/ are escapes, too.
func char(s string, i int, json bool) (c byte, width, level int) {
	c, width = s[i], 1
	if json && c == '\\' {
		c, width = slashed(s, i)
	}
	if c != '%' {
		return c, width, 0
	}
	for j := i + width; j+1 < len(s); j += 2 {
		hi, lo := memo.Unhex(s[j]), memo.Unhex(s[j+1])
		if hi > 15 || lo > 15 {
			break
		}
		c, width, level = hi<<4|lo, j+2-i, level+1
		if c != '%' {
			break
		}
	}
	return c, width, level
}

// slashed reads an escape of JSON, or of JSON within JSON: any number of
// backslashes.
func slashed(s string, i int) (c byte, width int) {
	j := i + 1
	for j < len(s) && s[j] == '\\' {
		j++
	}
	if j == len(s) {
		return '\\', j - i
	}
	switch c = s[j]; c {
	case 'u':
		if j+4 < len(s) {
			var r uint
			for _, d := range []byte(s[j+1 : j+5]) {
				x := memo.Unhex(d)
				if x > 15 {
					return '\\', j - i
				}
				r = r<<4 | uint(x)
			}
			if r > 0x7F {
				r = 0x80 // whatever it is, it is not ASCII
			}
			return byte(r), j + 5 - i
		}
	case '/', '"':
		return c, j + 1 - i
	case 'b', 'f', 'n', 'r', 't':
		return ' ', j + 1 - i
	}
	return '\\', j - i
}
