package people

import (
	"fmt"

	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/trait/rule"
	"github.com/reuna/reuna/identity/wire"
	"github.com/reuna/reuna/storage/keyspace"
)

// lookForStandings sets stands.
func (s *Store) lookForStandings() error {
	s.stands.Store(s.judges)
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Standing))
	return s.o.DB.Iter(lower, upper, func(_, _ []byte) (bool, error) {
		s.stands.Store(true)
		return false, nil
	})
}

// storedOf is what the disk has of a standing when its record was written.
func storedOf(st *segment.Standing) stored {
	x := stored{found: !never(st), due: dueSecond(st)}
	if st != nil {
		x.in = st.In
	}
	return x
}

// never says that a standing need not be kept.
func never(st *segment.Standing) bool { return st == nil || len(st.In) == 0 && st.Until == rule.Never }

// dueSecond is the second of the due index under which a standing is found.
func dueSecond(st *segment.Standing) int64 {
	if st == nil || st.Until == rule.Never {
		return noDue
	}
	return max(1, st.Until/1000)
}

const standingVersion = 1

// append makes the record of a standing: the last entry that told of it, whose it is,
// until when it holds, the standing. Until stands by itself since one that a replay put
// together does not know what it is made of.
func (st *stand) append(dst []byte, x id.ID) []byte {
	dst = wire.AppendUint(append(dst, standingVersion), st.seq)
	dst = wire.AppendText(wire.AppendText(dst, x.Type), x.Value)
	dst = wire.AppendInt(dst, st.now.Until)
	dst, _ = st.now.AppendBinary(dst) // its error is always nil
	return dst
}

func decodeStand(record string) (x id.ID, seq uint64, st *segment.Standing, err error) {
	r := wire.NewReader(record)
	version := r.Byte()
	seq = r.Uint()
	x.Type, x.Value = r.Text(), r.Text()
	until := r.Int()
	rest := r.Rest()
	if r.Bad() || version != standingVersion || x.IsZero() {
		return x, 0, nil, fmt.Errorf("people: a stored standing of version %d is corrupt; this program reads %d", version, standingVersion)
	}
	if st, err = segment.DecodeStanding([]byte(rest)); err == nil {
		st.Until = until
	}
	return x, seq, st, err
}

// standRecord is a standing on its way to the disk.
type standRecord struct {
	owner     Hash
	was, is   stored
	from, to  int  // the record in writer.stood
	wakesOnce bool // its wake was heard
}

// standing notes n's standing to be written; the lock is held, so only copy.
func (w *writer) standing(n *node) {
	st := n.stand
	x := standRecord{owner: n.hash, was: st.stored, is: storedOf(st.now), from: len(w.stood), wakesOnce: st.stored.woken}
	if x.is.found {
		w.stood = st.append(w.stood, n.id)
	}
	x.to = len(w.stood)
	st.stored, st.dirty = x.is, false
	w.stands = append(w.stands, x)
}

// standings writes what standing noted, without the lock: each with its places in the
// audiences and in the due index, in one batch.
func (w *writer) standings() {
	for i := range w.stands {
		x := &w.stands[i]
		if w.err != nil {
			break
		}
		x.places(func(key, val []byte) {
			if val == nil {
				w.b.Delete(key)
			} else {
				w.b.Set(key, val)
			}
		})
		if x.was.due != x.is.due && x.was.due != noDue {
			w.b.Delete(keyspace.AppendDue(nil, x.was.due, x.owner))
		}
		if x.is.due != noDue && x.was.due != x.is.due {
			w.b.Set(keyspace.AppendDue(nil, x.is.due, x.owner), nil)
		}
		if x.wakesOnce {
			w.b.Delete(keyspace.AppendDue(nil, wakeSecond, x.owner))
		}
		place := keyspace.AppendStanding(nil, x.owner)
		if x.is.found {
			w.ciphertext, w.err = w.s.seal(w.ciphertext[:0], x.owner, place, w.stood[x.from:x.to], w.b)
		} else if x.was.found {
			w.b.Delete(place)
		}
		w.flushFull()
	}
	clear(w.stood)
	w.stands, w.stood = w.stands[:0], w.stood[:0]
}

// places calls write for each place in an audience that is another than on the disk; val
// is nil for one that is no more.
func (x *standRecord) places(write func(key, val []byte)) {
	was, is := x.was.in, x.is.in // both ascending
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(is) == 0 || len(was) > 0 && was[0].Audience < is[0].Audience:
			write(keyspace.AppendMember(nil, was[0].Audience, x.owner), nil)
			was = was[1:]
			continue
		case len(was) > 0 && was[0] == is[0]: // it is there
			was = was[1:]
		default:
			write(keyspace.AppendMember(nil, is[0].Audience, x.owner), wire.AppendInt([]byte{memberVersion}, is[0].Since))
			if len(was) > 0 && was[0].Audience == is[0].Audience {
				was = was[1:]
			}
		}
		is = is[1:]
	}
}

const memberVersion = 1 // in clear: since when, ms
