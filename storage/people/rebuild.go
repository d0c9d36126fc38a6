package people

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// RebuildOptions say what is derived again, and where.
type RebuildOptions struct {
	// Options are those of the store in question; nobody else may use it
	// meanwhile. Copy an open one first (engine.DB.Checkpoint).
	Options
	// Scratch is an empty store to derive into; it can be thrown away afterwards.
	Scratch *engine.DB
	// Replace puts what was derived in the place of what differs.
	Replace bool
	// Whole says that a series has been filled; nil: all have. Of others only what
	// came behind their Since is derived, and they are not compared; after a Replace
	// their fill must begin anew.
	Whole    func(id uint32) bool
	Progress func(done, total uint64) // entries; may be nil
}

// rules are those by which events fold into what a fill has completed.
func (o *RebuildOptions) rules() facet.Rules {
	r, contribute := o.Rules, o.Rules.Contribute
	if contribute == nil {
		return r
	}
	r.Contribute = func(e *event.Event, seq uint64, add func(*facet.Contribution)) {
		contribute(e, math.MaxUint64, func(c *facet.Contribution) { // behind every Since
			if o.Whole == nil || o.Whole(c.Spec.ID) {
				add(c)
			}
		})
		if o.Whole == nil {
			return
		}
		contribute(e, seq, func(c *facet.Contribution) {
			if !o.Whole(c.Spec.ID) {
				add(c)
			}
		})
	}
	return r
}

// Rebuilt says how what was derived from the events compares with what is stored.
type Rebuilt struct {
	Entries              uint64 // events and evidence that were read
	Facets, Names, Pairs int64  // records compared
	// Unprovable counts records that events led to which were deleted by age.
	Unprovable int64
	// Earlier counts facets that an earlier version of this program folded, which
	// agree in all that it kept apart: page views and visits of people and robots
	// are counted together in them, and the last touch may not be the latest.
	// Replace writes them anew.
	Earlier     int64
	Differences []Difference // the first hundred
	Total       int64        // of differences
	Replaced    int64
}

// Difference is one record that is not what the events lead to.
type Difference struct {
	Key  []byte
	What string
}

// Rebuild derives all facets and all evidence from the events alone, from those
// in histories and those in the log, and compares the result with what is
// stored. It shows that nothing that people know comes from anywhere else.
//
// What it does not derive: sessions and the messages taken, which end by
// themselves, and erasures, whose tombstones are all that is left of them.
func Rebuild(ctx context.Context, o RebuildOptions) (*Rebuilt, error) {
	o.Judge = nil // standings do not follow from the events alone
	source, err := newStore(o.Options)
	if err != nil {
		return nil, err
	}
	defer source.free()
	into := source.o
	into.DB, into.Rules = o.Scratch, o.rules()
	s, err := newStore(into)
	if err != nil {
		return nil, err
	}
	defer s.free()
	s.detached = true
	x := &rebuild{o: o, source: source, s: s, r: &Rebuilt{}}
	if err := x.run(ctx); err != nil {
		return nil, fmt.Errorf("people: rebuild: %w", err)
	}
	return x.r, nil
}

type rebuild struct {
	o         RebuildOptions
	source, s *Store
	r         *Rebuilt
	total     uint64
	expired   bool
}

func (x *rebuild) run(ctx context.Context) (err error) {
	people, err := x.source.o.Log.Cursor(cursorName)
	if err != nil {
		return err
	}
	x.total = people.Seq
	if x.expired, err = x.o.DB.Get(keyspace.AppendMeta(nil, keyspace.MetaExpired), func([]byte) error { return nil }); err != nil {
		return err
	}
	if err := x.readErased(); err != nil {
		return err
	}
	if err := x.fromHistories(ctx); err != nil {
		return err
	}
	if err := x.fromLog(ctx, people.Seq); err != nil {
		return err
	}
	if err := x.s.Checkpoint(); err != nil {
		return err
	}
	for _, space := range [...]keyspace.Space{keyspace.Facet, keyspace.Node, keyspace.Pair} {
		if err := x.compare(ctx, space); err != nil {
			return err
		}
	}
	return nil
}

// take derives what an entry led to.
func (x *rebuild) take(seq uint64, receivedAt int64, entry []byte) error {
	if len(entry) == 0 {
		return errEmpty
	}
	if entry[0] != entryEvent && entry[0] != entryEvidence {
		return nil
	}
	if err := x.s.replay(&logged{seq: seq, receivedAt: receivedAt, entry: string(entry)}); err != nil {
		return fmt.Errorf("entry %d: %w", seq, err)
	}
	x.r.Entries++
	if x.r.Entries%4096 == 0 && x.o.Progress != nil {
		x.o.Progress(x.r.Entries, x.total)
	}
	if len(x.s.dirtyFacets)+len(x.s.dirtyNodes) > x.s.o.Hold { // nobody else uses it
		return x.s.Checkpoint()
	}
	return nil
}

func (x *rebuild) fromHistories(ctx context.Context) error {
	var scratch record.Scratch
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.History))
	return x.o.DB.Iter(lower, upper, func(k, v []byte) (bool, error) {
		_, owner, _, _, err := keyspace.ParseHistory(k)
		if err != nil {
			return false, err
		}
		c, err := parseChunk(k, v)
		if err != nil {
			return false, err
		}
		err = x.source.eachSettled(owner, &c, &scratch, func(seq uint64, receivedAt, _ int64, entry []byte) error {
			return x.take(seq, receivedAt, entry)
		})
		return ctx.Err() == nil, err
	})
}

func (x *rebuild) fromLog(ctx context.Context, upTo uint64) error {
	settled, err := x.source.o.Log.Cursor(historyCursor)
	if err != nil {
		return err
	}
	gone, err := x.source.toOverwrite()
	if err != nil {
		return err
	}
	return x.source.o.Log.Read(settled.Seq+1, func(seq uint64, receivedAt int64, entry []byte) (bool, error) {
		if seq > upTo || ctx.Err() != nil {
			return false, ctx.Err()
		}
		if gone[seq] {
			return true, nil
		}
		return true, x.take(seq, receivedAt, entry)
	})
}

// readErased has the derived store know who was erased.
func (x *rebuild) readErased() error {
	b := x.o.Scratch.NewBatch()
	defer b.Discard()
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Tombstone))
	err := x.o.DB.Iter(lower, upper, func(k, v []byte) (bool, error) {
		b.Set(k, v)
		return true, nil
	})
	if err != nil {
		return err
	}
	x.s.erased.Store(true)
	return b.Commit(true)
}

// notErased leaves out what an event says about identifiers that were erased
// after it: events of others may name them, and no longer link anybody to them.
func (s *Store) notErased(links []graph.Evidence, seq uint64) ([]graph.Evidence, error) {
	var err error
	links = slices.DeleteFunc(links, func(e graph.Evidence) bool {
		a, err1 := s.readTombstone(s.hashID(e.A))
		b, err2 := s.readTombstone(s.hashID(e.B))
		if err == nil {
			err = err1
		}
		if err == nil {
			err = err2
		}
		return a.seq > seq || b.seq > seq
	})
	return links, err
}

// compare walks a space of both stores.
func (x *rebuild) compare(ctx context.Context, space keyspace.Space) error {
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, space))
	b := x.o.DB.NewBatch()
	defer func() { b.Discard() }()
	replace := func(fn func()) error {
		if !x.o.Replace || x.expired {
			return nil
		}
		fn()
		x.r.Replaced++
		if b.Len() < batchBytes {
			return nil
		}
		err := b.Commit(false)
		b = x.o.DB.NewBatch()
		return err
	}
	err := x.o.DB.Iter(lower, upper, func(k, stored []byte) (bool, error) {
		switch space {
		case keyspace.Facet:
			x.r.Facets++
		case keyspace.Node:
			x.r.Names++
		case keyspace.Pair:
			x.r.Pairs++
		}
		same, earlier := false, false
		found, err := x.o.Scratch.Get(k, func(derived []byte) (err error) {
			same, earlier, err = x.equal(space, k, stored, derived)
			if earlier {
				x.r.Earlier++
			}
			if err == nil && (!same || earlier) {
				err = replace(func() { b.Set(k, derived) })
			}
			return err
		})
		switch {
		case err != nil || same:
		case x.expired:
			x.r.Unprovable++
		case found:
			x.differ(k, "is not what the events lead to")
		default:
			x.differ(k, "is stored, and no event leads to it")
			err = replace(func() { b.Delete(k) })
		}
		return ctx.Err() == nil, err
	})
	if err != nil {
		return err
	}
	err = x.o.Scratch.Iter(lower, upper, func(k, derived []byte) (bool, error) {
		found, err := x.o.DB.Get(k, func([]byte) error { return nil })
		if err == nil && !found {
			x.differ(k, "is what the events lead to, and is not stored")
			err = replace(func() { b.Set(k, derived) })
		}
		return ctx.Err() == nil, err
	})
	if err != nil {
		return err
	}
	if err := b.Commit(true); err != nil {
		return err
	}
	return ctx.Err()
}

func (x *rebuild) differ(key []byte, what string) {
	x.r.Total++
	if len(x.r.Differences) < 100 {
		x.r.Differences = append(x.r.Differences, Difference{bytes.Clone(key), what})
	}
}

// equal compares two records by what they say, whatever their versions and
// however they were sealed. What an earlier version did not keep apart is equal
// when it sums up.
func (x *rebuild) equal(space keyspace.Space, k, stored, derived []byte) (same, earlier bool, err error) {
	var plain [2][]byte
	var facets [2]*held
	for i, side := range [...]struct {
		s *Store
		v []byte
	}{{x.source, stored}, {x.s, derived}} {
		switch space {
		case keyspace.Node:
			plain[i] = side.v
		case keyspace.Facet:
			h, err := keyspace.ParseFacet(k)
			if err != nil {
				return false, false, err
			}
			open, err := side.s.unseal(h, k, side.v)
			if err != nil {
				return false, false, err
			}
			f, err := side.s.decodeHeld(open, h)
			if err != nil {
				return false, false, err
			}
			facets[i] = f
		case keyspace.Pair:
			owner, _, err := keyspace.ParsePair(k)
			if err != nil {
				return false, false, err
			}
			open, err := side.s.unseal(owner, k, side.v)
			if err != nil {
				return false, false, err
			}
			p, err := graph.DecodePair(open)
			if err != nil {
				return false, false, err
			}
			plain[i] = p.AppendBinary(nil)
		}
	}
	if space == keyspace.Facet {
		earlier = facets[0].f.Earlier
		facets[0].together(facets[1])
		for _, h := range facets {
			x.computed(h.f)
		}
		plain[0], plain[1] = facets[0].append(nil), facets[1].append(nil)
	}
	same = bytes.Equal(plain[0], plain[1])
	return same, same && earlier, nil
}

// computed leaves of a facet's series those that can be compared: of definitions
// that there are, and filled, whether by a fill or by having been there always; and
// that look back for ever, since a fill reads no further back than anybody can see
// from its time on. Of moments the series does not say how far back they are read, so
// none are compared.
func (x *rebuild) computed(f *facet.Facet) {
	whole := map[uint32]bool{}
	for _, s := range f.Computed.All() {
		whole[s.ID] = s.Window() == 0 && s.Form() != facet.Moments && (x.o.Whole == nil || x.o.Whole(s.ID))
	}
	f.Prune(func(id uint32) bool { return whole[id] })
	f.Computed.SetFilled()
}

// together gives a stored facet of an earlier version what it did not keep from
// the one that was derived, if both can be of the same events.
func (h *held) together(derived *held) {
	f, d := h.f, derived.f
	if !f.Earlier || f.Pageviews+f.BotPageviews != d.Pageviews+d.BotPageviews {
		return
	}
	f.Earlier = false
	f.Pageviews, f.BotPageviews, f.Visits, f.Touch = d.Pageviews, d.BotPageviews, d.Visits, d.Touch
}
