package people_test

import (
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/storage/people"
)

// BenchmarkSweep judges persons of one device each, a tenth of whom enter an audience in
// the first run: everybody, or those alone who have a series, which are a tenth too.
func BenchmarkSweep(b *testing.B) {
	b.Run("everybody", func(b *testing.B) { benchmarkSweep(b, nil) })
	b.Run("concerned", func(b *testing.B) { benchmarkSweep(b, &people.Concerned{Series: []uint32{1}}) })
}

func benchmarkSweep(b *testing.B, only *people.Concerned) {
	const persons = 16_000
	begin := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMilli()
	in := &segment.Standing{In: []segment.Member{{Audience: 1, Since: 1}}, Until: rule.Never}
	out := &segment.Standing{Until: rule.Never}
	rules := facet.Rules{Contribute: audienceTraits(b, 1).Contribute}
	tune := func(o *people.Options) {
		o.Hold, o.JudgeByHand, o.Rules = 1000, true, rules
		o.Judge = func(x *people.Snapshot, _ int64) *segment.Standing {
			if x.Profile.Last/60_000%10 == 0 {
				return in
			}
			return out
		}
	}
	dir := b.TempDir()
	d := openShopTuned(b, dir, begin, func(o *people.Options) { o.Hold, o.Rules = 1000, rules }) // where nobody is judged yet
	var batch []event.Event
	for person := range persons {
		if batch = append(batch, shopper(person, 0, 1, 10, begin)); len(batch) == 1024 {
			d.sendAll(b, batch)
			batch = batch[:0]
			if err := d.Checkpoint(); err != nil {
				b.Fatal(err)
			}
		}
	}
	d.sendAll(b, batch)
	d.close(b)
	d = openShopTuned(b, dir, begin, tune)
	defer func() { d.close(b) }()
	n := 0
	for b.Loop() {
		if err := d.SweepOnly(b.Context(), only, people.Hash{}, nil); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(n*persons)/b.Elapsed().Seconds(), "persons/s")
}
