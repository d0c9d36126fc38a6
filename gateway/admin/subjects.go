package admin

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/storage/erasure"
	"github.com/reuna/reuna/storage/people"
)

func (c *call) serveErase() *failure {
	var b subjectBody
	if f := c.body(&b); f != nil {
		return f
	}
	x, v, f := b.subject(c.s.o.Types)
	if f != nil {
		return f
	}
	const action = "subject.erase"
	asked := c.s.o.Now().UnixMilli()
	known, p, f := c.find(x, v, action, "begun")
	if f != nil {
		return f
	}
	e, err := c.s.o.Erasures.Erase(known, people.EraseRequest{View: v, Requested: asked, Reason: b.Reason})
	if err != nil {
		f := c.note(action, p.ID, "failed", nil)
		switch {
		case f != nil:
			return f
		case errors.Is(err, people.ErrUnknown):
			return refuse(fasthttp.StatusNotFound, "unknown_person", "nobody is known by this identifier any more: somebody else has just erased them")
		}
		return c.refusal(err)
	}
	name := erasure.ID(e)
	c.s.log.Info("a person is being erased", "key", c.key, "from", c.from, "person", p.ID, "erasure", name)
	if f := c.note(action, p.ID, "ok", map[string]string{"erasure": name}); f != nil {
		return f
	}
	c.ctx.Response.Header.Set("Location", "/admin/v1/subjects/"+name)
	return c.answerErasure(fasthttp.StatusAccepted, e)
}

// erasure finds the erasure that the path names.
func (c *call) erasure() (*people.Erasure, *failure) {
	seq, err := strconv.ParseUint(c.param, 10, 64)
	if err != nil || seq == 0 || strconv.FormatUint(seq, 10) != c.param {
		return nil, badRequest("invalid_erasure", "number", fmt.Sprintf("%q is no erasure; expected erase- and a number", "erase-"+clip([]byte(c.param))))
	}
	e, err := c.s.o.People.Erasure(seq)
	switch {
	case errors.Is(err, people.ErrUnknown):
		return nil, refuse(fasthttp.StatusNotFound, "unknown_erasure", fmt.Sprintf("there is no erasure erase-%d; /admin/v1/subjects lists them", seq))
	case err != nil:
		return nil, c.internal(err)
	}
	return e, nil
}

func (c *call) serveErasure() *failure {
	e, f := c.erasure()
	if f != nil {
		return f
	}
	return c.answerErasure(fasthttp.StatusOK, e)
}

func (c *call) answerErasure(status int, e *people.Erasure) *failure {
	o := event.NewWriter(nil)
	c.appendErasure(o, e, true)
	c.json(status, o.Bytes())
	return nil
}

// States of an erasure.
const (
	stateRunning  = "running"  // the person is gone for everybody; the disk follows
	stateRetrying = "retrying" // the disk did not follow yet, and is tried again
	stateDone     = "done"
)

func (c *call) appendErasure(o *event.Writer, e *people.Erasure, receipt bool) {
	at, err := c.s.o.Erasures.Status(e.Seq)
	state := stateRunning
	switch {
	case e.Done:
		state = stateDone
	case err != nil:
		state = stateRetrying
	}
	o.Open()
	o.String("id", erasure.ID(e))
	o.String("state", state)
	o.Time("requested", e.Requested)
	o.Time("decided", e.At)
	o.String("view", e.View.String())
	o.Text("reason", e.Reason)
	if state == stateRetrying {
		o.String("message", err.Error())
	}
	if !e.Done && at.Step != "" {
		o.Key("progress")
		o.Open()
		o.String("step", at.Step)
		o.Int("done", int64(at.Done))
		o.Int("total", int64(at.Total))
		o.Close()
	}
	o.Key("counts")
	o.Open()
	n := e.Counts
	for _, x := range [...]struct {
		name string
		n    int64
	}{
		{"identifiers", int64(len(e.Identifiers))}, {"facets", n.Facets}, {"events", n.Events}, {"chunks", n.Chunks}, {"evidence", n.Evidence},
		{"sessions", n.Sessions}, {"refused", n.Refused}, {"overwritten", n.Overwritten}, {"keys", n.Keys}, {"groups", n.Groups}, {"ranges", n.Ranges},
	} {
		o.Int(x.name, x.n)
	}
	o.Close()
	if receipt && len(e.Receipt) > 0 {
		o.Raw("receipt", event.Value(e.Receipt))
	}
	o.Close()
}

func (c *call) serveReceipt() *failure {
	e, f := c.erasure()
	if f != nil {
		return f
	}
	if len(e.Receipt) == 0 {
		f := refuse(fasthttp.StatusConflict, "not_done", fmt.Sprintf("%s has no receipt yet; it is signed when the last byte is gone", erasure.ID(e)))
		if e.Done {
			f = refuse(fasthttp.StatusConflict, "no_receipt", fmt.Sprintf("%s was done again when a backup was restored; its receipt is that of the first time", erasure.ID(e)))
		}
		return f
	}
	c.ctx.Response.Header.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-receipt.json"`, erasure.ID(e)))
	c.json(fasthttp.StatusOK, e.Receipt)
	return nil
}

func (c *call) serveSubjects() *failure {
	p, f := c.page()
	if f != nil {
		return f
	}
	list, err := c.s.o.People.Erasures(p.before, p.limit+1)
	if err != nil {
		return c.internal(err)
	}
	answerPage(c, p, "erasures", list, func(e *people.Erasure) uint64 { return e.Seq }, func(o *event.Writer, e *people.Erasure) { c.appendErasure(o, e, false) })
	return nil
}
