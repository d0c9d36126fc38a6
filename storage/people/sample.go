package people

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/keyspace"
)

// Sampled are some of all persons, each as likely as the other.
type Sampled struct {
	// Persons are in the verified view, by the identifier that represents each.
	Persons []id.ID
	// Total is how many persons there are: an estimate, unless Share is 1, with a
	// standard error of about Total/√len(Persons).
	Total int64
	// Share is the part of all persons that was looked at, above 0 and up to 1.
	Share float64
}

// Sample gives about most persons of the verified view, those of a random slice
// of the hashes under which identifiers stand; all of them when they are fewer.
//
// A person with several identifiers is in the slice of one: the first of them,
// in their order, that has events. So nobody is more likely for having more.
func (s *Store) Sample(ctx context.Context, most int) (x Sampled, err error) {
	if err := s.Checkpoint(); err != nil { // who came just now stands nowhere else
		return x, err
	}
	var start Hash
	rand.Read(start[:])
	looked := 0
	for _, part := range [...][2][]byte{
		{keyspace.AppendNodePrefix(nil, start), keyspace.Upper(nil, keyspace.AppendSpace(nil, keyspace.Node))},
		{keyspace.AppendSpace(nil, keyspace.Node), keyspace.AppendNodePrefix(nil, start)},
	} {
		lower, upper := part[0], part[1]
		for len(x.Persons) < most {
			if err := ctx.Err(); err != nil {
				return x, err
			}
			list, err := s.namesFrom(lower, upper, sampleBatch)
			if err != nil {
				return x, fmt.Errorf("people: sampling: %w", err)
			}
			if len(list) == 0 {
				break
			}
			for _, n := range list {
				looked++
				lower = keyspace.Upper(nil, keyspace.AppendNodePrefix(nil, n.identifier))
				who, err := s.standsFor(n)
				if err != nil {
					return x, fmt.Errorf("people: sampling: %w", err)
				}
				if who != (id.ID{}) {
					x.Persons = append(x.Persons, who)
				}
				if len(x.Persons) == most {
					x.Share = span(start, n.identifier)
					x.Total = int64(math.Round(float64(len(x.Persons)) / x.Share))
					return x, nil
				}
			}
		}
	}
	x.Share, x.Total = 1, int64(len(x.Persons))
	return x, nil
}

// sampleBatch is how many identifiers are looked at in one go.
const sampleBatch = 256

// span is the part of all hashes that lies between two, the second included, going
// upwards and on from the beginning.
func span(from, to Hash) float64 {
	a, b := binary.BigEndian.Uint64(from[:]), binary.BigEndian.Uint64(to[:])
	return max(float64(b-a), 1) / math.MaxUint64
}

// named is an identifier by its hash, and one of its facets.
type named struct{ identifier, facet Hash }

// namesFrom lists the identifiers that have facets, in the order of their hashes.
func (s *Store) namesFrom(lower, upper []byte, most int) (list []named, err error) {
	err = s.o.DB.Iter(lower, upper, func(k, _ []byte) (bool, error) {
		h, f, err := keyspace.ParseNode(k)
		if err != nil {
			return false, err
		}
		if n := len(list); n > 0 && list[n-1].identifier == h {
			return true, nil
		}
		if len(list) == most {
			return false, nil
		}
		list = append(list, named{h, f})
		return true, nil
	})
	return list, err
}

// standsFor gives the person of an identifier, by who represents them, if it is
// the first of theirs that has facets; the zero ID otherwise.
func (s *Store) standsFor(n named) (who id.ID, err error) {
	x, err := s.identifierOf(n)
	if err != nil || x == (id.ID{}) {
		return who, err
	}
	err = s.see(func(w *want) error {
		who = id.ID{}
		node := w.node(x)
		if node == nil {
			return nil
		}
		c := s.cluster(w, node, id.VerifiedView)
		if c == nil {
			return nil
		}
		for _, m := range c.Members {
			y := w.node(m)
			if y == nil {
				return nil
			}
			if len(y.facets) > 0 {
				if m == x {
					who = c.Representative
				}
				return nil
			}
		}
		return nil
	})
	return who, err
}

// identifierOf reads a facet to learn what the identifier's hash stands for. The
// zero ID: it was erased since.
func (s *Store) identifierOf(n named) (id.ID, error) {
	s.mu.Lock()
	h := s.facets[n.facet]
	s.mu.Unlock()
	if h == nil {
		place := keyspace.AppendFacet(nil, n.facet)
		key, err := s.o.Vault.FacetKeyOnce(n.facet)
		if err != nil {
			return id.ID{}, goneIsNobody(err)
		}
		_, err = s.o.DB.Get(place, func(v []byte) (err error) {
			h, err = s.openHeld(n.facet, place, v, key)
			return err
		})
		if err != nil || h == nil {
			return id.ID{}, err
		}
	}
	for _, o := range owners(h.f.Key) { // a facet's key never changes
		if x := s.hashID(o); bytes.Equal(x[:], n.identifier[:]) {
			return o, nil
		}
	}
	return id.ID{}, nil
}
