package engine

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A synced commit of nothing still syncs what was committed before it.
func TestEmptyCommitSyncs(t *testing.T) {
	fs := vfs.NewCrashableMem()
	db, err := Open(Options{Dir: "data", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	b := db.NewBatch()
	b.Set([]byte("k"), []byte("v"))
	if err := b.Commit(false); err != nil {
		t.Fatal(err)
	}
	if err := db.NewBatch().Commit(true); err != nil {
		t.Fatal(err)
	}
	after := fs.CrashClone(vfs.CrashCloneCfg{})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = Open(Options{Dir: "data", FS: after}); err != nil {
		t.Fatal(err)
	}
	found, err := db.Get([]byte("k"), func([]byte) error { return nil })
	if !found || err != nil {
		t.Error("what was committed before is lost", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
