package rewrite

import (
	"html"
	"strings"
)

// Page is what goes into one page. Its texts are ASCII, which stands for the
// same in every encoding that is looked at.
type Page struct {
	Stub string // the inline script; "" leaves it out
	Src  string // the tag's address, a path on the page's own origin; "" leaves it out

	// Personal says that the members below belong to the visitor.
	Personal bool
	Segments string            // for <html data-reuna-segments>
	Variants map[string]string // slot to variant, without those that stay as they are
	Answer   string            // script that gives the tag its first answer, to stand behind the stub; "" without one
}

// editor writes a page with its insertions. What it writes is its input with
// something put between: nothing is taken out or moved, so that its input is
// what is left when the insertions are removed.
//
// Invariant: it holds back nothing but a slot that is to show a variant, up to
// maxSlot bytes; what it then writes does not depend on how the page came in.
type editor struct {
	out  []byte
	page *Page
	csp  policies
	// origin is the page's, for pages with a base of their own: "https://shop.example".
	origin string

	rooted, based, sized bool // <html> was seen; <base> was; the encoding is known
	inserted             bool
	slot                 *slot // being read
	room                 slot
	added                func(from, to int) // what was put between is out[from:to]; nil: nobody asks
}

// add puts something between the page's own bytes.
func (e *editor) add(texts ...string) {
	from := len(e.out)
	for _, t := range texts {
		e.out = append(e.out, t...)
	}
	if e.added != nil {
		e.added(from, len(e.out))
	}
}

// put takes bytes of the page in their order.
func (e *editor) put(b []byte) {
	if e.slot == nil {
		e.out = append(e.out, b...)
		return
	}
	if e.slot.text = append(e.slot.text, b...); len(e.slot.text) > maxSlot {
		e.release()
	}
}

// release lets the slot go as it came.
func (e *editor) release() {
	if e.slot != nil {
		e.out = append(e.out, e.slot.text...)
		e.slot = nil
	}
}

// prescan is how far into a page a browser looks for its encoding (WHATWG HTML,
// 13.2.3.2).
const prescan = 1024

// tagBegins is called before a tag's first byte is put, once its name is known.
// pos is the byte's place in the page.
func (e *editor) tagBegins(t *tag, pos int) {
	if e.slot != nil {
		e.within(t)
		return
	}
	if e.inserted {
		return
	}
	switch t.name {
	case "meta", "title", "base":
		return
	case "html", "head":
		if !t.end {
			return
		}
	case "script", "style", "link", "noscript":
		if t.end || !e.sized && pos < prescan {
			return
		}
	case "body":
	default:
		if t.end {
			return
		}
	}
	e.insert()
}

// tagEnds is called before a tag's ">" is put.
func (e *editor) tagEnds(t *tag) {
	if t.end || e.slot != nil {
		return
	}
	switch t.name {
	case "html":
		if !e.rooted && e.page.Personal && !t.blunt && t.attrs.segments == nil {
			e.add(attribute("data-reuna-segments", e.page.Segments))
		}
		e.rooted = true
	case "base":
		e.based = true
	case "meta":
		e.meta(&t.attrs)
	}
}

func attribute(name, value string) string { return " " + name + `="` + html.EscapeString(value) + `"` }

func (e *editor) meta(a *attributes) {
	switch {
	case a.charset != nil:
		e.sized = true
		e.encoding(*a.charset)
	case a.equiv == nil || a.content == nil:
	case strings.EqualFold(*a.equiv, "content-type"):
		e.sized = true
		if _, charset, ok := strings.Cut(strings.ToLower(*a.content), "charset="); ok {
			e.encoding(charset)
		}
	case strings.EqualFold(*a.equiv, "content-security-policy"):
		e.csp.add(*a.content)
	}
}

// encoding gives up a page in whose encoding a "<" need not be one.
func (e *editor) encoding(name string) {
	if !ascii(name) {
		e.inserted = true
		e.page = &Page{}
	}
}

// insert puts stub and tag here, as far as the page's policies let them run.
func (e *editor) insert() {
	e.inserted = true
	nonce := e.csp.nonce()
	mark := ""
	if nonce != "" {
		mark = attribute("nonce", nonce)
	}
	stub := e.page.Stub
	if stub != "" && e.page.Answer != "" && e.csp.inline(stub+e.page.Answer, nonce) {
		stub += e.page.Answer
	}
	if stub != "" && e.csp.inline(stub, nonce) {
		e.add("<script", mark, ">", stub, "</script>")
	}
	if src := e.page.Src; src != "" && e.csp.source(e.origin, src, nonce) {
		if e.based {
			src = e.origin + src
		}
		e.add("<script", mark, ` async fetchpriority="high"`, attribute("src", src), "></script>")
	}
}
