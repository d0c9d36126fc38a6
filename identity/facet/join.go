package facet

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/reuna/reuna/identity/event"
)

// Profile is the join of facets: all that a view lets us know of a person.
type Profile struct {
	First, Last  int64
	Events       int64
	Pageviews    int64
	BotEvents    int64
	BotPageviews int64
	Sessions     int64 // summed over devices

	Traits  map[string]Trait // shared, never written
	Orders  int64
	Revenue []Amount // by currency, largest first; shared, never written
	Device  event.Device
	Geo     event.Geo
	Traffic event.Traffic // latest source, Direct too
	// FirstTouch and LastTouch are what brought the person here for the first time,
	// and last: the latest source that was not Direct, if there was one.
	FirstTouch event.Traffic
	LastTouch  event.Traffic
	Devices    []DeviceSeen // latest first
	LastOrder  int64        // ms; 0: none
	Returns    int64        // events "Order Refunded", "Order Returned", "Product Returned"
	Site       string       // of the latest event
	Consent    []Choice     // ascending by purpose
	Seen       []Exposure   // ascending by placement, variant and holdout; shared, never written
	Computed   Joined       // the series of computed traits

	one [1]DeviceSeen // room for Devices: most have one
}

// Amount is money in millionths of one currency.
type Amount struct {
	Currency string
	Micros   int64
}

// DeviceSeen is one device of the person.
type DeviceSeen struct {
	AnonymousID string
	Device      event.Device
	First, Last int64
	Sessions    int64
}

// Join makes the profile of the given facets. The same facets give the same
// profile in whatever order they come; none is changed, but for notes of what a profile
// shares and what was summed up: as with Fold, a facet is for one goroutine at a time.
func Join(facets []*Facet) *Profile {
	if !slices.IsSortedFunc(facets, compareFacets) {
		facets = slices.SortedFunc(slices.Values(facets), compareFacets)
	}
	p := &Profile{}
	var device, seen Last[event.Device] // the person's, and of the device at hand
	var geo Last[event.Geo]
	var traffic, touch, arrival Last[event.Traffic]
	var site Last[string]
	var visits Visits // of the device at hand
	own := false      // p.Traits are not a facet's
	for i, f := range facets {
		if f.First != 0 && (p.First == 0 || f.First < p.First) {
			p.First = f.First
		}
		p.Last = max(p.Last, f.Last)
		p.Events += f.Events
		p.Pageviews += f.Pageviews
		p.BotEvents += f.BotEvents
		p.BotPageviews += f.BotPageviews
		own = p.joinTraits(f, own)
		join(&device, &f.Device)
		join(&geo, &f.Geo)
		join(&site, &f.Site)
		p.Returns += f.Returns
		if len(f.Consent) > 0 {
			p.Consent = joinConsent(p.Consent, f.Consent)
		}
		p.Seen = joinSeen(p.Seen, f.Seen)
		join(&traffic, &f.Traffic)
		join(&touch, &f.Touch)
		if f.Arrival.Set {
			arrival.putFirst(f.Arrival.At, f.Arrival.Value)
		}
		p.Computed.add(f.Computed)
		// The facets of one device are neighbours: its sessions are one union,
		// so that logging in does not start a second one.
		last := i+1 == len(facets) || facets[i+1].Key.AnonymousID != f.Key.AnonymousID
		if i == 0 || facets[i-1].Key.AnonymousID != f.Key.AnonymousID {
			visits = Visits{Spans: f.Visits.Spans, Older: f.Visits.Older}
			if !last {
				visits.Spans = slices.Clone(visits.Spans)
			}
			seen = f.Device
			if p.Devices == nil {
				p.Devices = p.one[:0]
			}
			p.Devices = append(p.Devices, DeviceSeen{AnonymousID: f.Key.AnonymousID, First: f.First, Last: f.Last})
		} else {
			visits.Merge(&f.Visits)
			join(&seen, &f.Device)
			d := &p.Devices[len(p.Devices)-1]
			d.First, d.Last = min(d.First, f.First), max(d.Last, f.Last)
		}
		if last {
			p.Sessions += visits.Count()
			d := &p.Devices[len(p.Devices)-1]
			d.Device, d.Sessions = seen.Value, visits.Count()
		}
	}
	p.Device, p.Geo, p.Traffic, p.Site = device.Value, geo.Value, traffic.Value, site.Value
	p.FirstTouch, p.LastTouch = arrival.Value, traffic.Value
	if touch.Set {
		p.LastTouch = touch.Value
	}
	p.sum(facets)
	if len(p.Devices) > 0 && p.Devices[0].AnonymousID == "" { // a server's events have no device
		p.Devices = p.Devices[1:]
	}
	slices.SortStableFunc(p.Devices, func(a, b DeviceSeen) int { return cmp.Compare(b.Last, a.Last) })
	return p
}

// joinTraits takes a facet's traits in: of the usual person one facet has all of them, and
// they are its own until another has some.
func (p *Profile) joinTraits(f *Facet, own bool) bool {
	switch {
	case len(f.Traits) == 0:
		return own
	case p.Traits == nil:
		p.Traits, f.lent = f.Traits, true
		return false
	case !own:
		p.Traits = maps.Clone(p.Traits)
	}
	for name, t := range f.Traits {
		if have, ok := p.Traits[name]; !ok || t.wins(&have) {
			p.Traits[name] = t
		}
	}
	return true
}

func compareFacets(a, b *Facet) int { return a.Key.Compare(b.Key) }

func join[T comparable](into, from *Last[T]) {
	if from.Set {
		into.put(from.At, from.Value)
	}
}

// totals are what orders come to.
type totals struct {
	orders  int64
	last    int64    // ms; 0: none
	revenue []Amount // by currency, largest first
}

// joint are the totals of several facets. It stands in the first of them.
//
// Invariant: a facet whose orders change gets other totals, at another place. So all is right as
// long as parts are the facets' totals, and it holds on to no facet.
type joint struct {
	parts []*totals
	all   *totals
}

// sum tells what the orders come to. Somebody may have thousands, and answers go out far
// more often than orders come in: whoever is summed up stays so until an order comes.
func (p *Profile) sum(facets []*Facet) {
	var first *Facet
	with := 0 // facets that have orders
	same := true
	for _, f := range facets {
		if len(f.Orders) == 0 {
			continue
		}
		if f.totals == nil {
			f.totals = sum(f.Orders)
		}
		if first == nil {
			first = f
		}
		same = same && with < len(first.joint.parts) && first.joint.parts[with] == f.totals
		with++
	}
	switch {
	case with == 0:
		return
	case with == 1:
		p.put(first.totals)
		return
	case !same || with != len(first.joint.parts):
		j := joint{parts: make([]*totals, 0, with), all: sum(joinedOrders(facets))}
		for _, f := range facets {
			if len(f.Orders) > 0 {
				j.parts = append(j.parts, f.totals)
			}
		}
		first.joint = j
	}
	p.put(first.joint.all)
}

func (p *Profile) put(t *totals) {
	p.Orders, p.LastOrder, p.Revenue = t.orders, t.last, slices.Clip(t.revenue)
}

func sum(orders map[string]Order) *totals {
	t := &totals{orders: int64(len(orders))}
	sums := map[string]int64{}
	for _, o := range orders {
		sums[o.Currency] += o.Micros
		t.last = max(t.last, o.At.Time)
	}
	for c, n := range sums {
		t.revenue = append(t.revenue, Amount{c, n})
	}
	slices.SortFunc(t.revenue, func(a, b Amount) int {
		return cmp.Or(cmp.Compare(b.Micros, a.Micros), strings.Compare(a.Currency, b.Currency))
	})
	return t
}

// joinedOrders gives every order once, as its earliest report has it. The map is
// read only: of the usual person, one facet has all the orders.
func joinedOrders(facets []*Facet) (all map[string]Order) {
	own := false
	for _, f := range facets {
		switch {
		case len(f.Orders) == 0:
			continue
		case all == nil:
			all = f.Orders
			continue
		case !own:
			all, own = maps.Clone(all), true
		}
		for k, o := range f.Orders {
			if have, ok := all[k]; !ok || have.At.After(o.At) {
				all[k] = o
			}
		}
	}
	return all
}

// Placed is an order with its id: the order_id that was sent, or the message's.
type Placed struct {
	ID string
	Order
}

// NewestOrders gives up to most orders of the given facets, newest first, each
// once as its earliest report has it.
func NewestOrders(facets []*Facet, most int) []Placed {
	list := make([]Placed, 0, most+1)
	for k, o := range joinedOrders(facets) { // somebody may have thousands: none but the newest are sorted
		x := Placed{k, o}
		at, _ := slices.BinarySearchFunc(list, x, newerFirst)
		if at < most {
			list = slices.Insert(list, at, x)
			list = list[:min(most, len(list))]
		}
	}
	return list
}

func newerFirst(a, b Placed) int {
	return cmp.Or(cmp.Compare(b.At.Time, a.At.Time), cmp.Compare(b.At.Tie, a.At.Tie), strings.Compare(a.ID, b.ID))
}
