package enrich

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/reuna/reuna/benchmarks/measure"
	"github.com/reuna/reuna/gateway/enrich"
	"github.com/reuna/reuna/identity/event"
)

// Cost is what one thing takes.
type Cost struct {
	Name  string `json:"name"`
	short string // for the picture; "" is not in it
	// Mean is processor time for each, collecting garbage included. Median and
	// P99 are over the agents (each one's best of the rounds, by the clock); 0
	// where all do the same.
	Mean    float64 `json:"meanMicroseconds"`
	Median  float64 `json:"medianMicroseconds,omitempty"`
	P99     float64 `json:"p99Microseconds,omitempty"`
	Allocs  float64 `json:"allocations"`
	Bar     float64 `json:"barMicroseconds,omitempty"` // of the mean; 0: told for information
	NoAlloc bool    `json:"mustNotAllocate,omitempty"`
	Other   bool    `json:"other,omitempty"` // somebody else's library, for comparison
}

// Kept says that the bars are held.
func (c *Cost) Kept() bool {
	return (c.Bar == 0 || c.Mean <= c.Bar) && (!c.NoAlloc || c.Allocs == 0)
}

// spent is the processor time of this process, or the clock where the system
// does not tell it. It comes in steps of 10 ms.
func spent() time.Duration {
	if d, err := measure.CPU(os.Getpid()); err == nil {
		return d
	}
	return time.Duration(time.Now().UnixNano())
}

// meter measures with rounds of at least this long.
type meter struct {
	ctx   context.Context
	round time.Duration
}

// each measures do(i) for i below n, going round and round.
func (m *meter) each(n int, do func(i int)) (mean, median, p99 float64) {
	best := make([]time.Duration, n)
	for i := range best {
		best[i] = time.Hour
	}
	for range 5 {
		for i := range n {
			at := time.Now()
			do(i)
			best[i] = min(best[i], time.Since(at))
		}
		if m.ctx.Err() != nil {
			return 0, 0, 0
		}
	}
	slices.Sort(best)
	micro := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
	return m.mean(n, do), micro(best[n/2]), micro(best[n*99/100])
}

// mean is the median of three rounds' processor time for each.
func (m *meter) mean(n int, do func(i int)) float64 {
	var rounds []float64
	for range 3 {
		calls, from, began := 0, spent(), time.Now()
		for i := 0; time.Since(began) < m.round && m.ctx.Err() == nil; {
			for range 256 {
				do(i)
				if i++; i == n {
					i = 0
				}
			}
			calls += 256
		}
		rounds = append(rounds, float64((spent()-from).Nanoseconds())/1e3/float64(max(1, calls)))
	}
	return measure.Of(rounds).Median
}

// costs measures all, three rounds of each.
func costs(ctx context.Context, d *data, round time.Duration) ([]Cost, error) {
	m := &meter{ctx, round}
	var all []Cost
	cold, err := newOurs(2) // remembers two agents, so that each is new
	if err != nil {
		return nil, err
	}
	alone, err := newParts()
	if err != nil {
		return nil, err
	}
	var hinted []labelled
	for _, l := range d.generated {
		if l.hints.platformVersion != "" {
			hinted = append(hinted, l)
		}
	}
	longTail := d.core.browsers
	for _, s := range []struct {
		name, short string
		who         subject
		set         []labelled
		bar         float64
	}{
		{"an agent of the long tail, never seen: device and verdict", "unseen agent, read alone", alone, longTail, 10},
		{"the same through the Enricher, which then remembers it", "unseen agent, Enricher", cold, longTail, 10},
		{"a real visitor's agent, never seen, through the Enricher", "unseen visitor, Enricher", cold, d.visitors, 10},
		{"a robot's agent, never seen, through the Enricher", "unseen robot, Enricher", cold, d.crawlers, 10},
		{"an agent with all client hints, never seen", "", cold, hinted, 0},
		{"an agent of the long tail by mssola/useragent", "unseen agent, mssola", mssola{}, longTail, 0},
		{"an agent of the long tail by uap-go", "", uapGo{d.core.oracle}, longTail, 0},
	} {
		read := func(i int) { s.who.read(&s.set[i]) }
		c := Cost{Name: s.name, short: s.short, Bar: s.bar, Allocs: perCall(len(s.set), read)}
		switch s.who.(type) {
		case mssola, uapGo:
			c.Other = true
		}
		c.Mean, c.Median, c.P99 = m.each(len(s.set), read)
		all = append(all, c)
	}
	warm, err := newOurs(1 << 14)
	if err != nil {
		return nil, err
	}
	known := d.visitors[:min(1024, len(d.visitors))]
	look := func(i int) {
		warm.in.UserAgent = known[i].agent
		warm.enricher.Enrich(&warm.ev, &warm.in)
	}
	warm.ev = event.Event{Type: event.Page, Source: event.FromTag}
	for i := range known {
		look(i)
	}
	all = append(all, Cost{
		Name: "an event with an agent seen before and nothing else", short: "seen agent, Enricher", Bar: 0.3,
		NoAlloc: true, Allocs: perCall(len(known), look), Mean: m.mean(len(known), look),
	})
	places, err := placeCosts(m)
	if err != nil {
		return nil, err
	}
	all = append(all, places...)
	whole, err := wholeCost(m, known)
	if err != nil {
		return nil, err
	}
	return append(all, whole), nil
}

// perCall counts the allocations of each call.
func perCall(n int, do func(i int)) float64 {
	i := 0
	return testing.AllocsPerRun(n, func() {
		do(i % n)
		i++
	})
}

// addresses are public ones from a seed.
func addresses(n int, six bool) []netip.Addr {
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]netip.Addr, n)
	for i := range all {
		var b [16]byte
		for j := range b {
			b[j] = byte(random.Uint32())
		}
		if six {
			// Below large allocations: 2003::/19, 240e::/20, 2600:1700::/28, 2a01:c000::/19.
			network := [][4]byte{{0x20, 0x03, b[2] & 0x1f, b[3]}, {0x24, 0x0e, b[2] & 0x0f, b[3]}, {0x26, 0, 0x17, b[3] & 0x0f}, {0x2a, 0x01, 0xc0 | b[2]&0x1f, b[3]}}[i%4]
			copy(b[:], network[:])
			all[i] = netip.AddrFrom16(b)
		} else {
			b[0] = octets()[i%len(octets())]
			all[i] = netip.AddrFrom4([4]byte(b[:4]))
		}
	}
	return all
}

// octets begin IPv4 addresses that RIPE NCC gave to its members.
func octets() []byte { return []byte{2, 31, 62, 77, 81, 91, 109, 151, 176, 188, 212, 217} }

// wholeCost is a page view of the tag with everything in it.
func wholeCost(m *meter, known []labelled) (Cost, error) {
	we, err := newOurs(1 << 14)
	if err != nil {
		return Cost{}, err
	}
	context := event.Value(`{"page":{"url":"https://shop.example/books/7?utm_source=google&utm_medium=cpc&utm_campaign=spring","path":"/books/7","referrer":"https://www.google.com/","title":"A book","search":"?utm_source=google&utm_medium=cpc&utm_campaign=spring"},"locale":"en-GB","timezone":"Europe/Helsinki","screen":{"width":1920,"height":1080,"density":1},"library":{"name":"reuna","version":"1"}}`)
	from := addresses(1024, false)
	enricher := we.enricher
	var ev event.Event
	do := func(i int) {
		l := &known[i]
		ev = event.Event{Type: event.Page, Source: event.FromTag, Context: context}
		in := enrich.Input{UserAgent: l.agent, Client: from[i], Referer: "https://shop.example/books/7", Origin: "https://shop.example", Host: "shop.example"}
		enricher.Enrich(&ev, &in)
	}
	n := min(len(known), len(from))
	for i := range n {
		do(i)
	}
	if ev.Traffic.Channel != "Paid Search" || ev.Device.Type == "" || ev.IP == "" {
		return Cost{}, fmt.Errorf("the page view was not enriched: %+v", ev)
	}
	return Cost{Name: "a whole page view whose visitor was seen before", NoAlloc: true, Mean: m.mean(n, do), Allocs: perCall(n, do)}, nil
}
