// Package collect is the public HTTP of the gateway: the Segment-compatible
// routes, the tag's round trip, the pixel and health. It decides who may speak
// and in which form, reads the body into events, and leaves what they mean to
// its Intake.
//
// A request goes through Handle from top to bottom: headers (headers.go), route
// (routes.go), rate (limits.go), body (request.go, decode.go), key and origin (sites.go,
// cors.go), visitor (cookie.go), Intake, answer (answer.go).
package collect

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/token"
)

// Site is one site that sends events.
type Site struct {
	Name       string
	WriteKey   string   // public
	ServerKeys []string // secret: what comes with one is verified
	// Origins are compared exactly with the Origin header; "https://*.shop.example"
	// means every host below. Empty: loopback origins of any port. The origin
	// that the gateway itself is reached under always counts.
	Origins []string
	Cookie  Cookie
	// LinkedDomains, and the hosts below them, are the site's, too: visitors are
	// handed over to them in links.
	LinkedDomains []string
}

// Cookie is the visitor cookie of a site. On https its name gets "__Host-", or
// "__Secure-" for the hosts of a Domain, which share it.
type Cookie struct {
	Name   string        // default "reuna"
	Domain string        // such as shop.example; "": each host has its own
	MaxAge time.Duration // default and most: 400 days (RFC 6265bis, 5.5)
}

// Limits bound what one request, one address and one key may cost.
type Limits struct {
	EventBytes  int // JSON text of one event
	BatchBytes  int // one body, decoded
	BatchEvents int // events in one body
	Depth       int // levels of nesting in one event
	PerAddress  Rate
	PerKey      Rate
	// ProcessorWait is how long work may wait for a processor, nine times out of ten,
	// before a part of the requests is refused; 0: none is, however long they all take.
	ProcessorWait time.Duration
}

// Rate is a token bucket: Burst requests at once, PerSecond on average.
// PerSecond 0 means no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Options is what a Server is made of.
type Options struct {
	Sites          []Site
	Prefix         string // of the routes; default "/v1"
	TrustedProxies []netip.Prefix
	Limits         Limits
	Cookies        *token.Cookies
	Links          *token.Links // nil: linked domains are not linked
	Intake         Intake
	Ready          func() error     // nil: always ready
	Now            func() time.Time // nil: time.Now
	Logger         *slog.Logger     // nil: slog.Default
	Metrics        Metrics          // nil: nothing is counted
	// ClientAddr finds the client's address from the connection's peer and the
	// X-Forwarded-For text, which it must not keep. nil: the peer.
	ClientAddr func(peer netip.Addr, forwarded string, trusted []netip.Prefix) netip.Addr
	// Extra serves the paths that begin with its keys and are none of this
	// package's own: tag, demo, hooks. The longest key wins; "/" is that path alone.
	Extra map[string]fasthttp.RequestHandler
	// Otherwise may answer what is none of these paths, and "/" before Extra does:
	// a site's own server behind the gateway. It says false without having touched
	// the request when it does not. Bodies come to it as streams where HTTP.Stream
	// is set.
	Otherwise func(ctx *fasthttp.RequestCtx) bool
}

// Metrics counts answers. Routes and codes come from fixed sets, so they may be
// labels. Code is "" for a success.
type Metrics interface {
	Count(route string, status int, code string)
}

// Intake takes what a request brought. It may take single events out of the
// Batch and list them as rejected there.
//
// A Request and the slices in its Batch are used again once the call returns;
// its strings may be kept. Append methods append JSON members without braces
// around them: `"profile":{…},"decisions":{…}`. When a method returns nil,
// what the request brought is durable.
type Intake interface {
	Interact(r *Request, dst []byte) ([]byte, error)
	Profile(r *Request, dst []byte) ([]byte, error) // reads only
	Collect(r *Request) error                       // Segment routes and the pixel
	Reset(r *Request) error                         // ends the visitor's session
}

// Unavailable is the error of an Intake that cannot take a request now: 429 or
// 503 with Retry-After. Any other error is answered with 500 and logged.
type Unavailable struct {
	Status     int
	Code       string
	Message    string // safe for the sender
	RetryAfter time.Duration
}

func (e *Unavailable) Error() string { return e.Message }

// Refused is the error of an Intake that does not want what the request brought,
// and kept nothing of it: 403.
type Refused struct {
	Code    string
	Message string // safe for the sender
}

func (e *Refused) Error() string { return e.Message }

// Request is one request as the Intake sees it.
//
// Invariant: its strings own their memory. They share one allocation with the
// body, which nobody writes to.
type Request struct {
	Site       string
	Source     event.Source
	Trust      id.Trust // of the sender's key; an identity token may raise it
	ReceivedAt int64    // milliseconds since 1970 UTC

	// The visitor of the cookie: interact, profile, reset and the pixel.
	Visitor     token.Visitor
	Login       token.Login // that the cookie carries; zero: none
	HasVisitor  bool
	Fresh       bool   // the visitor was made for this request
	AnonymousID string // of the visitor; "" without one
	Cookieless  bool   // nobody's: to be counted without any id

	// What Interact finds out about the cookie, and sets.
	Begun    token.Login // a session began: from now on the cookie carries this
	Revoked  bool        // the visitor was reset: the browser gets another
	Outdated bool        // a newer cookie of the visitor is out: this one is not sent again

	Client    netip.Addr // may be invalid
	UserAgent string
	Referer   string
	Origin    string
	Host      string
	Language  string // Accept-Language
	Hints     Hints
	GPC       bool // Sec-GPC: 1

	Batch event.Batch
}

// Hints are client-hint headers as they were sent, quotes included.
type Hints struct {
	Brands          string // Sec-CH-UA
	Mobile          string // Sec-CH-UA-Mobile
	Platform        string // Sec-CH-UA-Platform
	PlatformVersion string // Sec-CH-UA-Platform-Version
	Model           string // Sec-CH-UA-Model
	FullVersions    string // Sec-CH-UA-Full-Version-List
	Arch            string // Sec-CH-UA-Arch
	FormFactors     string // Sec-CH-UA-Form-Factors
}

// Server answers the site listener's requests. It is safe for concurrent use.
type Server struct {
	o         Options
	log       *slog.Logger
	routes    map[string]*route
	settings  route
	other     route
	upstream  route // of what Otherwise answers
	extra     []extra
	sites     atomic.Pointer[sites]
	addresses *addressLimits // nil: no limit
	pressure  *pressure
	decoders  chan *decoder
	calls     sync.Pool
	warned    atomic.Bool // about plain http
}

// New checks the options and makes a Server.
func New(o Options) (*Server, error) {
	if o.Prefix == "" {
		o.Prefix = "/v1"
	}
	if o.Prefix[0] != '/' || strings.HasSuffix(o.Prefix, "/") {
		return nil, fmt.Errorf("collect: the prefix %q; expected one that begins with a slash and does not end with one", o.Prefix)
	}
	if o.Cookies == nil || o.Intake == nil {
		return nil, errors.New("collect: Cookies and Intake are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.ClientAddr == nil {
		o.ClientAddr = func(peer netip.Addr, _ string, _ []netip.Prefix) netip.Addr { return peer }
	}
	if o.Limits.BatchBytes <= 0 {
		o.Limits.BatchBytes = 500 << 10
	}
	s := &Server{o: o, log: o.Logger, pressure: newPressure(o.Limits.ProcessorWait), decoders: newDecoders()}
	s.calls.New = func() any { return new(call) }
	s.addRoutes()
	s.addExtra(o.Extra)
	if o.Limits.PerAddress.PerSecond > 0 {
		s.addresses = newAddressLimits(o.Limits.PerAddress)
	}
	if err := s.SetSites(o.Sites); err != nil {
		return nil, err
	}
	return s, nil
}

// SetSites puts other sites in place of the present ones, for a reload. On an
// error the present ones stay.
func (s *Server) SetSites(list []Site) error {
	t, err := newSites(list, s.o.Limits.PerKey)
	if err != nil {
		return err
	}
	s.sites.Store(t)
	return nil
}

// Handle answers one request.
func (s *Server) Handle(ctx *fasthttp.RequestCtx) {
	c := s.acquire(ctx)
	defer s.release(c)
	if fault := c.head.read(ctx.Request.Header.RawHeaders()); fault != "" {
		// How the next request on this connection begins is anyone's guess.
		ctx.SetConnectionClose()
		c.route = &s.other
		c.fail(badRequest("bad_request", fault))
		return
	}
	path := ctx.Request.URI().PathOriginal()
	if c.route = s.find(path); c.route == nil {
		c.route = &s.other
		h := s.findExtra(path)
		if s.o.Otherwise != nil && (h == nil || string(path) == "/") && s.o.Otherwise(ctx) {
			c.route = &s.upstream
			c.count(ctx.Response.StatusCode(), "")
			return
		}
		if f := c.arrive(); f != nil {
			c.fail(f)
			return
		}
		if h != nil {
			c.plainHeaders()
			h(ctx)
			return
		}
		c.fail(notFound(path))
		return
	}
	f := c.arrive()
	if f == nil {
		f = c.serve()
	}
	if f != nil {
		c.fail(f)
	}
}

// serve answers the request, or gives why not.
func (c *call) serve() *failure {
	method := c.ctx.Method()
	switch {
	case string(method) == fasthttp.MethodOptions:
		return c.preflight()
	case string(method) == c.route.method:
	case string(method) == fasthttp.MethodHead && c.route.head:
	default:
		return c.wrongMethod()
	}
	if c.route.kind == health {
		return c.health()
	}
	c.identify()
	if f := c.admit(); f != nil {
		return f
	}
	switch c.route.kind {
	case settings:
		return c.settings()
	case pixel: // which nobody would send again
		return c.pixel()
	case reset: // somebody wants to be forgotten, and costs next to nothing
	default:
		if c.s.pressure.refuses(c.now, len(c.ctx.Request.Body())) {
			return c.s.pressure.overloaded()
		}
	}
	if f := c.read(); f != nil {
		return f
	}
	switch c.route.kind {
	case interact:
		return c.interact()
	case profile:
		return c.profile()
	case reset:
		return c.reset()
	default:
		return c.collect()
	}
}
