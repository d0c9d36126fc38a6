package collect

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
)

type kind uint8

const (
	other kind = iota
	interact
	profile
	reset
	single // one message whose type the route names
	batch
	metrics // /m: a batch, or the figures that analytics-next tells about itself
	settings
	pixel
	health
)

// route is one path of ours.
type route struct {
	name   string // for metrics
	path   string
	kind   kind
	typ    event.Type // of single
	method string
	head   bool // HEAD is taken too
	// personal routes read the visitor cookie and answer what belongs to that
	// visitor alone.
	personal bool
}

// addRoutes lists every path of the contract.
func (s *Server) addRoutes() {
	s.other, s.upstream = route{name: "other"}, route{name: "upstream"}
	s.settings = route{name: "settings", kind: settings, method: fasthttp.MethodGet, head: true}
	s.routes = make(map[string]*route)
	post := func(name string, k kind, t event.Type, paths ...string) {
		for _, p := range paths {
			r := &route{name: name, path: s.o.Prefix + "/" + p, kind: k, typ: t, method: fasthttp.MethodPost}
			r.personal = k == interact || k == profile || k == reset
			s.routes[r.path] = r
		}
	}
	post("interact", interact, 0, "interact")
	post("profile", profile, 0, "profile")
	post("reset", reset, 0, "reset")
	post("track", single, event.Track, "track", "t")
	post("page", single, event.Page, "page", "p")
	post("screen", single, event.Screen, "screen", "s")
	post("identify", single, event.Identify, "identify", "i")
	post("group", single, event.Group, "group", "g")
	post("alias", single, event.Alias, "alias", "a")
	post("batch", batch, 0, "batch", "b", "import")
	post("metrics", metrics, 0, "m")
	gif := s.o.Prefix + "/p.gif"
	s.routes[gif] = &route{name: "pixel", path: gif, kind: pixel, method: fasthttp.MethodGet}
	for _, name := range []string{"healthz", "readyz"} {
		s.routes["/"+name] = &route{name: name, path: "/" + name, kind: health, method: fasthttp.MethodGet, head: true}
	}
}

// find is the route of a path as it was sent. Only the exact bytes count:
// another spelling of a personal path ("/v1/profile%2fa.css", "/x/../v1/profile")
// could be what a cache in front takes for a public file.
func (s *Server) find(path []byte) *route {
	if r := s.routes[string(path)]; r != nil {
		return r
	}
	if _, ok := s.settingsKey(path); ok {
		return &s.settings
	}
	return nil
}

// settingsKey gives the write key of PREFIX/projects/{writeKey}/settings.
func (s *Server) settingsKey(path []byte) (key []byte, ok bool) {
	rest, ok := bytes.CutPrefix(path, []byte(s.o.Prefix))
	if !ok {
		return nil, false
	}
	if rest, ok = bytes.CutPrefix(rest, []byte("/projects/")); !ok {
		return nil, false
	}
	key, ok = bytes.CutSuffix(rest, []byte("/settings"))
	return key, ok && len(key) > 0 && bytes.IndexByte(key, '/') < 0
}

type extra struct {
	prefix string
	serve  fasthttp.RequestHandler
}

func (s *Server) addExtra(handlers map[string]fasthttp.RequestHandler) {
	for p, h := range handlers {
		s.extra = append(s.extra, extra{p, h})
	}
	sort.Slice(s.extra, func(i, j int) bool {
		a, b := s.extra[i].prefix, s.extra[j].prefix
		return len(a) > len(b) || len(a) == len(b) && a < b
	})
}

func (s *Server) findExtra(path []byte) fasthttp.RequestHandler {
	for i := range s.extra {
		// "/" would begin every path; it stands for itself.
		if p := s.extra[i].prefix; string(path) == p || p != "/" && bytes.HasPrefix(path, []byte(p)) {
			return s.extra[i].serve
		}
	}
	return nil
}

func (c *call) wrongMethod() *failure {
	allow := c.route.method
	if c.route.head {
		allow += ", " + fasthttp.MethodHead
	}
	allow += ", " + fasthttp.MethodOptions
	f := fail(fasthttp.StatusMethodNotAllowed, "method_not_allowed",
		fmt.Sprintf("the method is %s; this path takes %s", strings.ToValidUTF8(string(clip(c.ctx.Method(), 20)), ""), allow))
	f.allow = allow
	return f
}

func (c *call) health() *failure {
	if c.route.name == "readyz" && c.s.o.Ready != nil {
		if err := c.s.o.Ready(); err != nil {
			c.s.log.Debug("not ready", "error", err)
			f := fail(fasthttp.StatusServiceUnavailable, "not_ready", "the gateway takes no requests now; try again soon")
			var why *NotReady
			if errors.As(err, &why) {
				f.code, f.message = why.Code, why.Message
			}
			f.retryAfter = retryNotReady
			return f
		}
	}
	c.ctx.Response.Header.SetBytesK(headerCacheControl, "no-store")
	c.answer([]byte(`{"status":"ok"}`))
	return nil
}
