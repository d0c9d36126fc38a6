package admin

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
)

// failure is an answer that is no success. Its texts are for the caller, who
// may hold no key; what only the log may know is logged where it happens.
type failure struct {
	status     int
	code       string
	field      string
	message    string
	retryAfter time.Duration         // 0: no Retry-After
	more       func(o *event.Writer) // members besides "error"; nil: none
}

func refuse(status int, code, message string) *failure {
	return &failure{status: status, code: code, message: message}
}

func badRequest(code, field, message string) *failure {
	return &failure{status: fasthttp.StatusBadRequest, code: code, field: field, message: message}
}

// internal logs what went wrong and tells the caller only that something did.
func (c *call) internal(err error) *failure {
	c.s.log.Error("a request at the desk failed", "route", c.route.path, "error", err)
	return refuse(fasthttp.StatusInternalServerError, "internal", "the gateway could not do this; its log says why")
}

// fail answers with a failure.
func (c *call) fail(f *failure) {
	if f.retryAfter > 0 {
		c.ctx.Response.Header.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.retryAfter.Seconds()))))
	}
	o := event.NewWriter(nil)
	o.Open()
	o.Key("error")
	o.Open()
	o.String("code", f.code)
	o.String("message", f.message)
	o.Text("field", f.field)
	o.Close()
	if f.more != nil {
		f.more(o)
	}
	o.Close()
	c.json(f.status, o.Bytes())
}

// json answers with a body, which it keeps.
func (c *call) json(status int, body []byte) {
	c.ctx.Response.SetStatusCode(status)
	c.ctx.Response.Header.SetContentType("application/json")
	c.ctx.Response.SetBodyRaw(body)
}

// clip makes a piece of a request fit for a message.
func clip(b []byte) string {
	const most = 120
	s := strings.ToValidUTF8(string(b), "\ufffd")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// list writes names as a sentence does: `"a", "b" or "c"`.
func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	var b strings.Builder
	for i, n := range names {
		switch {
		case i > 0 && i == len(names)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(n))
	}
	return b.String()
}
