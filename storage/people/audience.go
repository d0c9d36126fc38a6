package people

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/identity/wire"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
)

// MemberOf is somebody who is in an audience.
type MemberOf struct {
	ID     id.ID  // who represents the person
	Person string // the person's public id
	Since  int64  // ms since 1970
}

// Members lists up to most of those who are in an audience, in an order that says
// nothing, from after the place that an earlier call gave as next; the zero Hash
// begins. next is zero when there are no more. They are those of the call that began,
// and on a full disk those of the last checkpoint, but for who left since.
func (s *Store) Members(audience uint32, after Hash, most int) (list []MemberOf, next Hash, err error) {
	if _, full := s.o.DB.Full(); !full && after == (Hash{}) {
		if err := s.Checkpoint(); err != nil {
			return nil, next, err
		}
	}
	hashes, since, err := s.membersFrom(audience, after, most+1)
	if err != nil {
		return nil, next, err
	}
	if len(hashes) > most {
		hashes = hashes[:most]
		next = hashes[most-1]
	}
	for i, h := range hashes {
		x, err := s.stoodBy(h)
		if err != nil {
			return nil, Hash{}, err
		}
		if x.IsZero() {
			continue // they have left since
		}
		m := MemberOf{ID: x, Since: since[i]}
		if m.Person, err = s.PersonID(x); err != nil {
			return nil, Hash{}, err
		}
		list = append(list, m)
	}
	return list, next, nil
}

// CountMembers counts who is in an audience: keys on the disk, of whom memory has
// nothing newer, without reading anybody or writing anything.
func (s *Store) CountMembers(audience uint32) (count int64, err error) {
	s.mu.Lock()
	unsaved := slices.Concat(s.dirtyNodes, s.savingNodes)
	s.mu.Unlock()
	newer := map[Hash]bool{} // whether they are in it
	for list := range slices.Chunk(unsaved, slice) {
		s.mu.Lock()
		for _, n := range list {
			if st := n.stand; st != nil && s.nodes[n.id] == n {
				newer[n.hash] = st.now != nil && hasAudience(st.now.In, audience)
			}
		}
		s.mu.Unlock()
	}
	lower, upper := keyspace.Bounds(keyspace.AppendMemberPrefix(nil, audience))
	err = s.o.DB.Iter(lower, upper, func(k, _ []byte) (bool, error) {
		_, h, err := keyspace.ParseMember(k)
		if err != nil {
			return false, err
		}
		if _, ok := newer[h]; !ok {
			count++
		}
		return true, nil
	})
	for _, in := range newer {
		if in {
			count++
		}
	}
	return count, err
}

// membersFrom lists members as the disk has them, by hash.
func (s *Store) membersFrom(audience uint32, after Hash, most int) (list []Hash, since []int64, err error) {
	lower, upper := keyspace.Bounds(keyspace.AppendMemberPrefix(nil, audience))
	if after != (Hash{}) {
		lower = append(keyspace.AppendMember(nil, audience, after), 0)
	}
	err = s.o.DB.Iter(lower, upper, func(k, v []byte) (bool, error) {
		if len(list) == most {
			return false, nil
		}
		_, h, err := keyspace.ParseMember(k)
		if err != nil {
			return false, err
		}
		r := wire.NewReader(string(v))
		version := r.Byte()
		at := r.Int()
		if !r.Done() || version != memberVersion {
			return false, fmt.Errorf("people: a member %x of version %d is corrupt; this program reads %d", k, version, memberVersion)
		}
		list, since = append(list, h), append(since, at)
		return true, nil
	})
	return list, since, err
}

// stoodBy gives the identifier whose hash has a standing on the disk; zero when it has none.
func (s *Store) stoodBy(h Hash) (x id.ID, err error) {
	key := keyspace.AppendStanding(nil, h)
	_, err = s.o.DB.Get(key, func(v []byte) error {
		plain, err := s.unseal(h, key, v)
		if err == nil {
			x, _, _, err = decodeStand(string(plain))
		}
		return err
	})
	return x, goneIsNobody(err)
}

// Retire has everybody leave an audience that is not defined any more: nothing must
// judge anybody to be in it by the time of the call.
func (s *Store) Retire(ctx context.Context, audience uint32) error {
	if err := s.Checkpoint(); err != nil {
		return err
	}
	var after Hash
	for {
		list, _, err := s.membersFrom(audience, after, sweepBatch)
		if err != nil || len(list) == 0 {
			return err
		}
		began := time.Now()
		for _, h := range list {
			x, err := s.stoodBy(h)
			if err == nil && !x.IsZero() {
				err = s.leaveOne(x, audience)
			}
			if err != nil {
				return fmt.Errorf("people: retiring an audience: %w", err)
			}
		}
		after = list[len(list)-1]
		if err := s.breathe(ctx, time.Since(began)); err != nil {
			return err
		}
	}
}

// leaveOne takes a person out of an audience.
func (s *Store) leaveOne(x id.ID, audience uint32) (err error) {
	seen := s.see(func(w *want) error {
		n := w.node(x)
		if n == nil || n.stand == nil || n.stand.now == nil || !hasAudience(n.stand.now.In, audience) {
			return nil
		}
		if err = s.o.Log.Admit(); err != nil {
			return nil
		}
		st := segment.Standing{Until: n.stand.now.Until}
		for _, m := range n.stand.now.In {
			if m.Audience != audience {
				st.In = append(st.In, m)
			}
		}
		s.become(n, &st, s.o.Now().UnixMilli(), CauseDefinition)
		return nil
	})
	if seen != nil {
		return seen
	}
	return err
}

// sweepBatch is how many members are looked at before others go first.
const sweepBatch = 256

// breathe lets requests go first after work that took so long.
func (s *Store) breathe(ctx context.Context, took time.Duration) error {
	t := time.NewTimer(min(took/2, 20*time.Millisecond))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stop:
		return eventlog.ErrClosed
	case <-t.C:
		return nil
	}
}
