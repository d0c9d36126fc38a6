package segment

import (
	"fmt"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait"
)

// hundred are 100 audiences over 50 traits, of which one page view of a thriller
// by somebody touches ten.
func hundred(t testing.TB) *world {
	var traits []trait.Definition
	for i := range 50 {
		d := trait.Definition{Name: fmt.Sprintf("t%d", i), Kind: trait.Count, Event: fmt.Sprintf("Event %d", i/5), Window: time.Duration(1+i%5) * day}
		if i%2 == 0 {
			d.Where = fmt.Sprintf("properties.price > %d", i)
		}
		traits = append(traits, d)
	}
	var list []Definition
	for i := range 100 {
		list = append(list, Definition{Name: fmt.Sprintf("audience-%d", i), When: [...]string{
			fmt.Sprintf("computed.t%d >= 3", i%50),
			fmt.Sprintf("computed.t%d > 0 && traits.plan == 'pro'", i%50),
			fmt.Sprintf("computed.t%d >= 1 && counts.orders > 0 && geo.country in ['FI', 'SE']", i%50),
			fmt.Sprintf("computed.t%d == 0 || now - counts.lastOrder < duration('%dh')", i%50, i+1),
			fmt.Sprintf("computed.t%d > 1 && (device.type == 'mobile' || traffic.channel == 'Email')", i%50),
		}[i%5]})
	}
	w := newWorld(t, traits, list...)
	w.fold(0, event.Event{Type: event.Identify, Traits: `{"plan":"pro"}`})
	w.track("Order Completed", `{"order_id":"o","revenue":10,"currency":"EUR"}`)
	for i := range 40 {
		w.now += 60_000
		w.track(fmt.Sprintf("Event %d", i%10), `{"price":30}`)
	}
	return w
}

func TestJudgingCostsNothingWhereNothingIsTouched(t *testing.T) {
	w := hundred(t)
	st := w.anew(w.now)
	changed := w.track("Nobody Wants This", `{"price":30}`)
	sub := w.subject(new(Subject), w.now)
	if got := testing.AllocsPerRun(100, func() {
		if w.set.Judge(sub, st, changed) != st {
			t.Fatal("another standing")
		}
	}); got != 0 || sub.judged != 0 {
		t.Errorf("%v allocations and %d evaluations", got, sub.judged)
	}
	changed = w.track("Event 3", `{"price":30}`)
	w.subject(sub, w.now)
	st = w.set.Judge(sub, st, changed)
	// Of the ten those four are not judged that hold and cannot cease to by an event more.
	if sub.judged != 6 {
		t.Fatalf("%d of ten audiences that are touched are judged, want 6", sub.judged)
	}
	// Judged again with the same outcome, rules of simple shapes need no memory.
	if got := testing.AllocsPerRun(100, func() {
		if w.set.Judge(sub, st, changed) != st {
			t.Fatal("another standing")
		}
	}); got != 0 {
		t.Errorf("six audiences: %v allocations", got)
	}
}

func BenchmarkJudge(b *testing.B) {
	w := hundred(b)
	st := w.anew(w.now)
	sub := w.subject(new(Subject), w.now)
	for _, c := range []struct {
		name    string
		changed facet.Change
		was     *Standing
	}{
		{"nothing", w.track("Nobody Wants This", `{"price":30}`), st},
		{"10 of 100 are touched", w.track("Event 3", `{"price":30}`), st},
		{"all of 100", facet.Everything(), st},
		{"first", facet.Change{}, nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.set.Judge(sub, c.was, c.changed)
			}
		})
	}
	// With the profile's values to be made again, as after an event.
	changed := w.track("Event 3", `{"price":30}`)
	p := facet.Join(w.facets)
	b.Run("10 of 100 are touched, a new profile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sub.Reset()
			sub.Profile, sub.Now = p, w.now
			sub.Computed.Reset(w.traits, p, w.now)
			w.set.Judge(sub, st, changed)
		}
	})
}
