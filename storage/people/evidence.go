package people

import (
	"crypto/rand"
	"errors"

	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/storage/eventlog"
)

// State adds an operator's evidence: a link, a cut, or the lift of a cut. An
// e without an id gets one. It returns when the evidence is durable.
func (s *Store) State(e graph.Evidence) (graph.EvidenceID, error) {
	if e.ID == (graph.EvidenceID{}) {
		e.ID = newEvidenceID()
	}
	now := s.o.Now().UnixMilli()
	if err := complete(&e, now); err != nil {
		return e.ID, err
	}
	if err := s.o.Log.Admit(); err != nil {
		return e.ID, err
	}
	w := want{s: s}
	if err := s.hold(&w, func() { w.node(e.A); w.node(e.B) }); err != nil {
		return e.ID, err
	}
	if err := s.failed; err != nil {
		s.mu.Unlock()
		return e.ID, err
	}
	ticket := s.appendState(e, now)
	made := s.takeMade()
	s.mu.Unlock()
	s.report(made)
	return e.ID, ticket.Wait()
}

// complete gives evidence the time that it is stated with, if it can be stated.
func complete(e *graph.Evidence, now int64) error {
	if e.A == e.B || e.A.IsZero() || e.B.IsZero() {
		return errors.New("people: evidence wants two different identifiers")
	}
	if e.Kind == graph.Link && (e.A == graph.Everybody() || e.B == graph.Everybody()) {
		return errors.New("people: nobody can be linked to everybody")
	}
	if e.Time == 0 || e.Time > now {
		e.Time = now
	}
	return nil
}

func newEvidenceID() (x graph.EvidenceID) {
	rand.Read(x[:]) // never fails: crypto/rand ends the program instead
	return x
}

// appendState gives an operator's evidence its place in the log and applies it,
// with the holds that it brings about. The ticket is theirs too. The lock is held and
// its identifiers are loaded.
func (s *Store) appendState(e graph.Evidence, now int64) eventlog.Ticket {
	s.buf = appendEvidence(s.buf[:0], &e)
	seq, ticket := s.o.Log.Append(s.buf, now)
	if seq == 0 {
		return ticket
	}
	s.applied = seq
	s.state(e, now, seq)
	if e.Kind == graph.Cut && (e.A == graph.Everybody() || e.B == graph.Everybody()) {
		s.stats.HeldOperator++
	}
	return s.holdDue(now, ticket)
}

// state applies an operator's evidence. The lock is held.
func (s *Store) state(e graph.Evidence, receivedAt int64, seq uint64) {
	s.resolve([]graph.Evidence{e}, seq, receivedAt)
	if s.detached {
		return
	}
	for _, x := range [...]*node{s.nodes[e.A], s.nodes[e.B]} {
		s.index = append(s.index, indexed{x.hash, receivedAt, seq})
	}
}
