package memo

import (
	"strings"
	"unicode/utf8"
)

// The most that is kept of texts.
const (
	MaxAgent = 512 // bytes of a user agent that are read
	MaxText  = 256 // bytes of a text from a URL or a campaign that are kept
	MaxName  = 64  // bytes of a model, brand, system or version that are kept
)

// Cut shortens s to at most n bytes without splitting a rune.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Lower is s in ASCII lower case, without an allocation when it has no
// capitals or was seen before.
func (in *Interner) Lower(s string) string {
	i := 0
	for i < len(s) && !IsUpper(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	var buf [MaxText]byte
	if len(s) > len(buf) {
		return strings.ToLower(s)
	}
	n := copy(buf[:], s)
	for ; i < n; i++ {
		if IsUpper(buf[i]) {
			buf[i] |= 0x20
		}
	}
	return in.Text(buf[:n])
}

// Unescaped is a query's value with its escapes resolved, trimmed, and cut to
// MaxText bytes. A broken escape stands for itself, and bytes that are not
// UTF-8 become U+FFFD.
func (in *Interner) Unescaped(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return Valid(Cut(strings.TrimSpace(s), MaxText))
	}
	var buf [MaxText + utf8.UTFMax]byte
	n := 0
	for i := 0; i < len(s) && n < len(buf); i++ {
		c := s[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(s):
			hi, lo := Unhex(s[i+1]), Unhex(s[i+2])
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
	if n > MaxText {
		n = MaxText
		for n > 0 && !utf8.RuneStart(buf[n]) {
			n--
		}
	}
	for n > 0 && buf[n-1] == ' ' {
		n--
	}
	return Valid(in.Text(buf[:n]))
}

// Valid makes s valid UTF-8 of at most MaxText bytes.
func Valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return Cut(strings.ToValidUTF8(s, "\ufffd"), MaxText)
}

// Unhex is a hex digit's value; 16 or more for any other byte.
func Unhex(c byte) byte {
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

// IsUpper says that c is an ASCII capital.
func IsUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

// Why is one thing that enrichment says and what made it say so, for people who
// ask: Field "browser", Value "Samsung Internet", Rule "rules.txt line 41:
// SamsungBrowser/".
type Why struct{ Field, Value, Rule string }
