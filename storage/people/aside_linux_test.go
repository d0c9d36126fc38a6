package people

import (
	"errors"
	"runtime"
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWorkAsideGivesWay: its threads have the lowest priority and processors of the
// runtime of their own, and when it is over everything is as it was.
func TestWorkAsideGivesWay(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	percent := debug.SetGCPercent(100)
	defer debug.SetGCPercent(percent)
	err := aside(func() error {
		attr, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			return err
		}
		if attr.Nice != niceness || attr.Runtime != longTurn && attr.Runtime != 0 { // 0: the kernel does not know of turns
			t.Errorf("the thread's niceness is %d, want %d; its turn %d", attr.Nice, niceness, attr.Runtime)
		}
		if n := runtime.GOMAXPROCS(0); before >= runtime.NumCPU() && n != before+1 {
			t.Errorf("%d processors, want one more than %d", n, before)
		}
		var p pace
		p.begin()
		if p.end(); p.free != (before >= runtime.NumCPU()) {
			t.Errorf("paced: %t, on a machine of %d processors of which %d may be used", !p.free, runtime.NumCPU(), before)
		}
		machine.collectLess()
		return hurried(t)
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := runtime.GOMAXPROCS(0); n != before {
		t.Errorf("%d processors afterwards, %d before", n, before)
	}
	if n := debug.SetGCPercent(100); n != 100 {
		t.Errorf("the garbage collector waits for %d %% afterwards, 100 before", n)
	}
}

// hurried looks what priority that has which requests wait for.
func hurried(t *testing.T) error {
	return before(func() error {
		attr, err := unix.SchedGetAttr(0, 0)
		if err == nil && attr.Nice != 0 {
			t.Errorf("what requests wait for runs with niceness %d", attr.Nice)
		}
		return err
	})
}

// TestWhoWorksLongMayBeInterrupted: only while it does.
func TestWhoWorksLongMayBeInterrupted(t *testing.T) {
	attrs := func() (nice int32, turn uint64) {
		attr, err := unix.SchedGetAttr(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return attr.Nice, attr.Runtime
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	nice, turn := attrs()
	failed := errors.New("no")
	err := patiently(func() error {
		if n, long := attrs(); n != nice || long != longTurn && long != 0 {
			t.Errorf("niceness %d, turn %d; want %d, %d", n, long, nice, longTurn)
		}
		return failed
	})
	if err != failed {
		t.Errorf("the error was %v", err)
	}
	if n, after := attrs(); n != nice || after != turn {
		t.Errorf("afterwards niceness %d, turn %d; before %d, %d", n, after, nice, turn)
	}
}

// TestWorkAsideIsPacedUnderALimit: what it uses there is taken from requests.
func TestWorkAsideIsPacedUnderALimit(t *testing.T) {
	if runtime.NumCPU() == 1 {
		t.Skip("a limit below one processor cannot be set")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	err := aside(func() error {
		var p pace
		p.begin()
		defer p.end()
		if n := runtime.GOMAXPROCS(0); n != 1 || p.free {
			t.Errorf("%d processors, paced: %t; want 1, true", n, !p.free)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSpareMemoryIsOfThisMachine(t *testing.T) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	all := info.Totalram * uint64(info.Unit)
	if spare := spareMemory(); spare == 0 || spare > all {
		t.Errorf("%d bytes to spare of %d", spare, all)
	}
}
