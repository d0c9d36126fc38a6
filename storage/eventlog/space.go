package eventlog

import "time"

// stuck is told to those who wait once writes have found no room for too long.
type stuck struct {
	on  chan struct{} // closed when err is to be given
	err error         // written before
}

func newStuck() *stuck { return &stuck{on: make(chan struct{})} }

// patience, with mu held, gives what a new group waits with: not one that ended
// over a disk that has room again.
func (l *Log) patience() *stuck {
	if l.stuck.err != nil {
		if _, full := l.db.Full(); !full {
			l.stuck = newStuck()
		}
	}
	return l.stuck
}

// watchSpace looks after the disk's room until the log closes. It is not the
// committer's work: that one waits when there is no room.
func (l *Log) watchSpace() {
	tick := time.NewTicker(min(spaceInterval, max(time.Millisecond, l.opt.CommitWait/4)))
	defer tick.Stop()
	measured := time.Now()
	for {
		select {
		case <-l.done:
			return
		case <-tick.C:
		}
		if now := time.Now(); now.Sub(measured) >= spaceInterval {
			measured = now
			l.measureSpace()
		}
		l.tellStuck()
	}
}

// tellStuck ends the patience of WaitUnlessFull when the disk has been full for
// CommitWait. In the normal case nobody pays for it but one look at a number.
func (l *Log) tellStuck() {
	since, full := l.db.Full()
	if !full || time.Since(since) < l.opt.CommitWait {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stuck.err == nil {
		l.stuck.err = ErrDiskFull{Free: l.free.Load(), Need: max(0, l.opt.MinFree), Since: since}
		close(l.stuck.on)
	}
}

// measureSpace notes how much room the disk has, for Admit.
func (l *Log) measureSpace() {
	free, known := l.db.FreeBytes()
	if !known || l.opt.MinFree < 0 {
		l.free.Store(-1)
		return
	}
	was := l.free.Swap(int64(min(free, 1<<62)))
	if now := l.free.Load(); (was >= 0 && was < l.opt.MinFree) != (now < l.opt.MinFree) {
		if now < l.opt.MinFree {
			l.opt.Logger.Error("event log: the disk is nearly full, no event is taken until there is room", "free", now, "need", l.opt.MinFree)
		} else {
			l.opt.Logger.Info("event log: the disk has room, events are taken", "free", now)
		}
	}
}
