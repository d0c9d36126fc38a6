package demo

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"time"
)

//go:embed templates/*.html
var templateFiles embed.FS

// view is what a template is given.
type view struct {
	*renderer
	Name  string // which page this is, for its scripts
	Title string // without the shop's name
	About string // one sentence for search engines and link previews

	Shelf *category
	Book  *book
	Books []*book
	Query string
}

// renderer makes pages. It is not changed after newRenderer, so that the search
// page may be rendered by many requests at a time.
type renderer struct {
	Prefix   string
	Snippet  template.HTML
	Files    map[string]string // an asset's name to its path below the prefix
	Currency string
	FanFor   time.Duration

	cat       *catalogue
	templates map[string]*template.Template
}

func newRenderer(o Options, files map[string]string, cat *catalogue) (*renderer, error) {
	r := &renderer{Prefix: o.Prefix, Snippet: o.Snippet, Files: files, Currency: currency, FanFor: cmp.Or(o.FanFor, FanFor), cat: cat, templates: map[string]*template.Template{}}
	base, err := template.ParseFS(templateFiles, "templates/layout.html", "templates/panel.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("parse the layout: %w", err)
	}
	for _, name := range []string{"front", "category", "book", "search", "cart", "checkout", "thanks", "login", "account", "missing"} {
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(templateFiles, "templates/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("parse page %s: %w", name, err)
		}
		r.templates[name] = t
	}
	return r, nil
}

// Categories and the methods below it are for the templates.
func (r *renderer) Categories() []*category { return r.cat.categories }
func (r *renderer) Fresh() []*book          { return r.cat.fresh(6) }
func (r *renderer) Recommended() []*book    { return r.cat.recommended() }
func (r *renderer) Spines() template.HTML   { return drawSpines(r.cat.books) }
func (r *renderer) Total() int              { return len(r.cat.books) }
func (r *renderer) EnoughViews() float64    { return enoughViews }
func (r *renderer) FanSegment() string      { return fanSegment }
func (r *renderer) FanVariant() string      { return fanVariant }
func (r *renderer) FanShelf() *category     { return r.cat.shelf(fanCategory) }
func (r *renderer) FanRule() string         { return fanRule(r.FanFor) }

// FanTime is how long one is a fan, in words.
func (r *renderer) FanTime() string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := r.FanFor / unit.of; n > 0 && r.FanFor%unit.of == 0 {
			if n == 1 {
				return "1 " + unit.name
			}
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return r.FanFor.String()
}

// Others lists more books of the same shelf.
func (v *view) Others() []*book {
	var out []*book
	for _, b := range v.Book.Shelf.Books {
		if b != v.Book {
			out = append(out, b)
		}
	}
	return out[:min(4, len(out))]
}

func (r *renderer) page(v view) ([]byte, error) {
	v.renderer = r
	var out bytes.Buffer
	if err := r.templates[v.Name].ExecuteTemplate(&out, "layout", &v); err != nil {
		return nil, fmt.Errorf("render page %s: %w", v.Name, err)
	}
	return out.Bytes(), nil
}

// all renders every page that is the same for everybody.
func (r *renderer) all() (map[string]*document, error) {
	views := map[string]view{
		"":         {Name: "front", Title: "A bookshop of many colours", About: "Kirjava is a small bookshop with thrillers, romance, science fiction, cooking, children’s books and history."},
		"cart":     {Name: "cart", Title: "Your basket", About: "What is in your basket."},
		"checkout": {Name: "checkout", Title: "Checkout", About: "Place an order that nobody will deliver."},
		"thanks":   {Name: "thanks", Title: "Thank you", About: "Your order has been placed."},
		"login":    {Name: "login", Title: "Log in", About: "Log in with any name."},
		"account":  {Name: "account", Title: "Your account", About: "Who you are to this shop."},
	}
	for _, c := range r.cat.categories {
		views["category/"+c.Slug] = view{Name: "category", Title: c.Name, About: c.Lead, Shelf: c, Books: c.Books}
	}
	for _, b := range r.cat.books {
		views["book/"+b.ID] = view{Name: "book", Title: b.Title + " by " + b.Author, About: b.Blurb, Shelf: b.Shelf, Book: b}
	}
	out := make(map[string]*document, len(views))
	for path, v := range views {
		html, err := r.page(v)
		if err != nil {
			return nil, err
		}
		out[path] = newDocument("text/html; charset=utf-8", html)
	}
	return out, nil
}
