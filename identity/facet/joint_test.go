package facet

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"testing"
)

// What orders come to is kept from answer to answer; it must always be what it is when it is
// reckoned anew.
func TestKeptTotalsAreThoseReckonedAnew(t *testing.T) {
	const seed = 11
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 50 {
		facets := make([]*Facet, 4)
		for i := range facets {
			facets[i] = &Facet{Key: Key{AnonymousID: fmt.Sprintf("a%d", i/2), UserID: fmt.Sprint(i % 2)}}
		}
		for step := range int64(60) {
			if f := facets[r.IntN(len(facets))]; r.IntN(2) == 0 {
				if f.Orders == nil {
					f.Orders = map[string]Order{}
				}
				at := Stamp{Time: r.Int64N(1000) + 1, Tie: uint64(step)}
				f.putOrder(fmt.Sprint(r.IntN(12)), Order{At: at, Currency: []string{"EUR", "USD"}[r.IntN(2)], Micros: r.Int64N(1e9)})
			}
			var some, anew []*Facet // several views of the same facets follow each other
			for _, f := range facets {
				if r.IntN(4) > 0 {
					some = append(some, f)
					anew = append(anew, &Facet{Key: f.Key, Orders: maps.Clone(f.Orders)})
				}
			}
			got, want := Join(some), Join(anew)
			if got.Orders != want.Orders || got.LastOrder != want.LastOrder || !reflect.DeepEqual(got.Revenue, want.Revenue) {
				t.Fatalf("step %d: %d orders, the last at %d, for %v: expected %d, %d, %v", step, got.Orders, got.LastOrder, got.Revenue, want.Orders, want.LastOrder, want.Revenue)
			}
		}
	}
}

// Somebody's answers do not cost more with every order, on however many devices those were.
func TestJoinCostsNothingForOldOrders(t *testing.T) {
	facets := []*Facet{{Key: Key{AnonymousID: "a"}}, {Key: Key{AnonymousID: "b"}}}
	join := func(orders int) float64 {
		for _, f := range facets {
			f.Orders = map[string]Order{}
			for i := range orders {
				f.putOrder(f.Key.AnonymousID+fmt.Sprint(i), Order{Currency: "EUR", Micros: 1})
			}
		}
		return testing.AllocsPerRun(100, func() { Join(facets) })
	}
	if few, many := join(1), join(500); many > few {
		t.Errorf("%v allocations with 500 orders on each device, %v with one: expected no more", many, few)
	}
}
