package define

import (
	"slices"
	"time"

	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/storage/definitions"
)

// Status is a definition and how far it is.
type Status struct {
	Definition
	// Refused says why it cannot be at work beside the others; nil when it can.
	Refused rule.Faults
	Pending bool   // the version before, or none, is at work until it is whole
	ID      uint32 // of an audience
	Job     Job
}

// Job is how far the filling of a definition, or the judging of everybody by it, is.
type Job struct {
	State  string // running, waiting, failed or done
	Share  float64
	Events int64
	Begun  time.Time
	Left   time.Duration // that it will take, about; negative: not known
	Failed error
}

// States of a Job.
const (
	Done    = "done"
	Running = "running"
	Waiting = "waiting"
	Failed  = "failed"
)

// List gives all definitions of a kind, those refused behind the others.
func (m *Manager) List(kind string) (list []Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	audiences := map[string]definitions.Audience{}
	for _, a := range m.o.Kept.Audiences() {
		audiences[a.Name] = a
	}
	live := m.live.Load()
	depths := live.depths()
	of := map[string][]Definition{Trait: m.now.traits, Segment: m.now.segments, Placement: m.now.placements}
	for _, d := range of[kind] {
		x := Status{Definition: d, Job: Job{State: Done, Share: 1, Left: 0}}
		x.Pending = slices.Contains(m.waits, kind+" "+d.Name)
		var ids []uint32
		switch kind {
		case Trait:
			ids = []uint32{m.series(seriesKey(&d.Trait)).id}
		case Segment:
			a := audiences[d.Name]
			x.ID, ids = a.ID, []uint32{a.ID}
		}
		behind := false
		if kind == Segment && !x.Pending && m.people != nil {
			behind = audiences[d.Name].Swept != digest(depths[d.Name])
		}
		if x.Pending || behind {
			x.Job = m.job(kind, ids, x.Pending)
		}
		list = append(list, x)
	}
	for _, r := range m.refused {
		if r.Kind == kind {
			list = append(list, Status{Definition: r.Definition, Refused: r.Why, Job: Job{State: Waiting, Left: -1}})
		}
	}
	return list
}

// job is how far what these wait for is. The lock is held.
func (m *Manager) job(kind string, ids []uint32, pending bool) Job {
	r := &m.running
	if r.failed != nil {
		return Job{State: Failed, Share: r.share, Events: r.events, Begun: r.begun, Left: -1, Failed: r.failed}
	}
	mine := r.job == fillJob && pending && (kind != Trait || slices.ContainsFunc(ids, func(id uint32) bool { return slices.Contains(r.ids, id) })) ||
		r.job == sweepJob && !pending
	if !mine {
		return Job{State: Waiting, Left: -1}
	}
	j := Job{State: Running, Share: r.share, Events: r.events, Begun: r.begun, Left: -1}
	if done := r.share - r.from; done > 0 {
		took := m.o.Now().Sub(r.begun)
		j.Left = time.Duration(float64(took) * (1 - r.share) / done)
	}
	return j
}

// Past compiles what was defined at a time, ms since 1970 UTC, of files and of
// operators, and what the program brings now. Its series count from the first
// entry and are nobody else's: it is for looking at what was, not for work.
func (m *Manager) Past(at int64) (*Live, error) {
	versions, err := m.o.Kept.At(at)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	list := slices.DeleteFunc(slices.Clone(m.fixed), func(d Definition) bool { return d.Source == FromFile })
	m.mu.Unlock()
	for i := range versions {
		d, err := m.decode(&versions[i])
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return m.Whole(list)
}

// Wanted lists all definitions that are at work or will be.
func (m *Manager) Wanted() (list []Definition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Concat(m.now.traits, m.now.segments, m.now.placements)
}

// Whole compiles definitions as if all their series were whole, with numbers of
// their own.
func (m *Manager) Whole(list []Definition) (*Live, error) {
	w, faults := gather(list)
	if len(faults) > 0 {
		return nil, w.whose(faults)
	}
	p := &plan{w: w, make: m.o.Placements, audiences: map[string]uint32{}, versions: func(string, string) int { return 0 }}
	numbers := map[string]uint32{}
	p.known = func(key string) series {
		if numbers[key] == 0 {
			numbers[key] = uint32(len(numbers) + 1)
		}
		return series{id: numbers[key], ready: true}
	}
	for _, d := range w.segments {
		if p.audiences[d.Name] == 0 {
			p.audiences[d.Name] = uint32(len(p.audiences) + 1)
		}
	}
	if faults := w.check(p.make); len(faults) > 0 {
		return nil, w.whose(faults)
	}
	return p.run()
}
