package people_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

// However long the time between checkpoints is, there is one before a replay would have
// much more than three hundred thousand entries to apply, and none for few.
func TestCheckpointsComeBeforeReplaysGrowLong(t *testing.T) {
	clock := int64(1_700_000_000_000)
	w := openTuned(t, vfs.NewMem(), 1_000_000, &clock, func(o *people.Options) { o.Rules = facet.Rules{} }) // every hour
	defer w.close()
	n := 0
	send := func(upTo int) {
		for n < upTo && w.Stats().Checkpoints == 0 {
			list := make([]event.Event, 250)
			for i := range list {
				n++
				list[i] = event.Event{Type: event.Page, Site: "shop", Trust: id.Claimed, MessageID: fmt.Sprint("m", n),
					AnonymousID: fmt.Sprint("a", n%100), Timestamp: clock, ReceivedAt: clock}
			}
			w.send(list...)
		}
	}
	if send(250_000); w.Stats().Checkpoints > 0 {
		t.Errorf("a checkpoint after %d entries of 100 visitors", n)
	}
	send(350_000)
	for ends := time.Now().Add(30 * time.Second); w.Stats().Checkpoints == 0 && time.Now().Before(ends); {
		time.Sleep(time.Millisecond)
	}
	if w.Stats().Checkpoints == 0 {
		t.Errorf("no checkpoint after %d entries", n)
	}
}
