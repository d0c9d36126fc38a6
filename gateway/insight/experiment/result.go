package experiment

import (
	"cmp"
	"slices"
	"time"
)

// Result is what came of one version of a placement.
type Result struct {
	Placement, Site string
	Version         int
	Goal            Goal
	First, Last     time.Time // shows
	// Several is how many persons count for more than one side or variant: they were
	// shown more than one, one after the other.
	Several  int64
	Variants []VariantResult // in the order of the definition, each before those held out of it
}

// VariantResult is what came of one variant, or of being held out of it.
type VariantResult struct {
	Variant   string
	HeldOut   bool
	Persons   int64    // who were shown it, or held out
	Converted int64    // those of them who did what the placement is for within its time
	Value     float64  // what that was worth in all
	Rate      Interval // Converted of Persons: Wilson's interval
	Worth     Interval // Value a person, 0 for those who did not: the normal interval; bounds may be NaN
	Against   *Against // nil: this is what others are compared with, or there is nothing to compare it with
	// Best is the probability that the variant's rate is the greatest of all
	// variants'; 0 of those held out.
	Best float64
}

// Against is how much more a variant did than what it is compared with: those
// who were held out of it where there are any, else the first variant.
type Against struct {
	Variant string
	HeldOut bool
	Rate    Interval // Newcombe's interval of the difference
	Worth   Interval // of the means; bounds may be NaN
}

// Results are the results of all versions of a site's placement that were shown,
// the newest first. site is whose alone the placement is; empty: every site's.
func (r *Reader) Results(site, placement string) (list []Result) {
	r.mu.Lock()
	counted := r.versions(site, placement)
	for i, t := range counted { // what they say is made of them takes too long for the lock
		counted[i] = &trial{def: t.def, cells: slices.Clone(t.cells), several: t.several, first: t.first, last: t.last}
	}
	r.mu.Unlock()
	for _, t := range counted {
		list = append(list, t.result())
	}
	return list
}

func (r *Reader) versions(site, placement string) (list []*trial) {
	for _, t := range r.trials {
		if t.def.Placement == placement && t.def.Site == site {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b *trial) int {
		return cmp.Or(cmp.Compare(b.def.Version, a.def.Version), cmp.Compare(b.id, a.id))
	})
	return list
}

// Arm is how one variant does, without those held out.
type Arm struct {
	Variant            string
	Persons, Converted int64
}

// Arms tells how the variants of one version of a placement do; of several
// definitions of that version the newest's.
func (r *Reader) Arms(site, placement string, version int) (list []Arm) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.versions(site, placement) {
		if t.def.Version != version {
			continue
		}
		for i, name := range t.def.Variants {
			c := &t.cells[2*i]
			list = append(list, Arm{name, c.persons, c.converted})
		}
		return list
	}
	return nil
}

func (t *trial) result() Result {
	x := Result{
		Placement: t.def.Placement, Site: t.def.Site, Version: t.def.Version, Goal: t.def.Goal,
		First: time.UnixMilli(t.first).UTC(), Last: time.UnixMilli(t.last).UTC(), Several: t.several,
	}
	var rates []Rate
	for i := range t.def.Variants {
		rates = append(rates, Rate{t.cells[2*i].converted, t.cells[2*i].persons})
	}
	best := Best(rates)
	for i := range t.cells {
		c := &t.cells[i]
		heldOut := i%2 == 1
		if heldOut && c.persons == 0 {
			continue
		}
		v := VariantResult{
			Variant: t.def.Variants[i/2], HeldOut: heldOut, Persons: c.persons, Converted: c.converted, Value: float64(c.sum) / 1e6,
			Rate: Wilson(c.converted, c.persons), Worth: Mean(c.persons, float64(c.sum)/1e6, c.squares),
		}
		if !heldOut {
			v.Best = best[i/2]
			v.Against = t.against(i)
		}
		x.Variants = append(x.Variants, v)
	}
	return x
}

// against compares a variant's cell.
func (t *trial) against(i int) *Against {
	j := i + 1
	if t.cells[j].persons == 0 {
		j = 0
	}
	if i == j || t.cells[i].persons == 0 || t.cells[j].persons == 0 {
		return nil
	}
	a, b := &t.cells[i], &t.cells[j]
	return &Against{
		Variant: t.def.Variants[j/2], HeldOut: j%2 == 1,
		Rate:  Newcombe(a.converted, a.persons, b.converted, b.persons),
		Worth: MeanDifference(a.persons, float64(a.sum)/1e6, a.squares, b.persons, float64(b.sum)/1e6, b.squares),
	}
}
