package eventlog

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// An incarnation is one life of a store. An entry is known to the world by its
// incarnation and its number. A store that was brought back from a backup
// numbers on where the backup ended, and others may have seen other entries
// under these numbers: so it begins a new incarnation, and no two entries
// anywhere ever have one name.
type incarnation struct {
	id    keyspace.Hash
	first uint64 // its first entry; the next one's first ends it
}

const originVersion = 2

// openOrigin reads the log's incarnations, or makes the first.
func (l *Log) openOrigin() error {
	key := keyspace.AppendMeta(nil, keyspace.MetaOrigin)
	found, err := l.db.Get(key, func(val []byte) (err error) {
		l.origins, err = parseOrigins(val)
		return err
	})
	if err != nil {
		return fmt.Errorf("event log: %w", err)
	}
	if found {
		return nil
	}
	b := l.db.NewBatch()
	defer b.Discard()
	l.origins = addOrigin(b, nil, 1)
	if err := b.Commit(true); err != nil {
		return fmt.Errorf("event log: origin: %w", err)
	}
	return nil
}

func addOrigin(b *engine.Batch, list []incarnation, first uint64) []incarnation {
	next := incarnation{first: first}
	rand.Read(next.id[:]) // never fails: crypto/rand ends the program instead
	list = append(slices.Clip(list), next)
	b.Set(keyspace.AppendMeta(nil, keyspace.MetaOrigin), appendOrigins(nil, list))
	return list
}

func appendOrigins(dst []byte, list []incarnation) []byte {
	dst = record.AppendUvarint(append(dst, originVersion), uint64(len(list)))
	for _, x := range list {
		dst = record.AppendUvarint(append(dst, x.id[:]...), x.first)
	}
	return dst
}

func parseOrigins(val []byte) (list []incarnation, err error) {
	r := record.NewReader(val)
	n := uint64(1)
	version := r.Version("log origin", originVersion)
	if version > 1 {
		n = r.Uvarint()
	}
	before := uint64(0)
	for range n {
		x := incarnation{first: 1}
		copy(x.id[:], r.Fixed(len(x.id)))
		if version > 1 {
			x.first = r.Uvarint()
		}
		if r.Err() == nil && x.first <= before {
			return nil, fmt.Errorf("log origin: %w: incarnation %d begins with entry %d, the one before it with %d", record.ErrMalformed, len(list)+1, x.first, before)
		}
		if r.Err() != nil {
			break
		}
		before = x.first
		list = append(list, x)
	}
	if err := r.Done("log origin"); err != nil {
		return nil, err
	}
	if len(list) == 0 || list[0].first != 1 {
		return nil, fmt.Errorf("log origin: %w: no incarnation has entry 1", record.ErrMalformed)
	}
	return list, nil
}

// Reincarnate has the next entries named as those of a new incarnation. It is
// for a store that was brought back from a backup, before its log is opened.
func Reincarnate(db *engine.DB) error {
	l := &Log{db: db}
	if err := l.openOrigin(); err != nil {
		return err
	}
	last := uint64(0)
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.LogBlock))
	err := db.IterReverse(lower, upper, func(k, v []byte) (bool, error) {
		first, h, err := blockAt(k, v)
		last = first + uint64(h.Count) - 1
		return false, err
	})
	if err == nil && last == 0 {
		var h head
		h, err = readHead(db)
		last = h.seq - 1
	}
	if err != nil {
		return err
	}
	if n := len(l.origins); l.origins[n-1].first == last+1 {
		l.origins = l.origins[:n-1] // it has named nothing, and another copy of the store may name these entries by it
	}
	b := db.NewBatch()
	defer b.Discard()
	addOrigin(b, l.origins, last+1)
	return b.Commit(true)
}

// Origin is the log's present incarnation: 16 random bytes.
func (l *Log) Origin() [16]byte { return l.origins[len(l.origins)-1].id }

// A mark names an entry in 48 bits, and in the 16 above them the incarnation that
// gave it its number, by the beginning of its id: what another one's file says
// must not count.
const markBits = 48

func (l *Log) markOf(seq uint64) uint64 {
	id := l.Origin()
	return uint64(binary.BigEndian.Uint16(id[:]))<<markBits | seq
}

// mark notes how far the log is durable, for checkMark. It is not worth a
// commit's life: one that is missing only leaves a loss unseen.
func (l *Log) mark(last uint64) {
	if last>>markBits != 0 {
		return
	}
	err := l.db.Mark().Store(l.markOf(last))
	if err != nil && !l.unmarked {
		l.opt.Logger.Warn("event log: the last entry's number cannot be noted beside the store: a loss at the log's end might not be seen", "entry", last, "err", err)
	}
	l.unmarked = err != nil
}

// checkMark compares the log's end with what was last acknowledged as far as it
// is known: Pebble cannot tell the end of a log that lost something from one
// that a crash tore.
func (l *Log) checkMark() error {
	mark, ok := l.db.Mark().Load()
	if seq := mark & (1<<markBits - 1); ok && mark == l.markOf(seq) && seq > l.last {
		return &GapError{From: l.last + 1, To: seq}
	}
	return nil
}

// OriginOf is the incarnation that gave entry seq its number.
func (l *Log) OriginOf(seq uint64) [16]byte { return l.origins[l.numberOf(seq)-1].id }

// OriginNumberOf is that incarnation's place among this store's, from 1.
func (l *Log) OriginNumberOf(seq uint64) uint16 { return uint16(l.numberOf(seq)) }

func (l *Log) numberOf(seq uint64) int {
	return max(1, sort.Search(len(l.origins), func(i int) bool { return l.origins[i].first > seq }))
}
