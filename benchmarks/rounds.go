package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/reuna/reuna/benchmarks/drive"
	"github.com/reuna/reuna/benchmarks/measure"
	"github.com/reuna/reuna/benchmarks/workload"
)

// settings are what the flags say.
type settings struct {
	rounds      int
	round       time.Duration
	connections int
	visitors    int
	seed        uint64
	pprof       string // file for a CPU profile; "" for none
}

// bench is one run of everything.
type bench struct {
	settings
	self    []string // command that runs this program
	gateway []string // command that runs the gateway
	dir     string   // for the data folder
	log     io.Writer
}

// side is a server together with what drives it.
type side struct {
	server *server
	driver *drive.Driver
}

// sample is one round of one side.
type sample struct {
	drive.Result
	cpu time.Duration // of the server's process, with what it did afterwards because of the round
}

// perRequest is in microseconds.
func (s *sample) perRequest() float64 { return micros(s.cpu) / float64(s.Requests) }

// rate is requests a second.
func (s *sample) rate() float64 { return float64(s.Requests) / s.Elapsed.Seconds() }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

var (
	interactShape = workload.Shape{Format: workload.Interact, Batch: 1}
	batchShape    = workload.Shape{Format: workload.Interact, Batch: batchSize}
	profileShape  = workload.Shape{Format: workload.Profile}
)

const batchSize = 20

// run measures a gateway against the bare handler, and both in turn.
func (b *bench) run(ctx context.Context) (report *Report, err error) {
	adminKey := fmt.Sprintf("bench-%016x%016x", rand.Uint64(), rand.Uint64())
	gateway, err := startGateway(ctx, b.gateway, b.dir, adminKey)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, gateway.stop()) }()
	u := &usage{server: gateway}
	if err := u.begin(); err != nil {
		return nil, err
	}
	traffic, err := b.traffic(gateway.site, "")
	if err != nil {
		return nil, err
	}
	ours, err := b.drive(gateway, traffic, 0)
	if err != nil {
		return nil, err
	}

	// The warm-up fills caches and shows how long answers and cookies are.
	fmt.Fprintln(b.log, "warming up")
	warm, err := b.measure(ctx, ours, drive.Plan{Shape: interactShape, Duration: b.round})
	if err != nil {
		return nil, err
	}
	u.events += warm.Events
	warmRead, err := b.measure(ctx, ours, drive.Plan{Shape: profileShape, Duration: b.round / 4})
	if err != nil {
		return nil, err
	}
	u.events += warmRead.Events
	interactBytes, profileBytes := int(warm.AnswerSize/warm.Requests), int(warmRead.AnswerSize/warmRead.Requests)

	bare, err := startBare(b.self, interactBytes, profileBytes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	bareTraffic, err := b.traffic(bare.site, cookieLike(traffic.Cookie()))
	if err != nil {
		return nil, err
	}
	bareInteract, err := b.drive(bare, bareTraffic, interactBytes)
	if err != nil {
		return nil, err
	}
	bareProfile, err := b.drive(bare, bareTraffic, profileBytes)
	if err != nil {
		return nil, err
	}

	report = &Report{
		Environment: measure.Here(), AnswerBytes: interactBytes,
		Settings: Settings{Rounds: b.rounds, RoundSeconds: b.round.Seconds(), Connections: b.connections, Visitors: b.visitors, Seed: b.seed},
	}
	if report.Environment.Disk, err = measure.Filesystem(gateway.data); err != nil {
		return nil, err
	}
	load := foreign{pids: []int{gateway.pid, bare.pid, os.Getpid()}}
	if err := load.begin(); err != nil {
		return nil, err
	}
	var saturation float64
	for _, c := range []struct {
		name        string
		ours, bare  side
		shape, base workload.Shape
	}{
		{costInteract, ours, bareInteract, interactShape, interactShape},
		{costBatch, ours, bareInteract, batchShape, interactShape},
		{costProfile, ours, bareProfile, profileShape, profileShape},
	} {
		pairs, err := b.pairs(ctx, c.name, c.ours, c.bare, drive.Plan{Shape: c.shape, Duration: b.round}, drive.Plan{Shape: c.base, Duration: b.round})
		if err != nil {
			return nil, err
		}
		u.add(pairs)
		cost := newCost(c.name, max(c.shape.Batch, 1), pairs)
		if c.name == costInteract {
			saturation = cost.GatewayRate.Median
		}
		report.Cost = append(report.Cost, cost)
	}

	plan := drive.Plan{Shape: interactShape, Duration: b.round, Rate: saturation / 2}
	pairs, err := b.pairs(ctx, fmt.Sprintf("latency at %.0f a second", plan.Rate), ours, bareInteract, plan, plan)
	if err != nil {
		return nil, err
	}
	u.add(pairs)
	report.Latency = newLatency(plan.Rate, pairs)
	if report.Foreign, err = load.end(); err != nil {
		return nil, err
	}

	if b.pprof != "" {
		n, err := b.profile(ctx, ours, adminKey)
		if err != nil {
			return nil, err
		}
		u.events += n
	}
	return report, u.end(report)
}

// traffic is the workload for one server. Both sides get the same visitors,
// who do the same; the bare handler sets no cookie, so its visitors bring one
// of the gateway's length.
func (b *bench) traffic(origin, cookie string) (*workload.Workload, error) {
	return workload.New(workload.Options{
		Visitors: b.visitors, Streams: b.connections, Seed: b.seed, Nonce: rand.Uint64(),
		Origin: origin, WriteKey: writeKey, Placements: []string{placement}, Cookie: cookie,
	})
}

// cookieLike is a cookie of no value and the same length.
func cookieLike(cookie string) string {
	name, value, _ := strings.Cut(cookie, "=")
	return name + "=" + strings.Repeat("x", len(value))
}

func (b *bench) drive(s *server, w *workload.Workload, bareBytes int) (side, error) {
	d, err := drive.New(drive.Options{Target: s.site, Workload: w, Bare: bareBytes})
	return side{s, d}, err
}

// pair is a round of the gateway and the round of the bare handler after it.
type pair struct{ gateway, bare sample }

// pairs measures both sides in turn.
func (b *bench) pairs(ctx context.Context, name string, ours, bare side, plan, barePlan drive.Plan) ([]pair, error) {
	all := make([]pair, b.rounds)
	for i := range all {
		var err error
		if all[i].gateway, err = b.measure(ctx, ours, plan); err == nil {
			all[i].bare, err = b.measure(ctx, bare, barePlan)
		}
		if err != nil {
			return nil, fmt.Errorf("%s, round %d: %w", name, i+1, err)
		}
		g, r := &all[i].gateway, &all[i].bare
		fmt.Fprintf(b.log, "%s, round %d of %d: gateway %.0f/s, %.1f µs a request; bare %.0f/s, %.1f µs\n",
			name, i+1, b.rounds, g.rate(), g.perRequest(), r.rate(), r.perRequest())
	}
	return all, nil
}

// measure runs a plan and counts the processor time that the server spent on
// it, up to the moment when the server rests again: work that a server puts off
// until after its answers is part of their cost. Less than the clock can tell
// counts as its smallest step.
func (b *bench) measure(ctx context.Context, s side, p drive.Plan) (sample, error) {
	p.Strict = true
	before, err := measure.CPU(s.server.pid)
	if err != nil {
		return sample{}, errors.Join(err, s.server.alive())
	}
	result, err := s.driver.Run(ctx, p)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return sample{}, errors.Join(err, s.server.alive())
	}
	if result.Requests == 0 {
		return sample{}, fmt.Errorf("the %s answered nothing in %v", s.server.name, p.Duration)
	}
	after, err := settled(ctx, s.server.pid)
	if err != nil {
		return sample{}, errors.Join(err, s.server.alive())
	}
	return sample{Result: result, cpu: max(after-before, measure.Tick)}, nil
}

// A server rests when it uses no more than restCPU in restTime. One that never
// does is waited for no longer than restMost.
const (
	restTime = 200 * time.Millisecond
	restCPU  = 10 * time.Millisecond
	restMost = 5 * time.Second
)

// settled waits until a process rests and gives its processor time.
func settled(ctx context.Context, pid int) (time.Duration, error) {
	last, err := measure.CPU(pid)
	tick := time.NewTicker(restTime)
	defer tick.Stop()
	for began := time.Now(); err == nil && time.Since(began) < restMost; {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
		}
		var now time.Duration
		if now, err = measure.CPU(pid); now-last <= restCPU {
			return now, err
		}
		last = now
	}
	return last, err
}

// profileSeconds is the least that gives a profile enough samples (100 a second and core).
const profileSeconds = 5

// profile takes a CPU profile of the gateway from its desk while it is under
// load, in a round of its own that is not measured. It gives the events sent.
func (b *bench) profile(ctx context.Context, s side, adminKey string) (int64, error) {
	seconds := max(int(b.round.Seconds()), profileSeconds)
	fmt.Fprintf(b.log, "taking a CPU profile of %d s\n", seconds)
	type loaded struct {
		result drive.Result
		err    error
	}
	done := make(chan loaded, 1)
	loadCtx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		r, err := s.driver.Run(loadCtx, drive.Plan{Shape: interactShape})
		done <- loaded{r, err}
	}()
	err := fetchProfile(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", s.server.desk, seconds), adminKey, b.pprof)
	stop()
	load := <-done
	return load.result.Events, errors.Join(err, load.err)
}

func fetchProfile(ctx context.Context, url, adminKey, file string) (err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+adminKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("CPU profile: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("CPU profile: the desk answered %s: expected 200", response.Status)
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, response.Body); err != nil {
		return fmt.Errorf("CPU profile: %w", err)
	}
	return nil
}

// foreign follows what the machine does besides the benchmark's own processes.
type foreign struct {
	pids                   []int
	busy, total, processes time.Duration
}

func (f *foreign) begin() (err error) {
	f.busy, f.total, f.processes, err = f.read()
	return err
}

// end is the part of the machine's processor time, in percent, that others took
// since begin.
func (f *foreign) end() (float64, error) {
	busy, total, processes, err := f.read()
	others := (busy - f.busy) - (processes - f.processes)
	return max(100*float64(others)/float64(max(total-f.total, 1)), 0), err
}

func (f *foreign) read() (busy, total, processes time.Duration, err error) {
	if busy, total, err = measure.Machine(); err != nil {
		return 0, 0, 0, err
	}
	for _, pid := range f.pids {
		cpu, err := measure.CPU(pid)
		if err != nil {
			return 0, 0, 0, err
		}
		processes += cpu
	}
	return busy, total, processes, nil
}

// usage follows what the gateway's events cost on disk and in memory.
type usage struct {
	server       *server
	idle         measure.Memory
	length, disk int64 // of the data folder when it was fresh
	written      uint64
	events       int64 // acknowledged in all
}

func (u *usage) begin() (err error) {
	if u.idle, err = measure.MemoryOf(u.server.pid); err != nil {
		return err
	}
	if u.length, u.disk, err = measure.Folder(u.server.data); err != nil {
		return err
	}
	u.written, err = measure.Written(u.server.pid)
	return err
}

func (u *usage) add(pairs []pair) {
	for i := range pairs {
		u.events += pairs[i].gateway.Events
	}
}

// end stops the gateway, which drains it, and writes the figures into r.
func (u *usage) end(r *Report) error {
	memory, err := measure.MemoryOf(u.server.pid)
	if err != nil {
		return err
	}
	if err := u.server.stop(); err != nil {
		return err
	}
	length, disk, err := measure.Folder(u.server.data)
	if err != nil {
		return err
	}
	events := float64(u.events)
	r.Memory = MemoryUse{Idle: u.idle.Resident, Loaded: memory.Resident, Peak: memory.Peak}
	r.Disk = DiskUse{Events: u.events, Length: float64(length-u.length) / events, Occupied: float64(disk-u.disk) / events,
		Written: (float64(writtenInAll(u.server.process.ProcessState)) - float64(u.written)) / events}
	return nil
}
