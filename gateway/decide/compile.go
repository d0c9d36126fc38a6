package decide

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait/rule"
)

// placement is one made ready.
type placement struct {
	name, site string
	version    int
	choose     string
	holdout    float64
	variants   []variant
	fallback   *variant // nil: the page's own content
	told       atomic.Pointer[told]
}

type variant struct {
	Variant
	when     *rule.Rule // nil: always
	weight   float64
	lot      string    // stands for the name in what is hashed for a lot, so that it says nothing of who is held out
	schedule *schedule // nil: always open
}

// maxShows is how many shows a cap may count within a time: as many as a profile
// keeps the times of.
const maxShows = 64

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

func (c *compiler) placement(at string, from *Placement) *placement {
	p := &placement{name: from.Name, site: from.Site, version: from.Version, choose: from.Choose, holdout: from.Holdout, variants: make([]variant, len(from.Variants))}
	switch p.choose {
	case "":
		p.choose = First
	case First, Weighted, Bandit:
	default:
		c.fault(at+".choose", "saw %q, expected %s", from.Choose, strings.Join([]string{First, Weighted, Bandit}, ", "))
	}
	if p.choose != First && !c.salted {
		c.fault(at+".choose", "choosing by chance needs a salt of at least %d bytes", minSalt)
	}
	c.share(at+".holdout", from.Holdout)
	if len(from.Variants) == 0 {
		c.fault(at+".variants", "saw none, expected at least one variant")
	}
	for j := range from.Variants {
		c.variant(fmt.Sprintf("%s.variants[%d]", at, j), p, from.Variants, j)
	}
	p.fallback = p.fallbackOf()
	return p
}

func (c *compiler) variant(at string, p *placement, list []Variant, j int) {
	v := list[j]
	if v.Name == "" {
		c.fault(at+".name", "saw nothing, expected the variant's name")
	}
	if slices.ContainsFunc(list[:j], func(x Variant) bool { return x.Name == v.Name }) {
		c.fault(at+".name", "%q is the name of two variants of this placement; rename one", v.Name)
	}
	c.share(at+".holdout", v.Holdout)
	if p.choose == First && v.When == "" && v.Schedule.always() && v.Cap == (Cap{}) && j < len(list)-1 {
		c.fault(at+".when", "the variant has no rule, so it always matches and those after it never show; move it to the end")
	}
	if v.Name == Default && v.When != "" {
		c.fault(at+".when", "the default is for everyone whom no other rule fits; leave its rule out, or name the variant otherwise")
	}
	if v.Name == Default && v.Holdout > 0 {
		c.fault(at+".holdout", "the default is what hold-outs are shown; it has none itself")
	}
	x := &p.variants[j]
	x.Variant, x.weight, x.lot = v, 1, v.Name+"\x00lot" // no name has a zero byte
	if v.Weight != nil {
		x.weight = *v.Weight
		switch {
		case !(x.weight >= 0) || math.IsInf(x.weight, 0):
			c.fault(at+".weight", "saw %v, expected 0 or more", x.weight)
		case p.choose != Weighted:
			c.fault(at+".weight", "a weight is for choose: %s; this placement's is %s", Weighted, p.choose)
		}
	}
	switch {
	case v.Cap.Shows < 0 || v.Cap.Shows == 0 && v.Cap.Per != 0:
		c.fault(at+".cap.shows", "saw %d, expected how often it may be shown, from 1 on", v.Cap.Shows)
	case v.Cap.Per < 0:
		c.fault(at+".cap.per", "saw %v, expected a time such as 24h, or none for ever", v.Cap.Per)
	case v.Cap.Per > 0 && v.Cap.Shows > maxShows:
		c.fault(at+".cap.shows", "saw %d, expected at most %d within a time", v.Cap.Shows, maxShows)
	}
	x.schedule = c.schedule(at, &v.Schedule)
	if v.When != "" {
		r, bad := c.env.Rule(at+".when", v.When, c.known)
		c.faults = append(c.faults, bad...)
		x.when = r
	}
}

// share looks at a hold-out.
func (c *compiler) share(at string, x float64) {
	switch {
	case !(x >= 0 && x <= 1):
		c.fault(at, "saw %v, expected a share from 0 to 1", x)
	case x > 0 && !c.salted:
		c.fault(at, "hold-outs need a salt of at least %d bytes", minSalt)
	}
}

// fallbackOf is the variant for whom no rule fits or who is held out: where the
// first one is taken, the last in the list, if it takes everybody; else the one
// that is called default. A variant with a rule, a schedule or a cap is never
// shown to somebody whom it is not for.
func (p *placement) fallbackOf() *variant {
	for i := len(p.variants) - 1; i >= 0; i-- {
		v := &p.variants[i]
		if (p.choose == First || v.Name == Default) && v.When == "" && v.Holdout == 0 && v.Schedule.always() && v.Cap == (Cap{}) {
			return v
		}
		if p.choose == First {
			break
		}
	}
	return nil
}
