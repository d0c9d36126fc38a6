package experiment

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/reuna/reuna/identity/event"
)

// BenchmarkRead is what an entry of the log costs the reader: one that concerns no
// placement, an order of somebody who was shown nothing, and shows of many.
func BenchmarkRead(b *testing.B) {
	f := openFolder(b, filepath.Join(b.TempDir(), "data"))
	r := f.reader(b)
	r.stop()
	r.done.Wait()
	entries := func(name, properties string) (list [][]byte) {
		for i := range 20_000 {
			e := event.Event{Type: event.Track, Name: name, MessageID: fmt.Sprint(i), AnonymousID: fmt.Sprint("v_", i), ReceivedAt: begin, Timestamp: begin + int64(i), Site: "shop", Properties: event.Value(properties)}
			list = append(list, e.AppendBinary([]byte{1, 0}))
		}
		return list
	}
	for _, c := range []struct {
		what string
		list [][]byte
	}{
		{"shows", entries(EventName, `{"experiment_id":"hero","variation_id":"plain","holdout":false}`)},
		{"orders of who was shown it", entries("Order Completed", `{"revenue":20}`)},
		{"anything else", entries("Product Viewed", `{"category":"x"}`)},
	} {
		b.Run(c.what, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if r.dirty >= mostDirty || len(r.persons) >= 2*mostPersons {
					if err := r.save(); err != nil {
						b.Fatal(err)
					}
				}
				if err := r.read(c.list[i%len(c.list)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}
