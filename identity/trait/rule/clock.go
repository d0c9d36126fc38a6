package rule

import "math"

// Clock is the time at which rules are asked, and until when their answers
// hold: whatever reads the time notes the next moment at which what it read may
// be different.
type Clock struct {
	Now   int64 // ms since 1970 UTC
	Until int64 // ms; at this moment the answers may change by themselves
}

// Never is an Until that time alone does not bring.
const Never = math.MaxInt64

// At sets the time and forgets what was noted.
func (c *Clock) At(now int64) { c.Now, c.Until = now, Never }

// Note says that something may be different from at on.
func (c *Clock) Note(at int64) {
	if at > c.Now && at < c.Until {
		c.Until = at
	}
}
