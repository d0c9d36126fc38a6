package main

import (
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/reuna/reuna/benchmarks/measure"
	"github.com/reuna/reuna/storage/engine"

	"os"
)

// Took is what something cost this process.
type Took struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpuSeconds"`          // user and kernel, all threads
	Rate    float64 `json:"perSecond,omitempty"` // events
	Each    float64 `json:"cpuMicros,omitempty"` // of processor time an event
	Foreign float64 `json:"foreignPercent"`      // of the machine's processor time, taken by others meanwhile
	Disk    int64   `json:"writtenBytes"`        // sent to the disk
}

type watch struct {
	began       time.Time
	cpu         time.Duration
	disk        uint64
	busy, total time.Duration
}

func newWatch() *watch {
	w := &watch{began: time.Now(), cpu: cpuTime()}
	// Where these cannot be read the figures are zero.
	w.disk, _ = measure.Written(os.Getpid())
	w.busy, w.total, _ = measure.Machine()
	return w
}

func (w *watch) read(events int64) Took {
	wall, cpu := time.Since(w.began), cpuTime()-w.cpu
	t := Took{Seconds: wall.Seconds(), CPU: cpu.Seconds()}
	if events > 0 {
		t.Rate, t.Each = float64(events)/wall.Seconds(), float64(cpu.Microseconds())/float64(events)
	}
	if disk, err := measure.Written(os.Getpid()); err == nil {
		t.Disk = int64(disk - w.disk)
	}
	if busy, total, err := measure.Machine(); err == nil && total > w.total {
		t.Foreign = max(0, 100*float64(busy-w.busy-cpu)/float64(total-w.total))
	}
	return t
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Memory is what a process holds, in bytes.
type Memory struct {
	Resident uint64 `json:"resident"`
	Heap     uint64 `json:"heap"` // live objects of Go after a collection
}

func memoryNow() (m Memory, err error) {
	m.Resident, err = resident()
	runtime.GC()
	m.Heap = heapNow()
	return m, err
}

func resident() (uint64, error) {
	m, err := measure.MemoryOf(os.Getpid())
	return m.Resident, err
}

func heapNow() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// settleMemory gives back what the measurement itself needed.
func settleMemory() { debug.FreeOSMemory() }

// Written is what the engine has written since the folder was opened, bytes.
type Written struct {
	WAL         uint64 `json:"wal"`
	Flushed     uint64 `json:"flushed"`
	Compacted   uint64 `json:"compacted"`
	Compactions int64  `json:"compactions"`
}

func writtenBy(db *engine.DB) Written {
	m := db.Metrics()
	return Written{m.WALBytesWritten, m.FlushedBytes, m.CompactedBytes, m.Compactions}
}

func (w Written) minus(o Written) Written {
	return Written{w.WAL - o.WAL, w.Flushed - o.Flushed, w.Compacted - o.Compacted, w.Compactions - o.Compactions}
}
