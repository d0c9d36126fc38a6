package app

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/gateway/define"
	"github.com/reuna/reuna/gateway/insight/experiment"
	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/storage/definitions"
	"github.com/reuna/reuna/storage/people"
)

// knowledge answers the desk for definitions.
type knowledge struct {
	a      *App
	read   atomic.Pointer[readings]
	counts counts
}

// readings are what the rules of definitions read and cost at most. To find it
// out compiles each of them, so it is kept for as long as the same is at work.
type readings struct {
	of   *define.Live
	uses map[string][]string // by segments/name or placements/name, which others: traits/name, segments/name
	cost map[string]uint64   // of audiences, by name
}

// Definitions lists those of a kind, by name.
func (k *knowledge) Definitions(kind string) ([]admin.Definition, error) {
	read := k.readings()
	var list []admin.Definition
	for _, x := range k.a.defs.List(kind) {
		list = append(list, k.definition(&x, read))
	}
	slices.SortFunc(list, func(a, b admin.Definition) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Definition gives one.
func (k *knowledge) Definition(kind, name string) (admin.Definition, error) {
	for _, x := range k.a.defs.List(kind) {
		if x.Name == name {
			d := k.definition(&x, k.readings())
			if kind == define.Segment && x.ID != 0 {
				n, err := k.counts.of(x.ID, x.Job.State, time.Now, k.a.people.CountMembers)
				if err != nil {
					return d, err
				}
				d.Members = &admin.Estimate{Count: n, Low: n, High: n}
			}
			return d, nil
		}
	}
	return admin.Definition{}, admin.ErrUndefined
}

func (k *knowledge) definition(x *define.Status, read *readings) admin.Definition {
	d := admin.Definition{
		Kind: x.Kind, Name: x.Name, Source: x.Source, Body: x.Body, State: admin.StateActive,
		Backfill: admin.Backfill{State: x.Job.State, Progress: x.Job.Share, Events: x.Job.Events, Left: x.Job.Left.Milliseconds()},
	}
	if x.Job.Left < 0 {
		d.Backfill.Left = -1
	}
	if !x.Job.Begun.IsZero() {
		d.Backfill.Begun = x.Job.Begun.UnixMilli()
	}
	if x.Job.Failed != nil {
		d.Backfill.Reason = x.Job.Failed.Error()
	}
	if v, ok := k.a.kept.Get(x.Kind, x.Name); ok && !v.Deleted {
		d.Version, d.At, d.Actor = int(v.Number), v.At, v.Actor
	}
	switch {
	case x.Refused != nil:
		d.State, d.Reason = admin.StateRefused, x.Refused.Error()
	case x.Pending:
		d.State = admin.StatePending
	}
	me := x.Kind + "s/" + x.Name
	d.Uses = read.uses[me]
	for other, list := range read.uses {
		if slices.Contains(list, me) {
			d.UsedBy = append(d.UsedBy, other)
		}
	}
	slices.Sort(d.UsedBy)
	if x.Kind == define.Segment && x.Refused == nil {
		d.Cost = read.cost[x.Name]
	}
	return d
}

// readings of what is at work.
func (k *knowledge) readings() *readings {
	l := k.a.defs.Live()
	if x := k.read.Load(); x != nil && x.of == l {
		return x
	}
	x := &readings{l, map[string][]string{}, map[string]uint64{}}
	out := x.uses
	read := func(of, path, text string) (cost uint64) {
		r, bad := l.Env.Rule(path, text, l.Segments.All())
		if len(bad) > 0 {
			return 0
		}
		for _, u := range r.Uses() {
			switch u.Name {
			case "computed":
				if !l.Hidden(u.Member) {
					out[of] = append(out[of], "traits/"+u.Member)
				}
			case "segments":
				out[of] = append(out[of], "segments/"+u.Member)
			}
		}
		slices.Sort(out[of])
		out[of] = slices.DeleteFunc(slices.Compact(out[of]), func(s string) bool { return strings.HasSuffix(s, "/") })
		return r.Cost()
	}
	for _, d := range k.a.defs.Wanted() {
		switch d.Kind {
		case define.Segment:
			x.cost[d.Name] = read("segments/"+d.Name, "when", d.Segment.When)
		case define.Placement:
			for _, r := range d.Rules {
				read("placements/"+d.Name, r.Path, r.CEL)
			}
		}
	}
	k.read.Store(x) // what changed meanwhile has another Live, and is read then
	return x
}

// Define puts a definition in the place of what has that name.
func (k *knowledge) Define(_ context.Context, n admin.NewDefinition) (d admin.Definition, err error) {
	format := config.Format(n.Body.Format)
	var body *config.Body
	var x define.Definition
	switch n.Kind {
	case define.Trait:
		if body, err = config.ReadTrait(n.Name, format, n.Body.Text); err == nil {
			x = traitDefinition(body.Trait, define.FromAPI)
		}
	case define.Segment:
		if body, err = config.ReadSegment(n.Name, format, n.Body.Text); err == nil {
			x = segmentDefinition(body.Segment, define.FromAPI)
		}
	case define.Placement:
		if body, err = config.ReadPlacement(n.Name, format, n.Body.Text); err == nil {
			x = placementDefinition(body.Placement, define.FromAPI)
		}
	}
	if err != nil {
		return d, inBody(err)
	}
	if _, err = k.a.defs.Put(x, n.Actor); err != nil {
		return d, k.refused(n.Kind, n.Name, body, err)
	}
	return k.Definition(n.Kind, n.Name)
}

// Undefine takes it away.
func (k *knowledge) Undefine(_ context.Context, kind, name, actor string) (int, error) {
	version, err := k.a.defs.Delete(kind, name, actor)
	if err != nil {
		return 0, k.refused(kind, name, nil, err)
	}
	return version, nil
}

// refused is the desk's word for what the definitions' keeper says.
func (k *knowledge) refused(kind, name string, body *config.Body, err error) error {
	var faults define.Faults
	switch {
	case errors.Is(err, define.ErrNone):
		return admin.ErrUndefined
	case errors.Is(err, define.ErrFixed):
		return &admin.Refusal{
			Status: 409, Code: "defined_in_file",
			Message: fmt.Sprintf("the %s %q is defined in the configuration file, or is the demo shop's; change it there, or choose another name", kind, name),
		}
	case errors.As(err, &faults):
		var own rule.Faults
		var list admin.DefinitionFaults
		for _, f := range faults {
			if f.Kind == kind && f.Name == name && body != nil {
				own = append(own, f.Fault)
				continue
			}
			list = append(list, admin.DefinitionFault{
				Field: fmt.Sprintf("%ss[%s].%s", f.Kind, f.Name, f.Path), Line: f.Line, Column: f.Column, Message: f.Message, Suggestion: f.Suggestion,
			})
		}
		if len(own) > 0 {
			var at admin.DefinitionFaults
			if errors.As(inBody(body.Faults("", own)), &at) {
				list = append(at, list...)
			}
		}
		return list
	}
	return err
}

// inBody is the desk's form of a body's faults.
func inBody(err error) error {
	var faults config.Faults
	if !errors.As(err, &faults) {
		return err
	}
	var list admin.DefinitionFaults
	for _, f := range faults {
		list = append(list, admin.DefinitionFault{Field: f.Path, Line: f.Line, Column: f.Column, Message: f.Message, Suggestion: f.Suggestion})
	}
	return list
}

// Versions gives all that were, the newest first.
func (k *knowledge) Versions(kind, name string) (list []admin.DefinitionVersion, err error) {
	kept, err := k.a.kept.History(kind, name)
	if err != nil {
		return nil, err
	}
	if len(kept) == 0 {
		return nil, admin.ErrUndefined
	}
	for _, v := range kept {
		list = append(list, admin.DefinitionVersion{Number: int(v.Number), At: v.At, Actor: v.Actor, Source: v.Source, Deleted: v.Deleted, Body: v.Body})
	}
	return list, nil
}

// Export writes what is in force as a configuration file takes it.
func (k *knowledge) Export() ([]byte, error) {
	var all config.Definitions
	for _, d := range k.a.defs.Wanted() {
		if d.Source != define.FromFile && d.Source != define.FromAPI {
			continue
		}
		var b *config.Body
		var err error
		switch d.Kind {
		case define.Trait:
			if b, err = config.ReadTrait(d.Name, config.JSON, d.Body); err == nil {
				all.Traits = append(all.Traits, *b.Trait)
			}
		case define.Segment:
			if b, err = config.ReadSegment(d.Name, config.JSON, d.Body); err == nil {
				all.Segments = append(all.Segments, *b.Segment)
			}
		case define.Placement:
			if b, err = config.ReadPlacement(d.Name, config.JSON, d.Body); err == nil {
				all.Placements = append(all.Placements, *b.Placement)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("export of the %s %q: %w", d.Kind, d.Name, err)
		}
	}
	return all.YAML(), nil
}

// AudienceMembers lists who is in an audience.
func (k *knowledge) AudienceMembers(_ context.Context, name, after string, most int) (list []admin.AudienceMember, next string, err error) {
	audience, err := k.audience(name)
	if err != nil {
		return nil, "", err
	}
	var from people.Hash
	if after != "" {
		raw, err := hex.DecodeString(after)
		if err != nil || len(raw) != len(from) {
			return nil, "", admin.ErrCursor
		}
		from = people.Hash(raw)
	}
	members, to, err := k.a.people.Members(audience.ID, from, most)
	if err != nil {
		return nil, "", err
	}
	for _, m := range members {
		list = append(list, admin.AudienceMember{Person: m.Person, Since: m.Since})
	}
	if to != (people.Hash{}) {
		next = hex.EncodeToString(to[:])
	}
	return list, next, nil
}

func (k *knowledge) audience(name string) (definitions.Audience, error) {
	for _, a := range k.a.kept.Audiences() {
		if a.Name == name {
			return a, nil
		}
	}
	return definitions.Audience{}, admin.ErrUndefined
}

// Results tells what a placement led to.
func (k *knowledge) Results(_ context.Context, placement string) (x admin.PlacementResults, err error) {
	var body define.Definition
	for _, d := range k.a.defs.Wanted() {
		if d.Kind == define.Placement && d.Name == placement {
			body = d
			break
		}
	}
	if body.Name == "" {
		return x, admin.ErrUndefined
	}
	p := body.Placement.(*placed)
	if p.goal != nil {
		x.Goal = p.goal.Event
		if p.goal.Where != "" {
			x.Goal += " where " + p.goal.Where
		}
	}
	r := k.a.experiments.Load()
	x.Counted = r.Stats().UpTo
	if end := k.a.events.Durable(); end > x.Counted {
		x.Behind = end - x.Counted
	}
	for _, y := range r.Results(p.Site, placement) {
		v := admin.PlacementVersion{Version: y.Version, First: y.First.UnixMilli(), Last: y.Last.UnixMilli(), Several: y.Several}
		for i := range y.Variants {
			z := &y.Variants[i]
			w := admin.VariantResult{
				Name: z.Variant, Holdout: z.HeldOut, Persons: z.Persons, Conversions: z.Converted, Value: z.Value,
				Rate: interval(z.Rate), Worth: interval(z.Worth), Best: z.Best,
			}
			if c := z.Against; c != nil {
				w.Against = &admin.Comparison{Variant: c.Variant, Holdout: c.HeldOut, Rate: interval(c.Rate), Worth: interval(c.Worth)}
			}
			v.Variants = append(v.Variants, w)
		}
		x.Versions = append(x.Versions, v)
	}
	return x, nil
}

func interval(x experiment.Interval) admin.Interval {
	return admin.Interval{Value: x.Estimate, Low: x.Low, High: x.High}
}

// mostParts is how many parts of a rule a preview tells the cost of.
const mostParts = 5

// costs are the parts of a rule that cost most.
func costs(r *rule.Rule) (list []admin.RuleCost) {
	all := r.Costs()
	for _, p := range all[:min(len(all), mostParts)] {
		list = append(list, admin.RuleCost(p))
	}
	return list
}

// previewed is the name that an audience has which is only looked at.
const previewed = "preview"

// lookAt compiles what there is with an audience more, and says of what it reads
// the store knows nothing yet.
func (k *knowledge) lookAt(p *config.Preview) (l *define.Live, fresh []string, err error) {
	list := k.a.defs.Wanted()
	var bodies []define.Definition
	for i := range p.Traits {
		bodies = append(bodies, traitDefinition(&p.Traits[i], define.FromAPI))
		fresh = append(fresh, "traits/"+p.Traits[i].Name)
	}
	bodies = append(bodies, segmentDefinition(&config.Segment{Name: previewed, When: p.When, Site: p.Site}, define.FromAPI))
	list = slices.DeleteFunc(list, func(d define.Definition) bool {
		return d.Kind == define.Placement || slices.ContainsFunc(bodies, func(b define.Definition) bool { return b.Kind == d.Kind && b.Name == d.Name })
	})
	l, err = k.a.defs.Whole(append(list, bodies...))
	return l, fresh, err
}
