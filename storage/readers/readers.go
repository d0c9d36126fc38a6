// Package readers runs readers behind the log, and keeps what they have made of
// the entries: sealed, in parts, each written in one batch with the reader's
// cursor. So after any crash the two belong together, and every entry counts once.
package readers

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"strings"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// Keys is what a state needs of the vault.
type Keys interface {
	Subkey(name string) []byte // 32 bytes for one use
}

// State is one reader's. It belongs to one goroutine.
//
// A state must be a function of the entries up to its cursor. It is sealed under
// one key for all, so it holds nothing that says who somebody is; what it holds
// of persons stands under keyed hashes, and the reader takes it out when it comes
// to the entry that erases them.
type State struct {
	db     *engine.DB
	log    *eventlog.Log
	name   string
	aead   cipher.AEAD
	packer *record.Packer
	anew   bool // what is kept goes with the next commit
}

// stateVersion is a value's first byte; the rest is sealed, and packed inside.
const stateVersion = 1

// Open opens the state of the reader with that name, which has no zero byte.
// Close frees what it holds.
func Open(db *engine.DB, log *eventlog.Log, keys Keys, name string) (*State, error) {
	if name == "" || strings.IndexByte(name, 0) >= 0 {
		return nil, fmt.Errorf("readers: a reader has the name %q; expected a text without zero bytes", name)
	}
	block, err := aes.NewCipher(keys.Subkey("readers"))
	if err != nil {
		return nil, fmt.Errorf("readers: %w", err)
	}
	s := &State{db: db, log: log, name: name}
	if s.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, fmt.Errorf("readers: %w", err)
	}
	if s.packer, err = record.NewPacker(); err != nil {
		return nil, fmt.Errorf("readers: %w", err)
	}
	return s, nil
}

// Close frees what the state holds.
func (s *State) Close() { s.packer.Close() }

// Forget begins anew: from now on nothing that was saved is found, and the next
// commit removes it.
func (s *State) Forget() { s.anew = true }

func binding(key []byte) []byte { return append([]byte("reuna reader "), key...) }

// Each gives fn every part whose name begins with prefix, in their order.
func (s *State) Each(prefix string, fn func(part string, value []byte) error) error {
	if s.anew {
		return nil
	}
	lower, upper := keyspace.Bounds(keyspace.AppendReader(nil, s.name, prefix))
	return s.db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		_, part, err := keyspace.ParseReader(k)
		if err != nil {
			return false, err
		}
		plain, err := s.open(k, part, v)
		if err != nil {
			return false, err
		}
		return true, fn(part, plain)
	})
}

// UpTo is the last entry that the saved parts know of; 0 when nothing was saved.
func (s *State) UpTo() (uint64, error) {
	if s.anew {
		return 0, nil
	}
	c, err := s.log.Cursor(s.name)
	return c.Seq, err
}

// Get gives one part; found is false when there is none. It is for states of
// which not all is held in memory.
func (s *State) Get(part string) (value []byte, found bool, err error) {
	if s.anew {
		return nil, false, nil
	}
	k := keyspace.AppendReader(nil, s.name, part)
	found, err = s.db.Get(k, func(v []byte) (err error) {
		value, err = s.open(k, part, v)
		return err
	})
	return value, found, err
}

func (s *State) open(k []byte, part string, v []byte) ([]byte, error) {
	r := record.NewReader(v)
	r.Version("a reader's state", stateVersion)
	if err := r.Err(); err != nil {
		return nil, err
	}
	packed, err := s.aead.Open(nil, nil, r.Rest(), binding(k))
	if err != nil {
		return nil, fmt.Errorf("readers: part %q of %q does not open: %w", part, s.name, err)
	}
	plain, err := s.packer.Unpack(nil, packed)
	if err != nil {
		return nil, fmt.Errorf("readers: part %q of %q: %w", part, s.name, err)
	}
	return plain, nil
}

// Write is one save that is being put together.
type Write struct {
	s *State
	b *engine.Batch
}

// Begin begins one.
func (s *State) Begin() *Write {
	w := &Write{s, s.db.NewBatch()}
	if s.anew {
		w.b.DeleteRange(keyspace.Bounds(keyspace.AppendReaderPrefix(nil, s.name)))
	}
	return w
}

// Set writes a part; a nil value removes it.
func (w *Write) Set(part string, value []byte) {
	k := keyspace.AppendReader(nil, w.s.name, part)
	if value == nil {
		w.b.Delete(k)
		return
	}
	w.b.Set(k, w.s.aead.Seal([]byte{stateVersion}, nil, w.s.packer.Pack(nil, value), binding(k)))
}

// Discard drops the save unless it was committed.
func (w *Write) Discard() { w.b.Discard() }

// Commit saves everything together with the place that it is for: the last
// entry that the reader is done with, which must be durable. It is not synced: a
// crash may take the newest saves, whole, and the entries behind them are read
// again. The log gives entries up by age without waiting for this reader.
func (w *Write) Commit(upTo uint64) error {
	if err := w.s.log.SetCursor(w.b, eventlog.Cursor{Name: w.s.name, Seq: upTo}); err != nil {
		w.b.Discard()
		return err
	}
	if err := w.b.Commit(false); err != nil {
		return err
	}
	w.s.anew = false
	return nil
}
