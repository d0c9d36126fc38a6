// Package graph turns evidence about identifiers into clusters: which
// identifiers are one person, and why. It is pure: the same evidence gives the
// same clusters for any order of arrival, with duplicates, on any node.
package graph

import (
	"bytes"
	"cmp"

	"github.com/reuna/reuna/identity/id"
)

// EvidenceID names one piece of evidence. The same fact stated again, by a
// retry or a replay, carries the same id.
type EvidenceID [16]byte

// Stamp is a piece of evidence's place in the order of all evidence.
type Stamp struct {
	Time int64 // milliseconds since 1970 UTC
	ID   EvidenceID
}

// Compare orders stamps by time, then by id: -1, 0 or 1.
func (s Stamp) Compare(o Stamp) int {
	if c := cmp.Compare(s.Time, o.Time); c != 0 {
		return c
	}
	return bytes.Compare(s.ID[:], o.ID[:])
}

// Less says that s is older than o.
func (s Stamp) Less(o Stamp) bool { return s.Compare(o) < 0 }

// Kind is what a piece of evidence says about its two identifiers.
type Kind uint8

const (
	// Link says that both are of one person.
	Link Kind = iota + 1
	// Cut says that they are not, and that no link between them counts.
	Cut
	// Lift takes one cut back. It may arrive before the cut that it lifts.
	Lift
)

func (k Kind) String() string {
	switch k {
	case Link:
		return "link"
	case Cut:
		return "cut"
	case Lift:
		return "lift"
	}
	return "none"
}

// Evidence is one immutable fact about two identifiers, in either order.
type Evidence struct {
	ID   EvidenceID
	Kind Kind
	A, B id.ID
	// Trust says whose word it is. A cut counts in the views that its trust
	// reaches, and a lift lifts cuts of at most its own trust.
	Trust id.Trust
	Time  int64 // milliseconds since 1970 UTC, never later than receipt
	// Lifts is the cut that a Lift takes back; A and B are that cut's.
	Lifts  EvidenceID
	Reason string // an operator's words; no rule reads it
}

// Stamp is the evidence's place in the order.
func (e *Evidence) Stamp() Stamp { return Stamp{e.Time, e.ID} }
