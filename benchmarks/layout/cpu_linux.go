package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpu is the processor time of the calling thread, so that other programs on
// the machine do not count. Its goroutine must be locked to the thread.
func cpu() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic("layout: the thread's clock: " + err.Error()) // Linux always has one
	}
	return time.Duration(t.Nano())
}
