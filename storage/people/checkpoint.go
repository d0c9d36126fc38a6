package people

import (
	"fmt"
	"slices"
	"time"

	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
)

// cursorName is where the log's reader that is this store stands: everything up
// to it is on disk.
const cursorName = "people"

// slice is how many records are encoded in one hold of the lock: short enough
// that no request notices.
const slice = 64

// A checkpoint's records share the write-ahead log with the events, whose next
// fsync has to carry them too. So they go in small batches with a breath now and then:
// 10 MB at once made senders wait a tenth of a second. And the store shows batches in the
// order in which they began, so events wait for the one before them to be put in its
// place, key by key: two thousand small keys made senders wait for five milliseconds.
const (
	batchKeys   = 128
	batchBytes  = 128 << 10
	breath      = 2 * time.Millisecond
	breathBytes = 128 << 10 // between two breaths
)

// Checkpoint writes what changed since the last one, and then forgets what
// nobody used lately where memory is over its bound.
//
// A record is written with everything that it had at some moment after the
// checkpoint began, so the cursor that is written last, the log's end at that
// beginning, is never ahead of any record.
func (s *Store) Checkpoint() error {
	return patiently(func() error {
		s.checkpoint.Lock()
		defer s.checkpoint.Unlock()
		return s.writeDirty()
	})
}

// writeDirty is Checkpoint for who holds its lock.
func (s *Store) writeDirty() error {
	began := time.Now()

	s.mu.Lock()
	if s.failed != nil {
		defer s.mu.Unlock()
		return s.failed
	}
	applied := s.applied
	upTo := applied
	if s.judges { // who was not judged must be found again by a replay
		upTo = max(s.cursor, min(upTo, s.judging.first()-1))
	}
	facets, nodes := s.dirtyFacets, s.dirtyNodes
	index, refused := s.index, s.refused
	s.dirtyFacets, s.dirtyNodes, s.index, s.refused = nil, nil, nil, nil
	s.savingNodes, s.indexing = nodes, index
	s.taken, s.writing = map[Hash]int64{}, s.taken
	s.rotations++
	s.begun, s.told = applied, 0
	writing := s.writing
	s.mu.Unlock()
	if len(facets)+len(nodes)+len(index)+len(refused)+len(writing) == 0 && (!s.judges || upTo == s.cursor) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.trim() // who only reads fills the memory too
		return nil
	}

	w := writer{s: s, b: s.o.DB.NewBatch(), seen: applied}
	defer func() { w.b.Discard() }()
	for list := range slices.Chunk(facets, slice) {
		w.facets(list)
	}
	for list := range slices.Chunk(nodes, slice) {
		w.nodes(list)
	}
	for m, at := range writing {
		w.set(keyspace.AppendDedupe(nil, m), encodeTaken(at))
	}
	for _, x := range index {
		w.set(keyspace.AppendEvent(nil, x.facet, x.time, x.seq), nil)
	}
	for _, seq := range refused {
		w.set(keyspace.AppendQuarantine(nil, seq), nil)
	}
	if w.err == nil {
		w.err = s.o.Log.Barrier().Wait()
	}
	if w.err == nil {
		w.err = s.o.Log.SetCursor(w.b, eventlog.Cursor{Name: cursorName, Seq: upTo, Hold: eventlog.Forever})
		w.flush()
	}
	if w.err != nil {
		return fmt.Errorf("people: checkpoint: %w", w.err)
	}
	s.mu.Lock()
	s.savingNodes, s.indexing, s.cursor = nil, nil, upTo
	s.stats.Checkpoints++
	s.stats.LastCheckpoint = time.Since(began)
	s.trim()
	s.mu.Unlock()
	return nil
}

// writer gathers records into batches of bounded size. The first error stays.
type writer struct {
	s          *Store
	b          *engine.Batch
	sealed     []sealedRecord
	buf        []byte
	packed     []byte
	ciphertext []byte // what was sealed last
	err        error

	stands  []standRecord
	stood   []byte // their records
	written int    // since the last breath, bytes
	seen    uint64 // the last entry that the records gathered may tell of
}

type sealedRecord struct {
	owner    Hash
	place    []byte
	from, to int  // in buf
	pack     bool // a facet: compressed, without the lock
}

func (w *writer) set(key, val []byte) {
	if w.err != nil {
		return
	}
	w.b.Set(key, val)
	w.flushFull()
}

// flushFull commits the batch if there is no room for more.
func (w *writer) flushFull() {
	if w.err == nil && (w.b.Len() > batchBytes || w.b.Count() >= batchKeys) {
		w.flush()
	}
}

// flush commits the batch, once all that the records tell is durable in the
// log. They need no sync of their own: what is lost of them is made again.
func (w *writer) flush() {
	if w.err != nil {
		return
	}
	if w.written >= breathBytes {
		w.written = 0
		time.Sleep(breath)
	}
	if w.seen > w.s.o.Log.Durable() {
		w.err = w.s.o.Log.Barrier().Wait()
	}
	if w.err == nil {
		w.written += w.b.Len()
		w.err = w.b.Commit(false)
		w.b = w.s.o.DB.NewBatch()
	}
}

// add notes a record to be sealed; the lock is held, so only copy.
func (w *writer) add(owner Hash, place []byte, plain func([]byte) []byte) {
	from := len(w.buf)
	w.buf = plain(w.buf)
	w.sealed = append(w.sealed, sealedRecord{owner: owner, place: place, from: from, to: len(w.buf)})
}

// seal encrypts what add noted, without the lock.
func (w *writer) seal() {
	for _, r := range w.sealed {
		plain := w.buf[r.from:r.to]
		if r.pack {
			w.packed = w.s.packer.Pack(append(w.packed[:0], heldVersion), plain)
			plain = w.packed
		}
		if w.err == nil {
			w.ciphertext, w.err = w.s.seal(w.ciphertext[:0], r.owner, r.place, plain, w.b)
		}
		w.flushFull()
	}
	clear(w.buf)
	clear(w.packed)
	w.sealed, w.buf = w.sealed[:0], w.buf[:0]
}

// facets writes facets, and of new ones the entries by which their identifiers
// find them. A facet goes before its entries: a crash in between leaves one that
// nobody names, which the replay makes again, and never a name without a facet.
func (w *writer) facets(list []*held) {
	type edge struct{ node, facet Hash }
	var edges []edge
	w.s.mu.Lock()
	w.seen = w.s.applied
	for _, h := range list {
		h.dirty = false
		w.add(h.hash, keyspace.AppendFacet(nil, h.hash), h.append)
		last := &w.sealed[len(w.sealed)-1]
		last.pack, h.size = true, last.to-last.from
		if !h.fresh {
			continue
		}
		h.fresh = false
		for _, x := range owners(h.f.Key) {
			n := w.s.nodes[x] // it stays in memory for this
			n.freshFacets--
			edges = append(edges, edge{n.hash, h.hash})
		}
	}
	w.s.mu.Unlock()
	w.seal()
	for _, e := range edges {
		w.set(keyspace.AppendNode(nil, e.node, e.facet), nil)
	}
}

func (w *writer) nodes(list []*node) {
	w.s.mu.Lock()
	w.seen = w.s.applied
	for _, n := range list {
		for p := range n.newPairs {
			w.pair(n, p)
		}
		if n.dirtySession {
			w.add(n.hash, keyspace.AppendSession(nil, n.hash), func(dst []byte) []byte { return encodeSession(dst, &n.session) })
		}
		if n.stand != nil && n.stand.dirty {
			w.standing(n)
		}
		n.newPairs, n.dirtySession, n.dirty = nil, false, false
	}
	w.s.mu.Unlock()
	w.standings()
	w.seal()
}

// pair writes n's side of a pair. Each side lies under its own identifier's
// key, so that erasing one destroys its copy.
func (w *writer) pair(n *node, p *graph.Pair) {
	other := w.s.hashID(p.Other(n.id))
	w.add(n.hash, keyspace.AppendPair(nil, n.hash, other), p.AppendBinary)
}
