package facet

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
)

// TestPartsTellWhatTheirJoinTells: what is read of several facets is what their joined
// series say, at any time, whether they are many or few, late or of the future.
func TestPartsTellWhatTheirJoinTells(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	of := append(specs(), &Spec{ID: 11, Form: Newest, Window: 30_000, Most: 1}, &Spec{ID: 12, Form: Newest, Most: 1}, &Spec{ID: 13, Form: Oldest, Most: 1})
	windows := map[uint32][]int64{1: {0}, 2: {600_000, 100_000}, 3: {45_000, 20_000}, 6: {100_000}, 8: {30_000}, 11: {30_000}}
	for round := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, round))
		spread := []int64{5_000, 60_000, 900_000}[r.IntN(3)]
		list := make([]Contribution, 1+r.IntN([]int{10, 100, 600}[r.IntN(3)]))
		for i := range list {
			list[i] = someContribution(r, spread)
			if x := of[r.IntN(len(of))]; x.ID > 10 || r.IntN(2) == 0 {
				if list[i].Spec = x; x.ID <= 3 {
					list[i].Key = ""
				}
			}
		}
		var facets []*Facet
		for rest := list; len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(max(1, len(list)/2)))
			p, f := partialOf(rest[:n]), &Facet{Key: Key{AnonymousID: string(rune('a' + len(facets)))}}
			for _, x := range of {
				f.Fill(p, []uint32{x.ID})
			}
			facets, rest = append(facets, f), rest[n:]
		}
		for range 20 {
			now := 1_700_000_000_000 + r.Int64N(2*spread+100_000) - 10_000
			for _, x := range of {
				window := int64(0)
				if w := windows[x.ID]; w != nil {
					window = w[r.IntN(len(w))]
				}
				parts, joined := Join(facets), Join(facets).Series(x.ID)
				got, until := parts.Tally(x.ID, now, window)
				want, end := joined.Tally("", now, window)
				if got != want || until != end {
					t.Fatalf("round %d: series %d of %d facets at %d: %+v until %d, joined %+v until %d", round, x.ID, len(facets), now, got, until, want, end)
				}
				if at, ok := parts.Newest(x.ID); ok == joined.Empty() || at != joined.Last() {
					t.Fatalf("round %d: series %d: newest %d, %v, joined %d", round, x.ID, at, ok, joined.Last())
				}
				some, until := parts.Values(x.ID, now, window)
				same, end := joined.Values(now, window)
				if until != end || !slices.Equal(valuesOf(some), valuesOf(same)) {
					t.Fatalf("round %d: series %d at %d: values %v until %d, joined %v until %d", round, x.ID, now, valuesOf(some), until, valuesOf(same), end)
				}
				met, end := joined.Recent(nil, now, window)
				for key := 'a'; key < 'i'; key++ {
					most := 1 + r.IntN(5)
					in, until := joined.AmongRecent(string(key), most, now, window)
					if want := slices.ContainsFunc(met[:min(most, len(met))], func(m Met) bool { return m.Key == string(key) }); in != want || until != end {
						t.Fatalf("round %d: %c among the first %d of %v: %v until %d, want until %d", round, key, most, met, in, until, end)
					}
				}
				parts.Release()
			}
		}
	}
	if sum, _ := (*Profile)(nil).Tally(1, 1, 0); sum.N != 0 {
		t.Error("nobody did something")
	}
}

func valuesOf(l List) (list []event.Value) {
	for i := range l.Len() {
		list = append(list, l.At(i))
	}
	return list
}

// TestContributionsThatTellNothingChangeNothing: a second visit on a day, and what comes
// behind the first.
func TestContributionsThatTellNothingChangeNothing(t *testing.T) {
	first, days := &Spec{ID: 1, Slot: 1, Form: Oldest, Most: 1}, &Spec{ID: 2, Slot: 2, Form: Moments, Most: 2}
	f := &Facet{}
	for i, x := range []struct {
		c       Contribution
		changed bool
	}{
		{Contribution{Spec: first, At: 10, Key: "1"}, true},
		{Contribution{Spec: first, At: 11, Key: "2"}, false},
		{Contribution{Spec: first, At: 9, Key: "3"}, true},
		{Contribution{Spec: days, At: 10, Mark: 5}, true},
		{Contribution{Spec: days, At: 20, Mark: 5}, false},
		{Contribution{Spec: days, At: 20, Mark: 7}, true},
		{Contribution{Spec: days, At: 20, Mark: 3}, false},
		{Contribution{Spec: days, At: 20, Mark: 6}, true},
		{Contribution{Spec: days, At: 20, Key: "other", Mark: 3}, true},
	} {
		rules := &Rules{Contribute: func(_ *event.Event, _ uint64, add func(*Contribution)) { add(&x.c) }}
		e := &event.Event{Type: event.Page, Timestamp: x.c.At}
		if got := f.Fold(e, 1, rules).Change; got.Has(int(x.c.Spec.Slot)) != x.changed {
			t.Errorf("contribution %d: %b", i, got.Computed)
		}
	}
}
