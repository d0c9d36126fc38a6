// Command store measures how the store behaves with millions of persons,
// without HTTP: bytes on disk and where they are, opening, memory, settling,
// erasing, backups, reading:
//
//	go run ./benchmarks/store
//
// It fills folders of its own with the events of seeded visitors, the way
// gateway/pipeline would, and does each thing in a fresh process. It writes
// store.json, store.md and store.svg to benchmarks/results.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	var err error
	if len(os.Args) == 4 && os.Args[1] == stepCommand {
		err = runStep(ctx, os.Args[2], os.Args[3], os.Stdout)
	} else {
		err = command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "store: %v\n", err)
		os.Exit(1)
	}
}

type flags struct {
	persons []int
	means   []float64
	seed    uint64
	out     string
	dir     string
	quick   bool
	pprof   string
	note    string
	copies  int
	show    bool
	keep    bool
}

func parse(args []string, stderr io.Writer) (*flags, error) {
	var o flags
	f := flag.NewFlagSet("store", flag.ContinueOnError)
	f.SetOutput(stderr)
	persons := f.String("persons", "1000000,5000000", "sizes of the populations")
	means := f.String("events-per-person", "6,3", "events a person for each of them, on average; the last stands for those that follow")
	f.Uint64Var(&o.seed, "seed", 1, "of the visitors and what they do")
	f.StringVar(&o.out, "out", "benchmarks/results", "`folder` for the results; a relative one is taken from the module's root")
	f.StringVar(&o.dir, "dir", "", "`folder` for the data; default: a new one in the folder for temporary files")
	f.StringVar(&o.pprof, "pprof", "", "write a CPU profile of each step of the first population to this `prefix` and the step's number and name")
	f.StringVar(&o.note, "note", "", "a `text` to keep with the results: what is special about this run")
	f.IntVar(&o.copies, "copies", 1, "load so many times fewer persons, and copy their records under other hashes: opening, memory and reading of large folders within minutes")
	f.BoolVar(&o.show, "show", false, "measure nothing: make the tables and the picture anew from store.json")
	f.BoolVar(&o.keep, "keep", false, "keep the data")
	f.BoolVar(&o.quick, "quick", false, "20,000 persons, half a minute: shows that all works; results are written only with -out")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	given := map[string]bool{}
	f.Visit(func(g *flag.Flag) { given[g.Name] = true })
	if o.quick {
		if !given["persons"] {
			*persons = "20000"
		}
		if !given["out"] {
			o.out = ""
		}
	}
	if o.copies < 1 || o.copies > mostCopies {
		return nil, fmt.Errorf("-copies is %d: expected 1 to %d", o.copies, mostCopies)
	}
	if o.show && o.out == "" {
		return nil, errors.New("-show needs the folder that store.json is in: leave -quick out, or name it with -out")
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: store takes flags only", f.Arg(0))
	}
	for text := range strings.SplitSeq(*persons, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n/o.copies < leastPersons {
			return nil, fmt.Errorf("-persons has %q: expected numbers of %d or more, such as 1000000,5000000", text, leastPersons*o.copies)
		}
		o.persons = append(o.persons, n)
	}
	for text := range strings.SplitSeq(*means, ",") {
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || n < leastMean {
			return nil, fmt.Errorf("-events-per-person has %q: expected numbers of %g or more, such as 6,3", text, leastMean)
		}
		o.means = append(o.means, n)
	}
	return &o, nil
}

// leastPersons is what the steps need to keep out of each other's way.
const leastPersons = 4000

func command(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if o.out != "" && !filepath.IsAbs(o.out) {
		root, err := moduleRoot()
		if err != nil {
			return err
		}
		o.out = filepath.Join(root, o.out)
	}
	report := &Report{}
	if o.out != "" {
		if report, err = loadReport(o.out); err != nil {
			return err
		}
	}
	if o.show {
		report.markdown(stdout)
		return report.save(o.out)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if o.dir != "" {
		if err := os.MkdirAll(o.dir, 0o700); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(o.dir, "reuna-store-")
	if err != nil {
		return err
	}
	if !o.keep {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	for i, n := range o.persons {
		r := runner{self: self, dir: filepath.Join(dir, strconv.Itoa(n)), log: stderr, seconds: 10, copies: o.copies}
		if o.quick {
			r.seconds = 2
		}
		r.run.Note, r.run.Copied.Copies = o.note, o.copies
		if i == 0 {
			r.pprof = o.pprof
		}
		r.run.Population = Population{Persons: n / o.copies, Mean: o.means[min(i, len(o.means)-1)], Seed: o.seed}
		if err := enough(dir, r.run.Population); err != nil {
			return err
		}
		r.save = func(run Run) error {
			report.add(run)
			if o.out == "" {
				return nil
			}
			return report.save(o.out)
		}
		if err := r.all(ctx); err != nil {
			return err
		}
		if !o.keep {
			if err := os.RemoveAll(r.dir); err != nil {
				return err
			}
		}
	}
	report.markdown(stdout)
	return nil
}

// enough says whether the disk has room for a population.
func enough(dir string, p Population) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return fmt.Errorf("free space of %s: %w", dir, err)
	}
	const perEvent = 1500 // the folder while it is compacted, and a backup
	free, need := uint64(s.Bavail)*uint64(s.Bsize), uint64(float64(p.Persons)*p.Mean*perEvent)
	if free < need {
		return fmt.Errorf("%s has %d MB left, %d persons with %g events each need up to %d: name another folder with -dir, or fewer -persons", dir, free>>20, p.Persons, p.Mean, need>>20)
	}
	return nil
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

// encode writes a step's result for the process that asked for it.
func encode(out io.Writer, result any) error { return json.NewEncoder(out).Encode(result) }
