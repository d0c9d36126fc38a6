// Package segment says which audiences a person is in, and gives placements
// the same language of conditions.
//
// A rule is CEL over traits, computed, counts, segments, identifiers, geo,
// device, traffic, firstTouch, lastTouch, consent, affinity and now. What is
// missing does not match: a rule whose outcome hangs on a trait that nobody set
// is false. The members of computed, counts, geo, device, traffic and the two
// touches are fixed, so that a misspelt one is refused; where nothing is known
// they are 0 or the empty text, and has() tells.
package segment

import (
	"fmt"

	"github.com/reuna/reuna/identity/trait/rule"
)

// Definition is an audience: everyone for whom When holds.
type Definition struct{ Name, When string }

// Set is a list of audiences made ready: immutable, for concurrent use. A nil
// Set is an empty one.
type Set struct {
	names []string
	rules []*rule.Rule
}

// Compile makes a Set. A rule may ask for the segments declared before it
// ('x' in segments). The error is rule.Faults, everything that is wrong, with
// paths such as segments[0].when. The Set that comes with an error only knows
// the names, for the rules that ask for them: nobody is in it.
func Compile(env *Env, list []Definition) (*Set, error) {
	s := &Set{}
	var faults rule.Faults
	for i, d := range list {
		at := fmt.Sprintf("segments[%d]", i)
		if d.Name == "" {
			faults = append(faults, rule.Fault{Path: at + ".name", Message: "saw nothing, expected a name"})
		}
		for j, name := range s.names {
			if name == d.Name {
				faults = append(faults, rule.Fault{Path: at + ".name", Message: fmt.Sprintf("%q is the name of segments[%d] too; rename one", d.Name, j)})
			}
		}
		r, bad := env.Rule(at+".when", d.When, s.names)
		faults = append(faults, bad...)
		s.names, s.rules = append(s.names, d.Name), append(s.rules, r)
	}
	if len(faults) > 0 {
		s.rules = nil
	}
	return s, faults.Err()
}

// Names lists the audiences in the order of their definitions. The list is the
// Set's own.
func (s *Set) Names() []string {
	if s == nil {
		return nil
	}
	return s.names
}

// Members appends the names of the audiences that sub is in to sub.Segments, in
// the order of their definitions. The names live as long as the Set.
func (s *Set) Members(sub *Subject) {
	if s == nil {
		return
	}
	for i, r := range s.rules {
		if r.Holds(sub) {
			sub.Segments = append(sub.Segments, s.names[i])
		}
	}
}

// Failures is how often rules failed for another reason than a missing key
// since the Set was made.
func (s *Set) Failures() (n uint64) {
	if s == nil {
		return 0
	}
	for _, r := range s.rules {
		n += r.Failures()
	}
	return n
}
