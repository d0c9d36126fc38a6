package verify_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

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
