package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

type rulePartView struct {
	Text   string          `json:"text"`
	Line   int             `json:"line"`
	Column int             `json:"column"`
	Depth  int             `json:"depth"`
	Value  json.RawMessage `json:"value,omitempty"`
	Holds  *bool           `json:"holds,omitempty"`
}

func viewParts(list []RulePart) []rulePartView {
	views := make([]rulePartView, len(list))
	for i, p := range list {
		views[i] = rulePartView{p.Text, p.Line, p.Column, p.Depth, rawOf(p.Value), p.Holds}
	}
	return views
}

// rawOf is a value for encoding/json; an absent one is left out.
func rawOf(v event.Value) json.RawMessage {
	if v == "" {
		return nil
	}
	return json.RawMessage(v)
}

type variantReasonView struct {
	Name   string         `json:"name"`
	Chosen bool           `json:"chosen"`
	Code   string         `json:"code"`
	Reason string         `json:"reason"`
	Rule   string         `json:"rule,omitempty"`
	Parts  []rulePartView `json:"parts,omitempty"`
}

type explanationView struct {
	PersonID string `json:"personId"`
	View     string `json:"view"`
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	Version  int    `json:"version"`
	At       moment `json:"at"`

	In       *bool               `json:"in,omitempty"`
	Since    moment              `json:"since,omitzero"`
	Rule     string              `json:"rule,omitempty"`
	Value    json.RawMessage     `json:"value,omitempty"`
	Variant  *string             `json:"variant,omitempty"`
	Holdout  *bool               `json:"holdout,omitempty"`
	Variants []variantReasonView `json:"variants,omitempty"`

	Until moment         `json:"until,omitzero"`
	Parts []rulePartView `json:"parts"`
	Notes []string       `json:"notes"`
}

// vouched finds whom the path names, by what was vouched for unless ?view= says
// otherwise: audiences and pages go by that.
func (c *call) vouched(action string) (known id.ID, p *people.Person, f *failure) {
	x, f := parseSubject(c.param, c.s.o.Types)
	if f != nil {
		return known, nil, f
	}
	v := id.VerifiedView
	if c.ctx.QueryArgs().Has("view") {
		if v, f = c.view(); f != nil {
			return known, nil, f
		}
	}
	return c.find(x, v, action, "ok")
}

// asked is which definition an explanation is asked for.
func (c *call) asked() (kind, name string, f *failure) {
	for _, k := range [...]string{KindSegment, KindTrait, KindPlacement} {
		text := string(c.ctx.QueryArgs().Peek(k))
		switch {
		case text == "":
		case kind != "":
			return "", "", badRequest("invalid_question", k, fmt.Sprintf("both %s and %s are asked for; expected one of segment, trait and placement", kind, k))
		default:
			kind, name = k, text
		}
	}
	switch {
	case kind == "":
		return "", "", badRequest("invalid_question", "segment", "nothing is asked for; expected ?segment=NAME, ?trait=NAME or ?placement=NAME")
	case !nameForm.MatchString(name):
		return "", "", refuse(fasthttp.StatusNotFound, "unknown_definition", fmt.Sprintf("there is no %s %q; GET /admin/v1/%s lists those there are", kind, clip([]byte(name)), plural(kind)))
	}
	return kind, name, nil
}

func (c *call) serveExplain() *failure {
	k, f := c.knowledge()
	if f != nil {
		return f
	}
	q := ExplainQuery{Site: string(c.ctx.QueryArgs().Peek("site"))}
	if q.Kind, q.Name, f = c.asked(); f != nil {
		return f
	}
	if q.Site != "" && q.Kind != KindPlacement {
		return badRequest("invalid_question", "site", "site is for placements: whose page shows it; leave it out")
	}
	if q.At, f = readTime("at", string(c.ctx.QueryArgs().Peek("at")), c.s.o.Now()); f != nil {
		return f
	}
	known, p, f := c.vouched("person.explain")
	if f != nil {
		return f
	}
	q.Person, q.View = known, p.Cluster.View
	ctx, cancel := context.WithTimeout(context.Background(), defineTime)
	defer cancel()
	x, err := k.Explain(ctx, q)
	if err != nil {
		f := c.unknown(q.Kind, err)
		if errors.Is(err, ErrUndefined) {
			f.message = fmt.Sprintf("there is no %s %q; GET /admin/v1/%s lists those there are", q.Kind, q.Name, plural(q.Kind))
		}
		return f
	}
	v := explanationView{
		PersonID: p.ID, View: q.View.String(), Kind: q.Kind, Name: q.Name, Version: x.Version, At: moment(x.At),
		Rule: x.Rule, Until: moment(x.Until), Parts: viewParts(x.Parts), Notes: append([]string{}, x.Notes...),
	}
	switch q.Kind {
	case KindSegment:
		v.In, v.Since = &x.In, moment(x.Since)
	case KindTrait:
		if v.Value = rawOf(x.Value); v.Value == nil {
			v.Value = json.RawMessage("null")
		}
	case KindPlacement:
		v.Variant, v.Holdout = &x.Variant, &x.Holdout
		for _, r := range x.Variants {
			v.Variants = append(v.Variants, variantReasonView{r.Name, r.Chosen, r.Code, r.Reason, r.Rule, viewParts(r.Parts)})
		}
	}
	return c.encode(fasthttp.StatusOK, v)
}

type transitionView struct {
	Audience string `json:"audience"`
	Change   string `json:"change"` // entered or left
	At       moment `json:"at"`
	Cause    string `json:"cause"`
}

func (c *call) serveHistory() *failure {
	k, f := c.knowledge()
	if f != nil {
		return f
	}
	limit, f := c.limit()
	if f != nil {
		return f
	}
	known, p, f := c.vouched("person.history")
	if f != nil {
		return f
	}
	ctx, cancel := context.WithTimeout(context.Background(), defineTime)
	defer cancel()
	list, next, err := k.Transitions(ctx, known, p.Cluster.View, string(c.ctx.QueryArgs().Peek("before")), limit)
	if err != nil {
		f := c.unknown(KindSegment, err)
		if errors.Is(err, ErrCursor) {
			f.field = "before"
		}
		return f
	}
	views := make([]transitionView, len(list))
	for i, t := range list {
		views[i] = transitionView{t.Audience, "left", moment(t.At), t.Cause}
		if t.Entered {
			views[i].Change = "entered"
		}
	}
	return c.encode(fasthttp.StatusOK, struct {
		PersonID    string           `json:"personId"`
		View        string           `json:"view"`
		Transitions []transitionView `json:"transitions"`
		Next        string           `json:"next,omitempty"`
	}{p.ID, p.Cluster.View.String(), views, next})
}
