package main

import (
	"os"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTurnsAreShort: of every thread, where the kernel knows of turns, and nothing else
// changes. What others of the program's threads have is work's that gives way.
func TestTurnsAreShort(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	shortTurns()
	if a, err := unix.SchedGetAttr(0, 0); err != nil || a.Policy != before.Policy || a.Nice != before.Nice {
		t.Errorf("%+v, before %+v: %v", a, before, err)
	}
	list, err := os.ReadDir("/proc/self/task")
	if err != nil || len(list) == 0 {
		t.Fatal(len(list), err)
	}
	for _, e := range list {
		id, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		a, err := unix.SchedGetAttr(id, 0)
		if err == unix.ESRCH {
			continue // it has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		if before.Runtime != 0 && a.Runtime != turn {
			t.Errorf("thread %d: %+v", id, a)
		}
	}
}
