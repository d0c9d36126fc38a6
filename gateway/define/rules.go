package define

import "github.com/reuna/reuna/identity/trait/rule"

// Rule is the condition of an audience that is at work; "" when there is none.
func (l *Live) Rule(audience string) string { return l.segments[audience].Segment.When }

// PlacementRule is a condition of a placement at work, by where it stands in its
// definition (variants[0].when), as it was written and compiled.
func (l *Live) PlacementRule(placement, path string) (text string, compiled *rule.Rule) {
	for _, r := range l.placements[placement].Rules {
		if r.Path == path {
			compiled, _ = l.Env.Rule(path, r.CEL, l.Segments.All())
			return r.CEL, compiled
		}
	}
	return "", nil
}
