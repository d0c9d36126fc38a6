package people

import (
	"errors"
	"fmt"
	"strings"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/vault"
)

// filled is what a fill found for one facet. Its memory is used again for the next.
type filled struct {
	hash   Hash
	series facet.Partial
	key    *vault.Key // of the facet; nil when it was not needed yet
	stored []byte     // the facet's record as it was read; empty: another is to be read

	place, sealed []byte    // the record that is to be written
	owner         facet.Key // whose it is
}

// writing adds what a fill has found, while the fill reads on.
type writing struct {
	x    *fill
	pace pace
	busy bool          // something is being written
	list []filled      // what is, or was last
	todo chan []filled // what is
	done chan error    // and what became of it

	ended chan struct{} // closed when the thread has

	// What follows is the thread's that writes, while it does.
	warm   bool   // something was filled in memory only
	drops  uint64 // of the store, before the walk began
	facet  opened // scratch: a facet,
	plain  []byte // its record,
	packed []byte // and packed
}

// start has a thread ready that writes; stop ends it.
func (w *writing) start() {
	w.todo, w.done, w.ended = make(chan []filled, 1), make(chan error, 1), make(chan struct{})
	go func() {
		defer close(w.ended)
		_ = aside(func() error { // it gives no error of its own
			for list := range w.todo {
				w.done <- w.write(list)
			}
			return nil
		})
	}()
}

func (w *writing) stop() {
	close(w.todo)
	<-w.ended
}

// begin has what is ready written, once what was before is. The list is the
// thread's from now on; that of before is given back, emptied.
func (w *writing) begin(list []filled) (spare []filled, err error) {
	if err := w.wait(); err != nil || len(list) == 0 {
		return list, err
	}
	spare, w.list, w.busy = w.list[:0], list, true
	w.todo <- list
	return spare, nil
}

// wait waits until nothing is being written.
func (w *writing) wait() error {
	if !w.busy {
		return nil
	}
	w.busy = false
	return <-w.done
}

// write adds what was found to its facets: in memory, where they are there;
// otherwise on the disk, past the memory, so that a fill of millions does not
// push out those whom requests need.
//
// A facet that is not in memory may come into it at any time, as it is on the
// disk. So its hash is in Store.filling, which keeps it out, from before it is
// known to be absent until it is written; what was read for a request before
// that is thrown away (Store.drops). And if anything left memory since this run
// read the facet's record, the record may be old: it is read again, and so are all that
// the walk reads from then on, which sees the disk as it was when the walk began.
func (w *writing) write(found []filled) error {
	w.pace.begin()
	defer w.pace.end()
	drops := w.drops // before what is written now was read
	for len(found) > 0 {
		list, err := w.prepare(w.inMemory(found))
		if err != nil {
			return err
		}
		var came []filled
		again := false
		err = before(func() (err error) {
			came, again, err = w.put(list, &drops)
			return err
		})
		if err != nil {
			return err
		}
		if found = came; again {
			for i := range list {
				list[i].stored = list[i].stored[:0]
			}
			found = list
		}
	}
	return nil
}

// put writes the records of those who are not in memory, and gives those who came there
// since it was looked. again says that something left memory, so that what was read may be
// old; then nothing is written, and drops is as of now.
//
// Requests wait for the lock, and their commits for one that began before theirs: so it
// must not be work aside.
func (w *writing) put(list []filled, drops *uint64) (came []filled, again bool, err error) {
	s := w.x.s
	s.mu.Lock()
	if s.failed != nil {
		defer s.mu.Unlock()
		return nil, false, s.failed
	}
	if s.drops != *drops {
		defer s.mu.Unlock()
		*drops = s.drops
		return nil, true, nil
	}
	absent, came := foremost(list, func(f *filled) bool { return s.facets[f.hash] == nil })
	s.filling = make(map[Hash]struct{}, len(absent))
	for i := range absent {
		s.filling[absent[i].hash] = struct{}{}
	}
	s.mu.Unlock()
	err = w.commit(absent)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filling = nil
	if s.drops++; s.drops == *drops+1 { // what else was read is as good as before
		if w.drops == *drops {
			w.drops++
		}
		*drops++
	}
	for i := range absent {
		s.changed(absent[i].owner)
	}
	return came, false, err
}

// foremost moves those that are first to the front of a list.
func foremost(list []filled, first func(*filled) bool) (front, back []filled) {
	n := 0
	for i := range list {
		if first(&list[i]) {
			list[n], list[i] = list[i], list[n]
			n++
		}
	}
	return list[:n], list[n:]
}

// inMemory fills the facets that are in memory, and gives the others.
func (w *writing) inMemory(list []filled) (rest []filled) {
	const hold = 8 // facets that are filled in one hold of the lock
	s := w.x.s
	s.locked(func() {
		rest, _ = foremost(list, func(f *filled) bool { return s.facets[f.hash] == nil })
	})
	for from := len(rest); from < len(list); from += hold {
		some := list[from:min(from+hold, len(list))]
		s.locked(func() {
			for i := range some {
				f := &some[i]
				if h := s.facets[f.hash]; h == nil { // it has left since
					n := len(rest)
					rest = list[:n+1]
					rest[n], *f = *f, rest[n]
				} else if c := h.f.Fill(f.series, w.x.o.IDs); !c.IsZero() { // else it was, by a run before
					w.warm = true
					s.changed(h.f.Key)
					if !h.dirty {
						h.dirty = true
						s.dirtyFacets = append(s.dirtyFacets, h)
					}
				}
			}
		})
		w.pace.tick()
	}
	return rest
}

// prepare makes the records of facets that are not in memory, and leaves out
// those that are gone or filled.
func (w *writing) prepare(list []filled) ([]filled, error) {
	s, n := w.x.s, 0
	ready := func(i int) {
		list[n], list[i] = list[i], list[n]
		n++
	}
	for i := range list {
		f := &list[i]
		if len(f.sealed) > 0 && len(f.stored) > 0 { // made in a round before
			ready(i)
			continue
		}
		var err error
		if f.key == nil {
			if f.key, err = s.o.Vault.FacetKeyOnce(f.hash); errors.Is(err, vault.ErrNoKey) {
				continue // it was erased
			} else if err != nil {
				return nil, err
			}
		}
		f.place = keyspace.AppendFacet(f.place[:0], f.hash)
		if len(f.stored) == 0 {
			found, err := s.o.DB.Get(f.place, func(v []byte) error { f.stored = append(f.stored, v...); return nil })
			if err != nil {
				return nil, err
			}
			if !found {
				continue // the same, or it came into memory just now and is not on the disk: see fresh
			}
		}
		h := &w.facet
		if w.packed, err = s.openInto(h, w.packed, f.hash, f.place, f.stored, f.key); err != nil {
			return nil, err
		}
		if c := h.f.Fill(f.series, w.x.o.IDs); c.IsZero() {
			continue
		}
		f.owner = h.f.Key
		f.owner.AnonymousID, f.owner.UserID = strings.Clone(f.owner.AnonymousID), strings.Clone(f.owner.UserID)
		w.plain = h.append(w.plain[:0])
		w.packed = s.packer.Pack(append(w.packed[:0], heldVersion), w.plain)
		f.sealed = f.key.Seal(f.sealed[:0], w.packed, f.place)
		ready(i)
		w.pace.tick()
	}
	return list[:n], nil
}

// openHeld reads a facet's record with its key.
func (s *Store) openHeld(h Hash, place, sealed []byte, key *vault.Key) (*held, error) {
	var o opened
	_, err := s.openInto(&o, nil, h, place, sealed, key)
	return o.held, err
}

// openInto is openHeld for who keeps none of what they read. scratch is given back.
func (s *Store) openInto(o *opened, scratch []byte, h Hash, place, sealed []byte, key *vault.Key) ([]byte, error) {
	scratch, err := key.Open(scratch[:0], sealed, place)
	if err != nil {
		return scratch, fmt.Errorf("record %x: %w", place, err)
	}
	return scratch, s.decodeInto(o, scratch, h)
}

// commit writes records. They tell nothing that was not on the disk before, so
// nobody has to wait for the log, and a loss of them is a fill that is begun
// again.
func (w *writing) commit(list []filled) error {
	if len(list) == 0 {
		return nil
	}
	b := w.x.s.o.DB.NewBatch()
	defer b.Discard()
	for i := range list {
		b.Set(list[i].place, list[i].sealed)
	}
	return b.Commit(false)
}

// changed drops the profiles that a facet may be part of. Unlike contributed it
// is for facets whose identifiers need not be in memory. The lock is held.
func (s *Store) changed(k facet.Key) {
	for _, o := range owners(k) {
		n := s.nodes[o]
		if n == nil {
			continue // who is not in memory has no profile kept
		}
		for v := id.VerifiedView; v <= id.AllView; v++ {
			if c := n.clusters[v]; c != nil {
				c.forget(s)
			}
		}
	}
}
