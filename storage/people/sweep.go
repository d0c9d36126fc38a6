package people

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
)

// A sweep judges everybody, by the facets' records in the order in which these lie.
// Nearly everybody has one identifier that has one facet and no evidence: who is lone.
// It is they who make it long, so they are judged by that record, and do not come into
// memory unless there is something to keep. What else the disk has of them lies by
// identifier, and is looked up for many at a time, in that order (records). All others
// are judged as the worker does it.
//
// Where it is known what the new rules read, most need not be judged (Concerned): a
// facet's record tells whether it has any of that.
//
// Invariant: of each facet that is there from the beginning to the end, the persons of
// its identifiers are judged after the beginning. Whoever changes meanwhile is marked,
// with Store.grew for whom the sweep may have passed.
type sweep struct {
	s       *Store
	only    *Concerned // nil: everybody
	pace    pace
	persons int64  // that were judged by their records alone
	drops   uint64 // of the store, before the walkers were opened

	facets, keys *engine.Walker // in the order of the batch
	records      records        // in that of its identifiers
	key, packed  []byte
	spares       []opened // memory for facets that are read: nobody has them any more
	looks        []look
	linked       linked

	// found are those of a batch whose standing is another one now. They are kept
	// together: each for itself would have the log commit all the while, and requests
	// wait for that.
	found []found
}

// Concerned are those whom a change of rules may concern, where its rules say nothing of
// others: who has a series of one of these numbers, or is in one of these audiences.
// Of all others it must be so that they are in none of the audiences whose rules
// changed, for ever, unless something happens.
type Concerned struct {
	Series    []uint32
	Audiences []uint32
}

// found is who has nothing but a facet, and what they were judged to be.
type found struct {
	node   *node // read from the disk
	facet  Hash
	judged Snapshot
	now    *segment.Standing
	at     int64 // ms
}

const (
	// sweepFacets is how many facets a sweep reads between two looks whether to checkpoint.
	sweepFacets = 1024
	// sweepShare is the part of one processor that a sweep uses while others wait for one.
	sweepShare = DefaultFillShare
	// sweepTries is how often somebody is judged anew who changed, or left memory, before
	// what was found could be kept. Who changed is marked, and judged for that if not
	// here; who left is nobody's but the sweep's.
	sweepTries = 100
	// sweepTell is the longest time between two calls of its progress.
	sweepTell = 5 * time.Second
)

// Sweep judges everybody with the definitions as they are, from after a hash on; the
// zero Hash begins. progress, when it is not nil, hears where it may go on after a
// crash, how many persons were judged, and which part of all that is; by then what came
// before is on its way to the disk, in front of whatever is written after.
func (s *Store) Sweep(ctx context.Context, from Hash, progress func(at Hash, persons int64, share float64)) error {
	return s.SweepOnly(ctx, nil, from, progress)
}

// SweepOnly is Sweep for those alone whom the definitions that changed may concern; nil:
// everybody. The others keep the standing that they have.
func (s *Store) SweepOnly(ctx context.Context, only *Concerned, from Hash, progress func(at Hash, persons int64, share float64)) error {
	if !s.judges {
		return nil
	}
	return aside(func() error { return s.sweep(ctx, only, from, progress) })
}

func (s *Store) sweep(ctx context.Context, only *Concerned, from Hash, progress func(at Hash, persons int64, share float64)) error {
	var fresh *fresh
	s.locked(func() {
		s.judging.sweeps++
		fresh = s.watched.fresh
	})
	defer s.locked(func() { s.judging.sweeps-- })
	if err := s.Checkpoint(); err != nil { // who comes later is judged by the new definitions anyway
		return err
	}
	x := &sweep{s: s, only: only, pace: newPace(sweepShare)}
	x.pace.begin()
	defer func() { x.pace.end() }()
	x.linked.start(s)
	defer x.linked.stop()
	at, more := from, true
	if from != (Hash{}) {
		at, more = after(from)
	}
	told := time.Now()
	for more {
		began := time.Now()
		last, whole, err := x.batch(ctx, at)
		if err != nil {
			return fmt.Errorf("people: sweeping: %w", err)
		}
		many := false
		s.locked(func() { many = len(s.dirtyNodes) > s.o.Hold }) // the room is for requests
		tell := whole || progress != nil && time.Since(told) > min(s.o.Every, sweepTell)
		if tell || many {
			if err := s.Checkpoint(); err != nil {
				return err
			}
		}
		if tell {
			told = time.Now()
			if progress != nil && whole {
				progress(Hash{}, x.persons+x.linked.persons, 1)
			} else if progress != nil {
				progress(last, x.persons+x.linked.persons, float64(binary.BigEndian.Uint64(last[:]))/math.MaxUint64)
			}
		}
		if whole {
			s.locked(func() {
				if s.watched.fresh == fresh { // else there are newer definitions
					s.watched.fresh = nil
				}
			})
			break
		}
		at, more = after(last)
		if err := x.rest(ctx, time.Since(began)); err != nil {
			return fmt.Errorf("people: sweeping: %w", err)
		}
	}
	return nil
}

// rest leaves the machine to others for as long as a batch took. Nobody waits for a
// sweep, but what it leaves behind, collections of garbage, checkpoints and compactions,
// has no lower priority than requests: they are to be half of the time without.
func (x *sweep) rest(ctx context.Context, took time.Duration) error {
	x.pace.end()
	defer x.pace.begin()
	select {
	case <-x.s.stop:
		return eventlog.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(took):
		return nil
	}
}

// batch judges who has a place from at on; last is the last place, and whole says that
// there is nothing behind it.
func (x *sweep) batch(ctx context.Context, at Hash) (last Hash, whole bool, err error) {
	machine.collectLess()
	s := x.s
	s.locked(func() { x.drops = s.drops })
	x.found, x.looks = x.found[:0], x.looks[:0]
	defer func() { err = errors.Join(err, x.close()) }()
	if err := x.open(at); err != nil {
		return last, false, err
	}
	for n := 0; x.facets.Key() != nil && n < sweepFacets; n++ {
		if last, err = keyspace.ParseFacet(x.facets.Key()); err != nil {
			return last, false, err
		}
		if err = x.facet(last); err == nil {
			err = x.pause(ctx)
		}
		if err != nil {
			return last, false, err
		}
		x.facets.Next()
	}
	whole = x.facets.Key() == nil
	if err := x.lookUp(ctx); err != nil {
		return last, false, err
	}
	if err := x.keep(); err != nil {
		return last, false, err
	}
	return last, whole, errors.Join(x.members(ctx, at, last, whole), x.linked.wait())
}

// members judges who is in an audience whose rule changed, between two places.
func (x *sweep) members(ctx context.Context, at, last Hash, whole bool) error {
	if x.only == nil {
		return nil // they have facets
	}
	s := x.s
	for _, audience := range x.only.Audiences {
		from := keyspace.AppendMember(nil, audience, at)
		_, to := keyspace.Bounds(keyspace.AppendMemberPrefix(nil, audience))
		if !whole {
			to = append(keyspace.AppendMember(nil, audience, last), 0)
		}
		var list []Hash
		err := s.o.DB.Iter(from, to, func(k, _ []byte) (bool, error) {
			_, h, err := keyspace.ParseMember(k)
			list = append(list, h)
			return true, err
		})
		if err != nil {
			return err
		}
		for _, h := range list {
			who, err := s.stoodBy(h)
			if err != nil {
				return err
			}
			if !who.IsZero() { // else they have left since
				x.linked.judge(who, h)
			}
			if err := x.pause(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *sweep) open(at Hash) (err error) {
	for _, w := range [...]struct {
		walker **engine.Walker
		from   []byte
		space  []byte
	}{
		{&x.facets, keyspace.AppendFacet(nil, at), keyspace.AppendSpace(nil, keyspace.Facet)},
		{&x.keys, keyspace.AppendVault(nil, keyspace.VaultFacet, at[:]), keyspace.AppendVault(nil, keyspace.VaultFacet, nil)},
	} {
		_, upper := keyspace.Bounds(w.space)
		if *w.walker, err = x.s.o.DB.NewWalker(w.from, upper); err != nil {
			return err
		}
	}
	return x.records.open(x.s)
}

func (x *sweep) close() (err error) {
	for _, w := range [...]**engine.Walker{&x.facets, &x.keys} {
		if *w != nil {
			err = errors.Join(err, (*w).Close())
			*w = nil
		}
	}
	return errors.Join(err, x.records.close())
}

// pause lets others go first.
func (x *sweep) pause(ctx context.Context) error {
	x.pace.tick()
	select {
	case <-x.s.stop:
		return eventlog.ErrClosed
	default:
		return ctx.Err()
	}
}

// absent says that nothing of who has nothing but a facet is in memory, or was since the
// walkers were opened. The lock is held.
func (x *sweep) absent(o id.ID, facet Hash) bool {
	s := x.s
	return s.nodes[o] == nil && s.facets[facet] == nil && s.drops == x.drops
}

// keep keeps what alone has found. Who came into memory since is judged as all others.
func (x *sweep) keep() error {
	s := x.s
	var others []id.ID
	err := patiently(func() error {
		for i := range x.found {
			s.mu.Lock()
			if p := &x.found[i]; !x.keepOne(p) {
				others = append(others, p.node.id)
			}
			s.mu.Unlock()
			// Who lets go of a lock and takes it again at once gets it before those who
			// wait have woken.
			runtime.Gosched()
		}
		return nil
	})
	clear(x.found)
	x.found = x.found[:0]
	for _, o := range others {
		if err == nil {
			_, err = s.sweepOne(o)
		}
		x.pace.tick()
	}
	return err
}

func (x *sweep) keepOne(p *found) bool {
	s := x.s
	if !x.absent(p.node.id, p.facet) {
		return false
	}
	if _, filling := s.filling[p.facet]; filling || s.erasing[p.facet] {
		return false // the facet is another than was judged
	}
	w := want{s: s, drops: x.drops, guests: true, gotNodes: []*node{p.node}} // nothing needs the facet
	w.install()
	if s.nodes[p.node.id] != p.node || len(p.node.pairs) > 0 || len(p.node.facets) != 1 {
		return false
	}
	s.snapshot(&p.judged, p.node, nil)
	return s.keep(&p.judged, p.now, p.at, p.judged.cause(p.at))
}

// sameStanding says that a standing has the record that another has.
func sameStanding(a, b *segment.Standing) bool {
	if never(a) || never(b) {
		return never(a) && never(b)
	}
	x, _ := a.AppendBinary(nil) // its error is always nil
	y, _ := b.AppendBinary(nil)
	return a == b || a.Until == b.Until && bytes.Equal(x, y)
}

// grew has somebody judged who had a new facet, or the first evidence with somebody,
// while a sweep went on: it may have passed them. What a crash takes of that a replay
// marks. The lock is held.
func (s *Store) grew(n *node, seq uint64, at int64) {
	if n != nil && n.id != graph.Everybody() && s.judges && (s.judging.sweeps > 0 || s.replaying) {
		s.mark(n, facet.Everything(), seq, at)
	}
}

// sweepOne judges the person of an identifier, and gives the person's members; none when
// nobody was judged.
func (s *Store) sweepOne(x id.ID) (members []Hash, err error) {
	for range sweepTries {
		now := s.o.Now().UnixMilli()
		snap, err := s.canonical(x, now, s.seeAside)
		if err != nil || snap.of == nil {
			return nil, err
		}
		now = max(now, snap.judged)
		st := s.o.Judge(&snap, now)
		kept := false
		err = before(func() error {
			s.mu.Lock()
			defer s.mu.Unlock()
			kept = s.keep(&snap, st, now, snap.cause(now))
			switch {
			case !kept && s.failed == nil:
				return s.o.Log.Admit()
			case kept && snap.c == nil:
				members = []Hash{snap.of.hash}
			case kept:
				for _, m := range snap.c.Members {
					members = append(members, s.nodes[m].hash)
				}
			}
			return s.failed
		})
		if kept || err != nil {
			return members, err
		}
	}
	return nil, nil // they are busy: whoever marked them judges them by the same definitions
}
