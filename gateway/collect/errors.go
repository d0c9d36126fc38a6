package collect

import (
	"errors"
	"fmt"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
)

// failure is an answer that is no success. Its texts are safe for the sender;
// codes come from a fixed set.
type failure struct {
	status     int
	code       string
	message    string
	field      string
	retryAfter time.Duration // 0: no Retry-After
	allow      string        // methods, with 405
}

// NotReady is an error of Options.Ready whose reason anybody may hear.
type NotReady struct {
	Code, Message string // safe for the sender
	Err           error  // for the log
}

func (e *NotReady) Error() string { return e.Message }

// Unwrap gives the detail.
func (e *NotReady) Unwrap() error { return e.Err }

// retryNotReady is how soon a client may ask again while the gateway starts or
// stops.
const retryNotReady = 5 * time.Second

func fail(status int, code, message string) *failure {
	return &failure{status: status, code: code, message: message}
}

func badRequest(code, message string) *failure { return fail(fasthttp.StatusBadRequest, code, message) }

func notFound(path []byte) *failure {
	return fail(fasthttp.StatusNotFound, "not_found", fmt.Sprintf("nothing is served at %q; the routes are described at /openapi.yaml, and their prefix is the setting api_prefix", clip(path, 200)))
}

func tooMany(code, message string, wait time.Duration) *failure {
	f := fail(fasthttp.StatusTooManyRequests, code, message)
	f.retryAfter = wait
	return f
}

// tooLarge reports a body over the limit; seen is -1 when nobody knows how far.
func tooLarge(seen, most int) *failure {
	much := "more than the limit"
	if seen >= 0 {
		much = fmt.Sprintf("%d bytes", seen)
	}
	return fail(fasthttp.StatusRequestEntityTooLarge, "body_too_large", fmt.Sprintf("the body has %s; the limit is %d bytes, decoded (setting limits.batch)", much, most))
}

// parseFailure is the answer to a body that is refused as a whole.
func parseFailure(err error) *failure {
	var syntax *event.SyntaxError
	var limit *event.LimitError
	var refused *event.Rejection
	switch {
	case errors.As(err, &syntax):
		return badRequest(string(event.CodeInvalidJSON), "the body is not valid JSON: "+syntax.Error())
	case errors.As(err, &limit):
		return fail(fasthttp.StatusRequestEntityTooLarge, string(event.CodeLimitExceeded), limit.Error())
	case errors.As(err, &refused):
		return rejection(refused)
	}
	return badRequest(string(event.CodeInvalidJSON), "the body cannot be read")
}

// rejection is the answer to a message, or a body, that is refused.
func rejection(r *event.Rejection) *failure {
	status := fasthttp.StatusBadRequest
	if r.Code == event.CodeEventTooLarge {
		status = fasthttp.StatusRequestEntityTooLarge
	}
	f := fail(status, string(r.Code), r.Message)
	f.field = r.Field
	return f
}

// refusal is the answer to an Intake that returned an error.
func (c *call) refusal(err error) *failure {
	var u *Unavailable
	if errors.As(err, &u) && (u.Status == fasthttp.StatusTooManyRequests || u.Status == fasthttp.StatusServiceUnavailable) {
		f := fail(u.Status, u.Code, u.Message)
		f.retryAfter = max(u.RetryAfter, time.Second)
		return f
	}
	var r *Refused
	if errors.As(err, &r) {
		return fail(fasthttp.StatusForbidden, r.Code, r.Message)
	}
	c.s.log.Error("a request failed", "route", c.route.name, "site", c.req.Site, "error", err)
	return fail(fasthttp.StatusInternalServerError, "internal", "the gateway could not do this; its log says why")
}

// append appends the error envelope.
func (f *failure) append(dst []byte) []byte {
	dst = append(dst, `{"error":{`...)
	dst = appendError(dst, f.code, f.field, f.message)
	return append(dst, "}}"...)
}
