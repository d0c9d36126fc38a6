package tagserve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/andybalholm/brotli"
	"github.com/valyala/fasthttp"
)

// Handle answers one request below the prefix.
func (s *Server) Handle(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.Set("Access-Control-Allow-Origin", "*") // a script with integrity is fetched with CORS
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("X-Content-Type-Options", "nosniff")

	if !ctx.IsGet() && !ctx.IsHead() {
		h.Set("Allow", "GET, HEAD")
		s.refuse(ctx, fasthttp.StatusMethodNotAllowed, "method_not_allowed", fmt.Sprintf("the method is %.20q; expected GET or HEAD", ctx.Method()))
		return
	}
	f := s.find(ctx.Path())
	if f == nil {
		s.refuse(ctx, fasthttp.StatusNotFound, "unknown_tag", fmt.Sprintf("there is no tag at %.200q; expected %s{writeKey}.js with the write key of a site, or the address with the hash of its present tag", ctx.Path(), s.prefix))
		return
	}
	if f.site != "" && string(ctx.URI().QueryString()) == profileQuery {
		if s.personal(ctx, f) {
			return
		}
		h.Set("Cache-Control", cacheAsk)
	} else {
		h.Set("Cache-Control", f.cache)
	}
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", f.etag)
	if matches(ctx.Request.Header.Peek("If-None-Match"), f.etag) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	h.SetContentType(f.kind)
	body := f.plain
	switch accept := ctx.Request.Header.Peek("Accept-Encoding"); {
	case accepts(accept, "br"):
		h.Set("Content-Encoding", "br")
		body = f.brotli
	case accepts(accept, "gzip"):
		h.Set("Content-Encoding", "gzip")
		body = f.gzip
	}
	// The response only reads the file's bytes, which nobody writes.
	ctx.Response.SetBodyRaw(body)
}

func (s *Server) find(path []byte) *file {
	name, ok := bytes.CutPrefix(path, []byte(s.prefix))
	if !ok {
		return nil
	}
	return s.files[string(name)]
}

const (
	profileQuery = "profile"
	// cacheAsk is for the address of a personal tag that is answered with the
	// plain one: it may be kept, but the next page is to ask again.
	cacheAsk = "private, no-cache"
	level    = 4 // of brotli, as for pages: the answer is made for one visitor
)

// personal answers with the tag behind the visitor's own profile and decisions.
// It says false, having changed nothing, where there are none for this request.
func (s *Server) personal(ctx *fasthttp.RequestCtx, f *file) bool {
	if s.answer == nil || !ctx.IsGet() {
		return false
	}
	b := fmt.Appendf(nil, "(window.%s=window.%s||[]).a=", f.global, f.global)
	b, ok := s.answer(ctx, f.site, b)
	if !ok {
		return false
	}
	b = append(append(b, ";\n"...), f.plain...)
	h := &ctx.Response.Header
	h.Del("Access-Control-Allow-Origin") // a script, for an element of the site's own pages
	switch string(ctx.Request.Header.Peek("Sec-Fetch-Site")) {
	case "same-origin":
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
	case "same-site":
		h.Set("Cross-Origin-Resource-Policy", "same-site")
	}
	h.Set("Cache-Control", "private, no-store")
	h.SetContentType(f.kind)
	if !accepts(ctx.Request.Header.Peek("Accept-Encoding"), "br") {
		ctx.Response.SetBody(b)
		return true
	}
	w, ok := s.packs.Get().(*brotli.Writer)
	if !ok {
		w = brotli.NewWriterLevel(nil, level)
	}
	defer s.packs.Put(w)
	out := ctx.Response.BodyWriter()
	w.Reset(out)
	if _, err := w.Write(b); err != nil || w.Close() != nil {
		ctx.Response.SetBody(b) // memory does not refuse; should it, the plain text does as well
		return true
	}
	h.Set("Content-Encoding", "br")
	return true
}

func (s *Server) refuse(ctx *fasthttp.RequestCtx, status int, code, message string) {
	type problem struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	body, err := json.Marshal(map[string]problem{"error": {code, message}})
	if err != nil { // strings always marshal; a body that cannot be made is still an error to the caller
		status, body = fasthttp.StatusInternalServerError, []byte(`{"error":{"code":"internal","message":"the answer could not be written"}}`)
	}
	ctx.SetStatusCode(status)
	ctx.Response.Header.SetContentType("application/json")
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.Response.SetBody(body)
}

// matches says whether an If-None-Match header names the tag. The comparison
// is the weak one (RFC 9110, section 13.1.2): a proxy that compresses marks
// its tags weak.
func matches(header []byte, etag string) bool {
	for part := range bytes.SplitSeq(header, []byte(",")) {
		part = bytes.TrimSpace(part)
		if string(bytes.TrimPrefix(part, []byte("W/"))) == etag || string(part) == "*" {
			return true
		}
	}
	return false
}

// accepts says whether an Accept-Encoding header (RFC 9110, section 12.5.3)
// allows the coding. A header that cannot be read allows nothing.
func accepts(header []byte, coding string) bool {
	star := false
	for part := range bytes.SplitSeq(header, []byte(",")) {
		name, weight, _ := bytes.Cut(part, []byte(";"))
		name = bytes.TrimSpace(name)
		allowed := true
		if weight = bytes.TrimSpace(weight); len(weight) > 0 {
			q, ok := bytes.CutPrefix(weight, []byte("q="))
			if !ok {
				return false
			}
			n, err := strconv.ParseFloat(string(bytes.TrimSpace(q)), 64)
			allowed = err == nil && n > 0
		}
		if bytes.EqualFold(name, []byte(coding)) {
			return allowed
		}
		star = star || string(name) == "*" && allowed
	}
	return star
}
