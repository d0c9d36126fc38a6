package graph

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
)

// EventOptions say how a site takes what events state.
type EventOptions struct {
	// NoClaimedLinks is for sites whose claimed identify is kept but links
	// nothing: claimed events then state no links at all.
	NoClaimedLinks bool
}

// FromEvent appends the links that one event states: its anonymousId to its
// userId; an alias's previousId to its userId; every other identifier that it
// carries to its userId, or to its anonymousId when it has no userId that
// identifies anyone. Blocked counts the values that were turned away because
// they identify nobody: those that never do, and those that are none of their
// type, such as a phone number without its country. The event is kept all the
// same.
//
// A link's time is the event's, clamped to receipt; its id follows from the
// site, the messageId and the pair, so that a message delivered twice states the
// same evidence twice. The identifiers share the event's texts: what keeps them
// beyond the event clones (Pair does).
//
// Rules: design, identity, "Evidence".
func FromEvent(dst []Evidence, ev *event.Event, types *id.Types, o EventOptions) (links []Evidence, blocked int) {
	c := collector{types: types}
	c.collect(ev)
	if o.NoClaimedLinks && ev.Trust < id.Verified {
		return dst, c.blocked
	}
	anchor := c.user
	if anchor.IsZero() {
		anchor = c.device
	}
	if anchor.IsZero() {
		return dst, c.blocked
	}
	for i := range c.n {
		if x := c.at(i); x != anchor {
			dst = append(dst, linkOf(ev, x, anchor))
		}
	}
	return dst, c.blocked
}

// Identifiers appends every identifier that the event carries, normalised, each
// once, without the blocked values.
func Identifiers(dst []id.ID, ev *event.Event, types *id.Types) []id.ID {
	c := collector{types: types}
	c.collect(ev)
	for i := range c.n {
		dst = append(dst, c.at(i))
	}
	return dst
}

// collector reads an event's identifiers. They stand in an array, and only
// those beyond it on the heap, so that reading the usual event allocates nothing.
type collector struct {
	types   *id.Types
	user    id.ID
	device  id.ID
	found   [8]id.ID // in order, each once
	more    []id.ID  // from the ninth on
	n       int
	blocked int
}

func (c *collector) at(i int) id.ID {
	if i < len(c.found) {
		return c.found[i]
	}
	return c.more[i-len(c.found)]
}

func (c *collector) collect(ev *event.Event) {
	c.device = c.take(id.AnonymousID, ev.AnonymousID)
	c.user = c.take(id.UserID, ev.UserID)
	if ev.Type == event.Alias && ev.PreviousID != "" {
		// Libraries send the user id they had, or the device's when they had none.
		typ := id.UserID
		if ev.PreviousID == ev.AnonymousID {
			typ = id.AnonymousID
		}
		c.take(typ, ev.PreviousID)
	}
	for _, p := range c.types.Paths() {
		var v event.Value
		switch {
		case p.Root == id.Traits && ev.Type == event.Identify:
			v = ev.Traits.Get(p.Keys...)
		case p.Root == id.Context:
			v = ev.Context.Get(p.Keys...)
		case p.Root == id.Properties:
			v = ev.Properties.Get(p.Keys...)
		}
		c.value(p.Type, v)
	}
	c.external(ev.Context)
}

// external reads context.externalIds: [{id, type, collection, encoding}], of
// which those of the collection "users" (or none) in plain writing count.
func (c *collector) external(context event.Value) {
	const key = "externalIds"
	// A look for the key's letters is far cheaper than reading the context, and
	// almost no event has any.
	if !strings.Contains(string(context), key) && strings.IndexByte(string(context), '\\') < 0 {
		return
	}
	context.Get(key).Items(func(m event.Value) bool {
		typ, known := c.types.External(m.Get("type").Text())
		collection, encoding := m.Get("collection").Text(), m.Get("encoding").Text()
		if known && (collection == "" || collection == "users") && (encoding == "" || encoding == "none") {
			c.value(typ, m.Get("id"))
		}
		return true
	})
}

// value takes a JSON value: a string, a whole number, or one of the values that
// broken code sends.
func (c *collector) value(typ string, v event.Value) {
	switch v.Kind() {
	case event.String:
		if text := v.Text(); text != "" {
			c.take(typ, text)
		} else {
			c.blocked++
		}
	case event.Number:
		// In a double's own writing (1e3, 4.0) a number is a measure, no name.
		if !strings.ContainsAny(string(v), ".eE") {
			c.take(typ, string(v))
		}
	case event.Bool:
		c.blocked++ // null unsets a trait; true and false come from broken code
	}
}

// take notes one raw value; "" is a value that the event does not carry.
func (c *collector) take(typ, raw string) id.ID {
	if raw == "" {
		return id.ID{}
	}
	x, verdict := c.types.Normalise(typ, raw)
	if verdict != id.OK {
		c.blocked++
		return id.ID{}
	}
	for i := range c.n {
		if c.at(i) == x {
			return x
		}
	}
	if c.n < len(c.found) {
		c.found[c.n] = x
	} else {
		c.more = append(c.more, x)
	}
	c.n++
	return x
}

func linkOf(ev *event.Event, x, y id.ID) Evidence {
	if id.Compare(x, y) > 0 {
		x, y = y, x
	}
	time := ev.Timestamp
	if ev.ReceivedAt != 0 && (time == 0 || time > ev.ReceivedAt) {
		time = ev.ReceivedAt
	}
	return Evidence{ID: linkID(ev.Site, ev.MessageID, x, y), Kind: Link, A: x, B: y, Trust: ev.Trust, Time: time}
}

// linkID is the first 128 bits of SHA-256 over the six texts, each after its
// length, so that no two lists of texts run together.
func linkID(site, message string, a, b id.ID) (x EvidenceID) {
	var room [512]byte
	buf := room[:0]
	for _, s := range [...]string{site, message, a.Type, a.Value, b.Type, b.Value} {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	sum := sha256.Sum256(buf)
	copy(x[:], sum[:])
	return x
}
