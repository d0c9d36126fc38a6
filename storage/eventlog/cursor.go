package eventlog

import (
	"fmt"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// Cursor gives the number of the last entry that the named reader is done
// with; 0 when it has not begun.
func (l *Log) Cursor(name string) (seq uint64, err error) {
	_, err = l.db.Get(keyspace.AppendCursor(nil, name), func(val []byte) (err error) {
		seq, err = parseCursor(val)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("cursor %q: %w", name, err)
	}
	return seq, nil
}

// SetCursor notes with b that the named reader is done with entry seq and all
// before it. Put what the reader made of them into the same batch. seq must be
// durable: a reader ahead of the log could not tell a loss from a restart.
func (l *Log) SetCursor(b *engine.Batch, name string, seq uint64) error {
	if end := l.durable.Load(); seq > end {
		return fmt.Errorf("cursor %q: entry %d is not durable yet, %d is the newest that is", name, seq, end)
	}
	b.Set(keyspace.AppendCursor(nil, name), record.AppendUvarint([]byte{cursorVersion}, seq))
	return nil
}

const cursorVersion = 1

func parseCursor(val []byte) (uint64, error) {
	r := record.NewReader(val)
	r.Version("cursor", cursorVersion)
	seq := r.Uvarint()
	return seq, r.Done("cursor")
}
