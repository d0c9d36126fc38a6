package app

import (
	"errors"
	"time"

	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/gateway/decide"
	"github.com/reuna/reuna/gateway/demo"
	"github.com/reuna/reuna/gateway/pipeline"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/storage/people"
)

// definitions are the compiled traits, segments and placements: the operator's,
// for every site of the config, and the demo shop's own, which are for its site
// alone and cannot meet the operator's.
type definitions struct {
	own, demo world
}

// world is one set of definitions that may refer to each other.
type world struct {
	traits   *trait.Set
	segments *segment.Set
	decider  *decide.Decider
}

func (d *definitions) of(site string) *world {
	if site == demoName && d.demo.decider != nil {
		return &d.demo
	}
	return &d.own
}

// Append writes an answer's members by the site's definitions. It makes
// definitions the pipeline's Decider.
func (d *definitions) Append(dst []byte, v *pipeline.View, site string, placements []string) []byte {
	return d.of(site).decider.Append(dst, &decide.View{
		ID: v.Visitor, Person: v.Person, Known: v.Known, Profile: v.Profile, Now: v.Now, Event: v.Event, Identifiers: v.Present,
	}, site, placements)
}

// contribute names what an event adds to its site's computed traits.
func (d *definitions) contribute(e *event.Event, seq uint64, add func(*facet.Contribution)) {
	d.of(e.Site).traits.Contribute(e, seq, add)
}

// derive computes what the desk shows of a person: by the operator's
// definitions, and by the demo's where the person has been there.
func (d *definitions) derive(p *people.Person, now time.Time) (computed map[string]any, segments []string) {
	computed = map[string]any{}
	var present []string
	for _, x := range p.Cluster.Members {
		present = append(present, x.Type)
	}
	for _, w := range []*world{&d.own, &d.demo} {
		if w.traits == nil && w.segments == nil {
			continue
		}
		sub := segment.Subject{Profile: p.Profile, Computed: w.traits.Compute(p.Profile, now.UnixMilli()), Identifiers: present, Now: now.UnixMilli()}
		w.segments.Members(&sub)
		known := 0
		sub.Computed.Each(func(name string, v trait.Value) {
			if v.Known() {
				computed[name] = v.JSON().Any()
				known++
			}
		})
		if w == &d.own || known > 0 {
			segments = append(segments, sub.Segments...)
		}
	}
	return computed, segments
}

// define compiles everything, and tells every fault with its place in the file.
func define(cfg *config.Config, salt []byte) (d *definitions, err error) {
	d = &definitions{}
	var traits []trait.Definition
	for _, t := range cfg.Traits {
		traits = append(traits, trait.Definition{Name: t.Name, Kind: t.Kind, Event: t.Event, Where: t.Where, By: t.By, Window: t.Window, HalfLife: t.HalfLife})
	}
	var segments []segment.Definition
	for _, s := range cfg.Segments {
		segments = append(segments, segment.Definition{Name: s.Name, When: s.When})
	}
	var placements []decide.Placement
	for _, p := range cfg.Placements {
		x := decide.Placement{Name: p.Name}
		for _, v := range p.Variants {
			x.Variants = append(x.Variants, decide.Variant{Name: v.Name, When: v.When, Experience: v.Experience, Holdout: float64(v.Holdout)})
		}
		placements = append(placements, x)
	}
	var sites []decide.Site
	for _, s := range cfg.Sites {
		sites = append(sites, decide.Site{Name: s.Name, PageTraits: s.PageTraits})
	}
	if d.own, err = compile(traits, segments, placements, sites, salt); err != nil {
		return nil, located(cfg, err)
	}
	if cfg.Demo {
		d.demo, err = defineDemo(salt)
	}
	return d, err
}

func defineDemo(salt []byte) (world, error) {
	var traits []trait.Definition
	for _, t := range demo.Traits() {
		traits = append(traits, trait.Definition{Name: t.Name, Kind: t.Kind, Event: t.Event, By: t.By, HalfLife: t.HalfLife})
	}
	var segments []segment.Definition
	for _, s := range demo.Segments(0) {
		segments = append(segments, segment.Definition{Name: s.Name, When: s.When})
	}
	list, err := demo.Placements()
	if err != nil {
		return world{}, err
	}
	var placements []decide.Placement
	for _, p := range list {
		x := decide.Placement{Name: p.Name}
		for _, v := range p.Variants {
			x.Variants = append(x.Variants, decide.Variant{Name: v.Name, When: v.When})
		}
		placements = append(placements, x)
	}
	return compile(traits, segments, placements, []decide.Site{{Name: demoName, PageTraits: demoTraits()}}, salt)
}

func compile(traits []trait.Definition, segments []segment.Definition, placements []decide.Placement, sites []decide.Site, salt []byte) (w world, err error) {
	var faults rule.Faults
	note := func(err error) {
		var list rule.Faults
		if errors.As(err, &list) {
			faults = append(faults, list...)
		} else if err != nil {
			faults = append(faults, rule.Fault{Message: err.Error()})
		}
	}
	w.traits, err = trait.Compile(traits)
	note(err)
	env := segment.NewEnv(w.traits)
	w.segments, err = segment.Compile(env, segments)
	note(err)
	w.decider, err = decide.New(decide.Options{
		Env: env, Traits: w.traits, Segments: w.segments, Placements: placements, Sites: sites, Salt: salt,
	})
	note(err)
	return w, faults.Err()
}

// located gives rules' faults their place in the configuration file.
func located(cfg *config.Config, err error) error {
	var list rule.Faults
	if !errors.As(err, &list) {
		return err
	}
	var faults config.Faults
	for _, f := range list {
		faults = append(faults, cfg.Fault(f.Path, f.Text()))
	}
	return faults.Err()
}

// CheckDefinitions compiles the rules of a configuration and tells every fault.
func CheckDefinitions(cfg *config.Config) error {
	_, err := define(cfg, make([]byte, 32)) // the salt changes who is held out, not what is right
	return err
}

// foldRules are the store's: they follow the definitions of the moment.
func (a *App) foldRules() facet.Rules {
	return facet.Rules{
		MaxTraits: a.cfg.Limits.TraitsPerPerson,
		Contribute: func(e *event.Event, seq uint64, add func(*facet.Contribution)) {
			a.defs.Load().contribute(e, seq, add)
		},
	}
}
