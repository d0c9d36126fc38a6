package pipeline

import (
	"errors"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/token"
	"github.com/reuna/reuna/storage/people"
)

// recall finds the visitor's live session.
func (p *Pipeline) recall(j *job) (err error) {
	j.session, err = p.o.People.Session(j.r.AnonymousID, j.r.Fresh)
	if err != nil {
		return unavailable(err)
	}
	j.live = j.session.For(j.r.Login, j.r.ReceivedAt)
	return nil
}

// recognise finds the visitor's session, or begins one by the token that the
// request brought. A token that is no good changes nothing but the answer: the
// events are taken as claims.
func (p *Pipeline) recognise(j *job) error {
	if j.r.Cookieless {
		return p.count(j)
	}
	if err := p.recall(j); err != nil {
		return err
	}
	shown := j.r.Batch.Token
	if shown == "" {
		return nil
	}
	if j.session.Revoked {
		return p.refuse(j, "token_session_reset", "this visitor was reset; load the page again to get a new cookie, then sign a new token")
	}
	if j.site.Tokens == nil {
		return p.refuse(j, "token_not_expected", "the site has no identity_keys in the gateway's config; add one to verify tokens")
	}
	now := time.UnixMilli(j.r.ReceivedAt)
	claims, err := j.site.Tokens.Verify(shown, j.r.AnonymousID, now)
	if err != nil {
		var e *token.Error
		if errors.As(err, &e) {
			return p.refuse(j, string(e.Code), e.Message)
		}
		return p.refuse(j, "token_malformed", "the identity token can not be read")
	}
	hash := p.o.People.TokenHash(j.r.Site, claims.ID)
	if j.session.Token == hash && j.session.Live(j.r.ReceivedAt) == claims.Subject {
		// A retry: its session is live, and the answer with the cookie for it may have
		// been lost.
		j.live, j.r.Begun = claims.Subject, j.session.Login
		return nil
	}
	first, err := p.o.People.Redeem(hash, j.r.ReceivedAt)
	if err != nil {
		return unavailable(err)
	}
	if !first {
		return p.refuse(j, "token_used", "this identity token was used before; sign a new one, with a jti of its own, for each login")
	}
	// A login gets a cookie of its own, so that nobody who put theirs into this
	// browser is logged in too. Who holds the user's session already keeps it: a page
	// may show a token with every view, and other requests of it are on their way.
	login := j.r.Login
	if j.live != claims.Subject || login == (token.Login{}) {
		login = token.NewLogin()
	}
	j.grant = &people.Session{User: claims.Subject, Until: now.Add(j.site.Session).UnixMilli(), Token: hash, Login: login}
	j.live, j.r.Begun = claims.Subject, login
	p.stats.Sessions.Add(1)
	return nil
}

// unredeem gives the request's token back: the sender may come again with it.
func (p *Pipeline) unredeem(j *job) {
	if j.grant != nil {
		p.o.People.Unredeem(j.grant.Token)
	}
}

// cookie settles what becomes of the visitor's cookie, once all else is done. A
// page view sends the cookie again that it came with, and its answer may come
// after that of a login beside it: so it looks whether there was one, and then
// leaves the login's cookie alone.
func (p *Pipeline) cookie(j *job) error {
	j.r.Revoked = j.session.Revoked
	if j.r.Revoked || j.r.Begun != (token.Login{}) || !j.viewed() {
		return nil
	}
	x, err := p.o.People.Session(j.r.AnonymousID, j.r.Fresh)
	if err != nil {
		return unavailable(err)
	}
	j.r.Outdated = x.Login != j.r.Login && x.Live(j.r.ReceivedAt) != ""
	return nil
}

func (j *job) viewed() bool {
	for i := range j.r.Batch.Events {
		if j.r.Batch.Events[i].Type == event.Page {
			return true
		}
	}
	return false
}

// refuse notes why a token was turned away.
func (p *Pipeline) refuse(j *job, code, message string) error {
	j.refusal = &token.Error{Code: token.Code(code), Message: message}
	p.stats.TokensRefused.Add(1)
	return nil
}

// appendTokenError adds the answer's `token` member, which is there only when a
// token was turned away.
func appendTokenError(dst []byte, err error) []byte {
	var e *token.Error
	errors.As(err, &e)
	dst = append(dst, `,"token":{"error":{"code":`...)
	dst = event.AppendQuoted(dst, string(e.Code))
	dst = append(dst, `,"message":`...)
	dst = event.AppendQuoted(dst, e.Message)
	return append(dst, `}}`...)
}

// Reset ends the visitor's session on the server for good: the cookie sees
// nothing any more, however often it is shown.
func (p *Pipeline) Reset(r *Request) error {
	if r.AnonymousID == "" || r.Fresh {
		return nil
	}
	tx, err := p.o.People.Begin(nil, r.AnonymousID, false)
	if err != nil {
		return unavailable(err)
	}
	if !tx.Session(r.AnonymousID).Revoked {
		tx.SetSession(r.AnonymousID, people.Session{Revoked: true}, r.ReceivedAt)
	}
	return unavailable(tx.End().WaitUnlessFull())
}
