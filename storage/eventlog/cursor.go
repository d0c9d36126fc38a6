package eventlog

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// Cursor is a named reader's place in the log.
type Cursor struct {
	Name  string
	Seq   uint64 // the last entry that the reader is done with; 0 when it has not begun
	Moved int64  // when it said so, ms since 1970; 0 when not known
	// Hold is for how long beyond its age an entry is kept for a reader that is
	// behind; negative: for ever. What was kept in vain is given up in the end,
	// or one dead reader would keep everybody's data.
	Hold time.Duration
}

// Forever is the Hold of readers without which the store is not whole.
const Forever time.Duration = -1

const cursorVersion = 2

func (c *Cursor) append(dst []byte) []byte {
	dst = record.AppendUvarint(append(dst, cursorVersion), c.Seq)
	dst = record.AppendVarint(dst, c.Moved)
	hold := c.Hold.Milliseconds()
	if c.Hold < 0 {
		hold = -1 // Forever is less than a millisecond
	}
	return record.AppendVarint(dst, hold)
}

func parseCursor(name string, val []byte) (c Cursor, err error) {
	r := record.NewReader(val)
	version := r.Version("cursor", cursorVersion)
	c = Cursor{Name: name, Seq: r.Uvarint()}
	if version > 1 {
		c.Moved = r.Varint()
		switch hold := r.Varint(); {
		case hold < 0, hold > math.MaxInt64/int64(time.Millisecond): // 292 years
			c.Hold = Forever
		default:
			c.Hold = time.Duration(hold) * time.Millisecond
		}
	}
	if err = r.Done("cursor"); err != nil {
		return c, fmt.Errorf("cursor %q: %w", name, err)
	}
	return c, nil
}

// Cursor gives a named reader's place.
func (l *Log) Cursor(name string) (c Cursor, err error) {
	c.Name = name
	_, err = l.db.Get(keyspace.AppendCursor(nil, name), func(val []byte) (err error) {
		c, err = parseCursor(name, val)
		return err
	})
	return c, err
}

// SetCursor notes a reader's place with b. Put what the reader made of the
// entries into the same batch. c.Seq must be durable: a reader ahead of the log
// could not tell a loss from a restart.
func (l *Log) SetCursor(b *engine.Batch, c Cursor) error {
	if end := l.durable.Load(); c.Seq > end {
		return fmt.Errorf("cursor %q: entry %d is not durable yet, %d is the newest that is", c.Name, c.Seq, end)
	}
	c.Moved = l.opt.Now().UnixMilli()
	b.Set(keyspace.AppendCursor(nil, c.Name), c.append(nil))
	return nil
}

// DropCursor forgets a reader with b: nothing is kept for it any more.
func (l *Log) DropCursor(b *engine.Batch, name string) { b.Delete(keyspace.AppendCursor(nil, name)) }

// Cursors lists the readers by name.
func (l *Log) Cursors() (list []Cursor, err error) {
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Cursor))
	err = l.db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		name, err := keyspace.ParseCursor(k)
		if err != nil {
			return false, err
		}
		c, err := parseCursor(name, v)
		list = append(list, c)
		return true, err
	})
	return list, err
}

// Expired gives the last entry that the log need not keep: it was received
// before now−age, and every reader is done with it or was waited for as long as
// it may be. One before Head when all must stay. late names the readers that entries are
// kept for beyond their age.
func (l *Log) Expired(age time.Duration) (upTo uint64, late []string, err error) {
	now := l.opt.Now()
	first, err := l.SeekTime(now.Add(-age).UnixMilli())
	if err != nil {
		return 0, nil, err
	}
	upTo = first - 1
	list, err := l.Cursors()
	if err != nil {
		return 0, nil, err
	}
	bound := upTo
	for _, c := range list {
		if c.Seq >= bound {
			continue
		}
		if c.Hold >= 0 { // the store's own are moved by what asks here
			late = append(late, c.Name)
		}
		floor := uint64(0)
		if c.Hold >= 0 {
			if floor, err = l.SeekTime(now.Add(-age - c.Hold).UnixMilli()); err != nil {
				return 0, nil, err
			}
			floor--
		}
		upTo = min(upTo, max(c.Seq, floor))
	}
	return upTo, late, nil
}

// Follow gives fn the durable entries behind the cursor, in order, up to most
// of them, and waits for the first when there is none. It does not move the
// cursor: whoever is done with entries puts SetCursor into the batch of what
// they led to. ctx ends the wait. n is how many entries fn took without error.
func (l *Log) Follow(ctx context.Context, after uint64, most int, fn func(seq uint64, receivedAt int64, entry []byte) error) (n int, err error) {
	l.recent.wanted.Store(true)
	for {
		next := l.follow.wait()
		if after < l.durable.Load() {
			break
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-l.done:
			return 0, ErrClosed
		case <-next:
		}
	}
	take := func(seq uint64, at int64, entry []byte) (bool, error) {
		if err := fn(seq, at, entry); err != nil {
			return false, err
		}
		n++
		return n < most && ctx.Err() == nil, nil
	}
	from, more, err := l.readRecent(after+1, take)
	if err == nil && more {
		err = l.Read(from, take)
	}
	return n, err
}

// follow wakes who waits for new entries. Nobody waiting costs one look.
type follow struct {
	mu   sync.Mutex
	next chan struct{}
}

func (f *follow) wait() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next == nil {
		f.next = make(chan struct{})
	}
	return f.next
}

func (f *follow) moved() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next != nil {
		close(f.next)
		f.next = nil
	}
}
