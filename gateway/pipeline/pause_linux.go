package pipeline

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pause sleeps for d, to some microseconds. time.Sleep does not: in a program
// that is idle the runtime's poller waits in whole milliseconds from when it was
// last busy, and so adds to what came before instead of making up for it. A
// timer of the kernel's is waited for as a connection is, and holds no thread.
func pause(d time.Duration) {
	end := time.Now().Add(d)
	if err := await(d); err != nil {
		time.Sleep(time.Until(end)) // out of descriptors: what is too busy for that hides more than a millisecond
	}
}

func await(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return err
	}
	timer := os.NewFile(uintptr(fd), "timer")
	err = unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(d.Nanoseconds())}, nil)
	if err == nil {
		var expirations [8]byte
		_, err = timer.Read(expirations[:])
	}
	return errors.Join(err, timer.Close())
}
