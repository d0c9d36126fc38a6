package erasure_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/backup"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/erasure"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/receipt"
	"github.com/reuna/reuna/storage/vault"
)

type store struct {
	*testing.T
	db     *engine.DB
	vault  *vault.Vault
	log    *eventlog.Log
	people *people.Store
}

func open(t *testing.T, fs vfs.FS) *store {
	t.Helper()
	s := &store{T: t}
	quiet := slog.New(slog.DiscardHandler)
	var err error
	s.db, err = engine.Open(engine.Options{Dir: "data", FS: fs, Logger: quiet})
	s.must(err)
	s.vault, err = vault.Open(s.db, bytes.Repeat([]byte{7}, 32))
	s.must(err)
	s.log, err = eventlog.Open(s.db, s.vault, eventlog.Options{MinFree: -1, Logger: quiet})
	s.must(err)
	s.people, err = people.Open(people.Options{DB: s.db, Vault: s.vault, Log: s.log, Types: id.Default(), Logger: quiet}, nil)
	s.must(err)
	return s
}

func (s *store) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *store) close() {
	s.Helper()
	s.must(errors.Join(s.people.Close(), s.log.Close(), s.db.Close()))
}

func (s *store) visit(users int) {
	s.Helper()
	for i := range users {
		now := time.Now().Add(-time.Minute).UnixMilli()
		e := event.Event{Type: event.Identify, Site: "shop", Trust: id.Verified, MessageID: fmt.Sprint("m", i), AnonymousID: fmt.Sprint("a", i), UserID: fmt.Sprint("u", i), Timestamp: now, ReceivedAt: now}
		items := make([]people.Item, 1)
		s.people.Prepare(&items[0], &e, false)
		tx, err := s.people.Begin(items, "", false)
		s.must(err)
		tx.Resolve(&items[0])
		tx.Fold(&items[0], tx.Append(&items[0]))
		s.must(tx.End().Wait())
	}
}

func (s *store) known(i int) bool {
	s.Helper()
	_, err := s.people.Person(id.ID{Type: id.UserID, Value: fmt.Sprint("u", i)}, id.AllView)
	if err != nil && !errors.Is(err, people.ErrUnknown) {
		s.Fatal(err)
	}
	return err == nil
}

func (s *store) worker(ledger string) *erasure.Worker {
	return erasure.Open(erasure.Options{People: s.people, Vault: s.vault, Ledger: ledger, Logger: slog.New(slog.DiscardHandler), Retry: 10 * time.Millisecond})
}

// done waits until an erasure is through.
func (s *store) done(seq uint64) *people.Erasure {
	s.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		e, err := s.people.Erasure(seq)
		s.must(err)
		if e.Done {
			return e
		}
	}
	s.Fatal("the erasure is not through after a minute")
	return nil
}

// From the request to a receipt that anybody can check; what a stop broke off goes
// on at the next start; and a store from before it, told by the ledger, forgets
// the same people, once.
func TestFromRequestToReceipt(t *testing.T) {
	fs := vfs.NewMem()
	ledger := filepath.Join(t.TempDir(), "erasures")
	s := open(t, fs)
	s.visit(5)
	s.must(s.people.Checkpoint())
	s.must(s.db.Checkpoint("before"))
	w := s.worker(ledger)
	request := people.EraseRequest{View: id.AllView, Requested: time.Now().UnixMilli(), Reason: "ticket 7"}
	first, err := w.Erase(id.ID{Type: id.UserID, Value: "u1"}, request)
	s.must(err)
	if s.known(1) || !s.known(2) {
		t.Error("u1 is known after the erasure, or u2 is not")
	}
	if _, err := w.Erase(id.ID{Type: id.UserID, Value: "u1"}, request); !errors.Is(err, people.ErrUnknown) {
		t.Errorf("the second time: %v", err)
	}
	e := s.done(first.Seq)
	r, err := receipt.VerifyErasure(s.vault.PublicKey(), e.Receipt)
	s.must(err)
	if r.ID != erasure.ID(e) || r.Events != 1 || r.KeysDestroyed < 2 || r.Reason != "ticket 7" || r.View != "all" || len(r.Identifiers) != 2 || r.Completed.Before(r.Decided) {
		t.Errorf("receipt %+v", r)
	}
	s.must(w.Close())

	// Decided, and then the program ends.
	second, err := s.people.Erase(id.ID{Type: id.AnonymousID, Value: "a2"}, request)
	s.must(err)
	s.close()
	s = open(t, fs)
	if s.known(2) {
		t.Error("u2 came back with a restart")
	}
	w = s.worker(ledger)
	if e := s.done(second.Seq); len(e.Receipt) == 0 {
		t.Error("no receipt")
	}
	s.must(w.Close())
	entries, torn, err := backup.ReadLedger(ledger)
	if err != nil || torn || len(entries) != 2 {
		t.Fatalf("ledger %+v, %v, %v", entries, torn, err)
	}
	s.close()

	old := vfs.NewMem()
	if _, err := vfs.Clone(fs, old, "before", "data"); err != nil {
		t.Fatal(err)
	}
	s = open(t, old)
	if !s.known(1) || !s.known(2) {
		t.Fatal("the copy from before the erasures does not know them")
	}
	for _, want := range []int{2, 0} {
		if n, err := erasure.Replay(context.Background(), s.people, entries); n != want || err != nil {
			t.Errorf("%d repeated, want %d, %v", n, want, err)
		}
		for i, want := range []bool{true, false, false, true, true} {
			if s.known(i) != want {
				t.Errorf("u%d is known: %v", i, !want)
			}
		}
	}
	s.close()
}
