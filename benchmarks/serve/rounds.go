package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/reuna/reuna/benchmarks/drive"
	"github.com/reuna/reuna/benchmarks/measure"
	"github.com/reuna/reuna/benchmarks/workload"
)

// Side is a server together with what drives it.
type Side struct {
	Server *Server
	Driver *drive.Driver
}

// Sample is one round of one side.
type Sample struct {
	drive.Result
	CPU time.Duration // of the server's process, with what it did afterwards because of the round
}

// PerRequest is processor time in microseconds.
func (s *Sample) PerRequest() float64 { return Micros(s.CPU) / float64(s.Requests) }

// Rate is requests a second.
func (s *Sample) Rate() float64 { return float64(s.Requests) / s.Elapsed.Seconds() }

// Micros is a time in microseconds.
func Micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// Measure runs a plan and counts the processor time that the server spent on
// it, up to the moment when the server rests again: work that a server puts off
// until after its answers is part of their cost. Less than the clock can tell
// counts as its smallest step.
func (s Side) Measure(ctx context.Context, p drive.Plan) (Sample, error) {
	p.Strict = true
	before, err := measure.CPU(s.Server.PID)
	if err != nil {
		return Sample{}, errors.Join(err, s.Server.Alive())
	}
	result, err := s.Driver.Run(ctx, p)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Sample{}, errors.Join(err, s.Server.Alive())
	}
	if result.Requests == 0 {
		return Sample{}, fmt.Errorf("the %s answered nothing in %v", s.Server.Name, p.Duration)
	}
	after, err := settled(ctx, s.Server.PID)
	if err != nil {
		return Sample{}, errors.Join(err, s.Server.Alive())
	}
	return Sample{Result: result, CPU: max(after-before, measure.Tick)}, nil
}

// A server rests when it uses no more than restCPU in restTime. One that never
// does is waited for no longer than restMost.
const (
	restTime = 200 * time.Millisecond
	restCPU  = 10 * time.Millisecond
	restMost = 5 * time.Second
)

// settled waits until a process rests and gives its processor time.
func settled(ctx context.Context, pid int) (time.Duration, error) {
	last, err := measure.CPU(pid)
	tick := time.NewTicker(restTime)
	defer tick.Stop()
	for began := time.Now(); err == nil && time.Since(began) < restMost; {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
		}
		var now time.Duration
		if now, err = measure.CPU(pid); now-last <= restCPU {
			return now, err
		}
		last = now
	}
	return last, err
}

// profileSeconds is the least that gives a profile enough samples (100 a second and core).
const profileSeconds = 5

// Profile writes a CPU profile of a gateway under load, in a round of its own
// that is not measured, to a file. It gives the events sent.
func (s Side) Profile(ctx context.Context, shape workload.Shape, round time.Duration, adminKey, file string) (int64, error) {
	seconds := max(int(round.Seconds()), profileSeconds)
	type loaded struct {
		result drive.Result
		err    error
	}
	done := make(chan loaded, 1)
	loadCtx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		r, err := s.Driver.Run(loadCtx, drive.Plan{Shape: shape})
		done <- loaded{r, err}
	}()
	err := s.Server.Sample(ctx, seconds, adminKey, file)
	stop()
	load := <-done
	return load.result.Events, errors.Join(err, load.err)
}

// Sample writes a CPU profile of some seconds of a gateway to a file.
func (s *Server) Sample(ctx context.Context, seconds int, adminKey, file string) (err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", s.Desk, seconds), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+adminKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("CPU profile: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("CPU profile: the desk answered %s: expected 200", response.Status)
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, response.Body); err != nil {
		return fmt.Errorf("CPU profile: %w", err)
	}
	return nil
}

// Foreign follows what the machine does besides the benchmark's own processes.
type Foreign struct {
	PIDs                   []int
	busy, total, processes time.Duration
}

func (f *Foreign) Begin() (err error) {
	f.busy, f.total, f.processes, err = f.read()
	return err
}

// End is the part of the machine's processor time, in percent, that others took
// since Begin.
func (f *Foreign) End() (float64, error) {
	busy, total, processes, err := f.read()
	others := (busy - f.busy) - (processes - f.processes)
	return max(100*float64(others)/float64(max(total-f.total, 1)), 0), err
}

func (f *Foreign) read() (busy, total, processes time.Duration, err error) {
	if busy, total, err = measure.Machine(); err != nil {
		return 0, 0, 0, err
	}
	for _, pid := range f.PIDs {
		cpu, err := measure.CPU(pid)
		if err != nil {
			return 0, 0, 0, err
		}
		processes += cpu
	}
	return busy, total, processes, nil
}
