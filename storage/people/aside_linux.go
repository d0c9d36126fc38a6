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
	// longTurn is for how long a thread asks to be left alone once it has a processor,
	// in nanoseconds: the most there is. It is not: whoever wakes and asks for less goes
	// first, at once. Where both ask for the same, the one at work is left alone for
	// that, however little it is, and nobody looks again before the next tick of the
	// clock, four milliseconds later. Kernels before 6.12 do not ask. (sched_setattr(2),
	// sched-eevdf in the kernel's documentation)
	longTurn = 100_000_000
)

// giveWay makes this thread one that gives way. Where the system refuses, it works like
// any other.
func giveWay() {
	// A batch thread that wakes interrupts nobody. (sched(7), "SCHED_BATCH")
	attr := unix.SchedAttr{Policy: unix.SCHED_BATCH, Nice: niceness, Runtime: longTurn}
	attr.Size = uint32(unsafe.Sizeof(attr))
	if unix.SchedSetAttr(0, &attr, 0) != nil {
		// On Linux this is the thread's alone. (setpriority(2), "C library/kernel differences")
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, niceness)
	}
}

// takeLong makes this thread one that all others of its priority may interrupt.
func takeLong() {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL && attr.Policy != unix.SCHED_BATCH {
		return // an operator gave it another policy
	}
	attr.Size, attr.Runtime = uint32(unsafe.Sizeof(*attr)), longTurn
	_ = unix.SchedSetAttr(0, attr, 0) // what the system refuses stays as it is
}
