package rewrite

// text takes a byte of what is no tag: comments, and the text of elements that
// hold nothing else. redo: the byte belongs to what comes next.
func (s *scanner) text(c byte, pos int) (redo bool) {
	switch s.state {
	case inBogus:
		if c == '>' {
			s.state = inText
		}
	case inMarkup:
		return s.markup(c)
	case inComment:
		s.comment(c)
	case inRaw:
		return s.rawText(c, pos)
	default:
		return s.script(c, pos)
	}
	return false
}

const cdata = "[CDATA["

func (s *scanner) markup(c byte) (redo bool) {
	s.word = append(s.word, c)
	switch word := string(s.word); {
	case word == "--":
		s.state, s.opening, s.bang, s.dashes = inComment, true, false, 0
	case word == "-":
	case word == cdata:
		// In a drawing it goes on up to "]]>", elsewhere it is a comment up to ">".
		if s.state = inBogus; s.foreign() {
			s.state = off
		}
	case word == cdata[:min(len(word), len(cdata))]:
	default:
		s.state = inBogus
		return true
	}
	return false
}

// comment ends with "-->" and "--!>", and right behind its beginning with ">"
// and "->".
func (s *scanner) comment(c byte) {
	switch {
	case c == '>' && (s.bang || s.opening || s.dashes >= 2):
		s.state = inText
		return
	case c == '-':
		s.dashes++
		s.bang = false
		return
	}
	s.bang = c == '!' && s.dashes >= 2
	s.opening, s.dashes = false, 0
}

// rawText is the text of title, textarea, style and the like.
func (s *scanner) rawText(c byte, pos int) (redo bool) {
	n := len(s.word)
	switch {
	case n == 0:
		if c == '<' {
			s.word = append(s.word, c)
		}
		return false
	case n < len(s.raw)+2 && lower(c) == at("</", s.raw, n):
		s.word = append(s.word, lower(c))
		return false
	case n == len(s.raw)+2 && (c == '>' || c == '/' || space(c)):
		s.endRaw(pos - n)
		return true
	}
	s.word = s.word[:0]
	if s.foreign() {
		s.state = off // in a drawing this may be a tag
	}
	return true
}

// at is a byte of two texts that stand one behind the other.
func at(a, b string, i int) byte {
	if i < len(a) {
		return a[i]
	}
	return b[i-len(a)]
}

func (s *scanner) endRaw(pos int) {
	s.tag = tag{name: s.raw, end: true}
	s.word = s.word[:0]
	s.state = inTag
	s.e.tagBegins(&s.tag, pos)
}

// script follows what the standard calls the script data escaped and double
// escaped states (13.2.5.15 to 13.2.5.31): within "<!--" a "<script" makes the
// next "</script" part of the text.
func (s *scanner) script(c byte, pos int) (redo bool) {
	if n := len(s.word); n > 0 {
		delimits := c == '>' || c == '/' || space(c)
		switch word := string(s.word); {
		case delimits && word == "</script" && s.escape < 2:
			s.endRaw(pos - n)
			return true
		case delimits && word == "</script":
			s.escape = 1
		case delimits && word == "<script":
			s.escape = 2
		default:
			s.word = append(s.word, lower(c))
			if word = string(s.word); s.escape == 0 && word == "<!--" {
				s.escape, s.dashes, s.word = 1, 2, s.word[:0]
				return false
			}
			if begins(word, "</script") || s.escape == 0 && begins(word, "<!--") || s.escape == 1 && begins(word, "<script") {
				return false
			}
			if s.foreign() {
				s.state = off
			}
		}
		s.word, s.dashes = s.word[:0], 0
	}
	switch {
	case c == '<':
		s.word, s.dashes = append(s.word, c), 0
	case c == '-':
		s.dashes++
	case c == '>' && s.escape > 0 && s.dashes >= 2:
		s.escape, s.dashes = 0, 0
	default:
		s.dashes = 0
	}
	return false
}

func begins(word, whole string) bool { return len(word) <= len(whole) && whole[:len(word)] == word }
