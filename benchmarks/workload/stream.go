package workload

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// Header is one header of a request.
type Header struct {
	Name  string
	Value []byte
}

// Request is one request to send by POST. It and all that it holds are windows
// into its stream's memory: good until the stream's next call of Next.
type Request struct {
	Path    string
	Headers []Header
	Body    []byte
	Events  int    // in the body
	IDs     []byte // the events' messageIds, each with a newline after it
}

// Stream makes the requests of one connection, one at a time:
//
//	request := stream.Next(shape)
//	… send it, again if it must be …
//	err := stream.Check(answer)      // or stream.Lost()
//
// It is not safe for concurrent use.
type Stream struct {
	*common
	seed    uint64
	people  []visitor
	random  *rand.Rand // what visitors do
	ids     *rand.Rand // messageIds
	zipf    *rand.Zipf // who comes
	request Request
	body    []byte
	header  []byte // backing of the header values
	id      []byte // backing of request.IDs
	page    []byte // the page that the event under way is on, JSON
	at      place  // the same page
	piece   []byte // memory for parts of a body

	shape     Shape
	who       int      // index of the visitor whose request is under way
	pages     uint32   // page views in that request
	traitsNow traitsOf // of that visitor
	lost      bool     // an attempt of that request had no answer
	open      bool     // that request has not been answered yet
	quiet     bool     // as in Options
	even      bool     // as in Options
	greeted   int      // how many of the people have come in turn, rather than by chance
	turns     turns
	known     int    // a visitor that has a cookie; -1 none
	checked   uint64 // answers checked, to decode every 64th whole
}

// Some visitors come again and again and most hardly ever: the draw follows a
// Zipf law, flattened at its head so that nobody makes half of the traffic.
const (
	zipfExponent = 1.1
	zipfOffset   = 20
)

func newStream(c *common, o Options, number, first, count int) *Stream {
	s := &Stream{common: c, seed: o.Seed, people: make([]visitor, count), known: -1, even: o.Even}
	for i := range s.people {
		s.people[i].number = first + i
	}
	if s.quiet = o.Quiet; !s.quiet {
		s.greeted = count
	}
	s.random = newPCG(o.Seed, number, 1)
	s.ids = newPCG(o.Seed^mix(o.Nonce), number, 2)
	s.turns = newTurns(o.Visit, number)
	for i := range s.people {
		s.people[i].left = s.turns.length(s.random)
	}
	s.zipf = rand.NewZipf(s.random, zipfExponent, zipfOffset, uint64(count-1))
	if o.Cookie != "" {
		for i := range s.people {
			s.people[i].cookie = o.Cookie
		}
		s.known = 0
	}
	if o.Past != nil {
		for i := range s.people {
			past := o.Past(first + i)
			s.people[i].cookie, s.people[i].seq, s.people[i].pages = past.Cookie, past.Events, past.Pages
			if past.Cookie != "" {
				s.known = i
			}
		}
	}
	s.body = make([]byte, 0, 2048)
	s.header = make([]byte, 0, 1024)
	s.request.Headers = make([]Header, 0, 16)
	return s
}

// Next makes the next request. For Profile the visitor is one who has a cookie;
// as long as the stream knows none, it sends a page view by Interact instead.
func (s *Stream) Next(shape Shape) *Request {
	s.abandon()
	shape.Batch = max(shape.Batch, 1)
	switch {
	case s.greeted < len(s.people):
		s.zipf.Uint64() // quiet visitors draw like others
		s.who = s.greeted
		s.greeted++
	case s.even || s.turns.visit > 0:
		s.who = s.random.IntN(len(s.people))
	default:
		s.who = int(s.zipf.Uint64())
	}
	if shape.Format == Profile && s.people[s.who].cookie == "" {
		if s.who = s.known; s.who < 0 {
			s.who, shape = 0, Shape{Format: Interact, Batch: 1}
		}
	}
	if shape.Format != Profile {
		s.turn()
	}
	s.shape, s.pages, s.lost, s.open = shape, 0, false, true
	v := &s.people[s.who]
	v.came = true
	s.traitsNow = s.traits(s.seed, v.number)
	t := &s.traitsNow
	r := &s.request
	r.IDs, s.id, s.body = nil, s.id[:0], s.body[:0]
	switch shape.Format {
	case Profile:
		r.Path, r.Events = "/v1/profile", 0
		s.body = append(s.body, `{"writeKey":`...)
		s.body = append(s.body, s.writeKey...)
		s.body = append(s.body, s.asked...)
		s.body = append(s.body, '}')
	case Segment:
		r.Path, r.Events = "/v1/batch", shape.Batch
		s.segmentBody(v, t)
	case Interact:
		r.Path, r.Events = "/v1/interact", shape.Batch
		s.interactBody(v, t)
	default:
		w, _ := shape.Format.foreign()
		r.Path, r.Events = w.path, shape.Batch
		s.body = w.body(s, s.body, v, t)
	}
	r.Body, r.IDs = s.body, s.id
	s.headers(v, t)
	return r
}

// headers are those a browser (or, for Segment, an SDK's host) sends.
func (s *Stream) headers(v *visitor, t *traitsOf) {
	s.header = s.header[:0]
	h := s.request.Headers[:0]
	add := func(name, value string) {
		at := len(s.header)
		s.header = append(s.header, value...)
		h = append(h, Header{name, s.header[at:]})
	}
	w, foreign := s.shape.Format.foreign()
	switch {
	case s.shape.Format == Segment:
		add("Content-Type", jsonKind)
		add("Authorization", s.basic)
	case s.shape.Format == GoatCounter:
		add("Content-Type", w.kind)
		add("Authorization", s.bearer)
	default:
		kind := "text/plain;charset=UTF-8"
		if foreign {
			kind = w.kind
		}
		add("Content-Type", kind)
		add("Origin", s.origin)
		if v.cookie != "" && !foreign {
			add("Cookie", v.cookie)
		}
		if t.agent.hint != "" {
			add("Sec-CH-UA", t.agent.hint)
			add("Sec-CH-UA-Mobile", t.agent.mobi)
			add("Sec-CH-UA-Platform", t.agent.plat)
		}
	}
	add("User-Agent", t.agent.ua)
	add("Accept-Language", t.locale.accept)
	at := len(s.header)
	s.header = appendAddress(s.header, t.hash)
	s.request.Headers = append(h, Header{"X-Forwarded-For", s.header[at:]})
}

// interactBody writes what the tag sends: the context once, then the events.
func (s *Stream) interactBody(v *visitor, t *traitsOf) {
	now := s.now()
	b := append(s.body, `{"writeKey":`...)
	b = append(b, s.writeKey...)
	b = append(b, `,"sentAt":"`...)
	b = appendTime(b, now)
	b = append(b, `","context":{"library":{"name":"reuna.js","version":"0.1.0"},`...)
	kind := s.move(v, t)
	s.look(v, kind)
	b = append(b, `"page":`...)
	b = append(b, s.page...)
	b = append(b, `,"pageViewId":"`...)
	b = s.appendUUID(b, now)
	b = append(b, `","locale":"`...)
	b = append(b, t.locale.tag...)
	b = append(b, `","timezoneOffset":`...)
	b = append(b, t.locale.offset...)
	b = append(b, `,"screen":`...)
	if t.agent.mobile {
		b = append(b, mobileScreens[t.screen]...)
	} else {
		b = append(b, desktopScreens[t.screen]...)
	}
	b = append(b, t.agent.uaData...)
	b = append(b, `},"batch":[`...)
	for i := range s.shape.Batch {
		if i > 0 {
			b = append(b, ',')
			kind = s.again()
		}
		b = s.event(b, v, t, kind, now)
		b = append(b, `,"context":{"seq":`...)
		v.seq++
		b = strconv.AppendUint(b, uint64(v.seq), 10)
		b = append(b, `}}`...)
	}
	b = append(b, ']')
	b = append(b, s.asked...)
	s.body = append(b, '}')
}

// segmentBody writes what the Segment SDKs send: each event whole, with its own
// context and anonymousId.
func (s *Stream) segmentBody(v *visitor, t *traitsOf) {
	now := s.now()
	b := append(s.body, `{"sentAt":"`...)
	b = appendTime(b, now)
	b = append(b, `","batch":[`...)
	for i := range s.shape.Batch {
		if i > 0 {
			b = append(b, ',')
		}
		kind := s.move(v, t)
		s.look(v, kind)
		b = s.event(b, v, t, kind, now)
		b = append(b, `,"anonymousId":"`...)
		b = appendUUID(b, t.hash, mix(t.hash), 4)
		b = append(b, `","context":{"library":{"name":"analytics.js","version":"npm:next-1.81.0"},"ip":"`...)
		b = appendAddress(b, t.hash)
		b = append(b, `","userAgent":"`...)
		b = append(b, t.agent.ua...)
		b = append(b, `","locale":"`...)
		b = append(b, t.locale.tag...)
		b = append(b, `","page":`...)
		b = append(b, s.page...)
		b = append(b, t.agent.uaData...)
		b = append(b, `},"integrations":{}}`...)
		v.seq++
	}
	s.body = append(b, `]}`...)
}

func appendTime(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// appendUUID writes a version 7 UUID of this moment.
func (s *Stream) appendUUID(b []byte, now time.Time) []byte {
	random := s.ids.Uint64()
	return appendUUID(b, uint64(now.UnixMilli())<<16|random&0xfff, s.ids.Uint64(), 7)
}

func appendUUID(b []byte, hi, lo uint64, version byte) []byte {
	const digits = "0123456789abcdef"
	hi = hi&^0xf000 | uint64(version)<<12
	lo = lo&^(3<<62) | 2<<62
	for i := range 32 {
		switch i {
		case 8, 12, 16, 20:
			b = append(b, '-')
		}
		word := hi
		if i >= 16 {
			word = lo
		}
		b = append(b, digits[word>>(60-4*(i%16))&15])
	}
	return b
}
