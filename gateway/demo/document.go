package demo

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"
)

//go:embed static
var staticFiles embed.FS

const (
	// A page may be kept but must be asked for again: the answer is a 304
	// until the program is replaced.
	cacheAsk = "no-cache"
	cacheDay = "public, max-age=86400"
	// A file whose name holds its hash never changes.
	cacheForever = "public, max-age=31536000, immutable"
)

// document is a body that is ready to be sent. It is never changed after it
// was made, so that responses share its bytes.
type document struct {
	kind  string // Content-Type
	cache string // Cache-Control
	etag  string
	plain []byte
	// gzip is the compressed body, made when first asked for; nil when it would not
	// be smaller.
	gzip func() []byte
}

func newDocument(kind string, body []byte) *document {
	sum := sha256.Sum256(body)
	return &document{kind: kind, cache: cacheAsk, etag: `"` + hex.EncodeToString(sum[:8]) + `"`, plain: body, gzip: sync.OnceValue(func() []byte {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		w.Write(body) // a bytes.Buffer takes everything
		w.Close()
		if packed.Len() < len(body) {
			return packed.Bytes()
		}
		return nil
	})}
}

// send answers with the document, or with 304 to whoever has it.
func (d *document) send(ctx *fasthttp.RequestCtx) {
	h := &ctx.Response.Header
	h.Set("Cache-Control", d.cache)
	h.Set("ETag", d.etag)
	h.Set("Vary", "Accept-Encoding")
	if bytes.Contains(ctx.Request.Header.Peek("If-None-Match"), []byte(d.etag)) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	ctx.SetContentType(d.kind)
	if ctx.Request.Header.HasAcceptEncoding("gzip") {
		if packed := d.gzip(); packed != nil {
			h.Set("Content-Encoding", "gzip")
			ctx.Response.SetBodyRaw(packed)
			return
		}
	}
	ctx.Response.SetBodyRaw(d.plain)
}

// loadAssets reads the scripts and styles. names maps "shop.css" to the path
// below the prefix under which byPath holds it.
func loadAssets() (names map[string]string, byPath map[string]*document, err error) {
	files, err := staticFiles.ReadDir("static")
	if err != nil {
		return nil, nil, fmt.Errorf("list the embedded assets: %w", err)
	}
	names, byPath = map[string]string{}, map[string]*document{}
	for _, f := range files {
		body, err := staticFiles.ReadFile("static/" + f.Name())
		if err != nil {
			return nil, nil, fmt.Errorf("read an embedded asset: %w", err)
		}
		ext := path.Ext(f.Name())
		kind := map[string]string{
			".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
		}[ext]
		if kind == "" {
			return nil, nil, fmt.Errorf("embedded asset %s: its kind is unknown, expected .css, .js or .svg", f.Name())
		}
		d := newDocument(kind, body)
		d.cache = cacheForever
		at := "static/" + strings.TrimSuffix(f.Name(), ext) + "." + strings.Trim(d.etag, `"`) + ext
		names[f.Name()], byPath[at] = at, d
	}
	return names, byPath, nil
}
