package people_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

// crowd has n persons, of whom every third is known by two devices and a login.
func crowd(w *world, n int) {
	w.t.Helper()
	at := 0
	for i := range n {
		at++
		w.send(msg(at, event.Page, fmt.Sprint("a", i), ""))
		if i%3 == 0 {
			at += 2
			w.send(msg(at-1, event.Identify, fmt.Sprint("a", i), fmt.Sprint("u", i)), msg(at, event.Identify, fmt.Sprint("b", i), fmt.Sprint("u", i)))
		}
	}
}

// TestSampleIsFair draws many times: everybody is as likely as the other, however
// many devices they have, nobody is in one sample twice, and the estimates of how
// many there are lie around the truth.
func TestSampleIsFair(t *testing.T) {
	const persons, most, draws = 240, 40, 400
	w := open(t, vfs.NewMem(), 0)
	crowd(w, persons)
	w.settle()
	drawn := map[id.ID]int{}
	sum, several := 0.0, 0
	for range draws {
		x, err := w.Sample(context.Background(), most)
		w.must(err)
		if len(x.Persons) != most || x.Share <= 0 || x.Share >= 1 {
			t.Fatalf("%d persons, a share of %v", len(x.Persons), x.Share)
		}
		seen := map[id.ID]bool{}
		for _, p := range x.Persons {
			if seen[p] {
				t.Fatalf("%v is there twice", p)
			}
			seen[p] = true
			drawn[p]++
			if p.Type == id.UserID {
				several++
			}
		}
		sum += float64(x.Total)
	}
	if len(drawn) != persons {
		t.Errorf("%d persons were ever drawn, want %d", len(drawn), persons)
	}
	// A sample's neighbours are the same in each draw, so these are wide.
	if mean := sum / draws; math.Abs(mean-persons) > persons/5 {
		t.Errorf("there are %.0f persons on average, want about %d", mean, persons)
	}
	if share := float64(several) / (most * draws); math.Abs(share-1.0/3) > 0.06 {
		t.Errorf("%.3f of those drawn have several devices, want about a third", share)
	}
	w.close()
}

func TestASampleOfAllIsAll(t *testing.T) {
	w := open(t, vfs.NewMem(), 0)
	if x, err := w.Sample(context.Background(), 10); err != nil || x.Total != 0 || len(x.Persons) != 0 {
		t.Errorf("of nobody: %+v, %v", x, err)
	}
	crowd(w, 30)
	x, err := w.Sample(context.Background(), 1000)
	w.must(err)
	if x.Total != 30 || len(x.Persons) != 30 || x.Share != 1 {
		t.Errorf("%d persons of %d, a share of %v; want all 30", len(x.Persons), x.Total, x.Share)
	}
	for _, p := range x.Persons {
		if c := w.person(p).Cluster; c.Representative != p {
			t.Errorf("%v was drawn for the person that %v represents", p, c.Representative)
		}
	}
	w.erase(user("u0"))
	if x, err = w.Sample(context.Background(), 1000); err != nil || x.Total != 29 {
		t.Errorf("after an erasure: %+v, %v", x, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := w.Sample(ctx, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("a sample that was broken off: %v", err)
	}
	w.close()
}

// TestThePastIsWhatHadBeenReceived asks for every moment of a person's life,
// while more and more of it has settled.
func TestThePastIsWhatHadBeenReceived(t *testing.T) {
	w := open(t, vfs.NewMem(), 0)
	var at []int64
	for n := range 12 {
		who := []string{"", "u1"}[n/6]
		e := msg(n, event.Page, "a1", who)
		at = append(at, e.ReceivedAt)
		w.send(e)
	}
	check := func() {
		t.Helper()
		for n := range at {
			for late, want := range map[int64]int64{0: int64(n + 1), -1: int64(n)} {
				p, err := w.PastProfile(context.Background(), user("u1"), id.VerifiedView, at[n]+late, facet.Rules{})
				w.must(err)
				if p.Profile.Pageviews != want || p.Events != want || p.From != 0 {
					t.Errorf("at event %d%+d: %d page views of %d events, want %d; events from %d on", n, late, p.Profile.Pageviews, p.Events, want, p.From)
				}
			}
		}
	}
	check()
	w.must(w.Checkpoint())
	check()
	w.settle()
	check()
	if _, err := w.PastProfile(context.Background(), user("u2"), id.VerifiedView, at[0], facet.Rules{}); !errors.Is(err, people.ErrUnknown) {
		t.Errorf("of nobody: %v", err)
	}
	w.close()
}
