package behaviour

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sort"
	"testing"
	"time"
)

// crowd makes a site's traffic: people of many kinds and robots among them, and
// counts for each kind who was taken for a robot.
type crowd struct {
	rnd   *rand.Rand
	site  habitsOfSite
	moves []move
	n     int // browsers so far
	addrs uint32
}

// habitsOfSite is how a site is built.
type habitsOfSite struct {
	name       string
	cdn        bool // the tag's script comes from elsewhere
	pagesOnly  bool // the tag tells page views and nothing else
	stripped   bool // a proxy drops Accept-Language and client hints
	hidden     bool // a proxy hides all addresses behind private ones
	oneAddress bool // and another one behind a public one, which caches the script
	bounces    float64
}

// move is one step of somebody: a script fetched or an event sent.
type move struct {
	at    int64
	kind  string
	who   int
	fetch bool
	s     Sighting
}

// surfer is how somebody is on the web.
type surfer struct {
	kind      string
	addr      netip.Addr
	agent     string
	refuses   bool // cookies
	vpn       bool
	cached    bool // has the script in its cache for hours
	quiet     bool // sends no Accept-Language
	offline   bool // sends all at the end
	hintless  bool
	pages     int
	pause     float64 // mean seconds on a page
	remembers bool    // has its cookie from an earlier visit
}

func (c *crowd) address() netip.Addr {
	c.addrs++
	return netip.AddrFrom4([4]byte{84, byte(c.addrs >> 16), byte(c.addrs >> 8), byte(c.addrs)})
}

// surf is one person's visit from a time on.
func (c *crowd) surf(p surfer, at int64) {
	c.n++
	who, first := c.n, len(c.moves)
	cookie, made, fetched := fmt.Sprintf("v%d", who), p.remembers, int64(0)
	now := at
	send := func(page bool) {
		s := person(cookie, now)
		s.Client, s.Agent, s.Page = p.addr, p.agent, page
		s.Fresh = !made
		if p.refuses {
			s.Visitor, s.Fresh = fmt.Sprintf("v%d-%d", who, len(c.moves)), true
		}
		made = true
		s.DataCentre = p.vpn
		s.HasHints = p.agent != firefox && !p.hintless && !c.site.stripped
		if p.quiet || c.site.stripped {
			s.Language = ""
		}
		if c.site.hidden {
			s.Client = netip.MustParseAddr("10.0.0.1")
		}
		if c.site.oneAddress {
			s.Client = netip.MustParseAddr("84.255.255.1")
		}
		c.moves = append(c.moves, move{now, p.kind, who, false, s})
	}
	for range p.pages {
		if !c.site.cdn && !c.site.oneAddress && !p.cached && now-fetched > 5*minute {
			c.moves = append(c.moves, move{now - 1, p.kind, who, true, Sighting{Client: p.addr, Agent: p.agent, Now: now - 1}})
			fetched = now
		}
		send(true)
		stay := int64((0.8 + c.rnd.ExpFloat64()*p.pause) * 1000)
		if !c.site.pagesOnly {
			if stay > 2500 && c.rnd.Float64() < 0.5 { // something was clicked
				now += stay / 2
				send(false)
				now += stay / 2
			} else {
				now += stay
			}
			if c.rnd.Float64() < 0.85 { // what was read, told when the page is left
				send(false)
			}
		} else {
			now += stay
		}
	}
	if p.offline {
		for i := first; i < len(c.moves); i++ {
			if !c.moves[i].fetch {
				c.moves[i].s.Now, c.moves[i].at = now+10*minute, now+10*minute
			}
		}
	}
}

// anybody is a person with a person's quirks.
func (c *crowd) anybody(kind string, addr netip.Addr, agent string) surfer {
	r := c.rnd
	p := surfer{kind: kind, addr: addr, agent: agent, pages: 1, pause: 25}
	if r.Float64() >= c.site.bounces {
		p.pages = 2 + int(r.ExpFloat64()*5)
	}
	p.refuses = r.Float64() < 0.02
	p.vpn = r.Float64() < 0.01
	p.cached = r.Float64() < 0.03
	p.quiet = r.Float64() < 0.001
	p.hintless = r.Float64() < 0.005
	p.offline = r.Float64() < 0.01
	p.remembers = r.Float64() < 0.3
	return p
}

// run plays all moves in their order. For each kind: how many there were, and
// how many had any event, and how many events of all, that were called robots'.
func (c *crowd) run(w *Watch) map[string]*count {
	sort.SliceStable(c.moves, func(i, j int) bool { return c.moves[i].at < c.moves[j].at })
	counts, caught := map[string]*count{}, map[int]bool{}
	last := map[int]bool{}
	for i := range c.moves {
		m := &c.moves[i]
		n := counts[m.kind]
		if n == nil {
			n = &count{}
			counts[m.kind] = n
		}
		if !last[m.who] {
			last[m.who] = true
			n.all++
		}
		if m.fetch {
			w.Fetched(m.s.Client, m.s.Agent, time.UnixMilli(m.s.Now))
			continue
		}
		n.events++
		if reasons, is := w.Judge(&m.s); is {
			n.flagged++
			if !caught[m.who] {
				caught[m.who] = true
				n.caught++
				n.reasons = append(n.reasons, reasons)
			}
		}
	}
	return counts
}

type count struct {
	all, caught     int
	events, flagged int
	reasons         []string
}

const androidChrome = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36"

// people of all kinds, over two hours.
func (c *crowd) people() {
	r := c.rnd
	within := func() int64 { return begin + int64(r.Float64()*float64(120*minute)) }
	for i := range 2500 {
		agent := chromeWindows
		if i%4 == 0 {
			agent = firefox
		}
		p := c.anybody("at home", c.address(), agent)
		c.surf(p, within())
	}
	for range 8 { // carriers whose phones share an address and all say the same
		addr := c.address()
		for range 250 {
			c.surf(c.anybody("mobile carrier", addr, androidChrome), within())
		}
	}
	for range 15 { // a newsletter, or a lesson, that all open at once
		addr, at := c.address(), within()
		for range 60 {
			c.surf(c.anybody("office", addr, chromeWindows), at+int64(r.Float64()*float64(minute)))
		}
	}
	for range 100 { // a quick look through a gallery
		p := c.anybody("gallery", c.address(), chromeWindows)
		p.pages, p.pause = 50, 0.6
		c.surf(p, within())
	}
	for range 250 {
		p := c.anybody("no cookies", c.address(), chromeWindows)
		p.refuses, p.pages = true, 10+int(r.ExpFloat64()*20)
		c.surf(p, within())
	}
	if !c.site.pagesOnly { // else nothing tells such an office from a robot
		addr, at := c.address(), within()
		for range 30 {
			p := c.anybody("office without cookies", addr, firefox)
			p.refuses = true
			c.surf(p, at+int64(r.Float64()*float64(20*minute)))
		}
	}
}

// robots of each kind, in the second hour, when the site is known.
func (c *crowd) robots() {
	for i := range 10 {
		at := begin + 60*minute + int64(i)*minute
		fast := surfer{kind: "robot: fast", addr: c.address(), agent: chromeWindows, pages: 600, pause: 0}
		c.surf(fast, at)
		bare, profiles := c.address(), c.address()
		for j := range 200 { // one every ten seconds
			c.single("robot: one-hit, bare", bare, at+int64(j)*10*second, false, false, false)
			c.single("robot: one-hit, with a browser", profiles, at+int64(j)*10*second, true, false, false)
			c.single("robot: in a data centre, bare", c.address(), at+int64(j)*10*second, false, true, false)
			c.single("robot: a library that says Chrome", c.address(), at+int64(j)*10*second, true, false, true)
		}
	}
}

// single is one device with one page view.
func (c *crowd) single(kind string, addr netip.Addr, at int64, fetches, centre, library bool) {
	c.n++
	if fetches && !c.site.cdn {
		c.moves = append(c.moves, move{at - 1, kind, c.n, true, Sighting{Client: addr, Agent: chromeWindows, Now: at - 1}})
	}
	s := person(fmt.Sprintf("v%d", c.n), at)
	s.Client, s.Fresh, s.DataCentre = addr, true, centre
	if library {
		s.HasHints, s.Language = false, ""
	}
	c.moves = append(c.moves, move{at, kind, c.n, false, s})
}

var sitesOfAllKinds = []habitsOfSite{
	{name: "plain", bounces: 0.5},
	{name: "landing page", bounces: 0.9},
	{name: "page views only", bounces: 0.5, pagesOnly: true},
	{name: "landing page, page views only", bounces: 0.85, pagesOnly: true},
	{name: "script from a CDN", bounces: 0.5, cdn: true},
	{name: "script from a CDN, page views only", bounces: 0.5, cdn: true, pagesOnly: true},
	{name: "a proxy drops headers", bounces: 0.5, stripped: true},
	{name: "a proxy hides addresses", bounces: 0.5, hidden: true},
	{name: "all from one public address", bounces: 0.5, oneAddress: true},
	{name: "the worst proxy", bounces: 0.6, oneAddress: true, stripped: true, cdn: true},
}

func TestPeopleAreNotCalledRobots(t *testing.T) {
	total, wrong := 0, 0
	for _, site := range sitesOfAllKinds {
		seed := uint64(time.Now().UnixNano())
		c := &crowd{rnd: rand.New(rand.NewPCG(seed, 7)), site: site}
		c.people()
		all, caught := 0, 0
		counts := c.run(New(defaults))
		for kind, n := range counts {
			all, caught = all+n.all, caught+n.caught
			if n.caught > 0 {
				t.Logf("%s, %s: %d of %d, such as %q", site.name, kind, n.caught, n.all, n.reasons[0])
			}
		}
		t.Logf("%s: %d of %d people called robots (seed %d)", site.name, caught, all, seed)
		if caught*300 > all { // chance allows for more on one site than on all
			t.Errorf("%s: %d of %d people called robots, more than one in 300 (seed %d)", site.name, caught, all, seed)
		}
		total, wrong = total+all, wrong+caught
	}
	if wrong*1000 > total {
		t.Errorf("%d of %d people called robots, more than one in a thousand", wrong, total)
	}
}

func TestRobotsAreFound(t *testing.T) {
	for _, site := range sitesOfAllKinds[:2] {
		seed := uint64(time.Now().UnixNano())
		c := &crowd{rnd: rand.New(rand.NewPCG(seed, 7)), site: site}
		c.people()
		c.robots()
		all, caught := 0, 0
		for kind, n := range c.run(New(defaults)) {
			least, robot := map[string]float64{
				"robot: fast":                       0.90, // but for the first sixty
				"robot: one-hit, bare":              0.80, // but for the first three minutes
				"robot: one-hit, with a browser":    0.80,
				"robot: in a data centre, bare":     1,
				"robot: a library that says Chrome": 1,
			}[kind]
			if !robot {
				all, caught = all+n.all, caught+n.caught
				continue
			}
			share := float64(n.flagged) / float64(n.events)
			t.Logf("%s, %s: %d of %d events, such as %q", site.name, kind, n.flagged, n.events, n.reasons[:min(1, len(n.reasons))])
			if share < least {
				t.Errorf("%s, %s: %.0f %% of its events found, want %.0f %% (seed %d)", site.name, kind, 100*share, 100*least, seed)
			}
		}
		if caught*300 > all {
			t.Errorf("%s: %d of %d people among them called robots (seed %d)", site.name, caught, all, seed)
		}
	}
}
