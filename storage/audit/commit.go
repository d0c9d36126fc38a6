package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reuna/reuna/storage/keyspace"
)

// group is the entries that one commit makes durable.
type group struct {
	fields []byte // of all its entries, one behind the other
	ends   []int  // in fields
	first  uint64 // the first one's number; written, like err, before done is closed
	err    error
	done   chan struct{}
}

// add takes a copy of an entry that check has passed, with what check gave.
func (g *group) add(e *Entry, detail []byte) {
	g.fields = e.appendFields(g.fields, detail)
	g.ends = append(g.ends, len(g.fields))
}

// Append adds an entry and gives its number when it is on the disk. Entries
// that come while the disk is busy share the next fsync.
//
// Errors wrap ErrEntry (the entry is at fault), ErrBusy, ErrClosed, ErrFailed,
// or ctx's own: the entry may then still be written.
func (l *Log) Append(ctx context.Context, e Entry) (n uint64, err error) {
	detail, err := e.check()
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	if err := l.refuse; err != nil {
		l.mu.Unlock()
		return 0, err
	}
	g := l.next
	if g == nil {
		g = &group{done: make(chan struct{})}
		l.next = g
	}
	if len(g.ends) >= maxWaiting {
		l.mu.Unlock()
		return 0, fmt.Errorf("%w: %d entries wait for the disk, more are not taken: try again in a second", ErrBusy, maxWaiting)
	}
	i := len(g.ends)
	g.add(&e, detail)
	l.mu.Unlock()
	if i == 0 {
		poke(l.wake)
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		return 0, fmt.Errorf("audit: entry %q still waits for the disk: %w", e.Action, context.Cause(ctx))
	}
	if g.err != nil {
		return 0, g.err
	}
	return g.first + uint64(i), nil
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // its reader will look anyway
	}
}

// commitLoop is the only writer of entries.
func (l *Log) commitLoop() {
	for {
		select {
		case <-l.wake:
			l.commitQueued()
		case <-l.stop:
			l.commitQueued() // nothing is appended any more
			return
		}
	}
}

func (l *Log) commitQueued() {
	l.mu.Lock()
	g := l.next
	l.next = nil
	l.mu.Unlock()
	if g == nil {
		return
	}
	g.err = l.failure()
	if g.err == nil {
		if err := l.write(g, Head{}); err != nil {
			g.err = l.failed(err)
		}
	}
	close(g.done)
	poke(l.dirty)
}

// write chains, seals and commits a group, together with the heads that fall
// into it and with over, when that is one.
func (l *Log) write(g *group, over Head) error {
	ms := l.opt.Now().UnixMilli()
	b := l.db.NewBatch()
	defer b.Discard()
	end := l.tip // only the committer moves it
	if over.N > 0 {
		b.Set(keyspace.AppendAuditHead(nil, over.N), over.appendValue(nil))
	}
	g.first = end.n + 1
	from := 0
	for _, to := range g.ends {
		end.n++
		end.hash = l.seal(end.n, ms, end.hash, g.fields[from:to])
		from = to
		l.place = keyspace.AppendAudit(l.place[:0], end.n)
		b.Set(l.place, l.sealed)
		if end.n%HeadInterval == 0 {
			b.Set(keyspace.AppendAuditHead(nil, end.n), l.signHead(end, ms).appendValue(nil))
		}
	}
	if err := b.Commit(true); err != nil {
		return fmt.Errorf("audit: entries %d to %d: %w", g.first, end.n, err)
	}
	l.mu.Lock()
	l.tip = end
	l.mu.Unlock()
	return nil
}

// failed ends the log: what a failed sync has left on the disk is not known.
func (l *Log) failed(cause error) error {
	err := fmt.Errorf("%w: %w", ErrFailed, cause)
	l.mu.Lock()
	l.refuse = err // also over ErrClosed: Close must tell it
	l.mu.Unlock()
	l.opt.Logger.Error("audit: a write failed, nothing is recorded from now on", "err", cause)
	return err
}

func (l *Log) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.refuse, ErrFailed) {
		return l.refuse
	}
	return nil
}

// headLoop signs a head at the latest HeadEvery after the first entry that has
// none, and at once when HeadInterval entries came.
func (l *Log) headLoop() {
	timer := time.NewTimer(l.opt.HeadEvery)
	timer.Stop()
	armed := false
	for {
		due := false
		select {
		case <-l.dirty:
			l.mu.Lock()
			end, filed := l.tip.n, l.filed.N
			l.mu.Unlock()
			due = end/HeadInterval > filed/HeadInterval
			if !due && !armed && end > filed {
				timer.Reset(l.opt.HeadEvery)
				armed = true
			}
		case <-timer.C:
			armed, due = false, true
		case <-l.stop:
			timer.Stop()
			return
		}
		if !due {
			continue
		}
		if _, err := l.Sign(); err != nil && !armed {
			timer.Reset(l.opt.HeadEvery) // once more then
			armed = true
		}
	}
}
