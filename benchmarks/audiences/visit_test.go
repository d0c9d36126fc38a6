package audiences

import (
	"testing"
	"time"

	"github.com/reuna/reuna/benchmarks/template"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait/rule"
)

// BenchmarkVisit is a visit of ten events, half a minute apart, each day of a month, and
// all that comes of it by time alone before the next.
func BenchmarkVisit(b *testing.B) {
	ts, ss := sets(b)
	now := time.Unix(1_790_000_000, 0)
	visitors, _, _, err := template.Visitors(1, 500, 16, func() time.Time { return now })
	if err != nil {
		b.Fatal(err)
	}
	const events = 10
	rules := facet.Rules{MaxTraits: 6000, Contribute: ts.Contribute}
	sub := &segment.Subject{}
	visits, wakes, moved := 0, 0, 0
	judge := func(f *facet.Facet, was *segment.Standing, at int64, c facet.Change) *segment.Standing {
		p := facet.Join([]*facet.Facet{f})
		sub.Reset()
		sub.Profile, sub.Now = p, at
		sub.Computed.Reset(ts, p, at)
		st := ss.Judge(sub, was, c)
		p.Release()
		return st
	}
	for n := 0; b.Loop(); n++ {
		list := visitors[n%len(visitors)]
		f, seq := &facet.Facet{}, 0
		var st *segment.Standing
		for day := range 30 {
			at := now.UnixMilli() + int64(day)*86_400_000
			for range events {
				at += 30_000
				e := list[seq%len(list)].Event
				seq++
				e.Timestamp, e.ReceivedAt = at, at
				done := f.Fold(&e, uint64(seq), &rules)
				st = judge(f, st, at, done.Change)
			}
			visits++
			for next := now.UnixMilli() + int64(day+1)*86_400_000; st.Until != rule.Never && st.Until < next; {
				wakes++
				was := st
				if st = judge(f, was, was.Until, facet.Change{}); len(st.In) != len(was.In) {
					moved++
				}
			}
		}
	}
	b.ReportMetric(float64(wakes)/float64(visits), "wakes/visit")
	b.ReportMetric(float64(moved)/float64(visits), "moves/visit")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(visits*events), "ns/event")
}
