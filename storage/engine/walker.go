package engine

import "github.com/cockroachdb/pebble/v2"

// Walker stands on one key after the other of a range of the store as it was
// when the walker was made: for who walks several ranges side by side. It belongs
// to one goroutine and ends with Close; until then the store cannot be closed and
// keeps the tables that it sees, so it is for no longer than fractions of a second.
type Walker struct {
	db *DB
	it *pebble.Iterator
	on bool
}

// NewWalker makes a walker that stands on the first key of [lower, upper).
func (db *DB) NewWalker(lower, upper []byte) (*Walker, error) {
	if !db.uses.enter() {
		return nil, ErrClosed
	}
	it, err := db.p.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		db.uses.leave()
		return nil, readError(err)
	}
	return &Walker{db: db, it: it, on: it.First()}, nil
}

// Key is where it stands, until it moves; nil behind the last key, and where
// reading failed, which Close tells.
func (w *Walker) Key() []byte {
	if !w.on {
		return nil
	}
	return w.it.Key()
}

// Value is what stands there, until the walker moves.
func (w *Walker) Value() ([]byte, error) {
	v, err := w.it.ValueAndErr()
	if err != nil {
		return nil, readError(err)
	}
	return v, nil
}

// Next moves to the next key.
func (w *Walker) Next() { w.on = w.it.Next() }

// Seek moves to the first key from key on.
func (w *Walker) Seek(key []byte) { w.on = w.it.SeekGE(key) }

// Close ends the walker. It gives the error that ended the walk, if one did.
func (w *Walker) Close() error {
	defer w.db.uses.leave()
	if err := w.it.Close(); err != nil {
		return readError(err)
	}
	return nil
}
