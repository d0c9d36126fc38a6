package event

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of one body that no setting widens: what the checker's own stack and
// its list of faults may grow to.
const (
	hardDepth = 64
	maxFaults = 4096
)

// SyntaxError says where a text stops being JSON that we take.
type SyntaxError struct {
	Offset  int // bytes from the start of the body
	Message string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s at byte %d", e.Message, e.Offset)
}

// shapeFault is something in well-formed JSON that one event may be refused
// for without sinking its siblings.
type shapeFault struct {
	offset int
	code   Code
	detail string // the key in question
}

// checker walks a body once: RFC 8259 to the letter, valid UTF-8, no lone
// surrogates, no number beyond a double. Duplicate and dangerous keys are
// noted as faults at their offset, since they concern one event only.
type checker struct {
	s      string
	i      int
	depth  int
	limit  int // the depth beyond which an event is too deep
	faults []shapeFault
	keys   []string // keys of the objects that are open, innermost last
}

// Check says whether text is one JSON value of at most 64 levels that this
// package's methods can trust. The error is a *SyntaxError.
func Check(text string) (Value, error) {
	c := checker{s: text, limit: hardDepth}
	return c.run()
}

func (c *checker) run() (Value, error) {
	c.i = skipSpace(c.s, 0)
	start := c.i
	if err := c.value(); err != nil {
		return "", err
	}
	end := c.i
	if c.i = skipSpace(c.s, c.i); c.i < len(c.s) {
		return "", c.fail("there is more text after the JSON value")
	}
	return Value(c.s[start:end]), nil
}

func (c *checker) fail(format string, args ...any) error {
	return &SyntaxError{Offset: c.i, Message: fmt.Sprintf(format, args...)}
}

func (c *checker) fault(offset int, code Code, detail string) error {
	if len(c.faults) >= maxFaults {
		return c.fail("more than %d duplicate or forbidden keys", maxFaults)
	}
	c.faults = append(c.faults, shapeFault{offset, code, detail})
	return nil
}

func (c *checker) value() error {
	if c.i >= len(c.s) {
		return c.fail("the text ends where a JSON value was expected")
	}
	switch b := c.s[c.i]; {
	case b == '"':
		_, err := c.str()
		return err
	case b == '{':
		return c.object()
	case b == '[':
		return c.array()
	case b == '-' || b >= '0' && b <= '9':
		return c.number()
	case strings.HasPrefix(c.s[c.i:], "true"), strings.HasPrefix(c.s[c.i:], "null"):
		c.i += 4
		return nil
	case strings.HasPrefix(c.s[c.i:], "false"):
		c.i += 5
		return nil
	default:
		return c.fail("%q is not the start of a JSON value", rune(b))
	}
}

func (c *checker) open() error {
	if c.depth++; c.depth > hardDepth {
		return c.fail("more than %d levels of nesting", hardDepth)
	}
	if c.depth == c.limit+1 {
		return c.fault(c.i, CodeTooDeep, "")
	}
	return nil
}

func (c *checker) object() error {
	if err := c.open(); err != nil {
		return err
	}
	mark := len(c.keys)
	var many map[string]bool // in place of the list once it is long
	c.i = skipSpace(c.s, c.i+1)
	if c.i < len(c.s) && c.s[c.i] == '}' {
		c.i++
		c.depth--
		return nil
	}
	for {
		if c.i >= len(c.s) || c.s[c.i] != '"' {
			return c.fail("expected a member's name in double quotes")
		}
		at := c.i
		key, err := c.str()
		if err != nil {
			return err
		}
		if many, err = c.note(at, key, mark, many); err != nil {
			return err
		}
		c.i = skipSpace(c.s, c.i)
		if c.i >= len(c.s) || c.s[c.i] != ':' {
			return c.fail("expected a colon after the member's name")
		}
		c.i = skipSpace(c.s, c.i+1)
		if err := c.value(); err != nil {
			return err
		}
		c.i = skipSpace(c.s, c.i)
		if c.i < len(c.s) && c.s[c.i] == ',' {
			c.i = skipSpace(c.s, c.i+1)
			continue
		}
		if c.i < len(c.s) && c.s[c.i] == '}' {
			c.i++
			c.depth--
			c.keys = c.keys[:mark]
			return nil
		}
		return c.fail("expected a comma or the object's closing brace")
	}
}

// note records one key of the object whose keys start at mark. Few keys are
// compared one by one, many through a map, so that a million keys stay linear.
func (c *checker) note(at int, key string, mark int, many map[string]bool) (map[string]bool, error) {
	const few = 24
	if key == "__proto__" || key == "constructor" || key == "prototype" {
		if err := c.fault(at, CodeForbiddenKey, key); err != nil {
			return many, err
		}
	}
	dup := false
	if many != nil {
		dup = many[key]
		many[key] = true
	} else {
		for _, k := range c.keys[mark:] {
			if k == key {
				dup = true
				break
			}
		}
		c.keys = append(c.keys, key)
		if len(c.keys)-mark > few {
			many = make(map[string]bool, 4*few)
			for _, k := range c.keys[mark:] {
				many[k] = true
			}
		}
	}
	if dup {
		return many, c.fault(at, CodeDuplicateKey, key)
	}
	return many, nil
}

func (c *checker) array() error {
	if err := c.open(); err != nil {
		return err
	}
	c.i = skipSpace(c.s, c.i+1)
	if c.i < len(c.s) && c.s[c.i] == ']' {
		c.i++
		c.depth--
		return nil
	}
	for {
		if err := c.value(); err != nil {
			return err
		}
		c.i = skipSpace(c.s, c.i)
		if c.i < len(c.s) && c.s[c.i] == ',' {
			c.i = skipSpace(c.s, c.i+1)
			continue
		}
		if c.i < len(c.s) && c.s[c.i] == ']' {
			c.i++
			c.depth--
			return nil
		}
		return c.fail("expected a comma or the array's closing bracket")
	}
}

// str checks the string at c.i and gives its text.
func (c *checker) str() (string, error) {
	start := c.i + 1
	escaped, ascii := false, true
	for c.i = start; c.i < len(c.s); c.i++ {
		switch b := c.s[c.i]; {
		case b == '"':
			inside := c.s[start:c.i]
			if !ascii && !utf8.ValidString(inside) {
				return "", c.fail("a string is not valid UTF-8")
			}
			c.i++
			if escaped {
				inside = unescape(inside)
			}
			return inside, nil
		case b == '\\':
			escaped = true
			if err := c.escape(); err != nil {
				return "", err
			}
		case b < 0x20:
			return "", c.fail("a control character stands bare in a string")
		case b >= utf8.RuneSelf:
			ascii = false
		}
	}
	return "", c.fail("a string is not closed")
}

// escape checks the escape at c.i and leaves c.i at its last byte.
func (c *checker) escape() error {
	if c.i+1 >= len(c.s) {
		return c.fail("a string is not closed")
	}
	c.i++
	switch c.s[c.i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
	default:
		return c.fail("\\%c is not an escape", rune(c.s[c.i]))
	}
	r, ok := c.hex(c.i + 1)
	if !ok {
		return c.fail("\\u wants four hexadecimal digits")
	}
	c.i += 4
	if r < 0xD800 || r > 0xDFFF {
		return nil
	}
	if r < 0xDC00 && strings.HasPrefix(c.s[c.i+1:], "\\u") {
		if low, ok := c.hex(c.i + 3); ok && low >= 0xDC00 && low <= 0xDFFF {
			c.i += 6
			return nil
		}
	}
	return c.fail("half of a surrogate pair stands alone")
}

func (c *checker) hex(i int) (rune, bool) {
	if i+4 > len(c.s) {
		return 0, false
	}
	for _, b := range []byte(c.s[i : i+4]) {
		if hexValue(b) < 0 {
			return 0, false
		}
	}
	return hex4(c.s, i), true
}

func (c *checker) number() error {
	start := c.i
	if c.s[c.i] == '-' {
		c.i++
	}
	digits := func() int {
		n := c.i
		for c.i < len(c.s) && c.s[c.i] >= '0' && c.s[c.i] <= '9' {
			c.i++
		}
		return c.i - n
	}
	first := c.i
	n := digits()
	if n == 0 || n > 1 && c.s[first] == '0' {
		return c.fail("a number is not written as JSON writes numbers")
	}
	whole := n
	if c.i < len(c.s) && c.s[c.i] == '.' {
		c.i++
		if digits() == 0 {
			return c.fail("a number has no digit after its point")
		}
	}
	exponent := c.i < len(c.s) && (c.s[c.i] == 'e' || c.s[c.i] == 'E')
	if exponent {
		c.i++
		if c.i < len(c.s) && (c.s[c.i] == '+' || c.s[c.i] == '-') {
			c.i++
		}
		if digits() == 0 {
			return c.fail("a number has no digit in its exponent")
		}
	}
	if c.i-start > 128 {
		return c.fail("a number has more than 128 characters")
	}
	if exponent || whole > 300 {
		if _, err := strconv.ParseFloat(c.s[start:c.i], 64); err != nil {
			return c.fail("a number is beyond what a double can hold")
		}
	}
	return nil
}
