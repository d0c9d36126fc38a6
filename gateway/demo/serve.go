package demo

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fasthttp"
)

// maxQuery is the longest search in bytes that is looked at; the rest is cut.
const maxQuery = 100

// Handle answers a request at or below the prefix.
func (s *Shop) Handle(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "strict-origin-when-cross-origin")
	h.Set("Content-Security-Policy", s.policy)

	path := ctx.Path()
	if len(path) == len(s.prefix)-1 && string(path) == s.prefix[:len(s.prefix)-1] {
		h.Set("Location", s.prefix)
		ctx.SetStatusCode(fasthttp.StatusPermanentRedirect)
		return
	}
	if !bytes.HasPrefix(path, []byte(s.prefix)) {
		s.missing(ctx)
		return
	}
	path = path[len(s.prefix):]
	if string(path) == "login" && ctx.IsPost() {
		s.login(ctx)
		return
	}
	if !ctx.IsGet() && !ctx.IsHead() {
		h.Set("Allow", "GET, HEAD")
		if string(path) == "login" {
			h.Set("Allow", "GET, HEAD, POST")
		}
		fail(ctx, fault{status: fasthttp.StatusMethodNotAllowed, code: "method_not_allowed",
			message: "this address was asked with " + strconv.Quote(string(ctx.Method())) + "; use " + string(h.Peek("Allow"))})
		return
	}
	if d := s.pages[string(path)]; d != nil {
		d.send(ctx)
		return
	}
	if d := s.assets[string(path)]; d != nil {
		d.send(ctx)
		return
	}
	if string(path) == "search" {
		s.search(ctx)
		return
	}
	s.missing(ctx)
}

func (s *Shop) search(ctx *fasthttp.RequestCtx) {
	query := string(ctx.QueryArgs().Peek("q"))
	if len(query) > maxQuery {
		query = query[:maxQuery]
	}
	// The cut may stand inside a character, and a browser may send anything.
	query = strings.TrimSpace(strings.ToValidUTF8(query, ""))
	title := "Search"
	if query != "" {
		title = "Search for “" + query + "”"
	}
	s.sendPage(ctx, view{Name: "search", Title: title, About: "Find a book by its title, author or shelf.", Query: query, Books: s.cat.search(query)})
}

func (s *Shop) missing(ctx *fasthttp.RequestCtx) {
	ctx.SetStatusCode(fasthttp.StatusNotFound)
	s.sendPage(ctx, view{Name: "missing", Title: "Nothing on this shelf", About: "There is no such page."})
}

// sendPage renders a page for this request alone.
func (s *Shop) sendPage(ctx *fasthttp.RequestCtx, v view) {
	html, err := s.render.page(v)
	if err != nil {
		s.log.Error("the demo shop could not render a page", "page", v.Name, "error", err)
		fail(ctx, fault{status: fasthttp.StatusInternalServerError, code: "internal", message: "the page could not be rendered; the gateway's log says why"})
		return
	}
	ctx.Response.Header.Set("Cache-Control", cacheAsk)
	ctx.SetContentType("text/html; charset=utf-8")
	ctx.Response.SetBodyRaw(html)
}

// runes counts s in characters, as a person who types a name would.
func runes(s string) int { return utf8.RuneCountInString(s) }
