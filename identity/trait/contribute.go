package trait

import (
	"strconv"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
)

// work is what one call of Contribute needs, used again.
type work struct {
	vars  eventVars
	e     *event.Event
	add   func(*facet.Contribution)
	c     facet.Contribution
	holds []verdict      // of each different condition
	zone  *time.Location // the person's; nil: not asked for yet
	tie   uint64         // the event's stamp's, where tied
	tied  bool
}

// verdict is what a condition said of the event at hand.
type verdict uint8

const (
	unasked verdict = iota
	yes
	no
)

// Contribute says what e, the log's entry number seq, adds to the series of a
// facet, through add: the form of facet.Rules.Contribute. An event that no
// definition names costs one look into a map. Keys are windows into the event, and
// what add is given is its caller's again when it returns.
func (s *Set) Contribute(e *event.Event, seq uint64, add func(*facet.Contribution)) {
	if s == nil {
		return
	}
	named := s.byEvent[nameOf(e.Type, e.Name)]
	if len(named) == 0 && len(s.any) == 0 {
		return
	}
	w, ok := s.work.Get().(*work)
	if !ok {
		w = &work{holds: make([]verdict, len(s.wheres))}
	}
	w.e, w.add = e, add
	w.vars.reset(e)
	for _, list := range [...][]*definition{named, s.any} {
		for _, d := range list {
			// Nothing has the number 0: so an installation without a log may leave it out.
			if seq <= d.Since && d.Since > 0 || d.Site != "" && d.Site != e.Site || !s.holds(d.where, w) {
				continue
			}
			w.c = facet.Contribution{Spec: &d.spec, At: e.Timestamp}
			d.kind.contribute(d, w)
		}
	}
	w.e, w.add, w.zone, w.tied, w.c = nil, nil, nil, false, facet.Contribution{}
	w.vars.reset(nil)
	clear(w.holds)
	s.work.Put(w)
}

// holds asks the condition with the index i, −1 for none, once for all that have
// the same.
func (s *Set) holds(i int, w *work) bool {
	if i < 0 {
		return true
	}
	if w.holds[i] == unasked {
		w.holds[i] = no
		if s.wheres[i].Holds(&w.vars) {
			w.holds[i] = yes
		}
	}
	return w.holds[i] == yes
}

func nameOf(t event.Type, name string) string {
	if t == event.Track {
		return name
	}
	return t.String()
}

// Wants says whether any definition can want such an event. It does not ask
// conditions.
func (s *Set) Wants(t event.Type, name string) bool {
	return s != nil && (len(s.any) > 0 || len(s.byEvent[nameOf(t, name)]) > 0)
}

func (d *definition) addOne(w *work) {
	w.c.Tally.N = 1
	w.add(&w.c)
}

// addAmounts adds the amounts of one event as one tally.
func (d *definition) addAmounts(w *work) {
	d.value.each(&w.vars, func(v event.Value) {
		if n, ok := facet.Micros(v); ok {
			w.c.Tally.Add(facet.One(n))
		}
	})
	if w.c.Tally.N > 0 {
		w.add(&w.c)
	}
}

func (d *definition) addValues(w *work) {
	if !w.tied {
		w.tie, w.tied = facet.StampOf(w.e).Tie, true
	}
	w.c.Tie = w.tie
	d.value.each(&w.vars, func(v event.Value) {
		if w.c.Key = scalarOf(v); w.c.Key != "" {
			w.add(&w.c)
			w.c.Index++
		}
	})
}

// addKeys adds one for each key of an event, twice where it stands twice.
func (d *definition) addKeys(w *work) {
	if d.by.field != nil {
		if w.c.Key = keyOfText(d.by.field(w.e)); w.c.Key != "" {
			w.c.Tally = facet.Tally{N: 1}
			w.add(&w.c)
		}
		return
	}
	d.by.each(&w.vars, func(v event.Value) {
		if w.c.Key = keyOf(v); w.c.Key != "" {
			w.c.Tally = facet.Tally{N: 1}
			w.add(&w.c)
		}
	})
}

// addScores is addKeys, weighed by amounts where there is a Value: by those of the
// same item where both paths go through one list, else by the sum of them all.
func (d *definition) addScores(w *work) {
	if d.Value == "" {
		d.addKeys(w)
		return
	}
	if d.by.items && d.value.items && d.by.root == d.value.root && d.by.key == d.value.key && d.by.rest == d.value.rest {
		list := path{root: d.by.root, key: d.by.key, rest: d.by.rest, items: true}
		list.each(&w.vars, func(item event.Value) {
			key, amount := item, item
			if d.by.below != "" {
				key = item.Path(d.by.below)
			}
			if d.value.below != "" {
				amount = item.Path(d.value.below)
			}
			n, ok := facet.Micros(amount)
			if w.c.Key = keyOf(key); ok && n > 0 && w.c.Key != "" {
				w.c.Tally = facet.One(n)
				w.add(&w.c)
			}
		})
		return
	}
	var sum facet.Tally
	d.value.each(&w.vars, func(v event.Value) {
		if n, ok := facet.Micros(v); ok && n > 0 {
			sum.Add(facet.One(n))
		}
	})
	if sum.Sum <= 0 {
		return
	}
	d.by.each(&w.vars, func(v event.Value) {
		if w.c.Key = keyOf(v); w.c.Key != "" {
			w.c.Tally = facet.One(sum.Sum)
			w.add(&w.c)
		}
	})
}

// hours are the keys of best_hour, in the order of the day.
const hours = "000102030405060708091011121314151617181920212223"

func (d *definition) addHour(w *work) {
	zone := w.zoneFor(d)
	h := floorDiv(w.e.Timestamp+ahead(w.e.Timestamp, zone), unitMillis(Hour)) % 24
	if h < 0 {
		h += 24
	}
	w.c.Key, w.c.Tally.N = hours[2*h:2*h+2], 1
	w.add(&w.c)
}

func (d *definition) addPeriod(w *work) {
	w.c.Mark = period(d.unit, w.e.Timestamp, w.zoneFor(d))
	w.add(&w.c)
}

// zoneFor is the definition's time zone for the event at hand: the person's is found once.
func (w *work) zoneFor(d *definition) *time.Location {
	if d.fixed != nil {
		return d.fixed
	}
	if w.zone == nil {
		w.zone = d.zone(&w.e.Device, &w.e.Geo)
	}
	return w.zone
}

// zone is the definition's time zone: the one it names, or a person's.
func (d *definition) zone(device *event.Device, geo *event.Geo) *time.Location {
	if d.fixed != nil {
		return d.fixed
	}
	return d.zones.ofPerson(device, geo)
}

func (d *definition) addSteps(w *work) {
	name := nameOf(w.e.Type, w.e.Name)
	for i := range d.steps {
		st := &d.steps[i]
		if st.Event == name && d.set.holds(st.where, w) {
			w.c.Key, w.c.Mark = st.key, w.e.Timestamp
			w.add(&w.c)
		}
	}
}

func stepKey(i int) string { return strconv.Itoa(i) }
