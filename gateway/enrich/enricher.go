// Package enrich adds to an event what the request tells besides its body: the
// device, the place, where the visit came from, and whether a person sent it.
//
// Everything is computed from the event, an [Input] of strings and tables that
// are fixed at the start; nothing is looked up over a network. The [Enricher]
// holds those tables, the geo databases and bounded caches of earlier
// answers, so that an agent, an address or a campaign that was seen before
// costs no allocation.
//
// Whose request it is decides what counts. A browser's request is the
// visitor's own: its address and user agent are theirs. A server's request (a
// secret key, or a server-side library) speaks for somebody else: only what its
// context says about the visitor is used, never the server's own address and
// agent.
package enrich

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/reuna/reuna/gateway/enrich/bot"
	"github.com/reuna/reuna/gateway/enrich/device"
	"github.com/reuna/reuna/gateway/enrich/geo"
	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/gateway/enrich/pageurl"
	"github.com/reuna/reuna/gateway/enrich/traffic"
	"github.com/reuna/reuna/identity/event"
)

// Options say how to enrich. The zero value works: the embedded country
// database, truncated addresses, default caches.
type Options struct {
	// Paths of MaxMind databases (GeoIP2, GeoLite2, DB-IP and others of the same
	// layout). City names the country too, so Country is for those who have no
	// city file. With neither, the embedded country database answers.
	City, Country, ASN string

	// IP is how much of an address is kept in an event: "truncated" (also "")
	// keeps 24 bits of IPv4 and 48 of IPv6, "full" all, "none" nothing. Places are
	// always looked up with the full address.
	IP string

	// How many earlier answers are kept; 0 means the default. An agent's entry
	// takes about 1 KiB (3 at most), an address's about 300 bytes.
	UACacheSize   int // user agents with their hints, 8,192
	AddrCacheSize int // client addresses, 16,384

	Logger *slog.Logger // nil: slog.Default()
}

// Hints are the client hint headers.
type Hints = device.Hints

// Input is what one request says besides its body. Its strings may be kept.
type Input struct {
	UserAgent string
	Hints     Hints      // the Sec-CH-UA headers, as sent
	Language  string     // the Accept-Language header, as sent
	Client    netip.Addr // as resolved by ClientAddr; may be invalid

	Referer string // the request's own headers
	Origin  string
	Host    string

	// InternalHosts are the hosts that are the site itself: a visitor who comes
	// from one of them did not arrive anew. "*.shop.example" means every host below
	// shop.example. The page's own host, with or without "www.", always counts.
	InternalHosts []string

	// Clean keeps addresses as the site's settings say; nil: as the defaults do.
	Clean *pageurl.Cleaner
}

// Enricher fills in events. It is safe for concurrent use.
type Enricher struct {
	opts      Options
	policy    addrPolicy
	log       *slog.Logger
	agents    *agents
	sources   *traffic.Rules
	cleaner   *pageurl.Cleaner // of a site that says nothing
	words     *memo.Interner
	languages *languages
	files     *geo.Files

	reloading sync.Mutex // one Reload at a time; readers never take it
	places    atomic.Pointer[geo.Places]
}

// New opens the geo databases and makes an Enricher.
func New(o Options) (*Enricher, error) {
	if o.UACacheSize <= 0 {
		o.UACacheSize = 8192
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	e := &Enricher{opts: o, log: o.Logger, words: memo.NewInterner(4096), languages: newLanguages(1024)}
	switch o.IP {
	case "", "truncated":
		e.policy = keepTruncated
	case "full":
		e.policy = keepFull
	case "none":
		e.policy = keepNone
	default:
		return nil, fmt.Errorf(`enrich: ip is %q, expected "truncated", "full" or "none"`, o.IP)
	}
	var err error
	if e.agents, err = newAgents(o.UACacheSize); err != nil {
		return nil, err
	}
	if e.sources, err = traffic.New(); err != nil {
		return nil, err
	}
	if e.cleaner, err = pageurl.New(pageurl.Options{}); err != nil {
		return nil, err
	}
	e.files = e.geo().Files() // before they are read, so that no change is missed
	p, err := geo.Open(e.geo())
	if err != nil {
		return nil, err
	}
	e.places.Store(p)
	return e, nil
}

// Reload opens the geo files again. Either all of them are taken into use, or,
// when one cannot be, none, and the old ones answer on. Requests never wait.
func (e *Enricher) Reload() error {
	e.reloading.Lock()
	defer e.reloading.Unlock()
	if e.opts.City == "" && e.opts.Country == "" && e.opts.ASN == "" {
		return nil // the embedded database does not change
	}
	p, err := geo.Open(e.geo())
	if err != nil {
		e.log.Error("geo databases not reloaded, the old ones stay in use", "error", err)
		return err
	}
	e.places.Store(p)
	e.log.Info("geo databases reloaded", "city", e.opts.City, "country", e.opts.Country, "asn", e.opts.ASN)
	return nil
}

// Refresh reloads the geo files if others lie there since they were read. Call
// it every so often, never twice at a time.
func (e *Enricher) Refresh() error {
	if !e.files.Changed() {
		return nil
	}
	return e.Reload()
}

func (e *Enricher) geo() geo.Options {
	return geo.Options{
		City: e.opts.City, Country: e.opts.Country, ASN: e.opts.ASN,
		CacheSize: e.opts.AddrCacheSize, Text: e.policy.text,
	}
}

// InDataCentre says that an address is of a hosting or cloud network; false
// without a database of networks.
func (e *Enricher) InDataCentre(addr netip.Addr) bool { return e.places.Load().At(addr).DataCentre }

// Close gives back what New opened. The databases are memory that the garbage
// collector frees, so an Enrich that is still running finishes undisturbed.
func (e *Enricher) Close() error { return nil }

// Enrich fills ev.Device, ev.Geo, ev.Traffic, ev.Bot and ev.IP from the
// request and from the event's own context, and replaces what stood in them.
//
// The context wins for what it knows better: an app's own device and system,
// the high-entropy hints a page asked for, the campaign an SDK read, and, from
// whoever may speak for the visitor, their address and agent. A page's tag and
// the pixel may not claim an address: theirs is the connection's.
func (e *Enricher) Enrich(ev *event.Event, in *Input) {
	var s said
	s.read(ev)

	ev.Device, ev.Bot = e.device(ev, in, &s)
	ev.Traffic = e.traffic(ev, in, &s)
	e.page(ev, in, &s)

	ev.IP, ev.Geo = "", event.Geo{}
	addr := in.Client
	switch {
	case s.ip != "" && ev.Source != event.FromTag && ev.Source != event.FromPixel:
		var err error
		if addr, err = netip.ParseAddr(s.ip); err != nil {
			addr = netip.Addr{} // said, and no address: the place stays unknown
		}
	case s.forOther:
		addr = netip.Addr{}
	}
	if addr.IsValid() && !addr.IsUnspecified() { // 0.0.0.0 is how an SDK asks not to be placed
		p := e.places.Load().At(addr)
		ev.IP, ev.Geo = p.Text, p.Geo
	}
}

// traffic is where the visit came from. A request of the tag or the pixel
// carries no referrer of the page: its Referer header is the page. It stands in
// for a missing page URL, and then a missing referrer proves nothing.
func (e *Enricher) traffic(ev *event.Event, in *Input, s *said) event.Traffic {
	t := traffic.Input{
		PageURL: s.pageURL, KnowsReferrer: s.pageURL != "", Referrer: s.referrer,
		Campaign: s.campaign, Internal: in.InternalHosts,
	}
	if !s.forOther {
		t.Origin = in.Origin
		if t.PageURL == "" && ev.Source != event.FromSDK {
			t.PageURL = in.Referer
		}
		if ev.Source == event.FromTag { // the gateway stands on the site's own domain for its tag
			t.Gateway = in.Host
		}
	}
	return e.sources.Read(&t)
}

// page fills in what the page knows of its visitor's settings, and then makes
// the event fit to be kept: addresses are clean, and nothing that a sender wrote
// holds the client's address whole.
func (e *Enricher) page(ev *event.Event, in *Input, s *said) {
	d := &ev.Device
	d.Language = e.languages.tag(s.locale)
	if d.Language == "" && !s.forOther {
		d.Language = e.languages.tag(in.Language)
	}
	d.Timezone, d.Screen = timezone(s.timezone), screen(s.screen, e.words)
	upright(d)
	if s.hasIP {
		ev.Context = withIP(ev.Context, "") // the event has its own
	}
	cleaner := in.Clean
	if cleaner == nil {
		cleaner = e.cleaner
	}
	cleaner.Event(ev)
}

// device is the device and the bot verdict for an event, and may find that the
// request speaks for somebody else.
func (e *Enricher) device(ev *event.Event, in *Input, s *said) (event.Device, event.Bot) {
	key := agentKey{ua: s.userAgent, uaData: string(s.uaData)}
	if !s.forOther {
		if key.ua == "" {
			key.ua = in.UserAgent
		}
		if key.ua == in.UserAgent { // the hints describe the agent of their own request
			key.hints = in.Hints
		}
	}
	a := e.agents.find(key)
	d, verdict := a.device, a.bot
	app := s.os.name != "" || s.device.model != "" || s.device.manufacturer != "" || s.device.kind != ""
	if verdict.Class == bot.Library && s.userAgent == "" && ev.Source == event.FromSDK {
		// A program sends what people did; it does not visit. One that says nothing
		// of a machine, and whose library is no telephone's, is a server.
		verdict = event.Bot{}
		switch {
		case app:
			d.Type = device.Other // what it is, is said below
		case d.OS == "Android" || d.OS == "iOS":
			d.Type = device.Mobile
		default:
			d, s.forOther = event.Device{}, true
		}
	}
	if app {
		e.describe(&d, s)
	}
	if key.ua == "" && (ev.Source == event.FromTag || ev.Source == event.FromPixel) {
		verdict = event.Bot{Is: true, Class: bot.Other, Reason: "no user agent, which every browser sends"}
	}
	return d, verdict
}
