package demo

import (
	"fmt"
	"html"
	"html/template"
)

// drawSpines draws the books as they stand on the shelf, spine out: the front
// page's own hero.
func drawSpines(books []*book) template.HTML {
	c := &canvas{}
	x := 0.0
	for i, b := range mixed(books) {
		p := palettes(b.Category)[shelfPlace(b)]
		wide := 19 + float64(len(b.Title)*7%11) + float64(b.Pages)/60
		tall := 196 + float64((len(b.Author)*29+i*17)%52)
		y := 260 - tall
		c.rectOn(x, y, wide, tall, p.ground)
		c.rectOn(x, y+12, wide, 2, p.a)
		c.rectOn(x, y+16, wide, 1, p.a)
		c.rectOn(x, 240, wide, 8, p.a)
		c.rectOn(x, y, 1, tall, "#00000026")
		f := faceOf(b.Category)
		size := min(wide*.6, (tall-64)/f.width(b.Title))
		c.printf(`<text transform="translate(%s %s) rotate(90)" font-family="%s" font-weight="%s" font-size="%s" fill="%s">%s</text>`,
			n(x+wide/2-size*.34), n(y+26), f.family, f.weight, n(size), p.ink, html.EscapeString(b.Title))
		x += wide + .8
	}
	return template.HTML(fmt.Sprintf(`<svg class="spines" viewBox="0 0 %s 260" preserveAspectRatio="xMinYMax slice" aria-hidden="true" focusable="false">%s</svg>`,
		n(x), c.out.String()))
}

// mixed takes one book of each category in turn.
func mixed(books []*book) []*book {
	var order []*category
	seen := map[*category]bool{}
	for _, b := range books {
		if !seen[b.Shelf] {
			seen[b.Shelf] = true
			order = append(order, b.Shelf)
		}
	}
	var out []*book
	for i := 0; len(out) < len(books); i++ {
		for _, c := range order {
			if i < len(c.Books) {
				out = append(out, c.Books[i])
			}
		}
	}
	return out
}

// shelfPlace is which of its category's palettes a book has.
func shelfPlace(b *book) int {
	for i, other := range b.Shelf.Books {
		if other == b {
			return i % len(palettes(b.Category))
		}
	}
	return 0
}
