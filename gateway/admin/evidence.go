package admin

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/audit"
	"github.com/reuna/reuna/storage/people"
)

// pairBody is the body of a link and of a cut.
type pairBody struct {
	A      identifierBody `json:"a"`
	B      identifierBody `json:"b"`
	Time   string         `json:"time"`
	Reason string         `json:"reason"`
}

func (b *pairBody) evidence(c *call, kind graph.Kind) (e graph.Evidence, f *failure) {
	e = graph.Evidence{Kind: kind, Trust: id.Admin, Reason: b.Reason}
	if e.A, f = b.A.id("a", c.s.o.Types); f != nil {
		return e, f
	}
	if e.B, f = b.B.id("b", c.s.o.Types); f != nil {
		return e, f
	}
	if e.A == e.B {
		return e, badRequest("same_identifier", "b", "a and b are the same identifier; expected two")
	}
	if e.Time, f = readTime("time", b.Time, c.s.o.Now()); f != nil {
		return e, f
	}
	return e, checkReason(b.Reason)
}

func (c *call) serveLink() *failure { return c.servePair(graph.Link, actionLink) }
func (c *call) serveCut() *failure  { return c.servePair(graph.Cut, actionCut) }

// Actions of operators' evidence. A lift finds its cut by the latter.
const (
	actionLink = "identity.link"
	actionCut  = "identity.cut"
	actionLift = "identity.lift"
)

func (c *call) servePair(kind graph.Kind, action string) *failure {
	var b pairBody
	if f := c.body(&b); f != nil {
		return f
	}
	e, f := b.evidence(c, kind)
	if f != nil {
		return f
	}
	return c.state(e, action)
}

// stated is what the activity log has of a piece of evidence: its name, and whom
// it is about, as their person ids.
type stated struct {
	Evidence string `json:"evidence,omitempty"`
	A        string `json:"a"`
	B        string `json:"b,omitempty"`
	Lifts    string `json:"lifts,omitempty"`
}

// about tells whom a piece of evidence is about.
func (c *call) about(e *graph.Evidence) (about stated, err error) {
	if e.Kind == graph.Lift {
		about.Lifts = evidenceName(e.Lifts)
	}
	if e.A == graph.Everybody() {
		about.A, err = c.s.o.People.PersonID(e.B)
		return about, err
	}
	if about.A, err = c.s.o.People.PersonID(e.A); err == nil {
		about.B, err = c.s.o.People.PersonID(e.B)
	}
	return about, err
}

// state adds evidence and answers with its name.
func (c *call) state(e graph.Evidence, action string) *failure {
	about, err := c.about(&e)
	if err != nil {
		return c.internal(err)
	}
	name := ""
	f := c.change(action, about.A, about, func() (any, error) {
		x, err := c.s.o.People.State(e)
		name = evidenceName(x)
		done := about
		done.Evidence = name
		return done, err
	})
	if f != nil {
		return f
	}
	c.s.log.Info("evidence was added", "route", c.route.path, "key", c.key, "from", c.from, "evidence", name)
	o := event.NewWriter(nil)
	o.Open()
	o.String("evidence", name)
	o.Close()
	c.json(fasthttp.StatusOK, o.Bytes())
	return nil
}

// liftBody is the body of a lift. A and B are the cut's; the activity log knows
// them, too.
type liftBody struct {
	Evidence string          `json:"evidence"`
	A        *identifierBody `json:"a"`
	B        *identifierBody `json:"b"`
	Time     string          `json:"time"`
	Reason   string          `json:"reason"`
}

func (c *call) serveLift() *failure {
	var b liftBody
	if f := c.body(&b); f != nil {
		return f
	}
	e, f := b.evidence(c)
	if f != nil {
		return f
	}
	return c.state(e, actionLift)
}

func (b *liftBody) evidence(c *call) (e graph.Evidence, f *failure) {
	cut, ok := parseEvidenceName(b.Evidence)
	if !ok {
		return e, badRequest("invalid_evidence", "evidence", fmt.Sprintf("%q is no piece of evidence; expected the e_… that a cut answered with", clip([]byte(b.Evidence))))
	}
	e = graph.Evidence{Kind: graph.Lift, Trust: id.Admin, Lifts: cut, Reason: b.Reason}
	switch {
	case (b.A == nil) != (b.B == nil):
		return e, badRequest("missing_identifier", "a", "one of a and b is given; give both, or none")
	case b.A == nil:
		e.A, e.B, f = c.ends(b.Evidence)
	default:
		if e.A, f = b.A.id("a", c.s.o.Types); f == nil {
			e.B, f = b.B.id("b", c.s.o.Types)
		}
		if f == nil && e.A == e.B {
			f = badRequest("same_identifier", "b", "a and b are the same identifier; expected those of the cut")
		}
	}
	if f == nil {
		e.Time, f = readTime("time", b.Time, c.s.o.Now())
	}
	if f == nil {
		f = checkReason(b.Reason)
	}
	return e, f
}

// ends finds the two identifiers of a cut by its name. Evidence is stored by
// them and has no index of its own; the activity log, which has every cut's, is
// read for the few times that one is taken back.
func (c *call) ends(name string) (a, b id.ID, f *failure) {
	var about stated
	q := audit.Query{Action: actionCut}
	err := c.s.o.Activity.Read(context.Background(), q, func(r audit.Record) (bool, error) {
		var x stated
		if r.Action == actionCut && json.Unmarshal(r.Detail, &x) == nil && x.Evidence == name {
			about = x
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		return a, b, c.internal(err)
	}
	unknown := refuse(fasthttp.StatusNotFound, "unknown_evidence", "no cut of this name was made at this desk; the pairs of …/identities list a person's cuts, and with a and b given any of them can be lifted")
	if about.Evidence == "" {
		return a, b, unknown
	}
	if a, err = c.s.o.People.Named(about.A); err == nil {
		b, err = c.s.o.People.Named(about.B)
	}
	switch {
	case errors.Is(err, people.ErrUnknown):
		unknown.message = "one of the two that were cut apart has been erased, and the cut with them"
		return a, b, unknown
	case err != nil:
		return a, b, c.internal(err)
	}
	return a, b, nil
}

// evidenceName is a piece of evidence's id as callers see it: "e_" and its 128
// bits in lower-case base32, like a person id.
func evidenceName(x graph.EvidenceID) string {
	return "e_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(x[:]))
}

// parseEvidenceName reads what evidenceName wrote.
func parseEvidenceName(s string) (x graph.EvidenceID, ok bool) {
	rest, ok := strings.CutPrefix(s, "e_")
	if !ok || len(rest) != 26 {
		return x, false
	}
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(rest))
	if err != nil || len(b) != len(x) {
		return x, false
	}
	copy(x[:], b)
	return x, evidenceName(x) == s
}
