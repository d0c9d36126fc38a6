package people

import (
	"encoding/binary"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/vault"
)

// TestBatchesOfACheckpointAreShort writes many small records and a few large ones, and
// looks at what waits to be committed after each: events wait for a commit that began
// before theirs.
func TestBatchesOfACheckpointAreShort(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	db, err := engine.Open(engine.Options{Dir: "data", FS: vfs.NewMem(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	v, err := vault.Open(db, []byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := eventlog.Open(db, v, eventlog.Options{MinFree: -1, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := writer{s: &Store{o: Options{DB: db, Log: l}}, b: db.NewBatch()}
	defer func() { w.b.Discard() }()
	const records, large = 1000, 10
	for i := range records {
		val := make([]byte, 10)
		if i < large {
			val = make([]byte, batchBytes/2)
		}
		w.set(binary.BigEndian.AppendUint64([]byte("zz"), uint64(i)), val)
		if w.err != nil || w.b.Count() >= batchKeys || w.b.Len() > batchBytes {
			t.Fatalf("after %d: %d records of %d bytes wait to be committed, %v", i+1, w.b.Count(), w.b.Len(), w.err)
		}
	}
	w.flush()
	found := 0
	if err := db.Iter([]byte("zz"), []byte("z{"), func(_, _ []byte) (bool, error) { found++; return true, nil }); err != nil || w.err != nil || found != records {
		t.Fatalf("%d of %d were written: %v, %v", found, records, err, w.err)
	}
}
