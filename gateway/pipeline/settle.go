package pipeline

import (
	"crypto/rand"
	"strings"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/people"
)

// settle decides whose event each one is and with what trust, and readies it.
func (p *Pipeline) settle(j *job) {
	events := j.r.Batch.Events
	if cap(j.items) < len(events) {
		j.items = make([]people.Item, len(events))
	}
	j.items = j.items[:len(events)]
	for i := range events {
		e := &events[i]
		e.Site, e.Source, e.Trust = j.r.Site, j.r.Source, j.r.Trust
		blocked, bare := 0, j.site.NoClaimedLinks
		if j.r.Cookieless {
			j.anonymise(e)
			bare = true
		} else {
			blocked = p.identify(e, j)
		}
		if e.MessageID == "" { // nothing to tell a repetition by
			e.MessageID = "g_" + strings.ToLower(rand.Text())
		}
		blocked += p.o.People.Prepare(&j.items[i], e, bare)
		if e.Bot.Is && j.site.Bots == ExcludeBots {
			j.items[i].Exclude()
		}
		if blocked > 0 {
			p.stats.Blocked.Add(int64(blocked))
		}
	}
}

// identify settles the event's own identifiers. The cookie's visitor overrides
// what a page says; a live session says who the user is, unless the page says
// that it is somebody else, which then is a claim. A value that identifies
// nobody is taken out, and an event without any identifier gets one of its own,
// so that no two strangers ever share one.
func (p *Pipeline) identify(e *event.Event, j *job) (blocked int) {
	blocked = int(e.Empty)
	settle := func(typ string, value *string) {
		if *value == "" {
			return
		}
		x, verdict := p.o.Types.Normalise(typ, *value)
		if *value = x.Value; verdict != id.OK {
			*value = ""
			blocked++
		}
	}
	settle(id.UserID, &e.UserID)
	if j.r.AnonymousID != "" {
		e.AnonymousID = j.r.AnonymousID
	} else {
		settle(id.AnonymousID, &e.AnonymousID)
	}
	if j.live != "" && (e.UserID == "" || e.UserID == j.live) {
		e.UserID, e.Trust = j.live, max(e.Trust, id.Verified)
	}
	if e.AnonymousID == "" && e.UserID == "" {
		e.AnonymousID = "x_" + strings.ToLower(rand.Text())
	}
	return blocked
}

func (p *Pipeline) refused(r *Request, x *event.Rejection) *people.Refused {
	clean := func(text string) string { return p.o.Enricher.Refused(text, r) }
	return &people.Refused{
		Site: r.Site, Source: r.Source, ReceivedAt: r.ReceivedAt,
		Code: x.Code, Field: clean(x.Field), Message: clean(x.Message), Raw: clean(string(x.Raw)), Run: x.Run,
	}
}
