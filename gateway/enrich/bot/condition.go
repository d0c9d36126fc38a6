package bot

import (
	"regexp"
	"strings"
)

// condition is what must hold for a mark besides that its literal was found,
// whatever the case of its letters.
type condition struct {
	start, end, word bool   // at the agent's start, at its end, where a word begins
	ended            bool   // no letter or digit follows
	exact            bool   // in the very letters of the rule
	notAfter         string // lower case; the agent's text before it ends otherwise
	rest             *regexp.Regexp
	number           int // of rest among all, to try it once an agent
}

// tried remembers the expressions that an agent did not match, so that one
// which repeats a literal cannot make them run again and again. An expression
// whose number is not below 64 is tried at each literal.
type tried uint64

func (c *condition) holds(ua string, at span, literal string, failed *tried) bool {
	switch {
	case c.start && at.start != 0, c.end && at.end != len(ua),
		c.word && at.start > 0 && isWordByte(ua[at.start]) && isWordByte(ua[at.start-1]),
		c.ended && at.end < len(ua) && isWordByte(ua[at.end]),
		c.exact && ua[at.start:at.end] != literal,
		c.notAfter != "" && at.start >= len(c.notAfter) && strings.EqualFold(ua[at.start-len(c.notAfter):at.start], c.notAfter):
		return false
	case c.rest == nil:
		return true
	case *failed>>c.number&1 == 1:
		return false
	case c.rest.MatchString(ua):
		return true
	}
	*failed |= 1 << c.number
	return false
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}
