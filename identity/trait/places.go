package trait

import "github.com/reuna/reuna/identity/trait/rule"

// What rules read of Computed by place, that of the definition: rule.Places. The Clock is
// there.

// at is where a definition's value is, and as what.
func (d *definition) at(i int) rule.At {
	form := rule.Form(0)
	switch {
	case d.spec.ID == 0:
	case d.Kind == Count:
		form = rule.AsCount
	case d.Kind == Unique, d.Kind == DaysActive, d.Kind == Streak, d.Kind == BestHour, d.Kind == Sequence:
		form = rule.AsInt
	case d.Kind == Sum, d.Kind == Average, d.Kind == Min, d.Kind == Max:
		form = rule.AsDouble
	case d.isText():
		form = rule.AsText
	case d.Kind == TimeSince:
		form = rule.AsSince
	}
	return rule.At{As: form, Place: i}
}

// isText says that the value is one text to rules.
func (d *definition) isText() bool {
	return d.Kind == Affinity || d.Kind == MostFrequent && d.limit() == 1
}

// Text gives the place of a computed trait that is one text to rules.
func (s *Set) Text(name string) (place int, ok bool) {
	if s == nil {
		return 0, false
	}
	i, ok := s.index[name]
	return i, ok && !s.defs[i].Pending && s.defs[i].spec.ID != 0 && s.defs[i].isText()
}

// Of says that c is of a Set.
func (c *Computed) Of(s *Set) bool { return c.set == s }

// at gives a value and tells the clock until when it stays.
func (c *Computed) at(place int) *Value {
	v := c.value(place)
	c.Clock.Note(v.Until)
	return v
}

// IntAt is a value that is an integer, or 1 for yes.
func (c *Computed) IntAt(place int) int64 { return c.at(place).n }

// DoubleAt is a value that is an amount.
func (c *Computed) DoubleAt(place int) float64 { return float64(c.at(place).n) / 1e6 }

// TextAt is a value that is a text, "" where nothing is known.
func (c *Computed) TextAt(place int) string { return c.at(place).text }

// AtLeast says that a count is n or more.
func (c *Computed) AtLeast(place int, n int64) bool { return c.atLeast(place, n) }

// SinceAt is when something happened last, ms since 1970; ok is false where it never did.
func (c *Computed) SinceAt(place int) (at int64, ok bool) {
	v := c.value(place)
	return v.n, v.known
}
