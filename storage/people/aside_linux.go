package people

import "syscall"

// niceness is that of threads which give way: they get a tenth of what others get that
// want the same processor at the same time, and all of it when nobody does.
const niceness = 10

// giveWay makes this thread one that gives way. Where the system refuses, it works like
// any other.
func giveWay() {
	// On Linux this is the thread's alone. (setpriority(2), "C library/kernel differences")
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, niceness)
}
