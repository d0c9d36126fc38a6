package loss

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/readers"
)

// ReaderName is the reader's, in the log's list of cursors and in the store.
const ReaderName = "loss"

// Options say what is read. DB, Log and Keys are required.
type Options struct {
	DB   *engine.DB
	Log  *eventlog.Log
	Keys readers.Keys

	MaxRuns int              // as NewBook takes it
	Every   time.Duration    // the longest that what was counted is not saved, and what a crash has read again; 0: 10 s
	Now     func() time.Time // default time.Now
	Logger  *slog.Logger     // default slog.Default()
}

// Reader counts what the log says, behind the requests.
//
// Invariant: what is saved is what the entries up to the saved cursor say, each
// once: both are written in one batch.
type Reader struct {
	o     Options
	state *readers.State
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu   sync.Mutex // guards what follows; never held across I/O but for saving
	book *Book
	upTo uint64 // the last entry in the book

	// The loop's own.
	saved, anew bool // nothing waits to be saved; what is kept must go first
	last        time.Time
	seen        Seen
	event       event.Event
	refused     people.Refused
}

const (
	defaultEvery = 10 * time.Second
	mostEntries  = 4096 // that are taken under one hold of the lock
)

// Open takes up where the reader was and goes on in the background. What was
// saved and cannot be read is begun anew: figures are no reason not to start.
func Open(o Options) (*Reader, error) {
	o.Every = cmp.Or(o.Every, defaultEvery)
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
	r := &Reader{o: o, state: state, book: NewBook(o.MaxRuns), saved: true, last: o.Now()}
	if r.upTo, err = state.Load(r.book.Load); err != nil {
		o.Logger.Warn("the loss figures cannot be read and begin anew", "err", err)
		r.upTo, r.anew, r.saved = 0, true, false
		r.book.Reset(0)
	}
	if head := o.Log.Head(); r.upTo+1 < head {
		r.skip(head)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	r.done.Go(func() { r.run(ctx) })
	return r, nil
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
// read. What arrived in them would count as lost, so nothing that began before
// is judged.
func (r *Reader) skip(head uint64) {
	floor := r.o.Now().UnixMilli()
	err := r.o.Log.Get(head, func(at int64, _ []byte) error {
		floor = at
		return nil
	})
	if err != nil && !errors.Is(err, eventlog.ErrNoEntry) {
		r.o.Logger.Warn("the log's first entry cannot be read for the loss figures", "err", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.upTo > 0 {
		r.o.Logger.Warn("the log gave entries up before the loss figures had them; they begin anew", "from", r.upTo+1, "to", head-1)
	}
	r.book.Reset(floor)
	r.upTo, r.anew, r.saved = head-1, true, false
}

// run reads until ctx ends. An error ends a reading, and it is tried again
// after a while: figures that stand still harm nobody else.
func (r *Reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := r.turn(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, eventlog.ErrClosed) {
			r.o.Logger.Error("the loss figures stand still; trying again", "in", r.o.Every, "err", err)
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
	case err != nil && wait.Err() == nil:
		return err
	}
	if ctx.Err() == nil && r.o.Now().Sub(r.last).Abs() >= r.o.Every {
		return r.save()
	}
	return nil
}

// take counts one entry.
func (r *Reader) take(seq uint64, _ int64, entry []byte) error {
	said, err := people.ReadEntry(entry, &r.event, &r.refused)
	if err != nil {
		return fmt.Errorf("entry %d: %w", seq, err)
	}
	speaks := false
	switch said {
	case people.SaidEvent:
		speaks = Read(&r.seen, &r.event)
	case people.SaidRefused:
		x := &r.refused
		speaks = ReadRefused(&r.seen, x.Site, x.Source, x.ReceivedAt, x.Run, x.Raw)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if speaks {
		r.book.Take(&r.seen)
	}
	r.upTo, r.saved = seq, false
	return nil
}

// save writes what changed, and the place, in one batch.
func (r *Reader) save() error {
	r.last = r.o.Now()
	w := r.state.Begin()
	defer w.Discard()
	r.mu.Lock()
	r.book.Advance(r.o.Now())
	if r.saved {
		r.mu.Unlock()
		return nil
	}
	if r.anew {
		w.Clear()
	}
	r.book.Changes(w.Set)
	upTo := r.upTo
	r.mu.Unlock()
	if err := w.Commit(upTo); err != nil {
		return err
	}
	// Nobody else takes entries, so what was written is what there is.
	r.mu.Lock()
	defer r.mu.Unlock()
	r.book.Saved()
	r.saved, r.anew = true, false
	return nil
}

// Rows are the counts since an hour, as Book.Rows gives them.
func (r *Reader) Rows(since time.Time) []Row {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.book.Rows(since)
}

// State tells how the reader is.
type State struct {
	UpTo uint64 // the last entry that is counted
	Runs int    // that are held
	Tally
}

// State reads it.
func (r *Reader) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return State{r.upTo, r.book.Runs(), r.book.Tally()}
}
