package collect

import (
	"bytes"
	"strings"

	"github.com/reuna/reuna/identity/token"
)

// A visitor who follows a link from one of the site's domains to another is to
// stay the same visitor, though browsers keep a cookie for each domain. So an
// answer gives the page a token for each linked domain, the tag puts it into the
// link as it is followed, and the page behind the link shows it with its first
// batch.
//
// Who may thereby become somebody else is what attackers are after. A token
// counts only
//   - in a browser without a visitor: who has one keeps it, so nobody is moved
//     over to another's profile by a link;
//   - on a page of this site that was reached from the very host that the token
//     was given to, and that host is the site's, too: not from a mail, and not from
//     another's page;
//   - from the network and with the user agent that it was given to, for two
//     minutes and one batch (identity/token);
//   - for the visitor alone: the login stays where it was made.

// linkParam is the parameter that the tag puts into links.
const linkParam = "_reuna"

// maxLabels bounds the names that a landing is tried under.
const maxLabels = 4

// land makes the request's visitor the one that the page was reached as. A token
// that does not count changes nothing, and is used up if it was good.
func (c *call) land() {
	b := &c.req.Batch
	if b.Link == "" || c.s.o.Links == nil || len(b.Events) == 0 {
		return
	}
	scheme, host := splitOrigin(view(c.head.origin))
	e := &b.Events[0]
	from, ok := c.reachedFrom(e.Context.Get("page", "referrer").Text(), scheme)
	if host == "" || !ok {
		return
	}
	at := token.Landing{From: from, Client: c.req.Client, UserAgent: c.req.UserAgent}
	for at.To = hostName(host); strings.Contains(at.To, "."); _, at.To, _ = strings.Cut(at.To, ".") {
		if strings.Count(at.To, ".") >= maxLabels {
			continue
		}
		if v, ok := c.s.o.Links.Open(b.Link, at, e.MessageID, c.now); ok {
			if !c.req.HasVisitor {
				c.setVisitor(v)
				c.linked = true
			}
			return
		}
	}
}

// reachedFrom reads the host of the referrer of a page with that scheme, with its
// port. ok says that it is one of the site's.
func (c *call) reachedFrom(referrer, scheme string) (host string, ok bool) {
	s, host, _ := strings.Cut(strings.ToLower(referrer), "://")
	if i := strings.IndexAny(host, `/\?#`); i >= 0 {
		host = host[:i]
	}
	if s != "https" && (s != "http" || scheme == "https") || !isHost([]byte(host)) {
		return "", false
	}
	if c.site.allows(s + "://" + host) {
		return host, true
	}
	for _, d := range c.site.LinkedDomains {
		if isBelow(hostName(host), d) {
			return host, true
		}
	}
	return "", false
}

// appendLinks appends a comma and `"link":{domain: token, …}` for a page of a site
// with linked domains.
func (c *call) appendLinks(dst []byte) []byte {
	r := &c.req
	if len(c.site.LinkedDomains) == 0 || c.s.o.Links == nil || !r.HasVisitor || r.Revoked || !r.Client.IsValid() {
		return dst
	}
	_, host := splitOrigin(view(c.head.origin))
	if host == "" {
		return dst
	}
	name, n := hostName(host), 0
	for _, d := range c.site.LinkedDomains {
		if isBelow(name, d) {
			continue // the cookie goes there by itself
		}
		if n++; n == 1 {
			dst = append(dst, `,"link":{`...)
		} else {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), d...), `":"`...) // newSites let in letters, digits, dots and dashes
		dst = c.s.o.Links.Append(dst, r.Visitor, token.Landing{From: host, To: d, Client: r.Client, UserAgent: r.UserAgent}, c.now)
		dst = append(dst, '"')
	}
	if n > 0 {
		dst = append(dst, '}')
	}
	return dst
}

// splitOrigin takes an Origin header apart; both are "" when it is no web page's.
func splitOrigin(origin string) (scheme, host string) {
	scheme, host, _ = strings.Cut(origin, "://")
	if scheme != "https" && scheme != "http" || !isHost([]byte(host)) {
		return "", ""
	}
	return scheme, strings.ToLower(host)
}

// hostName is a host without its port.
func hostName(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		return host[:i]
	}
	return host
}

// isBelow says that a host's name is the domain or one below it.
func isBelow(name, domain string) bool {
	rest, ok := strings.CutSuffix(name, domain)
	return ok && (rest == "" || rest[len(rest)-1] == '.')
}

// stripLinks takes every link token out of a text, in its place: what is kept of
// an address must not hold one, and what a page could not take out (the tag came
// late, or a login page was in between) comes here. Addresses within addresses,
// where the equals sign is escaped, count too.
func stripLinks(b []byte) []byte {
	name := []byte(linkParam)
	from := bytes.Index(b, name)
	if from < 0 {
		return b
	}
	out := b[:from]
	for {
		rest := b[from+len(name):]
		value, ok := cutEquals(rest)
		if !ok {
			out = append(out, b[from:from+len(name)]...)
			value = rest
		} else {
			for len(value) > 0 && (isToken(view(value[:1]))) {
				value = value[1:]
			}
			if len(value) > 0 && value[0] == '&' {
				value = value[1:]
			} else if n := len(out); n > 0 && (out[n-1] == '?' || out[n-1] == '&') {
				out = out[:n-1]
			}
		}
		next := bytes.Index(value, name)
		if next < 0 {
			return append(out, value...)
		}
		out = append(out, value[:next]...)
		b, from = value[next:], 0
	}
}

// cutEquals takes an equals sign off a text's front, escaped any number of times:
// = %3D %253D.
func cutEquals(b []byte) (rest []byte, ok bool) {
	if len(b) > 0 && b[0] == '=' {
		return b[1:], true
	}
	if len(b) < 3 || b[0] != '%' {
		return b, false
	}
	for b = b[1:]; len(b) > 2 && b[0] == '2' && b[1] == '5'; b = b[2:] {
	}
	if len(b) > 1 && b[0] == '3' && lower(b[1]) == 'd' {
		return b[2:], true
	}
	return b, false
}
