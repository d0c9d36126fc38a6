package people

import (
	"container/heap"
	"math"
	"slices"
	"time"

	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/keyspace"
)

const (
	// dueAhead is how far ahead those who will be due are known in memory.
	dueAhead = time.Minute
	// mostDue is how many are read at a time, and those of the same second.
	mostDue = 100_000
	// dueLook is how often at least the clock is looked at: somebody may have set it.
	dueLook = time.Second
)

// dues are those whose standing is going to change by itself soon, the first one first.
// The disk has all of them by second, but for those that no checkpoint has written;
// memory has them up to a horizon. Some have been judged since: their standing says.
//
// Invariant: whose standing has an Until before the horizon stands in list.
type dues struct {
	list    dueHeap
	horizon int64 // ms
}

// due is somebody who may be due at a time, ms. Of those that were read only the hash
// is known.
type due struct {
	at   int64
	x    id.ID
	hash Hash
}

type dueHeap []due

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(due)) }
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = due{}
	*h = (*h)[:last]
	return x
}

// set notes until when n's standing holds. The lock is held.
func (d *dues) set(n *node, until int64) {
	if until < d.horizon && n.stand.dueAt != until {
		n.stand.dueAt = until
		heap.Push(&d.list, due{until, n.id, n.hash})
	}
}

// wait is for how long nothing is to be done.
func (d *dues) wait(now int64) time.Duration {
	next := d.horizon
	if len(d.list) > 0 {
		next = min(next, d.list[0].at)
	}
	if next <= now {
		return 0
	}
	return min(time.Duration(min(next-now, 1e9))*time.Millisecond, dueLook)
}

// judgeDue judges everybody whose standing is due by now, and says whether there was anybody.
func (s *Store) judgeDue() (any bool, err error) {
	s.oneJudge.Lock()
	defer s.oneJudge.Unlock()
	now := s.o.Now().UnixMilli()
	for {
		if err := s.o.Log.Admit(); err != nil {
			return any, err
		}
		s.mu.Lock()
		if s.failed != nil {
			defer s.mu.Unlock()
			return any, s.failed
		}
		if len(s.dues.list) == 0 || s.dues.list[0].at > now {
			through := s.dues.horizon > now
			s.mu.Unlock()
			if through {
				return any, nil
			}
			if err := s.readDue(now); err != nil {
				return any, err
			}
			continue
		}
		next := heap.Pop(&s.dues.list).(due)
		s.mu.Unlock()
		if next.at == wakeSecond {
			err = s.wakeUp(next.hash)
		} else {
			err = s.judgeOneDue(next)
		}
		if err != nil {
			s.mu.Lock()
			heap.Push(&s.dues.list, next)
			s.mu.Unlock()
			return any, err
		}
		any = true
	}
}

func (s *Store) judgeOneDue(d due) error {
	x := d.x
	if x.IsZero() {
		var err error
		if x, err = s.stoodBy(d.hash); err != nil || x.IsZero() {
			return err // zero: it ended since the index was read
		}
	}
	if err := s.judgePerson(x); err != nil {
		return err
	}
	return s.see(func(w *want) error { // who is due later in that second
		if n := w.node(x); n != nil && n.stand != nil && n.stand.now != nil {
			n.stand.dueAt = 0
			until := n.stand.now.Until
			if now := s.o.Now().UnixMilli(); until <= now { // still: again in a while
				until = now + dueLook.Milliseconds()
			}
			s.dues.set(n, until)
		}
		return nil
	})
}

// wakeUp judges those whom an erasure has taken somebody from, by whoever it was.
func (s *Store) wakeUp(h Hash) error {
	x, err := s.whose(h)
	if err == ErrUnknown {
		return s.forgetWake(h)
	}
	if err != nil {
		return err
	}
	if err := s.spread(concerned{x: x, seq: holdsNothing, wide: true}); err != nil {
		return err
	}
	s.mu.Lock()
	list := slices.Concat(s.judging.waiting, s.judging.next)
	s.mu.Unlock()
	for _, n := range list {
		if err := s.judgePerson(n.id); err != nil {
			return err
		}
	}
	return s.see(func(w *want) error {
		if n := w.node(x); n != nil {
			n.standing().stored.woken, n.stand.dirty = true, true
			s.touch(n)
		}
		return nil
	})
}

// forgetWake deletes the wake of an identifier that nothing is known of any more.
func (s *Store) forgetWake(h Hash) error {
	b := s.o.DB.NewBatch()
	defer b.Discard()
	b.Delete(keyspace.AppendDue(nil, wakeSecond, h))
	return b.Commit(false)
}

// readDue brings those into memory who will be due soon.
func (s *Store) readDue(now int64) error {
	s.mu.Lock()
	from := s.dues.horizon
	s.dues.horizon = now + dueAhead.Milliseconds()
	next := s.dues.horizon
	unsaved := slices.Concat(s.dirtyNodes, s.savingNodes)
	s.mu.Unlock()
	for list := range slices.Chunk(unsaved, slice) {
		s.mu.Lock()
		for _, n := range list {
			if n.stand != nil && n.stand.now != nil {
				s.dues.set(n, n.stand.now.Until)
			}
		}
		s.mu.Unlock()
	}
	lower := keyspace.AppendSpace(nil, keyspace.Due)
	if from > 0 {
		lower = keyspace.AppendDueTime(nil, from/1000)
	}
	upper := keyspace.AppendDueTime(nil, next/1000+1)
	var read []due
	end := int64(math.MaxInt64) // of what was read, when not all was
	err := s.o.DB.Iter(lower, upper, func(k, _ []byte) (bool, error) {
		second, h, err := keyspace.ParseDue(k)
		if n := len(read); n >= mostDue && read[n-1].at/1000 != second {
			end = second * 1000
			return false, nil
		}
		read = append(read, due{at: second * 1000, hash: h})
		return true, err
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.dues.horizon = from
		return err
	}
	s.dues.horizon = min(next, end)
	for _, x := range read {
		heap.Push(&s.dues.list, x)
	}
	return nil
}
