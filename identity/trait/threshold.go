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
