package app

import (
	"fmt"

	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/gateway/decide"
	"github.com/reuna/reuna/gateway/define"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait"
)

// The configuration, the compilers and the store have words of their own for one
// definition; what follows hands over.

// fileDefinitions are what a configuration defines.
func fileDefinitions(cfg *config.Config) (list []define.Definition) {
	return definitionsOf(&config.Definitions{Traits: cfg.Traits, Segments: cfg.Segments, Placements: cfg.Placements}, define.FromFile)
}

func definitionsOf(x *config.Definitions, source string) (list []define.Definition) {
	for i := range x.Traits {
		list = append(list, traitDefinition(&x.Traits[i], source))
	}
	for i := range x.Segments {
		list = append(list, segmentDefinition(&x.Segments[i], source))
	}
	for i := range x.Placements {
		list = append(list, placementDefinition(&x.Placements[i], source))
	}
	return list
}

// builtins are the traits that the program brings, unless the configuration
// does without.
func builtins(cfg *config.Config) (list []define.Definition) {
	if !cfg.Builtins {
		return nil
	}
	for _, d := range trait.Builtins() {
		list = append(list, traitDefinition(configTrait(&d), define.FromProgram))
	}
	return list
}

func traitDefinition(t *config.Trait, source string) define.Definition {
	return define.Definition{Kind: define.Trait, Name: t.Name, Source: source, Trait: t.Definition(), Body: t.JSON()}
}

// configTrait is the same the other way round, for a trait that no file has.
func configTrait(d *trait.Definition) *config.Trait {
	t := &config.Trait{
		Name: d.Name, Kind: d.Kind, Event: d.Event, Events: d.Events, Where: d.Where, By: d.By, Value: d.Value,
		Window: d.Window, HalfLife: d.HalfLife, Limit: d.Limit, AtLeast: d.AtLeast, Unit: d.Unit, Timezone: d.Timezone, Longest: d.Longest,
		Within: d.Within, Recency: d.Recency, Frequency: d.Frequency, Monetary: d.Monetary, Site: d.Site,
	}
	for _, s := range d.Steps {
		t.Steps = append(t.Steps, config.Step(s))
	}
	if d.Not != nil {
		t.Not = &config.Step{Event: d.Not.Event, Where: d.Not.Where}
	}
	return t
}

func segmentDefinition(s *config.Segment, source string) define.Definition {
	return define.Definition{
		Kind: define.Segment, Name: s.Name, Source: source, Body: s.JSON(),
		Segment: segment.Definition{Name: s.Name, When: s.When, Site: s.Site},
	}
}

// placed is a placement as the definitions' keeper holds it for the decider.
type placed struct {
	decide.Placement
	goal *config.Goal
}

// At is the placement as a version of its definition.
func (p *placed) At(version int) any {
	x := *p
	x.Version = version
	return &x
}

func placementDefinition(p *config.Placement, source string) define.Definition {
	x := placed{goal: p.Goal, Placement: decide.Placement{Name: p.Name, Site: p.Site, Choose: p.Choose, Holdout: float64(p.Holdout)}}
	d := define.Definition{Kind: define.Placement, Name: p.Name, Site: p.Site, Source: source, Body: p.JSON()}
	for i, v := range p.Variants {
		x.Variants = append(x.Variants, decide.Variant{
			Name: v.Name, When: v.When, Experience: v.Experience, Holdout: float64(v.Holdout), Weight: v.Weight,
			Schedule: decide.Schedule{From: v.From, Until: v.Until, Days: v.Days, Hours: v.Hours, Timezone: v.Timezone},
			Cap:      decide.Cap(v.Cap),
		})
		if v.When != "" {
			d.Rules = append(d.Rules, define.Text{Path: fmt.Sprintf("variants[%d].when", i), CEL: v.When})
		}
	}
	d.Placement = &x
	return d
}

// decodeDefinition reads a body that was kept.
func decodeDefinition(kind, name string, body []byte) (d define.Definition, err error) {
	var b *config.Body
	switch kind {
	case define.Trait:
		if b, err = config.ReadTrait(name, config.JSON, body); err == nil {
			d = traitDefinition(b.Trait, define.FromAPI)
		}
	case define.Segment:
		if b, err = config.ReadSegment(name, config.JSON, body); err == nil {
			d = segmentDefinition(b.Segment, define.FromAPI)
		}
	case define.Placement:
		if b, err = config.ReadPlacement(name, config.JSON, body); err == nil {
			d = placementDefinition(b.Placement, define.FromAPI)
		}
	default:
		err = fmt.Errorf("a definition of kind %q, which this program does not know", kind)
	}
	return d, err
}
