package pipeline

import (
	"os"
	"sync"
	"testing"
	"time"
)

// A pause is as long as it was asked for, with many at once, and leaves no
// descriptor behind.
func TestPause(t *testing.T) {
	for _, d := range []time.Duration{-time.Second, 0, 1, 50 * time.Microsecond, time.Millisecond, 3 * time.Millisecond} {
		began := time.Now()
		if pause(d); time.Since(began) < d {
			t.Errorf("%s took %s", d, time.Since(began))
		}
	}
	before := descriptors(t)
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			for range 5 {
				began := time.Now()
				if pause(time.Millisecond); time.Since(began) < time.Millisecond {
					t.Errorf("a millisecond took %s", time.Since(began))
				}
			}
		})
	}
	all.Wait()
	if after := descriptors(t); after > before+10 { // others of the runtime's may come
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

// descriptors is how many this process has open; 0 where the system does not tell.
func descriptors(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return len(list)
}
