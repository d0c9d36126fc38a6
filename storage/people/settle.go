package people

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/wire"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// historyCursor is where settling stands: entries up to it are in histories.
const historyCursor = "history"

// Settling works through the log in slices, so that it needs little memory and
// an erasure never waits long for it. A larger slice finds more of one visitor
// together and rewrites fewer chunks.
const (
	sliceBytes = 64 << 20
	// chunkBytes is up to where a chunk is added to, in bytes of entries before
	// compression. benchmarks/results/layout.md has the figures.
	chunkBytes = 32 << 10
)

// Settled counts what settling did.
type Settled struct {
	Entries, Events, Chunks int64
	UpTo, Head              uint64 // the last entry in histories, the first that the log still has
}

// Settle moves what was received before now−age from the log's tail into
// histories, and has the log give up what no reader waits for. It goes on where
// it stood before, also after a crash: a chunk takes no entry twice.
func (s *Store) Settle(ctx context.Context, age time.Duration) (done Settled, err error) {
	cursor, err := s.o.Log.Cursor(historyCursor)
	if err != nil {
		return done, err
	}
	people, err := s.o.Log.Cursor(cursorName)
	if err != nil {
		return done, err
	}
	end, err := s.o.Log.SeekTime(s.o.Now().Add(-age).UnixMilli())
	if err != nil {
		return done, err
	}
	// Index entries are written by checkpoints and removed here, in this order.
	upTo := min(end-1, people.Seq)
	done.UpTo = cursor.Seq
	for done.UpTo < upTo && ctx.Err() == nil {
		if done.UpTo, err = s.settleSlice(done.UpTo+1, upTo, &done); err != nil {
			return done, fmt.Errorf("people: settling: %w", err)
		}
	}
	if err := ctx.Err(); err != nil {
		return done, err
	}
	expired, late, err := s.o.Log.Expired(age)
	if err != nil {
		return done, err
	}
	if len(late) > 0 && expired < end-1 {
		s.log.Warn("the log is kept longer than retention.tail for readers that are behind", "readers", late, "keeps_from", expired+1)
	}
	done.Head, err = s.o.Log.Trim(min(expired, done.UpTo)) // a cursor that was never set holds nothing
	return done, err
}

// settleSlice settles entries from one on, up to a slice full, and gives the
// last.
func (s *Store) settleSlice(from, upTo uint64, done *Settled) (last uint64, err error) {
	s.maintain.Lock()
	defer s.maintain.Unlock()
	x := stretch{}
	if x.erased, err = s.toOverwrite(); err != nil {
		return from - 1, err
	}
	last = from - 1
	err = s.o.Log.Read(from, func(seq uint64, receivedAt int64, entry []byte) (bool, error) {
		if seq > upTo {
			return false, nil
		}
		last = seq
		if err := s.sort(&x, seq, receivedAt, entry); err != nil {
			return false, fmt.Errorf("entry %d: %w", seq, err)
		}
		return len(x.bytes) < s.o.SliceBytes, nil
	})
	var trimmed *eventlog.TrimmedError
	if errors.As(err, &trimmed) {
		return trimmed.Head - 1, nil // nothing is given up that has not settled
	}
	if err != nil {
		return last, err
	}
	w := writer{s: s, b: s.o.DB.NewBatch()}
	defer func() { w.b.Discard() }()
	// Each owner's month is looked at once in a slice, so the seeker need not see
	// what the slice writes. It would walk over all of that, though, from one owner
	// back to the one before: so there is a new one with each batch.
	var seeker *engine.Seeker
	var made *engine.Batch // when the seeker was
	defer func() {
		if seeker != nil {
			err = errors.Join(err, seeker.Close())
		}
	}()
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.History))
	renew := func() (err error) {
		if seeker != nil {
			err = seeker.Close()
			seeker = nil
		}
		if err == nil {
			seeker, err = s.o.DB.NewSeeker(lower, upper)
			made = w.b
		}
		return err
	}
	slices.SortFunc(x.parts, func(a, b part) int { return cmp.Or(a.history.compare(b.history), cmp.Compare(a.seq, b.seq)) })
	s.addMonths(x.parts) // before anybody can miss what was in the index
	for from := 0; from < len(x.parts) && w.err == nil; {
		to := from + 1
		for to < len(x.parts) && x.parts[to].history == x.parts[from].history {
			to++
		}
		if made != w.b {
			w.err = renew()
		}
		if w.err == nil {
			w.err = s.append(&w, seeker, &x, x.parts[from:to], done)
		}
		from = to
	}
	for _, p := range x.refused {
		w.err = errors.Join(w.err, s.settleRefused(&w, &x, p))
	}
	for _, i := range x.index {
		w.delete(keyspace.AppendEvent(nil, i.facet, i.time, i.seq))
	}
	if w.err == nil {
		w.err = s.o.Log.SetCursor(w.b, eventlog.Cursor{Name: historyCursor, Seq: last, Hold: eventlog.Forever})
	}
	if w.err != nil {
		return from - 1, w.err
	}
	// Synced: the log gives up next what is written here.
	if err := w.b.Commit(true); err != nil {
		return from - 1, err
	}
	done.Entries += int64(last - from + 1)
	done.Events += int64(len(x.parts))
	return last, nil
}

// stretch is a part of the log, taken apart.
type stretch struct {
	erased  map[uint64]bool // entries of erasures that are not shredded yet
	bytes   []byte
	parts   []part
	refused []part
	index   []indexed
}

// part is one entry that goes into one history: bytes[from:to] of the stretch.
type part struct {
	history
	seq        uint64
	receivedAt int64
	at         int64
	from, to   int
}

// history names an owner's entries of one month and origin.
type history struct {
	month  keyspace.Month
	owner  Hash
	origin uint16
}

// compare orders histories as their keys are.
func (h history) compare(o history) int {
	return cmp.Or(cmp.Compare(h.month, o.month), bytes.Compare(h.owner[:], o.owner[:]), cmp.Compare(h.origin, o.origin))
}

// key is that of the chunk whose first entry is seq.
func (h history) key(seq uint64) []byte {
	return keyspace.AppendHistory(nil, h.month, h.owner, h.origin, seq)
}

// sort notes where an entry goes.
func (s *Store) sort(x *stretch, seq uint64, receivedAt int64, entry []byte) error {
	if len(entry) == 0 {
		return errEmpty
	}
	if x.erased[seq] {
		return nil
	}
	p := part{seq: seq, receivedAt: receivedAt, at: receivedAt, from: len(x.bytes)}
	p.month, p.origin = keyspace.MonthOf(receivedAt), s.o.Log.OriginNumberOf(seq)
	p.to = p.from + len(entry)
	x.bytes = append(x.bytes, entry...)
	add := func(owner Hash) {
		p.owner = owner
		x.parts = append(x.parts, p)
		x.index = append(x.index, indexed{owner, p.at, seq})
	}
	switch entry[0] {
	case entryEvent:
		var e event.Event
		if _, err := decodeEvent(&e, string(entry[1:])); err != nil {
			return err
		}
		p.at = e.Timestamp
		add(s.hashFacet(facet.KeyOf(&e, p.origin)))
	case entryEvidence:
		e, err := parseEvidence(string(entry[1:]))
		if err != nil {
			return err
		}
		add(s.hashID(e.A))
		add(s.hashID(e.B))
	case entryTransition:
		var few [8]Transition
		list, err := parseTransitions(few[:0], string(entry[1:]))
		if err != nil {
			return err
		}
		p.at = list[0].At
		add(s.hashID(list[0].ID))
	case entryRefused:
		x.refused = append(x.refused, p)
	case entrySession:
		// What it did stands in the device's session. Nothing else ever asks.
		visitor, session, err := parseSession(string(entry[1:]))
		if err != nil {
			return err
		}
		for _, owner := range s.sessionOwners(visitor, session) {
			x.index = append(x.index, indexed{owner, receivedAt, seq})
		}
		x.bytes = x.bytes[:p.from]
	case entryExcluded:
		// It is in no profile, and ends with the log's tail.
		var e event.Event
		if _, err := decodeEvent(&e, string(entry[1:])); err != nil {
			return err
		}
		for _, owner := range owners(facet.KeyOf(&e, 0)) {
			x.index = append(x.index, indexed{s.hashID(owner), e.ReceivedAt, seq})
		}
		x.bytes = x.bytes[:p.from]
	case entryErased, entryErasure:
		x.bytes = x.bytes[:p.from]
	default:
		return fmt.Errorf("has kind %d, which this program does not know: it was written by a newer one", entry[0])
	}
	return nil
}

var errEmpty = errors.New("is empty")

// append adds parts, all of one history, to its last chunk, and begins new ones
// when that is full.
func (s *Store) append(w *writer, seeker *engine.Seeker, x *stretch, parts []part, done *Settled) error {
	h, b := parts[0].history, &s.build
	b.Reset()
	k, v, found, err := seeker.Last(h.key(0), h.key(math.MaxUint64))
	if err != nil {
		return err
	}
	if found {
		c, err := parseChunk(k, v)
		if err != nil {
			return err
		}
		for len(parts) > 0 && parts[0].seq <= c.h.Last {
			parts = parts[1:] // it is in there since before a crash
		}
		if len(parts) == 0 {
			return nil
		}
		if c.h.Bytes < s.o.ChunkBytes {
			plain, err := s.openChunk(h.owner, &c, &s.scratch)
			if err != nil {
				return err
			}
			if err := b.AddChunk(plain, c.h); err != nil {
				return err
			}
		}
	}
	sealer, err := s.o.Vault.FacetKey(h.owner, true, w.b)
	if err != nil {
		return err
	}
	write := func() {
		key := h.key(b.First())
		s.sealed = s.codec.Encode(s.sealed[:0], b, sealer, key)
		w.set(key, s.sealed)
		b.Reset()
		done.Chunks++
	}
	for i := range parts {
		p := &parts[i]
		if b.Count() > 0 && b.Len()+p.to-p.from > 2*s.o.ChunkBytes {
			write()
		}
		b.Add(p.seq, p.receivedAt, p.at, x.bytes[p.from:p.to])
		if b.Len() >= s.o.ChunkBytes {
			write()
		}
	}
	if b.Count() > 0 {
		write()
	}
	return w.err
}

const refusedVersion = 1 // in clear: when it was received, ms; then the entry, sealed

// settleRefused keeps a refused message under a key of its own.
func (s *Store) settleRefused(w *writer, x *stretch, p part) error {
	owner, place := s.hashRefused(p.seq), keyspace.AppendQuarantine(nil, p.seq)
	k, err := s.o.Vault.FacetKey(owner, true, w.b)
	if err != nil {
		return err
	}
	v := wire.AppendInt([]byte{refusedVersion}, p.receivedAt)
	w.set(place, k.Seal(v, x.bytes[p.from:p.to], append(place, v...)))
	return w.err
}

// openRefused undoes settleRefused.
func (s *Store) openRefused(seq uint64, v []byte) (entry []byte, err error) {
	_, head, err := refusedHead(seq, v)
	if err != nil {
		return nil, err
	}
	k, err := s.o.Vault.FacetKey(s.hashRefused(seq), false, nil)
	if err != nil {
		return nil, err
	}
	entry, err = k.Open(nil, v[len(head):], append(keyspace.AppendQuarantine(nil, seq), head...))
	if err != nil {
		return nil, fmt.Errorf("people: refused message %d: %w", seq, err)
	}
	return entry, nil
}

// refusedHead gives what stands in clear before a settled message: all that
// needs no key.
func refusedHead(seq uint64, v []byte) (receivedAt int64, head []byte, err error) {
	r := wire.NewReader(string(v))
	version := r.Byte()
	receivedAt = r.Int()
	if r.Bad() || version != refusedVersion {
		return 0, nil, fmt.Errorf("people: refused message %d has version %d; this program reads %d", seq, version, refusedVersion)
	}
	return receivedAt, v[:len(v)-len(r.Rest())], nil
}

// addMonths notes that histories have the months of these parts. The lock of
// settling is held, so nobody else does.
func (s *Store) addMonths(parts []part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.months)
	for i := range parts {
		if m := parts[i].month; len(list) == 0 || list[len(list)-1] != m { // sorted by month first
			list = append(list, m)
		}
	}
	slices.Sort(list)
	s.months = slices.Compact(list)
}

// Expire drops the months of history that ended before a time, and refused
// messages that were received before another. What the events led to stays.
func (s *Store) Expire(events, refused time.Time) error {
	s.maintain.Lock()
	defer s.maintain.Unlock()
	b := s.o.DB.NewBatch()
	defer func() { b.Discard() }()
	s.mu.Lock()
	months := s.months
	s.mu.Unlock()
	keep := months
	for len(keep) > 0 && (keep[0]+1).Begin() <= events.UnixMilli() {
		b.DeleteRange(keyspace.AppendMonth(nil, keep[0]), keyspace.AppendMonth(nil, keep[0]+1))
		b.Set(keyspace.AppendMeta(nil, keyspace.MetaExpired), record.AppendUvarint([]byte{expiredVersion}, uint64(keep[0])))
		keep = keep[1:]
	}
	if len(keep) < len(months) {
		s.log.Info("events were deleted by age", "before", events, "months", len(months)-len(keep))
	}
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Quarantine))
	err := s.o.DB.Iter(lower, upper, func(k, v []byte) (bool, error) {
		seq, err := keyspace.ParseQuarantine(k)
		if err != nil || len(v) == 0 {
			return false, err // it and all that follow are in the tail
		}
		receivedAt, _, err := refusedHead(seq, v)
		if err != nil || receivedAt >= refused.UnixMilli() {
			return true, err
		}
		b.Delete(k)
		s.o.Vault.DropFacetKey(s.hashRefused(seq), b)
		return b.Len() < batchBytes, nil // the rest comes next time
	})
	if err != nil {
		return err
	}
	if err := b.Commit(true); err != nil {
		return err
	}
	s.mu.Lock()
	s.months = keep // settling, which adds to them, waits for us
	s.mu.Unlock()
	return nil
}

const expiredVersion = 1

// delete is set's counterpart.
func (w *writer) delete(key []byte) {
	if w.err != nil {
		return
	}
	w.b.Delete(key)
	w.flushFull()
}
