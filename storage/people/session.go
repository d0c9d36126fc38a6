package people

import "github.com/reuna/reuna/identity/id"

// Session gives the session of a visitor as it stands. fresh says that the
// visitor's id was minted for this request and can have none.
func (s *Store) Session(visitor string, fresh bool) (x Session, err error) {
	if fresh || visitor == "" {
		return Session{}, nil
	}
	err = s.see(func(w *want) error {
		if n := w.node(id.ID{Type: id.AnonymousID, Value: visitor}); n != nil {
			x = n.session
		}
		return nil
	})
	return x, err
}

// TokenHash is what is kept of an identity token's jti.
func (s *Store) TokenHash(site, jti string) Hash { return s.o.Vault.HashKey("token", site, jti) }

// Redeem uses a token up: of any number of calls with one token, one gets true.
// It is remembered for good once a session that names it is in the log.
func (s *Store) Redeem(token Hash, now int64) (first bool, err error) {
	for {
		s.mu.Lock()
		asOf := s.rotations
		s.mu.Unlock()
		known, err := s.readMessage(token, now)
		if err != nil || known {
			return false, err
		}
		s.mu.Lock()
		if s.rotations-asOf > 1 { // it may have been written since
			s.mu.Unlock()
			continue
		}
		defer s.mu.Unlock()
		if _, ok := s.taken[token]; ok {
			return false, nil
		}
		if _, ok := s.writing[token]; ok {
			return false, nil
		}
		s.take(token, now)
		return true, nil
	}
}

// Unredeem gives a token back whose session could not begin.
func (s *Store) Unredeem(token Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taken, token) // a checkpoint that came in between has used it up
}
