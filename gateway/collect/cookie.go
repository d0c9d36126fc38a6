package collect

import (
	"bytes"
	"strconv"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/token"
)

const anonymousIDRoom = token.AnonymousIDLength

// form is how a site's cookie is written under one scheme.
type form struct {
	name string
	tail string // attributes, without Max-Age
}

// newForms makes the forms of a site's cookie for http and https. What goes to a
// whole domain cannot have the prefix __Host- (RFC 6265bis, 4.1.3).
func newForms(name, domain string) (forms [2]form) {
	prefix, tail := "__Host-", "; Path=/; HttpOnly; SameSite=Lax"
	if domain != "" {
		prefix = "__Secure-"
		tail += "; Domain=" + domain
	}
	return [2]form{{name, tail}, {prefix + name, tail + "; Secure"}}
}

// forms gives how the cookie is written for the host that was asked, and, for
// one of the cookie's domain, how it was before there was a domain.
func (c *call) forms() (now, before *form) {
	i := 0
	if c.https {
		i = 1
	}
	if d := c.site.Cookie.Domain; d != "" && underHost(c.head.host, d) {
		return &c.site.wide[i], &c.site.narrow[i]
	}
	return &c.site.narrow[i], nil
}

// underHost is isBelow for a Host header, in any case.
func underHost(host []byte, domain string) bool {
	if i := bytes.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	n := len(host) - len(domain)
	return n >= 0 && equalFold(host[n:], domain) && (n == 0 || host[n-1] == '.')
}

// visitor reads the visitor from the cookie. Of several cookies with the name
// (a subdomain can plant one on plain http), the first that was made here
// counts; one in the form of before only when there is none of today's.
func (c *call) visitor() {
	now, before := c.forms()
	var kept token.Cookie
	for _, line := range c.head.cookies {
		for len(line) > 0 {
			var pair []byte
			pair, line, _ = bytes.Cut(line, []byte{';'})
			key, value, _ := bytes.Cut(bytes.TrimSpace(pair), []byte{'='})
			old := before != nil && string(key) == before.name && before.name != now.name
			if string(key) != now.name && !old || old && c.moved {
				continue
			}
			if x, ok := c.s.o.Cookies.Parse(view(value)); ok && old {
				kept, c.moved = x, true
			} else if ok {
				c.moved = false
				c.setVisitor(x.Visitor)
				c.req.Login = x.Login
				return
			}
		}
	}
	if c.moved {
		c.setVisitor(kept.Visitor)
		c.req.Login = kept.Login
	}
}

// mint makes a visitor for a request that brought none.
func (c *call) mint() {
	c.setVisitor(c.s.o.Cookies.Mint())
	c.req.Fresh = true
}

func (c *call) setVisitor(v token.Visitor) {
	c.req.Visitor, c.req.HasVisitor = v, true
	n := len(c.owned)
	c.owned = c.s.o.Cookies.AppendAnonymousID(c.owned, v)
	c.req.AnonymousID = view(c.owned[n:])
}

// renewCookie sends the cookie that the browser is to have after an interact
// that was taken.
func (c *call) renewCookie() {
	r := &c.req
	switch {
	case r.Revoked:
		c.sendCookie(token.Cookie{Visitor: c.s.o.Cookies.Mint()})
	case r.Begun != token.Login{}:
		c.sendCookie(token.Cookie{Visitor: r.Visitor, Login: r.Begun})
	case c.linked || !r.Outdated && c.refresh():
		c.sendCookie(token.Cookie{Visitor: r.Visitor, Login: r.Login})
	}
}

// sendCookie puts a visitor's cookie into the answer.
func (c *call) sendCookie(x token.Cookie) {
	now, _ := c.forms()
	if !c.https && !c.s.warned.Load() && !isLoopbackHost(view(c.head.host)) && c.s.warned.CompareAndSwap(false, true) {
		c.s.log.Warn("visitor cookies are being sent over plain http, where anyone on the way can read them; serve the site over https, and when a proxy does so, name it in trusted_proxies and let it send X-Forwarded-Proto")
	}
	b := append(append(c.cookie[:0], now.name...), '=')
	b = append(c.s.o.Cookies.AppendCookie(b, x), "; Max-Age="...)
	c.setCookie(now, strconv.AppendInt(b, int64(c.site.Cookie.MaxAge/time.Second), 10))
}

// dropCookie takes the visitor's cookie out of the browser, in whatever form it
// may be there.
func (c *call) dropCookie() {
	now, before := c.forms()
	for _, f := range [...]*form{now, before} {
		if f != nil {
			c.setCookie(f, append(append(c.cookie[:0], f.name...), "=; Max-Age=0"...))
		}
	}
}

// setCookie ends a Set-Cookie line, which it keeps the memory of.
func (c *call) setCookie(f *form, line []byte) {
	c.cookie = append(line, f.tail...)
	c.ctx.Response.Header.AddBytesKV(headerSetCookie, c.cookie)
}

// refresh says whether the cookie's life should start again: when it is new, or
// gets another form, and with every page view. A cookie carries no date, so a page view is what tells
// a visit from the clicks within it.
func (c *call) refresh() bool {
	if c.req.Fresh || c.moved {
		return true
	}
	for i := range c.req.Batch.Events {
		if c.req.Batch.Events[i].Type == event.Page {
			return true
		}
	}
	return false
}
