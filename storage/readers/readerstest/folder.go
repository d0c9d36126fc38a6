// Package readerstest opens data folders for tests of readers behind the log.
package readerstest

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/vault"
)

// Quiet logs nothing.
var Quiet = slog.New(slog.DiscardHandler)

// Folder is an open data folder with a log of small blocks.
type Folder struct {
	DB    *engine.DB
	Vault *vault.Vault
	Log   *eventlog.Log
}

// Open opens the folder dir of fs, the disk's when it is nil.
func Open(t testing.TB, dir string, fs vfs.FS) *Folder {
	t.Helper()
	db, err := engine.Open(engine.Options{Dir: dir, FS: fs, CacheBytes: 1 << 20, Logger: Quiet, Exit: func(int) {}})
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(db, bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(db, v, eventlog.Options{MinFree: -1, Logger: Quiet, MaxBlock: 500})
	if err != nil {
		t.Fatal(err)
	}
	return &Folder{db, v, log}
}

// Close closes it.
func (f *Folder) Close(t testing.TB) {
	t.Helper()
	if err := f.Log.Close(); err != nil {
		t.Error(err)
	}
	if err := f.DB.Close(); err != nil {
		t.Error(err)
	}
}

// Append has an entry stand in the log, and gives its number.
func (f *Folder) Append(t testing.TB, entry []byte, receivedAt int64) uint64 {
	t.Helper()
	seq, ticket := f.Log.Append(entry, receivedAt)
	if err := ticket.Wait(); err != nil {
		t.Fatal(err)
	}
	return seq
}

// Wait waits until a reader, which stands at upTo, has everything.
func (f *Folder) Wait(t testing.TB, upTo func() uint64) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); upTo() < f.Log.Durable(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the reader stands at %d, the log at %d", upTo(), f.Log.Durable())
		}
	}
}
