package demo

import (
	"fmt"
	"hash/fnv"
	"html"
	"html/template"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Covers are 200 by 300 units: flat colour, one motif, type that is fitted to
// its place. They carry no ids, styles or gradients, so that one may stand in a
// page many times and under the strictest content security policy.
const (
	coverWidth  = 200
	coverHeight = 300
)

// palette is one cover's colours: ink is read on ground; a, b and c paint the
// motif.
type palette struct{ ground, ink, a, b, c string }

// layout says where the motif and the words of a cover go.
type layout struct {
	artTop, artHeight float64
	words             box
	centred           bool
	plate             bool // the words stand on a plate over the motif
}

type box struct{ x, y, w, h float64 }

func layoutOf(name string) (layout, bool) {
	switch name {
	case "top":
		return layout{artTop: 128, artHeight: 172, words: box{16, 18, 170, 102}}, true
	case "bottom":
		return layout{artTop: 0, artHeight: 184, words: box{16, 198, 170, 88}}, true
	case "label":
		return layout{artTop: 0, artHeight: 300, words: box{34, 62, 132, 92}, centred: true, plate: true}, true
	case "centre":
		return layout{artTop: 0, artHeight: 178, words: box{18, 188, 164, 92}, centred: true}, true
	}
	return layout{}, false
}

// coverInside draws everything within the outer <svg> element.
func coverInside(b *book) (string, error) {
	lay, ok := layoutOf(b.Layout)
	if !ok {
		return "", fmt.Errorf("there is no layout %q", b.Layout)
	}
	motif := motifs()[b.Motif]
	if motif == nil {
		return "", fmt.Errorf("there is no motif %q", b.Motif)
	}
	colours := palettes(b.Category)
	if len(colours) == 0 {
		return "", fmt.Errorf("category %q has no palettes", b.Category)
	}
	p := colours[len(b.Shelf.Books)%len(colours)]
	seed := fnv.New64a()
	seed.Write([]byte(b.ID)) // a hash's Write never fails
	c := &canvas{palette: p, w: coverWidth, h: lay.artHeight, dice: rand.New(rand.NewPCG(seed.Sum64(), 1))}
	c.rectOn(0, 0, coverWidth, coverHeight, p.ground)
	c.printf(`<svg x="0" y="%s" width="%d" height="%s" viewBox="0 0 %[2]d %[3]s">`, n(lay.artTop), coverWidth, n(lay.artHeight))
	motif(c)
	c.printf(`</svg>`)
	if lay.plate {
		w := lay.words
		c.rectOn(w.x-14, w.y-16, w.w+28, w.h+32, p.ground)
		c.printf(`<rect x="%s" y="%s" width="%s" height="%s" fill="none" stroke="%s" stroke-width="1"/>`,
			n(w.x-9), n(w.y-11), n(w.w+18), n(w.h+22), p.ink)
	}
	c.words(b, lay)
	// The fold of a real cover, so that flat colour reads as a book.
	c.printf(`<rect x="0" y="0" width="3" height="%d" fill="#000" opacity=".14"/><rect x="6" y="0" width="1.2" height="%[1]d" fill="#fff" opacity=".16"/>`, coverHeight)
	return c.out.String(), nil
}

// drawCover is the cover as an inline element. Whatever shows it names the book
// in text, so screen readers are spared the picture.
func drawCover(b *book) (template.HTML, error) {
	inside, err := coverInside(b)
	if err != nil {
		return "", err
	}
	return template.HTML(fmt.Sprintf(
		`<svg class="cover" viewBox="0 0 %d %d" aria-hidden="true" focusable="false">%s</svg>`,
		coverWidth, coverHeight, inside)), nil
}

// coverFile is the cover as a file of its own.
func (b *book) coverFile() string {
	_, inside, _ := strings.Cut(string(b.Cover), ">")
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img"><title>%s by %s</title>%s`,
		coverWidth, coverHeight, html.EscapeString(b.Title), html.EscapeString(b.Author), inside)
}

// words sets the title as large as its place allows, and the author under it.
func (c *canvas) words(b *book, lay layout) {
	f := faceOf(b.Category)
	const authorSize, authorRoom = 10.5, 24.0
	w := lay.words
	title := b.Title
	if f.capitals {
		title = strings.ToUpper(title)
	}
	lines, size := f.fit(title, w.w, w.h-authorRoom)
	lead := size * f.leading
	x, anchor := w.x, "start"
	if lay.centred {
		x, anchor = w.x+w.w/2, "middle"
	}
	y := w.y + size*.76
	if lay.plate {
		y += (w.h - authorRoom - lead*float64(len(lines))) / 2
	}
	c.printf(`<g fill="%s" text-anchor="%s"><g font-family="%s" font-weight="%s" font-size="%s" letter-spacing="%s">`,
		c.ink, anchor, f.family, f.weight, n(size), n(f.spacing*size))
	for i, line := range lines {
		c.printf(`<text x="%s" y="%s">%s</text>`, n(x), n(y+lead*float64(i)), html.EscapeString(line))
	}
	below := y + lead*float64(len(lines)-1) + 21
	if lay.plate {
		below = w.y + w.h - 2
	}
	c.printf(`</g><text x="%s" y="%s" font-family="%s" font-size="%s" letter-spacing=".3">%s</text></g>`,
		n(x), n(below), sansFamily, n(authorSize), html.EscapeString(b.Author))
}

// canvas collects SVG. Its helpers take plain numbers in the motif's own
// space: w wide, h high, the origin at the top left.
type canvas struct {
	palette
	out  strings.Builder
	w, h float64
	dice *rand.Rand
}

func (c *canvas) printf(format string, args ...any) { fmt.Fprintf(&c.out, format, args...) }

func (c *canvas) rectOn(x, y, w, h float64, fill string) {
	c.printf(`<rect x="%s" y="%s" width="%s" height="%s" fill="%s"/>`, n(x), n(y), n(w), n(h), fill)
}

func (c *canvas) circle(x, y, r float64, fill string) {
	c.printf(`<circle cx="%s" cy="%s" r="%s" fill="%s"/>`, n(x), n(y), n(r), fill)
}

func (c *canvas) ring(x, y, r, width float64, stroke string) {
	c.printf(`<circle cx="%s" cy="%s" r="%s" fill="none" stroke="%s" stroke-width="%s"/>`, n(x), n(y), n(r), stroke, n(width))
}

func (c *canvas) line(x1, y1, x2, y2, width float64, stroke string) {
	c.printf(`<path d="M%s %sL%s %s" stroke="%s" stroke-width="%s" stroke-linecap="round"/>`, n(x1), n(y1), n(x2), n(y2), stroke, n(width))
}

// poly fills the polygon through points given as x, y, x, y …
func (c *canvas) poly(fill string, xy ...float64) {
	c.printf(`<path d="M`)
	for i := 0; i+1 < len(xy); i += 2 {
		c.printf("%s %s ", n(xy[i]), n(xy[i+1]))
	}
	c.printf(`z" fill="%s"/>`, fill)
}

func (c *canvas) path(fill, d string) { c.printf(`<path d="%s" fill="%s"/>`, d, fill) }

func (c *canvas) stroke(colour string, width float64, d string) {
	c.printf(`<path d="%s" fill="none" stroke="%s" stroke-width="%s" stroke-linecap="round" stroke-linejoin="round"/>`, d, colour, n(width))
}

// ellipse is turned by deg degrees about its own centre.
func (c *canvas) ellipse(x, y, rx, ry, deg float64, fill string) {
	c.printf(`<ellipse cx="%s" cy="%s" rx="%s" ry="%s" fill="%s" transform="rotate(%s %[1]s %[2]s)"/>`, n(x), n(y), n(rx), n(ry), fill, n(deg))
}

// n writes a coordinate with one decimal at most.
func n(v float64) string {
	s := strconv.FormatFloat(v, 'f', 1, 64)
	return strings.TrimSuffix(s, ".0")
}
