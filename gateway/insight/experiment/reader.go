package experiment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
//
// Invariant: what is saved is what the entries up to the saved cursor say, each
// once: all of it is written in one batch.
type Reader struct {
	o     Options
	state *readers.State
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu     sync.Mutex // guards what follows; never held across I/O
	trials map[uint32]*trial
	prints map[[16]byte]*trial
	goals  map[string][]*trial // by the name of the goal's event
	next   uint32              // id
	upTo   uint64              // the last entry that is counted
	of     Stats

	// The loop's own.
	persons     map[people.Hash]*held
	dirty       int // of persons
	dropped     []*trial
	saved, anew bool // nothing waits to be saved; what is kept must go first
	last        time.Time
	event       event.Event
	refused     people.Refused
	whose       []people.Hash
}

// held is a person in memory; one of whom nothing is kept has no shows.
type held struct {
	person
	dirty bool
}

const (
	defaultEvery  = 5 * time.Second
	defaultTrials = 512
	mostEntries   = 4096   // that are taken at once
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
// saved and cannot be read is begun anew: figures are no reason not to start.
func Open(o Options) (*Reader, error) {
	o.Every, o.MaxTrials = cmp.Or(o.Every, defaultEvery), cmp.Or(o.MaxTrials, defaultTrials)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	state, err := readers.Open(o.DB, o.Log, o.Keys, ReaderName)
	if err != nil {
		return nil, err
	}
	r := &Reader{o: o, state: state, saved: true, last: o.Now()}
	r.reset()
	if err := r.load(); err != nil {
		o.Logger.Warn("the results of placements cannot be read and begin anew", "err", err)
		r.reset()
		r.anew, r.saved = true, false
	}
	if head := o.Log.Head(); r.upTo+1 < head {
		r.skip(head)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	r.done.Go(func() { r.run(ctx) })
	return r, nil
}

// reset forgets everything in memory.
func (r *Reader) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trials, r.prints, r.goals = map[uint32]*trial{}, map[[16]byte]*trial{}, map[string][]*trial{}
	r.next, r.upTo = 1, 0
	r.persons, r.dirty = map[people.Hash]*held{}, 0
}

func (r *Reader) load() (err error) {
	if r.upTo, err = r.state.UpTo(); err != nil {
		return err
	}
	if value, found, err := r.state.Get(metaPart); err != nil || found {
		m := wire.NewReader(string(value))
		r.next = uint32(m.Uint())
		if err != nil || !m.Done() {
			return cmp.Or(err, errors.New("experiment: the number of trials is corrupt"))
		}
	}
	return r.state.Each(trialPart, func(_ string, value []byte) error {
		t, err := readTrial(string(value))
		if err != nil {
			return err
		}
		r.adopt(t)
		return nil
	})
}

// Close saves what is counted and ends the reading.
func (r *Reader) Close() error {
	r.stop()
	r.done.Wait()
	defer r.state.Close()
	if _, full := r.o.DB.Full(); full {
		return nil // the next start reads it from the log
	}
	return r.save()
}

// skip goes on at the log's first entry after it gave up some that were not
// read: what they said is not counted.
func (r *Reader) skip(head uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.upTo > 0 {
		r.o.Logger.Warn("the log gave entries up before the results of placements had them; they lack what these said", "from", r.upTo+1, "to", head-1)
	}
	r.upTo, r.saved = head-1, false
}

// run reads until ctx ends. An error ends a reading, and it is tried again
// after a while: figures that stand still harm nobody else.
func (r *Reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := r.turn(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, eventlog.ErrClosed) {
			r.o.Logger.Error("the results of placements stand still; trying again", "in", r.o.Every, "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(r.o.Every):
			}
		}
	}
}

// turn takes what has come, and saves when that is due.
func (r *Reader) turn(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, max(r.o.Every-r.o.Now().Sub(r.last), time.Millisecond))
	defer cancel()
	_, err := r.o.Log.Follow(wait, r.upTo, mostEntries, r.take)
	var trimmed *eventlog.TrimmedError
	switch {
	case errors.As(err, &trimmed):
		r.skip(trimmed.Head)
	case errors.Is(err, eventlog.ErrClosed):
		r.stop() // the store is closing: Close saves
		return err
	case errors.Is(err, errFull):
		return r.save()
	case err != nil && wait.Err() == nil:
		return err
	}
	if ctx.Err() == nil && r.o.Now().Sub(r.last).Abs() >= r.o.Every {
		return r.save()
	}
	return nil
}

// errFull stops a reading until what waits is saved.
var errFull = errors.New("experiment: too much waits to be saved")

// take counts one entry.
func (r *Reader) take(seq uint64, _ int64, entry []byte) error {
	if r.dirty >= mostDirty || len(r.persons) >= 2*mostPersons {
		return errFull
	}
	if err := r.read(entry); err != nil {
		return fmt.Errorf("entry %d: %w", seq, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.upTo, r.saved = seq, false
	return nil
}

func (r *Reader) read(entry []byte) error {
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

// save writes what changed, and the place, in one batch.
func (r *Reader) save() error {
	r.last = r.o.Now()
	if r.saved {
		return nil
	}
	w := r.state.Begin()
	defer w.Discard()
	if r.anew {
		w.Clear()
	}
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
	if err := r.putTrials(w); err != nil {
		return err
	}
	if err := w.Commit(r.upTo); err != nil { // nobody else takes entries
		return err
	}
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
	r.dirty, r.dropped, r.saved, r.anew = 0, nil, true, false
	return nil
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
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.of
	x.UpTo, x.Trials = r.upTo, len(r.trials)
	return x
}
