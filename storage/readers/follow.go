package readers

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
)

// Options say what is followed and what is made of it. All functions but Due are
// required; one goroutine calls them, but for those of the start, which Follow
// calls, and the last Save, which Close calls.
type Options struct {
	DB   *engine.DB
	Log  *eventlog.Log
	Keys Keys
	Name string // in the log's list of cursors and in the store; without zero bytes

	// Load takes up what was saved. The state may be kept, to read what is not
	// held in memory.
	Load func(s *State) error
	// Reset forgets what is in memory: what was saved cannot be read, and is
	// begun anew. Figures are no reason not to start.
	Reset func()
	// Skip is told the log's first entry after the log gave up some that were not
	// taken. anew: what was saved is worth nothing without them.
	Skip func(head uint64) (anew bool)
	// Take takes one entry. ErrFull has what waits saved first, and the entry
	// taken again; any other error as well, after a while.
	Take func(entry []byte) error
	// Due, if set, comes before each save, also when nothing was taken since the
	// one before and so nothing is saved.
	Due func()
	// Save writes what changed since the last save.
	Save func(w *Write) error
	// Saved says that what Save wrote is kept.
	Saved func()

	Every  time.Duration    // the longest that what was taken is not saved, and what a crash has taken again
	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default slog.Default()
}

// ErrFull is what Take says when it has no room before a save.
var ErrFull = errors.New("readers: too much waits to be saved")

// Follower gives a reader the log's entries, each once and in their order, and
// saves what it makes of them.
//
// Invariant: what is saved is what the entries up to the saved cursor say: both
// are written in one batch.
type Follower struct {
	o     Options
	state *State
	stop  context.CancelFunc
	done  sync.WaitGroup
	upTo  atomic.Uint64 // the last entry that was taken

	// The loop's own.
	saved bool // nothing waits to be saved
	last  time.Time
}

const (
	// mostEntries are taken at once.
	mostEntries = 4096
	// rest is how long what comes is left to gather: a busy log commits every half a
	// millisecond, and to wake for three events costs more than to take them.
	rest = 25 * time.Millisecond
)

// Follow takes up where the reader was and goes on in the background.
func Follow(o Options) (*Follower, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	state, err := Open(o.DB, o.Log, o.Keys, o.Name)
	if err != nil {
		return nil, err
	}
	f := &Follower{o: o, state: state, saved: true, last: o.Now()}
	if err := f.load(); err != nil {
		o.Logger.Warn("what a reader of the log saved cannot be read; it begins anew", "reader", o.Name, "err", err)
		o.Reset()
		state.Forget()
		f.saved = false
	}
	if head := o.Log.Head(); f.UpTo()+1 < head {
		f.skip(head)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.stop = cancel
	f.done.Go(func() { f.run(ctx) })
	return f, nil
}

func (f *Follower) load() error {
	upTo, err := f.state.UpTo()
	if err != nil {
		return err
	}
	if err := f.o.Load(f.state); err != nil {
		return err
	}
	f.upTo.Store(upTo)
	return nil
}

// UpTo is the last entry that was taken; what was made of it can be seen before
// UpTo says so.
func (f *Follower) UpTo() uint64 { return f.upTo.Load() }

// Close saves what was taken and ends the reading.
func (f *Follower) Close() error {
	f.stop()
	f.done.Wait()
	defer f.state.Close()
	if _, full := f.o.DB.Full(); full {
		return nil // the next start reads it from the log
	}
	return f.save()
}

// skip goes on at the log's first entry after it gave up some that were not taken.
func (f *Follower) skip(head uint64) {
	if upTo := f.UpTo(); upTo > 0 {
		f.o.Logger.Warn("the log gave entries up before a reader had them", "reader", f.o.Name, "from", upTo+1, "to", head-1)
	}
	if f.o.Skip(head) {
		f.state.Forget()
	}
	f.upTo.Store(head - 1)
	f.saved = false
}

// run reads until ctx ends. An error ends a reading, and it is tried again
// after a while: figures that stand still harm nobody else.
func (f *Follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := f.turn(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, eventlog.ErrClosed) {
			f.o.Logger.Error("a reader of the log stands still; trying again", "reader", f.o.Name, "at", f.UpTo()+1, "in", f.o.Every, "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(f.o.Every):
			}
		}
	}
}

// turn takes what has come, and saves when that is due.
func (f *Follower) turn(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, max(f.o.Every-f.o.Now().Sub(f.last), time.Millisecond))
	defer cancel()
	n, err := f.o.Log.Follow(wait, f.UpTo(), mostEntries, func(seq uint64, _ int64, entry []byte) error {
		if err := f.o.Take(entry); err != nil {
			return err
		}
		f.saved = false
		f.upTo.Store(seq)
		return nil
	})
	var trimmed *eventlog.TrimmedError
	switch {
	case errors.As(err, &trimmed):
		f.skip(trimmed.Head)
	case errors.Is(err, eventlog.ErrClosed):
		f.stop() // the store is closing: Close saves
		return err
	case errors.Is(err, ErrFull):
		return f.save()
	case err != nil && !errors.Is(err, wait.Err()):
		return err
	}
	if ctx.Err() == nil && f.o.Now().Sub(f.last).Abs() >= f.o.Every {
		return f.save()
	}
	if err == nil && n < mostEntries {
		select {
		case <-ctx.Done():
		case <-time.After(rest):
		}
	}
	return nil
}

// save writes what changed, and the place, in one batch.
func (f *Follower) save() error {
	f.last = f.o.Now()
	if f.o.Due != nil {
		f.o.Due()
	}
	if f.saved {
		return nil
	}
	w := f.state.Begin()
	defer w.Discard()
	if err := f.o.Save(w); err != nil {
		return err
	}
	if err := w.Commit(f.UpTo()); err != nil {
		return err
	}
	f.o.Saved()
	f.saved = true
	return nil
}
