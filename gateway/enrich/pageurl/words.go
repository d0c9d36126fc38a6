package pageurl

import "strings"

const (
	longWord = 24  // characters from which a random word opens something: 96 bits in hexadecimal
	jwtHead  = 12  // of the first part of a JWT, {"alg":"x"} encoded
	mailHead = 10  // of an e-mail address in base64, a@bc.de encoded
	maxJudge = 128 // characters of a word that are looked at
)

// word judges the word s[from:i] and replaces what has to go. It gives the end
// of what it took when that lies behind i.
func (x *scan) word(from, i, to int, escaped bool, quiet hush) int {
	s := x.s
	n := i - from
	if n >= jwtHead && s[from] == 'e' && s[from+1] == 'y' && s[from+2] == 'J' {
		if end, dots := x.dotted(i, to); dots > 0 || n >= longWord && !x.free {
			x.add(edit{from: from, to: end, name: -1, text: "[token]", rule: ruleJWT})
			return end
		}
	}
	if n >= mailHead && !escaped && hidesMail(s[from:i]) {
		x.add(edit{from: from, to: i, name: -1, text: "[email]", rule: ruleEmail})
		return i
	}
	// Numbers begin where a word does, or a part of one.
	for j := from; j+3 < i; j++ {
		k := kinds[s[j]]
		if k&isAlnum == 0 || j > from && kinds[s[j-1]]&isAlnum != 0 {
			continue
		}
		end := 0
		if k&isDigit != 0 && s[j] >= '2' && s[j] <= '6' {
			end = x.card(j, to)
		} else if kinds[s[j+2]]&isDigit != 0 && k&isDigit == 0 {
			end = x.iban(j, to)
		}
		if end > 0 {
			x.add(edit{from: j, to: end, name: -1, text: "[number]", rule: ruleNumber})
			if end >= i {
				return end
			}
			j = end - 1
		}
	}
	if x.free || quiet != hushNothing || n < 6 || n < longWord && !x.action {
		return i
	}
	w := s[from:i]
	if escaped {
		var buf [maxJudge]byte
		m := 0
		for j := from; j < i && m < len(buf); m++ {
			c, width, _ := char(s, j, false)
			buf[m] = c
			j += width
		}
		return x.random(string(buf[:m]), from, i, to)
	}
	return x.random(w, from, i, to)
}

func (x *scan) random(w string, from, i, to int) int {
	if len(w) >= longWord && isRandom(w) && !isPageID(w) && !x.isFile(i, to) && !x.isCommit(w) {
		id := idPart(w)
		if id > 0 && isPageID(w[id:]) {
			return i
		}
		if len(w) == i-from { // nothing is escaped
			from += id
		}
		x.add(edit{from: from, to: i, name: -1, text: "[token]", rule: ruleRandom})
	} else if x.action && isCode(w) && !isUUID(w) {
		x.add(edit{from: from, to: i, name: -1, text: "[token]", rule: ruleAction})
	}
	return i
}

// hidesMail says that a word is base64 of a text with an e-mail address in it.
// No such text has the two characters in which the alphabets differ.
func hidesMail(w string) bool {
	var bits uint32
	at, dot := 0, 0 // where they stand, counted from 1
	for i := range len(w) {
		var v uint32
		switch c := w[i]; {
		case c >= 'A' && c <= 'Z':
			v = uint32(c - 'A')
		case c >= 'a' && c <= 'z':
			v = uint32(c-'a') + 26
		case c >= '0' && c <= '9':
			v = uint32(c-'0') + 52
		default:
			return false
		}
		bits = bits<<6 | v
		if i%4 == 0 {
			continue
		}
		b := byte(bits >> (6 - 2*(i%4)))
		if i%4 == 3 {
			b = byte(bits)
		}
		switch {
		case b < ' ' || b > '~':
			return false
		case b == '@':
			at = i + 1
		case b == '.' && at > 0 && i > at:
			dot = i + 1
		}
	}
	return at > 2 && dot > 0 && dot < len(w)
}

// dotted reads on over further words with dots between them.
func (x *scan) dotted(i, to int) (end, dots int) {
	for i < to {
		c, width, _ := char(x.s, i, x.free)
		if c == '.' {
			dots++
		} else if kinds[c]&isWord == 0 {
			break
		}
		i = min(i+width, to)
	}
	return i, dots
}

// isFile says that the word stands in the name of a page's own file, as the hash
// in app.3f2a9c….min.js: such a name stands for what the file holds.
func (x *scan) isFile(i, to int) bool {
	if i >= to || x.s[i] != '.' {
		return false
	}
	dot := i
	to = min(to, i+96)
	for i++; i < to && (kinds[x.s[i]]&isWord != 0 || x.s[i] == '.'); i++ {
		if x.s[i] == '.' {
			dot = i
		}
	}
	switch x.s[dot+1 : i] {
	case "js", "mjs", "css", "map", "png", "jpg", "jpeg", "webp", "gif", "svg", "avif", "ico", "woff", "woff2", "ttf", "mp3", "mp4", "webm", "wasm":
		return true
	}
	return false
}

// isCommit says that the word is a commit in an address of a code host, such as
// /blob/2ce302eb….
func (x *scan) isCommit(w string) bool {
	if len(w) != 40 {
		return false
	}
	switch x.before {
	case "commit", "commits", "blob", "tree", "raw", "blame", "compare", "+":
	default:
		return false
	}
	for i := range len(w) {
		if c := w[i]; c < '0' || c > '9' && c < 'a' || c > 'f' {
			return false
		}
	}
	return true
}

// texture is what tells random characters from words.
type texture struct {
	// changes are places where a letter meets a digit, or odd: where a capital
	// stands inside a word and begins none.
	changes, odd    int
	breaks          int // "-" and "_"
	letters, digits int
	lower           int
	plain           int // characters of parts without a change, of four at least
}

func textureOf(w string) (t texture) {
	var before uint8
	part, changed := 0, 0 // characters of the part, changes before it
	for i := 0; ; i++ {
		var k uint8
		if i < len(w) {
			k = kinds[w[i]] & isAlnum
		}
		switch {
		case k == 0:
			if part >= 4 && t.changes+t.odd == changed {
				t.plain += part
			}
			if part, changed = -1, t.changes+t.odd; i == len(w) {
				return t
			}
			t.breaks++
		case k == isDigit:
			t.digits++
			if before != 0 && before != isDigit {
				t.changes++
			}
		default:
			t.letters++
			if k == isLower {
				t.lower++
			}
			switch {
			case before == isDigit:
				t.changes++
			case before == isLower && k == isUpper:
				if i+2 >= len(w) || kinds[w[i+1]]&isLower == 0 || kinds[w[i+2]]&isLower == 0 {
					t.odd++
				}
			case before == isUpper && k == isLower && part >= 2 && kinds[w[i-2]]&isUpper != 0:
				t.odd++
			}
		}
		part++
		before = k
	}
}

// isRandom says that a long word was drawn, not written. In hexadecimal every
// second character changes, in base64url and base36 two of five, in base32 three of
// ten. Names of products have changes too, oled55c34la, but few, and write a "-"
// between their words; and titles end in a short id, a-story-9a8b7c6d5e4f.
func isRandom(w string) bool {
	if len(w) > maxJudge {
		w = w[:maxJudge]
	}
	t := textureOf(w)
	n := t.letters + t.digits
	switch {
	case n-t.plain < 20:
		return false
	case t.lower == 0 && t.breaks == 0:
		return t.changes > 0 // base32 has few digits
	}
	breaks := 3 * t.breaks
	if t.odd > 1 {
		breaks = t.breaks // no slug
	}
	return (2*(t.changes+t.odd)-breaks)*25 >= 6*n
}

// idPart is where the id begins in a title with a long id behind it, 0 when the
// word is no such thing.
func idPart(w string) int {
	i := strings.LastIndexAny(w, "-_") + 1
	if n := len(w) - 36; n > 1 && isUUID(w[n:]) {
		i = n
	}
	if i < 2 || len(w)-i < longWord || !isRandom(w[i:]) {
		return 0
	}
	if title := textureOf(w[:i-1]); title.changes > 0 {
		return 0
	}
	for j := 1; j < i; j++ {
		if kinds[w[j]]&isUpper != 0 && kinds[w[j-1]]&isAlnum != 0 {
			return 0 // titles have capitals where words begin
		}
	}
	return i
}

// isCode says that a word behind /reset/ and its like is what opens something:
// digits alone, or letters and digits mixed.
func isCode(w string) bool {
	t := textureOf(w)
	n := t.letters + t.digits
	if t.letters == 0 {
		return t.breaks == 0
	}
	return n >= 8 && 2*(t.changes+t.odd)-3*t.breaks >= 4 || n >= 16 && t.changes > 0 && t.breaks == 0
}

// isPageID says that a word has the form of an id that pages are addressed by,
// though a token may have that form by chance: a UUID (never by chance), a ULID
// and a CUID of our years (one token in 1,000 and 250 of their length), an
// ObjectId of MongoDB from 2009 to 2038 (one in five of 24 hexadecimal digits).
func isPageID(w string) bool {
	if isUUID(w) {
		return true
	}
	switch len(w) {
	case 24:
		if w[0] < '4' || w[0] > '7' || w[0] == '4' && (w[1] < '9' || w[1] > '9' && w[1] < 'a') {
			return false
		}
		for i := range len(w) {
			if c := w[i]; c < '0' || c > '9' && c < 'a' || c > 'f' {
				return false
			}
		}
		return true
	case 25:
		if w[0] != 'c' || w[1] < 'h' || w[1] > 'n' {
			return false
		}
		for i := range len(w) {
			if kinds[w[i]]&(isDigit|isLower) == 0 {
				return false
			}
		}
		return true
	case 26:
		if w[0] != '0' || w[1] != '1' {
			return false
		}
		var cases uint8
		for i := range len(w) {
			c := w[i] | 0x20
			if cases |= kinds[w[i]] & isAlnum; kinds[w[i]]&isAlnum == 0 || c == 'i' || c == 'l' || c == 'o' || c == 'u' {
				return false
			}
		}
		return cases != isAlnum
	}
	return false
}

// isUUID: 8-4-4-4-12 hexadecimal digits (RFC 9562, 4).
func isUUID(w string) bool {
	if len(w) != 36 {
		return false
	}
	for i := range len(w) {
		c := w[i] | 0x20
		switch i {
		case 8, 13, 18, 23:
			if w[i] != '-' {
				return false
			}
		default:
			if c < '0' || c > '9' && c < 'a' || c > 'f' {
				return false
			}
		}
	}
	return true
}

// secretive judges the value of a parameter that is a secret's name or a common
// word, hash=…, verify=…: what has digits, or is long, is a secret.
func secretive(v string) bool {
	if len(v) >= 16 {
		return true
	}
	return len(v) >= 6 && strings.ContainsAny(v, "0123456789")
}

// isFlag says that a parameter only switches something: mobile=1.
func isFlag(v string) bool {
	for _, flag := range [...]string{"0", "1", "true", "false", "yes", "no", "on", "off", "null"} {
		if strings.EqualFold(v, flag) {
			return true
		}
	}
	return false
}

// isCount says that a value is a small number, which is no e-mail address: e=42.
func isCount(v string) bool {
	for i := range len(v) {
		if kinds[v[i]]&isDigit == 0 {
			return false
		}
	}
	return len(v) <= 5
}

// actionWord says that the segment s[from:to] of a path announces a secret. So
// does what a framework calls it: password_reset, ResetPassword.
func (x *scan) actionWord(from, to int) bool {
	if to-from < 3 || to-from > 40 {
		return false
	}
	switch string([]byte{x.s[from] | 0x20, x.s[from+1] | 0x20}) { // most segments end here
	case "re", "pa", "pw", "fo", "se", "ne", "cr", "ch", "ve", "em", "co", "ac", "un", "op", "in", "ma", "lo", "si", "ss", "oa", "ca", "au", "to", "ot":
	default:
		return false
	}
	var buf [20]byte
	n := 0
	for i := from; i < to; i++ {
		c := x.s[i]
		if c == '-' || c == '_' || c == '.' {
			continue
		}
		if kinds[c]&(isUpper|isLower) == 0 || n == len(buf) {
			return false
		}
		buf[n] = c | 0x20
		n++
	}
	switch string(buf[:n]) {
	case "reset", "resetpassword", "passwordreset", "pwreset", "forgotpassword", "forgot", "setpassword", "newpassword", "createpassword",
		"changepassword", "passwordrecovery", "recover", "recovery", "verify", "verification", "verifyemail", "emailverification",
		"confirm", "confirmation", "confirmemail", "activate", "activation", "unsubscribe", "optin", "optout", "invite", "invites",
		"invitation", "invitations", "magiclink", "loginlink", "login", "signin", "sso", "oauth", "callback", "auth",
		"token", "tokens", "session", "sessions", "otp":
		return true
	}
	return false
}
