package admin

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	runtimepprof "runtime/pprof"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
)

//go:embed openapi.yaml
var openAPI []byte

func (c *call) serveOpenAPI() *failure {
	c.ctx.Response.Header.SetContentType("application/yaml")
	c.ctx.Response.SetBodyRaw(openAPI)
	return nil
}

func (c *call) serveHealth() *failure {
	c.json(fasthttp.StatusOK, []byte(`{"status":"ok"}`))
	return nil
}

// NotReady is an error of Options.Ready whose reason anybody may hear.
type NotReady struct {
	Code, Message string // safe for whoever asks
	Err           error  // for the log
}

func (e *NotReady) Error() string { return e.Err.Error() }

// Unwrap gives the detail.
func (e *NotReady) Unwrap() error { return e.Err }

// readiness remembers the last answer, so that the log tells of a change once
// and not with every probe.
type readiness struct{ down atomic.Bool }

const retryNotReady = 5 * time.Second

func (c *call) serveReady() *failure {
	var err error
	if c.s.o.Ready != nil {
		err = c.s.o.Ready()
	}
	if was := c.s.ready.down.Swap(err != nil); was != (err != nil) {
		if err != nil {
			c.s.log.Warn("the gateway is not ready", "reason", err)
		} else {
			c.s.log.Info("the gateway is ready again")
		}
	}
	if err != nil {
		f := refuse(fasthttp.StatusServiceUnavailable, "not_ready", "the gateway takes no traffic now: it starts, stops, or cannot write; its log says which")
		var why *NotReady
		if errors.As(err, &why) {
			f.code, f.message = why.Code, why.Message
		}
		f.retryAfter = retryNotReady
		return f
	}
	c.json(fasthttp.StatusOK, []byte(`{"status":"ready"}`))
	return nil
}

func (c *call) serveMetrics() *failure {
	var b bytes.Buffer
	c.s.o.Metrics.WritePrometheus(&b)
	metrics.WriteProcessMetrics(&b)
	c.ctx.Response.Header.SetContentType("text/plain; version=0.0.4; charset=utf-8")
	c.ctx.Response.SetBodyRaw(b.Bytes())
	return nil
}

// maxProfile bounds profiles that run for a while: one holds up a shutdown.
const maxProfile = 60

func (c *call) serveProfiles() *failure {
	fasthttpadaptor.NewFastHTTPHandlerFunc(pprof.Index)(c.ctx)
	return nil
}

func (c *call) serveProfile() *failure {
	h := profileHandler(c.param)
	if h == nil {
		return refuse(fasthttp.StatusNotFound, "unknown_profile", fmt.Sprintf("there is no profile %q; /debug/pprof/ lists them", clip([]byte(c.param))))
	}
	if text := string(c.ctx.QueryArgs().Peek("seconds")); text != "" {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n > 0 && n <= maxProfile) {
			return badRequest("invalid_seconds", "seconds", fmt.Sprintf("seconds is %q; expected a number above 0, up to %d", clip([]byte(text)), maxProfile))
		}
	}
	// A heap's profile may show what was in memory.
	if f := c.note("debug.profile", c.param, "ok", nil); f != nil {
		return f
	}
	fasthttpadaptor.NewFastHTTPHandlerFunc(h)(c.ctx)
	return nil
}

func profileHandler(name string) http.HandlerFunc {
	switch name {
	case "cmdline":
		return pprof.Cmdline
	case "profile":
		return pprof.Profile
	case "symbol":
		return pprof.Symbol
	case "trace":
		return pprof.Trace
	}
	if runtimepprof.Lookup(name) == nil {
		return nil
	}
	return pprof.Handler(name).ServeHTTP
}
