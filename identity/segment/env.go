package segment

import (
	"fmt"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
)

// Env is the language of segments and placements over one set of computed
// traits. It is made at its first rule, so that an installation without rules
// pays nothing. It is safe for concurrent use.
type Env struct {
	traits *trait.Set
	make   func() (*rule.Env, error)
}

// NewEnv gives the language in which computed.… are the traits of t; t may be
// nil.
func NewEnv(t *trait.Set) *Env {
	return &Env{traits: t, make: sync.OnceValues(func() (*rule.Env, error) { return newEnv(t) })}
}

// Rule compiles one condition. path names it in faults; segments are those that
// it may ask for.
func (e *Env) Rule(path, text string, segments []string) (*rule.Rule, rule.Faults) {
	return e.rule(path, text, func(r *rule.Reader) {
		r.MembersOf("segments", func(id int64, name string) { known(r, id, name, segments) })
	})
}

func (e *Env) rule(path, text string, check rule.Check) (*rule.Rule, rule.Faults) {
	env, err := e.make()
	if err != nil {
		return nil, rule.Faults{{Path: path, Message: err.Error()}}
	}
	return env.Compile(path, text, check)
}

// reads is what of a profile rules depend on that use so much.
func (e *Env) reads(list rule.Uses) (c facet.Change) {
	for _, u := range list {
		switch u.Name {
		case "traits":
			c.Core |= facet.ChangedTraits
		case "computed":
			e.readsComputed(&c, u.Member)
		case "affinity":
			for _, d := range e.traits.Definitions() {
				if d.Kind == trait.Affinity {
					e.readsComputed(&c, d.Name)
				}
			}
		case "counts":
			c.Core |= countsRead(u.Member)
		case "identifiers":
			c.Core |= facet.ChangedIdentity
		case "geo":
			c.Core |= facet.ChangedGeo
		case "device":
			c.Core |= facet.ChangedDevice
		case "traffic", "firstTouch", "lastTouch":
			c.Core |= facet.ChangedTraffic
		case "consent":
			c.Core |= facet.ChangedConsent
		case "site":
			c.Core |= facet.ChangedSite
		case "segments", "now":
		}
	}
	return c
}

func (e *Env) readsComputed(c *facet.Change, name string) {
	slot, ok := e.traits.Slot(name)
	if ok {
		c.Mark(slot)
	} else {
		for slot := range facet.MaxComputed { // the rule takes it as a whole
			c.Mark(slot)
		}
	}
	for _, d := range e.traits.Definitions() {
		// Hours and days may be those of where the person is.
		if (!ok || d.Name == name) && (d.Timezone == trait.Person || d.Timezone == "" && d.Kind == trait.BestHour) {
			c.Core |= facet.ChangedDevice | facet.ChangedGeo
		}
	}
}

func countsRead(member string) facet.Core {
	switch member {
	case "events", "botEvents":
		return facet.ChangedEvents
	case "pageviews", "botPageviews":
		return facet.ChangedPageviews
	case "sessions":
		return facet.ChangedSessions
	case "orders", "revenue", "averageOrder", "lastOrder", "returns":
		return facet.ChangedOrders
	}
	// A device is known from its first event on.
	return facet.ChangedEvents | facet.ChangedPageviews | facet.ChangedSessions | facet.ChangedOrders | facet.ChangedIdentity
}

// The most that a person can have of what rules walk over.
const (
	maxKeys        = 256  // of an affinity, as a series keeps; and purposes
	maxKeyBytes    = 256  // of one of an affinity's
	maxName        = 64   // bytes of a trait's, a segment's, a purpose's, a type's
	maxSegments    = 1000 // that one could sensibly define
	maxIdentifiers = 1000 // of a cluster (identity.md, rule 3)
)

func newEnv(t *trait.Set) (*rule.Env, error) {
	object := func(o *rule.Object) *cel.Type { return cel.ObjectType(o.Name) }
	computed := t.Object()
	o := rule.Options{
		Owner:   t,
		Objects: []*rule.Object{computed, counts(), geo(), device(), traffic()},
		Size: func(path []string) uint64 {
			if len(path) == 1 {
				switch path[0] {
				case "traits":
					return facet.MaxTraits
				case "affinity", "consent":
					return maxKeys
				case "segments":
					return maxSegments
				case "identifiers":
					return maxIdentifiers
				}
			}
			if path[0] == "computed" && len(path) > 1 {
				entries, bytes := t.Bounds(path[1])
				if len(path) == 2 && entries > 0 {
					return uint64(entries)
				}
				return uint64(bytes)
			}
			if len(path) == 2 && (path[1] == "@keys" || path[1] == "@items") {
				if path[0] == "affinity" {
					return maxKeyBytes
				}
				return maxName
			}
			return 0
		},
	}
	o.Vars = []rule.Var{
		{Name: "traits", Type: cel.MapType(cel.StringType, cel.DynType)},
		{Name: "computed", Type: object(computed)},
		{Name: "counts", Type: object(o.Objects[1])},
		{Name: "segments", Type: cel.ListType(cel.StringType)},
		{Name: "identifiers", Type: cel.ListType(cel.StringType)},
		{Name: "geo", Type: object(o.Objects[2])},
		{Name: "device", Type: object(o.Objects[3])},
		{Name: "traffic", Type: object(o.Objects[4])},
		{Name: "firstTouch", Type: object(o.Objects[4])},
		{Name: "lastTouch", Type: object(o.Objects[4])},
		{Name: "site", Type: cel.StringType},
		{Name: "consent", Type: cel.MapType(cel.StringType, cel.BoolType)},
		{Name: "affinity", Type: cel.MapType(cel.StringType, cel.DoubleType)},
		{Name: "now", Type: cel.TimestampType, Moving: true},
	}
	o.Functions = functions(t)
	env, err := rule.NewEnv(o)
	if err != nil {
		return nil, fmt.Errorf("segment: %w", err)
	}
	return env, nil
}

// textField is a text of a T, absent where it is empty.
func textField[T any](name string, read func(*T) string) rule.Field {
	return rule.Field{Name: name, Type: types.StringType, Get: func(of any) (any, bool) {
		t, ok := of.(*T)
		if !ok {
			return types.String(""), false
		}
		s := read(t)
		return types.String(s), s != ""
	}, Plain: func(of any) (rule.Plain, bool) {
		t, ok := of.(*T)
		if !ok {
			return rule.PlainText(""), false
		}
		s := read(t)
		return rule.PlainText(s), s != ""
	}}
}

func intField[T any](name string, read func(*T) int64) rule.Field {
	return rule.Field{Name: name, Type: types.IntType, Get: func(of any) (any, bool) {
		t, ok := of.(*T)
		if !ok {
			return types.IntZero, false
		}
		n := read(t)
		return types.Int(n), n != 0
	}, Plain: func(of any) (rule.Plain, bool) {
		t, ok := of.(*T)
		if !ok {
			return rule.PlainInt(0), false
		}
		n := read(t)
		return rule.PlainInt(n), n != 0
	}}
}

// numberField is a number of a profile; read says whether there is one.
func numberField(name string, read func(*facet.Profile) (float64, bool)) rule.Field {
	number := func(of any) (n float64, has bool) {
		p, ok := of.(*facet.Profile)
		if !ok {
			return 0, false
		}
		return read(p)
	}
	return rule.Field{Name: name, Type: types.DoubleType, Get: func(of any) (any, bool) {
		n, has := number(of)
		return types.Double(n), has
	}, Plain: func(of any) (rule.Plain, bool) {
		n, has := number(of)
		return rule.PlainDouble(n), has
	}}
}

// countField is one that has a place.
func countField(name string, place int, read func(*facet.Profile) int64) rule.Field {
	f := intField(name, read)
	f.At = rule.At{As: rule.AsInt, Place: place}
	return f
}

// growing is a field that no event makes less.
func growing(f rule.Field) rule.Field {
	f.Grows = func(rule.Plain) rule.Trend { return rule.Rises }
	return f
}

// counts are of what people did, but for those that say bot.
func counts() *rule.Object {
	type p = facet.Profile
	return &rule.Object{Name: "reuna.counts", Fields: []rule.Field{
		growing(countField("events", placeEvents, func(p *p) int64 { return p.Events })),
		growing(countField("pageviews", placePageviews, func(p *p) int64 { return p.Pageviews })),
		growing(countField("botEvents", placeBotEvents, func(p *p) int64 { return p.BotEvents })),
		growing(countField("botPageviews", placeBotPageviews, func(p *p) int64 { return p.BotPageviews })),
		countField("sessions", placeSessions, func(p *p) int64 { return p.Sessions }),
		countField("orders", placeOrders, func(p *p) int64 { return p.Orders }),
		// Of the currency with the most of it: sums of several mean nothing.
		numberField("revenue", func(p *p) (float64, bool) {
			if len(p.Revenue) == 0 {
				return 0, false
			}
			return float64(p.Revenue[0].Micros) / 1e6, true
		}),
		// Likewise: of those who bought in several currencies it is less than the truth.
		numberField("averageOrder", func(p *p) (float64, bool) {
			if len(p.Revenue) == 0 || p.Orders == 0 {
				return 0, false
			}
			return float64(p.Revenue[0].Micros) / 1e6 / float64(p.Orders), true
		}),
		{Name: "lastOrder", Type: types.TimestampType, Get: func(of any) (any, bool) {
			p, ok := of.(*p)
			if !ok || p.LastOrder == 0 {
				return types.Timestamp{Time: time.Unix(0, 0).UTC()}, false
			}
			return types.Timestamp{Time: time.UnixMilli(p.LastOrder).UTC()}, true
		}, Plain: func(of any) (rule.Plain, bool) {
			p, ok := of.(*p)
			if !ok {
				return rule.PlainTime(0), false
			}
			return rule.PlainTime(p.LastOrder), p.LastOrder != 0
		}},
		countField("returns", placeReturns, func(p *p) int64 { return p.Returns }),
		intField("devices", func(p *p) int64 { return int64(len(p.Devices)) }),
	}}
}

func geo() *rule.Object {
	type g = event.Geo
	return &rule.Object{Name: "reuna.geo", Fields: []rule.Field{
		textField("country", func(g *g) string { return g.Country }),
		textField("region", func(g *g) string { return g.Region }),
		textField("city", func(g *g) string { return g.City }),
		textField("postcode", func(g *g) string { return g.Postcode }),
		textField("timezone", func(g *g) string { return g.Timezone }),
		intField("asn", func(g *g) int64 { return int64(g.ASN) }),
		textField("asOrg", func(g *g) string { return g.ASOrg }),
	}}
}

func device() *rule.Object {
	type d = event.Device
	return &rule.Object{Name: "reuna.device", Fields: []rule.Field{
		textField("type", func(d *d) string { return d.Type }),
		textField("os", func(d *d) string { return d.OS }),
		textField("osVersion", func(d *d) string { return d.OSVersion }),
		textField("browser", func(d *d) string { return d.Browser }),
		textField("browserVersion", func(d *d) string { return d.BrowserVersion }),
		textField("vendor", func(d *d) string { return d.Vendor }),
		textField("model", func(d *d) string { return d.Model }),
		textField("language", func(d *d) string { return d.Language }),
		textField("timezone", func(d *d) string { return d.Timezone }),
		textField("screen", func(d *d) string { return d.Screen }),
	}}
}

func traffic() *rule.Object {
	type t = event.Traffic
	return &rule.Object{Name: "reuna.traffic", Fields: []rule.Field{
		textField("channel", func(t *t) string { return t.Channel }),
		textField("source", func(t *t) string { return t.Source }),
		textField("medium", func(t *t) string { return t.Medium }),
		textField("campaign", func(t *t) string { return t.Campaign }),
		textField("term", func(t *t) string { return t.Term }),
		textField("content", func(t *t) string { return t.Content }),
		textField("clickId", func(t *t) string { return t.ClickID }),
		textField("clickType", func(t *t) string { return t.ClickType }),
		textField("referrer", func(t *t) string { return t.Referrer }),
	}}
}
