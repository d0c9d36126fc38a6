package main

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sort"
	"strings"
	"time"

	"github.com/reuna/reuna/benchmarks/workload"
	"github.com/reuna/reuna/gateway/enrich"
	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
)

// entry is an event as the log holds it.
type entry struct {
	owner      int // whose it is
	seq        uint64
	receivedAt int64
	eventTime  int64
	json       int // length of the event's JSON, its share of the batch included
	bytes      []byte
}

// A traffic is a kind of site whose events are measured.
type traffic struct {
	name string
	make func(visitors int, seed uint64, now func() time.Time) (source, error)
}

// source makes the next request of a visitor.
type source interface {
	next(visitor int) (body string, typ event.Source, in enrich.Input)
}

func traffics() []traffic {
	return []traffic{{"bookshop", newShop}, {"SaaS", newSaaS}, {"SaaS-unheard-of", newUnheardOf}}
}

// month is when the visits happen.
var month = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// population makes visitors with perVisitor events each, in the order of their
// receipt. They come in visits of about five events, spread over 28 days, so a
// log of them is as mixed as a real one.
func (t traffic) population(visitors, perVisitor int, seed uint64) ([]entry, error) {
	return t.populationOf(visitors, func(int) int { return perVisitor }, seed)
}

// populationOf is population where visitors differ.
func (t traffic) populationOf(visitors int, perVisitor func(visitor int) int, seed uint64) ([]entry, error) {
	r := rand.New(rand.NewPCG(seed, 1))
	type moment struct {
		at      int64
		visitor int
	}
	var plan []moment
	for v := range visitors {
		var at int64
		for left, n := perVisitor(v), 0; left > 0; left-- {
			if n == 0 {
				n = 1 + r.IntN(9)
				at = month.UnixMilli() + r.Int64N(28*24*3600*1000)
			}
			n--
			plan = append(plan, moment{at, v})
			at += 1000 + r.Int64N(60_000)
		}
	}
	sort.Slice(plan, func(i, j int) bool { return plan[i].at < plan[j].at })
	var clock int64
	src, err := t.make(visitors, seed, func() time.Time { return time.UnixMilli(clock) })
	if err != nil {
		return nil, err
	}
	enricher, err := enrich.New(enrich.Options{})
	if err != nil {
		return nil, err
	}
	out := make([]entry, 0, len(plan))
	for i, m := range plan {
		clock = m.at
		received := m.at + 20 + r.Int64N(150)
		body, typ, in := src.next(m.visitor)
		var b event.Batch
		if err := event.Parse(&b, body, event.ParseOptions{ReceivedAt: received}); err != nil {
			return nil, fmt.Errorf("%s: %w", body, err)
		}
		if len(b.Events) != 1 || len(b.Rejected) > 0 {
			return nil, fmt.Errorf("%s: %d events, %v", body, len(b.Events), b.Rejected)
		}
		e := &b.Events[0]
		enricher.Enrich(e, &in)
		e.Site, e.Source = strings.ToLower(t.name), typ
		e.Trust = id.Claimed
		if typ == event.FromServer {
			e.Trust = id.Verified
		}
		if typ == event.FromTag {
			e.AnonymousID = anonymousID(seed, m.visitor)
		}
		out = append(out, entry{
			owner: m.visitor, seq: uint64(i) + 1, receivedAt: received, eventTime: e.Timestamp, json: len(body),
			// As the log writes it: its kind and a flag stand before the event.
			bytes: e.AppendBinary([]byte{1, 0}),
		})
	}
	return out, enricher.Close()
}

// anonymousID looks like a visitor cookie's: v_ and 26 letters.
func anonymousID(seed uint64, visitor int) string {
	r := rand.New(rand.NewPCG(seed, uint64(visitor)))
	b := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, r.Uint64()), r.Uint64())
	return "v_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

// shop is benchmarks/workload, one stream for each visitor.
type shop struct{ streams []*workload.Stream }

func newShop(visitors int, seed uint64, now func() time.Time) (source, error) {
	w, err := workload.New(workload.Options{
		Visitors: visitors, Streams: visitors, Seed: seed, Nonce: seed, Origin: "https://shop.example", WriteKey: "wk_shop", Now: now,
	})
	if err != nil {
		return nil, err
	}
	return &shop{w.Streams()}, nil
}

func (s *shop) next(visitor int) (string, event.Source, enrich.Input) {
	request := s.streams[visitor].Next(workload.Shape{Format: workload.Interact, Batch: 1})
	in := enrich.Input{Host: "t.shop.example"}
	for _, h := range request.Headers {
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
			in.Client, _ = netip.ParseAddr(v) // none, where it does not parse, as in the gateway
		}
	}
	return string(request.Body), event.FromTag, in
}
