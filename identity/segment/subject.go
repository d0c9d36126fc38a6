package segment

import (
	"reflect"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	celtraits "github.com/google/cel-go/common/types/traits"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
)

// Subject is a person at a moment, as rules see them. Fields are set before the
// first rule runs, by one goroutine, and are only read afterwards (but for
// Segments, which Members extends); Reset makes it ready for another person.
type Subject struct {
	Profile *facet.Profile // nil: nothing is known
	// Computed is what Compute, or Reset, made of Profile at Now.
	Computed    trait.Computed
	Segments    []string
	Identifiers []string // types of identifier present
	// Consent is by purpose, true is granted; nil: what the profile says.
	Consent map[string]bool
	Now     int64 // ms since 1970 UTC
	// Event is the newest event of this visit, nil when there is none. Where it
	// says a device, a place or a source, they stand before the profile's. It is
	// for looks at somebody whose event was not folded; Judge is not told of it.
	Event *event.Event

	faded                     trait.Computed // as of the step that Now is in
	clock                     rule.Clock
	now                       rule.Moving
	judging                   judging
	judged                    int // evaluations of audiences since Reset
	traits, affinity, consent rule.Map
	nobody                    facet.Profile // what Profile says when it is nil
}

// Reset empties the subject and keeps its memory.
func (s *Subject) Reset() {
	clear(s.Segments)
	s.Computed.Reset(nil, nil, 0)
	s.faded.Reset(nil, nil, 0)
	*s = Subject{Segments: s.Segments[:0], Computed: s.Computed, faded: s.faded, judging: s.judging}
	s.Computed.Clock = nil
	s.judging.set = nil
}

// Stand says that the person is where st says, in audiences of set, for rules and for
// WriteSegments, and Segments need not be made. Both may be nil.
func (s *Subject) Stand(set *Set, st *Standing) {
	if set == nil {
		set = none
	}
	w := &s.judging
	w.ready(set)
	set.places(w.in, st)
	w.asks = set.every
}

// WriteSegments writes the names of the audiences that the person is in, in the order of
// their definitions, as a list.
func (s *Subject) WriteSegments(o *event.Writer) {
	o.OpenList()
	if w := &s.judging; w.set != nil {
		w.set.write(o, w.in)
	}
	for _, name := range s.Segments {
		o.Item(name)
	}
	o.CloseList()
}

// Until is until when what the last rule said holds by itself, as a Judge of one
// rule: rule.Never when no time was read.
func (s *Subject) Until() int64 {
	s.tick()
	return s.clock.Until
}

// tick sets the clock, where no rule has asked for it yet.
func (s *Subject) tick() {
	if s.clock.Now != s.Now || s.clock.Until == 0 {
		s.clock.At(s.Now)
	}
}

// Device is what the person uses now.
func (s *Subject) Device() *event.Device {
	if s.Event != nil && s.Event.Device != (event.Device{}) {
		return &s.Event.Device
	}
	return &s.profile().Device
}

// Geo is where the person is now.
func (s *Subject) Geo() *event.Geo {
	if s.Event != nil && s.Event.Geo != (event.Geo{}) {
		return &s.Event.Geo
	}
	return &s.profile().Geo
}

// Traffic is where the person's latest visit with a known source came from.
func (s *Subject) Traffic() *event.Traffic {
	if s.Event != nil && s.Event.Traffic.Channel != "" {
		return &s.Event.Traffic
	}
	return &s.profile().Traffic
}

// FirstTouch is where the person came from for the first time, Direct too.
func (s *Subject) FirstTouch() *event.Traffic {
	if p := s.profile(); p.FirstTouch.Channel != "" || s.Event == nil {
		return &p.FirstTouch
	}
	return &s.Event.Traffic
}

// LastTouch is where the person last came from by more than typing an address,
// as GA4's last non-direct click is; Direct for those who never did.
func (s *Subject) LastTouch() *event.Traffic {
	p := s.profile()
	if s.Event != nil && s.Event.Traffic.Channel != "" && (s.Event.Traffic.Channel != event.Direct || p.LastTouch.Channel == "") {
		return &s.Event.Traffic
	}
	return &p.LastTouch
}

func (s *Subject) profile() *facet.Profile {
	if s.Profile == nil {
		return &s.nobody
	}
	return s.Profile
}

// ResolveName implements cel.Activation: each name is made when a rule asks.
func (s *Subject) ResolveName(name string) (any, bool) {
	switch name {
	case "traits":
		if !s.traits.Ready() {
			s.traits.Of((*traits)(s), facet.MaxTraits)
		}
		return &s.traits, true
	case "computed":
		s.tick()
		s.Computed.Clock = &s.clock
		return &s.Computed, true
	case "counts":
		return s.profile(), true
	case "segments":
		if s.judging.set != nil {
			return (*members)(&s.judging), true
		}
		return (*rule.Texts)(&s.Segments), true
	case "site":
		return types.String(s.profile().Site), true
	case "identifiers":
		return (*rule.Texts)(&s.Identifiers), true
	case "geo":
		return s.Geo(), true
	case "device":
		return s.Device(), true
	case "traffic":
		return s.Traffic(), true
	case "firstTouch":
		return s.FirstTouch(), true
	case "lastTouch":
		return s.LastTouch(), true
	case "affinity":
		if !s.affinity.Ready() {
			s.affinity.Of((*affinity)(s), maxKeys)
		}
		return &s.affinity, true
	case "consent":
		if !s.consent.Ready() {
			s.consent.Of((*consent)(s), maxKeys)
		}
		return &s.consent, true
	case "now":
		s.tick()
		return s.now.Now(&s.clock), true
	}
	return nil, false
}

// ResolveText implements rule.Reads.
func (s *Subject) ResolveText(name string) (string, bool) {
	if name != "site" {
		return "", false
	}
	return s.profile().Site, true
}

// Parent implements cel.Activation.
func (s *Subject) Parent() cel.Activation { return nil }

// traits are the person's; one that was taken back is absent.
type traits Subject

// JSON gives a trait without making a value of it.
func (t *traits) JSON(key string) event.Value {
	if t.Profile == nil {
		return ""
	}
	v := t.Profile.Traits[key].Value
	if v.Kind() == event.Null {
		return ""
	}
	return v
}

func (t *traits) Find(key string) (ref.Val, bool) {
	v := t.JSON(key)
	return rule.FromJSON(v), v != ""
}

func (t *traits) All() map[string]any {
	all := map[string]any{}
	if t.Profile != nil {
		for name, x := range t.Profile.Traits {
			if x.Value != "" && x.Value.Kind() != event.Null {
				all[name] = x.Value.Any()
			}
		}
	}
	return all
}

type affinity Subject

// scores fade in steps, and note when the next one comes.
func (a *affinity) scores() []facet.Score {
	until := a.Computed.Fade(&a.faded)
	list := a.faded.Affinity()
	if len(list) > 0 {
		(*Subject)(a).tick()
		a.clock.Note(until)
	}
	return list
}

func (a *affinity) Find(key string) (ref.Val, bool) {
	for _, s := range a.scores() {
		if s.Key == key {
			return types.Double(s.Value), true
		}
	}
	return nil, false
}

func (a *affinity) All() map[string]any {
	list := a.scores()
	all := make(map[string]any, len(list))
	for _, s := range list {
		all[s.Key] = s.Value
	}
	return all
}

// consent is what the person allowed; a purpose nobody asked about is absent.
type consent Subject

func (c *consent) Find(key string) (ref.Val, bool) {
	var granted, asked bool
	if c.Consent != nil {
		granted, asked = c.Consent[key]
	} else {
		granted, asked = (*Subject)(c).profile().Granted(key)
	}
	return types.Bool(granted), asked
}

func (c *consent) All() map[string]any {
	all := map[string]any{}
	if c.Consent != nil {
		for purpose, granted := range c.Consent {
			all[purpose] = granted
		}
		return all
	}
	for _, choice := range (*Subject)(c).profile().Consent {
		all[choice.Purpose] = choice.Granted
	}
	return all
}

// members are the audiences that the person is in as far as judged: those that
// the audience at hand asks for, all of them behind Stand.
type members judging

// Contains implements traits.Container.
func (m *members) Contains(v ref.Val) ref.Val {
	name, ok := v.(types.String)
	if !ok {
		return types.False
	}
	i, ok := m.set.place[string(name)]
	return types.Bool(ok && m.asks.has(i) && m.in.has(i))
}

// list is made for the rules that walk over it.
func (m *members) list() *rule.Texts {
	names := rule.Texts{}
	for _, x := range m.set.order {
		if m.asks.has(x.place) && m.in.has(x.place) {
			names = append(names, m.set.list[x.place].Name)
		}
	}
	return &names
}

// Add implements traits.Adder.
func (m *members) Add(other ref.Val) ref.Val {
	if o, ok := other.(*members); ok {
		other = o.list()
	}
	return m.list().Add(other)
}

// Get implements traits.Indexer.
func (m *members) Get(index ref.Val) ref.Val { return m.list().Get(index) }

// Iterator implements traits.Iterable.
func (m *members) Iterator() celtraits.Iterator { return m.list().Iterator() }

// Size implements traits.Sizer.
func (m *members) Size() ref.Val { return m.list().Size() }

// Equal implements ref.Val.
func (m *members) Equal(other ref.Val) ref.Val {
	if o, ok := other.(*members); ok {
		other = o.list()
	}
	return m.list().Equal(other)
}

// ConvertToNative implements ref.Val.
func (m *members) ConvertToNative(to reflect.Type) (any, error) { return m.list().ConvertToNative(to) }

// ConvertToType implements ref.Val.
func (m *members) ConvertToType(to ref.Type) ref.Val { return m.list().ConvertToType(to) }

// Type implements ref.Val.
func (m *members) Type() ref.Type { return types.ListType }

// Value implements ref.Val.
func (m *members) Value() any { return m.list().Value() }
