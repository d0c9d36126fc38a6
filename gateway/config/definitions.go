package config

import (
	"time"

	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait"
)

// Trait is a computed trait: what is kept of the events that match. What each
// kind takes is identity/trait's to say.
type Trait struct {
	Name     string        `yaml:"name"`
	Kind     string        `yaml:"kind"`
	Event    string        `yaml:"event"`  // an event's name, or the type of another message
	Events   []string      `yaml:"events"` // further ones; neither: any event
	Where    string        `yaml:"where"`  // CEL over event, type, properties, context, time
	By       string        `yaml:"by"`     // path of the value that tells the events apart
	Value    string        `yaml:"value"`  // path of the number or the value that is taken
	Window   time.Duration `yaml:"window"` // 0: all time
	HalfLife time.Duration `yaml:"half_life"`
	Limit    int           `yaml:"limit"`
	AtLeast  int           `yaml:"at_least"`
	Unit     string        `yaml:"unit"`
	Timezone string        `yaml:"timezone"` // IANA's name, or person
	Longest  bool          `yaml:"longest"`  // streak: the longest one, not the present one
	Steps    []Step        `yaml:"steps"`    // sequence
	Not      *Step         `yaml:"not"`      // sequence: what must not follow
	Within   time.Duration `yaml:"within"`   // sequence
	// Recency, Frequency and Monetary are the thresholds of rfm, the best first.
	Recency   []time.Duration `yaml:"recency"`
	Frequency []int           `yaml:"frequency"`
	Monetary  []float64       `yaml:"monetary"`
	Site      string          `yaml:"site"` // only events of this site; empty: of every site
}

// Step is an event of a sequence.
type Step struct {
	Event string `yaml:"event"`
	Where string `yaml:"where"`
}

// Definition is the trait as it is compiled.
func (t *Trait) Definition() trait.Definition {
	d := trait.Definition{
		Name: t.Name, Kind: t.Kind, Event: t.Event, Events: t.Events, Where: t.Where, By: t.By, Value: t.Value,
		Window: t.Window, HalfLife: t.HalfLife, Limit: t.Limit, AtLeast: t.AtLeast, Unit: t.Unit, Timezone: t.Timezone, Longest: t.Longest,
		Not: (*trait.Step)(t.Not), Within: t.Within, Recency: t.Recency, Frequency: t.Frequency, Monetary: t.Monetary, Site: t.Site,
	}
	for _, s := range t.Steps {
		d.Steps = append(d.Steps, trait.Step(s))
	}
	return d
}

// Segment is an audience: the persons for whom When holds.
type Segment struct {
	Name string `yaml:"name"`
	When string `yaml:"when"` // CEL
	Site string `yaml:"site"` // only persons who were last on this site; empty: everybody
}

// Definition is the segment as it is compiled.
func (s *Segment) Definition() segment.Definition {
	return segment.Definition{Name: s.Name, When: s.When, Site: s.Site}
}

// Placement is a slot of a page; Choose says which of the variants that fit is
// shown. What each key takes is gateway/decide's to say.
type Placement struct {
	Name     string    `yaml:"name"`
	Site     string    `yaml:"site"`    // empty: every site
	Choose   string    `yaml:"choose"`  // first, weighted or bandit; empty: first
	Holdout  Share     `yaml:"holdout"` // part of the persons who get the default, whatever fits them
	Goal     *Goal     `yaml:"goal"`    // what a shown variant is to lead to
	Variants []Variant `yaml:"variants"`
}

// Goal is the event that counts as a success of a placement.
type Goal struct {
	Event  string        `yaml:"event"`
	Where  string        `yaml:"where"`  // CEL, as of traits
	Value  string        `yaml:"value"`  // path of the number that it is worth
	Within time.Duration `yaml:"within"` // of the first exposure
}

// Variant is one content of a placement.
type Variant struct {
	Name       string   `yaml:"name"`
	When       string   `yaml:"when"`    // CEL; empty: always
	Holdout    Share    `yaml:"holdout"` // part of the matching persons who get the default instead
	Experience string   `yaml:"experience"`
	Weight     *float64 `yaml:"weight"` // choose: weighted; nil: 1
	// From and Until bound when it is shown; Days and Hours, by the clock of
	// Timezone, when within them.
	From     time.Time `yaml:"from"`
	Until    time.Time `yaml:"until"`
	Days     []string  `yaml:"days"`  // mon, tue, …
	Hours    string    `yaml:"hours"` // 09:00-17:30
	Timezone string    `yaml:"timezone"`
	Cap      Cap       `yaml:"cap"`
}

// Cap is how often a person is shown a variant at most.
type Cap struct {
	Shows int           `yaml:"shows"`
	Per   time.Duration `yaml:"per"` // 0: ever
}

const (
	affinity        = "affinity"
	defaultHalfLife = 30 * day
)

// settle fills the defaults that depend on what else the trait says.
func (t *Trait) settle() {
	if t.Kind == affinity && t.HalfLife == 0 {
		t.HalfLife = defaultHalfLife
	}
}

// Bounds of how many definitions there are.
const (
	MaxTraits     = 256
	MaxSegments   = 1000
	MaxPlacements = 200
	maxVariants   = 100 // of a placement
)

func (k *checker) traits() {
	each(k, "trait", k.c.Traits, MaxTraits, func(at string, t *Trait) (name, site string) { k.trait(at, t); return t.Name, t.Site })
}

func (k *checker) segments() {
	each(k, "segment", k.c.Segments, MaxSegments, func(at string, s *Segment) (name, site string) { k.segment(at, s); return s.Name, s.Site })
}

// placements are known by their names alone, also those of different sites: their
// versions, the desk's addresses, and who was shown what.
func (k *checker) placements() {
	each(k, "placement", k.c.Placements, MaxPlacements, func(at string, p *Placement) (name, site string) { k.placement(at, p); return p.Name, p.Site })
}

// each checks the definitions of a kind: how many they are, each by itself, and
// their names and sites.
func each[T any](k *checker, kind string, all []T, most int, check func(at string, d *T) (name, site string)) {
	k.atMost(kind+"s", len(all), most)
	names := map[string]int{}
	for i := range all {
		at := index(kind+"s", i)
		name, site := check(at, &all[i])
		k.unique(at+".name", name, names, i, "a "+kind+" of that name")
		k.site(at, site)
	}
}

func (k *checker) trait(at string, t *Trait) {
	// Rules read computed.NAME, so the name must be one word to CEL.
	k.name(join(at, "name"), t.Name, traitForm, "letters, digits and _ (rules read it as computed.name)")
}

func (k *checker) segment(at string, s *Segment) {
	k.label(join(at, "name"), s.Name)
	if s.When == "" {
		k.fault(join(at, "when"), "saw no rule, expected one such as counts.orders > 0")
	}
}

func (k *checker) placement(at string, p *Placement) {
	k.label(join(at, "name"), p.Name)
	k.share(join(at, "holdout"), p.Holdout)
	list := join(at, "variants")
	if len(p.Variants) == 0 {
		k.fault(list, "saw none, expected at least one variant")
	}
	k.atMost(list, len(p.Variants), maxVariants)
	variants := map[string]int{}
	for j, v := range p.Variants {
		at := index(list, j)
		k.label(at+".name", v.Name)
		k.unique(at+".name", v.Name, variants, j, "a variant of that name")
		k.share(at+".holdout", v.Holdout)
		if !v.Until.IsZero() && !v.From.Before(v.Until) {
			k.fault(at+".until", "saw %s, expected a time after from, %s", v.Until.Format(time.RFC3339), v.From.Format(time.RFC3339))
		}
	}
	if p.Goal != nil && p.Goal.Event == "" {
		k.fault(join(at, "goal.event"), "saw nothing, expected the event that is a success, such as Order Completed")
	}
}

func (k *checker) share(at string, s Share) {
	if !(s >= 0 && s <= 1) {
		k.fault(at, "saw %s, expected 0%% to 100%%", s)
	}
}

func (k *checker) atMost(at string, n, most int) {
	if n > most {
		k.fault(at, "saw %d, expected at most %d", n, most)
	}
}

// site checks that a definition's site is one of the configuration's, or the
// demo's. Without sites the gateway makes one, whose name is its own.
func (k *checker) site(at, name string) {
	if name == "" || len(k.c.Sites) == 0 || k.c.Demo && name == "demo" {
		return
	}
	var names []string
	for i := range k.c.Sites {
		if names = append(names, k.c.Sites[i].Name); names[i] == name {
			return
		}
	}
	if k.c.Demo {
		names = append(names, "demo")
	}
	if near := nearest(name, names); near != "" {
		k.suggest(join(at, "site"), near, "there is no site %s; did you mean %s?", quoted(name), near)
		return
	}
	k.fault(join(at, "site"), "there is no site %s; known here: %s", quoted(name), list(names))
}
