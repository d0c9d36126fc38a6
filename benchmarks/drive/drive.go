// Package drive sends a workload to a server over keep-alive connections and
// measures what came back: as fast as answers come (closed loop), or on a
// schedule that waits for nobody (open loop), where the time of an answer
// counts from the moment its request was due. It speaks HTTP through fasthttp's
// client and checks every answer.
package drive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/reuna/reuna/benchmarks/workload"
)

// Options of a Driver.
type Options struct {
	Target   string             // http or https URL of the gateway; a path is put before the API's paths
	Workload *workload.Workload // its streams are the connections
	Bare     int                // when above 0, the server is a bare handler that answers this many bytes
	Timeout  time.Duration      // of one request; 0: 10 s
	Acked    io.Writer          // if set, gets the messageIds of each 200, one a line, in one Write an answer
}

// Driver drives one server. Its visitors and their cookies last from run to run.
type Driver struct {
	connections []*connection
	acked       io.Writer
	running     atomic.Bool
}

// New checks the target; it does not connect.
func New(o Options) (*Driver, error) {
	target, err := url.Parse(o.Target)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	if target.Scheme != "http" && target.Scheme != "https" || target.Host == "" {
		return nil, fmt.Errorf("target is %q: expected a URL with http or https and a host, such as http://127.0.0.1:8080", o.Target)
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	base := target.Scheme + "://" + target.Host + strings.TrimRight(target.Path, "/")
	d := &Driver{acked: o.Acked}
	for _, s := range o.Workload.Streams() {
		d.connections = append(d.connections, newConnection(target, base, s, o))
	}
	return d, nil
}

// Plan is one run.
type Plan struct {
	Shape    workload.Shape
	Rate     float64       // requests a second in all, on a fixed schedule; 0: closed loop
	Duration time.Duration // of sending; 0: until the context ends
	// Strict ends the run with an error on the first request that is refused
	// (429, 503) or has no answer. Otherwise such a request is sent again after
	// a pause, with the same messageIds, until it is answered or the run ends.
	Strict bool
	// Progress, if set, is called about every second and never concurrently.
	Progress func(Result)
}

// Late is how long after its scheduled moment a request may leave before it
// counts as late.
const Late = time.Millisecond

// Result is what a run has seen (so far, in Progress).
type Result struct {
	Elapsed    time.Duration
	Requests   int64 // answered 200 and right
	Events     int64 // in those requests
	Throttled  int64 // answers 429
	Busy       int64 // answers 503
	Failed     int64 // attempts without an answer
	Unanswered int64 // requests given up at the end of the run
	Late       int64 // sent more than Late behind the schedule
	AnswerSize int64 // bytes of the bodies of all right answers
	LastError  error // why the newest attempt without an answer had none
	// Latency of the right answers in microseconds: from the schedule with a
	// Rate, from the first attempt's send without. At most MaxLatency.
	Latency *hdrhistogram.Histogram
}

// MaxLatency is the largest that Result.Latency can hold; longer ones count as it.
const MaxLatency = 2 * time.Minute

// Percentile is the latency that p in a hundred answers did not exceed.
func (r *Result) Percentile(p float64) time.Duration {
	return time.Duration(r.Latency.ValueAtPercentile(p)) * time.Microsecond
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, MaxLatency.Microseconds(), 3)
}

// A WrongAnswer says that the server answered and the answer breaks the
// contract. It ends a run.
type WrongAnswer struct{ Reason error }

func (w *WrongAnswer) Error() string { return "wrong answer: " + w.Reason.Error() }
func (w *WrongAnswer) Unwrap() error { return w.Reason }

// Run carries the plan out and gives what was seen, also beside an error. The
// end of ctx ends a run early and is no error. Runs of one Driver may not overlap.
func (d *Driver) Run(ctx context.Context, p Plan) (Result, error) {
	if p.Rate < 0 {
		return Result{Latency: newHistogram()}, fmt.Errorf("rate is %g: expected 0 (closed loop) or more", p.Rate)
	}
	if !d.running.CompareAndSwap(false, true) {
		return Result{Latency: newHistogram()}, errors.New("a run of this driver is under way: runs may not overlap")
	}
	defer d.running.Store(false)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	r := &run{plan: p, start: time.Now(), acked: d.acked, stop: stop}
	if p.Duration > 0 {
		r.end = r.start.Add(p.Duration)
	}
	if p.Rate > 0 {
		r.slots = make(chan time.Time, 1<<16)
		go r.pace(ctx)
	}
	var workers sync.WaitGroup
	for _, c := range d.connections {
		c.begin()
		workers.Go(func() { c.work(ctx, r) })
	}
	watched := make(chan struct{})
	done := make(chan struct{})
	go func() { defer close(watched); d.watch(r, done) }()
	workers.Wait()
	elapsed := time.Since(r.start)
	close(done)
	<-watched
	for _, c := range d.connections {
		c.client.CloseIdleConnections()
	}
	result := d.result(elapsed)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return result, cause
	}
	return result, nil
}

// watch reports progress until done.
func (d *Driver) watch(r *run, done chan struct{}) {
	if r.plan.Progress == nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			r.plan.Progress(d.result(time.Since(r.start)))
		}
	}
}

// result adds up the connections' tallies.
func (d *Driver) result(elapsed time.Duration) Result {
	total := Result{Elapsed: elapsed, Latency: newHistogram()}
	for _, c := range d.connections {
		c.mu.Lock()
		t := &c.tally
		total.Requests += t.Requests
		total.Events += t.Events
		total.Throttled += t.Throttled
		total.Busy += t.Busy
		total.Failed += t.Failed
		total.Unanswered += t.Unanswered
		total.Late += t.Late
		total.AnswerSize += t.AnswerSize
		if t.LastError != nil {
			total.LastError = t.LastError
		}
		total.Latency.Merge(t.Latency)
		c.mu.Unlock()
	}
	return total
}

// run is what the connections share while a plan is carried out.
type run struct {
	plan  Plan
	start time.Time
	end   time.Time      // zero: no end
	slots chan time.Time // when each request is due; nil in a closed loop
	acked io.Writer
	stop  context.CancelCauseFunc
}

// pace puts every request's due time into slots. The times follow from the
// rate alone: a pause of the server, or of this program, moves none of them.
func (r *run) pace(ctx context.Context) {
	defer close(r.slots)
	sleeper := newSleeper()
	defer sleeper.close()
	interval := float64(time.Second) / r.plan.Rate
	for i := 0.0; ; i++ {
		due := r.start.Add(time.Duration(i * interval))
		if !r.end.IsZero() && !due.Before(r.end) {
			return
		}
		if !sleeper.until(ctx, due) {
			return
		}
		select {
		case r.slots <- due:
		case <-ctx.Done():
			return
		}
	}
}

// next waits for the next request's turn and gives the moment from which its
// latency counts; false when the run is over.
func (r *run) next(ctx context.Context) (time.Time, bool) {
	if r.slots == nil {
		now := time.Now()
		return now, ctx.Err() == nil && (r.end.IsZero() || now.Before(r.end))
	}
	select {
	case due, ok := <-r.slots:
		return due, ok && ctx.Err() == nil
	case <-ctx.Done():
		return time.Time{}, false
	}
}
