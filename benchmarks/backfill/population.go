// Package backfill measures how fast a new audience is filled from the events of
// a million persons, and what the collector's visitors notice of it.
package backfill

import (
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/reuna/reuna/benchmarks/folder"
	"github.com/reuna/reuna/benchmarks/template"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
)

// A Population's devices come three times each, once in each stretch of 30 days,
// in an order of chance, and leave a handful of events each time. Everything
// about it follows from its seed, so that the size of an audience is known.
type Population struct {
	Devices int    `json:"devices"`
	Seed    uint64 `json:"seed"`
	// Begin is the moment of the first event, ms since 1970.
	Begin int64 `json:"begin"`
}

const (
	visits  = 3
	stretch = 30 * 24 * time.Hour
	// A visit has leastEvents to mostEvents; together 9 to 21 a person.
	leastEvents, mostEvents = 3, 7
)

// eventsIn is how many events device v leaves in a visit.
func (p Population) eventsIn(v, visit int) int {
	return leastEvents + int(p.hash(v, uint64(visit)+8)%(mostEvents-leastEvents+1))
}

// total is the number of all events.
func (p Population) total() (n int64) {
	for v := range p.Devices {
		for k := range visits {
			n += int64(p.eventsIn(v, k))
		}
	}
	return n
}

// came is the moment of a visit: devices come one after the other, in the order
// that turn gives, spread evenly over a stretch.
func (p Population) came(place, visit int) int64 {
	all := stretch.Milliseconds()
	return p.Begin + int64(visit)*all + int64(float64(all)*float64(place)/float64(p.Devices))
}

// turn is the device that comes in some place: a permutation, the same in each
// stretch, of all of them.
func (p Population) turn(place int) int {
	return folder.Turn(place, p.Devices)
}

// user is the account that v logs in to on its second visit: one device in
// twenty does, and two of these have one account. "" for the others.
func (p Population) user(v int) string {
	if v%20 != 0 {
		return ""
	}
	return "u-" + strconv.Itoa(v/40)
}

// loginVisit is the visit whose first event is the login.
const loginVisit = 1

// marked says that an event of v is one that the new audience asks for.
func (p Population) marked(v, visit, n int) bool {
	return p.hash(v, 1000+uint64(visit)*100+uint64(n))%6 == 0 && !(visit == loginVisit && n == 0)
}

// Audience is what is asked of the population: persons with two such events or
// more in the 30 days before now.
func (p Population) Audience(now int64) int {
	from := now - stretch.Milliseconds()
	users := map[string]int{}
	size := 0
	for place := range p.Devices {
		v, n := p.turn(place), 0
		for k := range visits {
			at := p.came(place, k)
			for i := range p.eventsIn(v, k) {
				if t := at + int64(i)*between; t > from && t <= now && p.marked(v, k, i) {
					n++
				}
			}
		}
		if u := p.user(v); u != "" {
			users[u] += n
		} else if n >= atLeast {
			size++
		}
	}
	for _, n := range users {
		if n >= atLeast {
			size++
		}
	}
	return size
}

// Within counts the events received in some time.
func (p Population) Within(from, to int64) (n int64) {
	for place := range p.Devices {
		v := p.turn(place)
		for k := range visits {
			if at := p.came(place, k); at > from && at <= to {
				n += int64(p.eventsIn(v, k))
			}
		}
	}
	return n
}

// Persons is how many there are: devices with one account are one.
func (p Population) Persons() int {
	n := p.Devices
	for v := 20; v < p.Devices; v += 40 {
		n--
	}
	return n
}

const (
	atLeast = 2
	between = 20_000 // ms between two events of a visit
)

// events makes them from what some visitors of the workload did.
type events struct {
	Population
	visitors [][]template.Template
	logins   []template.Template
}

const (
	templates   = 2000
	perTemplate = 16
)

func newEvents(p Population) (*events, error) {
	now := time.UnixMilli(p.Begin)
	visitors, logins, _, err := template.Visitors(p.Seed, min(templates, p.Devices), perTemplate, func() time.Time { return now })
	return &events{p, visitors, logins}, err
}

// make makes event n of a visit of device v.
func (t *events) make(e *event.Event, v, visit, n int, at int64, r *rand.Rand) {
	h := t.hash(v, 4)
	list := t.visitors[h%uint64(len(t.visitors))]
	user := t.user(v)
	login := user != "" && visit == loginVisit && n == 0
	if login {
		t.logins[h%uint64(len(t.logins))].Fill(e, at, r)
	} else {
		list[(visit*mostEvents+n)%len(list)].Fill(e, at, r)
	}
	e.Timestamp = at
	e.OriginalTimestamp, e.SentAt = at, at
	e.AnonymousID = t.anonymous(v)
	e.IP = netip.AddrFrom4([4]byte{byte(h>>8)%200 + 11, byte(h >> 16), byte(h >> 24), 0}).String()
	if user != "" && visit >= loginVisit {
		e.UserID, e.Trust = user, id.Verified
	}
	switch {
	case login:
		e.Traits = event.Value(`{"plan":"plus","email":"reader` + user[2:] + `@mail.example","newsletter":true}`)
	case t.marked(v, visit, n):
		e.Type, e.Name, e.Traits = event.Track, eventName, ""
		e.Properties = event.Value(markedProperties)
	}
}

// The events that the new audience asks for are product views with a mark, which
// no visitor of the collector sends.
const (
	eventName        = "Product Viewed"
	markedProperties = `{"product_id":"bk-10042","name":"Winter Harbour","category":"thrillers","price":12.50,"currency":"EUR","list":"autumn"}`
	where            = "properties.list == 'autumn'"
)

// anonymous is what v's cookie says, in its form: v_ and 26 letters.
func (p Population) anonymous(v int) string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], p.hash(v, 2))
	binary.LittleEndian.PutUint64(b[8:], p.hash(v, 3))
	return "v_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}

func (p Population) hash(v int, purpose uint64) uint64 {
	return folder.Hash(p.Seed, v, purpose)
}
