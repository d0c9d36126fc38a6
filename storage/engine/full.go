package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// pollFull is how often a write that found no room is tried again.
	pollFull = 50 * time.Millisecond
	// Pebble starts a failed flush or compaction anew at once: without a pause
	// it would fill the disk, the log and a processor for as long as it fails.
	firstPause, longestPause = 100 * time.Millisecond, 2 * time.Second
	// remindFull is how often the log repeats that the disk is full.
	remindFull = time.Minute
)

// fullness knows whether the disk has room for what must be written.
//
// A write without room is not an error: what is on the disk is whole, and the
// rest of the write can follow when there is space. So writes to the log and
// the MANIFEST wait, which keeps commits waiting and lets reads go on, and
// nothing needs a restart. Tables are different: Pebble deletes what was
// written of one, which gives the space back, and starts again; they only
// pause before that.
//
// The slower design: Pebble's own OnDiskFull tries again once and then gives
// the error to the log writer, which ends the program.
type fullness struct {
	log  *slog.Logger
	free func() (bytes uint64, known bool)

	since atomic.Int64 // Unix nanoseconds; 0: there is room

	mu       sync.Mutex
	waiting  int  // writes that wait now
	flushing bool // the last flush found no room
	reminded time.Time
	pause    [compaction + 1]time.Duration // before the next table of a role
	stop     chan struct{}                 // closed when nobody may wait any more
	stopping bool
	gaveUp   atomic.Bool // a write that waited failed because of stop
}

func newFullness(log *slog.Logger, free func() (uint64, bool)) *fullness {
	return &fullness{log: log, free: free, stop: make(chan struct{})}
}

func noSpace(err error) bool {
	return vfs.IsNoSpaceError(err) || errors.Is(err, syscall.EDQUOT)
}

// wait does op again and again while it fails for want of space.
func (f *fullness) wait(name string, op func() error) error {
	err := op()
	if !noSpace(err) {
		return err
	}
	f.change(name, func() { f.waiting++ })
	defer f.change(name, func() { f.waiting-- })
	tick := time.NewTicker(pollFull)
	defer tick.Stop()
	for noSpace(err) {
		select {
		case <-f.stop:
			f.gaveUp.Store(true)
			return fmt.Errorf("%w: %w", ErrFull, err)
		case <-tick.C:
			f.change(name, func() {})
		}
		err = op()
	}
	return err
}

// tableFailed notes that a table could not be written, whatever the reason.
func (f *fullness) tableFailed(r role, name string, err error) {
	f.change(name, func() {
		f.pause[r] = min(max(firstPause, 2*f.pause[r]), longestPause)
		if r == flushes && noSpace(err) {
			f.flushing = true
		}
	})
}

// tableDone notes the end of a flush or compaction, with its error.
func (f *fullness) tableDone(r role, err error) {
	if noSpace(err) {
		return // tableFailed has it
	}
	f.change("", func() {
		f.pause[r] = 0
		if r == flushes {
			f.flushing = false
		}
	})
}

// hold pauses before another table of this role, when the last one failed.
func (f *fullness) hold(r role) {
	f.mu.Lock()
	pause := f.pause[r]
	f.mu.Unlock()
	if pause == 0 {
		return
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-f.stop:
	case <-t.C:
	}
}

func (f *fullness) change(name string, do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	now := time.Now()
	was, is := f.since.Load(), f.waiting > 0 || f.flushing
	switch {
	case is && was == 0:
		f.since.Store(now.UnixNano())
		f.reminded = now
		f.tell("storage: the disk is full: writes wait until there is space, reads go on", name)
	case is && now.Sub(f.reminded) >= remindFull:
		f.reminded = now
		f.tell("storage: the disk is still full: free some space and writes go on", name)
	case !is && was != 0:
		f.since.Store(0)
		f.log.Info("storage: the disk has space again", "full_for", now.Sub(time.Unix(0, was)).Round(time.Millisecond))
	}
}

func (f *fullness) tell(msg, name string) {
	args := []any{"path", name}
	if free, known := f.free(); known {
		args = append(args, "free_bytes", free)
	}
	f.log.Warn(msg, args...)
}

// endIn lets nobody wait any longer than d from now.
func (f *fullness) endIn(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.stopping {
		f.stopping = true
		time.AfterFunc(d, func() { close(f.stop) })
	}
}

// Full says since when the disk has had no room for writes. Commits wait then,
// reads go on, and it passes by itself when there is space. It costs
// nanoseconds.
func (db *DB) Full() (since time.Time, full bool) {
	n := db.full.since.Load()
	if n == 0 {
		return time.Time{}, false
	}
	return time.Unix(0, n), true
}
