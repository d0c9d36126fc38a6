package people

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
)

// A sweep judges everybody. Nearly everybody has one identifier that has one facet and
// no evidence: who is lone. It is they who make it long, so they are judged from the
// facets' records in the order in which these lie, and do not come into memory unless
// there is something to keep. All others are found by their identifiers.
//
// Invariant: each identifier is looked at once, by its facet where it is lone, by itself
// where it is not. Who stops being lone in between may be missed by both, so they are
// marked for it (Store.grew). Nobody becomes lone but by an erasure, which has those who
// stay judged.
type sweep struct {
	s       *Store
	pace    pace
	persons int64
	drops   uint64 // of the store, before the walkers were opened

	facets, nodes, names, pairs, standings *engine.Walker // names: for one look at a time
	key                                    []byte

	// found are those of a batch whose standing is another one now. They are kept
	// together: each for itself would have the log commit all the while, and requests
	// wait for that.
	found []found
}

// found is who has nothing but a facet, and what they were judged to be.
type found struct {
	node   *node // read from the disk, as is
	facet  *held
	judged Snapshot
	now    *segment.Standing
	at     int64 // ms
}

const (
	// sweepFacets is how many facets a sweep reads between two looks whether to checkpoint.
	sweepFacets = 512
	// sweepShare is the part of one processor that a sweep uses while others wait for one.
	sweepShare = DefaultFillShare
	// sweepTell is the longest time between two calls of its progress.
	sweepTell = 5 * time.Second
)

// Sweep judges everybody with the definitions as they are, from after a hash on; the
// zero Hash begins. progress, when it is not nil, hears where it may go on after a
// crash, how many persons were judged, and which part of all that is; by then what came
// before is on its way to the disk, in front of whatever is written after.
func (s *Store) Sweep(ctx context.Context, from Hash, progress func(at Hash, persons int64, share float64)) error {
	if !s.judges {
		return nil
	}
	return aside(func() error { return s.sweep(ctx, from, progress) })
}

func (s *Store) sweep(ctx context.Context, from Hash, progress func(at Hash, persons int64, share float64)) error {
	s.mu.Lock()
	s.judging.sweeps++
	fresh := s.watched.fresh
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.judging.sweeps--
		s.mu.Unlock()
	}()
	if err := s.Checkpoint(); err != nil { // who comes later is judged by the new definitions anyway
		return err
	}
	x := &sweep{s: s, pace: newPace(sweepShare)}
	at, more := from, true
	if from != (Hash{}) {
		at, more = after(from)
	}
	told := time.Now()
	for more {
		last, whole, err := x.batch(ctx, at)
		if err != nil {
			return fmt.Errorf("people: sweeping: %w", err)
		}
		s.mu.Lock()
		many := len(s.dirtyNodes) > s.o.Hold // the room is for requests
		s.mu.Unlock()
		tell := whole || progress != nil && time.Since(told) > min(s.o.Every, sweepTell)
		if tell || many {
			if err := s.Checkpoint(); err != nil {
				return err
			}
		}
		if tell {
			told = time.Now()
			if progress != nil && whole {
				progress(Hash{}, x.persons, 1)
			} else if progress != nil {
				progress(last, x.persons, float64(binary.BigEndian.Uint64(last[:]))/math.MaxUint64)
			}
		}
		if whole {
			s.mu.Lock()
			if s.watched.fresh == fresh { // else there are newer definitions
				s.watched.fresh = nil
			}
			s.mu.Unlock()
			break
		}
		at, more = after(last)
	}
	return nil
}

// batch judges who has a place from at on; last is the last place, and whole says that
// there is nothing behind it.
func (x *sweep) batch(ctx context.Context, at Hash) (last Hash, whole bool, err error) {
	s := x.s
	s.mu.Lock()
	x.drops = s.drops
	s.mu.Unlock()
	x.found = x.found[:0]
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
	if err := x.keep(); err != nil {
		return last, false, err
	}
	// Those whom no facet alone tells all about.
	for x.nodes.Key() != nil {
		h, f, err := keyspace.ParseNode(x.nodes.Key())
		if err != nil {
			return last, false, err
		}
		if !whole && bytes.Compare(h[:], last[:]) > 0 {
			break
		}
		x.key = keyspace.AppendNodePrefix(x.key[:0], h)
		facets := 0
		for ; bytes.HasPrefix(x.nodes.Key(), x.key); x.nodes.Next() {
			facets++
		}
		if facets == 1 && !x.paired(h) {
			continue
		}
		judged, err := s.sweepOne(named{h, f})
		if judged {
			x.persons++
		}
		if err == nil {
			err = x.pause(ctx)
		}
		if err != nil {
			return last, false, err
		}
	}
	return last, whole, nil
}

func (x *sweep) open(at Hash) (err error) {
	for _, w := range [...]struct {
		walker **engine.Walker
		lower  []byte
		space  keyspace.Space
	}{
		{&x.facets, keyspace.AppendFacet(nil, at), keyspace.Facet},
		{&x.nodes, keyspace.AppendNodePrefix(nil, at), keyspace.Node},
		{&x.names, keyspace.AppendSpace(nil, keyspace.Node), keyspace.Node},
		{&x.pairs, keyspace.AppendSpace(nil, keyspace.Pair), keyspace.Pair},
		{&x.standings, keyspace.AppendSpace(nil, keyspace.Standing), keyspace.Standing},
	} {
		_, upper := keyspace.Bounds(keyspace.AppendSpace(nil, w.space))
		if *w.walker, err = x.s.o.DB.NewWalker(w.lower, upper); err != nil {
			return err
		}
	}
	return nil
}

func (x *sweep) close() (err error) {
	for _, w := range [...]**engine.Walker{&x.facets, &x.nodes, &x.names, &x.pairs, &x.standings} {
		if *w != nil {
			err = errors.Join(err, (*w).Close())
			*w = nil
		}
	}
	return err
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

// paired says that there is evidence about an identifier.
func (x *sweep) paired(h Hash) bool {
	x.key = keyspace.AppendPairPrefix(x.key[:0], h)
	x.pairs.Seek(x.key)
	return bytes.HasPrefix(x.pairs.Key(), x.key)
}

// lone says that an identifier has no other facet than f, nor evidence.
func (x *sweep) lone(h, f Hash) bool {
	w := x.names
	x.key = keyspace.AppendNodePrefix(x.key[:0], h)
	w.Seek(x.key)
	if k := w.Key(); !bytes.HasPrefix(k, x.key) || !bytes.HasSuffix(k, f[:]) {
		return false
	}
	w.Next()
	return !bytes.HasPrefix(w.Key(), x.key) && !x.paired(h)
}

// facet judges the person of a facet's identifier, where that is lone.
func (x *sweep) facet(h Hash) error {
	s := x.s
	key, err := s.o.Vault.FacetKeyOnce(h)
	if err != nil {
		return goneIsNobody(err)
	}
	v, err := x.facets.Value()
	if err != nil {
		return err
	}
	f, err := s.openHeld(h, x.facets.Key(), v, key)
	if err != nil {
		return err
	}
	who := owners(f.f.Key)
	for _, o := range who {
		nh := s.hashID(o)
		if !x.lone(nh, h) {
			continue
		}
		var judged, done bool
		if len(who) == 1 && f.f.Key.Owner(id.VerifiedView, false) == o {
			if done, err = x.alone(o, nh, f); done {
				judged = true
			}
		}
		if !done && err == nil {
			judged, err = s.sweepOne(named{nh, h})
		}
		if judged {
			x.persons++
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// alone judges who has nothing but a facet, by its record; false: something of them is
// in memory, or was while this went on.
func (x *sweep) alone(o id.ID, nh Hash, f *held) (done bool, err error) {
	s := x.s
	s.mu.Lock()
	ok := x.absent(o, f)
	s.mu.Unlock()
	if !ok {
		return false, nil
	}
	snap := Snapshot{Present: []string{o.Type}}
	if snap.Standing, err = x.standing(nh); err != nil {
		return false, goneIsNobody(err)
	}
	snap.Profile = facet.Join([]*facet.Facet{f.f})
	now := s.o.Now().UnixMilli()
	st := s.o.Judge(&snap, now)
	if sameStanding(st, snap.Standing) {
		return true, nil // as it is on the disk
	}
	n, err := s.readNode(o)
	if err != nil {
		return false, goneIsNobody(err)
	}
	x.found = append(x.found, found{n, f, Snapshot{Profile: snap.Profile, Present: snap.Present}, st, now})
	return true, nil
}

// absent says that nothing of who has nothing but a facet is in memory, or was since the
// walkers were opened. The lock is held.
func (x *sweep) absent(o id.ID, f *held) bool {
	s := x.s
	return s.nodes[o] == nil && s.facets[f.hash] == nil && s.drops == x.drops
}

// keep keeps what alone has found. Who came into memory since is judged as all others.
func (x *sweep) keep() error {
	s := x.s
	for i := range x.found {
		p := &x.found[i]
		s.mu.Lock()
		kept := x.keepOne(p)
		s.mu.Unlock()
		if !kept {
			if _, err := s.sweepOne(named{p.node.hash, p.facet.hash}); err != nil {
				return err
			}
		}
		x.pace.tick()
	}
	clear(x.found)
	x.found = x.found[:0]
	return nil
}

func (x *sweep) keepOne(p *found) bool {
	s := x.s
	if !x.absent(p.node.id, p.facet) {
		return false
	}
	w := want{s: s, drops: x.drops, gotNodes: []*node{p.node}, gotFacets: []*held{p.facet}}
	w.install()
	if s.nodes[p.node.id] != p.node || s.facets[p.facet.hash] != p.facet || len(p.node.pairs) > 0 || len(p.node.facets) != 1 {
		return false
	}
	s.snapshot(&p.judged, p.node, nil)
	return s.keep(&p.judged, p.now, p.at, p.judged.cause(p.at))
}

// standing reads what the disk has of an identifier's.
func (x *sweep) standing(nh Hash) (st *segment.Standing, err error) {
	x.key = keyspace.AppendStanding(x.key[:0], nh)
	if x.standings.Seek(x.key); !bytes.Equal(x.standings.Key(), x.key) {
		return nil, nil
	}
	key, err := x.s.o.Vault.FacetKeyOnce(nh)
	if err != nil {
		return nil, err
	}
	v, err := x.standings.Value()
	if err != nil {
		return nil, err
	}
	plain, err := key.Open(nil, v, x.key)
	if err != nil {
		return nil, fmt.Errorf("record %x: %w", x.key, err)
	}
	_, _, st, err = decodeStand(string(plain))
	return st, err
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
// while a sweep went on: it may not have come to them while they were lone. What a crash
// takes of that a replay marks. The lock is held.
func (s *Store) grew(n *node, seq uint64, at int64) {
	if n != nil && n.id != graph.Everybody() && s.judges && (s.judging.sweeps > 0 || s.replaying) {
		s.mark(n, facet.Everything(), seq, at)
	}
}

// sweepOne judges the person of an identifier, if it is the first of theirs that has
// facets.
func (s *Store) sweepOne(n named) (judged bool, err error) {
	x, err := s.standsFor(n)
	if err != nil || x.IsZero() {
		return false, err
	}
	for range judgeTries {
		now := s.o.Now().UnixMilli()
		snap, err := s.canonical(x, now)
		if err != nil || snap.of == nil {
			return false, err
		}
		now = max(now, snap.judged)
		st := s.o.Judge(&snap, now)
		s.mu.Lock()
		kept := s.keep(&snap, st, now, snap.cause(now))
		failed := s.failed
		if failed == nil && !kept {
			failed = s.o.Log.Admit()
		}
		s.mu.Unlock()
		if kept || failed != nil {
			return kept, failed
		}
	}
	return false, nil // they are busy: whoever marked them judges them by the same definitions
}
