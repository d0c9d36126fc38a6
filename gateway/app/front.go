package app

import (
	"fmt"
	"html/template"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/gateway/admin"
	"github.com/reuna/reuna/gateway/collect"
	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/gateway/demo"
	"github.com/reuna/reuna/gateway/enrich"
	"github.com/reuna/reuna/gateway/pipeline"
	"github.com/reuna/reuna/gateway/tagserve"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/token"
	"github.com/reuna/reuna/tag"
)

// front is everything that follows from the configuration alone. A reload makes
// a new one beside the old and then swaps the two.
type front struct {
	cfg     *config.Config
	main    *config.Site // the first site, generated when the file names none
	sites   []config.Site
	demo    *demoSite // nil when it is off
	collect *collect.Server
	tags    *tagserve.Server
	desk    *admin.Server
	robots  *robots
}

func (a *App) openFront() error {
	f, err := a.newFront(a.cfg)
	if err == nil {
		a.front.Store(f)
	}
	return err
}

func (a *App) newFront(cfg *config.Config) (f *front, err error) {
	f = &front{cfg: cfg, robots: a.newRobots(cfg), sites: append([]config.Site(nil), cfg.Sites...)}
	if len(f.sites) == 0 {
		f.sites = append(f.sites, a.generatedSite())
	}
	if cfg.Demo {
		if f.demo, err = a.newDemoSite(cfg); err != nil {
			return nil, err
		}
		f.sites = append(f.sites, f.demo.site)
	}
	f.main = &f.sites[0]
	shown := &pages{a: a, f: f}
	if f.tags, err = tagserve.New(tagserve.Options{Sites: f.tagSites(), Prefix: cfg.TagPrefix, Answer: shown.withTag, Packs: a.o.Packs}); err != nil {
		return nil, err
	}
	extra := map[string]fasthttp.RequestHandler{cfg.TagPrefix: f.robots.seeTags(f.tags.Handle, cfg.TrustedProxies), "/openapi.yaml": collect.OpenAPI}
	if f.demo != nil {
		shop, err := demo.New(demo.Options{
			Snippet: template.HTML(f.snippet(&f.demo.site)), Sign: f.demo.sign, FanFor: a.o.DemoFanFor, Log: a.log, //nolint:gosec // our own text
		})
		if err != nil {
			return nil, err
		}
		extra["/demo/"] = shop.Handle
		extra["/"] = toDemo
	}
	cookies, err := token.NewCookies(a.vault.Subkey("visitor cookies"))
	if err != nil {
		return nil, err
	}
	flow, err := a.newPipeline(f)
	if err != nil {
		return nil, err
	}
	shown.intake = &intake{p: flow, log: a.log}
	proxy, err := a.openProxy(f, shown)
	if err != nil {
		return nil, err
	}
	var otherwise func(*fasthttp.RequestCtx) bool
	if proxy != nil {
		otherwise = proxy.Handle
	}
	f.collect, err = collect.New(collect.Options{
		Sites: f.collectSites(), Prefix: cfg.APIPrefix, TrustedProxies: cfg.TrustedProxies,
		Limits: collect.Limits{
			EventBytes: int(cfg.Limits.Event), BatchBytes: int(cfg.Limits.Batch), BatchEvents: cfg.Limits.BatchEvents, Depth: cfg.Limits.Depth,
			PerAddress: collect.Rate{PerSecond: float64(cfg.Limits.RequestsPerSecondPerAddress), Burst: cfg.Limits.BurstPerAddress},
			PerKey:     collect.Rate{PerSecond: float64(cfg.Limits.RequestsPerSecondPerKey), Burst: cfg.Limits.BurstPerKey},

			ProcessorWait: cfg.Limits.ProcessorWait,
		},
		Cookies: cookies, Links: a.links, Intake: shown.intake, Ready: a.siteReady, Logger: a.log, Metrics: a.meters,
		ClientAddr: enrich.ClientAddr, Extra: extra, Otherwise: otherwise,
	})
	if err != nil {
		return nil, err
	}
	f.desk, err = a.newDesk(cfg, f)
	return f, err
}

func (a *App) newPipeline(f *front) (*pipeline.Pipeline, error) {
	sites := map[string]pipeline.Site{}
	enriched := map[string]enrichedSite{}
	for i := range f.sites {
		s := &f.sites[i]
		p := pipeline.Site{Session: s.Session, NoClaimedLinks: s.Identify == "verified"}
		switch s.Bots {
		case "exclude":
			p.Bots = pipeline.ExcludeBots
		case "refuse":
			p.Bots = pipeline.RefuseBots
		}
		if len(s.IdentityKeys) > 0 {
			v, err := verifier(s)
			if err != nil {
				return nil, f.cfg.Fault(fmt.Sprintf("sites[%d].identity_keys", i), err.Error())
			}
			p.Tokens = v
		}
		x, err := newEnrichedSite(s)
		if err != nil {
			return nil, f.cfg.Fault(fmt.Sprintf("sites[%d].url", i), err.Error())
		}
		sites[s.Name], enriched[s.Name] = p, x
	}
	return pipeline.New(pipeline.Options{
		People: a.people, Types: a.types, Enricher: enricher{a.enricher, enriched}, Watcher: f.robots, Decider: a.judge,
		Sites: sites, Counter: a.salts, Stats: &a.meters.flow,
	}), nil
}

func verifier(s *config.Site) (*token.Verifier, error) {
	var list []token.Key
	for _, k := range s.IdentityKeys {
		key := token.Key{KID: k.Kid, Alg: token.Alg(k.Alg)}
		switch key.Alg {
		case token.HS256:
			key.Secret = []byte(k.Secret.Reveal())
		case token.EdDSA:
			public, err := k.Ed25519()
			if err != nil {
				return nil, err
			}
			key.PublicKey = public
		}
		list = append(list, key)
	}
	return token.NewVerifier(list, token.Options{Audience: s.Name, RequireVisitor: s.BindTokens == "required"})
}

func (a *App) newDesk(cfg *config.Config, f *front) (*admin.Server, error) {
	var keys []string
	for _, k := range cfg.AdminKeys {
		keys = append(keys, k.Reveal())
	}
	if k := a.keys.admin; k != "" && !slices.Contains(keys, k) {
		keys = append(keys, k)
	}
	return admin.New(admin.Options{
		Keys: keys, People: a.people, Activity: a.audit, Erasures: a.erasures, Jobs: operations{a.ops}, State: operations{a.ops}, Sites: sites{a, f}, Types: a.types, Derive: a.judge.derive, Knowledge: &knowledge{a: a}, Metrics: a.meters.set, Ready: a.deskReady,
		Logger: a.log, Version: a.o.Version,
	})
}

const generatedName = "site"

// generatedSite is the site of a gateway whose config names none.
func (a *App) generatedSite() config.Site {
	s := config.DefaultSite()
	s.Name, s.WriteKey = generatedName, a.derived("wk_", "write key")
	return s
}

func (f *front) tagSites() (list []tagserve.Site) {
	for i := range f.sites {
		s := &f.sites[i]
		auto := s.Tag.Autocapture
		list = append(list, tagserve.Site{Name: s.Name, WriteKey: s.WriteKey, File: s.Tag.Name, Profile: s.Tag.Profile && !asksFirst(s), Tag: tag.Options{
			WriteKey: s.WriteKey, APIBase: f.cfg.APIPrefix, Global: s.Tag.Global,
			ManualPages: !auto, SPA: auto && s.Tag.SPA, HashRoutes: s.Tag.HashRoutes,
			Clicks: auto && s.Tag.Clicks, Downloads: s.Tag.Downloads, Forms: auto && s.Tag.Forms,
			Engagement: auto && s.Tag.Engagement, Frustration: auto && s.Tag.Frustration, Vitals: auto && s.Tag.Vitals, Errors: auto && s.Tag.Errors,
			Search: auto && s.Tag.Search, SearchParameters: s.Tag.SearchParameters, Campaign: s.Tag.Campaign, Hints: s.Tag.Hints,
			Slots: s.Tag.Slots, Given: s.Upstream != "", FetchLater: s.Tag.FetchLater, Beacon: true, Consent: tag.Consent(s.Tag.Consent), RespectGPC: s.Tag.RespectGPC,
			TCF: slices.Contains(s.Tag.ConsentFrom, "tcf"), ConsentMode: slices.Contains(s.Tag.ConsentFrom, "gcm"), Link: len(s.LinkedDomains) > 0,
		}})
	}
	return list
}

func (f *front) collectSites() (list []collect.Site) {
	for i := range f.sites {
		s := &f.sites[i]
		c := collect.Site{
			Name: s.Name, WriteKey: s.WriteKey, Origins: s.Origins,
			Cookie:        collect.Cookie{Name: s.Cookie.Name, Domain: s.Cookie.Domain, MaxAge: s.Cookie.MaxAge},
			LinkedDomains: s.LinkedDomains,
		}
		for _, k := range s.ServerKeys {
			c.ServerKeys = append(c.ServerKeys, k.Reveal())
		}
		list = append(list, c)
	}
	return list
}

// snippet is what a site pastes into its pages.
func (f *front) snippet(s *config.Site) string { return f.tags.Snippet(s.WriteKey) }

// toDemo leads a visitor of the bare address to the demo shop.
func toDemo(ctx *fasthttp.RequestCtx) { ctx.Redirect("/demo/", fasthttp.StatusFound) }

// identifierTypes turns the config's identifiers into the rules for them.
func identifierTypes(cfg *config.Config) (*id.Types, error) {
	var rules []id.Rule
	for name, x := range cfg.Identifiers {
		normalise, err := id.Normaliser(x.Normalise, cfg.PhoneRegion)
		if err != nil {
			return nil, cfg.Fault("identifiers."+name+".normalise", err.Error())
		}
		rules = append(rules, id.Rule{
			Name: name, From: x.From, MaxPerPerson: x.MaxPerPerson, MaxPersons: x.MaxPersons, Normalise: normalise,
			Blocked: x.Blocked, BlockedPatterns: x.BlockedPatterns,
		})
	}
	return id.NewTypes(id.Options{Rules: rules, PhoneRegion: cfg.PhoneRegion})
}

const demoSession = 30 * 24 * time.Hour
