package graph

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/reuna/reuna/identity/id"
)

// An identifier is held when a cut between it and everybody stands: a device in
// a shop window, an e-mail address that a form fills in for all. None of its
// links is then followed in the views that the cut reaches, just as if it were
// shared; they stay on record, and count for what they say about others. A hold
// is evidence like any other, so it is kept, replayed, erased and lifted as such.

// everybodyType is no type that a configuration can have.
const everybodyType = "*"

// Everybody is the reserved identifier that stands for all others in a hold. It
// sorts before every identifier, names nobody, and is never linked to anything.
func Everybody() id.ID { return id.ID{Type: everybodyType, Value: "*"} }

func isEverybody(x id.ID) bool { return x.Type == everybodyType }

// HoldReason says why an identifier is held, as a code.
type HoldReason string

const (
	// HoldLinks: it is linked to more identifiers than identity.max_links.
	HoldLinks HoldReason = "links"
	// HoldAddresses: it was seen from more networks than identity.max_addresses.
	HoldAddresses HoldReason = "addresses"
	// HoldOperator: somebody at the desk holds it.
	HoldOperator HoldReason = "operator"
)

// Text says it in a sentence.
func (y HoldReason) Text() string {
	switch y {
	case HoldLinks:
		return "It is linked to more other identifiers than one person has (identity.max_links)."
	case HoldAddresses:
		return "It was seen from more networks than one device visits (identity.max_addresses)."
	case HoldOperator:
		return "An operator holds it."
	}
	return ""
}

// Hold is a hold that stands.
type Hold struct {
	ID       id.ID // who is held
	Why      HoldReason
	Trust    id.Trust // it counts in the views that this reaches
	Since    int64    // ms since 1970 UTC
	Evidence EvidenceID
}

// HoldOf is the evidence with which the gateway holds x by itself, at ms since
// 1970. Its id follows from the other arguments but the time: whatever notices
// it first, and however often, there is one hold, and lifted once it stays so.
func HoldOf(x id.ID, why HoldReason, t id.Trust, at int64) Evidence {
	return Evidence{ID: holdID(x, why, t), Kind: Cut, A: Everybody(), B: x, Trust: t, Time: at, Reason: string(why)}
}

// holdID is the first 128 bits of SHA-256 over "hold", the identifier's texts
// and the reason, each after its length, and the trust.
func holdID(x id.ID, why HoldReason, t id.Trust) (e EvidenceID) {
	var room [512]byte
	buf := room[:0]
	for _, s := range [...]string{"hold", x.Type, x.Value, string(why)} {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	sum := sha256.Sum256(append(buf, byte(t)))
	copy(e[:], sum[:])
	return e
}

// reasonOf tells from a hold's id why it was made: one that the gateway did not
// make is an operator's.
func reasonOf(x id.ID, c *cut) HoldReason {
	for _, why := range [...]HoldReason{HoldLinks, HoldAddresses} {
		// Its own id may have been stated with more trust since.
		for t := id.Claimed; t <= c.trust; t++ {
			if c.id == holdID(x, why, t) {
				return why
			}
		}
	}
	return HoldOperator
}

// AddPair adds a pair to those of an identifier, in the order that a Reader
// gives them: the one with Everybody first.
func AddPair(pairs []*Pair, p *Pair) []*Pair {
	if isEverybody(p.A) {
		return slices.Insert(pairs, 0, p)
	}
	return append(pairs, p)
}

// holdPair is the pair with Everybody among an identifier's; nil without one.
func holdPair(pairs []*Pair) *Pair {
	if len(pairs) > 0 && isEverybody(pairs[0].A) {
		return pairs[0]
	}
	return nil
}

// HoldOn gives the hold that stands on x in view v: of several the one with the
// most trust, then the earliest. pairs are x's, as a Reader gives them.
func HoldOn(x id.ID, pairs []*Pair, v id.View) (h Hold, held bool) {
	p := holdPair(pairs)
	if p == nil {
		return Hold{}, false
	}
	var best *cut
	for i := range p.cuts {
		c := &p.cuts[i]
		if c.holds(v) && (best == nil || c.trust > best.trust || c.trust == best.trust && c.time < best.time) {
			best = c
		}
	}
	if best == nil {
		return Hold{}, false
	}
	return Hold{ID: x, Why: reasonOf(x, best), Trust: best.trust, Since: best.time, Evidence: best.id}, true
}

// CountsAgainst says that a link to y counts among those too many of which hold x.
// A user_id's devices do not: somebody whose browser forgets its cookies has
// hundreds, and max_per_person bounds what comes of them.
func CountsAgainst(x, y id.ID) bool { return x.Type != id.UserID || y.Type != id.AnonymousID }

// MayHold says whether the gateway may hold x by itself at trust t: no hold of
// this trust or more stands, and none was ever lifted. What an operator has
// released stays free, though what more trust says later is another matter.
// pairs are x's, as a Reader gives them.
func MayHold(pairs []*Pair, t id.Trust) bool {
	p := holdPair(pairs)
	return p == nil || !slices.ContainsFunc(p.cuts, func(c cut) bool { return c.trust >= t || c.trust == 0 })
}

// IsHeld is HoldOn without telling why.
func IsHeld(pairs []*Pair, v id.View) bool {
	p := holdPair(pairs)
	return p != nil && p.isCut(v)
}
