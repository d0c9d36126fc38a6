package people_test

import (
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/storage/people"
)

// BenchmarkSweep judges persons of one device each, a tenth of whom enter an audience in
// the first run.
func BenchmarkSweep(b *testing.B) {
	const persons = 16_000
	begin := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMilli()
	in := &segment.Standing{In: []segment.Member{{Audience: 1, Since: 1}}, Until: rule.Never}
	out := &segment.Standing{Until: rule.Never}
	tune := func(o *people.Options) {
		o.Hold, o.JudgeByHand = 1000, true
		o.Judge = func(x *people.Snapshot, _ int64) *segment.Standing {
			if x.Profile.Last/60_000%10 == 0 {
				return in
			}
			return out
		}
	}
	dir := b.TempDir()
	d := openShopTuned(b, dir, begin, func(o *people.Options) { o.Hold = 1000 }) // where nobody is judged yet
	var batch []event.Event
	for person := range persons {
		if batch = append(batch, shopper(person, 0, 1, 1000, begin)); len(batch) == 1024 {
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
	swept := int64(0)
	for b.Loop() {
		err := d.Sweep(b.Context(), people.Hash{}, func(_ people.Hash, n int64, _ float64) { swept += n })
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(swept)/b.Elapsed().Seconds(), "persons/s")
}
