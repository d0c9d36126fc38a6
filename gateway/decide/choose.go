package decide

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"github.com/reuna/reuna/identity/segment"
)

// Decision is what a placement shows to a person.
type Decision struct {
	Variant    string
	Experience string // of the variant that was chosen, held out or not
	Holdout    bool   // shown the default, to be compared with those who are not
	Chosen     string // the variant that was chosen; Variant unless held out
}

// find gives a placement of a site; nil when there is none of that name.
func (d *Decider) find(s *site, name string) *placement {
	if s != nil {
		if p := s.placements[name]; p != nil {
			return p
		}
	}
	return d.every[name]
}

// Placements are the names of all that a site's pages may ask for, sorted.
func (d *Decider) Placements(siteName string) []string {
	all := maps.Clone(d.every)
	if s := d.sites[siteName]; s != nil {
		maps.Copy(all, s.placements)
	}
	return slices.Sorted(maps.Keys(all))
}

// choose decides for one placement. ok is false when no variant is for that
// person: the page's own content stays.
func (d *Decider) choose(p *placement, sub *segment.Subject, unit string) (x Decision, ok bool) {
	v := d.pick(p, sub, unit)
	if v == nil {
		return Decision{}, false
	}
	x = Decision{Variant: v.Name, Experience: v.Experience, Chosen: v.Name}
	if d.heldOut(p, v, unit) {
		x.Variant, x.Holdout = Default, true
		if p.fallback != nil {
			x.Variant = p.fallback.Name
		}
	}
	return x, true
}

// heldOut says whether a person is shown the default in the place of a variant.
// The default itself is what everyone gets, so nobody is held out of it where it
// is only for whom nothing else is; where chance may choose it, all are alike.
func (d *Decider) heldOut(p *placement, v *variant, unit string) bool {
	if v.Holdout > 0 && d.share(unit, p.name, v.Name) < v.Holdout {
		return true
	}
	return p.holdout > 0 && (p.choose != First || v != p.fallback) && d.share(unit, p.name, ofAll) < p.holdout
}

// ofAll stands where a variant's name does in what is hashed for a hold-out of
// the whole placement: no variant has an empty name.
const ofAll = ""

// pick finds a person's variant; nil: none is for them.
func (d *Decider) pick(p *placement, sub *segment.Subject, unit string) *variant {
	if p.choose == First {
		for i := range p.variants {
			if v := &p.variants[i]; p.may(v, sub) {
				return v
			}
		}
		return nil
	}
	var best, kept *variant
	most, last := 0.0, int64(0)
	for i := range p.variants {
		v := &p.variants[i]
		if !p.may(v, sub) {
			continue
		}
		if at := lastShown(sub, p.name, v.Name); at > last {
			kept, last = v, at
		}
		if kept != nil {
			continue
		}
		if x := d.lot(p, i, sub, unit); best == nil && x > 0 || x > most {
			best, most = v, x
		}
	}
	if kept != nil {
		return kept
	}
	return best
}

// may says whether a person may be shown a variant at all.
func (p *placement) may(v *variant, sub *segment.Subject) bool {
	if v.schedule != nil {
		if open, _ := v.schedule.at(sub.Now); !open {
			return false
		}
	}
	if v.Cap.Shows > 0 {
		if open, _ := v.Cap.at(sub, p.name, v.Name); !open {
			return false
		}
	}
	return v.when == nil || v.when.Holds(sub)
}

// lot is what a person draws for a variant: the one with the greatest is theirs.
func (d *Decider) lot(p *placement, i int, sub *segment.Subject, unit string) float64 {
	if p.choose == Bandit {
		return d.draw(p, i, sub.Now, unit)
	}
	v := &p.variants[i]
	if v.weight == 0 {
		return 0
	}
	// Weighted rendezvous hashing: of independent exponential times with the
	// weights as their rates the first is each one's in proportion to the weights
	// (D. G. Thaler, C. V. Ravishankar, 1998; J. Schindelhauer, G. Schomaker,
	// 2005). A weight that grows takes persons from the others and moves nobody
	// among them, so as few change as can.
	return v.weight / -math.Log(d.share(unit, p.name, v.lot)+math.SmallestNonzeroFloat64)
}

// share places a person on [0, 1) for one variant: evenly over persons,
// independently of other variants, and always the same. Raising a hold-out
// keeps everyone who was in it.
func (d *Decider) share(unit, placement, variant string) float64 {
	var room [256]byte
	b := append(room[:0], d.salt...)
	for _, s := range [...]string{unit, placement, variant} {
		// The length keeps ("ab", "c") from ("a", "bc").
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	sum := sha256.Sum256(b)
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}
