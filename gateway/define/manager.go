package define

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/storage/definitions"
	"github.com/reuna/reuna/storage/people"
)

// Options are what a Manager stands on. Kept, Decode and Placements are required.
type Options struct {
	Kept *definitions.Store
	// Decode reads a body that was kept.
	Decode     func(kind, name string, body []byte) (Definition, error)
	Placements Placements
	Now        func() time.Time // default time.Now
	Logger     *slog.Logger     // default slog.Default()
}

// Manager keeps definitions at work. It is safe for concurrent use.
//
// Invariants:
//   - What is at work compiles, and reads only series that are whole.
//   - A series counts each event once: those after an entry as they come, those
//     up to it in a fill. The entry is the one after which what counts it was
//     published, and both happen between two entries.
type Manager struct {
	o    Options
	live atomic.Pointer[Live]

	mu      sync.Mutex // guards what follows, and one change at a time
	fixed   []Definition
	now     *wanted // what is wanted and can be
	refused []Refused
	waiting []uint32 // series to be filled,
	waits   []string // and what waits for them
	people  *people.Store

	work    sync.WaitGroup
	cancel  context.CancelFunc // of what runs now; nil: nothing does
	closed  bool
	running progress
}

// Refused is a definition that was kept and cannot be at work beside the others
// as they are now.
type Refused struct {
	Definition
	Why rule.Faults
}

// Open reads what operators put and compiles it together with fixed: what the
// file, the demo and the program say. The error is rule.Faults, with paths as
// traits[0].where, where fixed is faulty; what operators put is refused by
// itself, and stays until they change it. Only what is known from an earlier
// run is at work before Start.
func Open(o Options, fixed []Definition) (*Manager, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	m := &Manager{o: o, fixed: fixed}
	err := o.Kept.Change(func(c *definitions.Change) error {
		for _, x := range o.Kept.Series() {
			if x.State == definitions.Reserved { // nobody knows from when on it counted
				c.Drop(x.ID)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if m.now, m.refused, err = m.choose(fixed, o.Placements); err != nil {
		return nil, err
	}
	p := m.plan(m.now)
	l, err := p.run()
	if err != nil {
		return nil, err
	}
	m.live.Store(l)
	return m, nil
}

// Start puts to work what is new, and goes on with what was being filled.
func (m *Manager) Start(s *people.Store) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.people = s
	if err := m.keepFixed(); err != nil {
		return err
	}
	return m.apply()
}

// Close ends what runs; the next start goes on with it.
func (m *Manager) Close() error {
	m.mu.Lock()
	m.closed = true
	if m.cancel != nil {
		m.cancel()
	}
	m.mu.Unlock()
	m.work.Wait()
	return nil
}

// Live is what is at work.
func (m *Manager) Live() *Live { return m.live.Load() }

// AudienceName is what an audience is called, or was, while there still is
// somebody who has to leave it; "" when it is not known.
func (m *Manager) AudienceName(id uint32) string {
	if name := m.live.Load().names[id]; name != "" {
		return name
	}
	for _, j := range m.o.Kept.Jobs() {
		if name, ok := strings.CutPrefix(j.Name, fmt.Sprintf("%s%d ", retireJob, id)); ok {
			return name
		}
	}
	return ""
}

// Check compiles fixed together with what operators put, and changes nothing.
func (m *Manager) Check(fixed []Definition, placements Placements) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _, err := m.choose(fixed, placements)
	return err
}

// Fix replaces what the file, the demo and the program say. Errors as Open's.
func (m *Manager) Fix(fixed []Definition, placements Placements) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	w, refused, err := m.choose(fixed, placements)
	if err != nil {
		return err
	}
	m.o.Placements, m.fixed, m.now, m.refused = placements, fixed, w, refused
	if err := m.keepFixed(); err != nil {
		return err
	}
	return m.apply()
}

// kept are the operators' definitions that are kept and that keep says yes to.
// One that cannot be read is left out: choose tells why.
func (m *Manager) kept(keep func(*definitions.Version) bool) (list []Definition) {
	for _, kind := range [...]string{Trait, Segment, Placement} {
		for _, v := range m.o.Kept.Latest(kind) {
			if v.Source != definitions.API || !keep(&v) {
				continue
			}
			if d, err := m.decode(&v); err == nil {
				list = append(list, d)
			}
		}
	}
	return list
}

func (m *Manager) decode(v *definitions.Version) (Definition, error) {
	d, err := m.o.Decode(v.Kind, v.Name, v.Body)
	d.Kind, d.Name, d.Body = v.Kind, v.Name, v.Body
	d.Source = FromAPI
	if v.Source == definitions.File {
		d.Source = FromFile
	}
	return d, err
}

// choose joins fixed with what operators put, without those that do not fit.
func (m *Manager) choose(fixed []Definition, placements Placements) (w *wanted, refused []Refused, err error) {
	list := slices.Clone(fixed)
	for _, kind := range [...]string{Trait, Segment, Placement} {
		for _, v := range m.o.Kept.Latest(kind) {
			if v.Source != definitions.API {
				continue
			}
			d, err := m.decode(&v)
			var faults rule.Faults
			switch {
			case errors.As(err, &faults):
			case err != nil:
				faults = rule.Faults{{Message: err.Error()}}
			case slices.ContainsFunc(fixed, func(x Definition) bool { return x.is(d.Kind, d.Name) }):
				faults = rule.Faults{{Path: "name", Message: fmt.Sprintf("%q is defined by the configuration or the demo now; take one of the two away", d.Name)}}
			}
			if len(faults) > 0 {
				refused = append(refused, Refused{d, faults})
				continue
			}
			list = append(list, d)
		}
	}
	for {
		w, faults := gather(list)
		if len(faults) == 0 {
			faults = w.check(placements)
		}
		if len(faults) == 0 {
			return w, refused, nil
		}
		n := len(list)
		for _, f := range w.whose(faults) {
			i := slices.IndexFunc(list, func(d Definition) bool { return d.Source == FromAPI && d.Kind == f.Kind && d.Name == f.Name })
			if i >= 0 {
				refused = append(refused, Refused{list[i], rule.Faults{f.Fault}})
				list = slices.Delete(list, i, i+1)
			}
		}
		if len(list) == n {
			return nil, nil, faults
		}
	}
}

// keepFixed notes versions of what the file says, so that it is known later what
// was in force at a time.
func (m *Manager) keepFixed() error {
	return m.o.Kept.Change(func(c *definitions.Change) error {
		now := m.o.Now().UnixMilli()
		for i := range m.fixed {
			d := &m.fixed[i]
			if d.Source != FromFile {
				continue
			}
			if _, err := c.Put(definitions.Version{Kind: d.Kind, Name: d.Name, At: now, Actor: "config", Source: definitions.File, Body: d.Body}); err != nil {
				return err
			}
		}
		for _, kind := range [...]string{Trait, Segment, Placement} {
			for _, v := range m.o.Kept.Latest(kind) {
				if v.Source == definitions.File && !m.isFixed(kind, v.Name) {
					if _, err := c.Delete(definitions.Version{Kind: kind, Name: v.Name, At: now, Actor: "config", Source: definitions.File}); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

// again is for after what operators put changed. The lock is held.
func (m *Manager) again() (err error) {
	if m.now, m.refused, err = m.choose(m.fixed, m.o.Placements); err != nil {
		return err
	}
	return m.apply()
}

// plan readies a plan from what is known now.
func (m *Manager) plan(w *wanted) *plan {
	p := &plan{w: w, make: m.o.Placements, before: m.live.Load(), audiences: map[string]uint32{}, known: m.series}
	p.versions = func(kind, name string) int {
		v, _ := m.o.Kept.Get(kind, name)
		return int(v.Number)
	}
	for _, a := range m.o.Kept.Audiences() {
		p.audiences[a.Name] = a.ID
	}
	return p
}

// series finds one by its key.
func (m *Manager) series(key string) series {
	x, ok := m.o.Kept.SeriesOf(digest(key))
	if !ok {
		return series{}
	}
	return series{id: x.ID, since: x.Since, ready: x.State == definitions.Ready}
}

// digest is a key of any length in 64 characters.
func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// apply puts to work what can be, and has the rest filled. The lock is held.
func (m *Manager) apply() error {
	if m.people == nil {
		return nil
	}
	var fresh []uint32
	err := m.o.Kept.Change(func(c *definitions.Change) error {
		for _, key := range m.now.keys() {
			x, err := c.Reserve(digest(key))
			if err != nil {
				return err
			}
			if x.State == definitions.Reserved {
				fresh = append(fresh, x.ID)
			}
		}
		names := map[string]bool{}
		for _, d := range m.now.segments {
			names[d.Name] = true
			if _, err := c.Audience(d.Name); err != nil {
				return err
			}
		}
		for _, a := range m.o.Kept.Audiences() {
			if !names[a.Name] {
				c.Retire(a.Name)
				if err := c.Note(definitions.Job{Name: fmt.Sprintf("%s%d %s", retireJob, a.ID, a.Name), IDs: []uint32{a.ID}, Begun: m.o.Now().UnixMilli()}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	p := m.plan(m.now)
	l, err := p.run()
	if err != nil {
		return err
	}
	var since uint64
	_, stale := m.stale(l)
	m.people.Between(func(last uint64) (reads facet.Change, fresh []uint32) {
		since = last
		m.live.Store(l)
		return l.Segments.Reads(), stale
	})
	m.waiting, m.waits = p.waiting, p.waitingFor
	if err := m.begin(fresh, since, l); err != nil {
		return err
	}
	if len(fresh) > 0 && since == 0 { // nothing was before: all of it is whole
		return m.apply()
	}
	m.run()
	return nil
}

// begin notes from when on new series count, and forgets those that nobody
// wants any more.
func (m *Manager) begin(fresh []uint32, since uint64, l *Live) error {
	return m.o.Kept.Change(func(c *definitions.Change) error {
		if err := c.Begin(since, fresh...); err != nil {
			return err
		}
		if since == 0 {
			if err := c.Finish(fresh...); err != nil {
				return err
			}
		}
		for _, x := range m.o.Kept.Series() {
			if !l.ids[x.ID] {
				c.Drop(x.ID)
			}
		}
		return nil
	})
}

// keys are those of all series that are wanted.
func (w *wanted) keys() (list []string) {
	for i := range w.traits {
		list = append(list, seriesKey(&w.traits[i].Trait))
	}
	for i := range w.hidden {
		list = append(list, seriesKey(&w.hidden[i]))
	}
	return list
}

// whose finds the definitions that faults are in.
func (w *wanted) whose(faults rule.Faults) (out Faults) {
	for _, f := range faults {
		x := Fault{Fault: f}
		var list string
		var i int
		if n, _ := fmt.Sscanf(f.Path, "traits[%d]", &i); n == 1 && i < len(w.traits) {
			x.Kind, x.Name, list = Trait, w.traits[i].Name, "traits"
		} else if n, _ := fmt.Sscanf(f.Path, "segments[%d]", &i); n == 1 && i < len(w.segments) {
			x.Kind, x.Name, list = Segment, w.segments[i].Name, "segments"
		} else if n, _ := fmt.Sscanf(f.Path, "placements[%d]", &i); n == 1 && i < len(w.placements) {
			x.Kind, x.Name, list = Placement, w.placements[i].Name, "placements"
		}
		if list != "" {
			x.Path = f.Path[min(len(f.Path), len(fmt.Sprintf("%s[%d].", list, i))):]
		}
		out = append(out, x)
	}
	slices.SortStableFunc(out, func(a, b Fault) int { return cmp.Compare(a.Kind+a.Name, b.Kind+b.Name) })
	return out
}
