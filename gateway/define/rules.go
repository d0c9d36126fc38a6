package define

import "github.com/reuna/reuna/identity/trait/rule"

// Rule is the condition of an audience that is at work; "" when there is none.
func (l *Live) Rule(audience string) string { return l.segments["\x00"+audience].Segment.When }

// PlacementRule is a condition of a placement that a site's pages have, by where
// it stands in its definition (variants[0].when), as it was written and compiled.
func (l *Live) PlacementRule(site, placement, path string) (text string, compiled *rule.Rule) {
	d, own := l.placements[site+"\x00"+placement]
	if !own {
		d = l.placements["\x00"+placement]
	}
	for _, r := range d.Rules {
		if r.Path == path {
			compiled, _ = l.Env.Rule(path, r.CEL, l.Segments.All())
			return r.CEL, compiled
		}
	}
	return "", nil
}
