package segment

import (
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
)

// Subject is a person at a moment, as rules see them. Fields are set before the
// first rule runs, by one goroutine, and are only read afterwards (but for
// Segments, which Members extends); Reset makes it ready for another person.
type Subject struct {
	Profile     *facet.Profile // nil: nothing is known
	Computed    trait.Computed
	Segments    []string
	Identifiers []string        // types of identifier present
	Consent     map[string]bool // by purpose; true is granted
	Now         int64           // ms since 1970 UTC
	// Event is the newest event of this visit, nil when there is none. Where it
	// says a device, a place or a source, they stand before the profile's.
	Event *event.Event

	traits, affinity, consent rule.Map
	nobody                    facet.Profile // what Profile says when it is nil
}

// Reset empties the subject and keeps its memory.
func (s *Subject) Reset() {
	clear(s.Segments)
	*s = Subject{Segments: s.Segments[:0]}
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
		return &s.Computed, true
	case "counts":
		return s.profile(), true
	case "segments":
		return (*rule.Texts)(&s.Segments), true
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
		return types.Timestamp{Time: time.UnixMilli(s.Now).UTC()}, true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (s *Subject) Parent() cel.Activation { return nil }

// traits are the person's; one that was taken back is absent.
type traits Subject

func (t *traits) Find(key string) (ref.Val, bool) {
	if t.Profile == nil {
		return nil, false
	}
	v := t.Profile.Traits[key].Value
	if v == "" || v.Kind() == event.Null {
		return nil, false
	}
	return rule.FromJSON(v), true
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

func (a *affinity) Find(key string) (ref.Val, bool) {
	for _, s := range a.Computed.Affinity() {
		if s.Key == key {
			return types.Double(s.Value), true
		}
	}
	return nil, false
}

func (a *affinity) All() map[string]any {
	all := make(map[string]any, len(a.Computed.Affinity()))
	for _, s := range a.Computed.Affinity() {
		all[s.Key] = s.Value
	}
	return all
}

// consent is what the person allowed; a purpose nobody asked about is absent.
type consent Subject

func (c *consent) Find(key string) (ref.Val, bool) {
	granted, asked := c.Consent[key]
	return types.Bool(granted), asked
}

func (c *consent) All() map[string]any {
	all := make(map[string]any, len(c.Consent))
	for purpose, granted := range c.Consent {
		all[purpose] = granted
	}
	return all
}
