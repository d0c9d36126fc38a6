package app

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/gateway/decide"
	"github.com/reuna/reuna/gateway/define"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/storage/people"
)

// sampled is how many persons a preview looks at, at most.
const sampled = 2000

// Preview estimates the size of an audience from a sample of persons. Each is
// folded anew from their events, so that it does not matter whether anything of
// it was defined before.
func (k *knowledge) Preview(ctx context.Context, body admin.DefinitionBody) (x admin.AudiencePreview, err error) {
	p, b, err := config.ReadPreview(config.Format(body.Format), body.Text)
	if err != nil {
		return x, inBody(err)
	}
	l, _, err := k.lookAt(p)
	if err != nil {
		return x, k.refused(define.Segment, previewed, b, err)
	}
	r, bad := l.Env.Rule("when", p.When, l.Segments.All())
	if len(bad) > 0 {
		return x, inBody(b.Faults("", bad))
	}
	x.Cost, x.Limit, x.Parts = r.Cost(), rule.MaxCost, costs(r)
	s, err := k.a.people.Sample(ctx, sampled)
	if err != nil {
		return x, err
	}
	began, in := time.Now(), int64(0)
	now := began.UnixMilli()
	for _, who := range s.Persons {
		past, err := k.a.people.PastProfile(ctx, who, id.VerifiedView, now, facet.Rules{Contribute: l.Traits.Contribute})
		if errors.Is(err, people.ErrUnknown) {
			continue // erased meanwhile
		}
		if err != nil {
			return x, err
		}
		sub := k.a.judge.get(l, past.Profile, nil, now)
		l.Segments.Members(sub)
		for _, name := range sub.Segments {
			if name == previewed {
				in++
			}
		}
		k.a.judge.put(sub)
		x.Sampled++
	}
	if x.Sampled > 0 {
		x.Took = time.Since(began).Nanoseconds() / x.Sampled
		x.Share = float64(in) / float64(x.Sampled)
	}
	x.Persons = s.Total
	x.Members = estimate(in, x.Sampled, s.Total, s.Share)
	return x, nil
}

// estimate is how many of total persons there are when in of looked were, with
// Wilson's interval of 95 % (E. B. Wilson, 1927); everybody was looked at where
// share is 1.
func estimate(in, looked, total int64, share float64) admin.Estimate {
	if share >= 1 || looked == 0 {
		return admin.Estimate{Count: in, Low: in, High: in}
	}
	const z = 1.959964
	n, p := float64(looked), float64(in)/float64(looked)
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	all := float64(total)
	return admin.Estimate{
		Count: int64(math.Round(p * all)),
		Low:   int64(max(0, math.Floor((middle-half)*all))), High: int64(min(all, math.Ceil((middle+half)*all))),
	}
}

// Explain says why.
func (k *knowledge) Explain(ctx context.Context, q admin.ExplainQuery) (x admin.Explanation, err error) {
	person, err := k.a.people.Person(q.Person, q.View)
	if err != nil {
		return x, err
	}
	x.At = q.At
	l, profile := k.a.defs.Live(), person.Profile
	if q.At == 0 {
		x.At = time.Now().UnixMilli()
	} else {
		if l, err = k.a.defs.Past(q.At); err != nil {
			return x, err
		}
		past, err := k.a.people.PastProfile(ctx, q.Person, q.View, q.At, facet.Rules{Contribute: l.Traits.Contribute})
		if err != nil {
			return x, err
		}
		profile = past.Profile
		x.Notes = append(x.Notes, "Who belongs to the person is as it is known today; what they had done, and what was defined, is of that time.")
		if past.From > 0 {
			x.Notes = append(x.Notes, fmt.Sprintf("Events received before %s were deleted by age and are missing from it.", time.UnixMilli(past.From).UTC().Format(time.DateOnly)))
		}
	}
	if v, ok := k.a.kept.Get(q.Kind, q.Name); ok && q.At == 0 {
		x.Version = int(v.Number)
	}
	var present []string
	for _, m := range person.Cluster.Members {
		if len(present) == 0 || present[len(present)-1] != m.Type {
			present = append(present, m.Type)
		}
	}
	sub := k.a.judge.get(l, profile, present, x.At)
	defer k.a.judge.put(sub)
	switch q.Kind {
	case define.Segment:
		err = k.whyIn(l, sub, &q, &x)
	case define.Trait:
		err = k.whyValue(sub, &q, &x)
	default:
		err = k.whyShown(l, sub, person, &q, &x)
	}
	return x, err
}

// until is a time as the desk says it: 0 for never.
func until(at int64) int64 {
	if at == rule.Never {
		return 0
	}
	return at
}

func (k *knowledge) whyIn(l *define.Live, sub *segment.Subject, q *admin.ExplainQuery, x *admin.Explanation) error {
	why, err := l.Segments.Explain(sub, q.Name)
	if err != nil {
		return k.notThen(q, x)
	}
	x.Rule, x.In, x.Until, x.Parts = l.Rule(q.Name), why.In, until(why.Until), parts(why.Parts)
	if why.Site != "" && why.Site != why.SeenOn {
		x.Notes = append(x.Notes, fmt.Sprintf("The audience is of those who were last seen on the site %q; this person was last seen on %q.", why.Site, why.SeenOn))
	}
	if !x.In {
		return nil
	}
	if q.At == 0 {
		s, err := k.a.people.Profile(q.Person, id.VerifiedView)
		if a, defined := k.audience(q.Name); err == nil && defined == nil {
			x.Since, _ = s.Standing.Since(a.ID)
		}
		return err
	}
	before := people.Place{Time: q.At + 1}
	list, _, err := k.a.people.Transitions(q.Person, q.View, before, 1000)
	for _, t := range list {
		if t.Name == q.Name {
			if t.Entered {
				x.Since = t.At
			}
			break
		}
	}
	return err
}

// notThen is for a definition that nothing can be told of, at the time that is
// asked for.
func (k *knowledge) notThen(q *admin.ExplainQuery, x *admin.Explanation) error {
	for _, s := range k.a.defs.List(q.Kind) {
		switch {
		case s.Name != q.Name:
		case q.At != 0:
			x.Notes = append(x.Notes, "It was not defined at that time.")
			return nil
		case s.Refused != nil:
			x.Notes = append(x.Notes, "It cannot work beside the other definitions: "+s.Refused.Error())
			return nil
		default:
			x.Notes = append(x.Notes, "It is not whole yet: what happened before it was defined is still being added; or it is of another site.")
			return nil
		}
	}
	return admin.ErrUndefined
}

func (k *knowledge) whyValue(sub *segment.Subject, q *admin.ExplainQuery, x *admin.Explanation) error {
	v, ok := sub.Computed.Get(q.Name)
	if !ok {
		return k.notThen(q, x)
	}
	if v.Known() {
		x.Value = v.JSON()
	}
	x.Until = until(v.Until)
	return nil
}

func (k *knowledge) whyShown(l *define.Live, sub *segment.Subject, p *people.Person, q *admin.ExplainQuery, x *admin.Explanation) error {
	l.Segments.Members(sub)
	site := q.Site
	if site == "" {
		site = sub.Profile.Site
	}
	v := &decide.View{Subject: sub, Profile: sub.Profile, Now: x.At}
	v.ID, v.Person = unitOf(p)
	why, ok := decider(l).Explain(v, site, q.Name)
	if !ok {
		return k.notThen(q, x)
	}
	x.Variant, x.Holdout, x.Until = why.Decision.Variant, why.Decision.Holdout, until(why.Until)
	if !why.Decided {
		x.Notes = append(x.Notes, "No variant is for this person: the page keeps its own content.")
	}
	if q.At == 0 {
		x.Version = why.Version
	}
	for i, r := range why.Variants {
		y := admin.VariantReason{Name: r.Variant, Chosen: r.Variant == why.Decision.Chosen && why.Decided, Code: r.Why, Reason: r.Text}
		if text, compiled := l.PlacementRule(site, q.Name, fmt.Sprintf("variants[%d].when", i)); text != "" {
			y.Rule = text
			if compiled != nil {
				if list, err := compiled.Explain(sub); err == nil {
					y.Parts = parts(list)
				}
			}
		}
		x.Variants = append(x.Variants, y)
	}
	return nil
}

// unitOf is who chances are for: a known person's user, else their device.
func unitOf(p *people.Person) (visitor, user string) {
	for _, m := range p.Cluster.Members {
		switch m.Type {
		case id.UserID:
			user = m.Value
		case id.AnonymousID:
			visitor = m.Value
		}
	}
	return visitor, user
}

func parts(list []rule.Part) (out []admin.RulePart) {
	for _, p := range list {
		y := admin.RulePart{Text: p.Text, Line: p.Line, Column: p.Column, Depth: p.Depth, Value: event.Value(p.Value), Holds: p.Holds}
		out = append(out, y)
	}
	return out
}

// Transitions are the audiences that a person entered and left.
func (k *knowledge) Transitions(_ context.Context, x id.ID, v id.View, before string, most int) (list []admin.Transition, next string, err error) {
	var at people.Place
	if before != "" {
		raw, err := hex.DecodeString(before)
		ok := err == nil
		if ok {
			at, ok = people.ParsePlace(raw)
		}
		if !ok {
			return nil, "", admin.ErrCursor
		}
	}
	found, to, err := k.a.people.Transitions(x, v, at, most)
	if err != nil {
		return nil, "", err
	}
	for _, t := range found {
		list = append(list, admin.Transition{Audience: t.Name, Entered: t.Entered, At: t.At, Cause: t.Cause.String()})
	}
	if to != (people.Place{}) {
		next = hex.EncodeToString(to.Bytes())
	}
	return list, next, nil
}
