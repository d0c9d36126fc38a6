package collect

import (
	"math"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
)

// Names of headers that most answers carry, in the form fasthttp keeps them.
// Nobody writes to them.
var (
	headerVary             = []byte("Vary")
	headerAllowOrigin      = []byte("Access-Control-Allow-Origin")
	headerAllowCredentials = []byte("Access-Control-Allow-Credentials")
	headerExposeHeaders    = []byte("Access-Control-Expose-Headers")
	headerCacheControl     = []byte("Cache-Control")
	headerNosniff          = []byte("X-Content-Type-Options")
	headerReferrerPolicy   = []byte("Referrer-Policy")
	headerResourcePolicy   = []byte("Cross-Origin-Resource-Policy")
	headerSetCookie        = []byte("Set-Cookie")
)

const jsonType = "application/json; charset=utf-8"

// plainHeaders are those of every answer.
func (c *call) plainHeaders() {
	h := &c.ctx.Response.Header
	h.SetBytesK(headerNosniff, "nosniff")
	h.SetBytesK(headerReferrerPolicy, "no-referrer")
}

// headers are those of every answer of this package.
func (c *call) headers() {
	c.plainHeaders()
	c.cors()
	h := &c.ctx.Response.Header
	switch {
	case c.route.personal:
		h.SetBytesK(headerCacheControl, "no-store, private")
		h.SetBytesK(headerResourcePolicy, "same-origin")
	case c.route.kind == pixel:
		h.SetBytesK(headerCacheControl, "no-store, private")
		h.SetBytesK(headerResourcePolicy, "cross-origin") // it is there to be embedded in mails and other sites' pages
	case c.route.kind != settings:
		h.SetBytesK(headerCacheControl, "no-store")
	}
}

// answer sends a success.
func (c *call) answer(body []byte) {
	c.headers()
	c.ctx.SetContentType(jsonType)
	c.ctx.SetBody(body)
	c.count(fasthttp.StatusOK, "")
}

func (c *call) count(status int, code string) {
	if m := c.s.o.Metrics; m != nil {
		m.Count(c.route.name, status, code)
	}
}

// fail sends a failure.
func (c *call) fail(f *failure) {
	c.out = f.append(c.out[:0])
	c.headers()
	h := &c.ctx.Response.Header
	h.SetBytesK(headerCacheControl, "no-store, private")
	if f.retryAfter > 0 {
		h.Set(fasthttp.HeaderRetryAfter, retryAfter(f.retryAfter))
	}
	if f.allow != "" {
		h.Set(fasthttp.HeaderAllow, f.allow)
	}
	c.ctx.SetStatusCode(f.status)
	c.ctx.SetContentType(jsonType)
	c.ctx.SetBody(c.out)
	c.count(f.status, f.code)
}

// retryAfter is whole seconds, at least one (RFC 9110, section 10.2.3).
func retryAfter(d time.Duration) string {
	return strconv.Itoa(int(max(1, math.Ceil(d.Seconds()))))
}

// appendRejected appends `"rejected":[…]`.
func appendRejected(dst []byte, list []event.Rejection) []byte {
	dst = append(dst, `"rejected":[`...)
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		r := &list[i]
		dst = append(dst, `{"index":`...)
		dst = strconv.AppendInt(dst, int64(r.Index), 10)
		dst = append(dst, ',')
		dst = appendError(dst, string(r.Code), r.Field, r.Message)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendError appends `"code":…,"message":…,"field":…`, the field only when
// there is one.
func appendError(dst []byte, code, field, message string) []byte {
	dst = append(dst, `"code":`...)
	dst = event.AppendQuoted(dst, code)
	dst = append(dst, `,"message":`...)
	dst = event.AppendQuoted(dst, message)
	if field != "" {
		dst = append(dst, `,"field":`...)
		dst = event.AppendQuoted(dst, field)
	}
	return dst
}
