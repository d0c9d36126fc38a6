package main

import (
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// turn is for how long a thread is left alone by others of its priority once it has a
// processor, in nanoseconds: the least there is. By default it is some milliseconds,
// and who answers a request waits for them up to four times, at each hand of the way,
// while the garbage collector or a compaction is at work. Kernels before 6.12 do not ask.
// (sched_setattr(2), sched-eevdf in the kernel's documentation)
const turn = 100_000

// shortTurns asks for short turns for all threads of the program, and those that they
// start. What the system refuses stays as it is.
func shortTurns() {
	for range 3 { // a thread that has not been asked for may start one meanwhile
		askAll()
	}
}

func askAll() {
	list, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, e := range list {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		attr, err := unix.SchedGetAttr(id, 0)
		if err != nil || attr.Policy != unix.SCHED_NORMAL && attr.Policy != unix.SCHED_BATCH {
			continue // it has ended, or an operator gave it another policy
		}
		attr.Size, attr.Runtime = uint32(unsafe.Sizeof(*attr)), turn
		_ = unix.SchedSetAttr(id, attr, 0)
	}
}
