package verify

import (
	"math"
	"slices"

	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// Readers without which the store is not whole.
const (
	cursorPeople  = "people"
	cursorHistory = "history"
)

// checkPlaces checks the incarnations and the cursors against the log's ends.
func (c *checker) checkPlaces() error {
	s := &c.report.Survey
	c.expired = s.Expired
	origin := keyspace.AppendMeta(nil, keyspace.MetaOrigin)
	if s.Last > 0 && len(s.Incarnations) == 0 {
		c.fault(origin, "is missing: entries have no name without it")
	}
	for i, x := range s.Incarnations {
		switch {
		case i == 0 && x.First != 1:
			c.fault(origin, "the first incarnation begins with entry %d: expected 1", x.First)
		case i > 0 && x.First <= s.Incarnations[i-1].First:
			c.fault(origin, "incarnation %d begins with entry %d, the one before it with %d", i+1, x.First, s.Incarnations[i-1].First)
		case x.First > s.Last+1:
			c.fault(origin, "incarnation %d begins with entry %d, but the log ends with %d", i+1, x.First, s.Last)
		}
	}
	for _, x := range s.Cursors {
		key := keyspace.AppendCursor(nil, x.Name)
		if x.Seq > s.Last {
			c.fault(key, "%q stands at entry %d, but the log ends with %d: entries %d to %d are missing", x.Name, x.Seq, s.Last, s.Last+1, x.Seq)
		}
	}
	var foundPeople, foundHistory bool
	c.people, foundPeople = s.Cursor(cursorPeople)
	c.history, foundHistory = s.Cursor(cursorHistory)
	switch {
	case !foundPeople && (s.Head > 1 || foundHistory):
		c.fault(keyspace.AppendCursor(nil, cursorPeople), "is missing, though entries have settled: what people was made from is not known")
	case !foundPeople && s.Last > 0:
		c.warn(keyspace.AppendCursor(nil, cursorPeople), "is not there: no checkpoint was finished yet, and the next start reads the log from its beginning")
	case foundPeople && c.history > c.people:
		c.fault(keyspace.AppendCursor(nil, cursorHistory), "stands at entry %d, ahead of %q at %d: entries settled before people had them", c.history, cursorPeople, c.people)
	}
	switch head := keyspace.AppendMeta(nil, keyspace.MetaHead); {
	case !foundHistory && s.Head > 1:
		c.fault(keyspace.AppendCursor(nil, cursorHistory), "is missing, though the log has given up the entries before %d", s.Head)
	case s.Head > c.history+1 && s.Head > 1:
		c.fault(head, "the log begins with entry %d, but entries have settled up to %d only: entries %d to %d are in neither", s.Head, c.history, c.history+1, s.Head-1)
	}
	return nil
}

// scanLog reads every block. It checks that they follow each other, and notes
// what their entries say of a part of the owners.
func (c *checker) scanLog(p *part) error {
	s := &c.report.Survey
	next, high := s.Head, s.HeadHigh
	epochs := slices.Clone(s.Epochs)
	slices.Sort(epochs)
	var e entry
	err := c.walkSpace("reading the log", keyspace.LogBlock, func(k, v []byte) {
		first, err := keyspace.ParseLogBlock(k)
		if err != nil {
			return // the survey has told it
		}
		h, _, err := record.ParseHeader(v)
		if err != nil {
			c.once(p, k, "%v", err)
			return
		}
		switch {
		case first > next:
			c.once(p, k, "begins with entry %d: entries %d to %d are missing", first, next, first-1)
		case first < next:
			c.once(p, k, "begins with entry %d, but the entries before %d were there already or were given up", first, next)
		}
		next = first + uint64(h.Count)
		if h.High < high {
			c.once(p, k, "its highest receipt time, %d, is below that of the log before it, %d", h.High, high)
		}
		high = max(high, h.High)
		if _, found := slices.BinarySearch(epochs, h.Epoch); !found {
			c.once(p, k, "is sealed under epoch key %d, which is not there", h.Epoch)
			return
		}
		key, err := c.o.Vault.EpochKey(h.Epoch)
		if err != nil {
			c.once(p, k, "epoch key %d: %v", h.Epoch, err)
			return
		}
		plain, err := c.blocks.Decode(v, key, c.origin(first), first, &c.block)
		if err == nil {
			err = record.Entries(plain, h, func(i int, at int64, b []byte) (bool, error) {
				c.tailEntry(p, k, first+uint64(i), at, b, &e)
				return true, nil
			})
		}
		if err != nil {
			c.once(p, k, "%v", err)
		}
	})
	if err != nil || !p.first() {
		return err
	}
	if s.FirstEpoch == 0 {
		return nil
	}
	older, _ := slices.BinarySearch(epochs, s.FirstEpoch)
	for i, x := range epochs[:older] {
		// A log that gave up its last entry keeps the key that it may still use.
		tell := c.fault
		if i == older-1 {
			tell = c.warn
		}
		tell(keyspace.AppendVaultID(nil, keyspace.VaultEpoch, x), "is older than the log's first block, which has epoch key %d: the key should have been destroyed", s.FirstEpoch)
	}
	return nil
}

// once is fault for what every pass sees: the first tells it.
func (c *checker) once(p *part, key []byte, format string, args ...any) {
	if p.first() {
		c.fault(key, format, args...)
	}
}

func (c *checker) origin(seq uint64) Hash {
	n := c.report.originOf(seq)
	if n == 0 {
		return Hash{}
	}
	return c.report.Incarnations[n-1].ID
}

// tailEntry notes one entry of the log.
func (c *checker) tailEntry(p *part, block []byte, seq uint64, receivedAt int64, b []byte, e *entry) {
	if p.first() {
		c.report.Tail++
	}
	if err := parseEntry(e, b); err != nil {
		c.once(p, block, "entry %d: %v", seq, err)
		return
	}
	if _, ok := c.erased.pending[seq]; ok {
		return // it is erased already, and only its bytes are there yet
	}
	switch e.kind {
	case kindEvent:
		h := c.facetHash(keyOf(&e.event, c.report.originOf(seq)))
		if by, ok := c.outlived(h, seq); ok {
			c.once(p, block, "entry %d should have been overwritten: entry %d erased its facet", seq, by)
			return
		}
		c.expect(p, h, seq, e.event.Timestamp, receivedAt, kindEvent)
		if seq > c.history {
			if p.first() {
				c.report.Events++
			}
			if p.has(h) {
				c.addEvent(p, h, seq, &e.event)
			}
			c.addLinks(p, seq, e)
		}
		if p.has(h) {
			c.checkTaken(block, seq, e)
		}
	case kindExcluded:
		// It is found by whom it names, and counts for nobody.
		for i, x := range members(keyOf(&e.event, 0)) {
			h := c.hashID(x)
			c.checkOlder(p, block, seq, h)
			c.expect(p, h, seq, receivedAt, receivedAt, kindExcluded)
			if i == 0 && p.has(h) {
				c.checkTaken(block, seq, e)
			}
		}
	case kindRefused:
		if p.first() && seq > c.history {
			p.refused[seq] = false
		}
	case kindSession:
		visitor := c.hashID(device(e.session.visitor))
		c.checkOlder(p, block, seq, visitor, c.hashID(user(e.session.user)))
		c.expect(p, visitor, seq, receivedAt, receivedAt, kindSession)
		if e.session.user != "" {
			c.expect(p, c.hashID(user(e.session.user)), seq, receivedAt, receivedAt, kindSession)
		}
		if p.has(visitor) {
			f := p.sessions[visitor]
			if f == nil {
				f = &sessionFacts{}
				p.sessions[visitor] = f
			}
			f.list = append(f.list, sessionAt{seq, e.session})
		}
	case kindEvidence:
		c.checkOlder(p, block, seq, c.hashID(e.evidence.A), c.hashID(e.evidence.B))
		c.expect(p, c.hashID(e.evidence.A), seq, receivedAt, receivedAt, kindEvidence)
		c.expect(p, c.hashID(e.evidence.B), seq, receivedAt, receivedAt, kindEvidence)
		if seq > c.history {
			c.addEvidence(p, seq, &e.evidence)
		}
	case kindTransition:
		h := c.hashID(e.transitions.id)
		c.checkOlder(p, block, seq, h)
		c.expect(p, h, seq, e.transitions.at, receivedAt, kindTransition)
		if seq > c.history {
			c.addTransitions(p, h, seq, &e.transitions)
		}
	case kindErasure:
		if p.first() && seq <= c.people {
			if !c.erased.jobs[seq] {
				c.fault(keyspace.AppendErasure(nil, seq), "is missing: entry %d decided it", seq)
			}
			for _, h := range e.erasure.identifiers {
				if c.erased.tombs[h].seq < seq {
					c.fault(keyspace.AppendTombstone(nil, h), "is missing or too old: entry %d erased this identifier", seq)
				}
			}
		}
	}
}

// checkOlder tells of an entry that should have gone with one of those it is about.
func (c *checker) checkOlder(p *part, place []byte, seq uint64, about ...Hash) {
	for _, h := range about {
		if c.erased.before(h, seq) {
			c.once(p, place, "entry %d should be gone: entry %d erased %x, whom it is about", seq, c.erased.tombs[h].seq, h)
		}
	}
}

// expect notes that an entry has to be found again: in the index while it is in
// the tail alone, in a history once it has settled.
func (c *checker) expect(p *part, h Hash, seq uint64, time, receivedAt int64, kind byte) {
	if p.has(h) {
		p.tail[place{seq, h}] = &tailEntry{time: time, kind: kind, expired: receivedAt < c.expired}
	}
}

// checkTaken makes sure that an event's message is remembered while it may be
// sent again.
func (c *checker) checkTaken(block []byte, seq uint64, e *entry) {
	if seq > c.people || e.event.ReceivedAt < c.o.Now.Add(-c.o.DedupeWindow).UnixMilli() {
		return
	}
	key := keyspace.AppendDedupe(nil, c.o.Vault.HashKey("message", e.event.Site, e.event.MessageID))
	if !c.has(key) {
		c.fault(key, "is missing: the message of entry %d would be taken a second time", seq)
	}
}

// checkIndex compares the tail's index with the tail, both ways.
func (c *checker) checkIndex(p *part) error {
	lower, upper := p.bounds(spaceKey(keyspace.Event))
	err := c.walk("comparing the index", lower, upper, c.report.space(keyspace.Event).Records/uint64(p.of), func(k, v []byte) {
		owner, ms, seq, err := keyspace.ParseEvent(k)
		if err != nil {
			return
		}
		t := p.tail[place{seq, owner}]
		switch {
		case len(v) != 0:
			c.fault(k, "has a value of %d bytes: expected none", len(v))
		case seq < c.report.Head:
			c.fault(k, "leads to entry %d, which the log has given up", seq)
		case t == nil:
			c.fault(k, "leads to entry %d, which is not this owner's", seq)
		case t.time != ms:
			c.fault(k, "gives entry %d the time %d: expected %d", seq, ms, t.time)
		case seq <= c.history:
			c.fault(k, "leads to entry %d, which has settled", seq)
		default:
			t.indexed = true
		}
	})
	if err != nil {
		return err
	}
	for _, x := range sortedPlaces(p.tail) {
		t := p.tail[x]
		key := keyspace.AppendEvent(nil, x.owner, t.time, x.seq)
		switch {
		case x.seq > c.people:
		case x.seq > c.history && !t.indexed && !t.settled:
			c.fault(key, "is missing: entry %d is in the log and cannot be found by its owner", x.seq)
		case x.seq <= c.history && !t.settled && !t.expired && t.kind != kindSession && t.kind != kindExcluded:
			c.fault(key, "entry %d should have settled, and is in no history of its owner", x.seq)
		}
	}
	return nil
}

// sortedPlaces lists those that would be told, in a fixed order.
func sortedPlaces(tail map[place]*tailEntry) (list []place) {
	for x, t := range tail {
		if !t.indexed && !t.settled {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b place) int {
		if a.seq != b.seq {
			return int(min(max(int64(a.seq-b.seq), math.MinInt32), math.MaxInt32))
		}
		return compareHash(a.owner, b.owner)
	})
	return list
}
