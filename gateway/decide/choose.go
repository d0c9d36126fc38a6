package decide

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/reuna/reuna/identity/segment"
)

// decision is what a placement shows.
type decision struct {
	variant    string
	experience string // of the variant that matched, held out or not
	holdout    bool
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

// choose takes the first variant whose rule holds. ok is false when none does:
// the page's own content stays.
func (d *Decider) choose(p *placement, sub *segment.Subject, unit string) (x decision, ok bool) {
	for i := range p.variants {
		v := &p.variants[i]
		if v.when != nil && !v.when.Holds(sub) {
			continue
		}
		if v.Holdout > 0 && d.share(unit, p.name, v.Name) < v.Holdout {
			x = decision{variant: Default, experience: v.Experience, holdout: true}
			if p.fallback != nil {
				x.variant = p.fallback.Name
			}
			return x, true
		}
		return decision{variant: v.Name, experience: v.Experience}, true
	}
	return decision{}, false
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
