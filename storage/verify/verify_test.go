package verify_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/verify"
)

func TestASoundFolderHasNoFaults(t *testing.T) {
	w := openWriter(t, vfs.NewMem(), begin)
	w.fill()
	w.close()
	db, v := openFolder(t, w.fs)
	defer db.Close()
	for _, facts := range []int{0, 40, 1} {
		report := check(t, db, v, w.clock, func(o *verify.Options) { o.MaxFacts = facts })
		if err := report.Err(); err != nil {
			t.Errorf("%d facts at a time: %v", facts, err)
		}
		for _, x := range report.Warnings {
			t.Logf("warning: %v", x)
		}
		if report.Events == 0 || report.Checked == 0 || report.Settled == 0 || report.Tail == 0 || report.Erasures != 1 {
			t.Errorf("too little was looked at: %+v", report)
		}
		t.Logf("%d passes, %d events, %d in the tail, %d settled, %d facets", report.Passes, report.Events, report.Tail, report.Settled, report.Checked)
	}
	report := check(t, db, v, w.clock, nil)
	have := map[keyspace.Space]bool{}
	for _, s := range report.Spaces {
		have[s.Space] = true
	}
	for s := keyspace.Meta; s <= keyspace.Again; s++ {
		if !have[s] && s != keyspace.Audit && s != keyspace.AuditHead {
			t.Errorf("the folder has no %s to check", verify.SpaceName(s))
		}
	}
}

// An earlier version counted the page views of people and robots in one, and of
// its facets only the sum can be compared.
func TestFacetsOfAnEarlierVersionAreNoFault(t *testing.T) {
	w := openWriter(t, vfs.NewMem(), begin)
	w.fill()
	w.close()
	db, v := openFolder(t, w.fs)
	defer db.Close()
	f := &folder{t: t, db: db, v: v}
	mixed := 0
	for _, earlier := range []bool{true, false} {
		for _, p := range f.all(keyspace.Facet) {
			f.refacet(p, func(x *facet.Facet) {
				if x.BotPageviews > 0 {
					mixed++
				}
				x.Pageviews, x.BotPageviews, x.Earlier = x.Pageviews+x.BotPageviews, 0, earlier
			})
		}
		if report := check(t, db, v, w.clock, nil); (report.Err() == nil) != earlier || mixed == 0 {
			t.Errorf("earlier %v: %d facets, %v", earlier, mixed, report.Err())
		}
	}
	for _, p := range f.all(keyspace.Facet)[:1] {
		f.refacet(p, func(x *facet.Facet) { x.Pageviews, x.Earlier = x.Pageviews+1, true })
	}
	if report := check(t, db, v, w.clock, nil); report.Err() == nil {
		t.Error("a page view too many passes in a facet of an earlier version")
	}
}

// What was deleted by age leaves counts and evidence that nothing explains any
// more. They are bounded then, and no fault.
func TestEventsDeletedByAgeAreNoFault(t *testing.T) {
	w := openWriter(t, vfs.NewMem(), begin)
	w.fill()
	w.clock += 90 * 24 * 3_600_000
	w.send(event.Page, "a0", "", "")
	w.must(w.Checkpoint())
	_, err := w.Settle(context.Background(), time.Hour)
	w.must(err)
	at := time.UnixMilli(w.clock).Add(-60 * 24 * time.Hour)
	w.must(w.Expire(at, at))
	w.close()
	f := &folder{t: t}
	f.db, f.v = openFolder(t, w.fs)
	defer f.db.Close()
	report := check(t, f.db, f.v, w.clock, nil)
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	if report.Uncertain == 0 || report.Expired == 0 {
		t.Errorf("nothing was deleted by age: %+v", report)
	}
	// More events than a facet says are a fault all the same.
	f.refacet(f.all(keyspace.Facet)[0], func(x *facet.Facet) { x.Last = 0 })
	for _, p := range f.all(keyspace.Facet) {
		f.refacet(p, func(x *facet.Facet) { x.Events = 0 })
	}
	if report := check(t, f.db, f.v, w.clock, nil); report.OK() {
		t.Error("facets of no events, and there are some: not found")
	}
}

// Without the identifier types evidence is held against its other side.
func TestWithoutTypesSidesAreCompared(t *testing.T) {
	w := openWriter(t, vfs.NewMem(), begin)
	w.fill()
	w.close()
	f := &folder{t: t}
	f.db, f.v = openFolder(t, w.fs)
	defer f.db.Close()
	without := func(o *verify.Options) { o.Types = nil }
	report := check(t, f.db, f.v, w.clock, without)
	if err := report.Err(); err != nil || len(report.NotVerified) != 1 {
		t.Errorf("%v, %q", err, report.NotVerified)
	}
	list := f.all(keyspace.Pair)
	f.link(list[0])
	f.drop(list[len(list)-1].k)
	report = check(t, f.db, f.v, w.clock, without)
	for _, says := range []string{"something else than the record from the other side", "the pair is there from the other side"} {
		if !slices.ContainsFunc(report.Faults, func(x verify.Fault) bool { return strings.Contains(x.What, says) }) {
			t.Errorf("no fault says %q: %v", says, report.Err())
		}
	}
}

func TestAllFaultsAreCountedAndSomeTold(t *testing.T) {
	w := openWriter(t, vfs.NewMem(), begin)
	w.fill()
	w.close()
	f := &folder{t: t}
	f.db, f.v = openFolder(t, w.fs)
	defer f.db.Close()
	for _, p := range f.all(keyspace.Node) {
		f.drop(p.k)
	}
	steps := map[string]bool{}
	report := check(t, f.db, f.v, w.clock, func(o *verify.Options) {
		o.MaxFaults = 3
		o.Progress = func(step string, done, total uint64) {
			if total > 0 && done > total {
				t.Errorf("%s: %d of %d", step, done, total)
			}
			steps[step] = true
		}
	})
	if len(report.Faults) != 3 || report.FaultCount < 10 || report.Err() == nil {
		t.Errorf("%d of %d faults are told", len(report.Faults), report.FaultCount)
	}
	if len(steps) < 12 {
		t.Errorf("steps told: %v", steps)
	}
}

func TestACheckCanBeBrokenOff(t *testing.T) {
	w := openWriter(t, vfs.NewMem(), begin)
	w.fill()
	w.close()
	db, v := openFolder(t, w.fs)
	defer db.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := verify.Run(ctx, verify.Options{DB: db, Vault: v}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
