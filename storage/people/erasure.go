package people

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/wire"
	"github.com/reuna/reuna/storage/keyspace"
)

// Erasure is one erasure and how far it is. Nothing in it leads back to the
// person: identifiers are keyed hashes, and what they led to is gone.
type Erasure struct {
	Seq         uint64 // its entry in the log, by which it is known
	Origin      Hash   // the incarnation that gave the number
	At          int64  // when it was decided, ms since 1970
	Identifiers []Hash
	Facets      []Hash
	EraseRequest
	Done    bool
	Receipt []byte // signed; once Done

	// What Shred still has to do: entries to overwrite in the log's tail, owners
	// whose data keys go. Empty once Done.
	Entries []uint64
	Keys    []Hash
	Counts  ErasureCounts
}

// ErasureCounts say what an erasure took away.
type ErasureCounts struct {
	Facets, Events, Chunks, Evidence, Sessions, Refused int64
	Overwritten, Keys, Groups, Ranges                   int64 // by Shred
}

const erasureVersion = 1

func (e *Erasure) append(dst []byte) []byte {
	dst = wire.AppendInt(append(dst, erasureVersion), e.At)
	dst = append(dst, e.Origin[:]...)
	dst = e.EraseRequest.append(dst)
	for _, list := range [...][]Hash{e.Identifiers, e.Facets, e.Keys} {
		dst = wire.AppendUint(dst, uint64(len(list)))
		for _, h := range list {
			dst = append(dst, h[:]...)
		}
	}
	dst = wire.AppendUint(dst, uint64(len(e.Entries)))
	before := uint64(0)
	for _, n := range e.Entries { // ascending
		dst = wire.AppendUint(dst, n-before)
		before = n
	}
	for _, n := range e.Counts.all() {
		dst = wire.AppendInt(dst, *n)
	}
	dst = append(dst, flag(e.Done))
	return wire.AppendText(dst, string(e.Receipt))
}

func (c *ErasureCounts) all() []*int64 {
	return []*int64{&c.Facets, &c.Events, &c.Chunks, &c.Evidence, &c.Sessions, &c.Refused, &c.Overwritten, &c.Keys, &c.Groups, &c.Ranges}
}

func decodeErasure(seq uint64, record string) (*Erasure, error) {
	e := &Erasure{Seq: seq}
	r := wire.NewReader(record)
	version := r.Byte()
	e.At = r.Int()
	readHash(r, &e.Origin)
	e.read(r)
	for _, list := range [...]*[]Hash{&e.Identifiers, &e.Facets, &e.Keys} {
		*list = make([]Hash, r.Count())
		for i := range *list {
			readHash(r, &(*list)[i])
		}
	}
	e.Entries = make([]uint64, r.Count())
	before := uint64(0)
	for i := range e.Entries {
		before += r.Uint()
		e.Entries[i] = before
	}
	for _, n := range e.Counts.all() {
		*n = r.Int()
	}
	e.Done = r.Byte() == 1
	e.Receipt = []byte(r.Text())
	if !r.Done() || version != erasureVersion {
		return nil, fmt.Errorf("people: the record of erasure %d is corrupt", seq)
	}
	return e, nil
}

// Erasure gives an erasure by its entry; ErrUnknown when there is none.
func (s *Store) Erasure(seq uint64) (e *Erasure, err error) {
	found, err := s.o.DB.Get(keyspace.AppendErasure(nil, seq), func(v []byte) (err error) {
		e, err = decodeErasure(seq, string(v))
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("erasure %d: %w", seq, ErrUnknown)
	}
	return e, err
}

// Erasures gives up to limit erasures, newest first, from before one on; 0
// begins at the end.
func (s *Store) Erasures(before uint64, limit int) (list []*Erasure, err error) {
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Erasure))
	if before != 0 {
		upper = keyspace.AppendErasure(nil, before)
	}
	err = s.o.DB.IterReverse(lower, upper, func(k, v []byte) (bool, error) {
		seq, err := keyspace.ParseErasure(k)
		if err != nil {
			return false, err
		}
		e, err := decodeErasure(seq, string(v))
		list = append(list, e)
		return len(list) < limit, err
	})
	return list, err
}

// toOverwrite are the entries that erasures have taken away and Shred has not
// overwritten yet: nobody may take them for events any more.
func (s *Store) toOverwrite() (map[uint64]bool, error) {
	seqs := map[uint64]bool{}
	list, err := s.Erasures(0, math.MaxInt)
	for _, e := range list {
		for _, n := range e.Entries {
			seqs[n] = true
		}
	}
	return seqs, err
}

// Finished notes that an erasure is through, with its receipt.
func (s *Store) Finished(e *Erasure, receipt []byte) error {
	done := *e
	done.Done, done.Receipt, done.Entries, done.Keys = true, receipt, nil, nil
	b := s.o.DB.NewBatch()
	defer b.Discard()
	b.Set(keyspace.AppendErasure(nil, e.Seq), done.append(nil))
	if err := b.Commit(true); err != nil {
		return err
	}
	*e = done
	return nil
}

// EraseAgain repeats an erasure in a store that was brought back from a backup
// made before it. It is for one that nobody uses yet. An erasure that the
// store has seen is passed over, and gives nil.
func (s *Store) EraseAgain(at int64, identifiers, facets []Hash) (*Erasure, error) {
	seen := 0
	for _, h := range identifiers {
		t, err := s.readTombstone(h)
		if err != nil {
			return nil, err
		}
		if t.at >= at {
			seen++
		}
	}
	if seen == len(identifiers) {
		return nil, nil
	}
	x := erasure{at: at, identifiers: identifiers, facets: facets, EraseRequest: EraseRequest{
		View: id.AllView, Requested: at, Reason: "repeated after a restore",
	}}
	kept, err := s.restate(facets, x.gone())
	if err != nil {
		return nil, err
	}
	for _, e := range kept {
		if _, err := s.State(e); err != nil {
			return nil, err
		}
	}
	seq, ticket := s.o.Log.Append(x.append(nil), s.o.Now().UnixMilli())
	if err := ticket.Wait(); err != nil {
		return nil, err
	}
	if err := s.replayErasure(seq, x); err != nil {
		return nil, err
	}
	return s.Erasure(seq)
}

// tombstone says that an identifier was erased: when, and by which entry.
type tombstone struct {
	at  int64
	seq uint64
}

const (
	tombstoneVersion = 1
	againVersion     = 1
)

func (t tombstone) append(dst []byte) []byte {
	return wire.AppendUint(wire.AppendInt(append(dst, tombstoneVersion), t.at), t.seq)
}

func decodeTombstone(v []byte) (t tombstone, err error) {
	r := wire.NewReader(string(v))
	version := r.Byte()
	t = tombstone{r.Int(), r.Uint()}
	if !r.Done() || version != tombstoneVersion {
		return t, errors.New("people: a tombstone is corrupt")
	}
	return t, nil
}

// lookForTombstones sets erased.
func (s *Store) lookForTombstones() error {
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Tombstone))
	return s.o.DB.Iter(lower, upper, func(_, _ []byte) (bool, error) {
		s.erased.Store(true)
		return false, nil
	})
}

// readTombstone gives an identifier's tombstone, zero when it has none.
func (s *Store) readTombstone(h Hash) (t tombstone, err error) {
	if !s.erased.Load() {
		return t, nil
	}
	_, err = s.o.DB.Get(keyspace.AppendTombstone(nil, h), func(v []byte) (err error) {
		t, err = decodeTombstone(v)
		return err
	})
	return t, err
}

// hashAgain is what an identifier is called in public once it was erased: who
// comes back is somebody new.
func (s *Store) hashAgain(h Hash, erasedAt int64) Hash {
	return s.o.Vault.HashKey("again", string(h[:]), strconv.FormatInt(erasedAt, 10))
}

// readAgain finds the stored hash behind such a name; ok is false when public is none.
func (s *Store) readAgain(public Hash) (h Hash, ok bool, err error) {
	ok, err = s.o.DB.Get(keyspace.AppendAgain(nil, public), func(v []byte) error {
		r := wire.NewReader(string(v))
		version := r.Byte()
		readHash(r, &h)
		if !r.Done() || version != againVersion {
			return errors.New("people: the name of an identifier that came back is corrupt")
		}
		return nil
	})
	return h, ok, err
}
