package pipeline

import (
	"net/netip"
	"strings"
	"time"

	"github.com/reuna/reuna/identity/event"
)

// An event that is counted without a cookie belongs to nobody. It is enriched
// like any other, and then everything goes that could tell one person from
// another, but for the daily id, before anything is looked up or written:
//
//   - the sender's identifiers and traits, and whatever links;
//   - of the context, all but the members of cookielessContext;
//   - of addresses, queries (but for campaign tags) and fragments;
//   - of the client's address, what retention.ip truncated would not keep; the
//     device's model and the postcode, which few share;
//   - of refused messages, all but why.
//
// What a site puts into its own properties is the site's to answer for.

// Counter names the visitors of a day who have no cookie.
type Counter interface {
	DailyID(site string, client netip.Addr, userAgent string, now time.Time) (string, error)
}

// count readies a request of nobody's.
func (p *Pipeline) count(j *job) error {
	r := j.r
	r.AnonymousID, r.Fresh, r.Batch.Token = "", false, ""
	var err error
	if j.daily, err = p.o.Counter.DailyID(r.Site, r.Client, r.UserAgent, time.UnixMilli(r.ReceivedAt)); err != nil {
		return &Unavailable{"salt_failed", "the gateway could not make today's salt for counting without cookies; send it again later", 5 * time.Second, err}
	}
	for i := range r.Batch.Rejected {
		x := &r.Batch.Rejected[i]
		x.Raw, x.Field, x.Message = "", "", "refused in a batch that was counted without any id; its text is not kept"
	}
	return nil
}

// anonymise takes out of an event what could tell its sender from others.
func (j *job) anonymise(e *event.Event) {
	e.AnonymousID, e.UserID, e.PreviousID, e.GroupID, e.Empty = j.daily, "", "", "", 0
	e.Traits, e.Integrations = "", ""
	e.Traffic.ClickID, e.Device.Model, e.Geo.Postcode = "", "", ""
	e.IP = truncated(e.IP)
	w := event.NewWriter(make([]byte, 0, len(e.Context)))
	w.Open()
	e.Context.Each(func(k string, v event.Value) bool {
		switch {
		case k == "page":
			w.Raw(k, bareAddresses(v))
		case k == "campaign":
			w.Raw(k, bareCampaign(v))
		case cookielessContext(k):
			w.Raw(k, v)
		}
		return true
	})
	w.Close()
	e.Context = event.Value(w.Bytes())
	e.Properties = bareAddresses(e.Properties)
}

// cookielessContext says whether a member of the context is kept: what one page
// load has in common with many. The run and the numbers are the load's own, from
// which losses are counted; nothing keeps them beyond it.
func cookielessContext(k string) bool {
	switch k {
	case "library", "pageViewId", "run", "seq", "runs", "locale", "timezone", "timezoneOffset", "screen", "consent":
		return true
	}
	return false
}

// bareCampaign gives context.campaign without the click ids of the query that the
// tag found in the address before the page cleaned it.
func bareCampaign(v event.Value) event.Value {
	if v.Kind() != event.Object {
		return ""
	}
	w := event.NewWriter(make([]byte, 0, len(v)))
	w.Open()
	v.Each(func(k string, m event.Value) bool {
		if k == "query" {
			m = event.Quote(strings.TrimPrefix(bareAddress("?"+m.Text()), "?"))
		}
		w.Raw(k, m)
		return true
	})
	w.Close()
	return event.Value(w.Bytes())
}

// bareAddresses gives the object with its members url, search and referrer
// without what may name somebody: the click ids of advertisers, tokens, addresses
// of mails that were answered.
func bareAddresses(v event.Value) event.Value {
	if v.Kind() != event.Object {
		return ""
	}
	w := event.NewWriter(make([]byte, 0, len(v)))
	w.Open()
	v.Each(func(k string, m event.Value) bool {
		if m.Kind() == event.String && (k == "url" || k == "search" || k == "referrer") {
			m = event.Quote(bareAddress(m.Text()))
		}
		w.Raw(k, m)
		return true
	})
	w.Close()
	return event.Value(w.Bytes())
}

// bareAddress keeps of a query the campaign tags, and of a fragment nothing.
func bareAddress(text string) string {
	text, _, _ = strings.Cut(text, "#")
	base, query, _ := strings.Cut(text, "?")
	mark := "?"
	for pair := range strings.SplitSeq(query, "&") {
		if strings.HasPrefix(pair, "utm_") {
			base += mark + pair
			mark = "&"
		}
	}
	return base
}

// truncated is an address as retention.ip truncated keeps it.
func truncated(text string) string {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return ""
	}
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return "" // unreachable: both lengths fit their family
	}
	return p.Addr().String()
}
