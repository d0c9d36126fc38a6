package growth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/reuna/reuna/benchmarks/drive"
	"github.com/reuna/reuna/benchmarks/folder"
	"github.com/reuna/reuna/benchmarks/measure"
	"github.com/reuna/reuna/benchmarks/serve"
	"github.com/reuna/reuna/benchmarks/workload"
)

// Options say how to measure.
type Options struct {
	Gateway     []string // command that runs the gateway
	Cache       string   // folder for populations; "": reuna-growth in the user's cache folder
	Sizes       []int    // how many persons; the others are compared with the first
	Seed        uint64
	Rounds      int
	Round       time.Duration // of each size
	Rate        float64       // requests a second, of the latency's round
	Connections int
	Pprof       string // file for a CPU profile of the gateway with the most persons; "" for none
	Log         io.Writer
}

const (
	writeKey = "wk_bench"
	// origin is of the pages, whatever port the gateway has after a new start.
	origin = "https://shop.example"
	// turn is how long a gateway is driven before it is the next one's turn. A machine
	// may be half as fast for a minute: in turns as short it is for all.
	turn = time.Second
)

// site is the gateways' configuration. What is built in is left out: it would be
// filled from the past first.
const site = `demo: false
builtins: false
trusted_proxies: [127.0.0.1/32]
log: {level: warn}
sites:
  - {name: shop, write_key: ` + writeKey + `, origins: ["` + origin + `"]}
limits: {requests_per_second_per_address: 0, requests_per_second_per_key: 0, processor_wait: 0}
behaviour: {page_views_per_minute: 0} # visitors come back faster than people can
`

// one is a gateway that knows some number of persons.
type one struct {
	gateway  serve.Gateway
	workload *workload.Workload
	side     serve.Side
	size     *Size
	spent    []time.Duration // the process's time when each round began, and when the last was over
	rounds   []drive.Result
}

// Run measures.
func Run(ctx context.Context, o Options) (r *Report, err error) {
	r = &Report{Environment: measure.Here(), Rounds: o.Rounds, Seconds: o.Round.Seconds(), Connections: o.Connections, Rate: o.Rate, Sizes: make([]Size, len(o.Sizes))}
	list := make([]*one, 0, len(o.Sizes))
	defer func() {
		for _, x := range list {
			err = errors.Join(err, x.end())
		}
	}()
	for i, persons := range o.Sizes {
		m, at, err := o.population(ctx, persons)
		if err != nil {
			return nil, err
		}
		if r.Environment.Disk, err = measure.Filesystem(at); err != nil {
			return nil, err
		}
		r.Sizes[i] = Size{Persons: persons, Events: m.Events, Hot: m.hot()}
		x := &one{size: &r.Sizes[i]}
		list = append(list, x)
		if err := x.begin(ctx, &o, m, at); err != nil {
			return nil, fmt.Errorf("%d persons: %w", persons, err)
		}
	}
	if err := o.warmUp(ctx, list); err != nil {
		return nil, err
	}
	load := serve.Foreign{PIDs: []int{os.Getpid()}}
	for _, x := range list {
		load.PIDs = append(load.PIDs, x.side.Server.PID)
	}
	if err := load.Begin(); err != nil {
		return nil, err
	}
	for i := range o.Rounds {
		if err := o.round(ctx, list); err != nil {
			return nil, fmt.Errorf("round %d: %w", i+1, err)
		}
		for _, x := range list {
			x.size.Each = append(x.size.Each, Round{x.cost(i), x.workload.Came()})
			fmt.Fprintf(o.Log, "round %d of %d, %d persons: %.1f µs an event; %d have come\n", i+1, o.Rounds, x.size.Persons, x.cost(i), x.workload.Came())
		}
	}
	for _, x := range list {
		if err := o.latency(ctx, x); err != nil {
			return nil, fmt.Errorf("%d persons: %w", x.size.Persons, err)
		}
	}
	if r.Foreign, err = load.End(); err != nil {
		return nil, err
	}
	r.reckon(list)
	if o.Pprof != "" {
		x := list[len(list)-1]
		fmt.Fprintf(o.Log, "taking a CPU profile of the gateway with %d persons\n", x.size.Persons)
		if _, err := x.side.Profile(ctx, plan(0).Shape, o.Round, x.gateway.AdminKey, o.Pprof); err != nil {
			return nil, err
		}
	}
	for _, x := range list {
		if err := o.restart(ctx, x); err != nil {
			return nil, fmt.Errorf("%d persons, starting again: %w", x.size.Persons, err)
		}
	}
	return r, nil
}

// begin starts a gateway on a copy of a population's folder.
func (x *one) begin(ctx context.Context, o *Options, m *made, from string) error {
	dir, err := os.MkdirTemp(filepath.Dir(from), "run-")
	if err != nil {
		return err
	}
	x.gateway = serve.Gateway{Command: o.Gateway, Dir: dir, Config: site, AdminKey: fmt.Sprintf("bench-%016x%016x", rand.Uint64(), rand.Uint64())}
	if err := folder.Fork(from, dir); err != nil {
		return err
	}
	t, err := newEvents(m.Population, m.Cookies)
	if err != nil {
		return err
	}
	if x.workload, err = workload.New(workload.Options{
		Visitors: m.hot(), Streams: o.Connections, Seed: o.Seed, Nonce: rand.Uint64(),
		Origin: origin, WriteKey: writeKey, Even: true, Past: t.past,
	}); err != nil {
		return err
	}
	_, err = x.start(ctx)
	return err
}

// start starts the gateway for the same visitors and says how long that took.
func (x *one) start(ctx context.Context) (seconds float64, err error) {
	began := time.Now()
	s, err := serve.StartGateway(ctx, x.gateway)
	if err != nil {
		return 0, err
	}
	took := time.Since(began)
	x.side.Server = s
	x.side.Driver, err = drive.New(drive.Options{Target: s.Site, Workload: x.workload})
	return took.Seconds(), err
}

// end stops the gateway and takes its copy away.
func (x *one) end() (err error) {
	if x.side.Server != nil {
		err = x.side.Server.Stop()
	}
	if x.gateway.Dir != "" {
		err = errors.Join(err, os.RemoveAll(x.gateway.Dir))
	}
	return err
}

func plan(d time.Duration) drive.Plan {
	return drive.Plan{Shape: workload.Shape{Format: workload.Interact, Batch: 1}, Duration: d, Strict: true}
}

// mostWarm bounds the warming up, in rounds.
const mostWarm = 5

// warmUp drives all of them until whoever comes back to the first has come, for a
// round at least: what that leaves to be written falls into the first round, as
// what the last round leaves falls into none.
func (o *Options) warmUp(ctx context.Context, list []*one) error {
	fmt.Fprintln(o.Log, "warming up")
	for range mostWarm {
		if err := o.turns(ctx, list, func(*one, *drive.Result) {}); err != nil {
			return err
		}
		if came := list[0].workload.Came(); 1000*came >= 999*list[0].size.Hot {
			break
		}
	}
	for _, x := range list {
		x.size.Warm = x.workload.Came()
		fmt.Fprintf(o.Log, "%d persons: %d of the %d who come back have come\n", x.size.Persons, x.size.Warm, x.size.Hot)
		if err := x.note(); err != nil {
			return err
		}
	}
	return nil
}

// round drives each gateway for a round, in turns, and notes what that cost: a
// gateway's time includes what it does behind its answers, in the others' turns.
func (o *Options) round(ctx context.Context, list []*one) error {
	for _, x := range list {
		x.rounds = append(x.rounds, drive.Result{})
	}
	err := o.turns(ctx, list, func(x *one, got *drive.Result) {
		sum := &x.rounds[len(x.rounds)-1]
		sum.Requests += got.Requests
		sum.Elapsed += got.Elapsed
	})
	for _, x := range list {
		if err == nil {
			err = x.note()
		}
		if err == nil && x.rounds[len(x.rounds)-1].Requests == 0 {
			err = fmt.Errorf("the gateway with %d persons answered nothing", x.size.Persons)
		}
	}
	return err
}

func (o *Options) turns(ctx context.Context, list []*one, add func(*one, *drive.Result)) error {
	order := slices.Clone(list)
	for rest := o.Round; rest > 0; rest -= turn {
		for _, x := range order {
			got, err := x.side.Driver.Run(ctx, plan(min(turn, rest)))
			if err = errors.Join(err, ctx.Err()); err != nil {
				return errors.Join(fmt.Errorf("%d persons: %w", x.size.Persons, err), x.side.Server.Alive())
			}
			add(x, &got)
		}
		order = append(order[1:], order[0]) // who comes first must not always be the same one
	}
	return nil
}

func (x *one) note() error {
	cpu, err := measure.CPU(x.side.Server.PID)
	x.spent = append(x.spent, cpu)
	return err
}

// cost is that of an event of the i-th round, in µs.
func (x *one) cost(i int) float64 {
	return serve.Micros(max(x.spent[i+1]-x.spent[i], measure.Tick)) / float64(x.rounds[i].Requests)
}

// latency measures on a schedule, and reads how much memory there is after it.
func (o *Options) latency(ctx context.Context, x *one) error {
	p := plan(max(o.Round/2, turn))
	p.Rate = o.Rate
	got, err := x.side.Driver.Run(ctx, p)
	if err = errors.Join(err, ctx.Err()); err != nil {
		return errors.Join(err, x.side.Server.Alive())
	}
	x.size.P50, x.size.P99, x.size.Late = millis(got.Percentile(50)), millis(got.Percentile(99)), got.Late
	x.size.Requests = got.Requests
	x.size.Came = x.workload.Came()
	x.size.Memory, err = measure.MemoryOf(x.side.Server.PID)
	return err
}

// restart measures how long the gateway takes to start after an orderly end, and
// after it was killed while it took events. Then its visitors come once more, and
// each answer must hold what was acknowledged before.
func (o *Options) restart(ctx context.Context, x *one) (err error) {
	if err := x.side.Server.Stop(); err != nil {
		return err
	}
	if x.size.Clean, err = x.start(ctx); err != nil {
		return err
	}
	sending, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() {
		p := plan(0)
		p.Strict = false
		_, err := x.side.Driver.Run(sending, p)
		done <- err
	}()
	select {
	case <-time.After(o.Round):
	case err := <-done:
		return errors.Join(err, ctx.Err(), x.side.Server.Alive())
	}
	server := x.side.Server
	if err := server.Process.Process.Kill(); err != nil {
		return err
	}
	stop()
	err = <-done
	_ = server.Stop() // it says that the process was killed
	if err = errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	if x.size.Killed, err = x.start(ctx); err != nil {
		return err
	}
	fmt.Fprintf(o.Log, "%d persons: started in %.2f s, after kill -9 in %.2f s\n", x.size.Persons, x.size.Clean, x.size.Killed)
	if _, err = x.side.Driver.Run(ctx, plan(turn)); err != nil {
		return errors.Join(err, x.side.Server.Alive())
	}
	return ctx.Err()
}

func millis(d time.Duration) float64 { return serve.Micros(d) / 1000 }
