// Package facet keeps what we know of a person in pieces that never have to be
// moved: one facet for each device, for each user it said it was, at each level
// of trust. An event folds into exactly one facet, and a profile is the join of
// the facets that belong to a cluster.
package facet

import (
	"cmp"
	"hash/fnv"
	"maps"
	"strings"
	"sync"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
)

// Key names a facet. The zero texts stand for "none said".
type Key struct {
	AnonymousID string
	UserID      string
	Trust       id.Trust
	// Origin is which of a store's logs the events come from, from 1. Facets of
	// different origins never hold the same event, so their join counts each once.
	Origin uint16
}

// KeyOf gives the one facet that e folds into, an event of that origin. A
// blocked identifier must have been emptied before.
func KeyOf(e *event.Event, origin uint16) Key {
	return Key{AnonymousID: e.AnonymousID, UserID: e.UserID, Trust: e.Trust, Origin: origin}
}

// Less orders keys by their texts, then by trust and origin.
func (k Key) Less(o Key) bool { return k.Compare(o) < 0 }

// Compare orders keys for slices.SortFunc.
func (k Key) Compare(o Key) int {
	return cmp.Or(strings.Compare(k.AnonymousID, o.AnonymousID), strings.Compare(k.UserID, o.UserID), cmp.Compare(k.Trust, o.Trust), cmp.Compare(k.Origin, o.Origin))
}

// Owner is the identifier whose cluster the facet belongs to in view v: its
// user's, where the facet's trust reaches and nobody has cut the two; its
// device's otherwise. (identity.md, "Facets") What was claimed of a user without
// a device is nobody's in a view that claims do not reach, the zero ID: anybody
// with the write key can send it, and it is not to count as the user's.
func (k Key) Owner(v id.View, cut bool) id.ID {
	switch {
	case k.UserID != "" && v.Reaches(k.Trust) && !cut:
		return id.ID{Type: id.UserID, Value: k.UserID}
	case k.AnonymousID != "":
		return id.ID{Type: id.AnonymousID, Value: k.AnonymousID}
	}
	return id.ID{}
}

// Stamp orders writes to one value: by event time, then by the message. The
// larger one wins.
type Stamp struct {
	Time int64  // ms
	Tie  uint64 // a hash of the message's id
}

// StampOf is the stamp of everything that e writes.
func StampOf(e *event.Event) Stamp {
	h := fnv.New64a()
	h.Write([]byte(e.MessageID))
	return Stamp{e.Timestamp, h.Sum64()}
}

// After says that s is the later write.
func (s Stamp) After(o Stamp) bool {
	return s.Time > o.Time || s.Time == o.Time && s.Tie > o.Tie
}

// Last is a value of which the latest write stays (first: the earliest). Equal
// stamps are the same write.
type Last[T comparable] struct {
	At    Stamp
	Value T
	Set   bool
}

// put says whether the value is another now.
func (l *Last[T]) put(at Stamp, v T) (changed bool) {
	if l.Set && !at.After(l.At) {
		return false
	}
	changed = !l.Set || l.Value != v
	*l = Last[T]{at, v, true}
	return changed
}

func (l *Last[T]) putFirst(at Stamp, v T) (changed bool) {
	if l.Set && !l.At.After(at) {
		return false
	}
	changed = !l.Set || l.Value != v
	*l = Last[T]{at, v, true}
	return changed
}

// Trait is one value that somebody said of the person, with where it came from.
type Trait struct {
	Value  event.Value // null when it was taken back
	At     Stamp
	Trust  id.Trust
	Site   string
	Source event.Source
}

// wins is the rule of identity.md: verified beats claimed; within a trust the
// newest wins.
func (t *Trait) wins(o *Trait) bool {
	if t.Trust != o.Trust {
		return t.Trust > o.Trust
	}
	return t.At.After(o.At)
}

// Order is one purchase. Amounts are integers of a millionth, so that sums do
// not depend on their order.
type Order struct {
	At       Stamp
	Micros   int64
	Currency string
}

// Facet is everything that one device contributed while it said it was one
// user. Every member is a commutative and idempotent-by-event monoid: folding
// the same set of events in any order gives the same facet, and Join of two
// facets is the facet of both sets.
//
// Bounds (each drops the oldest, and only then can order matter): 96 visits,
// 2,000 orders, MaxTraits traits, 64 purposes, 256 exposures, and those of each series' form.
type Facet struct {
	Key Key

	First, Last int64 // event times, of people and robots
	// Events, Pageviews and Visits count what people did; what robots did is told
	// apart, and folds into everything else.
	Events       int64
	Pageviews    int64
	BotEvents    int64
	BotPageviews int64
	// Earlier says that some events were folded by a program that did not tell
	// people's page views and visits from robots', and kept no touch: Pageviews and
	// Visits may hold robots', and Touch may not be the latest.
	Earlier bool

	Visits  Visits
	Traits  map[string]Trait
	Orders  map[string]Order // by order id
	Device  Last[event.Device]
	Geo     Last[event.Geo]
	Traffic Last[event.Traffic] // latest source that an event named
	Touch   Last[event.Traffic] // latest that was not Direct: GA4's last non-direct click
	Arrival Last[event.Traffic] // first one
	Site    Last[string]
	Consent []Choice   // ascending by purpose
	Returns int64      // orders and products that came back
	Seen    []Exposure // ascending by placement, variant and holdout; never written
	// Computed are the series of computed traits, ascending by ID; nil: there are none.
	// Profiles share them: while one that was not released has them, they are not
	// written.
	Computed *Kept

	// lent says that a profile may have Traits: then they are copied before they are
	// written. totals are those of Orders, nil until somebody asks; nobody writes them.
	lent   bool
	totals *totals
	joint  joint // what Orders come to with those of the facets joined last
}

// Bounds of a facet.
const (
	maxOrders = 2000
	// MaxTraits is the default of limits.traits_per_person.
	MaxTraits = 6000
)

// Rules are what folding needs to know besides the event.
type Rules struct {
	// MaxTraits bounds the traits of one facet; 0 means MaxTraits.
	MaxTraits int
	// Contribute names what the event, the log's entry number seq, adds to computed
	// traits. What it gives to add is only read before add returns. Nil when nothing
	// is defined.
	Contribute func(e *event.Event, seq uint64, add func(*Contribution))
}

// Folded is what came of folding an event.
type Folded struct {
	Refused int    // traits that a bound kept out
	Change  Change // what may be different in a profile of this facet alone
	// Renewed is what is newer now, if not different: in a profile of several facets
	// it may count instead of what another one has.
	Renewed Core
}

// Fold adds one event, the log's entry number seq. It keeps no reference to the
// event's memory.
func (f *Facet) Fold(e *event.Event, seq uint64, r *Rules) (done Folded) {
	at := StampOf(e)
	if f.First == 0 || e.Timestamp < f.First {
		f.First = e.Timestamp
	}
	f.Last = max(f.Last, e.Timestamp)
	changed := ChangedEvents
	page := int64(0)
	if e.Type == event.Page || e.Type == event.Screen {
		page = 1
		changed |= ChangedPageviews
	}
	if e.Bot.Is {
		f.BotEvents++
		f.BotPageviews += page
	} else {
		f.Events++
		f.Pageviews += page
		visits := f.Visits.Count()
		if f.Visits.Add(e.Timestamp); f.Visits.Count() != visits {
			changed |= ChangedSessions
		}
		done.Renewed |= ChangedSessions // a longer visit may be one with another facet's
	}
	chose := strings.Contains(string(e.Context), `"consent"`) // costs little; most events say nothing of it
	done.Renewed |= f.renewed(e, at, chose)
	if e.Device != (event.Device{}) && f.Device.put(at, keep(e.Device, f.Device.Value, deviceTexts)) {
		changed |= ChangedDevice
	}
	if e.Geo != (event.Geo{}) && f.Geo.put(at, keep(e.Geo, f.Geo.Value, geoTexts)) {
		changed |= ChangedGeo
	}
	if e.Traffic.Channel != "" && f.foldTraffic(e.Traffic, at) {
		changed |= ChangedTraffic
	}
	if f.Site.put(at, keep(e.Site, f.Site.Value, itself)) {
		changed |= ChangedSite
	}
	if chose && f.foldConsent(e, at) {
		changed |= ChangedConsent
	}
	if e.Type == event.Identify && e.Traits != "" {
		done.Refused = f.foldTraits(e, at, r)
		changed |= ChangedTraits
	}
	if e.Type == event.Track {
		switch e.Name {
		case "Order Completed":
			f.foldOrder(e, at)
			changed |= ChangedOrders
		case "Order Refunded", "Order Returned", "Product Returned":
			f.Returns++
			changed |= ChangedOrders
		case "Experiment Viewed":
			if f.foldExposure(e) {
				changed |= ChangedSeen
			}
		}
	}
	if r.Contribute != nil {
		x := contributing.Get().(*contributor)
		x.f = f
		r.Contribute(e, seq, x.add)
		if x.kept != nil {
			x.copies.forget()
			x.kept.tidy()
		}
		done.Change.Computed = x.change.Computed
		x.f, x.kept, x.change = nil, nil, Change{}
		contributing.Put(x)
	}
	done.Change.Core = changed
	return done
}

// contributor takes an event's contributions in. It is used again, since a
// function of a facet's own would go to the heap for every event, wanted or not.
type contributor struct {
	f      *Facet
	kept   *Kept // the facet's, once something is added
	change Change
	copies copies
	warm   int64 // nothing: what touch gave
	add    func(*Contribution)
}

var contributing = sync.Pool{New: func() any {
	x := &contributor{}
	x.add = x.contribute
	return x
}}

func (x *contributor) contribute(c *Contribution) {
	if x.kept == nil {
		x.kept = x.f.own()
		x.warm += x.kept.touch()
	}
	c.copies = &x.copies
	i, found := x.kept.find(c.Spec.ID)
	if x.kept.add(i, found, c) {
		x.change.Mark(int(c.Spec.Slot))
	}
	c.copies = nil
}

// renewed is what e says of that is newer than what the facet has, whatever it
// was: joined with other facets, it may be what counts now.
func (f *Facet) renewed(e *event.Event, at Stamp, chose bool) (c Core) {
	if e.Device != (event.Device{}) && at.After(f.Device.At) {
		c |= ChangedDevice
	}
	if e.Geo != (event.Geo{}) && at.After(f.Geo.At) {
		c |= ChangedGeo
	}
	if e.Traffic.Channel != "" && (at.After(f.Traffic.At) || at.After(f.Touch.At) || f.Arrival.At.After(at)) {
		c |= ChangedTraffic
	}
	if at.After(f.Site.At) {
		c |= ChangedSite
	}
	if chose {
		c |= ChangedConsent
	}
	return c
}

// foldTraffic keeps one copy of t however many of the three it becomes.
func (f *Facet) foldTraffic(t event.Traffic, at Stamp) (changed bool) {
	switch t {
	case f.Traffic.Value:
		t = f.Traffic.Value
	case f.Touch.Value:
		t = f.Touch.Value
	case f.Arrival.Value:
		t = f.Arrival.Value
	default:
		t = copied(t, trafficTexts)
	}
	changed = f.Traffic.put(at, t)
	changed = f.Arrival.putFirst(at, t) || changed
	if t.Channel != event.Direct {
		changed = f.Touch.put(at, t) || changed
	}
	return changed
}

func (f *Facet) foldTraits(e *event.Event, at Stamp, r *Rules) (refused int) {
	most := cmp.Or(r.MaxTraits, MaxTraits)
	e.Traits.Each(func(name string, v event.Value) bool {
		have, ok := f.Traits[name]
		t := Trait{At: at, Trust: e.Trust, Source: e.Source}
		switch {
		case ok && !t.wins(&have):
			return true
		case !ok && len(f.Traits) >= most:
			refused++
			return true
		}
		switch {
		case f.Traits == nil:
			f.Traits = map[string]Trait{}
		case f.lent:
			f.Traits, f.lent = maps.Clone(f.Traits), false
		}
		t.Value, t.Site = event.Value(strings.Clone(string(v))), strings.Clone(e.Site)
		f.Traits[strings.Clone(name)] = t
		return true
	})
	return refused
}

// foldOrder counts an order once by its order_id, however often a reloaded
// thank-you page reports it. The amount is `revenue`, else `total`, else
// `value` (Segment's e-commerce spec, then GA4's).
func (f *Facet) foldOrder(e *event.Event, at Stamp) {
	key := e.Properties.Get("order_id").Text()
	if key == "" {
		key = e.MessageID
	}
	o := Order{At: at, Currency: strings.Clone(strings.ToUpper(e.Properties.Get("currency").Text()))}
	for _, name := range [...]string{"revenue", "total", "value"} {
		if v := e.Properties.Get(name); v != "" {
			o.Micros, _ = Micros(v)
			break
		}
	}
	if len(o.Currency) > 8 {
		o.Currency = ""
	}
	if f.Orders == nil {
		f.Orders = map[string]Order{}
	}
	f.putOrder(strings.Clone(key), o)
}

// putOrder keeps the earliest report of an order.
func (f *Facet) putOrder(key string, o Order) {
	if have, ok := f.Orders[key]; ok && !have.At.After(o.At) {
		return
	}
	f.Orders[key], f.totals = o, nil
	if len(f.Orders) > maxOrders {
		oldest := key
		for k, x := range f.Orders {
			if at := f.Orders[oldest].At; at.After(x.At) || at == x.At && k < oldest {
				oldest = k
			}
		}
		delete(f.Orders, oldest)
	}
}

// keep gives v with memory of its own: have's, when they are equal (nearly
// always), otherwise a copy, so that no facet holds on to a request's body.
func keep[T comparable](v, have T, of func(*T) texts) T {
	if v == have {
		return have
	}
	return copied(v, of)
}

// copied is apart from keep so that only a value that changed goes to the heap.
func copied[T any](v T, of func(*T) texts) T {
	for _, s := range of(&v) {
		if s != nil {
			*s = strings.Clone(*s)
		}
	}
	return v
}

// texts are those of a value, in the order of the facet's record, then nil: an array, so
// that to go through them costs no memory.
type texts [10]*string

func deviceTexts(d *event.Device) texts {
	list := deviceTexts2(d)
	list[7], list[8], list[9] = &d.Language, &d.Timezone, &d.Screen
	return list
}

// deviceTexts2 are those of versions 1 and 2.
func deviceTexts2(d *event.Device) texts {
	return texts{&d.Type, &d.OS, &d.OSVersion, &d.Browser, &d.BrowserVersion, &d.Vendor, &d.Model}
}

func geoTexts(g *event.Geo) texts {
	return texts{&g.Country, &g.Region, &g.City, &g.Postcode, &g.Timezone, &g.ASOrg}
}

func trafficTexts(t *event.Traffic) texts {
	return texts{&t.Channel, &t.Source, &t.Medium, &t.Campaign, &t.Term, &t.Content, &t.ClickID, &t.ClickType, &t.Referrer}
}
