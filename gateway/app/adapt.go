package app

import (
	"errors"
	"log/slog"
	"slices"
	"sync"

	"github.com/reuna/reuna/gateway/collect"
	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/gateway/enrich"
	"github.com/reuna/reuna/gateway/enrich/pageurl"
	"github.com/reuna/reuna/gateway/pipeline"
	"github.com/reuna/reuna/identity/event"
)

// The gateway's subjects do not know each other. What stands between them is
// here, and does nothing but hand over.

// intake gives collect's requests to the pipeline.
type intake struct {
	p        *pipeline.Pipeline
	log      *slog.Logger
	requests sync.Pool // used again: the pipeline keeps none beyond its call
}

func (x *intake) Interact(r *collect.Request, dst []byte) ([]byte, error) {
	q := x.handOver(r)
	defer x.requests.Put(q)
	dst, err := x.p.Interact(q, dst)
	r.Begun, r.Revoked, r.Outdated = q.Begun, q.Revoked, q.Outdated
	return dst, x.translate(err)
}

func (x *intake) Profile(r *collect.Request, dst []byte) ([]byte, error) {
	q := x.handOver(r)
	defer x.requests.Put(q)
	dst, err := x.p.Profile(q, dst)
	r.Revoked = q.Revoked
	return dst, x.translate(err)
}

// Preview is what a page's own request is answered with. The request is not
// collect's to use again.
func (x *intake) Preview(r *collect.Request, dst []byte) ([]byte, error) {
	q := x.handOver(r)
	defer x.requests.Put(q)
	dst, err := x.p.Preview(q, dst)
	return dst, x.translate(err)
}

func (x *intake) Collect(r *collect.Request) error {
	q := x.handOver(r)
	defer x.requests.Put(q)
	return x.translate(x.p.Collect(q))
}

func (x *intake) Reset(r *collect.Request) error {
	q := x.handOver(r)
	defer x.requests.Put(q)
	return x.translate(x.p.Reset(q))
}

func (x *intake) handOver(r *collect.Request) *pipeline.Request {
	q, ok := x.requests.Get().(*pipeline.Request)
	if !ok {
		q = new(pipeline.Request)
	}
	*q = pipeline.Request{
		Site: r.Site, Source: r.Source, Trust: r.Trust, ReceivedAt: r.ReceivedAt,
		AnonymousID: r.AnonymousID, Login: r.Login, Fresh: r.Fresh, Cookieless: r.Cookieless,
		Client: r.Client, UserAgent: r.UserAgent, Referer: r.Referer, Origin: r.Origin, Host: r.Host, Language: r.Language,
		Hints: pipeline.Hints(r.Hints), Batch: &r.Batch,
	}
	return q
}

// translate says it in collect's words; what a sender may not hear is logged.
func (x *intake) translate(err error) error {
	if err == nil {
		return nil // nearly always, and the look below costs memory
	}
	var u *pipeline.Unavailable
	if errors.As(err, &u) {
		x.log.Warn("request not taken", "code", u.Code, "err", u.Err)
		return &collect.Unavailable{Status: 503, Code: u.Code, Message: u.Message, RetryAfter: u.RetryAfter}
	}
	if errors.Is(err, pipeline.ErrAutomated) {
		return &collect.Refused{Code: string(event.CodeAutomated), Message: err.Error()}
	}
	return err
}

// enricher gives the pipeline's events to enrich.
type enricher struct {
	e     *enrich.Enricher
	sites map[string]enrichedSite
}

// enrichedSite is what enrichment must know of a site.
type enrichedSite struct {
	internal []string // hosts that are the site
	clean    *pageurl.Cleaner
}

func newEnrichedSite(s *config.Site) (x enrichedSite, err error) {
	x.internal = slices.Concat(s.InternalHosts, s.Origins)
	for _, d := range s.LinkedDomains {
		x.internal = append(x.internal, d, "*."+d)
	}
	x.clean, err = pageurl.New(pageurl.Options{
		Fragment: s.URL.Fragment, Tracking: s.URL.Tracking, TrailingSlash: s.URL.TrailingSlash, IDN: s.URL.IDN,
		Drop: s.URL.Drop, Keep: s.URL.Keep, KeepRoutes: s.Tag.HashRoutes,
	})
	return x, err
}

func (x enricher) Enrich(e *event.Event, r *pipeline.Request) {
	// The source decides whose address and agent the request's own are.
	e.Source = r.Source
	site := x.sites[r.Site]
	x.e.Enrich(e, &enrich.Input{
		UserAgent: r.UserAgent,
		Hints: enrich.Hints{
			UA: r.Hints.Brands, Mobile: r.Hints.Mobile, Platform: r.Hints.Platform, PlatformVersion: r.Hints.PlatformVersion,
			Model: r.Hints.Model, FullVersionList: r.Hints.FullVersions, Arch: r.Hints.Arch, FormFactors: r.Hints.FormFactors,
		},
		Language: r.Language, Client: r.Client, Referer: r.Referer, Origin: r.Origin, Host: r.Host,
		InternalHosts: site.internal, Clean: site.clean,
	})
}

func (x enricher) Refused(raw string, r *pipeline.Request) string {
	return x.e.Refused(raw, x.sites[r.Site].clean)
}
