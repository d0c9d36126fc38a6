package app

import (
	"encoding/json"
	"fmt"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/gateway/collect"
	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/gateway/decide"
	"github.com/reuna/reuna/gateway/rewrite"
)

// pages decides for the visitors of pages: those that are rewritten, and those
// whose tag comes with its first answer.
type pages struct {
	a      *App
	f      *front
	intake *intake
}

// asksFirst says that nothing personal may be shown before the visitor agrees.
func asksFirst(s *config.Site) bool { return s.Tag.Consent != "none" || len(s.Tag.ConsentFrom) > 0 }

// openProxy makes what stands in front of sites with a server of their own; nil
// where there are none.
func (a *App) openProxy(f *front, p *pages) (*rewrite.Proxy, error) {
	var list []rewrite.Site
	for i := range f.sites {
		s := &f.sites[i]
		if s.Upstream == "" {
			continue
		}
		stub, src := f.tags.Parts(s.WriteKey)
		list = append(list, rewrite.Site{
			Name: s.Name, Upstream: s.Upstream, Cookie: s.Cookie.Name, Timeout: s.Rewrite.Timeout,
			Serves: func(host string) bool { return f.collect.Serves(s.Name, host) },
			Pages:  s.Rewrite.Pages, Stub: stub, Src: src, Global: s.Tag.Global, Budget: s.Rewrite.Budget,
			Slots: s.Rewrite.Slots && s.Tag.Slots && !asksFirst(s), ClientHints: s.Rewrite.ClientHints,
		})
	}
	if len(list) == 0 {
		return nil, nil
	}
	return rewrite.New(rewrite.Options{
		Sites: list, Decider: p, TrustedProxies: f.cfg.TrustedProxies, Context: a.proxied, Logger: a.log,
		ReadTimeout: f.cfg.Limits.ReadTimeout, WriteTimeout: f.cfg.Limits.WriteTimeout,
	})
}

// fronts says whether the gateway stands in front of any site.
func fronts(cfg *config.Config) bool {
	for i := range cfg.Sites {
		if cfg.Sites[i].Upstream != "" {
			return true
		}
	}
	return false
}

// Visit reads whose page it is, and gives what decides for them.
func (p *pages) Visit(ctx *fasthttp.RequestCtx, site string) func() (rewrite.Decision, error) {
	r := p.f.collect.Visit(ctx, site, false)
	if r == nil {
		return nil
	}
	return func() (d rewrite.Decision, err error) {
		if d.Answer, err = p.answer(r, nil); err != nil {
			return rewrite.Decision{}, err
		}
		var told struct {
			Profile   struct{ Segments []string }
			Decisions map[string]struct{ Variant string }
		}
		if err := json.Unmarshal(d.Answer, &told); err != nil {
			return rewrite.Decision{}, fmt.Errorf("reading our own answer: %w", err)
		}
		d.Segments, d.Variants = told.Profile.Segments, make(map[string]string, len(told.Decisions))
		for slot, x := range told.Decisions {
			if x.Variant != decide.Default {
				d.Variants[slot] = x.Variant
			}
		}
		return d, nil
	}
}

// answer appends what the visitor's page is told, decided for every slot that it
// may have.
func (p *pages) answer(r *collect.Request, dst []byte) ([]byte, error) {
	r.Batch.Placements = decider(p.a.defs.Live()).Placements(r.Site)
	dst, err := p.intake.Preview(r, append(dst, '{'))
	return append(dst, '}'), err
}

// withTag is the answer that comes with a site's tag.
func (p *pages) withTag(ctx *fasthttp.RequestCtx, site string, dst []byte) ([]byte, bool) {
	for i := range p.f.sites {
		if s := &p.f.sites[i]; s.Name == site && asksFirst(s) {
			return dst, false
		}
	}
	r := p.f.collect.Visit(ctx, site, true)
	if r == nil {
		return dst, false
	}
	dst, err := p.answer(r, dst)
	return dst, err == nil
}
