package app

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/gateway/enrich"
	"github.com/reuna/reuna/gateway/enrich/behaviour"
	"github.com/reuna/reuna/gateway/enrich/bot"
	"github.com/reuna/reuna/gateway/pipeline"
	"github.com/reuna/reuna/identity/event"
)

// robots tells from what clients do that they are none of people's.
type robots struct {
	watch        *behaviour.Watch
	settings     config.Behaviour
	inDataCentre func(netip.Addr) bool
}

// newRobots goes on with what is known, unless the settings are others.
func (a *App) newRobots(cfg *config.Config) *robots {
	if f := a.front.Load(); f != nil && f.robots.settings == cfg.Behaviour {
		return f.robots
	}
	return &robots{
		watch: behaviour.New(behaviour.Options{
			PageViewsPerMinute: cfg.Behaviour.PageViewsPerMinute, DevicesPerAddress: cfg.Behaviour.DevicesPerAddress,
		}),
		settings: cfg.Behaviour, inDataCentre: a.enricher.InDataCentre,
	}
}

// Watch is what the pipeline asks for. Who says that it is a robot is none to be
// found out.
func (x *robots) Watch(r *pipeline.Request) {
	s := behaviour.Sighting{
		Site: r.Site, Visitor: r.AnonymousID, Fresh: r.Fresh, Client: r.Client, Agent: r.UserAgent,
		Language: r.Language, HasHints: r.Hints != (pipeline.Hints{}),
		Secure: strings.HasPrefix(r.Origin, "https:") || r.Origin == "" && strings.HasPrefix(r.Referer, "https:"),
		Source: r.Source, Now: r.ReceivedAt, DataCentre: x.inDataCentre(r.Client),
	}
	for i := range r.Batch.Events {
		e := &r.Batch.Events[i]
		if e.Bot.Is {
			continue
		}
		s.At, s.Page = e.Timestamp, e.Type == event.Page
		if why, is := x.watch.Judge(&s); is {
			e.Bot = event.Bot{Is: true, Class: bot.Other, Reason: why}
		}
	}
}

// seeTags notes who fetches tags.
func (x *robots) seeTags(next fasthttp.RequestHandler, trusted []netip.Prefix) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		next(ctx)
		if code := ctx.Response.StatusCode(); code != fasthttp.StatusOK && code != fasthttp.StatusNotModified {
			return
		}
		if addr, ok := clientOf(ctx, trusted); ok {
			x.watch.Fetched(addr, string(ctx.UserAgent()), time.Now())
		}
	}
}

// clientOf is the address that a request came from, behind our own proxies.
func clientOf(ctx *fasthttp.RequestCtx, trusted []netip.Prefix) (netip.Addr, bool) {
	tcp, ok := ctx.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	forwarded := bytes.Join(ctx.Request.Header.PeekAll("X-Forwarded-For"), []byte{','})
	return enrich.ClientAddr(tcp.AddrPort().Addr(), string(forwarded), trusted), true
}
