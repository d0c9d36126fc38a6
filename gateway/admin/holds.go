package admin

import (
	"errors"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

// Actions on holds.
const (
	actionHeld    = "identity.held"
	actionHold    = "identity.hold"
	actionRelease = "identity.release"
)

// holdBody is the body of a hold and of a release.
type holdBody struct {
	Identifier identifierBody `json:"identifier"`
	Reason     string         `json:"reason"`
}

func (b *holdBody) id(c *call) (x id.ID, f *failure) {
	if x, f = b.Identifier.id("identifier", c.s.o.Types); f == nil {
		f = checkReason(b.Reason)
	}
	return x, f
}

// holds is the evidence of a hold, for a preview.
func (b *holdBody) holds(c *call) ([]graph.Evidence, *failure) {
	x, f := b.id(c)
	return []graph.Evidence{{Kind: graph.Cut, A: graph.Everybody(), B: x, Trust: id.Admin, Reason: b.Reason}}, f
}

// releases is the evidence of a release: a lift of each hold that stands.
func (b *holdBody) releases(c *call) ([]graph.Evidence, *failure) {
	x, f := b.id(c)
	if f != nil {
		return nil, f
	}
	list, err := c.s.o.People.Releasing(x)
	if err != nil {
		return nil, c.internal(err)
	}
	if len(list) == 0 {
		return nil, notHeld()
	}
	return list, nil
}

func notHeld() *failure {
	f := refuse(fasthttp.StatusConflict, "not_held", "this identifier is not held, so there is nothing to release; /admin/v1/identities/held lists those that are")
	f.field = "identifier"
	return f
}

// holding is what the activity log has of a hold or a release: whom it is about,
// as their person id, and the evidence.
type holding struct {
	A        string   `json:"a"`
	Evidence string   `json:"evidence,omitempty"`
	Released []string `json:"released,omitempty"`
}

// holdTarget reads the body of a hold or a release, with whom it is about.
func (c *call) holdTarget() (b holdBody, x id.ID, person string, f *failure) {
	if f = c.body(&b); f != nil {
		return b, x, "", f
	}
	if x, f = b.id(c); f != nil {
		return b, x, "", f
	}
	person, err := c.s.o.People.PersonID(x)
	if err != nil {
		return b, x, "", c.internal(err)
	}
	return b, x, person, nil
}

func (c *call) serveHold() *failure {
	b, x, person, f := c.holdTarget()
	if f != nil {
		return f
	}
	done := holding{A: person}
	f = c.change(actionHold, person, done, func() (any, error) {
		e, err := c.s.o.People.Hold(x, b.Reason)
		done.Evidence = evidenceName(e)
		return done, err
	})
	if f != nil {
		return f
	}
	c.s.log.Info("an identifier is held by an operator", "route", c.route.path, "key", c.key, "from", c.from, "person", person, "evidence", done.Evidence)
	o := event.NewWriter(nil)
	o.Open()
	o.String("evidence", done.Evidence)
	o.Close()
	c.json(fasthttp.StatusOK, o.Bytes())
	return nil
}

func (c *call) serveRelease() *failure {
	b, x, person, f := c.holdTarget()
	if f != nil {
		return f
	}
	done := holding{A: person}
	f = c.change(actionRelease, person, done, func() (any, error) {
		list, err := c.s.o.People.Release(x, b.Reason)
		for _, e := range list {
			done.Released = append(done.Released, evidenceName(e))
		}
		if errors.Is(err, people.ErrNotHeld) {
			none := notHeld()
			err = &Refusal{Status: none.status, Code: none.code, Message: none.message, Err: err}
		}
		return done, err
	})
	if f != nil {
		return f
	}
	c.s.log.Info("an identifier was released", "route", c.route.path, "key", c.key, "from", c.from, "person", person, "holds", len(done.Released))
	o := event.NewWriter(nil)
	o.Open()
	o.Key("released")
	o.OpenList()
	for _, e := range done.Released {
		o.Item(e)
	}
	o.CloseList()
	o.Close()
	c.json(fasthttp.StatusOK, o.Bytes())
	return nil
}

// serveHeld lists who is held.
func (c *call) serveHeld() *failure {
	limit, f := c.limit()
	if f != nil {
		return f
	}
	after := string(c.ctx.QueryArgs().Peek("after"))
	list, next, err := c.s.o.People.Held(limit, after)
	switch {
	case errors.Is(err, people.ErrUnknown):
		return invalidCursor("after", after)
	case err != nil:
		return c.refusal(err)
	}
	if f := c.note(actionHeld, "", "ok", map[string]int{"identifiers": len(list)}); f != nil {
		return f
	}
	o := event.NewWriter(nil)
	o.Open()
	o.Key("held")
	o.OpenList()
	for i := range list {
		h := &list[i]
		o.Open()
		appendHold(o, &graph.Hold{ID: h.ID, Why: h.Why, Trust: h.Trust, Since: h.Since, Evidence: h.Evidence})
		o.Int("links", int64(h.Links))
		o.Close()
	}
	o.CloseList()
	o.Text("next", next)
	o.Close()
	c.s.log.Info("the list of who is held was read", "route", c.route.path, "key", c.key, "from", c.from, "identifiers", len(list))
	c.json(fasthttp.StatusOK, o.Bytes())
	return nil
}

// appendHold writes the members of a hold: who is held, and why. One that is only
// previewed has no name yet.
func appendHold(o *event.Writer, h *graph.Hold) {
	o.String("type", h.ID.Type)
	o.String("value", h.ID.Value)
	o.String("why", string(h.Why))
	o.String("text", h.Why.Text())
	o.String("trust", h.Trust.String())
	o.Time("since", h.Since)
	if h.Evidence != people.Unstated() {
		o.String("evidence", evidenceName(h.Evidence))
	}
}

// appendHolds writes those that stand around a person, or on them; nothing where
// there are none.
func appendHolds(o *event.Writer, list []graph.Hold) {
	if len(list) == 0 {
		return
	}
	o.Key("held")
	o.OpenList()
	for i := range list {
		o.Open()
		appendHold(o, &list[i])
		o.Close()
	}
	o.CloseList()
}
