// Package rewrite is the gateway as a reverse proxy in front of a site, which
// puts the tag and the variants that were decided into the site's pages while
// they stream through.
//
// It is a proxy first: what it does not understand, and what it must not touch,
// passes as it came. A page is changed only where it is HTML in an encoding
// that it knows; what is decided must be decided within a budget of time, or
// the page goes without.
//
// A request goes through Handle: whose it is (rewrite.go), to the site
// (request.go, upload.go), and back (response.go), as it is, as a page (page.go,
// scan.go, editor.go, slot.go) or as a connection of its own (upgrade.go).
package rewrite

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// Site is a site that the gateway stands in front of.
type Site struct {
	Name string
	// Upstream is the origin of the site's own server: "http://127.0.0.1:3000".
	Upstream string
	// Serves says whether a Host header is the site's.
	Serves func(host string) bool
	// Cookie is the name of the visitor's cookie, without a prefix; it is the
	// gateway's own and does not go to the site's server.
	Cookie string
	// Timeout is how long the site's server may take to begin its answer, and
	// then for each further part of it; 0: DefaultTimeout.
	Timeout time.Duration

	// Pages says that pages are rewritten; without it nothing is.
	Pages bool
	Stub  string // the tag's inline script, ASCII
	Src   string // the tag's path
	// Global is the name of the tag's object.
	Global string
	// Slots says that variants may be put in: nobody is asked for consent first.
	Slots  bool
	Budget time.Duration // for a decision, from the request on; 0: DefaultBudget
	// ClientHints asks browsers for what they do not tell by themselves.
	ClientHints bool
}

const (
	DefaultTimeout = 60 * time.Second      // nginx's proxy_read_timeout
	DefaultBudget  = 30 * time.Millisecond // two frames: nobody sees it
)

// Decision is what a page shows its visitor.
type Decision struct {
	Variants map[string]string // slot to variant
	Segments []string
	Answer   []byte // JSON object with the members "profile" and "decisions"
}

// Decider decides for the visitors of pages.
type Decider interface {
	// Visit reads what it needs of the request and gives what then decides, in
	// another goroutine and perhaps after ctx is gone; nil: nothing to decide.
	Visit(ctx *fasthttp.RequestCtx, site string) func() (Decision, error)
}

// Options is what a Proxy is made of.
type Options struct {
	Sites          []Site
	Decider        Decider // nil: only stub and tag are put in
	TrustedProxies []netip.Prefix
	// WriteTimeout and ReadTimeout bound how long the visitor's connection may
	// stand still; 0: no bound.
	WriteTimeout, ReadTimeout time.Duration
	Context                   context.Context // ends what is under way; nil: nothing does
	Logger                    *slog.Logger    // nil: slog.Default
}

// Proxy stands in front of sites. It is safe for concurrent use.
type Proxy struct {
	o     Options
	log   *slog.Logger
	base  context.Context
	sites []*site
	busy  chan struct{} // a place for each decision under way

	brotlis sync.Pool // of *brotli.Writer
}

// site is a Site ready for use.
type site struct {
	Site
	url       *url.URL
	transport *http.Transport
	told      atomic.Int64 // when a failure was logged last, in seconds since 1970
}

// decisions is how many may be under way at once; a page that finds no place
// goes without.
const decisions = 256

// New checks the options and makes a Proxy.
func New(o Options) (*Proxy, error) {
	p := &Proxy{o: o, log: o.Logger, base: o.Context, busy: make(chan struct{}, decisions)}
	if p.log == nil {
		p.log = slog.Default()
	}
	if p.base == nil {
		p.base = context.Background()
	}
	for _, s := range o.Sites {
		one, err := newSite(s)
		if err != nil {
			return nil, fmt.Errorf("rewrite: site %q: %w", s.Name, err)
		}
		p.sites = append(p.sites, one)
	}
	return p, nil
}

func newSite(s Site) (*site, error) {
	u, err := url.Parse(s.Upstream)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("upstream %q; expected scheme and host such as http://127.0.0.1:3000", s.Upstream)
	}
	if s.Serves == nil {
		return nil, errors.New("there is no Serves; expected what tells the hosts of the site")
	}
	if s.Timeout <= 0 {
		s.Timeout = DefaultTimeout
	}
	if s.Budget <= 0 {
		s.Budget = DefaultBudget
	}
	dialer := &net.Dialer{Timeout: min(s.Timeout, 10*time.Second), KeepAlive: 30 * time.Second}
	return &site{Site: s, url: u, transport: &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12}, // the certificate is to be Upstream's
		TLSHandshakeTimeout:    min(s.Timeout, 10*time.Second),
		ResponseHeaderTimeout:  s.Timeout,
		MaxResponseHeaderBytes: 256 << 10,
		MaxIdleConnsPerHost:    256,
		// Node closes a connection after five idle seconds. Whoever uses one in that
		// moment cannot tell whether a POST was taken.
		IdleConnTimeout:    4 * time.Second,
		DisableCompression: true, // bytes pass as they are
	}}, nil
}

// Handle answers a request for one of the sites, and says false without having
// touched it when the host is none of theirs.
func (p *Proxy) Handle(ctx *fasthttp.RequestCtx) bool {
	host := string(ctx.Request.Header.Host())
	for _, s := range p.sites {
		if s.Serves(host) {
			p.pass(ctx, s, host)
			return true
		}
	}
	return false
}

// pass answers a request for the site.
func (p *Proxy) pass(ctx *fasthttp.RequestCtx, s *site, host string) {
	x := &exchange{p: p, s: s, ctx: ctx, conn: ctx.Conn(), began: time.Now(), host: host}
	defer x.leave()
	if !x.readRequest() {
		x.plain(fasthttp.StatusBadRequest, "This address can not be read.")
		return
	}
	if x.page = s.Pages && x.navigation(); x.page {
		x.decide()
	}
	resp, err := s.transport.RoundTrip(x.req)
	if err != nil {
		x.failed(err)
		return
	}
	x.answer(resp)
}

// failed answers for a site's server that did not.
func (x *exchange) failed(err error) {
	status, text := fasthttp.StatusBadGateway, "The site can not be reached at the moment."
	var network net.Error
	switch {
	case x.up != nil && x.up.failed():
		x.plain(fasthttp.StatusBadRequest, "The request did not arrive whole.")
		return
	case errors.As(err, &network) && network.Timeout():
		status, text = fasthttp.StatusGatewayTimeout, "The site takes too long to answer at the moment."
	}
	if now, told := time.Now().Unix(), x.s.told.Load(); now > told && x.s.told.CompareAndSwap(told, now) {
		x.p.log.Warn("the site's own server did not answer (setting upstream of the site)", "site", x.s.Name, "upstream", x.s.Upstream, "err", err)
	}
	x.plain(status, text)
}
