package experiment

import (
	"fmt"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/storage/people"
)

// shown counts an exposure.
func (r *Reader) shown(e *event.Event) error {
	t, cell, err := r.trialOf(e)
	if err != nil {
		return err
	}
	if t == nil {
		r.mu.Lock()
		r.of.Unknown++
		r.mu.Unlock()
		return nil
	}
	x, err := r.person(e)
	if x == nil || err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if x.seen(t, cell, e.Timestamp) {
		r.of.Shows++
		r.touch(x)
	}
	return nil
}

// trialOf finds what an exposure counts for; nil: nothing that is known.
func (r *Reader) trialOf(e *event.Event) (t *trial, cell int, err error) {
	placement, variant := e.Properties.Get("experiment_id").Text(), e.Properties.Get("variation_id").Text()
	heldOut, _ := e.Properties.Get("holdout").Bool()
	if heldOut {
		if of := e.Properties.Get("heldOutOf").Text(); of != "" {
			variant = of
		}
	}
	def, ok := r.o.Definition(e.Site, placement)
	if !ok {
		return nil, 0, nil
	}
	print := def.fingerprint()
	r.mu.Lock()
	defer r.mu.Unlock()
	if t = r.prints[print]; t == nil {
		if t, err = newTrial(r.next, def); err != nil {
			return nil, 0, fmt.Errorf("the goal of placement %q, version %d: %w", def.Placement, def.Version, err)
		}
		if cell = t.cellOf(variant, heldOut); cell < 0 {
			return nil, 0, nil
		}
		r.makeRoom()
		r.adopt(t)
	}
	if cell = t.cellOf(variant, heldOut); cell < 0 {
		return nil, 0, nil
	}
	return t, cell, nil
}

// adopt puts a trial where it is found. The lock is held, or nobody else there yet.
func (r *Reader) adopt(t *trial) {
	r.trials[t.id], r.prints[t.def.fingerprint()] = t, t
	r.next = max(r.next, t.id+1)
	r.index()
}

// index lists the trials by their goals' events; lists that are in use stay as
// they are.
func (r *Reader) index() {
	goals := map[string][]*trial{}
	for _, t := range r.trials {
		if t.goal != nil {
			goals[t.def.Goal.Event] = append(goals[t.def.Goal.Event], t)
		}
	}
	r.goals = goals
}

// makeRoom gives up the trial that was shown last the longest ago when there are
// as many as may be. The lock is held.
func (r *Reader) makeRoom() {
	if len(r.trials) < r.o.MaxTrials {
		return
	}
	var old *trial
	for _, t := range r.trials {
		if old == nil || t.last < old.last || t.last == old.last && t.id < old.id {
			old = t
		}
	}
	delete(r.trials, old.id)
	delete(r.prints, old.def.fingerprint())
	r.dropped = append(r.dropped, old)
	r.index()
	r.o.Logger.Warn("more versions of placements were shown than are counted; the one shown last the longest ago is given up", "placement", old.def.Placement, "version", old.def.Version, "limit", r.o.MaxTrials)
}

// did counts an event for those trials whose goal it is.
func (r *Reader) did(e *event.Event, goals []*trial) error {
	var x *held
	for _, t := range goals {
		if !t.met(e) {
			continue
		}
		if x == nil {
			var err error
			if x, err = r.person(e); x == nil || err != nil {
				return err
			}
		}
		r.mu.Lock()
		if x.did(t, e.Timestamp, t.def.Goal.worth(e), order(e)) {
			r.of.Goals++
			r.touch(x)
		}
		r.mu.Unlock()
	}
	return nil
}

// person gives the record of the person whom an event counts for, made one of
// all that is kept under their identifiers; nil when it counts for nobody.
func (r *Reader) person(e *event.Event) (x *held, err error) {
	if r.whose, err = r.o.Person(r.whose[:0], e, mostMembers); err != nil || len(r.whose) == 0 {
		return nil, err
	}
	for i, h := range r.whose {
		y, err := r.held(h)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			x = y
			continue
		}
		if y == x || len(y.shows) == 0 {
			continue
		}
		r.mu.Lock()
		if len(x.shows) > 0 {
			r.of.Merged++
		}
		x.merge(&y.person, r.trials)
		y.shows = nil
		r.touch(x)
		r.touch(y)
		r.mu.Unlock()
	}
	return x, nil
}

// held gives what is kept under one identifier, from memory or from disk.
func (r *Reader) held(h people.Hash) (*held, error) {
	if x := r.persons[h]; x != nil {
		return x, nil
	}
	x := &held{}
	value, found, err := r.state.Get(personPart + string(h[:]))
	if err != nil {
		return nil, err
	}
	if found {
		p, err := readPerson(string(value))
		if err != nil {
			return nil, err
		}
		x.person = *p
		x.keep(r.trials)
	}
	r.persons[h] = x
	return x, nil
}

// keep leaves out the shows of trials that were given up.
func (p *person) keep(trials map[uint32]*trial) {
	list := p.shows[:0]
	for _, s := range p.shows {
		if trials[s.trial] != nil {
			list = append(list, s)
		}
	}
	p.shows = list
}

func (r *Reader) touch(x *held) {
	if !x.dirty {
		x.dirty = true
		r.dirty++
	}
}

// forget takes out what is kept of an identifier that was erased. What was
// counted stays: it is nobody's.
func (r *Reader) forget(h people.Hash) error {
	x, err := r.held(h)
	if err != nil || len(x.shows) == 0 {
		return err
	}
	x.shows = nil
	r.touch(x)
	r.mu.Lock()
	r.of.Erased++
	r.mu.Unlock()
	return nil
}
