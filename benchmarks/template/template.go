// Package template makes events out of what the workload's visitors send: parsed
// and enriched once, and then sent again under names, ids and times of one's own.
package template

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

// Template is an event as a site's tag sent it.
type Template struct {
	Event event.Event
	// Where random identifiers stand, to be drawn anew.
	context, properties []hole
}

type hole struct{ from, to int }

// Visitors are what some visitors did: for each of them perVisitor events, which
// name no user, and the identify messages among them apart.
func Visitors(seed uint64, visitors, perVisitor int, now func() time.Time) (list [][]Template, logins []Template, json float64, err error) {
	w, err := workload.New(workload.Options{
		Visitors: visitors, Streams: visitors, Seed: seed, Origin: "https://shop.example", WriteKey: "wk_shop", Now: now,
	})
	if err != nil {
		return nil, nil, 0, err
	}
	enricher, err := enrich.New(enrich.Options{})
	if err != nil {
		return nil, nil, 0, err
	}
	bytes, bodies := 0, 0
	for _, s := range w.Streams() {
		var of []Template
		for len(of) < perVisitor {
			request := s.Next(workload.Shape{Format: workload.Interact, Batch: 1})
			x, err := read(enricher, request, now().UnixMilli())
			if err != nil {
				return nil, nil, 0, err
			}
			if x.Event.Type == event.Identify {
				logins = append(logins, x)
				continue
			}
			x.Event.UserID = ""
			of = append(of, x)
			bytes, bodies = bytes+len(request.Body), bodies+1
		}
		list = append(list, of)
	}
	if len(logins) == 0 {
		return nil, nil, 0, fmt.Errorf("none of %d visitors has logged in: take more", visitors)
	}
	return list, logins, float64(bytes) / float64(bodies), enricher.Close()
}

// Fill makes e the template's event, received at a time (ms since 1970).
func (x *Template) Fill(e *event.Event, at int64, r *rand.Rand) {
	*e = x.Event
	e.MessageID = messageID(at, r)
	e.ReceivedAt = at
	e.Timestamp = at - 20 - int64(r.Uint64N(150))
	e.OriginalTimestamp, e.SentAt = e.Timestamp, e.Timestamp+1
	e.Context = event.Value(refill(string(e.Context), x.context, r))
	e.Properties = event.Value(refill(string(e.Properties), x.properties, r))
}

func read(enricher *enrich.Enricher, r *workload.Request, at int64) (x Template, err error) {
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
	x.Event = b.Events[0]
	enricher.Enrich(&x.Event, &in)
	x.Event.Site, x.Event.Source, x.Event.Trust = "shop", event.FromTag, id.Claimed
	x.context = holes(string(x.Event.Context), `"pageViewId":"`)
	x.properties = holes(string(x.Event.Properties), `"cart_id":"c-`, `"order_id":"o-`)
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
