package rewrite

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// exchange is one request and its answer.
type exchange struct {
	p     *Proxy
	s     *site
	ctx   *fasthttp.RequestCtx // not to be used once the handler has returned
	conn  net.Conn             // the visitor's
	began time.Time
	host  string
	https bool
	peer  netip.Addr

	req     *http.Request
	cancel  context.CancelFunc
	up      *upload // nil: the request has no body to wait for
	upgrade bool
	page    bool // the answer may be a page to rewrite
	known   bool // the request shows a visitor's cookie
	found   chan Decision
	handed  bool // what is to be closed is closed by the answer's body
}

// hop are the headers that belong to a connection, not to a message (RFC 9110,
// 7.6.1), and those that net/http writes itself.
var hop = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// readRequest makes the request for the site's server of the visitor's. It says
// false for an address that could become another one on the way.
func (x *exchange) readRequest() bool {
	h := &x.ctx.Request.Header
	u := x.target(h.RequestURI())
	if u == nil {
		return false
	}
	if a, ok := x.ctx.RemoteAddr().(*net.TCPAddr); ok {
		x.peer = a.AddrPort().Addr().Unmap()
	}
	base, cancel := context.WithCancel(x.p.base)
	x.cancel = cancel
	header := make(http.Header, 16)
	for raw := range bytes.SplitSeq(h.RawHeaders(), []byte("\r\n")) {
		if name, value, ok := bytes.Cut(raw, []byte{':'}); ok && len(name) > 0 {
			name := textproto.CanonicalMIMEHeaderKey(string(name))
			header[name] = append(header[name], string(bytes.Trim(value, " \t")))
		}
	}
	x.req = (&http.Request{Method: string(h.Method()), URL: u, Host: x.host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(base)
	x.upgrade = h.IsGet() && strings.EqualFold(header.Get("Upgrade"), "websocket") && lists(header["Connection"], "upgrade")
	dropHop(header)
	for _, name := range []string{"Host", "Content-Length", "Expect"} { // net/http's, and answered already
		delete(header, name)
	}
	if x.upgrade {
		header["Connection"], header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	}
	if header["User-Agent"] == nil {
		header["User-Agent"] = nil // or net/http gives one of its own
	}
	x.forward(header)
	x.known = x.dropCookie(header)
	x.attach()
	return true
}

// target is the address on the site's server, byte for byte what was asked for;
// nil for what is no path or would end the request's first line.
func (x *exchange) target(uri []byte) *url.URL {
	if len(uri) == 0 || uri[0] != '/' {
		return nil
	}
	for _, c := range uri {
		if c <= ' ' || c == 0x7F {
			return nil
		}
	}
	u := &url.URL{Scheme: x.s.url.Scheme, Host: x.s.url.Host}
	if len(uri) > 1 && uri[1] == '/' {
		// Opaque would make another host of it.
		path, query, _ := strings.Cut(string(uri), "?")
		plain, err := url.PathUnescape(path)
		if err != nil {
			return nil
		}
		u.Path, u.RawPath, u.RawQuery = plain, path, query
		return u
	}
	u.Opaque = string(uri)
	return u
}

// dropHop takes out the headers of the connection, and those it names.
func dropHop(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			delete(h, textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)))
		}
	}
	for _, name := range hop {
		delete(h, name)
	}
}

// lists says whether a header of comma-separated words holds one.
func lists(lines []string, word string) bool {
	for _, line := range lines {
		for w := range strings.SplitSeq(line, ",") {
			w, _, _ = strings.Cut(w, ";")
			if strings.EqualFold(strings.TrimSpace(w), word) {
				return true
			}
		}
	}
	return false
}

// forward says who asked. What a stranger says about that is not passed on.
func (x *exchange) forward(h http.Header) {
	trusted := false
	for _, p := range x.p.o.TrustedProxies {
		trusted = trusted || p.Contains(x.peer)
	}
	if !trusted {
		for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-Ip"} {
			delete(h, name)
		}
	}
	proto := "http"
	if lines := h["X-Forwarded-Proto"]; len(lines) > 0 {
		proto = strings.ToLower(lines[len(lines)-1])
	}
	x.https = x.ctx.IsTLS() || proto == "https"
	if x.https {
		proto = "https"
	}
	h["X-Forwarded-Proto"] = []string{proto}
	if h["X-Forwarded-Host"] == nil {
		h["X-Forwarded-Host"] = []string{x.host}
	}
	if x.peer.IsValid() {
		h["X-Forwarded-For"] = []string{strings.Join(append(h["X-Forwarded-For"], x.peer.String()), ", ")}
	}
}

// dropCookie takes the gateway's own cookie out, and says whether it was there.
func (x *exchange) dropCookie(h http.Header) (found bool) {
	if x.s.Cookie == "" {
		return false
	}
	var lines []string
	for _, line := range h["Cookie"] {
		var kept []string
		for pair := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if name == x.s.Cookie || name == "__Host-"+x.s.Cookie || name == "__Secure-"+x.s.Cookie {
				found = true
				continue
			}
			kept = append(kept, pair)
		}
		if text := strings.TrimSpace(strings.Join(kept, ";")); text != "" {
			lines = append(lines, text)
		}
	}
	if found {
		delete(h, "Cookie")
		if len(lines) > 0 {
			h["Cookie"] = lines
		}
	}
	return found
}

// navigation says whether the browser asks for a page to show, and readies the
// request for an answer that may be rewritten. A page that a script fetches is
// the script's, and stays as it is.
func (x *exchange) navigation() bool {
	h := x.req.Header
	if m := x.req.Method; m != http.MethodGet && m != http.MethodPost && m != http.MethodHead || x.upgrade {
		return false
	}
	switch dest := h.Get("Sec-Fetch-Dest"); dest {
	case "document", "iframe", "frame":
	case "":
		if !strings.Contains(strings.ToLower(h.Get("Accept")), "text/html") {
			return false
		}
	default:
		return false
	}
	// Only what can be read here; and the visitor reads it, too, should it pass
	// unchanged.
	var codings []string
	for _, c := range []string{"br", "gzip"} {
		if accepts(h["Accept-Encoding"], c) {
			codings = append(codings, c)
		}
	}
	delete(h, "Accept-Encoding")
	if h["Accept-Encoding"] = []string{"identity"}; codings != nil {
		h["Accept-Encoding"] = []string{strings.Join(codings, ", ")}
	}
	// Parts of the page as it is and as it becomes do not fit together.
	delete(h, "Range")
	delete(h, "If-Range")
	return true
}

// decide begins to decide while the site's server answers.
func (x *exchange) decide() {
	if !x.s.Slots || x.p.o.Decider == nil || x.req.Method == http.MethodHead {
		return
	}
	run := x.p.o.Decider.Visit(x.ctx, x.s.Name)
	if run == nil {
		return
	}
	select {
	case x.p.busy <- struct{}{}:
	default:
		return
	}
	if x.known {
		// A page that the browser holds from before is nobody's own.
		delete(x.req.Header, "If-None-Match")
		delete(x.req.Header, "If-Modified-Since")
	}
	x.found = make(chan Decision, 1)
	found, log, name := x.found, x.p.log, x.s.Name
	go func() {
		defer func() { <-x.p.busy }()
		d, err := run()
		if err != nil {
			log.Debug("a page goes without its decisions", "site", name, "err", err)
			close(found)
			return
		}
		found <- d
	}()
}

// decision waits for what was decided, as long as the budget allows.
func (x *exchange) decision() (Decision, bool) {
	if x.found == nil {
		return Decision{}, false
	}
	select {
	case d, ok := <-x.found:
		return d, ok
	default:
	}
	left := time.NewTimer(x.s.Budget - time.Since(x.began))
	defer left.Stop()
	select {
	case d, ok := <-x.found:
		return d, ok
	case <-left.C:
		return Decision{}, false
	}
}
