package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reuna/reuna/storage/audit"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/vault"
)

// folder is a data folder with its keys beside it.
type folder struct {
	t    *testing.T
	data string
}

// with opens the folder, as the gateway does, and appends n entries.
func (f folder) with(n int, change func(b *engine.Batch)) {
	f.t.Helper()
	logger := slog.New(slog.DiscardHandler)
	db, err := engine.Open(engine.Options{Dir: f.data, Logger: logger})
	if err != nil {
		f.t.Fatal(err)
	}
	keys, _, err := vault.OpenWithFile(db, filepath.Join(f.data+".keys", "master.key"))
	if err != nil {
		f.t.Fatal(err)
	}
	if n > 0 {
		log, err := audit.Open(audit.Options{DB: db, Keys: keys, HeadFile: filepath.Join(f.data+".keys", audit.HeadFileName), Logger: logger})
		if err != nil {
			f.t.Fatal(err)
		}
		for i := range n {
			if _, err := log.Append(context.Background(), audit.Entry{Actor: fmt.Sprintf("key %d", i), Action: "person.read"}); err != nil {
				f.t.Fatal(err)
			}
		}
		if err := log.Close(); err != nil {
			f.t.Fatal(err)
		}
	}
	b := db.NewBatch()
	if change != nil {
		change(b)
	}
	if err := errors.Join(b.Commit(true), db.Close()); err != nil {
		f.t.Fatal(err)
	}
}

func (f folder) run(status int, says string, args ...string) {
	f.t.Helper()
	var stdout, stderr bytes.Buffer
	got := run(context.Background(), append([]string{"-data", f.data}, args...), &stdout, &stderr)
	all := stdout.String() + stderr.String()
	if got != status || !strings.Contains(all, says) {
		f.t.Errorf("%v: status %d, wanted %d and %q:\n%s", args, got, status, says, all)
	}
}

func TestRun(t *testing.T) {
	f := folder{t, filepath.Join(t.TempDir(), "data")}
	kept := filepath.Join(filepath.Dir(f.data), "kept.json")
	f.run(exitUsage, "data folder")
	f.with(20, nil)
	f.run(exitWhole, "WHOLE  the activity log of "+f.data+": 20 entries, from 1 to 20", "-keep", kept)
	f.run(exitUsage, "is there already", "-keep", kept)
	f.with(10, nil)
	f.run(exitWhole, "expected heads: 1", "-expect", kept)
	f.run(exitUsage, "no such file", "-expect", kept+".no")
	f.run(exitUsage, "no such file", "-master", kept+".no")
	f.run(exitUsage, "unexpected argument", "what")
	f.run(exitFaults, "head file", "-head-file", kept+".no")

	f.with(0, func(b *engine.Batch) { b.Delete(keyspace.AppendAudit(nil, 7)) })
	f.run(exitFaults, "fault  missing    entry 7 is missing")
	// Everything gone, in the folder and beside it: only who kept a head sees it.
	if err := os.Remove(filepath.Join(f.data+".keys", audit.HeadFileName)); err != nil {
		t.Fatal(err)
	}
	f.with(0, func(b *engine.Batch) {
		b.DeleteRange(keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Audit)))
		b.DeleteRange(keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.AuditHead)))
	})
	f.run(exitWhole, "0 entries")
	f.run(exitFaults, "entries 1 to 20 are missing at the end", "-expect", kept)
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{nil, exitUsage, "-data is missing"},
		{[]string{"-x"}, exitUsage, "not defined"},
		{[]string{"-help"}, exitWhole, "-expect"},
	} {
		var out bytes.Buffer
		if got := run(context.Background(), c.args, &out, &out); got != c.status || !strings.Contains(out.String(), c.says) {
			t.Errorf("%v: status %d\n%s", c.args, got, out.String())
		}
	}
}
