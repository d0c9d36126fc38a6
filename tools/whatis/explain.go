package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"

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

// knowledge is everything that the gateway reads with.
type knowledge struct {
	device   *device.Reader
	bot      *bot.Judge
	places   *geo.Places
	traffic  *traffic.Rules
	page     *pageurl.Cleaner
	enricher *enrich.Enricher
	internal []string
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
	}
	for _, f := range []struct {
		to   *string
		said string
	}{{&o.City, s.City}, {&o.Country, s.Country}, {&o.ASN, s.ASN}} {
		if f.said != "" {
			*f.to = f.said
		}
	}
	var err error
	if k.device, err = device.New(); err != nil {
		return nil, err
	}
	if k.bot, err = bot.New(); err != nil {
		return nil, err
	}
	if k.traffic, err = traffic.New(); err != nil {
		return nil, err
	}
	if k.page, err = pageurl.New(urls); err != nil {
		return nil, err
	}
	if k.places, err = geo.Open(geo.Options{City: o.City, Country: o.Country, ASN: o.ASN}); err != nil {
		return nil, err
	}
	k.enricher, err = enrich.New(o)
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

// internalHosts are the site itself, as the gateway reads the configuration.
func internalHosts(site *config.Site) (hosts []string) {
	for _, origin := range site.Origins {
		if u, err := url.Parse(origin); err == nil {
			hosts = append(hosts, u.Hostname())
		}
	}
	return append(hosts, site.InternalHosts...)
}

// urlOptions are the site's settings of URLs.
func urlOptions(site *config.Site) pageurl.Options {
	return pageurl.Options{KeepRoutes: site.Tag.HashRoutes}
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
		claims := device.ClaimsOf(v.Hints, "")
		_, why := k.device.Explain(v.Agent, &claims)
		if len(why) == 0 {
			why = []memo.Why{{Field: "browser", Rule: "unknown: no rule speaks"}}
		}
		add("agent", v.Agent, why)
		verdict, why := k.bot.Explain(v.Agent, claims.Headless)
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
		_, why := k.places.Explain(addr)
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
		_, why := k.traffic.Explain(&in)
		add("traffic", v.Referrer, why)
	}
	if v.guessedPage && v.given() == 1 {
		_, why := k.traffic.Explain(&traffic.Input{Referrer: v.Page, KnowsReferrer: true, Internal: k.internal})
		add("referrer", v.Page, why)
	}
	if v.Language != "" || v.given() > 1 {
		parts = append(parts, k.whole(v))
	}
	return parts, nil
}

// whole is what the gateway's enrichment makes of the visit: the parts put
// together as it does it for an event.
func (k *knowledge) whole(v *visit) part {
	ev := event.Event{Type: event.Page, Source: event.FromTag}
	page := event.Value(fmt.Sprintf(`{"page":{"url":%s,"referrer":%s}}`, quote(v.Page), quote(v.Referrer)))
	if v.Page != "" || v.Referrer != "" {
		ev.Context = page
	}
	in := enrich.Input{UserAgent: v.Agent, Hints: hintsOf(&v.Hints), Language: v.Language, InternalHosts: k.internal}
	if v.IP != "" {
		in.Client, _ = netip.ParseAddr(v.IP) // explain has read it
	}
	k.enricher.Enrich(&ev, &in)
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
