package engine

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestGateUnderLoad(t *testing.T) {
	for range 200 {
		var g gate
		g.init()
		var inside, wrong atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for g.enter() {
					inside.Add(1)
					inside.Add(-1)
					g.leave()
				}
			})
		}
		var closers atomic.Int64
		for range 2 {
			wg.Go(func() {
				if g.close(nil) {
					closers.Add(1)
					wrong.Store(inside.Load())
				}
			})
		}
		wg.Wait()
		if wrong.Load() != 0 || closers.Load() != 1 {
			t.Fatalf("%d inside after close, %d closers", wrong.Load(), closers.Load())
		}
	}
}
