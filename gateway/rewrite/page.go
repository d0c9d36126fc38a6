package rewrite

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
)

// page is a page's text on its way to the visitor, rewritten as it comes.
//
// Invariant: what came is passed on before more is waited for, but for a slot
// that is being read.
type page struct {
	*body
	text    io.Reader // decoded; made with the first Read
	coding  string    // of the site's server
	editor  editor
	scanner scanner
	pack    packer // nil: the visitor takes plain text
	packed  bytes.Buffer
	ready   []byte // not yet read by fasthttp,
	kept    []byte // and its memory, where nothing is packed
	room    []byte
	err     error
}

// packer is a compressor.
type packer interface {
	io.WriteCloser
	Flush() error
}

const (
	pieceBytes  = 32 << 10
	brotliLevel = 4 // as fast as gzip's 5, and smaller
	gzipLevel   = 5
)

// rewritten readies the answer, where it is a page, for being rewritten; nil:
// it passes as it is.
func (x *exchange) rewritten(resp *http.Response) *page {
	h := resp.Header
	switch resp.StatusCode {
	case http.StatusNoContent, http.StatusResetContent, http.StatusPartialContent, http.StatusNotModified:
		return nil
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != "text/html" || resp.ContentLength == 0 ||
		lists(h["Cache-Control"], "no-transform") || lists(h["Content-Disposition"], "attachment") {
		return nil
	}
	charset, named := params["charset"]
	if named && !ascii(charset) {
		return nil
	}
	coding := strings.ToLower(strings.TrimSpace(strings.Join(h["Content-Encoding"], ",")))
	switch coding {
	case "", "identity", "gzip", "br":
	default:
		return nil
	}
	decided, ok := x.decision()
	content := x.content(decided, ok)
	personal(h, content.Personal && (content.Segments != "" || len(content.Variants) > 0))
	if x.s.ClientHints && h["Accept-Ch"] == nil {
		h["Accept-Ch"] = []string{ClientHints}
	}
	p := &page{coding: coding}
	p.editor = editor{page: content, origin: "http://" + x.host, sized: named}
	if x.https {
		p.editor.origin = "https://" + x.host
	}
	for _, line := range h["Content-Security-Policy"] {
		p.editor.csp.add(line)
	}
	p.scanner.e = &p.editor
	delete(h, "Content-Encoding")
	accept := x.req.Header["Accept-Encoding"]
	switch {
	case accepts(accept, "br"):
		h["Content-Encoding"], p.pack = []string{"br"}, x.p.brotli(&p.packed)
	case accepts(accept, "gzip"):
		z, err := gzip.NewWriterLevel(&p.packed, gzipLevel)
		if err != nil {
			return nil
		}
		h["Content-Encoding"], p.pack = []string{"gzip"}, z
	}
	if !lists(h["Vary"], "accept-encoding") {
		h["Vary"] = append(h["Vary"], "Accept-Encoding")
	}
	return p
}

// ClientHints are what browsers tell only who asks (UA Client Hints, 3), and
// what the gateway reads.
const ClientHints = "Sec-CH-UA-Platform-Version, Sec-CH-UA-Model, Sec-CH-UA-Full-Version-List, Sec-CH-UA-Form-Factors"

// brotli gives a compressor, of which each has some megabytes.
func (p *Proxy) brotli(to io.Writer) *brotli.Writer {
	if w, ok := p.brotlis.Get().(*brotli.Writer); ok {
		w.Reset(to)
		return w
	}
	return brotli.NewWriterLevel(to, brotliLevel)
}

// content is what goes into the page.
func (x *exchange) content(d Decision, decided bool) *Page {
	c := &Page{Stub: x.s.Stub, Src: x.s.Src}
	if !decided {
		return c
	}
	c.Personal = true
	c.Segments = strings.Join(d.Segments, " ")
	c.Variants = d.Variants
	if len(d.Answer) > 0 && (c.Segments != "" || len(c.Variants) > 0) {
		c.Answer = "\nwindow." + x.s.Global + ".a=" + escaped(d.Answer)
	}
	return c
}

// escaped writes JSON in ASCII, and so that it ends no script.
func escaped(text []byte) string {
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case r >= 0x10000:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		case r >= 0x7F, r == '<', r == '>', r == '&':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Read gives fasthttp what is ready, or waits for more.
func (p *page) Read(b []byte) (int, error) {
	for len(p.ready) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		p.err = p.fill()
	}
	n := copy(b, p.ready)
	p.ready = p.ready[n:]
	return n, nil
}

// fill takes the next piece of the page through.
func (p *page) fill() error {
	if p.text == nil {
		if err := p.open(); err != nil {
			return err
		}
	}
	n, err := p.text.Read(p.room)
	p.scanner.write(p.room[:n])
	if err == io.EOF {
		p.scanner.close()
		p.editor.release()
	}
	out := p.editor.out
	p.editor.out = out[:0]
	if p.pack == nil {
		p.ready = append(p.kept[:0], out...)
		p.kept = p.ready
		return err
	}
	p.packed.Reset()
	_, perr := p.pack.Write(out)
	switch {
	case perr != nil:
	case err == io.EOF:
		perr = p.pack.Close()
	case len(out) > 0:
		perr = p.pack.Flush()
	}
	p.ready = p.packed.Bytes()
	if perr != nil {
		return perr
	}
	return err
}

// open begins to decode.
func (p *page) open() (err error) {
	p.room = make([]byte, pieceBytes)
	switch p.coding {
	case "gzip":
		p.text, err = gzip.NewReader(p.body)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	case "br":
		p.text = brotli.NewReader(p.body)
	default:
		p.text = p.body
	}
	return nil
}

// Close is called by fasthttp once.
func (p *page) Close() error {
	if w, ok := p.pack.(*brotli.Writer); ok {
		p.x.p.brotlis.Put(w)
	}
	p.pack = nil
	return p.body.Close()
}

// personal makes the headers those of a page that was changed, and keeps one
// that is its visitor's own from being given to anybody else.
func personal(h http.Header, own bool) {
	for _, name := range []string{"Accept-Ranges", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
		delete(h, name)
	}
	if own {
		for _, name := range []string{"Etag", "Last-Modified", "Expires", "Pragma", "Age", "Surrogate-Control", "Cdn-Cache-Control"} {
			delete(h, name)
		}
		h["Cache-Control"] = []string{"private, no-store"}
		return
	}
	// The page is the same for all who come with the same one, but not byte for byte.
	if tag := h.Get("Etag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		h.Set("Etag", "W/"+tag)
	}
}

// accepts says whether Accept-Encoding headers (RFC 9110, 12.5.3) name the coding
// and allow it.
func accepts(lines []string, coding string) bool {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(part, ";")
			if !strings.EqualFold(strings.TrimSpace(name), coding) {
				continue
			}
			q, ok := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			n, err := strconv.ParseFloat(q, 64)
			return weight == "" || ok && err == nil && n > 0
		}
	}
	return false
}
