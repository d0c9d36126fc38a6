package enrich

import (
	"strings"
	"unicode/utf8"
)

const (
	maxAgent = 512 // bytes of a user agent that are read
	maxText  = 256 // bytes of a text from a URL or a campaign that are kept
	maxName  = 64  // bytes of a model, brand, system or version that are kept
)

// cut shortens s to at most n bytes without splitting a rune.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// lower is s in ASCII lower case, without an allocation when it has no
// capitals or was seen before.
func (in *interner) lower(s string) string {
	i := 0
	for i < len(s) && !isUpper(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	var buf [maxText]byte
	if len(s) > len(buf) {
		return strings.ToLower(s)
	}
	n := copy(buf[:], s)
	for ; i < n; i++ {
		if isUpper(buf[i]) {
			buf[i] |= 0x20
		}
	}
	return in.text(buf[:n])
}

// unescaped is a query's value with its escapes resolved, trimmed, and cut to
// maxText bytes. A broken escape stands for itself, and bytes that are not
// UTF-8 become U+FFFD.
func (in *interner) unescaped(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return valid(cut(strings.TrimSpace(s), maxText))
	}
	var buf [maxText + utf8.UTFMax]byte
	n := 0
	for i := 0; i < len(s) && n < len(buf); i++ {
		c := s[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(s):
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi < 16 && lo < 16 {
				c = hi<<4 | lo
				i += 2
			}
		}
		if n == 0 && c == ' ' {
			continue
		}
		buf[n] = c
		n++
	}
	if n > maxText {
		n = maxText
		for n > 0 && !utf8.RuneStart(buf[n]) {
			n--
		}
	}
	for n > 0 && buf[n-1] == ' ' {
		n--
	}
	return valid(in.text(buf[:n]))
}

// valid makes s valid UTF-8 of at most maxText bytes.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return cut(strings.ToValidUTF8(s, "\ufffd"), maxText)
}

// unhex is a hex digit's value; 16 or more for any other byte.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}
