package segment

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/identity/trait/rule"
)

// world is a set of audiences and one person to judge by them.
type world struct {
	testing.TB
	traits *trait.Set
	env    *Env
	set    *Set
	rules  facet.Rules
	facets []*facet.Facet
	seq    uint64
	now    int64
}

func newWorld(t testing.TB, traits []trait.Definition, list ...Definition) *world {
	t.Helper()
	w := &world{TB: t, now: now, facets: []*facet.Facet{{Key: facet.Key{AnonymousID: "a1"}}}}
	w.define(traits, list)
	return w
}

// define compiles everything, with what functions in rules stand for.
func (w *world) define(traits []trait.Definition, list []Definition) {
	w.Helper()
	for i, d := range list {
		more, bad := Queries(fmt.Sprintf("segments[%d].when", i), d.When)
		if bad != nil {
			w.Fatal(bad)
		}
		for _, q := range more {
			if !slices.ContainsFunc(traits, func(o trait.Definition) bool { return o.Name == q.Name }) {
				traits = append(traits, q)
			}
		}
	}
	var err error
	if w.traits, err = trait.Compile(traits); err != nil {
		w.Fatal(err)
	}
	w.env = NewEnv(w.traits)
	if w.set, err = Compile(w.env, list); err != nil {
		w.Fatal(err)
	}
	w.rules = facet.Rules{Contribute: w.traits.Contribute}
}

// fold takes an event in, on one of the person's devices.
func (w *world) fold(device int, e event.Event) facet.Change {
	w.Helper()
	w.seq++
	e.AnonymousID, e.MessageID, e.Trust = "a1", fmt.Sprint(w.seq), id.Claimed
	if e.Timestamp == 0 {
		e.Timestamp = w.now
	}
	var c facet.Change
	for len(w.facets) <= device {
		w.facets = append(w.facets, &facet.Facet{Key: facet.Key{AnonymousID: fmt.Sprint("a", len(w.facets)+1)}})
		c.Core |= facet.ChangedIdentity
	}
	folded := w.facets[device].Fold(&e, w.seq, &w.rules)
	if c.Add(folded.Change); len(w.facets) > 1 {
		c.Core |= folded.Renewed
	}
	return c
}

func (w *world) track(name, properties string) facet.Change {
	w.Helper()
	v, err := event.Check(properties)
	if err != nil {
		w.Fatal(err)
	}
	return w.fold(0, event.Event{Type: event.Track, Name: name, Properties: v})
}

// subject is the person at a time, in a subject that may be used again.
func (w *world) subject(s *Subject, at int64) *Subject {
	s.Reset()
	s.Profile, s.Now, s.Identifiers = facet.Join(w.facets), at, []string{"anonymous_id"}
	s.Computed.Reset(w.traits, s.Profile, at)
	return s
}

func (w *world) anew(at int64) *Standing {
	return w.set.Judge(w.subject(new(Subject), at), nil, facet.Change{})
}

func (w *world) names(st *Standing) string { return strings.Join(w.set.Names(st), " ") }

// TestJudgingAgainIsJudgingAnew folds random events, lets time go on, judges
// only what each changed, and compares with judging everything anew: at that
// moment, and just before the moment that was noted.
func TestJudgingAgainIsJudgingAnew(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	steps, wakes := 0, 0
	for range 40 {
		traits, list := shop()
		more, others := steady()
		traits, list = append(traits, more...), append(others, list...)
		// How long a favourite stays is told carefully: not to the millisecond.
		fades := r.IntN(2) == 0
		if !fades {
			list = slices.DeleteFunc(list, func(d Definition) bool { return strings.Contains(d.When, "favourite") || d.Name == "crime" })
		}
		r.Shuffle(len(list), func(i, j int) {
			if list[i].Name != "none" && list[i].Name != "many" && list[j].Name != "none" && list[j].Name != "many" {
				list[i], list[j] = list[j], list[i]
			}
		})
		w := newWorld(t, traits, list...)
		sub := new(Subject)
		st := w.anew(w.now)
		since := map[uint32]int64{}
		for _, m := range st.In {
			since[m.Audience] = w.now
		}
		var changed facet.Change
		for range 80 {
			switch r.IntN(10) {
			case 0, 1, 2:
				changed.Add(w.track("Product Viewed", fmt.Sprintf(`{"category":%q}`, pick("thrillers", "crime"))))
			case 3:
				changed.Add(w.track("Order Completed", fmt.Sprintf(`{"order_id":"o%d","revenue":%d,"currency":"EUR"}`, r.IntN(20), r.IntN(200))))
			case 4:
				changed.Add(w.fold(0, event.Event{Type: event.Page, Site: pick("shop", "blog"), Geo: event.Geo{Country: pick("FI", "SE")}, Device: event.Device{Type: pick("mobile", "desktop")}, Traffic: event.Traffic{Channel: pick("Email", "Direct")}}))
			case 5:
				changed.Add(w.fold(r.IntN(2), event.Event{Type: event.Identify, Traits: event.Value(`{"plan":"` + pick("pro", "free") + `"}`)}))
			case 6:
				changed.Add(w.fold(0, event.Event{Type: event.Track, Name: "Choice", Context: event.Value(`{"consent":{"categoryPreferences":{"marketing":` + pick("true", "false") + `}}}`)}))
			case 7:
				changed.Add(w.track(pick("Order Refunded", "Other"), "{}"))
			case 8:
				w.now += r.Int64N(10 * 3_600_000)
			case 9:
				if st.Until != rule.Never && st.Until > w.now {
					w.now = st.Until - r.Int64N(2)
				}
			}
			if r.IntN(3) == 0 {
				continue // several changes are judged together
			}
			steps++
			if w.now >= st.Until {
				wakes++
			}
			want := w.anew(w.now)
			was := st
			st = w.set.Judge(w.subject(sub, w.now), was, changed)
			changed = facet.Change{}
			if w.names(st) != w.names(want) {
				t.Fatalf("again: %s until %d\nanew:  %s until %d", w.names(st), st.Until, w.names(want), want.Until)
			}
			// Of who only comes to stay for longer it is not told anew until when: that may be
			// sooner, and later where what was read first holds now for a while and the rest for good.
			if st.Until <= w.now {
				t.Fatalf("until %d, at %d", st.Until, w.now)
			}
			if !slices.IsSortedFunc(st.In, func(a, b Member) int { return int(int64(a.Audience) - int64(b.Audience)) }) {
				t.Fatalf("not ascending: %v", st.In)
			}
			next := map[uint32]int64{}
			for _, m := range st.In {
				at, ok := since[m.Audience]
				if !ok {
					at = w.now
				}
				if next[m.Audience] = m.Since; m.Since != at {
					t.Fatalf("%s: since %d, want %d", w.set.Name(m.Audience), m.Since, at)
				}
			}
			since = next
			all := w.set.Judge(w.subject(sub, w.now), st, facet.Everything())
			if !slices.Equal(all.In, st.In) {
				t.Fatalf("nothing changed, but the standing is another one")
			}
			if again := w.set.Judge(w.subject(sub, w.now), all, facet.Everything()); !fades && again != all {
				t.Fatalf("nothing changed, but the standing is another one")
			}
			members := w.subject(new(Subject), w.now)
			if w.set.Members(members); strings.Join(members.Segments, " ") != w.names(st) {
				t.Fatalf("members %v, standing %s", members.Segments, w.names(st))
			}
			for _, at := range []int64{st.Until - 1, want.Until, w.now + 1 + r.Int64N(3*86_400_000)} {
				if at >= st.Until || st.Until == rule.Never && at > w.now+400*86_400_000 {
					continue
				}
				if before := w.anew(at); w.names(before) != w.names(st) {
					t.Fatalf("%s until %d, but at %d, %d before: %s", w.names(st), st.Until, at, st.Until-at, w.names(before))
				}
			}
			record, err := st.AppendBinary(nil)
			if err != nil {
				t.Fatal(err)
			}
			kept, err := DecodeStanding(record)
			if err != nil || !slices.Equal(kept.In, st.In) || kept.Until != st.Until || !slices.Equal(kept.timed, st.timed) {
				t.Fatalf("%+v is read as %+v, %v", st, kept, err)
			}
			switch r.IntN(8) {
			case 0, 1:
				st = kept
			case 2: // as the store makes them of what the log said
				st = &Standing{In: st.In, Until: st.Until}
			}
		}
		if n := w.set.Failures(); n != 0 {
			t.Fatalf("%d failures", n)
		}
	}
	if wakes < 100 {
		t.Errorf("%d of %d steps came when something was due: the test tests little", wakes, steps)
	}
}

// TestWindowsEndByThemselves: somebody who stops leaves when the window ends.
func TestWindowsEndByThemselves(t *testing.T) {
	w := newWorld(t, nil, Definition{Name: "fans", When: "count('Order Completed', properties.category == 'thrillers', '1h') >= 2", ID: 9})
	sub := new(Subject)
	st := w.anew(w.now)
	first := w.now
	for i := range 2 {
		w.now = first + int64(i)*60_000
		changed := w.track("Order Completed", `{"category":"thrillers","order_id":"`+fmt.Sprint(i)+`"}`)
		st = w.set.Judge(w.subject(sub, w.now), st, changed)
	}
	if w.names(st) != "fans" || st.Until != first+3_600_000 {
		t.Fatalf("%s until %d, want fans until %d", w.names(st), st.Until, first+3_600_000)
	}
	if again := w.set.Judge(w.subject(sub, st.Until-1), st, facet.Change{}); again != st {
		t.Errorf("a millisecond before: %s", w.names(again))
	}
	left := w.set.Judge(w.subject(sub, st.Until), st, facet.Change{})
	if w.names(left) != "" || left.Until != rule.Never {
		t.Errorf("when the window ends: %q until %d, want nobody to look again: one is fewer than two, and none are too", w.names(left), left.Until)
	}
}

// TestWhoIsFarAboveAThresholdIsLookedAtLate: not as soon as the first of many leaves the
// window.
func TestWhoIsFarAboveAThresholdIsLookedAtLate(t *testing.T) {
	w := newWorld(t, nil,
		Definition{Name: "some", When: "count('Product Viewed', true, '1h') >= 2", ID: 1},
		Definition{Name: "few", When: "count('Product Viewed', true, '1h') < 9", ID: 2},
	)
	first := w.now
	for range 10 {
		w.track("Product Viewed", "{}")
		w.now += 1000
	}
	st := w.anew(w.now)
	if w.names(st) != "some" || st.Until != first+3_600_000+1000 {
		t.Fatalf("%s until %d, want some until two have left, %d", w.names(st), st.Until, first+3_600_000+1000)
	}
	st = w.anew(st.Until)
	if w.names(st) != "some few" || st.Until != first+3_600_000+8000 {
		t.Fatalf("%s until %d, want both until nine have left, %d", w.names(st), st.Until, first+3_600_000+8000)
	}
	// What is dated ahead is yet to come into the window.
	ahead := w.now + 500_000
	w.fold(0, event.Event{Type: event.Track, Name: "Product Viewed", Timestamp: ahead, Properties: "{}"})
	if st = w.anew(ahead - 1000); st.Until != ahead {
		t.Fatalf("%s until %d, want until the next counts, %d", w.names(st), st.Until, ahead)
	}
}

// TestOnlyWhatChangedIsJudged counts evaluations.
func TestOnlyWhatChangedIsJudged(t *testing.T) {
	traits, list := shop()
	w := newWorld(t, traits, list...)
	w.track("Order Completed", `{"order_id":"o1","revenue":10,"currency":"EUR"}`)
	st := w.anew(w.now)
	due := 0
	for _, x := range st.timed {
		if x.until() == st.Until {
			due++
		}
	}
	due += 2 // it is evening then: the two that look at all segments are judged too
	slot, _ := w.traits.Slot("orders_30d")
	var orders facet.Change
	orders.Mark(slot)
	for _, c := range []struct {
		name    string
		changed facet.Change
		at      int64
		most    int
	}{
		{"nothing", facet.Change{}, w.now, 0},
		{"exposures", facet.Change{Core: facet.ChangedSeen}, w.now, 0},
		{"said", facet.Change{Core: facet.ChangedTraits}, w.now, 1},
		{"consent", facet.Change{Core: facet.ChangedConsent}, w.now, 1},
		{"one computed trait", orders, w.now, 1},
		{"site", facet.Change{Core: facet.ChangedSite}, w.now, 1},
		{"everything", facet.Everything(), w.now, len(list)},
		{"the time until which it holds", facet.Change{}, st.Until, due},
		{"just before it", facet.Change{}, st.Until - 1, 0},
	} {
		sub := w.subject(new(Subject), c.at)
		if w.set.Judge(sub, st, c.changed); sub.judged != c.most {
			t.Errorf("%s: %d evaluations, want %d", c.name, sub.judged, c.most)
		}
	}
	// Another Set judges all, and keeps since when: ids are the same.
	other := newWorld(t, traits, append(slices.Clone(list), Definition{Name: "more", When: "true", ID: 999})...)
	sub := other.subject(new(Subject), w.now+1000)
	sub.Profile = facet.Join(w.facets)
	got := other.set.Judge(sub, st, facet.Change{})
	if sub.judged != len(list)+1 {
		t.Errorf("%d evaluations", sub.judged)
	}
	if at, ok := got.Since(3); !ok || at != w.now {
		t.Errorf("customers since %d, %v", at, ok)
	}
	if at, ok := got.Since(999); !ok || at != w.now+1000 {
		t.Errorf("more since %d, %v", at, ok)
	}
}

// TestWhoAsksIsJudgedAfter: a change runs through audiences that ask for each
// other, in whatever order they are written.
func TestWhoAsksIsJudgedAfter(t *testing.T) {
	w := newWorld(t, nil,
		Definition{Name: "c", When: "'b' in segments"},
		Definition{Name: "d", When: "!('c' in segments)"},
		Definition{Name: "b", When: "'a' in segments && geo.country == ''"},
		Definition{Name: "a", When: "counts.orders > 0"},
	)
	st := w.anew(w.now)
	if w.names(st) != "d" {
		t.Fatal(w.names(st))
	}
	sub := new(Subject)
	changed := w.track("Order Completed", `{}`)
	st = w.set.Judge(w.subject(sub, w.now), st, changed)
	if w.names(st) != "c b a" {
		t.Fatal(w.names(st))
	}
	for i, name := range []string{"c", "d", "b", "a"} {
		if got := w.set.Name(uint32(i + 1)); got != name {
			t.Errorf("%d is %q", i+1, got)
		}
	}
	if w.set.Name(5) != "" || (*Set)(nil).Name(1) != "" {
		t.Error("an audience that nobody defined has a name")
	}
}

func TestNobodyIsInAnEmptySet(t *testing.T) {
	var s *Set
	st := s.Judge(&Subject{Now: now}, nil, facet.Everything())
	if len(st.In) != 0 || st.Until != rule.Never {
		t.Errorf("%+v", st)
	}
	if again := s.Judge(&Subject{Now: now}, st, facet.Everything()); again != st {
		t.Error("judged again")
	}
	if s.Names(st) != nil || s.All() != nil {
		t.Error("names of nobody")
	}
	traits, list := shop()
	w := newWorld(t, traits, list...)
	if out := s.Judge(&Subject{Now: now}, w.anew(now), facet.Change{}); len(out.In) != 0 || out.Until != rule.Never {
		t.Errorf("definitions are gone, the standing is not: %+v", out)
	}
}

// TestWhoStandsIsNotJudged: what a standing says is what rules ask for and answers tell,
// until the subject is another's.
func TestWhoStandsIsNotJudged(t *testing.T) {
	w := newWorld(t, nil, Definition{Name: `a "b" <c>`, When: "true"}, Definition{Name: "none", When: "false"}, Definition{Name: "last", When: "true"})
	rule, bad := w.env.Rule("when", "'last' in segments && !('none' in segments) && segments.size() == 2", w.set.All())
	if bad != nil {
		t.Fatal(bad)
	}
	told := func(sub *Subject) string {
		o := event.NewWriter(nil)
		sub.WriteSegments(o)
		return string(o.Bytes())
	}
	sub := new(Subject)
	sub.Stand(w.set, w.anew(w.now))
	const all = `["a \"b\" \u003cc\u003e","last"]`
	if got := told(sub); got != all || !rule.Holds(sub) {
		t.Errorf("stands in %s", got)
	}
	sub.Reset()
	if got := told(sub); got != "[]" || rule.Holds(sub) {
		t.Errorf("stands in %s when it is empty", got)
	}
	w.set.Members(sub)
	if got := told(sub); got != all || !rule.Holds(sub) {
		t.Errorf("is judged to be in %s", got)
	}
	for _, set := range []*Set{nil, w.set} {
		sub.Reset()
		if sub.Stand(set, nil); told(sub) != "[]" || rule.Holds(sub) {
			t.Error("somebody who was never judged stands somewhere")
		}
	}
}

// TestASetServesMany judges and explains one Set from several goroutines.
func TestASetServesMany(t *testing.T) {
	traits, list := shop()
	w := newWorld(t, traits, list...)
	w.track("Product Viewed", `{"category":"thrillers"}`)
	w.track("Order Completed", `{"order_id":"o1","revenue":10,"currency":"EUR"}`)
	want := w.names(w.anew(w.now))
	p := facet.Join(w.facets)
	done := make(chan string)
	for range 4 {
		go func() {
			sub := new(Subject)
			for range 20 {
				sub.Reset()
				sub.Profile, sub.Now = p, w.now
				sub.Computed.Reset(w.traits, p, w.now)
				st := w.set.Judge(sub, nil, facet.Change{})
				if got := w.names(st); got != want {
					done <- got
					return
				}
				x, err := w.set.Explain(sub, "evening")
				if err != nil || x.In != strings.Contains(want, "evening") {
					done <- fmt.Sprint(x, err)
					return
				}
			}
			done <- want
		}()
	}
	for range 4 {
		if got := <-done; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
