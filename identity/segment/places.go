package segment

import (
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
)

// The places of what rules read of a Subject besides computed traits, which come first.
const (
	placeEvents = 1<<16 + iota
	placePageviews
	placeBotEvents
	placeBotPageviews
	placeSessions
	placeOrders
	placeReturns
)

// PlacesOf implements rule.Places.
func (s *Subject) PlacesOf(owner any) bool {
	s.tick()
	s.Computed.Clock = &s.clock
	set, ok := owner.(*trait.Set)
	return ok && s.Computed.Of(set)
}

// Time implements rule.Places.
func (s *Subject) Time() *rule.Clock { return &s.clock }

// IntAt implements rule.Places.
func (s *Subject) IntAt(place int) int64 {
	if place < placeEvents {
		return s.Computed.IntAt(place)
	}
	p := s.profile()
	switch place {
	case placeEvents:
		return p.Events
	case placePageviews:
		return p.Pageviews
	case placeBotEvents:
		return p.BotEvents
	case placeBotPageviews:
		return p.BotPageviews
	case placeSessions:
		return p.Sessions
	case placeOrders:
		return p.Orders
	case placeReturns:
		return p.Returns
	}
	panic("segment: no such place")
}

// AtLeast implements rule.Places.
func (s *Subject) AtLeast(place int, n int64) bool { return s.Computed.AtLeast(place, n) }

// DoubleAt implements rule.Places.
func (s *Subject) DoubleAt(place int) float64 { return s.Computed.DoubleAt(place) }

// TextAt implements rule.Places.
func (s *Subject) TextAt(place int) string { return s.Computed.TextAt(place) }

// SinceAt implements rule.Places.
func (s *Subject) SinceAt(place int) (at int64, ok bool) { return s.Computed.SinceAt(place) }

// Member implements rule.Places: an audience by its place.
func (s *Subject) Member(place int) bool { return s.judging.in.has(place) }
