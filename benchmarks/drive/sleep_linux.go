package drive

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// sleeper wakes at a moment within some tens of microseconds. The runtime's
// timers may be a millisecond late in a program that is idle, since its poller
// waits in whole milliseconds; that would be read as the server's latency.
//
// It keeps an OS thread for itself and blocks in the kernel, so the program
// should run with one processor more (runtime.GOMAXPROCS) than it has cores.
type sleeper struct{}

const defaultSlack = 50_000 // nanoseconds, the kernel's own default

func newSleeper() *sleeper {
	runtime.LockOSThread()
	s := &sleeper{}
	// A failure leaves the default slack: later by 50 µs at most, no wrong result.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	return s
}

func (s *sleeper) close() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, defaultSlack, 0, 0, 0)
	runtime.UnlockOSThread()
}

// until sleeps to the moment; false when ctx ended before it.
func (s *sleeper) until(ctx context.Context, moment time.Time) bool {
	for {
		left := time.Until(moment)
		if left <= 0 {
			return ctx.Err() == nil
		}
		if ctx.Err() != nil {
			return false
		}
		// Long waits in parts, so that the end of ctx is seen.
		spec := unix.NsecToTimespec(min(left, 50*time.Millisecond).Nanoseconds())
		if err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &spec, nil); err != nil && err != unix.EINTR {
			time.Sleep(left)
		}
	}
}
