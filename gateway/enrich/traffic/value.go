package traffic

import (
	"strings"
	"unicode/utf8"

	"github.com/reuna/reuna/gateway/enrich/memo"
)

// maxEscaped is how many bytes of a value are read before its escapes are
// resolved: enough for memo.MaxText bytes that were escaped twice.
const maxEscaped = 5 * memo.MaxText

// maxRounds is how often escapes are resolved: "%252520" is a blank that went
// through three systems, each of which escaped what it was given.
const maxRounds = 3

// value is a parameter's value: escapes resolved, trimmed, valid UTF-8 of at
// most memo.MaxText bytes; empty when it says nothing (see saysNothing). A
// broken escape stands for itself.
func (r *Rules) value(raw string) string {
	raw = memo.Cut(raw, maxEscaped)
	if strings.IndexByte(raw, '%') < 0 && strings.IndexByte(raw, '+') < 0 {
		return said(memo.Valid(memo.Cut(strings.TrimSpace(raw), memo.MaxText)))
	}
	var buf [maxEscaped]byte
	n := copy(buf[:], raw)
	n = unescape(buf[:n], true)
	for round := 1; round < maxRounds && stillEscaped(buf[:n]); round++ {
		n = unescape(buf[:n], false)
	}
	b := buf[:n]
	for len(b) > 0 && b[0] <= ' ' {
		b = b[1:]
	}
	if n = len(b); n > memo.MaxText {
		for n = memo.MaxText; n > 0 && !utf8.RuneStart(b[n]); n-- {
		}
	}
	for n > 0 && b[n-1] <= ' ' {
		n--
	}
	return said(memo.Valid(r.words.Text(b[:n])))
}

// unescape resolves escapes in place and says how long the text is then.
func unescape(b []byte, plusIsBlank bool) int {
	n := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '+' && plusIsBlank {
			c = ' '
		} else if c == '%' && i+2 < len(b) {
			if hi, lo := memo.Unhex(b[i+1]), memo.Unhex(b[i+2]); hi < 16 && lo < 16 {
				c = hi<<4 | lo
				i += 2
			}
		}
		b[n] = c
		n++
	}
	return n
}

// stillEscaped says that a text whose escapes were resolved consists of escapes
// again: every percent sign begins one, of ASCII or of a UTF-8 lead and its
// followers. "100% wool" and "20%de" are not; they are meant as they stand.
func stillEscaped(b []byte) bool {
	found, follow := false, 0
	for i := 0; i < len(b); i++ {
		if b[i] != '%' {
			if follow > 0 {
				return false
			}
			continue
		}
		if i+2 >= len(b) {
			return false
		}
		hi, lo := memo.Unhex(b[i+1]), memo.Unhex(b[i+2])
		if hi >= 16 || lo >= 16 {
			return false
		}
		switch c := hi<<4 | lo; {
		case follow > 0:
			if c&0xC0 != 0x80 {
				return false
			}
			follow--
		case c < 0x80:
		case c >= 0xC2 && c < 0xE0:
			follow = 1
		case c >= 0xE0 && c < 0xF0:
			follow = 2
		case c >= 0xF0 && c < 0xF5:
			follow = 3
		default:
			return false
		}
		found = true
		i += 2
	}
	return found && follow == 0
}

// said is s, or nothing when s says nothing.
func said(s string) string {
	if saysNothing(s) {
		return ""
	}
	return s
}

// saysNothing recognises what a template or a program writes where it had
// nothing to write, and a template's own place holder that nobody filled in:
//
//	{{campaign.name}}   Meta, HubSpot          {campaignid}      Google Ads' ValueTrack
//	[campaign]          many ad servers        __CAMPAIGN_NAME__ TikTok
//	%%CAMPAIGN%%        Adform, Salesforce     ${CAMPAIGN}       Google Ad Manager, Xandr
//	*|CAMPAIGN|*        Mailchimp              <campaign>        instructions, copied
func saysNothing(s string) bool {
	if s == "" {
		return true
	}
	if len(s) <= len("[object object]") {
		switch s[0] {
		case '(', 'n', 'N', 'u', 'U', '[', '-':
			for _, word := range [...]string{"(not set)", "not set", "(none)", "none", "null", "(null)", "nil", "nan", "n/a", "undefined", "[object object]",
				"(not provided)", "(direct)", "-", "--"} {
				if strings.EqualFold(s, word) {
					return true
				}
			}
		case '"', '\'':
			if s == `""` || s == "''" {
				return true
			}
		}
	}
	n := len(s)
	if n < 3 {
		return false
	}
	switch s[0] {
	case '{':
		return s[n-1] == '}'
	case '[':
		return s[n-1] == ']'
	case '<':
		return s[n-1] == '>'
	case '%':
		return n > 4 && s[1] == '%' && s[n-2:] == "%%"
	case '$':
		return s[1] == '{' && s[n-1] == '}'
	case '*':
		return s[1] == '|' && s[n-2:] == "|*"
	case '_':
		return n > 4 && s[1] == '_' && s[n-2:] == "__"
	}
	return false
}
