package people

import (
	"cmp"
	"errors"
	"slices"

	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
)

// The gateway holds an identifier by itself when it sees that no one person can
// be behind it. A hold is evidence between the identifier and graph.Everybody():
// it stands in the log right behind the entry that brought it about, and
// whatever is made of the log again takes it from there. So nothing looks for
// holds in a replay; only what a crash has cut off is looked for at its end.

// ErrNotHeld says that there is nothing to release.
var ErrNotHeld = errors.New("people: that identifier is not held")

// suspect is an identifier that may have come over a limit.
type suspect struct {
	x   id.ID
	why graph.HoldReason
}

// suspect notes an identifier with so many pairs that it may have too many links.
func (s *Store) suspect(n *node) {
	if s.o.MaxLinks < 0 || len(n.pairs) <= s.o.MaxLinks || s.detached {
		return
	}
	s.suspects[suspect{n.id, graph.HoldLinks}] = struct{}{}
}

// seen notes the network that a device's event came from.
func (s *Store) seen(it *Item) {
	if s.o.MaxAddresses < 0 || it.key.AnonymousID == "" || it.Event.IP == "" {
		return
	}
	n := s.nodes[id.ID{Type: id.AnonymousID, Value: it.key.AnonymousID}]
	h := hashNetwork(s.seed, it.Event.IP)
	if h != 0 && n.networks.add(h, netBits(s.o.MaxAddresses)) && n.networks.set > netLimit(s.o.MaxAddresses) {
		s.suspects[suspect{n.id, graph.HoldAddresses}] = struct{}{}
	}
}

// due gives the holds that the suspects call for, in their order, and clears
// them of suspicion.
func (s *Store) due(at int64) (list []graph.Evidence) {
	if len(s.suspects) == 0 {
		return nil
	}
	for x := range s.suspects {
		if n := s.nodes[x.x]; n != nil {
			if t := s.overLimit(n, x.why); t != 0 {
				list = append(list, graph.HoldOf(x.x, x.why, t, at))
			}
		}
	}
	clear(s.suspects)
	slices.SortFunc(list, func(a, b graph.Evidence) int { return cmp.Or(id.Compare(a.B, b.B), cmp.Compare(a.Reason, b.Reason)) })
	return list
}

// overLimit gives the trust with which n is to be held; 0 when it is not, or
// when it is already, or was released. Claims alone hold it where claims count.
func (s *Store) overLimit(n *node, why graph.HoldReason) id.Trust {
	t := id.Claimed
	if why == graph.HoldLinks {
		links := n.countLinks()
		if links[id.AllView] <= s.o.MaxLinks {
			return 0
		}
		if links[id.VerifiedView] > s.o.MaxLinks {
			t = id.Verified
		}
	}
	if !graph.MayHold(n.pairs, t) {
		return 0
	}
	return t
}

// holdDue holds who came over a limit by the last entry, and gives the ticket to
// wait for instead of that entry's. The lock is held.
func (s *Store) holdDue(now int64, ticket eventlog.Ticket) eventlog.Ticket {
	for _, e := range s.due(now) {
		s.buf = appendEvidence(s.buf[:0], &e)
		seq, t := s.o.Log.Append(s.buf, now)
		if ticket = t; seq == 0 {
			return ticket
		}
		s.applied = seq
		s.applyHold(e, now, seq)
	}
	return ticket
}

// applyHold applies a hold that is in the log.
func (s *Store) applyHold(e graph.Evidence, now int64, seq uint64) {
	s.state(e, now, seq)
	n := s.nodes[e.B]
	s.made = append(s.made, madeHold{s.publicID(n), e.B.Type, graph.HoldReason(e.Reason), e.Trust, len(n.pairs) - 1})
	switch graph.HoldReason(e.Reason) {
	case graph.HoldLinks:
		s.stats.HeldLinks++
	case graph.HoldAddresses:
		s.stats.HeldAddresses++
	}
}

// madeHold is what the log file is told of a hold: nothing of whom it is.
type madeHold struct {
	person, kind string
	why          graph.HoldReason
	trust        id.Trust
	pairs        int
}

func (s *Store) takeMade() []madeHold {
	made := s.made
	s.made = nil
	return made
}

// report tells of holds, without the lock.
func (s *Store) report(made []madeHold) {
	for _, m := range made {
		s.log.Warn("an identifier is held: its links are not followed until somebody releases it",
			"person", m.person, "type", m.kind, "why", string(m.why), "trust", m.trust.String(), "pairs", m.pairs)
	}
}

// holdMissed holds those whose hold a crash has cut off from the entry that
// brought it about. The log's tail has been read.
func (s *Store) holdMissed() error {
	list := make([]id.ID, 0, len(s.suspects))
	for x := range s.suspects {
		list = append(list, x.x)
	}
	slices.SortFunc(list, id.Compare)
	for _, x := range list {
		w := want{s: s}
		if err := s.hold(&w, func() { w.node(x) }); err != nil {
			return err
		}
		s.suspect(s.nodes[x])
		s.holdDue(s.o.Now().UnixMilli(), eventlog.Ticket{})
		made := s.takeMade()
		s.mu.Unlock()
		s.report(made)
	}
	clear(s.suspects)
	return nil
}

// addEverybody puts the identifier that stands for all others into memory, for
// good. It keeps no pairs there.
func (s *Store) addEverybody() {
	x := graph.Everybody()
	s.nodes[x] = &node{id: x, hash: s.hashID(x), used: true}
}

// countHeld counts those who are held, from memory and for the rest from disk.
func (s *Store) countHeld() error {
	s.held = 0
	known := map[Hash]bool{}
	for _, n := range s.nodes {
		if n.pair(graph.Everybody()) != nil {
			known[n.hash] = true
			if graph.IsHeld(n.pairs, id.AllView) {
				s.held++
			}
		}
	}
	return s.eachHoldPair(Hash{}, func(x Hash, p *graph.Pair) bool {
		if !known[x] && p.IsCut(id.AllView) {
			s.held++
		}
		return true
	})
}

// eachHoldPair walks Everybody's pairs on disk, by the other's hash, from the
// first after one on.
func (s *Store) eachHoldPair(after Hash, fn func(x Hash, p *graph.Pair) (more bool)) error {
	everybody := s.hashID(graph.Everybody())
	lower, upper := keyspace.Bounds(keyspace.AppendPairPrefix(nil, everybody))
	if after != (Hash{}) {
		lower = append(keyspace.AppendPair(nil, everybody, after), 0)
	}
	return s.o.DB.Iter(lower, upper, func(k, v []byte) (bool, error) {
		_, x, err := keyspace.ParsePair(k)
		if err != nil {
			return false, err
		}
		plain, err := s.unseal(everybody, k, v)
		if err != nil {
			return false, err
		}
		p, err := graph.DecodePair(plain)
		if err != nil {
			return false, err
		}
		return fn(x, &p), nil
	})
}

// Held is an identifier that is held.
type Held struct {
	ID       id.ID
	Why      graph.HoldReason
	Trust    id.Trust // it counts in the views that this reaches
	Since    int64    // ms since 1970
	Evidence graph.EvidenceID
	Links    int // how many others it is linked to, claims among them
}

// Held lists up to limit identifiers that are held, in no order that says
// anything, from after the place that an earlier call gave as next; "" begins.
// next is "" when there are no more.
func (s *Store) Held(limit int, after string) (list []Held, next string, err error) {
	var from Hash
	if after != "" {
		raw, err := base32Lower.DecodeString(after)
		if err != nil || len(raw) != len(from) {
			return nil, "", ErrUnknown
		}
		from = Hash(raw)
	}
	if _, full := s.o.DB.Full(); !full { // else what is on disk must do
		if err := s.Checkpoint(); err != nil {
			return nil, "", err
		}
	}
	var found []id.ID
	var last Hash
	err = s.eachHoldPair(from, func(x Hash, p *graph.Pair) bool {
		if !p.IsCut(id.AllView) {
			return true
		}
		if len(found) == limit {
			next = base32Lower.EncodeToString(last[:])
			return false
		}
		last = x
		found = append(found, p.Other(graph.Everybody()))
		return true
	})
	if err != nil {
		return nil, "", err
	}
	for _, x := range found {
		err := s.see(func(w *want) error {
			n := w.node(x)
			if n == nil {
				return nil
			}
			h, held := graph.HoldOn(x, n.pairs, id.AllView)
			if !held {
				return nil // released or erased since
			}
			y := Held{ID: x, Why: h.Why, Trust: h.Trust, Since: h.Since, Evidence: h.Evidence}
			for _, p := range n.pairs {
				if p.Holds(id.AllView) {
					y.Links++
				}
			}
			list = append(list, y)
			return nil
		})
		if err != nil {
			return nil, "", err
		}
	}
	return list, next, nil
}

// Hold holds an identifier for an operator, until somebody releases it; one that
// an operator holds already stays as it is. It returns when that is durable.
func (s *Store) Hold(x id.ID, reason string) (graph.EvidenceID, error) {
	var already graph.EvidenceID
	err := s.see(func(w *want) error {
		if n := w.node(x); n != nil {
			if h, held := graph.HoldOn(x, n.pairs, id.VerifiedView); held && h.Trust == id.Admin {
				already = h.Evidence
			}
		}
		return nil
	})
	if err != nil {
		return already, err
	}
	if already != (graph.EvidenceID{}) {
		return already, s.o.Log.Barrier().Wait()
	}
	return s.State(graph.Evidence{Kind: graph.Cut, A: graph.Everybody(), B: x, Trust: id.Admin, Reason: reason})
}

// Release lifts every hold on an identifier, for good: the gateway does not hold
// it again for what was claimed, or verified, as the lifted one was. It gives
// the holds that were lifted, when that is durable; ErrNotHeld when there are none.
// reason is kept with each.
func (s *Store) Release(x id.ID, reason string) (lifted []graph.EvidenceID, err error) {
	if err := s.o.Log.Admit(); err != nil {
		return nil, err
	}
	w := want{s: s}
	if err := s.hold(&w, func() { w.node(x) }); err != nil {
		return nil, err
	}
	if err := s.failed; err != nil {
		s.mu.Unlock()
		return nil, err
	}
	if p := s.nodes[x].pair(graph.Everybody()); p != nil {
		lifted = p.Cuts(id.AllView)
	}
	now := s.o.Now().UnixMilli()
	var tickets []eventlog.Ticket
	for _, cut := range lifted {
		tickets = append(tickets, s.appendState(graph.Evidence{ID: newEvidenceID(), Kind: graph.Lift, A: graph.Everybody(), B: x,
			Trust: id.Admin, Time: now, Lifts: cut, Reason: reason}, now))
	}
	s.mu.Unlock()
	if len(lifted) == 0 {
		return nil, ErrNotHeld
	}
	for _, t := range tickets {
		err = cmp.Or(err, t.Wait())
	}
	return lifted, err
}
