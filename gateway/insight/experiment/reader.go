package experiment

import (
	"cmp"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/wire"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/readers"
)

// ReaderName is the reader's, in the log's list of cursors and in the store.
const ReaderName = "experiments"

// Options say what is read. DB, Log, Keys, Person and Definition are required.
type Options struct {
	DB   *engine.DB
	Log  *eventlog.Log
	Keys readers.Keys

	// Person appends the hashes of the identifiers of the person whom an event
	// counts for, the representative first; none: it counts for nobody.
	// (people.Store.Whose)
	Person func(dst []people.Hash, e *event.Event, most int) ([]people.Hash, error)
	// Definition gives what is measured of a placement that a page of the site
	// showed, as it is now.
	Definition func(site, placement string) (Definition, bool)

	MaxTrials int              // versions of placements that are counted; the one that was shown last the longest ago goes; 0: 512
	Every     time.Duration    // the longest that what was counted is not saved, and what a crash has read again; 0: 5 s
	Now       func() time.Time // default time.Now
	Logger    *slog.Logger     // default slog.Default()
}

// Reader counts what came of showing variants, behind the requests. What it
// keeps of persons is on disk; of these no more than it met lately is in memory.
type Reader struct {
	o        Options
	follower *readers.Follower

	mu     sync.Mutex // guards what follows; never held across I/O
	trials map[uint32]*trial
	prints map[[16]byte]*trial
	goals  map[string][]*trial // by the name of the goal's event
	next   uint32              // id
	of     Stats

	// The follower's own.
	state   *readers.State
	persons map[people.Hash]*held
	dirty   int // of persons
	dropped []*trial
	event   event.Event
	refused people.Refused
	whose   []people.Hash
}

// held is a person in memory; one of whom nothing is kept has no shows.
type held struct {
	person
	dirty bool
}

const (
	defaultEvery  = 5 * time.Second
	defaultTrials = 512
	mostMembers   = 100    // identifiers of a person that are looked under
	mostPersons   = 32_768 // identifiers in memory after a save; twice as many before
	mostDirty     = 16_384 // that wait to be saved
)

// Stats are figures about the reader.
type Stats struct {
	UpTo    uint64 // the last entry that is counted
	Trials  int
	Shows   int64 // since the start: exposures that counted
	Unknown int64 // exposures of what is no placement or no variant of it
	Goals   int64 // events that counted for somebody
	Merged  int64 // persons who turned out to be others
	Erased  int64
}

// Open takes up where the reader was and goes on in the background. What was
// saved and cannot be read is begun anew.
func Open(o Options) (*Reader, error) {
	r := newReader(o)
	o = r.o
	var err error
	r.follower, err = readers.Follow(readers.Options{
		DB: o.DB, Log: o.Log, Keys: o.Keys, Name: ReaderName,
		Load: r.load, Reset: r.reset, Skip: func(uint64) bool { return false }, // what is gone is not counted, and what was counted stays
		Take: r.take, Save: r.save, Saved: r.saved,
		Every: o.Every, Now: o.Now, Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func newReader(o Options) *Reader {
	o.Every, o.MaxTrials = cmp.Or(o.Every, defaultEvery), cmp.Or(o.MaxTrials, defaultTrials)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	r := &Reader{o: o}
	r.reset()
	return r
}

// Close saves what is counted and ends the reading.
func (r *Reader) Close() error { return r.follower.Close() }

// reset forgets everything in memory.
func (r *Reader) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trials, r.prints, r.goals = map[uint32]*trial{}, map[[16]byte]*trial{}, map[string][]*trial{}
	r.next = 1
	r.persons, r.dirty = map[people.Hash]*held{}, 0
}

func (r *Reader) load(state *readers.State) error {
	r.state = state
	if value, found, err := state.Get(metaPart); err != nil || found {
		m := wire.NewReader(string(value))
		r.next = uint32(m.Uint())
		if err != nil || !m.Done() {
			return cmp.Or(err, errors.New("experiment: the number of trials is corrupt"))
		}
	}
	return state.Each(trialPart, func(_ string, value []byte) error {
		t, err := readTrial(string(value))
		if err != nil {
			return err
		}
		r.adopt(t)
		return nil
	})
}

// take counts one entry.
func (r *Reader) take(entry []byte) error {
	if r.dirty >= mostDirty || len(r.persons) >= 2*mostPersons {
		return readers.ErrFull
	}
	gone, err := people.ErasedIn(entry)
	if err != nil {
		return err
	}
	for _, h := range gone {
		if err := r.forget(h); err != nil {
			return err
		}
	}
	p, ok, err := people.PeekEvent(entry)
	if err != nil || !ok || p.Bot {
		return err
	}
	name := goalName(p.Type, string(p.Name))
	shown := p.Type == event.Track && name == EventName
	r.mu.Lock()
	goals := r.goals[name]
	r.mu.Unlock()
	if !shown && len(goals) == 0 {
		return nil
	}
	if _, err := people.ReadEntry(entry, &r.event, &r.refused); err != nil {
		return err
	}
	if shown {
		if err := r.shown(&r.event); err != nil {
			return err
		}
	}
	return r.did(&r.event, goals)
}

// goalName is what goals are found by: a track event's name, else the message's type.
func goalName(t event.Type, name string) string {
	if t == event.Track {
		return name
	}
	return t.String()
}

// save writes what changed; what is kept of persons is theirs by keyed hashes.
func (r *Reader) save(w *readers.Write) error {
	for h, x := range r.persons {
		switch {
		case !x.dirty:
		case len(x.shows) == 0:
			w.Set(personPart+string(h[:]), nil)
		default:
			w.Set(personPart+string(h[:]), x.append(nil))
		}
	}
	for _, t := range r.dropped {
		w.Set(t.part(), nil)
	}
	return r.putTrials(w)
}

// saved: nobody else takes entries, so what was written is what there is.
func (r *Reader) saved() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.trials {
		t.changed = false
	}
	if len(r.persons) > mostPersons {
		clear(r.persons)
	}
	for _, x := range r.persons {
		x.dirty = false
	}
	r.dirty, r.dropped = 0, nil
}

func (r *Reader) putTrials(w *readers.Write) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	w.Set(metaPart, wire.AppendUint(nil, uint64(r.next)))
	for _, t := range r.trials {
		if !t.changed {
			continue
		}
		value, err := t.append(nil)
		if err != nil {
			return err
		}
		w.Set(t.part(), value)
	}
	return nil
}

// Stats tells how the reader is.
func (r *Reader) Stats() Stats {
	upTo := r.follower.UpTo() // first: the counts have all of that, and perhaps more
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.of
	x.UpTo, x.Trials = upTo, len(r.trials)
	return x
}
