package traffic

import (
	"sync"
	"testing"
)

func TestReadIsSafeForManyAtOnce(t *testing.T) {
	r, alone := newTestRules(t), newTestRules(t)
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for range 200 {
				for _, in := range visits() {
					if got, want := r.Read(&in), alone.Read(&in); got != want {
						t.Errorf("got %+v, want %+v", got, want)
					}
				}
			}
		})
	}
	done.Wait()
}
