package rewrite

import "strings"

// maxSlot is how many bytes of a slot are held at most; a greater one is left
// as it is, for the tag to fill in.
const maxSlot = 256 << 10

// slot is an element that is to show a variant, while it is read. It goes out
// either with the variant before its own content, which then stands in a
// template, or exactly as it came.
//
// A parser moves misplaced elements about, so only a slot whose tags are nested
// as they should be is touched: then what is cut out as its variant is what a
// browser has in that template, and the slot ends where it ends in a browser.
type slot struct {
	variant string
	text    []byte   // from the ">" of its start tag on
	open    []string // elements that are open, the slot itself the first
	inline  bool     // only what may stand in a paragraph may stand in it
	from    int      // the variant's content in text; 0: not found yet
	to      int
}

// begin looks whether a start tag, whose ">" has not been put, is that of a
// slot to be changed. Called by the scanner's tagEnds.
func (e *editor) begin(t *tag) {
	if t.end || t.closed || t.blunt || t.attrs.slot == nil || t.attrs.shown != nil || !holds(t.name) {
		return
	}
	variant := e.page.Variants[*t.attrs.slot]
	if variant == "" {
		return
	}
	s := &e.room
	*s = slot{variant: variant, text: s.text[:0], open: append(s.open[:0], t.name), inline: !blocks[t.name]}
	e.slot = s
}

// within is called before a tag in a slot.
func (e *editor) within(t *tag) {
	s := e.slot
	if !t.end {
		if s.misplaced(t.name) {
			e.release()
		}
		return
	}
	for n := len(s.open) - 1; n >= 0; n-- {
		switch {
		case s.open[n] == t.name:
			if s.open = s.open[:n]; n == 0 {
				e.finish()
			} else if n == 1 && t.name == "template" && s.from > 0 && s.to == 0 {
				s.to = len(s.text)
			}
			return
		case !omitted[s.open[n]]:
			e.release()
			return
		}
	}
	e.release()
}

// opened is called behind a start tag in a slot.
func (e *editor) opened(t *tag, foreign bool) {
	s := e.slot
	if void[t.name] {
		return
	}
	if t.closed {
		if !foreign || s.has("foreignobject") || s.has("desc") || s.has("annotation-xml") {
			e.release()
		}
		return
	}
	if len(s.open) == 1 && t.name == "template" && s.from == 0 && t.attrs.variant != nil && *t.attrs.variant == s.variant {
		s.from = len(s.text)
	}
	s.open = append(s.open, t.name)
}

// misplaced says that a start tag closes or moves what the slot is part of, or
// does nothing there, in a way that tags alone do not show.
func (s *slot) misplaced(name string) bool {
	switch name {
	case "html", "head", "body", "frame", "frameset":
		return true
	case "script":
		// It would not run in there any more; a variant's own does.
		return !s.has("template")
	case "li":
		return !s.has("ul", "ol", "menu")
	case "dd", "dt":
		return !s.has("dl")
	case "caption", "col", "colgroup", "tbody", "td", "tfoot", "th", "thead", "tr":
		return !s.has("table")
	case "a", "button", "form", "nobr":
		if s.has(name) {
			return true
		}
	case "image", "isindex", "keygen":
		return true // they become other elements
	}
	return s.inline && (blocks[name] || headings[name] || closesParagraph[name])
}

// has says whether one of the elements is open, in the same template.
func (s *slot) has(names ...string) bool {
	for i := len(s.open) - 1; i >= 0; i-- {
		for _, name := range names {
			if s.open[i] == name {
				return true
			}
		}
		if s.open[i] == "template" {
			return false
		}
	}
	return false
}

// finish is called before the slot's end tag.
func (e *editor) finish() {
	s := e.slot
	if s.to == 0 {
		e.release()
		return
	}
	e.slot = nil
	e.add(attribute("data-reuna-shown", s.variant))
	e.out = append(e.out, s.text[0]) // ">"
	e.add(string(s.text[s.from:s.to]), "<template data-reuna-default>")
	e.out = append(e.out, s.text[1:]...)
	e.add("</template>")
}

// fresh says that nothing was read of the slot but its start tag.
func (e *editor) fresh() bool { return len(e.slot.text) == 1 }

// holds says whether slots of that element are changed: those whose end a start
// tag of another does not imply. The others are left to the tag.
func holds(name string) bool {
	return blocks[name] || headings[name] || name == "span" || name == "p" || strings.Contains(name, "-")
}

func set(names string) map[string]bool {
	m := make(map[string]bool)
	for _, name := range strings.Fields(names) {
		m[name] = true
	}
	return m
}

// Elements by how a parser treats them (WHATWG HTML, 13.1.2 and 13.2.6.4.7).
// Never changed.
var (
	// A paragraph that is open ends before them.
	blocks          = set("address article aside blockquote center details dialog div fieldset figcaption figure footer header hgroup main nav search section summary")
	closesParagraph = set("dir dl form hr li dd dt listing menu ol p plaintext pre table ul xmp")
	formatting      = set("a b big code em font i nobr s small strike strong tt u")
	headings        = set("h1 h2 h3 h4 h5 h6")
	// They have no content, hence no end tag.
	void = set("area base basefont bgsound br col embed frame hr img input link meta param source track wbr")
	// Their end tags may be left out.
	omitted = set("li p dt dd option optgroup rb rp rt rtc tr td th thead tbody tfoot colgroup caption")
)
