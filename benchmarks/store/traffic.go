package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/reuna/reuna/benchmarks/workload"
	"github.com/reuna/reuna/gateway/enrich"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
)

// traffic makes the events of a population. The bodies of a few thousand
// visitors of benchmarks/workload are parsed and enriched once; each visitor of
// the population does what one of them did, under names, ids and times of
// their own.
type traffic struct {
	Population
	visitors [][]template
	logins   []template
	json     float64 // length of a body with one event, bytes, on average
}

type template struct {
	e event.Event
	// ids are where random identifiers stand, to be drawn anew.
	context, properties []hole
}

type hole struct{ from, to int }

// perTemplate is how many events of a template's visitor are known.
const perTemplate = 16

func newTraffic(p Population, templates int) (*traffic, error) {
	now := time.Unix(1_790_000_000, 0)
	w, err := workload.New(workload.Options{
		Visitors: templates, Streams: templates, Seed: p.Seed, Origin: "https://shop.example", WriteKey: "wk_shop", Now: func() time.Time { return now },
	})
	if err != nil {
		return nil, err
	}
	enricher, err := enrich.New(enrich.Options{})
	if err != nil {
		return nil, err
	}
	t := &traffic{Population: p}
	bytes, bodies := 0, 0
	for _, s := range w.Streams() {
		var list []template
		for len(list) < perTemplate {
			request := s.Next(workload.Shape{Format: workload.Interact, Batch: 1})
			x, err := readTemplate(enricher, request, now.UnixMilli())
			if err != nil {
				return nil, err
			}
			if x.e.Type == event.Identify {
				t.logins = append(t.logins, x)
				continue
			}
			x.e.UserID = ""
			list = append(list, x)
			bytes, bodies = bytes+len(request.Body), bodies+1
		}
		t.visitors = append(t.visitors, list)
	}
	if len(t.logins) == 0 {
		return nil, fmt.Errorf("none of %d visitors has logged in: take more templates", templates)
	}
	t.json = float64(bytes) / float64(bodies)
	return t, enricher.Close()
}

func readTemplate(enricher *enrich.Enricher, r *workload.Request, at int64) (x template, err error) {
	in := enrich.Input{Host: "t.shop.example"}
	for _, h := range r.Headers {
		v := string(h.Value)
		switch h.Name {
		case "User-Agent":
			in.UserAgent = v
		case "Sec-CH-UA":
			in.Hints.UA = v
		case "Sec-CH-UA-Mobile":
			in.Hints.Mobile = v
		case "Sec-CH-UA-Platform":
			in.Hints.Platform = v
		case "Origin":
			in.Origin = v
		case "X-Forwarded-For":
			if in.Client, err = netip.ParseAddr(v); err != nil {
				return x, err
			}
		}
	}
	var b event.Batch
	if err := event.Parse(&b, string(r.Body), event.ParseOptions{ReceivedAt: at}); err != nil {
		return x, fmt.Errorf("%s: %w", r.Body, err)
	}
	if len(b.Events) != 1 || len(b.Rejected) > 0 {
		return x, fmt.Errorf("%s: %d events, refused %v", r.Body, len(b.Events), b.Rejected)
	}
	x.e = b.Events[0]
	enricher.Enrich(&x.e, &in)
	x.e.Site, x.e.Source, x.e.Trust = "shop", event.FromTag, id.Claimed
	x.context = holes(string(x.e.Context), `"pageViewId":"`)
	x.properties = holes(string(x.e.Properties), `"cart_id":"c-`, `"order_id":"o-`)
	return x, nil
}

// holes finds the texts that follow the marks, up to their closing quotes.
func holes(text string, marks ...string) (list []hole) {
	for _, mark := range marks {
		if i := strings.Index(text, mark); i >= 0 {
			from := i + len(mark)
			list = append(list, hole{from, from + strings.IndexByte(text[from:], '"')})
		}
	}
	return list
}

// refill gives text with other random digits in its holes.
func refill(text string, list []hole, r *rand.Rand) string {
	if len(list) == 0 {
		return text
	}
	const digits = "0123456789abcdef"
	b := []byte(text)
	for _, h := range list {
		random := r.Uint64()
		for i := h.from; i < h.to; i++ {
			if (i-h.from)%16 == 15 {
				random = r.Uint64()
			}
			if b[i] != '-' {
				b[i] = digits[random&15]
				random >>= 4
			}
		}
	}
	return string(b)
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
	*e = x.e
	e.AnonymousID = t.anonymous(v)
	e.MessageID = messageID(at, r)
	e.ReceivedAt = at
	e.Timestamp = at - 20 - int64(r.Uint64N(150))
	e.OriginalTimestamp, e.SentAt = e.Timestamp, e.Timestamp+1
	e.Context = event.Value(refill(string(e.Context), x.context, r))
	e.Properties = event.Value(refill(string(e.Properties), x.properties, r))
	e.IP = netip.AddrFrom4([4]byte{byte(h>>8)%200 + 11, byte(h >> 16), byte(h >> 24), 0}).String()
	if login >= 0 && n >= login {
		e.UserID, e.Trust = userOf(v), id.Verified
	}
	if n == login {
		e.Traits = event.Value(`{"plan":"plus","email":"reader` + e.UserID[2:] + `@mail.example","newsletter":true}`)
	}
}

// messageID is a version 7 UUID, which the tag makes.
func messageID(at int64, r *rand.Rand) string {
	const digits = "0123456789abcdef"
	hi, lo := uint64(at)<<16|7<<12|r.Uint64()&0xfff, r.Uint64()&^(3<<62)|2<<62
	var b [36]byte
	for i, n := 0, 0; i < len(b); i++ {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			b[i] = '-'
			continue
		}
		word := hi
		if n >= 16 {
			word = lo
		}
		b[i] = digits[word>>(60-4*(n%16))&15]
		n++
	}
	return string(b[:])
}
