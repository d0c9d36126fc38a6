//go:build !linux

package pipeline

import "time"

// pause sleeps for d, as well as the runtime can.
func pause(d time.Duration) { time.Sleep(d) }
