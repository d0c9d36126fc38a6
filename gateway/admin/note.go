package admin

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/storage/audit"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
)

// noteTime is how long a request waits for the activity log.
const noteTime = 10 * time.Second

// roleAdmin is the role of every key there is yet.
const roleAdmin = "admin"

// note writes into the activity log what this request does, and returns when it
// is on the disk. object is a person id, a job or nothing: never an identifier.
func (c *call) note(action, object, outcome string, detail any) *failure {
	return c.unnoted(c.append(c.actor, roleAdmin, action, object, outcome, detail))
}

// unnoted is the answer where the activity log cannot be written: what nobody
// can answer for later does not happen.
func (c *call) unnoted(err error) *failure {
	if err == nil {
		return nil
	}
	c.s.log.Error("the activity log cannot be written, so a request at the desk was refused", "route", c.route.path, "error", err)
	f := refuse(fasthttp.StatusServiceUnavailable, "audit_unavailable", "this cannot be written into the activity log, so it is not done; try again, the gateway's log says why")
	f.retryAfter = retryNotReady
	return f
}

func (c *call) append(actor, role, action, object, outcome string, detail any) error {
	e := audit.Entry{Actor: actor, Role: role, Action: action, Object: object, Outcome: outcome, Remote: c.from.String()}
	if detail != nil {
		text, err := json.Marshal(detail)
		if err != nil {
			return err
		}
		e.Detail = text
	}
	ctx, cancel := context.WithTimeout(context.Background(), noteTime)
	defer cancel()
	_, err := c.s.o.Activity.Append(ctx, e)
	return err
}

// change does what changes something, between two notes: that it begins, without
// which it does not, and how it ended.
func (c *call) change(action, object string, detail any, do func() (result any, err error)) *failure {
	if f := c.note(action, object, "begun", detail); f != nil {
		return f
	}
	result, err := do()
	outcome := "ok"
	if err != nil {
		outcome, result = "failed", nil
		var r *Refusal
		var a *answered
		switch {
		case errors.As(err, &r):
			outcome, result = "refused", map[string]string{"code": r.Code}
		case errors.As(err, &a) && a.f.status < fasthttp.StatusInternalServerError:
			outcome, result = "refused", map[string]string{"code": a.f.code}
		}
	}
	f := c.note(action, object, outcome, result)
	if err != nil {
		return c.refusal(err)
	}
	return f
}

// answered is an error with the answer to it.
type answered struct {
	f   *failure
	err error
}

func (a *answered) Error() string { return a.err.Error() }
func (a *answered) Unwrap() error { return a.err }

// Refusal is an error of what the desk stands on that the caller may hear.
type Refusal struct {
	Status        int // HTTP's
	Code, Message string
	Err           error // for the log
}

func (r *Refusal) Error() string { return r.Message }

// Unwrap gives the detail.
func (r *Refusal) Unwrap() error { return r.Err }

// refusal is the answer to an error: what it says where it is a Refusal, that the
// store cannot write now, or that the log knows more.
func (c *call) refusal(err error) *failure {
	var r *Refusal
	var a *answered
	if errors.As(err, &a) {
		return a.f
	}
	var full eventlog.ErrDiskFull
	var busy eventlog.ErrBusy
	switch {
	case errors.As(err, &r):
	case errors.As(err, &full), errors.Is(err, engine.ErrFull):
		r = &Refusal{Status: fasthttp.StatusServiceUnavailable, Code: "disk_full", Message: "the gateway's disk has too little space left for this; make room and try again"}
	case errors.As(err, &busy):
		r = &Refusal{Status: fasthttp.StatusServiceUnavailable, Code: "queue_full", Message: "more waits for the disk than limits.queue_bytes allows; try again in a moment"}
	case errors.Is(err, eventlog.ErrClosed), errors.Is(err, engine.ErrClosed):
		r = &Refusal{Status: fasthttp.StatusServiceUnavailable, Code: "draining", Message: "the gateway is stopping; try again when it runs"}
	default:
		return c.internal(err)
	}
	c.s.log.Warn("a request at the desk was not done", "route", c.route.path, "code", r.Code, "error", err)
	f := refuse(r.Status, r.Code, r.Message)
	if r.Status == fasthttp.StatusServiceUnavailable {
		f.retryAfter = retryNotReady
	}
	return f
}

// denied notes that somebody was turned away at the door. There is an end to
// it: who has no key must not be able to fill the disk.
func (c *call) denied(reason string) {
	if !c.s.denials.allows(c.s.o.Now()) {
		return
	}
	if err := c.append("unknown", "", "admin.denied", "", "denied", map[string]string{"reason": reason}); err != nil {
		c.s.log.Error("somebody was turned away at the desk, and the activity log cannot be written", "from", c.from, "error", err)
	}
}

// denialsPerMinute is how many are noted; /metrics counts them all.
const denialsPerMinute = 60

// pace allows so many things within a minute.
type pace struct {
	mu   sync.Mutex
	n    int
	ends time.Time
}

func (p *pace) allows(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !now.Before(p.ends) {
		p.n, p.ends = 0, now.Add(time.Minute)
	}
	p.n++
	return p.n <= denialsPerMinute
}
