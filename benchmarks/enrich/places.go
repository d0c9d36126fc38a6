package enrich

import (
	"github.com/reuna/reuna/gateway/enrich"
	"github.com/reuna/reuna/identity/event"
)

// placeCosts are those of addresses that were not seen before.
func placeCosts(m *meter) ([]Cost, error) {
	e, err := enrich.New(enrich.Options{AddrCacheSize: 2})
	if err != nil {
		return nil, err
	}
	var all []Cost
	for _, s := range []struct {
		name string
		six  bool
	}{{"a place by IPv4 address, never seen", false}, {"a place by IPv6 address, never seen", true}} {
		from := addresses(4096, s.six)
		do := func(i int) {
			ev := event.Event{Source: event.FromTag}
			e.Enrich(&ev, &enrich.Input{Client: from[i]})
		}
		c := Cost{Name: s.name, Bar: 3, Allocs: perCall(len(from), do)}
		c.Mean, c.Median, c.P99 = m.each(len(from), do)
		all = append(all, c)
	}
	return all, nil
}
