package collect

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
)

// Visit looks at a request that is none of this package's, for a page of the
// site or for its tag, and says who makes it: a Request with one page event,
// whose answer it may carry. Nothing is taken, and no visitor is made. The
// Request owns its memory.
//
// With asScript the request is one that any page can make, and whose answer it
// can read, so only pages of the site are told: nil for others.
func (s *Server) Visit(ctx *fasthttp.RequestCtx, siteName string, asScript bool) *Request {
	c := s.acquire(ctx)
	defer s.release(c)
	for _, one := range c.sites.list {
		if one.Name == siteName {
			c.site = one
		}
	}
	if c.site == nil || c.head.read(ctx.Request.Header.RawHeaders()) != "" {
		return nil
	}
	c.identify()
	if asScript && !c.ownScript() {
		return nil
	}
	page, from := string(c.head.referer), ""
	if !asScript {
		page, from = c.address(), page
	}
	c.own(nil)
	c.visitor()
	r := c.req
	r.Site, r.Source, r.Batch = c.site.Name, event.FromTag, event.Batch{}
	w := event.NewWriter(nil)
	w.Open()
	w.Key("context")
	w.Open()
	w.Key("page")
	w.Open()
	w.Text("url", page)
	w.Text("referrer", from)
	w.Close()
	w.Close()
	w.Close()
	l := &s.o.Limits
	if event.Parse(&r.Batch, string(w.Bytes()), event.ParseOptions{
		Type: event.Page, Limits: event.Limits{EventBytes: l.EventBytes, BatchEvents: l.BatchEvents, Depth: l.Depth}, ReceivedAt: r.ReceivedAt,
	}) != nil {
		return nil
	}
	return &r
}

// ownScript says that a page of the site asks for a script. Sec-Fetch-Site and
// Referer are the browser's word, which a page cannot forge; a page that hides
// where it is is believed on the very same origin alone.
func (c *call) ownScript() bool {
	if string(c.head.secFetchSite) == "same-origin" {
		return true
	}
	// The origin as it stands in the page's address: up to the third slash.
	origin := c.head.referer
	if n := bytes.Index(origin, []byte("://")); n >= 0 {
		if m := bytes.IndexByte(origin[n+3:], '/'); m >= 0 {
			origin = origin[:n+3+m]
		}
		c.head.origin = origin
		return c.sameHost() || c.site.allows(view(origin))
	}
	return false
}

// address is that of the page that is asked for, as the browser shows it.
func (c *call) address() string {
	scheme := "http://"
	if c.https {
		scheme = "https://"
	}
	return scheme + string(c.head.host) + string(clip(c.ctx.Request.Header.RequestURI(), maxHeader))
}

// Serves says whether a Host header names one of the site's own origins.
func (s *Server) Serves(siteName, host string) bool {
	for _, one := range s.sites.Load().list {
		if one.Name == siteName {
			return one.allows("https://"+host) || one.allows("http://"+host)
		}
	}
	return false
}
