// Package experiment counts what came of showing variants: of each placement's
// variants, and of those who were held out of them, how many persons were shown
// it, how many of these then did what the placement is for, and what it was
// worth. It reads the log behind the requests.
//
// A person counts once for each variant that they were shown: from the first
// time on, whatever comes of it within the goal's time counts for the variant.
// Robots do not count. Persons are told apart by who belongs together when their
// event is read; what is found out later is made good at their next exposure or
// goal: then what was counted of two becomes one. So counted twice are, until
// they return, persons whose devices were found to be one person's after each
// was shown the same variant. What a person did before it was known that
// another of their devices was shown a variant counts for nothing, and what was
// joined stays so when an operator cuts it again.
package experiment

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
)

// EventName is the track event that says what somebody was shown. Its
// properties: experiment_id is the placement, variation_id the variant; holdout
// is true for who was held out of heldOutOf.
// (https://segment.com/docs/connections/spec/ab-testing/)
const EventName = "Experiment Viewed"

// Definition is what is measured of one version of a placement.
type Definition struct {
	Placement string   `json:"placement"`
	Site      string   `json:"site,omitempty"` // whose alone it is; empty: every site's
	Version   int      `json:"version"`
	Variants  []string `json:"variants"` // in their order; the first is what others are compared with
	Goal      Goal     `json:"goal"`
}

// Goal is what a placement is for.
type Goal struct {
	Event  string        `json:"event,omitempty"`  // a track event, or the type of another message; empty: shows alone are counted
	Where  string        `json:"where,omitempty"`  // CEL, as in a trait; empty: every such event
	Value  string        `json:"value,omitempty"`  // path of what it is worth, as properties.revenue; empty: nothing
	Within time.Duration `json:"within,omitempty"` // after the first show; 0: 30 days
}

// Bounds.
const (
	defaultWithin = 30 * 24 * time.Hour
	maxWithin     = 400 * 24 * time.Hour
	// maxWorth is the most that one event is believed to be worth, so that sums and
	// squares keep their meaning.
	maxWorth = 1e9
)

// Check gives what is wrong with a goal, with paths below at.
func (g *Goal) Check(at string) (faults rule.Faults) {
	if g.Event == "" && (g.Where != "" || g.Value != "" || g.Within != 0) {
		return rule.Faults{{Path: at + ".event", Message: "saw nothing, expected the event that is a success, such as Order Completed"}}
	}
	if g.Within < 0 || g.Within > maxWithin {
		faults = append(faults, rule.Fault{Path: at + ".within", Message: fmt.Sprintf("saw %v, expected a time up to 400d, or none for 30d", g.Within)})
	}
	if rest, ok := strings.CutPrefix(g.Value, "properties."); g.Value != "" && (!ok || rest == "" || slices.Contains(strings.Split(rest, "."), "")) {
		faults = append(faults, rule.Fault{Path: at + ".value", Message: fmt.Sprintf("saw %q, expected the path of a number, such as properties.revenue", g.Value)})
	}
	if g.Event != "" {
		if _, err := g.compile(); err != nil {
			faults = append(faults, moved(err, at)...)
		}
	}
	return faults
}

// moved puts a trait's faults where the goal stands.
func moved(err error, at string) rule.Faults {
	list, ok := err.(rule.Faults)
	if !ok {
		return rule.Faults{{Path: at, Message: err.Error()}}
	}
	for i := range list {
		list[i].Path = at + strings.TrimPrefix(list[i].Path, "traits[0]")
	}
	return list
}

// compile makes of a goal the trait that counts its events.
func (g *Goal) compile() (*trait.Set, error) {
	return trait.Compile([]trait.Definition{{Name: "goal", Kind: trait.Count, Event: g.Event, Where: g.Where}})
}

func (g *Goal) within() int64 {
	if g.Within == 0 {
		return defaultWithin.Milliseconds()
	}
	return g.Within.Milliseconds()
}

// fingerprint tells definitions apart whose counts must not mix.
func (d *Definition) fingerprint() [16]byte {
	text, err := json.Marshal(d) // of texts and numbers alone: it cannot fail
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(text)
	return [16]byte(sum[:16])
}

// trial is a definition that is counted.
type trial struct {
	id    uint32 // its own, in the order in which they were first seen
	def   Definition
	goal  *trait.Set // nil: none
	cells []cell     // of each variant: of those who were shown it, then of those held out
	// several is how many persons count for more than one variant.
	several     int64
	first, last int64 // ms; shows
	changed     bool  // since it was saved
}

// cell counts one side of one variant.
type cell struct {
	persons, converted int64
	sum                int64   // of worth, in millionths
	squares            float64 // of each person's worth
}

func newTrial(id uint32, def Definition) (*trial, error) {
	t := &trial{id: id, def: def, cells: make([]cell, 2*len(def.Variants)), changed: true}
	if def.Goal.Event == "" {
		return t, nil
	}
	var err error
	t.goal, err = def.Goal.compile()
	return t, err
}

// cellOf finds the cell of a variant; -1 when there is no such variant.
func (t *trial) cellOf(variant string, heldOut bool) int {
	i := slices.Index(t.def.Variants, variant)
	if i < 0 {
		return -1
	}
	if heldOut {
		return 2*i + 1
	}
	return 2 * i
}

// met says whether an event is what the placement is for.
func (t *trial) met(e *event.Event) (met bool) {
	if t.def.Site != "" && e.Site != t.def.Site {
		return false
	}
	t.goal.Contribute(e, math.MaxUint64, func(*facet.Contribution) { met = true })
	return met
}

// worth is what an event is worth, in millionths; 0 where it does not say.
func (g *Goal) worth(e *event.Event) int64 {
	path, ok := strings.CutPrefix(g.Value, "properties.")
	if !ok {
		return 0
	}
	f, ok := number(e.Properties.Path(path))
	if !ok || !(math.Abs(f) <= maxWorth) {
		return 0
	}
	return int64(math.Round(f * 1e6))
}

// number reads a number, or a text that is one.
func number(v event.Value) (float64, bool) {
	if f, ok := v.Number(); ok {
		return f, true
	}
	if v.Kind() != event.String {
		return 0, false
	}
	return event.Value(strings.TrimSpace(v.Text())).Number()
}

// order is what an event is known by where it may be told twice, by the page and
// by a server; 0: it says none.
func order(e *event.Event) uint32 {
	id := e.Properties.Get("order_id").Text()
	if id == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint32(sum[:4]) | 1
}
