package event

import (
	"fmt"
	"strings"
	"unsafe"
)

// Limits bound what one message may hold. Zero fields mean no limit, but for
// Depth, whose hard bound is 64 for a whole body.
type Limits struct {
	EventBytes  int // of one message's JSON text
	BatchEvents int // messages in one body
	Depth       int // levels of nesting in one message, its own braces being the first
}

// Lengths of identifiers and names, in bytes. Longer ones are refused rather
// than cut: half an identifier would name somebody else.
const (
	MaxIDBytes   = 512
	MaxNameBytes = 1024
)

// ParseOptions says how to read a body.
type ParseOptions struct {
	// Type is the message type that the route names; 0 when the body is a batch.
	Type   Type
	Limits Limits
	// ReceivedAt is when the body arrived, in milliseconds since 1970 UTC.
	ReceivedAt int64
	// Retried says that the sender marked this body as a retry: its sentAt may
	// be the first attempt's, so clocks are not corrected by it.
	Retried bool
	// Cookieless says that the body may ask to be counted without any id. Messages
	// that are about nothing but who somebody is are then refused.
	Cookieless bool
}

// Batch is a body that has been read.
type Batch struct {
	WriteKey   string
	Token      string   // identity token (interact)
	Link       string   // of the address that the page was reached by (interact)
	Cookieless bool     // to be counted without any id (interact)
	Forget     bool     // the browser is to keep no cookie (reset)
	Placements []string // slots that want a decision (interact)
	SentAt     int64
	Events     []Event
	Rejected   []Rejection

	keys []string // the checker's stack, kept for the next body
}

// Reset empties b for another body and keeps its memory.
func (b *Batch) Reset() {
	clear(b.Events)
	clear(b.Rejected)
	clear(b.keys[:cap(b.keys)]) // or it would hold on to the last body
	*b = Batch{Events: b.Events[:0], Rejected: b.Rejected[:0], Placements: b.Placements[:0], keys: b.keys[:0]}
}

const maxPlacements = 64

// Parse reads a body into b. The body must be text that nobody writes to again:
// the events are windows into it.
//
// The error concerns the body as a whole (*SyntaxError, *LimitError, or a
// Rejection whose Index is -1). A message that is refused stands in b.Rejected
// and does not sink its siblings.
func Parse(b *Batch, body string, o ParseOptions) error {
	b.Reset()
	base := 0 // levels around a message
	if o.Type == 0 {
		base = 2
	}
	c := checker{s: body, limit: hardDepth, keys: b.keys}
	if o.Limits.Depth > 0 {
		c.limit = o.Limits.Depth + base
	}
	root, err := c.run()
	b.keys = c.keys
	if err != nil {
		return err
	}
	if root.Kind() != Object {
		return &Rejection{Index: -1, Code: CodeInvalidType, Message: fmt.Sprintf("the body is %s; expected a JSON object", root.Kind())}
	}
	p := parser{o: o, b: b, body: body, faults: c.faults}
	if o.Type != 0 {
		return p.single(root)
	}
	return p.batch(root)
}

type parser struct {
	o      ParseOptions
	b      *Batch
	body   string
	faults []shapeFault

	context      Value  // shared by the batch's messages
	integrations Value  // likewise
	messageID    string // the batch's own; messages without one are named after it
}

func (p *parser) single(root Value) error {
	p.b.WriteKey = root.Get("writeKey").Text()
	if ms, ok := ParseTime(root.Get("sentAt")); ok {
		p.b.SentAt = ms
	}
	p.message(0, root)
	return nil
}

func (p *parser) batch(root Value) error {
	var list Value
	var bad *Rejection
	root.Each(func(k string, v Value) bool {
		switch k {
		case "batch":
			if list = v; v.Kind() != Array {
				bad = &Rejection{Index: -1, Code: CodeInvalidType, Field: "batch", Message: fmt.Sprintf("batch is %s; expected an array of messages", v.Kind())}
			}
		case "writeKey":
			p.b.WriteKey = v.Text()
		case "token":
			p.b.Token = v.Text()
		case "link":
			p.b.Link = v.Text()
		case "cookieless":
			p.b.Cookieless = p.o.Cookieless && v == "true"
		case "forget":
			p.b.Forget = v == "true"
		case "messageId":
			p.messageID = v.Text()
		case "sentAt":
			p.b.SentAt, _ = ParseTime(v)
		case "context":
			if v.Kind() == Object {
				p.context = v
			}
		case "integrations":
			if v.Kind() == Object {
				p.integrations = v
			}
		case "placements":
			v.Items(func(m Value) bool {
				if s := m.Text(); s != "" {
					p.b.Placements = append(p.b.Placements, s)
				}
				return len(p.b.Placements) < maxPlacements
			})
		}
		return bad == nil
	})
	if bad == nil {
		bad = p.outside(list)
	}
	if bad != nil {
		return bad
	}
	i, most := 0, p.o.Limits.BatchEvents
	list.Items(func(m Value) bool {
		if most == 0 || i < most {
			p.message(i, m)
		}
		i++
		return true
	})
	if most > 0 && i > most {
		p.b.Events, p.b.Rejected = p.b.Events[:0], p.b.Rejected[:0]
		return &LimitError{Limit: "limits.batch_events", Max: most, Seen: i}
	}
	return nil
}

// message reads one message into the batch's events, or refuses it.
func (p *parser) message(index int, m Value) {
	p.b.Events = append(p.b.Events, Event{})
	e := &p.b.Events[len(p.b.Events)-1]
	r := p.read(e, m)
	if r == nil {
		r = validate(e)
	}
	if r == nil {
		if e.MessageID == "" && p.messageID != "" {
			e.MessageID = fmt.Sprintf("%s:%d", p.messageID, index)
		}
		p.date(e)
		return
	}
	r.Index, r.Raw, r.Run = index, m, p.run()
	p.b.Rejected = append(p.b.Rejected, *r)
	*e = Event{}
	p.b.Events = p.b.Events[:len(p.b.Events)-1]
}

// run is what the batch says of the page load that made it; "" when that is
// nothing, or nothing that an id may be.
func (p *parser) run() string {
	if s := p.context.Get("run").Text(); len(s) <= MaxIDBytes {
		return s
	}
	return ""
}

func (p *parser) read(e *Event, m Value) *Rejection {
	if most := p.o.Limits.EventBytes; most > 0 && len(m) > most {
		return refuse(CodeEventTooLarge, "", "the message has %d bytes; the limit is %d (setting limits.event)", len(m), most)
	}
	if m.Kind() != Object {
		return refuse(CodeInvalidType, "", "a message is %s; expected an object", m.Kind())
	}
	if f := p.faultIn(m); f != nil {
		return f.rejection(p.o.Limits.Depth)
	}
	var r *Rejection
	take := func(v Value, field string, most int) string {
		s, bad := scalar(v, field, most)
		if bad != nil && r == nil {
			r = bad
		}
		return s
	}
	object := func(v Value, field string) Value {
		switch v.Kind() {
		case Object:
			return v
		case Null:
			return ""
		}
		if r == nil {
			r = refuse(CodeInvalidType, field, "%s is %s; expected an object", field, v.Kind())
		}
		return ""
	}
	moment := func(v Value, field string) int64 {
		if v.Kind() == Null || v == `""` {
			return 0
		}
		ms, ok := ParseTime(v)
		if !ok && r == nil {
			r = refuse(CodeInvalidTimestamp, field, "%s is %s; expected an RFC 3339 time such as 2026-01-31T12:00:00.000Z", field, excerpt(v))
		}
		return ms
	}
	var kind string
	m.Each(func(k string, v Value) bool {
		switch k {
		case "type":
			kind = take(v, k, MaxNameBytes)
		case "event":
			if s := take(v, k, MaxNameBytes); s != "" {
				e.Name = s
			}
		case "name":
			if s := take(v, k, MaxNameBytes); s != "" && e.Name == "" {
				e.Name = s
			}
		case "category":
			e.Category = take(v, k, MaxNameBytes)
		case "messageId":
			e.MessageID = take(v, k, MaxIDBytes)
		case "anonymousId":
			e.AnonymousID = take(v, k, MaxIDBytes)
			e.Empty += blank(v)
		case "userId":
			e.UserID = take(v, k, MaxIDBytes)
			e.Empty += blank(v)
		case "previousId":
			e.PreviousID = take(v, k, MaxIDBytes)
		case "groupId":
			e.GroupID = take(v, k, MaxIDBytes)
		case "timestamp":
			e.Timestamp = moment(v, k)
		case "originalTimestamp":
			e.OriginalTimestamp = moment(v, k)
		case "sentAt":
			e.SentAt = moment(v, k)
		case "properties":
			e.Properties = object(v, k)
		case "traits":
			e.Traits = object(v, k)
		case "context":
			e.Context = object(v, k)
		case "integrations":
			e.Integrations = object(v, k)
		}
		return r == nil
	})
	if r != nil {
		return r
	}
	e.Type = p.o.Type
	if e.Type == 0 {
		if e.Type = ParseType(kind); e.Type == 0 {
			if kind == "" {
				return refuse(CodeMissingField, "type", "type is missing; expected track, page, screen, identify, group or alias")
			}
			return refuse(CodeUnknownType, "type", "type is %s; expected track, page, screen, identify, group or alias", excerpt(Quote(kind)))
		}
	}
	if p.b.Cookieless && e.Type > Screen {
		return refuse(CodeCookieless, "type", "type is %s; a batch that is counted without any id takes track, page and screen", e.Type)
	}
	e.Context = merge(p.context, e.Context)
	if e.Integrations == "" {
		e.Integrations = p.integrations
	}
	return nil
}

// blank is 1 for the empty string.
func blank(v Value) uint8 {
	if v == `""` {
		return 1
	}
	return 0
}

// span gives where m, a part of the body, lies in it.
func (p *parser) span(m Value) (start, end int) {
	if m == "" {
		return 0, 0
	}
	start = int(uintptr(unsafe.Pointer(unsafe.StringData(string(m)))) - uintptr(unsafe.Pointer(unsafe.StringData(p.body))))
	return start, start + len(m)
}

// outside refuses the whole body for a fault in what its messages share.
func (p *parser) outside(list Value) *Rejection {
	start, end := p.span(list)
	for i := range p.faults {
		if f := &p.faults[i]; f.offset < start || f.offset >= end {
			r := f.rejection(p.o.Limits.Depth)
			r.Index = -1
			return r
		}
	}
	return nil
}

func (f *shapeFault) rejection(depth int) *Rejection {
	switch f.code {
	case CodeTooDeep:
		return refuse(CodeTooDeep, "", "nested deeper than %d levels (setting limits.depth)", depth)
	case CodeDuplicateKey:
		return refuse(CodeDuplicateKey, f.detail, "the key %q stands twice in one object; send it once", f.detail)
	}
	return refuse(f.code, f.detail, "the key %q is not allowed at any depth; rename it", f.detail)
}

// faultIn gives the first fault that lies inside m, which is a part of the body.
func (p *parser) faultIn(m Value) *shapeFault {
	if len(p.faults) == 0 {
		return nil
	}
	start, _ := p.span(m)
	for i := range p.faults {
		if f := &p.faults[i]; f.offset >= start && f.offset < start+len(m) {
			return f
		}
	}
	return nil
}

// scalar takes an identifier or a name. Senders write ids as integers too, so
// these are taken by their digits; null is the same as absent.
func scalar(v Value, field string, most int) (string, *Rejection) {
	var s string
	switch v.Kind() {
	case Null:
		return "", nil
	case String:
		s = v.Text()
	case Number:
		if strings.ContainsAny(string(v), ".eE") {
			return "", refuse(CodeInvalidType, field, "%s is the number %s; expected a string", field, excerpt(v))
		}
		s = string(v)
	default:
		return "", refuse(CodeInvalidType, field, "%s is %s; expected a string", field, v.Kind())
	}
	if len(s) > most {
		return "", refuse(CodeTooLong, field, "%s has %d bytes; the limit is %d", field, len(s), most)
	}
	if strings.IndexByte(s, 0) >= 0 {
		return "", refuse(CodeInvalidType, field, "%s holds a zero byte; remove it", field)
	}
	return s, nil
}

// merge lays the message's own members over the shared ones.
func merge(shared, own Value) Value {
	if shared == "" {
		return own
	}
	if own == "" {
		return shared
	}
	b := make([]byte, 0, len(shared)+len(own))
	b = append(b, own[:strings.LastIndexByte(string(own), '}')]...)
	empty := len(strings.TrimSpace(string(b[1:]))) == 0
	shared.Each(func(k string, v Value) bool {
		if own.member(k) != "" {
			return true
		}
		if !empty {
			b = append(b, ',')
		}
		empty = false
		b = AppendQuoted(b, k)
		b = append(b, ':')
		b = append(b, v...)
		return true
	})
	b = append(b, '}')
	return Value(unsafe.String(unsafe.SliceData(b), len(b))) // it is not written to again
}
