package enrich

import (
	"strings"

	"github.com/reuna/reuna/gateway/enrich/memo"
)

// splitURL finds the host (lower case, without user, port, brackets and
// trailing dot) and the query of an absolute URL. It never fails: what is not
// there comes out empty. Relative URLs have no host. Windows into s are returned,
// so nothing is allocated for a host in lower case.
func splitURL(in *memo.Interner, s string) (host, query string) {
	if i := strings.IndexByte(s, '#'); i >= 0 {
		s = s[:i]
	}
	if i := strings.IndexByte(s, '?'); i >= 0 {
		s, query = s[:i], s[i+1:]
	}
	i := strings.Index(s, "://")
	if i < 1 || !isScheme(s[:i]) {
		return "", query
	}
	s = s[i+3:]
	if i := strings.IndexAny(s, `/\`); i >= 0 { // browsers read a backslash as a slash
		s = s[:i]
	}
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = s[i+1:]
	}
	return hostOf(in, s), query
}

// host cleans an authority without a user: Shop.Example:443 is shop.example.
// Text that is no host's name comes out empty.
func hostOf(in *memo.Interner, s string) string {
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
		// Letters of every script may stand in a host; these bytes may not.
		if c := s[i]; c <= ' ' || c == 0x7F || c == '"' || c == '<' || c == '>' || c == '%' || c == '|' || c == '^' || c == '`' {
			return ""
		}
	}
	return in.Lower(memo.Valid(s))
}

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if !(c >= 'a' && c <= 'z' || i > 0 && (s[i] >= '0' && s[i] <= '9' || s[i] == '+' || s[i] == '-' || s[i] == '.')) {
			return false
		}
	}
	return s != ""
}

// nextParam takes the first parameter off a query; value is still escaped.
func nextParam(query string) (name, value, rest string) {
	pair := query
	if i := strings.IndexByte(query, '&'); i >= 0 {
		pair, rest = query[:i], query[i+1:]
	}
	if i := strings.IndexByte(pair, '='); i >= 0 {
		return pair[:i], pair[i+1:], rest
	}
	return pair, "", rest
}

func withoutWWW(host string) string { return strings.TrimPrefix(host, "www.") }
