package verify

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/record"
)

// Kinds of log entries, as FORMAT.md has them.
const (
	kindErased   = 0
	kindEvent    = 1
	kindRefused  = 2
	kindSession  = 3
	kindEvidence = 4
	kindErasure  = 5
	kindExcluded = 6
	// Somebody entered an audience, or left it.
	kindTransition = 7
)

// entry is a log entry taken apart; kind says which of the members are set.
type entry struct {
	kind        byte
	event       event.Event
	noLinks     bool // the site takes no links from claimed events
	session     session
	evidence    graph.Evidence
	erasure     erasure
	transitions transitions
}

type session struct {
	visitor string
	user    string
	until   int64 // ms since 1970
	token   Hash
	revoked bool
	login   [16]byte // since version 2
}

// transitions are those of one person at one time.
type transitions struct {
	id   id.ID // who represented the person
	at   int64 // ms since 1970
	list []transition
}

type transition struct {
	audience uint32
	entered  bool
}

// mostTransitions is how many stand in one entry.
const mostTransitions = 4096

type erasure struct {
	at                  int64 // ms since 1970
	identifiers, facets []Hash
}

// parseEntry reads b, of which nothing is kept.
func parseEntry(e *entry, b []byte) error {
	if len(b) == 0 {
		return fmt.Errorf("%w: an entry of no bytes", record.ErrMalformed)
	}
	*e = entry{kind: b[0]}
	r := record.NewReader(b[1:])
	switch e.kind {
	case kindErased:
		return r.Done("erased entry")
	case kindEvent, kindExcluded:
		e.noLinks = r.Byte() == 1
		if err := r.Err(); err != nil {
			return err
		}
		return event.Decode(&e.event, string(r.Rest()))
	case kindRefused:
		texts := 4 + int(r.Version("refused message", 2)) // since version 2 its batch's run, too
		r.Byte()
		r.Varint()
		for range texts {
			r.Bytes()
		}
		return r.Done("refused message")
	case kindSession:
		version := r.Version("session entry", 2)
		e.session.visitor = r.String()
		e.session.read(r, version)
		return r.Done("session entry")
	case kindEvidence:
		return e.readEvidence(r)
	case kindErasure:
		return e.readErasure(r, len(b))
	case kindTransition:
		return e.transitions.read(r)
	}
	return fmt.Errorf("%w: kind %d, which no version wrote", record.ErrMalformed, e.kind)
}

func (s *session) read(r *record.Reader, version byte) {
	s.user, s.until = r.String(), r.Varint()
	copy(s.token[:], r.Fixed(len(s.token)))
	s.revoked = r.Byte() == 1
	if version > 1 {
		copy(s.login[:], r.Fixed(len(s.login)))
	}
}

func (e *entry) readEvidence(r *record.Reader) error {
	x := &e.evidence
	r.Version("evidence entry", 1)
	x.Kind, x.Trust = graph.Kind(r.Byte()), id.Trust(r.Byte())
	x.A = id.ID{Type: r.String(), Value: r.String()}
	x.B = id.ID{Type: r.String(), Value: r.String()}
	x.Time = r.Varint()
	copy(x.ID[:], r.Fixed(len(x.ID)))
	copy(x.Lifts[:], r.Fixed(len(x.Lifts)))
	x.Reason = r.String()
	if err := r.Done("evidence entry"); err != nil {
		return err
	}
	if x.Kind < graph.Link || x.Kind > graph.Lift || x.Trust < id.Claimed || x.Trust > id.Admin || x.A.IsZero() || x.B.IsZero() || x.A == x.B {
		return fmt.Errorf("%w: evidence of kind %d and trust %d", record.ErrMalformed, x.Kind, x.Trust)
	}
	return nil
}

func (t *transitions) read(r *record.Reader) error {
	version := r.Version("transition entry", 2)
	t.id = id.ID{Type: r.String(), Value: r.String()}
	var cause byte
	if version == 1 {
		audience := r.Uvarint()
		r.Bytes() // the audience's name
		entered := r.Byte()
		cause, t.at = r.Byte(), r.Varint()
		if entered > 1 || audience > math.MaxUint32 {
			return fmt.Errorf("%w: a transition of audience %d", record.ErrMalformed, audience)
		}
		t.list = []transition{{uint32(audience), entered == 1}}
	} else {
		cause, t.at = r.Byte(), r.Varint()
		for _, entered := range [...]bool{false, true} {
			if err := t.readSome(r, entered); err != nil {
				return err
			}
		}
	}
	if err := r.Done("transition entry"); err != nil {
		return err
	}
	if cause < 1 || cause > 5 || t.id.IsZero() || len(t.list) == 0 {
		return fmt.Errorf("%w: %d transitions of cause %d", record.ErrMalformed, len(t.list), cause)
	}
	return nil
}

// readSome reads who left, or else who entered: the audiences ascend, each is written as
// the difference to the one before, and none stands in both lists.
func (t *transitions) readSome(r *record.Reader, entered bool) error {
	left := t.list
	n, audience := r.Uvarint(), uint64(0)
	for i := range n {
		d := r.Uvarint()
		r.Bytes() // the audience's name
		if err := r.Err(); err != nil {
			return err
		}
		audience += d
		_, both := slices.BinarySearchFunc(left, audience, func(x transition, a uint64) int { return cmp.Compare(uint64(x.audience), a) })
		if i > 0 && d == 0 || d > math.MaxUint32 || audience > math.MaxUint32 || both || len(t.list) == mostTransitions {
			return fmt.Errorf("%w: a transition of audience %d, %d behind the one before", record.ErrMalformed, audience, d)
		}
		t.list = append(t.list, transition{uint32(audience), entered})
	}
	return r.Err()
}

func (e *entry) readErasure(r *record.Reader, size int) error {
	r.Version("erasure entry", 1)
	e.erasure.at = r.Varint()
	for _, list := range [...]*[]Hash{&e.erasure.identifiers, &e.erasure.facets} {
		var err error
		if *list, err = readHashes(r, size); err != nil {
			return err
		}
	}
	readRequest(r)
	return r.Done("erasure entry")
}

// facetHash is where a facet stands.
func (c *checker) facetHash(k facet.Key) Hash {
	if k.Origin == 1 {
		return c.o.Vault.HashKey("facet", k.AnonymousID, k.UserID, k.Trust.String())
	}
	return c.o.Vault.HashKey("facet", k.AnonymousID, k.UserID, k.Trust.String(), fmt.Sprint(k.Origin))
}

// members are the identifiers that a facet is found by.
func members(k facet.Key) (list []id.ID) {
	if k.AnonymousID != "" {
		list = append(list, device(k.AnonymousID))
	}
	if k.UserID != "" {
		list = append(list, user(k.UserID))
	}
	return list
}

func device(value string) id.ID { return id.ID{Type: id.AnonymousID, Value: value} }
func user(value string) id.ID   { return id.ID{Type: id.UserID, Value: value} }

// refusedHash is whose key a refused message is sealed under.
func (c *checker) refusedHash(seq uint64) Hash {
	return c.o.Vault.HashKey("refused", strconv.FormatUint(seq, 10))
}
