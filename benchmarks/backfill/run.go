package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
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
	Cache       string   // folder for populations; "": reuna-backfill in the user's cache folder
	Devices     int
	Seed        uint64
	Rate        float64       // requests a second to the collector
	Calm        time.Duration // of measuring the collector before the backfill, and after it
	Round       time.Duration // of one measurement within
	Connections int
	Pprof       string // file for a CPU profile of the gateway while it fills, and .judging for one while it judges; "" for none
	Log         io.Writer
}

const (
	writeKey    = "wk_bench"
	traitName   = "autumn_views_30d"
	segmentName = "autumn-readers"
	// visitors of the collector are others than the population's devices.
	visitors = 10_000
	// most is how long a backfill may take.
	most = time.Hour
	// asking is how often the desk is asked how far it is.
	asking = time.Second
)

// site is the gateway's configuration. What is built in is left out: it would be
// filled first.
const site = `demo: false
builtins: false
trusted_proxies: [127.0.0.1/32]
log: {level: warn}
sites:
  - {name: shop, write_key: ` + writeKey + `, origins: []}
limits: {requests_per_second_per_address: 0, requests_per_second_per_key: 0, processor_wait: 0}
behaviour: {page_views_per_minute: 0}
`

var (
	traitBody   = fmt.Sprintf(`{"kind":"count","event":%q,"where":%q,"window":"30d"}`, eventName, where)
	segmentBody = fmt.Sprintf(`{"when":"computed.%s >= %d"}`, traitName, atLeast)
)

// Run measures.
func Run(ctx context.Context, o Options) (r *Report, err error) {
	m, at, err := o.population(ctx)
	if err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(filepath.Dir(at), "run-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := folder.Fork(at, work); err != nil {
		return nil, err
	}
	r = &Report{Environment: measure.Here(), Population: m.Population, Events: m.Events, Persons: m.Persons(), Rate: o.Rate}
	if r.Environment.Disk, err = measure.Filesystem(work); err != nil {
		return nil, err
	}
	key := fmt.Sprintf("bench-%016x%016x", rand.Uint64(), rand.Uint64())
	began := time.Now()
	s, err := serve.StartGateway(ctx, serve.Gateway{Command: o.Gateway, Dir: work, Config: site, AdminKey: key})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	r.Opened = time.Since(began).Seconds()
	w, err := workload.New(workload.Options{Visitors: visitors, Streams: o.Connections, Seed: o.Seed, Nonce: rand.Uint64(), Origin: s.Site, WriteKey: writeKey})
	if err != nil {
		return nil, err
	}
	driver, err := drive.New(drive.Options{Target: s.Site, Workload: w})
	if err != nil {
		return nil, err
	}
	b := &bench{Options: o, desk: desk{s, key}, side: serve.Side{Server: s, Driver: driver}, r: r}
	err = b.run(ctx)
	return r, err
}

// population finds a folder that will do, or fills one.
func (o *Options) population(ctx context.Context) (*made, string, error) {
	cache := o.Cache
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, "", err
		}
		cache = filepath.Join(user, "reuna-backfill")
	}
	at := filepath.Join(cache, strconv.Itoa(o.Devices))
	p := Population{Devices: o.Devices, Seed: o.Seed}
	m, err := kept(at, p)
	if err != nil || m != nil {
		return m, at, err
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return nil, "", err
	}
	if err := folder.Enough(cache, p.total()); err != nil {
		return nil, "", err
	}
	fmt.Fprintf(o.Log, "filling %s: %d devices, %d events\n", at, p.Devices, p.total())
	p.Begin = time.Now().Add(-visits*stretch - time.Hour).UnixMilli()
	m, err = fill(ctx, at, p, func(format string, v ...any) { fmt.Fprintf(o.Log, "  "+format+"\n", v...) })
	return m, at, err
}

// bench is one measurement under way.
type bench struct {
	Options
	desk desk
	side serve.Side
	r    *Report
}

func (b *bench) run(ctx context.Context) error {
	fmt.Fprintln(b.Log, "warming up")
	if _, err := b.collect(ctx, b.Calm/2, nil); err != nil {
		return err
	}
	fmt.Fprintln(b.Log, "the collector before")
	var err error
	if b.r.Before, err = b.collect(ctx, b.Calm, nil); err != nil {
		return err
	}
	load := serve.Foreign{PIDs: []int{b.side.Server.PID, os.Getpid()}}
	if err := load.Begin(); err != nil {
		return err
	}
	filled, done, failed := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(done)
		failed <- b.define(ctx, filled)
	}()
	b.r.During = newCollector()
	for _, phase := range []struct {
		of    *Collector
		until chan struct{}
	}{{&b.r.Filling, filled}, {&b.r.Judging, done}} {
		if *phase.of, err = b.collect(ctx, most, phase.until); err != nil {
			return err
		}
		b.r.During.merge(phase.of)
		fmt.Fprintf(b.Log, "the collector meanwhile: p50 %.2f, p99 %.2f, p99.9 %.2f ms\n", phase.of.P50, phase.of.P99, phase.of.P999)
	}
	b.r.During.reckon()
	<-done
	if err := <-failed; err != nil {
		return err
	}
	if b.r.Foreign, err = load.End(); err != nil {
		return err
	}
	fmt.Fprintln(b.Log, "the collector afterwards")
	if b.r.After, err = b.collect(ctx, b.Calm, nil); err != nil {
		return err
	}
	if b.r.Memory, err = measure.MemoryOf(b.side.Server.PID); err != nil {
		return err
	}
	return b.size(ctx)
}

// define puts the trait and the audience and follows both until they are ready; filled
// is closed when the trait is.
func (b *bench) define(ctx context.Context, filled chan<- struct{}) error {
	filling := sync.OnceFunc(func() { close(filled) })
	defer filling()
	began := time.Now()
	cpu, err := measure.CPU(b.side.Server.PID)
	if err != nil {
		return err
	}
	b.r.Within = b.r.Population.Within(began.Add(-stretch).UnixMilli(), began.UnixMilli())
	var put definition
	began = time.Now()
	if err := b.desk.ask(ctx, "PUT", "traits/"+traitName, traitBody, &put); err != nil {
		return err
	}
	if err := b.desk.ask(ctx, "PUT", "segments/"+segmentName, segmentBody, &put); err != nil {
		return err
	}
	sample := b.samples(ctx)
	sample("")
	tick := time.NewTicker(asking)
	defer tick.Stop()
	for time.Since(began) < most {
		var t, s definition
		if err := b.desk.ask(ctx, "GET", "traits/"+traitName, "", &t); err != nil {
			return err
		}
		if t.Backfill.State == "done" { // an audience waits for its traits
			if err := b.desk.ask(ctx, "GET", "segments/"+segmentName, "", &s); err != nil {
				return err
			}
		}
		p := Progress{Seconds: time.Since(began).Seconds(), Trait: t.Backfill.Progress, Audience: s.Backfill.Progress, Events: t.Backfill.Events, Left: -1}
		if t.Backfill.SecondsLeft != nil {
			p.Left = *t.Backfill.SecondsLeft
		}
		b.r.Progress, b.r.Read = append(b.r.Progress, p), max(b.r.Read, p.Events)
		if len(b.r.Progress)%10 == 1 {
			fmt.Fprintf(b.Log, "after %.1f s: trait %s %.1f %%, %d events, %.0f s left; audience %s %.1f %%\n",
				p.Seconds, t.Backfill.State, 100*p.Trait, p.Events, p.Left, s.Backfill.State, 100*p.Audience)
		}
		if t.Backfill.State == "failed" || s.Backfill.State == "failed" {
			return fmt.Errorf("the backfill failed: %s%s", t.Backfill.Reason, s.Backfill.Reason)
		}
		if b.r.Filled == 0 && t.Backfill.State == "done" {
			b.r.Filled = p.Seconds
			filling()
			sample(".judging")
		}
		if b.r.Filled > 0 && s.Backfill.State == "done" {
			b.r.Ready = p.Seconds
			after, err := measure.CPU(b.side.Server.PID)
			b.r.CPU = (after - cpu).Seconds()
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return fmt.Errorf("the audience was not ready within %v", most)
}

// samples begins CPU profiles, one after the other, as far as they are asked for.
func (b *bench) samples(ctx context.Context) func(suffix string) {
	var running sync.Mutex
	return func(suffix string) {
		if b.Pprof == "" {
			return
		}
		go func() {
			running.Lock()
			defer running.Unlock()
			if err := b.side.Server.Sample(ctx, profileSeconds, b.desk.key, b.Pprof+suffix); err != nil && ctx.Err() == nil {
				fmt.Fprintln(b.Log, err)
			}
		}()
	}
}

const profileSeconds = 10

// size compares what the desk says of the audience with what is so.
func (b *bench) size(ctx context.Context) error {
	before := b.r.Population.Audience(time.Now().UnixMilli())
	var d definition
	if err := b.desk.ask(ctx, "GET", "segments/"+segmentName, "", &d); err != nil {
		return err
	}
	after := b.r.Population.Audience(time.Now().UnixMilli())
	if d.Members == nil {
		return errors.New("the desk does not say how many are in the audience")
	}
	b.r.Size, b.r.Truth = d.Members.Estimate, int64(after)
	// Windows end while it is asked, and each is seen to within a second.
	slack := int64(before-after) + int64(2*b.r.Devices)/int64(stretch.Seconds()) + 2
	if diff := b.r.Size - b.r.Truth; diff > slack || diff < -slack {
		return fmt.Errorf("the audience has %d persons: expected %d, which follow from what was sent (±%d for those whose window ends meanwhile)", b.r.Size, b.r.Truth, slack)
	}
	return nil
}

// collect sends to the collector on a schedule, in rounds, for some time or
// until done.
func (b *bench) collect(ctx context.Context, d time.Duration, done <-chan struct{}) (c Collector, err error) {
	c = newCollector()
	for began := time.Now(); time.Since(began) < d; {
		select {
		case <-done:
			d = 0
			continue
		default:
		}
		result, err := b.side.Driver.Run(ctx, drive.Plan{Shape: workload.Shape{Format: workload.Interact, Batch: 1}, Rate: b.Rate, Duration: b.Round, Strict: true})
		if err = errors.Join(err, ctx.Err()); err != nil {
			return c, errors.Join(err, b.side.Server.Alive())
		}
		c.add(&result)
	}
	c.reckon()
	return c, nil
}

func millis(d time.Duration) float64 { return serve.Micros(d) / 1000 }
