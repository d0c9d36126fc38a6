package people

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// threadsGiveWay says that a thread can have a priority of its own.
const threadsGiveWay = true

const (
	// niceness is that of threads which give way: the lowest. They get a seventieth of
	// what others get that want the same processor at the same time, and all of it when
	// nobody does. (sched(7), "The nice value")
	niceness = 19
	// turn is for how long such a thread is left alone once it has a processor, in
	// nanoseconds: the least there is. Others who wake wait for no longer, where it would
	// be some milliseconds. Kernels before 6.12 do not ask. (sched_setattr(2))
	turn = 100_000
)

// giveWay makes this thread one that gives way. Where the system refuses, it works like
// any other.
func giveWay() {
	// A batch thread that wakes interrupts nobody. (sched(7), "SCHED_BATCH")
	attr := unix.SchedAttr{Policy: unix.SCHED_BATCH, Nice: niceness, Runtime: turn}
	attr.Size = uint32(unsafe.Sizeof(attr))
	if unix.SchedSetAttr(0, &attr, 0) != nil {
		// On Linux this is the thread's alone. (setpriority(2), "C library/kernel differences")
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, niceness)
	}
}
