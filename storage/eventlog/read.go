package eventlog

import (
	"errors"
	"fmt"
	"sort"

	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
	"github.com/reuna/reuna/storage/vault"
)

// GapError says that entries are missing which were durable once.
type GapError struct{ From, To uint64 }

func (e *GapError) Error() string {
	return fmt.Sprintf("event log: entries %d to %d are missing: the disk lost them; restore the data folder from a backup", e.From, e.To)
}

// DamageError says which block cannot be read, and why.
type DamageError struct {
	First uint64 // the block's first entry
	Err   error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("event log: the block that begins at entry %d is damaged: %v: restore the data folder from a backup", e.First, e.Err)
}

func (e *DamageError) Unwrap() error { return e.Err }

// openTail finds the end of the log and checks it.
func (l *Log) openTail() error {
	head, err := readHead(l.db)
	if err != nil {
		return fmt.Errorf("event log: %w", err)
	}
	l.head.Store(head.seq)
	l.last, l.high = head.seq-1, head.high
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.LogBlock))
	seen, next := 0, uint64(0) // the first entry of the block above
	err = l.db.IterReverse(lower, upper, func(k, v []byte) (bool, error) {
		first, h, err := blockAt(k, v)
		if err != nil {
			return false, err
		}
		end := first + uint64(h.Count) - 1
		if seen == 0 {
			l.last, l.high = end, h.High
			if err := l.decode(v, first, h, func(int, int64, []byte) (bool, error) { return true, nil }); err != nil {
				return false, err
			}
		} else if err := follows(end, next); err != nil {
			return false, err
		}
		next = first
		seen++
		return seen < tailBlocks, nil
	})
	if err != nil {
		return err
	}
	switch {
	case seen > 0 && seen < tailBlocks && next > head.seq:
		return &GapError{From: head.seq, To: next - 1}
	case seen > 0 && next < head.seq:
		return &DamageError{First: next, Err: fmt.Errorf("%w: entries before %d were given up", record.ErrMalformed, head.seq)}
	}
	l.durable.Store(l.last)
	if err := l.checkMark(); err != nil {
		return err
	}
	return l.checkCursors()
}

// follows checks that a block that ends with entry end is followed by one that
// begins with next.
func follows(end, next uint64) error {
	switch {
	case next > end+1:
		return &GapError{From: end + 1, To: next - 1}
	case next < end+1:
		return &DamageError{First: next, Err: fmt.Errorf("%w: the block before it ends with entry %d", record.ErrMalformed, end)}
	}
	return nil
}

// checkCursors makes sure that no reader has read more than there is: it
// would mean that acknowledged entries are gone from the end.
func (l *Log) checkCursors() error {
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Cursor))
	return l.db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		name, err := keyspace.ParseCursor(k)
		if err != nil {
			return false, err
		}
		c, err := parseCursor(name, v)
		if err != nil {
			return false, err
		}
		if c.Seq > l.last {
			return false, fmt.Errorf("cursor %q stands at entry %d: %w", name, c.Seq, &GapError{From: l.last + 1, To: c.Seq})
		}
		return true, nil
	})
}

func blockAt(k, v []byte) (first uint64, h record.Header, err error) {
	first, err = keyspace.ParseLogBlock(k)
	if err != nil {
		return 0, h, err
	}
	h, _, err = record.ParseHeader(v)
	if err == nil && (first == 0 || first+uint64(h.Count) < first) {
		err = fmt.Errorf("%w: entries %d and on, %d of them", record.ErrMalformed, first, h.Count)
	}
	if err != nil {
		return 0, h, &DamageError{First: first, Err: err}
	}
	return first, h, nil
}

// decode opens a block and walks its entries.
func (l *Log) decode(block []byte, first uint64, h record.Header, fn func(i int, receivedAt int64, entry []byte) (bool, error)) error {
	key, err := l.vault.EpochKey(h.Epoch)
	if head := l.head.Load(); errors.Is(err, vault.ErrNoKey) && first < head {
		return &TrimmedError{From: first, Head: head} // between our look at the block and at its key
	}
	if err != nil {
		return &DamageError{First: first, Err: err}
	}
	s := l.scratch.Get().(*record.Scratch)
	defer func() {
		if s.Cap() <= keepSegment {
			l.scratch.Put(s)
		}
	}()
	plain, err := l.codec.Decode(block, key, l.OriginOf(first), first, s)
	if err != nil {
		return &DamageError{First: first, Err: err}
	}
	var own error // fn's, which says nothing about the block
	err = record.Entries(plain, h, func(i int, at int64, entry []byte) (bool, error) {
		var more bool
		more, own = fn(i, at, entry)
		return more, own
	})
	if err != nil && own == nil {
		return &DamageError{First: first, Err: err}
	}
	return err
}

// Read walks the durable entries from number from on (0: from the first that is
// still here), upwards, until fn says no more or all that were durable at the
// call are read. A from that was given up gives a *TrimmedError. entry may be used
// until fn returns; receivedAt is ms since 1970. fn may call the log.
func (l *Log) Read(from uint64, fn func(seq uint64, receivedAt int64, entry []byte) (more bool, err error)) error {
	end, head := l.durable.Load(), l.head.Load()
	if from == 0 {
		from = head
	}
	if from < head {
		return &TrimmedError{From: from, Head: head}
	}
	if from > end {
		return nil
	}
	start, err := l.blockOf(from)
	if err != nil {
		return err
	}
	next := start
	lower := keyspace.AppendLogBlock(nil, start)
	upper := keyspace.AppendLogBlock(nil, end+1)
	stopped := false
	err = l.db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		first, h, err := blockAt(k, v)
		if err == nil {
			err = follows(next-1, first)
		}
		if head := l.head.Load(); err != nil && next == start && start < head {
			return false, &TrimmedError{From: from, Head: head} // between blockOf and here
		}
		if err != nil {
			return false, err
		}
		next = first + uint64(h.Count)
		err = l.decode(v, first, h, func(i int, at int64, entry []byte) (bool, error) {
			seq := first + uint64(i)
			if seq < from {
				return true, nil
			}
			more, err := fn(seq, at, entry)
			stopped = !more
			return more, err
		})
		return !stopped, err
	})
	if err == nil && !stopped && next != end+1 {
		if head := l.head.Load(); next == start && start < head {
			return &TrimmedError{From: from, Head: head}
		}
		return &GapError{From: next, To: end}
	}
	return err
}

// blockOf finds the first entry of the block that holds the durable entry seq.
func (l *Log) blockOf(seq uint64) (first uint64, err error) {
	err = l.find(seq, func(f uint64, _ record.Header, _ []byte) error { first = f; return nil })
	return first, err
}

// find gives fn the block that holds the durable entry seq.
func (l *Log) find(seq uint64, fn func(first uint64, h record.Header, block []byte) error) error {
	switch head, end := l.head.Load(), l.durable.Load(); {
	case seq > end || seq == 0:
		return fmt.Errorf("%w: %d, the log has %d to %d", ErrNoEntry, seq, head, end)
	case seq < head:
		return &TrimmedError{From: seq, Head: head}
	}
	lower := keyspace.AppendSpace(nil, keyspace.LogBlock)
	upper := keyspace.AppendLogBlock(nil, seq+1)
	found := false
	err := l.db.IterReverse(lower, upper, func(k, v []byte) (bool, error) {
		first, h, err := blockAt(k, v)
		if err != nil {
			return false, err
		}
		if end := first + uint64(h.Count) - 1; end < seq {
			return false, &GapError{From: end + 1, To: seq}
		}
		found = true
		return false, fn(first, h, v)
	})
	if err == nil && !found {
		if head := l.head.Load(); seq < head { // given up meanwhile
			return &TrimmedError{From: seq, Head: head}
		}
		return &GapError{From: l.head.Load(), To: seq}
	}
	return err
}

// Get gives fn the durable entry seq, which it may use until it returns.
// An entry that is not there gives ErrNoEntry.
func (l *Log) Get(seq uint64, fn func(receivedAt int64, entry []byte) error) error {
	return l.GetMany([]uint64{seq}, func(_ uint64, at int64, entry []byte) (bool, error) { return false, fn(at, entry) })
}

// GetMany gives fn the durable entries seqs, which must ascend, each block
// decoded once, until fn says no more. entry may be used until fn returns.
func (l *Log) GetMany(seqs []uint64, fn func(seq uint64, receivedAt int64, entry []byte) (more bool, err error)) error {
	if !sort.SliceIsSorted(seqs, func(i, j int) bool { return seqs[i] < seqs[j] }) {
		return errors.New("event log: GetMany wants ascending numbers")
	}
	stopped := false
	for len(seqs) > 0 && !stopped {
		err := l.find(seqs[0], func(first uint64, h record.Header, block []byte) error {
			return l.decode(block, first, h, func(i int, at int64, entry []byte) (bool, error) {
				for len(seqs) > 0 && seqs[0] == first+uint64(i) {
					seqs = seqs[1:]
					more, err := fn(first+uint64(i), at, entry)
					if err != nil || !more {
						stopped = true
						return false, err
					}
				}
				return len(seqs) > 0 && seqs[0] < first+uint64(h.Count), nil
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// SeekTime gives the number of the first durable entry still here that was
// received at ms (since 1970) or later; one past the newest when there is none. It halves
// over the blocks' High, so it is right whatever the clock did.
func (l *Log) SeekTime(ms int64) (seq uint64, err error) {
	for {
		seq, err = l.seekTime(ms)
		var trimmed *TrimmedError
		if !errors.As(err, &trimmed) {
			return seq, err
		}
		// Where it looked was given up meanwhile. The head only rises, so this ends.
	}
}

func (l *Log) seekTime(ms int64) (seq uint64, err error) {
	end := l.durable.Load()
	lo, hi := l.head.Load(), end+1 // lo begins a block, or is past the end
	for lo < hi {
		mid := lo + (hi-lo)/2
		err := l.find(mid, func(first uint64, h record.Header, _ []byte) error {
			if h.High < ms {
				lo = first + uint64(h.Count)
			} else {
				hi = first
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	// Block lo is the first whose High reaches ms: one of its own entries does.
	seq = end + 1
	err = l.Read(lo, func(s uint64, at int64, _ []byte) (bool, error) {
		if at >= ms {
			seq = s
		}
		return at < ms, nil
	})
	return seq, err
}
