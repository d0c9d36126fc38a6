package app

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/gateway/decide"
	"github.com/reuna/reuna/gateway/define"
	"github.com/reuna/reuna/gateway/demo"
	"github.com/reuna/reuna/gateway/insight/experiment"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/storage/definitions"
)

// openDefinitions opens what operators defined and compiles it together with
// the configuration's. What is new comes to work with startDefinitions.
func (a *App) openDefinitions() (err error) {
	a.judge = &judge{a: a}
	if a.kept, err = definitions.Open(a.db, a.vault); err != nil {
		return err
	}
	fixed, err := fixedDefinitions(a.cfg, a.o.DemoFanFor)
	if err != nil {
		return err
	}
	a.defs, err = define.Open(define.Options{
		Kept: a.kept, Decode: decodeDefinition, Placements: a.placements(a.cfg), Logger: a.log,
	}, fixed)
	return located(a.cfg, err)
}

// startDefinitions puts new definitions to work, once the store can fill them.
func (a *App) startDefinitions() error {
	a.opened("definitions", a.defs.Close)
	return a.defs.Start(a.people)
}

// fixedDefinitions are those that no operator changes at the desk: the file's,
// the demo shop's and the program's.
func fixedDefinitions(cfg *config.Config, fanFor time.Duration) ([]define.Definition, error) {
	list := fileDefinitions(cfg)
	if cfg.Demo {
		shop, err := demoDefinitions(fanFor)
		if err != nil {
			return nil, err
		}
		for _, d := range shop {
			i := slices.IndexFunc(list, func(x define.Definition) bool {
				return x.Kind == d.Kind && x.Name == d.Name && x.Kind != define.Placement
			})
			if i >= 0 {
				return nil, cfg.Fault(placeOf(list, i)+".name", fmt.Sprintf("%q is the demo shop's; rename it, or set demo: false", d.Name))
			}
		}
		list = append(list, shop...)
	}
	return append(list, builtins(cfg)...), nil
}

// placeOf is where the i-th definition of a file stands in it.
func placeOf(list []define.Definition, i int) string {
	n := 0
	for _, d := range list[:i] {
		if d.Kind == list[i].Kind {
			n++
		}
	}
	return fmt.Sprintf("%ss[%d]", list[i].Kind, n)
}

// demoDefinitions are the demo shop's, for its own visitors alone.
func demoDefinitions(fanFor time.Duration) (list []define.Definition, err error) {
	var x config.Definitions
	for _, t := range demo.Traits() {
		x.Traits = append(x.Traits, config.Trait{Name: t.Name, Kind: t.Kind, Event: t.Event, By: t.By, HalfLife: t.HalfLife, Site: demoName})
	}
	for _, s := range demo.Segments(fanFor) {
		x.Segments = append(x.Segments, config.Segment{Name: s.Name, When: s.When, Site: demoName})
	}
	placements, err := demo.Placements()
	if err != nil {
		return nil, err
	}
	for _, p := range placements {
		y := config.Placement{Name: p.Name, Site: demoName}
		for _, v := range p.Variants {
			y.Variants = append(y.Variants, config.Variant{Name: v.Name, When: v.When})
		}
		x.Placements = append(x.Placements, y)
	}
	return definitionsOf(&x, define.FromDemo), nil
}

// placements compiles placements for a configuration's sites.
func (a *App) placements(cfg *config.Config) define.Placements {
	return placements(cfg, a.vault.Subkey("hold-outs"), a.arms)
}

// shown is what placements are compiled to.
type shown struct {
	*decide.Decider
	measured map[[2]string]experiment.Definition // by site and placement
}

func placements(cfg *config.Config, salt []byte, arms func(site, placement string, version int) []decide.Arm) define.Placements {
	var sites []decide.Site
	for _, s := range cfg.Sites {
		sites = append(sites, decide.Site{Name: s.Name, PageTraits: s.PageTraits})
	}
	if len(cfg.Sites) == 0 {
		sites = append(sites, decide.Site{Name: generatedName, PageTraits: config.DefaultSite().PageTraits})
	}
	if cfg.Demo {
		sites = append(sites, decide.Site{Name: demoName, PageTraits: demoTraits()})
	}
	return func(l *define.Live, list []any) (any, error) {
		x := &shown{measured: map[[2]string]experiment.Definition{}}
		o := decide.Options{Env: l.Env, Traits: l.Traits, Segments: l.Segments, Sites: sites, Salt: salt, Arms: arms}
		var faults rule.Faults
		for i, p := range list {
			p := p.(*placed)
			o.Placements = append(o.Placements, p.Placement)
			m := experiment.Definition{Placement: p.Name, Site: p.Site, Version: p.Version}
			for _, v := range p.Variants {
				m.Variants = append(m.Variants, v.Name)
			}
			if p.goal != nil {
				m.Goal = experiment.Goal{Event: p.goal.Event, Where: p.goal.Where, Value: p.goal.Value, Within: p.goal.Within}
				faults = append(faults, m.Goal.Check(fmt.Sprintf("placements[%d].goal", i))...)
			}
			x.measured[[2]string{p.Site, p.Name}] = m
		}
		var err error
		x.Decider, err = decide.New(o)
		return x, errors.Join(err, faults.Err())
	}
}

// located gives rules' faults their place in the configuration file.
func located(cfg *config.Config, err error) error {
	var list rule.Faults
	if !errors.As(err, &list) {
		return err
	}
	return cfg.Faults(list).Err()
}

// CheckDefinitions compiles the rules of a configuration and tells every fault.
func CheckDefinitions(cfg *config.Config) error {
	fixed, err := fixedDefinitions(cfg, 0)
	if err != nil {
		return err
	}
	// The salt changes who is held out, not what is right.
	return located(cfg, define.Check(fixed, placements(cfg, make([]byte, 32), nil)))
}

// foldRules are the store's: they follow the definitions of the moment.
func (a *App) foldRules() facet.Rules {
	return facet.Rules{
		MaxTraits: a.cfg.Limits.TraitsPerPerson,
		Contribute: func(e *event.Event, seq uint64, add func(*facet.Contribution)) {
			a.defs.Live().Traits.Contribute(e, seq, add)
		},
	}
}

// decider is what decides now.
func decider(l *define.Live) *shown { return l.Placements.(*shown) }

// measured is what is measured of a placement that a page of a site showed.
func (a *App) measured(site, placement string) (experiment.Definition, bool) {
	all := decider(a.defs.Live()).measured
	if d, ok := all[[2]string{site, placement}]; ok {
		return d, true
	}
	d, ok := all[[2]string{"", placement}]
	return d, ok
}

// arms is how the variants of a bandit did.
func (a *App) arms(site, placement string, version int) (list []decide.Arm) {
	r := a.experiments.Load()
	if r == nil {
		return nil
	}
	for _, x := range r.Arms(site, placement, version) {
		list = append(list, decide.Arm{Variant: x.Variant, Shown: x.Persons, Converted: x.Converted})
	}
	return list
}

// openExperiments begins to count what comes of placements.
func (a *App) openExperiments() error {
	r, err := experiment.Open(experiment.Options{
		DB: a.db, Log: a.events, Keys: a.vault, Person: a.people.Whose, Definition: a.measured, Logger: a.log,
	})
	if err == nil {
		a.experiments.Store(r)
		a.opened("experiments", r.Close)
	}
	return err
}

// namesOf are the computed traits and audiences of somebody, as the desk shows them.
func namesOf(l *define.Live, sub *segment.Subject) (computed map[string]any, segments []string) {
	computed = map[string]any{}
	l.Segments.Members(sub)
	sub.Computed.Each(func(name string, v trait.Value) {
		if v.Known() {
			computed[name] = v.JSON().Any()
		}
	})
	return computed, slices.Clone(sub.Segments)
}
