package ops_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/reuna/reuna/gateway/ops"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/people"
	"github.com/reuna/reuna/storage/vault"
)

// open opens a desk on a small store; change may change its options.
func open(t *testing.T, change func(*ops.Options)) *ops.Desk {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	dir := t.TempDir()
	key := bytes.Repeat([]byte{1}, 32)
	db, err := engine.Open(engine.Options{Dir: filepath.Join(dir, "data"), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(db, key)
	if err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(db, v, eventlog.Options{MinFree: -1, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	store, err := people.Open(people.Options{DB: db, Vault: v, Log: log, Types: id.Default(), Logger: quiet}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := ops.Options{DB: db, Vault: v, Log: log, People: store, Ledger: filepath.Join(dir, "erasures"), Tail: time.Hour, Logger: quiet}
	change(&o)
	d := ops.Open(o)
	t.Cleanup(func() {
		for _, end := range []func() error{d.Close, store.Close, log.Close, db.Close} {
			if err := end(); err != nil {
				t.Error(err)
			}
		}
	})
	return d
}

// ended hands over each job as it ends.
func ended(c chan ops.Job) func(*ops.Options) {
	return func(o *ops.Options) { o.Ended = func(j ops.Job) { c <- j } }
}

func next(t *testing.T, c chan ops.Job) ops.Job {
	t.Helper()
	select {
	case j := <-c:
		return j
	case <-time.After(20 * time.Second):
		t.Fatal("no job ends")
		return ops.Job{}
	}
}

func TestJobsEnd(t *testing.T) {
	c := make(chan ops.Job, 1)
	d := open(t, ended(c))
	for _, x := range []struct {
		kind  string
		begin func() (ops.Job, error)
		state string
	}{
		{ops.Compact, d.Compact, ops.Done},
		{ops.Settle, func() (ops.Job, error) { return d.Settle(-1) }, ops.Done},
		{ops.Settle, func() (ops.Job, error) { return d.Settle(0) }, ops.Done},
		{ops.Backup, func() (ops.Job, error) { return d.Backup(filepath.Join(t.TempDir(), "b")) }, ops.Done},
		{ops.Backup, func() (ops.Job, error) { return d.Backup("/dev/null/b") }, ops.Failed},
		{ops.VerifyBackup, func() (ops.Job, error) { return d.VerifyBackup(t.TempDir(), "") }, ops.Failed},
	} {
		j, err := x.begin()
		if err != nil || j.Kind != x.kind || j.State != ops.Running || j.Started.IsZero() {
			t.Errorf("%+v: %v", j, err)
		}
		done := next(t, c)
		if done.ID != j.ID || done.State != x.state || done.Ended.IsZero() || (done.Error != "") != (x.state == ops.Failed) {
			t.Errorf("%s ends as %+v", x.kind, done)
		}
		if got, ok := d.Job(x.kind); !ok || got.ID != j.ID {
			t.Errorf("the newest %s is %+v", x.kind, got)
		}
	}
	if _, ok := d.Job(ops.RotateMaster); ok {
		t.Error("there is a job that was never begun")
	}
}

func TestWhatCannotBegin(t *testing.T) {
	d := open(t, func(*ops.Options) {})
	if _, err := d.Backup(""); !errors.Is(err, ops.ErrNoTarget) {
		t.Error(err)
	}
	if _, err := d.VerifyBackup("", ""); !errors.Is(err, ops.ErrNoTarget) {
		t.Error(err)
	}
	if _, _, err := d.Rotate(); !errors.Is(err, ops.ErrNoNext) {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Compact(); !errors.Is(err, ops.ErrClosed) {
		t.Error(err)
	}
}

// TestOneOfAKind: a second job of a kind is refused while the first runs; its
// end is held up by whoever is told of it.
func TestOneOfAKind(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "b")
	c := make(chan ops.Job) // nobody listens at first
	d := open(t, ended(c))
	if _, err := d.Backup(pipe); err != nil {
		t.Fatal(err)
	}
	_, err := d.Backup(pipe)
	var running *ops.RunningError
	if err != nil && (!errors.As(err, &running) || running.Job.Kind != ops.Backup) {
		t.Errorf("a second one: %v", err)
	}
	if j, e := d.Compact(); e != nil || j.ID == "" {
		t.Errorf("another kind: %v", e)
	}
	n := 2
	if err == nil { // the first was through already
		n = 3
	}
	for range n {
		next(t, c)
	}
}

// TestRotateToAnExternalKey: the configured key opens the folder then, and the
// key in use is no other one.
func TestRotateToAnExternalKey(t *testing.T) {
	c := make(chan ops.Job, 1)
	two := bytes.Repeat([]byte{2}, 32)
	d := open(t, func(o *ops.Options) { ended(c)(o); o.Next = func() []byte { return two } })
	before, err := d.Keys(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, text, err := d.Rotate(); err != nil || text == "" {
		t.Fatalf("%q: %v", text, err)
	}
	if j := next(t, c); j.State != ops.Done {
		t.Errorf("%+v", j)
	}
	after, err := d.Keys(context.Background())
	if err != nil || after.Master != vault.Fingerprint(two) || before.Master == after.Master || !bytes.Equal(before.PublicKey, after.PublicKey) || after.Groups != before.Groups {
		t.Errorf("%+v, then %+v: %v", before, after, err)
	}
	if _, _, err := d.Rotate(); !errors.Is(err, ops.ErrNoNext) {
		t.Errorf("to the key in use: %v", err)
	}
}

// TestTheScheduleGoesOnFromTheLastBackup: a desk that opens on a folder with a
// young backup waits, and one with none, or an old one, begins.
func TestTheScheduleGoesOnFromTheLastBackup(t *testing.T) {
	to := filepath.Join(t.TempDir(), "backups")
	c := make(chan ops.Job, 10)
	var hour time.Duration
	options := func(o *ops.Options) {
		ended(c)(o)
		o.To, o.Every, o.Keep = to, 100*time.Millisecond, 1
		o.Now = func() time.Time { return time.Now().Add(hour) }
	}
	d := open(t, options)
	first, second := next(t, c), next(t, c)
	if first.State != ops.Done || second.State != ops.Done || d.LastBackup().IsZero() {
		t.Errorf("%+v %+v", first, second)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for len(c) > 0 {
		<-c
	}
	// Another install's folder: its backups fail, and the folder stays as it is.
	names := func() int {
		list, err := os.ReadDir(filepath.Join(to, "snapshots"))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	n := names()
	hour = 2 * time.Hour
	other := open(t, options)
	if j := next(t, c); j.State != ops.Failed {
		t.Errorf("into another install's backups: %+v", j)
	}
	if got := names(); got != n {
		t.Errorf("%d snapshots, %d before", got, n)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
}
