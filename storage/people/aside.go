package people

import "runtime"

// aside runs fn on a thread of its own that gives way to all others which want the same
// processor: requests do not wait until its time is over. It ends when fn does.
func aside(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread cannot get its priority back, and ends with its goroutine
		giveWay()
		done <- fn()
	}()
	return <-done
}
