package admin

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/valyala/fasthttp"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/storage/people"
)

// Bounds of one answer of events. Past any of them it ends early and says where
// to go on.
const (
	step       = 128     // events read at a time
	maxScanned = 10_000  // events looked at, when a filter leaves most out
	maxBody    = 8 << 20 // bytes
)

// errEnough ends a step of the timeline early.
var errEnough = errors.New("admin: the answer is full")

// filter says which events are asked for.
type filter struct {
	kind event.Type // 0: any
	name string     // "": any
}

func (f filter) none() bool { return f == filter{} }

func (f filter) takes(e *event.Event) bool {
	return (f.kind == 0 || e.Type == f.kind) && (f.name == "" || e.Name == f.name)
}

func (c *call) serveEvents() *failure {
	q := c.ctx.QueryArgs()
	limit, f := c.limit()
	if f != nil {
		return f
	}
	text := string(q.Peek("before"))
	before, ok := parseCursor(text)
	if !ok {
		return invalidCursor("before", text)
	}
	want := filter{name: string(q.Peek("event"))}
	if kind := string(q.Peek("type")); kind != "" {
		if want.kind = event.ParseType(kind); want.kind == 0 {
			return badRequest("invalid_type", "type", fmt.Sprintf("type is %q; expected %s", clip([]byte(kind)), list([]string{"track", "page", "screen", "identify", "group", "alias"})))
		}
	}
	p, f := c.person("person.timeline")
	if f != nil {
		return f
	}
	o := event.NewWriter(nil)
	o.Open()
	o.String("personId", p.ID)
	o.String("view", p.Cluster.View.String())
	o.Key("events")
	o.OpenList()
	next, err := c.appendEvents(o, p, want, before, limit)
	if err != nil {
		return c.internal(err)
	}
	o.CloseList()
	o.Text("next", cursor(next))
	o.Close()
	c.json(fasthttp.StatusOK, o.Bytes())
	return nil
}

// appendEvents writes up to limit events from before a place on. next is the
// place of the last event looked at, taken or not; zero at the end.
func (c *call) appendEvents(o *event.Writer, p *people.Person, want filter, before people.Place, limit int) (next people.Place, err error) {
	taken, scanned := 0, 0
	for {
		most := step
		if want.none() {
			most = min(most, limit-taken)
		}
		var last people.Place
		next, err = c.s.o.People.Timeline(p.Facets, before, most, func(at people.Place, e *event.Event) error {
			if taken == limit {
				return errEnough
			}
			last = at
			scanned++
			if want.takes(e) {
				taken++
				o.RawItem(event.Value(e.AppendJSON(nil)))
			}
			return nil
		})
		switch {
		case errors.Is(err, errEnough):
			return last, nil
		case err != nil || next == people.Place{}:
			return people.Place{}, err
		case taken == limit || scanned >= maxScanned || len(o.Bytes()) >= maxBody:
			return next, nil
		}
		before = next
	}
}

// cursor is a place as callers see it: base64url of its bytes; "" for none.
func cursor(p people.Place) string {
	if p == (people.Place{}) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(p.Bytes())
}

// parseCursor reads what cursor wrote.
func parseCursor(s string) (p people.Place, ok bool) {
	if s == "" {
		return p, true
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return p, false
	}
	return people.ParsePlace(b)
}
