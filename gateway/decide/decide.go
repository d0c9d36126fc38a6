// Package decide makes the page's view of a person: the part of the profile
// that a page may see, and which variant each of its placements shows.
//
// Only what the site allows leaves: traits of its list, and of the profile what
// names nobody. Decisions follow from the profile, the rules and a salt alone,
// so every gateway of an installation decides alike.
package decide

import (
	"fmt"
	"slices"
	"sync"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
)

// Placement is a slot of a page with its variants; the first one whose rule
// holds is shown.
type Placement struct {
	Name     string
	Variants []Variant
}

// Default is the variant for whom nothing else is: the page's own content where
// a placement does not define one of that name.
const Default = "default"

// Variant is one content of a placement.
type Variant struct {
	Name       string
	When       string  // CEL, the names of identity/segment; empty: always
	Experience string  // which experiment or campaign it belongs to, passed on as it is
	Holdout    float64 // share (0 to 1) of those who match that is shown the default instead
}

// Site is what the pages of one site get.
type Site struct {
	Name string
	// PageTraits are the only traits that its pages may see. A computed trait
	// of a name stands before what somebody said under that name.
	PageTraits []string
	// Placements of this site alone; they stand before those of every site.
	Placements []Placement
}

// Options say what is decided.
type Options struct {
	Traits     *trait.Set   // nil: none
	Segments   *segment.Set // nil: none
	Env        *segment.Env // of Segments; nil makes one of Traits
	Placements []Placement  // of every site
	Sites      []Site
	Salt       []byte // makes hold-outs this installation's own; at least 16 bytes where there are any
}

// View is the person whom a page asks for.
type View struct {
	ID      string // public visitor id, "v_…"
	Person  string // who hold-outs are stable for, where more than the visitor is known; empty: ID
	Known   bool   // a verified session is live
	Profile *facet.Profile
	Now     int64 // ms since 1970 UTC
	// Event is the newest event of this request, nil without one: its device,
	// place and source are those of now.
	Event       *event.Event
	Identifiers []string // types of identifier present
}

// Decider answers for every site. It is immutable and safe for concurrent use.
type Decider struct {
	traits   *trait.Set
	segments *segment.Set
	every    map[string]*placement
	sites    map[string]*site
	salt     []byte
	subjects sync.Pool // of *segment.Subject
}

type site struct {
	pageTraits []string
	placements map[string]*placement // its own
}

type placement struct {
	name     string
	variants []variant
	fallback *variant // nil: the page's own content
}

type variant struct {
	Variant
	when *rule.Rule // nil: always
}

const minSalt = 16

// New makes a Decider. The error is rule.Faults where definitions are wrong,
// with paths such as placements[0].variants[1].when (those of a site's own
// begin with sites[0].).
func New(o Options) (*Decider, error) {
	env := o.Env
	if env == nil {
		env = segment.NewEnv(o.Traits)
	}
	c := compiler{env: env, known: o.Segments.Names(), salted: len(o.Salt) >= minSalt}
	d := &Decider{traits: o.Traits, segments: o.Segments, salt: slices.Clone(o.Salt), sites: make(map[string]*site, len(o.Sites))}
	d.every = c.placements("", o.Placements)
	for i := range o.Sites {
		s := &o.Sites[i]
		at := fmt.Sprintf("sites[%d].", i)
		if _, twice := d.sites[s.Name]; twice {
			c.fault(at+"name", "%q is the name of two sites; rename one", s.Name)
		}
		d.sites[s.Name] = &site{pageTraits: unique(s.PageTraits), placements: c.placements(at, s.Placements)}
	}
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	return d, nil
}

func unique(names []string) (list []string) {
	for _, n := range names {
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}

// compiler collects the faults of placements.
type compiler struct {
	env    *segment.Env
	known  []string
	salted bool
	faults rule.Faults
}

func (c *compiler) fault(path, format string, args ...any) {
	c.faults = append(c.faults, rule.Fault{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (c *compiler) placements(prefix string, list []Placement) map[string]*placement {
	all := make(map[string]*placement, len(list))
	for i := range list {
		at := fmt.Sprintf("%splacements[%d]", prefix, i)
		name := list[i].Name
		if name == "" {
			c.fault(at+".name", "saw nothing, expected the name of the page's slot")
		}
		if _, twice := all[name]; twice {
			c.fault(at+".name", "%q is the name of two placements; rename one", name)
		}
		all[name] = c.placement(at, &list[i])
	}
	return all
}

func (c *compiler) placement(at string, from *Placement) *placement {
	p := &placement{name: from.Name, variants: make([]variant, len(from.Variants))}
	if len(from.Variants) == 0 {
		c.fault(at+".variants", "saw none, expected at least one variant")
	}
	for j, v := range from.Variants {
		at := fmt.Sprintf("%s.variants[%d]", at, j)
		if v.Name == "" {
			c.fault(at+".name", "saw nothing, expected the variant's name")
		}
		if slices.ContainsFunc(from.Variants[:j], func(x Variant) bool { return x.Name == v.Name }) {
			c.fault(at+".name", "%q is the name of two variants of this placement; rename one", v.Name)
		}
		switch {
		case !(v.Holdout >= 0 && v.Holdout <= 1):
			c.fault(at+".holdout", "saw %v, expected a share from 0 to 1", v.Holdout)
		case v.Holdout > 0 && !c.salted:
			c.fault(at+".holdout", "hold-outs need a salt of at least %d bytes", minSalt)
		}
		if v.When == "" && j < len(from.Variants)-1 {
			c.fault(at+".when", "the variant has no rule, so it always matches and those after it never show; move it to the end")
		}
		if v.Name == Default && v.When != "" {
			c.fault(at+".when", "the default is for everyone whom no other rule fits; leave its rule out, or name the variant otherwise")
		}
		if v.Name == Default && v.Holdout > 0 {
			c.fault(at+".holdout", "the default is what hold-outs are shown; it has none itself")
		}
		p.variants[j].Variant = v
		if v.When != "" {
			r, bad := c.env.Rule(at+".when", v.When, c.known)
			c.faults = append(c.faults, bad...)
			p.variants[j].when = r
		}
	}
	p.fallback = fallbackOf(p.variants)
	return p
}

// fallbackOf is the variant for whom no rule fits or who is held out: the last
// one, if it takes everybody. A variant with a rule is never shown to somebody
// whom its rule does not fit.
func fallbackOf(list []variant) *variant {
	if n := len(list); n > 0 && list[n-1].When == "" && list[n-1].Holdout == 0 {
		return &list[n-1]
	}
	return nil
}

// Failures is how often rules failed for another reason than a missing key
// since the Decider was made, those of its traits and segments included.
func (d *Decider) Failures() uint64 {
	n := d.traits.Failures() + d.segments.Failures() + failures(d.every)
	for _, s := range d.sites {
		n += failures(s.placements)
	}
	return n
}

func failures(all map[string]*placement) (n uint64) {
	for _, p := range all {
		for i := range p.variants {
			if r := p.variants[i].when; r != nil {
				n += r.Failures()
			}
		}
	}
	return n
}
