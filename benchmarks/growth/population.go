// Package growth measures what an event costs while ten thousand, a million and
// five million persons are known, and how long a gateway with so many takes to
// start.
package growth

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/reuna/reuna/benchmarks/folder"
	"github.com/reuna/reuna/benchmarks/template"
	"github.com/reuna/reuna/benchmarks/workload"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/token"
)

// A Population's persons each came once, with one device and no login, in an
// order of chance over a month. Everything about it follows from its seed, so
// that what must be known of each is known.
type Population struct {
	Persons int    `json:"persons"`
	Seed    uint64 `json:"seed"`
	// Begin is the moment of the first event, ms since 1970.
	Begin int64 `json:"begin"`
}

const (
	spread     = 30 * 24 * time.Hour
	mostEvents = 3
	between    = 20_000 // ms between two events of a person
	// One person in everyHot comes back: ten in a hundred.
	everyHot = 10
)

// eventsOf is how many events person v has left: one in twelve of sixteen cases,
// two in one, three in three; 1.44 on average.
func (p Population) eventsOf(v int) int {
	switch n := p.hash(v, 1) % 16; {
	case n < 12:
		return 1
	case n < 13:
		return 2
	}
	return mostEvents
}

// total is the number of all events.
func (p Population) total() (n int64) {
	for v := range p.Persons {
		n += int64(p.eventsOf(v))
	}
	return n
}

// came is when the person in some place came.
func (p Population) came(place int) int64 {
	return p.Begin + int64(float64(spread.Milliseconds())*float64(place)/float64(p.Persons))
}

// hot is how many persons come back.
func (p Population) hot() int { return p.Persons / everyHot }

// visitor is the secret of v's cookie.
func (p Population) visitor(v int) (x token.Visitor) {
	for i := range 8 {
		x[i], x[8+i] = byte(p.hash(v, 2)>>(8*i)), byte(p.hash(v, 3)>>(8*i))
	}
	return x
}

// events makes them from what some visitors of the workload did.
type events struct {
	Population
	cookies  *token.Cookies
	visitors [][]template.Template
}

const templates = 500

// newEvents takes the install's cookie key, from which persons have their names.
func newEvents(p Population, key []byte) (*events, error) {
	cookies, err := token.NewCookies(key)
	if err != nil {
		return nil, err
	}
	now := time.UnixMilli(p.Begin)
	visitors, _, _, err := template.Visitors(p.Seed, templates, mostEvents, func() time.Time { return now })
	return &events{p, cookies, visitors}, err
}

// of is what v did.
func (t *events) of(v int) []template.Template {
	return t.visitors[t.hash(v, 4)%uint64(len(t.visitors))][:t.eventsOf(v)]
}

// make makes event n of person v.
func (t *events) make(e *event.Event, v, n int, at int64, r *rand.Rand) {
	t.of(v)[n].Fill(e, at, r)
	e.Timestamp, e.OriginalTimestamp, e.SentAt = at, at, at
	e.AnonymousID = t.cookies.AnonymousID(t.visitor(v))
	h := t.hash(v, 5)
	e.IP = netip.AddrFrom4([4]byte{byte(h)%200 + 11, byte(h >> 8), byte(h >> 16), 0}).String()
}

// past is what the i-th of those who come back brings.
func (t *events) past(i int) workload.Past {
	v := i * everyHot
	x := workload.Past{Cookie: "reuna=" + t.cookies.Encode(token.Cookie{Visitor: t.visitor(v)})}
	for _, did := range t.of(v) {
		x.Events++
		if did.Event.Type == event.Page {
			x.Pages++
		}
	}
	return x
}

// turn is the person who comes in some place: a permutation of all.
func (p Population) turn(place int) int {
	return folder.Turn(place, p.Persons)
}

func (p Population) hash(v int, purpose uint64) uint64 {
	return folder.Hash(p.Seed, v, purpose)
}
