package define

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reuna/reuna/identity/trait"
	"github.com/reuna/reuna/storage/definitions"
	"github.com/reuna/reuna/storage/people"
)

// Jobs, by the names under which their progress is kept.
const (
	fillJob   = definitions.FillJob
	sweepJob  = "sweep "  // and a digest of what everybody is judged by
	retireJob = "retire " // and the audience's number and name
)

// progress is how far the job is that runs now.
type progress struct {
	job    string // "" none
	ids    []uint32
	share  float64
	events int64
	begun  time.Time
	from   float64 // share when this run began
	failed error   // why the last run ended; it is tried again
}

// retry is how long a job that failed waits.
const retry = 10 * time.Second

// run begins what is to be done, after ending what is done now. The lock is
// held.
func (m *Manager) run() {
	if m.cancel != nil {
		m.cancel()
	}
	if m.closed {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.running = progress{}
	m.work.Go(func() {
		defer cancel()
		m.keepOn(ctx)
	})
}

// keepOn does one job after the other until there is none.
func (m *Manager) keepOn(ctx context.Context) {
	for ctx.Err() == nil {
		more, err := m.next(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			m.o.Logger.Error("definitions cannot be filled from earlier events; trying again", "in", retry, "err", err)
			m.mu.Lock()
			m.running.failed = err
			m.mu.Unlock()
			select {
			case <-ctx.Done():
				return
			case <-time.After(retry):
			}
		case !more:
			return
		}
	}
}

// next does the job that is due. more is false when there is none, or when
// another run has taken over.
func (m *Manager) next(ctx context.Context) (more bool, err error) {
	if err := m.retire(ctx); err != nil {
		return false, err
	}
	set, ids, upTo := m.toFill()
	if len(ids) > 0 {
		if err := m.fill(ctx, set, ids, upTo); err != nil {
			return false, err
		}
		return false, m.filled(ctx, ids)
	}
	return m.sweep(ctx)
}

// retire has everybody leave the audiences that are gone.
func (m *Manager) retire(ctx context.Context) error {
	for _, j := range m.o.Kept.Jobs() {
		if !strings.HasPrefix(j.Name, retireJob) {
			continue
		}
		for _, id := range j.IDs {
			if err := m.people.Retire(ctx, id); err != nil {
				return err
			}
		}
		if err := m.o.Kept.Change(func(c *definitions.Change) error { c.End(j.Name); return nil }); err != nil {
			return err
		}
	}
	return nil
}

// toFill gives the series that are to be filled together: those that count
// since the same entry, the earliest first.
func (m *Manager) toFill() (set *trait.Set, ids []uint32, upTo uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	byID := map[uint32]definitions.Series{}
	for _, x := range m.o.Kept.Series() {
		if x.State == definitions.Filling && slices.Contains(m.waiting, x.ID) {
			byID[x.ID] = x
			if len(byID) == 1 || x.Since < upTo {
				upTo = x.Since
			}
		}
	}
	var list []trait.Definition
	take := func(d trait.Definition) {
		s := m.series(seriesKey(&d))
		if x, ok := byID[s.id]; ok && x.Since == upTo {
			d.ID, d.Since, d.Pending = s.id, 0, false
			list, ids = append(list, d), append(ids, s.id)
		}
	}
	for i := range m.now.traits {
		take(m.now.traits[i].Trait)
	}
	for _, d := range m.now.hidden {
		take(d)
	}
	if len(list) == 0 {
		return nil, nil, 0
	}
	set, err := trait.Compile(list)
	if err != nil { // it has compiled before
		panic(fmt.Sprintf("define: series that were checked do not compile: %v", err))
	}
	slices.Sort(ids)
	return set, ids, upTo
}

// fill adds what the events up to an entry give.
func (m *Manager) fill(ctx context.Context, set *trait.Set, ids []uint32, upTo uint64) error {
	job, ok := m.o.Kept.Job(fillJob)
	if !ok || !slices.Equal(job.IDs, ids) || job.UpTo != upTo {
		job = definitions.Job{Name: fillJob, IDs: ids, UpTo: upTo, Begun: m.o.Now().UnixMilli()}
	}
	before := job.Events
	m.start(fillJob, ids, job.Share, job.Events)
	m.o.Logger.Info("filling new definitions from earlier events", "series", len(ids), "entries", upTo)
	return m.people.Fill(ctx, people.FillOptions{
		Traits: set, IDs: ids, UpTo: upTo, From: job.Position,
		Progress: func(at people.Hash, events int64, share float64) error {
			job.Position, job.Events, job.Share, job.Seen = at, before+events, share, m.o.Now().UnixMilli()
			m.went(job.Share, job.Events)
			return m.o.Kept.Change(func(c *definitions.Change) error { return c.Note(job) })
		},
	})
}

// filled puts to work what waited for these series.
func (m *Manager) filled(ctx context.Context, ids []uint32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err := m.o.Kept.Change(func(c *definitions.Change) error {
		c.End(fillJob)
		return c.Finish(ids...)
	})
	if err != nil {
		return err
	}
	m.o.Logger.Info("new definitions are whole", "series", len(ids), "events", m.running.events, "took", m.o.Now().Sub(m.running.begun).Round(time.Millisecond))
	return m.apply() // which begins the next job
}

// stale are the audiences at work whose rules not everybody was judged by: a key of
// each rule, by name, and their ids, ascending.
func (m *Manager) stale(l *Live) (keys map[string]string, ids []uint32) {
	depths := l.depths()
	keys = map[string]string{}
	for _, a := range m.o.Kept.Audiences() {
		if deep, ok := depths[a.Name]; ok && a.Swept != digest(deep) {
			keys[a.Name] = digest(deep)
			ids = append(ids, a.ID)
		}
	}
	slices.Sort(ids)
	return keys, ids
}

// concerned are those whom changed rules may concern; nil: everybody.
func (m *Manager) concerned(l *Live, ids []uint32) *people.Concerned {
	series, ok := l.Segments.Needs(l.Env, ids, m.o.Now().UnixMilli())
	if !ok {
		return nil
	}
	return &people.Concerned{Series: series, Audiences: ids}
}

// sweep judges everybody when rules have changed since that was done, or those alone
// whom these rules may concern.
func (m *Manager) sweep(ctx context.Context) (more bool, err error) {
	l := m.live.Load()
	stale, ids := m.stale(l)
	if len(stale) == 0 {
		return false, nil
	}
	what := digest(fmt.Sprint(stale)) // a map prints in the order of its keys
	job, ok := m.o.Kept.Job(sweepJob + what)
	if !ok {
		job = definitions.Job{Name: sweepJob + what, IDs: ids, Begun: m.o.Now().UnixMilli()}
	}
	m.start(sweepJob, ids, job.Share, 0)
	var noting error
	err = m.people.SweepOnly(ctx, m.concerned(l, ids), job.Position, func(at people.Hash, persons int64, share float64) {
		job.Position, job.Share, job.Seen = at, share, m.o.Now().UnixMilli()
		m.went(share, 0)
		noting = errors.Join(noting, m.o.Kept.Change(func(c *definitions.Change) error { return c.Note(job) }))
	})
	err = errors.Join(err, noting)
	if err != nil {
		return false, err
	}
	err = m.o.Kept.Change(func(c *definitions.Change) error {
		for _, j := range m.o.Kept.Jobs() {
			if strings.HasPrefix(j.Name, sweepJob) {
				c.End(j.Name)
			}
		}
		for name, deep := range stale {
			if err := c.Swept(name, deep); err != nil {
				return err
			}
		}
		return nil
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = progress{}
	return false, err
}

func (m *Manager) start(job string, ids []uint32, share float64, events int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = progress{job: job, ids: ids, share: share, from: share, events: events, begun: m.o.Now()}
}

func (m *Manager) went(share float64, events int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running.share, m.running.events = share, events
}
