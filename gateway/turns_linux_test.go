package main

import (
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTurnsAreShort: of every thread, where the kernel knows of turns, and nothing else
// of it changes.
func TestTurnsAreShort(t *testing.T) {
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	shortTurns()
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
		if a.Policy != before.Policy || a.Nice != before.Nice || before.Runtime != 0 && a.Runtime != turn {
			t.Errorf("thread %d: %+v, before %+v", id, a, before)
		}
	}
}
