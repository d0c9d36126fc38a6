package people

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/reuna/reuna/identity/facet"
)

// tail is what the log's tail has for facets from one hash on up to another.
//
// Invariant: an event up to UpTo is in the tail or in a history, by whether its
// number is above settled, which is where settling stood before the tail was
// read; and settled entries stay in histories. What settles later is in both, and
// left out of the histories.
type tail struct {
	settled uint64
	until   *Hash // where it ends, not included; nil: with the last facet
	list    []tailEntry
	bytes   []byte
	next    int    // of list
	erased  uint64 // the newest erasure that is reckoned with
}

// tailEntry is one event: bytes[from:to] of the tail.
type tailEntry struct {
	facet    Hash
	seq      uint64
	from, to int
}

func (a tailEntry) compare(b tailEntry) int {
	return cmp.Or(bytes.Compare(a.facet[:], b.facet[:]), cmp.Compare(a.seq, b.seq))
}

// readTail reads the tail for the facets from where the run stands on, as many
// as there is room for.
func (x *fill) readTail(ctx context.Context) (err error) {
	for range fillTries {
		before := x.events
		if err = x.tryTail(ctx); !settledMeanwhile(err) {
			return err
		}
		x.events = before // settling was quicker: now it is in histories
	}
	return err
}

func (x *fill) tryTail(ctx context.Context) error {
	s, t := x.s, &x.tail
	cursor, err := s.o.Log.Cursor(historyCursor)
	if err != nil {
		return err
	}
	*t = tail{settled: cursor.Seq, list: t.list[:0], bytes: t.bytes[:0]}
	gone, newest, err := s.takenAway()
	if err != nil {
		return err
	}
	t.erased = newest
	if x.o.UpTo <= t.settled {
		return nil
	}
	again := x.at != x.o.From // read once before, for other facets
	for from := t.settled + 1; from <= x.o.UpTo; {
		last := from
		err := s.o.Log.Read(from, func(seq uint64, _ int64, entry []byte) (bool, error) {
			if seq > x.o.UpTo {
				return false, nil
			}
			last = seq
			if gone[seq] {
				return true, nil
			}
			if err := x.keep(seq, entry); err != nil {
				return false, fmt.Errorf("entry %d: %w", seq, err)
			}
			return seq-from < fillLook, nil
		})
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if from = last + 1; !again {
			x.first = float64(last-t.settled) / float64(x.o.UpTo)
		}
		if err := x.tell(false); err != nil {
			return err
		}
	}
	slices.SortFunc(t.list, tailEntry.compare)
	return nil
}

// keep keeps an entry if it is wanted and there is room for its facet.
func (x *fill) keep(seq uint64, entry []byte) error {
	x.pace.few()
	wanted, err := x.wanted(entry, x.oldest)
	if err != nil || !wanted {
		return err
	}
	if _, err := decodeEvent(&x.event, string(entry[1:])); err != nil {
		return err
	}
	if x.event.Timestamp < x.oldest {
		return nil
	}
	t := &x.tail
	h := x.s.hashFacet(facet.KeyOf(&x.event, x.s.o.Log.OriginNumberOf(seq)))
	if bytes.Compare(h[:], x.at[:]) < 0 || t.until != nil && bytes.Compare(h[:], t.until[:]) >= 0 {
		return nil
	}
	from := len(t.bytes)
	t.bytes = append(t.bytes, entry...)
	t.list = append(t.list, tailEntry{h, seq, from, len(t.bytes)})
	if len(t.bytes)+len(t.list)*tailEntryBytes > x.o.TailBytes {
		t.halve()
	}
	return nil
}

// tailEntryBytes is the size of a tailEntry.
const tailEntryBytes = 48

// halve lets go of the facets in the upper half, unless there is one only. They
// get their turn when the others are done.
func (t *tail) halve() {
	slices.SortFunc(t.list, tailEntry.compare)
	cut := t.list[len(t.list)/2].facet
	if t.list[0].facet == cut {
		i, _ := slices.BinarySearchFunc(t.list, cut, func(e tailEntry, h Hash) int { return bytes.Compare(e.facet[:], h[:]) + 1 })
		for i < len(t.list) && t.list[i].facet == cut {
			i++
		}
		if i == len(t.list) {
			return
		}
		cut = t.list[i].facet
	}
	t.until = &cut
	keep := t.list[:0]
	for _, e := range t.list {
		if bytes.Compare(e.facet[:], cut[:]) < 0 {
			keep = append(keep, e)
		}
	}
	t.list = keep
	kept := make([]byte, 0, cap(t.bytes)) // the entries are in no order that copying within could keep
	for i := range keep {
		e := &keep[i]
		from := len(kept)
		kept = append(kept, t.bytes[e.from:e.to]...)
		e.from, e.to = from, len(kept)
	}
	t.bytes = kept
}

// takenAway are the entries in the tail that erasures took and nobody has
// overwritten yet, and the newest erasure.
func (s *Store) takenAway() (gone map[uint64]bool, newest uint64, err error) {
	list, err := s.Erasures(0, math.MaxInt)
	if err != nil {
		return nil, 0, err
	}
	gone = map[uint64]bool{}
	for _, e := range list {
		newest = max(newest, e.Seq)
		for _, n := range e.Entries {
			gone[n] = true
		}
	}
	return gone, newest, nil
}

// forgetErased drops what erasures took that came after the tail was read. The
// lock of settling is held, so none is under way.
func (t *tail) forgetErased(s *Store) error {
	newest, err := s.Erasures(0, 1)
	if err != nil || len(newest) == 0 || newest[0].Seq <= t.erased {
		return err
	}
	list, err := s.Erasures(0, math.MaxInt)
	if err != nil {
		return err
	}
	gone := map[Hash]uint64{} // facet: the erasure
	for _, e := range list {
		if e.Seq <= t.erased {
			break // newest first
		}
		for _, h := range e.Facets {
			gone[h] = max(gone[h], e.Seq)
		}
	}
	rest := slices.DeleteFunc(t.list[t.next:], func(e tailEntry) bool { return e.seq < gone[e.facet] })
	t.list = t.list[:t.next+len(rest)]
	t.erased = newest[0].Seq
	return nil
}
