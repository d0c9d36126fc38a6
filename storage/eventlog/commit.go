package eventlog

import (
	"errors"
	"fmt"
	"time"

	"github.com/reuna/reuna/storage/keyspace"
)

// keepSegment is the largest buffer that is kept for use again, bytes, and
// keepSpare how many: a burst's memory is given back after it.
const (
	keepSegment = 1 << 20
	keepSpare   = 8
)

// commitLoop is the only writer of the log.
func (l *Log) commitLoop() {
	defer close(l.done)
	for {
		select {
		case <-l.wake:
			l.gather()
			l.commitQueued()
		case <-l.stop:
			l.commitQueued() // nothing is appended any more
			return
		}
	}
}

// Under load commits begin at least gatherTime apart, and load is when the last
// one held crowd entries or more. A commit costs as much for one entry as for
// twenty (a frame, a seal, an fsync, as many wake-ups), so without the pause a
// busy log spends its time on commits of two. One sender alone never waits.
const (
	gatherTime = 500 * time.Microsecond
	crowd      = 2
)

// gather waits for company.
func (l *Log) gather() {
	if l.grouped >= crowd {
		time.Sleep(gatherTime - time.Since(l.began)) // returns at once when it is over
	}
	l.began = time.Now()
}

// commitQueued makes everything that is waiting durable with one fsync.
func (l *Log) commitQueued() {
	l.mu.Lock()
	segs, g := l.segs, l.next
	l.segs, l.next, l.flight = nil, nil, g
	l.mu.Unlock()
	if g == nil {
		return
	}
	err := l.failure()
	if err == nil {
		if err = l.write(segs); err != nil {
			err = l.failed(err)
		}
	}
	g.err = err
	close(g.done)
	l.recycle(segs)
}

// write commits the segments as blocks of one batch and moves durable.
func (l *Log) write(segs []*segment) error {
	key, err := l.vault.Epoch(l.opt.Now().UnixMilli())
	if err != nil {
		return err
	}
	b := l.db.NewBatch()
	defer b.Discard()
	high, last, origin := l.high, uint64(0), l.Origin()
	for _, s := range segs {
		l.key = keyspace.AppendLogBlock(l.key[:0], s.first)
		l.block, high = l.codec.Encode(l.block[:0], &s.build, key, key.ID(), origin, s.first, high)
		b.Set(l.key, l.block)
		last = s.first + uint64(s.build.Count()) - 1
	}
	if err := b.Commit(true); err != nil {
		return fmt.Errorf("entries %d to %d: %w", segs[0].first, last, err)
	}
	l.high = high
	l.grouped = last - segs[0].first + 1
	l.mark(last)
	for _, s := range segs {
		l.recent.add(s.first, &s.build)
	}
	l.durable.Store(last)
	l.follow.moved()
	return nil
}

// failed ends the log: what an fsync that failed has left on the disk is not
// known, and a retry may say that all is well when it is not.
func (l *Log) failed(cause error) error {
	err := fmt.Errorf("%w: %w", ErrFailed, cause)
	l.mu.Lock()
	l.refuse.Store(&err) // also over ErrClosed: Close must tell it
	l.mu.Unlock()
	l.opt.Logger.Error("event log: a write failed, nothing is taken from now on", "err", cause)
	if l.opt.OnFatal != nil {
		l.opt.OnFatal(err)
	}
	return err
}

// failure is the error the log has failed with.
func (l *Log) failure() error {
	if err := l.refuse.Load(); err != nil && errors.Is(*err, ErrFailed) {
		return *err
	}
	return nil
}

// recycle gives the segments back for use again.
func (l *Log) recycle(segs []*segment) {
	var bytes int64
	for _, s := range segs {
		bytes += int64(s.build.Len())
		s.build.Reset()
	}
	l.queued.Add(-bytes)
	if cap(l.block) > keepSegment {
		l.block = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flight = nil
	for i, s := range segs {
		if len(l.spare) < keepSpare && s.build.Cap() <= keepSegment {
			l.spare = append(l.spare, s)
		}
		segs[i] = nil
	}
	if l.segs == nil {
		l.segs = segs[:0]
	}
}
