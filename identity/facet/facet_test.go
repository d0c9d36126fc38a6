package facet

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
)

const day = int64(24 * 3600 * 1000)

func rules() *Rules {
	return &Rules{Contribute: func(e *event.Event, _ uint64, add func(*Contribution)) {
		if e.Name == "Product Viewed" {
			add(&Contribution{Spec: &Spec{ID: 7, Form: Tallies, Window: 45 * day, Width: day / 2}, At: e.Timestamp, Key: e.Properties.Get("category").Text(), Tally: Tally{N: 1}})
		}
	}}
}

// history makes n events of one device within 30 days: few enough to stay
// inside every bound, where order must leave no trace.
func history(r *rand.Rand, anonymous, user string, trust id.Trust, n int) []event.Event {
	list := make([]event.Event, n)
	for i := range list {
		e := &list[i]
		*e = event.Event{AnonymousID: anonymous, UserID: user, Trust: trust, Site: "shop", MessageID: fmt.Sprint(anonymous, user, i),
			Timestamp: 1_700_000_000_000 + r.Int64N(60)*day/2 + r.Int64N(3)*VisitGap/2, Type: event.Page}
		e.Device = event.Device{Type: "desktop", Browser: []string{"Firefox", "Chrome"}[r.IntN(2)]}
		e.Geo.Country = []string{"FI", "SE"}[r.IntN(2)]
		switch r.IntN(5) {
		case 0:
			e.Traffic = event.Traffic{Channel: "Organic Search", Source: []string{"google", "bing"}[r.IntN(2)]}
		case 1:
			e.Traffic = event.Traffic{Channel: event.Direct, Source: "(direct)"}
		}
		if r.IntN(6) == 0 {
			e.Bot = event.Bot{Is: true, Class: "headless"}
		}
		switch r.IntN(4) {
		case 0:
			e.Type, e.Name = event.Track, "Product Viewed"
			e.Properties = event.Value(fmt.Sprintf(`{"category":%q}`, []string{"thrillers", "cooking"}[r.IntN(2)]))
		case 1:
			e.Type, e.Name = event.Track, "Order Completed"
			e.Properties = event.Value(fmt.Sprintf(`{"order_id":"o%d","revenue":%d.1,"currency":"eur"}`, r.IntN(5), r.IntN(3)))
		case 2:
			e.Type = event.Identify
			e.Traits = event.Value(fmt.Sprintf(`{"plan":"p%d","t%d":%d}`, r.IntN(4), r.IntN(3), i))
		}
	}
	return list
}

func fold(events []event.Event) *Facet {
	f := &Facet{Key: KeyOf(&events[0], 1)}
	for i := range events {
		f.Fold(&events[i], 1, rules())
	}
	return f
}

func TestOrderOfFoldingLeavesNoTrace(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		events := history(r, "a1", "", id.Claimed, 1+r.IntN(60))
		want := fold(events).AppendBinary(nil)
		for range 5 {
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			if got := fold(events).AppendBinary(nil); !bytes.Equal(got, want) {
				t.Fatalf("seed %d: two orders, two facets", seed)
			}
		}
		f, err := Decode(string(want))
		if err != nil || !bytes.Equal(f.AppendBinary(nil), want) {
			t.Fatalf("seed %d: the record does not come back: %v", seed, err)
		}
	}
}

func written(list []Series) (dst []byte) {
	for _, s := range list {
		dst = s.AppendBinary(dst)
	}
	return dst
}

// TestJoiningEqualsFoldingTogether: one device's history cut in two facets
// (before and after a login, say) joins to the profile of the whole.
func TestJoiningEqualsFoldingTogether(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		events := history(r, "a1", "", id.Claimed, 2+r.IntN(60))
		whole := Join([]*Facet{fold(events)})
		cut := 1 + r.IntN(len(events)-1)
		before, after := fold(events[:cut]), fold(events[cut:])
		after.Key.UserID = "u1"
		for _, list := range [][]*Facet{{before, after}, {after, before}} {
			got := Join(list)
			if a, b := written(got.Computed.All()), written(whole.Computed.All()); !bytes.Equal(a, b) {
				t.Fatalf("seed %d: joined series\n%x\nfolded whole\n%x", seed, a, b)
			}
			got.Computed = whole.Computed // the same in another form
			if !reflect.DeepEqual(got, whole) {
				t.Fatalf("seed %d: joined\n%+v\nfolded whole\n%+v", seed, got, whole)
			}
		}
		if got := fold(events[:cut]).AppendBinary(nil); !bytes.Equal(got, before.AppendBinary(nil)) {
			t.Fatalf("seed %d: joining changed a facet", seed)
		}
	}
}

// TestAServersEventDoesNotBlankTheDevice: it names the device and knows nothing
// of its browser.
func TestAServersEventDoesNotBlankTheDevice(t *testing.T) {
	page := event.Event{AnonymousID: "a1", Timestamp: 1, MessageID: "m1", Type: event.Page, Device: event.Device{Browser: "Firefox"}}
	order := event.Event{AnonymousID: "a1", UserID: "u1", Timestamp: 2, MessageID: "m2", Type: event.Track, Name: "Order Completed"}
	p := Join([]*Facet{fold([]event.Event{page}), fold([]event.Event{order})})
	if len(p.Devices) != 1 || p.Devices[0].Device.Browser != "Firefox" || p.Device.Browser != "Firefox" || p.Devices[0].Last != 2 {
		t.Errorf("devices %+v", p.Devices)
	}
}

func TestVerifiedValuesBeatNewerClaims(t *testing.T) {
	identify := func(trust id.Trust, at int64, traits event.Value) *Facet {
		f := &Facet{Key: Key{"a1", "u1", trust, 1}}
		f.Fold(&event.Event{Type: event.Identify, Trust: trust, Timestamp: at, MessageID: fmt.Sprint(at), Traits: traits}, 1, &Rules{})
		return f
	}
	p := Join([]*Facet{identify(id.Claimed, 9, `{"plan":"free","x":1}`), identify(id.Verified, 3, `{"plan":"pro"}`)})
	if p.Traits["plan"].Value != `"pro"` || p.Traits["x"].Value != "1" {
		t.Errorf("traits %v", p.Traits)
	}
}

func TestAFacetBelongsToItsUserWhereTrustReaches(t *testing.T) {
	user, device := id.ID{Type: id.UserID, Value: "u"}, id.ID{Type: id.AnonymousID, Value: "a"}
	for _, c := range []struct {
		key  Key
		view id.View
		cut  bool
		want id.ID
	}{
		{Key{"a", "u", id.Verified, 1}, id.VerifiedView, false, user},
		{Key{"a", "u", id.Verified, 1}, id.AllView, false, user},
		{Key{"a", "u", id.Claimed, 1}, id.VerifiedView, false, device},
		{Key{"a", "u", id.Claimed, 1}, id.AllView, false, user},
		{Key{"a", "u", id.Verified, 1}, id.AllView, true, device},
		{Key{"a", "", id.Claimed, 1}, id.VerifiedView, false, device},
		{Key{"", "u", id.Verified, 1}, id.VerifiedView, false, user},
		{Key{"", "u", id.Claimed, 1}, id.AllView, false, user},
		{Key{"", "u", id.Claimed, 1}, id.VerifiedView, false, id.ID{}},
	} {
		if got := c.key.Owner(c.view, c.cut); got != c.want {
			t.Errorf("%+v in %v (cut %v) belongs to %v, want %v", c.key, c.view, c.cut, got, c.want)
		}
	}
}

// TestOriginsAreCountedOnce: what two logs hold of one device as one user are two
// facets, and each event counts in one.
func TestOriginsAreCountedOnce(t *testing.T) {
	var facets []*Facet
	for origin := range uint16(3) {
		e := event.Event{Type: event.Page, AnonymousID: "a", Timestamp: int64(origin) * 1000, MessageID: fmt.Sprint(origin)}
		f := &Facet{Key: KeyOf(&e, origin+1)}
		f.Fold(&e, 1, &Rules{})
		facets = append(facets, f)
		again, err := Decode(string(f.AppendBinary(nil)))
		if err != nil || again.Key != f.Key {
			t.Errorf("facet %+v reads back as %+v, %v", f.Key, again.Key, err)
		}
	}
	p := Join(facets)
	if p.Events != 3 || p.Sessions != 1 || len(p.Devices) != 1 {
		t.Errorf("%d events in %d sessions on %d devices", p.Events, p.Sessions, len(p.Devices))
	}
}

// TestNewestOrders: an order that two devices reported is one, as it was first told.
func TestNewestOrders(t *testing.T) {
	order := func(device, order string, at int64, revenue int) *Facet {
		return fold([]event.Event{{Type: event.Track, Name: "Order Completed", AnonymousID: device, Timestamp: at, MessageID: fmt.Sprint(device, at),
			Properties: event.Value(fmt.Sprintf(`{"order_id":%q,"revenue":%d}`, order, revenue))}})
	}
	facets := []*Facet{order("a", "o1", 1000, 5), order("b", "o1", 3000, 7), order("b", "o2", 2000, 9), order("c", "o3", 500, 1), {}}
	got := NewestOrders(facets, 2)
	if len(got) != 2 || got[0].ID != "o2" || got[1].ID != "o1" || got[1].Micros != 5e6 || got[1].At.Time != 1000 {
		t.Errorf("orders %+v", got)
	}
	if n := len(NewestOrders(facets, 20)); n != 3 {
		t.Errorf("%d orders", n)
	}
	if p := Join(facets); p.Orders != 3 {
		t.Errorf("the profile counts %d", p.Orders)
	}
}

func TestVisitsEndAfterHalfAnHour(t *testing.T) {
	const m = 60 * 1000
	for _, c := range []struct {
		minutes []int64
		want    int64
	}{
		{[]int64{0}, 1}, {[]int64{0, 29}, 1}, {[]int64{0, 30}, 2}, {[]int64{0, 20, 40, 60}, 1}, {[]int64{0, 40, 20}, 1}, {[]int64{100, 0, 200}, 3},
	} {
		var v Visits
		for _, at := range c.minutes {
			v.Add(1_000_000_000 + at*m)
		}
		if v.Count() != c.want {
			t.Errorf("%v: %d visits, want %d", c.minutes, v.Count(), c.want)
		}
	}
	var v Visits
	for i := range int64(1000) {
		v.Add(i * day)
	}
	if v.Count() != 1000 || len(v.Spans) > maxVisits {
		t.Errorf("1000 visits: counted %d, kept %d", v.Count(), len(v.Spans))
	}
}

func TestScoresHalveWithTime(t *testing.T) {
	spec := &Spec{ID: 1, Form: Tallies, Window: 90 * day, Width: day}
	var p Partial
	add := func(key string, at int64) {
		p.Add(&Contribution{Spec: spec, Key: key, At: at, Tally: Tally{N: 1}})
	}
	now := int64(20000) * day
	for range 4 {
		add("thrillers", now-14*day)
	}
	add("cooking", now)
	s := p.kept.at(0)
	list, _ := s.Scores(nil, now+day/2, 14*day, 1./256)
	if len(list) != 2 || list[0].Key != "thrillers" || list[0].Value < 1.9 || list[0].Value > 2.1 || list[1].Value != 1 {
		t.Errorf("scores %v", list)
	}
	if n, _ := s.Tally("thrillers", now, 30*day); n.N != 4 {
		t.Errorf("in 30 days: %+v", n)
	}
	if n, _ := s.Tally("thrillers", now, 7*day); n.N != 0 {
		t.Errorf("in 7 days: %+v", n)
	}
	for i := range int64(500) {
		add(fmt.Sprint("k", i), now+i*day)
		add("thrillers", now+i*day)
	}
	if n := p.kept.at(0).items(); n > maxSeriesKeys || n < 90 {
		t.Errorf("%d keys", n)
	}
}

func TestTraitsAreBounded(t *testing.T) {
	f := &Facet{}
	refused := f.Fold(&event.Event{Type: event.Identify, Traits: `{"a":1,"b":2,"c":3,"d":4}`}, 1, &Rules{MaxTraits: 3}).Refused
	if refused != 1 || len(f.Traits) != 3 {
		t.Errorf("kept %d, refused %d", len(f.Traits), refused)
	}
}

func TestFoldingAPageViewDoesNotAllocate(t *testing.T) {
	e := history(rand.New(rand.NewPCG(9, 9)), "a", "", id.Claimed, 1)[0]
	e.Type, e.Name = event.Page, ""
	f := fold([]event.Event{e})
	none := &Rules{}
	if n := testing.AllocsPerRun(100, func() { e.Timestamp++; f.Fold(&e, 1, none) }); n > 0 {
		t.Errorf("%v allocations a fold", n)
	}
}

func FuzzDecode(f *testing.F) {
	events := history(rand.New(rand.NewPCG(5, 5)), "a1", "u1", id.Verified, 30)
	f.Add(string(fold(events).AppendBinary(nil)))
	r := rand.New(rand.NewPCG(1, 2))
	var list []Contribution
	for range 300 {
		list = append(list, someContribution(r, 300_000))
	}
	f.Add(string(filled(partialOf(list)).AppendBinary(nil)))
	used := new(Facet) // goes from one record to the next
	f.Fuzz(func(t *testing.T, s string) {
		x, err := Decode(s)
		if into := DecodeInto(used, s); (into == nil) != (err == nil) {
			t.Fatalf("%v, into a used facet %v", err, into)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(used.AppendBinary(nil), x.AppendBinary(nil)) {
			t.Fatalf("%+v, into a used facet %+v", x, used)
		}
		y, err := Decode(string(x.AppendBinary(nil)))
		if err != nil || !bytes.Equal(x.AppendBinary(nil), y.AppendBinary(nil)) {
			t.Fatal(err)
		}
		if slices.ContainsFunc(x.Visits.Spans, func(s Span) bool { return s.End < s.Start }) {
			return
		}
		Join([]*Facet{x, y})
		for i, s := range x.Computed.All() {
			s.Tally("", 1e12, 1000)
			s.Scores(nil, 1e12, 1000, 1./256)
			s.Counts(nil, 1e12, 1000)
			s.Recent(nil, 1e12, 1000)
			s.Values(1e12, 1000)
			s.Moments("")
			x.Computed.clone().add(i, true, &Contribution{Spec: &Spec{ID: s.ID, Form: s.Form(), Window: 1000, Width: 10, Most: 3}, At: 1e12, Key: "k", Tally: Tally{N: 1}})
		}
	})
}

// TestRoundingOvertakesNobody: two keys of the same weight, of which one is twice as
// much and a half-life older, stay in the same order however they fade.
func TestRoundingOvertakesNobody(t *testing.T) {
	var p Partial
	const width, life = 1000, 96_000
	spec := &Spec{ID: 1, Form: Tallies, Window: 8 * life, Width: width}
	for i := range int64(3) {
		at := 1_700_000_000_000 + i*7*width
		p.Add(&Contribution{Spec: spec, Key: "older", At: at, Tally: Tally{N: 2}})
		p.Add(&Contribution{Spec: spec, Key: "newer", At: at + life, Tally: Tally{N: 1}})
	}
	s := p.kept.at(0)
	for now := s.Last() + width; now < s.Last()+3*life; now += 11 {
		list, _ := s.Scores(nil, now, life, 1./256)
		one, _, _ := s.Favourite(now, life, 1./256)
		if two := s.Foremost(nil, 2, now, life, 1./256); !slices.Equal(two, list) {
			t.Fatalf("at %d: %v, the first two %v", now, list, two)
		}
		if list[0].Key != "newer" || one != "newer" {
			t.Fatalf("at %d: %v, the first %v", now, list, one)
		}
	}
}
