package engine

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestTablesAreWrittenWithBreaths, but logs are not, and nothing is while tables come
// faster, before the store is open, or once it is being closed.
func TestTablesAreWrittenWithBreaths(t *testing.T) {
	for _, c := range []struct {
		name             string
		category         vfs.DiskWriteCategory
		behind, closed   bool
		bytes, per, want int
	}{
		{name: "000005.sst", category: "pebble-compaction", bytes: 1 << 20, per: 4 << 10, want: 16},
		{name: "000005.sst", category: "pebble-memtable-flush", bytes: 1 << 20, per: 100 << 10, want: 10},
		{name: "000005.sst", category: "pebble-compaction", behind: true, bytes: 1 << 20, per: 4 << 10},
		{name: "000005.sst", category: "pebble-compaction", closed: true, bytes: 1 << 20, per: 4 << 10},
		{name: "000004.log", category: "pebble-wal", bytes: 1 << 20, per: 4 << 10},
	} {
		d := newDisk(vfs.NewMem(), "data", newFullness(nil, nil), func(err error) { t.Error(err) })
		if err := d.MkdirAll("data", 0o700); err != nil {
			t.Fatal(err)
		}
		taken := 0
		d.breaths.rest = func(time.Duration) { taken++ }
		d.breaths.behind = func() bool { return c.behind }
		d.breaths.taken.Store(!c.closed)
		f, err := d.Create("data/"+c.name, c.category)
		if err != nil {
			t.Fatal(err)
		}
		for left := c.bytes; left > 0; {
			n, err := f.Write(make([]byte, min(left, c.per)))
			if err != nil {
				t.Fatal(err)
			}
			left -= n
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if taken != c.want {
			t.Errorf("%+v: %d breaths, want %d", c, taken, c.want)
		}
	}
}

// TestBreathsFollowWhatWaits: it is looked again now and then.
func TestBreathsFollowWhatWaits(t *testing.T) {
	behind, taken := true, 0
	b := breaths{behind: func() bool { return behind }, rest: func(time.Duration) { taken++ }}
	b.taken.Store(true)
	if b.take(); taken != 0 {
		t.Fatal("a breath while tables come faster")
	}
	behind = false
	if b.take(); taken != 0 {
		t.Fatal("it is looked each time")
	}
	b.looked.Store(0)
	if b.take(); taken != 1 {
		t.Fatal("no breath though there is time")
	}
}
