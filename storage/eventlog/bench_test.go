package eventlog

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/vault"
)

// BenchmarkAppendWait is 64 writers that each append a 400-byte entry and wait
// for the disk, on a real folder.
func BenchmarkAppendWait(b *testing.B) {
	db, err := engine.Open(engine.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	v, err := vault.Open(db, master)
	if err != nil {
		b.Fatal(err)
	}
	l, err := Open(db, v, Options{})
	if err != nil {
		b.Fatal(err)
	}
	entries := sampleEntries(1000, 400)
	b.ReportAllocs()
	b.ResetTimer()
	const writers = 64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < b.N; i += writers {
				if _, t := l.Append(entries[i%len(entries)], int64(i)); t.Wait() != nil {
					b.Error(t.Wait())
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	m := db.Metrics()
	b.ReportMetric(float64(m.WALBytesWritten)/float64(b.N), "walB/op")
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

// sampleEntries makes entries with about the redundancy of events: a third of
// each is its own, the rest comes from a few templates.
func sampleEntries(n, size int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	templates := make([][]byte, 8)
	for i := range templates {
		for len(templates[i]) < size {
			templates[i] = append(templates[i], byte('a'+r.IntN(26)))
		}
	}
	out := make([][]byte, n)
	for i := range out {
		e := bytes.Clone(templates[r.IntN(len(templates))])
		for j := 0; j < size/3; j++ {
			e[j] = byte(r.IntN(256))
		}
		out[i] = e
	}
	return out
}

// Append costs no allocation of its own: what is left is one group, its
// channel and Pebble's batch a commit, shared by all that are in it.
func TestAppendAllocations(t *testing.T) {
	s := openStore(t, vfs.NewMem(), Options{})
	entry := bytes.Repeat([]byte("a"), 400)
	const group = 2000
	run := func() {
		for i := range group {
			s.log.Append(entry, int64(i))
		}
		if err := s.log.Barrier().Wait(); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(20, run) / group; n > 0.1 {
		t.Errorf("%.3f allocations an entry, want at most 0.1", n)
	}
	s.close(t)
}
