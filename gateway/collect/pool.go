package collect

import (
	"net"
	"net/netip"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"
)

// call is one request on its way through the server. It comes from a pool and
// goes back when Handle returns, so nothing may point into it afterwards.
type call struct {
	s     *Server
	ctx   *fasthttp.RequestCtx
	sites *sites
	route *route
	site  *site // nil until the key is known
	key   *key
	head  head
	req   Request

	now    time.Time
	peer   netip.Addr // of the connection
	direct bool       // nothing was forwarded
	https  bool       // as the browser sees it

	linked bool // the visitor came by a link from another domain
	moved  bool // the visitor's cookie has a form of before

	figures bool // the body is what analytics-next tells about itself, without a key

	owned   []byte // what the request's strings point into; never reused
	scratch []byte // a decoded body
	basic   []byte // a decoded Authorization
	out     []byte // the answer
	cookie  []byte // the Set-Cookie line
}

// maxKept bounds the memory that a resting call holds on to, each buffer in
// bytes and each list in elements.
const (
	maxKept   = 1 << 20
	maxEvents = 256
)

func (s *Server) acquire(ctx *fasthttp.RequestCtx) *call {
	c := s.calls.Get().(*call)
	c.s, c.ctx, c.sites = s, ctx, s.sites.Load()
	return c
}

func (s *Server) release(c *call) {
	b := c.req.Batch
	b.Reset()
	if cap(b.Events) > maxEvents {
		b.Events = nil
	}
	if cap(b.Rejected) > maxEvents {
		b.Rejected = nil
	}
	c.head.reset()
	*c = call{
		head: c.head, req: Request{Batch: b},
		scratch: rest(c.scratch), basic: rest(c.basic), out: rest(c.out), cookie: c.cookie[:0],
	}
	s.calls.Put(c)
}

func rest(b []byte) []byte {
	if cap(b) > maxKept {
		return nil
	}
	return b[:0]
}

// view is b as a string for as long as b stays what it is: for look-ups and
// comparisons within Handle, never for anything that is kept.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// identify finds out who is asking, as far as the connection and the headers
// tell.
func (c *call) identify() {
	c.now = c.s.o.Now()
	c.req.ReceivedAt = c.now.UnixMilli()
	if a, ok := c.ctx.RemoteAddr().(*net.TCPAddr); ok {
		c.peer = a.AddrPort().Addr().Unmap()
	}
	h := &c.head
	c.direct = len(h.forwardedFor) == 0
	c.req.Client = c.s.o.ClientAddr(c.peer, view(h.forwardedFor), c.s.o.TrustedProxies)
	c.https = c.ctx.IsTLS() || c.trusted() && isHTTPS(h.forwardedProto)
	c.req.GPC = string(h.gpc) == "1"
}

// trusted says that the peer is a proxy whose word counts.
func (c *call) trusted() bool {
	for _, p := range c.s.o.TrustedProxies {
		if p.Contains(c.peer) {
			return true
		}
	}
	return false
}

// own copies the body, and the headers that are handed on, out of fasthttp's
// buffers: one allocation for all of them, which belongs to the request's
// strings from here on and is only ever appended to within its capacity.
func (c *call) own(body []byte) string {
	h, r := &c.head, &c.req
	h.referer = stripLinks(h.referer)
	pairs := [...]struct {
		to   *string
		from []byte
	}{
		{&r.UserAgent, h.userAgent}, {&r.Referer, h.referer}, {&r.Origin, h.origin}, {&r.Host, h.host}, {&r.Language, h.language},
		{&r.Hints.Brands, h.brands}, {&r.Hints.Mobile, h.mobile}, {&r.Hints.Platform, h.platform},
		{&r.Hints.PlatformVersion, h.platformVersion}, {&r.Hints.Model, h.model},
		{&r.Hints.FullVersions, h.fullVersions}, {&r.Hints.Arch, h.arch},
		{&r.Hints.FormFactors, h.formFactors},
	}
	n := len(body) + anonymousIDRoom
	for i := range pairs {
		n += min(len(pairs[i].from), maxHeader)
	}
	c.owned = make([]byte, 0, n)
	for i := range pairs {
		*pairs[i].to = c.keep(clip(pairs[i].from, maxHeader))
	}
	return c.keep(body)
}

// keep appends b to the owned memory and gives the string that is there now.
// The bytes under a string are never written again, so the string is as good as
// any other; taking it this way spares a second copy.
func (c *call) keep(b []byte) string {
	n := len(c.owned)
	c.owned = append(c.owned, b...)
	return view(c.owned[n:])
}
