package admin

import (
	"fmt"
	"io"
	"math"
	"net"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/storage/people"
)

// archiveKind is the format of what an access request answers with.
const archiveKind = "reuna access 1"

// serveAccess answers with everything about a person. A person may have a
// hundred thousand events: the answer is made while it is sent.
func (c *call) serveAccess() *failure {
	var b subjectBody
	if f := c.body(&b); f != nil {
		return f
	}
	x, v, f := b.subject(c.s.o.Types)
	if f != nil {
		return f
	}
	_, p, f := c.find(x, v, "subject.access", "ok")
	if f != nil {
		return f
	}
	now := c.s.o.Now()
	o := event.NewWriter(nil)
	o.Open()
	o.String("archive", archiveKind)
	o.Time("made", now.UnixMilli())
	o.Text("reason", b.Reason)
	o.Key("person")
	if err := c.appendPerson(o, p); err != nil {
		return c.internal(err)
	}
	o.Key("identities")
	if err := c.appendIdentities(o, p, math.MaxInt); err != nil {
		return c.internal(err)
	}
	o.Key("events")
	text := append(o.Bytes(), '[')
	c.ctx.Response.Header.SetContentType("application/json")
	c.ctx.Response.Header.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-%s.json"`, p.ID, now.UTC().Format("20060102")))
	c.ctx.Response.SetBodyStream(&archive{c: c, person: p, text: text, conn: c.ctx.Conn()}, -1)
	return nil
}

// archive makes the answer piece by piece as it is read: after the events those
// of robots that are kept out of profiles and name the person, then the refused
// messages that do, whoever sent them. It ends with their
// numbers and "complete": an answer without them was broken off, and the
// connection then ends without the last chunk.
type archive struct {
	c      *call
	person *people.Person
	text   []byte // what is to be read; begins with what stands before the events
	sent   int    // of text
	conn   net.Conn
	before people.Place // where the next events end
	events int64

	excluded       bool   // the events are through, and those that are kept out of profiles come,
	beforeExcluded uint64 // where the next of them end
	robots         int64

	messages      bool   // and refused messages after them
	beforeRefused uint64 // where the next of them end
	refused       int64
	ended         bool
}

// archiveStep is how many events are in memory at a time, and how many refused
// messages are looked at.
const archiveStep = 500

// Read is io.Reader's.
func (a *archive) Read(p []byte) (n int, err error) {
	for a.sent == len(a.text) {
		if a.ended {
			return 0, io.EOF
		}
		if err := a.more(); err != nil {
			a.c.s.log.Error("an archive was broken off", "person", a.person.ID, "events", a.events, "refused", a.refused, "error", err)
			return 0, err
		}
	}
	n = copy(p, a.text[a.sent:])
	a.sent += n
	return n, nil
}

// more makes the next piece in the place of the one that was sent.
func (a *archive) more() error {
	// As long as the receiver takes something the answer may go on.
	if err := a.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	a.text, a.sent = a.text[:0], 0
	switch {
	case a.messages:
		return a.moreRefused()
	case a.excluded:
		return a.moreExcluded()
	}
	next, err := a.c.s.o.People.Timeline(a.person.Facets, a.before, archiveStep, func(_ people.Place, e *event.Event) error {
		if a.events++; a.events > 1 {
			a.text = append(a.text, ',')
		}
		a.text = e.AppendJSON(a.text)
		return nil
	})
	if err != nil {
		return err
	}
	if a.before = next; next == (people.Place{}) {
		a.excluded = true
		a.text = fmt.Appendf(a.text, `],"eventCount":%d,"excluded":[`, a.events)
	}
	return nil
}

func (a *archive) moreExcluded() error {
	list, next, err := a.c.s.o.People.ExcludedNaming(a.person.Cluster.Members, a.beforeExcluded, archiveStep)
	if err != nil {
		return err
	}
	for _, e := range list {
		if a.robots++; a.robots > 1 {
			a.text = append(a.text, ',')
		}
		a.text = e.AppendJSON(a.text)
	}
	if a.beforeExcluded = next; next == 0 {
		a.messages = true
		a.text = fmt.Appendf(a.text, `],"excludedCount":%d,"refused":[`, a.robots)
	}
	return nil
}

func (a *archive) moreRefused() error {
	list, next, err := a.c.s.o.People.RefusedNaming(a.person.Cluster.Members, a.beforeRefused, archiveStep)
	if err != nil {
		return err
	}
	for _, x := range list {
		if a.refused++; a.refused > 1 {
			a.text = append(a.text, ',')
		}
		o := event.NewWriter(a.text)
		appendRefused(o, x)
		a.text = o.Bytes()
	}
	if a.beforeRefused = next; next == 0 {
		a.ended = true
		a.text = fmt.Appendf(a.text, `],"refusedCount":%d,"complete":true}`, a.refused)
	}
	return nil
}
