// Package eventlog is the store's spine: an append-only, numbered log of
// opaque entries. What was appended while the disk was busy becomes one
// compressed, encrypted block, and one fsync makes it durable for everybody
// who waits.
//
// The slower ways that were measured and left: a record per event (twice the
// processor time, five times the bytes), and profiles written with each event
// (three times the bytes again).
package eventlog

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/record"
	"github.com/reuna/reuna/storage/vault"
)

// Options tune a log. The zero Options are good.
type Options struct {
	QueueBytes int64            // Admit refuses above this much that is not durable yet; default 32 MiB
	MaxBlock   int              // entries of one block, bytes before compression; default 256 KiB
	MinFree    int64            // Admit refuses when the disk has less left, bytes; default 256 MiB, negative: never
	CommitWait time.Duration    // how long WaitUnlessFull waits on a disk without room; default 10 s
	Now        func() time.Time // default time.Now; chooses the epoch key
	Logger     *slog.Logger     // default slog.Default()
	OnFatal    func(error)      // called once when the log has failed; must not call Close; may be nil
}

const (
	defaultQueueBytes = 32 << 20
	defaultMaxBlock   = 256 << 10
	defaultMinFree    = 256 << 20
	defaultCommitWait = 10 * time.Second
	spaceInterval     = time.Second
	tailBlocks        = 64 // checked for gaps by Open
)

// Errors that callers tell apart with errors.Is.
var (
	ErrClosed   = errors.New("event log is closed")
	ErrFailed   = errors.New("event log has failed")
	ErrTooLarge = errors.New("log entry is too large")
	ErrNoEntry  = errors.New("no such log entry")
)

// ErrBusy says that more is waiting for the disk than the log may hold. Try
// again in a second.
type ErrBusy struct{ Queued, Limit int64 } // bytes

func (e ErrBusy) Error() string {
	return fmt.Sprintf("event log: %d bytes wait for the disk, %d are allowed: send more slowly, raise the queue's limit, or use a faster disk", e.Queued, e.Limit)
}

// ErrDiskFull says that the disk has too little space left to promise a write.
// From a Ticket it says no more than that: what was appended becomes durable
// when there is room, unless the program ends before.
type ErrDiskFull struct {
	Free, Need int64     // bytes; Free is -1 when it is not known
	Since      time.Time // when a write found no room; zero: writes still find some
}

func (e ErrDiskFull) Error() string {
	if !e.Since.IsZero() {
		return fmt.Sprintf("event log: the disk is full since %s, writes wait: make room; writing goes on by itself", e.Since.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("event log: the disk has %d bytes left, %d are needed: make room; writing goes on by itself", e.Free, e.Need)
}

// Log is an open log. All its methods may be called at the same time.
//
// Invariants:
//   - Entries are numbered from 1 without gaps, in the order of Append. Those
//     before head were given up by Trim; from head on there is no gap either.
//   - A Ticket's Wait gives nil only after an fsync that covers the entry and
//     every entry before it.
//   - Readers see durable entries only. Pebble shows a batch before it is
//     synced, so every read is cut at durable.
//   - After one failed write nothing is acknowledged ever again.
//   - No lock is held while the committer compresses, encrypts or writes.
type Log struct {
	db      *engine.DB
	vault   *vault.Vault
	codec   *record.Codec
	opt     Options
	origins []incarnation // of this store, oldest first; fixed after Open

	queued  atomic.Int64  // bytes appended and not durable yet
	durable atomic.Uint64 // last entry that is safe
	head    atomic.Uint64 // first entry that is still here; durable+1 when none is
	free    atomic.Int64  // bytes left on the disk; -1 unknown
	refuse  atomic.Pointer[error]

	maintain sync.Mutex // one Trim or Overwrite at a time; guards
	spent    uint32     // keys below this one are destroyed
	follow   follow
	recent   recent // of those who follow

	mu     sync.Mutex // guards what follows; held for copying one entry
	last   uint64     // last number given
	segs   []*segment // waiting for the committer, the last one is being filled
	next   *group     // of segs; nil when there are none
	flight *group     // being written; nil when the committer rests
	spare  []*segment // empty ones for use again
	stuck  *stuck     // what new groups get

	wake chan struct{}  // capacity 1: there is something in segs
	once sync.Once      // of closing stop
	stop chan struct{}  // closed by Close
	done chan struct{}  // closed by the committer at its end
	rest sync.WaitGroup // the watch for space

	// The committer's own.
	began    time.Time // of the last commit
	grouped  uint64    // its entries
	high     int64     // highest receipt time written
	unmarked bool      // the last mark could not be written
	key      []byte
	block    []byte
	scratch  sync.Pool // of *record.Scratch, for readers
}

// segment is one block in the making.
type segment struct {
	build record.Builder
	first uint64
}

// group is what one commit makes durable; its waiters share a channel.
type group struct {
	done  chan struct{}
	err   error  // written before done is closed
	stuck *stuck // nil when done is closed from the start
}

func newGroup(s *stuck) *group { return &group{done: make(chan struct{}), stuck: s} }

// Ticket is a claim on the commit that will hold an entry. The zero Ticket
// waits for nothing.
type Ticket struct{ g *group }

// Wait returns when the entry and all before it are safe (nil), or never will
// be: the error then wraps ErrFailed, ErrClosed or ErrTooLarge.
func (t Ticket) Wait() error {
	if t.g == nil {
		return nil
	}
	<-t.g.done
	return t.g.err
}

// WaitUnlessFull is Wait for whoever has somebody waiting for an answer: it gives
// an ErrDiskFull once the disk has had no room for Options.CommitWait. What
// becomes of the entry is not known then. Send it again: it is either there, and
// known by its message id, or it is not.
func (t Ticket) WaitUnlessFull() error {
	if t.g == nil {
		return nil
	}
	if t.g.stuck != nil {
		select {
		case <-t.g.done:
		case <-t.g.stuck.on:
			select {
			case <-t.g.done:
			default:
				return t.g.stuck.err
			}
		}
	}
	return t.Wait()
}

// Done is closed when Wait will not block; nil for the zero Ticket.
func (t Ticket) Done() <-chan struct{} {
	if t.g == nil {
		return nil
	}
	return t.g.done
}

// Open opens the store's log, or begins one, and checks its end: the last
// block decodes, the newest blocks follow each other without a gap, and no
// reader stands behind the end.
func Open(db *engine.DB, v *vault.Vault, o Options) (*Log, error) {
	if o.QueueBytes <= 0 {
		o.QueueBytes = defaultQueueBytes
	}
	if o.MaxBlock <= 0 {
		o.MaxBlock = defaultMaxBlock
	}
	o.MaxBlock = min(o.MaxBlock, record.MaxEntryBytes)
	if o.MinFree == 0 {
		o.MinFree = defaultMinFree
	}
	if o.CommitWait <= 0 {
		o.CommitWait = defaultCommitWait
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	codec, err := record.NewCodec()
	if err != nil {
		return nil, err
	}
	l := &Log{
		db: db, vault: v, codec: codec, opt: o,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		stuck: newStuck(),
	}
	l.free.Store(-1)
	l.scratch.New = func() any { return new(record.Scratch) }
	if err := l.openOrigin(); err != nil {
		codec.Close()
		return nil, err
	}
	if err := l.openTail(); err != nil {
		codec.Close()
		return nil, err
	}
	l.measureSpace()
	go l.commitLoop()
	l.rest.Go(l.watchSpace)
	return l, nil
}

// LastSeq is the number of the newest entry, durable or not; 0 before the first.
func (l *Log) LastSeq() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// NextSeq is the number that the next Append gives.
func (l *Log) NextSeq() uint64 { return l.LastSeq() + 1 }

// Durable is the number of the newest entry that is safe.
func (l *Log) Durable() uint64 { return l.durable.Load() }

// Queued is how many bytes wait for the disk.
func (l *Log) Queued() int64 { return l.queued.Load() }

// Admit says whether an event may come in now: nil, ErrBusy, ErrDiskFull, or
// an error that wraps ErrClosed or ErrFailed. Ask before anything is changed
// in memory: an Append after it is always taken.
func (l *Log) Admit() error {
	if err := l.refuse.Load(); err != nil {
		return *err
	}
	if since, full := l.db.Full(); full {
		return ErrDiskFull{Free: l.free.Load(), Need: max(0, l.opt.MinFree), Since: since}
	}
	if q := l.queued.Load(); q >= l.opt.QueueBytes {
		return ErrBusy{Queued: q, Limit: l.opt.QueueBytes}
	}
	if free := l.free.Load(); free >= 0 && free < l.opt.MinFree {
		return ErrDiskFull{Free: free, Need: l.opt.MinFree}
	}
	return nil
}

// Append takes a copy of entry, received at receivedAt (ms since 1970), and
// gives its number. It never waits for the disk: the Ticket does. Number 0
// says that the entry was refused, and the Ticket why.
func (l *Log) Append(entry []byte, receivedAt int64) (seq uint64, t Ticket) {
	if len(entry) > record.MaxEntryBytes {
		return 0, refused(fmt.Errorf("%w: %d bytes, at most %d are taken", ErrTooLarge, len(entry), record.MaxEntryBytes))
	}
	l.mu.Lock()
	// refuse is set with mu held, so no entry slips in behind the last commit.
	if err := l.refuse.Load(); err != nil {
		l.mu.Unlock()
		return 0, refused(*err)
	}
	l.last++
	seq = l.last
	s := l.room(len(entry))
	before := s.build.Len()
	s.build.Add(entry, receivedAt)
	l.queued.Add(int64(s.build.Len() - before))
	begun := l.next == nil
	if begun {
		l.next = newGroup(l.patience())
	}
	t = Ticket{l.next}
	l.mu.Unlock()
	if begun {
		l.kick()
	}
	return seq, t
}

func refused(err error) Ticket {
	g := newGroup(nil)
	g.err = err
	close(g.done)
	return Ticket{g}
}

func (l *Log) kick() {
	select {
	case l.wake <- struct{}{}:
	default: // it is awake, or will be
	}
}

// room, with mu held, gives the segment that takes an entry of n bytes.
func (l *Log) room(n int) *segment {
	if k := len(l.segs); k > 0 {
		if s := l.segs[k-1]; s.build.Len()+n <= l.opt.MaxBlock {
			return s
		}
	}
	var s *segment
	if k := len(l.spare); k > 0 {
		s, l.spare = l.spare[k-1], l.spare[:k-1]
	} else {
		s = new(segment)
	}
	s.first = l.last
	l.segs = append(l.segs, s)
	return s
}

// Barrier is a Ticket for everything appended so far.
func (l *Log) Barrier() Ticket {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.next != nil:
		return Ticket{l.next}
	case l.flight != nil:
		return Ticket{l.flight}
	}
	if err := l.refuse.Load(); err != nil && errors.Is(*err, ErrFailed) {
		return refused(*err)
	}
	return Ticket{}
}

// Close takes no more entries, waits until those taken are safe and stops the
// committer. It returns the error that the log failed with, if it did. The
// engine stays open. Reads go on until it is closed.
func (l *Log) Close() error {
	l.mu.Lock()
	closed := ErrClosed
	l.refuse.CompareAndSwap(nil, &closed) // a failure stays what is told
	l.mu.Unlock()
	l.once.Do(func() { close(l.stop) })
	<-l.done
	l.rest.Wait()
	if err := l.refuse.Load(); errors.Is(*err, ErrFailed) {
		return *err
	}
	return nil
}
