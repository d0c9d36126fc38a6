package trait

import (
	"fmt"
	"testing"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
)

// fifty are definitions of which an order meets ten, eight of them by a condition.
func fifty(t testing.TB) *Set {
	list := []Definition{
		{Name: "orders", Kind: Count, Event: "Order Completed", Window: 30 * day},
		{Name: "favourite", Kind: Affinity, Event: "Order Completed", By: "properties.category", HalfLife: 14 * day},
	}
	for i := range 8 {
		d := Definition{Name: fmt.Sprint("w", i), Kind: Count, Event: "Order Completed", Window: 30 * day, Where: fmt.Sprintf("properties.total > %d.0 && properties.category == 'crime'", i)}
		switch i % 4 {
		case 1:
			d.Kind, d.Value = Sum, "properties.total"
		case 2:
			d.Kind, d.By = Unique, "properties.category"
		case 3:
			d.Window = 0
		}
		list = append(list, d)
	}
	for i := len(list); i < 50; i++ {
		list = append(list, Definition{Name: fmt.Sprint("o", i), Kind: Count, Event: fmt.Sprint("Other ", i), Where: "properties.total > 1.0", Window: 30 * day})
	}
	return compile(t, list...)
}

func order(t testing.TB) *event.Event {
	e := track(t, "Order Completed", `{"order_id":"o1","total":49.9,"currency":"EUR","category":"crime","products":[{"product_id":"p1","price":49.9,"category":"crime"}]}`)
	e.Context = value(t, `{"library":{"name":"reuna","version":"1"},"page":{"url":"https://shop.example/done","path":"/done","title":"Thank you"},"locale":"fi-FI"}`)
	return e
}

// BenchmarkFold is an event's whole way into a facet: with 50 definitions, of
// which ten want it or none, and without any. A busy facet's windows are full.
func BenchmarkFold(b *testing.B) {
	set := fifty(b)
	for _, c := range []struct {
		name  string
		rules facet.Rules
		event *event.Event
		busy  bool
	}{
		{"ten of fifty", facet.Rules{Contribute: set.Contribute}, order(b), false},
		{"ten of fifty, busy", facet.Rules{Contribute: set.Contribute}, order(b), true},
		{"none of fifty", facet.Rules{Contribute: set.Contribute}, &event.Event{Type: event.Page, Timestamp: now}, false},
		{"page without definitions", facet.Rules{}, &event.Event{Type: event.Page, Timestamp: now}, false},
		{"order without definitions", facet.Rules{}, order(b), false},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			f := &facet.Facet{}
			if c.busy {
				for i := range int64(200) {
					c.event.Timestamp = now + i*1000
					f.Fold(c.event, 1, &c.rules)
				}
			}
			for b.Loop() {
				if c.busy {
					c.event.Timestamp += 1000
				}
				f.Fold(c.event, 1, &c.rules)
			}
		})
	}
}

// BenchmarkCompute reads ten traits of a profile.
func BenchmarkCompute(b *testing.B) {
	set := fifty(b)
	f := &facet.Facet{}
	for i := range int64(50) {
		e := order(b)
		e.Timestamp = now - i*3_600_000
		f.Fold(e, 1, &facet.Rules{Contribute: set.Contribute})
	}
	p := facet.Join([]*facet.Facet{f})
	var c Computed
	b.ReportAllocs()
	for b.Loop() {
		c.Reset(set, p, now)
		for i := range 10 {
			c.value(i)
		}
	}
}
