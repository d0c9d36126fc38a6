package audiences

import (
	"fmt"
	"testing"
	"time"

	"github.com/reuna/reuna/benchmarks/template"
	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait"
)

// sets compiles the shop's definitions without a gateway.
func sets(t testing.TB) (*trait.Set, *segment.Set) {
	t.Helper()
	c, err := config.Parse("shop.yaml", []byte(site+shop))
	if err != nil {
		t.Fatal(err)
	}
	var traits []trait.Definition
	for _, d := range c.Traits {
		x := trait.Definition{
			Name: d.Name, Kind: d.Kind, Event: d.Event, Events: d.Events, Where: d.Where, By: d.By, Value: d.Value, Window: d.Window, HalfLife: d.HalfLife,
			Limit: d.Limit, AtLeast: d.AtLeast, Unit: d.Unit, Timezone: d.Timezone, Longest: d.Longest, Within: d.Within,
			Recency: d.Recency, Frequency: d.Frequency, Monetary: d.Monetary,
		}
		for _, s := range d.Steps {
			x.Steps = append(x.Steps, trait.Step(s))
		}
		if d.Not != nil {
			not := trait.Step(*d.Not)
			x.Not = &not
		}
		traits = append(traits, x)
	}
	var segments []segment.Definition
	hidden := map[string]bool{}
	for i, s := range c.Segments {
		asked, faults := segment.Queries(fmt.Sprintf("segments[%d].when", i), s.When)
		if err := faults.Err(); err != nil {
			t.Fatal(err)
		}
		for _, d := range asked {
			if !hidden[d.Name] {
				hidden[d.Name] = true
				traits = append(traits, d)
			}
		}
		segments = append(segments, segment.Definition{Name: s.Name, When: s.When, ID: uint32(i + 1)})
	}
	ts, err := trait.Compile(traits)
	if err != nil {
		t.Fatal(err)
	}
	ss, err := segment.Compile(segment.NewEnv(ts), segments)
	if err != nil {
		t.Fatal(err)
	}
	return ts, ss
}

// BenchmarkEvent is what an event costs at the library: folding without
// definitions, what counting them adds, and what judging audiences does. The
// events are those of the generator, of 500 devices, a second apart. Whose standing
// has to be looked at again within two seconds is counted, too: that is work that
// no event causes.
func BenchmarkEvent(b *testing.B) {
	ts, ss := sets(b)
	now := time.Unix(1_790_000_000, 0)
	visitors, _, _, err := template.Visitors(1, 500, 16, func() time.Time { return now })
	if err != nil {
		b.Fatal(err)
	}
	for _, kind := range []string{"all", "Product Viewed", "page", "Order Completed", "Element Clicked"} {
		var list []template.Template
		var of []int
		for v := range visitors {
			for _, x := range visitors[v] {
				if name := x.Event.Name; kind == "all" || name == kind || x.Event.Type == event.Page && kind == "page" {
					list, of = append(list, x), append(of, v)
				}
			}
		}
		for _, c := range []struct {
			name         string
			count, judge bool
		}{{"fold", false, false}, {"count", true, false}, {"judge", true, true}} {
			b.Run(kind+"/"+c.name, func(b *testing.B) {
				rules := facet.Rules{MaxTraits: 6000}
				if c.count {
					rules.Contribute = ts.Contribute
				}
				facets, standings := make([]*facet.Facet, len(visitors)), make([]*segment.Standing, len(visitors))
				for i := range facets {
					facets[i] = &facet.Facet{}
				}
				sub := &segment.Subject{}
				at, n, soon := now.UnixMilli(), 0, 0
				b.ReportAllocs()
				step := func() {
					i := n % len(list)
					n++
					at += 1000
					e := list[i].Event
					e.Timestamp, e.ReceivedAt = at, at
					f := facets[of[i]]
					done := f.Fold(&e, uint64(n), &rules)
					if !c.judge {
						return
					}
					p := facet.Join([]*facet.Facet{f})
					sub.Reset()
					sub.Profile, sub.Now = p, at
					sub.Computed.Reset(ts, p, at)
					standings[of[i]] = ss.Judge(sub, standings[of[i]], done.Change)
					p.Release()
					if standings[of[i]].Until-at <= 2000 {
						soon++
					}
				}
				for range 4 * len(list) {
					step()
				}
				soon = 0
				b.ResetTimer()
				for range b.N {
					step()
				}
				if c.judge {
					b.ReportMetric(100*float64(soon)/float64(b.N), "%wake-in-2s")
				}
			})
		}
	}
}
