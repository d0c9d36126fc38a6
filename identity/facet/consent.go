package facet

import (
	"cmp"
	"slices"
	"strings"

	"github.com/reuna/reuna/identity/event"
)

// Choice is what the person last said about one purpose, in an event's
// context.consent.categoryPreferences. (Segment's spec: consent in the context)
type Choice struct {
	Purpose string
	Granted bool
	At      Stamp
}

// Bounds of the choices of a facet; purposes beyond them are not kept.
const (
	maxPurposes     = 64
	maxPurposeBytes = 64
)

func comparePurpose(c Choice, purpose string) int { return strings.Compare(c.Purpose, purpose) }

// foldConsent takes in what an event says of consent. The latest word on each
// purpose stays.
func (f *Facet) foldConsent(e *event.Event, at Stamp) (changed bool) {
	e.Context.Get("consent", "categoryPreferences").Each(func(purpose string, v event.Value) bool {
		granted, ok := v.Bool()
		if !ok || purpose == "" || len(purpose) > maxPurposeBytes {
			return true
		}
		i, found := slices.BinarySearchFunc(f.Consent, purpose, comparePurpose)
		switch {
		case !found && len(f.Consent) < maxPurposes:
			f.Consent = slices.Insert(f.Consent, i, Choice{strings.Clone(purpose), granted, at})
			changed = true
		case found && at.After(f.Consent[i].At):
			c := &f.Consent[i]
			changed = changed || c.Granted != granted
			c.Granted, c.At = granted, at
		}
		return true
	})
	return changed
}

// joinConsent adds one facet's choices to a list that is the profile's own.
func joinConsent(into, from []Choice) []Choice {
	if into == nil {
		return slices.Clone(from) // the facet writes to its own
	}
	for _, c := range from {
		i, found := slices.BinarySearchFunc(into, c.Purpose, comparePurpose)
		if !found {
			into = slices.Insert(into, i, c)
		} else if c.At.After(into[i].At) {
			into[i] = c
		}
	}
	return into
}

// Granted says whether the person allowed a purpose; asked is false when nobody
// said anything about it.
func (p *Profile) Granted(purpose string) (granted, asked bool) {
	i, found := slices.BinarySearchFunc(p.Consent, purpose, comparePurpose)
	return found && p.Consent[i].Granted, found
}

// Exposure is how often the person was shown one variant of a placement, or was
// held out of it: from track events "Experiment Viewed" with experiment_id,
// variation_id and holdout. (Segment's A/B testing spec)
type Exposure struct {
	Placement string
	Variant   string
	Holdout   bool
	First     int64   // ms
	Count     int64   // events
	Times     []int64 // the newest 64 moments, ms, ascending; never written
}

// Bounds of the exposures of a facet: past the first the one that was shown last
// the longest ago goes.
const (
	maxExposures     = 256
	maxExposureTimes = 64
	maxExposureBytes = 256
)

func (x *Exposure) compare(o *Exposure) int {
	return cmp.Or(strings.Compare(x.Placement, o.Placement), strings.Compare(x.Variant, o.Variant), cmp.Compare(flag(x.Holdout), flag(o.Holdout)))
}

// foldExposure puts a new list in the place of the old one, which profiles share.
func (f *Facet) foldExposure(e *event.Event) (changed bool) {
	x := Exposure{Placement: e.Properties.Get("experiment_id").Text(), Variant: e.Properties.Get("variation_id").Text(), First: e.Timestamp, Count: 1, Times: []int64{e.Timestamp}}
	if x.Placement == "" || x.Variant == "" || max(len(x.Placement), len(x.Variant)) > maxExposureBytes {
		return false
	}
	x.Placement, x.Variant = strings.Clone(x.Placement), strings.Clone(x.Variant)
	x.Holdout, _ = e.Properties.Get("holdout").Bool()
	f.Seen = joinSeen(f.Seen, []Exposure{x})
	return true
}

// joinSeen gives the exposures of both lists, which stay as they are.
func joinSeen(a, b []Exposure) []Exposure {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	list := make([]Exposure, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch c := a[0].compare(&b[0]); {
		case c < 0:
			list, a = append(list, a[0]), a[1:]
		case c > 0:
			list, b = append(list, b[0]), b[1:]
		default:
			x := a[0]
			x.First, x.Count = min(x.First, b[0].First), x.Count+b[0].Count
			x.Times = joinTimes(x.Times, b[0].Times, maxExposureTimes)
			list, a, b = append(list, x), a[1:], b[1:]
		}
	}
	list = append(append(list, a...), b...)
	for len(list) > maxExposures {
		old := 0
		for i := range list {
			if list[i].newest() < list[old].newest() {
				old = i
			}
		}
		list = slices.Delete(list, old, old+1)
	}
	return list
}

func (x *Exposure) newest() int64 {
	if len(x.Times) == 0 {
		return x.First
	}
	return x.Times[len(x.Times)-1]
}

// joinTimes gives the newest most moments of both lists, each once, ascending. The
// lists stay as they are.
func joinTimes(a, b []int64, most int) []int64 {
	if len(a) == 0 {
		return b[max(0, len(b)-most):]
	}
	list := make([]int64, 0, min(len(a)+len(b), most+1))
	for i, j := len(a)-1, len(b)-1; (i >= 0 || j >= 0) && len(list) < most; {
		switch {
		case j < 0 || i >= 0 && a[i] > b[j]:
			list = append(list, a[i])
			i--
		case i < 0 || a[i] < b[j]:
			list = append(list, b[j])
			j--
		default:
			list = append(list, a[i])
			i, j = i-1, j-1
		}
	}
	slices.Reverse(list)
	return list
}
