package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/reuna/reuna/benchmarks/drive"
	"github.com/reuna/reuna/benchmarks/measure"
	"github.com/reuna/reuna/benchmarks/serve"
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

var (
	interactShape = workload.Shape{Format: workload.Interact, Batch: 1}
	batchShape    = workload.Shape{Format: workload.Interact, Batch: batchSize}
	profileShape  = workload.Shape{Format: workload.Profile}
)

const batchSize = 20

// run measures a gateway against the bare handler, and both in turn.
func (b *bench) run(ctx context.Context) (report *Report, err error) {
	adminKey := fmt.Sprintf("bench-%016x%016x", rand.Uint64(), rand.Uint64())
	gateway, err := serve.StartGateway(ctx, serve.Gateway{Command: b.gateway, Dir: b.dir, Config: gatewayConfig, AdminKey: adminKey})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, gateway.Stop()) }()
	u := &usage{server: gateway}
	if err := u.begin(); err != nil {
		return nil, err
	}
	traffic, err := b.traffic(gateway.Site, "")
	if err != nil {
		return nil, err
	}
	ours, err := b.drive(gateway, traffic, 0)
	if err != nil {
		return nil, err
	}

	// The warm-up fills caches and shows how long answers and cookies are.
	fmt.Fprintln(b.log, "warming up")
	warm, err := ours.Measure(ctx, drive.Plan{Shape: interactShape, Duration: b.round})
	if err != nil {
		return nil, err
	}
	u.events += warm.Events
	warmRead, err := ours.Measure(ctx, drive.Plan{Shape: profileShape, Duration: b.round / 4})
	if err != nil {
		return nil, err
	}
	u.events += warmRead.Events
	interactBytes, profileBytes := int(warm.AnswerSize/warm.Requests), int(warmRead.AnswerSize/warmRead.Requests)

	bare, err := startBare(b.self, interactBytes, profileBytes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.Stop()) }()
	bareTraffic, err := b.traffic(bare.Site, cookieLike(traffic.Cookie()))
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
	if report.Environment.Disk, err = measure.Filesystem(gateway.Data); err != nil {
		return nil, err
	}
	load := serve.Foreign{PIDs: []int{gateway.PID, bare.PID, os.Getpid()}}
	if err := load.Begin(); err != nil {
		return nil, err
	}
	var saturation float64
	for _, c := range []struct {
		name        string
		ours, bare  serve.Side
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
	if report.Foreign, err = load.End(); err != nil {
		return nil, err
	}

	if b.pprof != "" {
		fmt.Fprintln(b.log, "taking a CPU profile")
		n, err := ours.Profile(ctx, interactShape, b.round, adminKey, b.pprof)
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

func (b *bench) drive(s *serve.Server, w *workload.Workload, bareBytes int) (serve.Side, error) {
	d, err := drive.New(drive.Options{Target: s.Site, Workload: w, Bare: bareBytes})
	return serve.Side{Server: s, Driver: d}, err
}

// pair is a round of the gateway and the round of the bare handler after it.
type pair struct{ gateway, bare serve.Sample }

// pairs measures both sides in turn.
func (b *bench) pairs(ctx context.Context, name string, ours, bare serve.Side, plan, barePlan drive.Plan) ([]pair, error) {
	all := make([]pair, b.rounds)
	for i := range all {
		var err error
		if all[i].gateway, err = ours.Measure(ctx, plan); err == nil {
			all[i].bare, err = bare.Measure(ctx, barePlan)
		}
		if err != nil {
			return nil, fmt.Errorf("%s, round %d: %w", name, i+1, err)
		}
		g, r := &all[i].gateway, &all[i].bare
		fmt.Fprintf(b.log, "%s, round %d of %d: gateway %.0f/s, %.1f µs a request; bare %.0f/s, %.1f µs\n",
			name, i+1, b.rounds, g.Rate(), g.PerRequest(), r.Rate(), r.PerRequest())
	}
	return all, nil
}

// usage follows what the gateway's events cost on disk and in memory.
type usage struct {
	server       *serve.Server
	idle         measure.Memory
	length, disk int64 // of the data folder when it was fresh
	written      uint64
	events       int64 // acknowledged in all
}

func (u *usage) begin() (err error) {
	if u.idle, err = measure.MemoryOf(u.server.PID); err != nil {
		return err
	}
	if u.length, u.disk, err = measure.Folder(u.server.Data); err != nil {
		return err
	}
	u.written, err = measure.Written(u.server.PID)
	return err
}

func (u *usage) add(pairs []pair) {
	for i := range pairs {
		u.events += pairs[i].gateway.Events
	}
}

// end stops the gateway, which drains it, and writes the figures into r.
func (u *usage) end(r *Report) error {
	memory, err := measure.MemoryOf(u.server.PID)
	if err != nil {
		return err
	}
	if err := u.server.Stop(); err != nil {
		return err
	}
	length, disk, err := measure.Folder(u.server.Data)
	if err != nil {
		return err
	}
	events := float64(u.events)
	r.Memory = MemoryUse{Idle: u.idle.Resident, Loaded: memory.Resident, Peak: memory.Peak}
	r.Disk = DiskUse{Events: u.events, Length: float64(length-u.length) / events, Occupied: float64(disk-u.disk) / events,
		Written: (float64(writtenInAll(u.server.Process.ProcessState)) - float64(u.written)) / events}
	tables, err := kept(u.server.Data)
	r.Disk.Kept = float64(tables) / events
	return err
}
