package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

type audiencePreviewView struct {
	estimateView
	Persons int64          `json:"persons"`
	Sampled int64          `json:"sampled"`
	Share   float64        `json:"share"`
	Cost    costView       `json:"cost"`
	Partial []string       `json:"partial"`
	Parts   []rulePartCost `json:"parts"`
}

type costView struct {
	Steps        uint64  `json:"steps"`
	Limit        uint64  `json:"limit"`
	Microseconds float64 `json:"microseconds"` // for one person, on average
}

type rulePartCost struct {
	Text   string `json:"text"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Steps  uint64 `json:"steps"`
}

// servePreviewSegment tells how many would be in an audience. It looks at
// persons, whom it does not tell; the activity log has that it was done.
func (c *call) servePreviewSegment() *failure {
	k, f := c.knowledge()
	if f != nil {
		return f
	}
	if f := c.note("segment.preview", "", "ok", nil); f != nil {
		return f
	}
	ctx, cancel := context.WithTimeout(context.Background(), defineTime)
	defer cancel()
	began := time.Now()
	p, err := k.Preview(ctx, c.definitionBody())
	if err != nil {
		return c.unknown(KindSegment, err)
	}
	c.s.o.Metrics.GetOrCreateHistogram("reuna_desk_preview_seconds").UpdateDuration(began)
	v := audiencePreviewView{
		estimateView: *viewEstimate(p.Members), Persons: p.Persons, Sampled: p.Sampled, Share: p.Share,
		Cost: costView{p.Cost, p.Limit, float64(p.Took) / 1e3}, Partial: append([]string{}, p.Partial...), Parts: []rulePartCost{},
	}
	for _, x := range p.Parts {
		v.Parts = append(v.Parts, rulePartCost{x.Text, x.Line, x.Column, x.Cost})
	}
	return c.encode(fasthttp.StatusOK, v)
}

type memberView struct {
	PersonID    string           `json:"personId"`
	Since       moment           `json:"since,omitzero"`
	Identifiers []identifierView `json:"identifiers,omitempty"`
}

type identifierView struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// Bounds of what one answer of members tells.
const (
	maxIdentifiers = 10  // of a member
	notedAtOnce    = 100 // persons in one entry of the activity log
)

// serveMembers lists who is in an audience: person ids, and with ?with= their
// identifiers of those types. The activity log has each person who is told.
func (c *call) serveMembers() *failure {
	k, name, f := c.oneOf(KindSegment)
	if f != nil {
		return f
	}
	limit, f := c.limit()
	if f != nil {
		return f
	}
	with, f := c.with()
	if f != nil {
		return f
	}
	ctx, cancel := context.WithTimeout(context.Background(), defineTime)
	defer cancel()
	list, next, err := k.AudienceMembers(ctx, name, string(c.ctx.QueryArgs().Peek("after")), limit)
	if err != nil {
		f := c.unknown(KindSegment, err)
		if errors.Is(err, ErrCursor) {
			f.field = "after"
		}
		return f
	}
	members := make([]memberView, 0, len(list))
	for _, m := range list {
		v := memberView{PersonID: m.Person, Since: moment(m.Since)}
		if len(with) > 0 {
			if v.Identifiers, err = c.identifiers(m.Person, with); err != nil {
				return c.internal(err)
			}
		}
		members = append(members, v)
	}
	if f := c.noteMembers(name, list, with); f != nil {
		return f
	}
	v := struct {
		Segment string       `json:"segment"`
		Members []memberView `json:"members"`
		Next    string       `json:"next,omitempty"`
	}{name, members, next}
	return c.encode(fasthttp.StatusOK, v)
}

// with reads ?with=, types of identifiers.
func (c *call) with() ([]string, *failure) {
	text := string(c.ctx.QueryArgs().Peek("with"))
	if text == "" {
		return nil, nil
	}
	types := strings.Split(text, ",")
	for _, t := range types {
		if _, known := c.s.o.Types.Rule(t); !known {
			return nil, badRequest("unknown_type", "with", fmt.Sprintf("with names %q; expected types of identifiers, with commas between them: %s", clip([]byte(t)), list(c.s.o.Types.Names())))
		}
	}
	return types, nil
}

// identifiers are a member's of some types, by what was vouched for. Who is
// erased meanwhile has none.
func (c *call) identifiers(person string, types []string) ([]identifierView, error) {
	x, err := c.s.o.People.Named(person)
	var p *people.Person
	if err == nil {
		p, err = c.s.o.People.Person(x, id.VerifiedView)
	}
	switch {
	case errors.Is(err, people.ErrUnknown):
		return nil, nil
	case err != nil:
		return nil, err
	}
	var list []identifierView
	for _, x := range p.Cluster.Members {
		if slices.Contains(types, x.Type) && len(list) < maxIdentifiers {
			list = append(list, identifierView{x.Type, x.Value})
		}
	}
	return list, nil
}

// noteMembers writes down who is told to be in an audience, some at a time.
func (c *call) noteMembers(name string, list []AudienceMember, with []string) *failure {
	for first := true; first || len(list) > 0; first = false {
		n := min(len(list), notedAtOnce)
		persons := make([]string, n)
		for i := range persons {
			persons[i] = list[i].Person
		}
		list = list[n:]
		detail := struct {
			Persons []string `json:"persons"`
			With    []string `json:"with,omitempty"`
		}{persons, with}
		if f := c.note("segment.members", plural(KindSegment)+"/"+name, "ok", detail); f != nil {
			return f
		}
	}
	return nil
}
