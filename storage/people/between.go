package people

import "github.com/reuna/reuna/identity/facet"

// Between runs fn between two entries: last is the newest one that is applied,
// and nothing is while fn runs. Whatever it changes of what folding reads (the
// definitions behind Options.Rules) holds for every entry after last and for
// none up to it. It gives what audiences read from then on: who is changed in
// nothing else is not judged anew. fn must be quick and must not call the store.
func (s *Store) Between(fn func(last uint64) (reads facet.Change)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched = watch{some: fn(s.applied)}
}
