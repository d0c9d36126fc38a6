package traffic

import (
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/reuna/reuna/gateway/enrich/memo"
)

// address is one URL in parts. All of them are windows into it but the host,
// which is in lower case. What is not there is empty.
type address struct {
	host     string // without user, port, brackets and trailing dot
	app      bool   // android-app://, ios-app://: host is a package or an app's number
	path     string // with its slash
	query    string // without the question mark
	fragment string // without the hash
}

// split takes a URL apart. It never fails, and takes time in proportion to the
// text. A relative URL, and one of a scheme that no page is served by, has no
// host: "javascript://google.com/" came from nowhere.
func (r *Rules) split(s string) (a address) {
	if i := strings.IndexByte(s, '#'); i >= 0 {
		s, a.fragment = s[:i], s[i+1:]
	}
	if i := strings.IndexByte(s, '?'); i >= 0 {
		s, a.query = s[:i], s[i+1:]
	}
	i := strings.Index(s, "://")
	if i < 0 || i > len("android-app") {
		return a
	}
	switch scheme := s[:i]; {
	case strings.EqualFold(scheme, "https"), strings.EqualFold(scheme, "http"):
	case strings.EqualFold(scheme, "android-app"), strings.EqualFold(scheme, "ios-app"):
		a.app = true
	default:
		return a
	}
	s = s[i+3:]
	for i := range len(s) {
		if s[i] == '/' || s[i] == '\\' { // browsers read a backslash as a slash
			s, a.path = s[:i], s[i:]
			break
		}
	}
	if i := strings.LastIndexByte(s, '@'); i >= 0 { // https://google.com@evil.example/ is evil.example
		s = s[i+1:]
	}
	a.host = hostOf(r.words, s)
	return a
}

// hostOf cleans an authority without a user: Shop.Example:443 is shop.example.
// Text that is no host's name comes out empty.
func hostOf(words *memo.Interner, s string) string {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return ""
		}
		s = s[1:end]
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		s = s[:i]
	}
	s = strings.TrimSuffix(s, ".")
	if len(s) > memo.MaxText { // RFC 1035: a name has at most 253 bytes
		return ""
	}
	for i := range len(s) {
		// Letters of every script may stand in a host; these bytes may not
		// (https://url.spec.whatwg.org/#forbidden-host-code-point).
		switch c := s[i]; c {
		case 0x7F, '"', '#', '%', '/', '<', '>', '?', '@', '[', ']', '\\', '^', '`', '|', '{', '}':
			return ""
		default:
			if c <= ' ' {
				return ""
			}
		}
	}
	if s = words.Lower(memo.Valid(s)); len(s) > memo.MaxText {
		return ""
	}
	return s
}

// nextParam takes the first parameter off a query; name and value are still
// escaped. A link that was escaped for HTML once too often has "&amp;" between
// its parameters.
func nextParam(query string) (name, value, rest string) {
	pair := query
	if i := strings.IndexByte(query, '&'); i >= 0 {
		pair, rest = query[:i], query[i+1:]
	}
	if len(pair) > 4 && strings.EqualFold(pair[:4], "amp;") {
		pair = pair[4:]
	}
	if i := strings.IndexByte(pair, '='); i >= 0 {
		return pair[:i], pair[i+1:], rest
	}
	return pair, "", rest
}

func withoutWWW(host string) string { return strings.TrimPrefix(host, "www.") }

// bareHost is the host of an entry of a list, which may be an origin, without
// www.
func (r *Rules) bareHost(s string) string {
	if i := strings.Index(s, "://"); i >= 0 {
		s = s[i+3:]
	}
	if i := strings.IndexByte(s, '/'); i >= 0 {
		s = s[:i]
	}
	return withoutWWW(hostOf(r.words, s))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// isDomain says that text in lower case is a host's name that somebody can have
// registered: letters, digits and hyphens between dots, below a registry's suffix.
func isDomain(s string) bool {
	if len(s) > 253 || strings.IndexByte(s, '.') <= 0 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c >= 0x80) {
			return false
		}
	}
	suffix, registry := publicsuffix.PublicSuffix(s)
	return (registry || strings.IndexByte(suffix, '.') > 0) && len(s) > len(suffix)+1
}
