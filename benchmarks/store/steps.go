package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/reuna/reuna/benchmarks/measure"
)

// Run is all that was measured with one population.
type Run struct {
	Population
	Environment measure.Environment `json:"environment"`
	Note        string              `json:"note,omitempty"` // what -note said
	Load        Loaded              `json:"load"`
	Copied      Copied              `json:"copied"`
	Loaded      Size                `json:"loaded"`  // all entries in the log's tail
	InUse       Size                `json:"inUse"`   // the last 72 hours in the tail, 7 days of message ids: the steady state
	Settled     Size                `json:"settled"` // nothing in the tail, 7 days of message ids
	Tail        Reads               `json:"readsTail"`
	History     Reads               `json:"readsSettled"`
	Clean       Opened              `json:"openedClean"`
	Warm        Opened              `json:"openedCleanWarm"`
	Killed      []Opened            `json:"openedKilled"`
	Settles     []Settled           `json:"settles"`
	Erased      []Erased            `json:"erased"`
	Full        Backup              `json:"backupFull"`
	Added       Backup              `json:"backupIncremental"`
	Holds       []Held              `json:"holds"`
	Disk        DiskSpeed           `json:"disk"`
	Load1       []float64           `json:"loadAverages"` // of the machine, after each step
}

// args are what a step may need to know; each has its own meaning of N.
type args struct {
	Population
	Dir     string
	Begin   int64 // ms
	Events  int64
	Evict   bool
	N, M    int
	Rate    float64
	Hours   float64
	Nonce   uint64
	Writing bool
	List    []int
	Pprof   string // file for a CPU profile; "" for none
}

const stepCommand = "step"

// runStep is this program as a child: it does one thing in a fresh process and
// writes the result to out.
func runStep(ctx context.Context, name, text string, out io.Writer) error {
	var a args
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return fmt.Errorf("step %s: %w", name, err)
	}
	if a.Pprof != "" {
		stop, err := profile(a.Pprof)
		if err != nil {
			return err
		}
		defer stop()
	}
	var result any
	var err error
	switch name {
	case "load":
		result, err = load(ctx, a.Population, a.Dir, a.Begin, func(format string, v ...any) { fmt.Fprintf(os.Stderr, "  "+format+"\n", v...) })
	case "size":
		result, err = size(ctx, a.Dir, a.Events)
	case "read":
		result, err = read(a.Population, a.Dir, a.N)
	case "open":
		result, err = reopen(a.Population, a.Dir, a.Evict, a.N, a.Rate, a.Nonce)
	case "kill":
		err = untilKilled(a.Population, a.Dir, a.N, a.Rate, a.Nonce, func() { fmt.Fprintln(out, killMe) })
	case "settle":
		result, err = settle(ctx, a.Dir, hours(a.Hours), a.N)
	case "forget":
		result, err = forget(a.Dir, a.Begin)
	case "erase":
		result, err = erase(ctx, a.Population, a.Dir, a.List)
	case "backup":
		result, err = backUp(ctx, a.Dir)
	case "copy":
		result, err = multiply(ctx, a.Dir, a.N)
	case "hold":
		result, err = hold(ctx, a.Population, a.Dir, a.N, a.M, a.Writing, a.Nonce)
	default:
		err = errors.New("there is no such step")
	}
	if err != nil {
		return fmt.Errorf("step %s: %w", name, err)
	}
	return encode(out, result)
}

// profile writes a CPU profile until stop is called.
func profile(path string) (stop func(), err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			fmt.Fprintf(os.Stderr, "profile %s: %v\n", path, err)
		}
	}, nil
}

const killMe = "kill me"

func hours(h float64) time.Duration {
	if h < 0 {
		return everything
	}
	return time.Duration(h * float64(time.Hour))
}

// runner takes one population through all steps.
type runner struct {
	self string
	dir  string
	log  io.Writer
	run  Run

	pprof   string          // prefix of files; "" for none
	seconds float64         // length of mixed traffic
	copies  int             // of every person's records; 1: as they were loaded
	save    func(Run) error // called after each step, since all of them may take hours
	added   int64           // events by it
}

// tail and window are the store's defaults: how long entries stay in the log,
// and how long message ids are known.
const (
	tailHours = 72
	window    = 7 * 24 * time.Hour
)

func (r *runner) all(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(r.dir, "keys"), 0o700); err != nil {
		return err
	}
	var err error
	if r.run.Disk, err = diskSpeed(r.dir); err != nil {
		return err
	}
	r.run.Environment = measure.Here()
	if r.run.Environment.Disk, err = measure.Filesystem(r.dir); err != nil {
		return err
	}
	end := time.Now()
	reads, held := min(2000, r.run.Persons/8), min(600_000, r.run.Persons)
	mixed, killed := int(1000*r.seconds), int(500*r.seconds)
	var forgotten int
	steps := []step{
		{"load", args{Begin: end.Add(-spread).UnixMilli()}, &r.run.Load},
	}
	if r.copies > 1 {
		steps = append(steps, step{"settle", args{Hours: -1}, r.settled()}, step{"copy", args{N: r.copies}, &r.run.Copied})
	}
	steps = append(steps, []step{
		{"open", args{Evict: true, N: mixed, Rate: 1000, Nonce: 1}, &r.run.Clean},
		{"open", args{}, &r.run.Warm},
		// A kill leaves the system's cache, a power cut does not.
		{"kill", args{N: killed, Rate: 1000, Nonce: 2}, nil},
		{"open", args{}, r.killed()},
		{"kill", args{N: killed, Rate: 1000, Nonce: 3}, nil},
		{"open", args{Evict: true}, r.killed()},
		{"kill", args{N: 5 * killed, Rate: 5000, Nonce: 4}, nil},
		{"open", args{}, r.killed()},
	}...)
	if r.copies > 1 { // only what does not need to open the copies
		steps = append(steps, step{"read", args{N: reads}, &r.run.History})
		return r.do(ctx, steps)
	}
	steps = append(steps, []step{
		{"size", args{}, &r.run.Loaded},
		{"read", args{N: reads}, &r.run.Tail},
		// A part of it as the running store does it, every ten minutes a little.
		{"settle", args{Hours: spread.Hours() - 24*1.5, N: int(max(1<<16, 600*940*r.total()/int64(spread.Seconds())))}, r.settled()},
		{"settle", args{Hours: tailHours}, r.settled()},
		{"forget", args{Begin: end.Add(-window).UnixMilli()}, &forgotten},
		{"size", args{}, &r.run.InUse},
		{"backup", args{}, &r.run.Full},
		{"open", args{N: mixed, Rate: 1000, Nonce: 5}, new(Opened)},
		{"backup", args{}, &r.run.Added},
		{"erase", args{List: []int{0, 40, 80, 120, 160}}, &r.run.Erased},
		{"settle", args{Hours: -1}, r.settled()},
		{"size", args{}, &r.run.Settled},
		{"read", args{N: reads}, &r.run.History},
		{"hold", args{N: 50_000, M: held, Writing: true, Nonce: 6}, r.held()},
		{"hold", args{N: 200_000, M: held, Writing: true, Nonce: 7}, r.held()},
		{"hold", args{N: 50_000, M: held, Nonce: 8}, r.held()},
	}...)
	return r.do(ctx, steps)
}

// step is one thing that a child does; a nil into stands for one that is killed.
type step struct {
	name string
	args args
	into any
}

func (r *runner) do(ctx context.Context, steps []step) error {
	for i := range steps {
		s := &steps[i]
		a := s.args
		a.Population, a.Dir, a.Events = r.run.Population, r.dir, r.events()
		if r.pprof != "" {
			a.Pprof = fmt.Sprintf("%s%02d-%s.prof", r.pprof, i+1, s.name)
		}
		fmt.Fprintf(r.log, "%d persons, step %d of %d: %s\n", r.run.Persons, i+1, len(steps), s.name)
		began := time.Now()
		if err := r.step(ctx, s.name, a, s.into); err != nil {
			return err
		}
		r.run.Load1 = append(r.run.Load1, loadAverage())
		text, err := json.Marshal(s.into)
		if err != nil {
			return err
		}
		fmt.Fprintf(r.log, "  took %v: %s\n", time.Since(began).Round(time.Millisecond), text)
		if s.name == "open" || s.name == "kill" {
			r.added += int64(a.N)
		}
		if err := r.after(s.name); err != nil {
			return err
		}
		if err := r.save(r.run); err != nil {
			return err
		}
	}
	return nil
}

// Total is how many persons there are, copies included.
func (run *Run) Total() int { return run.Persons * max(1, run.Copied.Copies) }

func (r *runner) total() (n int64) {
	for v := range r.run.Persons {
		n += int64(r.run.events(v))
	}
	return n
}

// events is what is stored by now.
func (r *runner) events() int64 { return r.run.Load.Events + r.added }

// killed, settled and held make room for one more of each. The lists have room
// for all, so that the earlier places stay where they are.
func (r *runner) killed() *Opened { return grow(&r.run.Killed, 3) }

func (r *runner) settled() *Settled { return grow(&r.run.Settles, 3) }

func (r *runner) held() *Held { return grow(&r.run.Holds, 3) }

func grow[T any](list *[]T, most int) *T {
	if *list == nil {
		*list = make([]T, 0, most)
	}
	*list = (*list)[:len(*list)+1]
	return &(*list)[len(*list)-1]
}

// after takes away what later steps do not need.
func (r *runner) after(step string) error {
	if step == "erase" {
		return os.RemoveAll(filepath.Join(r.dir, "backup"))
	}
	return nil
}

// step runs this program as a child.
func (r *runner) step(ctx context.Context, name string, a args, into any) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, r.self, stepCommand, name, string(text))
	c.Stderr = r.log
	if into == nil {
		return kill(c)
	}
	var out bytes.Buffer
	c.Stdout = &out
	if err := c.Run(); err != nil {
		return fmt.Errorf("step %s: %w", name, err)
	}
	if err := json.Unmarshal(out.Bytes(), into); err != nil {
		return fmt.Errorf("step %s said %.200q: %w", name, out.Bytes(), err)
	}
	return nil
}

// kill starts a command and kills it when it says that it is ready for that.
func kill(c *exec.Cmd) error {
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil && strings.TrimSpace(line) != killMe {
		err = fmt.Errorf("step kill said %q", line)
	}
	err = errors.Join(err, c.Process.Kill())
	_ = c.Wait() // it says that it was killed
	return err
}

// loadAverage is the machine's over the last minute; 0 where it cannot be read.
func loadAverage() (v float64) {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(data), &v); err != nil {
		return 0
	}
	return v
}
