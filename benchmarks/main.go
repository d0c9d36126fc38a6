// Command benchmarks measures the gateway end to end against a bare handler
// that reads the same bodies and answers as many bytes:
//
//	go run ./benchmarks
//
// It builds the gateway, starts both servers as processes of their own, drives
// them in turn with the same visitors, prints the table and writes JSON and a
// chart to benchmarks/results. README.md says what each figure means.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/reuna/reuna/benchmarks/audiences"
	"github.com/reuna/reuna/benchmarks/backfill"
	"github.com/reuna/reuna/benchmarks/enrich"
	"github.com/reuna/reuna/benchmarks/growth"
	"github.com/reuna/reuna/benchmarks/page"
	"github.com/reuna/reuna/benchmarks/soak"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == bareCommand {
		os.Exit(runBare(os.Args[2:]))
	}
	// One processor more than cores: the schedule's thread sleeps in the kernel.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "benchmarks: %v\n", err)
		os.Exit(1)
	}
}

type flags struct {
	settings
	out       string // folder of the results; "" writes none
	tag       bool   // measure the tag instead
	enrich    bool   // measure enrichment instead
	enriching enrich.Options
	audiences bool   // measure what traits and audiences cost instead
	define    string // file of the definitions to measure
	gateway   string // binary to measure; "" builds one
	backfill  bool   // measure a backfill instead
	filling   backfill.Options
	growth    bool // measure more and more persons instead
	growing   growth.Options
	soak      bool // keep a gateway under load for long instead
	soaking   soak.Options
}

func parse(args []string, stderr io.Writer) (*flags, error) {
	var o flags
	f := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.rounds, "rounds", 5, "rounds of each side, in turn; 3 with -audiences, 4 with -growth")
	f.DurationVar(&o.round, "round-duration", 4*time.Second, "length of a round; 20s with -audiences, since a checkpoint comes every 8 to 30 seconds and its cost belongs to the events; 10s with -growth")
	f.IntVar(&o.connections, "connections", 64, "keep-alive connections")
	f.IntVar(&o.visitors, "visitors", 10_000, "how many different visitors")
	f.Uint64Var(&o.seed, "seed", 1, "of the visitors and what they do")
	f.StringVar(&o.pprof, "pprof", "", "write a CPU profile of the gateway under load to this `file`")
	f.StringVar(&o.out, "out", "benchmarks/results", "`folder` for the JSON and the chart; a relative one is taken from the module's root")
	f.BoolVar(&o.tag, "tag", false, "measure what the tag costs the page, in Chromium, instead of the gateway; fails above a budget")
	f.BoolVar(&o.enrich, "enrich", false, "measure how often enrichment is right and what it costs, on public fixtures that the first run fetches with npm and go; fails when a bar is missed")
	f.IntVar(&o.enriching.Failures, "enrich-failures", 0, "with -enrich: print the first `N` wrong answers of each class, but none of those held out")
	f.StringVar(&o.enriching.Cache, "enrich-cache", "", "with -enrich: `folder` for the fixtures; reuna-fixtures in the user's cache folder by default")
	f.BoolVar(&o.audiences, "audiences", false, "measure what 50 computed traits and 100 audiences add to the cost of an event; fails when a bar is missed")
	f.StringVar(&o.define, "definitions", "", "with -audiences: `file` with other traits, segments and placements")
	f.BoolVar(&o.backfill, "backfill", false, "measure a new audience over what a million persons did, while the collector goes on; fails when a bar is missed")
	f.IntVar(&o.filling.Devices, "persons", 1_000_000, "with -backfill: devices of the population; two in 40 are one person's")
	f.Float64Var(&o.filling.Rate, "rate", 1000, "with -backfill: requests a second to the collector; with -growth, when latency is measured, 2000 unless given")
	f.StringVar(&o.filling.Cache, "cache", "", "with -backfill or -growth: `folder` for populations; reuna-backfill or reuna-growth in the user's cache folder by default")
	f.BoolVar(&o.growth, "growth", false, "measure what an event costs with more and more persons, and how long a start takes; fails when a bar is missed")
	sizes := f.String("sizes", "10000,1000000,5000000", "with -growth: how many persons, the fewest first")
	f.BoolVar(&o.soak, "soak", false, "keep a gateway under mixed load for an hour and watch memory, goroutines and latency; fails when one of them drifts")
	f.DurationVar(&o.soaking.Duration, "soak-duration", time.Hour, "with -soak: how long; 30s with -quick")
	f.Float64Var(&o.soaking.Share, "soak-share", 0.7, "with -soak: load, as a `part` of what the gateway answers at saturation")
	f.StringVar(&o.gateway, "gateway", "", "`binary` of a gateway to measure; built from the sources by default")
	quick := f.Bool("quick", false, "2 rounds of 1 s: shows that all works; results are written only with -out")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	given := map[string]bool{}
	f.Visit(func(g *flag.Flag) { given[g.Name] = true })
	if o.audiences && !given["rounds"] {
		o.rounds = 3
	}
	if o.audiences && !given["round-duration"] {
		o.round = 20 * time.Second
	}
	if o.growth {
		if !given["rounds"] {
			o.rounds = 4
		}
		if !given["round-duration"] {
			o.round = 10 * time.Second
		}
		if *quick && !given["sizes"] {
			*sizes = "2000,20000"
		}
	}
	o.enriching.Quick = *quick
	o.filling.Calm, o.filling.Round = 20*time.Second, 2*time.Second
	if *quick {
		if !given["rounds"] {
			o.rounds = 2
		}
		if !given["round-duration"] {
			o.round = time.Second
		}
		if !given["persons"] {
			o.filling.Devices = 20_000
		}
		o.filling.Calm = 4 * time.Second
		if !given["soak-duration"] {
			o.soaking.Duration = 30 * time.Second
		}
		if !given["out"] {
			o.out = ""
		}
	}
	var err error
	if o.growing.Sizes, err = numbers(*sizes); err != nil {
		return nil, err
	}
	o.growing.Cache, o.growing.Rate = o.filling.Cache, o.filling.Rate
	if !given["rate"] {
		o.growing.Rate = 2000
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q: benchmarks takes flags only", f.Arg(0))
	case o.rounds < 1:
		return nil, fmt.Errorf("-rounds is %d: expected 1 or more", o.rounds)
	case o.round < 100*time.Millisecond:
		return nil, fmt.Errorf("-round-duration is %v: expected 100ms or more, since processor time is counted in steps of 10 ms", o.round)
	case o.connections < 1:
		return nil, fmt.Errorf("-connections is %d: expected 1 or more", o.connections)
	case count(o.tag, o.enrich, o.audiences, o.backfill, o.growth, o.soak) > 1:
		return nil, errors.New("-tag, -enrich, -audiences, -backfill, -growth and -soak measure different things: give one of them")
	case !o.soak && (given["soak-duration"] || given["soak-share"]):
		return nil, errors.New("-soak-duration and -soak-share say how to soak: give -soak too")
	case o.soaking.Duration < 10*time.Second:
		return nil, fmt.Errorf("-soak-duration is %v: expected 10s or more", o.soaking.Duration)
	case !(o.soaking.Share > 0 && o.soaking.Share <= 1):
		return nil, fmt.Errorf("-soak-share is %g: expected more than 0, and 1 at most", o.soaking.Share)
	case !o.backfill && given["persons"]:
		return nil, errors.New("-persons says how to measure a backfill: give -backfill too")
	case !o.backfill && !o.growth && (given["rate"] || given["cache"]):
		return nil, errors.New("-rate and -cache say how to measure a backfill or growth: give -backfill or -growth too")
	case !o.growth && given["sizes"]:
		return nil, errors.New("-sizes says how many persons to grow to: give -growth too")
	case o.growth && o.growing.Sizes[0] < leastPersons:
		return nil, fmt.Errorf("-sizes begins with %d: expected %d or more", o.growing.Sizes[0], leastPersons)
	case o.growth && o.growing.Sizes[0]/10 < o.connections:
		return nil, fmt.Errorf("-sizes begins with %d, of whom one in ten comes back: expected %d or more for %d connections", o.growing.Sizes[0], 10*o.connections, o.connections)
	case o.filling.Devices < leastPersons:
		return nil, fmt.Errorf("-persons is %d: expected %d or more", o.filling.Devices, leastPersons)
	case !(o.filling.Rate > 0):
		return nil, fmt.Errorf("-rate is %g: expected more than 0", o.filling.Rate)
	case !o.audiences && given["definitions"]:
		return nil, errors.New("-definitions says what to measure the cost of: give -audiences too")
	case !o.enrich && (given["enrich-failures"] || given["enrich-cache"]):
		return nil, errors.New("-enrich-failures and -enrich-cache say how to measure enrichment: give -enrich too")
	case o.enriching.Failures < 0:
		return nil, fmt.Errorf("-enrich-failures is %d: expected 0 or more", o.enriching.Failures)
	}
	return &o, nil
}

// leastPersons make a population worth filling from.
const leastPersons = 1000

// numbers reads a list of numbers, each larger than the one before.
func numbers(text string) (list []int, err error) {
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || len(list) > 0 && n <= list[len(list)-1] {
			return nil, fmt.Errorf("-sizes is %q: expected numbers with commas between, each larger than the one before", text)
		}
		list = append(list, n)
	}
	return list, nil
}

// count says how many are so.
func count(list ...bool) (n int) {
	for _, x := range list {
		if x {
			n++
		}
	}
	return n
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if o.tag {
		return measureTag(ctx, o, stdout, stderr)
	}
	if o.enrich {
		return measureEnrich(ctx, o, stdout, stderr)
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("processor time is read from /proc, which %s does not have: run on Linux", runtime.GOOS)
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	if o.out != "" && !filepath.IsAbs(o.out) {
		o.out = filepath.Join(root, o.out)
	}
	var before *Report
	if o.out != "" {
		if before, err = loadReport(o.out); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "reuna-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	binary := o.gateway
	if binary == "" {
		fmt.Fprintln(stderr, "building the gateway")
		binary = filepath.Join(dir, "gateway")
		if err := build(ctx, root, binary); err != nil {
			return err
		}
	}
	if o.backfill {
		return measureBackfill(ctx, o, binary, stdout, stderr)
	}
	if o.growth {
		return measureGrowth(ctx, o, binary, stdout, stderr)
	}
	if o.soak {
		return measureSoak(ctx, o, binary, dir, stdout, stderr)
	}
	if o.audiences {
		return measureAudiences(ctx, o, binary, dir, stdout, stderr)
	}
	b := &bench{settings: o.settings, self: []string{self}, gateway: []string{binary}, dir: dir, log: stderr}
	report, err := b.run(ctx)
	if err != nil {
		return err
	}
	report.table(stdout, before)
	if o.out == "" {
		return nil
	}
	return report.save(o.out)
}

// measureTag measures the tag, and fails where it costs more than it may.
func measureTag(ctx context.Context, o *flags, stdout, stderr io.Writer) error {
	r, err := page.Run(ctx, o.rounds, stderr)
	if err != nil {
		return err
	}
	if err := keep(o, r, stdout); err != nil {
		return err
	}
	if over := r.Over(); over != nil {
		return fmt.Errorf("the tag costs more than it may:\n%w", over)
	}
	return nil
}

// measureEnrich measures enrichment, and fails where it misses a bar.
func measureEnrich(ctx context.Context, o *flags, stdout, stderr io.Writer) error {
	r, err := enrich.Run(ctx, o.enriching, stdout, stderr)
	if err != nil {
		return err
	}
	if err := keep(o, r, stdout); err != nil {
		return err
	}
	if missed := r.Missed(); missed != nil {
		return fmt.Errorf("enrichment misses its bars:\n%w", missed)
	}
	return nil
}

// measureAudiences measures what traits and audiences cost, and fails where that
// is more than it may be.
func measureAudiences(ctx context.Context, o *flags, binary, dir string, stdout, stderr io.Writer) error {
	r, err := audiences.Run(ctx, audiences.Options{
		Gateway: []string{binary}, Dir: dir, Definitions: o.define, Rounds: o.rounds, Round: o.round,
		Connections: o.connections, Visitors: o.visitors, Seed: o.seed, Pprof: o.pprof, Log: stderr,
	})
	if err != nil {
		return err
	}
	if err := keep(o, r, stdout); err != nil {
		return err
	}
	if missed := r.Missed(); missed != nil {
		return fmt.Errorf("traits and audiences cost more than they may:\n%w", missed)
	}
	return nil
}

// measureBackfill measures a backfill, and fails where it misses a bar.
func measureBackfill(ctx context.Context, o *flags, binary string, stdout, stderr io.Writer) error {
	o.filling.Gateway, o.filling.Seed, o.filling.Connections, o.filling.Log, o.filling.Pprof = []string{binary}, o.seed, o.connections, stderr, o.pprof
	r, err := backfill.Run(ctx, o.filling)
	if err != nil {
		return err
	}
	if err := keep(o, r, stdout); err != nil {
		return err
	}
	if missed := r.Missed(); missed != nil {
		return fmt.Errorf("the backfill misses its bars:\n%w", missed)
	}
	return nil
}

// measureGrowth measures what more and more persons cost, and fails where that is
// more than it may be.
func measureGrowth(ctx context.Context, o *flags, binary string, stdout, stderr io.Writer) error {
	g := o.growing
	g.Gateway, g.Seed, g.Rounds, g.Round, g.Connections, g.Pprof, g.Log = []string{binary}, o.seed, o.rounds, o.round, o.connections, o.pprof, stderr
	r, err := growth.Run(ctx, g)
	if err != nil {
		return err
	}
	if err := keep(o, r, stdout); err != nil {
		return err
	}
	if missed := r.Missed(); missed != nil {
		return fmt.Errorf("growth misses its bars:\n%w", missed)
	}
	return nil
}

// measureSoak keeps a gateway under load, and fails where something drifts.
func measureSoak(ctx context.Context, o *flags, binary, dir string, stdout, stderr io.Writer) error {
	s := o.soaking
	s.Gateway, s.Dir, s.Config, s.WriteKey, s.Connections, s.Visitors, s.Seed, s.Log = []string{binary}, dir, gatewayConfig, writeKey, o.connections, o.visitors, o.seed, stderr
	s.Window = min(10*time.Second, s.Duration/15) // at least a dozen to judge by
	r, err := soak.Run(ctx, s)
	if err != nil {
		return err
	}
	if err := keep(o, r, stdout); err != nil {
		return err
	}
	if missed := r.Missed(); missed != nil {
		return fmt.Errorf("something drifts:\n%w", missed)
	}
	return nil
}

// keep prints a report and writes it where results are kept.
func keep(o *flags, r interface {
	Table(io.Writer) error
	Save(dir string) error
}, stdout io.Writer) error {
	if err := r.Table(stdout); err != nil || o.out == "" {
		return err
	}
	out := o.out
	if !filepath.IsAbs(out) {
		root, err := moduleRoot()
		if err != nil {
			return err
		}
		out = filepath.Join(root, out)
	}
	return r.Save(out)
}

// moduleRoot is the folder of the go.mod that the working folder belongs to.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if file == "" || file == os.DevNull {
		return "", errors.New("there is no go.mod here: run in the project's folder")
	}
	return filepath.Dir(file), nil
}

// build makes the gateway's binary, the way a release is made.
func build(ctx context.Context, root, binary string) error {
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./gateway")
	c.Dir = root
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("building the gateway: %w\n%s", err, out)
	}
	return nil
}
