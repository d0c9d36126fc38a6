// Package behaviour tells from what a client does that it is automated, when
// its agent says nothing of the kind.
//
// # What decides alone
//
//   - A rate no person reaches: as many page views of one visitor within a
//     minute of the events' own time as the setting says (60: one a second, for
//     a whole minute). The events' time, so that what a browser kept while it
//     was offline, and sends at once, is nobody's crime.
//   - One-hit devices: one address with one agent makes so many new devices
//     within ten minutes (20), and next to none of them is ever seen a second
//     time. See [Watch.Judge] for how people behind one address are told apart.
//
// # What decides by twos
//
// An address in a data centre; no fetch of the tag's script before the first
// event; no Accept-Language; an agent that claims a Chromium which always sends
// client hints, without one. Each of these happens to people, too (a VPN, a
// cached script, a proxy that drops headers), but hardly two of them at once.
//
// # What a site's own visitors show says nothing
//
// A proxy in front of the gateway may drop a header, a CDN may serve the
// script, and then everybody shows that sign. So each site's new visitors are
// counted by the signs they show, and a sign that most of them show is not held
// against anybody.
//
// # Bounds
//
// All is kept in tables of fixed size, in which the newest push out the oldest
// of their neighbourhood. What is forgotten so is a robot that is not found,
// never a person who is called one. Nothing is ever written to disk. Time is
// handed in with each call.
package behaviour

import (
	"hash/maphash"
	"math"
	"math/bits"
	"net/netip"
	"strconv"
	"time"

	"github.com/reuna/reuna/gateway/enrich/geo"
	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// Options say what decides. The zero value has the signs off that have a
// number.
type Options struct {
	// PageViewsPerMinute of one visitor are more than a person's; 0: not looked at.
	PageViewsPerMinute int
	// DevicesPerAddress that are new within ten minutes and not seen again are more
	// than people's, for one address with one agent; 0: not looked at.
	DevicesPerAddress int

	// How many visitors and clients (an address with an agent) are watched at a
	// time; 0: 131,072 and 65,536, for which 20 MB are set aside, and used as they
	// fill.
	Visitors, Clients int
}

// Sighting is one event, as far as behaviour goes.
type Sighting struct {
	Site    string
	Visitor string // the cookie's id; "" where the visitor has none
	Fresh   bool   // the cookie was made for this request
	Client  netip.Addr
	Agent   string

	Language string // the Accept-Language header
	HasHints bool   // any Sec-CH-UA header came
	Secure   bool   // the page is on https, where browsers send them
	Page     bool   // the event is a page view
	Source   event.Source

	At, Now    int64 // ms since 1970 UTC: of the event, and of its receipt
	DataCentre bool  // the client's address is of a hosting network
}

// Thresholds that are not settings.
const (
	// sticky is how long a verdict holds after the last sign of it: as long as a
	// session lasts without an event, so that a robot's visit is judged as one.
	sticky = 30 * 60 // seconds

	// assetsFor is how long a fetched script counts. Browsers ask for the tag again
	// after five minutes (its max-age), so that a page open for an hour without
	// one is the exception that a soft sign may meet.
	assetsFor = 60 * 60 // seconds

	// patience is how many minutes a new device has to be seen again before it
	// counts as one that was not. The tag tells a page's vitals and how long it was
	// read when it is left, which is mostly within two minutes.
	patience = 2

	// returnedShare of the new devices being seen again clears an address.
	returnedShare = 0.1

	// unlikely is the least evidence, in nats, that the devices of an address
	// return less than its site's do: people would look so by chance once in
	// e^12 = 160,000 addresses, which leaves room below one visitor in a thousand
	// even where an address is looked at a hundred times.
	unlikely = 12

	// mixedShare: a browser that refuses cookies makes a device of each request,
	// also of those without a page view (its clicks, its vitals); a robot makes
	// devices of one kind. At least this share of the rarer kind clears an address.
	mixedShare = 0.1

	// impatient: on a site that tells nothing but page views, and whose script
	// comes from elsewhere or out of the cache, nothing tells such a browser from
	// a robot but patience. Three times the setting, by default a page every ten
	// seconds for ten minutes, is more than a reader's.
	impatient = 3
)

// Watch watches. It is safe for concurrent use.
type Watch struct {
	o        Options
	seed     maphash.Seed
	visitors *table[visitor]
	clients  *table[client]
	sites    sites
}

// New makes a Watch that has seen nothing.
func New(o Options) *Watch {
	if o.Visitors <= 0 {
		o.Visitors = 1 << 17
	}
	if o.Clients <= 0 {
		o.Clients = 1 << 16
	}
	return &Watch{o: o, seed: maphash.MakeSeed(), visitors: newTable[visitor](o.Visitors), clients: newTable[client](o.Clients)}
}

// Fetched notes that a client asked for the tag's script. Call it for every
// answer to such a request, "not modified" too.
func (w *Watch) Fetched(addr netip.Addr, agent string, at time.Time) {
	addr = geo.Carried(addr)
	if !geo.IsPublic(addr) {
		return
	}
	now := seconds(at.UnixMilli())
	e := w.clients.take(w.clientKey(addr, agent), now)
	c := e.value
	c.fetched = now
	c.minutes.move(now / 60)
	c.minutes.add(&c.minutes.fetches, now/60)
	e.done()
}

// Judge looks at one event and says whether it is a robot's, and why: one text
// or more, joined with "; ".
//
// What is decided holds for the visitor's later events, until half an hour
// after the last sign. Only the tag's and the pixel's events are looked at: an
// SDK on a server may send what it wants as fast as it wants. An address that
// is not public is a proxy's that hides everybody, and nobody is judged by it.
//
// One-hit devices are told from people behind one address (an office, a mobile
// carrier) by what becomes of the devices: of people's, a share comes back that
// is learnt for each site. They are told from a browser that refuses cookies,
// whose every request makes a device, by the requests that have no page view,
// and by the script, which that browser fetches once for many devices: a robot
// fetches it never, or for each. They are not looked for among the pixel's
// devices, nor is the script: mail programs and their proxies keep no cookies,
// and who has scripts switched off fetches none. The verdict falls on new devices of that
// address and agent alone, since whoever comes back is no one-hit device.
func (w *Watch) Judge(s *Sighting) (reasons string, is bool) {
	if s.Source != event.FromTag && s.Source != event.FromPixel {
		return "", false
	}
	now := seconds(s.Now)
	habits := w.sites.of(s.Site)
	addr := geo.Carried(s.Client)
	public := geo.IsPublic(addr)
	var v verdict
	var visitorKey, clientKey uint64
	if public {
		clientKey = w.clientKey(addr, s.Agent)
	}
	device := s.Fresh // one that was not there before
	if s.Visitor != "" {
		visitorKey = w.visitorKey(s)
		device = w.visitor(visitorKey, clientKey, s, now, &v, habits)
	}
	v.shown = loud(s, public)
	first := false
	switch {
	case s.Source != event.FromTag:
	case public:
		first = w.client(clientKey, s, now, device, &v, habits)
	default:
		first = device
	}
	if first {
		habits.learn(v.shown, s.Secure && claimsHints(s.Agent))
	}
	held := v.shown &^ habits.common()
	decided := bits.OnesCount8(uint8(held)) >= 2
	switch {
	case visitorKey == 0:
		if decided {
			v.soft = held
		}
	case first || decided || v.soft != 0 && held != 0:
		w.keep(visitorKey, now, first, held, &v, habits)
	}
	if v.views == 0 && v.devices == 0 && v.soft == 0 {
		return "", false
	}
	return v.String(), true
}

// visitor looks at a visitor's own events. It says whether this is the first
// one of a new device.
func (w *Watch) visitor(key, clientKey uint64, s *Sighting, now uint32, v *verdict, habits *habits) (device bool) {
	var back uint64
	e := w.visitors.take(key, now)
	x := e.value
	born := x.born
	switch {
	case s.Fresh && born == 0:
		device = true
		x.born = now
		if s.Source == event.FromTag {
			x.maker = clientKey
		}
	case !s.Fresh && !x.again:
		x.again = true
		back = x.maker
		if x.counted {
			habits.returned(s.Page)
		}
	}
	if s.Page && w.o.PageViewsPerMinute > 0 {
		if n := x.views.add(min(s.At, s.Now)); n >= w.o.PageViewsPerMinute {
			if x.rateUntil <= now {
				x.peak = 0
			}
			x.peak = max(x.peak, uint16(min(n, math.MaxUint16)))
			x.rateUntil = now + sticky
		}
	}
	if x.rateUntil > now {
		v.views = x.peak
	}
	if x.softUntil > now {
		v.soft = x.soft
	}
	e.done()
	if back != 0 {
		if e, ok := w.clients.find(back); ok {
			e.value.minutes.move(now / 60)
			e.value.minutes.add(&e.value.minutes.back, born/60)
			e.done()
		}
	}
	return device
}

// client looks at the sender's address and agent. It says whether this is a new
// device, and the first event that is heard of them for an hour.
func (w *Watch) client(key uint64, s *Sighting, now uint32, device bool, v *verdict, habits *habits) (first bool) {
	e := w.clients.take(key, now)
	c := e.value
	if s.Fresh {
		if c.fetched == 0 || since(now, c.fetched) > assetsFor {
			v.shown |= noAssets
		}
		first = device && (c.spoke == 0 || since(now, c.spoke) > assetsFor)
	}
	c.spoke = now
	if s.Fresh && w.o.DevicesPerAddress > 0 {
		m := &c.minutes
		m.move(now / 60)
		if device {
			m.add(&m.made, now/60)
			if !s.Page {
				m.add(&m.pageless, now/60)
			}
			if w.oneHit(c, habits) {
				c.until = now + sticky
			}
		}
		if c.until > now {
			v.devices, v.returned = c.devices, c.returned
		}
	}
	e.done()
	return first
}

// oneHit says whether the devices that a client made are not people's.
func (w *Watch) oneHit(c *client, habits *habits) bool {
	m := &c.minutes
	n := m.sum(&m.made)
	if n < w.o.DevicesPerAddress {
		return false
	}
	// Who refuses cookies and keeps the cache fetches the script now and then, a
	// robot never, or for each device.
	f := m.sum(&m.fetches)
	if f > 0 && 10*f < 9*n {
		return false
	}
	if f == 0 && !habits.tellsMore() && n < impatient*w.o.DevicesPerAddress {
		return false
	}
	back := m.sum(&m.back)
	if float64(back) >= returnedShare*float64(n) {
		return false
	}
	if rest := m.sum(&m.pageless); float64(min(rest, n-rest)) >= mixedShare*float64(n) {
		return false // a browser that refuses cookies
	}
	if divergence(float64(back)/float64(n), habits.returnChance())*float64(n) < unlikely {
		return false
	}
	c.devices, c.returned = uint16(min(n, math.MaxUint16)), uint16(min(back, math.MaxUint16))
	return true
}

// divergence is that of Kullback and Leibler between two coins, in nats: n
// times it bounds how unlikely it is (Chernoff) that a coin of share q shows p
// or less in n throws. q is below 1.
func divergence(p, q float64) float64 {
	if p >= q {
		return 0
	}
	d := (1 - p) * math.Log((1-p)/(1-q))
	if p > 0 {
		d += p * math.Log(p/q)
	}
	return d
}

// keep notes what was decided about a visitor by soft signs, and that a site's
// habits wait for its return.
func (w *Watch) keep(key uint64, now uint32, first bool, held signs, v *verdict, habits *habits) {
	e := w.visitors.take(key, now)
	x := e.value
	if first {
		x.counted = true
		habits.made()
	}
	if bits.OnesCount8(uint8(held)) >= 2 || v.soft != 0 && held != 0 {
		if x.softUntil <= now {
			x.soft = 0
		}
		x.soft |= held
		x.softUntil = now + sticky
		v.soft = x.soft
	}
	e.done()
}

// clientKey is an address with an agent. Of IPv6 the /64 counts: it is one
// household's or one machine's, which changes addresses within it at will.
func (w *Watch) clientKey(addr netip.Addr, agent string) uint64 {
	b := addr.As16()
	if addr.Is6() {
		clear(b[8:])
	}
	return mix(maphash.Bytes(w.seed, b[:]), maphash.String(w.seed, memo.Cut(agent, memo.MaxAgent)))
}

func (w *Watch) visitorKey(s *Sighting) uint64 {
	return mix(maphash.String(w.seed, s.Site), maphash.String(w.seed, memo.Cut(s.Visitor, memo.MaxText)))
}

// mix is one hash of two; never 0, which is how a table's free place is told.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9E3779B97F4A7C15, b|1)
	return max(hi^lo^b, 1)
}

// seconds of the clock: unsigned, so that they fit 32 bits until 2106. A clock
// that runs backwards by a little makes an age of 0 (see since).
func seconds(ms int64) uint32 { return uint32(max(ms/1000, 1)) }

func since(now, then uint32) uint32 {
	if now < then {
		return 0
	}
	return now - then
}

// verdict is what was found about one event.
type verdict struct {
	shown    signs // soft signs of this event
	soft     signs // two or more that decide, of it or of the visitor's earlier ones
	views    uint16
	devices  uint16
	returned uint16
}

// String tells the reasons.
func (v *verdict) String() string {
	var b []byte
	next := func() {
		if len(b) > 0 {
			b = append(b, "; "...)
		}
	}
	if v.views != 0 {
		b = strconv.AppendUint(b, uint64(v.views), 10)
		b = append(b, " page views within a minute"...)
	}
	if v.devices != 0 {
		next()
		b = strconv.AppendUint(b, uint64(v.devices), 10)
		b = append(b, " new devices from one address in 10 minutes, "...)
		if v.returned == 0 {
			b = append(b, "none"...)
		} else {
			b = strconv.AppendUint(b, uint64(v.returned), 10)
		}
		b = append(b, " seen again"...)
	}
	for i, text := range signTexts {
		if v.soft&(1<<i) != 0 {
			next()
			b = append(b, text...)
		}
	}
	return string(b)
}
