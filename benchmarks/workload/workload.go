// Package workload makes the traffic that benchmarks and tools/loadgen send:
// seeded visitors of a bookshop who come back, look at pages and products,
// search, order and log in, written as the bodies that the browser tag and the
// Segment SDKs send. It also judges the answers. It does no I/O.
package workload

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"
)

// A Format is a wire format of the requests.
type Format uint8

const (
	Interact Format = iota // POST /v1/interact, as the browser tag sends
	Segment                // POST /v1/batch, as the Segment SDKs send
	Profile                // POST /v1/profile, which only reads
	// The formats of other collectors, in foreign.go.
	Snowplow
	Matomo
	Umami
	GoatCounter
	Plausible
)

// A Shape says what one request is.
type Shape struct {
	Format Format
	Batch  int // events in a request; less than 1 counts as 1; Profile has none
}

// Options are what a Workload is made from.
type Options struct {
	Visitors   int      // how many different visitors there are; 0: 10,000
	Streams    int      // how many streams, one for each connection; 0: 1
	Seed       uint64   // same seed and same clock: same requests
	Nonce      uint64   // goes into messageIds only, so that two runs of one seed never share an id
	Origin     string   // of the pages that visitors read, such as https://shop.example; required
	WriteKey   string   // required
	Placements []string // asked of every interact and profile request
	Cookie     string   // "name=value" that visitors start with, for a server that sets none
	Now        func() time.Time
	// Quiet visitors each come once, in turn, with a page view. From then on they
	// only say how far they read, which no rule of a shop asks for.
	Quiet bool
	// Even visitors come equally often. Of others some come again and again.
	Even bool
	// Visit is how many requests a visitor makes, on average, before somebody else takes
	// the place: Visitors are then how many are on the site at once. Three in ten of who comes
	// have been there before. 0: the visitors stay for ever. Profile requests are nobody's visit.
	Visit int
	// Past is what each visitor brings from earlier visits, by its number below
	// Visitors; nil: nothing.
	Past func(visitor int) Past
}

// Past is what a server knows of a visitor before the first request.
type Past struct {
	Cookie string // "name=value"
	Events uint32
	Pages  uint32 // page views among them
}

// A Workload is a population of visitors, divided among streams.
//
// Invariant: a visitor belongs to exactly one stream and a stream has one
// request under way at a time. So a visitor's requests never overlap, the
// cookie of an answer is there for the next request, and the number of page
// views that an answer must show is known exactly.
type Workload struct {
	streams []*Stream
}

// New makes the visitors. It fails when an option cannot be used.
func New(o Options) (*Workload, error) {
	if o.Visitors == 0 {
		o.Visitors = 10_000
	}
	if o.Streams == 0 {
		o.Streams = 1
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	switch {
	case o.Visitors < 1:
		return nil, fmt.Errorf("visitors is %d: expected 1 or more", o.Visitors)
	case o.Streams < 1:
		return nil, fmt.Errorf("streams is %d: expected 1 or more", o.Streams)
	case o.Visitors < o.Streams:
		return nil, fmt.Errorf("%d visitors for %d streams: each stream needs a visitor of its own; raise the visitors or lower the connections", o.Visitors, o.Streams)
	case o.Visit < 0:
		return nil, fmt.Errorf("visit is %d: expected how many requests a visitor makes, or 0 for visitors who stay", o.Visit)
	case o.WriteKey == "":
		return nil, fmt.Errorf("the write key is empty: expected a site's write key")
	}
	origin, err := url.Parse(o.Origin)
	if err != nil || origin.Host == "" || origin.Scheme != "http" && origin.Scheme != "https" || strings.Trim(origin.Path, "/") != "" {
		return nil, fmt.Errorf("origin is %q: expected a scheme and a host, such as https://shop.example", o.Origin)
	}
	c, err := newCommon(o, origin.Scheme+"://"+origin.Host)
	if err != nil {
		return nil, err
	}
	w := &Workload{streams: make([]*Stream, o.Streams)}
	first := 0
	for i := range w.streams {
		last := o.Visitors * (i + 1) / o.Streams
		w.streams[i] = newStream(c, o, i, first, last-first)
		first = last
	}
	return w, nil
}

// Streams are the workload's parts, one for each connection. Each may be used
// by one goroutine at a time.
func (w *Workload) Streams() []*Stream { return w.streams }

// common is what all streams read and none writes.
type common struct {
	origin     string
	host       string // of the origin
	key        string // the write key
	writeKey   string // the same as JSON
	basic      string // Authorization header of the Segment format
	bearer     string // the same of the GoatCounter format
	placements []string
	asked      string // `,"placements":[…]`, or nothing
	agents     []agent
	agentDraw  []uint16 // one entry for each unit of an agent's weight
	products   []product
	now        func() time.Time
}

func newCommon(o Options, origin string) (*common, error) {
	key, err := json.Marshal(o.WriteKey)
	if err != nil {
		return nil, fmt.Errorf("write key: %w", err)
	}
	c := &common{
		origin: origin, host: origin[strings.Index(origin, "://")+3:], key: o.WriteKey, writeKey: string(key), basic: basicAuth(o.WriteKey), bearer: "Bearer " + o.WriteKey, placements: o.Placements,
		agents: agentTable(), products: catalogue(), now: o.Now,
	}
	if len(o.Placements) > 0 {
		list, err := json.Marshal(o.Placements)
		if err != nil {
			return nil, fmt.Errorf("placements: %w", err)
		}
		c.asked = `,"placements":` + string(list)
	}
	for i, a := range c.agents {
		for range a.weight {
			c.agentDraw = append(c.agentDraw, uint16(i))
		}
	}
	return c, nil
}

// visitor is what a browser remembers, and what we know that the gateway must
// know of it. Everything else about a visitor (agent, address, language,
// taste) follows from its number.
type visitor struct {
	cookie string // "name=value"; the jar holds this one
	seq    uint32 // events sent: the tag's per-device sequence number
	pages  uint32 // page views acknowledged
	page   uint16 // the page it is on: 0 none yet, 1 the front page, else product + 2
	doubt  bool   // pages may be too low: a request was given up without an answer
	user   bool   // identified on this device
	came   bool   // in this workload
	number int    // in the whole population
	left   int    // requests until the visit ends
}

// maxCookie bounds the jar: 400 bytes hold any cookie of ours three times over.
const maxCookie = 400

// traitsOf are a visitor's fixed traits, drawn from its number.
type traitsOf struct {
	agent    *agent
	locale   *locale
	screen   int
	taste    int // a category
	customer bool
	hash     uint64
}

func (c *common) traits(seed uint64, number int) traitsOf {
	h := mix(seed ^ mix(uint64(number)+1))
	t := traitsOf{hash: h}
	t.agent = &c.agents[c.agentDraw[h%uint64(len(c.agentDraw))]]
	t.locale = &locales[(h>>16)%uint64(len(locales))]
	t.taste = int((h >> 24) % uint64(len(categories)))
	t.screen = int((h >> 32) % 4)
	t.customer = (h>>40)%8 == 0
	return t
}

// mix is the finaliser of SplitMix64: every input bit changes half of the output's.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// newPCG gives stream i of a seed a generator of its own.
func newPCG(seed uint64, i int, purpose uint64) *rand.Rand {
	return rand.New(rand.NewPCG(mix(seed^purpose), mix(uint64(i)+purpose)))
}

// Cookie is the cookie of some visitor, as "name=value"; "" when none has one.
func (w *Workload) Cookie() string {
	for _, s := range w.streams {
		if s.known >= 0 {
			return s.people[s.known].cookie
		}
	}
	return ""
}

// Came is how many of the visitors have come. It must not be called during a run.
func (w *Workload) Came() (n int) {
	for _, s := range w.streams {
		for i := range s.people {
			if s.people[i].came {
				n++
			}
		}
	}
	return n
}
