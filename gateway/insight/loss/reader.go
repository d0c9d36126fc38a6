package loss

import (
	"cmp"
	"errors"
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
type Reader struct {
	o        Options
	follower *readers.Follower

	mu   sync.Mutex // guards book; never held across I/O but for saving
	book *Book

	// The follower's own.
	seen  Seen
	entry people.EntryReader
}

const defaultEvery = 10 * time.Second

// Open takes up where the reader was and goes on in the background. What was
// saved and cannot be read is begun anew.
func Open(o Options) (*Reader, error) {
	o.Every = cmp.Or(o.Every, defaultEvery)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	r := &Reader{o: o, book: NewBook(o.MaxRuns)}
	var err error
	r.follower, err = readers.Follow(readers.Options{
		DB: o.DB, Log: o.Log, Keys: o.Keys, Name: ReaderName,
		Load:  func(s *readers.State) error { return s.Each("", r.book.Load) },
		Reset: func() { r.reset(0) }, Skip: r.skip, Take: r.take, Due: r.advance, Save: r.save, Saved: r.saved,
		Every: o.Every, Now: o.Now, Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Close saves what is counted and ends the reading.
func (r *Reader) Close() error { return r.follower.Close() }

func (r *Reader) reset(floor int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.book.Reset(floor)
}

// skip begins anew. What arrived in the entries that are gone would count as
// lost, so nothing that began before the log's first is judged.
func (r *Reader) skip(head uint64) (anew bool) {
	floor := r.o.Now().UnixMilli()
	err := r.o.Log.Get(head, func(at int64, _ []byte) error {
		floor = at
		return nil
	})
	if err != nil && !errors.Is(err, eventlog.ErrNoEntry) {
		r.o.Logger.Warn("the log's first entry cannot be read for the loss figures", "err", err)
	}
	r.reset(floor)
	return true
}

// take counts one entry. What other sources than the tag send is not decoded.
func (r *Reader) take(entry []byte) error {
	if p, ok, err := people.PeekEvent(entry); err != nil || ok && p.Source != event.FromTag {
		return err
	}
	said, err := r.entry.Read(entry)
	if err != nil {
		return err
	}
	speaks := false
	switch said {
	case people.SaidEvent:
		speaks = Read(&r.seen, &r.entry.Event)
	case people.SaidRefused:
		x := &r.entry.Refused
		speaks = ReadRefused(&r.seen, x.Site, x.Source, x.ReceivedAt, x.Run, x.Raw)
	}
	if speaks {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.book.Take(&r.seen)
	}
	return nil
}

func (r *Reader) advance() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.book.Advance(r.o.Now())
}

func (r *Reader) save(w *readers.Write) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.book.Changes(w.Set)
	return nil
}

// saved: nobody else takes entries, so what was written is what there is.
func (r *Reader) saved() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.book.Saved()
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
	upTo := r.follower.UpTo() // first: the book has all of that, and perhaps more
	r.mu.Lock()
	defer r.mu.Unlock()
	return State{upTo, r.book.Runs(), r.book.Tally()}
}
