// Package soak drives a gateway for a long time with all kinds of traffic at once
// and watches whether it stays as it was: memory, goroutines, open files, latency.
package soak

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/reuna/reuna/benchmarks/drive"
	"github.com/reuna/reuna/benchmarks/measure"
	"github.com/reuna/reuna/benchmarks/serve"
	"github.com/reuna/reuna/benchmarks/workload"
)

// Options say how to soak.
type Options struct {
	Gateway     []string // command that runs the gateway
	Dir         string   // for its configuration and data
	Config      string   // its configuration
	WriteKey    string   // that the configuration names
	Duration    time.Duration
	Window      time.Duration // that latency is told of; 0: 10 s
	Share       float64       // of the gateway's saturation
	Connections int           // of the visitors who send one event a request
	Visitors    int
	Seed        uint64
	Log         io.Writer
}

// part is one kind of traffic: a driver with visitors of its own.
type part struct {
	name   string
	share  float64 // of the requests
	shape  workload.Shape
	driver *drive.Driver

	mu   sync.Mutex
	seen drive.Result // so far
}

// Shares of the requests; linkRate is besides, in links a second. Each link makes two
// devices, that nobody knew, one person's: the population grows by them, slowly.
const (
	shareInteract = 0.85
	shareBatch    = 0.01 // of twenty events each
	shareProfile  = 0.14
	batchSize     = 20
	linkRate      = 2
	// visit is how many requests somebody makes before somebody else comes. Visitors who stay
	// for an hour would do in it what people do in years.
	visit = 10
)

// Run soaks. The end of ctx ends it early, with an error.
func Run(ctx context.Context, o Options) (r *Report, err error) {
	if o.Window == 0 {
		o.Window = 10 * time.Second
	}
	r = &Report{Environment: measure.Here(), Seconds: o.Duration.Seconds(), WindowSeconds: o.Window.Seconds(), Share: o.Share, Connections: o.Connections, Visitors: o.Visitors, Links: linkRate}
	if r.Environment.Disk, err = measure.Filesystem(o.Dir); err != nil {
		return nil, err
	}
	key := fmt.Sprintf("bench-%016x%016x", rand.Uint64(), rand.Uint64())
	server, err := serve.StartGateway(ctx, serve.Gateway{Command: o.Gateway, Dir: o.Dir, Config: o.Config, AdminKey: key})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	parts, err := o.parts(server.Site)
	if err != nil {
		return nil, err
	}
	if err := o.saturate(ctx, parts, r); err != nil {
		return nil, errors.Join(err, server.Alive())
	}
	w := &watch{options: o, server: server, key: key, parts: parts, report: r}
	return r, errors.Join(w.run(ctx), server.Alive())
}

func (o *Options) parts(target string) ([]*part, error) {
	list := []*part{
		{name: "interact", share: shareInteract, shape: workload.Shape{Format: workload.Interact, Batch: 1}},
		{name: "interact, 20 events", share: shareBatch, shape: workload.Shape{Format: workload.Interact, Batch: batchSize}},
		{name: "profile", share: shareProfile, shape: workload.Shape{Format: workload.Profile}},
	}
	for i, p := range list {
		connections := max(int(p.share*float64(o.Connections)), 4)
		if i == 0 {
			connections = o.Connections
		}
		w, err := workload.New(workload.Options{
			Visitors: max(int(p.share*float64(o.Visitors)), connections), Streams: connections,
			Seed: o.Seed + uint64(i), Visit: visit, Nonce: rand.Uint64(), Origin: target, WriteKey: o.WriteKey,
		})
		if err != nil {
			return nil, err
		}
		if p.driver, err = drive.New(drive.Options{Target: target, Workload: w}); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// saturate finds how many requests a second the mixture has at most: all kinds at
// once, as fast as answers come, would not keep the shares; so each kind is driven
// alone, and what a request of the mixture costs follows from their rates.
//
// What is meant is what it keeps up with for long: events are sent for minutes, until
// there are persons enough that some must be read from the disk again, and while
// checkpoints and compactions go on. In its first seconds a gateway takes a third more.
func (o *Options) saturate(ctx context.Context, parts []*part, r *Report) error {
	seconds := 0.0
	for _, p := range parts {
		each := max(o.Duration/30, time.Second)
		if p.shape.Batch != 1 {
			each = max(each/6, time.Second)
		}
		var got drive.Result
		for range 2 { // the first warms up
			var err error
			if got, err = p.driver.Run(ctx, drive.Plan{Shape: p.shape, Duration: each}); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if got.Requests == 0 {
			return fmt.Errorf("%s: the gateway answered nothing in %v", p.name, each)
		}
		rate := float64(got.Requests) / got.Elapsed.Seconds()
		fmt.Fprintf(o.Log, "%s alone: %.0f requests/s\n", p.name, rate)
		seconds += p.share / rate
	}
	r.Saturation = 1 / seconds
	r.Rate = r.Saturation * o.Share
	fmt.Fprintf(o.Log, "all together: %.0f requests/s; soaking with %.0f for %v\n", r.Saturation, r.Rate, o.Duration)
	return nil
}

// watch is the soak itself.
type watch struct {
	options Options
	server  *serve.Server
	key     string
	parts   []*part
	report  *Report
	links   int64
}

func (w *watch) run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ending, cancel := context.WithTimeout(ctx, w.options.Duration)
	defer cancel()
	var senders sync.WaitGroup
	for _, p := range w.parts {
		senders.Go(func() {
			got, err := p.driver.Run(ctx, drive.Plan{
				Shape: p.shape, Rate: w.report.Rate * p.share, Duration: w.options.Duration, Progress: p.note,
			})
			p.note(got)
			if err != nil {
				stop(fmt.Errorf("%s: %w", p.name, err))
			}
		})
	}
	senders.Go(func() {
		if err := w.link(ending); err != nil {
			stop(fmt.Errorf("linking: %w", err))
		}
	})
	err := w.sample(ending)
	if err != nil {
		stop(err)
	}
	senders.Wait()
	w.total()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (p *part) note(r drive.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = r
}

// total adds up what was answered in the whole time.
func (w *watch) total() {
	r := w.report
	r.Linked = w.links
	for _, p := range w.parts {
		r.Requests += p.seen.Requests
		r.Events += p.seen.Events
		r.Late += p.seen.Late
		r.Refused += p.seen.Throttled + p.seen.Busy
		r.Failed += p.seen.Failed
	}
}

// sample reads a Point in each window until the soak is over.
func (w *watch) sample(ctx context.Context) error {
	tick := time.NewTicker(w.options.Window)
	defer tick.Stop()
	began := time.Now()
	last := counts{}
	cpu, err := measure.CPU(w.server.PID)
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				return nil
			}
			return context.Cause(ctx)
		case <-tick.C:
		}
		point := Point{At: time.Since(began).Seconds()}
		now := w.counts()
		now.since(&last, &point)
		last = now
		spent, err := measure.CPU(w.server.PID)
		if err != nil {
			return errors.Join(err, w.server.Alive())
		}
		point.CPU, cpu = (spent-cpu).Seconds()/w.options.Window.Seconds(), spent
		memory, err := measure.MemoryOf(w.server.PID)
		if err != nil {
			return err
		}
		point.Resident = memory.Resident
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.server.PID))
		if err != nil {
			return err
		}
		point.Files = len(files)
		if point.Goroutines, err = w.goroutines(ctx); err != nil {
			if ctx.Err() != nil {
				continue
			}
			return err
		}
		if _, point.Disk, err = measure.Folder(w.server.Data); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err // a file that was taken away while it was counted is no error
		}
		w.report.Points = append(w.report.Points, point)
		if len(w.report.Points)%6 == 1 {
			fmt.Fprintf(w.options.Log, "%4.0f s: p50 %.2f ms, p99 %.1f ms, %.0f MB, %d goroutines, %.0f %% of a core\n",
				point.At, point.P50, point.P99, float64(point.Resident)/1e6, point.Goroutines, 100*point.CPU)
		}
	}
}

// counts is what all parts have seen so far.
type counts struct {
	requests, refused int64
	buckets           []int64 // of the histogram of all latencies
	form              *hdrhistogram.Snapshot
}

func (w *watch) counts() (c counts) {
	sum := hdrhistogram.New(1, drive.MaxLatency.Microseconds(), 3)
	for _, p := range w.parts {
		p.mu.Lock()
		c.requests += p.seen.Requests
		c.refused += p.seen.Throttled + p.seen.Busy + p.seen.Failed
		if p.seen.Latency != nil {
			sum.Merge(p.seen.Latency)
		}
		p.mu.Unlock()
	}
	c.form = sum.Export()
	c.buckets = c.form.Counts
	return c
}

// since fills in what has come since last.
func (c *counts) since(last *counts, p *Point) {
	form := *c.form
	form.Counts = make([]int64, len(c.buckets))
	for i := range form.Counts {
		form.Counts[i] = c.buckets[i]
		if last.buckets != nil {
			form.Counts[i] -= last.buckets[i]
		}
	}
	h := hdrhistogram.Import(&form)
	p.Requests, p.Refused = c.requests-last.requests, c.refused-last.refused
	ms := func(percent float64) float64 { return float64(h.ValueAtPercentile(percent)) / 1000 }
	p.P50, p.P99, p.P999 = ms(50), ms(99), ms(99.9)
}

// goroutines reads how many there are from the first line of the desk's profile of them.
func (w *watch) goroutines(ctx context.Context) (n int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.Desk+"/debug/pprof/goroutine?debug=1", nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+w.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	line, err := bufio.NewReader(response.Body).ReadString('\n')
	if err != nil || response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("profile of goroutines: status %d, %w", response.StatusCode, err)
	}
	if _, err := fmt.Sscanf(line, "goroutine profile: total %d", &n); err != nil {
		return 0, fmt.Errorf("profile of goroutines begins with %.100q: %w", line, err)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return n, err
}

// link lets a user log in on two devices that nobody knew, over and over.
func (w *watch) link(ctx context.Context) error {
	tick := time.NewTicker(time.Second / (2 * linkRate))
	defer tick.Stop()
	run := rand.Uint64()
	for i := int64(0); ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		body := fmt.Sprintf(`{"messageId":"soak-%x-%d","anonymousId":"soak-%x-%d","userId":"soak-%x-%d","traits":{"plan":"soaked"}}`, run, i, run, i, run, i/2)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.server.Site+"/v1/identify", strings.NewReader(body))
		if err != nil {
			return err
		}
		request.SetBasicAuth(w.options.WriteKey, "")
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d, expected 200: %.300s %w", response.StatusCode, answer, err)
		}
		w.links = (i + 1) / 2
	}
}
