// Command check is the whole test run: it installs what is missing, checks
// form, runs every test of every part, and ends with a summary.
//
//	go run ./tools/check                 everything
//	go run ./tools/check -list           the steps
//	go run ./tools/check -run 'vet|lint' some steps
//	go run ./tools/check -fuzz 10s       everything, then each fuzz target for 10 s
//
// It needs Go, a C compiler (for the race detector), Node with npm, and, the
// first time, apt-get as root for Chromium and Firefox. A failing step does not stop the
// ones after it. The last line is "N passed, N failed"; the exit code is 0 when
// nothing failed, 1 when something did, 2 when the flags cannot be.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

type options struct {
	run     *regexp.Regexp // nil: every step
	fuzz    time.Duration  // 0: no fuzzing
	verbose bool
}

func main() {
	pattern := flag.String("run", "", "run only the steps whose names match this regular expression")
	list := flag.Bool("list", false, "print the steps and stop")
	fuzz := flag.Duration("fuzz", 0, "also fuzz each target for this long, such as 10s")
	verbose := flag.Bool("v", false, "show all output, not only that of failures")
	flag.Parse()
	o := options{fuzz: *fuzz, verbose: *verbose}
	if flag.NArg() > 0 || *fuzz < 0 {
		fmt.Fprintln(os.Stderr, "check: saw arguments or a negative -fuzz, expected flags only; see -help")
		os.Exit(2)
	}
	if *pattern != "" {
		re, err := regexp.Compile(*pattern)
		if err != nil {
			fmt.Fprintf(os.Stderr, "check: -run: %v\n", err)
			os.Exit(2)
		}
		o.run = re
	}
	steps := choose(allSteps(o), o)
	if *list {
		for _, s := range steps {
			fmt.Printf("%-12s %s\n", s.name, s.says)
		}
		return
	}
	if len(steps) == 0 {
		fmt.Fprintf(os.Stderr, "check: no step matches %q; -list shows them\n", *pattern)
		os.Exit(2)
	}
	root, err := moduleRoot()
	if err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	m := machine{root: root, verbose: o.verbose, isRoot: os.Geteuid() == 0, lookPath: exec.LookPath}
	m.command = m.execute
	failed := run(ctx, os.Stdout, m, steps)
	stop()
	if failed > 0 {
		os.Exit(1)
	}
}

// result is how one step ended.
type result struct {
	step step
	took time.Duration
	err  error
}

// run does the steps in order, whatever fails, prints the summary and counts
// the failures.
func run(ctx context.Context, out io.Writer, m machine, steps []step) int {
	var results []result
	start := time.Now()
	for i, s := range steps {
		fmt.Fprintf(out, "=== %d/%d %s: %s\n", i+1, len(steps), s.name, s.says)
		begin := time.Now()
		m.out = out
		err := ctx.Err()
		if err == nil {
			err = s.do(ctx, &m)
		}
		r := result{s, time.Since(begin), err}
		results = append(results, r)
		if err != nil {
			fmt.Fprintf(out, "--- %s FAILED after %s: %v\n", s.name, seconds(r.took), err)
		} else {
			fmt.Fprintf(out, "--- %s passed in %s\n", s.name, seconds(r.took))
		}
	}
	return summarise(out, results, time.Since(start))
}

// summarise prints a table of the steps, then "N passed, N failed" as the last line.
func summarise(out io.Writer, results []result, took time.Duration) int {
	failed := 0
	fmt.Fprintln(out)
	for _, r := range results {
		verdict := "passed"
		if r.err != nil {
			verdict = "FAILED"
			failed++
		}
		fmt.Fprintf(out, "%-12s %s %9s\n", r.step.name, verdict, seconds(r.took))
	}
	fmt.Fprintf(out, "%-12s %16s\n", "in all", seconds(took))
	fmt.Fprintf(out, "%d passed, %d failed\n", len(results)-failed, failed)
	return failed
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// choose keeps the steps that the flags ask for, in their order.
func choose(steps []step, o options) []step {
	var chosen []step
	for _, s := range steps {
		if o.run == nil || o.run.MatchString(s.name) {
			chosen = append(chosen, s)
		}
	}
	return chosen
}
