package collect

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"
)

// What a page may send and read, as measured on the SDKs that are out there.
const (
	allowHeaders = "authorization, content-type, x-write-key, x-retry-count, anonymousid, sentat, rsa-retry-attempt, rsa-retry-reason, rsa-since-first-attempt, rsa-since-last-attempt"
	allowMethods = "GET, POST, OPTIONS"
	preflightAge = "86400" // seconds
)

// wildcard is an origin such as https://*.shop.example:8443.
type wildcard struct{ before, after string }

func newWildcard(origin string) (w wildcard, ok bool) {
	scheme, host, ok := strings.Cut(strings.ToLower(origin), "://*.")
	return wildcard{scheme + "://", "." + host}, ok && host != ""
}

// match takes one or more labels where the star stands.
func (w wildcard) match(origin string) bool {
	rest, ok := strings.CutPrefix(origin, w.before)
	if !ok {
		return false
	}
	labels, ok := strings.CutSuffix(rest, w.after)
	if !ok {
		return false
	}
	for label := range strings.SplitSeq(labels, ".") {
		if !isToken(label) {
			return false
		}
	}
	return true
}

// allows says whether a page of that origin may speak for the site. Browsers
// write origins in lower case and without default ports (RFC 6454, section 6.2),
// so they are compared as they are.
func (s *site) allows(origin string) bool {
	if s.exact[origin] {
		return true
	}
	for _, w := range s.wild {
		if w.match(origin) {
			return true
		}
	}
	return len(s.Origins) == 0 && isLoopbackOrigin(origin)
}

// sameHost says that the page came from the very host and port that this
// request was sent to. A page over http does not speak for one over https.
func (c *call) sameHost() bool {
	scheme, host, ok := bytes.Cut(c.head.origin, []byte("://"))
	if !ok || len(host) == 0 || len(host) != len(c.head.host) || !equalFold(host, view(c.head.host)) {
		return false
	}
	return string(scheme) == "https" || string(scheme) == "http" && !c.https
}

func isLoopbackOrigin(origin string) bool {
	rest, ok := strings.CutPrefix(origin, "http://")
	if !ok {
		if rest, ok = strings.CutPrefix(origin, "https://"); !ok {
			return false
		}
	}
	return isLoopbackHost(rest)
}

// isLoopbackHost takes the names and addresses that never leave the machine
// (RFC 6761, section 6.3), with or without a port.
func isLoopbackHost(host string) bool {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	if host == "" || host[0] != '[' && (host[0] < '0' || host[0] > '9') {
		return false // a name; parsing it would cost an error
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.IsLoopback()
}

// checkOrigin holds a page's origin against its site. Programs that are no
// browser send none. A browser that says it is on another site's page, and
// whose page is not one of ours, is not to use the visitor's cookie.
func (c *call) checkOrigin() *failure {
	if c.allowed() {
		return nil
	}
	if len(c.head.origin) == 0 {
		return fail(403, "origin_not_allowed", "the request comes from another site's page and names no origin; expected a page of this site (setting origins of the site)")
	}
	return originFailure(c.head.origin)
}

func originFailure(origin []byte) *failure {
	return fail(403, "origin_not_allowed", fmt.Sprintf("the origin is %q, which is not one of the site's; add it to origins of the site in the config", clip(origin, 200)))
}

// allowed judges the origin: by the request's site, and as long as that is not
// known, by any site.
func (c *call) allowed() bool {
	if len(c.head.origin) == 0 {
		return !c.route.personal || string(c.head.secFetchSite) != "cross-site"
	}
	if c.sameHost() {
		return true
	}
	if c.site != nil {
		return c.site.allows(view(c.head.origin))
	}
	for _, s := range c.sites.list {
		if s.allows(view(c.head.origin)) {
			return true
		}
	}
	return false
}

// cors lets the page read the answer when it is one of ours.
func (c *call) cors() {
	h := &c.ctx.Response.Header
	if c.route.kind == settings {
		// The same public text for everybody, and no cookie is read.
		h.Set(fasthttp.HeaderAccessControlAllowOrigin, "*")
		return
	}
	h.SetBytesK(headerVary, "Origin")
	if len(c.head.origin) == 0 || !c.allowed() {
		return
	}
	h.SetBytesKV(headerAllowOrigin, c.head.origin)
	h.SetBytesK(headerExposeHeaders, "Retry-After")
	if c.route.personal {
		h.SetBytesK(headerAllowCredentials, "true")
	}
}

// preflight answers OPTIONS. It shows no key, so any site's origin will do;
// the request that follows is held against its own site.
func (c *call) preflight() *failure {
	c.https = c.ctx.IsTLS()
	if c.route.kind != settings && len(c.head.origin) > 0 && !c.allowed() {
		return originFailure(c.head.origin)
	}
	h := &c.ctx.Response.Header
	h.Set(fasthttp.HeaderAllow, c.route.method+", "+fasthttp.MethodOptions)
	h.Set(fasthttp.HeaderAccessControlAllowMethods, allowMethods)
	h.Set(fasthttp.HeaderAccessControlAllowHeaders, allowHeaders)
	h.Set(fasthttp.HeaderAccessControlMaxAge, preflightAge)
	c.answer([]byte(`{"success":true}`))
	return nil
}
