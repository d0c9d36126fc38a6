package facet

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
)

// specs are series of every form, narrow enough that a few hundred contributions
// go over what is kept exactly.
func specs() []*Spec {
	return []*Spec{
		{ID: 1, Slot: 0, Form: Total},
		{ID: 2, Slot: 1, Form: Tallies, Window: 600_000, Width: 6_250, Most: 128},
		{ID: 3, Slot: 64, Form: Tallies, Window: 45_000, Width: 1000, Most: 8},
		{ID: 4, Slot: 65, Form: Tallies},
		{ID: 5, Slot: 255, Form: Tallies, Window: 200_000, Width: 2_000},
		{ID: 6, Form: Recent, Window: 100_000, Most: 5},
		{ID: 7, Form: Recent, Most: 3},
		{ID: 8, Form: Newest, Window: 30_000, Most: 10},
		{ID: 9, Form: Oldest, Most: 2},
		{ID: 10, Form: Moments, Most: 20},
	}
}

func someContribution(r *rand.Rand, spread int64) Contribution {
	x := Contribution{Spec: specs()[r.IntN(len(specs()))], At: 1_700_000_000_000 + r.Int64N(spread), Tie: r.Uint64N(3), Index: uint16(r.IntN(2))}
	if x.Spec.ID > 3 {
		x.Key = string(rune('a' + r.IntN(7)))
	}
	x.Mark = x.At / 700
	if x.Tally.N = 1; r.IntN(2) == 0 {
		x.Tally = One(r.Int64N(2_000_000) - 500_000)
	}
	return x
}

func partialOf(list []Contribution) Partial {
	p := Partial{}
	for i := range list {
		p.Add(&list[i])
	}
	return p
}

// filled is a facet with these series.
func filled(p Partial) *Facet {
	f := &Facet{}
	for id := uint32(1); id <= 10; id++ {
		f.Fill(p, []uint32{id})
	}
	return f
}

// TestSeriesDependOnNothingButWhatWasContributed: any order, any grouping, through
// the record or not, gives the same bytes. No bound on keys is met.
func TestSeriesDependOnNothingButWhatWasContributed(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for round := range 150 {
		r := rand.New(rand.NewPCG(seed, uint64(round)))
		list := make([]Contribution, 1+r.IntN(600))
		spread := []int64{5_000, 300_000, 3_000_000}[r.IntN(3)]
		for i := range list {
			list[i] = someContribution(r, spread)
		}
		want := filled(partialOf(list)).AppendBinary(nil)
		for range 4 {
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			facets := make([]*Facet, 0, 4)
			for rest := list; len(rest) > 0; {
				n := 1 + r.IntN(len(rest))
				f := filled(partialOf(rest[:n]))
				if r.IntN(2) == 0 {
					f = decode(t, f.AppendBinary(nil))
				}
				facets, rest = append(facets, f), rest[n:]
			}
			before := facets[0].AppendBinary(nil)
			r.Shuffle(len(facets), func(i, j int) { facets[i], facets[j] = facets[j], facets[i] })
			got := (&Facet{Computed: keptOf(all(r, Join(facets)))}).AppendBinary(nil)
			if !bytes.Equal(got, want) {
				t.Fatalf("round %d: %d contributions in %d groups\n%x\nwant\n%x", round, len(list), len(facets), got, want)
			}
			if !slices.ContainsFunc(facets, func(f *Facet) bool { return bytes.Equal(f.AppendBinary(nil), before) }) {
				t.Fatalf("round %d: joining changed a facet", round)
			}
		}
	}
}

// all asks for some series before it asks for all.
func all(r *rand.Rand, p *Profile) []Series {
	for range r.IntN(5) {
		p.Series(uint32(r.IntN(12)))
	}
	return p.Computed.All()
}

func keptOf(list []Series) *Kept {
	k := new(Kept)
	for i, s := range list {
		k.graft(i, s)
	}
	return k
}

// TestProfilesStayAsTheyWere: what a profile shares is not written, however much is
// folded and filled afterwards, nor what a fill took of series that went on.
func TestProfilesStayAsTheyWere(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for round := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, round))
		var c Contribution
		rules := &Rules{Contribute: func(_ *event.Event, _ uint64, add func(*Contribution)) { add(&c) }}
		f, twin, past := &Facet{}, &Facet{}, Partial{}
		var profiles []*Profile
		var before [][]byte
		ids := []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
		r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		for i := range 600 {
			c = someContribution(r, 400_000)
			if c.Key != "" && r.IntN(3) == 0 {
				c.At = 1_700_000_000_000 + int64(i)*700 // newer than the others
			}
			if r.IntN(4) == 0 {
				past.Add(&c)
				continue
			}
			e := &event.Event{Type: event.Track, Timestamp: c.At, MessageID: fmt.Sprint(i)}
			f.Fold(e, uint64(i), rules)
			twin.Fold(e, uint64(i), rules)
			if len(ids) > 0 && r.IntN(40) == 0 {
				f.Fill(past, ids[:1])
				twin.Fill(partialOf(nil), ids[:1])
				twin.Fill(past, ids[:1])
				ids = ids[1:]
			}
			if r.IntN(3) == 0 {
				p := Join([]*Facet{f})
				profiles, before = append(profiles, p), append(before, written(p.Computed.All()))
			}
			if r.IntN(50) == 0 {
				f = decode(t, f.AppendBinary(nil))
			}
		}
		for i, p := range profiles {
			if !bytes.Equal(written(p.Computed.All()), before[i]) {
				t.Fatalf("round %d: profile %d changed later", round, i)
			}
		}
		if !bytes.Equal(f.AppendBinary(nil), twin.AppendBinary(nil)) {
			t.Fatalf("round %d: a facet that was joined is another than one that never was", round)
		}
	}
}

// TestReleasedProfilesCostNoCopy, and those that are still read stay as they were,
// beside others that are given back meanwhile.
func TestReleasedProfilesCostNoCopy(t *testing.T) {
	f, rules, e := visited(100)
	fold := func() { e.Timestamp += 20_000; f.Fold(e, 1, rules) }
	held := Join([]*Facet{f})
	before := written(held.Computed.All())
	Join([]*Facet{f}).Release()
	fold()
	Join([]*Facet{f}).Release()
	own := f.Computed
	fold()
	if f.Computed != own {
		t.Error("series were copied that nobody reads")
	}
	if !bytes.Equal(written(held.Computed.All()), before) {
		t.Error("a profile that is still read was changed")
	}
	other := Join([]*Facet{f, {Key: Key{UserID: "u"}}})
	before = written(other.Computed.All())
	held.Release() // of an earlier lease
	for range 5 {
		fold()
	}
	if !bytes.Equal(written(other.Computed.All()), before) {
		t.Error("a profile that is still read was changed when an earlier one was released")
	}
	if held.Release(); len(held.Computed.All()) > 0 {
		t.Error("a released profile has series")
	}
}

// TestProfilesAreReadWhileFacetsAreWritten, as answers and folds are: the race
// detector is the judge.
func TestProfilesAreReadWhileFacetsAreWritten(t *testing.T) {
	f, rules, e := visited(50)
	var readers sync.WaitGroup
	for i := range 300 {
		p := Join([]*Facet{f})
		readers.Go(func() {
			before := written(p.Computed.All())
			if after := written(p.Computed.All()); !bytes.Equal(before, after) {
				t.Error("a profile changed while it was read")
			}
			p.Release()
		})
		if i%3 == 0 {
			readers.Wait()
		}
		e.Timestamp += 20_000
		f.Fold(e, 1, rules)
	}
	readers.Wait()
}

// TestFoldsInPlaceDoNotAllocate, but where a list grows or a text is kept.
func TestFoldsInPlaceDoNotAllocate(t *testing.T) {
	f := &Facet{}
	c := Contribution{Key: "k", Tally: One(5)}
	rules := &Rules{Contribute: func(_ *event.Event, _ uint64, add func(*Contribution)) {
		for _, spec := range specs()[:8] {
			c.Spec, c.Tie = spec, c.Tie+1
			add(&c)
		}
	}}
	e := &event.Event{Type: event.Page, Timestamp: 1_700_000_000_000, MessageID: "m"}
	fold := func() {
		e.Timestamp += 1000
		c.At = e.Timestamp
		f.Fold(e, 1, rules)
	}
	for range 300 {
		fold()
	}
	specs := testing.AllocsPerRun(200, func() { specs() })
	if n := testing.AllocsPerRun(200, fold); n > specs+3 { // a pool gives less under the race detector
		t.Errorf("%v allocations a fold", n-specs)
	}
}

// TestFoldsTellWhatChanged names the inputs, one by one.
func TestFoldsTellWhatChanged(t *testing.T) {
	track := func(name, properties string) event.Event {
		return event.Event{Type: event.Track, Name: name, Properties: event.Value(properties)}
	}
	page := event.Event{Type: event.Page, Device: event.Device{Type: "mobile"}, Geo: event.Geo{Country: "FI"}, Traffic: event.Traffic{Channel: "Email"}, Site: "shop",
		Context: `{"consent":{"categoryPreferences":{"analytics":true}}}`}
	moved, denied := page, page
	moved.Geo.Country = "SE"
	denied.Context = `{"consent":{"categoryPreferences":{"analytics":false,"ads":"no"}}}`
	f := &Facet{}
	const base = ChangedEvents
	for i, c := range []struct {
		e    event.Event
		want Core
	}{
		{page, base | ChangedPageviews | ChangedSessions | ChangedDevice | ChangedGeo | ChangedTraffic | ChangedSite | ChangedConsent},
		{page, base | ChangedPageviews},
		{moved, base | ChangedPageviews | ChangedGeo},
		{denied, base | ChangedPageviews | ChangedGeo | ChangedConsent},
		{track("Order Completed", `{"order_id":"o"}`), base | ChangedOrders | ChangedSite},
		{track("Order Refunded", `{}`), base | ChangedOrders},
		{track("Product Returned", `{}`), base | ChangedOrders},
		{track("Experiment Viewed", `{"experiment_id":"hero","variation_id":"a"}`), base | ChangedSeen},
		{track("Experiment Viewed", `{"experiment_id":"hero"}`), base},
		{event.Event{Type: event.Identify, Traits: `{"plan":"pro"}`}, base | ChangedTraits},
	} {
		c.e.Timestamp, c.e.MessageID = 1_700_000_000_000+int64(i), fmt.Sprint(i)
		if got := f.Fold(&c.e, 1, &Rules{}).Change; got.Core != c.want || got.Computed != [4]uint64{} {
			t.Errorf("event %d: %b, want %b", i, got.Core, c.want)
		}
	}
	p := Join([]*Facet{f})
	if granted, asked := p.Granted("analytics"); granted || !asked {
		t.Error("consent was taken back")
	}
	if _, asked := p.Granted("ads"); asked {
		t.Error("a text is no choice")
	}
	if p.Returns != 2 || p.Orders != 1 || p.LastOrder != 1_700_000_000_004 || p.Site != "" || len(p.Seen) != 1 {
		t.Errorf("%+v", p)
	}
}

// TestFillsTellSlots: also beyond the first word of a Change.
func TestFillsTellSlots(t *testing.T) {
	p := Partial{}
	for _, s := range specs()[:5] {
		p.Add(&Contribution{Spec: s, At: 1, Tally: Tally{N: 1}})
	}
	f := &Facet{}
	change := f.Fill(p, []uint32{1, 3, 5, 99})
	for slot, want := range map[int]bool{0: true, 1: false, 64: true, 65: false, 255: true} {
		if change.Has(slot) != want {
			t.Errorf("slot %d changed: %v", slot, !want)
		}
	}
	if change = f.Fill(p, []uint32{1, 3}); !change.IsZero() {
		t.Errorf("filling again changed %+v", change)
	}
	if f.Computed.Len() != 3 || f.Computed.at(0).Total().N != 1 {
		t.Errorf("%d series", f.Computed.Len())
	}
	f.Prune(func(id uint32) bool { return id == 3 })
	if f.Computed.Len() != 1 || f.Computed.at(0).ID != 3 || f.Computed.Has(1) || !f.Computed.Has(3) {
		t.Errorf("%d series are left", f.Computed.Len())
	}
	if got := decode(t, f.AppendBinary(nil)); !got.Computed.at(0).Filled() {
		t.Error("that it is filled was not written")
	}
}

// TestExposuresAreJoined: by placement, variant and holdout, over devices.
func TestExposuresAreJoined(t *testing.T) {
	see := func(f *Facet, at int64, properties string) {
		f.Fold(&event.Event{Type: event.Track, Name: "Experiment Viewed", Timestamp: at, MessageID: fmt.Sprint(at), Properties: event.Value(properties)}, 1, &Rules{})
	}
	a, b := &Facet{Key: Key{AnonymousID: "a"}}, &Facet{Key: Key{AnonymousID: "b"}}
	for i := range int64(100) {
		see(a, 1000+2*i, `{"experiment_id":"hero","variation_id":"x"}`)
		see(b, 1001+2*i, `{"experiment_id":"hero","variation_id":"x"}`)
	}
	shared := Join([]*Facet{a})
	see(a, 5000, `{"experiment_id":"hero","variation_id":"x","holdout":true}`)
	see(b, 5001, `{"experiment_id":"aside","variation_id":"y"}`)
	if len(shared.Seen) != 1 || shared.Seen[0].Count != 100 {
		t.Errorf("an older profile shows %+v", shared.Seen)
	}
	p := Join([]*Facet{a, decode(t, b.AppendBinary(nil))})
	if len(p.Seen) != 3 || p.Seen[0].Placement != "aside" || p.Seen[1].Holdout || !p.Seen[2].Holdout {
		t.Fatalf("%+v", p.Seen)
	}
	x := p.Seen[1]
	if x.First != 1000 || x.Count != 200 || len(x.Times) != maxExposureTimes || x.Times[0] != 1199-63 || x.Times[63] != 1199 {
		t.Errorf("%+v", x)
	}
	for i := range 2 * maxExposures {
		see(a, 10_000+int64(i), fmt.Sprintf(`{"experiment_id":"p%d","variation_id":"x"}`, i))
	}
	if len(a.Seen) != maxExposures || a.Seen[0].Placement == "hero" {
		t.Errorf("%d exposures", len(a.Seen))
	}
}

func TestConsentIsBounded(t *testing.T) {
	f := &Facet{}
	e := &event.Event{Type: event.Page, Timestamp: 1, MessageID: "m"}
	b := []byte(`{"consent":{"categoryPreferences":{"`)
	b = append(append(b, bytes.Repeat([]byte("long"), 20)...), `":true`...)
	for i := range 200 {
		b = fmt.Appendf(b, `,"p%d":true`, i)
	}
	e.Context = event.Value(append(b, "}}}"...))
	f.Fold(e, 1, &Rules{})
	if len(f.Consent) != maxPurposes {
		t.Errorf("%d purposes are kept", len(f.Consent))
	}
	if got := decode(t, f.AppendBinary(nil)); !slices.Equal(got.Consent, f.Consent) {
		t.Error("consent does not come back")
	}
	e.Context = `{"consent":{"categoryPreferences":{"p1":false}}}`
	e.Timestamp = 2
	if n := testing.AllocsPerRun(100, func() { e.Timestamp++; f.Fold(e, 1, &Rules{}) }); n > 0 {
		t.Errorf("%v allocations where the choices are known", n)
	}
}

// TestManyKeysStayBounded: the ones that were quiet the longest go.
func TestManyKeysStayBounded(t *testing.T) {
	for _, spec := range specs()[1:8] {
		var p Partial
		for i := range int64(1000) {
			p.Add(&Contribution{Spec: spec, At: 1_700_000_000_000 + i, Key: fmt.Sprint("k", i), Tally: Tally{N: 1}})
		}
		if n := len(p.kept.at(0).AppendBinary(nil)); n > 8_000 {
			t.Errorf("series %d has %d bytes", spec.ID, n)
		}
		if n := len(p.kept.texts); n > 2*maxSeriesKeys+fewTexts {
			t.Errorf("series %d has %d texts", spec.ID, n)
		}
	}
}

func TestFoldsThatNobodyWantsDoNotAllocate(t *testing.T) {
	f := &Facet{}
	rules := &Rules{Contribute: func(*event.Event, uint64, func(*Contribution)) {}}
	e := &event.Event{Type: event.Page, Timestamp: 1_700_000_000_000, MessageID: "m"}
	f.Fold(e, 1, rules)
	if n := testing.AllocsPerRun(100, func() { e.Timestamp++; f.Fold(e, 1, rules) }); n > 0 {
		t.Errorf("%v allocations a fold", n)
	}
}

// TestCellsKeepWhatTheyCan: a time that no second of a cell tells is of the first or
// the last, in the record too, and a cell that counts its most stays there.
func TestCellsKeepWhatTheyCan(t *testing.T) {
	spec := &Spec{ID: 1, Form: Tallies, Most: 1, Width: 1000}
	p := Partial{}
	for _, at := range []int64{-62_000_000_000_000, 0, 1_700_000_000_000, 4_294_967_296_000, 250_000_000_000_000} {
		p.Add(&Contribution{Spec: spec, At: at, Tally: One(at)})
	}
	f := decode(t, filled(p).AppendBinary(nil))
	if got, _ := f.Computed.at(0).Tally("", 4_294_967_295_000, 1<<60); got.N != 5 {
		t.Errorf("%+v: expected 5", got)
	}
	if got, until := f.Computed.at(0).Tally("", 4_294_967_294_999, 1<<60); got.N != 3 || until != 4_294_967_295_000 {
		t.Errorf("%+v until %d: expected 3", got, until)
	}
	p = Partial{}
	for range 3 {
		p.Add(&Contribution{Spec: spec, At: 1000, Tally: Tally{N: 1<<32 - 2}})
	}
	k := p.kept.at(0).walk()
	k.step()
	if r := k.newer(); r.at(0).N != 1<<32-1 {
		t.Errorf("%d", r.at(0).N)
	}
}
