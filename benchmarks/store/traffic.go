package main

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/reuna/reuna/benchmarks/template"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
)

// traffic makes the events of a population. The bodies of a few thousand
// visitors of benchmarks/workload are parsed and enriched once; each visitor of
// the population does what one of them did, under names, ids and times of
// their own.
type traffic struct {
	Population
	visitors [][]template.Template
	logins   []template.Template
	json     float64 // length of a body with one event, bytes, on average
}

// perTemplate is how many events of a template's visitor are known.
const perTemplate = 16

func newTraffic(p Population, templates int) (*traffic, error) {
	now := time.Unix(1_790_000_000, 0)
	visitors, logins, json, err := template.Visitors(p.Seed, templates, perTemplate, func() time.Time { return now })
	return &traffic{p, visitors, logins, json}, err
}

// event makes visitor v's event n, which is received at a time (ms since 1970).
func (t *traffic) event(e *event.Event, v, n int, at int64, r *rand.Rand) {
	h := t.hash(v, 4)
	list := t.visitors[h%uint64(len(t.visitors))]
	x := &list[n%len(list)]
	login := t.login(v)
	if n == login {
		x = &t.logins[h%uint64(len(t.logins))]
	}
	x.Fill(e, at, r)
	e.AnonymousID = t.anonymous(v)
	e.IP = netip.AddrFrom4([4]byte{byte(h>>8)%200 + 11, byte(h >> 16), byte(h >> 24), 0}).String()
	if login >= 0 && n >= login {
		e.UserID, e.Trust = userOf(v), id.Verified
	}
	if n == login {
		e.Traits = event.Value(`{"plan":"plus","email":"reader` + e.UserID[2:] + `@mail.example","newsletter":true}`)
	}
}
