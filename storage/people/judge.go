package people

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
)

const (
	// judgeTick is how often the worker looks who was not judged by an answer: they
	// are judged after one or two of these.
	judgeTick = 50 * time.Millisecond
	// judgeTries is how often a person is judged anew at once because something
	// changed meanwhile, before others have their turn.
	judgeTries = 3
	// mostSteps is for how many moments of the past somebody is judged, one after the
	// other, who was due while the gateway was away; what lies between the last of
	// them and now is passed over.
	mostSteps = 1000
	// someOwed is how many of a replay's persons are brought into memory at a time.
	someOwed = 256
)

// judging is the work of the one who judges those whom no answer does. Store.mu guards it.
type judging struct {
	// Identifiers with marks: those that came since the last tick, those from before,
	// and those that are being judged. Some were judged by an answer since.
	waiting, next, now []*node
	// Changes of links that are yet to be spread, and those that are being.
	concerns, spreading []concerned
	// Persons whose marks had to leave memory: the first entry, and when the last was
	// received. A replay has them alone.
	owed map[id.ID]owed
	// sweeps are how many go on (Store.grew).
	sweeps int
}

type owed struct {
	seq uint64
	at  int64
}

// idle says that nobody waits.
func (j *judging) idle() bool {
	return len(j.waiting)+len(j.next)+len(j.now)+len(j.concerns)+len(j.spreading)+len(j.owed) == 0
}

// count is how many stay in memory for it.
func (j *judging) count() int { return len(j.waiting) + len(j.next) + len(j.now) }

// first is the first entry that somebody waits to be judged for.
func (j *judging) first() uint64 {
	first := holdsNothing
	for _, list := range [...][]*node{j.waiting, j.next, j.now} {
		for _, n := range list {
			if n.stand.since != 0 {
				first = min(first, n.stand.since)
			}
		}
	}
	for _, list := range [...][]concerned{j.concerns, j.spreading} {
		for i := range list {
			first = min(first, list[i].seq)
		}
	}
	for _, o := range j.owed {
		first = min(first, o.seq)
	}
	return first
}

// owe takes all marks out of memory. Nobody judges meanwhile; the lock is held.
func (s *Store) owe() {
	j := &s.judging
	for _, list := range [...][]*node{j.waiting, j.next} {
		for _, n := range list {
			st := n.stand
			if st.queued = false; st.since == 0 {
				continue
			}
			if j.owed == nil {
				j.owed = map[id.ID]owed{}
			}
			o, ok := j.owed[n.id]
			if !ok || st.since < o.seq {
				o.seq = st.since
			}
			o.at = max(o.at, st.at)
			j.owed[n.id] = o
			st.clear()
		}
	}
	j.waiting, j.next = nil, nil
}

func (s *Store) wakeJudge() {
	select {
	case s.judgeWake <- struct{}{}:
	default: // it is awake, or will be
	}
}

// judgeAll looks after everybody whom no answer judges, until the store closes.
func (s *Store) judgeAll() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		s.mu.Lock()
		idle := s.judging.idle()
		wait := s.dues.wait(s.o.Now().UnixMilli())
		s.mu.Unlock()
		if !idle {
			wait = min(wait, judgeTick)
		}
		timer.Reset(wait)
		select {
		case <-s.stop:
			return
		case <-s.judgeWake:
			if idle {
				continue // a tick from now on
			}
			select { // who answers a page is quicker
			case <-s.stop:
				return
			case <-timer.C:
			}
		case <-timer.C:
		}
		err := s.judgeRound(false)
		if err == nil {
			_, err = s.judgeDue()
		}
		var busy eventlog.ErrBusy
		var full eventlog.ErrDiskFull
		switch {
		case err == nil:
			continue
		case errors.Is(err, eventlog.ErrClosed) || errors.Is(err, engine.ErrClosed):
			return
		case errors.As(err, &busy) || errors.As(err, &full): // the log says so itself
		default:
			s.log.Error("who is in which audience could not be judged; trying again", "err", err)
		}
		timer.Reset(time.Second)
		select {
		case <-s.stop:
			return
		case <-timer.C:
		}
	}
}

// judgeRound spreads what is known of links, and judges those who have waited for a
// tick, or all.
func (s *Store) judgeRound(all bool) error {
	s.oneJudge.Lock()
	defer s.oneJudge.Unlock()
	if err := s.o.Log.Admit(); err != nil { // nothing could be told
		return err
	}
	if err := s.spreadAll(); err != nil {
		return err
	}
	s.mu.Lock()
	j := &s.judging
	if all {
		j.next, j.waiting = append(j.next, j.waiting...), nil
	}
	j.now, j.next, j.waiting = j.next, j.waiting, j.now[:0]
	list := j.now
	for _, n := range list {
		n.stand.queued = false
	}
	s.mu.Unlock()
	var err error
	for i := 0; i < len(list) && err == nil; i++ {
		s.mu.Lock()
		n := list[i]
		waits := n.stand.since != 0
		s.mu.Unlock()
		if waits {
			err = s.judgePerson(n.id)
		}
	}
	s.mu.Lock()
	for _, n := range list { // those who were too busy, or not reached
		if n.stand.since != 0 && !n.stand.queued {
			n.stand.queued = true
			j.waiting = append(j.waiting, n)
		}
	}
	clear(list)
	j.now = list[:0]
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.judgeOwed()
}

// spreadAll spreads all changes of links.
func (s *Store) spreadAll() error {
	s.mu.Lock()
	j := &s.judging
	j.spreading, j.concerns = append(j.spreading, j.concerns...), nil
	list := j.spreading
	s.mu.Unlock()
	// Those of one identifier are one.
	of := map[id.ID]concerned{}
	for _, c := range list {
		if had, ok := of[c.x]; ok {
			c = concerned{x: c.x, seq: min(c.seq, had.seq), at: max(c.at, had.at), wide: c.wide || had.wide, was: had.was,
				loose: c.loose || had.loose || c.was != had.was, users: c.users || had.users}
		}
		of[c.x] = c
	}
	for _, c := range of {
		if err := s.spread(c); err != nil {
			return err // all of them again
		}
	}
	s.mu.Lock()
	j.spreading = nil
	s.mu.Unlock()
	return nil
}

// judgeOwed judges those whose marks had left memory.
func (s *Store) judgeOwed() error {
	for {
		s.mu.Lock()
		some := make([]id.ID, 0, someOwed)
		for x := range s.judging.owed {
			if some = append(some, x); len(some) == someOwed {
				break
			}
		}
		s.mu.Unlock()
		if len(some) == 0 {
			return nil
		}
		for _, x := range some {
			err := s.see(func(w *want) error {
				if n := w.node(x); n != nil {
					o := s.judging.owed[x]
					s.mark(n, facet.Everything(), o.seq, o.at)
				}
				return nil
			})
			if err == nil {
				err = s.judgePerson(x)
			}
			if err != nil {
				return err
			}
			s.mu.Lock()
			delete(s.judging.owed, x) // its mark is in memory, or was judged
			s.mu.Unlock()
		}
	}
}

// CatchUp judges everybody who waits for it, and everybody whose standing is due
// by now. The store does it by itself, a tenth of a second behind what happens;
// this is for who cannot wait.
func (s *Store) CatchUp(ctx context.Context) error {
	if !s.judges {
		return nil
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.judgeRound(true); err != nil {
			return fmt.Errorf("people: judging: %w", err)
		}
		any, err := s.judgeDue()
		if err != nil {
			return fmt.Errorf("people: judging: %w", err)
		}
		s.mu.Lock()
		done := s.judging.idle() && !any
		failed := s.failed
		s.mu.Unlock()
		if done || failed != nil {
			return failed
		}
	}
}

// judgePerson judges the person that x belongs to, if anything changed or the time
// has come. Who is too busy stays marked.
func (s *Store) judgePerson(x id.ID) error {
	tries := 0
	for step := 0; tries < judgeTries; step++ {
		now := s.o.Now().UnixMilli()
		snap, err := s.canonical(x, now, s.see)
		if err != nil || snap.of == nil {
			return err
		}
		until := int64(0)
		if snap.Standing != nil {
			until = snap.Standing.Until
		}
		var at int64
		switch {
		case step >= mostSteps:
			at = now
		case snap.waits:
			at = min(cmp.Or(snap.at, now), now)
		case snap.Standing == nil || until > now:
			return nil
		default:
			at = until
		}
		at = max(at, snap.judged)
		st := s.o.Judge(&snap, at)
		s.mu.Lock()
		kept := s.keep(&snap, st, at, snap.cause(at))
		if kept && (st == nil || st.Until > now || st.Until <= at) { // the last: it does not say when to look again
			s.mu.Unlock()
			return nil
		}
		failed := cmp.Or(s.failed, s.o.Log.Admit())
		s.mu.Unlock()
		if failed != nil {
			return failed
		}
		if !kept {
			tries++
		}
	}
	return nil
}

// canonical gives the person that x belongs to as the worker judges them. One of
// whom nothing is known is in no audience; the Snapshot is then empty.
func (s *Store) canonical(x id.ID, now int64, see func(look func(w *want) error) error) (snap Snapshot, err error) {
	err = see(func(w *want) error {
		snap = Snapshot{}
		n := w.node(x)
		if n == nil {
			return nil
		}
		var c *cluster
		if len(n.pairs) > 0 {
			if c = s.cluster(w, n, id.VerifiedView); c == nil {
				return nil
			}
		}
		p, facets := s.profileAround(w, n, c)
		if p == nil {
			return nil
		}
		s.snapshot(&snap, n, c)
		if facets > 0 {
			snap.Profile, snap.Present = p, presentOf(n, c)
			return nil
		}
		if s.keep(&snap, nil, now, CauseIdentity) {
			snap = Snapshot{}
		}
		return nil
	})
	return snap, err
}

// profileAround gives the profile of a cluster, of n alone for nil c, and of how
// many facets it is; nil while something must be loaded.
func (s *Store) profileAround(w *want, n *node, c *cluster) (p *facet.Profile, facets int) {
	if c != nil {
		if p = s.profileOf(w, c); p == nil {
			return nil, 0
		}
		return p, int(p.Events + p.BotEvents) // each facet has one
	}
	list, whole := facetsOf(w, n)
	if !whole {
		return nil, 0
	}
	list = slices.DeleteFunc(list, func(f *facet.Facet) bool { return f.Key.Owner(id.VerifiedView, false) != n.id })
	return facet.Join(list), len(list)
}

// presentOf are the types of identifier of a cluster; of n alone for nil c.
func presentOf(n *node, c *cluster) (list []string) {
	if c == nil {
		return []string{n.id.Type}
	}
	for _, m := range c.Members { // sorted, so equal types are neighbours
		if len(list) == 0 || list[len(list)-1] != m.Type {
			list = append(list, m.Type)
		}
	}
	return list
}
