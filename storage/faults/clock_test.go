package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The clock jumps by an hour and by ten years, to and fro, between any two
// steps and over restarts: nothing crashes, nothing is lost, nothing comes
// twice, and settling and trimming keep what there is.
func TestJumpingClock(t *testing.T) {
	base := rand.Uint64() >> 16
	for i := range uint64(12) {
		seed := base + i
		if err := jumpingClock(seed); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func jumpingClock(seed uint64) error {
	const hour, years = int64(3_600_000), int64(10 * 365.25 * 24 * 3_600_000)
	r := rand.New(rand.NewPCG(seed, 0))
	c := newConfig(vfs.NewMem())
	w, err := open(c)
	if err != nil {
		return err
	}
	off := int64(0) // how wrong the clock is
	for n := range 80 {
		if r.IntN(4) == 0 {
			c.clock.Add(-off)
			off = []int64{0, hour, -hour, years, -years}[r.IntN(5)]
			c.clock.Add(off)
		}
		c.clock.Add(r.Int64N(5 * hour))
		err := w.random(r)
		if err == nil && r.IntN(10) == 0 {
			if err = w.end(); err == nil {
				w, err = open(c)
			}
		}
		if err == nil && r.IntN(6) == 0 {
			err = w.judge()
		}
		if err != nil {
			return errors.Join(fmt.Errorf("step %d, the clock is %d hours off: %w", n, off/hour, err), w.end())
		}
	}
	c.clock.Add(-off) // the clock is right again
	if err := errors.Join(w.judge(), w.end()); err != nil {
		return err
	}
	return sound(c, true)
}
