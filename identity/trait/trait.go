// Package trait computes traits from what a person does: how often something
// happened and for how much, what they did first and last, which of its kinds they
// like best, and what they did after what.
//
// A definition names the events that matter and becomes a series of a facet;
// Contribute says what one event adds to it, Compute reads the series of a
// profile. Both are pure, so the same events give the same traits in whatever
// order and through whichever devices they came.
package trait

import (
	"fmt"
	"hash/fnv"
	"io"
	"sync"
	"time"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait/rule"
)

const (
	// cuts is into how many buckets a window is cut, for what lies behind the newest
	// seconds; an affinity has nothing else.
	cuts = 96

	// halfLives is how far back an affinity looks; what lies further has less
	// than a 256th of its weight.
	halfLives = 8
	forgotten = 1.0 / (1 << halfLives)

	minWidth = 1000 // ms
)

// definition is a Definition made ready.
type definition struct {
	Definition
	kind  *kind
	set   *Set
	spec  facet.Spec
	where int // of the Set's conditions; −1: every event
	by    path
	value path
	steps []step
	unit  string
	fixed *time.Location // nil: the person's own
	*zones
}

type step struct {
	Step
	key   string
	where int
}

// Set is a list of definitions made ready: immutable, for concurrent use. A nil
// Set is an empty one.
type Set struct {
	defs    []*definition
	index   map[string]int // of those that can be read
	byEvent map[string][]*definition
	any     []*definition // those that name no event
	wheres  []*rule.Rule  // each different condition once
	reach   time.Duration
	first   int       // the first affinity's index, -1 without one
	work    sync.Pool // of *work
	zones   zones
}

// Compile makes a Set. The error is rule.Faults, everything that is wrong, with
// paths such as traits[0].where. The Set that comes with an error only knows
// the names: rules that speak of them can be checked in the same go, and are
// not blamed for the faults of what they speak of.
func Compile(list []Definition) (*Set, error) {
	c := compiler{
		s:      &Set{byEvent: map[string][]*definition{}, index: map[string]int{}, first: -1},
		env:    sync.OnceValues(newEnv),
		wheres: map[string]int{},
		series: map[uint32]*definition{},
	}
	for i := range list {
		if err := c.definition(i, list[i]); err != nil {
			return nil, err
		}
	}
	if len(c.series) > facet.MaxComputed {
		c.faults = append(c.faults, rule.Fault{Path: "traits", Message: fmt.Sprintf("saw %d different computed traits, those that rules make included; the limit is %d", len(c.series), facet.MaxComputed)})
	}
	return c.s, c.faults.Err()
}

type compiler struct {
	s      *Set
	env    func() (*rule.Env, error)
	wheres map[string]int
	series map[uint32]*definition // by ID; one contributes for all that share it
	faults rule.Faults
}

func (c *compiler) definition(i int, from Definition) error {
	s, at := c.s, fmt.Sprintf("traits[%d]", i)
	d := &definition{Definition: from, set: s, zones: &s.zones, where: -1}
	bad := d.check(at)
	j, twice := s.index[d.Name]
	switch {
	case twice && d.Pending == s.defs[j].Pending:
		bad = append(bad, rule.Fault{Path: at + ".name", Message: fmt.Sprintf("%q is the name of two traits; rename one", d.Name)})
	case !twice || !d.Pending:
		s.index[d.Name] = i
	}
	s.defs = append(s.defs, d)
	var err error
	if d.where, bad, err = c.condition(at+".where", d.Where, bad); err != nil {
		return err
	}
	d.steps = nil
	for j, st := range d.Definition.steps() {
		x := step{Step: st, key: stepKey(j)}
		if x.where, bad, err = c.condition(stepPath(at, j, len(d.Steps))+".where", st.Where, bad); err != nil {
			return err
		}
		d.steps = append(d.steps, x)
	}
	c.faults = append(c.faults, bad...)
	if len(bad) > 0 {
		return nil
	}
	if d.spec, err = d.layout(len(c.series)); err != nil {
		return err
	}
	if d.Kind == Affinity && s.first < 0 && !d.Pending && !d.Hidden {
		s.first = i
	}
	if same := c.series[d.spec.ID]; same != nil {
		if got, want := d.Fingerprint(), same.Fingerprint(); got != want {
			return fmt.Errorf("trait: %s and %s have one id, %d, and different series: %s, %s", same.Name, d.Name, d.spec.ID, want, got)
		}
		d.spec.Slot = same.spec.Slot
		return nil
	}
	c.series[d.spec.ID] = d
	if reach := d.reach(); len(c.series) == 1 || reach == 0 || s.reach > 0 && reach > s.reach {
		s.reach = reach
	}
	names := d.events()
	for _, name := range names {
		s.byEvent[name] = append(s.byEvent[name], d)
	}
	if len(names) == 0 {
		s.any = append(s.any, d)
	}
	return nil
}

func stepPath(at string, i, steps int) string {
	if i == steps {
		return at + ".not"
	}
	return fmt.Sprintf("%s.steps[%d]", at, i)
}

// condition gives the index of a condition, −1 of none.
func (c *compiler) condition(path, text string, bad rule.Faults) (int, rule.Faults, error) {
	if text == "" {
		return -1, bad, nil
	}
	if i, known := c.wheres[text]; known {
		return i, bad, nil
	}
	env, err := c.env()
	if err != nil {
		return 0, nil, err
	}
	r, more := env.Compile(path, text)
	if r != nil {
		c.wheres[text] = len(c.s.wheres)
		c.s.wheres = append(c.s.wheres, r)
	}
	return len(c.s.wheres) - 1, append(bad, more...), nil
}

// layout is how the series is kept.
func (d *definition) layout(slot int) (facet.Spec, error) {
	x := facet.Spec{ID: d.ID, Slot: uint16(slot), Form: d.kind.form, Window: d.horizon().Milliseconds(), Most: d.kind.keep(&d.Definition)}
	if x.ID == 0 {
		h := fnv.New32a()
		if _, err := io.WriteString(h, d.Fingerprint()); err != nil {
			return x, err
		}
		x.ID = max(1, h.Sum32())
	}
	switch {
	case x.Form == facet.Tallies && x.Window > 0:
		x.Width = max(minWidth, (x.Window+cuts-1)/cuts)
	case x.Form == facet.Tallies && d.kind.by:
		x.Most = 0
	case x.Form == facet.Tallies:
		x.Form, x.Most = facet.Total, 0
	case x.Form == facet.Moments:
		x.Window = 0
	}
	return x, nil
}

// reach is how far back the series must know of; 0: all time.
func (d *definition) reach() time.Duration {
	if h := d.horizon(); h > 0 {
		return h + time.Duration(d.spec.Width)*time.Millisecond
	}
	return 0
}

// Len is the number of definitions.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.defs)
}

// Reach is how far back the longest window looks; 0 when one looks at all time, or
// when there is none.
func (s *Set) Reach() time.Duration {
	if s == nil {
		return 0
	}
	return s.reach
}

// Slot is the place of a computed trait in a facet.Change.
func (s *Set) Slot(name string) (int, bool) {
	if s == nil {
		return 0, false
	}
	i, ok := s.index[name]
	if !ok {
		return 0, false
	}
	return int(s.defs[i].spec.Slot), true
}

// Failures is how often rules failed for another reason than a missing field
// since the Set was made.
func (s *Set) Failures() (n uint64) {
	if s == nil {
		return 0
	}
	for _, r := range s.wheres {
		n += r.Failures()
	}
	return n
}
