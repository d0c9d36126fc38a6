package decide

import (
	"fmt"
	"math"
	"time"

	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait/rule"
)

// Why a variant is or is not what a person is shown.
const (
	WhyShown    = "shown"    // it is
	WhyHeldOut  = "held_out" // it would be: the person is held out of it
	WhyKept     = "kept"     // it is, because the person has seen it before
	WhyEarlier  = "earlier"  // one earlier in the list is
	WhyLot      = "lot"      // chance chose another
	WhySeen     = "seen"     // the person has seen another and keeps it
	WhyRule     = "rule"     // its rule does not hold
	WhySchedule = "schedule" // its schedule is closed
	WhyCap      = "cap"      // it was shown as often as it may be
)

// Explanation is why a placement shows a person what it does.
type Explanation struct {
	Placement string
	Version   int
	Choose    string
	Decision  Decision
	Decided   bool  // false: no variant is for the person, and the page's own content stays
	Until     int64 // ms since 1970: until then time alone changes nothing of it; math.MaxInt64: never
	Variants  []Reason
}

// Reason is why one variant is or is not what is shown.
type Reason struct {
	Variant string
	Why     string // one of the words above
	Text    string // for people
	// Rule is what each part of the variant's condition came to; nil where it has
	// none, or its schedule or cap refused it before.
	Rule []rule.Part
	// Place is where the person stands among those for whom chance decides, from 0
	// to 1; below Holdout they are held out. Both are 0 where there is no hold-out.
	Place, Holdout float64
}

// Explain tells for each variant of a placement why it is or is not what the
// person is shown. ok is false when the site's pages have no such placement.
func (d *Decider) Explain(v *View, siteName, name string) (x Explanation, ok bool) {
	p := d.find(d.sites[siteName], name)
	if p == nil {
		return Explanation{}, false
	}
	sub := v.Subject
	if sub == nil {
		sub = d.judge(v)
		defer d.release(sub)
	}
	unit := v.unit()
	x = Explanation{Placement: p.name, Version: p.version, Choose: p.choose, Until: forever}
	x.Decision, x.Decided = d.choose(p, sub, unit)
	found := false
	for i := range p.variants {
		v := &p.variants[i]
		r := Reason{Variant: v.Name}
		if !d.refused(p, v, sub, &r, &x.Until) {
			d.placed(p, v, sub, unit, &x.Decision, found, &r)
		}
		found = found || v.Name == x.Decision.Chosen
		x.Variants = append(x.Variants, r)
	}
	if p.choose == Bandit {
		x.Until = min(x.Until, (sub.Now/minuteMs+1)*minuteMs)
	}
	return x, true
}

// refused says why a person may not be shown a variant at all, if they may not,
// and brings until forward to the moment at which time may change that.
func (d *Decider) refused(p *placement, v *variant, sub *segment.Subject, r *Reason, until *int64) bool {
	open, next := v.schedule.at(sub.Now)
	*until = min(*until, next)
	if !open {
		r.Why, r.Text = WhySchedule, "its schedule is closed"
		if next != forever {
			r.Text += ", until " + moment(next)
		}
		return true
	}
	if v.Cap.Shows > 0 {
		open, next := v.Cap.at(sub, p.name, v.Name)
		*until = min(*until, next)
		if !open {
			r.Why, r.Text = WhyCap, fmt.Sprintf("it was shown %s, as often as it may be", times(v.Cap.Shows))
			if v.Cap.Per > 0 {
				r.Text += fmt.Sprintf(" within %v; again from %s on", v.Cap.Per, moment(next))
			}
			return true
		}
	}
	if v.when == nil {
		return false
	}
	holds := v.when.Holds(sub)
	*until = min(*until, sub.Until())
	var err error
	if r.Rule, err = v.when.Explain(sub); err != nil {
		r.Text = fmt.Sprintf("; its parts cannot be told: %v", err)
	}
	if !holds {
		r.Why, r.Text = WhyRule, "its rule does not hold: "+v.When+r.Text
	}
	return !holds
}

// placed says why a variant that a person may be shown is or is not chosen.
func (d *Decider) placed(p *placement, v *variant, sub *segment.Subject, unit string, got *Decision, found bool, r *Reason) {
	if v.Name != got.Chosen {
		switch {
		case p.choose == First && found:
			r.Why, r.Text = WhyEarlier, fmt.Sprintf("%q stands before it and is for the person, too", got.Chosen)
		case lastShown(sub, p.name, got.Chosen) > 0:
			r.Why, r.Text = WhySeen, fmt.Sprintf("the person has seen %q and keeps it", got.Chosen)
		case p.choose == Weighted && v.weight == 0:
			r.Why, r.Text = WhyLot, "its weight is 0, so that nobody new is shown it"
		default:
			r.Why, r.Text = WhyLot, fmt.Sprintf("chance chose %q for the person", got.Chosen)
		}
		return
	}
	r.Why, r.Text = WhyShown, "it is shown"
	switch {
	case p.choose != First && lastShown(sub, p.name, v.Name) > 0:
		r.Why, r.Text = WhyKept, "the person has seen it and keeps it"
	case p.choose == First && v.When == "":
		r.Text = "it is shown, because nothing before it is for the person"
	case p.choose == First:
		r.Text = "it is shown: the first one that is for the person"
	default:
		r.Text = "it is shown: chance chose it for the person"
	}
	r.Place, r.Holdout = d.share(unit, p.name, v.Name), v.Holdout
	if v.Holdout == 0 || r.Place >= v.Holdout && p.holdout > 0 {
		r.Place, r.Holdout = d.share(unit, p.name, ofAll), p.holdout
	}
	if r.Holdout == 0 {
		r.Place = 0
	}
	if got.Holdout {
		r.Why, r.Text = WhyHeldOut, fmt.Sprintf("it would be shown, but the person is held out: they stand at %.1f %%, and those below %.1f %% are shown %q to compare with", math.Floor(1000*r.Place)/10, 100*r.Holdout, got.Variant)
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func moment(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05 UTC") }
