package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
)

// shelf stands for what keeps definitions: it takes what it is given for
// granted, but for bodies with the word wrong.
type shelf struct {
	mu       sync.Mutex
	list     []admin.Definition
	versions map[string][]admin.DefinitionVersion
	members  []admin.AudienceMember
	moves    []admin.Transition
	asked    []string
	err      error
	changing int // changes under way; never more than one
}

func (s *shelf) ask(format string, args ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, fmt.Sprintf(format, args...))
	return s.err
}

func (s *shelf) Definitions(kind string) (list []admin.Definition, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.list {
		if d.Kind == kind {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b admin.Definition) int { return strings.Compare(a.Name, b.Name) })
	return list, s.err
}

func (s *shelf) Definition(kind, name string) (admin.Definition, error) {
	list, err := s.Definitions(kind)
	for _, d := range list {
		if d.Name == name {
			return d, err
		}
	}
	if err == nil {
		err = admin.ErrUndefined
	}
	return admin.Definition{}, err
}

func (s *shelf) Define(_ context.Context, n admin.NewDefinition) (admin.Definition, error) {
	if err := s.ask("define %s %s by %s as %s: %s", n.Kind, n.Name, n.Actor, n.Body.Format, n.Body.Text); err != nil {
		return admin.Definition{}, err
	}
	s.mu.Lock()
	if s.changing++; s.changing > 1 {
		panic("two changes at a time")
	}
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.changing--; s.mu.Unlock() }()
	if strings.Contains(string(n.Body.Text), "wrong") {
		return admin.Definition{}, admin.DefinitionFaults{
			{Field: "when", Line: 1, Column: 10, Message: "there is no computed.favorite", Suggestion: "favourite"},
			{Field: "segments[3].when", Message: "reads it"},
		}
	}
	body := json.RawMessage(bytes.Clone(n.Body.Text)) // which is the request's
	if !json.Valid(body) {
		body = json.RawMessage(`{"when":"from YAML"}`)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(d admin.Definition) bool { return d.Kind == n.Kind && d.Name == n.Name })
	key := n.Kind + "/" + n.Name
	version := len(s.versions[key]) + 1
	s.versions[key] = slices.Insert(s.versions[key], 0, admin.DefinitionVersion{Number: version, At: day, Actor: n.Actor, Source: admin.SourceAPI, Body: body})
	d := admin.Definition{Kind: n.Kind, Name: n.Name, Source: admin.SourceAPI, Version: version, At: day, Actor: n.Actor, State: admin.StatePending, Body: body,
		Backfill: admin.Backfill{State: admin.BackfillRunning, Progress: 0.4299, Events: 7, Begun: day, Left: 11_001}, Cost: 12, Uses: []string{"traits/orders"}}
	s.list = append(s.list, d)
	return d, nil
}

func (s *shelf) Undefine(_ context.Context, kind, name, actor string) (int, error) {
	if err := s.ask("undefine %s %s by %s", kind, name, actor); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(d admin.Definition) bool { return d.Kind == kind && d.Name == name })
	key := kind + "/" + name
	version := len(s.versions[key]) + 1
	s.versions[key] = slices.Insert(s.versions[key], 0, admin.DefinitionVersion{Number: version, At: day + 1000, Actor: actor, Source: admin.SourceAPI, Deleted: true})
	return version, nil
}

func (s *shelf) Versions(kind, name string) ([]admin.DefinitionVersion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, ok := s.versions[kind+"/"+name]
	if !ok {
		return nil, admin.ErrUndefined
	}
	return list, s.err
}

func (s *shelf) Export() ([]byte, error) { return []byte("segments:\n  - name: a\n"), s.err }

func (s *shelf) Preview(_ context.Context, b admin.DefinitionBody) (admin.AudiencePreview, error) {
	if strings.Contains(string(b.Text), "wrong") {
		return admin.AudiencePreview{}, admin.DefinitionFaults{{Field: "when", Line: 1, Column: 2, Message: "too much"}}
	}
	return admin.AudiencePreview{
		Members: admin.Estimate{Count: 1200, Low: 1100, High: 1310}, Persons: 100_000, Sampled: 5000, Share: 0.012, Cost: 40, Limit: 100_000, Took: 1500,
		Parts: []admin.RuleCost{{Text: "counts.orders > 1", Line: 1, Column: 1, Cost: 3}}, Partial: []string{"traits/orders"},
	}, s.ask("preview %s: %s", b.Format, b.Text)
}

func (s *shelf) AudienceMembers(_ context.Context, name, after string, most int) (list []admin.AudienceMember, next string, err error) {
	if err := s.ask("members %s after %q, %d", name, after, most); err != nil {
		return nil, "", err
	}
	if name != "fans" {
		return nil, "", admin.ErrUndefined
	}
	begin := 0
	if after != "" {
		if n, err := fmt.Sscanf(after, "n%d", &begin); n != 1 || err != nil {
			return nil, "", admin.ErrCursor
		}
	}
	end := min(len(s.members), begin+most)
	if end < len(s.members) {
		next = fmt.Sprint("n", end)
	}
	return s.members[begin:end], next, nil
}

func (s *shelf) Explain(_ context.Context, q admin.ExplainQuery) (x admin.Explanation, err error) {
	if err := s.ask("explain %s %s to %s:%s, view %s, site %q, at %d", q.Kind, q.Name, q.Person.Type, q.Person.Value, q.View, q.Site, q.At); err != nil {
		return x, err
	}
	if q.Name == "none" {
		return x, admin.ErrUndefined
	}
	yes := true
	x = admin.Explanation{Version: 3, At: day, Until: day + 5000, Notes: []string{"identities are today's"}}
	switch q.Kind {
	case admin.KindSegment:
		x.Rule, x.In, x.Since = "computed.orders >= 1", true, day-1000
		x.Parts = []admin.RulePart{{Text: x.Rule, Line: 1, Column: 1, Holds: &yes, Value: "true"}, {Text: "computed.orders", Line: 1, Column: 1, Depth: 1, Value: "2"}}
	case admin.KindTrait:
		x.Value = event.Value(`["a","b"]`)
		if q.Name == "unknown" {
			x.Value = ""
		}
	case admin.KindPlacement:
		x.Variant, x.Holdout = "default", true
		x.Variants = []admin.VariantReason{{Name: "thrillers", Code: "held_out", Reason: "held out", Rule: "true"}, {Name: "default", Chosen: true, Code: "shown", Reason: "it is"}}
	}
	return x, nil
}

func (s *shelf) Transitions(_ context.Context, x id.ID, v id.View, before string, most int) ([]admin.Transition, string, error) {
	if before == "x" {
		return nil, "", admin.ErrCursor
	}
	n := min(most, len(s.moves))
	next := ""
	if n < len(s.moves) {
		next = "more"
	}
	return s.moves[:n], next, s.ask("transitions of %s:%s, view %s, before %q", x.Type, x.Value, v, before)
}

func (s *shelf) Results(_ context.Context, placement string) (admin.PlacementResults, error) {
	if placement != "hero" {
		return admin.PlacementResults{}, admin.ErrUndefined
	}
	return admin.PlacementResults{Goal: "Order Completed", Counted: 9, Behind: 1, Versions: []admin.PlacementVersion{
		{Version: 2, First: day, Last: day + 1000, Several: 3, Variants: []admin.VariantResult{
			{Name: "thrillers", Persons: 100, Conversions: 10, Value: 99.5, Rate: admin.Interval{Value: 0.1, Low: 0.05, High: 0.17}, Worth: admin.Interval{Value: 0.995, Low: math.NaN(), High: math.NaN()},
				Against: &admin.Comparison{Variant: "thrillers", Holdout: true, Rate: admin.Interval{Value: 0.02, Low: -0.1, High: 0.14}}, Best: 0.7},
			{Name: "thrillers", Holdout: true, Persons: 12, Conversions: 1},
		}}}}, s.err
}
