package verify

import (
	"fmt"
	"strconv"

	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// erased is what is known of everybody who was erased. It is the one thing of
// which the whole is held: some 50 bytes for each erased identifier and facet.
type erased struct {
	tombs   map[Hash]tomb
	facets  map[Hash]uint64   // erased by which entry
	jobs    map[uint64]bool   // entries of erasures that have a record
	pending map[uint64]uint64 // entries that are yet to be overwritten, and the erasure that says so
}

// tomb says when an identifier was erased, and by which entry. What older
// entries say of it counts no more; newer ones are about somebody new.
type tomb struct {
	at  int64 // ms since 1970
	seq uint64
}

// before says that entry seq is from before the erasure of an identifier.
func (x *erased) before(h Hash, seq uint64) bool {
	t, ok := x.tombs[h]
	return ok && seq < t.seq
}

// loadErased reads tombstones and the erasures' own records.
func (c *checker) loadErased() error {
	c.erased = erased{tombs: map[Hash]tomb{}, facets: map[Hash]uint64{}, jobs: map[uint64]bool{}, pending: map[uint64]uint64{}}
	err := c.walkSpace("reading tombstones", keyspace.Tombstone, func(k, v []byte) {
		h, err := keyspace.ParseTombstone(k)
		if err != nil {
			return
		}
		r := record.NewReader(v)
		r.Version("tombstone", 1)
		t := tomb{r.Varint(), r.Uvarint()}
		if err := r.Done("tombstone"); err != nil {
			c.fault(k, "%v", err)
			return
		}
		if t.seq > c.report.Last {
			c.fault(k, "is of entry %d, but the log ends with %d", t.seq, c.report.Last)
		}
		c.erased.tombs[h] = t
		if again := keyspace.AppendAgain(nil, c.againHash(h, t.at)); !c.has(again) {
			c.fault(again, "is missing: who comes back after an erasure has no name")
		}
	})
	if err != nil {
		return err
	}
	err = c.walkSpace("reading returned identifiers", keyspace.Again, func(k, v []byte) {
		public, err := keyspace.ParseAgain(k)
		if err != nil {
			return
		}
		r := record.NewReader(v)
		r.Version("returned identifier", 1)
		var h Hash
		copy(h[:], r.Fixed(len(h)))
		if err := r.Done("returned identifier"); err != nil {
			c.fault(k, "%v", err)
			return
		}
		if t, ok := c.erased.tombs[h]; !ok || c.againHash(h, t.at) != public {
			c.fault(k, "leads to an identifier that was not erased, or at another time")
		}
	})
	if err != nil {
		return err
	}
	return c.walkSpace("reading erasures", keyspace.Erasure, func(k, v []byte) {
		seq, err := keyspace.ParseErasure(k)
		if err != nil {
			return
		}
		if seq == 0 || seq > c.report.Last {
			c.fault(k, "is of entry %d, but the log ends with %d", seq, c.report.Last)
		}
		x, err := ReadErasure(v)
		if err != nil {
			c.fault(k, "%v", err)
			return
		}
		c.report.Erasures++
		if !x.Done {
			c.report.Unfinished++
		}
		c.erased.jobs[seq] = true
		for _, h := range x.Facets {
			c.erased.facets[h] = max(c.erased.facets[h], seq)
		}
		for _, n := range x.Pending {
			c.erased.pending[n] = seq
		}
		for _, h := range x.Identifiers {
			if t := c.erased.tombs[h]; t.seq < seq {
				c.fault(keyspace.AppendTombstone(nil, h), "is missing or too old: entry %d erased this identifier", seq)
			}
		}
	})
}

// Erasure is the record of one, as far as it is of use here.
type Erasure struct {
	At                  int64 // when it was decided, ms since 1970
	Identifiers, Facets []Hash
	Pending             []uint64 // entries of the log that are yet to be overwritten
	Done                bool
}

// ReadErasure reads the value of an erasure's record.
func ReadErasure(v []byte) (x Erasure, err error) {
	const counts = 10
	var keys []Hash
	r := record.NewReader(v)
	r.Version("erasure", 1)
	x.At = r.Varint()
	r.Fixed(len(Hash{})) // its origin
	readRequest(r)
	for _, list := range [...]*[]Hash{&x.Identifiers, &x.Facets, &keys} {
		if *list, err = readHashes(r, len(v)); err != nil {
			return x, err
		}
	}
	n, at := r.Uvarint(), uint64(0)
	if n > uint64(len(v)) {
		return x, fmt.Errorf("%w: an erasure of %d entries in %d bytes", record.ErrMalformed, n, len(v))
	}
	for range n {
		at += r.Uvarint()
		x.Pending = append(x.Pending, at)
	}
	for range counts {
		r.Varint()
	}
	x.Done = r.Byte() == 1
	r.Bytes() // its receipt
	return x, r.Done("erasure")
}

// readRequest passes over what is kept of the request: view, when, reason.
func readRequest(r *record.Reader) {
	r.Byte()
	r.Varint()
	r.Bytes()
}

func readHashes(r *record.Reader, size int) (list []Hash, err error) {
	n := r.Uvarint()
	if n > uint64(size/len(Hash{})) {
		return nil, fmt.Errorf("%w: %d hashes in %d bytes", record.ErrMalformed, n, size)
	}
	for range n {
		var h Hash
		copy(h[:], r.Fixed(len(h)))
		list = append(list, h)
	}
	return list, nil
}

// againHash is the public name of an identifier that was erased.
func (c *checker) againHash(h Hash, erasedAt int64) Hash {
	return c.o.Vault.HashKey("again", string(h[:]), strconv.FormatInt(erasedAt, 10))
}

// outlived says whether an entry should have gone with an erasure: it is
// the facet's, and the facet was erased after it.
func (c *checker) outlived(facet Hash, seq uint64) (by uint64, outlived bool) {
	by = c.erased.facets[facet]
	return by, seq < by
}

// checkAudit checks that the audit log's numbers have no gap. Its chain and its
// signatures are package audit's to verify.
func (c *checker) checkAudit() error {
	last := uint64(0)
	err := c.walkSpace("reading the audit log", keyspace.Audit, func(k, _ []byte) {
		n, err := keyspace.ParseAudit(k)
		if err != nil {
			return
		}
		if n != last+1 {
			c.fault(k, "is entry %d: entries %d to %d are missing", n, last+1, n-1)
		}
		last = n
	})
	if err != nil {
		return err
	}
	return c.walkSpace("reading the audit log's heads", keyspace.AuditHead, func(k, _ []byte) {
		if n, err := keyspace.ParseAuditHead(k); err == nil && n > last {
			c.fault(k, "signs entry %d, but the audit log ends with %d", n, last)
		}
	})
}
