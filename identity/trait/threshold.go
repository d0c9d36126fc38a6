package trait

import (
	"math"

	"github.com/reuna/reuna/identity/trait/rule"
)

type test = func(literal rule.Plain, meets func(sign int) bool) func(of any) bool

// threshold makes what compares a count with a number by < <= > or >=, and tells the
// clock until when just that holds: mostly that is much longer than the count stays the
// same. other is for all else.
func (s *Set) threshold(i int, other test) test {
	return func(literal rule.Plain, meets func(sign int) bool) func(of any) bool {
		least, ok := literal.Int()
		less, same, more := meets(-1), meets(0), meets(1)
		if !ok || less == more { // == and !=
			return other(literal, meets)
		}
		if same == less { // <= and >
			if least == math.MaxInt64 {
				return other(literal, meets)
			}
			least++
		}
		return func(of any) bool {
			c, ok := of.(*Computed)
			if !ok || c.set != s {
				return less // as of none
			}
			return c.atLeast(i, least) == more
		}
	}
}

// atLeast says whether the i-th value, a count, is n or more, and tells the clock until
// when that holds. Where nothing lies ahead of now time alone only makes counts less.
func (c *Computed) atLeast(i int, n int64) bool {
	v, d := c.value(i), c.set.defs[i]
	is := v.n >= n
	if c.Clock == nil || v.Until == never {
		return is
	}
	newest, _ := c.p.Newest(d.spec.ID)
	switch {
	case newest > c.now:
		c.Clock.Note(v.Until)
	case is:
		c.Clock.Note(c.p.Falls(d.spec.ID, c.now, d.Window.Milliseconds(), n, v.Until))
	}
	return is
}

// grows is which way a comparison of the value goes as more happens of what it sums up, at
// any time from the newest of it on; nil where an event may make it less or more. Sums are
// of what may be negative, and the least and the largest of a window may leave it early
// when a second becomes a part of a bucket.
func (d *definition) grows() func(literal rule.Plain) rule.Trend {
	is := rule.Either
	switch {
	case d.Kind == Count && d.Window > 0:
		return func(literal rule.Plain) rule.Trend {
			// So many of the newest seconds are kept as they are: only what is before
			// them may count for less than it did.
			if n, ok := literal.Int(); ok && n < exactSeconds {
				return rule.Rises
			}
			return rule.Either
		}
	case d.Kind == Count, d.Kind == Unique, d.Kind == DaysActive && d.Window > 0:
		is = rule.Rises
	case d.Kind == TimeSince:
		is = rule.Falls
	default:
		return nil
	}
	return func(rule.Plain) rule.Trend { return is }
}
