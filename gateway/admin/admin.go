// Package admin answers the desk listener: who a person is and why, what was
// refused, metrics, profiles and health, for those who hold an admin key.
package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/audit"
	"github.com/reuna/reuna/storage/erasure"
	"github.com/reuna/reuna/storage/people"
)

// Persons answers who is who. *people.Store does.
type Persons interface {
	// Person gives the person that x belongs to; people.ErrUnknown for nobody.
	Person(x id.ID, v id.View) (*people.Person, error)
	// Explain tells what became of every pair around x, and why.
	Explain(x id.ID, v id.View) ([]graph.Reason, error)
	// Named gives the identifier that a person id stands for; people.ErrUnknown
	// for none.
	Named(person string) (id.ID, error)
	// PersonID is the person id that x has as long as it represents somebody. It
	// is a keyed hash, so it may stand in a log where x may not.
	PersonID(x id.ID) (string, error)
}

// Records reads what was taken and what was refused. *people.Store does.
type Records interface {
	// Timeline gives fn up to limit events, newest first, from before a place on;
	// next is where to go on, zero at the end.
	Timeline(facets []facet.Key, before people.Place, limit int, fn func(people.Place, *event.Event) error) (next people.Place, err error)
	// Quarantine gives up to limit refused messages, newest first, from before an
	// entry on; 0 begins at the end.
	Quarantine(before uint64, limit int) ([]people.Refused, error)
	// RefusedNaming looks at up to most of them and gives those in which one of
	// these identifiers stands; next is where to go on, 0 at the end.
	RefusedNaming(ids []id.ID, before uint64, most int) (list []people.Refused, next uint64, err error)
	// ExcludedNaming gives up to most of the events that are kept out of profiles
	// and name one of these identifiers; next is where to go on, 0 at the end.
	ExcludedNaming(ids []id.ID, before uint64, most int) (list []*event.Event, next uint64, err error)
}

// Evidence takes what an operator says about identifiers. *people.Store does.
type Evidence interface {
	// State adds it; it is durable when it returns.
	State(e graph.Evidence) (graph.EvidenceID, error)
	// Preview tells what adding it all would change in a view, and changes nothing.
	Preview(evidence []graph.Evidence, v id.View) (*people.Preview, error)
}

// Holds keeps identifiers from joining anybody. *people.Store does.
type Holds interface {
	// Held lists up to limit that are held, from after a place on; "" begins.
	// people.ErrUnknown: the place is none that it gave.
	Held(limit int, after string) (list []people.Held, next string, err error)
	// Hold and Release are durable when they return. people.ErrNotHeld: there is
	// nothing to release.
	Hold(x id.ID, reason string) (graph.EvidenceID, error)
	Release(x id.ID, reason string) ([]graph.EvidenceID, error)
	// Releasing gives the evidence of a release, without stating it.
	Releasing(x id.ID) ([]graph.Evidence, error)
}

// Erased tells of erasures. *people.Store does.
type Erased interface {
	Erasure(seq uint64) (*people.Erasure, error)
	// Erasures gives up to limit, newest first, from before one on; 0 begins at the end.
	Erasures(before uint64, limit int) ([]*people.Erasure, error)
}

// People is all that the desk knows of people.
type People interface {
	Persons
	Records
	Evidence
	Holds
	Erased
}

// Erasures does what an erasure asks for. *erasure.Worker does.
type Erasures interface {
	// Erase returns when nobody can read the person any more; the disk follows.
	Erase(x id.ID, request people.EraseRequest) (*people.Erasure, error)
	// Status is how far that is, and what the last attempt failed with.
	Status(seq uint64) (erasure.Progress, error)
}

// Activity keeps who did what. *audit.Log does.
type Activity interface {
	Append(ctx context.Context, e audit.Entry) (n uint64, err error)
	Read(ctx context.Context, q audit.Query, fn func(audit.Record) (more bool, err error)) error
	Verify(ctx context.Context, o audit.VerifyOptions) (audit.Report, error)
}

// Options make a Server. Keys, People, Activity, Erasures, Jobs, State and Sites
// must be given.
type Options struct {
	// Keys open everything; any one of them will do. They are kept as hashes.
	Keys     []string
	People   People
	Activity Activity
	Erasures Erasures
	Jobs     Jobs
	State    State
	Sites    Sites
	// Knowledge keeps traits, audiences and placements; nil: their routes answer
	// 503.
	Knowledge Knowledge
	// Types brings the identifiers that are asked for into the form they are
	// stored in; nil means the built-in types.
	Types *id.Types
	// Derive gives a person's computed traits, by name, and segments at a moment.
	// The values must be what encoding/json can write. Nil means that none are
	// defined.
	Derive func(p *people.Person, now time.Time) (computed map[string]any, segments []string)
	// Metrics is what /metrics shows besides the Go runtime's and the process's
	// own; the desk adds its counters to it. Nil means a set of the desk's own.
	Metrics *metrics.Set
	// Ready tells why the gateway cannot take traffic; nil means that it always can.
	Ready func() error
	// Hosts are names by which the desk may be reached besides localhost and the
	// address that it listens on: "cdp.example", "cdp.example:8443".
	Hosts   []string
	Now     func() time.Time // nil means time.Now
	Logger  *slog.Logger     // nil means slog.Default()
	Version string           // shown at /
}

// Server is the desk's handler. It is safe for concurrent use.
//
// Invariants:
//   - The order of the checks is Host, key, route: who has no key learns nothing
//     about which routes exist, and a page of a foreign name nothing at all.
//   - An identifier's value or a key never reaches the log, the activity log or a
//     metric; person ids, which are keyed hashes, and keys' positions and names do.
//   - No answer about a person leaves, and nothing is changed, before the activity
//     log has it on the disk: where that cannot be, the answer is 503.
type Server struct {
	o        Options
	log      *slog.Logger
	routes   []route
	keys     keyring
	throttle throttle
	denials  *pace
	hosts    map[string]bool
	page     landing
	ready    readiness
	defining sync.Mutex // one change of definitions at a time
}

// New checks the options and makes a Server. The error joins every fault.
func New(o Options) (*Server, error) {
	if o.Types == nil {
		o.Types = id.Default()
	}
	if o.Metrics == nil {
		o.Metrics = metrics.NewSet()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	s := &Server{o: o, log: o.Logger, routes: routes(), hosts: map[string]bool{}, throttle: newThrottle(), denials: &pace{}}
	s.o.Keys = nil // only their hashes stay
	var faults []error
	for name, missing := range map[string]bool{"People": o.People == nil, "Activity": o.Activity == nil, "Erasures": o.Erasures == nil, "Jobs": o.Jobs == nil, "State": o.State == nil, "Sites": o.Sites == nil} {
		if missing {
			faults = append(faults, fmt.Errorf("admin: %s is nil; the desk has nothing to answer from", name))
		}
	}
	var err error
	if s.keys, err = newKeyring(o.Keys); err != nil {
		faults = append(faults, err)
	}
	for _, h := range o.Hosts {
		name, ok := hostName(h)
		if !ok || name == "" {
			faults = append(faults, fmt.Errorf("admin: host %q is no host name; expected one such as cdp.example or cdp.example:8443", h))
			continue
		}
		s.hosts[name] = true
	}
	if s.page, err = newLanding(o.Version, s.routes); err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return s, nil
}

// Bounds of the desk's connections.
const (
	readTimeout  = 10 * time.Second
	writeTimeout = time.Minute
	idleTimeout  = 2 * time.Minute
	headerRoom   = 16 << 10
	bodyRoom     = 256 << 10
	connections  = 1024
)

// Configure sets hs up to serve this Server, with all its limits.
func (s *Server) Configure(hs *fasthttp.Server) {
	hs.Handler = s.Handle
	hs.ErrorHandler = s.malformed
	hs.ReadTimeout, hs.WriteTimeout, hs.IdleTimeout = readTimeout, writeTimeout, idleTimeout
	hs.Concurrency = connections
	hs.ReadBufferSize = headerRoom
	hs.MaxRequestBodySize = bodyRoom
	hs.NoDefaultServerHeader = true
	hs.NoDefaultContentType = true
	hs.DisablePreParseMultipartForm = true
	hs.SecureErrorLogMessage = true
	hs.CloseOnShutdown = true
	hs.Logger = quiet{s.log}
}

// quiet sends fasthttp's own lines, which tell of broken connections, to where
// nobody has to read them.
type quiet struct{ log *slog.Logger }

func (q quiet) Printf(format string, args ...any) {
	q.log.Debug("desk connection", "detail", fmt.Sprintf(format, args...))
}

// malformed answers what never became a request.
func (s *Server) malformed(ctx *fasthttp.RequestCtx, err error) {
	c := s.newCall(ctx)
	defer c.count()
	var small *fasthttp.ErrSmallBuffer
	var network net.Error
	switch {
	case errors.As(err, &small):
		c.fail(refuse(fasthttp.StatusRequestHeaderFieldsTooLarge, "headers_too_large",
			fmt.Sprintf("the request line and headers have more than %d bytes; send fewer or smaller ones", headerRoom)))
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		c.fail(refuse(fasthttp.StatusRequestEntityTooLarge, "body_too_large",
			fmt.Sprintf("the body has more than %d bytes; no route of the desk needs as many", bodyRoom)))
	case errors.As(err, &network) && network.Timeout():
		c.fail(refuse(fasthttp.StatusRequestTimeout, "timeout", fmt.Sprintf("the request did not arrive within %v", readTimeout)))
	default:
		s.log.Debug("malformed request at the desk", "error", err)
		c.fail(refuse(fasthttp.StatusBadRequest, "bad_request", "this is not an HTTP/1.1 request as RFC 9112 writes them"))
	}
}

// call is one request on its way.
type call struct {
	s     *Server
	ctx   *fasthttp.RequestCtx
	route *route
	param string // the path's variable part, as it was sent
	from  netip.Addr
	key   int    // position of the key that opened, from 1; 0: none was needed
	actor string // its name in the activity log
}

func (s *Server) newCall(ctx *fasthttp.RequestCtx) *call {
	c := &call{s: s, ctx: ctx, route: &route{}}
	c.from, _ = netip.AddrFromSlice(ctx.RemoteIP())
	c.from = c.from.Unmap()
	return c
}

// Handle answers one request of the desk listener.
func (s *Server) Handle(ctx *fasthttp.RequestCtx) {
	c := s.newCall(ctx)
	defer c.count()
	h := &ctx.Response.Header
	h.Set("Cache-Control", "no-store, private")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	if f := s.admitHost(ctx); f != nil {
		c.fail(f)
		return
	}
	found, param, allow := match(s.routes, ctx.URI().PathOriginal(), ctx.Method())
	if found == nil || !found.open {
		if f := c.authorise(); f != nil {
			c.fail(f)
			return
		}
	}
	if found == nil && allow == "" {
		c.fail(refuse(fasthttp.StatusNotFound, "not_found", fmt.Sprintf("nothing is served at %q; the routes are in /openapi.yaml", clip(ctx.URI().PathOriginal()))))
		return
	}
	if found == nil {
		h.Set("Allow", allow)
		c.fail(refuse(fasthttp.StatusMethodNotAllowed, "method_not_allowed", fmt.Sprintf("%s is not answered here; expected %s", clip(ctx.Method()), allow)))
		return
	}
	c.route, c.param = found, param
	if f := c.known(found.query); f != nil {
		c.fail(f)
		return
	}
	if f := found.serve(c); f != nil {
		c.fail(f)
	}
}

// known refuses parameters that the route does not have: a misspelt
// ?view=verified must not quietly answer with claims.
func (c *call) known(names []string) *failure {
	if names == nil {
		return nil
	}
	for k := range c.ctx.QueryArgs().All() {
		if !slices.Contains(names, string(k)) {
			return badRequest("unknown_parameter", clip(k), fmt.Sprintf("there is no parameter %q here; expected %s", clip(k), list(names)))
		}
	}
	return nil
}

// count counts the answer. Both labels are constants of this program.
func (c *call) count() {
	c.s.o.Metrics.GetOrCreateCounter(fmt.Sprintf("reuna_desk_requests_total{route=%q,code=\"%d\"}",
		cmp.Or(c.route.path, "none"), c.ctx.Response.StatusCode())).Inc()
}
