package rewrite

import (
	"html"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// answer gives the visitor what the site's server answered.
func (x *exchange) answer(resp *http.Response) {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		x.switched(resp)
		return
	}
	var pg *page
	if x.page {
		pg = x.rewritten(resp)
	}
	x.headers(resp.Header)
	x.ctx.SetStatusCode(resp.StatusCode)
	r := &x.ctx.Response
	size := resp.ContentLength
	if pg != nil {
		size = -1
	}
	switch {
	case x.req.Method == http.MethodHead, resp.StatusCode == http.StatusNotModified, resp.StatusCode == http.StatusNoContent:
		r.SkipBody = true
		if size >= 0 && x.req.Method == http.MethodHead {
			r.Header.SetContentLength(int(size))
		} else if x.req.Method == http.MethodHead {
			r.Header.SetContentLength(-1)
		}
		resp.Body.Close()
		return
	case size == 0:
		resp.Body.Close()
		return
	}
	b := &body{x: x, from: resp.Body, conn: x.conn, wait: x.p.o.WriteTimeout, up: x.up, cancel: x.cancel}
	b.idle = time.AfterFunc(x.s.Timeout, x.cancel)
	b.timeout = x.s.Timeout
	if x.up != nil && !x.up.complete() {
		x.ctx.SetConnectionClose()
	}
	x.handed = true
	var stream io.ReadCloser = b
	if pg != nil {
		pg.body = b
		stream = pg
	}
	if size < 0 && !x.ctx.Request.Header.IsHTTP11() {
		x.unframed(stream)
		return
	}
	r.ImmediateHeaderFlush = size < 0
	r.SetBodyStream(stream, int(size))
}

// headers copies the answer's headers.
func (x *exchange) headers(from http.Header) {
	dropHop(from)
	h := &x.ctx.Response.Header
	for name, lines := range from {
		switch name {
		case "Content-Length", "Date": // fasthttp's
			continue
		case "Location", "Content-Location":
			for i := range lines {
				lines[i] = x.public(lines[i])
			}
		}
		for _, line := range lines {
			h.Add(name, line)
		}
	}
}

// public makes an address on the site's server, as one that does not look at the
// Host header tells it, one of the site.
func (x *exchange) public(address string) string {
	rest, ok := strings.CutPrefix(address, x.s.url.Scheme+"://"+x.s.url.Host)
	switch {
	case !ok || x.s.url.Host == x.host:
		return address
	case rest == "":
		return "/"
	case strings.HasPrefix(rest, "/") && !strings.HasPrefix(rest, "//"):
		return rest
	}
	return address
}

// plain answers by ourselves.
func (x *exchange) plain(status int, text string) {
	r := &x.ctx.Response
	r.SetStatusCode(status)
	r.Header.Set("Cache-Control", "no-store")
	title := strconv.Itoa(status) + " " + fasthttp.StatusMessage(status)
	if strings.Contains(strings.ToLower(string(x.ctx.Request.Header.Peek("Accept"))), "text/html") {
		r.Header.SetContentType("text/html; charset=utf-8")
		r.SetBodyString("<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>" + html.EscapeString(title) + "</title><h1>" + html.EscapeString(title) + "</h1><p>" + html.EscapeString(text) + "</p></html>\n")
		return
	}
	r.Header.SetContentType("text/plain; charset=utf-8")
	r.SetBodyString(title + ": " + text + "\n")
}

// body is the answer's body on its way to the visitor.
type body struct {
	x       *exchange // its site and log; the request is gone by now
	from    io.ReadCloser
	conn    net.Conn
	wait    time.Duration // for the visitor to take a part
	timeout time.Duration // for the site's server to send one
	idle    *time.Timer   // cancels
	up      *upload
	cancel  func()
}

func (b *body) Read(p []byte) (int, error) {
	b.idle.Reset(b.timeout)
	n, err := b.from.Read(p)
	b.idle.Stop()
	if b.wait > 0 {
		// A download may take as long as it likes, but each part must be taken in time.
		if derr := b.conn.SetWriteDeadline(time.Now().Add(b.wait)); err == nil && derr != nil {
			err = derr
		}
	}
	return n, err
}

// Close is called by fasthttp, when the body is sent or could not be.
func (b *body) Close() error {
	b.idle.Stop()
	if b.up != nil {
		b.up.stop()
	}
	b.cancel()
	return b.from.Close()
}

// unframed sends a body of unknown length to somebody who speaks HTTP/1.0, for
// whom it ends with the connection.
func (x *exchange) unframed(stream io.ReadCloser) {
	h := &x.ctx.Response.Header
	h.SetContentLength(-2)
	h.SetConnectionClose()
	head := append([]byte(nil), h.Header()...)
	x.ctx.HijackSetNoResponse(true)
	x.ctx.Hijack(func(c net.Conn) {
		defer stream.Close()
		if _, err := c.Write(head); err == nil {
			_, _ = io.Copy(c, stream) // whoever is cut off sees it: the connection ends
		}
	})
}
