package define

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
)

func at(list string, i int, field string) string { return fmt.Sprintf("%s[%d].%s", list, i, field) }

// seriesKey names what a series is of: two traits of one definition have one
// each, so that taking one away leaves the other alone.
func seriesKey(d *trait.Definition) string { return d.Name + " " + d.Fingerprint() }

// series is what is known of a series.
type series struct {
	id    uint32
	since uint64 // it counts entries after this one by itself
	ready bool   // and has what those up to it give
}

// check compiles everything as if it were whole, and gives all that is wrong.
func (w *wanted) check(make Placements) rule.Faults {
	var traits []trait.Definition
	for i := range w.traits {
		traits = append(traits, w.traits[i].Trait)
	}
	var segments []segment.Definition
	for i := range w.segments {
		segments = append(segments, w.segments[i].Segment)
	}
	var placements []any
	for i := range w.placements {
		placements = append(placements, w.placements[i].Placement)
	}
	_, faults := compile(append(traits, w.hidden...), segments, placements, make)
	return faults
}

// plan makes of what is wanted what can be at work now. A trait whose series is
// not whole yet counts and is not read; until it is, its version before stays,
// and so do those of the audiences and placements that would read it. An
// audience without a version before is held: whoever was in it stays.
type plan struct {
	w         *wanted
	known     func(key string) series
	audiences map[string]uint32
	versions  func(kind, name string) int
	before    *Live // nil: nothing was at work
	make      Placements

	traits     []trait.Definition
	taken      map[string]bool // names among traits
	segments   []segment.Definition
	live       *Live
	waiting    []uint32 // series that are not whole
	waitingFor []string // definitions that wait for them: kind and name
}

func (p *plan) run() (*Live, error) {
	p.live = &Live{traits: map[string]Definition{}, segments: map[string]Definition{}, placements: map[string]Definition{}, hidden: map[string]trait.Definition{}}
	p.taken = map[string]bool{}
	ready := p.readyTraits()
	strictTraits, err := trait.Compile(ready)
	if err != nil {
		return nil, fmt.Errorf("define: traits that were checked do not compile: %w", err)
	}
	strict := segment.NewEnv(strictTraits)
	p.chooseSegments(strict)
	placements := p.choosePlacements(strict)
	p.keepOldHidden()
	l, faults := compile(p.traits, p.segments, placements, p.make)
	if err := faults.Err(); err != nil {
		return nil, fmt.Errorf("define: definitions that were checked do not compile: %w", err)
	}
	l.traits, l.segments, l.placements, l.hidden = p.live.traits, p.live.segments, p.live.placements, p.live.hidden
	return l, nil
}

// readyTraits puts every trait in its place and gives those that are whole.
func (p *plan) readyTraits() (ready []trait.Definition) {
	add := func(d trait.Definition, keep func(trait.Definition)) bool {
		s := p.known(seriesKey(&d))
		d.ID, d.Since = s.id, s.since
		if s.ready {
			p.traits, ready = append(p.traits, d), append(ready, d)
			p.taken[d.Name] = true
			keep(d)
			return true
		}
		p.waiting = append(p.waiting, d.ID)
		d.Pending = true
		p.traits = append(p.traits, d)
		return false
	}
	for _, d := range p.w.traits {
		if add(d.Trait, func(x trait.Definition) { d.Trait = x; p.live.traits[d.key()] = d }) {
			continue
		}
		p.waitingFor = append(p.waitingFor, Trait+" "+d.Name)
		if p.before == nil {
			continue
		}
		if old, ok := p.before.traits[d.key()]; ok {
			p.traits = append(p.traits, old.Trait)
			p.taken[d.Name] = true
			p.live.traits[d.key()] = old
		}
	}
	for _, d := range p.w.hidden {
		add(d, func(x trait.Definition) { p.live.hidden[d.Name] = x })
	}
	return ready
}

// chooseSegments takes each audience as it is wanted when all it reads is
// whole, else as it was.
func (p *plan) chooseSegments(strict *segment.Env) {
	var known []string // those that are as they are wanted
	for i, d := range p.w.segments {
		d.Segment.ID = p.audiences[d.Name]
		_, bad := strict.Rule(at("segments", i, "when"), d.Segment.When, known)
		var old Definition
		was := false
		if p.before != nil {
			old, was = p.before.segments[d.key()]
		}
		switch {
		case len(bad) == 0:
			known = append(known, d.Name)
		case was:
			d = old
		default:
			d.Segment.Held = true
		}
		if len(bad) > 0 {
			p.waitingFor = append(p.waitingFor, Segment+" "+d.Name)
		}
		p.segments = append(p.segments, d.Segment)
		if !d.Segment.Held {
			p.live.segments[d.key()] = d
		}
	}
}

// Versioned are placements that want to know which version of theirs they are;
// 0 where none is kept.
type Versioned interface{ At(version int) any }

// choosePlacements does the same for placements; one without a version before
// shows nothing until it is whole.
func (p *plan) choosePlacements(strict *segment.Env) (list []any) {
	names := make([]string, len(p.segments))
	for i := range p.segments {
		names[i] = p.segments[i].Name
	}
	for i, d := range p.w.placements {
		whole := true
		for _, r := range d.Rules {
			_, bad := strict.Rule(at("placements", i, r.Path), r.CEL, names)
			whole = whole && len(bad) == 0
		}
		if !whole {
			p.waitingFor = append(p.waitingFor, Placement+" "+d.Name)
			if p.before == nil {
				continue
			}
			old, was := p.before.placements[d.key()]
			if !was {
				continue
			}
			d = old
		}
		if v, ok := d.Placement.(Versioned); ok && whole {
			d.Placement = v.At(p.versions(Placement, d.Name))
		}
		list = append(list, d.Placement)
		p.live.placements[d.key()] = d
	}
	return list
}

// keepOldHidden keeps the series that the versions before still read.
func (p *plan) keepOldHidden() {
	if p.before == nil {
		return
	}
	need := func(path, text string) {
		list, _ := segment.Queries(path, text)
		for _, d := range list {
			if old, ok := p.before.hidden[d.Name]; ok && !p.taken[d.Name] {
				p.taken[d.Name] = true
				p.traits = append(p.traits, old)
				p.live.hidden[d.Name] = old
			}
		}
	}
	for _, d := range p.live.segments {
		need("", d.Segment.When)
	}
	for _, d := range p.live.placements {
		for _, r := range d.Rules {
			need("", r.CEL)
		}
	}
}

// depths gives for each audience at work a text that changes whenever somebody
// may be in it who was not before, or the other way round, by definition alone:
// its own rule, the traits and the other audiences whose names stand in it. A
// name that stands in a rule for another reason only makes more work.
func (l *Live) depths() map[string]string {
	out := map[string]string{}
	for _, name := range l.Segments.All() {
		d, ok := l.segments["\x00"+name]
		if !ok {
			continue // held
		}
		var b strings.Builder
		fmt.Fprintf(&b, "%q %q", d.Segment.Site, d.Segment.When)
		var parts []string
		for _, t := range l.traits {
			if strings.Contains(d.Segment.When, t.Name) {
				parts = append(parts, string(t.Body)+" "+t.Trait.Fingerprint())
			}
		}
		for n, deep := range out {
			if strings.Contains(d.Segment.When, n) {
				parts = append(parts, deep)
			}
		}
		slices.Sort(parts)
		for _, x := range parts {
			fmt.Fprintf(&b, " (%s)", x)
		}
		out[name] = b.String()
	}
	return out
}
