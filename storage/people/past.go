package people

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
	"github.com/reuna/reuna/storage/vault"
)

// Past is a person as they were known at a time.
type Past struct {
	Profile *facet.Profile // never nil
	Events  int64          // that it was folded from
	// From is the beginning of what is still there: events that were received before
	// it were deleted by age, and are missing from the profile. ms since 1970 UTC; 0:
	// nothing was deleted.
	From int64
}

// PastProfile gives the profile that x's person would have had at a time, ms
// since 1970 UTC, by the rules given: that of the events which had been received
// by then, folded anew, by definitions that count all of them whatever their
// Since. Who the person is, is as it is known now. ErrUnknown when nothing is
// known of x.
//
// It reads all that the person's facets have, so it is for explanations and
// samples and not for requests.
func (s *Store) PastProfile(ctx context.Context, x id.ID, v id.View, at int64, rules facet.Rules) (p Past, err error) {
	// Events that wait for a checkpoint have no index entry yet. Who asks for many
	// persons asks as of one time, and one checkpoint does for all.
	if _, full := s.o.DB.Full(); !full && at >= s.indexedTo.Load() {
		now := s.o.Now().UnixMilli()
		if err := s.Checkpoint(); err != nil {
			return p, err
		}
		s.indexedTo.Store(now)
	}
	for range pastTries {
		if p, err = s.pastProfile(ctx, x, v, at, &rules); !settledMeanwhile(err) && !errors.Is(err, vault.ErrNoKey) {
			return p, err
		} // settled, or erased, since the person was put together
	}
	return p, err
}

const pastTries = 4

func (s *Store) pastProfile(ctx context.Context, x id.ID, v id.View, at int64, rules *facet.Rules) (p Past, err error) {
	keys, err := s.facetsOf(x, v)
	if err != nil {
		return p, err
	}
	f := folder{s: s, at: at, rules: rules}
	facets := make([]*facet.Facet, 0, len(keys))
	for _, k := range keys {
		if err := ctx.Err(); err != nil {
			return p, err
		}
		made, n, err := f.fold(k)
		if err != nil {
			return p, fmt.Errorf("people: the past of a person: %w", err)
		}
		if n > 0 {
			facets = append(facets, made)
			p.Events += n
		}
	}
	p.Profile = facet.Join(facets)
	_, err = s.o.DB.Get(keyspace.AppendMeta(nil, keyspace.MetaExpired), func(val []byte) error {
		r := record.NewReader(val)
		r.Version("newest month deleted by age", expiredVersion)
		if m := r.Uvarint(); r.Err() == nil && m < math.MaxUint32 {
			p.From = (keyspace.Month(m) + 1).Begin()
		}
		return r.Done("newest month deleted by age")
	})
	return p, err
}

// facetsOf lists the facets that belong to x's person in a view.
func (s *Store) facetsOf(x id.ID, v id.View) (keys []facet.Key, err error) {
	err = s.see(func(w *want) error {
		n := w.node(x)
		if n != nil && len(n.pairs) == 0 && len(n.facets) == 0 {
			return ErrUnknown
		}
		_, list := s.around(w, n, v)
		keys = keys[:0]
		for _, h := range list {
			keys = append(keys, h.f.Key)
		}
		return nil
	})
	slices.SortFunc(keys, facet.Key.Compare)
	return keys, err
}

// folder folds facets anew.
type folder struct {
	s       *Store
	at      int64
	rules   *facet.Rules
	scratch record.Scratch
	n       int64
}

// fold folds the n events of a facet that had been received. The index is read
// before the histories: what settles meanwhile is then seen twice, taken once.
func (f *folder) fold(k facet.Key) (made *facet.Facet, n int64, err error) {
	s := f.s
	made, f.n = &facet.Facet{Key: k}, 0
	owner := s.hashFacet(k)
	var seqs []uint64
	if _, full := s.o.DB.Full(); full {
		for _, p := range s.unindexed([]Hash{owner}, Place{}) {
			seqs = append(seqs, p.Seq)
		}
	}
	places, err := s.places(owner, Place{}, math.MaxInt)
	if err != nil {
		return nil, 0, err
	}
	for _, p := range places {
		seqs = append(seqs, p.Seq)
	}
	slices.Sort(seqs)
	seqs = slices.Compact(seqs)
	chunks, err := s.chunks(owner)
	if err != nil {
		return nil, 0, err
	}
	settled := map[uint64]bool{}
	for i := range chunks {
		err := s.eachSettled(owner, &chunks[i], &f.scratch, func(seq uint64, receivedAt, _ int64, entry []byte) error {
			if len(seqs) > 0 && seq >= seqs[0] {
				settled[seq] = true
			}
			return f.take(made, seq, receivedAt, entry)
		})
		if err != nil {
			return nil, 0, err
		}
	}
	seqs = slices.DeleteFunc(seqs, func(seq uint64) bool { return settled[seq] })
	err = s.o.Log.GetMany(seqs, func(seq uint64, receivedAt int64, entry []byte) (bool, error) {
		return true, f.take(made, seq, receivedAt, entry)
	})
	return made, f.n, err
}

func (f *folder) take(into *facet.Facet, seq uint64, receivedAt int64, entry []byte) error {
	if receivedAt > f.at || len(entry) == 0 || entry[0] != entryEvent {
		return nil // later, or erased since the index was read
	}
	var e event.Event
	if _, err := decodeEvent(&e, string(entry[1:])); err != nil {
		return fmt.Errorf("entry %d: %w", seq, err)
	}
	into.Fold(&e, math.MaxUint64, f.rules) // behind every Since: as if all had been defined always
	f.n++
	return nil
}

// goneIsNobody passes over what was erased since it was listed.
func goneIsNobody(err error) error {
	if errors.Is(err, vault.ErrNoKey) {
		return nil
	}
	return err
}
