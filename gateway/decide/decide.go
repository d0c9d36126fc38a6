// Package decide makes the page's view of a person: the part of the profile
// that a page may see, and which variant each of its placements shows.
//
// Only what the site allows leaves: traits of its list, and of the profile what
// names nobody. Decisions follow from the profile, the rules, the time and a salt
// alone (a bandit's from how its variants did, too), so every gateway of an
// installation decides alike.
package decide

import (
	"fmt"
	"slices"
	"sync"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait"
)

// Ways to choose among the variants that a person may be shown.
const (
	First    = "first"    // the first one in the list
	Weighted = "weighted" // by chance, each as often as its weight says; the same person the same one
	Bandit   = "bandit"   // by chance, the better it does the more often (Thompson sampling)
)

// Placement is a slot of a page with its variants. A person may be shown those
// whose rule holds, whose schedule is open and whose cap is not reached; Choose
// says which of them it is.
type Placement struct {
	Name string
	// Site whose pages have it; empty: those of every site. A site's own stands
	// before one of the same name for every site.
	Site     string
	Version  int // of the definition; results are counted for each by itself
	Variants []Variant
	Choose   string  // First, Weighted or Bandit; empty: First
	Holdout  float64 // share (0 to 1) of the persons who are shown the default, whatever variant is theirs
}

// Default is the variant for whom nothing else is: the page's own content where
// a placement does not define one of that name.
const Default = "default"

// Variant is one content of a placement.
type Variant struct {
	Name       string
	When       string   // CEL, the names of identity/segment; empty: always
	Experience string   // which experiment or campaign it belongs to, passed on as it is
	Holdout    float64  // share (0 to 1) of those whom it is chosen for that is shown the default instead
	Weight     *float64 // Weighted: how often it is chosen, in proportion to the others'; nil: 1. With 0 only those keep it who have seen it
	Schedule   Schedule // when it may be shown
	Cap        Cap      // how often
}

// Site is what the pages of one site get.
type Site struct {
	Name string
	// PageTraits are the only traits that its pages may see. A computed trait
	// of a name stands before what somebody said under that name.
	PageTraits []string
}

// Options say what is decided.
type Options struct {
	Traits     *trait.Set   // nil: none
	Segments   *segment.Set // nil: none
	Env        *segment.Env // of Segments; nil makes one of Traits
	Placements []Placement
	Sites      []Site
	Salt       []byte // makes hold-outs and chances this installation's own; at least 16 bytes where there are any
	// Arms tells how the variants of a Bandit did; nil: nothing is known, and each
	// is as likely. It is asked once a minute and placement at most.
	Arms func(site, placement string, version int) []Arm
}

// View is the person whom a page asks for.
type View struct {
	ID     string // public visitor id, "v_…"
	Person string // who hold-outs and chances are stable for, where more than the visitor is known; empty: ID
	Known  bool   // a verified session is live

	// Subject is the person as rules see them, judged already: its computed
	// values and its segments are what the answer says. It is only read. Where it
	// is nil the person is judged here from what follows, as previews want, whose
	// request was not folded.
	Subject *segment.Subject

	Profile *facet.Profile
	Now     int64 // ms since 1970 UTC
	// Event is the newest event of this request, nil without one: its device,
	// place and source are those of now.
	Event       *event.Event
	Identifiers []string // types of identifier present
}

// Decider answers for every site. Its definitions are immutable; it is safe for
// concurrent use.
type Decider struct {
	traits   *trait.Set
	segments *segment.Set
	every    map[string]*placement
	sites    map[string]*site
	salt     []byte
	arms     func(site, placement string, version int) []Arm
	subjects sync.Pool // of *segment.Subject
}

type site struct {
	pageTraits []string
	placements map[string]*placement // its own
}

const minSalt = 16

// New makes a Decider. The error is rule.Faults where definitions are wrong,
// with paths such as placements[0].variants[1].when.
func New(o Options) (*Decider, error) {
	env := o.Env
	if env == nil {
		env = segment.NewEnv(o.Traits)
	}
	d := &Decider{
		traits: o.Traits, segments: o.Segments, salt: slices.Clone(o.Salt), arms: o.Arms,
		every: map[string]*placement{}, sites: make(map[string]*site, len(o.Sites)),
	}
	c := compiler{env: env, known: o.Segments.All(), salted: len(o.Salt) >= minSalt}
	for i := range o.Sites {
		s := &o.Sites[i]
		if _, twice := d.sites[s.Name]; twice {
			c.fault(fmt.Sprintf("sites[%d].name", i), "%q is the name of two sites; rename one", s.Name)
		}
		d.sites[s.Name] = &site{pageTraits: unique(s.PageTraits), placements: map[string]*placement{}}
	}
	for i := range o.Placements {
		d.add(&c, fmt.Sprintf("placements[%d]", i), &o.Placements[i])
	}
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	return d, nil
}

// add compiles a placement and puts it where pages find it.
func (d *Decider) add(c *compiler, at string, from *Placement) {
	all := d.every
	if from.Site != "" {
		s := d.sites[from.Site]
		if s == nil {
			c.fault(at+".site", "there is no site %q", from.Site)
			return
		}
		all = s.placements
	}
	if from.Name == "" {
		c.fault(at+".name", "saw nothing, expected the name of the page's slot")
	}
	if _, twice := all[from.Name]; twice {
		c.fault(at+".name", "%q is the name of two placements; rename one", from.Name)
	}
	all[from.Name] = c.placement(at, from)
}

func unique(names []string) (list []string) {
	for _, n := range names {
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
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
