// Package audit is the activity log: who read or changed what, from where and
// how it ended. Its entries are numbered, sealed, and chained by their hashes;
// the chain's head is signed again and again, in the store and in a file
// outside it, so that an edit, a deletion, a reorder and a cut end are seen.
//
// What it proves, and what not: who can write the disk but has no master key
// can change nothing without Verify naming it, but for a return of store and
// head file together to an older state, and for the entries after the newest
// head, of the last HeadEvery. Who has the master key can make a
// chain anew. Against both keep a Head elsewhere, and hand it to Verify.
//
// Nothing is ever removed: there is no retention. An entry costs about 200
// bytes on disk. Callers name people by their person id, never by an address.
package audit

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

// Keys is what the log needs of the vault.
type Keys interface {
	Subkey(name string) []byte // 32 bytes for one use
	Signer() ed25519.PrivateKey
}

// Options say where a log lives. DB and Keys are required.
type Options struct {
	DB        *engine.DB
	Keys      Keys
	HeadFile  string           // beside the master key, not in the data folder; "": none, and a cut end is seen less well
	HeadEvery time.Duration    // the longest that an entry stays without a signed head over it; default 60 s
	Restored  bool             // the store was just put back from a backup: entries that are missing by that are recorded as such
	Now       func() time.Time // default time.Now
	Logger    *slog.Logger     // default slog.Default()
}

const (
	defaultHeadEvery = time.Minute
	maxWaiting       = 1024 // entries that wait for the disk
)

// HeadFileName is what the head file is called beside the master key.
const HeadFileName = "audit-head"

// HeadInterval is how often an entry's head is signed whatever the time: at
// each multiple of it. Verify misses one that is not there.
const HeadInterval = 256

// Errors that callers tell apart with errors.Is.
var (
	ErrClosed   = errors.New("audit log is closed")
	ErrFailed   = errors.New("audit log has failed")
	ErrBusy     = errors.New("audit log is busy")
	ErrEntry    = errors.New("audit entry is refused")
	ErrDamaged  = errors.New("audit log is damaged")
	ErrHeadFile = errors.New("audit head file")
)

// tip is the end of the chain.
type tip struct {
	n    uint64 // 0: no entry yet
	hash Hash
}

// Log is an open log. All its methods may be called at the same time.
//
// Invariants:
//   - Entries are numbered from 1. Only a loss that was found leaves a gap: the
//     chain then goes on behind the highest number that was ever signed.
//   - Append gives a number only after an fsync that covers the entry and all
//     before it.
//   - A head is signed only over what is durable, stored before it is written to
//     the head file, and never lower than the one before. So the head file is
//     never ahead of an honest store.
//   - After one failed write nothing is acknowledged ever again.
type Log struct {
	db     *engine.DB
	opt    Options
	aead   cipher.AEAD
	sign   ed25519.PrivateKey
	public ed25519.PublicKey
	// What an entry's seal is bound to. Its place is inside: see open.
	binding []byte

	mu     sync.Mutex // guards what follows; held for copying one entry
	next   *group     // being filled; nil when nobody waits
	tip    tip        // durable
	refuse error      // why nothing is taken any more
	filed  Head       // newest signed head
	filing error      // why the newest head could not be written

	signing sync.Mutex // held while a head is written; before mu

	wake  chan struct{} // capacity 1: there is something in next
	dirty chan struct{} // capacity 1: there are entries without a head
	once  sync.Once     // of closing stop
	stop  chan struct{}
	tasks sync.WaitGroup

	// The committer's own.
	place, plain, sealed []byte
	salt                 [saltBytes]byte
}

// Open opens the store's log, or begins one. It refuses an end that does not
// open (ErrDamaged) and a head file that is malformed or another install's
// (ErrHeadFile). Where entries are missing that a signed head covers, or the head
// file is, the log goes on, with an entry that says so.
//
// In a store that is open for reading only, Read and Verify work.
func Open(o Options) (*Log, error) {
	if o.DB == nil || o.Keys == nil {
		return nil, errors.New("audit: Options.DB and Options.Keys are required")
	}
	if o.HeadEvery <= 0 {
		o.HeadEvery = defaultHeadEvery
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	l := &Log{
		db: o.DB, opt: o, sign: o.Keys.Signer(),
		binding: []byte(sealBinding),
		wake:    make(chan struct{}, 1), dirty: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	l.public = l.sign.Public().(ed25519.PublicKey)
	block, err := aes.NewCipher(o.Keys.Subkey("audit"))
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	// One key for ever: random 96-bit nonces allow 2^32 entries under it.
	if l.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if err := l.openTip(); err != nil {
		return nil, err
	}
	if l.db.ReadOnly() {
		l.refuse = engine.ErrReadOnly
		return l, nil
	}
	if err := l.resume(); err != nil {
		return nil, err
	}
	l.tasks.Go(l.commitLoop)
	l.tasks.Go(l.headLoop)
	return l, nil
}

// PublicKey is the key that the heads' signatures verify with.
func (l *Log) PublicKey() ed25519.PublicKey { return l.public }

// openTip finds the last entry. A log that is only read begins to end with the
// last one that opens, so that Verify can name what stands behind it.
func (l *Log) openTip() error {
	l.tip = tip{hash: genesis(l.public)}
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Audit))
	var scratch []byte
	return l.db.IterReverse(lower, upper, func(k, v []byte) (bool, error) {
		r, err := l.openAt(k, v, &scratch)
		switch {
		case err == nil:
			l.tip = tip{r.N, r.Hash}
		case !l.db.ReadOnly():
			return false, fmt.Errorf("%w: at its end: %w: restore the store from a backup", ErrDamaged, err)
		}
		return err != nil, nil
	})
}

// resume compares the end of the chain with the heads that were signed, goes on
// behind what is missing, and leaves a signed head over all that there is.
func (l *Log) resume() error {
	top, err := l.topHead()
	if err != nil {
		return err
	}
	file, found, err := l.loadHeadFile()
	if err != nil {
		return err
	}
	if l.filed = file; l.opt.HeadFile == "" {
		l.filed = top
	}
	if found && file.N > top.N {
		top = file
	}
	e := Entry{Actor: self, Object: "store", Outcome: "recorded"}
	switch {
	case top.N > l.tip.n:
		e.Action, e.Detail = ActionLost, fmt.Appendf(nil, `{"first":%d,"last":%d}`, l.tip.n+1, top.N)
		level := slog.LevelError
		if l.opt.Restored {
			level = slog.LevelWarn
		}
		l.opt.Logger.Log(context.Background(), level, "audit: entries are missing that a signed head covers: a restore explains that, or somebody removed them",
			"first", l.tip.n+1, "last", top.N, "restored", l.opt.Restored)
		l.tip = tip{top.N, top.Hash}
	case l.opt.HeadFile != "" && !found && l.tip.n > 0:
		e.Action, e.Detail = ActionHeadFile, fmt.Appendf(nil, `{"last":%d}`, l.tip.n)
		l.opt.Logger.Error("audit: the head file is missing, so nobody can say whether the newest entries are: a new one is written",
			"file", l.opt.HeadFile, "last", l.tip.n, "restored", l.opt.Restored)
	}
	if l.opt.Restored {
		e.Action = ActionRestored
	}
	if e.Action != "" {
		g := &group{}
		g.add(&e, e.Detail)
		if err := l.write(g, top); err != nil {
			return err
		}
	}
	_, err = l.Sign()
	return err
}

// Close takes no more entries, waits until those taken are safe, signs a last
// head and returns what went wrong. The engine stays open.
func (l *Log) Close() error {
	if l.db.ReadOnly() {
		return nil
	}
	l.mu.Lock()
	if l.refuse == nil {
		l.refuse = ErrClosed
	}
	l.mu.Unlock()
	l.once.Do(func() { close(l.stop) })
	l.tasks.Wait()
	if err := l.failure(); err != nil {
		return err
	}
	_, err := l.Sign()
	return err
}
