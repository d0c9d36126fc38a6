package people

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/vault"
)

// look is an identifier of a facet that a sweep has read.
type look struct {
	id     id.ID
	hash   Hash
	facet  opened
	absent bool // from memory
}

// has says that a facet has one of some series.
func has(f *facet.Facet, series []uint32) bool {
	return slices.ContainsFunc(series, f.Computed.Has)
}

// facet reads the facet that the walkers stand on, and notes its identifiers.
func (x *sweep) facet(h Hash) (err error) {
	s := x.s
	key, err := x.facetKey(h)
	if err != nil {
		return goneIsNobody(err)
	}
	v, err := x.facets.Value()
	if err != nil {
		return err
	}
	if len(x.spares) == 0 {
		x.spares = append(x.spares, opened{})
	}
	o := &x.spares[len(x.spares)-1]
	if x.packed, err = s.openInto(o, x.packed, h, x.facets.Key(), v, key); err != nil {
		// It may have been erased and have come again, under another key.
		if o.held, err = s.readFacet(h); err != nil || o.held == nil {
			return goneIsNobody(err)
		}
	}
	if x.only != nil && !has(o.f, x.only.Series) {
		return nil
	}
	for _, y := range owners(o.f.Key) {
		x.looks = append(x.looks, look{id: y, hash: s.hashID(y), facet: *o})
	}
	*o = opened{} // it is theirs
	x.spares = x.spares[:len(x.spares)-1]
	return nil
}

// facetKey is the key of the facet that the walkers stand on. It may have been destroyed
// since they were opened: then what is read with it is thrown away (absent).
func (x *sweep) facetKey(h Hash) (*vault.Key, error) {
	x.key = keyspace.AppendVault(x.key[:0], keyspace.VaultFacet, h[:])
	if !forward(x.keys, x.key) {
		return x.s.o.Vault.FacetKeyOnce(h)
	}
	val, err := x.keys.Value()
	if err != nil {
		return nil, err
	}
	return x.s.o.Vault.FacetKeyAt(h, val)
}

// lookUp judges the persons of the identifiers that were noted, in the order in which
// these lie on the disk: neighbours stand in the same blocks.
func (x *sweep) lookUp(ctx context.Context) (err error) {
	slices.SortFunc(x.looks, func(a, b look) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	for i := range x.looks {
		if i%lookTogether == 0 {
			x.areAbsent(x.looks[i:min(i+lookTogether, len(x.looks))])
		}
		l := &x.looks[i]
		k, done := l.facet.f.Key, false
		if l.absent && x.records.lone(l.hash, l.facet.hash) && (k.AnonymousID == "" || k.UserID == "") && k.Owner(id.VerifiedView, false) == l.id {
			done = x.alone(l)
		}
		if done {
			x.persons++
		} else {
			x.linked.judge(l.id, l.hash)
		}
		if err := x.pause(ctx); err != nil {
			return err
		}
		l.facet = opened{}
	}
	return nil
}

// lookTogether is for how many it is looked at once whether they are in memory.
const lookTogether = 64

// areAbsent looks who is not in memory. Who comes there afterwards and changes is judged
// for that; if there is something to keep it is looked again (keepOne).
func (x *sweep) areAbsent(list []look) {
	x.s.locked(func() {
		for i := range list {
			list[i].absent = x.absent(list[i].id, list[i].facet.hash)
		}
	})
}

// alone judges who has nothing but a facet, and is not in memory, by its record; false:
// that cannot be read.
func (x *sweep) alone(l *look) (done bool) {
	s := x.s
	n := &node{id: l.id, hash: l.hash, facets: []Hash{l.facet.hash}, used: true}
	if x.records.standing(s, n) != nil {
		return false // it may have been erased since; else who reads it anew tells what is wrong
	}
	snap := Snapshot{Present: []string{l.id.Type}, Profile: facet.Join([]*facet.Facet{l.facet.f})}
	if n.stand != nil {
		snap.Standing = n.stand.now
	}
	now := s.o.Now().UnixMilli()
	st := s.o.Judge(&snap, now)
	if sameStanding(st, snap.Standing) { // as it is on the disk
		snap.Profile.Release()
		x.spares = append(x.spares, l.facet)
		return true
	}
	if x.records.rest(s, n) != nil {
		return false // likewise
	}
	x.found = append(x.found, found{n, l.facet.hash, Snapshot{Profile: snap.Profile, Present: snap.Present}, st, now})
	return true
}

// records are what the disk has by identifier, as it was when they were opened. They
// are asked for one identifier after the other, in the order of their hashes.
type records struct {
	names, pairs, standings, sessions, tombs *engine.Walker
	key, room                                []byte
	last                                     Hash // that was asked for
}

func (r *records) open(s *Store) (err error) {
	r.last = Hash{}
	for _, w := range [...]struct {
		walker **engine.Walker
		space  keyspace.Space
	}{
		{&r.names, keyspace.Node}, {&r.pairs, keyspace.Pair}, {&r.standings, keyspace.Standing},
		{&r.sessions, keyspace.Session}, {&r.tombs, keyspace.Tombstone},
	} {
		lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, w.space))
		if *w.walker, err = s.o.DB.NewWalker(lower, upper); err != nil {
			return err
		}
	}
	return nil
}

func (r *records) close() (err error) {
	for _, w := range [...]**engine.Walker{&r.names, &r.pairs, &r.standings, &r.sessions, &r.tombs} {
		if *w != nil {
			err = errors.Join(err, (*w).Close())
			*w = nil
		}
	}
	return err
}

// lone says that an identifier has no other facet than f, nor evidence.
func (r *records) lone(h, f Hash) bool {
	if h == r.last {
		return false // it has two
	}
	r.last = h
	r.key = keyspace.AppendNodePrefix(r.key[:0], h)
	ahead(r.names, r.key)
	if k := r.names.Key(); !bytes.HasPrefix(k, r.key) || !bytes.HasSuffix(k, f[:]) {
		return false
	}
	r.names.Next()
	if bytes.HasPrefix(r.names.Key(), r.key) {
		return false
	}
	r.key = keyspace.AppendPairPrefix(r.key[:0], h)
	ahead(r.pairs, r.key)
	return !bytes.HasPrefix(r.pairs.Key(), r.key)
}

// ahead has a walker stand on a key, or where it would be.
func ahead(w *engine.Walker, key []byte) (there bool) {
	if k := w.Key(); k != nil && bytes.Compare(k, key) < 0 {
		w.Seek(key)
	}
	return bytes.Equal(w.Key(), key)
}

// plain opens the record at r.key, where a walker comes; nil: there is none. It stands
// until the next is asked for.
func (r *records) plain(s *Store, w *engine.Walker, owner Hash) ([]byte, error) {
	if !ahead(w, r.key) {
		return nil, nil
	}
	key, err := s.o.Vault.FacetKeyOnce(owner)
	if err != nil {
		return nil, err
	}
	v, err := w.Value()
	if err != nil {
		return nil, err
	}
	if r.room, err = key.Open(r.room[:0], v, r.key); err != nil {
		return nil, fmt.Errorf("record %x: %w", r.key, err)
	}
	return r.room, nil
}

// standing reads the standing of who is lone, as readStanding does.
func (r *records) standing(s *Store, n *node) error {
	r.key = keyspace.AppendStanding(r.key[:0], n.hash)
	plain, err := r.plain(s, r.standings, n.hash)
	if plain == nil || err != nil {
		return err
	}
	st := n.standing()
	if _, st.seq, st.now, err = decodeStand(string(plain)); err != nil {
		return fmt.Errorf("people: standing %x: %w", n.hash, err)
	}
	st.stored = storedOf(st.now)
	return nil
}

// rest reads what else there may be of who is lone, as readNode does.
func (r *records) rest(s *Store, n *node) error {
	r.key = keyspace.AppendTombstone(r.key[:0], n.hash)
	if ahead(r.tombs, r.key) {
		v, err := r.tombs.Value()
		if err != nil {
			return err
		}
		t, err := decodeTombstone(v)
		if err != nil {
			return err
		}
		n.erased = t.at
	}
	if n.id.Type != id.AnonymousID {
		return nil
	}
	r.key = keyspace.AppendSession(r.key[:0], n.hash)
	plain, err := r.plain(s, r.sessions, n.hash)
	if plain == nil || err != nil {
		return err
	}
	n.session, err = decodeSession(string(plain))
	return err
}
