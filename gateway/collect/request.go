package collect

import (
	"fmt"
	"runtime/debug"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
)

// read takes the body of a POST: its events, whose they are, and whether the
// sender may speak for that site.
func (c *call) read() *failure {
	if f := c.contain((*call).readBody); f != nil {
		return f
	}
	inBody := c.req.Batch.WriteKey
	if c.route.kind == metrics && c.figures && inBody == "" && len(c.head.writeKey)+len(c.head.authorization) == 0 {
		return nil
	}
	if f := c.authenticate(inBody); f != nil {
		return f
	}
	if f := c.checkOrigin(); f != nil {
		return f
	}
	return c.admitKey()
}

// contain runs a step that only reads what a stranger sent: decompressors and
// parsers, some of them not ours. A panic there must not take the gateway down,
// and may be contained, since no lock is held and nothing is half written. The
// same cannot be said of the Intake, so a panic in there ends the program.
func (c *call) contain(step func(*call) *failure) (f *failure) {
	defer func() {
		if r := recover(); r != nil {
			c.s.log.Error("reading a request panicked", "route", c.route.name, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			f = fail(fasthttp.StatusInternalServerError, "internal", "the gateway could not read this request; its log says why")
		}
	}()
	return step(c)
}

// readBody decodes, copies and parses the body.
func (c *call) readBody() *failure {
	body, f := c.body()
	if f != nil {
		return f
	}
	text := c.own(stripLinks(body))
	if text == "" {
		if c.route.personal && c.route.kind != interact {
			return nil // the cookie, and a key in a header, say it all
		}
		return badRequest("body_empty", "the body is empty; expected JSON")
	}
	if f := c.parse(text); f != nil {
		return f
	}
	c.figures = c.route.kind == metrics && event.Value(text).Get("series").Kind() == event.Array
	return nil
}

func (c *call) parse(text string) *failure {
	l := &c.s.o.Limits
	err := event.Parse(&c.req.Batch, text, event.ParseOptions{
		Type:       c.route.typ,
		Limits:     event.Limits{EventBytes: l.EventBytes, BatchEvents: l.BatchEvents, Depth: l.Depth},
		ReceivedAt: c.req.ReceivedAt,
		Retried:    isRetry(c.head.retryCount) || isRetry(c.head.retryAttempt),
		Cookieless: c.route.kind == interact,
	})
	if err != nil {
		return parseFailure(err)
	}
	return nil
}

// isRetry reads a retry counter: anything but nothing and zero.
func isRetry(count []byte) bool {
	for _, b := range count {
		if b != '0' {
			return true
		}
	}
	return false
}
