package people

import (
	"fmt"

	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/token"
	"github.com/reuna/reuna/identity/wire"
)

// Session is what a visitor's cookie stands for on the server.
type Session struct {
	User    string // the user whose token was shown; "" when nobody
	Until   int64  // ms
	Token   Hash   // the token that began it, or was shown last
	Revoked bool   // reset: the cookie is worth nothing any more
	// Login is the one that the session's cookie carries: the session holds for no
	// other. It is kept as it is, since an answer that was lost must be repeated
	// with the same one, and it lies sealed; without the cookies' key it makes no
	// cookie. Zero for sessions that began before there were logins: they hold
	// for cookies without one, until they end.
	Login token.Login
	Seq   uint64 // the entry that said so; the last one holds
}

// Live gives the user of a session that still counts at now, or "", whoever
// asks.
func (x Session) Live(now int64) string {
	if x.Revoked || now >= x.Until {
		return ""
	}
	return x.User
}

// For gives the user of a session that counts at now for a cookie with that
// login, or "". What a cookie says was signed, so comparing may take its time.
func (x Session) For(login token.Login, now int64) string {
	if login != x.Login {
		return ""
	}
	return x.Live(now)
}

// sessionVersion is that of a session's record and of its entry in the log. 1: no
// login at the end.
const sessionVersion = 2

// appendSession makes the entry, and encodeSession the record, which lies under
// the visitor's hash and names its entry.
func appendSession(dst []byte, visitor string, x Session) []byte {
	dst = wire.AppendText(append(dst, entrySession, sessionVersion), visitor)
	return x.append(dst)
}

func encodeSession(dst []byte, x *Session) []byte {
	dst = wire.AppendUint(append(dst, sessionVersion), x.Seq)
	return x.append(dst)
}

func (x *Session) append(dst []byte) []byte {
	dst = wire.AppendText(dst, x.User)
	dst = wire.AppendInt(dst, x.Until)
	dst = append(dst, x.Token[:]...)
	dst = append(dst, flag(x.Revoked))
	return append(dst, x.Login[:]...)
}

// read reads what append wrote in any version, and says whether that was all.
func (x *Session) read(r *wire.Reader, version byte) bool {
	x.User, x.Until = r.Text(), r.Int()
	readHash(r, &x.Token)
	x.Revoked = r.Byte() == 1
	if version > 1 {
		readHash(r, (*Hash)(&x.Login))
	}
	return r.Done() && version >= 1 && version <= sessionVersion
}

func parseSession(entry string) (visitor string, x Session, err error) {
	r := wire.NewReader(entry)
	version := r.Byte()
	visitor = r.Text()
	if !x.read(r, version) {
		return "", Session{}, fmt.Errorf("a session's entry of version %d is corrupt; this program reads 1 to %d", version, sessionVersion)
	}
	return visitor, x, nil
}

func decodeSession(record string) (x Session, err error) {
	r := wire.NewReader(record)
	version := r.Byte()
	x.Seq = r.Uint()
	if !x.read(r, version) {
		return Session{}, fmt.Errorf("people: a stored session of version %d is corrupt; this program reads 1 to %d", version, sessionVersion)
	}
	return x, nil
}

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
