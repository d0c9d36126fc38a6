package segment

import (
	"slices"
	"testing"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait/rule"
)

func FuzzDecodeStanding(f *testing.F) {
	traits, list := shop()
	w := newWorld(f, traits, list...)
	w.track("Order Completed", `{"order_id":"o1","revenue":900,"currency":"EUR"}`)
	for _, st := range []*Standing{{}, {Until: now, In: []Member{{3, now}}}, {Until: rule.Never, In: []Member{{1, 2}, {1 << 31, -5}}}, w.anew(w.now)} {
		b, _ := st.AppendBinary(nil)
		f.Add(b)
	}
	sub := w.subject(new(Subject), w.now)
	f.Fuzz(func(t *testing.T, record []byte) {
		st, err := DecodeStanding(record)
		if err != nil {
			return
		}
		if !slices.IsSortedFunc(st.In, func(a, b Member) int { return int(int64(a.Audience) - int64(b.Audience)) }) {
			t.Fatalf("not ascending: %v", st.In)
		}
		again, _ := st.AppendBinary(nil)
		back, err := DecodeStanding(again)
		if err != nil || !slices.Equal(back.In, st.In) || back.Until != st.Until || back.by != st.by {
			t.Fatalf("%+v, then %+v, %v", st, back, err)
		}
		st.by = w.set.print // whatever it says, judging does not fall over
		w.set.Judge(sub, st, facet.Change{Core: facet.ChangedOrders})
		w.set.Names(st)
	})
}
