// Package erasure sees an erasure through: from the request, over the ledger
// that backups are held to, to the last byte on the disk and the signed receipt.
package erasure

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/backup"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/receipt"
	"github.com/reuna/reuna/storage/vault"
)

// Options say what the worker works on.
type Options struct {
	People *people.Store
	Vault  *vault.Vault
	// Ledger is the file that lists what was erased, as keyed hashes. It lives
	// outside the data folder, beside the master key: a backup that is brought back
	// must be told of erasures that came after it.
	Ledger string
	Retry  time.Duration // after a failure; default one minute
	Now    func() time.Time
	Logger *slog.Logger
}

// Worker does erasures beside the traffic. Those that an
// end of the program broke off go on at its next start.
type Worker struct {
	o    Options
	stop context.CancelFunc
	wake chan struct{}
	done chan struct{}

	ledger sync.Mutex // one entry at a time

	mu   sync.Mutex
	now  map[uint64]Progress // of those that are being shredded
	errs map[uint64]error
}

// Progress is how far the shredding of one erasure is.
type Progress struct {
	Seq         uint64
	Step        string // "overwriting", "keys", "rewriting"; "" while it waits
	Done, Total int
}

// Open starts the worker.
func Open(o Options) *Worker {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Retry <= 0 {
		o.Retry = time.Minute
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &Worker{o: o, stop: stop, wake: make(chan struct{}, 1), done: make(chan struct{}), errs: map[uint64]error{}}
	w.wake <- struct{}{} // for what was left undone
	go w.run(ctx)
	return w
}

// Close lets go of what is being done; the next start goes on with it.
func (w *Worker) Close() error {
	w.stop()
	<-w.done
	return nil
}

// Erase erases the person that x belongs to. When it returns nobody can read
// them any more and the ledger knows; the disk follows, and then the receipt.
// people.ErrUnknown when nothing is stored about x.
func (w *Worker) Erase(x id.ID, request people.EraseRequest) (*people.Erasure, error) {
	e, err := w.o.People.Erase(x, request)
	if err != nil {
		return nil, err
	}
	err = w.enter(e)
	select {
	case w.wake <- struct{}{}:
	default: // it is awake, or will be
	}
	if err != nil {
		// The worker tries again; until then a restored backup would not know.
		w.o.Logger.Error("an erasure could not be written into the ledger; trying again", "erasure", e.Seq, "err", err)
	}
	return e, nil
}

// Status gives how far an erasure is, and what its last attempt failed with.
func (w *Worker) Status(seq uint64) (p Progress, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p = w.now[seq]
	p.Seq = seq
	return p, w.errs[seq]
}

func (w *Worker) run(ctx context.Context) {
	defer close(w.done)
	retry := time.NewTicker(w.o.Retry)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-retry.C:
		}
		if err := w.finishAll(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, engine.ErrClosed) {
			w.o.Logger.Error("an erasure is not through; trying again", "err", err, "after", w.o.Retry)
		}
	}
}

// finishAll shreds what waits, the oldest first.
func (w *Worker) finishAll(ctx context.Context) error {
	var waiting []*people.Erasure
	for before := uint64(0); ; {
		list, err := w.o.People.Erasures(before, 100)
		if err != nil {
			return err
		}
		for _, e := range list {
			before = e.Seq
			if !e.Done {
				waiting = append([]*people.Erasure{e}, waiting...)
			}
		}
		if len(list) < 100 {
			break
		}
	}
	var errs []error
	for list := range slices.Chunk(waiting, together) {
		err := w.finish(ctx, list)
		w.mu.Lock()
		w.now = nil
		for _, e := range list {
			if w.errs[e.Seq] = err; err == nil {
				delete(w.errs, e.Seq)
			}
		}
		w.mu.Unlock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s and %d more: %w", ID(list[0]), len(list)-1, err))
		}
	}
	return errors.Join(errs...)
}

// together is how many erasures share the rewriting of tables, at most.
const together = 100

// patience is how long one attempt may take.
const patience = 30 * time.Minute

// finish takes erasures from the decision to the receipt.
func (w *Worker) finish(ctx context.Context, list []*people.Erasure) error {
	began := w.o.Now()
	// A file that cannot be removed must not keep everybody else waiting.
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, e := range list {
		if err := w.enter(e); err != nil {
			return err
		}
	}
	err := w.o.People.ShredAll(ctx, list, func(step string, done, total int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.now = map[uint64]Progress{}
		for _, e := range list {
			w.now[e.Seq] = Progress{e.Seq, step, done, total}
		}
	})
	if err != nil {
		return err
	}
	for _, e := range list {
		signed, err := receipt.SignErasure(w.o.Vault.Signer(), w.receipt(e))
		if err != nil {
			return err
		}
		if err := w.o.People.Finished(e, signed); err != nil {
			return err
		}
		w.o.Logger.Info("a person was erased", "erasure", e.Seq, "events", e.Counts.Events, "keys", e.Counts.Keys, "took", w.o.Now().Sub(began).Round(time.Millisecond))
	}
	return nil
}

// ID is what an erasure is called in public: its entry's number.
func ID(e *people.Erasure) string { return "erase-" + strconv.FormatUint(e.Seq, 10) }

func (w *Worker) receipt(e *people.Erasure) receipt.Erasure {
	c := e.Counts
	return receipt.Erasure{
		ID: ID(e), Origin: hex.EncodeToString(e.Origin[:]), Seq: e.Seq,
		Requested: time.UnixMilli(e.Requested), Decided: time.UnixMilli(e.At), Completed: w.o.Now(),
		View: e.View.String(), Reason: e.Reason,
		Identifiers: texts(e.Identifiers), Facets: int(c.Facets), Events: int(c.Events),
		LogEntriesBlanked: int(c.Overwritten), HistoryChunks: int(c.Chunks), EvidenceRecords: int(c.Evidence),
		Sessions: int(c.Sessions), Refused: int(c.Refused), KeysDestroyed: int(c.Keys), GroupsRewritten: int(c.Groups),
		Tombstones: len(e.Identifiers), CompactedRanges: int(c.Ranges),
	}
}

// enter writes an erasure into the ledger, once.
func (w *Worker) enter(e *people.Erasure) error {
	if w.o.Ledger == "" {
		return nil
	}
	w.ledger.Lock()
	defer w.ledger.Unlock()
	entry := backup.LedgerEntry{
		Seq: e.Seq, Origin: hex.EncodeToString(e.Origin[:]), Time: time.UnixMilli(e.At).UTC(),
		Identifiers: texts(e.Identifiers), Facets: texts(e.Facets),
	}
	known, _, err := backup.ReadLedger(w.o.Ledger)
	if err != nil {
		return err
	}
	for _, k := range known {
		if k.Seq == entry.Seq && k.Origin == entry.Origin {
			return nil
		}
	}
	return backup.AppendLedger(w.o.Ledger, entry)
}

func texts(hashes []people.Hash) []string {
	list := make([]string, len(hashes))
	for i, h := range hashes {
		list[i] = hex.EncodeToString(h[:])
	}
	return list
}

// Replay repeats the ledger's erasures in a store that was brought back from a
// backup, and sees them through before anybody may use it.
func Replay(ctx context.Context, s *people.Store, entries []backup.LedgerEntry) (repeated int, err error) {
	for _, k := range entries {
		identifiers, err1 := hashes(k.Identifiers)
		facets, err2 := hashes(k.Facets)
		if err := errors.Join(err1, err2); err != nil {
			return repeated, fmt.Errorf("erasure %d of the ledger: %w", k.Seq, err)
		}
		e, err := s.EraseAgain(k.Time.UnixMilli(), identifiers, facets)
		if err != nil {
			return repeated, fmt.Errorf("erasure %d of the ledger: %w", k.Seq, err)
		}
		if e == nil {
			continue
		}
		if err := s.Shred(ctx, e, nil); err != nil {
			return repeated, fmt.Errorf("erasure %d of the ledger: %w", k.Seq, err)
		}
		if err := s.Finished(e, nil); err != nil {
			return repeated, err
		}
		repeated++
	}
	return repeated, nil
}

func hashes(list []string) (out []people.Hash, err error) {
	for _, t := range list {
		raw, err := hex.DecodeString(t)
		if err != nil || len(raw) != len(people.Hash{}) {
			return nil, fmt.Errorf("%q is no hash of 32 hexadecimal digits", t)
		}
		out = append(out, people.Hash(raw))
	}
	return out, nil
}
