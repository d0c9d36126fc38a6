package collect

import (
	"bytes"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/token"
)

const anonymousIDRoom = token.AnonymousIDLength

// visitor reads the visitor from the cookie. Of several cookies with the name
// (a subdomain can plant one on plain http), the first that was made here counts.
func (c *call) visitor() {
	name := c.site.plainName
	if c.https {
		name = c.site.secureName
	}
	for _, line := range c.head.cookies {
		for len(line) > 0 {
			var pair []byte
			pair, line, _ = bytes.Cut(line, []byte{';'})
			key, value, _ := bytes.Cut(bytes.TrimSpace(pair), []byte{'='})
			if string(key) != name {
				continue
			}
			if x, ok := c.s.o.Cookies.Parse(view(value)); ok {
				c.setVisitor(x.Visitor)
				c.req.Login = x.Login
				return
			}
		}
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
	case !r.Outdated && c.refresh():
		c.sendCookie(token.Cookie{Visitor: r.Visitor, Login: r.Login})
	}
}

// sendCookie puts a visitor's cookie into the answer.
func (c *call) sendCookie(x token.Cookie) {
	name, tail := c.site.plainName, c.site.plainTail
	if c.https {
		name, tail = c.site.secureName, c.site.secureTail
	} else if !c.s.warned.Load() && !isLoopbackHost(view(c.head.host)) && c.s.warned.CompareAndSwap(false, true) {
		c.s.log.Warn("visitor cookies are being sent over plain http, where anyone on the way can read them; serve the site over https, and when a proxy does so, name it in trusted_proxies and let it send X-Forwarded-Proto")
	}
	b := append(append(c.cookie[:0], name...), '=')
	b = c.s.o.Cookies.AppendCookie(b, x)
	c.cookie = append(b, tail...)
	c.ctx.Response.Header.AddBytesKV(headerSetCookie, c.cookie)
}

// refresh says whether the cookie's life should start again: when it is new, and
// with every page view. A cookie carries no date, so a page view is what tells
// a visit from the clicks within it.
func (c *call) refresh() bool {
	if c.req.Fresh {
		return true
	}
	for i := range c.req.Batch.Events {
		if c.req.Batch.Events[i].Type == event.Page {
			return true
		}
	}
	return false
}
