//go:build !linux

package drive

import (
	"context"
	"time"
)

// sleeper uses the runtime's timers, which may be a millisecond late.
type sleeper struct{}

func newSleeper() *sleeper { return &sleeper{} }

func (s *sleeper) close() {}

// until sleeps to the moment; false when ctx ended before it.
func (s *sleeper) until(ctx context.Context, moment time.Time) bool {
	timer := time.NewTimer(time.Until(moment))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
