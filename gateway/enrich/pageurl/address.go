package pageurl

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// address reads one address into edits.
func (c *Cleaner) address(x *scan) {
	s := x.s
	at, web := 0, false
	if n := schemeEnd(s); n > 0 {
		at = n
		scheme := s[:n-1]
		if web = isWebScheme(scheme); !web && isOpaque(scheme) {
			c.opaque(x, n)
			return
		}
		switch {
		case web:
			for at < len(s) && (s[at] == '/' || s[at] == '\\') {
				at++
			}
		case strings.HasPrefix(s[n:], "//"):
			at += 2
		}
		if at > n || web {
			x.lower(0, n, ruleScheme)
			host := at
			at = c.authority(x, at, scheme)
			web = web && at > host
		}
	} else if len(s) > 1 && (s[0] == '/' || s[0] == '\\') && (s[1] == '/' || s[1] == '\\') {
		at = c.authority(x, 2, "")
	}

	fragment := len(s)
	if i := strings.IndexByte(s[at:], '#'); i >= 0 {
		fragment = at + i
	}
	query := fragment
	if i := strings.IndexByte(s[at:fragment], '?'); i >= 0 {
		query = at + i
	}
	x.inPath = true
	x.run(at, query, at, false)
	x.inPath = false
	c.trailing(x, at, query, web)
	if query < fragment {
		c.query(x, query+1, fragment, 1)
	}
	if fragment == len(s) {
		return
	}
	route := c.keepRoutes || strings.HasPrefix(s[fragment:], "#/") || strings.HasPrefix(s[fragment:], "#!")
	if c.dropFragment && !route {
		x.add(edit{from: fragment, to: len(s), name: -1, rule: ruleFragment})
		return
	}
	x.inPath = true
	x.run(fragment+1, len(s), fragment+1, false)
	x.inPath = false
}

// opaque reads an address that is no place on the web.
func (c *Cleaner) opaque(x *scan, n int) {
	s := x.s
	x.lower(0, n, ruleScheme)
	e := edit{from: n, to: len(s), name: -1, text: "[phone]", rule: rulePhone}
	switch {
	case strings.EqualFold(s[:n], "mailto:"):
		e.text, e.rule = "[email]", ruleMailto
	case strings.EqualFold(s[:n], "data:"):
		comma := strings.IndexByte(s, ',') // RFC 2397: what stands before it is the type
		if comma < 0 || comma > 256 {
			comma = n - 1
		} else {
			x.run(n, comma, -1, false)
		}
		e.from, e.text, e.rule = comma+1, "[removed]", ruleData
	}
	if v := s[e.from:]; v != "" && !isMarker(v) {
		x.add(e)
	}
}

// schemeEnd is the index behind a scheme and its colon; 0 when there is none.
func schemeEnd(s string) int {
	for i := range len(s) {
		switch k := kinds[s[i]]; {
		case k&(isUpper|isLower) != 0:
		case i > 0 && s[i] == ':':
			return i + 1
		case i > 0 && (k&isDigit != 0 || s[i] == '+' || s[i] == '-' || s[i] == '.'):
		default:
			return 0
		}
	}
	return 0
}

// isWebScheme names the schemes behind which browsers read any slashes, or none,
// as two (https://url.spec.whatwg.org/#special-scheme).
func isWebScheme(scheme string) bool {
	if scheme == "https" || scheme == "http" {
		return true
	}
	switch len(scheme) {
	case 2:
		return strings.EqualFold(scheme, "ws")
	case 3:
		return strings.EqualFold(scheme, "wss") || strings.EqualFold(scheme, "ftp")
	case 4:
		return strings.EqualFold(scheme, "http")
	case 5:
		return strings.EqualFold(scheme, "https")
	}
	return false
}

// isOpaque names the schemes behind which no path follows: a person's address,
// or a file.
func isOpaque(scheme string) bool {
	if len(scheme) < 2 || len(scheme) > len("facetime-audio") {
		return false
	}
	switch scheme[0] | 0x20 {
	case 'm', 'd', 't', 's', 'f', 'c', 'w', 'x', 'i':
	default:
		return false
	}
	var buf [len("facetime-audio")]byte
	for i := range len(scheme) {
		buf[i] = scheme[i] | 0x20
	}
	switch string(buf[:len(scheme)]) {
	case "mailto", "data", "tel", "sms", "smsto", "mms", "fax", "callto", "facetime", "facetime-audio", "whatsapp", "skype", "sip", "sips", "xmpp", "im":
		return true
	}
	return false
}

// lower writes s[from:to] in lower case; it is ASCII.
func (x *scan) lower(from, to int, r rule) {
	for i := from; i < to; i++ {
		if kinds[x.s[i]]&isUpper != 0 {
			x.add(edit{from: from, to: to, name: -1, text: strings.ToLower(x.s[from:to]), rule: r})
			return
		}
	}
}

// authority finds where an authority ends and its host begins. Browsers read a
// backslash as a slash.
func authority(s string, at int, skip bool) (host, end int) {
	if !skip {
		at += 2
	}
	for end = at; end < len(s); end++ {
		if c := s[end]; c == '/' || c == '\\' || c == '?' || c == '#' {
			break
		}
	}
	host = at
	if i := strings.LastIndexByte(s[at:end], '@'); i >= 0 {
		host = at + i + 1
	}
	return host, end
}

// maxHost is the longest name of a host in the DNS, with some room (RFC 1035).
const maxHost = 255

// authority reads user, host and port, and gives where they end.
func (c *Cleaner) authority(x *scan, at int, scheme string) int {
	s := x.s
	host, end := authority(s, at, true)
	if host > at {
		x.add(edit{from: at, to: host, name: -1, rule: ruleUser})
	}
	stop := end
	if i := strings.LastIndexByte(s[host:end], ':'); i >= 0 && isPort(s[host+i+1:end]) {
		stop = host + i
		if port := strings.TrimLeft(s[stop+1:end], "0"); stop+1 == end || port != "" && port == ownPort(scheme) {
			x.add(edit{from: stop, to: end, name: -1, rule: rulePort})
		}
	}
	name := s[host:stop]
	var seen uint8
	odd := false
	for i := range len(name) {
		seen |= kinds[name[i]]
		odd = odd || name[i] == '%'
	}
	if odd {
		// An e-mail address in a host's place, its @ escaped.
		before := len(x.edits)
		x.run(host, stop, -1, false)
		if len(x.edits) > before {
			x.edits = append(x.edits[:before], edit{from: host, to: stop, name: -1, text: "email.invalid", rule: ruleHostMail})
			return end
		}
	}
	if seen&(isUpper|isWide) == 0 && (c.idn != "unicode" || !strings.Contains(name, "xn--")) {
		return end
	}
	if tidy := c.host(name); tidy != name {
		r := ruleCase
		if !strings.EqualFold(tidy, name) {
			r = ruleIDN
		}
		x.add(edit{from: host, to: stop, name: -1, text: tidy, rule: r})
	}
	return end
}

// host writes a name in lower case and as the setting idn says. A name that is
// none of the DNS's stays as it is but for its case.
func (c *Cleaner) host(name string) string {
	if len(name) > maxHost || !utf8.ValidString(name) {
		return lowerASCII(name)
	}
	name = strings.ToLower(name)
	convert := idna.Lookup.ToASCII
	switch c.idn {
	case "unicode":
		convert = idna.Lookup.ToUnicode
	case "ascii":
	default:
		return name
	}
	other, err := convert(name)
	if err != nil || len(other) > 2*maxHost {
		return name
	}
	if again, err := convert(other); err != nil || again != other {
		return name
	}
	return other
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if kinds[c]&isUpper != 0 {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

func isPort(s string) bool {
	for i := range len(s) {
		if kinds[s[i]]&isDigit == 0 {
			return false
		}
	}
	return len(s) <= 6
}

func ownPort(scheme string) string {
	switch len(scheme) {
	case 2, 4:
		return "80"
	case 3:
		if strings.EqualFold(scheme, "ftp") {
			return "21"
		}
	}
	if isWebScheme(scheme) {
		return "443"
	}
	return ""
}

// trailing sets the slash at a path's end as the setting says. A file's name
// and a parameter's value get none, and the root keeps its own.
func (c *Cleaner) trailing(x *scan, from, to int, web bool) {
	path := x.s[from:to]
	switch c.slash {
	case "drop":
		bare := strings.TrimRight(path, "/")
		if bare == "" && path != "" {
			bare = path[:1]
		}
		if len(bare) < len(path) {
			x.add(edit{from: from + len(bare), to: to, name: -1, rule: ruleSlash})
		}
	case "add":
		last := path[strings.LastIndexByte(path, '/')+1:]
		if path == "" || path[0] != '/' || last == "" || strings.ContainsAny(last, ".=") {
			break
		}
		if n := len(x.edits); n > 0 && x.edits[n-1].to == to { // the segment was replaced
			x.edits[n-1].text += "/"
			break
		}
		x.add(edit{from: to, to: to, name: -1, text: "/", rule: ruleSlash})
	}
	if path == "" && web && c.slash != "keep" && c.slash != "" {
		x.add(edit{from: to, to: to, name: -1, text: "/", rule: ruleSlash})
	}
}

// query reads the parameters s[from:to], lead bytes of "?" standing before them.
func (c *Cleaner) query(x *scan, from, to, lead int) {
	s := x.s
	kept := false // a parameter before this one stays
	for at := from; ; {
		end := to
		if i := strings.IndexByte(s[at:to], '&'); i >= 0 {
			end = at + i
		}
		stop := end
		if i := strings.IndexByte(s[at:end], '='); i >= 0 {
			stop = at + i
		}
		r := c.own(s, at, stop)
		if r == ruleNone || r == ruleKeep {
			if found := judge(s, at, stop); r == ruleNone || found == ruleLink {
				r = found
			}
		}
		isMark := r == ruleCampaign || r == ruleClick || r == ruleRecipient
		if r == ruleDrop || r == ruleLink || c.dropTracking && isMark {
			if isMark {
				r = ruleTracking
			}
			e := edit{from: at, to: end, name: at, rule: r}
			switch {
			case kept:
				e.from--
			case end < to:
				e.to++
			default: // nothing is left of the query
				e.from = from - lead
			}
			x.add(e)
		} else {
			kept = true
			c.pair(x, at, stop, end, r)
		}
		if end == to {
			return
		}
		at = end + 1
	}
}

func (c *Cleaner) pair(x *scan, at, stop, end int, r rule) {
	if stop-at >= 12 || strings.IndexByte(x.s[at:stop], '@') >= 0 || strings.IndexByte(x.s[at:stop], '%') >= 0 {
		x.run(at, stop, -1, true)
	}
	if stop == end {
		return
	}
	value := stop + 1
	switch {
	case r == ruleKeep:
		return
	case r.replaces():
		if x.value(at, value, end, r) {
			return
		}
	case r == ruleCode || r == ruleState:
		x.code(edit{from: value, to: end, name: at, text: "[token]", rule: r})
	}
	quiet := hushNothing
	switch r {
	case ruleCampaign:
		quiet = hushRandom
	case ruleClick:
		quiet = hushAll
	}
	x.runHushed(value, end, -1, true, quiet)
}
