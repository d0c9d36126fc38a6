package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/gateway/enrich"
	"github.com/reuna/reuna/gateway/enrich/bot"
	"github.com/reuna/reuna/gateway/enrich/device"
	"github.com/reuna/reuna/gateway/enrich/geo"
	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/gateway/enrich/pageurl"
	"github.com/reuna/reuna/gateway/enrich/traffic"
	"github.com/reuna/reuna/identity/event"
)

// sources are where answers come from besides the rules that are built in.
type sources struct {
	config, site       string
	City, Country, ASN string
}

// knowledge is everything that the gateway reads with, opened when it is asked.
type knowledge struct {
	device   func() (*device.Reader, error)
	bot      func() (*bot.Judge, error)
	places   func() (*geo.Places, error)
	traffic  func() (*traffic.Rules, error)
	enricher func() (*enrich.Enricher, error)
	page     *pageurl.Cleaner
	internal []string
	bots     string // what becomes of robots' events; "" without a site
}

// answer is what a visit is, part by part.
type answer struct {
	Parts []part `json:"parts"`
}

// part is what one input says.
type part struct {
	Of    string `json:"of"` // agent, robot, address, page, traffic, referrer, visit
	Input string `json:"input,omitempty"`
	Said  []said `json:"said"`
}

type said struct {
	Field string `json:"field"`
	Value string `json:"value"`
	Rule  string `json:"rule,omitempty"`
}

// learn reads the configuration and opens everything.
func learn(s *sources) (*knowledge, error) {
	k := &knowledge{}
	o := enrich.Options{Logger: slog.New(slog.DiscardHandler)}
	var urls pageurl.Options
	if s.config != "" {
		c, err := config.Load(s.config)
		if err != nil {
			return nil, err
		}
		site, err := siteOf(c, s.site)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.config, err)
		}
		o.City, o.Country, o.ASN = c.Geo.City, c.Geo.Country, c.Geo.ASN
		k.internal = internalHosts(site)
		urls = urlOptions(site)
		k.bots = site.Bots
	}
	for _, f := range []struct {
		to   *string
		said string
	}{{&o.City, s.City}, {&o.Country, s.Country}, {&o.ASN, s.ASN}} {
		if f.said != "" {
			*f.to = f.said
		}
	}
	k.device, k.bot, k.traffic = sync.OnceValues(device.New), sync.OnceValues(bot.New), sync.OnceValues(traffic.New)
	k.places = sync.OnceValues(func() (*geo.Places, error) {
		return geo.Open(geo.Options{City: o.City, Country: o.Country, ASN: o.ASN})
	})
	k.enricher = sync.OnceValues(func() (*enrich.Enricher, error) { return enrich.New(o) })
	if o.City+o.Country+o.ASN != "" { // a file that cannot be read is told, whatever is asked
		if _, err := k.places(); err != nil {
			return nil, err
		}
	}
	var err error
	k.page, err = pageurl.New(urls)
	return k, err
}

// siteOf finds a site; "" is the only one.
func siteOf(c *config.Config, name string) (*config.Site, error) {
	var names []string
	for i := range c.Sites {
		if c.Sites[i].Name == name || name == "" && len(c.Sites) == 1 {
			return &c.Sites[i], nil
		}
		names = append(names, c.Sites[i].Name)
	}
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("it has no sites")
	case name == "":
		return nil, fmt.Errorf("it has several sites: name one of %s with -site", strings.Join(names, ", "))
	}
	return nil, fmt.Errorf("it has no site %q: expected one of %s", name, strings.Join(names, ", "))
}

// internalHosts are the site itself, the way gateway/app reads the configuration.
func internalHosts(site *config.Site) []string {
	hosts := slices.Concat(site.InternalHosts, site.Origins)
	for _, d := range site.LinkedDomains {
		hosts = append(hosts, d, "*."+d)
	}
	return hosts
}

// urlOptions are the site's settings of URLs.
func urlOptions(site *config.Site) pageurl.Options {
	u := &site.URL
	return pageurl.Options{
		Fragment: u.Fragment, Tracking: u.Tracking, TrailingSlash: u.TrailingSlash, IDN: u.IDN,
		Drop: u.Drop, Keep: u.Keep, KeepRoutes: site.Tag.HashRoutes,
	}
}

// explain says what a visit is, part by part, and then as a whole where it has
// several.
func (k *knowledge) explain(v *visit) ([]part, error) {
	var parts []part
	add := func(of, input string, why []memo.Why) {
		p := part{Of: of, Input: input}
		for _, w := range why {
			p.Said = append(p.Said, said(w))
		}
		parts = append(parts, p)
	}
	if v.Agent != "" || v.Hints != (device.Hints{}) {
		reader, err := k.device()
		if err != nil {
			return nil, err
		}
		judge, err := k.bot()
		if err != nil {
			return nil, err
		}
		claims := device.ClaimsOf(v.Hints, "")
		_, why := reader.Explain(v.Agent, &claims)
		if len(why) == 0 {
			why = []memo.Why{{Field: "browser", Rule: "unknown: no rule speaks"}}
		}
		add("agent", v.Agent, why)
		verdict, why := judge.Explain(v.Agent, claims.Headless)
		if !verdict.Is {
			why = []memo.Why{{Field: "bot", Value: "no", Rule: "no mark of a robot"}}
		}
		add("robot", "", why)
	}
	if v.IP != "" {
		addr, err := netip.ParseAddr(v.IP)
		if err != nil {
			return nil, fmt.Errorf("%q is no IP address: expected one like 203.0.113.7 or 2001:db8::1", v.IP)
		}
		places, err := k.places()
		if err != nil {
			return nil, err
		}
		_, why := places.Explain(addr)
		add("address", v.IP, why)
	}
	if v.Page != "" {
		kept, why := k.page.Explain(v.Page)
		if kept == v.Page {
			why = append(why, memo.Why{Field: "kept", Value: kept, Rule: "as it is: nothing in it has to go"})
		} else {
			why = append(why, memo.Why{Field: "kept", Value: kept, Rule: "with these changes"})
		}
		add("page", v.Page, why)
	}
	in := traffic.Input{PageURL: v.Page, Referrer: v.Referrer, KnowsReferrer: v.KnowsReferrer || v.Page != "", Internal: k.internal}
	if v.Page != "" || v.Referrer != "" {
		rules, err := k.traffic()
		if err != nil {
			return nil, err
		}
		_, why := rules.Explain(&in)
		add("traffic", v.Referrer, why)
		if v.guessedPage && v.given() == 1 {
			_, why := rules.Explain(&traffic.Input{Referrer: v.Page, KnowsReferrer: true, Internal: k.internal})
			add("referrer", v.Page, why)
		}
	}
	if v.Language != "" || v.given() > 1 {
		e, err := k.enricher()
		if err != nil {
			return nil, err
		}
		parts = append(parts, k.whole(e, v))
	}
	return parts, nil
}

// whole is what the gateway's enrichment makes of the visit: the parts put
// together as it does it for an event.
func (k *knowledge) whole(e *enrich.Enricher, v *visit) part {
	ev := event.Event{Type: event.Page, Source: event.FromTag}
	page := event.Value(fmt.Sprintf(`{"page":{"url":%s,"referrer":%s}}`, quote(v.Page), quote(v.Referrer)))
	if v.Page != "" || v.Referrer != "" {
		ev.Context = page
	}
	in := enrich.Input{UserAgent: v.Agent, Hints: v.Hints, Language: v.Language, InternalHosts: k.internal, Clean: k.page}
	if v.IP != "" {
		in.Client, _ = netip.ParseAddr(v.IP) // explain has read it
	}
	e.Enrich(&ev, &in)
	p := part{Of: "visit"}
	say := func(field string, values ...string) {
		if text := strings.TrimSpace(strings.Join(values, " ")); text != "" {
			p.Said = append(p.Said, said{Field: field, Value: text})
		}
	}
	d, g, t, b := &ev.Device, &ev.Geo, &ev.Traffic, &ev.Bot
	if v.Agent != "" {
		say("type", d.Type)
		say("browser", d.Browser, d.BrowserVersion)
		say("os", d.OS, d.OSVersion)
		say("device", d.Vendor, d.Model)
		if b.Is {
			say("robot", b.Class, b.Name)
			say("operator", b.Operator)
			say("reason", b.Reason)
			say("events", map[string]string{
				"flag": "counted apart in profiles", "exclude": "kept out of profiles", "refuse": "not taken",
			}[k.bots])
		} else {
			say("robot", "no")
		}
	}
	say("language", d.Language)
	say("kept address", ev.IP)
	say("place", g.City, g.Region, g.Country)
	say("network", g.ASOrg)
	say("channel", t.Channel)
	say("source", t.Source)
	say("medium", t.Medium)
	say("campaign", t.Campaign)
	if len(p.Said) == 0 {
		p.Said = []said{{Field: "nothing", Rule: "nothing is known of it"}}
	}
	return p
}
