// Command identity measures what recognising people costs: linking two persons
// who have 10,000 events each, through the gateway's doors, and working out who
// somebody is on a kiosk of 500 users:
//
//	go run ./benchmarks/identity
//
// Both are compared with the same thing done to somebody ordinary, in turn. It
// writes identity.md to benchmarks/results.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/reuna/reuna/benchmarks/measure"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "identity: %v\n", err)
		os.Exit(1)
	}
}

// inMemory is where Linux has a folder in memory.
const inMemory = "/dev/shm"

// options are the sizes of a run.
type options struct {
	events int // of each of two persons who are linked
	people int // of each kind; every device is linked to every user in turn
	links  int // of large persons, and as many of small ones
	users  int // on the kiosk
	rounds int // of all of them
	dir    string
	memory string
	out    string
	quick  bool
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	var o options
	f := flag.NewFlagSet("identity", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.events, "events", 10_000, "events of each person that is linked")
	f.IntVar(&o.people, "people", 20, "devices, and as many users, that are linked to each other in turn")
	f.IntVar(&o.links, "links", 390, "links that are measured, at most people × people")
	f.IntVar(&o.users, "users", 500, "users of the kiosk")
	f.IntVar(&o.rounds, "rounds", 4, "how often each of them is worked out anew")
	f.StringVar(&o.dir, "dir", "", "`folder` for the data; default: a new one in the folder for temporary files")
	f.StringVar(&o.memory, "memory", inMemory, "`folder` in memory, to measure linking once more without the disk; \"\" does not")
	f.StringVar(&o.out, "out", "benchmarks/results", "`folder` for the results; \"\" writes none")
	f.BoolVar(&o.quick, "quick", false, "small sizes: shows that all works; writes no results")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.quick {
		o.events, o.people, o.links, o.users, o.rounds, o.memory, o.out = 300, 4, 15, 60, 2, "", ""
	}
	if o.links > o.people*o.people {
		return fmt.Errorf("-links is %d; expected at most %d, each device to each user once", o.links, o.people*o.people)
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "reuna-identity-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	}
	if _, err := os.Stat(o.memory); o.memory == inMemory && err != nil {
		o.memory = "" // there is none here
	}
	if o.memory != "" {
		if o.memory, err = os.MkdirTemp(o.memory, "reuna-identity-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.memory)) }()
	}
	r, err := run(ctx, &o, stderr)
	if err != nil {
		return err
	}
	text := r.table()
	if _, err := io.WriteString(stdout, text); err != nil || o.out == "" {
		return err
	}
	return os.WriteFile(filepath.Join(o.out, "identity.md"), []byte(text), 0o644)
}

// report is what a run found.
type report struct {
	o     *options
	here  measure.Environment
	load  [2]string // averages before and after
	links []*linked // on the disk, then in memory
	kiosk []*busy   // not held, then held
}

func run(ctx context.Context, o *options, progress io.Writer) (r *report, err error) {
	r = &report{o: o, here: measure.Here()}
	r.load[0] = loadAverage()
	fmt.Fprintf(progress, "kiosk of %d users\n", o.users)
	for i, maxLinks := range []int{-1, 0} { // the second is the gateway's default
		b, err := kiosk(ctx, filepath.Join(o.dir, fmt.Sprint("kiosk", i)), o, maxLinks)
		if err != nil {
			return nil, err
		}
		r.kiosk = append(r.kiosk, b)
	}
	for _, dir := range []string{o.dir, o.memory} {
		if dir == "" {
			continue
		}
		disk, err := measure.Filesystem(dir)
		if err != nil {
			return nil, err
		}
		fsync, err := syncs(dir)
		if err != nil {
			return nil, err
		}
		l, err := link(ctx, filepath.Join(dir, "links"), o, progress)
		if err != nil {
			return nil, err
		}
		l.disk, l.fsync = disk, fsync
		r.links = append(r.links, l)
	}
	r.load[1] = loadAverage()
	return r, nil
}

// times are sorted durations.
type times []time.Duration

func (t *times) add(d time.Duration) {
	i, _ := slices.BinarySearch(*t, d)
	*t = slices.Insert(*t, i, d)
}

// at is a percentile in milliseconds.
func (t times) at(p float64) float64 {
	if len(t) == 0 {
		return 0
	}
	return float64(t[min(len(t)-1, int(p*float64(len(t))))].Nanoseconds()) / 1e6
}

// syncs times what every durable answer waits for at least: a small write and
// its fsync, in this folder.
func syncs(dir string) (list times, err error) {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return nil, err
	}
	block := make([]byte, 4096)
	for range 200 {
		began := time.Now()
		if _, err = f.Write(block); err == nil {
			err = f.Sync()
		}
		if err != nil {
			break
		}
		list.add(time.Since(began))
	}
	return list, errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// loadAverage is the machine's over the last minute; "" where it is not told.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
