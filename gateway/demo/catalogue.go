package demo

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed data/shop.json
var shopJSON []byte

// currency is the shop's only one.
const currency = "EUR"

// catalogue is everything that the shop sells.
//
// Invariants, kept by readCatalogue: slugs and ids are unique and fit a path
// segment as they are; every book's category, motif and layout exist; every
// category has at least three books (its hero shows three).
type catalogue struct {
	categories []*category
	books      []*book
	byID       map[string]*book
}

type category struct {
	Slug string `json:"slug"`
	Name string `json:"name"`
	Lead string `json:"lead"`
	Hero struct {
		Kicker   string `json:"kicker"`
		Headline string `json:"headline"`
		Text     string `json:"text"`
		Action   string `json:"action"`
	} `json:"hero"`

	Books []*book `json:"-"`
}

type book struct {
	ID       string  `json:"id"`
	Title    string  `json:"title"`
	Author   string  `json:"author"`
	Category string  `json:"category"`
	Motif    string  `json:"motif"`  // what its cover shows
	Layout   string  `json:"layout"` // where its title stands
	Price    float64 `json:"price"`  // in currency
	Year     int     `json:"year"`
	Pages    int     `json:"pages"`
	New      bool    `json:"new"`
	Staff    string  `json:"staff"` // a bookseller's word, "— name" at its end
	Blurb    string  `json:"blurb"`

	Shelf *category     `json:"-"`
	Cover template.HTML `json:"-"` // inline SVG, hidden from screen readers
}

// PriceText is the price as the shop writes it.
func (b *book) PriceText() string { return fmt.Sprintf("€%.2f", b.Price) }

// Product is the book in the words of the e-commerce spec, for the page's
// scripts to send.
func (b *book) Product() (string, error) {
	text, err := json.Marshal(struct {
		ID       string  `json:"product_id"`
		Name     string  `json:"name"`
		Brand    string  `json:"brand"`
		Category string  `json:"category"`
		Price    float64 `json:"price"`
		Currency string  `json:"currency"`
	}{b.ID, b.Title, b.Author, b.Category, b.Price, currency})
	return string(text), err
}

// Said splits the bookseller's word from the name under it.
func (b *book) Said() (quote struct{ Text, By string }) {
	quote.Text, quote.By, _ = strings.Cut(b.Staff, " — ")
	return quote
}

func loadCatalogue() (*catalogue, error) { return readCatalogue(bytes.NewReader(shopJSON)) }

func readCatalogue(r io.Reader) (*catalogue, error) {
	var file struct {
		Categories []*category `json:"categories"`
		Books      []*book     `json:"books"`
	}
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	shelves := make(map[string]*category, len(file.Categories))
	for _, c := range file.Categories {
		if !isSlug(c.Slug) || shelves[c.Slug] != nil {
			return nil, fmt.Errorf("category %q: expected a slug of a-z, 0-9 and dashes that no other category has", c.Slug)
		}
		shelves[c.Slug] = c
	}
	cat := &catalogue{categories: file.Categories, books: file.Books, byID: make(map[string]*book, len(file.Books))}
	for _, b := range file.Books {
		if !isSlug(b.ID) || cat.byID[b.ID] != nil {
			return nil, fmt.Errorf("book %q: expected an id of a-z, 0-9 and dashes that no other book has", b.ID)
		}
		if b.Shelf = shelves[b.Category]; b.Shelf == nil {
			return nil, fmt.Errorf("book %q: there is no category %q", b.ID, b.Category)
		}
		if b.Title == "" || b.Author == "" || b.Blurb == "" || b.Price <= 0 {
			return nil, fmt.Errorf("book %q: expected a title, an author, a blurb and a price above zero", b.ID)
		}
		cover, err := drawCover(b)
		if err != nil {
			return nil, fmt.Errorf("book %q: %w", b.ID, err)
		}
		b.Cover = cover
		b.Shelf.Books = append(b.Shelf.Books, b)
		cat.byID[b.ID] = b
	}
	for _, c := range cat.categories {
		if len(c.Books) < 3 {
			return nil, fmt.Errorf("category %q has %d books, expected at least 3 for its hero", c.Slug, len(c.Books))
		}
	}
	return cat, nil
}

// isSlug says that s can stand in a path as it is.
func isSlug(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != ""
}

// Fresh lists the newest books, one a category first, so that the front page
// shows every colour.
func (c *catalogue) fresh(n int) []*book {
	var out []*book
	for round := 0; len(out) < n; round++ {
		before := len(out)
		for _, shelf := range c.categories {
			news := 0
			for _, b := range shelf.Books {
				if !b.New {
					continue
				}
				if news == round && len(out) < n {
					out = append(out, b)
				}
				news++
			}
		}
		if len(out) == before {
			break
		}
	}
	return out
}

// shelf is the category of a slug; nil when there is none.
func (c *catalogue) shelf(slug string) *category {
	for _, s := range c.categories {
		if s.Slug == slug {
			return s
		}
	}
	return nil
}

// recommended lists the books that a bookseller has put a word on.
func (c *catalogue) recommended() []*book {
	var out []*book
	for _, b := range c.books {
		if b.Staff != "" {
			out = append(out, b)
		}
	}
	return out
}

// search finds the books that have every word of the query in their title,
// author or category, in the catalogue's order.
func (c *catalogue) search(query string) []*book {
	words := strings.Fields(strings.ToLower(query))
	if len(words) == 0 {
		return nil
	}
	var out []*book
next:
	for _, b := range c.books {
		text := strings.ToLower(b.Title + " " + b.Author + " " + b.Shelf.Name)
		for _, w := range words {
			if !strings.Contains(text, w) {
				continue next
			}
		}
		out = append(out, b)
	}
	return out
}
