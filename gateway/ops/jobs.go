package ops

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Kinds of job. There is one of each at a time.
const (
	Backup       = "backup"
	VerifyBackup = "verify-backup"
	Compact      = "compact"
	Settle       = "settle"
	RotateMaster = "rotate-master"
)

// States of a job.
const (
	Running = "running"
	Done    = "done"
	Failed  = "failed"
)

// Job is one piece of work and how far it is.
type Job struct {
	ID      string // "backup-3"; numbers begin anew with the program
	Kind    string
	State   string
	Step    string // what is being done; "" when the kind has but one
	Done    int64  // of Total,
	Total   int64  // bytes or pieces; 0 while it is not known
	Started time.Time
	Ended   time.Time // zero while it runs
	Error   string    // why it failed
	Result  any       // what came of it, for encoding/json; nil when there is nothing to tell
}

// running is a job and its end.
type running struct {
	Job
	ended chan struct{} // closed
}

// RunningError says that a job of this kind is under way.
type RunningError struct{ Job Job }

func (e *RunningError) Error() string {
	return fmt.Sprintf("%s is running since %s; wait until it is through", e.Job.ID, e.Job.Started.UTC().Format(time.RFC3339))
}

// ErrClosed says that the gateway stops.
var ErrClosed = errors.New("the gateway is stopping")

// work does a job; tell notes how far it is.
type work func(ctx context.Context, tell func(step string, done, total int64)) (result any, err error)

// begin starts a job of a kind, unless there is one.
func (d *Desk) begin(kind string, do work) (Job, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx.Err() != nil {
		return Job{}, ErrClosed
	}
	if j := d.jobs[kind]; j != nil && j.State == Running {
		return j.Job, &RunningError{j.Job}
	}
	d.last++
	j := &running{Job: Job{ID: fmt.Sprintf("%s-%d", kind, d.last), Kind: kind, State: Running, Started: d.o.Now()}, ended: make(chan struct{})}
	d.jobs[kind] = j
	d.all.Go(func() { d.run(j, do) })
	return j.Job, nil
}

func (d *Desk) run(j *running, do work) {
	defer close(j.ended)
	log := d.o.Logger.With("job", j.ID)
	log.Info("job started")
	result, err := do(d.ctx, func(step string, done, total int64) {
		d.mu.Lock()
		defer d.mu.Unlock()
		j.Step, j.Done, j.Total = step, done, total
	})
	d.mu.Lock()
	j.Ended, j.State, j.Result = d.o.Now(), Done, result
	if err != nil {
		j.State, j.Error = Failed, err.Error()
	}
	took := j.Ended.Sub(j.Started).Round(time.Millisecond)
	d.mu.Unlock()
	switch {
	case err == nil:
		log.Info("job done", "took", took)
	case d.ctx.Err() != nil:
		log.Info("job broken off, as the gateway stops")
	default:
		log.Error("job failed", "took", took, "err", err)
	}
	if d.o.Ended != nil {
		d.mu.Lock()
		ended := j.Job
		d.mu.Unlock()
		d.o.Ended(ended)
	}
}

// Job gives the newest job of a kind; false when there has been none.
func (d *Desk) Job(kind string) (Job, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if j := d.jobs[kind]; j != nil {
		return j.Job, true
	}
	return Job{}, false
}
