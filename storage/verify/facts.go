package verify

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/keyspace"
)

// part is what the entries say of a part of all owners: those whose hashes
// begin with certain bits. Every space about people sorts by such a hash, so a
// part is a range of each, and a store of any size is checked in bounded memory,
// one part after the other.
type part struct {
	n, of int // this one of how many, a power of two up to 2^16

	owners   map[Hash]*owner
	tail     map[place]*tailEntry
	pairs    map[[2]Hash]*pairFacts
	sessions map[Hash]*sessionFacts
	stands   map[Hash]*standFacts
	refused  map[uint64]bool   // entries in the log, kept by the first part alone; true: its quarantine entry was seen
	used     map[Hash]struct{} // owners of something sealed
}

func newPart(n, of int) *part {
	return &part{
		n: n, of: of,
		owners: map[Hash]*owner{}, tail: map[place]*tailEntry{}, pairs: map[[2]Hash]*pairFacts{},
		sessions: map[Hash]*sessionFacts{}, stands: map[Hash]*standFacts{}, refused: map[uint64]bool{}, used: map[Hash]struct{}{},
	}
}

// first says that this part also checks what belongs to no owner.
func (p *part) first() bool { return p.n == 0 }

func (p *part) has(h Hash) bool {
	return p.of == 1 || int(binary.BigEndian.Uint16(h[:]))*p.of>>16 == p.n
}

// bounds are the part's keys of those that begin with prefix and a hash.
func (p *part) bounds(prefix []byte) (lower, upper []byte) {
	if p.of == 1 {
		return keyspace.Bounds(prefix)
	}
	step := 1 << 16 / p.of
	lower = binary.BigEndian.AppendUint16(slices.Clone(prefix), uint16(p.n*step))
	if p.n == p.of-1 {
		return lower, keyspace.Upper(nil, prefix)
	}
	return lower, binary.BigEndian.AppendUint16(slices.Clone(prefix), uint16((p.n+1)*step))
}

// owner is a facet, counted one event after the other.
type owner struct {
	tally
	last   uint64 // newest event that the cursor "people" covers
	late   []lateEvent
	stored bool // its record was seen
}

// tally counts what people and what robots did apart.
type tally struct {
	events, pageviews       int64
	botEvents, botPageviews int64
	min, max                int64 // event times of either, ms
}

// together is the tally of a facet of which an earlier version did not tell
// people's page views from robots'.
func (t tally) together() tally {
	t.pageviews, t.botPageviews = t.pageviews+t.botPageviews, 0
	return t
}

func (t tally) all() int64 { return t.events + t.botEvents }

// lateEvent is one behind the cursor: the record may or may not have it.
type lateEvent struct {
	seq uint64
	tally
}

func (t *tally) add(o tally) {
	if t.all() == 0 {
		t.min, t.max = math.MaxInt64, math.MinInt64
	}
	t.events += o.events
	t.pageviews += o.pageviews
	t.botEvents += o.botEvents
	t.botPageviews += o.botPageviews
	t.min, t.max = min(t.min, o.min), max(t.max, o.max)
}

func tallyOf(e *event.Event) tally {
	t := tally{min: e.Timestamp, max: e.Timestamp}
	events, pageviews := &t.events, &t.pageviews
	if e.Bot.Is {
		events, pageviews = &t.botEvents, &t.botPageviews
	}
	*events = 1
	if e.Type == event.Page || e.Type == event.Screen {
		*pageviews = 1
	}
	return t
}

// place is an entry and one of those to whom it belongs.
type place struct {
	seq   uint64
	owner Hash
}

type tailEntry struct {
	time    int64 // that it is indexed under, ms
	kind    byte
	indexed bool
	settled bool // seen in a history
	expired bool // received before what was deleted by age
}

// pairFacts is all evidence between two identifiers.
type pairFacts struct {
	known        graph.Pair  // from entries that the cursor "people" covers
	late         *graph.Pair // from all, when there are later ones
	a, b         Hash        // of known.A and known.B
	seenA, seenB bool        // the record from either side was seen
}

// sessionFacts are a device's session entries in the tail.
type sessionFacts struct {
	list []sessionAt
	seen bool
}

type sessionAt struct {
	seq uint64
	session
}

// event counts an event for its facet.
func (c *checker) addEvent(p *part, h Hash, seq uint64, e *event.Event) {
	o := p.owners[h]
	if o == nil {
		o = &owner{}
		p.owners[h] = o
	}
	if seq > c.people {
		o.late = append(o.late, lateEvent{seq, tallyOf(e)})
		return
	}
	o.tally.add(tallyOf(e))
	o.last = max(o.last, seq)
}

// addLinks derives the evidence that an event states.
func (c *checker) addLinks(p *part, seq uint64, e *entry) {
	if c.o.Types == nil {
		return
	}
	links, _ := graph.FromEvent(nil, &e.event, c.o.Types, graph.EventOptions{NoClaimedLinks: e.noLinks})
	for i := range links {
		c.addEvidence(p, seq, &links[i])
	}
}

func (c *checker) addEvidence(p *part, seq uint64, e *graph.Evidence) {
	a, b := e.A, e.B
	if id.Compare(a, b) > 0 {
		a, b = b, a
	}
	ha, hb := c.hashID(a), c.hashID(b)
	if !p.has(ha) && !p.has(hb) || c.erased.before(ha, seq) || c.erased.before(hb, seq) {
		return
	}
	key := pairKey(ha, hb)
	f := p.pairs[key]
	if f == nil {
		f = &pairFacts{known: graph.NewPair(a, b), a: ha, b: hb}
		p.pairs[key] = f
	}
	if seq <= c.people {
		f.known.Add(*e)
		if f.late == nil {
			return
		}
	}
	if f.late == nil {
		late := graph.NewPair(a, b)
		late.Merge(&f.known)
		f.late = &late
	}
	f.late.Add(*e)
}

// all is the pair with everything that is in the log.
func (f *pairFacts) all() *graph.Pair {
	if f.late != nil {
		return f.late
	}
	return &f.known
}

func pairKey(a, b Hash) [2]Hash {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	return [2]Hash{a, b}
}
