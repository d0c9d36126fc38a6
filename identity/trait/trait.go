// Package trait computes traits from what a person does: how often something
// happened, and which of its kinds they like best.
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
	"strings"
	"sync"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait/rule"
)

// Kinds of definitions.
const (
	Affinity = "affinity" // the value of By that was met most, the old ones fading
	Count    = "count"    // how many events
)

// Definition is one computed trait as an operator writes it.
type Definition struct {
	Name string // one word to CEL: rules read computed.name
	Kind string
	// Event and Events are track events' names, or the types of other messages (page,
	// screen, identify, group, alias). Both empty: any event.
	Event  string
	Events []string
	Where  string // CEL; empty: every such event
	By     string // path of what is told apart, such as properties.category
	Value  string // path of the amount, such as properties.revenue
	// Window is how far it looks back, in whole seconds; 0: all time.
	Window time.Duration
	// HalfLife is the age at which a happening weighs half.
	HalfLife  time.Duration
	Limit     int
	AtLeast   int
	Unit      string
	Timezone  string
	Longest   bool
	Steps     []Step
	Not       *Step
	Within    time.Duration
	Recency   []time.Duration
	Frequency []int
	Monetary  []float64
	Site      string // only events of this site; empty: of all

	// What follows is the gateway's to set, not the operator's.

	// ID is of this version and never used for another; equal fingerprints may share
	// one. 0: one that is made of the fingerprint.
	ID uint32
	// Since is the log's entry after which events count live; what came before, a fill
	// adds.
	Since uint64
	// Pending says that the fill is not done: events count, nobody can read it. An
	// older version may stand beside it under the same name.
	Pending bool
	// Hidden says that a function in a rule made it: rules read it, nobody is shown it.
	Hidden bool
}

// Step is one step of a sequence.
type Step struct{ Event, Where string }

const (
	// cuts is into how many buckets a window is cut, for what lies behind the newest
	// seconds; an affinity has nothing else.
	cuts = 96

	// halfLives is how far back an affinity looks; what lies further has less
	// than a 256th of its weight.
	halfLives = 8
	forgotten = 1.0 / (1 << halfLives)

	minWidth = 1000 // ms

	points = 128 // how many seconds of a window are kept exactly

	maxKeyBytes = 256 // longer values name no category
	maxKeys     = 16  // of one event's list
)

// definition is a Definition made ready.
type definition struct {
	Definition
	spec  facet.Spec
	where *rule.Rule // nil: every event
	by    path
}

// Set is a list of definitions made ready: immutable, for concurrent use. A nil
// Set is an empty one.
type Set struct {
	defs    []*definition
	byEvent map[string][]*definition
	any     []*definition // those that name no event
	index   map[string]int
	first   int       // the first affinity's index, -1 without one
	work    sync.Pool // of *work
}

// Compile makes a Set. The error is rule.Faults, everything that is wrong, with
// paths such as traits[0].where. The Set that comes with an error only knows
// the names: rules that speak of them can be checked in the same go, and are
// not blamed for the faults of what they speak of.
func Compile(list []Definition) (*Set, error) {
	s := &Set{byEvent: map[string][]*definition{}, index: map[string]int{}, first: -1}
	var faults rule.Faults
	var env *rule.Env
	for i := range list {
		at := fmt.Sprintf("traits[%d]", i)
		d := &definition{Definition: list[i]}
		bad := d.check(at)
		if j, twice := s.index[d.Name]; twice && d.Pending == s.defs[j].Pending {
			bad = append(bad, rule.Fault{Path: at + ".name", Message: fmt.Sprintf("%q is the name of two traits; rename one", d.Name)})
		} else if !twice || !d.Pending {
			s.index[d.Name] = i
		}
		s.defs = append(s.defs, d)
		if d.Where != "" {
			if env == nil {
				var err error
				if env, err = newEnv(); err != nil {
					return nil, err
				}
			}
			r, more := env.Compile(at+".where", d.Where)
			d.where, bad = r, append(bad, more...)
		}
		faults = append(faults, bad...)
		if len(bad) > 0 {
			continue
		}
		d.prepare(i)
		for _, name := range d.events() {
			s.byEvent[name] = append(s.byEvent[name], d)
		}
		if len(d.events()) == 0 {
			s.any = append(s.any, d)
		}
		if d.Kind == Affinity && s.first < 0 && !d.Pending {
			s.first = i
		}
	}
	if len(list) > facet.MaxComputed {
		faults = append(faults, rule.Fault{Path: "traits", Message: fmt.Sprintf("saw %d computed traits with those that rules make; the limit is %d", len(list), facet.MaxComputed)})
	}
	return s, faults.Err()
}

func (d *Definition) events() []string {
	if d.Event == "" {
		return d.Events
	}
	return append([]string{d.Event}, d.Events...)
}

// Fingerprint tells what the series depends on, which is everything but names and
// how it is read: definitions with equal fingerprints have the same series.
func (d *Definition) Fingerprint() string {
	return fmt.Sprintf("%q %q %q %q %q %d %d %q", d.Kind, d.events(), d.Where, d.By, d.Value, d.Window, d.HalfLife, d.Site)
}

func (d *definition) check(at string) (fs rule.Faults) {
	fault := func(field, format string, args ...any) {
		fs = append(fs, rule.Fault{Path: at + field, Message: fmt.Sprintf(format, args...)})
	}
	if !isWord(d.Name) {
		fault(".name", "saw %q, expected letters, digits and _, beginning with a letter (rules read it as computed.name)", d.Name)
	}
	switch d.Kind {
	case Count:
		if d.Window < 0 || d.Window%time.Millisecond != 0 {
			fault(".window", "saw %s, expected whole milliseconds, or nothing for all time", d.Window)
		}
		if d.By != "" {
			fault(".by", "a count has no by; leave it out, or use kind: affinity")
		}
	case Affinity:
		if d.HalfLife < time.Second {
			fault(".half_life", "saw %s, expected at least 1s, such as 14d", d.HalfLife)
		}
		var ok bool
		if d.by, ok = parsePath(d.By); !ok {
			fault(".by", "saw %q, expected the path of the value to score, such as properties.category", d.By)
		}
	default:
		fault(".kind", "saw %q, expected %s or %s", d.Kind, Affinity, Count)
	}
	return fs
}

// isWord says that s can stand behind the dot of a CEL name.
func isWord(s string) bool {
	if s == "" || len(s) > 64 || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for _, c := range []byte(s) {
		if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	switch s { // words that CEL keeps for itself
	case "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "namespace", "null", "package", "return", "true", "var", "void", "while":
		return false
	}
	return true
}

// prepare lays out the series.
func (d *definition) prepare(slot int) {
	d.spec = facet.Spec{ID: d.ID, Slot: uint16(slot), Form: facet.Tallies, Window: d.Window.Milliseconds(), Most: points}
	if d.Kind == Affinity {
		d.spec.Window, d.spec.Most = halfLives*d.HalfLife.Milliseconds(), 0
	}
	if d.spec.ID == 0 {
		h := fnv.New32a()
		io.WriteString(h, d.Fingerprint())
		d.spec.ID = h.Sum32()
	}
	if d.spec.Window > 0 {
		d.spec.Width = max(minWidth, (d.spec.Window+cuts-1)/cuts)
	}
}

// Len is the number of definitions.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.defs)
}

// work is what one call of Contribute needs, used again.
type work struct {
	vars eventVars
	c    facet.Contribution
}

// Contribute says what e, the log's entry number seq, adds to the series of a
// facet, through add: the form of facet.Rules.Contribute. An event that no
// definition names costs one look into a map. Keys are windows into the event.
func (s *Set) Contribute(e *event.Event, seq uint64, add func(*facet.Contribution)) {
	if s == nil {
		return
	}
	named := s.byEvent[nameOf(e.Type, e.Name)]
	if len(named) == 0 && len(s.any) == 0 {
		return
	}
	w, ok := s.work.Get().(*work)
	if !ok {
		w = new(work)
	}
	w.vars.e = e
	for _, list := range [...][]*definition{named, s.any} {
		for _, d := range list {
			if seq <= d.Since && d.Since > 0 || d.Site != "" && d.Site != e.Site || d.where != nil && !d.where.Holds(&w.vars) {
				continue
			}
			d.contribute(e, &w.c, add)
		}
	}
	*w = work{}
	s.work.Put(w)
}

func nameOf(t event.Type, name string) string {
	if t == event.Track {
		return name
	}
	return t.String()
}

// Wants says whether any definition can want such an event. It does not ask
// `where`.
func (s *Set) Wants(t event.Type, name string) bool {
	return s != nil && (len(s.any) > 0 || len(s.byEvent[nameOf(t, name)]) > 0)
}

// Reach is how far back the longest window looks; 0 when one looks at all time.
func (s *Set) Reach() (longest time.Duration) {
	if s == nil {
		return 0
	}
	for _, d := range s.defs {
		if d.spec.Window == 0 {
			return 0
		}
		longest = max(longest, time.Duration(d.spec.Window)*time.Millisecond)
	}
	return longest
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

func (d *definition) contribute(e *event.Event, c *facet.Contribution, add func(*facet.Contribution)) {
	*c = facet.Contribution{Spec: &d.spec, At: e.Timestamp, Tally: facet.Tally{N: 1}}
	if d.Kind == Count {
		add(c)
		return
	}
	v := d.by.of(e)
	if v.Kind() != event.Array {
		if c.Key = keyOf(v); c.Key != "" {
			add(c)
		}
		return
	}
	n := 0
	v.Items(func(m event.Value) bool {
		if c.Key = keyOf(m); c.Key != "" {
			add(c)
		}
		n++
		return n < maxKeys
	})
}

// keyOf is the text that a scored value is known by: a text trimmed, numbers
// and booleans as they were written. "" for anything else.
func keyOf(v event.Value) string {
	var s string
	switch v.Kind() {
	case event.String:
		s = strings.TrimSpace(v.Text())
	case event.Number, event.Bool:
		s = string(v)
	}
	if len(s) > maxKeyBytes {
		return ""
	}
	return s
}

// Failures is how often rules failed for another reason than a missing field
// since the Set was made.
func (s *Set) Failures() (n uint64) {
	if s == nil {
		return 0
	}
	for _, d := range s.defs {
		if d.where != nil {
			n += d.where.Failures()
		}
	}
	return n
}
