// Package ops does an operator's work beside the traffic: backups, asked for or
// by the clock, compaction, settling, and the rotation of the master key.
package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/reuna/reuna/storage/backup"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/vault"
)

// Options say what is worked on. DB, Vault, Log and People are required.
type Options struct {
	DB     *engine.DB
	Vault  *vault.Vault
	Log    *eventlog.Log
	People *people.Store
	Ledger string // the erasure ledger, which every backup takes along

	To    string        // where backups go; "": only where somebody says
	Every time.Duration // from one to the next; 0: only when asked
	Keep  int           // snapshots in To; 0: all

	Tail time.Duration // how old settled entries are, unless somebody says

	MasterFile string        // the generated master key's file; "" when the key comes from elsewhere,
	Next       func() []byte // and is to become this one; nil or empty: nothing is configured

	Ended  func(Job)        // called after each job; may be nil
	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default slog.Default()
}

// Desk starts jobs and knows how they are. Its methods may be called at the
// same time.
type Desk struct {
	o    Options
	ctx  context.Context // ends with Close
	stop context.CancelFunc
	all  sync.WaitGroup

	mu   sync.Mutex
	jobs map[string]*running // the newest, by kind
	last int
	good time.Time // of the newest snapshot in To, zero when there is none
}

// Open makes a Desk and begins the schedule of backups.
func Open(o Options) *Desk {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	d := &Desk{o: o, jobs: map[string]*running{}}
	d.ctx, d.stop = context.WithCancel(context.Background())
	if o.To != "" {
		d.good = d.newest()
		if o.Every > 0 {
			d.all.Go(d.schedule)
		}
	}
	return d
}

// Close breaks off what runs, and waits for it. All of it can be begun again.
func (d *Desk) Close() error {
	d.mu.Lock()
	d.stop()
	d.mu.Unlock()
	d.all.Wait()
	return nil
}

// Compact rewrites the whole store, so that everything deleted is gone from its
// files and reads look into fewer of them.
func (d *Desk) Compact() (Job, error) {
	return d.begin(Compact, func(ctx context.Context, tell func(string, int64, int64)) (any, error) {
		// Of the bytes that keys begin with, what lies behind the last goes with it.
		const first, last = byte(keyspace.Meta), byte(0x1f)
		const total = int64(last-first) + 2
		tell("writing", 0, total)
		if err := d.o.DB.Flush(); err != nil {
			return nil, err
		}
		before := d.o.DB.Metrics().DiskBytes
		for s := first; s <= last; s++ {
			tell("rewriting", int64(s-first)+1, total)
			upper := []byte{s + 1}
			if s == last {
				upper = []byte{0xff}
			}
			if err := d.o.DB.Compact(ctx, []byte{s}, upper); err != nil {
				return nil, err
			}
		}
		tell("rewriting", total, total)
		return map[string]any{"bytesBefore": before, "bytesAfter": d.o.DB.Metrics().DiskBytes}, nil
	})
}

// Settle moves what is older than age from the log into histories now; a
// negative age means the setting's.
func (d *Desk) Settle(age time.Duration) (Job, error) {
	if age < 0 {
		age = d.o.Tail
	}
	return d.begin(Settle, func(ctx context.Context, _ func(string, int64, int64)) (any, error) {
		// Only what people are written up to may leave the log, and that is what
		// everybody was judged by.
		if err := d.o.People.CatchUp(ctx); err != nil {
			return nil, err
		}
		if err := d.o.People.Checkpoint(); err != nil {
			return nil, err
		}
		done, err := d.o.People.Settle(ctx, age)
		return map[string]any{"entries": done.Entries, "events": done.Events, "chunks": done.Chunks, "upTo": done.UpTo, "head": done.Head}, err
	})
}

// ErrNoNext says that an external master key can only be rotated to one that is
// configured.
var ErrNoNext = errors.New("no next master key is configured")

// Rotate has the folder opened by another master key when it returns, and then
// rewrites the tables that what the old one opens is in. next says what the
// operator has to do.
func (d *Desk) Rotate() (j Job, next string, err error) {
	rotate := func() error { return d.o.Vault.RotateFile(d.o.MasterFile) }
	if d.o.MasterFile != "" {
		next = fmt.Sprintf("%s holds the new key: copy it to where you keep the old one. Backups made before now still need the old key, %s.was-%s: delete that file when there are none left.", d.o.MasterFile, d.o.MasterFile, d.o.Vault.Fingerprint())
	} else {
		var key []byte
		if d.o.Next != nil {
			key = d.o.Next()
		}
		if len(key) == 0 {
			return Job{}, "", ErrNoNext
		}
		if vault.Fingerprint(key) == d.o.Vault.Fingerprint() {
			return Job{}, "", fmt.Errorf("%w: next_master_key is the key in use", ErrNoNext)
		}
		rotate = func() error { return d.o.Vault.RotateMaster(key) }
		next = "Put next_master_key in the place of master_key and remove next_master_key; until then the next start uses either. Backups made before now still need the old key."
	}
	turned := make(chan error, 1)
	j, err = d.begin(RotateMaster, func(ctx context.Context, tell func(string, int64, int64)) (any, error) {
		tell("rotating", 0, 0)
		err := rotate()
		turned <- err
		if err != nil {
			return nil, err
		}
		lower, upper := keyspace.Bounds([]byte{byte(keyspace.VaultKey)})
		err = d.o.DB.Scrub(ctx, []engine.Range{{Lower: lower, Upper: upper}}, func(done, total int) {
			tell("rewriting", int64(done), int64(total))
		})
		return map[string]any{"master": d.o.Vault.Fingerprint()}, err
	})
	if err != nil {
		return j, "", err
	}
	if err := <-turned; err != nil {
		return j, "", err
	}
	return j, next, nil
}

// Keys are the vault's public sides.
type Keys struct {
	PublicKey  []byte // Ed25519, 32 bytes; who has it can check what the install signs
	Master     string // fingerprint
	MasterFile string // "" when the key comes from the configuration
	Groups     int    // wrapping keys that owners' keys are wrapped by
	Owners     int64  // wrapped keys of facets, identifiers and refused messages
	Epochs     int64  // of the log's keys, one a day
	Unfinished int    // groups that an interrupted erasure left with two keys
}

// Keys counts them. It walks over the wrapped keys: about a million a second.
func (d *Desk) Keys(ctx context.Context) (k Keys, err error) {
	v := d.o.Vault
	k = Keys{PublicKey: v.PublicKey(), Master: v.Fingerprint(), MasterFile: d.o.MasterFile, Unfinished: len(v.Unfinished())}
	lower, upper := keyspace.Bounds([]byte{byte(keyspace.VaultKey)})
	err = d.o.DB.Iter(lower, upper, func(key, _ []byte) (bool, error) {
		if len(key) > 1 {
			switch key[1] {
			case keyspace.VaultWrap:
				k.Groups++
			case keyspace.VaultEpoch:
				k.Epochs++
			case keyspace.VaultFacet:
				k.Owners++
			}
		}
		return true, ctx.Err()
	})
	return k, err
}

// LogState is how the log is.
type LogState struct {
	Origin              [16]byte
	Head, Last, Durable uint64
	Queued              int64     // bytes that wait for the disk
	Oldest              time.Time // when the first entry in the log was received; zero when it has none
	Tail                time.Duration
	Cursors             []eventlog.Cursor
	Settled             uint64 // entries up to this one are in histories
	SettleError         error  // why settling failed the last time
	Free                uint64 // bytes on the disk
	FreeKnown           bool
	FullSince           time.Time // zero: it is not
}

// settledBy is the cursor of what moves entries into histories.
const settledBy = "history"

// LogState reads it.
func (d *Desk) LogState() (x LogState, err error) {
	log := d.o.Log
	x = LogState{Origin: log.Origin(), Head: log.Head(), Last: log.LastSeq(), Durable: log.Durable(), Queued: log.Queued(), Tail: d.o.Tail,
		SettleError: d.o.People.Stats().SettleErr}
	err = log.Get(x.Head, func(receivedAt int64, _ []byte) error {
		x.Oldest = time.UnixMilli(receivedAt)
		return nil
	})
	if err != nil && !errors.Is(err, eventlog.ErrNoEntry) {
		var trimmed *eventlog.TrimmedError
		if !errors.As(err, &trimmed) {
			return x, err
		}
	}
	if x.Cursors, err = log.Cursors(); err != nil {
		return x, err
	}
	for _, c := range x.Cursors {
		if c.Name == settledBy {
			x.Settled = c.Seq
		}
	}
	x.Free, x.FreeKnown = d.o.DB.FreeBytes()
	if since, full := d.o.DB.Full(); full {
		x.FullSince = since
	}
	return x, nil
}

// Snapshots lists the configured backup folder. Damaged snapshots make err wrap
// backup.ErrBroken; the others are listed all the same.
func (d *Desk) Snapshots() (dir string, list []*backup.Snapshot, err error) {
	if d.o.To != "" {
		list, err = backup.List(d.o.To)
	}
	return d.o.To, list, err
}
