package enrich

import (
	"net/netip"

	"github.com/reuna/reuna/gateway/enrich/pageurl"
	"github.com/reuna/reuna/identity/event"
)

// Refused makes a message that was refused fit for the quarantine, where it may
// be mended and sent again: its addresses are cleaned as an event's are, and the
// client's is cut as configured. What is no JSON is cleaned as text. clean may be
// nil.
func (e *Enricher) Refused(raw string, clean *pageurl.Cleaner) string {
	if clean == nil {
		clean = e.cleaner
	}
	v, err := event.Check(raw)
	if err != nil || v.Kind() != event.Object {
		return pageurl.Text(raw)
	}
	v = clean.Message(v)
	if v.Get("context", "ip") == "" {
		return string(v)
	}
	w := event.NewWriter(make([]byte, 0, len(v)))
	w.Open()
	v.Each(func(k string, m event.Value) bool {
		if k == "context" && m.Kind() == event.Object {
			kept := ""
			if addr, err := netip.ParseAddr(m.Get("ip").Text()); err == nil {
				kept = e.policy.text(plain(addr))
			}
			m = withIP(m, kept)
		}
		w.Raw(k, m)
		return true
	})
	w.Close()
	return string(w.Bytes())
}
