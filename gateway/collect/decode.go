package collect

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// decoder holds one decompressor of each kind, made when first needed. As many
// exist as the machine can keep busy: a flood of compressed bodies waits its
// turn instead of taking a window of memory each.
type decoder struct {
	src    bytes.Reader
	gzip   *gzip.Reader
	brotli *brotli.Reader
	zstd   *zstd.Decoder
	zlib   io.ReadCloser
}

func newDecoders() chan *decoder {
	n := 2 * runtime.GOMAXPROCS(0)
	pool := make(chan *decoder, n)
	for range n {
		pool <- new(decoder)
	}
	return pool
}

// maxWindow is what RFC 8878 (section 3.1.1.1.2) asks a zstd decoder to support.
const maxWindow = 8 << 20

// open starts decoding src, or gives an error when its head is no such thing.
// The reader is nil when there is no decoder for the encoding.
func (d *decoder) open(encoding string, src []byte) (r io.Reader, err error) {
	d.src.Reset(src)
	switch encoding {
	case "gzip", "x-gzip":
		if d.gzip == nil {
			d.gzip = new(gzip.Reader)
		}
		return d.gzip, d.gzip.Reset(&d.src)
	case "br":
		if d.brotli == nil {
			d.brotli = brotli.NewReader(nil)
		}
		return d.brotli, d.brotli.Reset(&d.src)
	case "zstd":
		if d.zstd == nil {
			// Concurrency 1 starts no goroutines.
			d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
			if err != nil {
				return nil, err
			}
		}
		return d.zstd, d.zstd.Reset(&d.src)
	case "deflate": // means zlib (RFC 9110, section 8.4.1.2)
		if d.zlib == nil {
			d.zlib, err = zlib.NewReader(&d.src)
			return d.zlib, err
		}
		return d.zlib, d.zlib.(zlib.Resetter).Reset(&d.src, nil)
	}
	return nil, nil
}

// body is the request's JSON text, decoded. It is fasthttp's memory or the
// call's own: it lasts until the call is released and no longer.
func (c *call) body() ([]byte, *failure) {
	form, f := c.mediaType()
	if f != nil {
		return nil, f
	}
	body, most := c.ctx.Request.Body(), c.s.o.Limits.BatchBytes
	encoding := asciiLower(clip(bytes.TrimSpace(c.head.contentEncoding), 64))
	if encoding != "" && encoding != "identity" && len(body) > 0 {
		if body, f = c.decompress(encoding, body, most); f != nil {
			return nil, f
		}
	}
	if form {
		if body, f = c.form(body); f != nil {
			return nil, f
		}
	}
	if len(body) > most {
		return nil, tooLarge(len(body), most)
	}
	return body, nil
}

// mediaType checks the Content-Type: JSON under any of the names that browsers
// may send without a preflight, in UTF-8.
func (c *call) mediaType() (form bool, f *failure) {
	kind, params, _ := bytes.Cut(c.head.contentType, []byte{';'})
	kind = bytes.TrimSpace(kind)
	is := func(s string) bool { return len(kind) == len(s) && equalFold(kind, s) }
	switch {
	case len(kind) == 0, is("text/plain"), is("application/json"):
	case is("application/x-www-form-urlencoded"):
		form = true
	default:
		return false, fail(415, "content_type", fmt.Sprintf("the Content-Type is %q; expected application/json, text/plain or application/x-www-form-urlencoded", clip(kind, 80)))
	}
	if len(params) == 0 {
		return form, nil
	}
	for p := range bytes.SplitSeq(params, []byte{';'}) {
		name, value, _ := bytes.Cut(bytes.TrimSpace(p), []byte{'='})
		if len(name) != 7 || !equalFold(name, "charset") {
			continue
		}
		switch cs := asciiLower(clip(bytes.Trim(value, `" `), 40)); cs {
		case "utf-8", "utf8", "us-ascii":
		default:
			return false, fail(415, "charset", fmt.Sprintf("the body's charset is %q; expected utf-8", cs))
		}
	}
	return form, nil
}

// asciiLower is b in lower case; the common spellings do not allocate.
func asciiLower(b []byte) string {
	switch s := view(b); s {
	case "":
		return ""
	case "gzip":
		return "gzip"
	case "br":
		return "br"
	case "zstd":
		return "zstd"
	case "utf-8":
		return "utf-8"
	case "UTF-8":
		return "utf-8"
	}
	return strings.ToLower(string(b))
}

// decompress decodes at most most bytes, in steps, so that a bomb costs no more
// than the limit and one step.
func (c *call) decompress(encoding string, body []byte, most int) ([]byte, *failure) {
	d := <-c.s.decoders
	whole := false
	defer func() {
		if !whole { // after a panic, nobody knows what state it is in
			d = new(decoder)
		}
		c.s.decoders <- d
	}()
	r, err := d.open(encoding, body)
	if r == nil && err == nil {
		return nil, fail(415, "content_encoding", fmt.Sprintf("the Content-Encoding is %q; expected one of gzip, br, zstd, deflate, once", encoding))
	}
	out := c.scratch[:0]
	for err == nil {
		if len(out) == cap(out) {
			out = append(out, make([]byte, min(max(cap(out), 4<<10), 64<<10))...)[:len(out)]
		}
		var n int
		n, err = r.Read(out[len(out):cap(out)])
		if out = out[:len(out)+n]; len(out) > most {
			c.scratch, whole = out[:0], true
			return nil, tooLarge(-1, most)
		}
	}
	c.scratch, whole = out[:0], true
	if err == io.EOF && d.src.Len() > 0 {
		err = errors.New("there is more data behind its end")
	}
	if err != io.EOF {
		return nil, badRequest("content_encoding", fmt.Sprintf("the body is not valid %s: %.100s", encoding, err))
	}
	return out, nil
}

// form takes JSON out of a form body: as it is (beacons that name no type of
// their own), or as the field data or jsonBody, plain or in base64.
func (c *call) form(body []byte) ([]byte, *failure) {
	if t := bytes.TrimLeft(body, " \t\r\n"); len(t) == 0 || t[0] == '{' {
		return body, nil
	}
	for field := range bytes.SplitSeq(body, []byte{'&'}) {
		name, value, _ := bytes.Cut(field, []byte{'='})
		if s := string(name); s != "data" && s != "jsonBody" {
			continue
		}
		text, ok := unescapeForm(nil, value)
		if !ok {
			return nil, badRequest("form", "the form is not percent-encoded as forms are")
		}
		if t := bytes.TrimLeft(text, " \t\r\n"); len(t) > 0 && t[0] == '{' {
			return text, nil
		}
		if text, ok = looseBase64(text); !ok {
			return nil, badRequest("form", fmt.Sprintf("the form's field %s is neither JSON nor base64 of it", name))
		}
		return text, nil
	}
	return nil, badRequest("form", "the form has no field data or jsonBody; put the JSON there, or send it as the body")
}

// unescapeForm appends the text of a form's value (URL standard,
// application/x-www-form-urlencoded).
func unescapeForm(dst, src []byte) ([]byte, bool) {
	for i := 0; i < len(src); i++ {
		switch b := src[i]; b {
		case '+':
			dst = append(dst, ' ')
		case '%':
			if i+2 >= len(src) || hex(src[i+1]) > 15 || hex(src[i+2]) > 15 {
				return nil, false
			}
			dst = append(dst, hex(src[i+1])<<4|hex(src[i+2]))
			i += 2
		default:
			dst = append(dst, b)
		}
	}
	return dst, true
}

func hex(b byte) byte {
	switch {
	case '0' <= b && b <= '9':
		return b - '0'
	case 'a' <= lower(b) && lower(b) <= 'f':
		return lower(b) - 'a' + 10
	}
	return 255
}

// looseBase64 reads either alphabet, padded or not, with the pluses that form
// decoding has turned into spaces.
func looseBase64(text []byte) ([]byte, bool) {
	text = bytes.TrimRight(text, "=")
	for i, b := range text {
		switch b {
		case '-', ' ':
			text[i] = '+'
		case '_':
			text[i] = '/'
		}
	}
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
	n, err := base64.RawStdEncoding.Decode(out, text)
	return out[:n], err == nil && n > 0
}
