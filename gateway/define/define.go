// Package define keeps an installation's traits, audiences and placements at
// work: it gathers them from the configuration, from operators and from the
// program itself, compiles them into one set, has new ones filled from the
// events that were before, and puts them to work when they are whole.
package define

import (
	"errors"
	"slices"

	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
)

// Kinds of definitions.
const (
	Trait     = "trait"
	Segment   = "segment"
	Placement = "placement"
)

// Where definitions come from. What a file says cannot be changed elsewhere.
const (
	FromFile    = "file"
	FromAPI     = "api"
	FromDemo    = "demo"
	FromProgram = "program" // built-in traits; any other of the same name stands for it
)

// Definition is one definition as somebody wrote it.
type Definition struct {
	Kind, Name string
	Source     string
	Body       []byte // canonical JSON: equal bodies are the same definition

	Trait     trait.Definition   // of a trait
	Segment   segment.Definition // of an audience
	Placement any                // of a placement: what Options.Placements takes
	Site      string             // of a placement: whose pages have it; two of a name may be of two sites
	Rules     []Text             // of a placement: its conditions
}

// key tells definitions of a kind apart.
func (d *Definition) key() string { return d.Site + "\x00" + d.Name }

// is says that a definition stands for the operators' one of a kind and name.
func (d *Definition) is(kind, name string) bool {
	return d.Kind == kind && d.Name == name && d.Source != FromProgram && (kind != Placement || d.Source != FromDemo)
}

// Text is a condition, and where it stands in its definition: variants[0].when.
type Text struct{ Path, CEL string }

// Placements compiles placements, which are another's to know: it gives what is
// wrong, with paths such as placements[0].name. Their order is the list's.
type Placements func(l *Live, list []any) (compiled any, err error)

// Live is what is at work: immutable, for concurrent use.
type Live struct {
	Traits   *trait.Set
	Env      *segment.Env
	Segments *segment.Set
	// Placements are what Options.Placements made.
	Placements any

	ids   map[uint32]bool // of all series that are kept
	names map[uint32]string
	// The versions that are at work, by key; hidden are those that
	// functions in their rules read.
	traits, segments, placements map[string]Definition
	hidden                       map[string]trait.Definition
}

// Hidden says that a computed trait is one that a function in a rule reads.
func (l *Live) Hidden(name string) bool {
	return slices.ContainsFunc(l.Traits.Definitions(), func(d trait.Definition) bool { return d.Hidden && d.Name == name })
}

// wanted is everything that is defined, in the order in which it is compiled:
// what the file says comes first, so that faults' paths fit its lists.
type wanted struct {
	traits, segments, placements []Definition
	hidden                       []trait.Definition
}

// gather joins the definitions and finds the series that functions in rules ask
// for. Faults are of rules that cannot be read at all.
func gather(list []Definition) (*wanted, rule.Faults) {
	w := &wanted{}
	var faults rule.Faults
	order := []string{FromFile, FromAPI, FromDemo, FromProgram}
	for _, source := range order {
		for _, d := range list {
			if d.Source != source {
				continue
			}
			switch d.Kind {
			case Trait:
				if source != FromProgram || !slices.ContainsFunc(w.traits, func(x Definition) bool { return x.Name == d.Name }) {
					w.traits = append(w.traits, d)
				}
			case Segment:
				w.segments = append(w.segments, d)
			case Placement:
				w.placements = append(w.placements, d)
			}
		}
	}
	seen := map[string]bool{}
	for i := range w.segments {
		hidden, bad := segment.Queries(at("segments", i, "when"), w.segments[i].Segment.When)
		faults = append(faults, bad...)
		w.hide(hidden, seen)
	}
	for i := range w.placements {
		for _, r := range w.placements[i].Rules {
			hidden, bad := segment.Queries(at("placements", i, r.Path), r.CEL)
			faults = append(faults, bad...)
			w.hide(hidden, seen)
		}
	}
	return w, faults
}

func (w *wanted) hide(list []trait.Definition, seen map[string]bool) {
	for _, d := range list {
		if !seen[d.Name] {
			seen[d.Name] = true
			w.hidden = append(w.hidden, d)
		}
	}
}

// compile makes a Live of definitions as they stand in the lists. With faults it
// knows the names only.
func compile(traits []trait.Definition, segments []segment.Definition, placements []any, make Placements) (*Live, rule.Faults) {
	l := &Live{ids: map[uint32]bool{}, names: map[uint32]string{}}
	var faults rule.Faults
	note := func(err error) {
		var list rule.Faults
		if errors.As(err, &list) {
			faults = append(faults, list...)
		} else if err != nil {
			faults = append(faults, rule.Fault{Message: err.Error()})
		}
	}
	var err error
	l.Traits, err = trait.Compile(traits)
	note(err)
	l.Env = segment.NewEnv(l.Traits)
	l.Segments, err = segment.Compile(l.Env, segments)
	note(err)
	l.Placements, err = make(l, placements)
	note(err)
	for i := range traits {
		l.ids[traits[i].ID] = true
	}
	for i := range segments {
		l.names[segments[i].ID] = segments[i].Name
	}
	return l, faults
}

// Check compiles definitions as if all were whole. The error is rule.Faults.
func Check(list []Definition, make Placements) error {
	w, faults := gather(list)
	if all := w.check(make); len(all) > 0 {
		faults = all // those of the functions in rules among them
	}
	return faults.Err()
}
