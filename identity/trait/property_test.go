package trait_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/naive"
)

var (
	rounds = flag.Int("rounds", 120, "random sets of definitions and events to compare")
	first  = flag.Uint64("seed", 0, "the first seed; 0: by the clock")
)

const day = 24 * time.Hour

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// someDefinition makes one of any kind, that compiles.
func someDefinition(r *rand.Rand, i int) trait.Definition {
	d := trait.Definition{Name: fmt.Sprintf("t%d", i), Kind: pick(r, trait.Kinds()...), ID: uint32(i + 1)}
	if d.Kind != trait.Sequence && r.IntN(4) > 0 {
		d.Event = pick(r, "Viewed", "Bought", "page")
		if r.IntN(3) == 0 {
			d.Events = []string{"Bought"}
		}
	}
	if r.IntN(3) == 0 {
		d.Where = pick(r, "properties.price > 20", "properties.category == 'crime'", "type == 'track' && context.site == 'shop'", "context.device.type == 'mobile'", "properties.tags.exists(t, t == 'a')")
	}
	if r.IntN(6) == 0 {
		d.Site = "shop"
	}
	window := pick(r, 0, 7*time.Second, 90*time.Second, time.Hour, day, 30*day)
	by := pick(r, "properties.category", "properties.tags", "properties.tags[]", "properties.products[].id", "properties.list.name", "context.device.type", "context.geo.country", "properties.price")
	value := pick(r, "properties.price", "properties.products[].price", "properties.category", "properties.tags")
	switch d.Kind {
	case trait.Count:
		d.Window = window
	case trait.Sum, trait.Average, trait.Min, trait.Max, trait.RFM, trait.Last:
		d.Window, d.Value = window, value
	case trait.First:
		d.Value = value
	case trait.Latest:
		d.Window, d.Value, d.Limit = window, value, r.IntN(4)
	case trait.Unique:
		d.Window, d.By = window, by
	case trait.Distinct:
		d.Window, d.By, d.Limit = window, by, r.IntN(4)
	case trait.MostFrequent:
		d.Window, d.By, d.Limit, d.AtLeast = window, by, r.IntN(4), r.IntN(3)
	case trait.TimeSince:
		d.Unit = pick(r, "", "second", "minute", "hour", "day")
	case trait.Affinity:
		d.By, d.HalfLife = by, pick(r, 10*time.Second, time.Hour, 14*day)
		d.Value = pick(r, "", "properties.price", "properties.products[].price")
	case trait.BestHour:
		d.HalfLife, d.Timezone = pick(r, 0, time.Hour, day), pick(r, "", "Europe/Helsinki")
	case trait.DaysActive:
		d.Window, d.Timezone = pick(r, 0, day, 7*day, 30*day), pick(r, "", "America/New_York", trait.Person)
	case trait.Streak:
		d.Unit, d.Timezone, d.Longest = pick(r, "", "day", "week", "month"), pick(r, "", "Asia/Tokyo", trait.Person), r.IntN(3) == 0
	case trait.Sequence:
		for range 2 + r.IntN(2) {
			d.Steps = append(d.Steps, trait.Step{Event: pick(r, "Viewed", "Bought", "page"), Where: pick(r, "", "", "properties.price > 20")})
		}
		d.Window, d.Within = window, pick(r, 0, time.Second, 90*time.Second, 3*day)
		if r.IntN(2) == 0 {
			d.Not, d.Within = &trait.Step{Event: pick(r, "Bought", "page")}, pick(r, time.Second, 90*time.Second, 3*day)
		}
	}
	return d
}

// someEvents makes a log: bursts of events, over seconds or over months, of which
// some are far apart and others in one millisecond.
func someEvents(r *rand.Rand) (list []*event.Event) {
	start := time.Date(2026, 3, 1, 21, 0, 0, 0, time.UTC).UnixMilli() + pick(r, int64(0), r.Int64N(9e9))
	spread := pick(r, int64(3_000), 120_000, 4_000_000, 3*86_400_000, 80*86_400_000)
	n := pick(r, 1, 5, 40, 40, 400)
	at := start
	for i := range n {
		switch r.IntN(3) {
		case 0:
			at = start + r.Int64N(spread)
		case 1:
			at += pick(r, int64(0), 500, 1000, 1000, 90_000)
		}
		e := &event.Event{Type: event.Track, Name: pick(r, "Viewed", "Bought", "Other"), MessageID: fmt.Sprint("m", i), Timestamp: at, Site: pick(r, "shop", "blog")}
		if r.IntN(4) == 0 {
			e.Type, e.Name = event.Page, ""
		}
		e.Properties = event.Value(fmt.Sprintf(`{"price":%s,"category":%s,"tags":%s,"products":%s,"list":{"name":"l%d"}}`,
			pick(r, "10", "25.5", `"30.25"`, "-4", "null", "0", `"x"`), pick(r, `"crime"`, `" crime "`, `"travel"`, `"a\u0062c"`, "12", "true", "{}", `""`),
			pick(r, `["a","b"]`, `["a","a"]`, `[]`, `"a"`), pick(r, `[{"id":"p1","price":5},{"id":"p2","price":"7.5"}]`, `[{"id":"p1"}]`, `[{"price":3}]`, `{}`), r.IntN(3)))
		if r.IntN(3) > 0 {
			e.Device = event.Device{Type: pick(r, "mobile", "desktop"), Timezone: pick(r, "", "Europe/Helsinki", "America/Los_Angeles", "No/Where")}
		}
		if r.IntN(3) > 0 {
			e.Geo = event.Geo{Country: pick(r, "FI", "SE"), Timezone: pick(r, "", "Asia/Tokyo")}
		}
		list = append(list, e)
	}
	return list
}

// TestSeriesAreWhatTheEventsSay compares what is computed of facets, that were
// folded in any order, joined in any grouping, written, read, and filled in part,
// with the events themselves; and holds each value to its Until.
func TestSeriesAreWhatTheEventsSay(t *testing.T) {
	seed := *first
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	for i := range uint64(*rounds) {
		if err := compare(rand.New(rand.NewPCG(seed+i, 1))); err != nil {
			t.Fatalf("-seed %d -rounds 1: %v", seed+i, err)
		}
	}
}

func compare(r *rand.Rand) error {
	var live, all []trait.Definition
	events := someEvents(r)
	order := r.Perm(len(events)) // as they come to the log, numbered from 1
	for i := range 8 {
		d := someDefinition(r, i)
		all = append(all, d)
		if r.IntN(2) == 0 {
			d.Since = uint64(r.IntN(len(events) + 1))
		}
		live = append(live, d)
	}
	set, err := trait.Compile(live)
	if err != nil {
		return err
	}
	filler, err := trait.Compile(all)
	if err != nil {
		return err
	}
	facets := make([]*facet.Facet, 1+r.IntN(4))
	parts := make([]facet.Partial, len(facets))
	for i := range facets {
		facets[i] = &facet.Facet{Key: facet.Key{AnonymousID: pick(r, "a", "b"), UserID: fmt.Sprint(i)}}
		parts[i] = facet.Partial{}
	}
	since := map[uint32]uint64{}
	var ids []uint32
	for _, d := range live {
		since[d.ID] = d.Since
		ids = append(ids, d.ID)
	}
	rules := facet.Rules{Contribute: set.Contribute}
	var oracle naive.Evaluator
	now := int64(0)
	fillAt := r.IntN(len(order) + 1)
	fill := func() {
		for i := range facets {
			facets[i].Fill(parts[i], ids)
			facets[i].Fill(parts[i], ids) // begun again
		}
	}
	where := make([]int, len(order))
	for n, i := range order { // what a fill finds of the past
		where[n] = r.IntN(len(facets))
		filler.Contribute(events[i], uint64(n+1), func(c *facet.Contribution) {
			if uint64(n+1) <= since[c.Spec.ID] {
				parts[where[n]].Add(c)
			}
		})
	}
	for n, i := range order {
		if n == fillAt {
			fill()
		}
		f := facets[where[n]]
		f.Fold(events[i], uint64(n+1), &rules)
		if r.IntN(20) == 0 {
			if facets[where[n]], err = facet.Decode(string(f.AppendBinary(nil))); err != nil {
				return err
			}
		}
		now = max(now, events[i].Timestamp)
	}
	if fillAt == len(order) {
		fill()
	}
	r.Shuffle(len(facets), func(i, j int) { facets[i], facets[j] = facets[j], facets[i] })
	p := facet.Join(facets)
	for range 4 {
		next := now + pick(r, 1, 999, 5_000, 3_600_000, 86_400_000*(1+r.Int64N(50)))
		c := set.Compute(p, now)
		for i := range all {
			d := &all[i]
			v, _ := c.Get(d.Name)
			got, want := v.JSON(), oracle.Evaluate(d, events, now)
			if got != want {
				return fmt.Errorf("%+v at %d:\ngot  %s\nwant %s\n%s", *d, now, got, want, told(events))
			}
			if v.Until <= now {
				return fmt.Errorf("%+v at %d: until %d", *d, now, v.Until)
			}
			at := min(v.Until-1, now+r.Int64N(200*86_400_000))
			if v.Until < math.MaxInt64 && r.IntN(2) == 0 {
				at = v.Until - 1
			}
			if v.Until < math.MaxInt64 && r.IntN(4) == 0 {
				next = v.Until
			}
			if then := oracle.Evaluate(d, events, at); then != got {
				return fmt.Errorf("%+v: %s at %d until %d, and %s at %d\n%s", *d, got, now, v.Until, then, at, told(events))
			}
		}
		now = next
	}
	return nil
}

func told(events []*event.Event) string {
	if len(events) > 60 {
		return fmt.Sprint(len(events), " events")
	}
	var b strings.Builder
	for _, e := range slices.SortedFunc(slices.Values(events), func(a, b *event.Event) int { return int(a.Timestamp - b.Timestamp) }) {
		fmt.Fprintf(&b, "%d %s %s %s %s\n", e.Timestamp, e.Type, e.Name, e.Properties, e.Device.Timezone)
	}
	return b.String()
}
