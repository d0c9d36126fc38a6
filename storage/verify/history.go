package verify

import (
	"bytes"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// span is where the chunk before ended.
type span struct {
	month  keyspace.Month
	owner  Hash
	origin uint16
	last   uint64
}

func keyOf(e *event.Event, origin int) facet.Key {
	return facet.Key{AnonymousID: e.AnonymousID, UserID: e.UserID, Trust: e.Trust, Origin: uint16(origin)}
}

func compareHash(a, b Hash) int { return bytes.Compare(a[:], b[:]) }

// scanHistory reads every chunk. It checks each against its key and the one
// before it, and notes what its entries say.
func (c *checker) scanHistory(p *part) error {
	var before span
	ahead := uint64(0)
	var e entry
	err := c.walkSpace("reading histories", keyspace.History, func(k, v []byte) {
		month, owner, origin, first, err := keyspace.ParseHistory(k)
		if err != nil {
			return
		}
		if p.has(owner) {
			p.used[owner] = struct{}{}
		}
		key, err := c.o.Vault.FacetKey(owner, false, nil)
		if err != nil {
			c.once(p, k, "%v", err)
			return
		}
		h, plain, err := c.chunks.Decode(v, key, k, first, &c.chunk)
		if err != nil {
			c.once(p, k, "%v", err)
			return
		}
		if before.month == month && before.owner == owner && first <= before.last {
			c.once(p, k, "begins with entry %d, but the chunk before it ends with %d", first, before.last)
		}
		before = span{month, owner, origin, h.Last}
		err = record.ChunkEntries(plain, h, func(seq uint64, receivedAt, at int64, b []byte) (bool, error) {
			if keyspace.MonthOf(receivedAt) != month {
				c.once(p, k, "entry %d was received in another month", seq)
			}
			if n := c.report.originOf(seq); n != int(origin) {
				c.once(p, k, "entry %d is of incarnation %d, the key says %d", seq, n, origin)
			}
			if seq > c.history {
				ahead++
			}
			c.settledEntry(p, k, owner, seq, at, b, &e)
			return true, nil
		})
		if err != nil {
			c.once(p, k, "%v", err)
		}
	})
	if ahead > 0 && p.first() {
		c.warn(keyspace.AppendCursor(nil, cursorHistory), "%d entries stand in histories beyond it: settling was interrupted, and goes on at the next start", ahead)
	}
	return err
}

// settledEntry notes one entry of owner's history.
func (c *checker) settledEntry(p *part, chunk []byte, owner Hash, seq uint64, at int64, b []byte, e *entry) {
	if p.first() {
		c.report.Settled++
	}
	if err := parseEntry(e, b); err != nil {
		c.once(p, chunk, "entry %d: %v", seq, err)
		return
	}
	t := p.tail[place{seq, owner}]
	if t != nil {
		t.settled = true
	}
	if seq > c.history {
		// What is in the tail as well is counted there; elsewhere it cannot be.
		if t == nil && p.has(owner) {
			c.fault(chunk, "entry %d is newer than the cursor %q at %d, and the log has no such entry of this owner", seq, cursorHistory, c.history)
		}
		return
	}
	switch e.kind {
	case kindEvent:
		if h := c.facetHash(keyOf(&e.event, c.report.originOf(seq))); h != owner {
			c.once(p, chunk, "entry %d is of another facet", seq)
			return
		}
		if e.event.Timestamp != at {
			c.once(p, chunk, "entry %d happened at %d, the chunk says %d", seq, e.event.Timestamp, at)
		}
		if by, ok := c.outlived(owner, seq); ok {
			c.once(p, chunk, "entry %d should be gone: entry %d erased its facet", seq, by)
			return
		}
		if p.first() {
			c.report.Events++
		}
		if p.has(owner) {
			c.addEvent(p, owner, seq, &e.event)
		}
		c.addLinks(p, seq, e)
	case kindEvidence:
		if c.hashID(e.evidence.A) != owner && c.hashID(e.evidence.B) != owner {
			c.once(p, chunk, "entry %d is evidence about others", seq)
			return
		}
		c.checkOlder(p, chunk, seq, c.hashID(e.evidence.A), c.hashID(e.evidence.B))
		c.addEvidence(p, seq, &e.evidence)
	case kindTransition:
		switch {
		case c.hashID(e.transitions.id) != owner:
			c.once(p, chunk, "entry %d is a transition of somebody else", seq)
			return
		case e.transitions.at != at:
			c.once(p, chunk, "entry %d happened at %d, the chunk says %d", seq, e.transitions.at, at)
		}
		c.checkOlder(p, chunk, seq, owner)
		c.addTransitions(p, owner, seq, &e.transitions)
	default:
		c.once(p, chunk, "entry %d has kind %d, which has no place in a history", seq, e.kind)
	}
}
