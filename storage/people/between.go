package people

import (
	"slices"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/segment"
)

// Between runs fn between two entries: last is the newest one that is applied,
// and nothing is while fn runs. Whatever it changes of what folding reads (the
// definitions behind Options.Rules) holds for every entry after last and for
// none up to it. It gives what audiences read from then on: who is changed in
// nothing else is not judged anew; and the audiences whose rule not everybody was
// judged by: who enters or leaves these when they are first judged by it, does so
// because of the definition, until a Sweep has come to everybody. fn must be quick
// and must not call the store.
func (s *Store) Between(fn func(last uint64) (reads facet.Change, fresh []uint32)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reads, list := fn(s.applied)
	s.watched = watch{some: reads}
	if len(list) > 0 {
		f := &fresh{at: s.o.Now().UnixMilli(), audiences: make(map[uint32]bool, len(list))}
		for _, a := range list {
			f.audiences[a] = true
		}
		s.watched.fresh = f
	}
}

// fresh are the audiences whose rule not everybody was judged by, since a time, ms.
type fresh struct {
	at        int64
	audiences map[uint32]bool
}

// definedFirst gives what x's person becomes by definitions alone, where st is the
// first that is judged by them; nil where it is nothing. Who came after them, or was
// judged by them before, does what they do by themselves.
func (f *fresh) definedFirst(x *Snapshot, st *segment.Standing) *segment.Standing {
	if f == nil || x.judged >= f.at || x.Profile == nil || x.Profile.First >= f.at || segment.Alike(x.Standing, st) {
		return nil
	}
	by := &segment.Standing{Until: st.Until}
	changed := false
	if x.Standing != nil {
		for _, m := range x.Standing.In {
			if f.audiences[m.Audience] && !hasAudience(st.In, m.Audience) {
				changed = true
				continue
			}
			by.In = append(by.In, m)
		}
	}
	for _, m := range st.In {
		if f.audiences[m.Audience] && !hasAudience(by.In, m.Audience) {
			i, _ := slices.BinarySearchFunc(by.In, m.Audience, compareMember)
			by.In = slices.Insert(by.In, i, m)
			changed = true
		}
	}
	if !changed {
		return nil
	}
	return by
}
