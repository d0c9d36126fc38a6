package verify

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// ReadFacet reads a facet's opened record: version, and packed behind it, for
// each log that was folded in (this store's own has number 0, and is the only
// one) its number and its last entry that was, and the facet. Version 1 is not
// packed and has the last entry alone.
func ReadFacet(p *record.Packer, plain []byte) (f *facet.Facet, applied uint64, err error) {
	r := record.NewReader(plain)
	if r.Version("facet", 2) > 1 {
		unpacked, err := p.Unpack(nil, r.Rest())
		if err != nil {
			return nil, 0, err
		}
		r = record.NewReader(unpacked)
		if logs, log := r.Uvarint(), r.Uvarint(); r.Err() == nil && (logs != 1 || log != 0) {
			return nil, 0, fmt.Errorf("%w: a facet of %d logs, the first has number %d: expected this store's own alone", record.ErrMalformed, logs, log)
		}
	}
	applied = r.Uvarint()
	if err := r.Err(); err != nil {
		return nil, 0, err
	}
	f, err = facet.Decode(string(r.Rest()))
	return f, applied, err
}

func (c *checker) storedFacet(h Hash, key, v []byte) (f *facet.Facet, applied uint64, err error) {
	plain, err := c.unseal(h, key, v)
	if err != nil {
		return nil, 0, err
	}
	return ReadFacet(c.packer, plain)
}

// checkFacets compares each facet with a count of its events.
func (c *checker) checkFacets(p *part) error {
	lower, upper := p.bounds(spaceKey(keyspace.Facet))
	err := c.walk("comparing facets", lower, upper, c.report.space(keyspace.Facet).Records/uint64(p.of), func(k, v []byte) {
		h, err := keyspace.ParseFacet(k)
		if err != nil {
			return
		}
		p.used[h] = struct{}{}
		o := p.owners[h]
		if o == nil {
			o = &owner{}
		}
		o.stored = true
		f, applied, err := c.storedFacet(h, k, v)
		if err != nil {
			c.fault(k, "%v", err)
			return
		}
		if c.facetHash(f.Key) != h {
			c.fault(k, "holds another facet")
			return
		}
		c.compareFacet(k, f, applied, o)
		if names := members(f.Key); !slices.ContainsFunc(names, func(x id.ID) bool { return !c.erased.before(c.hashID(x), applied) }) {
			c.warn(k, "names nobody but identifiers that were erased after its last event")
		}
		if o.last == 0 && len(o.late) > 0 {
			return // written before its names, and a crash came between
		}
		for _, x := range members(f.Key) {
			if edge := keyspace.AppendNode(nil, c.hashID(x), h); !c.has(edge) {
				c.fault(edge, "is missing: the facet cannot be found by its %s", x.Type)
			}
		}
	})
	if err != nil {
		return err
	}
	var missing []Hash
	for h, o := range p.owners {
		if !o.stored && o.last > 0 {
			missing = append(missing, h)
		}
	}
	slices.SortFunc(missing, compareHash)
	for _, h := range missing {
		c.fault(keyspace.AppendFacet(nil, h), "is missing: %d events belong to it, the newest is entry %d", p.owners[h].all(), p.owners[h].last)
	}
	return nil
}

func (c *checker) compareFacet(k []byte, f *facet.Facet, applied uint64, o *owner) {
	if applied > c.report.Last {
		c.fault(k, "has entry %d folded in, but the log ends with %d", applied, c.report.Last)
		return
	}
	if by, gone := c.outlived(Hash(k[1:]), applied); gone {
		c.fault(k, "should be gone: entry %d erased it, and its last event is entry %d", by, applied)
		return
	}
	if applied < o.last {
		c.fault(k, "ends with entry %d, though entry %d is its own and the cursor %q stands at %d", applied, o.last, cursorPeople, c.people)
		return
	}
	want, newest := o.tally, o.last
	for _, x := range o.late {
		if x.seq <= applied {
			want.add(x.tally)
			newest = max(newest, x.seq)
		}
	}
	have := tally{events: f.Events, pageviews: f.Pageviews, botEvents: f.BotEvents, botPageviews: f.BotPageviews, min: f.First, max: f.Last}
	if f.Earlier {
		have, want = have.together(), want.together()
	}
	if c.expired != 0 && f.First < c.expired {
		c.report.Uncertain++
		if want.events > have.events || want.pageviews > have.pageviews || want.botEvents > have.botEvents || want.botPageviews > have.botPageviews ||
			want.all() > 0 && (want.min < have.min || want.max > have.max) {
			c.fault(k, "says %s, but there are %s, and others were deleted by age", have, want)
		}
		return
	}
	c.report.Checked++
	switch {
	case have != want:
		c.fault(k, "says %s, but there are %s", have, want)
	case applied != newest:
		c.fault(k, "ends with entry %d, but its newest event is entry %d", applied, newest)
	}
}

func (t tally) String() string {
	return fmt.Sprintf("%d events and %d page views of people, %d and %d of robots, from %d to %d",
		t.events, t.pageviews, t.botEvents, t.botPageviews, t.min, t.max)
}

// checkEdges makes sure that what an identifier's facets are is so.
func (c *checker) checkEdges() error {
	return c.walkSpace("comparing identifiers", keyspace.Node, func(k, v []byte) {
		x, h, err := keyspace.ParseNode(k)
		if err != nil {
			return
		}
		if len(v) != 0 {
			c.fault(k, "has a value of %d bytes: expected none", len(v))
		}
		place := keyspace.AppendFacet(nil, h)
		found, err := c.at.Get(place, func(v []byte) error {
			f, _, err := c.storedFacet(h, place, v)
			if err != nil {
				return nil // told where facets are compared
			}
			if !slices.ContainsFunc(members(f.Key), func(m id.ID) bool { return c.hashID(m) == x }) {
				c.fault(k, "leads to a facet that is not this identifier's")
			}
			return nil
		})
		switch {
		case err != nil:
			c.fault(place, "cannot be read: %v", err)
		case !found:
			c.fault(k, "leads to a facet that is not there")
		}
	})
}

// checkPairs compares evidence from either side with what the entries say.
func (c *checker) checkPairs(p *part) error {
	lower, upper := p.bounds(spaceKey(keyspace.Pair))
	err := c.walk("comparing evidence", lower, upper, c.report.space(keyspace.Pair).Records/uint64(p.of), func(k, v []byte) {
		x, y, err := keyspace.ParsePair(k)
		if err != nil {
			return
		}
		p.used[x] = struct{}{}
		plain, err := c.unseal(x, k, v)
		if err != nil {
			c.fault(k, "%v", err)
			return
		}
		pair, err := graph.DecodePair(plain)
		if err != nil {
			c.fault(k, "%v", err)
			return
		}
		if pairKey(c.hashID(pair.A), c.hashID(pair.B)) != pairKey(x, y) {
			c.fault(k, "holds evidence about others")
			return
		}
		c.comparePair(p, k, x, y, &pair, plain)
	})
	if err != nil {
		return err
	}
	var missing [][]byte
	for _, f := range p.pairs {
		if f.known.IsEmpty() {
			continue
		}
		if p.has(f.a) && !f.seenA {
			missing = append(missing, keyspace.AppendPair(nil, f.a, f.b))
		}
		if p.has(f.b) && !f.seenB {
			missing = append(missing, keyspace.AppendPair(nil, f.b, f.a))
		}
	}
	slices.SortFunc(missing, bytes.Compare)
	for _, k := range missing {
		c.fault(k, "is missing: events or an operator say that the two belong together")
	}
	return nil
}

func (c *checker) comparePair(p *part, k []byte, x, y Hash, have *graph.Pair, plain []byte) {
	f := p.pairs[pairKey(x, y)]
	if f != nil {
		if f.a == x {
			f.seenA = true
		} else {
			f.seenB = true
		}
	}
	if c.o.Types == nil {
		c.compareSides(k, x, y, plain, c.people < c.report.Last)
		return
	}
	if f == nil {
		_, gone := c.erased.tombs[x]
		_, otherGone := c.erased.tombs[y]
		switch {
		case c.mayBeExpired(have):
			c.compareSides(k, x, y, plain, false)
		case gone || otherGone:
			c.fault(k, "no event and no operator says this since the identifier was erased")
		default:
			c.fault(k, "no event and no operator says this")
		}
		return
	}
	if clonePair(have).Merge(&f.known).Changed() {
		c.fault(k, "lacks evidence that events or an operator gave")
		return
	}
	if c.mayBeExpired(have) {
		c.compareSides(k, x, y, plain, f.late != nil)
		return
	}
	if clonePair(f.all()).Merge(have).Changed() {
		c.fault(k, "has evidence that no event and no operator gave")
	}
}

// mayBeExpired says that some of the evidence may be of events that were
// deleted by age: it then stands, and nothing explains it any more.
func (c *checker) mayBeExpired(p *graph.Pair) bool {
	if c.expired == 0 {
		return false
	}
	for t := id.Claimed; t <= id.Admin; t++ {
		if earliest, _, found := p.Span(t); found && earliest.Time < c.expired {
			return true
		}
	}
	return len(p.Cuts(id.AllView)) > 0 || p.Trust() == 0
}

// compareSides compares a pair's record with that from the other side. Where
// later entries may have reached one side alone before a crash, that is no fault.
func (c *checker) compareSides(k []byte, x, y Hash, plain []byte, lenient bool) {
	if lenient {
		return
	}
	other := keyspace.AppendPair(nil, y, x)
	found, err := c.at.Get(other, func(v []byte) error {
		theirs, err := c.unseal(y, other, v)
		if err == nil && !bytes.Equal(theirs, plain) {
			c.fault(k, "says something else than the record from the other side")
		}
		return nil // what does not open is told at its own place
	})
	switch {
	case err != nil:
		c.fault(other, "cannot be read: %v", err)
	case !found:
		c.fault(other, "is missing: the pair is there from the other side")
	}
}

func clonePair(p *graph.Pair) *graph.Pair {
	q := graph.NewPair(p.A, p.B)
	q.Merge(p)
	return &q
}

// checkSessions compares sessions with the newest entry about each.
func (c *checker) checkSessions(p *part) error {
	lower, upper := p.bounds(spaceKey(keyspace.Session))
	err := c.walk("comparing sessions", lower, upper, c.report.space(keyspace.Session).Records/uint64(p.of), func(k, v []byte) {
		h, err := keyspace.ParseSession(k)
		if err != nil {
			return
		}
		p.used[h] = struct{}{}
		f := p.sessions[h]
		if f == nil {
			f = &sessionFacts{}
		}
		f.seen = true
		plain, err := c.unseal(h, k, v)
		if err != nil {
			c.fault(k, "%v", err)
			return
		}
		r := record.NewReader(plain)
		version := r.Version("session", 2)
		have := sessionAt{seq: r.Uvarint()}
		have.session.read(r, version)
		if err := r.Done("session"); err != nil {
			c.fault(k, "%v", err)
			return
		}
		c.compareSession(k, f, have)
		for _, x := range [...]Hash{h, c.hashID(user(have.user))} {
			if c.erased.before(x, have.seq) {
				c.fault(k, "should be gone: entry %d erased %x, whom it is about", c.erased.tombs[x].seq, x)
			}
		}
	})
	if err != nil {
		return err
	}
	var missing []Hash
	for h, f := range p.sessions {
		if newest := c.newestSession(f); !f.seen && newest != nil && newest.until > c.o.Now.UnixMilli() {
			missing = append(missing, h)
		}
	}
	slices.SortFunc(missing, compareHash)
	for _, h := range missing {
		c.fault(keyspace.AppendSession(nil, h), "is missing: entry %d began or ended it", c.newestSession(p.sessions[h]).seq)
	}
	return nil
}

// newestSession is the last that the record must know of.
func (c *checker) newestSession(f *sessionFacts) (newest *sessionAt) {
	for i := range f.list {
		if f.list[i].seq <= c.people {
			newest = &f.list[i]
		}
	}
	return newest
}

func (c *checker) compareSession(k []byte, f *sessionFacts, have sessionAt) {
	newest := c.newestSession(f)
	switch {
	case have.seq > c.report.Last:
		c.fault(k, "is of entry %d, but the log ends with %d", have.seq, c.report.Last)
		return
	case newest != nil && have.seq < newest.seq:
		c.fault(k, "is of entry %d, but entry %d is newer", have.seq, newest.seq)
		return
	case have.seq < c.report.Head:
		return // its entry is no longer kept
	}
	have.visitor = ""
	for _, x := range f.list {
		x.visitor = ""
		if x == have {
			return
		}
	}
	c.fault(k, "says something else than entry %d", have.seq)
}
