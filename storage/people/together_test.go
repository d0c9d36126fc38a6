package people_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/storage/people"
)

// mostMoves is how many transitions an entry has at most.
const mostMoves = 4096

// inAfter is who is in what, and since when, once so many events have come: at the third
// many, at the fourth nobody, and then somebody again.
func inAfter(events, now int64, many int) map[uint32]int64 {
	switch in := map[uint32]int64{}; events {
	case 1:
		return map[uint32]int64{3: now, 300: now, 7: now}
	case 2:
		return map[uint32]int64{3: now - 1000, 4: now, 70_000: now, 5: now - 50, 6: now - 50} // 3 stays as it was
	case 3:
		for a := range uint32(many) {
			in[a+1] = now
		}
		return in
	case 5:
		return map[uint32]int64{9: now, 10: now - 1}
	default:
		return in
	}
}

// TestWhatAJudgingMovesIsOneEntry: each entry has all of one time, pages of any length
// neither lose nor repeat one, and a crash, a restart and settling change none.
func TestWhatAJudgingMovesIsOneEntry(t *testing.T) {
	movesTogether(t, 12, []int{1, 2, 3, 5, 100})
	movesTogether(t, 2*mostMoves+10, []int{1000, mostMoves - 1, mostMoves, 100_000})
}

func movesTogether(t *testing.T, many int, limits []int) {
	t.Helper()
	clock := int64(1_700_000_000_000)
	w := openTuned(t, vfs.NewCrashableMem(), 0, &clock, func(o *people.Options) {
		o.JudgeByHand = true
		o.AudienceName = func(a uint32) string { return fmt.Sprint(a) }
		o.Judge = func(x *people.Snapshot, now int64) *segment.Standing {
			st, in := &segment.Standing{Until: rule.Never}, inAfter(x.Profile.Events, now, many)
			for _, a := range slices.Sorted(maps.Keys(in)) {
				m := segment.Member{Audience: a, Since: in[a]}
				if since, is := x.Standing.Since(a); is {
					m.Since = since
				}
				st.In = append(st.In, m)
			}
			return st
		}
	})
	defer func() { w.close() }()
	type move struct {
		at       int64
		entered  bool
		audience uint32
	}
	var want []move // oldest first
	is := map[uint32]int64{}
	var wantSizes [][]int
	for n := int64(1); n <= 5; n++ {
		atomic.AddInt64(&clock, 10_000)
		e := msg(int(n), event.Page, "a1", "")
		e.Timestamp, e.ReceivedAt = clock, clock
		w.send(e)
		var some []move
		in := inAfter(n, clock, many)
		for a := range is {
			if _, stays := in[a]; !stays {
				some = append(some, move{clock, false, a})
				delete(is, a)
			}
		}
		for a, since := range in {
			if _, was := is[a]; !was {
				some = append(some, move{since, true, a})
				is[a] = since
			}
		}
		slices.SortFunc(some, func(a, b move) int {
			switch {
			case a.at != b.at:
				return int(a.at - b.at)
			case a.entered != b.entered:
				if a.entered {
					return 1
				}
				return -1
			}
			return int(a.audience) - int(b.audience)
		})
		var sizes []int
		for i, m := range some {
			if i == 0 || m.at != some[i-1].at || sizes[len(sizes)-1] == mostMoves {
				sizes = append(sizes, 0)
			}
			sizes[len(sizes)-1]++
		}
		want, wantSizes = append(want, some...), append(wantSizes, sizes)
		w.catchUp()
		if n == 2 {
			w.must(w.log.Barrier().Wait())
			w = w.crash(rand.New(rand.NewPCG(1, 2)))
		}
	}
	if got := fmt.Sprint(wantSizes[:2]); got != "[[3] [2 4]]" {
		t.Fatalf("the story is another: %s", got)
	}
	w.must(w.log.Barrier().Wait())
	var got []move
	var sizes []int
	w.must(w.log.Read(1, func(seq uint64, _ int64, entry []byte) (bool, error) {
		if said, err := people.ReadEntry(entry, &event.Event{}, &people.Refused{}); said != people.SaidTransition {
			return true, err
		}
		list, err := people.ReadTransitions(entry)
		for i, x := range list {
			if x.ID != device("a1") || x.Cause != people.CauseEvent || x.Name != fmt.Sprint(x.Audience) || x.Nth != uint32(i) {
				t.Errorf("entry %d: %+v", seq, x)
			}
			got = append(got, move{x.At, x.Entered, x.Audience})
		}
		sizes = append(sizes, len(list))
		return true, err
	}))
	if !slices.Equal(got, want) || !slices.Equal(sizes, slices.Concat(wantSizes...)) {
		t.Fatalf("the log has %d moves in entries of %v, want %d in %v", len(got), sizes, len(want), wantSizes)
	}
	slices.Reverse(want) // of one place in time, what was told last is the newest
	pages := func(most int) (list []move) {
		var before people.Place
		for {
			some, next, err := w.Transitions(device("a1"), id.VerifiedView, before, most)
			w.must(err)
			if len(some) > most || len(some) < most && next != (people.Place{}) {
				t.Fatalf("a page of %d has %d, and goes on at %v", most, len(some), next)
			}
			for _, x := range some {
				list = append(list, move{x.At, x.Entered, x.Audience})
			}
			if before = next; next == (people.Place{}) {
				return list
			}
		}
	}
	timeline := func(most int) (list []move) {
		var before people.Place
		seen := map[string]bool{}
		p := w.person(device("a1"))
		for {
			next, err := w.Timeline(p.Facets, before, most, func(at people.Place, e *event.Event) error {
				if seen[e.MessageID] {
					t.Errorf("%s is shown twice", e.MessageID)
				}
				seen[e.MessageID] = true
				if e.Name == "" {
					return nil // the page views
				}
				var a uint32
				_, err := fmt.Sscanf(string(e.Properties), `{"audience":"%d"`, &a)
				list = append(list, move{e.Timestamp, e.Name == people.AudienceEntered, a})
				return err
			})
			w.must(err)
			if before = next; next == (people.Place{}) {
				return list
			}
		}
	}
	for _, state := range []string{"in the tail", "opened again", "settled"} {
		switch state {
		case "opened again":
			w.close()
			w = openTuned(t, w.fs, 0, &clock, w.tune)
		case "settled":
			w.settle()
		}
		for _, most := range limits {
			if got := pages(most); !slices.Equal(got, want) {
				t.Errorf("%s, pages of %d: %d moves, want %d", state, most, len(got), len(want))
			}
			if got := timeline(most); !slices.Equal(got, want) {
				t.Errorf("%s, a timeline by %d: %d moves, want %d", state, most, len(got), len(want))
			}
		}
		w.verified()
	}
	w.rebuilt()
}
