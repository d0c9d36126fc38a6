package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkCommit commits with a sync, with log files that are used again and
// with new ones only, after enough of them that there are some to use again.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10} {
		for name, fresh := range map[string]int{"recycled": 0, "fresh": 1} {
			b.Run(fmt.Sprintf("%d/%s", size, name), func(b *testing.B) {
				db := mustOpen(b, Options{Dir: b.TempDir(), Logger: quiet()})
				defer mustClose(b, db)
				db.fs.fresh = fresh
				val := make([]byte, size)
				commit := func(i int, sync bool, val []byte) {
					batch := db.NewBatch()
					batch.Set(fmt.Appendf(nil, "k%09d", i), val)
					if err := batch.Commit(sync); err != nil {
						b.Fatal(err)
					}
				}
				big := make([]byte, 1<<20)
				for i := range 300 {
					commit(i, false, big)
				}
				rng := rand.New(rand.NewPCG(1, 1))
				i := 0
				for b.Loop() {
					i++
					val[i%size] = byte(rng.Uint32())
					commit(i, true, val)
				}
				b.ReportMetric(float64(db.Metrics().ObsoleteWALFiles), "old-logs")
			})
		}
	}
}
