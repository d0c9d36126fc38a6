package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestQuickRun: every link makes one person of two and is undone by its cut (or
// the run fails), adds one entry to the log (a login one more: its session), and
// leaves what is settled alone; on a kiosk no more is read than on a quiet device.
func TestQuickRun(t *testing.T) {
	o := options{events: 50, people: 3, links: 9, users: 220, rounds: 1, dir: t.TempDir()}
	r, err := run(t.Context(), &o, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	for d, name := range doors {
		want := int64(1)
		if name == "login" {
			want = 2
		}
		if n := r.links[0].entries[d][want]; n != 3 || len(r.links[0].large[d]) != 3 || len(r.links[0].small[d]) != 3 {
			t.Errorf("%s: %v entries, by their number of links", name, r.links[0].entries[d])
		}
	}
	if r.links[0].before != r.links[0].after || r.links[0].before.records == 0 {
		t.Errorf("histories were %+v and are %+v", r.links[0].before, r.links[0].after)
	}
	for i, k := range r.kiosk {
		if k.held != (i == 1) || k.kiosk.n != 220 || k.others != 0 {
			t.Errorf("kiosk %d: held %v, %d steps, %d others worked out again", i, k.held, k.kiosk.n, k.others)
		}
		if reads, pairs := k.ratio((*cost).meanReads), k.ratio((*cost).meanPairs); reads > goalKiosk || pairs > goalKiosk {
			t.Errorf("kiosk %d: reads %.2f times as many identifiers as a quiet device, and looks at %.2f times as many pairs", i, reads, pairs)
		}
	}
	if text := r.table(); !strings.Contains(text, "the same, to the byte") || strings.Contains(text, "NaN") {
		t.Error(text)
	}
}

func TestPercentiles(t *testing.T) {
	var list times
	if list.at(0.5) != 0 {
		t.Error("no times have a median")
	}
	for i := 100; i > 0; i-- {
		list.add(time.Duration(i) * time.Millisecond)
	}
	if !slices.IsSorted(list) || list.at(0) != 1 || list.at(0.5) != 51 || list.at(0.99) != 100 || list.at(1) != 100 {
		t.Errorf("%v, %v, %v, %v", list.at(0), list.at(0.5), list.at(0.99), list.at(1))
	}
}

func TestWhatCannotBeLinked(t *testing.T) {
	var out strings.Builder
	if err := command(t.Context(), []string{"-people", "3", "-links", "10"}, &out, &out); err == nil || !strings.Contains(err.Error(), "at most 9") {
		t.Error(err)
	}
}
