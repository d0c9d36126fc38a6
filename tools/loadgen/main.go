// Command loadgen sends realistic traffic to a gateway and says how it fared:
//
//	go run ./tools/loadgen -target http://127.0.0.1:8080 -write-key wk_shop -rate 500 -duration 30s
//
// With -rate it keeps a fixed schedule and counts latency from it; without, it
// sends as fast as answers come. Every answer is checked; a wrong one ends the
// run with exit status 1. Ctrl-C ends the run and prints the summary.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/reuna/reuna/benchmarks/drive"
	"github.com/reuna/reuna/benchmarks/workload"
)

func main() {
	// One processor more than cores: the schedule's thread sleeps in the kernel.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Exit statuses.
const (
	exitOK    = 0
	exitWrong = 1 // the server answered wrong, or nothing was answered
	exitUsage = 2
)

type settings struct {
	target, writeKey, origin, format, placements, acked string
	rate                                                float64
	duration                                            time.Duration
	connections, visitors, visit, batch                 int
	seed                                                uint64
}

func parse(args []string, stderr io.Writer) (*settings, error) {
	s := &settings{}
	f := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&s.target, "target", "http://127.0.0.1:8080", "`URL` of the gateway's site listener")
	f.StringVar(&s.writeKey, "write-key", "", "the site's write `key` (required); with the format of another collector its app id (snowplow), site number (matomo), website id (umami), API token (goatcounter) or domain (plausible)")
	f.Float64Var(&s.rate, "rate", 0, "events a second on a fixed schedule; 0 sends as fast as answers come")
	f.DurationVar(&s.duration, "duration", 30*time.Second, "how long to send; 0 sends until Ctrl-C")
	f.IntVar(&s.connections, "connections", 64, "keep-alive connections")
	f.StringVar(&s.format, "format", "reuna", "wire `format`: reuna (POST /v1/interact, as the tag), segment (POST /v1/batch), or that of another collector, to compare with what runs today: "+strings.Join(workload.Formats()[2:], ", "))
	f.IntVar(&s.batch, "batch", 1, "events in a request")
	f.IntVar(&s.visitors, "visitors", 10_000, "how many different visitors")
	f.IntVar(&s.visit, "visit", 0, "requests that a visitor makes, on average, before somebody else comes; -visitors are then how many are there at once; 0: they stay")
	f.Uint64Var(&s.seed, "seed", 1, "of the visitors and what they do")
	f.StringVar(&s.origin, "origin", "", "origin of the visitors' pages (default: the target's own)")
	f.StringVar(&s.placements, "placements", "", "placements to ask of interact, separated by commas; each must get a variant")
	f.StringVar(&s.acked, "acked", "", "append the messageId of each acknowledged event to this `file`, one a line")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: loadgen takes flags only", f.Arg(0))
	}
	switch {
	case s.writeKey == "":
		return nil, errors.New("-write-key is missing: give the site's write key, which the gateway prints with its snippet at the start")
	case s.rate < 0:
		return nil, fmt.Errorf("-rate is %g: expected events a second, or 0 for as fast as answers come", s.rate)
	case s.duration < 0:
		return nil, fmt.Errorf("-duration is %v: expected a time such as 30s, or 0 for until Ctrl-C", s.duration)
	case s.batch < 1:
		return nil, fmt.Errorf("-batch is %d: expected 1 or more", s.batch)
	case s.connections < 1:
		return nil, fmt.Errorf("-connections is %d: expected 1 or more", s.connections)
	}
	if s.origin == "" {
		if target, err := url.Parse(s.target); err == nil {
			s.origin = target.Scheme + "://" + target.Host
		}
	}
	return s, nil
}

func (s *settings) driver(acked io.Writer) (*drive.Driver, workload.Shape, error) {
	shape := workload.Shape{Batch: s.batch}
	var err error
	if shape.Format, err = workload.ParseFormat(s.format); err != nil {
		return nil, shape, fmt.Errorf("-format: %w", err)
	}
	if err := shape.Check(); err != nil {
		return nil, shape, fmt.Errorf("-batch: %w", err)
	}
	if s.acked != "" && !shape.Format.Identifies() {
		return nil, shape, fmt.Errorf("-acked notes messageIds, and events of the format %s have none: leave it out", s.format)
	}
	o := workload.Options{
		Visitors: s.visitors, Visit: s.visit, Streams: s.connections, Seed: s.seed, Nonce: rand.Uint64(),
		Origin: s.origin, WriteKey: s.writeKey,
	}
	if s.placements != "" {
		o.Placements = strings.Split(s.placements, ",")
	}
	// The target first: an origin that was taken from a bad one helps nobody.
	if _, err := drive.New(drive.Options{Target: s.target, Workload: &workload.Workload{}}); err != nil {
		return nil, shape, err
	}
	w, err := workload.New(o)
	if err != nil {
		return nil, shape, err
	}
	d, err := drive.New(drive.Options{Target: s.target, Workload: w, Acked: acked})
	return d, shape, err
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	var acked io.Writer
	if err == nil && s.acked != "" {
		var file *os.File
		// Appended in one write for each answer, unbuffered: what stands in
		// the file survives this program's own death, and lines never mix.
		if file, err = os.OpenFile(s.acked, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); err == nil {
			defer file.Close()
			acked = file
		}
	}
	var d *drive.Driver
	var shape workload.Shape
	if err == nil {
		d, shape, err = s.driver(acked)
	}
	if err != nil {
		fmt.Fprintf(stderr, "loadgen: %v\n", err)
		return exitUsage
	}
	p := &progress{out: stderr, live: isTerminal(stderr)}
	result, err := d.Run(ctx, drive.Plan{
		Shape: shape, Rate: s.rate / float64(s.batch), Duration: s.duration, Progress: p.line,
	})
	p.end()
	summary(stdout, s, &result)
	if err != nil {
		fmt.Fprintf(stderr, "loadgen: %v\n", err)
		return exitWrong
	}
	if result.Requests == 0 {
		fmt.Fprintf(stderr, "loadgen: nothing was acknowledged; is a gateway at %s?%s\n", s.target, lastError(&result))
		return exitWrong
	}
	return exitOK
}
