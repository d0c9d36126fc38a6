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
	Kind string // Affinity or Count
	// Event is a track event's name, or the type of another message (page,
	// screen, identify, group, alias). Empty: any event.
	Event string
	Where string // CEL; empty: every such event
	By    string // affinity: path of what is scored, such as properties.category
	// Window is how far a count looks back, in whole milliseconds; 0: all time.
	Window time.Duration
	// HalfLife is the age at which a happening weighs half in an affinity.
	HalfLife time.Duration
}

const (
	// cuts is into how many buckets a window or a horizon is cut; a facet
	// keeps at most 100. A count is exact to a 96th of its window.
	cuts = 96

	// halfLives is how far back an affinity looks; what lies further has less
	// than a 256th of its weight.
	halfLives = 8
	forgotten = 1.0 / (1 << halfLives)

	minWidth = 1000 // ms

	// allTime is the width of the one bucket that holds every moment.
	allTime = int64(1) << 60

	maxKeyBytes = 256 // longer values name no category
	maxKeys     = 16  // of one event's list
)

// definition is a Definition made ready.
type definition struct {
	Definition
	series facet.SeriesSpec
	where  *rule.Rule // nil: every event
	by     path
}

// Set is a list of definitions made ready: immutable, for concurrent use. A nil
// Set is an empty one.
type Set struct {
	defs    []*definition
	byEvent map[string][]*definition
	any     []*definition // those that name no event
	index   map[string]int
	first   int       // the first affinity's index, -1 without one
	vars    sync.Pool // of *eventVars
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
		if _, twice := s.index[d.Name]; twice {
			bad = append(bad, rule.Fault{Path: at + ".name", Message: fmt.Sprintf("%q is the name of two traits; rename one", d.Name)})
		}
		s.index[d.Name] = i
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
		d.prepare()
		if d.Event == "" {
			s.any = append(s.any, d)
		} else {
			s.byEvent[d.Event] = append(s.byEvent[d.Event], d)
		}
		if d.Kind == Affinity && s.first < 0 {
			s.first = i
		}
	}
	return s, faults.Err()
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

// prepare lays out the series. Its name carries a hash of all that the counts
// depend on, so that a changed definition starts a series of its own.
func (d *definition) prepare() {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %q %q %q %d %d", d.Kind, d.Event, d.Where, d.By, d.Window, d.HalfLife)
	d.series.Name = fmt.Sprintf("%s@%08x", d.Name, uint32(h.Sum64()^h.Sum64()>>32))
	span := d.Window.Milliseconds()
	if d.Kind == Affinity {
		span = halfLives * d.HalfLife.Milliseconds()
	}
	if span == 0 {
		d.series.Width, d.series.Buckets = allTime, 1
		return
	}
	d.series.Width = max(minWidth, (span+cuts-1)/cuts)
	d.series.Buckets = (span+d.series.Width-1)/d.series.Width + 1
}

// Len is the number of definitions.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.defs)
}

// Contribute says what e adds to the series of a facet, through add: the form
// of facet.Rules.Contribute. An event that no definition names costs one look
// into a map. Keys are windows into the event.
func (s *Set) Contribute(e *event.Event, add func(s facet.SeriesSpec, key string, n int64)) {
	if s == nil {
		return
	}
	name := e.Name
	if e.Type != event.Track {
		name = e.Type.String()
	}
	named := s.byEvent[name]
	if len(named) == 0 && len(s.any) == 0 {
		return
	}
	var vars *eventVars
	for _, list := range [...][]*definition{named, s.any} {
		for _, d := range list {
			if d.where != nil {
				if vars == nil {
					vars = s.getVars(e)
				}
				if !d.where.Holds(vars) {
					continue
				}
			}
			d.contribute(e, add)
		}
	}
	if vars != nil {
		s.putVars(vars)
	}
}

func (d *definition) contribute(e *event.Event, add func(s facet.SeriesSpec, key string, n int64)) {
	if d.Kind == Count {
		add(d.series, "", 1)
		return
	}
	v := d.by.of(e)
	if v.Kind() != event.Array {
		if key := keyOf(v); key != "" {
			add(d.series, key, 1)
		}
		return
	}
	n := 0
	v.Items(func(m event.Value) bool {
		if key := keyOf(m); key != "" {
			add(d.series, key, 1)
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
