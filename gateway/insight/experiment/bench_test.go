package experiment

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/storage/readers"
)

// BenchmarkRead is what an entry of the log costs the reader: one that concerns no
// placement, an order of somebody who was shown nothing, and shows of many.
func BenchmarkRead(b *testing.B) {
	f := openFolder(b, filepath.Join(b.TempDir(), "data"))
	r := newReader(f.options())
	state, err := readers.Open(f.DB, f.Log, f.Vault, ReaderName)
	if err != nil {
		b.Fatal(err)
	}
	if err := r.load(state); err != nil {
		b.Fatal(err)
	}
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
				err := r.take(c.list[i%len(c.list)])
				if errors.Is(err, readers.ErrFull) {
					w := state.Begin()
					if err = errors.Join(r.save(w), w.Commit(0)); err == nil {
						r.saved()
						continue
					}
				}
				if err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}
