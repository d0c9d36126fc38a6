package eventlog

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// TrimmedError says that a reader asks for entries that the log gave up: what
// they did is in the histories, and a reader that wanted them one by one was
// away for too long.
type TrimmedError struct{ From, Head uint64 }

func (e *TrimmedError) Error() string {
	return fmt.Sprintf("event log: entries %d to %d are no longer in the log: go on from entry %d, or keep more of it (retention.tail)", e.From, e.Head-1, e.Head)
}

// head is where the log begins, and the highest receipt time before it.
type head struct {
	seq  uint64
	high int64
}

const headVersion = 1

func readHead(db *engine.DB) (h head, err error) {
	h = head{1, math.MinInt64}
	_, err = db.Get(keyspace.AppendMeta(nil, keyspace.MetaHead), func(val []byte) (err error) {
		h, err = parseHead(val)
		return err
	})
	return h, err
}

func parseHead(val []byte) (h head, err error) {
	r := record.NewReader(val)
	r.Version("log head", headVersion)
	h.seq, h.high = r.Uvarint(), r.Varint()
	if h.seq == 0 && r.Err() == nil {
		return h, fmt.Errorf("log head: %w: entry 0", record.ErrMalformed)
	}
	return h, r.Done("log head")
}

func appendHead(dst []byte, h head) []byte {
	return record.AppendVarint(record.AppendUvarint(append(dst, headVersion), h.seq), h.high)
}

// Head is the number of the first entry that is still here; one past the newest
// when none is.
func (l *Log) Head() uint64 { return l.head.Load() }

// Trim gives up every block that ends at or before entry upTo, together with
// the keys that sealed nothing but them. What must be known of the entries has
// to be elsewhere, synced, before. Call it now and then also when there is
// nothing to give up: the last key of a log that nobody writes to any more goes
// with the first call after its day.
func (l *Log) Trim(upTo uint64) (newHead uint64, err error) {
	l.maintain.Lock()
	defer l.maintain.Unlock()
	defer l.recent.clear()
	old, end := l.head.Load(), l.durable.Load()
	next, epoch := head{end + 1, math.MinInt64}, uint32(0) // keys below epoch are not needed
	if from := max(min(upTo, end)+1, old); from <= end {
		err = l.find(from, func(first uint64, h record.Header, _ []byte) error {
			next.seq, epoch = first, h.Epoch
			return nil
		})
	} else {
		epoch, err = l.needed(end)
	}
	if err == nil && next.seq > old {
		err = l.find(next.seq-1, func(_ uint64, h record.Header, _ []byte) error { next.high = h.High; return nil })
	}
	if err != nil {
		return old, err
	}
	b := l.db.NewBatch()
	defer b.Discard()
	if next.seq > old {
		b.DeleteRange(keyspace.AppendLogBlock(nil, old), keyspace.AppendLogBlock(nil, next.seq))
		b.Set(keyspace.AppendMeta(nil, keyspace.MetaHead), appendHead(nil, next))
	}
	if epoch > l.spent {
		l.vault.DropEpochs(epoch, b)
	}
	if b.Count() == 0 {
		return old, nil
	}
	// Before the commit: a reader that finds nothing below must know why.
	l.head.Store(next.seq)
	if err := b.Commit(true); err != nil {
		return old, fmt.Errorf("event log: giving up entries %d to %d: %w", old, next.seq-1, err)
	}
	l.spent = max(l.spent, epoch)
	return next.seq, nil
}

// needed gives the first key that a log which ends with entry end, and has given
// up all of it, may still need; 0 when it cannot tell now.
func (l *Log) needed(end uint64) (epoch uint32, err error) {
	key, err := l.vault.Epoch(l.opt.Now().UnixMilli()) // a new one when the last has had its day
	if err != nil {
		return 0, fmt.Errorf("event log: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// A commit under way may have asked for its key before us. One that begins
	// after this look gets our key or a later one.
	if l.flight != nil || l.durable.Load() != end {
		return 0, nil
	}
	return key.ID(), nil
}

// Overwrite puts with in the place of the durable entries seqs, which must
// ascend; their receipt times stay. Those that the log gave up are passed over.
// It returns when the change is synced. The old bytes are gone from the folder
// after engine.DB.Scrub of Blocks.
func (l *Log) Overwrite(seqs []uint64, with []byte) (overwritten int, err error) {
	if !slices.IsSorted(seqs) {
		return 0, errors.New("event log: Overwrite wants ascending numbers")
	}
	l.maintain.Lock()
	defer l.maintain.Unlock()
	defer l.recent.clear()          // also after an error: some may be overwritten
	codec, err := record.NewCodec() // the committer's own is busy
	if err != nil {
		return 0, err
	}
	defer codec.Close()
	b := l.db.NewBatch()
	defer func() { b.Discard() }()
	for len(seqs) > 0 {
		if seqs[0] < l.head.Load() {
			seqs = seqs[1:]
			continue
		}
		rest, n, err := l.overwriteBlock(b, codec, seqs, with)
		if err != nil {
			return overwritten, err
		}
		seqs, overwritten = rest, overwritten+n
		if len(seqs) > 0 && b.Len() > overwriteBytes { // the last batch is synced, and those before with it
			if err := b.Commit(false); err != nil {
				return overwritten, err
			}
			b = l.db.NewBatch()
		}
	}
	return overwritten, b.Commit(true)
}

// overwriteBlock puts into b the block that has entry seqs[0], changed in all of
// seqs that it has, and gives those it has not.
func (l *Log) overwriteBlock(b *engine.Batch, codec *record.Codec, seqs []uint64, with []byte) (rest []uint64, n int, err error) {
	rest = seqs
	err = l.find(seqs[0], func(first uint64, h record.Header, block []byte) error {
		var build record.Builder
		err := l.decode(block, first, h, func(i int, at int64, entry []byte) (bool, error) {
			if len(rest) > 0 && rest[0] == first+uint64(i) {
				entry = with
				n++
			}
			for len(rest) > 0 && rest[0] == first+uint64(i) {
				rest = rest[1:]
			}
			build.Add(entry, at)
			return true, nil
		})
		if err != nil {
			return err
		}
		key, err := l.vault.EpochKey(h.Epoch)
		if err != nil {
			return err
		}
		changed, _ := codec.Encode(nil, &build, key, h.Epoch, l.OriginOf(first), first, h.High)
		b.Set(keyspace.AppendLogBlock(nil, first), changed)
		return nil
	})
	return rest, n, err
}

// overwriteBytes bounds the batches of Overwrite.
const overwriteBytes = 1 << 20

// Blocks gives the keys between which the blocks of these entries stand.
func (l *Log) Blocks(from, to uint64) (lower, upper []byte) {
	if first, err := l.blockOf(from); err == nil {
		from = first
	}
	return keyspace.AppendLogBlock(nil, from), keyspace.AppendLogBlock(nil, to+1)
}
