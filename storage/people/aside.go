package people

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// Work that nobody waits for, fills and sweeps, goes on beside requests, aside, and
// takes of the machine what they leave. Who goes first the kernel decides: it looks
// whenever a thread wakes, while the runtime lets a goroutine work for ten
// milliseconds before it looks whether another waits. So such work has threads of its
// own, which give way to all others, and processors of the runtime of its own, so that
// it takes none from requests.
//
// Where the program may not use the whole machine, because a container has a limit or
// GOMAXPROCS is set, what such threads use is taken from requests whatever their
// priority. There, and where threads have none, they share the processors that there
// are, and are paced (pace).

// aside runs fn as work that nobody waits for.
func aside(fn func() error) error {
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		machine.enter()
		defer machine.leave()
		runtime.LockOSThread() // for good: the thread cannot get its priority back, and ends with its goroutine
		giveWay()
		err = fn()
	}()
	<-ended
	return err
}

// before runs fn as requests are run, and waits for it: for what holds locks that
// requests wait for, and must not be interrupted by others while it does.
func before(fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	return <-done
}

// patiently is before for what takes long: it gets as much of the machine as requests do,
// but a request that wakes need not wait for it.
func patiently(fn func() error) error {
	return before(func() error {
		runtime.LockOSThread() // for good, as aside
		takeLong()
		return fn()
	})
}

// locked runs fn with the lock, for work aside: a thread that gives way must not hold it,
// since whoever it gives way to would wait for it all the same.
func (s *Store) locked(fn func()) {
	_ = before(func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		fn()
		return nil
	})
}

// machine is what work aside changes of the runtime while it goes on. There is one
// runtime, so there is one of this, whatever the number of stores.
var machine beside

type beside struct {
	mu      sync.Mutex
	threads int
	whole   bool // the program may use all of the machine
	usual   bool // nobody has set how long the garbage collector waits
	percent int  // how long it does; 0: as usual
	garbage uint64
}

// Garbage may be left lying while there is work aside, which leaves as much as that in
// seconds: a collection takes all processors for tens of milliseconds, and requests
// wait. An eighth of what the machine has to spare, within these bounds. A limit for the
// program's memory (GOMEMLIMIT) holds all the same.
const (
	leastGarbage = 512 << 20
	mostGarbage  = 2 << 30
)

func (m *beside) enter() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.threads++; m.threads == 1 {
		m.whole = threadsGiveWay && runtime.GOMAXPROCS(0) >= runtime.NumCPU()
		m.usual = usualPercent()
		m.garbage = min(max(spareMemory()/8, leastGarbage), mostGarbage)
	}
	if m.whole {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}

func (m *beside) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.whole {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) - 1)
	}
	if m.threads--; m.threads == 0 && m.percent > 0 {
		debug.SetGCPercent(defaultPercent)
		m.percent = 0
	}
}

const (
	defaultPercent = 100 // GOGC's
	mostPercent    = 1000
)

// usualPercent says that nobody has set how long the garbage collector waits.
func usualPercent() bool {
	percent := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(percent)
	return percent[0].Value.Uint64() == defaultPercent
}

// collectLess has the garbage collector wait until there is so much garbage. What lives
// changes, so it is called now and then.
func (m *beside) collectLess() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	m.mu.Lock()
	defer m.mu.Unlock()
	percent := int(min(max(m.garbage*100/(live[0].Value.Uint64()+1), defaultPercent), mostPercent))
	if m.usual && m.threads > 0 && (percent < m.percent || percent > 2*max(m.percent, defaultPercent/2)) {
		debug.SetGCPercent(percent) // which stops all for a moment
		m.percent = percent
	}
}

// unpaced says that the kernel sees to it that work aside gives way.
func (m *beside) unpaced() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.whole && m.threads > 0
}
