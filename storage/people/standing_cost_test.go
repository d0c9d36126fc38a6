//go:build !race

package people_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/storage/people"
)

// sameJudge is a Judge whom no event impresses: what it costs is what the store does.
func sameJudge() func(*people.Snapshot, int64) *segment.Standing {
	st := &segment.Standing{In: []segment.Member{{Audience: 1, Since: 1}}, Until: rule.Never}
	return func(x *people.Snapshot, now int64) *segment.Standing {
		if x.Standing != nil {
			return x.Standing
		}
		return st
	}
}

// standingLoop folds events of one person and answers each, with audiences or without.
type standingLoop struct {
	w     *world
	items []people.Item
	e     event.Event
	user  string
	now   int64
	n     int
}

func newStandingLoop(t testing.TB, judges bool, user string) *standingLoop {
	clock := time.Now().UnixMilli()
	w := &world{t: testingT(t), fs: vfs.NewMem(), clock: &clock, now: func() int64 { return clock }, tune: func(o *people.Options) {
		o.Rules = facet.Rules{}
		if judges {
			o.Judge, o.JudgeByHand = sameJudge(), true
			o.AudienceName = func(uint32) string { return "frequent buyers" }
		}
	}}
	w.openIn(w.fs, "data")
	return &standingLoop{w: w, items: make([]people.Item, 1), user: user, now: clock}
}

// testingT gives the T that a world fails with; a benchmark has none, and panics on it.
func testingT(t testing.TB) *testing.T {
	if t, ok := t.(*testing.T); ok {
		return t
	}
	return &testing.T{}
}

// once folds an event into its facet and gives the person's page an answer. The same
// entry is folded again: what is measured is not the log.
func (l *standingLoop) once() {
	l.n++
	l.now++
	l.e = event.Event{Type: event.Track, Name: "x", Site: "shop", Trust: id.Verified, MessageID: fmt.Sprint("m", l.n), AnonymousID: "a1", UserID: l.user, Timestamp: l.now, ReceivedAt: l.now}
	l.w.Prepare(&l.items[0], &l.e, false)
	tx, err := l.w.Begin(l.items, "", false)
	if err != nil {
		panic(err)
	}
	tx.Resolve(&l.items[0])
	tx.Fold(&l.items[0], tx.Append(&l.items[0]))
	tx.End()
	l.answer()
}

func (l *standingLoop) answer() {
	var x people.Snapshot
	var err error
	if l.user != "" {
		x, err = l.w.Profile(id.ID{Type: id.UserID, Value: l.user}, id.VerifiedView)
	} else {
		x, err = l.w.Device("a1")
	}
	if err != nil {
		panic(err)
	}
	if l.w.options.Judge != nil {
		l.w.Stand(&x, l.w.options.Judge(&x, l.now), l.now)
	}
}

// TestStandingsCostAnAnswerNothing: an event that changes no standing brings no
// allocation with it, neither of a device's page nor of a session's.
func TestStandingsCostAnAnswerNothing(t *testing.T) {
	for _, user := range []string{"", "u1"} {
		var allocs [2]float64
		for i, judges := range []bool{false, true} {
			l := newStandingLoop(t, judges, user)
			for range 300 {
				l.once()
			}
			allocs[i] = math.MaxFloat64 // the log's committer allocates meanwhile, now and then
			for range 100 {
				allocs[i] = min(allocs[i], testing.AllocsPerRun(100, l.once))
			}
			l.w.close()
		}
		if allocs[1] > allocs[0]+0.5 {
			t.Errorf("user %q: %.1f allocations an event with audiences, %.1f without", user, allocs[1], allocs[0])
		}
	}
}

func BenchmarkStandings(b *testing.B) {
	for _, user := range []string{"", "u1"} {
		for _, judges := range []bool{false, true} {
			b.Run(fmt.Sprintf("user=%q,audiences=%v", user, judges), func(b *testing.B) {
				l := newStandingLoop(b, judges, user)
				l.once()
				b.ReportAllocs()
				for b.Loop() {
					l.once()
				}
				b.StopTimer()
				l.w.close()
			})
		}
	}
}

// BenchmarkTell is a person who leaves one audience and enters two, and the other way
// round, with every second judging: three moves each time.
func BenchmarkTell(b *testing.B) {
	l := newStandingLoop(b, true, "u1")
	l.once()
	first, n := l.w.log.NextSeq(), 0
	b.ReportAllocs()
	for b.Loop() {
		x, err := l.w.Profile(id.ID{Type: id.UserID, Value: l.user}, id.VerifiedView)
		if err != nil {
			b.Fatal(err)
		}
		l.now++
		n++
		st := &segment.Standing{Until: rule.Never, In: []segment.Member{{Audience: 41, Since: l.now}}}
		if n%2 == 0 {
			st.In = []segment.Member{{Audience: 40, Since: l.now}, {Audience: 90, Since: l.now}}
		}
		l.w.Stand(&x, st, l.now)
	}
	b.StopTimer()
	if err := l.w.log.Barrier().Wait(); err != nil {
		b.Fatal(err)
	}
	entries, size := 0, 0
	if err := l.w.log.Read(first, func(_ uint64, _ int64, entry []byte) (bool, error) {
		entries, size = entries+1, size+len(entry)
		return true, nil
	}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(entries)/float64(n), "entries/op")
	b.ReportMetric(float64(size)/float64(n), "entrybytes/op")
	l.w.close()
}
