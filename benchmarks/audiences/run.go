// Package audiences measures what a shop's computed traits and audiences add to
// the cost of an event: a gateway that has 50 and 100 of them against one that
// has none, both driven in turn by the same visitors.
package audiences

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/reuna/reuna/benchmarks/drive"
	"github.com/reuna/reuna/benchmarks/measure"
	"github.com/reuna/reuna/benchmarks/serve"
	"github.com/reuna/reuna/benchmarks/workload"
)

//go:embed shop.yaml
var shop string

const (
	writeKey  = "wk_bench"
	placement = "hero"
)

// site is what both gateways have. The rates are not limited, since all load
// comes from one address and one key.
const site = `demo: false
trusted_proxies: [127.0.0.1/32]
log: {level: warn}
sites:
  - {name: bench, write_key: ` + writeKey + `, origins: [], page_traits: [plan]}
limits: {requests_per_second_per_address: 0, requests_per_second_per_key: 0, processor_wait: 0}
behaviour: {page_views_per_minute: 0} # visitors come back faster than people can
`

// nothing is the whole of what the other gateway decides.
const nothing = `placements:
  - {name: ` + placement + `, variants: [{name: default}]}
`

// Options say how to measure.
type Options struct {
	Gateway     []string // command that runs the gateway
	Dir         string   // for the data folders
	Definitions string   // YAML file with traits, segments and placements; "": the shop's
	Rounds      int
	Round       time.Duration
	Connections int
	Visitors    int
	Seed        uint64
	Pprof       string // file for a CPU profile of the gateway that has the definitions, beside it one of the other (".none"); "" for none
	Log         io.Writer
}

const batchSize = 20

// kinds of load, in the order in which they are measured.
var kinds = [...]struct {
	name  string
	quiet bool
	batch int
	bar   float64 // percent more that an event may cost; 0: none
}{
	{name: "a shop's events", batch: 1, bar: 25},
	{name: "a shop's events, 20 together", batch: batchSize},
	{name: "events that touch no input", quiet: true, batch: 1, bar: 3},
	{name: "events that touch no input, 20 together", quiet: true, batch: batchSize},
}

// one is a gateway with its visitors: those of a shop, and quiet ones.
type one struct {
	shop, quiet serve.Side
}

func (o *one) side(quiet bool) serve.Side {
	if quiet {
		return o.quiet
	}
	return o.shop
}

// Run measures.
func Run(ctx context.Context, o Options) (r *Report, err error) {
	text := shop
	if o.Definitions != "" {
		data, err := os.ReadFile(o.Definitions)
		if err != nil {
			return nil, err
		}
		text = string(data)
	}
	r = &Report{Environment: measure.Here(), Rounds: o.Rounds, Seconds: o.Round.Seconds(), Connections: o.Connections, Visitors: o.Visitors}
	if r.Environment.Disk, err = measure.Filesystem(o.Dir); err != nil {
		return nil, err
	}
	if r.Definitions, err = count(text); err != nil {
		return nil, err
	}
	adminKey := fmt.Sprintf("bench-%016x%016x", rand.Uint64(), rand.Uint64())
	start := func(name, definitions string) (*serve.Server, *one, error) {
		s, err := serve.StartGateway(ctx, serve.Gateway{Command: o.Gateway, Dir: filepath.Join(o.Dir, name), Config: site + definitions, AdminKey: adminKey})
		if err != nil {
			return nil, nil, fmt.Errorf("the gateway with %s: %w", name, err)
		}
		x, err := o.begin(ctx, s)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("the gateway with %s: %w", name, err), s.Stop())
		}
		return s, x, nil
	}
	fmt.Fprintln(o.Log, "warming up")
	without, plain, err := start("none", nothing)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, without.Stop()) }()
	with, full, err := start("all", text)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, with.Stop()) }()

	load := serve.Foreign{PIDs: []int{without.PID, with.PID, os.Getpid()}}
	if err := load.Begin(); err != nil {
		return nil, err
	}
	if err = o.save(ctx); err != nil {
		return nil, err
	}
	for _, k := range kinds {
		plan := drive.Plan{Shape: workload.Shape{Format: workload.Interact, Batch: k.batch}, Duration: o.Round}
		pairs := make([]pair, o.Rounds)
		var none, all spent
		note := func() error { return errors.Join(none.note(without.PID), all.note(with.PID)) }
		for i := range pairs {
			if err = note(); err == nil {
				err = pairs[i].drive(ctx, plan, plain.side(k.quiet), full.side(k.quiet))
			}
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", k.name, i+1, err)
			}
			fmt.Fprintf(o.Log, "%s, round %d of %d\n", k.name, i+1, o.Rounds)
		}
		if err = o.save(ctx); err == nil {
			err = note()
		}
		if err != nil {
			return nil, err
		}
		for i := range pairs {
			p := &pairs[i]
			p.without.CPU, p.with.CPU = none.round(i), all.round(i)
			fmt.Fprintf(o.Log, "%s, round %d: none %.1f µs an event, all %.1f µs\n", k.name, i+1,
				p.without.PerRequest()/float64(k.batch), p.with.PerRequest()/float64(k.batch))
		}
		r.Costs = append(r.Costs, newCost(k.name, k.batch, k.bar, pairs))
	}
	if r.Foreign, err = load.End(); err != nil {
		return nil, err
	}
	for _, m := range []struct {
		of   *serve.Server
		into *measure.Memory
	}{{without, &r.MemoryNone}, {with, &r.MemoryAll}} {
		if *m.into, err = measure.MemoryOf(m.of.PID); err != nil {
			return nil, err
		}
	}
	if o.Pprof != "" {
		err = o.profile(ctx, plain.shop, full.shop, adminKey)
	}
	return r, err
}

// mostProfile is for how long a desk takes a profile.
const mostProfile = time.Minute

// profile writes a profile of each gateway, both of a round in which they are driven in
// turn, and of the time to save it or a part of that.
func (o *Options) profile(ctx context.Context, without, with serve.Side, adminKey string) error {
	fmt.Fprintln(o.Log, "taking CPU profiles")
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	seconds := int(min(2*o.Round+saved, mostProfile) / time.Second)
	done := make(chan error, 2)
	for _, p := range []struct {
		of   *serve.Server
		file string
	}{{without.Server, o.Pprof + ".none"}, {with.Server, o.Pprof}} {
		go func() { done <- p.of.Sample(ctx, seconds, adminKey, p.file) }()
	}
	var p pair
	err := p.drive(ctx, plan(o.Round), without, with)
	if err != nil {
		stop()
	}
	err = errors.Join(err, <-done, <-done)
	fmt.Fprintf(o.Log, "%s.none: %d events; %s: %d events\n", o.Pprof, p.without.Requests, o.Pprof, p.with.Requests)
	return err
}

// saved is how long after its last event a gateway has written all that it keeps in
// memory: it does so every minute, or sooner. (storage/people, Options.Every)
const saved = 62 * time.Second

// save waits until gateways without load have; not where rounds are so short that they
// show no more than that all works.
func (o *Options) save(ctx context.Context) error {
	if o.Round < 5*time.Second {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(saved):
		return nil
	}
}

// turn is how long a gateway is driven before it is the other's turn. A machine may be
// half as fast for a minute: in turns as short it is for both.
const turn = time.Second

// drive drives both gateways in turn, until each was for as long as the plan says.
func (p *pair) drive(ctx context.Context, plan drive.Plan, without, with serve.Side) error {
	sides := [...]struct {
		serve.Side
		into *drive.Result
	}{{without, &p.without.Result}, {with, &p.with.Result}}
	for rest := plan.Duration; rest > 0; rest -= turn {
		plan.Duration, plan.Strict = min(turn, rest), true
		for _, side := range sides {
			got, err := side.Driver.Run(ctx, plan)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return errors.Join(err, side.Server.Alive())
			}
			side.into.Requests += got.Requests
			side.into.Elapsed += got.Elapsed
		}
		slices.Reverse(sides[:]) // who comes first must not always be the same one
	}
	if p.without.Requests == 0 || p.with.Requests == 0 {
		return fmt.Errorf("a gateway answered nothing: %d and %d requests", p.without.Requests, p.with.Requests)
	}
	return nil
}

// spent is the processor time that a gateway had used when each round began, and when
// all it did in the last was saved. What a round leaves to be saved belongs to the next
// one, as what the round before left belongs to it.
type spent []time.Duration

func (s *spent) note(pid int) error {
	cpu, err := measure.CPU(pid)
	*s = append(*s, cpu)
	return err
}

// round is the time that the i-th round cost.
func (s spent) round(i int) time.Duration { return s[i+1] - s[i] }

// begin gives a gateway its visitors, and lets all quiet ones come once.
func (o *Options) begin(ctx context.Context, s *serve.Server) (*one, error) {
	drive := func(quiet bool) (serve.Side, error) {
		w, err := workload.New(workload.Options{
			Visitors: o.Visitors, Streams: o.Connections, Seed: o.Seed, Nonce: rand.Uint64(),
			Origin: s.Site, WriteKey: writeKey, Placements: []string{placement}, Quiet: quiet,
		})
		if err != nil {
			return serve.Side{}, err
		}
		d, err := drive.New(drive.Options{Target: s.Site, Workload: w})
		return serve.Side{Server: s, Driver: d}, err
	}
	x := &one{}
	var err error
	if x.shop, err = drive(false); err != nil {
		return nil, err
	}
	if x.quiet, err = drive(true); err != nil {
		return nil, err
	}
	if _, err := x.shop.Measure(ctx, plan(o.Round)); err != nil {
		return nil, err
	}
	for came := int64(0); came < int64(o.Visitors)*5/4; {
		sample, err := x.quiet.Measure(ctx, plan(o.Round))
		if err != nil {
			return nil, err
		}
		came += sample.Requests
	}
	return x, nil
}

func plan(d time.Duration) drive.Plan {
	return drive.Plan{Shape: workload.Shape{Format: workload.Interact, Batch: 1}, Duration: d}
}
