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
limits: {requests_per_second_per_address: 0, requests_per_second_per_key: 0}
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
	if err = save(ctx); err != nil {
		return nil, err
	}
	for _, k := range kinds {
		plan := drive.Plan{Shape: workload.Shape{Format: workload.Interact, Batch: k.batch}, Duration: o.Round}
		pairs := make([]pair, o.Rounds)
		var none, all spent
		for i := range pairs {
			p := &pairs[i]
			turns := []struct {
				side  serve.Side
				into  *serve.Sample
				spent *spent
			}{{plain.side(k.quiet), &p.without, &none}, {full.side(k.quiet), &p.with, &all}}
			if i%2 == 1 { // what drifts one way must not always meet the same one
				turns[0], turns[1] = turns[1], turns[0]
			}
			for _, t := range turns {
				if err = t.spent.note(t.side.Server.PID); err == nil {
					*t.into, err = t.side.Measure(ctx, plan)
				}
				if err != nil {
					return nil, fmt.Errorf("%s, round %d: %w", k.name, i+1, err)
				}
			}
			fmt.Fprintf(o.Log, "%s, round %d of %d: none %.1f µs an event, all %.1f µs\n", k.name, i+1, o.Rounds,
				p.without.PerRequest()/float64(k.batch), p.with.PerRequest()/float64(k.batch))
		}
		if err = save(ctx); err != nil {
			return nil, err
		}
		if err = errors.Join(none.note(without.PID), all.note(with.PID)); err != nil {
			return nil, err
		}
		for i := range pairs {
			pairs[i].without.CPU, pairs[i].with.CPU = none.round(i), all.round(i)
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
		for _, p := range []struct {
			side serve.Side
			file string
		}{{plain.shop, o.Pprof + ".none"}, {full.shop, o.Pprof}} {
			fmt.Fprintln(o.Log, "taking a CPU profile")
			events, err := p.side.Profile(ctx, workload.Shape{Format: workload.Interact, Batch: 1}, o.Round, adminKey, p.file)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(o.Log, "%s: %d events\n", p.file, events)
		}
	}
	return r, err
}

// saved is how long after its last event a gateway has written all that it keeps in
// memory: it does so every 30 seconds, or sooner. (storage/people, Options.Every)
const saved = 32 * time.Second

// save waits until gateways without load have.
func save(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(saved):
		return nil
	}
}

// spent is the processor time that a gateway had used when each of its turns began, and
// when all it did in the last was saved. What it saves while it is the other's turn
// belongs to its own events.
type spent []time.Duration

func (s *spent) note(pid int) error {
	cpu, err := measure.CPU(pid)
	*s = append(*s, cpu)
	return err
}

// round is the time that the i-th turn cost.
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
