package rewrite

import (
	"bytes"
	"html"
)

// state is where in HTML's tokenizer (WHATWG HTML, section 13.2.5) the next
// byte stands. Several of the standard's states are one here where they differ
// in what a parser does with an error, not in where a token ends.
type state uint8

const (
	inText       state = iota
	inOpen             // behind "<"
	inEndOpen          // behind "</"
	inName             // of a tag
	inLongName         // the rest of a name that is none of ours
	inTag              // before an attribute's name
	inAttr             // in an attribute's name
	inAttrEnd          // behind an attribute's name and white space
	inValueStart       // behind "="
	inDouble
	inSingle
	inBare
	inMarkup  // behind "<!"
	inComment // behind "<!--"
	inBogus   // a comment, or a doctype: up to the next ">"
	inRaw     // text that only the element's own end tag ends
	inScript  // the same, with script's escapes
	off       // nothing is looked at any more
)

const (
	maxName  = 64       // bytes of a tag's or an attribute's name that are looked at; none of ours is longer
	maxValue = 16 << 10 // bytes of an attribute's value that are looked at
	maxNames = 256      // different tag names that are remembered
)

// scanner finds the tags in HTML that comes in pieces, cut anywhere. Every byte
// that it is given it hands to its editor, in order, and at once, but for
// "<name", which it holds until the name is known, so that something can be put
// before it.
//
// Invariant: what the editor hears does not depend on where the pieces were
// cut; all that is known between two bytes is in here.
//
// Where a browser's parser could take the same bytes for something else (a text
// element in a drawing, a CDATA section), the scanner switches itself off
// rather than guess.
type scanner struct {
	e     *editor
	state state
	pos   int // bytes seen
	hold  []byte

	tag         tag // the present one
	names       map[string]string
	name        []byte
	attr, value []byte
	kept        bool // the present attribute is one of attributes

	raw     string // the element of inRaw and inScript
	word    []byte // what stands there since "<"; in inMarkup since "<!"
	escape  uint8  // inScript: 1 within "<!--", 2 within "<script" in there
	dashes  int    // inScript, inComment: "-" in a row
	opening bool   // inComment: nothing but "-" since "<!--"
	bang    bool   // inComment: behind "--!"

	svg, math int            // such elements that are open
	inert     int            // template elements that are open
	styled    map[string]int // formatting elements that are open, by name
}

// tag is what is known of a tag while it is read.
type tag struct {
	name   string // lower case
	end    bool
	closed bool // "/>"
	blunt  bool // it ends behind "=": what is put before its ">" would become a value
	attrs  attributes
}

// attributes are the few that the editor asks for; of two of a name the first
// one counts.
type attributes struct {
	slot, variant, shown, segments *string
	equiv, content, charset        *string
}

func (a *attributes) of(name []byte) **string {
	switch string(name) {
	case "data-reuna-slot":
		return &a.slot
	case "data-reuna-variant":
		return &a.variant
	case "data-reuna-shown":
		return &a.shown
	case "data-reuna-segments":
		return &a.segments
	case "http-equiv":
		return &a.equiv
	case "content":
		return &a.content
	case "charset":
		return &a.charset
	}
	return nil
}

// write takes the next piece.
func (s *scanner) write(p []byte) {
	if s.pos == 0 && len(p) > 0 && p[0] >= 0xFE {
		s.state = off // a byte order mark of UTF-16; no byte of UTF-8 is like it
	}
	from := 0 // p[from:i] is still to be handed on
	for i := 0; i < len(p); i++ {
		if i += s.skip(p[i:]); i == len(p) {
			break
		}
		c := p[i]
	again:
		switch s.state {
		case inText:
			if c == '<' {
				s.e.put(p[from:i])
				s.hold, from = append(s.hold[:0], c), i+1
				s.state = inOpen
			}
		case inOpen, inEndOpen, inName:
			switch held, redo := s.openTag(c, s.pos+i); {
			case held:
				from = i + 1
			case redo:
				from = i
				goto again
			default:
				from = i
			}
		case inMarkup, inComment, inBogus, inRaw, inScript:
			if redo := s.text(c, s.pos+i); redo {
				goto again
			}
		default:
			if s.inside(c) {
				s.e.put(p[from:i])
				s.e.tagEnds(&s.tag)
				if s.plain() {
					s.e.begin(&s.tag)
				}
				s.e.put(p[i : i+1])
				from = i + 1
				s.ended()
			}
		}
	}
	s.pos += len(p)
	s.e.put(p[from:])
}

// skip is how many of the next bytes change nothing.
func (s *scanner) skip(p []byte) int {
	n := 0
	switch {
	case s.state == inText:
		n = bytes.IndexByte(p, '<')
	case s.state == inDouble && !s.kept:
		n = bytes.IndexByte(p, '"')
	case s.state == inSingle && !s.kept:
		n = bytes.IndexByte(p, '\'')
	case s.state == inRaw && len(s.word) == 0, s.state == inScript && len(s.word) == 0 && s.escape == 0:
		n = bytes.IndexByte(p, '<')
	case s.state == off:
		n = -1
	}
	if n < 0 {
		return len(p)
	}
	return n
}

// close hands on what is still held.
func (s *scanner) close() { s.release() }

func (s *scanner) release() {
	s.e.put(s.hold)
	s.hold = s.hold[:0]
}

// openTag takes a byte of "<name" or "</name". held: it is held with the rest.
// redo: it belongs to what comes next, and is to be looked at again.
func (s *scanner) openTag(c byte, pos int) (held, redo bool) {
	switch {
	case s.state == inName:
		if c == '>' || c == '/' || space(c) {
			s.named(pos)
			s.state = inTag
			return false, true
		}
		if s.hold = append(s.hold, c); len(s.hold) > maxName {
			s.named(pos)
			s.state = inLongName
		}
		return true, false
	case letter(c):
		s.tag = tag{end: s.state == inEndOpen}
		s.hold, s.state = append(s.hold, c), inName
		return true, false
	case s.state == inOpen && c == '/':
		s.hold, s.state = append(s.hold, c), inEndOpen
		return true, false
	}
	s.release()
	switch {
	case s.state == inOpen && c == '!':
		s.word, s.state = s.word[:0], inMarkup
	case s.state == inOpen && c == '?', s.state == inEndOpen:
		s.state = inBogus
		return false, c == '>' // "</>" is nothing at all
	default:
		s.state = inText
		return false, true
	}
	return false, false
}

// named is called when the held tag's name is known, or longer than any of ours.
func (s *scanner) named(pos int) {
	name := s.hold[1:]
	if s.tag.end {
		name = name[1:]
	}
	s.name = s.name[:0]
	for _, c := range name {
		s.name = append(s.name, lower(c))
	}
	known, ok := s.names[string(s.name)]
	if !ok {
		known = string(s.name)
		if s.names == nil {
			s.names = make(map[string]string, 32)
		}
		if len(s.names) < maxNames {
			s.names[known] = known
		}
	}
	s.tag.name = known
	s.e.tagBegins(&s.tag, pos-len(s.hold))
	s.release()
}

// inside takes a byte of a tag behind its name and says whether the tag ends
// with it.
func (s *scanner) inside(c byte) (ends bool) {
	switch s.state {
	case inLongName:
		if c != '>' && c != '/' && !space(c) {
			return false
		}
		s.state = inTag
		return s.inside(c)
	case inTag:
		switch {
		case c == '>':
			return true
		case c == '/' || space(c):
			s.tag.closed = c == '/'
		default:
			s.begin(c)
		}
	case inAttr, inAttrEnd:
		switch {
		case c == '=':
			s.state = inValueStart
			s.kept = s.tag.attrs.of(s.attr) != nil
		case c == '>':
			s.end()
			return true
		case c == '/':
			s.end()
			s.tag.closed = true
		case space(c):
			s.state = inAttrEnd
		case s.state == inAttrEnd:
			s.end()
			s.begin(c)
		default:
			s.attr = grow(s.attr, lower(c), maxName)
		}
	case inValueStart:
		switch {
		case c == '"':
			s.state = inDouble
		case c == '\'':
			s.state = inSingle
		case c == '>':
			s.tag.blunt = true
			s.end()
			return true
		case !space(c):
			s.value = append(s.value, c)
			s.state = inBare
		}
	default:
		switch {
		case s.state == inBare && c == '>':
			s.end()
			return true
		case s.state == inBare && space(c), s.state == inDouble && c == '"', s.state == inSingle && c == '\'':
			s.end()
		case s.kept:
			s.value = grow(s.value, c, maxValue)
		}
	}
	return false
}

// grow appends up to one byte more than is looked at, which tells that there
// were too many.
func grow(b []byte, c byte, most int) []byte {
	if len(b) > most {
		return b
	}
	return append(b, c)
}

func (s *scanner) begin(c byte) {
	s.tag.closed = false
	s.attr, s.value = append(s.attr[:0], lower(c)), s.value[:0]
	s.state = inAttr
}

// end takes the attribute in that has just ended.
func (s *scanner) end() {
	s.state = inTag
	to := s.tag.attrs.of(s.attr)
	if to == nil || *to != nil {
		return
	}
	v := tooLong
	if len(s.value) <= maxValue {
		v = html.UnescapeString(string(s.value))
	}
	*to = &v
}

// tooLong stands for a value that is not looked at. No name of ours and no
// policy is like it.
const tooLong = "\x00"

// ended is called behind a tag's ">".
func (s *scanner) ended() {
	t := &s.tag
	s.state = inText
	switch {
	case t.name == "svg" && !t.closed:
		s.svg = t.count(s.svg)
	case t.name == "math" && !t.closed:
		s.math = t.count(s.math)
	case t.name == "template":
		s.inert = t.count(s.inert)
	case formatting[t.name] && s.inert == 0:
		if s.styled == nil {
			s.styled = make(map[string]int)
		}
		if n := t.count(s.styled[t.name]); n > 0 {
			s.styled[t.name] = n
		} else {
			delete(s.styled, t.name)
		}
	}
	if !t.end && !(t.closed && s.foreign()) {
		switch t.name {
		case "script":
			s.state, s.raw, s.escape, s.dashes = inScript, t.name, 0, 0
		case "title", "textarea", "style", "xmp", "iframe", "noembed", "noframes", "noscript":
			s.state, s.raw = inRaw, t.name
		case "plaintext":
			s.state = off
		}
	}
	s.word = s.word[:0]
	if !t.end && s.e.slot != nil && !s.e.fresh() {
		s.e.opened(t, s.foreign())
	}
}

// count is how many elements of the tag's name are open behind it.
func (t *tag) count(n int) int {
	if t.end {
		return max(0, n-1)
	}
	return n + 1
}

// plain says that a slot may begin here: not in a template or a drawing, nor in
// a formatting element. One of those that is not closed where it should be is
// opened again by the parser, between a slot and its content.
func (s *scanner) plain() bool {
	return s.inert == 0 && !s.foreign() && len(s.styled) == 0 && s.e.slot == nil
}

// foreign says that the parser may be within a drawing or a formula, where
// HTML's rules for text do not hold.
func (s *scanner) foreign() bool { return s.svg+s.math > 0 }

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r' }

func letter(c byte) bool { return 'a' <= lower(c) && lower(c) <= 'z' }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
