package collect

import (
	"math/rand/v2"
	runtimemetrics "runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// pressure tells when more requests come than the machine can do, and has a part of
// them refused then, so that the others are answered as soon as ever.
//
// What it goes by is how long goroutines that could run wait for a processor
// (/sched/latencies of runtime/metrics): beyond saturation that grows with every
// connection, while nothing else does, and it costs nobody anything to measure. The part
// that is refused grows while the wait is longer than it may be, and shrinks while it is
// shorter, the more the further away it is. A single long wait is no pressure (a
// collection, a compaction), nor is one while few requests come: to refuse them would
// help nobody.
//
// Rejected: to count the requests under way. Of those that wait for a processor most
// have not begun, so that there are hardly more of them under load; and how many are
// too many hangs on the machine.
type pressure struct {
	most time.Duration // that most goroutines may wait; 0: nothing is refused

	next  atomic.Int64  // when to look again, ns
	part  atomic.Uint32 // of whole requests, so many are refused
	bytes atomic.Int64  // of the bodies that came since the last look

	mu     sync.Mutex // of who looks; guards
	last   time.Duration
	sample [1]runtimemetrics.Sample
	before []uint64 // the counts of the look before
}

const (
	whole = 1 << 16
	// lookEvery is long enough for some hundred waits to be counted (the runtime counts
	// one in eight), and short enough to answer a flood before its backlog has grown.
	lookEvery = 50 * time.Millisecond
	// fewBytes in lookEvery are few: two thousand events a second, which take a fifth of a
	// slow processor.
	fewBytes = 90 << 10
	// forgetAfter is after how long without requests nothing of before counts.
	forgetAfter = 10 * lookEvery
	// mostRefused leaves some requests through whatever happens: they show when it is over.
	mostRefused = whole - whole/32
)

func newPressure(most time.Duration) *pressure {
	p := &pressure{most: most}
	p.sample[0].Name = "/sched/latencies:seconds"
	return p
}

// refuses says whether a request of so many bytes that came at now is one too many.
func (p *pressure) refuses(now time.Time, bytes int) bool {
	if p.most <= 0 {
		return false
	}
	p.bytes.Add(int64(bytes))
	if at := now.UnixNano(); at >= p.next.Load() && p.mu.TryLock() {
		p.look(at)
		p.mu.Unlock()
	}
	part := p.part.Load()
	return part > 0 && rand.Uint32()%whole < part
}

// look measures and sets the part. The lock is held.
func (p *pressure) look(at int64) {
	last := p.next.Load() - int64(lookEvery)
	p.next.Store(at + int64(lookEvery))
	wait, ok := p.waited()
	if came := p.bytes.Swap(0); !ok || at-last > int64(forgetAfter) || came < fewBytes {
		wait = 0
	}
	p.part.Store(control(p.part.Load(), min(wait, p.last), p.most))
	p.last = wait
}

// control gives the part to refuse from now on, by what it was and how long most have
// waited meanwhile.
func control(part uint32, wait, most time.Duration) uint32 {
	switch over := float64(wait) / float64(most); {
	case over > 1:
		return min(part+uint32(whole/64*min(over-1, 2)), mostRefused)
	case over < 0.25 || part < whole/256:
		return part / 2
	default:
		return part - part/16
	}
}

// waited is how long nine of ten waits since the look before were at most; ok is false
// at the first look.
func (p *pressure) waited() (wait time.Duration, ok bool) {
	runtimemetrics.Read(p.sample[:])
	if p.sample[0].Value.Kind() != runtimemetrics.KindFloat64Histogram {
		return 0, false // a runtime that does not tell
	}
	h := p.sample[0].Value.Float64Histogram()
	if len(p.before) != len(h.Counts) {
		p.before = append(p.before[:0], h.Counts...)
		return 0, false
	}
	total := uint64(0)
	for i, n := range h.Counts {
		p.before[i] = n - p.before[i] // what is new
		total += p.before[i]
	}
	longer := uint64(0) // than the bucket at hand
	for i := len(p.before) - 1; i >= 0; i-- {
		if longer += p.before[i]; longer*10 > total {
			wait = time.Duration(h.Buckets[i] * float64(time.Second))
			break
		}
	}
	copy(p.before, h.Counts)
	return max(wait, 0), true
}

// overloaded is the answer to one request too many. Who comes again is spread over the
// longer, the more are refused.
func (p *pressure) overloaded() *failure {
	f := fail(fasthttp.StatusServiceUnavailable, "overloaded", "more requests come than this gateway can answer in time; nothing was kept of this one: send it again after the time in Retry-After")
	f.retryAfter = time.Second + time.Duration(rand.Int64N(int64(5*time.Second)*int64(p.part.Load())/whole+1))
	return f
}
