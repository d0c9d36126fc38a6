package demo

import (
	"fmt"
	"strings"
	"time"
)

// Trait is a computed trait that the shop's rules read, as plain data for the
// gateway to compile.
type Trait struct {
	Name     string
	Kind     string        // "affinity": a score per value of By
	Event    string        // which track events count
	By       string        // where the value stands in the event
	HalfLife time.Duration // after which a view counts half
}

// Segment is an audience: a name and the CEL rule of who is in it.
type Segment struct{ Name, When string }

// Placement is a slot of the shop's pages with its variants, in the order in
// which they are tried.
type Placement struct {
	Name     string
	Variants []Variant
}

// Variant is one content of a slot and the CEL rule of who sees it.
type Variant struct{ Name, When string }

const (
	// favouriteHalfLife lets an interest fade within weeks, not days: a reader
	// who comes back after a fortnight still has half of it.
	favouriteHalfLife = 14 * 24 * time.Hour

	// enoughViews is how much interest turns the hero. Three views a moment
	// apart score a hair under 3; a threshold of 2.5 asks for three views and
	// lets them be up to a few days old.
	enoughViews = 2.5

	// fanSegment and fanCategory are who is a fan, and of what.
	fanSegment  = "thriller-fan"
	fanCategory = "thrillers"
	fanVariant  = "fans"
)

// FanFor is how long a purchase makes a fan, unless Options say otherwise: in a
// real shop months, here as long as somebody will look at a demo.
const FanFor = 2 * time.Minute

// Traits lists the computed traits that Placements and Segments rely on.
func Traits() []Trait {
	return []Trait{{
		Name: "favourite_shelf", Kind: "affinity",
		Event: "Product Viewed", By: "properties.category", HalfLife: favouriteHalfLife,
	}}
}

// Segments lists the shop's audiences. A fan is who has ordered a book of that
// shelf within fanFor (0: FanFor).
func Segments(fanFor time.Duration) []Segment {
	return []Segment{
		{Name: fanSegment, When: fanRule(fanFor)},
		{Name: "browsing", When: "counts.pageviews >= 5"},
		{Name: "returning", When: "counts.sessions >= 2"},
		{Name: "customer", When: "counts.orders >= 1"},
	}
}

// fanRule is the whole of what makes a thriller fan.
func fanRule(fanFor time.Duration) string {
	if fanFor == 0 {
		fanFor = FanFor
	}
	return fmt.Sprintf("count('Order Completed', properties.products.exists(p, p.category == '%s'), '%s') >= 1", fanCategory, window(fanFor))
}

// window is a duration as rules write it: 2m, 90s.
func window(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Placements lists the slots of the shop's pages: the front page's hero, with a
// variant for fans and one for each category. Whoever fits no rule sees the
// page's own hero.
func Placements() ([]Placement, error) {
	cat, err := loadCatalogue()
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	hero := Placement{Name: "hero", Variants: []Variant{{Name: fanVariant, When: fmt.Sprintf("'%s' in segments", fanSegment)}}}
	for _, c := range cat.categories {
		hero.Variants = append(hero.Variants, Variant{Name: c.Slug, When: fmt.Sprintf(
			"has(computed.favourite_shelf) && computed.favourite_shelf == '%[1]s' && affinity['%[1]s'] >= %[2]v", c.Slug, enoughViews)})
	}
	return []Placement{hero}, nil
}
